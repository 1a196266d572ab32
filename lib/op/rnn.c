/* rnn.c - the walk over directions and time of RNN, GRU and LSTM (rnn.h) */
#include "rnn.h"
#include "rnnstep.h"
#include "../kernel/kernel.h"

#include <math.h>
#include <string.h>

const char *const ds_rnn_directions[] = { "forward", "reverse", "bidirectional", NULL };

/* Gates of each kind; the recurrent weights are packed in parts, because GRU's last gate reads another left operand. */
const ds_rnn_form ds_rnn_forms[] = {
	[DS_RNN] = { "RNN", 1, 1, { 0 }, { 1 }, { "Tanh" }, ds_rnn_step_rnn },
	[DS_GRU] = { "GRU", 3, 2, { 0, 2 }, { 2, 1 }, { "Sigmoid", "Tanh" }, ds_rnn_step_gru },
	[DS_LSTM] = { "LSTM", 4, 3, { 0 }, { 4 }, { "Sigmoid", "Tanh", "Tanh" }, ds_rnn_step_lstm },
	[DS_QLSTM] = { "QLSTM", 4, 3, { 0 }, { 4 }, { "Sigmoid", "Tanh", "Tanh" }, ds_rnn_step_lstm },
};

struct prep {
	int    directions, parts;
	size_t bytes;
	float *w[2];            /* packed [input, gates * hidden] */
	float *r[2][2];         /* packed [hidden, part] */
	ds_rnn_codes wq[2], rq[2];      /* QLSTM: instead */
};

/* ---- products ----------------------------------------------------------------------------------------------------------------- */

struct product {
	const ds_rnn_matrix *m;
	const float *const  *rows;
	int64_t              n_rows;
	float               *acc;
	size_t               ld;
};

/* Panel p of acc += rows * m, each element going on with its own chain. */
static void packed_panel(void *arg, int64_t p0, int64_t p1, int worker)
{
	const struct product *d = arg;
	const ds_rnn_matrix *m = d->m;
	const ds_kernel *kn = ds_kernel_pick(DS_K_gemm_f32, ds_cpu_allowed());

	(void)worker;
	for (int64_t p = p0; p < p1; p++) {
		ds_k_gemm g = { .a = (const void *const *)d->rows, .a_rows = (size_t)d->n_rows, .taps = 1, .kc = (int)m->k,
			.b = m->packed + ds_k_panel_at(kn, m->k, p), .rows = (int)d->n_rows, .width = ds_k_panel_width(kn, m->n, p),
			.cols = (int)DS_MIN(kn->nr, m->n - p * kn->nr), .acc = d->acc + p * kn->nr, .ld_acc = d->ld, .lo = -INFINITY, .hi = INFINITY };

		kn->fn.gemm(&g);
	}
}

void ds_rnn_product(ds_pool *pool, const ds_rnn_matrix *m, const float *const *rows, int64_t n_rows, float *acc, size_t ld)
{
	struct product d = { m, rows, n_rows, acc, ld };
	const ds_kernel *kn;
	int64_t panels;

	if (m->coded) {
		ds_rnn_product_coded(pool, m, rows, n_rows, acc, ld);
		return;
	}
	if (!m->packed) {
		for (int64_t i = 0; i < n_rows; i++)
			for (int64_t j = 0; j < m->n; j++) {
				float s = acc[(size_t)i * ld + (size_t)j];

				for (int64_t k = 0; k < m->k; k++)
					s = fmaf(rows[i][k], m->raw[m->upright ? k * m->n + j : j * m->k + k], s);
				acc[(size_t)i * ld + (size_t)j] = s;
			}
		return;
	}
	if (m->k == 0 || n_rows == 0)
		return;
	kn = ds_kernel_pick(DS_K_gemm_f32, ds_cpu_allowed());
	panels = ds_k_panel_count(kn, m->n);
	/* waking the workers costs about as much as half a million multiply-adds */
	ds_nn_for(pool, panels, (double)(n_rows * m->n) * (double)m->k < 5e5 ? panels : 1, packed_panel, &d);
}

size_t ds_rnn_panels(int64_t k, int64_t n)
{
	return ds_k_panels_size(ds_kernel_pick(DS_K_gemm_f32, ds_cpu_allowed()), k, n);
}

void ds_rnn_pack(ds_rnn_matrix *m, float *dst)
{
	const ds_kernel *kn = ds_kernel_pick(DS_K_gemm_f32, ds_cpu_allowed());

	for (int64_t i = 0; i < ds_k_panel_count(kn, m->n); i++)
		ds_k_pack_f32(kn, dst + ds_k_panel_at(kn, m->k, i), m->raw, m->k, m->n, i, m->upright ? m->n : 1, m->upright ? 1 : m->k);
	m->packed = dst;
}

static float *pack(const float *w, int64_t k, int64_t n, size_t *bytes)
{
	ds_rnn_matrix m = { .k = k, .n = n, .raw = w };
	size_t count = ds_rnn_panels(k, n);
	float *p = ds_aligned(count * sizeof *p);

	if (!p)
		return NULL;
	ds_rnn_pack(&m, p);
	*bytes += count * sizeof *p;
	return p;
}

bool ds_rnn_match(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	(void)out;
	(void)out_layout;
	for (int i = 0; i < n->n_in; i++)
		want[i] = DS_PLAIN;
	return in[0].type.dtype == DS_F32 && in[1].value && in[2].value && in[1].value->dtype == DS_F32 && !in[1].value->q && !in[2].value->q;
}

bool ds_rnn_match_codes(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	(void)out;
	(void)out_layout;
	for (int i = 0; i < n->n_in; i++)
		want[i] = DS_PLAIN;
	for (int i = 1; i < 3; i++) {
		const ds_qform *q = in[i].value ? in[i].value->q : NULL;

		if (!q || (q->code != DS_I8 && (q->code < DS_U2 || q->code > DS_U6)) || q->scheme != DS_Q_SYM ||
			(q->gran != DS_Q_TENSOR && (q->gran != DS_Q_ROW || q->row_dims != 2)))
			return false;
	}
	return in[0].type.dtype == DS_F32;
}

static ds_status prepare_codes(struct prep *p, const ds_arg *in, int64_t gates, float step, ds_err *err)
{
	ds_status rc = DS_OK;

	for (int i = 1; i < 3 && rc == DS_OK; i++) {
		ds_qweight w = { 0 };

		rc = ds_qweight_read(in[i].value, &w, err);
		for (int d = 0; d < p->directions && d < 2 && rc == DS_OK; d++) {
			w.cols = in[i].value->dim[2];
			rc = ds_rnn_codes_new(i == 1 ? &p->wq[d] : &p->rq[d], &w, d * gates, gates, i == 1 ? 0 : step, &p->bytes, err);
		}
		ds_qweight_done(&w);
	}
	return rc;
}

ds_status ds_rnn_prepare(ds_rnn_kind kind, const ds_node *n, const ds_arg *in, void **prep, size_t *bytes, ds_err *err)
{
	const ds_rnn_form *f = &ds_rnn_forms[kind];
	const ds_tensor *w = in[1].value, *r = in[2].value;
	int64_t hidden = r->dim[2], input = w->dim[2], gates = f->gates * hidden;
	struct prep *p = ds_calloc(1, sizeof *p);

	(void)n;
	if (!p)
		return ds_fail_nomem(err, sizeof *p);
	p->directions = (int)w->dim[0];
	p->parts = f->part[1] ? 2 : 1;
	if (kind == DS_QLSTM) {
		ds_status rc = prepare_codes(p, in, gates, (float)DS_A(ds_rnn_attr, n)->h_scale, err);

		if (rc != DS_OK) {
			ds_rnn_free_prep(p);
			return rc;
		}
	}
	for (int d = 0; kind != DS_QLSTM && d < p->directions && d < 2; d++) {
		bool ok = (p->w[d] = pack((const float *)w->data + d * gates * input, input, gates, &p->bytes)) != NULL;

		for (int k = 0; ok && k < p->parts; k++)
			ok = (p->r[d][k] = pack((const float *)r->data + (d * f->gates + f->part_at[k]) * hidden * hidden, hidden, f->part[k] * hidden,
				&p->bytes)) != NULL;
		if (!ok) {
			ds_rnn_free_prep(p);
			return ds_fail_nomem(err, (size_t)(gates * (input + hidden)) * sizeof(float));
		}
	}
	*prep = p;
	*bytes = p->bytes;
	return DS_OK;
}

void ds_rnn_free_prep(void *prep)
{
	struct prep *p = prep;

	if (!p)
		return;
	for (int d = 0; d < 2; d++) {
		ds_free(p->w[d]);
		ds_free(p->r[d][0]);
		ds_free(p->r[d][1]);
		ds_rnn_codes_done(&p->wq[d]);
		ds_rnn_codes_done(&p->rq[d]);
	}
	ds_free(p);
}

/* ---- scratch ------------------------------------------------------------------------------------------------------------------ */

void ds_rnn_extents_of(ds_rnn_kind kind, const ds_node *n, const int64_t *x, const int64_t *r, ds_rnn_extents *e)
{
	bool batch_first = DS_A(ds_rnn_attr, n)->layout != 0;

	e->time = x[batch_first ? 1 : 0];
	e->batch = x[batch_first ? 0 : 1];
	e->input = x[2];
	e->hidden = r[2];
	e->dirs = (int)r[0];
	e->gates = ds_rnn_forms[kind].gates * e->hidden;
	e->ld = ds_rnn_cols(e->gates);
}

enum { PARTS = 7 };

/* Steps whose inputs are multiplied together: enough rows for a good product, few enough that their gates stay near. */
static int64_t steps_at_once(const ds_rnn_extents *e)
{
	return DS_MIN(DS_MAX(1, 128 / DS_MAX(1, ds_rnn_together(e))), e->time);
}

static size_t codes_bytes(ds_rnn_kind kind, const ds_rnn_extents *e)
{
	return kind == DS_QLSTM ? ds_rnn_codes_work(DS_MAX(e->input, e->hidden), e->ld) : 0;
}

/* Scratch: gates of those steps, what every gate begins with, two states, room for GRU's reset state and gate, pointers to rows, QLSTM's codes. */
static size_t work_bytes(ds_rnn_kind kind, const ds_rnn_extents *e, size_t at[PARTS])
{
	size_t h = ds_pad64((uint64_t)(e->batch * e->hidden) * sizeof(float)), total = 0;
	size_t ldh = ds_rnn_cols(e->hidden), rows = (size_t)(steps_at_once(e) * e->batch);
	int64_t together = DS_MAX(1, ds_rnn_together(e));
	size_t size[PARTS] = { rows * e->ld * sizeof(float), e->ld * sizeof(float), h, h, 2 * (size_t)e->batch * ldh * sizeof(float), rows * sizeof(void *),
		(size_t)((e->batch + together - 1) / together) * codes_bytes(kind, e) };

	for (int i = 0; i < PARTS; i++) {
		at[i] = total;
		total += ds_pad64(size[i]);
	}
	return total;
}

size_t ds_rnn_scratch(ds_rnn_kind kind, const ds_node *n, const ds_arg *in, const ds_type *out)
{
	ds_rnn_extents e;
	size_t at[PARTS];

	ds_rnn_extents_of(kind, n, in[0].type.dim, in[2].type.dim, &e);
	return ds_nn_in_f32_scratch(n, in, out) + work_bytes(kind, &e, at);
}

/* ---- forward ------------------------------------------------------------------------------------------------------------------ */

static const float *data_of(const ds_tensor *const *in, int n_in, int i) { return i < n_in && in[i] ? in[i]->data : NULL; }

/* A walk of one direction over all steps. */
struct walk {
	ds_rnn_kind           kind;
	const ds_rnn_extents *e;
	const ds_rnn_step    *s;                /* of all sequences */
	ds_pool              *pool;             /* NULL when tasks are sequences */
	const ds_tensor      *lens;
	bool                  reverse, batch_first;
	int                   d;
	const float          *x, *start;        /* start: what every gate begins with */
	float                *y, *sums;
	const float         **rows;
	char                 *codes;            /* QLSTM: work of the products */
	int64_t               together;
};

/* Where sequence b is in a step. */
static int64_t time_of(const struct walk *w, int64_t step, int64_t b, int64_t *len)
{
	*len = w->lens ? DS_MIN(ds_tensor_i64(w->lens, b), w->e->time) : w->e->time;
	return w->reverse && step < *len ? *len - 1 - step : step;
}

/* Bias and input of steps [first, last) of sequences [b0, b1) into sums. */
static void begin_steps(const struct walk *w, const ds_rnn_matrix *m, int64_t first, int64_t last, int64_t b0, int64_t b1, const float **rows, float *sums)
{
	const ds_rnn_extents *e = w->e;
	int64_t n = b1 - b0, len;

	for (int64_t i = 0; i < (last - first) * n; i++) {
		int64_t b = b0 + i % n, t = time_of(w, first + i / n, b, &len);

		rows[i] = w->x + (w->batch_first ? b * e->time + t : t * e->batch + b) * e->input;
		memcpy(sums + (size_t)i * e->ld, w->start, (size_t)e->gates * sizeof *sums);
	}
	ds_rnn_product(w->pool, m, rows, (last - first) * n, sums, e->ld);
}

/* What a step made of sequences [b0, b1), whose states are h. */
static void put_step(const struct walk *w, int64_t step, int64_t b0, int64_t b1, const float *h)
{
	const ds_rnn_extents *e = w->e;
	int64_t len;

	for (int64_t b = b0; b < b1; b++, h += e->hidden) {
		int64_t t = time_of(w, step, b, &len);
		float *y = w->y + (w->batch_first ? (b * e->time + t) * e->dirs + w->d : (t * e->dirs + w->d) * e->batch + b) * e->hidden;

		if (step < len)
			memcpy(y, h, (size_t)e->hidden * sizeof(float));
		else
			memset(y, 0, (size_t)e->hidden * sizeof(float));
	}
}

/* Sequences [b0, b1) from the first step to the last.  The gates of a few steps begin with bias and input, and are finished where they lie. */
static void walk_sequences(const struct walk *w, int64_t b0, int64_t b1)
{
	const ds_rnn_extents *e = w->e;
	ds_rnn_step s = *w->s;
	int64_t at_once = steps_at_once(e), n = b1 - b0;
	float *sums = w->sums + (size_t)(b0 * at_once) * e->ld;
	const float **rows = w->rows + b0 * at_once;

	s.batch = n;
	s.first = b0;
	s.h += b0 * e->hidden;
	s.c += b0 * e->hidden;
	s.extra += 2 * (size_t)b0 * s.ld_extra;
	s.w.work = s.r[0].work = w->codes + (size_t)(b0 / w->together) * codes_bytes(w->kind, e);
	for (int64_t first = 0, last; first < e->time; first = last) {
		last = DS_MIN(e->time, first + at_once);
		begin_steps(w, &s.w, first, last, b0, b1, rows, sums);
		for (int64_t step = first; step < last; step++) {
			for (int64_t b = 0; b < n; b++)
				rows[b] = s.h + b * e->hidden;
			s.rows = rows;
			ds_rnn_forms[w->kind].step(w->pool, &s, sums + (size_t)((step - first) * n) * e->ld, e->ld, w->lens, step);
			if (w->y)
				put_step(w, step, b0, b1, s.h);
		}
	}
}

static void walk_task(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct walk *w = arg;

	(void)worker;
	for (int64_t i = i0; i < i1; i++)
		walk_sequences(w, i * w->together, DS_MIN((i + 1) * w->together, w->e->batch));
}

/* One direction: fills s->h, s->c and writes y. */
static void one_direction(ds_rnn_kind kind, const ds_env *env, const ds_rnn_extents *e, ds_rnn_step *s, const ds_tensor *const *in, int n_in,
	bool reverse, bool batch_first, int d, float *y, char *work, const size_t at[PARTS])
{
	const float *bias = data_of(in, n_in, 3);
	float *start = (float *)(work + at[1]);
	struct walk w = { .kind = kind, .e = e, .s = s, .lens = n_in > 4 ? in[4] : NULL, .reverse = reverse, .batch_first = batch_first, .d = d, .x = in[0]->data,
		.start = start, .y = y, .sums = (float *)(work + at[0]), .rows = (const float **)(work + at[5]), .codes = work + at[6], .together = ds_rnn_together(e) };

	bias = bias ? bias + (int64_t)d * 2 * e->gates : NULL;
	s->recurrent_bias = bias ? bias + e->gates : NULL;
	for (int64_t j = 0; j < e->gates; j++) {
		/* linear_before_reset keeps the last gate's recurrent bias for itself */
		bool both = !(s->linear_before_reset && j >= 2 * e->hidden);

		start[j] = bias ? (both ? bias[j] + bias[e->gates + j] : bias[j]) : 0.0f;
	}
	if (w.together < e->batch) {
		ds_nn_for(env->pool, (e->batch + w.together - 1) / w.together, 1, walk_task, &w);
	} else {
		w.pool = env->pool;
		walk_sequences(&w, 0, e->batch);
	}
}

void ds_rnn_copy_state(const ds_rnn_extents *e, bool batch_first, int d, float *outer, float *inner, size_t ld, bool out)
{
	for (int64_t b = 0; b < e->batch; b++) {
		float *o = outer ? outer + (batch_first ? b * e->dirs + d : d * e->batch + b) * e->hidden : NULL, *i = inner + (size_t)b * ld;

		if (out && o)
			memcpy(o, i, (size_t)e->hidden * sizeof(float));
		else if (!out && o)
			memcpy(i, o, (size_t)e->hidden * sizeof(float));
		else if (!out)
			memset(i, 0, (size_t)e->hidden * sizeof(float));
	}
}

static ds_status forward_f32(ds_rnn_kind kind, const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_rnn_attr *a = n->a;
	const ds_rnn_form *f = &ds_rnn_forms[kind];
	const struct prep *p = env->prep;
	const float *initial_h = data_of(in, n->n_in, 5), *initial_c = data_of(in, n->n_in, 6), *peep = data_of(in, n->n_in, 7);
	ds_rnn_act act[6];
	ds_rnn_extents e;
	size_t at[PARTS];
	char *work = env->scratch;

	ds_rnn_extents_of(kind, n, in[0]->dim, in[2]->dim, &e);
	if (work_bytes(kind, &e, at) > env->scratch_size)
		return ds_fail(err, DS_E_INTERNAL, "%s: too little scratch", n->op_name);
	DS_TRY(ds_rnn_acts(n, f->acts, e.dirs, f->defaults, act, err));
	for (int i = 0; n->n_in > 4 && in[4] && i < e.batch; i++)
		if (ds_tensor_i64(in[4], i) < 0)
			return ds_fail(err, DS_E_INPUT, "%s: negative length of a sequence", n->op_name);
	for (int d = 0; d < e.dirs; d++) {
		const float *w = in[1]->q ? NULL : (const float *)in[1]->data + d * e.gates * e.input;
		const float *r = in[2]->q ? NULL : (const float *)in[2]->data + d * e.gates * e.hidden;
		ds_rnn_step s = { .batch = e.batch, .hidden = e.hidden, .clip = (float)a->clip, .input_forget = a->input_forget != 0,
			.linear_before_reset = kind == DS_GRU && a->linear_before_reset != 0, .act = act + d * f->acts,
			.h = (float *)(work + at[2]), .c = (float *)(work + at[3]), .extra = (float *)(work + at[4]),
			.ld_extra = ds_rnn_cols(e.hidden), .peep = peep ? peep + d * 3 * e.hidden : NULL };

		s.w = (ds_rnn_matrix){ .k = e.input, .n = e.gates, .raw = w, .packed = p ? p->w[d] : NULL, .coded = kind == DS_QLSTM,
			.codes = p ? &p->wq[d] : NULL };
		for (int k = 0; k < 2; k++)
			s.r[k] = (ds_rnn_matrix){ .k = e.hidden, .n = f->part[k] * e.hidden, .raw = r ? r + f->part_at[k] * e.hidden * e.hidden : NULL,
				.packed = p ? p->r[d][k] : NULL, .coded = kind == DS_QLSTM, .step = (float)a->h_scale, .codes = p ? &p->rq[d] : NULL };
		ds_rnn_copy_state(&e, a->layout != 0, d, (float *)initial_h, s.h, (size_t)e.hidden, false);
		ds_rnn_copy_state(&e, a->layout != 0, d, DS_RNN_HAS_CELL(kind) ? (float *)initial_c : NULL, s.c, (size_t)e.hidden, false);
		one_direction(kind, env, &e, &s, in, n->n_in, a->direction == 1 || d == 1, a->layout != 0, d, out[0] ? out[0]->data : NULL, work, at);
		if (n->n_out > 1 && out[1])
			ds_rnn_copy_state(&e, a->layout != 0, d, out[1]->data, s.h, (size_t)e.hidden, true);
		if (n->n_out > 2 && out[2])
			ds_rnn_copy_state(&e, a->layout != 0, d, out[2]->data, s.c, (size_t)e.hidden, true);
	}
	return DS_OK;
}

#define WRAP(name, kind) \
	static ds_status name(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err) \
	{ \
		return forward_f32(kind, env, n, in, out, err); \
	}
WRAP(rnn_f32, DS_RNN)
WRAP(gru_f32, DS_GRU)
WRAP(lstm_f32, DS_LSTM)
WRAP(qlstm_f32, DS_QLSTM)

ds_status ds_rnn_forward(ds_rnn_kind kind, const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	static ds_forward_fn *const fn[] = { rnn_f32, gru_f32, lstm_f32, qlstm_f32 };

	return ds_nn_in_f32(env, n, in, out, err, fn[kind]);
}

/* ---- weights of one run: packed in scratch ------------------------------------------------------------------------------------- */

bool ds_rnn_match_run(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	for (int i = 0; i < n->n_in; i++)
		want[i] = DS_PLAIN;
	for (int i = 0; i < 3; i++)
		if (in[i].type.dtype != DS_F32 || (in[i].value && in[i].value->q))
			return false;
	return true;
}

/* Panels of W and of the parts of R, for each direction; with `work` they are packed there. */
static size_t pack_run(ds_rnn_kind kind, const ds_rnn_extents *e, const float *w, const float *r, float *work, struct prep *p)
{
	const ds_rnn_form *f = &ds_rnn_forms[kind];
	size_t total = 0;

	for (int d = 0; d < e->dirs; d++) {
		for (int k = -1; k < (f->part[1] ? 2 : 1); k++) {
			int64_t inner = k < 0 ? e->input : e->hidden, cols = k < 0 ? e->gates : f->part[k] * e->hidden;
			ds_rnn_matrix m = { .k = inner, .n = cols };

			if (work) {
				m.raw = k < 0 ? w + d * e->gates * e->input : r + (d * f->gates + f->part_at[k]) * e->hidden * e->hidden;
				ds_rnn_pack(&m, work + total);
				*(k < 0 ? &p->w[d] : &p->r[d][k]) = work + total;
			}
			total += ds_pad64(ds_rnn_panels(inner, cols) * sizeof(float)) / sizeof(float);
		}
	}
	return total * sizeof(float);
}

size_t ds_rnn_scratch_run(ds_rnn_kind kind, const ds_node *n, const ds_arg *in, const ds_type *out)
{
	ds_rnn_extents e;

	ds_rnn_extents_of(kind, n, in[0].type.dim, in[2].type.dim, &e);
	return pack_run(kind, &e, NULL, NULL, NULL, NULL) + ds_rnn_scratch(kind, n, in, out);
}

ds_status ds_rnn_forward_run(ds_rnn_kind kind, const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_rnn_extents e;
	struct prep p = { 0 };
	ds_env inner = *env;
	size_t used;

	ds_rnn_extents_of(kind, n, in[0]->dim, in[2]->dim, &e);
	used = pack_run(kind, &e, NULL, NULL, NULL, NULL);
	if (used > env->scratch_size)
		return ds_fail(err, DS_E_INTERNAL, "%s: too little scratch", n->op_name);
	pack_run(kind, &e, in[1]->data, in[2]->data, env->scratch, &p);
	inner.prep = &p;
	inner.scratch = (char *)env->scratch + used;
	inner.scratch_size -= used;
	return ds_rnn_forward(kind, &inner, n, in, out, err);
}
