#!/usr/bin/env python3
"""Latency at batch 1, ours against ONNX Runtime, in turns: medians and the median of the ratios pair by pair.

    versus_onnxruntime.py BUILD WORKDIR [--threads 2] [--rounds 15]

Needs numpy, onnx and onnxruntime.  Models come from make_models.py (random weights: speed does not depend on them).  The int8 models are, for ONNX Runtime, its
own static QDQ quantisation (u8 activations, per-channel s8 weights), for us `ds-quantize --bits w8a8`; both calibrated on the same random pictures.
"""
import argparse, os, statistics, subprocess, sys, time
import numpy as np
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

ap = argparse.ArgumentParser()
ap.add_argument("build"); ap.add_argument("work")
ap.add_argument("--threads", type=int, default=2); ap.add_argument("--rounds", type=int, default=15)
ap.add_argument("--models", default="resnet50,mobilenetv2,squeezenet1.1"); ap.add_argument("--kinds", default="fp32,int8")
a = ap.parse_args()
here, tool = os.path.dirname(os.path.abspath(__file__)), lambda n: os.path.join(a.build, n)
os.makedirs(a.work, exist_ok=True)
path = lambda n: os.path.join(a.work, n)
if not os.path.exists(path("resnet50.onnx")):
    subprocess.run([sys.executable, os.path.join(here, "make_models.py"), a.work], check=True)
x = np.random.default_rng(1).normal(0, 1, (8, 3, 224, 224)).astype(np.float32)
np.save(path("calib.npy"), x)


class Reader(CalibrationDataReader):
    def __init__(s): s.i = 0
    def get_next(s):
        s.i += 1
        return {"image": x[s.i - 1:s.i]} if s.i <= len(x) else None


def ours(model, kind):
    dsm = path(f"{model}.{kind}.dsm")
    if not os.path.exists(dsm):
        cmd = f"{tool('ds-convert')} {path(model + '.onnx')}"
        if kind == "int8":
            cmd += f" | {tool('ds-quantize')} --bits w8a8 -c {path('calib.npy')}"
        subprocess.run(cmd + f" > {dsm}", shell=True, check=True)
    p = subprocess.Popen([tool("test/bench/latency"), dsm, str(a.threads), "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline().strip() == "ready"
    def run(n):
        p.stdin.write(f"{n}\n"); p.stdin.flush()
        return list(map(float, p.stdout.readline().split()))
    return run


def theirs(model, kind):
    onnx = path(model + ".onnx")
    if kind == "int8":
        q = path(model + ".int8.onnx")
        if not os.path.exists(q):
            quantize_static(onnx, q, Reader(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
        onnx = q
    o = ort.SessionOptions()
    o.intra_op_num_threads = a.threads
    o.inter_op_num_threads = 1
    o.add_session_config_entry("session.force_spinning_stop", "1")      # idle workers must not take the cores from ours while it is our turn
    s = ort.InferenceSession(onnx, o, providers=["CPUExecutionProvider"])
    one = x[:1]
    for _ in range(5):
        s.run(None, {"image": one})
    def run(n):
        t = []
        for _ in range(n):
            t0 = time.perf_counter(); s.run(None, {"image": one}); t.append((time.perf_counter() - t0) * 1e3)
        return t
    return run


print(f"# onnxruntime {ort.__version__}, {a.threads} threads, batch 1, {a.rounds} rounds of 5 runs in turns; ratio = theirs / ours, above 1: ours is faster")
print("model\tkind\tours_ms\tonnxruntime_ms\tratio")
for model in a.models.split(","):
    for kind in a.kinds.split(","):
        f, g = ours(model, kind), theirs(model, kind)
        m, n = [], []
        for _ in range(a.rounds):
            m.append(statistics.median(f(5))); n.append(statistics.median(g(5)))
        print(f"{model}\t{kind}\t{statistics.median(m):.2f}\t{statistics.median(n):.2f}\t{statistics.median(q / p for p, q in zip(m, n)):.2f}", flush=True)
