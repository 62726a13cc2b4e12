"""Makes tests/golden.txt and tests/golden_print.txt: what PyTorch and NumPy compute, for tests/test_golden.c to compare with.

Needs torch and numpy. Both files are in the repository, so this only needs to run when a case is added.

Inputs are not in the file: both sides make them from one formula (see `formula`), so that a case is one line here and one
in test_golden.c. References for f32 are computed in float64 from inputs rounded to float32, and rounded once at the end:
a difference is then the other side's error alone.

golden.txt        one tensor a line: name dtype ndim sizes... values...
golden_print.txt  "=== name", then str() of the array of that name
"""
import math
import os

import numpy as np
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
NUMPY = {"f32": np.float32, "f64": np.float64}
DY = 9  # the k of every upstream gradient

lines = []
printed = []


# ---- the formula, and the file -------------------------------------------------------------------------

def formula(shape, low, high, k):
    """Element i (counted row by row) of sample k; in float64."""
    i = np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.float64)
    u = 0.5 + (i + 1) * 0.6180339887498949 + 0.13 * k
    return (low + (high - low) * (u - np.floor(u))).reshape(shape)


def whole(shape, high, k):
    """Integers 0 ... high-1: labels, indices, values with ties."""
    return np.floor(formula(shape, 0.0, float(high), k)).astype(np.int64)


def write(name, array, dtype):
    array = np.asarray(array)
    if dtype in NUMPY:
        digits = "%.9g" if dtype == "f32" else "%.17g"
        values = [digits % v for v in array.astype(NUMPY[dtype]).ravel()]
    else:
        values = ["%d" % v for v in array.ravel()]
    lines.append(" ".join([name, dtype, str(array.ndim)] + [str(n) for n in array.shape] + values))


def real(dtype, shape, low, high, k):
    """A float64 tensor whose values are those of the other side's `dtype` tensor."""
    return torch.from_numpy(formula(shape, low, high, k).astype(NUMPY[dtype]).astype(np.float64))


# ---- layers and losses: values and gradients -----------------------------------------------------------

def case(dtype, name, f, *inputs):
    """inputs: (shape, low, high) each, drawn with k = 1, 2, ... or ready tensors."""
    xs = []
    for j, x in enumerate(inputs):
        if not torch.is_tensor(x):
            x = real(dtype, x[0], x[1], x[2], j + 1)
        xs.append(x.requires_grad_())
    y = f(*xs)
    y.backward(real(dtype, tuple(y.shape), -1.0, 1.0, DY))
    write("%s.%s.y" % (name, dtype), y.detach().numpy(), dtype)
    for j, x in enumerate(xs):
        write("%s.%s.d%d" % (name, dtype, j), x.grad.numpy(), dtype)


def layers(dtype):
    acts = {"none": lambda v: v, "relu": F.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "gelu": F.gelu}
    for name, act in acts.items():
        case(dtype, "linear_" + name, lambda x, w, b: act(F.linear(x, w, b)),
             ((5, 7), -2, 2), ((4, 7), -1, 1), ((4,), -1, 1))
    case(dtype, "linear_nobias", lambda x, w: F.linear(x, w), ((5, 7), -2, 2), ((4, 7), -1, 1))
    case(dtype, "linear_3d", F.linear, ((2, 3, 7), -2, 2), ((4, 7), -1, 1), ((4,), -1, 1))
    case(dtype, "linear_odd", F.linear, ((17, 23), -2, 2), ((19, 23), -1, 1), ((19,), -1, 1))

    wide, positive = ((30,), -6, 6), ((30,), 0.01, 20)
    for name, f, x in (("relu", F.relu, wide), ("sigmoid", torch.sigmoid, wide), ("tanh", torch.tanh, wide),
                       ("gelu", F.gelu, wide), ("erf", torch.erf, ((30,), -4, 4)), ("exp", torch.exp, wide),
                       ("log", torch.log, positive), ("sqrt", torch.sqrt, positive), ("square", torch.square, wide)):
        case(dtype, name, f, x)
    pair = ((3, 1, 4), -2, 2), ((2, 1), 1, 3)
    for name, f in (("add", torch.add), ("sub", torch.sub), ("mul", torch.mul), ("div", torch.div)):
        case(dtype, name, f, *pair)

    case(dtype, "layernorm", lambda x, w, b: F.layer_norm(x, (10,), w, b, 1e-5),
         ((6, 10), -3, 3), ((10,), 0.5, 1.5), ((10,), -1, 1))
    case(dtype, "layernorm_3d", lambda x, w, b: F.layer_norm(x, (5,), w, b, 1e-5),
         ((2, 3, 5), 90, 110), ((5,), 0.5, 1.5), ((5,), -1, 1))
    for axis in (0, 1, 2):
        case(dtype, "softmax_%d" % axis, lambda x: F.softmax(x, axis), ((3, 4, 5), -4, 4))
        case(dtype, "log_softmax_%d" % axis, lambda x: F.log_softmax(x, axis), ((3, 4, 5), -4, 4))
    case(dtype, "softmax_far", lambda x: F.softmax(x, 1), ((4, 6), -900, 900))

    def cross_entropy(shape):
        labels = torch.from_numpy(whole(shape[:-1], shape[-1], 2)).reshape(-1)
        return lambda x: F.cross_entropy(x.reshape(-1, shape[-1]), labels)
    case(dtype, "cross_entropy_2d", cross_entropy((8, 5)), ((8, 5), -3, 3))
    case(dtype, "cross_entropy_3d", cross_entropy((2, 3, 7)), ((2, 3, 7), -3, 3))
    case(dtype, "cross_entropy_far", cross_entropy((4, 6)), ((4, 6), -900, 900))
    case(dtype, "mse", F.mse_loss, ((4, 6), -2, 2), ((4, 6), -1, 3))

    case(dtype, "matmul_2d", torch.matmul, ((5, 7), -1, 1), ((7, 3), -1, 1))
    case(dtype, "matmul_turned", lambda x, y: torch.matmul(x.t(), y.t()), ((7, 5), -1, 1), ((3, 7), -1, 1))
    case(dtype, "matmul_batch", torch.matmul, ((2, 3, 4, 5), -1, 1), ((2, 3, 5, 2), -1, 1))
    case(dtype, "matmul_spread", torch.matmul, ((2, 1, 4, 5), -1, 1), ((3, 5, 6), -1, 1))
    case(dtype, "matmul_one_left", torch.matmul, ((4, 5), -1, 1), ((2, 5, 3), -1, 1))
    case(dtype, "matmul_one_right", torch.matmul, ((2, 4, 5), -1, 1), ((5, 3), -1, 1))

    for axis, shape in ((0, (6, 4, 5)), (1, (3, 6, 5)), (2, (3, 4, 7))):  # duplicates: gradients add up
        index = torch.from_numpy(whole(shape, (3, 4, 5)[axis], 2))
        case(dtype, "gather_%d" % axis, lambda x: torch.gather(x, axis, index), ((3, 4, 5), -1, 1))

    ties = whole((3, 4, 5), 3, 1).astype(np.float64)
    for name, axes, keep in (("max_0", (0,), False), ("max_1k", (1,), True), ("max_02", (0, 2), False),
                             ("max_all", (0, 1, 2), False)):
        case(dtype, name, lambda x: torch.amax(x, axes, keep), torch.from_numpy(ties.copy()))
    case(dtype, "sum_02", lambda x: torch.sum(x, (0, 2)), ((3, 4, 5), -1, 1))
    case(dtype, "mean_1k", lambda x: torch.mean(x, (1,), True), ((3, 4, 5), -1, 1))


# ---- optimisers ----------------------------------------------------------------------------------------

STEPS = 12


def cosine(lr, warmup, total, last):
    """The factor of nn_lr_cosine, for a LambdaLR over an optimiser whose rate is 1."""
    def at(s):
        if s < warmup:
            return lr * (s + 1) / warmup
        if s >= total:
            return last
        return last + (lr - last) * 0.5 * (1 + math.cos(math.pi * (s - warmup) / (total - warmup)))
    return at


def optimisers(dtype):
    # The other side's options are floats. For f64 every one of them is a power of two or exact in a float, so that 1e-12
    # can be asked for; for f32 they are what people use.
    if dtype == "f64":
        lr, mom, wd, betas, eps = 0.125, 0.875, 0.03125, (0.875, 0.96875), 2.0 ** -20
    else:
        lr, mom, wd, betas, eps = 0.1, 0.9, 0.01, (0.9, 0.999), 1e-8
    adam = dict(lr=lr, betas=betas, eps=eps)
    O = torch.optim
    kinds = {
        "sgd": lambda p: O.SGD(p, lr=lr),
        "sgd_momentum": lambda p: O.SGD(p, lr=lr, momentum=mom),
        "sgd_decay": lambda p: O.SGD(p, lr=lr, weight_decay=wd),
        "sgd_both": lambda p: O.SGD(p, lr=lr, momentum=mom, weight_decay=wd),
        "sgd_cosine": lambda p: O.SGD(p, lr=1.0),
        "adam": lambda p: O.Adam(p, **adam),
        "adam_decay": lambda p: O.Adam(p, weight_decay=wd, **adam),
        "adamw": lambda p: O.AdamW(p, weight_decay=wd, **adam),
        "adamw_clip": lambda p: O.AdamW(p, weight_decay=wd, **adam),
        "adamw_rest": lambda p: O.AdamW(p, weight_decay=wd, **adam),
    }
    for name, make in kinds.items():
        a = real(dtype, (3, 4), -1.0, 1.0, 1).requires_grad_()
        b = real(dtype, (5,), -1.0, 1.0, 2).requires_grad_()
        o = make([a, b])
        schedule = O.lr_scheduler.LambdaLR(o, cosine(0.5, 4, 10, 0.0625)) if name == "sgd_cosine" else None
        norms = []
        for s in range(STEPS):
            size = 0.05 if s % 3 == 2 else 1.0  # every third gradient is too short to be clipped
            g = real(dtype, (17,), -size, size, 3 + s)
            a.grad, b.grad = g[:12].reshape(3, 4).clone(), g[12:].clone()
            if name == "adamw_rest" and s % 2:  # a parameter that took no part is left alone
                b.grad = None
            if name == "adamw_clip":
                norms.append(float(torch.nn.utils.clip_grad_norm_([a, b], 1.0)))
            o.step()
            if schedule:
                schedule.step()
            if s + 1 in (1, 2, STEPS):
                write("%s.%s.a.%d" % (name, dtype, s + 1), a.detach().numpy(), dtype)
                write("%s.%s.b.%d" % (name, dtype, s + 1), b.detach().numpy(), dtype)
        if norms:
            write("%s.%s.norms" % (name, dtype), np.array(norms), dtype)


def schedules():
    for name, at in (("lr_constant", lambda s: 0.25), ("lr_cosine", cosine(0.5, 5, 25, 0.0625)),
                     ("lr_cosine_nowarm", cosine(0.5, 0, 20, 0.0))):
        o = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(o, at)
        values = []
        for _ in range(30):
            values.append(schedule.get_last_lr()[0])
            o.step()
            schedule.step()
        write(name, np.array(values), "f64")


# ---- one whole training run ----------------------------------------------------------------------------

def training(dtype):
    net = torch.nn.Sequential()
    net.add_module("fc1", torch.nn.Linear(6, 16))
    net.add_module("norm", torch.nn.LayerNorm(16))
    net.add_module("relu", torch.nn.ReLU())
    net.add_module("fc2", torch.nn.Linear(16, 3))
    net.double()
    with torch.no_grad():
        for j, (name, p) in enumerate(net.named_parameters()):
            low, high = (0.8, 1.2) if name == "norm.weight" else (-0.4, 0.4)
            p.copy_(real(dtype, tuple(p.shape), low, high, 3 + j))
    x = real(dtype, (40, 6), -2.0, 2.0, 1)
    labels = torch.from_numpy(whole((40,), 3, 2))
    if dtype == "f64":
        o = torch.optim.AdamW(net.parameters(), lr=2.0 ** -7, betas=(0.875, 0.96875), eps=2.0 ** -20, weight_decay=2.0 ** -7)
    else:
        o = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.01)
    losses = []
    for _ in range(25):
        loss = F.cross_entropy(net(x), labels)
        o.zero_grad()
        loss.backward()
        o.step()
        losses.append(loss.item())
    write("train.%s.loss" % dtype, np.array(losses), dtype)
    for name, p in net.named_parameters():
        write("train.%s.%s" % (dtype, name), p.detach().numpy(), dtype)
    return losses


# ---- printing ------------------------------------------------------------------------------------------

def show(name, array, dtype, turned=False):
    """turned: the other side prints the transposed view of the array in golden.txt."""
    kinds = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "i64": np.int64, "u8": np.uint8}
    array = np.asarray(array, dtype=kinds[dtype])
    name = ("turned_" if turned else "print_") + name + "_" + dtype
    write(name, array, dtype)
    printed.append("=== " + name)
    printed.append(str(array.T if turned else array))


def printing():
    inf, nan = np.inf, np.nan
    for dtype in ("f32", "f64"):
        show("0d", 1.5, dtype)
        show("0d_whole", 3.0, dtype)
        show("0d_third", 1 / 3, dtype)
        show("0d_large", 1e20, dtype)
        show("0d_small", -1.5e-7, dtype)
        show("0d_nan", nan, dtype)
        show("0d_inf", -inf, dtype)
        show("0d_digits", 12345.125, dtype)
        show("0d_1e16", 1e16, dtype)
        show("0d_below_1e-4", 9.5e-5, dtype)
        show("0d_negative_zero", -0.0, dtype)
        show("one", [7.0], dtype)
        show("mixed", [1.5, 20.25, 300.125, 0.0625], dtype)
        show("negative", [-1.5, 2.0, -300.25], dtype)
        show("whole", [1.0, 2.0, 3.0, 100.0], dtype)
        show("negative_zero", [-0.0, 0.0, 1.0], dtype)
        show("zeros", [0.0, 0.0], dtype)
        show("tenths", [0.1, 0.2, 0.3, 0.7], dtype)
        show("thirds", [1 / 3, 2 / 3, 10 / 3, 100 / 3], dtype)
        show("rounds_up", [0.999999999, 9.999999999, 1.0], dtype)
        show("ratio_1000", [0.001, 1.0], dtype)
        show("ratio_1001", [0.000999, 1.0], dtype)
        show("ratio_large", [1.25, 12345.0], dtype)
        show("small", [1e-5, 2.5e-5], dtype)
        show("small_edge", [1e-4, 2e-4], dtype)
        show("small_digits", [0.00012345, 0.00098765], dtype)
        show("large_edge", [99999999.0, 1.0], dtype)
        show("large", [1e8, 1.0], dtype)
        show("large_same", [1.5e8, 2.5e8], dtype)
        show("exponents", [1e-20, -1e20, 3.14159e10], dtype)
        show("zero_and_small", [0.0, 1e-6], dtype)
        show("inf", [1.0, inf, -2.5], dtype)
        show("inf_minus", [1.0, -inf, 2.0], dtype)
        show("nan", [nan, 1.0, -0.25], dtype)
        show("only_nan", [nan, nan], dtype)
        show("only_inf", [inf, -inf, nan], dtype)
        show("nan_whole", [nan, 10.0, 200.0], dtype)
        show("nan_exponent", [nan, 1e12, -inf], dtype)
        show("tiny", [1.17549435e-38, 3.4e38], dtype)
        show("2d", formula((3, 4), -2.0, 2.0, 1).round(3), dtype)
        show("2d_exponent", [[1e-7, nan, 1.0], [-inf, 2.5e10, 0.0]], dtype)
        show("spaces_at_break", [0.125, 1.0, 2.5] * 12, dtype)
        show("2d_whole", np.arange(6.0).reshape(2, 3), dtype)
        show("3d", np.arange(24.0).reshape(2, 3, 4) / 4, dtype)
        show("4d", np.arange(16.0).reshape(2, 2, 2, 2) - 8, dtype)
        show("ones_3d", np.ones((1, 1, 1)), dtype)
        show("long", formula((40,), -5.0, 5.0, 2), dtype)
        show("long_exponent", formula((15,), -5e9, 5e9, 2), dtype)
        show("wide_2d", formula((2, 30), -1.0, 1.0, 3).round(2), dtype)
        show("wide_3d", formula((2, 2, 20), -1.0, 1.0, 3).round(2), dtype)
        show("empty", np.zeros((0,)), dtype)
        show("2d", formula((3, 4), -2.0, 2.0, 1).round(3), dtype, turned=True)
    for name, v in (("7", 1234567.125), ("1e8", 1e8), ("1e15", 1e15), ("1e-4", 1e-4)):
        show("0d_" + name, v, "f64")  # where exponents begin for f32 has changed between versions of NumPy
    show("three_digits", [1e-300, 1e200, -1.5], "f64")
    show("pi", [math.pi, math.e * 1000], "f64")
    show("long_fraction", [0.1234567890123, 1.0], "f64")
    show("sixteen", [1e15 + 0.5, 1e15], "f64")
    show("subnormal", [5e-324, 1e-310], "f64")
    show("subnormal", [1e-45, 1e-40], "f32")
    show("denominators", [1 / n for n in range(1, 12)], "f32")
    for shape in ((0, 3), (3, 0), (2, 0, 3)):
        show("empty_" + "_".join(map(str, shape)), np.zeros(shape), "f32")
    for dtype in ("i32", "i64", "u8"):
        sign = 1 if dtype == "u8" else -1
        show("0d", 42, dtype)
        show("1d", [1, 20, 255], dtype)
        show("2d", np.array([[1, 2, 3], [40, 5, sign * 6]]), dtype)
        show("3d", np.arange(12).reshape(2, 3, 2) * sign, dtype)
        show("long", np.arange(60) * 4, dtype)
        show("wraps_exactly", np.full(30, 10), dtype)
        show("empty", np.zeros((0,)), dtype)
        show("2d", np.array([[1, 2, 3], [40, 5, sign * 6]]), dtype, turned=True)
    show("limits", [-2**31, 2**31 - 1], "i32")
    show("limits", [-2**63, 2**63 - 1], "i64")

    # 1000 elements are shown, 1001 are not; the width comes from those shown alone.
    show("1000", np.arange(1000) % 7, "u8")
    show("1001", np.arange(1001) % 7, "u8")
    hidden = np.arange(1001.0) % 5
    hidden[500] = 123456.789
    show("1001_hidden", hidden, "f32")
    show("1001_wide", np.arange(1001) * 1.0 + 12345678901.0, "f64")
    show("1001_nan", np.where(np.arange(1001) == 2, nan, 1.5), "f32")
    show("1200_2d_wraps", np.arange(1200).reshape(2, 600) * 1.0 + 1234567890123.0, "f64")
    show("1200_2d", (np.arange(1200) % 11 - 5).reshape(40, 30) * 0.5, "f32")
    show("1200_2d_low", (np.arange(1200) % 11 - 5).reshape(4, 300), "i32")
    show("1200_2d_narrow", (np.arange(1200) % 11).reshape(300, 4), "u8")
    show("1232_3d", (np.arange(1232) % 11).reshape(11, 14, 8), "u8")
    show("1056_4d", (np.arange(1056) % 9 * 0.25).reshape(2, 3, 8, 22), "f32")


def main():
    for dtype in ("f32", "f64"):
        layers(dtype)
        optimisers(dtype)
        print("loss %s: %.6f -> %.6f" % (dtype, *(lambda l: (l[0], l[-1]))(training(dtype))))
    schedules()
    printing()
    names = [line.split(" ", 1)[0] for line in lines]
    assert len(set(names)) == len(names)
    for file, text in (("golden.txt", lines), ("golden_print.txt", printed)):
        with open(os.path.join(HERE, file), "w", newline="\n") as f:
            f.write("\n".join(text) + "\n")
        print("%s: %d bytes" % (file, os.path.getsize(os.path.join(HERE, file))))


if __name__ == "__main__":
    main()
