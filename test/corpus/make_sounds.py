#!/usr/bin/env python3
"""Make the seeds of the fuzz targets for sounds and tables: make_sounds.py test/corpus.  FLAC needs libsndfile (through ctypes); run in development only."""
import ctypes, math, os, struct, sys

out = sys.argv[1]
RATE, N = 8000, 40
wave = [round(12000 * math.sin(i / 3)) for i in range(N)]


def put(name, data):
    path = os.path.join(out, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "wb").write(data)


def chunk(name, data):
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)


def fmt(tag, channels, bits, extra=b""):
    frame = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, RATE, RATE * frame, frame, bits) + extra)


def wav(*chunks, size=None):
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def guid(tag, bits, mask):
    return struct.pack("<HHI", 22, bits, mask) + struct.pack("<H", tag) + bytes([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71])


pcm16 = struct.pack("<%dh" % N, *wave)
stereo = struct.pack("<%dh" % (2 * N), *[v for w in wave for v in (w, -w + 2)])
put("sound/pcm16.wav", wav(fmt(1, 1, 16), chunk(b"data", pcm16)))
put("sound/pcm8.wav", wav(fmt(1, 1, 8), chunk(b"data", bytes((w >> 8) + 128 for w in wave))))
put("sound/pcm24.wav", wav(fmt(1, 1, 24), chunk(b"data", b"".join(struct.pack("<i", w << 8)[:3] for w in wave))))
put("sound/pcm32.wav", wav(fmt(1, 1, 32), chunk(b"data", struct.pack("<%di" % N, *[w << 16 for w in wave]))))
put("sound/f32.wav", wav(fmt(3, 1, 32), chunk(b"data", struct.pack("<%df" % N, *[w / 32768 for w in wave]))))
put("sound/f64.wav", wav(fmt(3, 1, 64), chunk(b"data", struct.pack("<%dd" % N, *[w / 32768 for w in wave]))))
put("sound/stereo.wav", wav(fmt(0xFFFE, 2, 16, guid(1, 16, 3)), chunk(b"LIST", b"INFOx"), chunk(b"data", stereo), chunk(b"id3 ", b"abc")))
put("sound/pipe.wav", wav(fmt(1, 1, 16), b"data" + struct.pack("<I", 0xFFFFFFFF) + pcm16, size=0xFFFFFFFF))
put("sound/adpcm.wav", wav(fmt(2, 1, 16), chunk(b"data", pcm16)))
put("sound/cut.wav", wav(fmt(1, 1, 16), chunk(b"data", pcm16))[:-10])
put("sound/empty.wav", wav(fmt(1, 1, 16), chunk(b"data", b"")))


class Info(ctypes.Structure):
    _fields_ = [("frames", ctypes.c_int64), ("samplerate", ctypes.c_int), ("channels", ctypes.c_int), ("format", ctypes.c_int), ("sections", ctypes.c_int),
                ("seekable", ctypes.c_int)]


lib = ctypes.CDLL("libsndfile.so.1")
lib.sf_open.restype = ctypes.c_void_p
info = Info(samplerate=RATE, channels=1, format=0x170000 | 2)
path = os.path.join(out, "sound/s16.flac")
f = lib.sf_open(path.encode(), 0x20, ctypes.byref(info))
lib.sf_write_short(ctypes.c_void_p(f), (ctypes.c_short * N)(*wave), ctypes.c_int64(N))
lib.sf_close(ctypes.c_void_p(f))

put("csv/plain.csv", b"a,b,c\n1,2,3\n4,5,6\n")
put("csv/quoted.csv", b"\xEF\xBB\xBFname;\"the \"\"value\"\"\";x\r\n\"a;b\";1.5;\"2\"\r\n\r\n\"line\nbreak\";-3e2;\r\n")
put("csv/bare.csv", b"0.1,0.2,R\n0.3,,M\n0.5,NA,R\n")
put("csv/ragged.csv", b"a\tb\n1\t2\t3\n1\n\t\n")
put("csv/open.csv", b"a,b\n\"1,2\n")
