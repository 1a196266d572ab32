#!/usr/bin/env python3
"""Write a safetensors file of 4 GiB whose largest tensor has 1 GiB: make_safetensors.py FILE.  Needs numpy."""
import json, struct, sys
import numpy as np

tensors = [("big.weight", [16384, 16384])] + [(f"layer{i}.weight", [8192, 8192]) for i in range(12)] + [("norm.weight", [4096])]
head, at = {}, 0
for name, shape in tensors:
    n = 4 * int(np.prod(shape))
    head[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + n]}
    at += n
head = json.dumps(head).encode()
head += b" " * (-len(head) % 8)
block = np.random.default_rng(0).normal(0, .02, 1 << 20).astype(np.float32).tobytes()
with open(sys.argv[1], "wb") as f:
    f.write(struct.pack("<Q", len(head)) + head)
    while at > 0:
        f.write(block[:at])
        at -= len(block)
