/* rnnback.c - the walk of the recurrent operators there and back (rnnback.h): backward through time (Werbos 1990) */
#include "rnnback.h"

#include <string.h>

enum { GATES, STATES, CELLS, EXTRA, DH, DC, DSUM, PEEP, ROWS, PANELS, PARTS };

typedef struct walk {
	ds_rnn_kind    kind;
	ds_rnn_extents e;
	ds_pool       *pool;
	const ds_tensor *lens;
	bool           reverse, batch_first, lbr;
	ds_rnn_step    s;
	size_t         ldh;
	/* of one direction; steps are kept in the order of the walk */
	float         *gates, *states, *cells, *extra, *dh, *dc, *dsum;
	double        *dpeep;
	const float  **rows;
	ds_rnn_matrix  back[2];         /* R as right operands of the way back: all gates, or GRU's first two and its last */
	const float   *dy;
	int            d;
	int64_t        b0, b1, together;        /* sequences of this task */
	/* outputs of this direction */
	float         *dgates, *entered, *dlast, *last_in;
} walk;

static size_t layout(ds_rnn_kind kind, const ds_rnn_extents *e, bool packed, size_t at[PARTS])
{
	const ds_rnn_form *f = &ds_rnn_forms[kind];
	size_t nh = (size_t)(e->batch * e->hidden), time = (size_t)e->time, batch = (size_t)e->batch, ldh = ds_rnn_cols(e->hidden), total = 0, panels = 0;

	if (packed) {
		panels = ds_rnn_panels(e->input, e->gates) + 16;
		for (int k = 0; k < 2; k++)
			panels += ds_rnn_panels(e->hidden, f->part[k] * e->hidden) + ds_rnn_panels(f->part[k] * e->hidden, e->hidden) + 32;
	}
	size_t size[PARTS] = { [GATES] = time * batch * e->ld, [STATES] = (time + 1) * nh, [CELLS] = kind == DS_LSTM ? (time + 1) * nh : 0,
		[EXTRA] = 2 * batch * ldh * (kind == DS_GRU ? DS_MAX(time, 1) : 1), [DH] = batch * ldh, [DC] = nh, [DSUM] = batch * ldh,
		[PEEP] = kind == DS_LSTM ? 6 * nh : 0, [ROWS] = DS_MAX(time, 1) * batch * (sizeof(void *) / sizeof(float)), [PANELS] = panels };

	for (int i = 0; i < PARTS; i++) {
		at[i] = total;
		total += ds_pad64(size[i] * sizeof(float));
	}
	return total;
}

/* The position that item b is at in a step of the walk, as a row of X. */
static int64_t row_at(const walk *w, int64_t step, int64_t b)
{
	int64_t len = w->lens ? DS_MIN(ds_tensor_i64(w->lens, b), w->e.time) : w->e.time;
	int64_t t = w->reverse && step < len ? len - 1 - step : step;

	return w->batch_first ? b * w->e.time + t : t * w->e.batch + b;
}

/* ---- forward, with everything kept ------------------------------------------------------------------------------------------------- */

/* What X gives to the gates of all steps. */
static void inputs(walk *w, const float *x, const float *bias)
{
	const ds_rnn_extents *e = &w->e;

	w->s.recurrent_bias = bias ? bias + e->gates : NULL;
	for (int64_t i = 0; i < e->time * e->batch; i++) {
		float *row = w->gates + (size_t)i * e->ld;

		w->rows[i] = x + row_at(w, i / e->batch, i % e->batch) * e->input;
		for (int64_t j = 0; j < e->gates; j++)
			row[j] = bias ? (w->lbr && j >= 2 * e->hidden ? bias[j] : bias[j] + bias[e->gates + j]) : 0.0f;
	}
	ds_rnn_product(w->pool, &w->s.w, w->rows, e->time * e->batch, w->gates, e->ld);
}

/* Room of the sequences of this task in what GRU keeps of a step (LSTM needs a row for the moment): the last gate, and behind it the reset state. */
static float *extra_of(const walk *w, int64_t step)
{
	size_t all = 2 * (size_t)w->e.batch * w->ldh;

	return w->extra + (w->kind == DS_GRU ? (size_t)step * all : 0) + 2 * (size_t)w->b0 * w->ldh;
}

static void forward_walk(walk *w)
{
	const ds_rnn_extents *e = &w->e;
	int64_t nh = e->batch * e->hidden, at = w->b0 * e->hidden;
	size_t bytes = (size_t)((w->b1 - w->b0) * e->hidden) * sizeof(float);
	const float **rows = w->rows + w->b0;

	w->s.batch = w->b1 - w->b0;
	w->s.first = w->b0;
	for (int64_t step = 0; step < e->time; step++) {
		w->s.h = w->states + (step + 1) * nh + at;
		memcpy(w->s.h, w->s.h - nh, bytes);
		if (w->kind == DS_LSTM) {
			w->s.c = w->cells + (step + 1) * nh + at;
			memcpy(w->s.c, w->s.c - nh, bytes);
		}
		w->s.extra = extra_of(w, step);
		for (int64_t b = 0; b < w->s.batch; b++)
			rows[b] = w->s.h - nh + b * e->hidden;
		w->s.rows = rows;
		ds_rnn_forms[w->kind].step(w->pool, &w->s, w->gates + (size_t)(step * e->batch + w->b0) * e->ld, e->ld, w->lens, step);
	}
}

/* ---- one step back ----------------------------------------------------------------------------------------------------------------- */

typedef struct place { int64_t row; const float *gates, *before; float *dgates, *dh; } place;

/* Where item b is in a step; false: its sequence has ended, and its rows of the outputs are cleared. */
static bool enter(const walk *w, int64_t step, int64_t b, place *p)
{
	const ds_rnn_extents *e = &w->e;
	int64_t hid = e->hidden, t;

	p->row = row_at(w, step, b);
	p->gates = w->gates + (size_t)(step * e->batch + b) * e->ld;
	p->before = w->states + (step * e->batch + b) * hid;
	p->dgates = w->dgates + p->row * e->gates;
	p->dh = w->dh + (size_t)b * w->ldh;
	w->rows[b] = p->dgates;
	if (ds_rnn_ended(w->lens, b, step)) {
		memset(p->dgates, 0, (size_t)e->gates * sizeof(float));
		memset(w->entered + p->row * hid, 0, (size_t)hid * sizeof(float));
		if (w->kind == DS_GRU) {
			memset(w->dlast + p->row * hid, 0, (size_t)hid * sizeof(float));
			memset(w->last_in + p->row * hid, 0, (size_t)hid * sizeof(float));
		}
		return false;
	}
	memcpy(w->entered + p->row * hid, p->before, (size_t)hid * sizeof(float));
	t = w->batch_first ? p->row % e->time : p->row / e->batch;
	if (w->dy) {
		const float *dy = w->dy + (w->batch_first ? (b * e->time + t) * e->dirs + w->d : (t * e->dirs + w->d) * e->batch + b) * hid;

		for (int64_t k = 0; k < hid; k++)
			p->dh[k] += dy[k];
	}
	return true;
}

static void back_rnn(walk *w, int64_t step)
{
	int64_t hid = w->e.hidden;

	for (int64_t b = w->b0; b < w->b1; b++) {
		place p;

		if (!enter(w, step, b, &p))
			continue;
		memcpy(p.dgates, p.dh, (size_t)hid * sizeof(float));
		ds_rnn_apply_back(&w->s.act[0], w->s.clip, p.gates, p.dgates, hid);
		memset(p.dh, 0, (size_t)hid * sizeof(float));
	}
	ds_rnn_product(w->pool, &w->back[0], w->rows + w->b0, w->b1 - w->b0, w->dh + (size_t)w->b0 * w->ldh, w->ldh);
}

/* Peepholes: what enters i and f looks at the cell before, what enters o at the one behind. */
static void peep_back(walk *w, int64_t b, const float *dgate, const float *cell, int which, float *dc)
{
	const float *peep = w->s.peep + which * w->e.hidden;
	double *sum = w->dpeep + (3 * b + which) * w->e.hidden;

	for (int64_t k = 0; k < w->e.hidden; k++) {
		dc[k] += dgate[k] * peep[k];
		sum[k] += (double)dgate[k] * (double)cell[k];
	}
}

static void back_lstm(walk *w, int64_t step)
{
	int64_t hid = w->e.hidden, nh = w->e.batch * hid;
	float *tc = w->dsum + (size_t)w->b0 * w->ldh;   /* a row of it: the cell behind its activation */

	for (int64_t b = w->b0; b < w->b1; b++) {
		const float *c0 = w->cells + step * nh + b * hid, *c1 = c0 + nh, *i, *o, *f, *g;
		float *dc = w->dc + b * hid, *di, *df, *dg, *dout;
		place p;

		if (!enter(w, step, b, &p))
			continue;
		i = p.gates, o = i + hid, f = o + hid, g = f + hid;
		di = p.dgates, dout = di + hid, df = dout + hid, dg = df + hid;
		memcpy(tc, c1, (size_t)hid * sizeof(float));
		ds_rnn_apply(&w->s.act[2], tc, hid);
		for (int64_t k = 0; k < hid; k++) {
			dout[k] = p.dh[k] * tc[k];
			dg[k] = p.dh[k] * o[k];
		}
		ds_rnn_apply_back(&w->s.act[2], 0, tc, dg, hid);
		ds_rnn_apply_back(&w->s.act[0], w->s.clip, o, dout, hid);
		for (int64_t k = 0; k < hid; k++)
			dc[k] += dg[k];
		if (w->s.peep)
			peep_back(w, b, dout, c1, 1, dc);
		for (int64_t k = 0; k < hid; k++) {
			float d = dc[k];

			di[k] = d * g[k];
			dg[k] = d * i[k];
			df[k] = d * c0[k];
			dc[k] = d * f[k];
		}
		for (int64_t k = 0; w->s.input_forget && k < hid; k++) {
			di[k] -= df[k];
			df[k] = 0;
		}
		ds_rnn_apply_back(&w->s.act[0], w->s.clip, i, di, hid);
		if (!w->s.input_forget)
			ds_rnn_apply_back(&w->s.act[0], w->s.clip, f, df, hid);
		ds_rnn_apply_back(&w->s.act[1], w->s.clip, g, dg, hid);
		if (w->s.peep) {
			peep_back(w, b, di, c0, 0, dc);
			peep_back(w, b, df, c0, 2, dc);
		}
		memset(p.dh, 0, (size_t)hid * sizeof(float));
	}
	ds_rnn_product(w->pool, &w->back[0], w->rows + w->b0, w->b1 - w->b0, w->dh + (size_t)w->b0 * w->ldh, w->ldh);
}

static void back_gru(walk *w, int64_t step)
{
	const ds_rnn_extents *e = &w->e;
	int64_t hid = e->hidden;
	size_t from = (size_t)w->b0 * w->ldh, count = (size_t)(w->b1 - w->b0) * w->ldh;
	const float *last = extra_of(w, step), *reset = last + count;
	place p;

	memset(w->dsum + from, 0, count * sizeof(float));
	for (int64_t b = w->b0; b < w->b1; b++) {
		const float *z, *r, *x = last + (size_t)(b - w->b0) * w->ldh, *row = reset + (size_t)(b - w->b0) * w->ldh;
		float *dz, *dr, *dn, *dl;

		if (!enter(w, step, b, &p)) {
			w->rows[b] = w->dlast + p.row * hid;
			continue;
		}
		z = p.gates, r = z + hid;
		dz = p.dgates, dr = dz + hid, dn = dr + hid, dl = w->dlast + p.row * hid;
		for (int64_t k = 0; k < hid; k++) {
			dz[k] = p.dh[k] * (p.before[k] - x[k]);
			dn[k] = p.dh[k] * (1.0f - z[k]);
			p.dh[k] = p.dh[k] * z[k];
		}
		ds_rnn_apply_back(&w->s.act[1], w->s.clip, x, dn, hid);
		memcpy(w->last_in + p.row * hid, w->lbr ? p.before : row, (size_t)hid * sizeof(float));
		for (int64_t k = 0; k < hid; k++) {
			dl[k] = w->lbr ? dn[k] * r[k] : dn[k];
			dr[k] = w->lbr ? dn[k] * row[k] : 0;
		}
		w->rows[b] = dl;
	}
	/* through the recurrent sum of the last gate: to the state, or to the state that the reset gate let through */
	ds_rnn_product(w->pool, &w->back[1], w->rows + w->b0, w->b1 - w->b0, (w->lbr ? w->dh : w->dsum) + from, w->ldh);
	for (int64_t b = w->b0; b < w->b1; b++) {
		int64_t row = row_at(w, step, b);
		const float *z = w->gates + (size_t)(step * e->batch + b) * e->ld, *r = z + hid, *before = w->states + (step * e->batch + b) * hid;
		float *dz = w->dgates + row * e->gates, *dr = dz + hid, *dh = w->dh + (size_t)b * w->ldh, *ds = w->dsum + (size_t)b * w->ldh;

		w->rows[b] = dz;
		if (ds_rnn_ended(w->lens, b, step))
			continue;
		for (int64_t k = 0; !w->lbr && k < hid; k++) {
			dr[k] = ds[k] * before[k];
			dh[k] += ds[k] * r[k];
		}
		ds_rnn_apply_back(&w->s.act[0], w->s.clip, z, dz, 2 * hid);
	}
	ds_rnn_product(w->pool, &w->back[0], w->rows + w->b0, w->b1 - w->b0, w->dh + from, w->ldh);
}

/* ---- one direction ------------------------------------------------------------------------------------------------------------------ */

static void (*const back_step[])(walk *, int64_t) = { [DS_RNN] = back_rnn, [DS_GRU] = back_gru, [DS_LSTM] = back_lstm };

static float *data_of(const ds_tensor *t) { return t ? t->data : NULL; }

/* The weights of direction d as operands of both ways. */
static void operands(walk *w, const ds_tensor *const *in, float *panels)
{
	const ds_rnn_form *f = &ds_rnn_forms[w->kind];
	const ds_rnn_extents *e = &w->e;
	const float *r = (const float *)in[2]->data + w->d * e->gates * e->hidden;
	ds_rnn_matrix *all[5] = { &w->s.w, &w->s.r[0], &w->s.r[1], &w->back[0], &w->back[1] };

	w->s.w = (ds_rnn_matrix){ .k = e->input, .n = e->gates, .raw = (const float *)in[1]->data + w->d * e->gates * e->input };
	for (int k = 0; k < 2; k++) {
		const float *part = r + f->part_at[k] * e->hidden * e->hidden;

		w->s.r[k] = (ds_rnn_matrix){ .k = e->hidden, .n = f->part[k] * e->hidden, .raw = part };
		w->back[k] = (ds_rnn_matrix){ .k = f->part[k] * e->hidden, .n = e->hidden, .raw = part, .upright = true };
	}
	for (int i = 0; panels && i < 5; i++)
		if (all[i]->k && all[i]->n) {
			ds_rnn_pack(all[i], panels);
			panels += ds_pad64(ds_rnn_panels(all[i]->k, all[i]->n) * sizeof(float)) / sizeof(float);
		}
}

/* Sequences [b0, b1) there and back. */
static void both_ways(walk *w)
{
	forward_walk(w);
	for (int64_t step = w->e.time - 1; step >= 0; step--)
		back_step[w->kind](w, step);
}

static void walk_task(void *arg, int64_t i0, int64_t i1, int worker)
{
	const walk *w = arg;

	for (int64_t i = i0; i < i1; i++) {
		walk own = *w;

		own.pool = NULL;
		own.b0 = i * w->together;
		own.b1 = DS_MIN(own.b0 + w->together, w->e.batch);
		both_ways(&own);
	}
}

static void one_direction(walk *w, const ds_rnn_attr *a, const ds_tensor *const *in, ds_tensor *const *out, int n_out)
{
	const ds_rnn_extents *e = &w->e;
	int64_t rows = e->time * e->batch, d = w->d, hid = e->hidden;
	size_t ld = (size_t)hid;
	bool first = a->layout != 0;
	const float *bias = data_of(in[3]);

	w->dgates = (float *)out[0]->data + d * rows * e->gates;
	w->entered = (float *)out[1]->data + d * rows * hid;
	w->dlast = w->kind == DS_GRU ? (float *)out[3]->data + d * rows * hid : NULL;
	w->last_in = w->kind == DS_GRU ? (float *)out[4]->data + d * rows * hid : NULL;
	ds_rnn_copy_state(e, first, w->d, data_of(in[5]), w->states, ld, false);
	if (w->kind == DS_LSTM)
		ds_rnn_copy_state(e, first, w->d, data_of(in[6]), w->cells, ld, false);
	inputs(w, in[0]->data, bias ? bias + d * 2 * e->gates : NULL);
	ds_rnn_copy_state(e, first, w->d, data_of(in[DS_RNN_DYH]), w->dh, w->ldh, false);
	ds_rnn_copy_state(e, first, w->d, data_of(in[DS_RNN_DYC]), w->dc, ld, false);
	if (w->kind == DS_LSTM)
		memset(w->dpeep, 0, 3 * (size_t)e->batch * ld * sizeof(double));
	w->together = ds_rnn_together(e);
	w->b0 = 0;
	w->b1 = e->batch;
	if (w->together < e->batch)
		ds_nn_for(w->pool, (e->batch + w->together - 1) / w->together, 1, walk_task, w);
	else
		both_ways(w);
	ds_rnn_copy_state(e, first, w->d, out[2]->data, w->dh, w->ldh, true);
	if (w->kind != DS_LSTM)
		return;
	ds_rnn_copy_state(e, first, w->d, out[3]->data, w->dc, ld, true);
	for (int64_t k = 0; k < 3 * hid; k++) {
		double sum = 0;

		for (int64_t b = 0; b < e->batch; b++)
			sum += w->dpeep[b * 3 * hid + k];
		((float *)out[4]->data)[d * 3 * hid + k] = (float)sum;
	}
}

/* ---- all directions ----------------------------------------------------------------------------------------------------------------- */

ds_status ds_rnn_back(const ds_env *env, const ds_node *n, const ds_tensor *const *given, ds_tensor *const *out, ds_err *err, bool packed)
{
	const ds_rnn_attr *a = n->a;
	ds_rnn_kind kind = ds_rnn_kind_of(n->op_name);
	const ds_rnn_form *f = &ds_rnn_forms[kind];
	walk w = { .kind = kind, .pool = env->pool, .batch_first = a->layout != 0, .lbr = kind == DS_GRU && a->linear_before_reset != 0 };
	const ds_tensor *in[DS_RNN_BACK_INPUTS] = { NULL };
	const float *peep;
	ds_rnn_act act[6];
	size_t at[PARTS];
	char *work = env->scratch;

	for (int i = 0; i < n->n_in && i < DS_RNN_BACK_INPUTS; i++)
		in[i] = given[i];
	ds_rnn_extents_of(kind, n, in[0]->dim, in[2]->dim, &w.e);
	if (layout(kind, &w.e, packed, at) > env->scratch_size)
		return ds_fail(err, DS_E_INTERNAL, "%s: too little scratch", n->op_name);
	DS_TRY(ds_rnn_acts(n, f->acts, w.e.dirs, f->defaults, act, err));
	w.lens = in[4];
	for (int64_t i = 0; w.lens && i < w.e.batch; i++)
		if (ds_tensor_i64(w.lens, i) < 0)
			return ds_fail(err, DS_E_INPUT, "%s: negative length of a sequence", n->op_name);
	w.ldh = ds_rnn_cols(w.e.hidden);
	w.gates = (float *)(work + at[GATES]);
	w.states = (float *)(work + at[STATES]);
	w.cells = (float *)(work + at[CELLS]);
	w.extra = (float *)(work + at[EXTRA]);
	w.dh = (float *)(work + at[DH]);
	w.dc = (float *)(work + at[DC]);
	w.dsum = (float *)(work + at[DSUM]);
	w.dpeep = (double *)(work + at[PEEP]);
	w.rows = (const float **)(work + at[ROWS]);
	w.dy = data_of(in[DS_RNN_DY]);
	peep = data_of(in[7]);
	for (int d = 0; d < w.e.dirs; d++) {
		w.d = d;
		w.reverse = a->direction == 1 || d == 1;
		w.s = (ds_rnn_step){ .batch = w.e.batch, .hidden = w.e.hidden, .clip = (float)a->clip, .input_forget = kind == DS_LSTM && a->input_forget != 0,
			.linear_before_reset = w.lbr, .act = act + d * f->acts, .ld_extra = w.ldh, .peep = peep ? peep + d * 3 * w.e.hidden : NULL };
		operands(&w, in, packed ? (float *)(work + at[PANELS]) : NULL);
		one_direction(&w, a, in, out, n->n_out);
	}
	return DS_OK;
}

size_t ds_rnn_back_scratch(const ds_node *n, const ds_arg *in, bool packed)
{
	ds_rnn_extents e;
	size_t at[PARTS];

	ds_rnn_extents_of(ds_rnn_kind_of(n->op_name), n, in[0].type.dim, in[2].type.dim, &e);
	return layout(ds_rnn_kind_of(n->op_name), &e, packed, at);
}
