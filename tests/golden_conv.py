"""Makes tests/golden_conv.txt: what PyTorch computes of convolutions, for tests/test_conv.c to compare with.

Needs torch and numpy. The file is in the repository, so this only needs to run when a case is added.

A case is one line that says everything, since both sides make x, weight, bias and the gradient from above by one formula; then come the
results, computed in float64:

    conv|transposed X-SHAPE WEIGHT-SHAPE [b] [s=STRIDE] [p=PADDING] [d=DILATION] [g=GROUPS] [o=OUTPUT-PADDING] [same] [a=ACTIVATION] [v=SEED]
    y|dx|dw|db SHAPE VALUES...

b: with bias. STRIDE and so on: as the options of nn.h take them (one number, one an axis; padding also begin and end of each axis).
VALUES: of up to SMALL elements all. Of more, the first, the last and SAMPLES others, and SUMS sums, weighted by the formula with k from 10 on.
"""
import os
import random

import numpy as np
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
SMALL, SAMPLES, SUMS = 12, 2, 3
lines, seen = [], set()


# ---- inputs by formula, and the file -------------------------------------------------------------------

def mix(i, k, seed=0):
    """32 bits for element i (an array or a number) of tensor k."""
    v = (np.asarray(i, dtype=np.uint64) * 0x9E3779B1 + k * 0x85EBCA77 + seed * 0xC2B2AE3D) & 0xFFFFFFFF
    v ^= v >> np.uint64(15)
    v = v * np.uint64(0x2C1B3C6D) & np.uint64(0xFFFFFFFF)
    v ^= v >> np.uint64(12)
    v = v * np.uint64(0x297A2D39) & np.uint64(0xFFFFFFFF)
    return v ^ v >> np.uint64(15)


def formula(n, k, seed=0):
    """n numbers in -1 ... 1 that float32 holds exactly, in float64."""
    return (mix(np.arange(n), k, seed) >> np.uint64(8)).astype(np.float64) / 2**23 - 1


def tensor(shape, k, seed):
    return torch.from_numpy(formula(int(np.prod(shape)), k, seed).reshape(shape))


def values(array):
    v = np.asarray(array).ravel()
    n = v.size
    if n > SMALL:
        at = [0, n - 1] + [int(mix(j, 20)) % n for j in range(SAMPLES)]
        v = [v[j] for j in at] + [float((v * formula(n, 10 + j)).sum()) for j in range(SUMS)]
    return ["0" if a == 0 else "%.13g" % a for a in v]


def write(name, t):
    t = t.detach().numpy()
    lines.append(" ".join([name, ",".join(map(str, t.shape)) or "."] + values(t)))


# ---- the reference -------------------------------------------------------------------------------------

def each(v, axes):
    return [v] * axes if isinstance(v, int) else list(v)


def sides(v, axes):
    """(begin, end) of each axis."""
    v = each(v, axes)
    return [(a, a) for a in v] if len(v) == axes else list(zip(v[::2], v[1::2]))


def flat(pads):
    """As F.pad takes them: the last axis first."""
    return [n for pair in reversed(pads) for n in pair]


def same_padding(size, kernel, stride, dilation):
    """Keras "same", ONNX SAME_UPPER: outputs are ceil(size / stride); the odd one at the end."""
    need = max(0, (-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size)
    return need // 2, need - need // 2


def convolve(x, w, b, kind, s, p, d, g, o, same):
    axes = x.dim() - 2
    s, d, o, pads = each(s, axes), each(d, axes), each(o, axes), sides(p, axes)
    kernel = w.shape[2:]
    if kind == "conv":
        f = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
        if same:
            pads = [same_padding(n, k, t, e) for n, k, t, e in zip(x.shape[2:], kernel, s, d)]
        return f(F.pad(x, flat(pads)), w, b, s, 0, d, g)
    f = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[axes - 1]
    y = f(x, w, None, s, 0, 0, g, d)  # padding crops it; output_padding, or a stride beyond the kernel, adds at its end
    if same:
        pads = [same_padding(n * t, k, t, e) for n, k, t, e in zip(x.shape[2:], kernel, s, d)]
        o = [n * t - (m - a - e) for n, t, m, (a, e) in zip(x.shape[2:], s, y.shape[2:], pads)]
    y = F.pad(y, flat([(-a, n - e) for (a, e), n in zip(pads, o)]))
    return y if b is None else y + b.reshape([1, -1] + [1] * axes)


ACTS = {"": lambda y: y, "relu": F.relu, "gelu": F.gelu, "silu": F.silu}


def case(kind, x, w, b=1, s=1, p=0, d=1, g=1, o=0, same=0, a=""):
    """x, w: shapes. Cases that are there already, and those whose kernel is wider than x, are left out."""
    axes = len(x) - 2
    text = lambda v: str(v) if isinstance(v, int) else ",".join(map(str, v))
    line = " ".join([kind, text(x), text(w)] + ["b"] * b + [n + text(v) for n, v, none in (("s=", s, 1), ("p=", p, 0), ("d=", d, 1), ("g=", g, 1), ("o=", o, 0)) if v != none]
                    + ["same"] * same + (["a=" + a] if a else []))
    if line in seen:
        return
    if kind == "conv" and not same and any(n + sum(q) < e * (k - 1) + 1 for n, k, q, e in zip(x[2:], w[2:], sides(p, axes), each(d, axes))):
        return
    if kind == "transposed" and not same and any((n - 1) * t + e * (k - 1) + 1 + q - sum(r) < 1 for n, k, t, r, e, q in
                                                 zip(x[2:], w[2:], each(s, axes), sides(p, axes), each(d, axes), each(o, axes))):
        return
    seen.add(line)
    for seed in range(1000):
        xt, wt = (tensor(shape, k, seed).requires_grad_() for k, shape in ((1, x), (2, w)))
        bt = tensor((w[0] if kind == "conv" else w[1] * g,), 3, seed).requires_grad_() if b else None
        y = convolve(xt, wt, bt, kind, s, p, d, g, o, same)
        far = y.detach().abs()
        if a != "relu" or not bool(((far > 0) & (far < 1e-4)).any()):  # else float32, and differences, may fall on the other side
            break
    else:
        raise SystemExit("no seed: " + line)
    y = ACTS[a](y)
    y.backward(tensor(tuple(y.shape), 4, seed))
    lines.append(line + (" v=%d" % seed if seed else ""))
    for name, t in (("y", y), ("dx", xt.grad), ("dw", wt.grad)) + ((("db", bt.grad),) if b else ()):
        write(name, t)


# ---- the cases -----------------------------------------------------------------------------------------

def conv_1d():
    for i, (k, size) in enumerate((k, n) for k in range(1, 8) for n in (7, 13, 17, 28, 29)):
        case("conv", (1 + i % 2, 1 + i % 4, size), (3 + i % 3, 1 + i % 4, k), b=i % 2, s=1 + i % 3, p=i % 4 % k, d=1 + i // 3 % 3 if k < 4 else 1)
    case("conv", (2, 16, 29), (33, 16, 5), s=2, p=2)
    case("conv", (1, 64, 13), (17, 64, 3), p=1)
    case("conv", (5, 33, 17), (4, 33, 1))
    case("conv", (2, 3, 13), (4, 3, 4), p=(1, 2))
    case("conv", (2, 3, 13), (4, 3, 4), p=(0, 3), s=2)
    case("conv", (2, 3, 13), (4, 3, 4), same=1)
    case("conv", (2, 3, 13), (4, 3, 4), same=1, s=3, d=2)
    case("conv", (2, 4, 7), (6, 2, 3), g=2, p=1, a="relu")
    case("conv", (2, 16, 7), (16, 1, 5), g=16, p=2, b=0)
    case("conv", (2, 1, 1), (3, 1, 1))
    case("conv", (1, 2, 3), (1, 2, 3))


def conv_2d():
    # kernels that are no squares, each stride, padding of every kind
    for i, (h, w) in enumerate((h, w) for h in (1, 2, 3, 5, 7) for w in (1, 2, 3, 4, 6)):
        case("conv", (1 + i % 2, 1 + i % 3, 7 + i % 3, 13 - i % 4), (2 + i % 3, 1 + i % 3, h, w), b=1 - i % 2, s=((1 + i % 3, 1 + i // 2 % 3), 1 + i % 3)[i % 2],
             p=((i % h, i % w), i % min(h, w), (i % h, 0, i % 2, i % w))[i % 3])
    case("conv", (1, 3, 17, 13), (16, 3, 3, 5), s=(2, 1), p=(1, 2))
    case("conv", (2, 3, 28, 28), (8, 3, 7, 7), s=2, p=3)
    case("conv", (1, 1, 29, 29), (6, 1, 5, 5), p=2)
    case("conv", (2, 6, 14, 14), (16, 6, 5, 5))
    case("conv", (1, 16, 17, 17), (33, 16, 3, 3), s=2, p=1)
    case("conv", (5, 4, 7, 7), (17, 4, 2, 2), s=2)
    case("conv", (1, 4, 17, 13), (4, 4, 3, 3), p=(2, 0, 1, 3))
    case("conv", (1, 4, 17, 13), (4, 4, 3, 3), p=(0, 1, 0, 1), s=2)
    case("conv", (1, 2, 3, 3), (3, 2, 5, 5), p=2)
    case("conv", (1, 2, 5, 5), (3, 2, 5, 5))
    case("conv", (1, 2, 2, 2), (3, 2, 3, 3), p=4, s=3)  # windows that lie wholly in the padding
    case("conv", (1, 2, 4, 4), (3, 2, 1, 1), p=1, s=2)
    # 1x1
    for c, o, n, size, s in ((64, 33, 1, 7, 1), (33, 64, 2, 5, 1), (16, 17, 5, 7, 2), (3, 1, 2, 13, 1), (1, 4, 1, 9, 3), (64, 64, 1, 1, 1), (17, 3, 5, 1, 1)):
        case("conv", (n, c, size, size), (o, c, 1, 1), s=s, b=c % 2)
    # dilation
    for d in (2, 3, (1, 3), (3, 2)):
        for s in (1, 2):
            case("conv", (1, 3, 13, 17), (4, 3, 3, 3), d=d, s=s, p=2)
            case("conv", (2, 2, 17, 9), (3, 2, 2, 3), d=d, s=s, b=0, p=(0, 3))
    case("conv", (1, 4, 13, 13), (8, 1, 3, 3), d=2, g=4, p=2)
    # same
    for k in (1, 2, 3, 4, 5, (2, 5)):
        for s in (1, 2, 3, (3, 1)):
            case("conv", (1, 2, 7, 10), (3, 2) + tuple(each(k, 2)), s=s, same=1)
    case("conv", (1, 2, 13, 13), (3, 2, 3, 3), d=3, same=1)
    case("conv", (1, 2, 13, 7), (3, 2, 3, 2), d=(2, 3), s=2, same=1)
    # groups; depthwise, also with two outputs a channel
    for g, c, o in ((2, 4, 6), (2, 16, 4), (4, 16, 8), (4, 4, 4), (4, 64, 32), (2, 2, 2), (3, 33, 6)):
        case("conv", (1, c, 7, 9), (o, c // g, 3, 3), g=g, p=1)
        case("conv", (2, c, 5, 6), (o, c // g, 1, 2), g=g, s=2, b=0)
    for c in (3, 4, 16, 17, 33, 64):
        case("conv", (1, c, 13, 9), (c, 1, 3, 3), g=c, p=1)
        case("conv", (2, c, 7, 8), (2 * c, 1, 3, 3), g=c, p=1, s=2)
        case("conv", (1, c, 7, 13), (c, 1, 5, 5), g=c, p=2, b=0, s=1 + c % 2)
    case("conv", (1, 16, 9, 13), (16, 1, 7, 7), g=16, p=3)
    case("conv", (1, 16, 9, 13), (16, 1, 3, 5), g=16, p=(1, 2), a="silu")
    case("conv", (1, 16, 13, 13), (16, 1, 3, 3), g=16, p=2, d=2)
    case("conv", (1, 4, 7, 7), (4, 1, 3, 3), g=4, same=1, s=3)
    # one output channel
    for c in (1, 3, 16, 33, 64):
        case("conv", (2, c, 7, 7), (1, c, 3, 3), p=1)
    case("conv", (1, 1, 28, 28), (1, 1, 5, 5))
    # 3x3, stride 1: every remainder of a tile, with channels enough for Winograd
    for size in range(1, 15):
        case("conv", (1, 16, size, size), (17, 16, 3, 3), p=1)
        case("conv", (2, 17, size, 15 - size), (16, 17, 3, 3), p=1, b=size % 2)
        case("conv", (1, 33, size + 2, 3 + size * 5 % 13), (33, 33, 3, 3), b=0)
    case("conv", (1, 64, 14, 13), (64, 64, 3, 3), p=1)
    case("conv", (2, 64, 7, 7), (64, 64, 3, 3), p=1, a="relu")
    case("conv", (5, 16, 5, 9), (64, 16, 3, 3), p=(0, 2, 1, 0))
    case("conv", (1, 64, 6, 6), (16, 32, 3, 3), g=2, p=1)
    case("conv", (1, 32, 10, 7), (32, 32, 3, 3), same=1, a="gelu")
    case("conv", (1, 16, 4, 4), (16, 16, 3, 3), p=2, a="silu")
    case("conv", (3, 3, 12, 11), (16, 3, 3, 3), p=1)
    # activations
    for a in ("relu", "gelu", "silu"):
        case("conv", (2, 2, 5, 6), (3, 2, 3, 2), p=1, a=a)
        case("conv", (2, 2, 5, 6), (4, 1, 2, 2), s=2, g=2, b=0, a=a)
        case("conv", (1, 16, 9, 9), (16, 16, 1, 1), a=a)


def conv_3d():
    for i, k in enumerate(((1, 1, 1), (2, 2, 2), (3, 3, 3), (1, 3, 3), (3, 1, 1), (2, 3, 4), (5, 2, 1), (1, 1, 7), (3, 3, 1))):
        case("conv", (1 + i % 2, 1 + i % 3, 5, 6, 7), (2 + i % 3, 1 + i % 3) + k, b=i % 2, p=i % 2 and tuple(n // 2 for n in k))
        case("conv", (1, 1 + i % 2, 7, 5, 8), (3, 1 + i % 2) + k, b=1 - i % 2, s=((1, 2, 3), 2, (3, 1, 2))[i % 3], p=(0, 1, (0, 1, 1, 0, 2, 1))[i % 3])
    case("conv", (1, 16, 4, 5, 6), (17, 16, 3, 3, 3), p=1)
    case("conv", (2, 4, 5, 5, 5), (4, 1, 3, 3, 3), g=4, p=1)
    case("conv", (1, 4, 4, 5, 6), (8, 2, 3, 2, 3), g=2, s=(1, 2, 1))
    case("conv", (1, 3, 7, 7, 7), (6, 1, 3, 3, 3), g=3, d=2, p=2, a="gelu")
    case("conv", (1, 2, 7, 7, 7), (3, 2, 2, 3, 2), d=(3, 2, 1), b=0)
    case("conv", (1, 2, 5, 6, 7), (3, 2, 2, 3, 4), same=1)
    case("conv", (1, 2, 5, 6, 7), (3, 2, 3, 2, 3), same=1, s=(2, 3, 2))
    case("conv", (1, 33, 3, 3, 3), (1, 33, 2, 2, 2), a="silu")
    case("conv", (1, 1, 2, 2, 3), (2, 1, 2, 2, 2), a="relu")


def transposed():
    for i, (k, s) in enumerate((k, s) for k in range(1, 8) for s in (1, 2, 3)):
        case("transposed", (1 + i % 2, 1 + i % 3, (7, 13, 4)[i % 3]), (1 + i % 3, 2 + i % 3, k), b=i % 2, s=s, p=i % 3 % k, d=1 + i % 2, o=i % s if i % s < s else 0)
    case("transposed", (2, 16, 7), (16, 17, 4), s=2, p=1)
    case("transposed", (2, 3, 7), (3, 4, 4), s=2, same=1)
    case("transposed", (2, 3, 7), (3, 4, 2), s=3, same=1)
    case("transposed", (2, 4, 7), (4, 3, 3), s=2, g=2, p=(0, 1), o=1)
    case("transposed", (1, 4, 9), (4, 1, 3), g=4, a="relu")
    for i, (h, w) in enumerate((h, w) for h in (1, 2, 3, 5) for w in (1, 2, 3, 4)):
        s = ((1, 2), 2, (3, 1), 1, (2, 3), 3)[i % 6]
        case("transposed", (1 + i % 2, 1 + i % 3, 4 + i % 3, 7 - i % 4), (1 + i % 3, 2 + i % 3, h, w), b=1 - i % 2, s=s, p=((i % h, i % w), i % min(h, w))[i % 2],
             o=tuple(i % n for n in each(s, 2)) if i % 3 == 0 else 0)
    for d in (2, (1, 3), 3):
        case("transposed", (1, 3, 5, 6), (3, 4, 3, 3), d=d, p=1)
        case("transposed", (2, 2, 4, 5), (2, 3, 2, 3), d=d, s=2, o=1, b=0)
    for k, s in ((2, 2), (3, 2), (4, 2), (5, 3), (1, 2), (2, 3), (3, 1), (4, (3, 1))):
        case("transposed", (1, 2, 4, 5), (2, 3, k, k), s=s, same=1)
    case("transposed", (1, 2, 4, 5), (2, 3, 3, 2), d=2, s=2, same=1)
    for g, c, o in ((2, 4, 3), (4, 16, 2), (2, 6, 1), (4, 4, 1), (16, 16, 1), (17, 17, 1), (3, 3, 2)):
        case("transposed", (1, c, 5, 6), (c, o, 3, 3), g=g, s=2, p=1, o=1)
        case("transposed", (2, c, 4, 3), (c, o, 2, 4), g=g, b=0, p=(0, 1, 2, 0))
    case("transposed", (1, 64, 5, 5), (64, 16, 4, 4), s=2, p=1)
    case("transposed", (1, 16, 9, 7), (16, 33, 3, 3), p=1)
    case("transposed", (5, 33, 3, 3), (33, 17, 2, 2), s=2, a="relu")
    case("transposed", (2, 16, 7, 7), (16, 1, 3, 3), s=2, p=1, o=1)
    case("transposed", (1, 17, 8, 9), (17, 16, 3, 3), p=1, a="silu")
    case("transposed", (2, 1, 1, 1), (1, 3, 3, 3))
    case("transposed", (2, 3, 3, 2), (3, 2, 2, 3), s=2, p=(1, 0, 0, 2), a="gelu")
    for i, k in enumerate(((1, 1, 1), (2, 2, 2), (3, 3, 3), (1, 3, 2), (4, 1, 3))):
        case("transposed", (1 + i % 2, 1 + i % 3, 3, 4, 3), (1 + i % 3, 2) + k, b=1 - i % 2, s=((1, 2, 3), 2, 1)[i % 3], p=i % 2 and tuple((n - 1) // 2 for n in k))
    case("transposed", (1, 4, 3, 3, 4), (4, 3, 3, 2, 3), g=2, s=2, p=1, o=(1, 0, 1))
    case("transposed", (1, 16, 3, 3, 3), (16, 4, 2, 2, 2), s=2)
    case("transposed", (1, 3, 3, 4, 3), (3, 1, 3, 3, 3), g=3, d=2, p=(0, 1, 2, 1, 3, 0))
    case("transposed", (1, 2, 2, 3, 3), (2, 2, 2, 3, 4), s=(2, 1, 3), same=1, a="gelu")


def mixed():
    """Options drawn by lot."""
    lot = random.Random(3)
    start = len(seen)
    while len(seen) < start + 60:
        axes, kind = lot.choice((1, 2, 2, 3)), lot.choice(("conv", "conv", "transposed"))
        g = lot.choice((1, 1, 1, 2, 3))
        c, o = g * lot.choice((1, 2, 5)), lot.choice((1, 2, 3))
        size = tuple(lot.randint(1, (15, 9, 6)[axes - 1]) for _ in range(axes))
        k = tuple(lot.randint(1, (7, 5, 3)[axes - 1]) for _ in range(axes))
        s, d = tuple(lot.randint(1, 3) for _ in k), tuple(lot.randint(1, 3 if n < 4 else 1) for n in k)
        p = tuple(lot.randint(0, 2) for _ in range(2 * axes))
        same = lot.random() < 0.2
        op = tuple(lot.randint(0, n - 1) for n in s) if kind == "transposed" and not same and lot.random() < 0.5 else 0
        case(kind, (lot.randint(1, 3), c) + size, (g * o, c // g) + k if kind == "conv" else (c, o) + k, b=lot.randint(0, 1), s=s, p=0 if same else p, d=d, g=g, o=op,
             same=int(same), a=lot.choice(("", "", "", "relu", "gelu", "silu")))


def main():
    for part in (conv_1d, conv_2d, conv_3d, transposed, mixed):
        part()
    path = os.path.join(HERE, "golden_conv.txt")
    with open(path, "w", newline="\n") as f:
        f.write("\n".join(lines) + "\n")
    print("%d cases, %d bytes" % (len(seen), os.path.getsize(path)))


if __name__ == "__main__":
    main()
