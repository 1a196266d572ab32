#!/usr/bin/env python3
"""Time of a training step, ours against PyTorch's, in turns: medians and the median of the ratios pair by pair.

    versus_pytorch.py BUILD WORKDIR [--threads 2] [--rounds 5] [--models resnet18,gpt]

Needs numpy and torch.  The models are those of cmd/specs: ResNet-18 with a stem for 32 x 32 pictures, batch 128, and a transformer of 6 layers, 384 wide, 256 tokens,
batch 16; PyTorch runs the same layers in its fastest setting here: channels-last, eager or compiled by --compile, SGD and AdamW in their fused forms.
Peak is the fp32 rate that test/bench/kernels measures; shares are of work (6 multiply-adds per weight and position) over time over that rate.
"""
import argparse, os, statistics, subprocess, sys, time
import torch
import torch.nn as nn
import torch.nn.functional as F

ap = argparse.ArgumentParser()
ap.add_argument("build"); ap.add_argument("work")
ap.add_argument("--threads", type=int, default=2); ap.add_argument("--rounds", type=int, default=5)
ap.add_argument("--models", default="resnet18,gpt"); ap.add_argument("--compile", action="store_true"); ap.add_argument("--bf16", action="store_true", help="ours alone in bf16")
a = ap.parse_args()
here = os.path.dirname(os.path.abspath(__file__))
os.makedirs(a.work, exist_ok=True)
torch.set_num_threads(a.threads)
torch.manual_seed(0)
clock = time.process_time if a.threads == 1 else time.perf_counter     # as train_step does: a busy machine can be measured too
BATCH = {"resnet18": 128, "gpt": 16}
GFLOP = {"resnet18": 427.0, "gpt": 292.0}


class Block(nn.Module):
    def __init__(s, cin, cout, step):
        super().__init__()
        s.a, s.an = nn.Conv2d(cin, cout, 3, step, 1, bias=False), nn.BatchNorm2d(cout)
        s.b, s.bn = nn.Conv2d(cout, cout, 3, 1, 1, bias=False), nn.BatchNorm2d(cout)
        s.way = nn.Sequential(nn.Conv2d(cin, cout, 1, step, bias=False), nn.BatchNorm2d(cout)) if step != 1 or cin != cout else nn.Identity()

    def forward(s, x):
        return F.relu(s.bn(s.b(F.relu(s.an(s.a(x))))) + s.way(x))


def resnet18():
    layers, cin = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()], 64
    for c, step in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        layers.append(Block(cin, c, step))
        cin = c
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


class Layer(nn.Module):
    def __init__(s, d, heads):
        super().__init__()
        s.n1, s.n2, s.heads = nn.LayerNorm(d, bias=False), nn.LayerNorm(d, bias=False), heads
        s.qkv, s.out = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
        s.up, s.down = nn.Linear(d, 4 * d, bias=False), nn.Linear(4 * d, d, bias=False)

    def forward(s, x):
        b, t, d = x.shape
        q, k, v = (y.view(b, t, s.heads, d // s.heads).transpose(1, 2) for y in s.qkv(s.n1(x)).split(d, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, d)
        x = x + s.out(y)
        return x + s.down(F.gelu(s.up(s.n2(x))))


class GPT(nn.Module):
    def __init__(s, vocab=65, context=256, d=384, heads=6, layers=6):
        super().__init__()
        s.token, s.place = nn.Embedding(vocab, d), nn.Parameter(torch.randn(context, d) * .02)
        s.layers, s.norm = nn.Sequential(*[Layer(d, heads) for _ in range(layers)]), nn.LayerNorm(d, bias=False)

    def forward(s, ids):
        return s.norm(s.layers(s.token(ids) + s.place)) @ s.token.weight.t()


def theirs(name):
    net = resnet18().to(memory_format=torch.channels_last) if name == "resnet18" else GPT()
    if name == "resnet18":
        x = torch.randn(128, 3, 32, 32).to(memory_format=torch.channels_last); y = torch.randint(0, 10, (128,))
        opt = torch.optim.SGD(net.parameters(), lr=.01, momentum=.9, nesterov=True, weight_decay=5e-4)
    else:
        x = torch.randint(0, 65, (16, 256)); y = torch.randint(0, 65, (16, 256))
        opt = torch.optim.AdamW(net.parameters(), lr=1e-3)
    run_net = torch.compile(net) if a.compile else net
    def run(n):
        times = []
        for _ in range(n):
            t = clock()
            opt.zero_grad(set_to_none=True)
            out = run_net(x)
            F.cross_entropy(out.flatten(0, -2), y.flatten()).backward()
            opt.step()
            times.append((clock() - t) * 1e3)
        return times
    return run


def ours(name):
    dsm = os.path.join(a.work, name + ".dsm")
    subprocess.run([os.path.join(a.build, "ds-convert"), "--from", "spec", os.path.join(here, "..", "..", "cmd", "specs", name + ".spec"), "-o", dsm, "-f"] +
                   (["-D", "dropout=0"] if name == "gpt" else []), check=True)
    p = subprocess.Popen([os.path.join(a.build, "test/bench/train_step"), dsm, str(BATCH[name]), str(a.threads), "turns"] + (["0", "bf16"] if a.bf16 else []), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline().strip() == "ready"
    def run(n):
        p.stdin.write(f"{n}\n"); p.stdin.flush()
        return list(map(float, p.stdout.readline().split()))
    return run


print("model\tthreads\tours ms\tPyTorch ms\tratio (theirs / ours)\tGFLOP/s ours\tPyTorch " + torch.__version__)
for name in a.models.split(","):
    us, them = ours(name), theirs(name)
    us(1); them(2)
    pairs = [(statistics.median(us(1)), statistics.median(them(1))) for _ in range(a.rounds)]
    o, t = statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)
    print(f"{name}\t{a.threads}\t{o:.1f}\t{t:.1f}\t{statistics.median(p[1] / p[0] for p in pairs):.2f}\t{GFLOP[name] / o * 1e3:.0f}", flush=True)
