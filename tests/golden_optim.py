"""Makes tests/golden_optim.txt: what PyTorch's optimisers, schedules, averages and layers compute, for tests/test_optim.c.

Needs torch (2.9 or later, for Muon) and numpy. The file is in the repository, so this only needs to run when a case is added.

Both sides make their inputs from one formula (see `formula`). Everything is computed in float64. The options are numbers
that floats hold exactly, so that the other side's f64 models can be compared closely; its f32 models are compared with the
same values. Lion, which PyTorch does not have, and Muon, which it computes in bfloat16, are written out in NumPy.

One tensor a line: name ndim sizes... values...
"""
import math
import os
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch.optim import lr_scheduler as L
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

HERE = os.path.dirname(os.path.abspath(__file__))
O = torch.optim
STEPS = 50   # of every optimiser
RATES = 60   # of every schedule
DY = 9       # the k of every upstream gradient

torch.set_default_dtype(torch.float64)  # also of what optimisers count in
warnings.simplefilter("ignore")         # the schedules' own
lines = []


# ---- the formula, and the file -------------------------------------------------------------------------

def formula(shape, low, high, k):
    """Element i (counted row by row) of sample k."""
    i = np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.float64)
    u = 0.5 + (i + 1) * 0.6180339887498949 + 0.13 * k
    return (low + (high - low) * (u - np.floor(u))).reshape(shape)


def whole(shape, high, k):
    return np.floor(formula(shape, 0.0, float(high), k)).astype(np.int64)


def real(shape, low, high, k):
    return torch.from_numpy(formula(shape, low, high, k))


def write(name, array, digits=14):
    if torch.is_tensor(array):
        array = array.detach().double().numpy()
    array = np.asarray(array, dtype=np.float64)
    lines.append(" ".join([name, str(array.ndim)] + [str(n) for n in array.shape] + ["%.*g" % (digits, v) for v in array.ravel()]))


# ---- optimisers: two layers with tanh, always the same batch -------------------------------------------

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = torch.nn.Linear(4, 6)
        self.out = torch.nn.Linear(6, 3)
        with torch.no_grad():
            for j, p in enumerate(self.parameters()):
                p.copy_(real(p.shape, -0.75, 0.75, 3 + j))

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x)))


def batch():
    return real((12, 4), -2.0, 2.0, 1), real((12, 3), -1.0, 1.0, 2)


def newton_schulz(g, eps=1e-7):
    """Keller Jordan's iteration with PyTorch's coefficients, without its bfloat16."""
    x = g.T if g.shape[0] > g.shape[1] else g
    x = x / max(np.sqrt(np.sum(x * x)), eps)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
    return x.T if g.shape[0] > g.shape[1] else x


class Muon64(O.Optimizer):
    """torch.optim.Muon as of 2.15 in float64; what is not a matrix goes by AdamW."""

    def __init__(self, params, lr, momentum=0.95, weight_decay=0.1, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))
        rest = [p for g in self.param_groups for p in g["params"] if p.ndim != 2]
        self.rest = O.AdamW(rest, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay) if rest else None

    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    continue
                g, mom = p.grad.numpy(), group["momentum"]
                buf = self.state[p].setdefault("buf", np.zeros_like(g))
                buf += (1 - mom) * (g - buf)
                update = newton_schulz(g + mom * (buf - g))
                w = p.detach().numpy()
                w *= 1 - group["lr"] * group["weight_decay"]
                w -= group["lr"] * math.sqrt(max(1, g.shape[0] / g.shape[1])) * update
        if self.rest:
            self.rest.step()


class Several:
    def __init__(self, optimisers):
        self.optimisers = optimisers

    def step(self):
        for o in self.optimisers:
            o.step()


def muon_torch(params, lr, momentum, weight_decay, betas, eps):
    """torch.optim.Muon itself for the matrices, AdamW for the rest."""
    params = list(params)
    return Several([O.Muon([p for p in params if p.ndim == 2], lr=lr, momentum=momentum, weight_decay=weight_decay),
                    O.AdamW([p for p in params if p.ndim != 2], lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)])


class Lion(O.Optimizer):
    """Algorithm 2 of Chen et al. 2023, Symbolic Discovery of Optimization Algorithms."""
    nearest = math.inf  # how near the number whose sign counts came to 0, beside the largest

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                g, w = p.grad.numpy(), p.detach().numpy()
                m = self.state[p].setdefault("m", np.zeros_like(g))
                c = b1 * m + (1 - b1) * g
                Lion.nearest = min(Lion.nearest, np.abs(c).min() / np.abs(c).max())
                w -= group["lr"] * (np.sign(c) + group["weight_decay"] * w)
                m *= b2
                m += (1 - b2) * g


MOM, DAMP, DECAY, EPS = 0.875, 0.25, 0.0625, 2.0 ** -20
BETAS = (0.875, 0.96875)
ADAM = dict(lr=2.0 ** -6, betas=BETAS, eps=EPS)
RMS = dict(lr=2.0 ** -7, alpha=BETAS[1], eps=EPS)
MUON = dict(lr=2.0 ** -6, momentum=MOM, betas=BETAS, eps=EPS)
KINDS = {
    "sgd": lambda p: O.SGD(p, lr=0.125),
    "sgd_decay": lambda p: O.SGD(p, lr=0.125, weight_decay=DECAY),
    "sgd_momentum": lambda p: O.SGD(p, lr=0.125, momentum=MOM),
    "sgd_dampening": lambda p: O.SGD(p, lr=0.125, momentum=MOM, dampening=DAMP),
    "sgd_nesterov": lambda p: O.SGD(p, lr=0.125, momentum=MOM, nesterov=True),
    "sgd_momentum_decay": lambda p: O.SGD(p, lr=0.125, momentum=MOM, weight_decay=DECAY),
    "sgd_dampening_decay": lambda p: O.SGD(p, lr=0.125, momentum=MOM, dampening=DAMP, weight_decay=DECAY),
    "sgd_nesterov_decay": lambda p: O.SGD(p, lr=0.125, momentum=MOM, nesterov=True, weight_decay=DECAY),
    "adam": lambda p: O.Adam(p, **ADAM),
    "adam_decay": lambda p: O.Adam(p, weight_decay=DECAY, **ADAM),
    "adamw": lambda p: O.AdamW(p, weight_decay=0, **ADAM),
    "adamw_decay": lambda p: O.AdamW(p, weight_decay=DECAY, **ADAM),
    "amsgrad": lambda p: O.Adam(p, amsgrad=True, **ADAM),
    "amsgrad_decay": lambda p: O.Adam(p, amsgrad=True, weight_decay=DECAY, **ADAM),
    "nadam": lambda p: O.NAdam(p, **ADAM),
    "nadam_decay": lambda p: O.NAdam(p, weight_decay=DECAY, **ADAM),
    "adamax": lambda p: O.Adamax(p, **ADAM),
    "adamax_decay": lambda p: O.Adamax(p, weight_decay=DECAY, **ADAM),
    "rmsprop": lambda p: O.RMSprop(p, **RMS),
    "rmsprop_momentum": lambda p: O.RMSprop(p, momentum=MOM, **RMS),
    "rmsprop_centred": lambda p: O.RMSprop(p, centered=True, **RMS),
    "rmsprop_centred_momentum_decay": lambda p: O.RMSprop(p, centered=True, momentum=MOM, weight_decay=DECAY, **RMS),
    "adagrad": lambda p: O.Adagrad(p, lr=0.125, eps=EPS),
    "adagrad_decay": lambda p: O.Adagrad(p, lr=0.125, eps=EPS, weight_decay=DECAY),
    "adadelta": lambda p: O.Adadelta(p, lr=1.0, rho=BETAS[1], eps=EPS),
    "adadelta_decay": lambda p: O.Adadelta(p, lr=1.0, rho=BETAS[1], eps=EPS, weight_decay=DECAY),
    "lion": lambda p: Lion(p, lr=2.0 ** -8, betas=BETAS),
    "lion_decay": lambda p: Lion(p, lr=2.0 ** -8, betas=BETAS, weight_decay=DECAY),
    "muon": lambda p: Muon64(p, weight_decay=0, **MUON),
    "muon_decay": lambda p: Muon64(p, weight_decay=DECAY, **MUON),
}
DEFAULTS = {  # nothing given
    "sgd": lambda p: O.SGD(p, lr=0.01), "adam": O.Adam, "adamw": O.AdamW, "amsgrad": lambda p: O.Adam(p, amsgrad=True), "nadam": O.NAdam,
    "adamax": O.Adamax, "rmsprop": O.RMSprop, "adagrad": O.Adagrad, "adadelta": O.Adadelta, "lion": Lion, "muon": lambda p: Muon64(p, lr=1e-3),
}


def parameters_of(net):
    """All of them end to end, in the order of their names in the state dict."""
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def train(make, after=None, steps=STEPS, net=None, before=None):
    """The loss before and the parameters after each step; before(net, s) may change gradients."""
    net = net or Net()
    x, y = batch()
    o = make(net)
    losses, states = [], []
    for s in range(steps):
        for p in net.parameters():
            p.grad = None
        loss = F.mse_loss(net(x.to(net.out.weight.dtype)), y.to(net.out.weight.dtype))
        loss.backward()
        if before:
            before(net, s)
        o.step()
        losses.append(loss.item())
        states.append(parameters_of(net))
        if after:
            after(net, o, s)
    return losses, states


def write_run(name, losses, states, digits=14):
    write(name + ".loss", losses, digits)
    write(name + ".states", torch.stack([states[s] for s in (0, 1, STEPS - 1)]), digits)


def optimisers():
    for name, make in KINDS.items():
        losses, states = train(lambda net: make(net.parameters()))
        write_run(name, losses, states)
        print("%-32s loss %.6f -> %.6f, moved %.3f" % (name, losses[0], losses[-1], (states[-1] - parameters_of(Net())).abs().max()))
    for name, make in DEFAULTS.items():
        losses, states = train(lambda net: make(net.parameters()))
        write("default_%s.end" % name, states[-1], 9)
        print("%-32s loss %.6f -> %.6f, moved %.3f" % ("default " + name, losses[0], losses[-1], (states[-1] - parameters_of(Net())).abs().max()))
    assert Lion.nearest > 1e-5, Lion.nearest  # else rounding could turn a sign
    for name, decay in (("muon", 0.0), ("muon_decay", DECAY)):  # in f32 as PyTorch does it
        net = Net().float()
        losses, states = train(lambda n: muon_torch(n.parameters(), weight_decay=decay, **MUON), net=net)
        write_run("torch_" + name, losses, states, 9)


# ---- groups, frozen parameters, clipping, averages -----------------------------------------------------

def groups():
    def make(net):
        weights = [p for n, p in net.named_parameters() if n.endswith("weight")]
        biases = [p for n, p in net.named_parameters() if n.endswith("bias")]
        o = O.AdamW([dict(params=weights), dict(params=biases, lr=ADAM["lr"] * 2, weight_decay=0)], weight_decay=DECAY, **ADAM)
        make.schedule = L.ExponentialLR(o, 0.96875)
        return o
    losses, states = train(make, after=lambda net, o, s: make.schedule.step())
    write_run("groups", losses, states)

    # the hidden layer with half the rate and more decay, the output's bias without decay
    def two(net):
        return O.SGD([dict(params=[net.hidden.weight, net.hidden.bias], lr=0.0625, weight_decay=0.25),
                      dict(params=[net.out.weight]), dict(params=[net.out.bias], weight_decay=0)], lr=0.125, momentum=MOM, weight_decay=DECAY)
    losses, states = train(two)
    write_run("groups_sgd", losses, states)

    def muon(net):
        half = dict(MUON, lr=MUON["lr"] / 2)
        return Several([Muon64([net.hidden.weight, net.hidden.bias], weight_decay=0.25, **half), Muon64([net.out.weight], weight_decay=DECAY, **MUON),
                        Muon64([net.out.bias], weight_decay=0, **MUON)])
    losses, states = train(muon)
    write_run("groups_muon", losses, states)


def freezing():
    """The hidden layer rests for the first 20 steps, the output's bias from then on."""
    def before(net, s):
        for n, p in net.named_parameters():
            if (s < 20 and n.startswith("hidden.")) or (s >= 20 and n == "out.bias"):
                p.grad = None
    losses, states = train(lambda net: O.Adam(net.parameters(), **ADAM), before=before)
    write_run("freezing", losses, states)
    for name, average in (("ema", dict(multi_avg_fn=get_ema_multi_avg_fn(0.875))), ("swa", {})):
        net = Net()
        averaged = AveragedModel(net, **average)
        kept = []

        def after(net, o, s):
            averaged.update_parameters(net)
            kept.append(parameters_of(averaged.module))
        train(lambda n: O.Adam(n.parameters(), **ADAM), before=before, after=after, net=net)
        write("%s.freezing.states" % name, torch.stack([kept[s] for s in (10, 22, STEPS - 1)]))


def clipping():
    seen = []

    def value(net, s):
        seen.append(max(p.grad.abs().max().item() for p in net.parameters()))
        torch.nn.utils.clip_grad_value_(net.parameters(), 0.0625)

    def layers(net, s):
        seen.append(max(p.grad.norm().item() for p in net.parameters()))
        for p in net.parameters():
            torch.nn.utils.clip_grad_norm_([p], 0.125)

    def norm(net, s):
        seen.append(torch.nn.utils.clip_grad_norm_(net.parameters(), 0.25).item())
    for name, clip in (("clip_value", value), ("clip_layers", layers), ("clip_norm", norm)):
        seen.clear()
        losses, states = train(lambda net: O.SGD(net.parameters(), lr=0.125, momentum=MOM), before=clip)
        write_run(name, losses, states)
        write(name + ".seen", seen)


def averages():
    for name, first, every, average in (("ema", 0, 1, dict(multi_avg_fn=get_ema_multi_avg_fn(0.875))), ("swa", 0, 1, {}),
                                        ("swa_late", 20, 3, {}), ("ema_late", 7, 2, dict(multi_avg_fn=get_ema_multi_avg_fn(0.75)))):
        for kind in ("sgd_momentum", "adamw_decay"):
            net = Net()
            averaged = AveragedModel(net, **average)
            kept = []

            def after(net, o, s):
                if s >= first and (s - first) % every == 0:
                    averaged.update_parameters(net)
                kept.append(parameters_of(averaged.module))
            train(lambda n: KINDS[kind](n.parameters()), after=after, net=net)
            write("%s.%s.states" % (name, kind), torch.stack([kept[s] for s in (first, first + 4, STEPS - 1)]))


# ---- schedules -----------------------------------------------------------------------------------------

def rates(name, lr, make, steps=RATES, digits=16):
    o = O.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    s = make(o)
    values = []
    for _ in range(steps):
        values.append(o.param_groups[0]["lr"])
        o.step()
        if len(values) < steps:
            s.step()
    write("lr_" + name, values, digits)


def schedules():
    rates("step", 0.5, lambda o: L.StepLR(o, 7, 0.75))
    rates("multistep", 0.5, lambda o: L.MultiStepLR(o, [3, 10, 11, 40], 0.25))
    rates("exponential", 0.5, lambda o: L.ExponentialLR(o, 0.96875))
    rates("polynomial", 0.5, lambda o: L.PolynomialLR(o, 45, 2.5))
    rates("polynomial_1", 0.5, lambda o: L.PolynomialLR(o, 45, 1.0))
    rates("linear", 0.5, lambda o: L.LinearLR(o, 1.0, 0.125, 40))
    rates("linear_up", 1.0, lambda o: L.LinearLR(o, 0.125, 0.75, 40))
    rates("one_cycle", 0.02, lambda o: L.OneCycleLR(o, 0.5, total_steps=60, pct_start=0.25, div_factor=25, final_div_factor=1e4, cycle_momentum=False))
    rates("one_cycle_odd", 0.02, lambda o: L.OneCycleLR(o, 0.5, total_steps=37, pct_start=0.375, cycle_momentum=False), 37)
    rates("one_cycle_default", 0.02, lambda o: L.OneCycleLR(o, 0.5, total_steps=60, cycle_momentum=False))
    rates("restarts", 0.5, lambda o: L.CosineAnnealingWarmRestarts(o, 10, 2, 0.0625))
    rates("restarts_1", 0.5, lambda o: L.CosineAnnealingWarmRestarts(o, 13, 1, 0.0))
    rates("cosine", 0.5, lambda o: L.CosineAnnealingLR(o, 59, 0.0625))
    rates("warm_cosine", 0.5, lambda o: L.SequentialLR(o, [L.LinearLR(o, 0.125, 1.0, 7), L.CosineAnnealingLR(o, 52, 0.0625)], [7]))
    rates("then", 0.5, lambda o: L.SequentialLR(o, [L.StepLR(o, 5, 0.75), L.ExponentialLR(o, 0.875)], [22]))
    rates("then_then", 0.5, lambda o: L.SequentialLR(o, [L.LinearLR(o, 0.25, 1.0, 8), L.MultiStepLR(o, [5, 9], 0.5), L.PolynomialLR(o, 20, 2.0)], [8, 30]))
    rates("times", 0.5, lambda o: L.ChainedScheduler([L.LinearLR(o, 0.125, 1.0, 10), L.ExponentialLR(o, 0.96875)]))
    rates("times_step", 0.5, lambda o: L.ChainedScheduler([L.StepLR(o, 11, 0.5), L.MultiStepLR(o, [4, 30], 0.25)]))
    # what PyTorch has no schedule for, as formulas
    rates("inverse_time", 1.0, lambda o: L.LambdaLR(o, lambda s: 0.5 / (1 + 0.75 * s / 8)))
    rates("piecewise", 1.0, lambda o: L.LambdaLR(o, lambda s: 0.5 if s < 4 else 0.25 if s < 20 else 0.0625))
    rates("polynomial_last", 1.0, lambda o: L.LambdaLR(o, lambda s: 0.0625 + (0.5 - 0.0625) * (1 - min(s, 45) / 45) ** 2))
    for name, factor, patience, least in (("plateau", 0.5, 3, 0.0), ("plateau_least", 0.25, 0, 0.01171875)):
        o = O.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
        s = L.ReduceLROnPlateau(o, factor=factor, patience=patience, min_lr=least)
        metric, values = plateau_metric(), []
        for v in metric:
            s.step(v)
            values.append(o.param_groups[0]["lr"])
        write("lr_" + name, values, 16)


def plateau_metric():
    """Falls in steps of 1/8 with stretches where it stays or rises."""
    return [2.0 - 0.125 * (i // 6) + (0.0625 if i % 4 == 1 else 0.0) for i in range(40)] + [1.5] * 20


# ---- layers --------------------------------------------------------------------------------------------

def fill(module, low=-1.0, high=1.0):
    """Parameters in the order of the state dict, k = 3, 4, ...; buffers stay."""
    with torch.no_grad():
        for j, p in enumerate(module.parameters()):
            p.copy_(real(p.shape, low, high, 3 + j))
    return module


def layer(name, module, *inputs):
    """y and the gradients of the inputs that are real, then of the parameters."""
    xs = [x.requires_grad_() if x.is_floating_point() else x for x in inputs]
    y = module(*xs)
    y.backward(real(y.shape, -1.0, 1.0, DY))
    write(name + ".y", y)
    for j, x in enumerate(x for x in xs if x.is_floating_point()):
        write("%s.dx%d" % (name, j), x.grad)
    for n, p in module.named_parameters():
        write("%s.d.%s" % (name, n), p.grad)


def layers():
    nn = torch.nn
    layer("embedding", fill(nn.Embedding(7, 5)), torch.from_numpy(whole((3, 4), 7, 1)))
    layer("rmsnorm", fill(nn.RMSNorm(6, eps=1e-6), 0.5, 1.5), real((2, 3, 6), -2.0, 2.0, 1))
    layer("groupnorm", fill(nn.GroupNorm(3, 6)), real((2, 6, 5), -2.0, 2.0, 1))
    layer("groupnorm_2d", fill(nn.GroupNorm(2, 4)), real((2, 4, 3, 2), -2.0, 2.0, 1))
    layer("instancenorm", fill(nn.InstanceNorm1d(4, affine=True)), real((2, 4, 5), -2.0, 2.0, 1))
    layer("instancenorm_2d", fill(nn.InstanceNorm2d(3, affine=True)), real((2, 3, 3, 2), -2.0, 2.0, 1))
    layer("bilinear", fill(nn.Bilinear(4, 5, 3)), real((6, 4), -2.0, 2.0, 1), real((6, 5), -2.0, 2.0, 2))
    layer("bilinear_3d", fill(nn.Bilinear(4, 5, 3)), real((2, 3, 4), -2.0, 2.0, 1), real((2, 3, 5), -2.0, 2.0, 2))
    for name, module, shape in (("batchnorm", nn.BatchNorm1d(4), (6, 4)), ("batchnorm_1d", nn.BatchNorm1d(3), (4, 3, 5)),
                                ("batchnorm_2d", nn.BatchNorm2d(3), (2, 3, 2, 4)), ("batchnorm_3d", nn.BatchNorm3d(3), (2, 3, 2, 1, 4))):
        fill(module, 0.5, 1.5)
        layer(name, module, real(shape, -2.0, 2.0, 1))
        for k in (5, 6):
            write("%s.y%d" % (name, k), module(real(shape, -3.0, 1.0, k)))
        write(name + ".running_mean", module.running_mean)
        write(name + ".running_var", module.running_var)
        module.eval()
        module.zero_grad()
        layer(name + "_eval", module, real(shape, -2.0, 2.0, 7))
    # in the order of the state dict: bias, weight_g, weight_v
    normed = nn.utils.weight_norm(nn.Linear(5, 4))
    with torch.no_grad():
        normed.weight_g.copy_(real((4, 1), 0.5, 1.5, 3))
        normed.weight_v.copy_(real((4, 5), -1.0, 1.0, 4))
        normed.bias.copy_(real((4,), -1.0, 1.0, 5))
    layer("weight_norm", normed, real((3, 5), -2.0, 2.0, 1))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            return x + torch.tanh(self.fc(x))
    layer("sequential", fill(nn.Sequential(nn.Linear(5, 4), nn.Tanh(), Block(), nn.Linear(4, 2))), real((3, 5), -2.0, 2.0, 1))

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(7, 5)

        def forward(self, ids):
            return F.linear(torch.tanh(self.embed(ids)), self.embed.weight)
    layer("tied", fill(Tied()), torch.from_numpy(whole((3, 4), 7, 1)))


def main():
    optimisers()
    groups()
    freezing()
    clipping()
    averages()
    schedules()
    layers()
    path = os.path.join(HERE, "golden_optim.txt")
    with open(path, "w") as f:
        f.write("\n".join(lines) + "\n")
    print("golden_optim.txt: %d lines, %d bytes" % (len(lines), os.path.getsize(path)))


if __name__ == "__main__":
    main()
