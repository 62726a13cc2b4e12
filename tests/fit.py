# Minimax fits for the elementary functions of nn.h (>>kernels): Remez exchange on a dense Chebyshev grid in mpmath.  Coefficients are
# rounded to float from the lowest order up; after each rounding the rest is fitted again.
import numpy as np, mpmath as mp, sys
mp.mp.dps = 40
f32 = lambda c: mp.mpf(float(np.float32(float(c))))
def grid(a, b, n=600): return [(a+b)/2 + (b-a)/2*mp.cos(mp.pi*(2*k+1)/(2*n)) for k in range(n)][::-1]
def remez(xs, ts, ws, deg, fixed):
    """min max |w (sum c_k x^k - t)|, c_0.. given by fixed"""
    nf = len(fixed); free = range(nf, deg+1); m = len(free)
    rest = [t - sum(c*x**k for k, c in enumerate(fixed)) for x, t in zip(xs, ts)]
    if m == 0: return [], max(abs(w*r) for w, r in zip(ws, rest))
    idx = [int(round((len(xs)-1)*(1-np.cos(np.pi*i/m))/2)) for i in range(m+1)]
    for it in range(40):
        A = mp.matrix(m+1, m+1); b = mp.matrix(m+1, 1)
        for r, i in enumerate(idx):
            for c, k in enumerate(free): A[r, c] = xs[i]**k
            A[r, m] = (-1)**r/ws[i]; b[r] = rest[i]
        s = mp.lu_solve(A, b); co = [s[c] for c in range(m)]
        e = np.array([float(w*(sum(c*x**k for k, c in zip(free, co))-t)) for x, t, w in zip(xs, rest, ws)])
        # extremum of each run of one sign, best m+1 consecutive
        runs = []; st = 0
        for i in range(1, len(e)+1):
            if i == len(e) or (e[i] > 0) != (e[st] > 0):
                runs.append(st+int(np.argmax(np.abs(e[st:i])))); st = i
        if len(runs) < m+1: break
        while len(runs) > m+1:
            runs.pop(0 if abs(e[runs[0]]) < abs(e[runs[-1]]) else -1)
        if abs(np.max(np.abs(e))/abs(float(s[m]))-1) < 1e-3: break
        idx = runs
    return co, np.max(np.abs(e))
def fit(name, f, w, a, b, deg, fixed=(), var=lambda x: x):
    xs = grid(mp.mpf(a), mp.mpf(b)); ts = [f(x) for x in xs]; ws = [w(x) for x in xs]; vs = [var(x) for x in xs]
    fixed = list(fixed); n0 = len(fixed)
    _, e0 = remez(vs, ts, ws, deg, fixed)
    def err(c): return max(abs(w*(sum(k*v**i for i, k in enumerate(c))-t)) for v, t, w in zip(vs, ts, ws))
    best = fixed + [f32(c) for c in remez(vs, ts, ws, deg, fixed)[0]]; be = err(best)
    cur = list(fixed)
    while len(cur) < deg+1:
        co, _ = remez(vs, ts, ws, deg, cur); cur.append(f32(co[0]))
        trial = cur + [f32(c) for c in co[1:]]; te = err(trial)
        if te < be: best, be = trial, te
    fixed = best
    e1 = be
    print("%-10s deg %d  err/2^-24 ideal %.4f rounded %.4f" % (name, deg, float(e0)*2**24, float(e1)*2**24))
    print("   ", ", ".join("%.9gf" % float(c) for c in fixed)); sys.stdout.flush()
L = mp.log(2); h = L/2*mp.mpf('1.0005')
hi = mp.floor(L*2**16+mp.mpf(.5))/2**16; print("ln2hi %.9g ln2lo %.9g log2e %.9g" % (hi, L-hi, 1/L))
em = lambda r: (mp.expm1(r)-r)/r**2
fit("exp", em, lambda r: r**2/mp.exp(r), -h, h, 4)
fit("log", lambda f: (mp.log1p(f)-f+f*f/2)/f**3, lambda f: abs(f**3/mp.log1p(f)), mp.sqrt(.5)-1, mp.sqrt(2)-1, 7)
lo = mp.mpf(1)/2**30
fit("tanh", lambda x: mp.tanh(x)/x-1, lambda x: x/mp.tanh(x), mp.mpf(1)/2**20, .625, 5, (mp.mpf(0),), lambda x: x*x)
fit("erf", lambda x: mp.erf(x)/x-1, lambda x: x/mp.erf(x), lo, 1., 6, (), lambda r: r*r)
fit("erfc^1/4", lambda x: mp.erfc(x)**.25, lambda x: 4*mp.erfc(x)**.75, 1., 4.25, 8, (), lambda x: x-1.5)
fit("sin", lambda r: mp.sin(2*mp.pi*r)/r, lambda r: 1/(2*mp.pi), lo, .125, 3, (), lambda r: r*r)
fit("cos", lambda r: mp.cos(2*mp.pi*r), lambda r: 1, 0, .125, 4, (mp.mpf(1),), lambda r: r*r)
q = mp.pi/4*mp.mpf('1.0005'); c1 = mp.floor(mp.pi/2*2**23)/2**23; c2 = mp.floor((mp.pi/2-c1)*2**47)/2**47; print("pi/2 %.9g %.9g %.9g" % (c1, c2, mp.pi/2-c1-c2))
fit("sin", lambda r: mp.sin(r)/r-1, lambda r: r/mp.sin(r), lo, q, 3, (mp.mpf(0),), lambda r: r*r)
fit("cos", lambda r: mp.cos(r)-1+r*r/2, lambda r: 1/mp.cos(r), 0, q, 4, (mp.mpf(0), mp.mpf(0)), lambda r: r*r)
