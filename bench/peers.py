"""Runs every row of build/bench and the same work in PyTorch, ONNX Runtime, OpenBLAS and genann by turns, and writes bench/RESULTS.md.

    make bench-peers              three rounds, with one and with two threads
    make bench-peers PEERS=--quick           one short round
    make bench-peers PEERS="gemm_512 mlp"    only rows whose names contain one of these (=name: this one, @group: a group of bench.c); prints, but leaves RESULTS.md alone
    build/venv/bin/python bench/peers.py --right    prints what bench.c holds under >>right: marks of the results of layers and networks on grids

Needs Python 3 with venv, and PyPI for the first run: the peers are installed into build/venv. Each peer is a process of its own
that reads "row seconds" and answers with one line of JSON (bench --serve does the same), so that in each round each row is run by
one after the other, and a disturbance of the machine meets all alike. Of all rounds the minimum counts; the median is shown too.

Layers and networks on grids come from bench --grids, and their operands from a formula; so each peer's result can be held against
what is right, as bench does with ours. A peer whose result is wrong is not timed.

genann, a small C library that no registry has, is a peer if a folder with its genann.c and genann.h is named, by --genann or in
the environment as GENANN; bench/genann_rows.c, compiled with them into build/, runs it. Without a folder its goals say "no peer".
"""
import argparse, datetime, hashlib, json, math, os, platform, re, shlex, shutil, statistics, subprocess, sys, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BENCH, VENV = os.path.join(ROOT, "build/bench"), os.path.join(ROOT, "build/venv")

# What the rows of the main table are to reach, as (kind, value): "x" the best peer's time / ours; "ort" the same against ONNX Runtime;
# "genann" against genann built as we are; "share" of the limit; "us" microseconds at most; of a figure "least" and "most" its value.
# "torch" against PyTorch. Ratios hold with two threads.
GOALS = {}
def goal(names, *goals):
    for n in names.split(): GOALS.setdefault(n, []).extend(goals)
goal("gemm_32 gemm_64 gemm_128 gemm_256 gemm_512 gemm_1x768x3072 gemm_int8_1024", ("x", 1.0))
goal("gemm_1024 gemm_2048 gemm_4096x384x1536", ("x", .97))
goal("gemm_64x784x128 gemm_128x784x512 gemm_1000x500x200", ("x", 1.05))
goal("gemm_bf16_1024", ("x", 1.7))
goal("relu_16M add_16M exp_16M tanh_16M sum_16M layernorm_4096x1024 adamw_10x1024x1024", ("x", 1.0))
goal("sigmoid_16M", ("x", 1.3))
goal("relu_16M add_16M exp_16M tanh_16M sigmoid_16M gelu_tanh_16M sum_16M relu_1M sigmoid_1M tanh_1M exp_1M gelu_tanh_1M adamw_10x1024x1024", ("share", .8))
goal("gelu_16M gelu_1M dropout_16M dropout_1M", ("share", .6))
goal("create_1000x1000", ("x", 5))
goal("softmax_4096x1024", ("ort", 1.0))
goal("cross_entropy_4096x1024", ("x", 2))
goal("mlp_train_b128", ("x", 1.25))
goal("mlp_infer_b128", ("ort", 1.05))
goal("mlp_infer_b1", ("ort", 1.3))
goal("tiny_infer", ("us", .35))
goal("xor_train", ("x", 100))
goal("taped_op_4", ("us", .03))
goal("plan_mlp_train_b128", ("x", 1.3))
goal("plan_tiny_infer", ("genann", 4))
goal("plan_xor_train", ("genann", 1.0))
goal("plan_xor_gain", ("least", 3))
goal("plan_deep_infer_gain plan_deep_train_gain", ("least", 1.25))
goal("plan_res64_cut", ("least", 80))
goal("plan_res64_more", ("most", 40))
goal("plan_mlp_train_layout plan_res12_layout", ("most", 1.05))
goal("plan_mlp_train_overhead plan_deep_train_overhead plan_xor_train_overhead", ("most", 1.15))

goal("conv3x3_64_56_n8", ("x", 1.5))
goal("conv3x3_64_56_n8_exact", ("x", .92))
goal("conv3x3_64_56_n8_fwdbwd", ("x", 1.4))
goal("dwconv3x3_64_56_n8", ("ort", 1.2))
goal("maxpool2_64_56_n8", ("ort", 1.3))
goal("batchnorm2d_64_64_56", ("torch", 5))
goal("cnn_infer_b64", ("ort", 1.1))
goal("cnn_train_b64 cnn_train_b64_plan", ("torch", 2.0))
goal("resnet18_b1 resnet18_b8", ("x", 1.0))
SHAPES_GOAL = ("x", .8) # of every row of bench.c's group "shapes"
def goals_of(name, r): return GOALS.get(name, [SHAPES_GOAL] if r["row"]["group"] == "shapes" else [])

# ---- the peers' side: runs in build/venv ------------------------------------------------------------

def measure(run, seconds):
    """Median and minimum of one run, in seconds; as bench.c: short ones are repeated inside one measurement."""
    clock = time.perf_counter
    for _ in range(3): run()
    start = clock(); run(); once = clock() - start
    repeat = int(20e-6 / max(once, 1e-8)) + 1 if once < 20e-6 else 1
    times, end = [], clock() + seconds
    while clock() < end or len(times) < 5:
        start = clock()
        for _ in range(repeat): run()
        times.append((clock() - start) / repeat)
    return {"median": statistics.median(times), "min": min(times)}

def torch_rows(threads):
    """name -> (a function that makes the operands and returns what is to be timed)"""
    import torch, torch.nn as nn, torch.nn.functional as F
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    rows, aten = {}, torch.ops.aten
    def row(name):
        def put(make): rows[name] = make
        return put
    def product(m, k, n):
        def make():
            a, b, c = torch.randn(m, k), torch.randn(k, n), torch.empty(m, n)
            return lambda: torch.mm(a, b, out=c)
        return make
    for n in (32, 64, 128, 256, 512, 1024, 2048): rows[f"gemm_{n}"] = product(n, n, n)
    for m, k, n in ((64, 784, 128), (128, 784, 512), (1000, 500, 200), (1, 768, 3072), (4096, 384, 1536)): rows[f"gemm_{m}x{k}x{n}"] = product(m, k, n)
    @row("gemm_bf16_1024")
    def _():
        a, b = torch.randn(1024, 1024).bfloat16(), torch.randn(1024, 1024).bfloat16()
        c = torch.empty_like(a)
        return lambda: torch.mm(a, b, out=c)
    @row("gemm_int8_1024")
    def _():
        a, b = (torch.randint(-127, 127, (1024, 1024), dtype=torch.int8) for _ in "ab")
        return lambda: torch._int_mm(a, b)
    def element_wise(n, suffix):
        def make(f):
            def operands():
                x, y, z = torch.randn(n), torch.empty(n), torch.randn(n)
                return lambda: f(x, y, z)
            return operands
        for name, f in dict(relu=lambda x, y, z: torch.clamp_min(x, 0, out=y), sigmoid=lambda x, y, z: torch.sigmoid(x, out=y), tanh=lambda x, y, z: torch.tanh(x, out=y),
                            exp=lambda x, y, z: torch.exp(x, out=y), gelu=lambda x, y, z: aten.gelu.out(x, out=y), gelu_tanh=lambda x, y, z: aten.gelu.out(x, approximate="tanh", out=y),
                            dropout=lambda x, y, z: F.dropout(x, .1, True), add=lambda x, y, z: torch.add(x, z, out=y), sum=lambda x, y, z: x.sum()).items():
            rows[f"{name}_{suffix}"] = make(f)
    element_wise(1 << 24, "16M"); element_wise(1 << 20, "1M")
    @row("create_1000x1000")
    def _():
        y = torch.empty(1000, 1000)
        return lambda: torch.randn(1000, 1000, out=y)
    @row("softmax_4096x1024")
    def _():
        x = torch.randn(4096, 1024); y = torch.empty_like(x)
        return lambda: torch.softmax(x, -1, out=y)
    @row("layernorm_4096x1024")
    def _():
        x, w, b = torch.randn(4096, 1024), torch.ones(1024), torch.zeros(1024)
        return lambda: F.layer_norm(x, (1024,), w, b)
    @row("cross_entropy_4096x1024")
    def _():
        x, y = torch.randn(4096, 1024, requires_grad=True), torch.randint(0, 1024, (4096,))
        def run():
            x.grad = None
            with torch.enable_grad(): F.cross_entropy(x, y).backward()
        return run
    @row("adamw_10x1024x1024")
    def _():
        p = [nn.Parameter(torch.randn(1024, 1024)) for _ in range(10)]
        for q in p: q.grad = torch.randn(1024, 1024)
        return torch.optim.AdamW(p, fused=True).step
    def network(*sizes, act=nn.ReLU):
        parts = []
        for a, b in zip(sizes, sizes[1:]): parts += [nn.Linear(a, b), act()]
        return nn.Sequential(*parts[:-1])
    def training(model, opt, x, y, loss):
        def run():
            with torch.enable_grad():
                opt.zero_grad(set_to_none=True)
                loss(model(x), y).backward()
                opt.step()
        return run
    @row("mlp_train_b128")
    def _():
        m = network(784, 512, 256, 10)
        return training(m, torch.optim.Adam(m.parameters(), fused=True), torch.randn(128, 784), torch.randint(0, 10, (128,)), F.cross_entropy)
    rows["plan_mlp_train_b128"] = rows["mlp_train_b128"]
    @row("xor_train")
    def _():
        m = network(2, 16, 1, act=nn.Tanh)
        return training(m, torch.optim.SGD(m.parameters(), .1, fused=True), torch.randn(4, 2), torch.randn(4, 1), F.mse_loss)
    def inference(batch, *sizes):
        def make():
            m, x = network(*sizes).eval(), torch.randn(batch, sizes[0])
            def run():
                with torch.inference_mode(): return m(x)
            return run
        return make
    rows["mlp_infer_b128"], rows["mlp_infer_b1"], rows["tiny_infer"] = inference(128, 784, 512, 256, 10), inference(1, 784, 512, 256, 10), inference(1, 16, 32, 10)
    @row("taped_op_4")
    def _():
        x, y = torch.randn(4, requires_grad=True), torch.randn(4)
        def run():
            with torch.enable_grad(): torch.add(x, y)
        return run
    torch.set_grad_enabled(False)
    for g in grids(): rows[g["name"]] = lambda g=g: torch_grid(g, torch.float32)
    return rows

# -- layers and networks on grids: bench --grids says which, the formula is bench.c's

def grids(): return [json.loads(l) for l in subprocess.run([BENCH, "--grids"], capture_output=True, text=True, check=True).stdout.splitlines()]

def by_formula(seed, count):
    """Elements 0 ... count - 1 of what has this seed: -1 ... 1."""
    import numpy as np
    h = (np.arange(count, dtype=np.uint32) ^ np.uint32(seed)) * np.uint32(0x9e3779b1)
    h = (h ^ h >> np.uint32(15)) * np.uint32(0x85ebca77)
    h = (h ^ h >> np.uint32(13)) * np.uint32(0xc2b2ae3d)
    return ((h ^ h >> np.uint32(16)) >> np.uint32(8)).astype("f") / np.float32(8388608) - np.float32(1)

def operand(name, *shape):
    """As bench.c's fill: inputs and dy -1 ... 1, variances and scales about 1, weights so that sizes stay."""
    import numpy as np
    seed = 2166136261
    for b in name.encode(): seed = (seed ^ b) * 16777619 & 0xffffffff
    count = math.prod(shape)
    middle, half = (0, 1) if name in ("x", "dy") else (1, .5) if name.endswith("var") else (0, math.sqrt(6 * shape[0] / count)) if len(shape) > 1 else (1, .1) if name.endswith("weight") else (0, .1)
    return (np.float32(middle) + np.float32(half) * by_formula(seed, count)).reshape(shape)

def marks(results):
    """As bench.c's mark_of, over all results: logarithm of the root mean square, and projection on a direction."""
    import numpy as np
    mark = [0., 0.]
    for k, r in enumerate(results):
        r = np.asarray(r, "d").ravel()
        norm = math.sqrt(r @ r)
        mark[0] += math.log(norm * norm / r.size) / 2; mark[1] += r @ by_formula(k, r.size).astype("d") / norm
    return mark

class TorchNet:
    """Operations on PyTorch's tensors; parameters come by name."""
    def __init__(self, dtype, train):
        import torch, torch.nn.functional
        self.t, self.f, self.dtype, self.train, self.weights = torch, torch.nn.functional, dtype, train, {}
    def get(self, name, *shape, trained=True):
        if name not in self.weights: self.weights[name] = self.t.from_numpy(operand(name, *shape)).to(self.dtype).requires_grad_(bool(self.train and trained))
        return self.weights[name]
    def conv(self, name, x, c, o, kernel, stride=1, padding=0, dilation=1, groups=1, bias=True, axes=2, transposed=False):
        first, second = (c, o) if transposed else (o, c)
        f = getattr(self.f, f"conv_transpose{axes}d" if transposed else f"conv{axes}d")
        return f(x, self.get(name + "weight", first, second // groups, *[kernel] * axes), self.get(name + "bias", o) if bias else None, stride=stride, padding=padding, dilation=dilation, groups=groups)
    def norm(self, name, x, c):
        mean, var = self.get(name + "running_mean", c, trained=False), self.get(name + "running_var", c, trained=False)
        return self.f.batch_norm(x, mean, var, self.get(name + "weight", c), self.get(name + "bias", c), training=bool(self.train))
    def max_pool(self, x, *window): return self.f.max_pool2d(x, *window)
    def avg_pool(self, x, *window): return self.f.avg_pool2d(x, *window)
    def resize(self, x, factor): return self.f.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    def relu(self, x): return self.f.relu(x, inplace=not self.train)
    def add(self, x, y): return x + y
    def mean_places(self, x): return self.f.adaptive_avg_pool2d(x, 1)
    def linear(self, name, x, c, o): return self.f.linear(x.flatten(1), self.get(name + "weight", o, c), self.get(name + "bias", o))

class OnnxNet:
    """The same as nodes of an ONNX graph; a value is its name."""
    train = 0
    def __init__(self): self.nodes, self.weights = [], {}
    def get(self, name, *shape):
        self.weights[name] = operand(name, *shape)
        return name
    def node(self, op, *inputs, **attributes):
        from onnx import helper
        self.nodes.append(helper.make_node(op, list(inputs), [f"t{len(self.nodes)}"], **attributes))
        return f"t{len(self.nodes) - 1}"
    def conv(self, name, x, c, o, kernel, stride=1, padding=0, dilation=1, groups=1, bias=True, axes=2, transposed=False):
        first, second = (c, o) if transposed else (o, c)
        inputs = [x, self.get(name + "weight", first, second // groups, *[kernel] * axes)] + ([self.get(name + "bias", o)] if bias else [])
        return self.node("ConvTranspose" if transposed else "Conv", *inputs, strides=[stride] * axes, pads=[padding] * 2 * axes, dilations=[dilation] * axes, group=groups)
    def norm(self, name, x, c): return self.node("BatchNormalization", x, *[self.get(name + n, c) for n in ("weight", "bias", "running_mean", "running_var")], epsilon=1e-5)
    def max_pool(self, x, kernel, stride, padding): return self.node("MaxPool", x, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[padding] * 4)
    def avg_pool(self, x, kernel, stride, padding): return self.node("AveragePool", x, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[padding] * 4)
    def resize(self, x, factor):
        import numpy as np
        self.weights["scales"] = np.array([1, 1, factor, factor], "f")
        return self.node("Resize", x, "", "scales", mode="linear", coordinate_transformation_mode="half_pixel")
    def relu(self, x): return self.node("Relu", x)
    def add(self, x, y): return self.node("Add", x, y)
    def mean_places(self, x): return self.node("GlobalAveragePool", x)
    def linear(self, name, x, c, o): return self.node("Gemm", self.node("Flatten", x), self.get(name + "weight", o, c), self.get(name + "bias", o), transB=1)

def cnn(b, x):
    x = b.relu(b.conv("conv1.", x, 1, 32, 3))
    x = b.max_pool(b.relu(b.conv("conv2.", x, 32, 64, 3)), 2, 2, 0)
    return b.linear("fc2.", b.relu(b.linear("fc1.", x, 9216, 128)), 128, 10)

def resnet18(b, x):
    def conv_norm(conv, norm, x, c, o, kernel, stride): return b.norm(norm, b.conv(conv, x, c, o, kernel, stride, kernel // 2, bias=False), o)
    x, c = b.max_pool(b.relu(conv_norm("conv1.", "bn1.", x, 3, 64, 7, 2)), 3, 2, 1), 64
    for i in range(8):
        p, o = f"layer{i // 2 + 1}.{i % 2}.", 64 << i // 2
        y = b.relu(conv_norm(p + "conv1.", p + "bn1.", x, c, o, 3, 2 if o > c else 1))
        y = conv_norm(p + "conv2.", p + "bn2.", y, o, o, 3, 1)
        if o > c: x = conv_norm(p + "downsample.0.", p + "downsample.1.", x, c, o, 1, 2)
        x, c = b.relu(b.add(y, x)), o
    return b.linear("fc.", b.mean_places(x), 512, 1000)

def grid_result(b, g, x):
    """What the row computes, by TorchNet or OnnxNet."""
    kind, k, s, p = g["kind"], g["kernel"], g["stride"], g["padding"]
    if kind == "cnn": return cnn(b, x)
    if kind == "resnet18": return resnet18(b, x)
    if kind == "max_pool": return b.max_pool(x, k, s, p)
    if kind == "avg_pool": return b.avg_pool(x, k, s, p)
    if kind == "resize": return b.resize(x, s)
    if kind == "norm": return b.norm("", x, g["c"])
    return b.conv("", x, g["c"], g["o"], k, s, p, g["dilation"], g["groups"], axes=len(g["size"]), transposed=kind == "transposed")

def torch_grid(g, dtype):
    """(run, mark) of a row by PyTorch."""
    import torch, torch.nn.functional as F
    b, net = TorchNet(dtype, g["train"]), g["kind"] in ("cnn", "resnet18")
    x = torch.from_numpy(operand("x", g["n"], g["c"], *g["size"])).to(dtype)
    if g["last"]: x = x.contiguous(memory_format=torch.channels_last)
    if not g["train"]:
        def run():
            with torch.inference_mode(): return grid_result(b, g, x)
        return run, lambda: marks([run()])
    if net: # trained by Adam
        y = torch.arange(g["n"]) % g["o"]
        with torch.no_grad(): grid_result(b, g, x) # makes the parameters
        opt = torch.optim.Adam(b.weights.values(), lr=1e-3, fused=True)
        def run():
            with torch.enable_grad():
                opt.zero_grad(set_to_none=True)
                loss = F.cross_entropy(grid_result(b, g, x), y)
                loss.backward(); opt.step()
            return loss
        def mark():
            losses = [run().item() for _ in range(4)]
            return [losses[0], losses[3]]
        return run, mark
    x.requires_grad_()
    dy = torch.from_numpy(operand("dy", *x.shape)).to(dtype) if g["kind"] == "norm" else None
    def run():
        x.grad = None
        for w in b.weights.values(): w.grad = None
        with torch.enable_grad():
            y = grid_result(b, g, x)
            if dy is None: y.sum().backward()
            else: y.backward(dy)
        return y
    def mark(): return marks([run().detach(), x.grad] + [b.weights[n].grad for n in ("weight", "bias") if n in b.weights])
    return run, mark

def right():
    """Prints each row's marks in f64: bench.c's table."""
    import torch
    entries = ['{"%s", {%.9g, %.9g}}' % (g["name"], *torch_grid(g, torch.float64)[1]()) for g in grids()]
    print(",\n".join("    " + ", ".join(entries[i:i + 3]) for i in range(0, len(entries), 3)))

def ort_rows(threads, bound):
    """bound: through an I/O binding made once, instead of a dictionary each time"""
    import numpy as np, onnx, onnxruntime as ort
    from onnx import helper, numpy_helper, TensorProto
    rng = np.random.default_rng(0)
    normal = lambda *shape: rng.standard_normal(shape).astype("f")
    def session(nodes, weights, x, out="y"):
        graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)], [helper.make_tensor_value_info(out, TensorProto.FLOAT, None)],
                                  [numpy_helper.from_array(v, k) for k, v in weights.items()])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        s = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        if not bound: return lambda: s.run(None, {"x": x})
        b = s.io_binding()
        y = ort.OrtValue.ortvalue_from_numpy(s.run(None, {"x": x})[0])
        b.bind_ortvalue_input("x", ort.OrtValue.ortvalue_from_numpy(x)); b.bind_ortvalue_output(out, y)
        def run():
            s.run_with_iobinding(b)
            return [y]
        return run
    def network(batch, *sizes):
        nodes, weights, last = [], {}, "x"
        for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
            end = i == len(sizes) - 2
            weights[f"w{i}"], weights[f"b{i}"] = normal(a, b) * .05, normal(b) * .05
            nodes.append(helper.make_node("Gemm", [last, f"w{i}", f"b{i}"], ["y" if end else f"h{i}"]))
            if not end: nodes.append(helper.make_node("Relu", [f"h{i}"], [f"r{i}"]))
            last = f"r{i}"
        return session(nodes, weights, normal(batch, sizes[0]))
    def grid(g):
        b = OnnxNet()
        out = grid_result(b, g, "x")
        run = session(b.nodes, b.weights, operand("x", g["n"], g["c"], *g["size"]), out)
        return run, lambda: marks([run()[0].numpy() if bound else run()[0]])
    vision = {g["name"]: lambda g=g: grid(g) for g in grids() if not g["train"] and not g["last"]}
    return {**vision, "mlp_infer_b128": lambda: network(128, 784, 512, 256, 10), "mlp_infer_b1": lambda: network(1, 784, 512, 256, 10), "tiny_infer": lambda: network(1, 16, 32, 10),
            "softmax_4096x1024": lambda: session([helper.make_node("Softmax", ["x"], ["y"])], {}, normal(4096, 1024))}

def worker(kind, threads):
    rows = torch_rows(threads) if kind == "torch" else ort_rows(threads, kind == "ort-bound")
    marked = {}
    print(json.dumps(sorted(rows)), flush=True)
    for line in sys.stdin:
        name, seconds = line.split()
        try:
            run, mark = made if isinstance(made := rows[name](), tuple) else (made, None)
            if mark and name not in marked: marked[name] = mark()
            answer = dict(measure(run, float(seconds)), **({"mark": marked[name]} if mark else {}))
        except Exception as e: answer = {"failed": True, "why": str(e)[:200]}
        print(json.dumps(dict(answer, name=name)), flush=True)

# ---- what there is ----------------------------------------------------------------------------------

def install():
    """build/venv with torch, onnxruntime, onnx and numpy; what is there already is used. Returns its python, or None."""
    python = os.path.join(VENV, "bin/python")
    have = lambda m: subprocess.run([python, "-c", "import " + m], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    if not os.path.exists(python) and subprocess.run([sys.executable, "-m", "venv", VENV]).returncode: return None
    pip = [python, "-m", "pip", "install", "-q"]
    if not have("torch"): # the wheel without CUDA is small, but is on a server of its own
        subprocess.run(pip + ["--retries", "0", "--timeout", "10", "--index-url", "https://download.pytorch.org/whl/cpu", "torch"], stderr=subprocess.DEVNULL)
    for m in ("numpy", "torch", "onnxruntime", "onnx"):
        if not have(m) and subprocess.run(pip + [m]).returncode: print(f"peers: {m} cannot be installed", file=sys.stderr)
    return python

def blas_libraries():
    """Debian's OpenBLAS and the one inside NumPy's wheel: name -> path."""
    import glob
    found = lambda: glob.glob("/usr/lib/*/openblas-pthread/libopenblas.so.0")
    if not found() and shutil.which("apt-get"):
        if os.geteuid() == 0: subprocess.run("apt-get update -qq && apt-get install -y -qq libopenblas0-pthread", shell=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not found(): print("peers: going on without Debian's OpenBLAS (apt-get install libopenblas0-pthread needs root)", file=sys.stderr)
    wheel = glob.glob(os.path.join(VENV, "lib/python3*/site-packages/numpy.libs/libscipy_openblas64_*.so"))
    return {**({"OpenBLAS": found()[0]} if found() else {}), **({"OpenBLAS of NumPy": wheel[0]} if wheel else {})}

GENANN, GENANN_BUILDS, GENANN_ROWS = "genann, -O2", {"genann, -O2": ["-O2"], "genann, -O3 -march=native": ["-O3", "-march=native"]}, ("plan_tiny_infer", "plan_xor_train")
def genann_programs(folder):
    """genann behind our driver, built with bench's flags (what the goals mean) and with more: name -> program."""
    if not folder:
        print("peers: going on without genann: --genann or GENANN names a folder with its genann.c and genann.h", file=sys.stderr)
        return {}
    out = {}
    for i, (name, flags) in enumerate(GENANN_BUILDS.items()):
        program = os.path.join(ROOT, f"build/genann_rows{i}")
        built = subprocess.run(shlex.split(os.environ.get("CC", "cc")) + flags + ["-I", folder, "-o", program, os.path.join(ROOT, "bench/genann_rows.c"), os.path.join(folder, "genann.c"), "-lm"])
        if built.returncode: print(f"peers: {name} cannot be built", file=sys.stderr)
        else: out[name] = program
    return out

class Peer:
    """A process that answers rows."""
    def __init__(self, name, command, rows=None, env=None):
        self.name, self.first = name, None
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=dict(os.environ, **(env or {})), stderr=subprocess.DEVNULL if "BLAS" in name else None)
        line = self.p.stdout.readline()
        self.first = json.loads(line) if line else None # a list of rows, or bench's description of itself
        self.rows = rows if rows else self.first or []
        if not line: self.rows = []
    def ask(self, row, seconds):
        try:
            self.p.stdin.write(f"{row} {seconds}\n"); self.p.stdin.flush()
            line = self.p.stdout.readline()
            time.sleep(.03) # its threads go to sleep
        except OSError: line = ""
        if not line: self.rows = [] # it died: go on without it
        answer = json.loads(line) if line else {"failed": True}
        if answer.get("why"): print(f"peers: {self.name}: {row}: {answer['why']}", file=sys.stderr)
        return None if answer.get("failed") else answer
    def close(self):
        self.p.stdin.close(); self.p.wait()

def peers_for(threads, python, genann, gemms):
    me, n = os.path.abspath(__file__), str(threads)
    env = {"OMP_NUM_THREADS": n, "MKL_NUM_THREADS": n}
    out = []
    if python:
        # An array of 64 MB is mapped anew each time unless malloc is told to keep it: PyTorch gets both.
        keep = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 33), "MALLOC_TOP_PAD_": str(1 << 28)}
        for name, kind, more in (("PyTorch", "torch", {}), ("PyTorch, malloc keeps", "torch", keep), ("ONNX Runtime", "ort", {}), ("ONNX Runtime, bound", "ort-bound", {})):
            out.append(Peer(name, [python, me, "--worker", kind, n], env=dict(env, **more)))
    for name, path in blas_libraries().items():
        for core in ("SKYLAKEX", "SAPPHIRERAPIDS", "HASWELL", "ZEN"):
            out.append(Peer(f"{name}, {core}", [BENCH, "--serve", "--threads", n, "--blas", path], gemms, {"OPENBLAS_NUM_THREADS": n, "OPENBLAS_CORETYPE": core}))
    return out + [Peer(name, [program]) for name, program in genann.items()]

# ---- one run ----------------------------------------------------------------------------------------

def same_mark(a, b): return not b or all(abs(p - q) <= 1e-3 for p, q in zip(a, b))

def run(threads, names, python, genann, o):
    """row -> {who: (minimum, median)}, ours as "nn.h", with one full answer of bench under "row"."""
    gemms = [n for n in names if re.fullmatch(r"gemm_\d+(x\d+x\d+)?", n)]
    ours, peers = Peer("nn.h", [BENCH, "--serve", "--threads", str(threads)], names), [] if o.no_peers else peers_for(threads, python, genann, gemms)
    about, times = ours.first, {}
    for r in range(o.rounds):
        for name in names:
            t, truth = times.setdefault(name, {}), None
            for p in [ours] + peers:
                if name not in p.rows: continue
                # the first round finds out which core type suits OpenBLAS here; later ones run only what was near the best
                is_blas = "BLAS" in p.name
                if is_blas and r and min(t.get(p.name, [(9e9,)]))[0] > 1.1 * min(min(v)[0] for k, v in t.items() if "BLAS" in k): continue
                a = p.ask(name, min(o.seconds, .2) if is_blas else o.seconds)
                if not a: continue
                if p is ours: truth = a.get("mark")
                elif "mark" in a and not same_mark(a["mark"], truth):
                    print(f"peers: {p.name}: {name}: not what nn.h computes: marks {a['mark']}, nn.h's {truth}", file=sys.stderr)
                    continue
                t.setdefault(p.name, []).append((a["min"], a["median"]))
                if p is ours: t.setdefault("row", []).append(a)
        print(f"{threads} threads, round {r + 1} of {o.rounds} done", file=sys.stderr)
    for p in [ours] + peers: p.close()
    result = {}
    for name, t in times.items():
        if "nn.h" not in t: continue
        row = min(t.pop("row"), key=lambda a: a["least"]) # the round that found the machine fastest
        result[name] = {"row": row, **{who: (min(m for m, _ in v), statistics.median(d for _, d in v)) for who, v in t.items()}}
    return about, result

def share(r): return r["row"]["least"] / r["nn.h"][0] if r["row"]["least"] else None
def best_peer(r, part=""):
    others = {k: v for k, v in r.items() if k not in ("row", "nn.h") and part in k}
    return min(others.items(), key=lambda kv: kv[1][0]) if others else None

def figure(r):
    """A figure's value, from the minima of the two numbers that it is made of."""
    ours, other = r["nn.h"][0], r["row"]["least"]
    return {"ratio": ours / other, "gain": other / ours, "more": 100 * (ours / other - 1), "cut": 100 * (1 - ours / other)}[r["row"]["figure"]]
def unit(r): return {"%": " %"}.get(r["row"]["unit"], r["row"]["unit"])

def us(t): return f"{t * 1e6:.3f}" if t < 10e-6 else f"{t * 1e6:.1f}" if t < 1e-3 else f"{t * 1e6:,.0f}"
def table(head, rows):
    numbers = [all(re.fullmatch(r"[\d.,]+x?|-", str(r[i])) for r in rows) for i in range(len(head))]
    return "\n".join("| " + " | ".join(map(str, r)) + " |" for r in [head, ["--:" if n else "---" for n in numbers]] + rows) + "\n"

def verdict(name, r):
    """("1.0x, 80%", "met")"""
    texts, states, whose = [], [], {"x": ("", ""), "torch": ("PyTorch", " of PyTorch"), "ort": ("ONNX", " of ONNX Runtime"), "genann": (GENANN, " of " + GENANN)}
    for kind, value in goals_of(name, r):
        if kind in whose:
            peer = best_peer(r, whose[kind][0])
            texts.append(f"{value}x" + whose[kind][1])
            states.append("no peer" if not peer else "met" if peer[1][0] / r["nn.h"][0] >= value else "**missed**")
        elif kind == "share":
            texts.append(f"{value:.0%}")
            states.append("met" if share(r) >= value else "**missed**")
        elif kind in ("least", "most"):
            texts.append(f"{'>=' if kind == 'least' else '<='} {value}{unit(r)}")
            states.append("met" if (figure(r) >= value if kind == "least" else figure(r) <= value) else "**missed**")
        else:
            texts.append(f"{value} us")
            states.append("met" if r["nn.h"][0] * 1e6 <= value else "**missed**")
    return ", ".join(texts), next((s for s in ("**missed**", "no peer", "met") if s in states), "")

MAIN, VISION = ("gemm", "maps", "rows", "training", "inference"), ("vision", "shapes")
def main_table(results, goals, groups=MAIN):
    rows = []
    for name, r in results.items():
        if r["row"]["group"] not in groups: continue
        peer, s, (aim, met) = best_peer(r), share(r), verdict(name, r)
        speed = [f"{(r['row']['work'] or r['row']['bytes']) / r['nn.h'][0] / 1e9:,.0f} {r['row']['unit']}"] if groups is not MAIN else []
        rows.append([name, r["row"]["what"], us(r["nn.h"][0]), us(r["nn.h"][1]), us(peer[1][0]) if peer else "-", us(peer[1][1]) if peer else "-", peer[0] if peer else "none",
                     f"{peer[1][0] / r['nn.h'][0]:.2f}" if peer else "-"] + speed + [f"{s:.0%} {r['row']['limit']}" if s else "-"] + ([aim, met] if goals else []))
    return table(["workload", "timed", "ours, us", "median", "best peer, us", "median", "which", "peer / ours"] + ["rate"] * (groups is not MAIN) + ["share of the limit"] + (["goal", ""] if goals else []), rows) if rows else ""

def plan_table(results, goals):
    rows = []
    for name, r in results.items():
        if r["row"]["group"] != "plan": continue
        row, (aim, met) = r["row"], verdict(name, r)
        if "figure" in row:
            number = lambda n: f"{us(n)} us" if row["in"] == "us" else f"{n:,.0f} bytes"
            ours, other, value, beside = f"{row['ours']} {number(r['nn.h'][0])}", f"{row['limit']} {number(row['least'])}", f"{figure(r):.{1 if row['unit'] == '%' else 2}f}{unit(r)}", row["note"] or "-"
        else:
            peer = (GENANN, r[GENANN]) if GENANN in r else best_peer(r)
            ours, other, value = f"{us(r['nn.h'][0])} us, median {us(r['nn.h'][1])}", f"{peer[0]}: {us(peer[1][0])} us" if peer else "-", f"{peer[1][0] / r['nn.h'][0]:.2f}x" if peer else "-"
            beside = ", ".join(f"{k}: {us(r[k][0])} us = {r[k][0] / r['nn.h'][0]:.2f}x" for k in GENANN_BUILDS if k != GENANN and k in r) or "-"
        rows.append([name, row["what"], ours, other, value, beside] + ([aim or "-", met or "-"] if goals else []))
    return table(["name", "what", "ours", "held against", "value", "beside"] + (["goal", ""] if goals else []), rows) if rows else ""

# ---- the originals' own figures ---------------------------------------------------------------------

def thinkingnet(one, two, threads):
    """ThinkingNet's published figures beside ours; `one` and `two`: results with one thread and with all."""
    ms = lambda rs, n: rs[n]["nn.h"][0] * 1e3
    rows = []
    def put(what, theirs, ours): rows.append([what, theirs, ours])
    def pair(what, theirs, a, b, rs=two):
        if a in rs and b in rs: put(what, theirs, f"{ms(rs, a):.3f} -> {ms(rs, b):.3f} ms = {ms(rs, a) / ms(rs, b):.2f}x")
    if "tn_steps" in two:
        speed = lambda rs: rs["tn_steps"]["row"]["work"] / rs["tn_steps"]["nn.h"][0] / 1e6
        put("eight-step loop (add, sub, mul, div by at least 1, modulo, power b/10, sin, cos on 64 registers; a copy per worker; non-finite replaced), plain C and libm over nn_parallel_for",
            "344.1 M op/s on 8 workers = 43 M a worker", f"{speed(one):.0f} M op/s with 1 thread; {speed(two):.0f} M with {threads} = {speed(two) / threads:.0f} M a worker")
    if "tn_steps_nn" in two:
        put("the same eight steps by nn.h's ops, an operation = one element (16,384 register copies side by side)", "-", f"{two['tn_steps_nn']['row']['work'] / two['tn_steps_nn']['nn.h'][0] / 1e6 / threads:.0f} M op/s a worker")
    pair("1000 zero matrices 100 x 100, all alive: malloc + memset + free -> nn_zeros + one nn_reset", "37.42 -> 10.72 ms = 3.49x", "tn_matrices_malloc", "tn_matrices_arena")
    pair("1000 times one zero matrix 100 x 100: malloc + memset + free -> nn_zeros + nn_reset", "(the same figure)", "tn_matrix_malloc", "tn_matrix_arena")
    pair(f"ReLU, 1 M elements x 100, 1 -> {threads} threads", "5.76 -> 3.10 ms = 1.86x (8 cores, per run)", "tn_relu_1M_x100_serial", "tn_relu_1M_x100")
    pair(f"sigmoid, 1 M elements x 100, 1 -> {threads} threads", "11.36 -> 5.21 ms = 2.18x (8 cores, per run)", "tn_sigmoid_1M_x100_serial", "tn_sigmoid_1M_x100")
    pair(f"batch forward, 128 x 784-512-256-10, 1 -> {threads} threads", "2-4x claimed", "tn_batch_forward_serial", "tn_batch_forward")
    for op in ("relu_1M_x100", "sigmoid_1M_x100", "gemm_256"): pair(f"{op.replace('_', ' ')}: scalar kernels -> SIMD, one thread", "2-4x claimed", f"tn_{op}_scalar", f"tn_{op}_serial")
    pair("inference of 784-512-256-10, batch 128: float64 -> float32", "2x claimed", "tn_infer_f64", "tn_infer_f32")
    if "tn_infer_f32" in two:
        p = two["tn_infer_f32"]["row"]["parameters"]
        put("the same network's parameters, bytes", "50 % claimed", f"{8 * p:,} -> {4 * p:,}")
    for n, t in ((128, .362), (256, 2.14), (512, 11.3)):
        if f"gemm_{n}" in two: put(f"matmul {n}", f"{t} ms (float64, 8 cores)", f"{ms(two, f'gemm_{n}'):.3f} ms = {t / ms(two, f'gemm_{n}'):.0f}x; one thread {ms(one, f'gemm_{n}'):.3f} ms")
    return table(["what", "original", "nn.h"], rows)

def from_scratch(rs):
    """The from-scratch system's targets: (row of its list, what, target, ours, how far inside)."""
    rows = []
    time_of = lambda n: rs[n]["nn.h"][0] * 1e3 if n in rs else None
    def limit(ref, what, target_ms, name):
        t = time_of(name)
        rows.append([ref, what, f"< {target_ms:g} ms", f"{t:.4g} ms" if t else "not run", f"{target_ms / t:,.0f}x" if t else "-"])
    def rate(ref, what, count, name, unit):
        t = time_of(name)
        rows.append([ref, what, f">= 1 M {unit}/s", f"{count / t / 1e3:,.0f} M {unit}/s" if t else "not run", f"{count / t / 1e3:,.0f}x" if t else "-"])
    for n in (100, 500): limit("T1", f"creation {n} x {n}, normal", 10, f"fs_create_{n}")
    limit("T1", "creation 1000 x 1000, normal: typical 3, baseline 5, limit 10 ms", 3, "create_1000x1000")
    limit("T6", "matmul 1000x500 . 500x200: typical 45, baseline 50, limit 100 ms", 45, "gemm_1000x500x200")
    for n, t in ((128, .362), (256, 2.14), (512, 11.3)): limit("T6", f"matmul {n} (ThinkingNet, 8 cores)", t, f"gemm_{n}")
    for m, k, n in ((100, 50, 100), (500, 300, 200), (1000, 100, 500)): rate("T6", f"matmul {m}x{k} . {k}x{n}", m * k * n, f"fs_matmul_{m}x{k}x{n}", "MAC")
    for b in (10, 100, 1000): rate("T8", f"softmax {b} x 50,000", b * 50000, f"fs_softmax_{b}x50000", "element")
    limit("T8", "softmax 1000 x 10,000: typical 90, baseline 100 ms", 90, "fs_softmax_1000x10000")
    limit("T10", "100x50 . 50x30, ReLU, mean pool, forward and backward: typical 80, headline 100, limit 150 ms", 80, "fs_gradient_100x50x30")
    limit("T2", "2000x1000 . 1000x500, forward and backward (must work; held against the gradient limit)", 100, "fs_gradient_2000x1000x500")
    for a, b in ((100, 50), (500, 1000), (1000, 100), (2000, 2000)): rate("L1", f"Linear {a} to {b}, batch 32", 32 * a * b, f"fs_linear_{a}to{b}_b32", "MAC")
    limit("L1", "Linear 1000 to 1000, batch 32, baseline", 10, "fs_linear_1000to1000_b32")
    for v, d in ((1000, 128), (10000, 256), (50000, 512)): limit("L2", f"embedding {v} x {d}, 32 x 100 ids (no layer yet: by nn_gather over the expanded ids)", 10, f"fs_embedding_{v}x{d}")
    limit("O2", "Adam step on 1000-500-200-50-10", 50, "fs_adam_step")
    t = time_of("xor_train")
    rows.append(["O2", "small optimiser steps a second (2-16-1 net, the whole training step)", ">= 10,000 /s", f"{1e3 / t:,.0f} /s" if t else "not run", f"{.1 / t:,.0f}x" if t else "-"])
    limit("S1.3", "training step: vocabulary 1000, embedding 128, hidden 256, batch 16 x 50 words: baseline 300, typical 400, headline 500 ms", 300, "fs_train_step")
    batches = [(b, time_of(f"fs_batch_{b}")) for b in (1, 4, 16, 64)]
    for (a, ta), (b, tb) in zip(batches, batches[1:]):
        if ta and tb: rows.append(["S1.5", f"784-512-256-10 forward, time a sample, batch {b} against {a}", "<= 1.5x", f"{tb / b / (ta / a):.2f}x", f"{1.5 / (tb / b / (ta / a)):.1f}x"])
    for size, infer, train in (("1K", 1, 60), ("10K", 10, 600), ("100K", 100, 3600), ("1M", 1000, 6 * 3600)):
        limit("S1.3", f"{size} parameters, inference of one", infer, f"fs_infer_{size}")
        t = time_of(f"fs_train_{size}")
        if t: rows.append(["S1.3", f"{size} parameters, training: 10,000 Adam steps of batch 32", f"< {train:,} s", f"{t * 10:.3g} s", f"{train / (t * 10):,.0f}x"])
    for size, mb in (("10K", 50), ("100K", 200), ("1M", 1000)):
        name = f"fs_train_{size}"
        if name in rs: rows.append(["R6", f"{size} parameters, most memory in training with Adam, batch 32", f"< {mb} MB", f"{rs[name]['row']['memory'] / 1e6:.2f} MB", f"{mb * 1e6 / rs[name]['row']['memory']:,.0f}x"])
    if "fs_train_1M_b64" in rs and "fs_train_1M_b1" in rs:
        more = rs["fs_train_1M_b64"]["row"]["memory"] - rs["fs_train_1M_b1"]["row"]["memory"]
        rows.append(["R6", "1M parameters, batch 64 more than batch 1", "< 100 MB", f"{more / 1e6:.2f} MB", f"{100e6 / max(more, 1):,.0f}x"])
        rows.append(["T12", "activations, gradients and tape left after nn_step and nn_reset", "0 bytes", f"{rs['fs_train_1M_b64']['row']['left']:,} bytes", "-"])
    rows.append(["S1.3", "regression alarm at 2x the baseline", "fails", "make bench-check: warns at 1.1x, fails at 2x", "-"])
    rows.append(["T8", "nn_abs, nn_exp, nn_log, nn_sqrt: yes; sign, clamp, a public log-sum-exp", "there", "not yet", "-"])
    rows.append(["L2", "an embedding layer", "there", "not yet (nn_gather serves)", "-"])
    return table(["row", "what", "target", "nn.h", "margin"], rows)

def header_cost(rounds):
    """Seconds to compile examples/xor.c, bytes of the stripped program."""
    rows, out = [], os.path.join(ROOT, "build/cost_xor")
    for cc in ("gcc", "clang"):
        if not shutil.which(cc): rows.append([cc, "-", "not installed", "-"]); continue
        for o in ("-O0", "-O2"):
            times = []
            for _ in range(rounds):
                start = time.perf_counter()
                subprocess.run([cc, o, "-I.", "-o", out, "examples/xor.c", "-lm", "-lpthread"], cwd=ROOT, check=True)
                times.append(time.perf_counter() - start)
            subprocess.run(["strip", out], check=True)
            rows.append([cc, o, f"{min(times):.2f} s", f"{os.path.getsize(out):,}"])
    return table(["compiler", "", "to compile examples/xor.c", "bytes, stripped"], rows)

def machine():
    lines = dict(l.split(":", 1) for l in subprocess.run(["lscpu"], capture_output=True, text=True, env=dict(os.environ, LC_ALL="C")).stdout.splitlines() if ":" in l) if shutil.which("lscpu") else {}
    got = {k.strip(): v.strip() for k, v in lines.items()}
    memory = re.search(r"MemTotal:\s*(\d+)", open("/proc/meminfo").read()) if os.path.exists("/proc/meminfo") else None
    caches = ", ".join(f"{k[:-6]} {got[k]}" for k in ("L1d cache", "L2 cache", "L3 cache") if k in got)
    return [f"CPU: {got.get('Model name', platform.processor() or platform.machine())}, family {got.get('CPU family', '?')} model {got.get('Model', '?')}, {os.cpu_count()} cores; caches: {caches}",
            f"memory: {int(memory[1]) / 1048576:.1f} GiB" if memory else "memory: unknown", f"system: {platform.system()} {'.'.join(platform.release().split('.')[:2])}"]

def processor_seconds():
    """Seconds of processor time: of the whole machine, of us and our ended children; and the clock."""
    ours, machine = sum(os.times()[:4]), 0
    if os.path.exists("/proc/stat"):
        with open("/proc/stat") as f: user, nice, system, _, _, irq, soft, steal = map(int, f.readline().split()[1:9])
        machine = (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")
    return machine, ours, time.monotonic()

def versions(python, genann):
    first = lambda *c: subprocess.run(c, capture_output=True, text=True).stdout.splitlines()[:1]
    out = [l for cc in ("gcc", "clang") if shutil.which(cc) for l in first(cc, "--version")]
    if python:
        code = "import importlib.metadata as m\nfor p in ('torch','onnxruntime','onnx','numpy'):\n    try: print(p, m.version(p))\n    except Exception: print(p, 'not installed: its columns say none')"
        out += subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.splitlines()
    else: out.append("no Python packages: the columns of PyTorch and ONNX Runtime are missing")
    if shutil.which("dpkg-query"): out += ["Debian's OpenBLAS " + v for v in first("dpkg-query", "-W", "-f", "${Version}", "libopenblas0-pthread") if v] or ["Debian's OpenBLAS: not installed"]
    if genann:
        with open(os.path.join(genann, "genann.c"), "rb") as f: out.append("genann: genann.c with SHA-256 " + hashlib.sha256(f.read()).hexdigest()[:16] + "...")
    else: out.append("no folder of genann's named: its goals say no peer")
    return out

def write(path, results, about, python, genann, options, others):
    one, two = results[min(results)], results[max(results)]
    goals, visions, plans = ([verdict(n, r)[1] for n, r in two.items() if r["row"]["group"] in groups] for groups in (MAIN, VISION, ("plan",)))
    count = lambda g: f"Goals: {g.count('met')} met, {g.count('**missed**')} missed, {g.count('no peer')} without a peer."
    peaks = {}
    for name, r in two.items(): # as told to bench, not the rows with a thread count of their own
        if r["row"]["limit"] in ("f32", "f64", "bf16", "int8") and not name.endswith(("_serial", "_scalar")): peaks[r["row"]["limit"]] = max(r["row"]["peak"], peaks.get(r["row"]["limit"], 0))
    text = ["# Measured", "", "Written by `make bench-peers`; do not edit. " + datetime.date.today().isoformat() + f"; {options.rounds} rounds of {options.seconds} s a row.", ""]
    text += ["- " + l for l in machine() + [f"nn.h {about['version']}, kernels {about['isa']}" + (f" ({about['cpu']})" if about.get("cpu") else "")] + versions(python, options.genann if genann else None)] + [""]
    text += ["Times are minima over all rounds, in microseconds, beside their medians. *peer / ours* above 1: nn.h is faster. The *share of the limit* is the least possible time divided by ours:",
             "the larger of operations / peak rate and bytes / bandwidth, both measured in the same run with as many threads and at the same footprint (bench/machine.h); *read*, *copy*, *write*, *triad*, *update* name the stream.",
             "Peak rates with " + f"{max(results)} threads, Gop/s: " + ", ".join(f"{k} {v / 1e9:,.0f}" for k, v in sorted(peaks.items())) + ".",
             "PyTorch writes into given arrays where its API can; it runs with malloc as it is and with malloc told to keep large blocks, ONNX Runtime with a dictionary and with bindings; the faster counts.",
             "OpenBLAS runs with each core type forced; the fastest is named.", ""]
    if others > .03: text += [f"**Other programs took {others:.0%} of the processors' time meanwhile. Figures with several threads, ratios above all, mean little; run it again on an idle machine.**", ""]
    for n in sorted(results, reverse=True):
        text += [f"## {n} thread{'s' if n > 1 else ''}", "", main_table(results[n], n == max(results))]
        if n == max(results): text += [count(goals), ""]
    text += ["## Vision", "", "Layers and networks on grids, f32, channels first unless a name says *last*; all results were compared with PyTorch's before they were timed. *fwdbwd*: y.sum().backward(), with the gradients of x, weight and bias.",
             "*f32 of direct*: the rate counts plain products; Winograd's transforms, which nn.h uses for 3x3 kernels of step 1 unless told to be exact, need fewer, so that such a share may pass 100 %.", ""]
    for n in sorted(results, reverse=True):
        for group in VISION:
            text += [f"{'Shapes, with' if group == 'shapes' else 'With'} {n} thread{'s' if n > 1 else ''}:", "", main_table(results[n], n == max(results), (group,))]
        if n == max(results): text += [count(visions), ""]
    text += ["## Plans", "", "A step recorded once and run many times. Value: of a time, peer / ours; of a figure, what follows from the two numbers beside it, each the minimum over all rounds.",
             "genann computes in float64 and is called sample by sample; goals hold for its build with bench's own flags; one with -O3 -march=native stands beside it.",
             "*In their turn*: the sum of the nodes' times within a run, where each finds the caches as the one before left them; in a loop of its own a node finds all it needs in the nearest.", ""]
    for n in sorted(results, reverse=True):
        text += [f"With {n} thread{'s' if n > 1 else ''}:", "", plan_table(results[n], n == max(results))]
        if n == max(results): text += [count(plans), ""]
    text += ["## ThinkingNet's figures", "", "The originals were measured in Go on 8 cores of an unknown machine; a ratio says more than a time.", "", thinkingnet(one, two, max(results))]
    text += ["## The from-scratch system's targets", "", f"With {max(results)} threads. Most are limits for NumPy on a laptop: what counts is the margin.", "", from_scratch(two)]
    text += ["## What the header costs", "", header_cost(1 if options.quick else 3)]
    with open(path, "w") as f: f.write("\n".join(text))
    if others > .03: print(f"peers: other programs took {others:.0%} of the processors' time: run it again on an idle machine", file=sys.stderr)

def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--quick", action="store_true", help="one round of 0.05 s a row")
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--seconds", type=float, default=.3)
    ap.add_argument("--threads", default="1,2")
    ap.add_argument("--no-peers", action="store_true")
    ap.add_argument("--genann", default=os.environ.get("GENANN"), metavar="FOLDER", help="where genann.c and genann.h are")
    ap.add_argument("--out", default=os.path.join(ROOT, "bench/RESULTS.md"))
    ap.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    ap.add_argument("--right", action="store_true", help="print what bench.c holds under >>right; needs build/venv's Python")
    ap.add_argument("filters", nargs="*")
    o = ap.parse_args()
    if o.right: return right()
    if o.worker: return worker(o.worker[0], int(o.worker[1]))
    if o.quick: o.rounds, o.seconds = 1, .05
    names = [l.split()[0] for l in subprocess.run([BENCH, "--describe"] + o.filters, capture_output=True, text=True, check=True).stdout.splitlines()]
    python, results, about = None if o.no_peers else install(), {}, {}
    genann = genann_programs(o.genann) if not o.no_peers and set(names) & set(GENANN_ROWS) else {}
    begin = processor_seconds()
    for n in map(int, o.threads.split(",")): about, results[n] = run(n, names, python, genann, o)
    end = processor_seconds()
    others = max(0, (end[0] - begin[0]) - (end[1] - begin[1])) / ((end[2] - begin[2]) * os.cpu_count())
    for n, r in results.items(): print(f"\n{n} thread(s)\n" + "\n".join(main_table(r, n == max(results), g) for g in (MAIN, VISION)) + "\n" + plan_table(r, n == max(results)))
    if o.filters: return
    write(o.out, results, about, python, genann, o, others)
    print("written:", o.out)

if __name__ == "__main__": sys.exit(main())
