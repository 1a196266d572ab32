# uncertain.py - reference figures for uncertain.c, by numpy: `python3 test/unit/uncertain.py > test/unit/uncertain_ref.h`
import numpy as np

N, C = 400, 7
i, k = np.arange(N)[:, None], np.arange(C)[None, :]
z = (((i * 7919 + k * 104729 + i * k * 31) % 1000) / 100 - 5).astype(np.float32)
best = z.argmax(1)
label = np.where(np.arange(N) % 10 < 6, best, (np.arange(N) * 3 + 1) % C)


def softmax(z, t=1.0):
    e = np.exp((z.astype(np.float64) - z.max(1, keepdims=True)) / t)
    return (e / e.sum(1, keepdims=True)).astype(np.float32).astype(np.float64)


def nll_at(t):
    d = z.astype(np.float64) / t
    m = d.max(1)
    return np.mean(m + np.log(np.exp(d - m[:, None]).sum(1)) - d[np.arange(N), label])


def golden(f, a, b):
    r = (5 ** .5 - 1) / 2
    for _ in range(200):
        c, d = b - r * (b - a), a + r * (b - a)
        a, b = (a, d) if f(c) < f(d) else (c, b)
    return (a + b) / 2


def ece(conf, hit, bins):
    edge, e = np.linspace(0, 1, bins + 1), 0
    for lo, hi in zip(edge[:-1], edge[1:]):         # as gpleiss/temperature_scaling states it: (lo, hi]
        m = (conf > lo) & (conf <= hi)
        if m.any():
            e += abs(hit[m].mean() - conf[m].mean()) * m.mean()
    return e


def ece_mass(conf, hit, bins):
    o, e = np.argsort(conf, kind='stable'), 0
    for b in range(bins):
        m = o[N * b // bins:N * (b + 1) // bins]
        e += abs(hit[m].sum() - conf[m].sum()) / N
    return e


def quantile(s, a):
    n = len(s)
    rank = int(np.ceil((n + 1) * (1 - a) - 1e-9))
    return np.sort(s)[rank - 1] if rank <= n else np.inf


p = softmax(z)
conf, hit = p.max(1), best == label
onehot = np.eye(C)[label]
t = golden(nll_at, .05, 50)
lac = 1 - p[np.arange(N), label]
out = {
    'TEMPERATURE': t,
    'NLL': -np.log(p[np.arange(N), label]).mean(),
    'NLL_FITTED': nll_at(t),
    'BRIER': ((p - onehot) ** 2).sum(1).mean(),
    'ENTROPY': -(p * np.log(np.maximum(p, 1e-300))).sum(1).mean(),
    'ENERGY': -np.log(np.exp(z.astype(np.float64)).sum(1)).mean(),
    'ECE': ece(conf, hit, 15),
    'ECE_MASS': ece_mass(conf, hit, 15),
    'LAC_10': quantile(lac, .1),
    'LAC_05': quantile(lac, .05),
    'LAC_SIZE_10': ((1 - p) <= quantile(lac, .1)).sum(1).mean(),
}
print('/* uncertain_ref.h - what uncertain.py has computed */')
for key, v in out.items():
    print(f'#define REF_{key} {v:.12g}')
