# train_peers.py - the shapes of train_ops.c in PyTorch, for side-by-side figures: python3 train_peers.py [--threads N] [--seconds S] [PATTERN]
import argparse
import fnmatch
import time

import torch

p = argparse.ArgumentParser()
p.add_argument("--threads", type=int, default=1)
p.add_argument("--seconds", type=float, default=0.25)
p.add_argument("pattern", nargs="?", default="*")
a = p.parse_args()
torch.set_num_threads(a.threads)
clock = time.process_time if a.threads == 1 else time.perf_counter
print(f"# PyTorch {torch.__version__}, {a.threads} threads, the faster of both memory formats")


def best(fn):
    t, end = [], clock() + a.seconds
    while len(t) < 4 or clock() < end:
        t0 = clock()
        fn()
        t.append(clock() - t0)
    return min(t)


def line(label, fns, ops, unit):
    if fnmatch.fnmatch(label, a.pattern):
        t = min(best(f) for f in fns)
        print(f"{label:<44} {t * 1e3:9.3f} ms {ops / t * 1e-9:8.1f} {unit}", flush=True)


def conv(net, b, ic, oc, size, k, s):
    pad = k // 2
    o = (size + 2 * pad - k) // s + 1
    ops = 2.0 * b * oc * o * o * ic * k * k
    forms = []
    for f in (torch.contiguous_format, torch.channels_last):
        forms.append((torch.rand(b, ic, size, size).to(memory_format=f), torch.rand(oc, ic, k, k).to(memory_format=f), torch.rand(b, oc, o, o).to(memory_format=f)))
    name = f"{net} {ic}->{oc} {size}x{size} k{k}/{s}"

    def back(x, w, y, mask):
        return lambda: torch.ops.aten.convolution_backward(y, x, w, None, [s, s], [pad, pad], [1, 1], False, [0, 0], 1, mask)

    line(name + " Conv", [lambda x=x, w=w: torch.nn.functional.conv2d(x, w, None, s, pad) for x, w, y in forms], ops, "GFLOP/s")
    if ic >= 8:
        line(name + " ConvGradInput", [back(x, w, y, [True, False, False]) for x, w, y in forms], ops, "GFLOP/s")
    line(name + " ConvGradWeight", [back(x, w, y, [False, True, False]) for x, w, y in forms], ops, "GFLOP/s")


def norm(net, b, c, size):
    fwd, bwd = [], []
    for f in (torch.contiguous_format, torch.channels_last):
        x = torch.rand(b, c, size, size).to(memory_format=f).requires_grad_()
        dy = torch.rand(b, c, size, size).to(memory_format=f)
        s, t, m, v = torch.ones(c, requires_grad=True), torch.zeros(c, requires_grad=True), torch.zeros(c), torch.ones(c)
        run = lambda x=x, s=s, t=t, m=m, v=v: torch.relu(torch.nn.functional.batch_norm(x, m, v, s, t, True))
        y = run()
        fwd.append(run)
        bwd.append(lambda y=y, x=x, s=s, t=t, dy=dy: torch.autograd.grad(y, (x, s, t), dy, retain_graph=True))
    bytes_ = 4.0 * b * c * size * size
    line(f"{net} {c} {size}x{size} BatchNormTrain", fwd, 3 * bytes_, "GB/s")
    line(f"{net} {c} {size}x{size} BatchNormGrad", bwd, 5 * bytes_, "GB/s")


def product(net, sa, sb, ta, tb):
    x, y = torch.rand(*sa), torch.rand(*sb)
    l, r = (x.mT if ta else x), (y.mT if tb else y)
    ops = 2.0 * l.numel() * r.shape[-1]
    line(f"{net} {sa[-2]}x{sa[-1]}{chr(39) if ta else ''} {sb[-2]}x{sb[-1]}{chr(39) if tb else ''} MatMulT", [lambda: l @ r], ops, "GFLOP/s")


def dense(net, m, k, n):
    product(net, (m, k), (k, n), 0, 0)
    product(net, (m, n), (k, n), 0, 1)
    product(net, (m, k), (m, n), 1, 0)


def attention(net, b, h, t, d):
    product(net, (b, h, t, d), (b, h, t, d), 0, 1)
    product(net, (b, h, t, t), (b, h, t, d), 0, 0)
    product(net, (b, h, t, t), (b, h, t, d), 1, 0)


for shape in ((1, 16, 28, 3, 1), (16, 16, 28, 3, 1), (16, 32, 28, 3, 2), (16, 32, 28, 1, 2), (32, 32, 14, 3, 1), (32, 64, 14, 3, 2), (64, 64, 7, 3, 1)):
    conv("resnet8", 128, *shape)
for shape in ((16, 28), (32, 14), (64, 7)):
    norm("resnet8", 128, *shape)
for shape in ((3, 64, 32, 3, 1), (64, 64, 32, 3, 1), (64, 128, 32, 3, 2), (64, 128, 32, 1, 2), (128, 128, 16, 3, 1), (128, 256, 16, 3, 2), (256, 256, 8, 3, 1), (256, 512, 8, 3, 2), (512, 512, 4, 3, 1)):
    conv("resnet18", 128, *shape)
for shape in ((64, 32), (512, 4)):
    norm("resnet18", 128, *shape)
for shape in ((384, 1152), (384, 384), (384, 1536), (1536, 384)):
    dense("gpt", 4096, *shape)
attention("gpt", 16, 6, 256, 64)
