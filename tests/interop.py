"""Files that PyTorch wrote are read by nn.h, and the other way round. Needs torch, safetensors, and a C compiler ($CC or cc).

Run by hand, with flags for the compiler if any: `make test` does without Python.
"""
import os
import subprocess
import sys

import numpy as np
import torch
from safetensors.torch import load_file, save_file

import golden_nets

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BUILD = os.path.join(ROOT, "build")

passed = failed = 0


def check(ok, what):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print("%s %s" % ("ok  " if ok else "FAIL", what))
    return ok


def mlp():
    net = torch.nn.Sequential()
    net.add_module("fc1", torch.nn.Linear(10, 32))
    net.add_module("norm", torch.nn.LayerNorm(32))
    net.add_module("relu", torch.nn.ReLU())
    net.add_module("fc2", torch.nn.Linear(32, 4))
    return net


NETS = {"mlp": (mlp, (7, 10)), **golden_nets.NETS}


def net_of(name):
    net = NETS[name][0]()
    with torch.no_grad():  # not the ones and zeros that norms start with
        for n, t in net.state_dict().items():
            if "norm" in n or "bn" in n or "downsample.1" in n:
                if n.endswith("bias") or n.endswith("mean"):
                    t.uniform_(-0.5, 0.5)
                elif t.is_floating_point():
                    t.uniform_(0.5, 1.5)
    return net


def bits(t):
    return t.detach().contiguous().numpy().tobytes()


def exchange(program, kind, name, dtype):
    what = kind + ", " + name
    theirs, text, ours = (os.path.join(BUILD, "interop_" + kind + "_" + name + end)
                          for end in (".safetensors", ".txt", "_saved.safetensors"))
    for path in (theirs, text, ours):
        if os.path.exists(path):
            os.remove(path)
    shape = NETS[kind][1]
    i = np.arange(int(np.prod(shape)), dtype=np.float64)
    u = 0.5 + (i + 1) * 0.6180339887498949 + 0.13
    x = torch.from_numpy((-2 + 4 * (u - np.floor(u))).astype(np.float32).reshape(shape))
    net = net_of(kind)
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in net.state_dict().items()}
    net.load_state_dict(state)  # the values that are in the file, as f32
    before = {k: bits(v) for k, v in net.state_dict().items()}
    save_file(state, theirs)

    if not check(subprocess.run([program, kind, theirs, text, ours]).returncode == 0, what + ": nn.h loads, predicts and saves"):
        return
    net.double()
    with torch.no_grad():
        want = torch.stack([net.eval()(x.double()), net.train()(x.double())]).numpy()
    got = np.loadtxt(text).reshape(want.shape)
    for mode, a, b in zip(("evaluation", "training"), got, want):
        off = np.abs(a - b).max() / np.abs(b).max()
        check(off <= 1e-5, what + ": outputs in %s differ by %.2g of the largest, 1e-5 allowed" % (mode, off))

    saved = load_file(ours)
    other = net_of(kind)
    try:
        other.load_state_dict(saved, strict=True)
        check(True, what + ": nn.h's file loads into PyTorch, names and shapes as expected")
    except RuntimeError as e:
        check(False, what + ": nn.h's file does not load into PyTorch: %s" % e)
        return
    check(all(v.dtype == torch.float32 for v in saved.values()), what + ": nn.h saves f32")
    names = [k for k, _ in net.named_parameters()]
    same = [k for k in names if before[k] == bits(other.state_dict()[k])]
    check(len(same) == len(names), what + ": %d of %d parameters equal bit for bit" % (len(same), len(names)))
    moved = [(k, v) for k, v in net.state_dict().items() if k.endswith("running_mean") or k.endswith("running_var")]
    if moved:
        off = max(float((v - saved[k]).abs().max() / v.abs().max()) for k, v in moved)
        check(off <= 1e-5, what + ": running statistics differ by %.2g of the largest, 1e-5 allowed" % off)


def main():
    program = os.path.join(BUILD, "interop")
    os.makedirs(BUILD, exist_ok=True)
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-I" + ROOT, os.path.join(HERE, "interop.c"), "-o", program,
                    "-lm", "-lpthread"] + sys.argv[1:], check=True)
    torch.manual_seed(1)
    for kind in NETS:
        for name, dtype in (("f32", torch.float32), ("f16", torch.float16), ("bf16", torch.bfloat16), ("f64", torch.float64)):
            exchange(program, kind, name, dtype)
    print("interop: %d passed, %d failed" % (passed, failed))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
