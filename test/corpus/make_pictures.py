#!/usr/bin/env python3
"""Make the seeds of the fuzz targets for pictures and arrays: make_pictures.py test/corpus.  Needs numpy and Pillow; run in development only."""
import gzip, io, os, struct, sys, zlib
import numpy as np
from PIL import Image

out = sys.argv[1]
rng = np.random.default_rng(5)
W, H = 13, 9
grad = (np.add.outer(np.arange(H) * 20, np.arange(W) * 7) % 256).astype(np.uint8)
rgb = np.stack([grad, 255 - grad, (grad * 3).astype(np.uint8)], 2)


def put(name, data):
    path = os.path.join(out, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "wb").write(data)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(rows, depth, color, extra=b"", interlace=0, w=W, h=H):
    raw = b"".join(b"\0" + r for r in rows)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, interlace)) + extra
            + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


def adam7(a):
    rows = []
    for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        rows += [r.tobytes() for r in a[y0::dy, x0::dx] if r.size]
    return rows


def exif(o):
    return b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + bytes([0, o, 0, 0]) + b"\0\0\0\0"


rows = lambda a: [r.tobytes() for r in a]
put("png/gray8.png", png(rows(grad), 8, 0))
put("png/rgb8.png", png(rows(rgb), 8, 2))
put("png/rgba8.png", png(rows(np.dstack([rgb, grad])), 8, 6))
put("png/graya8.png", png(rows(np.dstack([grad, grad])), 8, 4))
put("png/gray16.png", png(rows((grad.astype(">u2") * 257)), 16, 0))
put("png/rgb16.png", png(rows((rgb.astype(">u2") * 256 + 77).astype(">u2")), 16, 2))
put("png/gray1.png", png([np.packbits(r > 100).tobytes() for r in grad], 1, 0))
put("png/gray4.png", png([bytes((int(r[i]) >> 4) << 4 | (int(r[i + 1]) >> 4 if i + 1 < W else 0) for i in range(0, W, 2)) for r in grad], 4, 0))
put("png/palette.png", png(rows(grad // 16), 8, 3, chunk(b"PLTE", bytes(range(0, 96, 2))) + chunk(b"tRNS", bytes(range(16)))))
put("png/interlaced.png", png(adam7(rgb), 8, 2, interlace=1))
put("png/exif6.png", png(rows(rgb), 8, 2, chunk(b"eXIf", exif(6))))
put("png/key.png", png(rows(rgb), 8, 2, chunk(b"tRNS", b"\0\0\0\xff\0\0")))
# an eXIf chunk that claims 404 MB is in exif-claim.png, found by fuzzing
put("png/huge.png", png([b"\0"], 8, 0, w=2**31 - 1, h=2**31 - 1))
im = Image.fromarray(rgb)
for name, image, args in (("rgb", im, {}), ("gray", Image.fromarray(grad), {}), ("progressive", im, {"progressive": True}),
                          ("cmyk", im.convert("CMYK"), {}), ("s444", im, {"subsampling": 0}), ("exif8", im, {"exif": b"Exif\0\0" + exif(8)})):
    b = io.BytesIO()
    image.save(b, "JPEG", quality=60, **args)
    put(f"jpeg/{name}.jpg", b.getvalue())
put("jpeg/exif.bin", b"Exif\0\0" + exif(3))
idx = lambda code, a: struct.pack(">BBBB", 0, 0, code, a.ndim) + struct.pack(">%dI" % a.ndim, *a.shape) + a.tobytes()
put("idx/u8.idx", idx(8, np.stack([grad, 255 - grad])))
put("idx/labels.idx", idx(8, np.arange(5, dtype=np.uint8)))
put("idx/f32.idx", idx(13, np.linspace(0, 1, 6).astype(">f4").reshape(2, 3)))
put("idx/i16.idx", idx(11, np.arange(4).astype(">i2")))
put("idx/u8.idx.gz", gzip.compress(idx(8, grad), mtime=0))
put("idx/empty.idx", idx(8, np.zeros((0, 3), np.uint8)))
put("idx/labels.txt", b"n01440764 tench, Tinca tinca\nn01443537 goldfish\r\nn01484850 white shark\n")
for name, a in (("f4", np.arange(6, dtype="<f4").reshape(2, 3)), ("f8be", np.arange(3, dtype=">f8")), ("i8", np.arange(4, dtype="<i8")),
                ("b1", np.array([True, False])), ("f2", np.arange(4, dtype="<f2")), ("u1", grad), ("scalar", np.float32(3)),
                ("fortran", np.asfortranarray(np.arange(24, dtype="<i4").reshape(2, 3, 4))), ("empty", np.zeros((0, 4), "<f4"))):
    b = io.BytesIO()
    np.save(b, a)
    put(f"npy/{name}.npy", b.getvalue())
for v in ((2, 0), (3, 0)):
    b = io.BytesIO()
    np.lib.format.write_array(b, np.arange(5, dtype="<u2"), version=v)
    put(f"npy/v{v[0]}.npy", b.getvalue())
