#!/usr/bin/env python3
"""Draw the sample's pictures and train its network.  Run once, in development; its results are committed.

Pictures: one printed digit each, 28x28 grey, in many fonts, sizes, turns, contrasts and noise levels, with scraps of other digits at the edges.  The
fonts of the training, calibration and test pictures are disjoint families.  Needs Python 3, numpy, Pillow, PyTorch and a few dozen TrueType fonts below
/usr/share/fonts.

    make_sample.py OUTDIR
"""
import glob, gzip, os, re, struct, sys, zlib
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont
import torch
import torch.nn as nn
import torch.nn.functional as F

SIZE, SEED = 28, 20260101
TRAIN, CALIB, TEST = 16000, 500, 1500
out = sys.argv[1]


def families():
    """Font files by family, in three disjoint sets chosen by a checksum of the family's name."""
    fam = {}
    for path in sorted(glob.glob("/usr/share/fonts/**/*.[to]tf", recursive=True)):
        base = os.path.basename(path)
        if re.match(r"(StandardSymbols|D050000L|DejaVuMath)", base):
            continue
        fam.setdefault(re.split(r"[-_.]", base)[0].rstrip("0123456789")[:9], []).append(path)
    parts = {"train": [], "calib": [], "test": []}
    for name in sorted(fam):
        k = zlib.crc32(name.encode()) % 10
        parts["test" if k < 3 else "calib" if k == 3 else "train"].append(fam[name])
    return parts


def ink(rng, fonts, digit, lo=15, hi=25):
    """A mask with one digit, turned, somewhere near the middle."""
    font = fonts[rng.integers(len(fonts))]
    font = ImageFont.truetype(font[rng.integers(len(font))], int(rng.integers(lo, hi)))
    big = Image.new("L", (SIZE * 2, SIZE * 2), 0)
    ImageDraw.Draw(big).text((SIZE, SIZE), str(digit), fill=255, font=font, anchor="mm")
    big = big.rotate(float(rng.uniform(-22, 22)), Image.BILINEAR)
    return big


def cell(rng, fonts, digit):
    dx, dy = rng.integers(-4, 5, 2)
    big = ink(rng, fonts, digit)
    mask = np.asarray(big.crop((SIZE // 2 - dx, SIZE // 2 - dy, SIZE // 2 - dx + SIZE, SIZE // 2 - dy + SIZE)), np.float32) / 255
    if rng.random() < .6:                     # a scrap of a neighbour at one side
        scrap = np.asarray(ink(rng, fonts, rng.integers(10)).crop((SIZE // 2, SIZE // 2, SIZE // 2 + SIZE, SIZE // 2 + SIZE)), np.float32) / 255
        shift = int(rng.integers(SIZE // 2 + 2, SIZE - 4)) * (1 if rng.random() < .5 else -1)
        axis = int(rng.integers(2))
        scrap = np.roll(scrap, shift, axis)
        edge = [slice(None), slice(None)]     # what came round the other side goes
        edge[axis] = slice(None, shift) if shift > 0 else slice(shift, None)
        scrap[tuple(edge)] = 0
        mask = np.maximum(mask, scrap)
    paper, pen = rng.uniform(120, 255), rng.uniform(0, 90)
    gx, gy = rng.uniform(-1.5, 1.5, 2)
    y, x = np.mgrid[0:SIZE, 0:SIZE] - SIZE / 2
    grey = (paper + gx * x + gy * y) * (1 - mask) + pen * mask
    if rng.random() < .3:
        grey = 255 - grey
    img = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(float(rng.uniform(0, .9))))
    grey = np.asarray(img, np.float32) + rng.normal(0, rng.uniform(2, 38), (SIZE, SIZE))
    return (np.clip(grey, 0, 255) // 16 * 17).astype(np.uint8)          # 16 grey levels


def draw(rng, fonts, n):
    labels = np.arange(n) % 10
    rng.shuffle(labels)
    return np.stack([cell(rng, fonts, d) for d in labels]), labels.astype(np.uint8)


def write_idx(name, x, y):
    def save(path, head, data):
        with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as f:
            f.write(head + data.tobytes())
    save(os.path.join(out, name + "-images-idx3-ubyte.gz"), struct.pack(">IIII", 0x803, len(x), SIZE, SIZE), x)
    save(os.path.join(out, name + "-labels-idx1-ubyte.gz"), struct.pack(">II", 0x801, len(y)), y)


class Block(nn.Module):
    def __init__(s, i, o, stride):
        super().__init__()
        s.conv1, s.bn1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        s.conv2, s.bn2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        s.skip = nn.Conv2d(i, o, 1, stride, bias=False) if stride > 1 or i != o else nn.Identity()

    def forward(s, x):
        return F.relu(s.bn2(s.conv2(F.relu(s.bn1(s.conv1(x))))) + s.skip(x))


class Net(nn.Module):
    """A residual network of three blocks: 16, 24 and 48 channels."""
    def __init__(s):
        super().__init__()
        s.conv, s.bn = nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        s.block1, s.block2, s.block3 = Block(16, 16, 1), Block(16, 24, 2), Block(24, 48, 2)
        s.fc = nn.Linear(48, 10)

    def forward(s, x):
        x = s.block3(s.block2(s.block1(F.relu(s.bn(s.conv(x))))))
        return s.fc(x.mean((2, 3)))


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        p = torch.cat([net(b).argmax(1) for b in x.split(500)])
    return (p == y).float().mean().item()


def tensors(x, y):
    return (torch.tensor(x, dtype=torch.float32)[:, None] / 255 - .5) / .5, torch.tensor(y.astype(np.int64))


def main():
    rng = np.random.default_rng(SEED)
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    fonts = families()
    print({k: sum(map(len, v)) for k, v in fonts.items()})
    xs, ys = draw(rng, fonts["test"], TEST)
    xc, yc = draw(rng, fonts["calib"], CALIB)
    xt, yt = draw(rng, fonts["train"], TRAIN)
    write_idx("test", xs, ys)
    write_idx("calib", xc, yc)
    sheet = xs[:400].reshape(20, 20, SIZE, SIZE).transpose(0, 2, 1, 3).reshape(20 * SIZE, 20 * SIZE)
    Image.fromarray(sheet).save(os.path.join(out, "sheet.png"), optimize=True)
    os.makedirs(os.path.join(out, "pictures"), exist_ok=True)
    for i in range(12):
        Image.fromarray(xs[i]).resize((84, 84), Image.NEAREST).save(os.path.join(out, "pictures", f"{'abcdefghijkl'[i]}-is-{ys[i]}.png"), optimize=True)
    xs, ys = tensors(xs, ys)
    xt, yt = tensors(xt, yt)
    net, epochs, batch = Net().to(memory_format=torch.channels_last), 10, 100
    steps = epochs * (TRAIN // batch)
    opt = torch.optim.SGD(net.parameters(), lr=.1, momentum=.9, nesterov=True, weight_decay=5e-4)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, .2, steps)
    for e in range(epochs):
        net.train()
        for b in torch.randperm(TRAIN)[:TRAIN // batch * batch].split(batch):
            loss = F.cross_entropy(net(xt[b].to(memory_format=torch.channels_last)), yt[b], label_smoothing=.05)
            opt.zero_grad(); loss.backward(); opt.step(); sched.step()
        print(e, loss.item(), flush=True)
    print("parameters", sum(p.numel() for p in net.parameters()), "test accuracy", accuracy(net, xs, ys))
    net = net.to(memory_format=torch.contiguous_format).eval()
    torch.onnx.export(net, xs[:1], os.path.join(out, "digits.onnx"), opset_version=13, input_names=["image"], output_names=["logits"],
                      dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}}, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)


main()
