#!/usr/bin/env python3
"""Write ONNX files with the shapes of well-known networks and random weights: for timing, never for accuracy.

    make_models.py OUTDIR          resnet50.onnx mobilenetv2.onnx squeezenet1.1.onnx

Needs numpy and onnx.  Weights are drawn as in He et al. 2015, so activations keep their size from layer to layer.
"""
import os, sys
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(0)


class Net:
    def __init__(s, name):
        s.name, s.nodes, s.init, s.n = name, [], [], 0

    def op(s, kind, *inputs, **attrs):
        s.n += 1
        s.nodes.append(helper.make_node(kind, list(inputs), [f"v{s.n}"], name=f"{kind}_{s.n}", **attrs))
        return f"v{s.n}"

    def const(s, x):
        name = f"w{len(s.init)}"
        s.init.append(numpy_helper.from_array(x, name))
        return name

    def conv(s, x, i, o, k=3, stride=1, group=1, gain=2.0):
        fan = i // group * k * k
        w = s.const(rng.normal(0, np.sqrt(gain / fan), (o, i // group, k, k)).astype(np.float32))
        b = s.const(rng.normal(0, .01, o).astype(np.float32))
        p = k // 2
        return s.op("Conv", x, w, b, kernel_shape=[k, k], strides=[stride] * 2, pads=[p] * 4, group=group)

    def relu(s, x):
        return s.op("Relu", x)

    def relu6(s, x):
        return s.op("Clip", x, s.const(np.float32(0)), s.const(np.float32(6)))

    def head(s, x, i, o=1000):
        x = s.op("Flatten", s.op("GlobalAveragePool", x), axis=1)
        return s.op("Gemm", x, s.const(rng.normal(0, i ** -.5, (o, i)).astype(np.float32)), s.const(np.zeros(o, np.float32)), transB=1)

    def save(s, out, directory):
        s.nodes[-1].output[0] = "logits"
        g = helper.make_graph(s.nodes, s.name, [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 224, 224])],
                              [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 1000])], s.init)
        m = helper.make_model(g, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(m)
        onnx.save(m, os.path.join(directory, s.name + ".onnx"))


def resnet50():
    n = Net("resnet50")
    x = n.op("MaxPool", n.relu(n.conv("image", 3, 64, 7, 2)), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    c = 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for b in range(blocks):
            st = stride if b == 0 else 1
            y = n.relu(n.conv(x, c, width, 1))
            y = n.relu(n.conv(y, width, width, 3, st))
            y = n.conv(y, width, 4 * width, 1, gain=.2)
            if b == 0:
                x = n.conv(x, c, 4 * width, 1, st, gain=1)
            x = n.relu(n.op("Add", y, x))
            c = 4 * width
    n.head(x, c)
    return n


def mobilenetv2():
    n = Net("mobilenetv2")
    x = n.relu6(n.conv("image", 3, 32, 3, 2))
    c = 32
    for t, o, blocks, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
        for b in range(blocks):
            st = stride if b == 0 else 1
            y = n.relu6(n.conv(x, c, c * t, 1)) if t > 1 else x
            y = n.relu6(n.conv(y, c * t, c * t, 3, st, group=c * t))
            y = n.conv(y, c * t, o, 1, gain=1)
            x = n.op("Add", x, y) if st == 1 and c == o else y
            c = o
    n.head(n.relu6(n.conv(x, c, 1280, 1)), 1280)
    return n


def squeezenet():
    n = Net("squeezenet1.1")
    pool = dict(kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 0, 0])
    x = n.op("MaxPool", n.relu(n.conv("image", 3, 64, 3, 2)), **pool)
    c = 64
    for squeeze, expand, after in ((16, 64, 0), (16, 64, 1), (32, 128, 0), (32, 128, 1), (48, 192, 0), (48, 192, 0), (64, 256, 0), (64, 256, 0)):
        y = n.relu(n.conv(x, c, squeeze, 1))
        x = n.op("Concat", n.relu(n.conv(y, squeeze, expand, 1)), n.relu(n.conv(y, squeeze, expand, 3)), axis=1)
        c = 2 * expand
        if after:
            x = n.op("MaxPool", x, **pool)
    x = n.relu(n.conv(x, c, 1000, 1))
    x = n.op("GlobalAveragePool", x)
    n.op("Flatten", x, axis=1)
    return n


out = sys.argv[1]
os.makedirs(out, exist_ok=True)
for make in (resnet50, mobilenetv2, squeezenet):
    net = make()
    net.save(None, out)
