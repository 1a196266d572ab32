#!/usr/bin/env python3
# make_onnx.py - make the small ONNX files of test/corpus/onnx (needs the Python packages onnx and numpy; the files are committed)
#
# Each shows one thing that the importer must get right; together they are the seeds of fuzz_onnx and the inputs of test/cmd/convert.bats.
# digits.onnx is not made here: a residual net for pictures of digits as PyTorch 1.13 exports it in training mode, with Identity nodes and weights named after modules.
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "onnx")
os.makedirs(out, exist_ok=True)
rng = np.random.default_rng(7)


def f32(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def init(name, a):
    return nh.from_array(np.asarray(a), name)


def vi(name, shape, t=T.FLOAT):
    return h.make_tensor_value_info(name, t, shape)


def save(file, nodes, ins, outs, inits=(), opset=13, ir=8, functions=(), info=(), more_sets=()):
    g = h.make_graph(nodes, file, ins, outs, list(inits), value_info=list(info))
    sets = [h.make_opsetid("", opset)] + [h.make_opsetid(d, v) for d, v in more_sets]
    m = h.make_model(g, opset_imports=sets, ir_version=ir, producer_name="ds", functions=list(functions))
    onnx.save(m, os.path.join(out, file + ".onnx"))


N = h.make_node
# a classifier: convolution, batch norm, pooling, linear, softmax
save("cnn", [
    N("Conv", ["x", "c.w", "c.b"], ["c"], name="conv", pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
    N("BatchNormalization", ["c", "g", "be", "m", "v"], ["bn"], name="bn"),
    N("Relu", ["bn"], ["r"], name="relu"), N("GlobalAveragePool", ["r"], ["p"], name="pool"), N("Flatten", ["p"], ["f"], name="flat"),
    N("Gemm", ["f", "l.w", "l.b"], ["s"], name="linear", transB=1), N("Softmax", ["s"], ["y"], name="softmax", axis=1)],
    [vi("x", ["N", 3, 8, 8])], [vi("y", ["N", 5])],
    [init("c.w", f32(4, 3, 3, 3)), init("c.b", f32(4)), init("g", f32(4)), init("be", f32(4)), init("m", f32(4)), init("v", np.ones(4, np.float32)),
     init("l.w", f32(5, 4)), init("l.b", f32(5))])
# initialisers that are graph inputs too, typed lists instead of raw bytes, attributes that became inputs
save("old", [
    N("Unsqueeze", ["x"], ["u"], axes=[0, 1]), N("Upsample", ["u", "sc"], ["up"], mode="nearest"), N("Squeeze", ["up"], ["q"], axes=[0]),
    N("ReduceSum", ["q"], ["rs"], axes=[0], keepdims=0), N("Slice", ["rs"], ["sl"], starts=[0, 1], ends=[2, 4], axes=[0, 1]),
    N("Pad", ["sl"], ["pd"], pads=[0, 1, 0, 1], value=1.5), N("Clip", ["pd"], ["cl"], min=-1.0, max=1.0), N("Dropout", ["cl"], ["d", "mask"], ratio=0.5),
    N("TopK", ["d"], ["tv", "ti"], axis=1, k=2), N("Split", ["tv"], ["s1", "s2"], axis=1, split=[1, 1]), N("Add", ["s1", "w"], ["y"])],
    [vi("x", [2, 3]), vi("w", [1]), vi("sc", [4])], [vi("y", None), vi("mask", None, T.BOOL), vi("s2", None)],
    [h.make_tensor("w", T.FLOAT, [1], [2.0]), h.make_tensor("sc", T.FLOAT, [4], [1.0, 1.0, 2.0, 2.0])], opset=9, ir=3)
save("softmax11", [N("Softmax", ["x"], ["a"], axis=1), N("LogSoftmax", ["a"], ["b"], axis=2), N("Hardmax", ["b"], ["y"])],
     [vi("x", [2, 3, 4])], [vi("y", [2, 3, 4])], opset=11, ir=6)
# every element type as raw bytes and as typed lists; constants in all their forms
types = [np.float32, np.float16, np.float64, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, np.bool_]
nodes, inits = [], []
for i, t in enumerate(types):
    a = np.array([0, 1, 1], dtype=t)
    p = nh.from_array(a, f"raw{i}")
    q = h.make_tensor(f"typed{i}", p.data_type, [3], a.tolist())
    inits += [p, q]
    nodes += [N("Cast", [f"raw{i}"], [f"a{i}"], to=T.FLOAT), N("Cast", [f"typed{i}"], [f"b{i}"], to=T.FLOAT), N("Add", [f"a{i}", f"b{i}"], [f"s{i}"])]
nodes += [N("Constant", [], ["k0"], value_float=1.5), N("Constant", [], ["k1"], value_floats=[1.0, 2.0, 3.0]), N("Constant", [], ["k2"], value_int=2),
          N("Constant", [], ["k3"], value_ints=[0]), N("Constant", [], ["k4"], value=nh.from_array(f32(3))), N("Unsqueeze", ["k0", "k3"], ["k5"]),
          N("Cast", ["k2"], ["k6"], to=T.FLOAT), N("Sum", ["x", "k0", "k1", "k4", "k5", "k6"] + [f"s{i}" for i in range(len(types))], ["y"])]
save("types", nodes, [vi("x", [3])], [vi("y", [3])], inits)
# functions: one that calls another, with attributes that stand for the caller's
inner = h.make_function("own", "Scaled", ["a"], ["b"], [N("Constant", [], ["k"]), N("Mul", ["a", "k"], ["b"])], [h.make_opsetid("", 13)], ["factor"])
at = inner.node[0].attribute.add()
at.name, at.ref_attr_name, at.type = "value_float", "factor", onnx.AttributeProto.FLOAT
outer = h.make_function("own", "Twice", ["a"], ["c", "unused"], [
    N("Scaled", ["a"], ["b"], domain="own", factor=2.0, name="first"), N("Scaled", ["b"], ["c"], domain="own", factor=3.0), N("Identity", ["a"], ["unused"])],
    [h.make_opsetid("", 13), h.make_opsetid("own", 1)])
save("functions", [N("Twice", ["x"], ["t"], domain="own", name="t1"), N("Twice", ["t"], ["y"], domain="own")], [vi("x", [2, None])], [vi("y", [2, None])],
     functions=[inner, outer], more_sets=[("own", 1)])
# sub-graphs: a condition, and a loop that uses a value from outside
yes = h.make_graph([N("Add", ["x", "w"], ["r"])], "yes", [], [vi("r", None)], [init("w", f32(4))])
no = h.make_graph([N("Neg", ["x"], ["r"])], "no", [], [vi("r", None)])
body = h.make_graph([N("Add", ["acc", "b"], ["acc2"]), N("Identity", ["go"], ["go2"])], "body",
                    [vi("i", [], T.INT64), vi("go", [], T.BOOL), vi("acc", [4])], [vi("go2", [], T.BOOL), vi("acc2", [4])])
save("subgraphs", [N("If", ["c"], ["b"], name="if", then_branch=yes, else_branch=no), N("Loop", ["n", "", "b"], ["y"], name="loop", body=body)],
     [vi("x", [4]), vi("c", [], T.BOOL)], [vi("y", [4])], [init("n", np.int64(3))])
# quantised weights
save("qdq", [
    N("QuantizeLinear", ["x", "xs", "xz"], ["xq"]), N("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
    N("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0), N("DequantizeLinear", ["b", "bs"], ["bd"], axis=0),
    N("Conv", ["xd", "wd", "bd"], ["c"], name="conv"), N("Flatten", ["c"], ["f"]), N("DequantizeLinear", ["m", "ms"], ["md"]), N("MatMul", ["f", "md"], ["y"])],
    [vi("x", [1, 2, 2, 2])], [vi("y", [1, 3])],
    [init("xs", np.float32(.1)), init("xz", np.int8(1)), init("w", rng.integers(-127, 127, (3, 2, 1, 1), dtype=np.int8)),
     init("ws", np.array([.1, .2, .3], np.float32)), init("wz", np.zeros(3, np.int8)), init("b", np.array([1, -2, 3], np.int32)),
     init("bs", np.array([.01, .02, .03], np.float32)), init("m", rng.integers(-127, 127, (12, 3), dtype=np.int8)), init("ms", np.float32(.5))])
# what must be refused, each with its reason
save("unknown", [N("Frobnicate", ["x"], ["a"], name="f1"), N("Widget", ["a"], ["b"], domain="com.example", name="w1"), N("Relu", ["b"], ["c"]),
                 N("Frobnicate", ["c"], ["y"], name="f2")], [vi("x", [2])], [vi("y", [2])], more_sets=[("com.example", 1)])
save("undefined", [N("Add", ["x", "nothing"], ["y"])], [vi("x", [2])], [vi("y", [2])])
save("no_output", [N("Relu", ["x"], ["y"])], [vi("x", [2])], [])
save("misfit", [N("Reshape", ["x", "to"], ["y"])], [vi("x", [2])], [vi("y", [7])], [init("to", np.array([7], np.int64))])
save("strings", [N("Identity", ["x"], ["y"])], [vi("x", [2], T.STRING)], [vi("y", [2], T.STRING)])
save("opset5", [N("Relu", ["x"], ["y"])], [vi("x", [2])], [vi("y", [2])], opset=5)
for file, where in (("external", "external.bin"), ("external_up", "../external.bin"), ("external_link", "link.bin"), ("external_long", "external.bin")):
    t = T(name="w", data_type=T.FLOAT, dims=[4], data_location=T.EXTERNAL)
    for k, v in (("location", where), ("offset", "8" if file == "external_long" else "0"), ("length", "16")):
        t.external_data.add(key=k, value=v)
    save(file, [N("Add", ["x", "w"], ["y"])], [vi("x", [4])], [vi("y", [4])], [t])
# names that are no text, names that are there twice, nothing that looks like a shape
save("names", [N("Relu", ["x\n1"], ["a\x1b[31m"], name="n"), N("Relu", ["a\x1b[31m"], ["b" * 300], name="n"), N("Identity", ["b" * 300], ["y"])],
     [vi("x\n1", [None, 2])], [vi("y", None)])
# pictures at the size of ImageNet's, for examples: the first layer takes one point in 32
save("rgb224", [N("Conv", ["x", "w0", "b0"], ["a"], strides=[32, 32], name="conv0"), N("Relu", ["a"], ["b"]), N("Conv", ["b", "w1"], ["c"], name="conv1"),
                N("GlobalAveragePool", ["c"], ["d"]), N("Flatten", ["d"], ["e"]), N("Gemm", ["e", "w2"], ["y"], transB=1)],
     [vi("x", ["N", 3, 224, 224])], [vi("y", ["N", 5])], [init("w0", f32(8, 3, 2, 2)), init("b0", f32(8)), init("w1", f32(12, 8, 1, 1)), init("w2", f32(5, 12))])
# samples that would not stay apart if dim 0 were taken for a batch: centred over dim 0, and a recurrence along it
save("centred", [N("ReduceMean", ["x"], ["m"], axes=[0]), N("Sub", ["x", "m"], ["y"])], [vi("x", ["N", 28, 28])], [vi("y", ["N", 28, 28])])
save("recurrent", [N("LSTM", ["x", "w", "r"], ["y"], hidden_size=2)], [vi("x", ["T", 28, 28])], [vi("y", ["T", 1, 28, 2])],
     [init("w", .01 * f32(1, 8, 28)), init("r", f32(1, 8, 2))])
# Dropout, its share as attribute and as input; before it nothing to be trained
for file, opset, more in (("dropout7", 10, {"ratio": .25}), ("dropout13", 13, {})):
    save(file, [N("Gemm", ["x", "w"], ["a"]), N("Relu", ["a"], ["b"]), N("Dropout", ["b"] + ([] if more else ["share"]), ["c"], **more), N("Gemm", ["c", "v"], ["y"])],
         [vi("x", ["N", 4])], [vi("y", ["N", 3])], [init("w", f32(4, 16)), init("v", f32(16, 3))] + ([] if more else [init("share", np.float32(.25))]), opset=opset)
