/* chanstat.c - sums and maps per channel (chanstat.h) */
#include "chanstat.h"

enum { PARTS = 64, PART_PIXELS = 64, MAP_ELEMENTS = 16384 };

ds_chan ds_chan_of(const ds_type *t, ds_layout layout)
{
	ds_chan c = { .batch = t->rank ? t->dim[0] : 1, .channels = t->rank > 1 ? t->dim[1] : 1, .inner = 1, .last = layout == DS_CHANNELS_LAST || t->rank <= 2 };
	for (int i = 2; i < t->rank; i++)
		c.inner *= t->dim[i];
	return c;
}

static int64_t parts_of(const ds_chan *c)
{
	return DS_MAX(DS_MIN(PARTS, c->batch * c->inner / PART_PIXELS), 1);
}

size_t ds_chan_scratch(const ds_type *t)
{
	ds_chan c = ds_chan_of(t, DS_PLAIN);
	return (size_t)ds_pad64((uint64_t)((1 + parts_of(&c)) * 2 * c.channels) * sizeof(double));
}

typedef struct job { const ds_chan *c; const ds_k_norm *k; ds_k_norm_fn *fn; double *sum; int64_t parts, rows; } job;

/* One channel of k, at element `at` of its tensors. */
static ds_k_norm channel(const ds_k_norm *k, int64_t c, int64_t at)
{
	ds_k_norm one = *k;
	const float **v[] = { &one.mean, &one.a, &one.b, &one.k1, &one.k2, &one.k3 };
	for (size_t i = 0; i < DS_COUNTOF(v); i++)
		*v[i] = *v[i] ? *v[i] + c : NULL;
	one.x += at;
	one.dy = one.dy ? one.dy + at : NULL;
	one.y = one.y ? one.y + at : NULL;
	one.ld = one.chans = 1;
	return one;
}

static void sums_task(void *arg, int part, int worker)
{
	const job *j = arg;
	const ds_chan *c = j->c;
	int64_t all = c->batch * c->inner, p0 = all * part / j->parts, p1 = all * (part + 1) / j->parts;
	double *sum = j->sum + (1 + part) * 2 * c->channels;
	for (int64_t i = 0; i < 2 * c->channels; i++)
		sum[i] = 0;
	if (c->last) {
		ds_k_norm k = *j->k;
		k.x += p0 * c->channels;
		k.dy = k.dy ? k.dy + p0 * c->channels : NULL;
		k.ld = k.chans = (size_t)c->channels;
		k.pixels = (size_t)(p1 - p0);
		k.sum = sum;
		k.sum2 = sum + c->channels;
		j->fn(&k);
		return;
	}
	for (int64_t ch = 0; ch < c->channels; ch++)
		for (int64_t p = p0, n; p < p1; p += n) {
			int64_t img = p / c->inner, pos = p % c->inner;
			n = DS_MIN(c->inner - pos, p1 - p);
			ds_k_norm k = channel(j->k, ch, (img * c->channels + ch) * c->inner + pos);
			k.pixels = (size_t)n;
			k.sum = sum + ch;
			k.sum2 = sum + c->channels + ch;
			j->fn(&k);
		}
}

void ds_chan_sums(ds_pool *pool, const ds_chan *c, const ds_k_norm *k, double *scratch)
{
	job j = { .c = c, .k = k, .fn = ds_kernel_pick(DS_K_norm_f32, ds_cpu_allowed())->fn.norm, .sum = scratch, .parts = parts_of(c) };
	ds_pool_run(pool, (int)j.parts, sums_task, &j);
	for (int64_t i = 0; i < 2 * c->channels; i++) {
		double s = 0;
		for (int64_t part = 0; part < j.parts; part++)
			s += scratch[(1 + part) * 2 * c->channels + i];
		scratch[i] = s;
	}
}

/* A plane of one channel: the arithmetic of the kernel, element by element. */
static void map_plane(const ds_k_norm *k, int64_t n)
{
	const float mean = *k->mean, a = k->a ? *k->a : 0, b = k->b ? *k->b : 0;
	const bool relu = k->relu;
	if (k->what == DS_NORM_APPLY) {
		for (int64_t i = 0; i < n; i++) {
			float y = (k->x[i] - mean) * a + b;
			k->y[i] = relu && y <= 0 ? 0.0f : y;
		}
		return;
	}
	const float k1 = *k->k1, k2 = *k->k2, k3 = *k->k3;
	for (int64_t i = 0; i < n; i++) {
		float u = k->x[i] - mean, g = relu && u * a + b <= 0 ? 0.0f : k->dy[i];
		k->y[i] = (g * k1 - k2) - u * k3;
	}
}

static void map_task(void *arg, int64_t i0, int64_t i1, int worker)
{
	const job *j = arg;
	const ds_chan *c = j->c;
	ds_k_norm k = *j->k;
	if (!c->last) {
		for (int64_t i = i0; i < i1; i++) {
			k = channel(j->k, i % c->channels, i * c->inner);
			map_plane(&k, c->inner);
		}
		return;
	}
	k.x += i0 * c->channels;
	k.dy = k.dy ? k.dy + i0 * c->channels : NULL;
	k.y += i0 * c->channels;
	k.ld = k.chans = (size_t)c->channels;
	k.pixels = (size_t)(i1 - i0);
	j->fn(&k);
}

void ds_chan_map(ds_pool *pool, const ds_chan *c, const ds_k_norm *k)
{
	job j = { .c = c, .k = k, .fn = ds_kernel_pick(DS_K_norm_f32, ds_cpu_allowed())->fn.norm };
	int64_t items = c->batch * (c->last ? c->inner : c->channels), per = DS_MAX(c->last ? c->channels : c->inner, 1);
	ds_nn_for(pool, items, DS_MAX(MAP_ELEMENTS / per, 1), map_task, &j);
}
