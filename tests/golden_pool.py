"""Makes tests/golden_pool.txt: what PyTorch computes for pooling, resizing, borders and pixel shuffles, for tests/test_pool.c to compare with.

Needs torch and numpy. The file is in the repository, so this only needs to run when a case is added.

    case OP SHAPE INPUT ARGUMENTS...
    y NDIM SIZES... VALUES...      the result
    i VALUES...                    of maxima: where they came from
    d VALUES...                    the gradient of the input; the upstream gradient is the formula with k = DY, rounded down to sixteenths

INPUT: r reals by formula; q the same, rounded down to sixteenths; t to whole numbers (with equal values); n with NaN and -infinity among them. ARGUMENTS: NAME=VALUE,VALUE... as
test_pool.c reads them. All in float64, from inputs that float32 holds exactly.
"""
import os

import numpy as np
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
DY = 9
lines = []


def formula(shape, low, high, k):
    """Element i (counted row by row) of sample k, in float64."""
    i = np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.float64)
    u = 0.5 + (i + 1) * 0.6180339887498949 * k + 0.13 * k
    return (low + (high - low) * (u - np.floor(u))).reshape(shape).astype(np.float32).astype(np.float64)


def sixteenths(x):
    return np.floor(16 * x) / 16


def make(shape, kind):
    x = formula(shape, -2, 2.5, 1)
    if kind == "t":
        x = np.floor(x)
    if kind == "q":
        x = sixteenths(x)
    if kind == "n":
        flat = x.reshape(-1)
        flat[3::7] = np.nan
        flat[2::5] = -np.inf
        flat[:6] = -np.inf
    return torch.from_numpy(x).requires_grad_()


def number(v):
    return "%d" % v if v == v and abs(v) < 1e15 and v == int(v) else "%.10g" % v


def values(x):
    return " ".join(number(float(v)) for v in x.detach().numpy().ravel())


def listed(v):
    return ",".join(str(n) for n in v) if isinstance(v, (tuple, list)) else str(v)


def case(op, shape, f, kind="", **arguments):
    """f: of the input; the result, or the result and its index."""
    kind = kind or ("r" if "max" in op or op in ("lp", "unpool") else "q")
    x = make(shape, kind)
    y = f(x)
    index = None
    if isinstance(y, tuple):
        y, index = y
    y.backward(torch.from_numpy(sixteenths(formula(tuple(y.shape), -1.0, 1.0, DY))))
    lines.append(" ".join(["case", op, listed(shape), kind] + ["%s=%s" % (n, listed(v)) for n, v in arguments.items()]))
    lines.append(" ".join(["y", str(y.dim())] + [str(n) for n in y.shape] + [values(y)]))
    if index is not None:
        lines.append("i " + values(index))
    lines.append("d " + values(x.grad))


# ---- pooling -----------------------------------------------------------------------------------------------

MAX = [F.max_pool1d, F.max_pool2d, F.max_pool3d]
AVG = [F.avg_pool1d, F.avg_pool2d, F.avg_pool3d]
LP = [F.lp_pool1d, F.lp_pool2d, F.lp_pool3d]
UNPOOL = [F.max_unpool1d, F.max_unpool2d, F.max_unpool3d]
AMAX = [F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d]
AAVG = [F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d]
X1, X2, X3 = (1, 2, 9), (1, 2, 5, 6), (1, 1, 4, 3, 5)


def arguments_of(k, s, p, d, ceil):
    a = {"k": k}
    if s is not None:
        a["s"] = s
    if p:
        a["p"] = p
    if d != 1:
        a["d"] = d
    if ceil:
        a["ceil"] = 1
    return a


def max_case(shape, k, s=None, p=0, d=1, ceil=0, kind="r"):
    f = MAX[len(shape) - 3]
    case("max", shape, lambda x: f(x, k, s, p, d, bool(ceil), True), kind, **arguments_of(k, s, p, d, ceil))


def avg_case(shape, k, s=None, p=0, ceil=0, exclude=0, divisor=0, kind="q"):
    a = arguments_of(k, s, p, 1, ceil)
    if exclude:
        a["exclude"] = 1
    if divisor:
        a["divisor"] = divisor
    if len(shape) == 3:
        case("avg", shape, lambda x: F.avg_pool1d(x, k, s, p, bool(ceil), not exclude), kind, **a)
    else:
        f = AVG[len(shape) - 3]
        case("avg", shape, lambda x: f(x, k, s, p, bool(ceil), not exclude, divisor or None), kind, **a)


def by_padding(op, shape, k, s, sides, arguments, d=1, exclude=0):
    """Windows that PyTorch's functions lack: any number of zeros, or of -infinity, on any side; means with holes."""
    n = len(shape) - 2
    flat = [v for i in reversed(range(n)) for v in sides[2 * i:2 * i + 2]]
    s = s or k
    if op == "max":
        f = MAX[n - 1]
        case(op, shape, lambda x: f(F.pad(x, flat, value=-np.inf), k, s, 0, d), **arguments)
        return
    conv = [F.conv1d, F.conv2d, F.conv3d][n - 1]
    k = k if isinstance(k, tuple) else (k,) * n

    def total(x):
        return conv(F.pad(x, flat).reshape((-1, 1) + tuple(np.array(shape[2:]) + np.array(sides).reshape(n, 2).sum(1))),
                    torch.ones((1, 1) + k, dtype=torch.float64), stride=s, dilation=d)

    def mean(x):
        y = total(x) / (total(torch.ones_like(x)) if exclude else float(np.prod(k)))
        return y.reshape(x.shape[:2] + y.shape[2:])
    case(op, shape, mean, **arguments)


def same(shape, k, s, d=1):
    sides = []
    for i, size in enumerate(shape[2:]):
        need = max(0, (-(-size // s) - 1) * s + d * (k - 1) + 1 - size)
        sides += [need // 2, need - need // 2]
    return sides


for shape in (X1, X2, X3):
    for k, s, p in ((1, None, 0), (2, None, 0), (2, 1, 0), (3, 2, 1), (3, 1, 1), (3, 3, 1), (2, 2, 1), (4, 3, 2), (3, 4, 0), (4, 1, 2)):
        if shape == X3 and (k, s) in ((1, None), (3, 3), (4, 3), (3, 4), (4, 1)):
            continue
        for ceil in (0, 1):
            if ceil and (s == 1 or k == 1 or (k == 4 and shape == X2)):
                continue
            max_case(shape, k, s, p, 1, ceil)
            avg_case(shape, k, s, p, ceil)
            if p:
                avg_case(shape, k, s, p, ceil, exclude=1)
    max_case(shape, 2, 1, 1, 2)
    max_case(shape, 2, 2, 1, 3)
    max_case(shape, 3, 3, 1, 2, ceil=1)
    max_case(shape, 3, 2, 1, kind="t")
    max_case(shape, 2, 2, 0, kind="t")
    max_case(shape, 2, 1, 0, kind="t")
    max_case(shape, 3, 2, 1, kind="n")
    max_case(shape, 2, None, 0, kind="n")
    max_case(shape, 2, 1, 1, kind="n")
    max_case(shape, 3, 3, 0, 1, kind="n")
    for k, s, ceil in ((2, None, 0), (3, 2, 0), (3, 1, 0)):
        for norm in (1, 2, 3.5):
            f = LP[len(shape) - 3]
            if norm != 2 and k == 3:
                continue
            case("lp", shape, lambda x: f(x.abs() + 0.1, norm, k, s, bool(ceil)), abs=1, norm=norm, **arguments_of(k, s, 0, 1, ceil))
    for k in (2, 3):
        f, g = MAX[len(shape) - 3], UNPOOL[len(shape) - 3]

        def there_and_back(x):
            y, index = f(x, k, k, 0, 1, False, True)
            return g(y, index, k, k, 0, output_size=x.shape)
        case("unpool", shape, there_and_back, k=k)
for divisor in (1, 2.5, 7):
    if divisor == int(divisor):
        avg_case(X2, 3, 2, 1, divisor=divisor)
        avg_case(X3, 2, 2, 1, ceil=1, divisor=divisor)
max_case(X2, (2, 3))
max_case(X2, (3, 2), (1, 2), (1, 0))
max_case(X2, (2, 4), (2, 1), (0, 2), (2, 1), ceil=1)
max_case(X2, (1, 6))
max_case(X2, (5, 1), (1, 1))
max_case(X3, (1, 2, 3), (1, 2, 2), (0, 1, 1), (2, 1, 1))
max_case(X3, (2, 2, 1), (1, 1, 1))
max_case((1, 1, 2, 39), 3, 2, 1)
max_case((1, 1, 3, 70), 2, 2)
max_case((1, 1, 2, 67), 2, 1)
max_case((1, 1, 67), 5, 1, 2)
max_case((1, 1, 67), 4, 3, 1)
max_case((2, 3, 5, 5), 2)
avg_case((2, 3, 4, 3), 2)
avg_case((3, 2, 2, 3, 2), 2, 2, 1)
max_case((3, 2, 2, 3, 2), 2, 1)
max_case((1, 17, 4, 4), 2)
max_case((1, 19, 3, 5), 3, 1, 1, kind="n")
avg_case(X2, (2, 3))
avg_case(X2, (3, 2), (1, 2), (1, 0))
avg_case(X2, (2, 4), (2, 3), (1, 2), ceil=1)
avg_case(X3, (1, 2, 3), (1, 2, 2), (0, 1, 1), exclude=1)
avg_case((1, 1, 2, 39), 3, 2, 1)
avg_case((1, 1, 2, 70), 2, 2)
avg_case((1, 1, 2, 67), 2, 1)
avg_case((1, 1, 67), 5, 1, 2)
avg_case((1, 17, 2, 2), 2)
avg_case((1, 70, 1, 2), 2, 1, 1)
for op in ("max", "avg"):
    for shape in (X1, X2, X3):
        for k, s in ((2, 1), (3, 2), (4, 2), (2, 3)):
            by_padding(op, shape, k, s, same(shape, k, s), {"k": k, "s": s, "same": 1})
    by_padding(op, X2, 3, 2, same(X2, 3, 2, 1), {"k": 3, "s": 2, "same": 1, "exclude": 1}, exclude=1)
    by_padding(op, X2, 3, 2, [0, 2, 1, 0], {"k": 3, "s": 2, "p": (0, 2, 1, 0)})
    by_padding(op, X2, (2, 3), 1, [1, 0, 2, 1], {"k": (2, 3), "s": 1, "p": (1, 0, 2, 1)})
    by_padding(op, X1, 4, 3, [3, 1], {"k": 4, "s": 3, "p": (3, 1)})
    by_padding(op, X2, 2, 2, [1, 1, 0, 2], {"k": 2, "s": 2, "d": 3, "p": (1, 1, 0, 2)}, d=3)
    by_padding(op, X2, 3, 1, [2, 2, 2, 2], {"k": 3, "s": 1, "d": 2, "p": 2}, d=2)
for shape in (X1, X2, X3):
    n = len(shape) - 2
    for size in (1, 2, 3, 5, (4, 3, 2)[:n], (3, 9, 1)[:n], 8, shape[2:]):
        f, g = AMAX[n - 1], AAVG[n - 1]
        size = size if isinstance(size, tuple) else (size,) * n
        if n == 3 and size[0] in (3, 5, 8):
            continue
        case("amax", shape, lambda x: f(x, size, return_indices=True), size=size)
        case("aavg", shape, lambda x: g(x, size), size=size)
    case("gmax", shape, lambda x: x.amax(tuple(range(2, n + 2))))
    case("gavg", shape, lambda x: x.mean(tuple(range(2, n + 2))))
case("amax", (1, 2, 6, 8), lambda x: F.adaptive_max_pool2d(x, (3, 5), return_indices=True), "n", size=(3, 5))
case("amax", (1, 2, 6, 8), lambda x: F.adaptive_max_pool2d(x, (4, 3), return_indices=True), "t", size=(4, 3))

# ---- resizing ----------------------------------------------------------------------------------------------

for shape, size in ((X1, (7,)), (X1, (22,)), (X1, (1,)), (X1, (4,)), ((1, 1, 1), (5,)), ((1, 1, 3), (40,)), ((1, 1, 5, 4), (10, 8)), ((1, 2, 5, 4), (3, 7)), ((1, 2, 5, 4), (1, 1)),
                    ((2, 1, 3, 4), (5, 4)), ((2, 1, 3, 6), (3, 2)), ((1, 1, 2, 9), (3, 37)), ((1, 2, 2, 3, 2), (3, 4, 1)), ((1, 1, 3, 2, 3), (1, 4, 6))):
    n = len(shape) - 2
    for how in ("nearest", "linear", "cubic"):
        for align in (0, 1):
            mode = how if how == "nearest" else {"linear": ["linear", "bilinear", "trilinear"][n - 1], "cubic": "bicubic"}[how]
            if (how == "nearest" and align) or (how == "cubic" and n != 2):
                continue
            case("resize", shape, lambda x: F.interpolate(x, size=size, mode=mode, align_corners=bool(align) if how != "nearest" else None), size=size, how=how, **({"align": 1} if align else {}))

# ---- what only moves ---------------------------------------------------------------------------------------

for r in (1, 2, 3):
    case("shuffle", (1, 2 * r * r, 3, 2), lambda x: F.pixel_shuffle(x, r), r=r)
    case("unshuffle", (2, 2, 2 * r, 3 * r), lambda x: F.pixel_unshuffle(x, r), r=r)


def turned(sides):
    return [v for i in reversed(range(len(sides) // 2)) for v in sides[2 * i:2 * i + 2]]


for shape, sides in ((X1, (2, 1)), (X1, (-2, 3)), (X1, (-1, -3)), ((1, 2, 4, 5), (1, 2, 3, 0)), ((1, 2, 4, 5), (-1, 1, 0, -2)), ((1, 2, 4, 5), (0, 0, 2, 2)), ((1, 1, 2, 3, 4), (1, 0, 2, 1, 0, 3)), ((1, 1, 3, 3, 4), (-1, 1, 0, -2, 1, -3))):
    for value in (0, -1.5):
        case("pad", shape, lambda x: F.pad(x, turned(sides), value=value), p=sides, value=value)
    for how in ("reflect", "replicate", "circular"):
        if min(sides) < 0 or (how == "reflect" and any(v >= shape[2 + i // 2] for i, v in enumerate(sides))) or (how == "circular" and any(v > shape[2 + i // 2] for i, v in enumerate(sides))):
            continue
        case("pad", shape, lambda x: F.pad(x, turned(sides), mode=how), p=sides, how=how)
case("pad", (1, 2, 4, 5), lambda x: F.pad(x, (1, 1, 1, 1)), p=1, value=0)
case("pad", (1, 2, 4, 5), lambda x: F.pad(x, (2, 2, 1, 1)), p=(1, 2), value=0)

with open(os.path.join(HERE, "golden_pool.txt"), "w") as f:
    f.write("\n".join(lines) + "\n")
print("%d cases, %d bytes" % (sum(line.startswith("case") for line in lines), os.path.getsize(os.path.join(HERE, "golden_pool.txt"))))
