#!/bin/sh
# make coverage: which lines of nn.h the tests run. Compiles each test named with gcc's --coverage and without optimisation,
# runs it, and adds up the counts: a line is covered if any test ran it. Prints the figure, the same for each set of
# kernels, the lines that no test ran with their functions, and the lines that were not compiled here, by condition: those
# stand in no figure. Fails below LEAST per cent of lines. BRANCHES=1 also lists lines that were run, but with a branch
# that always went the same way. Needs gcc, gcov and python3; some four minutes.
# "ops" is compiled with every kernel of this machine, which it runs by turns; the others with the scalar ones.
cd "$(dirname "$0")/.." || exit 1
B=build/gcov
rm -rf $B; mkdir -p $B
export B NN_QUIET=1
printf '%s\n' "$@" | xargs -P "${JOBS:-2}" -I T sh -c '
    case T in ops) flags= ;; *) flags=-DNN_NO_SIMD ;; esac
    gcc -O0 --coverage $flags -I. -c -o $B/T.o tests/test_T.c && gcc --coverage -o $B/T $B/T.o -lm -lpthread &&
    gcc -E $flags -I. tests/test_T.c > $B/T.i && $B/T > $B/T.out 2>&1
    echo $? > $B/T.status
    gcov -b --json-format -t $B/T.gcda > $B/T.json 2> /dev/null'
for t in "$@"; do
    [ "$(cat $B/$t.status)" = 0 ] || echo "$t ended with status $(cat $B/$t.status): $(tail -n 1 $B/$t.out 2> /dev/null)"
done
python3 - "${LEAST:-90}" "$@" << 'END_OF_PYTHON'
import json, os, re, sys
folder, least, tests = os.environ["B"], float(sys.argv[1]), sys.argv[2:]
source = open("nn.h").read().split("\n")
kernel = re.compile(r"nn__(scalar|sse2|avx2|avx512|neon)_(f32|f64)_(.*)")

# -- counts of gcov: lines, and functions by name (the kernels' without their set)
counts, branches, sets, functions = {}, {}, {}, {}
for test in tests:
    if not os.path.exists(f"{folder}/{test}.json") or not os.path.getsize(f"{folder}/{test}.json"): continue
    for file in json.load(open(f"{folder}/{test}.json"))["files"]:
        if os.path.basename(file["file"]) != "nn.h": continue
        for f in file["functions"]:
            m = kernel.fullmatch(f["name"])
            name = m[3] if m else f["name"]
            last = functions.get((f["start_line"], name), (0, 0))
            functions[f["start_line"], name] = f["end_line"], last[1] + f["execution_count"]
        for line in file["lines"]:
            n, k = line["line_number"], line["count"]
            counts[n] = counts.get(n, 0) + k
            m = kernel.fullmatch(line.get("function_name", ""))
            if m: sets.setdefault(f"{m[1]} {m[2]}", {}).setdefault(n, []).append(k)
            for i, b in enumerate(line["branches"]):
                place = n, m[3] if m else line.get("function_name", ""), i
                branches[place] = branches.get(place, 0) + b["count"]

def function_of(n):
    inside = [(start, name) for (start, name), (end, _) in functions.items() if start <= n <= end]
    names = sorted(name for start, name in inside if start == max(inside)[0])
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "") if names else "?"

def spans(lines, joins):  # a hole goes on over lines that are no code
    out = []
    for n in sorted(lines):
        if out and joins(out[-1][1], n): out[-1][1] = n
        else: out.append([n, n])
    return out

def percent(ran, all): return 100 * ran / all if all else 0

ran = sum(k > 0 for k in counts.values())
holes = spans([n for n, k in counts.items() if not k], lambda a, b: not any(counts.get(i) for i in range(a, b)) and function_of(a) == function_of(b))
print("Lines that no test ran:")
for a, b in holes:
    n = sum(a <= i <= b for i in counts)
    print(f"  {a if a == b else f'{a}-{b}'} ({n}) {function_of(a)}: {source[a - 1].strip()[:90]}")
never = sorted((start, name) for (start, name), (_, k) in functions.items() if not k)
print(f"\n{len(never)} of {len(functions)} functions were never called:", ", ".join(f"{name} ({start})" for start, name in never))

# -- what the preprocessor left out of every build: blank in all of its output
seen = set()
for test in tests:
    if not os.path.exists(f"{folder}/{test}.i"): continue
    at, ours = 0, False
    for line in open(f"{folder}/{test}.i", errors="replace"):
        m = re.match(r'# (\d+) "([^"]*)"', line)
        if m: at, ours = int(m[1]), os.path.basename(m[2]) == "nn.h"
        else:
            if ours and line.strip(): seen.add(at)
            at += 1
text = re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/', lambda m: m[0] if m[0][0] in "\"'" else "\n" * m[0].count("\n"), "\n".join(source), flags=re.S).split("\n")
stack, conditions, directive = [], [], False
for n, line in enumerate(text, 1):
    m = None if directive else re.match(r"\s*#\s*(\w+)\s*(.*)", line)
    if m and m[1] in ("if", "ifdef", "ifndef"): stack.append([])
    if m and m[1] in ("if", "ifdef", "ifndef", "elif", "else"):
        condition = {"ifdef": f"defined({m[2].strip()})", "ifndef": f"!defined({m[2].strip()})"}.get(m[1], m[2].strip())
        if m[1] == "else": condition = "else of " + stack[-1][0]["if"]
        branch = {"if": condition, "code": [], "up": stack[-2][-1] if len(stack) > 1 else None}
        stack[-1].append(branch); conditions.append(branch)
    elif m and m[1] == "endif": stack.pop()
    elif line.strip() and not m and not directive:
        for level in stack: level[-1]["code"].append(n)
    directive = (directive or m is not None) and line.rstrip().endswith("\\")
left_out = {}
for b in conditions:
    b["out"] = bool(b["code"]) and not any(n in seen for n in b["code"])
    if b["out"] and not (b["up"] and b["up"]["out"]): left_out.setdefault(b["if"], []).extend(b["code"])
print(f"\nNot compiled here, and in no figure ({sum(map(len, left_out.values()))} lines of code):")
for condition, lines in sorted(left_out.items(), key=lambda x: -len(x[1])):
    where = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans(lines, lambda a, b: b - a < 4))
    print(f"  {len(lines):4} {condition}: {where}")

print("\nKernels, each set by itself:")
for name, lines in sorted(sets.items()):
    print(f"  {name:11} {percent(sum(max(k) > 0 for k in lines.values()), len(lines)):5.1f} % of {len(lines)} lines")
figure = percent(ran, len(counts))
print(f"\ncoverage: {figure:.1f} % of the lines of nn.h ({ran} of {len(counts)}), {percent(len(functions) - len(never), len(functions)):.1f} % of its functions, "
      f"{percent(sum(k > 0 for k in branches.values()), len(branches)):.1f} % of the ways that its branches go")
if os.environ.get("BRANCHES"):  # to find what a line that was run left out
    missed = {}
    for (n, name, i), k in branches.items(): missed.setdefault(n, []).append((k == 0, name))
    for n in sorted(missed):
        if counts.get(n) and any(out for out, _ in missed[n]):
            print(f"  {n} {sum(out for out, _ in missed[n])}/{len(missed[n])} {missed[n][0][1]}: {source[n - 1].strip()[:120]}")
sys.exit(figure < least)
END_OF_PYTHON
