"""Draws examples/digits.svg: held-out digits with what the network saved by `make demo` says of each. Needs numpy and safetensors."""
import numpy as np
from safetensors.numpy import load_file

rows = np.loadtxt("examples/data/digits.csv", delimiter=",")
x, y = rows[:, :64] / 16, rows[:, 64].astype(int)
seen, held = {}, []
for i, k in enumerate(y):  # every fifth of each class, as nn_data_split takes them
    j = seen.get(k, 0)
    seen[k] = j + 1
    if np.floor((j + 1) * 0.2 + 1e-9) > np.floor(j * 0.2 + 1e-9):
        held.append(i)
w = load_file("build/digits.safetensors")
h = x[held]
for name, relu in (("fc1", 1), ("fc2", 1), ("fc3", 0)):
    h = h @ w[name + ".weight"].T + w[name + ".bias"]
    h = np.maximum(h, 0) if relu else h
p = np.exp(h - h.max(1, keepdims=True))
p /= p.sum(1, keepdims=True)
guess = p.argmax(1)
wrong = [i for i in range(len(held)) if guess[i] != y[held[i]]][:2]
right = [i for i in range(len(held)) if guess[i] == y[held[i]]][:16]
shown = right[:5] + wrong[:1] + right[5:12] + wrong[1:2] + right[12:14]
S, P, out = 7, 84, []
for n, i in enumerate(shown):
    ox, oy = 14 + n % 8 * P, 12 + n // 8 * 106
    out.append(f'<rect x="{ox}" y="{oy}" width="{8*S}" height="{8*S}" fill="#0b1021"/>')
    for k, v in enumerate(x[held[i]]):
        if v > 0:
            out.append(f'<rect x="{ox + k % 8 * S}" y="{oy + k // 8 * S}" width="{S}" height="{S}" fill="#f5f7ff" fill-opacity="{v:.2f}"/>')
    ok = guess[i] == y[held[i]]
    text = f"{guess[i]}" if ok else f"{guess[i]} (is {y[held[i]]})"
    out.append(f'<text x="{ox + 4*S}" y="{oy + 8*S + 17}" text-anchor="middle" font-family="monospace" font-size="15" fill="{"#1a7f37" if ok else "#cf222e"}">{text}</text>')
    out.append(f'<text x="{ox + 4*S}" y="{oy + 8*S + 31}" text-anchor="middle" font-family="monospace" font-size="10" fill="#57606a">{100 * p[i].max():.0f} %</text>')
accuracy = 100 * np.mean(guess == y[held])
open("examples/digits.svg", "w").write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{8*P+8}" height="222" viewBox="0 0 {8*P+8} 222">\n<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(out) + "\n</svg>\n")
print(f"{len(held)} held-out digits, accuracy {accuracy:.2f} %")
