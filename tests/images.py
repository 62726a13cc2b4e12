"""Pictures that Pillow wrote are read by nn.h, and the PNG files that nn.h makes of them are read by Pillow, pixel for pixel.

Needs Pillow, NumPy and a C compiler ($CC or cc). Run by hand; `make test` does without Python.
"""
import os
import subprocess
import sys

import numpy as np
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BUILD = os.path.join(ROOT, "build")

passed = failed = 0


def check(ok, what):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print("FAIL %s" % what)


def pictures(rng, h, w):
    y, x = np.mgrid[0:h, 0:w]
    yield "noise", rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
    yield "slopes", np.stack([y * 3 + x, y + x * 2, (y * x) // 8], -1).astype(np.uint8)
    yield "flat", np.full((h, w, 3), 77, np.uint8)


def main():
    program = os.path.join(BUILD, "images_py")
    source, made = os.path.join(BUILD, "images_py_in"), os.path.join(BUILD, "images_py_out.png")
    os.makedirs(BUILD, exist_ok=True)
    subprocess.run([os.environ.get("CC", "cc"), "-O1", "-DNN_NO_SIMD", "-I" + ROOT, os.path.join(HERE, "test_images.c"),
                    "-o", program, "-lm", "-lpthread"], check=True)

    def through(path, want, what):  # read by nn.h, written as PNG
        done = subprocess.run([program, path, made], capture_output=True, text=True)
        if done.returncode:
            return check(False, what + ": " + done.stderr)
        with Image.open(made) as image:
            image.load()
            got = np.asarray(image)
        check(got.shape == want.shape and (got == want).all(), what)

    rng = np.random.default_rng(1)
    for h, w in ((1, 1), (3, 5), (31, 33), (64, 17), (200, 300)):
        for name, rgb in pictures(rng, h, w):
            image = Image.fromarray(rgb)
            for mode in ("1", "L", "P", "RGB"):
                there = image.convert(mode)
                for end in (".bmp", ".ppm" if mode == "RGB" else ".pgm"):
                    if end == ".pgm" and mode in "1P":
                        continue
                    path = source + end
                    there.save(path)
                    want = np.asarray(there.convert("RGB")) if end == ".bmp" else np.asarray(there)
                    through(path, want, "%s %s%s %dx%d" % (name, mode, end, h, w))
                    os.remove(path)
            path = source + ".bmp"  # 32 bits: the fourth is left out
            image.convert("RGBA").save(path)
            through(path, rgb, "%s RGBA.bmp %dx%d" % (name, h, w))
            os.remove(path)
            wide = rng.integers(0, 65536, (h, w), dtype=np.uint16)
            path = source + ".pgm"
            with open(path, "wb") as f:
                f.write(b"P5\n%d %d\n65535\n" % (w, h) + wide.astype(">u2").tobytes())
            through(path, ((wide.astype(np.int64) * 255 + 32767) // 65535).astype(np.uint8), "%s 16 bits %dx%d" % (name, h, w))
            os.remove(path)
    for path in (made, program):
        os.remove(path)
    print("images.py: %d passed, %d failed" % (passed, failed))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
