"""Makes tests/golden_nets.txt: what PyTorch computes of the networks of tests/nets.h, for tests/test_nets.c to compare with.

Needs torch and numpy. Parameters, buffers and inputs are made by formula on both sides, the parameters' by their names. A network predicts,
makes two steps of SGD on one batch and predicts again, all in float64. The values stand as golden_conv.py writes them:

    NET eval|train|loss1|grad:NAME|loss2|state:NAME|after SHAPE VALUES...
"""
import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import golden_conv
from golden_conv import formula, tensor, write

HERE = os.path.dirname(os.path.abspath(__file__))
LR, MOMENTUM = 0.0625, 0.875  # that float32 holds


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.avg_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))


class Block(nn.Module):
    def __init__(self, before, out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.downsample = nn.Sequential(nn.Conv2d(before, out, 1, stride, bias=False), nn.BatchNorm2d(out)) if stride > 1 else nn.Identity()

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.downsample(x))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
        self.layer1, self.layer2, self.layer3 = (nn.Sequential(Block(*a)) for a in ((8, 8, 1), (8, 16, 2), (16, 32, 2)))
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.fc(x.mean((2, 3)))


NETS = {"lenet": (LeNet, (4, 1, 28, 28)), "resnet": (ResNet, (4, 3, 16, 16))}


def number_of(name):
    """FNV-1a."""
    h = 2166136261
    for c in name.encode():
        h = (h ^ c) * 16777619 & 0xFFFFFFFF
    return h


def filled(net):
    """Gives the network values by name, that float32 holds."""
    with torch.no_grad():
        for name, t in net.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            v = formula(t.numel(), number_of(name)).reshape(t.shape)
            if t.dim() > 1:
                v = v * np.sqrt(6.0 / (t.numel() // t.shape[0]))
            elif name.endswith("bias") or name.endswith("running_mean"):
                v = v * 0.125
            else:
                v = 1 + v * 0.25
            t.copy_(torch.from_numpy(v.astype(np.float32).astype(np.float64)))
    return net


def inputs(shape):
    return tensor(shape, 1, 0), torch.arange(shape[0]) * 7 % 10


def main():
    for name, (make, shape) in NETS.items():
        net = filled(make().double())
        x, labels = inputs(shape)
        optim = torch.optim.SGD(net.parameters(), LR, MOMENTUM)
        put = lambda what, t: write(name + " " + what, t)
        put("eval", net.eval()(x))
        net.train()
        for step in (1, 2):
            y = net(x)
            loss = F.cross_entropy(y, labels)
            optim.zero_grad()
            loss.backward()
            if step == 1:
                put("train", y)
            put("loss%d" % step, loss)
            if step == 1:
                for n, p in net.named_parameters():
                    put("grad:" + n, p.grad)
            optim.step()
        for n, t in net.state_dict().items():
            if not n.endswith("num_batches_tracked"):
                put("state:" + n, t)
        put("after", net.eval()(x))
    path = os.path.join(HERE, "golden_nets.txt")
    with open(path, "w", newline="\n") as f:
        f.write("\n".join(golden_conv.lines) + "\n")
    print("%d values, %d bytes" % (len(golden_conv.lines), os.path.getsize(path)))


if __name__ == "__main__":
    main()
