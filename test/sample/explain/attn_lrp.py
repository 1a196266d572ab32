#!/usr/bin/env python3
# attn_lrp.py - makes the fixtures of relevance: two small transformers as ONNX files, and what AttnLRP (Achtibat et al. 2024) says about them
#
#   python3 attn_lrp.py [FOLDER]          (torch, onnx; not needed to build or to test)
#
# Relevance is passed down layer by layer here, in f64 and by the formulas of the paper as they stand, from the modules' own activations: nothing of a
# backward pass of gradients.  vit.onnx: patches by a convolution, a class token, LayerNorm, GELU, biases everywhere.  words.onnx: tokens, RMSNorm, causal
# attention with grouped queries, SwiGLU.
import math, os, sys
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(4)
here = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
TINY = 1e-12

def safe(z):
    return torch.where(z == 0, torch.full_like(z, TINY), z)

# ---- rules: relevance of the result R, what went in, what came out ------------------------------------------------------------------
def linear(x, w, b, r, gamma=0.0):
    """x [..., i], w [o, i]; returns the relevance of x and of the bias"""
    z = x @ w.T + (0 if b is None else b)
    c = x.unsqueeze(-2) * w                                     # contributions [..., o, i]
    up = (z > 0).unsqueeze(-1)
    c = c + gamma * torch.where(up, c.clamp(min=0), c.clamp(max=0))
    total = c.sum(-1) + (0 if b is None else b)
    s = r / safe(total)
    return (c * s.unsqueeze(-1)).sum(-2), (0 if b is None else (b * s).sum())

def product(a, b, r):
    """out = a @ b: half to each"""
    s = r / (2 * safe(a @ b))
    return a * (s @ b.transpose(-1, -2)), b * (a.transpose(-1, -2) @ s)

def softmax(x, r):
    s = x.softmax(-1)
    rel = torch.where(torch.isinf(x), torch.zeros_like(x), x * (r - s * r.sum(-1, keepdim=True)))
    return rel

def add(a, b, r):
    s = r / safe(a + b)
    return a * s, b * s

def norm(x, weight, bias, eps, r, mean):
    xc = x - x.mean(-1, keepdim=True) if mean else x
    sigma = (xc.pow(2).mean(-1, keepdim=True) + eps).sqrt()
    y = xc / sigma * weight + (0 if bias is None else bias)
    c = weight / sigma * r / safe(y)                            # relevance over value of xc
    rb = 0 if bias is None else (bias * r / safe(y)).sum()
    return x * (c - c.mean(-1, keepdim=True) if mean else c), rb

# ---- a picture ------------------------------------------------------------------------------------------------------------------------
D, H, P, SIDE, CLASSES, LAYERS = 16, 2, 4, 16, 5, 2

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(D), nn.LayerNorm(D)
        self.qkv, self.out = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.up, self.down = nn.Linear(D, 2 * D), nn.Linear(2 * D, D)

    def heads(self, x):
        n, t, _ = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, H, D // H).permute(2, 0, 3, 1, 4)
        return q, k, v

    def forward(self, x):
        n, t, _ = x.shape
        q, k, v = self.heads(self.n1(x))
        a = ((q @ k.transpose(-1, -2)) * (D // H) ** -0.5).softmax(-1)
        x = x + self.out((a @ v).transpose(1, 2).reshape(n, t, D))
        return x + self.down(F.gelu(self.up(self.n2(x))))

    def relevance(self, x, r, gamma, sink):
        n, t, _ = x.shape
        h = self.n1(x)
        q, k, v = self.heads(h)
        s = (q @ k.transpose(-1, -2)) * (D // H) ** -0.5
        a = s.softmax(-1)
        av = a @ v
        cat = av.transpose(1, 2).reshape(n, t, D)
        x1 = x + self.out(cat)
        g = self.n2(x1)
        u = self.up(g)
        m = F.gelu(u)
        rx1, rd = add(x1, self.down(m), r)
        rm, rb = linear(m, self.down.weight, self.down.bias, rd, gamma); sink['bias'] += rb
        ru = rm                                                 # the identity rule
        rg, rb = linear(g, self.up.weight, self.up.bias, ru, gamma); sink['bias'] += rb
        rn, rb = norm(x1, self.n2.weight, self.n2.bias, self.n2.eps, rg, True); sink['bias'] += rb
        r = rx1 + rn
        rx, ro = add(x, self.out(cat), r)
        rc, rb = linear(cat, self.out.weight, self.out.bias, ro, gamma); sink['bias'] += rb
        rav = rc.reshape(n, t, H, D // H).transpose(1, 2)
        ra, rv = product(a, v, rav)
        rs = softmax(s, ra); sink['softmax'] += ra.sum() - rs.sum()
        rq, rk = product(q, k.transpose(-1, -2), rs)
        rqkv = torch.stack([rq, rk.transpose(-1, -2), rv]).permute(1, 3, 0, 2, 4).reshape(n, t, 3 * D)
        rh, rb = linear(h, self.qkv.weight, self.qkv.bias, rqkv, gamma); sink['bias'] += rb
        rn, rb = norm(x, self.n1.weight, self.n1.bias, self.n1.eps, rh, True); sink['bias'] += rb
        return rx + rn

class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, D, P, P)
        self.cls, self.pos = nn.Parameter(torch.randn(1, 1, D)), nn.Parameter(torch.randn(1, (SIDE // P) ** 2 + 1, D) * .3)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm, self.head = nn.LayerNorm(D), nn.Linear(D, CLASSES)
        for p in self.parameters():
            if p.dim() == 1:
                nn.init.normal_(p, 1.0 if (p.data == 1).all() else 0.0, .1)
            elif p.dim() == 2:
                nn.init.normal_(p, 0, 1.2 / math.sqrt(p.shape[1]))

    def embed(self, x):
        v = self.patch(x).flatten(2).transpose(1, 2)
        return torch.cat([self.cls.expand(x.shape[0], -1, -1), v], 1)

    def forward(self, x):
        v = self.embed(x) + self.pos
        for b in self.blocks:
            v = b(v)
        return self.head(self.norm(v[:, 0]))

    def maps(self, x):
        v, all = self.embed(x) + self.pos, []
        for b in self.blocks:
            q, k, _ = b.heads(b.n1(v))
            all.append(((q @ k.transpose(-1, -2)) * (D // H) ** -0.5).softmax(-1)[0])
            v = b(v)
        return torch.stack(all)

    def relevance(self, x, target, gamma):
        sink = {'bias': 0.0, 'softmax': 0.0}
        v = [self.embed(x) + self.pos]
        for b in self.blocks:
            v.append(b(v[-1]))
        c = v[-1][:, 0]
        n = self.norm(c)
        y = self.head(n)
        r = torch.zeros_like(y)
        r[0, target] = y[0, target]
        score = float(y[0, target])
        rn, rb = linear(n, self.head.weight, self.head.bias, r, gamma); sink['bias'] += rb
        rc, rb = norm(c, self.norm.weight, self.norm.bias, self.norm.eps, rn, True); sink['bias'] += rb
        r = torch.zeros_like(v[-1])
        r[:, 0] = rc
        for i in reversed(range(LAYERS)):
            r = self.blocks[i].relevance(v[i], r, gamma, sink)
        re, rp = add(self.embed(x), self.pos, r)
        sink['bias'] += rp.sum() + re[:, 0].sum()               # positions, class token
        cols = F.unfold(x, P, stride=P).transpose(1, 2)         # [n, patches, 3 P P]
        rcols, rb = linear(cols, self.patch.weight.reshape(D, -1), self.patch.bias, re[:, 1:], gamma); sink['bias'] += rb
        return F.fold(rcols.transpose(1, 2), (SIDE, SIDE), P, stride=P), score, sink

# ---- words ------------------------------------------------------------------------------------------------------------------------------
VOCAB, T, KV = 11, 7, 1
MASK = torch.full((T, T), float('-inf')).triu(1)

class RMS(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(1 + .1 * torch.randn(D))
    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight

class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = RMS(), RMS()
        d = D // H
        self.q, self.k, self.v, self.o = (nn.Linear(D, o, bias=False) for o in (D, KV * d, KV * d, D))
        self.gate, self.up, self.down = (nn.Linear(i, o, bias=False) for i, o in ((D, 2 * D), (D, 2 * D), (2 * D, D)))

    def parts(self, x):
        n, t, _ = x.shape
        d = D // H
        h = self.n1(x)
        q = self.q(h).view(n, t, H, d).transpose(1, 2)
        k = self.k(h).view(n, t, KV, 1, d).permute(0, 2, 3, 1, 4).expand(n, KV, H // KV, t, d).reshape(n, H, t, d)
        v = self.v(h).view(n, t, KV, 1, d).permute(0, 2, 3, 1, 4).expand(n, KV, H // KV, t, d).reshape(n, H, t, d)
        mask = MASK[:t, :t].to(x.dtype)
        s = (q @ k.transpose(-1, -2)) / math.sqrt(d) + mask
        return h, q, k, v, s

    def forward(self, x):
        n, t, _ = x.shape
        h, q, k, v, s = self.parts(x)
        x = x + self.o((s.softmax(-1) @ v).transpose(1, 2).reshape(n, t, D))
        g = self.n2(x)
        a = self.gate(g)
        return x + self.down(a * torch.sigmoid(a) * self.up(g))

    def relevance(self, x, r, sink):
        n, t, _ = x.shape
        d = D // H
        h, q, k, v, s = self.parts(x)
        a = s.softmax(-1)
        cat = (a @ v).transpose(1, 2).reshape(n, t, D)
        x1 = x + self.o(cat)
        g = self.n2(x1)
        ga, up = self.gate(g), self.up(g)
        m = F.silu(ga) * up
        rx1, rd = add(x1, self.down(m), r)
        rm, _ = linear(m, self.down.weight, None, rd)
        rga = rup = rm / 2                                      # the uniform rule, then the identity rule through SiLU
        rg = linear(g, self.gate.weight, None, rga)[0] + linear(g, self.up.weight, None, rup)[0]
        r = rx1 + norm(x1, self.n2.weight, None, 1e-5, rg, False)[0]
        rx, ro = add(x, self.o(cat), r)
        rc, _ = linear(cat, self.o.weight, None, ro)
        ra, rv = product(a, v, rc.reshape(n, t, H, d).transpose(1, 2))
        rs = softmax(s, ra); sink['softmax'] += ra.sum() - rs.sum()
        z = q @ k.transpose(-1, -2) / math.sqrt(d)              # what is hidden has no relevance
        rq, rk = product(q, k.transpose(-1, -2), torch.where(torch.isinf(s), torch.zeros_like(rs), rs))
        back = lambda r: r.reshape(n, KV, H // KV, t, d).sum(2).permute(0, 2, 1, 3).reshape(n, t, KV * d)
        rh = linear(h, self.q.weight, None, rq.transpose(1, 2).reshape(n, t, D))[0]
        rh = rh + linear(h, self.k.weight, None, back(rk.transpose(-1, -2)))[0] + linear(h, self.v.weight, None, back(rv))[0]
        return rx + norm(x, self.n1.weight, None, 1e-5, rh, False)[0]

class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(VOCAB, D)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm, self.head = RMS(), nn.Linear(D, VOCAB, bias=False)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, 0, 1.2 / math.sqrt(p.shape[1]))

    def forward(self, ids):
        v = self.table(ids)
        for l in self.layers:
            v = l(v)
        return self.head(self.norm(v))

    def maps(self, ids):
        v, all = self.table(ids), []
        for l in self.layers:
            all.append(l.parts(v)[4].softmax(-1)[0])
            v = l(v)
        return torch.stack(all)

    def relevance(self, ids, target):
        sink = {'bias': 0.0, 'softmax': 0.0}
        v = [self.table(ids)]
        for l in self.layers:
            v.append(l(v[-1]))
        n = self.norm(v[-1])
        y = self.head(n)
        r = torch.zeros_like(y)
        r[0, -1, target] = y[0, -1, target]
        rn, _ = linear(n, self.head.weight, None, r)
        r = norm(v[-1], self.norm.weight, None, 1e-5, rn, False)[0]
        for i in reversed(range(LAYERS)):
            r = self.layers[i].relevance(v[i], r, sink)
        return r.sum(-1), float(y[0, -1, target]), sink

def save(name, a):
    np.save(os.path.join(here, name), np.ascontiguousarray(a, dtype=np.float32))

with torch.no_grad():
    vit, x = Vit().eval(), torch.randn(1, 3, SIDE, SIDE)
    torch.onnx.export(vit, (x,), os.path.join(here, 'vit.onnx'), input_names=['image'], output_names=['logits'], opset_version=13, dynamo=False)
    words, ids = Words().eval(), torch.randint(0, VOCAB, (1, T))
    torch.onnx.export(words, (ids,), os.path.join(here, 'words.onnx'), input_names=['ids'], output_names=['logits'], opset_version=13, dynamo=False)
    vit, words = vit.double(), words.double()
    save('vit_input.npy', x.numpy())
    np.save(os.path.join(here, 'words_input.npy'), ids.numpy())
    save('vit_attention.npy', vit.maps(x.double()).numpy())     # [2 layers, 2 heads, 17, 17]
    save('words_attention.npy', words.maps(ids).numpy())        # [2, 2, 7, 7]
    rows = []
    for gamma in (0, .25):
        r, score, sink = vit.relevance(x.double(), 3, gamma)
        rows.append(r[0].numpy())
        total = float(r.sum() + sink['bias'] + sink['softmax'])
        print('vit, gamma %g: score %.6f, inputs %.6f, biases %.6f, softmax %.6f, together %.6f' % (gamma, score, r.sum(), sink['bias'], sink['softmax'], total))
        assert abs(total - score) < 1e-6
    save('vit_relevance.npy', np.stack(rows))                   # [gamma 0, gamma .25][3, 16, 16], class 3
    r, score, sink = words.relevance(ids, 6)
    total = float(r.sum() + sink['softmax'])
    print('words: score %.6f, tokens %.6f, softmax %.6f, together %.6f' % (score, r.sum(), sink['softmax'], total))
    assert abs(total - score) < 1e-6
    save('words_relevance.npy', r[0].numpy())                   # [7], class 6 at the last position
