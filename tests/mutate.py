#!/usr/bin/env python3
"""Are the gradient tests worth anything? Breaks nn.h in one place at a time and sees whether test_ops notices.

    python3 tests/mutate.py [--jobs N] [--list] [--only TEXT] [--cc COMPILER] [--header nn.h]

Every gradient rule (nn__grad_*, nn__grad_fast_* and their helpers), every fused formula (NN__F_*_back) and every kernel
and loop behind a *_back op is changed by simple patterns: a sign flipped, a term or a factor dropped, an operand
swapped. Each mutant is written to build/mutants, compiled with the scalar and the SSE2 kernels (-O0: compiling is what
takes the time) and run as `test_ops --gradients-only`; one that lives through that has to pass the whole test as well.
It is killed if the test fails; one that does not compile is not counted. One line a mutant, then
`mutants: N killed, M survived`. Mutants that change nothing are listed below with the reason.
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)

# A mutant as --list names it: why it computes the same as the original
EQUIVALENT = {
    "nn__grad_leaky_relu: n->in[0] -> n->in[1]": "behind an op's only input lies its output, which has the same sign",
    "nn__grad_elu: n->in[0] -> n->in[1] (2)": "behind an op's only input lies its output, which has the same type",
    "nn__grad_elu: n->in[0] -> n->in[1] (3)": "behind an op's only input lies its output, which has the same sign",
    "nn__grad_elu: p[1] -> p[0] (3)": "only asks whether a term is 0 that may as well be added",
    "nn__grad_atan2: nn_add -> nn_sub": "0 is divided by this 1 or -1",
    "nn__grad_hypot: nn_add -> nn_sub": "0 is divided by this 1 or -1",
    "nn__grad_hypot: out[0] -> in[0]": "only its type is asked for",
    "nn__grad_recur: scale: a -> 1.25 a": "the factor is 0",
    "nn__grad_recur: scale: a -> -a": "the factor is 0",
    "nn__grad_recur: n->in[0] -> n->in[1]": "all operands have as many axes",
    "nn__grad_recur: nn_wants(n, 1) -> nn_wants(n, 0)": "no gradient counts as 0, which this one is",
}

# ---- which parts of nn.h ---------------------------------------------------------------------------------------

NAMES = re.compile(
    r"nn__grad_(?!own\b|release\b)\w+|nn__linear_grad|nn__keepdims|nn__sum_to|nn__sum_last|nn__run_layernorm_back|nn__layernorm_back_parts|"
    r"nn__cross_entropy_back_rows|nn__run_unslice|nn__run_mask|nn__mask_part|NN__K\(\w+_back\)|NN__K\(\w+_slope\)|NN__K\(mask\)")


def match_brackets(text, at, pair="()"):
    """at stands on the opening bracket: the place behind its partner"""
    depth = 0
    while at < len(text):
        if text[at] == pair[0]:
            depth += 1
        elif text[at] == pair[1]:
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    raise ValueError("brackets")


def regions(text):
    """(name, begin, end) of each body"""
    found = []
    for m in re.finditer(r"^(?:    )?static [\w ]*?\*?\s*(" + NAMES.pattern + r"|nn__grad_fast_##name|nn__##name##_back_rows)\(", text, re.M):
        close = match_brackets(text, m.end() - 1)
        brace = re.match(r"[\s\\]*\{", text[close:])
        if not brace:
            continue  # a declaration
        start = close + brace.end() - 1
        found.append((m.group(1), start + 1, match_brackets(text, start, "{}") - 1))
    for m in re.finditer(r"^#define (NN__F_\w+_back)\([^)]*\) (.*)$", text, re.M):
        found.append((m.group(1), m.start(2), m.end(2)))
    for m in re.finditer(r"^#define (NN__GELU_PDF|NN__GELU_CDF)\([^)]*\) (.*)$", text, re.M):
        found.append((m.group(1), m.start(2), m.end(2)))
    return sorted(found, key=lambda r: r[1])


# ---- how they are broken -----------------------------------------------------------------------------------------

def arguments(text, at):
    """of the call whose opening bracket stands at `at`: [(begin, end)], and the place behind it"""
    end, depth, begin, parts = match_brackets(text, at), 0, at + 1, []
    for i in range(at, end):
        if text[i] in "([{":
            depth += 1
        elif text[i] in ")]}":
            depth -= 1
        if (text[i] == "," and depth == 1) or i == end - 1:
            parts.append((begin, i))
            begin = i + 1
    return parts, end


def calls(text, begin, end, name):
    for m in re.finditer(r"(?<![\w])" + re.escape(name) + r"\(", text[begin:end]):
        at = begin + m.start()
        parts, behind = arguments(text, begin + m.end() - 1)
        yield at, behind, [text[b:e].strip() for b, e in parts]


def mutants_of(text, name, begin, end):
    """(begin, end, replacement, description)"""
    def swap(old, new):
        for at, _, _ in calls(text, begin, end, old):
            yield at, at + len(old), new, "%s -> %s" % (old, new)

    def keep(call, which, word=None):  # the call becomes one of its operands
        for at, behind, args in calls(text, begin, end, call):
            if which < len(args):
                yield at, behind, "(%s)" % args[which], "%s(..) -> its operand %d" % (call, which)

    for a, b in (("nn_sub", "nn_add"), ("nn_add", "nn_sub"), ("nn_div", "nn_mul"), ("nn_mul", "nn_div"), ("nn_mean", "nn_sum"), ("nn_sum", "nn_mean"), ("nn_square", "nn_neg"),
                 ("nn__v_sub", "nn__v_add"), ("nn__v_add", "nn__v_sub"), ("nn__v_fma", "nn__v_fnma"), ("nn__v_fnma", "nn__v_fma"), ("nn__v_gt", "nn__v_lt"),
                 ("nn_tril", "nn_triu"), ("nn_triu", "nn_tril"), ("nn_sin", "nn_cos"), ("nn_cos", "nn_sin"), ("nn_sinh", "nn_cosh"), ("nn_cosh", "nn_sinh"), ("nn_minimum", "nn_maximum"),
                 ("nn_maximum", "nn_minimum"), ("nn_trunc", "nn_floor"), ("nn_not", "nn_is_finite")):
        yield from swap(a, b)
    for call in ("nn_neg", "nn_square", "nn_exp", "nn_erf", "nn_sqrt", "nn_scale", "nn_affine", "nn_transpose", "nn__sum_last", "nn_softmax", "nn_one_hot", "nn_flip", "nn_roll", "nn_pad", "nn_tril",
                 "nn_triu", "nn_abs", "nn_trunc", "nn_sin", "nn_cos", "nn_sinh", "nn_cosh", "nn_sigmoid", "nn_tanh", "nn_softplus", "nn_positive", "nn_reciprocal", "nn_rsqrt", "nn_log", "nn_inverse",
                 "nn_minimum", "nn_maximum", "nn_pow", "nn_hypot", "nn_not", "nn_unsqueeze", "nn__recur_last", "nn__mask_apply"):
        yield from keep(call, 0)
    for call in ("nn_mul", "nn_sub", "nn_add", "nn_div", "nn__v_mul", "nn__v_sub", "nn__v_add"):
        yield from keep(call, 0)
        yield from keep(call, 1)
    for call in ("nn__v_fma", "nn__v_fnma"):
        yield from keep(call, 2)  # the product is lost
        for at, behind, args in calls(text, begin, end, call):
            yield at, behind, "nn__v_mul(%s, %s)" % (args[0], args[1]), "%s(..): the added term is lost" % call
            yield at, behind, "%s(%s, %s, %s)" % (call, args[0], args[2], args[1]), "%s: operands 1 and 2 change places" % call
    for call in ("nn__v_sub", "nn_sub", "nn_div", "nn_matmul", "nn_pow"):
        for at, behind, args in calls(text, begin, end, call):
            yield at, behind, "%s(%s, %s)" % (call, args[1], args[0]), "%s: operands change places" % call
    for at, behind, args in calls(text, begin, end, "nn__v_select"):
        yield at, behind, "nn__v_select(%s, %s, %s)" % (args[0], args[2], args[1]), "select: branches change places"
        yield at, behind, "(%s)" % args[1], "select: always the first"
    for at, behind, args in calls(text, begin, end, "NN__K(exp)"):
        yield at, behind, "(%s)" % args[0], "exp is lost"
    for at, behind, args in calls(text, begin, end, "nn_positive"):
        yield at, behind, "nn_same(%s, %s)" % (args[0], args[0]), "positive(..) -> 1"
    for at, behind, args in calls(text, begin, end, "nn_affine"):
        if len(args) == 3:
            yield at, behind, "nn_affine(%s, -(%s), %s)" % tuple(args), "affine: a -> -a"
            yield at, behind, "nn_affine(%s, %s, (%s) + 0.25)" % tuple(args), "affine: b -> b + 0.25"
    for at, behind, args in calls(text, begin, end, "nn_scale"):
        yield at, behind, "nn_scale(%s, 1.25 * (%s))" % tuple(args), "scale: a -> 1.25 a"
        yield at, behind, "nn_scale(%s, -(%s))" % tuple(args), "scale: a -> -a"
    for at, behind, args in calls(text, begin, end, "nn__v_set1"):
        if re.match(r"-?[\d.]+$", args[0]):
            yield at, behind, "nn__v_set1(%s * 1.25)" % args[0], "constant %s -> 1.25 times" % args[0]
            yield at, behind, "nn__v_set1(-(%s))" % args[0], "constant %s -> negative" % args[0]
    body = text[begin:end]
    for m in re.finditer(r"\b(dx\[\w+\]) = ((?:dx\[1\] = )?)([^;]+);", body):
        at, stop, expression = begin + m.start(3), begin + m.end(3), m.group(3)
        if m.group(2) or expression.startswith("dx["):
            continue
        yield at, stop, "nn_neg(%s)" % expression, "%s: sign" % m.group(1)
        yield at, stop, "nn_scale(%s, 2)" % expression, "%s: twice" % m.group(1)
        yield begin + m.start(), begin + m.end(), ";", "%s: not set" % m.group(1)
    for m in re.finditer(r"dx\[0\] = dx\[1\] = dy\[0\]", body):
        for new in ("dx[0] = dy[0]", "dx[1] = dy[0]", "dx[0] = dx[1] = nn_neg(dy[0])", "dx[0] = nn_neg(dx[1] = dy[0])", "dx[0] = nn_scale(dx[1] = dy[0], 2)"):
            yield begin + m.start(), begin + m.end(), new, "-> " + new
    for old, new in ((r"n->in\[0\]", "n->in[1]"), (r"n->in\[1\]", "n->in[0]"), (r"nn_wants\(n, 0\)", "nn_wants(n, 1)"), (r"nn_wants\(n, 1\)", "nn_wants(n, 0)"),
                     (r"in\[(\d)\] = ", None), (r" / \(NN__R\)n\b", ""), (r" / \(double\)w->rows", ""), (r"(?<=dx\[label\]) -= ", " += "), (r"NN_AXES\(0\)", "NN_AXES(1)"),
                     (r"\(double\)classes / ", "1 / "), (r" / \(double\)nn_numel\(x\)", ""), (r"1 / \(1 - p\)", "1"), (r"NN_ACT_RELU", "NN_ACT_TANH + 90"), (r"NN_ACT_SIGMOID", "NN_ACT_TANH + 91"),
                     (r"NN_ACT_TANH", "NN_ACT_GELU + 92"), (r"p < 1 \? ", "p < 0 ? "), (r"at, at \+ size", "0, size"), (r"at \+= size", "at += 0"), (r"a->step", "1"), (r"a->start", "0"),
                     (r"\bmean\b(?=\), r\))", "rstd"), (r"\(p \+ 1\) \* NN__NORM_PART", "p * NN__NORM_PART + 1"), (r"memset\(dw, 0, [^;]*;", ";"), (r"dx\[label\] -= [^;]*;", ";"),
                     (r"case NN_ACT_\w+: dz = [^;]*; break;", ""), (r"nn__op_relu_back", "nn__op_tanh_back"), (r"nn__op_sigmoid_back", "nn__op_tanh_back"), (r"nn__op_tanh_back", "nn__op_sigmoid_back"),
                     (r"parts, 2 \* w\.row", "1, 2 * w.row"), (r"\? x\[i\] \* scale", "? x[i]"), (r"a->keep \? y :", "!a->keep ? y :"), (r"1\.1283791670955126", "1.2283791670955126"),
                     (r"!a->transposed", "a->transposed"), (r"(?<!!)a->transposed", "!a->transposed"), (r"a->upper", "!a->upper"), (r"nn_dim\(a, -1\) > 0", "0"), (r"a \? (nn_roll[^:]*) : NULL", "NULL"),
                     (r"0, -1, 1(?=\))", "1, INT64_MAX, 1"), (r"p\[0\]", "p[1]"), (r"p\[1\]", "p[0]"), (r"1 - slope, slope", "slope, 1 - slope"), (r"\b(out|in)\[0\](?=, nn_scalar_like)", "in[0]"),
                     (r"extra \|\| ", ""), (r"mask\[i\] \?", "!mask[i] ?")):
        for m in re.finditer(old, body):
            if new is None:  # a list of operands: this one becomes its neighbour's
                k = int(m.group(1))
                value = re.match(r"[^;]*", body[m.end():]).group(0)
                other = re.search(r"in\[%d\] = ([^;]*);" % (k + 1 if k % 2 == 0 else k - 1), body)
                if other and other.group(1) != value:
                    yield begin + m.end(), begin + m.end() + len(value), other.group(1), "in[%d] = %s -> %s" % (k, value, other.group(1))
                continue
            yield begin + m.start(), begin + m.end(), new, "%s -> %s" % (m.group(0), new or "nothing")


def all_mutants(text):
    seen, numbers = set(), {}
    for name, begin, end in regions(text):
        for at, stop, new, what in mutants_of(text, name, begin, end):
            if text[at:stop] == new or (at, stop, new) in seen:
                continue
            seen.add((at, stop, new))
            key = "%s: %s" % (name, what)
            numbers[key] = numbers.get(key, 0) + 1
            label = key if numbers[key] == 1 else "%s (%d)" % (key, numbers[key])
            yield label, text.count("\n", 0, at) + 1, text[:at] + new + text[stop:]


# ---- the run -----------------------------------------------------------------------------------------------------

def op_of(label):
    """the op whose gradient is most likely hit, to be tested first"""
    name = re.sub(r"nn__(?:grad_fast|grad|run|shape)_|NN__K\(|NN__F_|_back.*|_slope.*|nn__|_grad.*", "", label.split(":")[0])
    return {"scatter": "scatter_add", "scatter_set": "scatter", "wins": "maximum", "GELU_CDF": "gelu", "GELU_PDF": "gelu", "NN__GELU_PDF": "gelu", "NN__GELU_CDF": "gelu", "keepdims": "sum", "sum_to": "add", "sum_last": "softmax",
            "mask_part": "mask", "mask)": "mask", "##name##": "softmax", "##name": "softmax"}.get(name, name)


def run(job):
    number, label, line, mutant, cc, test = job
    folder = os.path.join(ROOT, "build", "mutants", str(number))
    os.makedirs(folder, exist_ok=True)
    header, program = os.path.join(folder, "nn.h"), os.path.join(folder, "test_ops")
    with open(header, "w") as f:
        f.write(mutant)
    def limit():
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    verdict = "SURVIVED"
    for level, arguments in (("-O0", ["--gradients-only", op_of(label)]), ("-O2", [])):
        if number == 0 and not arguments:
            break  # the unchanged header: whoever calls this has seen the whole test pass
        command = [cc, "-std=c99", level, "-w", "-DNN_NO_AVX512", "-DNN_NO_AVX2", "-I", folder, test, "-o", program, "-lm", "-lpthread"]
        if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            verdict = "does not compile"
            break
        try:
            done = subprocess.run([program] + arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120, preexec_fn=limit)
            if done.returncode:
                verdict = "killed" if arguments else "killed (whole)"
        except subprocess.TimeoutExpired:
            verdict = "killed"
        if verdict != "SURVIVED":
            break
    for path in (header, program):
        if os.path.exists(path):
            os.remove(path)
    os.rmdir(folder)
    return label, line, verdict


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options.add_argument("--list", action="store_true", help="name the mutants, do nothing")
    options.add_argument("--only", default="", help="those with this text in their name")
    options.add_argument("--cc", default=os.environ.get("CC", "cc"))
    options.add_argument("--header", default=os.path.join(ROOT, "nn.h"))
    options = options.parse_args()
    with open(options.header) as f:
        text = f.read()
    test = os.path.join(HERE, "test_ops.c")
    mutants = [m for m in all_mutants(text) if options.only in m[0]]
    if options.list:
        for label, line, _ in mutants:
            print("%5d  %s%s" % (line, label, "   = " + EQUIVALENT[label] if label in EQUIVALENT else ""))
        print("%d mutants" % len(mutants))
        return 0
    if run((0, "unchanged", 0, text, options.cc, test))[2] != "SURVIVED":
        print("test_ops --gradients-only fails on the unchanged header")
        return 2
    count = {"killed": 0, "SURVIVED": 0, "does not compile": 0, "equivalent": 0}
    todo = []
    for i, (label, line, mutant) in enumerate(mutants):
        if label in EQUIVALENT:
            count["equivalent"] += 1
            print("equivalent        %5d  %s: %s" % (line, label, EQUIVALENT[label]))
        else:
            todo.append((i + 1, label, line, mutant, options.cc, test))
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for label, line, verdict in pool.map(run, todo):
            count[verdict.split(" (")[0]] += 1
            print("%-16s  %5d  %s" % (verdict, line, label), flush=True)
    print("%d do not compile, %d change nothing" % (count["does not compile"], count["equivalent"]))
    print("mutants: %d killed, %d survived" % (count["killed"], count["SURVIVED"]))
    return 1 if count["SURVIVED"] else 0


if __name__ == "__main__":
    sys.exit(main())
