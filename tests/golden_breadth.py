"""Makes tests/golden_breadth.txt: what PyTorch, NumPy and scikit-learn compute, for tests/test_breadth.c to compare with.

Needs torch, numpy and scikit-learn. The file is in the repository, so this only needs to run when a case is added.

A case has a name, flags and inputs. Its line is in the file; test_breadth.c makes the inputs from it and holds, under the
same name, the expression in nn.h. All references are computed in float64 from inputs that float32 holds exactly, so one line
of values serves both precisions.

    case NAME FLAGS INPUT; INPUT ...
    NAME.y DTYPE NDIM SIZES... VALUES...       the result
    NAME.d0 f64 NDIM SIZES... VALUES...        the gradient of the first input that has one, and so on; the upstream
                                               gradient is the formula with k = DY

inputs (SHAPE: 3,4 or . for 0-d; k is the input's number, from 1):
    r SHAPE LOW HIGH    reals by formula, differentiated        c    the same, not differentiated
    t SHAPE N           whole numbers below N, as reals         w    the same, not differentiated
    i SHAPE N           whole numbers below N, i64; j: i32; u: u8
    L SHAPE VALUES...   these reals, differentiated             l    the same, not differentiated
    I SHAPE VALUES...   these whole numbers, i64;  U: u8
flags (- for none):
    0 or 1    gradients are checked by differences up to this order (else 2)
    e         each element is compared by itself (else with the largest)
    z         the sign of zero counts
    h         the result is a number for the host: f64, not in plans
    n         changes its inputs: not in plans and not through views
    m         only moves elements: run with other types, too
    b         element-wise: run on more elements and with other ranks, too
"""
import math
import os

import numpy as np
import sklearn.metrics
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
DY = 9
INF = math.inf
lines = []
names = []


# ---- inputs by formula, and the file -------------------------------------------------------------------

def formula(shape, low, high, k):
    """Element i (counted row by row) of sample k, in float64."""
    i = np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.float64)
    u = 0.5 + (i + 1) * 0.6180339887498949 * k + 0.13 * k
    return (low + (high - low) * (u - np.floor(u))).reshape(shape)


def as_float(array):
    """The nearest values that float32 holds, in float64."""
    return np.asarray(array).astype(np.float32).astype(np.float64)


def make(spec, k):
    words = spec.split()
    kind, shape = words[0], tuple(int(n) for n in words[1].split(",") if n != ".")
    if kind in "rc":
        x = as_float(formula(shape, float(words[2]), float(words[3]), k))
    elif kind in "Ll":
        x = as_float([float(w) for w in words[2:]]).reshape(shape)
    elif kind in "IU":
        x = np.array([int(w) for w in words[2:]], dtype=np.int64).reshape(shape)
    else:
        x = np.floor(formula(shape, 0.0, float(words[2]), k))
        x = x if kind in "tw" else x.astype(np.int64)
    x = torch.from_numpy(np.array(x))
    return x.requires_grad_() if kind in "rtL" else x


def number(v):
    return repr(int(v)) if v == v and abs(v) < 1e15 and v == int(v) and not (v == 0 and math.copysign(1, v) < 0) else "%.13g" % v


def write(name, array, dtype):
    array = np.asarray(array)
    values = [number(float(v)) if dtype == "f64" else "%d" % v for v in array.ravel()]
    lines.append(" ".join([name, dtype, str(array.ndim)] + [str(n) for n in array.shape] + values))


def case(name, inputs, f, flags="-"):
    """f: of the inputs' tensors; gives a tensor (bool and uint8: a u8 of nn.h, int64: i64) or a number."""
    xs = [make(spec, j + 1) for j, spec in enumerate(inputs.split("; "))] if inputs else []
    y = f(*xs)
    if not torch.is_tensor(y):
        y = torch.tensor(float(y), dtype=torch.float64)
    lines.append("case %s %s %s" % (name, flags, inputs))
    names.append(name)
    dtype = {torch.float64: "f64", torch.int64: "i64", torch.bool: "u8", torch.uint8: "u8"}[y.dtype]
    write(name + ".y", y.detach().numpy(), dtype)
    leaves = [x for x in xs if x.requires_grad]
    if dtype != "f64" or "h" in flags or not leaves:
        return
    if y.requires_grad:
        y.backward(torch.from_numpy(as_float(formula(tuple(y.shape), -1.0, 1.0, DY))))
    for j, x in enumerate(leaves):
        write("%s.d%d" % (name, j), (x.grad if x.grad is not None else torch.zeros_like(x)).numpy(), "f64")


# ---- views and copies ----------------------------------------------------------------------------------

def scatter(x, axis, index, source):
    """Of equal indices the last counts, and only it has a gradient."""
    number_of = torch.arange(source.numel()).reshape(source.shape)
    winner = torch.full(x.shape, -1, dtype=torch.int64).numpy()
    for at in np.ndindex(*index.shape):
        to = list(at)
        to[axis] = int(index[at])
        winner[tuple(to)] = int(number_of[at])
    winner = torch.from_numpy(winner)
    return torch.where(winner < 0, x, source.reshape(-1)[winner.clamp(min=0)])


def padded(x, axis, before, after, mode):
    return x.index_select(axis, torch.from_numpy(np.pad(np.arange(x.shape[axis]), (before, after), mode=mode)))


def moves():
    x, m = "r 2,3,4 -1 1", "r 3,5 -1 1"
    case("flip_0", x, lambda x: x.flip(0), "m")
    case("flip_02", x, lambda x: x.flip(0, 2), "m")
    case("repeat", m, lambda x: x.unsqueeze(0).repeat(4, 1, 1), "m")
    case("repeat_0d", "r . -1 1", lambda x: x.reshape(1).repeat(3), "m")
    case("split", "r 2,7 -1 1", lambda x: torch.cat([p * (i + 1) for i, p in reversed(list(enumerate(torch.split(x, (2, 4, 1), 1))))], 1))
    case("split_rest", "r 7,2 -1 1", lambda x: torch.split(x, (2, 4, 1), 0)[1], "m")
    case("split_one_unused", "r 7,2 -1 1", lambda x: torch.split(x, (2, 4, 1), 0)[2] * torch.split(x, (2, 4, 1), 0)[0].sum())
    case("chunk", "r 2,7 -1 1", lambda x: torch.cat([p * (i + 1) for i, p in reversed(list(enumerate(torch.chunk(x, 3, 1))))], 1))
    case("chunk_fewer", "r 5,2 -1 1", lambda x: torch.cat([p * (i + 1) for i, p in enumerate(torch.chunk(x, 4, 0))], 0))
    case("diagonal", "r 2,3,4 -1 1", lambda x: torch.diagonal(x, 0, -2, -1), "m")
    case("diagonal_above", "r 3,5 -1 1", lambda x: torch.diagonal(x, 2), "m")
    case("diagonal_below", "r 4,3 -1 1", lambda x: torch.diagonal(x, -1), "m")
    case("meshgrid", "r 3 -1 1; r 2 0 2", lambda x, y: (lambda g: g[0] * g[1] + g[0])(torch.meshgrid(x, y, indexing="ij")))
    case("meshgrid_3", "r 3 -1 1; r 2 0 2; r 4 1 2", lambda x, y, z: (lambda g: g[0] - g[1] * g[2])(torch.meshgrid(x, y, z, indexing="ij")))
    case("scalar_like", "r 2,3 -1 1", lambda x: x * 0.3)
    case("linspace", "", lambda: torch.linspace(-1, 2, 7, dtype=torch.float64))
    case("linspace_1", "", lambda: torch.linspace(5, 9, 1, dtype=torch.float64))
    case("linspace_down", "", lambda: torch.linspace(2, -2, 5, dtype=torch.float64))
    case("eye", "", lambda: torch.eye(3, dtype=torch.float64))
    case("eye_u8", "", lambda: torch.eye(2, dtype=torch.uint8))
    for axis, shape in ((0, "1,3,4"), (1, "2,2,4"), (2, "2,3,3")):
        n = (2, 3, 4)[axis]
        case("scatter_%d" % axis, "%s; i %s %d; r %s 2 3" % (x, shape, n, shape), lambda x, i, y: scatter(x, axis, i, y), "m")
    case("scatter_same", "r 4 -1 1; I 6 2 0 2 3 0 2; r 6 2 3", lambda x, i, y: scatter(x, 0, i, y), "m")
    case("take_along", "%s; i 2,2,4 3" % x, lambda x, i: torch.take_along_dim(x, i, 1), "m")
    case("take_along_spread", "r 2,3,1 -1 1; i 1,2,4 3", lambda x, i: torch.take_along_dim(x, i, 1), "m")
    case("take_along_rows", "r 2,3,4 -1 1; i 2,1,6 4", lambda x, i: torch.take_along_dim(x, i, 2), "m")
    for axis in (0, 1, 2):
        case("index_select_%d" % axis, "%s; i 4 %d" % (x, (2, 3, 4)[axis]), lambda x, i: x.index_select(axis, i), "m")
        case("index_add_%d" % axis, "%s; i %d 3" % (x, (2, 3, 4)[axis]),
             lambda x, i: torch.zeros([4 if a == axis else n for a, n in enumerate((2, 3, 4))], dtype=x.dtype).index_add(axis, i, x))
    case("index_select_2d", "r 5,3 -1 1; j 2,4 5", lambda x, i: x[i], "m")
    case("index_select_2d_inner", "r 2,5,3 -1 1; i 2,2 5", lambda x, i: x[:, i], "m")
    case("index_select_0d", "r 5,3 -1 1; I . 3", lambda x, i: x[i], "m")
    case("one_hot", "i 2,3 4", lambda i: F.one_hot(i, 4).double())
    for axis in (0, 1, -1):
        case("stack_%d" % axis, "r 2,3 -1 1; r 2,3 1 2; r 2,3 -3 0", lambda x, y, z: torch.stack([x, y, z], axis), "m")
    case("stack_0d", "r . -1 1; r . 0 1", lambda x, y: torch.stack([x, y]), "m")
    case("pad", m, lambda x: F.pad(x, (2, 1), value=0.5), "m")
    case("pad_0", m, lambda x: F.pad(x, (0, 0, 0, 2)), "m")
    for name, mode in (("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")):
        case("pad_" + name, m, lambda x: padded(x, 1, 2, 3, mode), "m")
        case("pad_%s_1" % name, x, lambda x: padded(x, 1, 2, 1, mode), "m")
    case("roll", x, lambda x: x.roll(2, 1), "m")
    case("roll_back", m, lambda x: x.roll(-1, 0), "m")
    case("roll_round", m, lambda x: x.roll(12, 1), "m")
    case("tile", m, lambda x: x.repeat(1, 3), "m")
    case("tile_0", m, lambda x: x.repeat(2, 1), "m")
    for k in (-2, 0, 1):
        case("tril_%d" % k, "r 2,4,3 -1 1", lambda x: x.tril(k), "m")
        case("triu_%d" % k, "r 2,3,4 -1 1", lambda x: x.triu(k), "m")
    for k in (-2, 0, 1):
        case("diag_%d" % k, "r 2,3 -1 1", lambda x: torch.diag_embed(x, k), "m")
    for axis in (0, 1, 2):
        for down in (0, 1):
            n = "%d%s" % (axis, "_down" if down else "")
            case("sort_" + n, x, lambda x: x.sort(axis, bool(down))[0], "m")
            case("sort_ties_" + n, "t 2,3,4 2", lambda x: x.sort(dim=axis, descending=bool(down), stable=True)[0], "0")
            case("sort_index_" + n, "w 2,3,4 2", lambda x: x.sort(dim=axis, descending=bool(down), stable=True)[1])
            case("argsort_" + n, "c 2,3,4 -1 1", lambda x: x.argsort(axis, bool(down)))
    case("sort_special", "l 9 1 nan -inf 0 -0 inf nan 2 -3", lambda x: x.sort(stable=True)[0], "e")
    case("sort_special_index", "l 9 1 nan -inf 0 -0 inf nan 2 -3", lambda x: x.sort(stable=True)[1])
    case("sort_special_down", "l 9 1 nan -inf 0 -0 inf nan 2 -3", lambda x: x.sort(stable=True, descending=True)[0], "e")
    case("sort_special_down_index", "l 9 1 nan -inf 0 -0 inf nan 2 -3", lambda x: x.sort(stable=True, descending=True)[1])
    case("sort_long_index", "w 300 40", lambda x: x.sort(stable=True)[1])
    case("sort_i64", "i 4,6 5", lambda x: x.sort(stable=True)[0])
    case("argsort_u8", "u 12 3", lambda x: x.sort(stable=True, descending=True)[1])
    case("topk_1", x, lambda x: x.topk(2, 1)[0], "m")
    case("topk_2", x, lambda x: x.topk(2, 2)[0], "m")
    case("topk_all", m, lambda x: x.topk(5, 1)[0], "m")
    case("topk_index", "w 2,3,4 2", lambda x: x.sort(dim=2, descending=True, stable=True)[1][..., :3])
    case("topk_index_0", "c 2,3,4 -1 1", lambda x: x.topk(2, 0)[1])


# ---- element-wise --------------------------------------------------------------------------------------

def softplus(x):  # F.softplus is linear above 20
    return torch.logaddexp(x, torch.zeros_like(x))


def mish(x):
    return x * torch.tanh(softplus(x))


def hard_sigmoid(x):  # PyTorch's gradient has 1/6 in float32
    return (x / 6 + 0.5).clamp(0, 1)


def hard_swish(x):
    return x * hard_sigmoid(x)


def gelu_tanh(x):  # x/2 (1 + tanh u), without the difference of 1 and almost 1
    return x * torch.sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))


def clamp(x, low, high):  # PyTorch's gradient at the ends depends on its version: here it is 1
    return torch.where((x >= low) & (x <= high), x, x.detach().clamp(low, high))


NO_GRADIENT = ("sign", "floor", "ceil", "round", "trunc", "positive")
UNARY = {
    "sign": (torch.sign, -3, 3), "floor": (torch.floor, -3, 3), "ceil": (torch.ceil, -3, 3), "round": (torch.round, -3, 3),
    "trunc": (torch.trunc, -3, 3), "rsqrt": (torch.rsqrt, 0.1, 9), "reciprocal": (torch.reciprocal, 0.2, 4),
    "expm1": (torch.expm1, -4, 4), "log1p": (torch.log1p, -0.9, 9), "log2": (torch.log2, 0.05, 9), "tan": (torch.tan, -1.4, 1.4),
    "asin": (torch.asin, -0.95, 0.95), "acos": (torch.acos, -0.95, 0.95), "atan": (torch.atan, -4, 4), "sinh": (torch.sinh, -4, 4),
    "cosh": (torch.cosh, -4, 4), "erfc": (torch.special.erfc, -2, 2), "selu": (F.selu, -3, 3), "silu": (F.silu, -6, 6),
    "mish": (mish, -6, 6), "softplus": (softplus, -6, 6), "softsign": (F.softsign, -4, 4), "log_sigmoid": (F.logsigmoid, -6, 6),
    "hard_sigmoid": (hard_sigmoid, -5, 5), "hard_swish": (hard_swish, -5, 5), "hard_tanh": (F.hardtanh, -3, 3), "relu6": (F.relu6, -3, 9),
    "neg": (torch.neg, -3, 3), "abs": (torch.abs, -3, 3), "sin": (torch.sin, -9, 9), "cos": (torch.cos, -9, 9),
    "positive": (lambda x: (x > 0).double(), -3, 3), "gelu_tanh": (gelu_tanh, -5, 5),
    "log_guarded": (lambda x: torch.log(torch.clamp(x, min=0.5)), 0.1, 4), "clamp": (lambda x: x.clamp(-1, 2), -3, 3),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.125), -3, 3), "elu": (lambda x: F.elu(x, 1.5), -3, 3), "celu": (lambda x: F.celu(x, 1.5), -3, 3),
    "logit": (lambda x: torch.logit(x, 0.125), 0.02, 0.98), "logit_open": (lambda x: torch.logit(x), 0.05, 0.95),
    "add_scalar": (lambda x: x + 0.3, -3, 3), "pow_scalar_3": (lambda x: x ** 3, -3, 3), "pow_scalar_2": (lambda x: x ** 2, -3, 3),
    "pow_scalar_half": (lambda x: x ** 0.5, 0.1, 9), "pow_scalar_negative": (lambda x: x ** -1.5, 0.3, 4),
    "pow_scalar_0": (lambda x: x ** 0, -3, 3), "pow_scalar_1": (lambda x: x ** 1, -3, 3), "pow_scalar_-1": (lambda x: x ** -1, 0.3, 3),
    "pow_scalar_odd": (lambda x: x ** 2.3, 0.1, 4),
}

# Far out and near zero, where a formula that is right in between loses its digits: each element by itself, with gradients.
NEAR = "1e-7 -1e-7 3e-5 -2e-4 0.001 -0.01 0.1 -0.3"
FAR = "-80 -30 -17 -9 -5 -0.5 0.25 4 8 16 25 80"
TAILS = {
    "expm1": "L 8 " + NEAR, "log1p": "L 8 " + NEAR, "sinh": "L 8 " + NEAR, "atan": "L 8 " + NEAR, "asin": "L 8 " + NEAR, "tan": "L 8 " + NEAR,
    "softplus": "L 12 " + FAR, "log_sigmoid": "L 12 " + FAR, "selu": "L 12 " + FAR, "elu": "L 12 " + FAR, "celu": "L 12 " + FAR,
    "silu": "L 12 " + FAR, "mish": "L 12 " + FAR, "softsign": "L 12 " + FAR, "gelu_tanh": "L 7 -4 -2 -0.5 0.25 4 8 16",
    "erfc": "L 8 -5 -1 0.001 0.5 2 4 6 9", "cosh": "L 6 -80 -20 -0.001 0.5 20 80", "atan_far": "L 6 -1e20 -1000 -2 3 5000 1e20",
    "rsqrt": "L 4 1e-20 1e-6 1e6 1e20", "reciprocal": "L 4 1e-20 -1e-6 1e6 -1e20", "log2": "L 5 1e-30 0.5 1 8 1e30", "sin": "L 5 1e-6 3 100 -1000 30000",
}
EDGE = "0 -0 1 -1 inf -inf nan"
IEEE = ("floor", "ceil", "round", "trunc", "rsqrt", "reciprocal", "expm1", "log1p", "tan", "asin", "atan", "sinh", "sin", "neg", "abs")


def hypot(x, y):
    return torch.hypot(x, y)


def elementwise():
    for name, (f, low, high) in UNARY.items():
        case(name, "r 9 %g %g" % (low, high), f, "1b" if name in NO_GRADIENT else "b")
        case(name + "_edge", "l 7 " + EDGE, f, "ez" if name in IEEE else "e")
    for name, spec in TAILS.items():
        case(name + "_tail", spec, UNARY[name.replace("_far", "")][0], "0e")
    for name in ("softplus", "log_sigmoid", "selu", "elu", "celu", "silu", "mish", "hard_sigmoid", "hard_swish", "hard_tanh",
                 "relu6", "leaky_relu", "atan", "clamp", "log_guarded"):
        case(name + "_far", "L 4 -1e30 -10000 10000 1e30", UNARY[name][0], "0e")
    case("round_halves", "l 8 0.5 1.5 2.5 -0.5 -1.5 -2.5 8388609 0.49999997", torch.round, "ez")
    case("clamp_ends", "L 5 -2 -1 0 2 3", lambda x: clamp(x, -1, 2), "0")
    case("clamp_low", "r 6 -3 3", lambda x: x.clamp(min=-1))
    case("clamp_high", "r 6 -3 3", lambda x: x.clamp(max=1))
    case("abs_0", "L 3 -2 0 3", torch.abs, "0")
    case("log_guarded_default", "L 6 0 -1 1e-9 1e-7 1 30", lambda x: torch.log(torch.clamp(x, min=1e-8)), "0")
    case("logit_ends", "L 6 0 0.125 0.5 0.75 0.875 1", lambda x: torch.logit(x, 0.125), "0")
    case("pow_scalar_0d", "r . 1 2", lambda x: x ** 2.5)
    case("silu_3d", "r 2,3,4 -3 3", F.silu)

    pair = "r 3,1,4 -2 2; r 2,1 1 3"
    ties = "t 3,1,4 3; t 2,1 3"
    for name, f in (("maximum", torch.maximum), ("minimum", torch.minimum)):
        case(name, "r 3,1,4 -2 2; r 2,1 -1 1", f)
        case(name + "_ties", ties, f, "0")
        case(name + "_edge", "l 9 1 nan nan inf -inf 0 -0 -inf inf; l 9 nan 1 nan nan 3 -0 0 inf inf", f, "e")
    case("pow", "r 3,1,4 0.25 3; r 2,1 -2 2", torch.pow)
    case("pow_whole", "L 2,4 -2 -1 0.5 3 -0.5 2 -3 1; l 4 3 2 -1 0", torch.pow, "0")
    case("pow_edge", "l 18 0 0 0 -0 -8 nan 1 inf -inf -inf -1 0.5 0.5 2 2 inf -0 -2; l 18 0 -1 2 -1 0.5 0 nan 0 3 2 inf inf -inf inf -inf -1 3 -3", torch.pow, "ez")
    case("pow_at_0", "L 5 0 0 2 0 3; L 5 0 2 0 1 1", torch.pow, "0")
    case("fmod", "r 3,1,4 -7 7; r 2,1 1 3", torch.fmod)
    case("fmod_signs", "l 8 7 -7 7 -7 5.5 0.3 -6 1; l 8 3 3 -3 -3 0.25 -0.1 3 1", torch.fmod, "ez")
    case("fmod_edge", "l 8 1 0 inf 1 nan 2 -0 5; l 8 0 0 2 inf 1 nan 3 -inf", torch.fmod, "ez")
    case("atan2", "r 3,1,4 -2 2; r 2,1 -1.5 2", torch.atan2)
    case("atan2_quadrants", "L 8 1 1 -1 -1 0 2 3 -2; L 8 1 -1 -1 1 2 0.5 -7 30", torch.atan2, "0")
    case("atan2_edge", "l 14 0 -0 0 -0 1 -1 0 -0 inf inf -inf 1 1 nan; l 14 1 1 -1 -1 0 0 0 -0 inf -inf 2 inf -inf 1", torch.atan2, "ez")
    case("hypot", pair, hypot)
    case("hypot_far", "L 6 3e30 -3e25 1e-25 3 0 -5; L 6 4e30 4e25 1e-25 4 2 0", hypot, "0e")
    case("hypot_edge", "l 6 inf -inf 0 nan 0 1; l 6 1 nan -inf 1 0 nan", lambda x, y: torch.from_numpy(np.hypot(x.numpy(), y.numpy())), "e")
    case("lerp", "r 3,1,4 -2 2; r 2,1 -1 1; r 4 0 1", lambda x, y, w: x + w * (y - x))
    case("lerp_ends", "l 3 1 2 3; l 3 5 6 7; l 3 0 1 0.5", lambda x, y, w: x + w * (y - x), "e")

    numbers = "w 3,1,4 3; w 2,1 3"
    edge = "l 8 nan nan 1 inf -inf 0 -0 inf; l 8 nan 1 nan inf inf -0 0 -inf"
    for name, f in (("equal", torch.eq), ("not_equal", torch.ne), ("less", torch.lt), ("less_equal", torch.le), ("greater", torch.gt),
                    ("greater_equal", torch.ge)):
        case(name, numbers, f)
        case(name + "_edge", edge, f)
        case(name + "_i64", "i 3,1,4 3; i 2,1 3", f)
        case(name + "_u8", "u 5 2; u 5 2", f)
    case("is_finite", "l 6 1 nan inf -inf 0 -3e38", torch.isfinite)
    for name, f in (("and", torch.logical_and), ("or", torch.logical_or), ("xor", torch.logical_xor)):
        case(name, "u 3,1,4 3; u 2,1 3", f)
    case("not", "u 3,4 3", torch.logical_not)
    case("where", "u 2,1,4 2; r 3,1 -1 1; r 2,3,4 1 2", lambda m, x, y: torch.where(m != 0, x, y))
    case("where_0d", "u 3,4 2; r 3,4 -1 1; r . 1 2", lambda m, x, y: torch.where(m != 0, x, y))
    case("where_edge", "U 4 0 1 2 0; l 4 nan nan inf -inf; l 4 1 2 3 nan", lambda m, x, y: torch.where(m != 0, x, y), "e")
    case("where_safe", "r 8 -2 2", lambda x: torch.where(x > 0, torch.log(torch.where(x > 0, x, torch.ones_like(x))), torch.zeros_like(x)))
    case("masked_fill", "r 3,4 -1 1; u 4 2", lambda x, m: x.masked_fill(m != 0, -7.5))
    case("masked_fill_inf", "r 3,4 -1 1; u 3,1 2", lambda x, m: torch.softmax(torch.cat([x, x.masked_fill(m != 0, -INF)], 1), 1))


ACTS = {
    "none": lambda x: x, "relu": F.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "gelu": F.gelu,
    "gelu_tanh": gelu_tanh, "silu": F.silu, "mish": mish, "softplus": softplus, "softsign": F.softsign,
    "log_sigmoid": F.logsigmoid, "elu": F.elu, "selu": F.selu, "celu": F.celu, "leaky_relu": F.leaky_relu, "relu6": F.relu6,
    "hard_sigmoid": hard_sigmoid, "hard_swish": hard_swish, "hard_tanh": F.hardtanh, "exp": torch.exp, "softmax": lambda x: torch.softmax(x, -1),
}


def activations():
    for number_of, (name, f) in enumerate(ACTS.items()):
        case("act_%02d_%s" % (number_of, name), "r 2,6 -5 7", f)
        case("linear_act_%02d_%s" % (number_of, name), "r 2,3 -2 2; r 4,3 -1 1; r 4 -1 1", lambda x, w, b: f(F.linear(x, w, b)))
    for name, f in (("sigmoid", torch.sigmoid), ("silu", F.silu), ("gelu", F.gelu), ("relu", F.relu), ("tanh", torch.tanh), ("none", lambda x: x)):
        case("glu_" + name, "r 3,8 -2 2", lambda x: x[:, :4] * f(x[:, 4:]))
    case("glu_axis_0", "r 4,2,3 -2 2", lambda x: F.glu(x, 0))
    case("glu_axis_1", "r 2,4,3 -2 2", lambda x: x[:, :2] * F.silu(x[:, 2:]))


# ---- over axes -----------------------------------------------------------------------------------------

AXES = {"0": ((0,), False), "1k": ((1,), True), "02": ((0, 2), False), "all": ((0, 1, 2), False), "2": ((2,), False), "allk": ((0, 1, 2), True)}


def prod(x, axes, keep):
    for axis in sorted(axes, reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x


def over_all(f, x, axes, keep):
    """f(x, axis, keep), one axis after another."""
    for axis in sorted(axes, reverse=True):
        x = f(x, axis, keep)
    return x


def reductions():
    x, small = "r 2,3,4 -2 2", "r 3,2,2 -1.5 2"
    for name, (axes, keep) in AXES.items():
        case("min_" + name, x, lambda x: x.amin(axes, keep))
        case("min_ties_" + name, "t 2,3,4 2", lambda x: x.amin(axes, keep), "0")
        case("max_" + name, x, lambda x: x.amax(axes, keep))
        case("prod_" + name, small, lambda x: prod(x, axes, keep))
        case("var_" + name, x, lambda x: x.var(axes, correction=1, keepdim=keep))
        case("std_" + name, x, lambda x: x.std(axes, correction=1, keepdim=keep))
        case("logsumexp_" + name, x, lambda x: x.logsumexp(axes, keep))
        case("norm2_" + name, x, lambda x: torch.linalg.vector_norm(x, 2, axes, keep))
        case("count_" + name, "w 3,4,5 3", lambda x: over_all(lambda v, a, k: v.sum(a, keepdim=k), (x != 0).long(), axes, keep))
        case("any_" + name, "u 3,4,5 2", lambda x: over_all(lambda v, a, k: v.any(a, keepdim=k), x != 0, axes, keep))
        case("all_" + name, "u 3,4,5 2", lambda x: over_all(lambda v, a, k: v.all(a, keepdim=k), x != 0, axes, keep))
    case("prod_zero", "L 3,4 2 0 3 -1 0 2 0 4 1 2 3 4", lambda x: x.prod(1))
    case("prod_zeros_all", "L 2,3 2 0 3 -1 5 1", lambda x: x.prod())
    case("prod_0d", "r . 1 2", lambda x: x.prod())
    case("var_population", x, lambda x: x.var((1,), correction=0))
    case("var_correction_2", x, lambda x: x.var((0, 2), correction=2))
    case("var_far", "r 2,8 1000 1001", lambda x: x.var((1,), correction=1), "0")
    case("std_population", x, lambda x: x.std((1,), correction=0, keepdim=True))
    for p in (1, 3, 1.5, INF):
        case("norm_%g" % p, "r 3,4 -2 2", lambda x: torch.linalg.vector_norm(x, p, (1,)))
        case("norm_all_%g" % p, "r 3,4 -2 2", lambda x: torch.linalg.vector_norm(x, p, (0, 1), True))
    case("std_zero", "L 2,3 1 1 1 0 1 2", lambda x: x.std(1), "0")
    case("norm_zero", "L 3,3 0 0 0 3 0 4 1 2 2", lambda x: torch.linalg.vector_norm(x, 2, (1,)), "0")
    case("norm_zero_1", "L 2,3 0 0 0 3 0 -4", lambda x: torch.linalg.vector_norm(x, 1, (1,)), "0")
    case("norm_zero_inf", "L 2,3 0 0 0 3 0 -4", lambda x: torch.linalg.vector_norm(x, INF, (1,)), "0")
    case("norm_zero_3", "L 2,3 0 0 0 3 0 -4", lambda x: torch.linalg.vector_norm(x, 3, (1,)), "0")
    case("logsumexp_far", "L 3,3 -900 -901 -902 800 -800 0 88 89 90", lambda x: x.logsumexp(1), "0")
    case("logsumexp_edge", "l 5,2 -inf -inf -inf 1 inf 2 nan 1 inf inf", lambda x: x.logsumexp(1), "e")
    case("logsumexp_masked", "L 2,3 -inf 1 2 0.5 -inf -inf", lambda x: x.logsumexp(1), "0")
    case("min_edge", "l 4,2 nan 1 1 nan -inf inf 0 -0", lambda x: x.amin(1), "e")
    case("count_edge", "l 6 nan 0 -0 inf 1e-30 0", lambda x: torch.tensor(3))
    case("any_real", "l 2,3 0 0 -0 nan 0 0", lambda x: (x != 0).any(1))
    case("all_i64", "i 4,2 3", lambda x: (x != 0).all(1))
    case("count_i64", "i 4,5 3", lambda x: (x != 0).sum(0))
    for axis in (0, 1, 2):
        def first(find):  # NumPy's argmax and argmin give the first of equals
            return lambda x: torch.from_numpy(find(x.numpy(), axis))
        case("argmax_%d" % axis, "w 3,4,5 3", first(np.argmax))
        case("argmin_%d" % axis, "w 3,4,5 3", first(np.argmin))
        case("median_%d" % axis, "r 2,3,4 -2 2", lambda x: x.median(axis)[0])
        case("median_%dk" % axis, "r 2,4,2 -2 2", lambda x: x.median(axis, keepdim=True)[0])
    case("argmax_k", "c 3,4,5 -1 1", lambda x: x.argmax(1, keepdim=True))
    case("argmin_k", "c 3,4,5 -1 1", lambda x: x.argmin(-1, keepdim=True))
    case("argmax_edge", "l 4,4 1 nan 5 nan -inf -inf -inf -inf -0 0 -0 0 1 inf 2 inf", lambda x: torch.from_numpy(np.argmax(x.numpy(), 1)))
    case("argmin_edge", "l 4,4 1 nan 5 nan inf inf inf inf 0 -0 0 -0 1 -inf 2 -inf", lambda x: torch.from_numpy(np.argmin(x.numpy(), 1)))
    case("argmax_i64", "i 3,7 4", lambda x: torch.from_numpy(np.argmax(x.numpy(), 1)))
    case("argmax_long", "w 2,100 30", lambda x: torch.from_numpy(np.argmax(x.numpy(), 1)))
    case("median_ties", "w 3,7 3", lambda x: x.median(1)[0])
    case("median_nan", "l 2,3 1 nan 2 3 1 2", lambda x: x.median(1)[0], "e")
    case("median_single", "r 3,1 -1 1", lambda x: x.median(1)[0])

    # of nothing
    case("empty_sum", "r 0,3 -1 1", lambda x: x.sum(0))
    case("empty_prod", "r 0,3 -1 1", lambda x: x.prod(0))
    case("empty_prod_all", "r 2,0 -1 1", lambda x: x.prod())
    case("empty_any", "u 2,0 2", lambda x: (x != 0).any(1))
    case("empty_all", "u 2,0 2", lambda x: (x != 0).all(1))
    case("empty_count", "w 2,0 2", lambda x: (x != 0).sum(1))
    case("empty_norm", "c 2,0 -1 1", lambda x: torch.linalg.vector_norm(x, 2, 1), "e")
    case("empty_min", "r 0,3 -1 1", lambda x: x.amin(1))
    case("empty_silu", "r 0,3 -1 1", F.silu)
    case("empty_maximum", "r 0,3 -1 1; r 3 -1 1", torch.maximum)
    case("empty_cumsum", "r 3,0 -1 1", lambda x: x.cumsum(1))
    case("empty_sort", "r 3,0 -1 1", lambda x: x.sort(1)[0])
    case("empty_concat_pad", "r 2,0 -1 1", lambda x: F.pad(x, (1, 2), value=2.5))
    case("empty_det", "c 2,0,0 -1 1", lambda x: torch.linalg.det(x))


# ---- along an axis -------------------------------------------------------------------------------------

def recur(a, b, axis):
    ys = []
    for x, y in zip(a.unbind(axis), b.unbind(axis)):
        ys.append(x * ys[-1] + y if ys else y + 0 * x)
    return torch.stack(ys, axis)


def scans():
    for axis in (0, 1, 2):
        case("cumsum_%d" % axis, "r 2,3,4 -1 1", lambda x: x.cumsum(axis))
        case("cumprod_%d" % axis, "r 3,2,4 -1.5 2", lambda x: x.cumprod(axis))
        case("recur_%d" % axis, "r 2,4,2 -1 1; r 2,4,2 -2 2", lambda a, b: recur(a, b, axis))
    case("cumprod_zero", "L 4,4 2 0 3 -1 0 2 0 4 1 2 3 4 1 2 5 0", lambda x: x.cumprod(1))
    case("cumsum_long", "r 2,35 -1 1", lambda x: x.cumsum(1))
    case("cumsum_edge", "l 5 1 inf 2 -inf 3", lambda x: x.cumsum(0), "e")
    case("recur_discount", "l 6 0.5 0.5 0.5 0.5 0.5 0.5; r 6 0 1", lambda a, b: recur(a, b, 0))


# ---- linear algebra ------------------------------------------------------------------------------------

EINSUM = ("ij,jk->ik 3,4 4,2", "bij,bjk->bik 2,3,4 2,4,2", "ij,kj->ik 3,4 2,4", "i,j->ij 3 4", "ij,ij-> 3,4 3,4", "ij,j->i 3,4 4",
          "abc,cd->abd 2,3,4 4,2", "bhqd,bhkd->bhqk 2,2,3,2 2,2,2,2", "ij,kl->il 2,3 3,2", "ij,ij->ij 3,4 3,4", "ij,ij->ji 3,4 3,4",
          "bn,anm->abm 2,3 2,3,4", "ijk,ilj->kil 2,3,4 2,2,3", "i,i-> 5 5", "ij,-> 2,3 .", "abij,cjb->iac 2,3,2,2 2,2,3")


def spd(x):
    n = x.shape[-1]
    return x @ x.mT / n + torch.eye(n, dtype=x.dtype)


def linear():
    case("dot", "r 7 -1 1; r 7 -2 2", torch.dot)
    case("outer", "r 3 -1 1; r 4 -2 2", torch.outer)
    case("trace", "r 2,3,4 -1 1", lambda x: torch.diagonal(x, 0, -2, -1).sum(-1))
    case("trace_2d", "r 4,4 -1 1", torch.trace)
    for line in EINSUM:
        rule, a, b = line.split(" ")
        case("einsum:%s" % rule, "r %s -1 1; r %s -2 2" % (a, b), lambda x, y: torch.einsum(rule, x, y))
    case("cholesky", "r 2,3,3 -1 1", lambda x: torch.linalg.cholesky(spd(x)))
    case("cholesky_1", "r 1,1 -1 1", lambda x: torch.linalg.cholesky(spd(x)))
    case("cholesky_plain", "L 3,3 4 1 0.5 1 3 -0.25 0.5 -0.25 2", torch.linalg.cholesky)
    case("cholesky_uneven", "L 3,3 4 1.5 0.25 0.5 3 -1 0.75 0.5 2", lambda x: torch.linalg.cholesky((x + x.mT) / 2))
    for upper in (0, 1):
        for turned in (0, 1):
            def solve(l, b):
                l = l + 2 * torch.eye(l.shape[-1], dtype=l.dtype)
                l = l.triu() if upper else l.tril()
                return torch.linalg.solve(l.mT if turned else l, b)
            case("triangular_solve_%d%d" % (upper, turned), "r 2,3,3 -1 1; r 2,3,2 -2 2", solve)
    case("triangular_solve_2d", "r 4,4 -1 1; r 4,1 -2 2", lambda l, b: torch.linalg.solve((l + 2 * torch.eye(4, dtype=l.dtype)).tril(), b))
    case("cholesky_solve", "r 2,3,2 -2 2; r 2,3,3 -1 1", lambda b, x: torch.linalg.solve(spd(x), b))
    case("cholesky_logdet", "r 2,3,3 -1 1", lambda x: torch.linalg.slogdet(spd(x))[1])
    case("cholesky_logdet_2d", "r 4,4 -1 1", lambda x: torch.linalg.slogdet(spd(x))[1])
    case("inverse", "r 2,3,3 -1 1", lambda x: torch.linalg.inv(x + 2 * torch.eye(3, dtype=x.dtype)))
    case("inverse_pivot", "L 3,3 0 2 1 1 0 3 4 1 0", torch.linalg.inv)
    case("inverse_1", "r 1,1 1 2", torch.linalg.inv)
    case("det", "r 2,3,3 -1 1", torch.linalg.det)
    case("det_4", "L 4,4 1 2 0.5 -1 0 1.5 2 1 -2 0.25 1 3 1 1 -1 0.5", torch.linalg.det)
    case("det_pivot", "L 3,3 0 2 1 1 0 3 4 1 0", torch.linalg.det)
    case("det_singular", "l 3,3 1 2 3 2 4 6 1 0 1", lambda x: torch.zeros((), dtype=torch.float64))


# ---- norms ---------------------------------------------------------------------------------------------

def norms():
    case("rmsnorm", "r 4,6 -3 3; r 6 0.5 1.5", lambda x, w: F.rms_norm(x, (6,), w, 1e-6))
    case("rmsnorm_3d", "r 2,3,5 -3 3; r 5 0.5 1.5", lambda x, w: F.rms_norm(x, (5,), w, 0.125))
    affine = "; r 6 0.5 1.5; r 6 -1 1"
    case("groupnorm", "r 2,6,3 -3 3" + affine, lambda x, w, b: F.group_norm(x, 3, w, b, 1e-5))
    case("groupnorm_2d", "r 3,6 -3 3" + affine, lambda x, w, b: F.group_norm(x, 2, w, b, 1e-5))
    case("groupnorm_4d", "r 1,6,2,2 -3 3" + affine, lambda x, w, b: F.group_norm(x, 2, w, b, 1e-5))
    case("groupnorm_plain", "r 2,6,3 -3 3", lambda x: F.group_norm(x, 3, None, None, 0.125))
    case("groupnorm_1", "r 2,6,2 -3 3" + affine, lambda x, w, b: F.group_norm(x, 1, w, b, 1e-5))
    case("groupnorm_all", "r 2,6,3 -3 3" + affine, lambda x, w, b: F.instance_norm(x, None, None, w, b))
    stats = "; c 3 -0.5 0.5; c 3 0.5 2"
    affine = "; r 3 0.5 1.5; r 3 -1 1"

    def batchnorm(training, momentum=0.1, eps=1e-5, which=None):
        def f(x, w, b, mean, var):
            mean, var = mean.clone(), var.clone()
            y = F.batch_norm(x, mean, var, w, b, training, momentum, eps)
            return y if which is None else (mean, var)[which]
        return f
    for name, shape in (("2d", "5,3"), ("3d", "2,3,4"), ("4d", "2,3,2,2")):
        x = "r %s -3 4" % shape
        case("batchnorm_train_" + name, x + affine + stats, batchnorm(True), "n")
        case("batchnorm_eval_" + name, x + affine + stats, batchnorm(False), "n")
        fixed = ("c" + x[1:] + affine + stats).replace("r ", "c ")
        case("batchnorm_mean_" + name, fixed, batchnorm(True, which=0), "n")
        case("batchnorm_var_" + name, fixed, batchnorm(True, which=1), "n")
    x = "r 4,3 -3 4"
    case("batchnorm_options", x + affine + stats, batchnorm(True, 0.25, 0.125), "n")
    case("batchnorm_options_mean", "c 4,3 -3 4" + affine.replace("r", "c") + stats, batchnorm(True, 0.25, 0.125, 0), "n")
    case("batchnorm_options_var", "c 4,3 -3 4" + affine.replace("r", "c") + stats, batchnorm(True, 0.25, 0.125, 1), "n")
    case("batchnorm_eval_mean", "c 4,3 -3 4" + affine.replace("r", "c") + stats, batchnorm(False, which=0), "n")
    case("batchnorm_plain", x + stats, lambda x, m, v: F.batch_norm(x, m.clone(), v.clone(), None, None, True), "n")
    case("batchnorm_stateless", x + affine, lambda x, w, b: F.batch_norm(x, None, None, w, b, True))
    case("batchnorm_eval_plain", x + stats, lambda x, m, v: F.batch_norm(x, m, v, None, None, False))


# ---- losses --------------------------------------------------------------------------------------------

def reduced(loss, reduction):
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def losses():
    for r in ("mean", "sum", "none"):
        def plain(name, inputs, f, flags="-"):
            case("%s_%s" % (name, r), inputs, f, flags)

        # cross-entropy: classes, weights, smoothing, ignored rows, probabilities, and what combines
        x, i, w = "r 6,4 -3 3", "; i 6 4", "; c 4 0.25 2"
        nll = F.cross_entropy
        plain("cross_entropy", x + i, lambda x, y: nll(x, y, reduction=r))
        plain("cross_entropy_weight", x + i + w, lambda x, y, w: nll(x, y, w, reduction=r))
        plain("cross_entropy_smooth", x + i, lambda x, y: nll(x, y, label_smoothing=0.125, reduction=r))
        plain("cross_entropy_weight_smooth", x + i + w, lambda x, y, w: nll(x, y, w, label_smoothing=0.125, reduction=r))
        plain("cross_entropy_ignore", x + i, lambda x, y: nll(x, y, ignore_index=1, reduction=r))
        ignored = "; I 6 0 -100 3 2 -100 1"
        plain("cross_entropy_ignore_outside", x + ignored, lambda x, y: nll(x, y, reduction=r))
        plain("cross_entropy_everything", x + ignored + w, lambda x, y, w: nll(x, y, w, label_smoothing=0.125, reduction=r))
        rows = lambda x: x.reshape(-1, x.shape[-1])
        plain("cross_entropy_3d", "r 2,3,4 -3 3; j 2,3 4; c 4 0.25 2",
              lambda x, y, w: (lambda l: l.reshape(2, 3) if r == "none" else l)(nll(rows(x), y.reshape(-1), w, reduction=r)))
        plain("cross_entropy_far", "r 4,6 -900 900; u 4 6", lambda x, y: nll(x, y, reduction=r), "0")
        target = lambda p: torch.softmax(p, 1)
        plain("cross_entropy_masked", "L 2,3 -inf 1 2 0.5 -inf 0.25; I 2 2 0", lambda x, y: nll(x, y, reduction=r), "0")
        plain("cross_entropy_soft", x + "; r 6,4 -2 2", lambda x, p: nll(x, target(p), reduction=r))
        plain("cross_entropy_soft_smooth", x + "; c 6,4 -2 2", lambda x, p: nll(x, target(p), label_smoothing=0.125, reduction=r))
        plain("cross_entropy_soft_weight", x + "; c 6,4 -2 2" + w, lambda x, p, w: nll(x, target(p), w, reduction=r))
        plain("cross_entropy_soft_3d", "r 2,3,4 -3 3; c 2,3,4 -2 2",
              lambda x, p: (lambda l: l.reshape(2, 3) if r == "none" else l)(nll(rows(x), target(rows(p)), reduction=r)))

        two = "r 3,4 -2 2; r 3,4 -1 3"
        plain("mse", two, lambda x, y: F.mse_loss(x, y, reduction=r))
        plain("mae", two, lambda x, y: F.l1_loss(x, y, reduction=r))
        plain("huber", two, lambda x, y: F.huber_loss(x, y, reduction=r))
        plain("huber_delta", two, lambda x, y: F.huber_loss(x, y, delta=0.75, reduction=r))
        plain("smooth_l1", two, lambda x, y: F.smooth_l1_loss(x, y, reduction=r))
        plain("smooth_l1_delta", two, lambda x, y: F.smooth_l1_loss(x, y, beta=0.75, reduction=r))
        log_cosh = lambda d: torch.logaddexp(d, -d) - math.log(2)
        plain("log_cosh", two, lambda x, y: reduced(log_cosh(x - y), r))
        plain("log_cosh_far", "L 4 500 -90 20 1; l 4 0 10 -1 0.5", lambda x, y: reduced(log_cosh(x - y), r), "0")

        def kl(x, y):
            l = F.kl_div(torch.log_softmax(x, 1), torch.softmax(y, 1), reduction="none")
            return l.sum() / x.shape[0] if r == "mean" else l.sum() if r == "sum" else l
        plain("kl", two, kl)

        def kl_zero(x, y):
            l = F.kl_div(x, y, reduction="none")
            return l.sum() / x.shape[0] if r == "mean" else l.sum() if r == "sum" else l
        plain("kl_zero", "r 2,4 -3 -1; l 2,4 0 0.5 0.5 0 1 0 0 0", kl_zero)
        counts = "r 3,4 -1 2; w 3,4 4"
        plain("poisson", counts, lambda x, y: F.poisson_nll_loss(x, y, reduction=r))
        plain("poisson_full", counts, lambda x, y: F.poisson_nll_loss(x, y, full=True, reduction=r))
        plain("hinge", "r 6 -2 2; l 6 1 -1 -1 1 1 -1", lambda x, y: reduced(F.relu(1 - x * y), r))
        plain("hinge_margin", "r 6 -2 2; l 6 1 -1 -1 1 1 -1", lambda x, y: reduced(F.relu(0.5 - x * y), r))
        plain("bce", "r 3,4 0.05 0.95; r 3,4 0.05 0.95", lambda x, y: F.binary_cross_entropy(x, y, reduction=r))
        plain("bce_01", "r 3,4 0.05 0.95; w 3,4 2", lambda x, y: F.binary_cross_entropy(x, y, reduction=r))
        plain("bce_logits", "r 3,4 -4 4; r 3,4 0.05 0.95", lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction=r))
        plain("bce_logits_far", "L 6 -200 200 -200 200 40 -40; l 6 0 1 1 0 1 0.5", lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction=r), "0")
        plain("bce_logits_weight", "r 3,4 -4 4; w 3,4 2; c 4 0.5 3", lambda x, y, w: F.binary_cross_entropy_with_logits(x, y, pos_weight=w, reduction=r))

        def focal(gamma, alpha):  # Lin et al., as in torchvision's sigmoid_focal_loss
            def f(x, y):
                p, ce = torch.sigmoid(x), F.binary_cross_entropy_with_logits(x, y, reduction="none")
                pt = p * y + (1 - p) * (1 - y)
                l = ce * (1 - pt) ** gamma
                return reduced(l if alpha is None else (alpha * y + (1 - alpha) * (1 - y)) * l, r)
            return f
        plain("focal", "r 3,4 -4 4; w 3,4 2", focal(2, 0.25))
        plain("focal_options", "r 3,4 -4 4; w 3,4 2", focal(1.5, 0.75))
        plain("focal_unbalanced", "r 3,4 -4 4; w 3,4 2", focal(2, None))
        plain("focal_far", "L 4 -60 60 -60 60; l 4 0 1 1 0", focal(2, 0.25), "0")

        three = "r 3,4 -2 2; r 3,4 0.25 2; r 3,4 -2 2"
        plain("gaussian_nll", three, lambda m, v, y: F.gaussian_nll_loss(m, y, v, reduction=r))
        plain("gaussian_nll_full", three, lambda m, v, y: F.gaussian_nll_loss(m, y, v, full=True, reduction=r))

        rows3, sign = "r 4,5 -2 2; r 4,5 -1 2", "; l 4 1 -1 -1 1"
        plain("cosine_loss", rows3 + sign, lambda x, y, s: F.cosine_embedding_loss(x, y, s, reduction=r))
        plain("cosine_loss_margin", rows3 + sign, lambda x, y, s: F.cosine_embedding_loss(x, y, s, margin=-0.5, reduction=r))
        distance = F.pairwise_distance
        triple = rows3 + "; r 4,5 -2 1"
        plain("triplet", triple, lambda a, p, n: F.triplet_margin_loss(a, p, n, reduction=r))
        plain("triplet_margin", triple, lambda a, p, n: F.triplet_margin_loss(a, p, n, 0.25, reduction=r))

        def contrastive(margin):  # Hadsell et al. 2006
            return lambda x, y, s: reduced(0.5 * s * distance(x, y) ** 2 + 0.5 * (1 - s) * F.relu(margin - distance(x, y)) ** 2, r)
        near = "r 4,5 -0.5 0.5; r 4,5 -0.25 0.5; l 4 1 0 0 1"
        plain("contrastive", near, contrastive(1.0))
        plain("contrastive_margin", near, contrastive(2.0))
    normal = torch.distributions.Normal
    kl_normal = torch.distributions.kl_divergence
    case("kl_gaussian", "r 3,4 -2 2; r 3,4 0.25 2; r 3,4 -1 1; r 3,4 0.5 2", lambda m, s, n, t: kl_normal(normal(m, s), normal(n, t)))
    case("kl_gaussian_unit", "r 3,4 -2 2; r 3,4 0.25 2", lambda m, s: kl_normal(normal(m, s), normal(torch.zeros(3, 4).double(), torch.ones(3, 4).double())))
    for axis in (0, 1, 2):
        case("cosine_similarity_%d" % axis, "r 2,4,3 -2 2; r 2,4,3 -1 2", lambda x, y: F.cosine_similarity(x, y, axis))
    case("gaussian_nll_small", "l 3 1 2 3; l 3 0 1e-9 0.001; l 3 1 2.001 2.5", lambda m, v, y: F.gaussian_nll_loss(m, y, v, reduction="none"))
    case("cosine_similarity_zero", "l 3,2 0 0 1 2 1e-6 0; l 3,2 1 2 0 0 1e-6 1e-6", lambda x, y: F.cosine_similarity(x, y, 1))
    case("bce_ends", "l 4 0 1 0 1; l 4 0 1 1 0", lambda x, y: F.binary_cross_entropy(x, y, reduction="none"))


# ---- metrics -------------------------------------------------------------------------------------------

def metrics():
    S = sklearn.metrics

    def scores(which):
        def f(x, y):
            p, y = np.argmax(x.numpy(), 1), y.numpy()
            if which == "accuracy":
                return S.accuracy_score(y, p)
            f = {"precision": S.precision_score, "recall": S.recall_score, "f1": S.f1_score}[which]
            return f(y, p, average="macro", zero_division=0)
        return f

    def top(k):  # of equal logits the first is before
        return lambda x, y: np.mean([y[j] in np.argsort(-x[j].numpy(), kind="stable")[:k] for j in range(len(y))])
    sets = {"": "c 30,4 -2 2; i 30 4", "_ties": "w 30,4 3; i 30 4", "_absent": "l 6,4 9 0 0 0 0 9 0 0 0 0 9 0 9 0 0 0 9 0 0 0 0 9 0 0; I 6 0 1 1 0 1 1"}
    for name, inputs in sets.items():
        for which in ("accuracy", "precision", "recall", "f1"):
            case("metric_%s%s" % (which, name), inputs, scores(which), "h")
        case("confusion" + name, inputs, lambda x, y: torch.from_numpy(S.confusion_matrix(y.numpy(), np.argmax(x.numpy(), 1), labels=range(x.shape[1]))), "n")
        for k in (1, 2, 3, 4):
            case("topk_accuracy_%d%s" % (k, name), inputs, top(k), "h")
    case("accuracy_3d", "c 2,5,3 -1 1; i 2,5 3", lambda x, y: (x.argmax(-1) == y).double().mean(), "h")
    case("topk_accuracy_sklearn", "c 40,6 -1 1; i 40 6", lambda x, y: S.top_k_accuracy_score(y.numpy(), x.numpy(), k=3, labels=range(6)), "h")
    case("metric_top5", "c 40,8 -1 1; i 40 8", lambda x, y: S.top_k_accuracy_score(y.numpy(), x.numpy(), k=5, labels=range(8)), "h")
    case("metric_perplexity", "c 12,5 -3 3; i 12 5", lambda x, y: torch.exp(F.cross_entropy(x, y)), "h")
    auc = lambda x, y: S.roc_auc_score(y.numpy(), x.numpy())
    case("auc", "c 50 -2 2; i 50 2", auc, "h")
    case("auc_ties", "w 50 4; i 50 2", auc, "h")
    case("auc_same", "w 10 1; i 10 2", auc, "h")
    case("auc_real", "c 20 -2 2; w 20 2", auc, "h")
    case("auc_perfect", "l 5 1 2 3 4 5; I 5 0 0 0 1 1", auc, "h")
    case("auc_far", "l 6 -inf 3 3 2 inf 2; I 6 0 1 0 0 1 1", lambda x, y: S.roc_auc_score(y.numpy(), np.nan_to_num(x.numpy(), posinf=9, neginf=-9)), "h")
    real = {"mse": S.mean_squared_error, "rmse": lambda a, b: math.sqrt(S.mean_squared_error(a, b)), "mae": S.mean_absolute_error,
            "r2": S.r2_score, "explained_variance": S.explained_variance_score}
    for name, f in real.items():
        case("metric_" + name, "c 25 -2 2; c 25 -1 3", lambda x, y: f(y.numpy(), x.numpy()), "h")
        case("metric_%s_good" % name, "c 25 -2 2; c 25 -2.25 2.5", lambda x, y: f(y.numpy() + 0.5, x.numpy()), "h")


def main():
    for part in (moves, elementwise, activations, reductions, scans, linear, norms, losses, metrics):
        torch.manual_seed(0)
        part()
    twice = sorted(n for n in set(names) if names.count(n) > 1)
    assert not twice and not any(" " in n for n in names), twice
    path = os.path.join(HERE, "golden_breadth.txt")
    with open(path, "w", newline="\n") as f:
        f.write("\n".join(lines) + "\n")
    print("%d cases, %d bytes" % (len(names), os.path.getsize(path)))


if __name__ == "__main__":
    main()
