"""Has a row of build/bench become slower? Compares each row's share of the limit with bench/baseline.json.

    make bench-check                      a row 1.1 times worse is a warning, 2 times worse a failure (exit status 1)
    make bench-check CHECK="--fail 1.5 gemm mlp"     other factors, some rows
    make bench-baseline                   writes the baseline

A share is the least possible time, by this machine's own measured rates, over the time taken: so it carries over from one machine
to another better than a time does. A row without a limit is held against the time of one operation at the f32 peak rate. A figure
(plan_..._gain and so on) is held as the ratio of its two numbers, which its JSON calls min and least. A row that looks worse is run again, twice, and its best run counts.
"""
import argparse, json, os, statistics, subprocess, sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BENCH, BASELINE = os.path.join(ROOT, "build/bench"), os.path.join(ROOT, "bench/baseline.json")

def run(seconds, threads, names):
    """The header line and name -> share of the limit (of the time of one operation, for rows without one)."""
    command = [BENCH, "--json", "--seconds", str(seconds)] + (["--threads", str(threads)] if threads else []) + names
    lines = [json.loads(l) for l in subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout.splitlines()]
    rows = {}
    for r in lines[1:]: rows[r["name"]] = 0 if r.get("failed") else (r["least"] or 1 / lines[0]["peak"]) / r["min"]
    return lines[0], rows

def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--warn", type=float, default=1.1)
    ap.add_argument("--fail", type=float, default=2)
    ap.add_argument("--seconds", type=float, default=.1, help="a row")
    ap.add_argument("--threads", type=int, default=0, help="0: as the baseline; with --write all")
    ap.add_argument("--write", action="store_true", help="write the baseline: the middle one of three runs")
    ap.add_argument("names", nargs="*", help="parts of rows' names")
    o = ap.parse_args()
    base = {}
    if not o.write:
        with open(BASELINE) as f: base = json.load(f)
    threads = o.threads or base.get("threads", 0)
    about, best = run(o.seconds, threads, o.names)
    if o.write:
        runs = [best] + [run(o.seconds, threads, o.names)[1] for _ in range(2)]
        shares = {n: float(f"{statistics.median(r[n] for r in runs):.4g}") for n in best}
        with open(BASELINE, "w") as f: f.write(json.dumps({"isa": about["isa"], "threads": about["threads"], "share": shares}, indent=1) + "\n")
        print(f"written: {BASELINE}, {len(best)} rows")
        return 0
    for key in ("isa", "threads"):
        if base[key] != about[key]: print(f"note: the baseline is of {key} {base[key]}, this run of {about[key]}: shares differ for that reason too")
    worse = lambda: {n: base["share"][n] / max(s, 1e-30) for n, s in best.items() if n in base["share"] and base["share"][n] > o.warn * s}
    for _ in range(2):
        again = worse()
        if not again: break
        for name, share in run(o.seconds, threads, ["=" + n for n in again])[1].items(): best[name] = max(best[name], share)
    failed = 0
    for name, factor in sorted(worse().items(), key=lambda kv: -kv[1]):
        failed += factor > o.fail
        print(f"{'FAILED ' if factor > o.fail else 'warning'} {name}: {factor:.2f} times worse than the baseline (share {best[name]:.3g}, was {base['share'][name]:.3g})")
    for name in sorted(set(best) - set(base["share"])): print(f"new     {name}: not in the baseline")
    if not o.names:
        for name in sorted(set(base["share"]) - set(best)): print(f"gone    {name}: only in the baseline")
    print(f"bench-check: {len(best)} rows, {len(worse()) - failed} warnings, {failed} failed")
    return failed > 0

if __name__ == "__main__": sys.exit(main())
