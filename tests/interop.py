"""Files that PyTorch wrote are read by nn.h, and the other way round. Needs torch, safetensors, and a C compiler ($CC or cc).

Run by hand or by its make target; `make test` does without Python.
"""
import os
import subprocess
import sys

import numpy as np
import torch
from safetensors.torch import load_file, save_file

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
    with torch.no_grad():  # not the ones and zeros that a layer norm starts with
        net.norm.weight.uniform_(0.5, 1.5)
        net.norm.bias.uniform_(-0.5, 0.5)
    return net


def bits(t):
    return t.detach().contiguous().numpy().tobytes()


def main():
    program = os.path.join(BUILD, "interop")
    os.makedirs(BUILD, exist_ok=True)
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-I" + ROOT, os.path.join(HERE, "interop.c"), "-o", program,
                    "-lm", "-lpthread"], check=True)
    i = np.arange(70, dtype=np.float64)
    u = 0.5 + (i + 1) * 0.6180339887498949 + 0.13
    x = torch.from_numpy((-2 + 4 * (u - np.floor(u))).astype(np.float32).reshape(7, 10))

    torch.manual_seed(1)
    for name, dtype in (("f32", torch.float32), ("f16", torch.float16), ("bf16", torch.bfloat16), ("f64", torch.float64)):
        theirs, text, ours = (os.path.join(BUILD, "interop_" + name + end)
                              for end in (".safetensors", ".txt", "_saved.safetensors"))
        for path in (theirs, text, ours):
            if os.path.exists(path):
                os.remove(path)
        net = mlp()
        state = {k: v.to(dtype) for k, v in net.state_dict().items()}
        net.load_state_dict(state)  # the values that are in the file, as f32
        save_file(state, theirs)

        if not check(subprocess.run([program, theirs, text, ours]).returncode == 0, name + ": nn.h loads, predicts and saves"):
            continue
        with torch.no_grad():
            want = net.double()(x.double()).numpy()
        net.float()
        got = np.loadtxt(text).reshape(7, 4)
        off = np.abs(got - want).max() / np.abs(want).max()
        check(off <= 1e-5, name + ": outputs differ by %.2g of the largest, 1e-5 allowed" % off)

        saved = load_file(ours)
        other = mlp()
        try:
            other.load_state_dict(saved, strict=True)
            check(True, name + ": nn.h's file loads into PyTorch, names and shapes as expected")
        except RuntimeError as e:
            check(False, name + ": nn.h's file does not load into PyTorch: %s" % e)
            continue
        check(all(v.dtype == torch.float32 for v in saved.values()), name + ": nn.h saves f32")
        same = [k for k, v in net.state_dict().items() if bits(v) == bits(other.state_dict()[k])]
        check(len(same) == 6, name + ": %d of 6 tensors equal bit for bit" % len(same))

    print("interop: %d passed, %d failed" % (passed, failed))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
