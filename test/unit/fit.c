/* fit.c - unit tests of what stands around a training step: compact samples, random changes, batches, scores, stages, event files */
#include "data/stock.h"
#include "data/trainset.h"
#include "fit/fit_int.h"
#include "fit/tfevents.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed;
#define CHECK(name, cond) do { if (cond) printf("ok %s\n", name); else { printf("not ok %s: line %d\n", name, __LINE__); failed = 1; } } while (0)

/* ---- stock ------------------------------------------------------------------------------------------------------------------------------ */
static void stock(void)
{
	enum { ITEMS = 100, N = 2 * 3 * 4 };
	ds_stock s;
	ds_tensor t;
	float back[N];
	bool same = true, put = true;
	if (ds_tensor_new(&t, DS_F32, 4, (int64_t[]){ 1, 2, 3, 4 }, NULL) != DS_OK || ds_stock_init(&s, &t, true, 2, 12, NULL) != DS_OK)
		return;
	float *v = t.data;
	for (int i = 0; i < ITEMS; i++) {       /* 200 values in each channel, others in the second */
		for (int k = 0; k < N; k++)
			v[k] = (float)((i * N + k) % 200) * (k < 12 ? 0.1f : -3);
		put &= ds_stock_put(&s, (size_t)i, &t, NULL) == DS_OK;
	}
	CHECK("stock of few values", put && s.coded && ds_stock_memory(&s) <= 65536 + ITEMS * N);
	for (int i = ITEMS - 1; i >= 0; i--) {
		ds_stock_get(&s, (size_t)i, back);
		for (int k = 0; k < N; k++)
			same &= back[k] == (float)((i * N + k) % 200) * (k < 12 ? 0.1f : -3);
	}
	CHECK("stock gives back", same);
	for (int i = ITEMS; i < 2 * ITEMS; i++) {
		for (int k = 0; k < N; k++)
			v[k] = (float)(i * N + k);
		put &= ds_stock_put(&s, (size_t)i, &t, NULL) == DS_OK;
	}
	ds_stock_get(&s, 7, back);
	for (int k = 0; k < N; k++)
		same &= back[k] == (float)((7 * N + k) % 200) * (k < 12 ? 0.1f : -3);
	ds_stock_get(&s, 150, back);
	for (int k = 0; k < N; k++)
		same &= back[k] == (float)(150 * N + k);
	CHECK("stock of many values", put && same && !s.coded);
	v[0] = -0.0f;
	put = ds_stock_put(&s, 3, &t, NULL) == DS_OK;
	ds_stock_get(&s, 3, back);
	CHECK("stock replaces", put && !memcmp(back, v, sizeof back));
	ds_stock_done(&s);
	ds_tensor_done(&t);
}

/* ---- random changes ---------------------------------------------------------------------------------------------------------------------- */
static bool parses(const char *text)
{
	ds_augment a;
	return ds_augment_parse(&a, text, NULL) == DS_OK;
}

/* One change of the picture 0, 1, 2, ... (1 channel, h x w) with random stream r into x. */
static void change(const char *text, int h, int w, uint64_t r, float *x)
{
	ds_augment a;
	float tmp[64];
	ds_aug_shape z = { .n = h * w, .picture = true, .c = 1, .h = h, .w = w, .len = w };
	ds_rng rng = ds_rng_init(5, r);
	for (int i = 0; i < h * w; i++)
		x[i] = (float)(i + 1);
	if (ds_augment_parse(&a, text, NULL) != DS_OK)
		return;
	ds_augment_item(&a, &z, x, tmp, false, &rng);
	ds_augment_item(&a, &z, x, tmp, true, &rng);
}

static void changes(void)
{
	float x[64], y[64];
	int flipped = 0, other = 0, reach[5][5] = { { 0 } }, wrong = 0, zeros = 0;
	CHECK("augment words", parses("") && parses(NULL) && parses("flip,crop:4,cutout:8,mixup:0.2") && parses("crop:2:reflect,noise:.1,shift:100,gain:.2") &&
		!parses("flop") && !parses("flip:1") && !parses("crop") && !parses("crop:0") && !parses("crop:1.5") && !parses("cutout:4:reflect") && !parses("noise:x") &&
		!parses("crop:2:wrap"));
	for (uint64_t r = 0; r < 200; r++) {
		change("flip", 2, 4, r, x);
		if (x[0] == 4 && x[3] == 1 && x[4] == 8 && x[7] == 5)
			flipped++;
		else if (x[0] != 1 || x[7] != 8)
			other++;
	}
	CHECK("flip", flipped > 70 && flipped < 130 && !other);
	for (uint64_t r = 0; r < 500; r++) {    /* where did value 13 (the middle of 5 x 5) go? */
		change("crop:2", 5, 5, r, x);
		int at = -1;
		for (int i = 0; i < 25; i++)
			at = x[i] == 13 ? i : at;
		wrong += at < 0;
		if (at >= 0)
			reach[at / 5][at % 5]++;
		change("crop:2:reflect", 5, 5, r, y);
		for (int i = 0; i < 25; i++)
			wrong += y[i] == 0 || (x[i] != 0 && x[i] != y[i]);
	}
	for (int i = 0; i < 25; i++)
		zeros += reach[i / 5][i % 5] < 5;
	CHECK("crop goes everywhere, reflects", !wrong && !zeros);
	int least = 25, most = 0;
	for (uint64_t r = 0; r < 200; r++) {
		change("cutout:2", 5, 5, r, x);
		int n = 0;
		for (int i = 0; i < 25; i++) {
			n += x[i] == 0;
			wrong += x[i] != 0 && x[i] != (float)(i + 1);
		}
		least = DS_MIN(least, n);
		most = DS_MAX(most, n);
	}
	CHECK("cutout", least == 1 && most == 4 && !wrong);
	for (uint64_t r = 0; r < 100; r++) {
		change("shift:9", 1, 8, r, x);
		float first = 0;
		for (int i = 0; i < 8; i++) {
			if (x[i] == 0)
				continue;
			wrong += first != 0 && x[i] != first + 1;
			first = x[i];
		}
	}
	CHECK("shift", !wrong);
	change("noise:.5", 5, 5, 1, x);
	change("noise:.5", 5, 5, 1, y);
	CHECK("noise, the same for the same counter", !memcmp(x, y, 25 * sizeof *x) && x[0] != 1 && fabs((double)x[0] - 1) < 3);
	double mean = 0, square = 0;
	for (int i = 0; i < 20000; i++) {
		ds_rng r = ds_rng_init(1, (uint64_t)i);
		double b = ds_rng_beta(&r, 0.4);
		mean += b / 20000;
		square += b * b / 20000;
	}       /* variance of Beta(a, a): 1 / (4 (2a + 1)) */
	CHECK("beta", fabs(mean - 0.5) < 0.01 && fabs(square - mean * mean - 1 / (4 * 1.8)) < 0.004);
}

/* ---- batches ------------------------------------------------------------------------------------------------------------------------------ */
/* Samples of one value each: item i is i, its label i % 10; number 3 is bad. */
typedef struct fake { ds_samples base; int64_t n, at; ds_tensor in; bool freed_once; } fake;

static ds_status fake_next(ds_samples *s, ds_item *item, bool *bad, ds_err *err)
{
	fake *f = (fake *)s;
	*bad = false;
	if (f->at >= f->n)
		return DS_END;
	*item = (ds_item){ .name = "x", .name_len = 1, .index = (uint64_t)f->at, .label = f->at % 10, .in = &f->in, .n_in = 1, .row = -1 };
	*(float *)f->in.data = (float)f->at++;
	if (f->at - 1 != 3)
		return DS_OK;
	*bad = true;
	return ds_fail(err, DS_E_INPUT, "number 3 is bad");
}

static ds_status fake_rewind(ds_samples *s, ds_err *err)
{
	((fake *)s)->at = 0;
	return DS_OK;
}

static int64_t fake_count(ds_samples *s) { return ((fake *)s)->n; }

static void fake_free(ds_samples *s)
{
	ds_tensor_done(&((fake *)s)->in);
	ds_free(s);
}

static ds_trainset *open_fake(int64_t n, ds_trainset_opts o)
{
	ds_trainset *t;
	ds_err err = { 0 };
	fake *f = ds_calloc(1, sizeof *f);
	if (!f || ds_tensor_new(&f->in, DS_F32, 2, (int64_t[]){ 1, 1 }, NULL) != DS_OK)
		return NULL;
	f->base = (ds_samples){ .next = fake_next, .rewind = fake_rewind, .count = fake_count, .free = fake_free };
	f->n = n;
	o.output = ds_type_make(DS_F32, 2, (int64_t[]){ -1, 1 });
	o.classes = o.classes ? o.classes : 10;
	if (ds_trainset_open(&t, &f->base, &o, &err) != DS_OK) {
		printf("not ok open: %s\n", err.text);
		failed = 1;
		return NULL;
	}
	return t;
}

/* Values of the batches from `batch` of an epoch on; how many. */
static int64_t epoch(ds_trainset *t, int64_t e, int64_t batch, float *out, int64_t cap)
{
	const ds_minibatch *b;
	int64_t n = 0;
	if (ds_trainset_start(t, e, batch, NULL) != DS_OK)
		return -1;
	while (ds_trainset_next(t, &b, NULL) == DS_OK) {
		for (int64_t i = 0; i < b->n && n < cap; i++) {
			out[n] = ((float *)b->in[0].data)[i];
			if (b->number[i] != (int64_t)out[n] || (b->target.dtype == DS_I64 && ((int64_t *)b->target.data)[i] != b->number[i] % 10))
				return -2;
			n++;
		}
	}
	return n;
}

/* Each of 0 .. n-1 but 3 at most once. */
static bool once(const float *v, int64_t n, int64_t items)
{
	char seen[2000] = { 0 };
	for (int64_t i = 0; i < n; i++) {
		int k = (int)v[i];
		if (k < 0 || k >= items || k == 3 || seen[k]++)
			return false;
	}
	return true;
}

static void batches(void)
{
	float a[2000], b[2000];
	ds_trainset *t = open_fake(1001, (ds_trainset_opts){ .goal = DS_GOAL_CLASS, .batch = 8, .seed = 1 }), *u;
	if (!t)
		return;
	CHECK("bad samples are left out", ds_trainset_items(t) == 1000 && ds_trainset_bad(t) == 1 && ds_trainset_batches(t) == 125);
	CHECK("an epoch has every sample once", epoch(t, 0, 0, a, 2000) == 1000 && once(a, 1000, 1001));
	CHECK("the next has another order", epoch(t, 1, 0, b, 2000) == 1000 && once(b, 1000, 1001) && memcmp(a, b, 1000 * sizeof *a));
	CHECK("an epoch can be entered anywhere", epoch(t, 0, 100, b, 2000) == 200 && !memcmp(a + 800, b, 200 * sizeof *a));
	CHECK("counts", ds_trainset_counts(t)[3] == 99 && ds_trainset_counts(t)[0] == 101);
	for (int i = 0; i < 20; i++)    /* left in the middle */
		(void)!ds_trainset_start(t, i, i, NULL);
	ds_trainset_free(t);

	t = open_fake(1001, (ds_trainset_opts){ .goal = DS_GOAL_CLASS, .batch = 8, .seed = 1, .holdout = 0.25 });
	u = open_fake(1001, (ds_trainset_opts){ .goal = DS_GOAL_CLASS, .batch = 8, .seed = 1, .holdout = 0.25, .memory = 80000 });
	if (!t || !u)
		return;
	int64_t n = epoch(t, 0, 0, a, 2000), m = epoch(u, 0, 0, b, 2000), held = 0;
	bool apart = true;
	ds_minibatch mb = { 0 };
	while (ds_trainset_gather_held(t, held, 7, &mb, NULL) == DS_OK) {
		for (int64_t i = 0; i < mb.n; i++) {
			for (int64_t k = 0; k < n; k++)
				apart &= a[k] != ((float *)mb.in[0].data)[i];
			for (int64_t k = 0; k < m; k++)
				apart &= b[k] != ((float *)mb.in[0].data)[i];
		}
		held += mb.n;
	}
	ds_minibatch_done(&mb);
	CHECK("what is held out is not trained with", apart && held == ds_trainset_held(t) && held > 200 && held < 300 && held + ds_trainset_items(t) == 1000);
	CHECK("a window where memory is short", ds_trainset_window(u) >= 16 && ds_trainset_window(u) < 750 && ds_trainset_held(u) == held && m == n && once(b, m, 1001) &&
		memcmp(a, b, (size_t)n * sizeof *a));
	CHECK("a window entered anywhere", epoch(u, 0, 50, a, 2000) == m - 400 && !memcmp(a, b + 400, (size_t)(m - 400) * sizeof *a));
	ds_trainset_free(t);
	ds_trainset_free(u);
}

static void targets(void)
{
	const ds_minibatch *b;
	ds_augment mix, noise;
	(void)!ds_augment_parse(&mix, "mixup:.5", NULL);
	(void)!ds_augment_parse(&noise, "gain:.5,noise:.5", NULL);
	ds_trainset *t = open_fake(101, (ds_trainset_opts){ .goal = DS_GOAL_CLASS, .batch = 50, .seed = 1, .augment = mix });
	if (!t || ds_trainset_start(t, 0, 0, NULL) != DS_OK || ds_trainset_next(t, &b, NULL) != DS_OK)
		return;
	bool good = ds_trainset_soft(t) && b->target.dtype == DS_F32 && b->target.dim[0] == 50 && b->target.dim[1] == 10;
	int mixed = 0;
	for (int i = 0; good && i < 50; i++) {
		const float *y = (float *)b->target.data + i * 10;
		double sum = 0;
		for (int k = 0; k < 10; k++)
			sum += (double)y[k];
		good &= fabs(sum - 1) < 1e-6 && y[b->label[i]] > 0;
		mixed += y[b->label[i]] < 0.999f;
	}
	CHECK("mixup's targets are probabilities", good && mixed > 20);
	ds_trainset_free(t);
	t = open_fake(101, (ds_trainset_opts){ .goal = DS_GOAL_INPUT, .batch = 50, .seed = 1, .augment = noise });
	if (!t || ds_trainset_start(t, 0, 0, NULL) != DS_OK || ds_trainset_next(t, &b, NULL) != DS_OK)
		return;
	int clean = 0, changed = 0;
	for (int i = 0; i < 50; i++) {
		float x = ((float *)b->in[0].data)[i], y = ((float *)b->target.data)[i];
		changed += x != y;
		clean += y != (float)b->number[i];
	}
	CHECK("the input as target, without its noise", changed == 50 && clean > 40);
	ds_trainset_free(t);
	t = open_fake(101, (ds_trainset_opts){ .goal = DS_GOAL_VALUES, .batch = 50, .seed = 1 });
	if (!t || ds_trainset_start(t, 0, 0, NULL) != DS_OK || ds_trainset_next(t, &b, NULL) != DS_OK)
		return;
	good = b->target.dtype == DS_F32 && b->target.rank == 2;
	for (int i = 0; good && i < 50; i++)
		good &= ((float *)b->target.data)[i] == (float)b->label[i];
	CHECK("labels as values", good);
	ds_trainset_free(t);
	t = open_fake(101, (ds_trainset_opts){ .goal = DS_GOAL_CLASS, .batch = 50, .seed = 1, .classes = 7 });
	CHECK("labels outside the range", t && ds_trainset_bad(t) == 31);
	ds_trainset_free(t);
}

/* ---- scores ---------------------------------------------------------------------------------------------------------------------------------- */
static void scores(void)
{
	float x[6] = { 2, 1, 0, 0, 1, 3 }, y[6] = { 1, 1, 0, 0, 1, 1 };
	int64_t label[2] = { 0, 1 };
	ds_tensor pred, target;
	ds_fit_score s;
	ds_tensor_borrow(&pred, DS_F32, 2, (int64_t[]){ 2, 3 }, x);
	ds_tensor_borrow(&target, DS_I64, 1, (int64_t[]){ 2 }, label);
	ds_minibatch b = { .n = 2, .target = target, .label = label };
	ds_fit_tally t = { .rule = DS_RULE_CLASS, .logits = true };
	bool ok = ds_fit_tally_add(&t, &pred, &b, true, NULL) == DS_OK;
	ds_fit_tally_score(&t, &s);
	double want = (log(exp(2) + exp(1) + 1) - 2 + log(1 + exp(1) + exp(3)) - 1) / 2;
	CHECK("cross-entropy", ok && fabs(s.loss - want) < 1e-12 && s.accuracy == 0.5 && s.n == 2);
	ds_tensor_borrow(&b.target, DS_F32, 2, (int64_t[]){ 2, 3 }, y);
	static const struct { ds_fit_rule rule; double want; } rows[] = { { DS_RULE_SQUARE, 5.0 / 6 }, { DS_RULE_ABS, 3.0 / 6 }, { DS_RULE_HUBER, 2.0 / 6 } };
	for (size_t i = 0; i < DS_COUNTOF(rows); i++) {
		t = (ds_fit_tally){ .rule = rows[i].rule, .delta = 1 };
		ok = ds_fit_tally_add(&t, &pred, &b, true, NULL) == DS_OK;
		ds_fit_tally_score(&t, &s);
		CHECK("losses over numbers", ok && fabs(s.loss - rows[i].want) < 1e-12 && !s.has_accuracy);
	}
	t = (ds_fit_tally){ .rule = DS_RULE_BINARY, .logits = true };
	ok = ds_fit_tally_add(&t, &pred, &b, true, NULL) == DS_OK;
	ds_fit_tally_score(&t, &s);
	want = 0;
	for (int i = 0; i < 6; i++)
		want -= log(y[i] > 0 ? 1 / (1 + exp(-(double)x[i])) : 1 - 1 / (1 + exp(-(double)x[i]))) / 6;
	CHECK("binary", ok && fabs(s.loss - want) < 1e-12 && s.accuracy == 1);
}

/* ---- stages ---------------------------------------------------------------------------------------------------------------------------------- */
static bool staged(const char *text, int rows, int cols)
{
	ds_stages s;
	if (ds_stages_parse(&s, text, strlen(text), NULL) != DS_OK)
		return rows == 0;
	bool ok = s.n_row == rows && s.n_col == cols;
	ds_stages_done(&s);
	return ok;
}

static void stages(void)
{
	ds_stages s;
	CHECK("stages", staged("a\tb\n1\t2\n\n# x\n\t\n", 2, 2) && staged("a\n1", 1, 1) && staged("a\r\n1\r\n2\r\n", 2, 1) && staged("", 0, 0) && staged("a\n", 0, 0) &&
		staged("a\tb\n1\n", 0, 0) && staged("a\t\n1\t2\n", 0, 0) && staged("a\tb\n1\t2\t3\n", 0, 0));
	const char *text = "a\tb\n1\t2\n3\t4\n";
	bool ok = ds_stages_parse(&s, text, strlen(text), NULL) == DS_OK && !strcmp(s.cell[1], "b") && !strcmp(s.cell[2], "1") && !strcmp(s.cell[5], "4");
	CHECK("cells", ok);
	ds_stages_done(&s);
}

/* ---- event files: a reader of its own, bit by bit ------------------------------------------------------------------------------------------------ */
static uint32_t crc_slow(const uint8_t *p, size_t n)
{
	uint32_t c = 0xffffffffu;
	for (size_t i = 0; i < n; i++) {
		c ^= p[i];
		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
	}
	return ~c;
}

static uint64_t le(const uint8_t *p, int n)
{
	uint64_t v = 0;
	for (int i = n - 1; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static bool crc_good(const uint8_t *p, size_t n)
{
	uint32_t stored = (uint32_t)le(p + n, 4) - 0xa282ead8u;
	return (stored >> 17 | stored << 15) == crc_slow(p, n);
}

/* The next field of a message: its number and wire type; of bytes, where they are. */
typedef struct pb { const uint8_t *p, *end; int number, wire; uint64_t value; const uint8_t *bytes; size_t n; } pb;

static uint64_t pb_varint(pb *m)
{
	uint64_t v = 0;
	for (int shift = 0; m->p < m->end && shift < 64; shift += 7) {
		v |= (uint64_t)(*m->p & 0x7f) << shift;
		if (!(*m->p++ & 0x80))
			break;
	}
	return v;
}

static bool pb_next(pb *m)
{
	if (m->p >= m->end)
		return false;
	uint64_t key = pb_varint(m);
	m->number = (int)(key >> 3);
	m->wire = (int)(key & 7);
	if (m->wire == 0) {
		m->value = pb_varint(m);
	} else if (m->wire == 1 || m->wire == 5) {
		m->value = le(m->p, m->wire == 1 ? 8 : 4);
		m->p += m->wire == 1 ? 8 : 4;
	} else {
		m->n = (size_t)pb_varint(m);
		m->bytes = m->p;
		m->p += m->n;
	}
	return m->p <= m->end;
}

static double as_double(uint64_t v)
{
	double d;
	memcpy(&d, &v, sizeof d);
	return d;
}

/* Everything in the file: number of events, the scalar "a/b" at step 7, the histogram "w". */
typedef struct found { int events, version; float scalar; int64_t step; double min, max, num, sum, squares, buckets, limits; int n_bucket, n_limit; } found;

static void read_histogram(found *f, const uint8_t *p, size_t n)
{
	double *single[] = { NULL, &f->min, &f->max, &f->num, &f->sum, &f->squares };
	for (pb m = { .p = p, .end = p + n }; pb_next(&m);) {
		if (m.number >= 1 && m.number <= 5)
			*single[m.number] = as_double(m.value);
		for (size_t i = 0; m.number >= 6 && i + 8 <= m.n; i += 8) {
			*(m.number == 6 ? &f->limits : &f->buckets) += as_double(le(m.bytes + i, 8));
			++*(m.number == 6 ? &f->n_limit : &f->n_bucket);
		}
	}
}

static void read_value(found *f, const uint8_t *p, size_t n, int64_t step)
{
	char tag[64] = "";
	for (pb m = { .p = p, .end = p + n }; pb_next(&m);) {
		if (m.number == 1)
			snprintf(tag, sizeof tag, "%.*s", (int)m.n, (const char *)m.bytes);
		if (m.number == 2 && !strcmp(tag, "a/b")) {
			uint32_t bits = (uint32_t)m.value;
			memcpy(&f->scalar, &bits, 4);
			f->step = step;
		}
		if (m.number == 5 && !strcmp(tag, "w"))
			read_histogram(f, m.bytes, m.n);
	}
}

static bool read_events(found *f, const uint8_t *p, size_t n)
{
	*f = (found){ 0 };
	while (n) {
		if (n < 16 || !crc_good(p, 8) || le(p, 8) > n - 16 || !crc_good(p + 12, (size_t)le(p, 8)))
			return false;
		size_t len = (size_t)le(p, 8);
		int64_t step = 0;
		for (pb m = { .p = p + 12, .end = p + 12 + len }; pb_next(&m);) {
			if (m.number == 2)
				step = (int64_t)m.value;
			if (m.number == 3)
				f->version = m.n == 13 && !memcmp(m.bytes, "brain.Event:2", 13) && !f->events;
			if (m.number == 5) {
				for (pb v = { .p = m.bytes, .end = m.bytes + m.n }; pb_next(&v);)
					read_value(f, v.bytes, v.n, step);
			}
		}
		f->events++;
		p += 16 + len;
		n -= 16 + len;
	}
	return true;
}

static void events(void)
{
	ds_sink *s;
	ds_buf file = { 0 }, b = { 0 };
	found f;
	float v[1000];
	for (int i = 0; i < 1000; i++)
		v[i] = (float)(i % 11) - 5;
	v[500] = NAN;
	if (ds_sink_memory(&s, &file, NULL) != DS_OK)
		return;
	bool ok = ds_tfevents_begin(s, NULL) == DS_OK;
	ds_tfevents_scalar(&b, "a/b", 0.25f);
	ds_tfevents_scalar(&b, "other", 1);
	ok &= ds_tfevents_put(s, 300, &b, NULL) == DS_OK;
	ds_buf_reset(&b);
	ds_tfevents_histogram(&b, "w", v, 1000);
	ok &= ds_tfevents_put(s, 301, &b, NULL) == DS_OK && ds_sink_commit(s, NULL) == DS_OK;
	CHECK("events are read", ok && read_events(&f, (const uint8_t *)file.data, file.len) && f.events == 3 && f.version);
	CHECK("a scalar at its step", f.scalar == 0.25f && f.step == 300);
	CHECK("a histogram", f.min == -5 && f.max == 5 && f.num == 999 && f.buckets == 999 && f.n_bucket == f.n_limit && fabs(f.sum - (-5 - 0)) < 12 && f.squares > 9000);
	file.data[file.len - 20] ^= 1;
	CHECK("the reader sees a wrong byte", !read_events(&f, (const uint8_t *)file.data, file.len));
	ds_buf_done(&file);
	ds_buf_done(&b);
}

int main(void)
{
	stock();
	changes();
	batches();
	targets();
	scores();
	stages();
	events();
	return failed;
}
