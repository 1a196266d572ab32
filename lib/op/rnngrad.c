/* rnngrad.c - gradients of RNN, GRU and LSTM: backward through time (Werbos 1990)
 *
 * ds.RNNGrad, ds.GRUGrad, ds.LSTMGrad: inputs 0 to 7 are those of the operator, 8 to 10 the gradients of its outputs (each may be absent); outputs
 *     0  gates   [dirs, rows, gates * hidden]  gradients of what enters the gates; rows are positions in the order of X
 *     1  states  [dirs, rows, hidden]          the state that entered each step
 *     2  dh0     gradient of the initial state
 *     3  LSTM: dc0 like dh0.                   GRU: gradient of the recurrent sum of the last gate, [dirs, rows, hidden]
 *     4  LSTM: dP [dirs, 3 * hidden].          GRU: what that sum was made of, [dirs, rows, hidden]
 * The walk is done here: forward once more with everything kept, then backward.  The gradients of X, W, R and B are products over all rows at once, which the gradient
 * column writes as ordinary nodes.  Positions behind the end of a sequence have zeros. */
#include "draw.h"
#include "grad.h"
#include "rnnstep.h"

#include <string.h>

enum { DY = 8, DYH = 9, DYC = 10, INPUTS = 11 };
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
		[PEEP] = 6 * (size_t)e->hidden, [ROWS] = DS_MAX(time, 1) * batch * (sizeof(void *) / sizeof(float)), [PANELS] = panels };

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

static void forward_walk(walk *w, const float *x, const float *bias)
{
	const ds_rnn_extents *e = &w->e;
	int64_t nh = e->batch * e->hidden;
	size_t extra = 2 * (size_t)e->batch * w->ldh;

	w->s.recurrent_bias = bias ? bias + e->gates : NULL;
	for (int64_t i = 0; i < e->time * e->batch; i++) {
		float *row = w->gates + (size_t)i * e->ld;

		w->rows[i] = x + row_at(w, i / e->batch, i % e->batch) * e->input;
		for (int64_t j = 0; j < e->gates; j++)
			row[j] = bias ? (w->lbr && j >= 2 * e->hidden ? bias[j] : bias[j] + bias[e->gates + j]) : 0.0f;
	}
	ds_rnn_product(w->pool, &w->s.w, w->rows, e->time * e->batch, w->gates, e->ld);
	for (int64_t step = 0; step < e->time; step++) {
		memcpy(w->states + (step + 1) * nh, w->states + step * nh, (size_t)nh * sizeof(float));
		if (w->kind == DS_LSTM)
			memcpy(w->cells + (step + 1) * nh, w->cells + step * nh, (size_t)nh * sizeof(float));
		w->s.h = w->states + (step + 1) * nh;
		w->s.c = w->cells + (step + 1) * nh;
		w->s.extra = w->extra + (w->kind == DS_GRU ? (size_t)step * extra : 0);
		for (int64_t b = 0; b < e->batch; b++)
			w->rows[b] = w->states + step * nh + b * e->hidden;
		w->s.rows = w->rows;
		ds_rnn_forms[w->kind].step(w->pool, &w->s, w->gates + (size_t)(step * e->batch) * e->ld, e->ld, w->lens, step);
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

	for (int64_t b = 0; b < w->e.batch; b++) {
		place p;

		if (!enter(w, step, b, &p))
			continue;
		memcpy(p.dgates, p.dh, (size_t)hid * sizeof(float));
		ds_rnn_apply_back(&w->s.act[0], w->s.clip, p.gates, p.dgates, hid);
		memset(p.dh, 0, (size_t)hid * sizeof(float));
	}
	ds_rnn_product(w->pool, &w->back[0], w->rows, w->e.batch, w->dh, w->ldh);
}

/* Peepholes: what enters i and f looks at the cell before, what enters o at the one behind. */
static void peep_back(walk *w, const float *dgate, const float *cell, int which, float *dc)
{
	const float *peep = w->s.peep + which * w->e.hidden;
	double *sum = w->dpeep + which * w->e.hidden;

	for (int64_t k = 0; k < w->e.hidden; k++) {
		dc[k] += dgate[k] * peep[k];
		sum[k] += (double)dgate[k] * (double)cell[k];
	}
}

static void back_lstm(walk *w, int64_t step)
{
	int64_t hid = w->e.hidden, nh = w->e.batch * hid;
	float *tc = w->dsum;            /* one row of it: the cell behind its activation */

	for (int64_t b = 0; b < w->e.batch; b++) {
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
			peep_back(w, dout, c1, 1, dc);
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
			peep_back(w, di, c0, 0, dc);
			peep_back(w, df, c0, 2, dc);
		}
		memset(p.dh, 0, (size_t)hid * sizeof(float));
	}
	ds_rnn_product(w->pool, &w->back[0], w->rows, w->e.batch, w->dh, w->ldh);
}

static void back_gru(walk *w, int64_t step)
{
	const ds_rnn_extents *e = &w->e;
	int64_t hid = e->hidden;
	size_t extra = 2 * (size_t)e->batch * w->ldh;
	const float *last = w->extra + (size_t)step * extra, *reset = last + (size_t)e->batch * w->ldh;
	place p;

	memset(w->dsum, 0, (size_t)e->batch * w->ldh * sizeof(float));
	for (int64_t b = 0; b < e->batch; b++) {
		const float *z, *r, *x = last + (size_t)b * w->ldh, *row = reset + (size_t)b * w->ldh;
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
	ds_rnn_product(w->pool, &w->back[1], w->rows, e->batch, w->lbr ? w->dh : w->dsum, w->ldh);
	for (int64_t b = 0; b < e->batch; b++) {
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
	ds_rnn_product(w->pool, &w->back[0], w->rows, e->batch, w->dh, w->ldh);
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
	forward_walk(w, in[0]->data, bias ? bias + d * 2 * e->gates : NULL);
	ds_rnn_copy_state(e, first, w->d, data_of(in[DYH]), w->dh, w->ldh, false);
	ds_rnn_copy_state(e, first, w->d, data_of(in[DYC]), w->dc, ld, false);
	memset(w->dpeep, 0, 3 * ld * sizeof(double));
	for (int64_t step = e->time - 1; step >= 0; step--)
		back_step[w->kind](w, step);
	ds_rnn_copy_state(e, first, w->d, out[2]->data, w->dh, w->ldh, true);
	if (w->kind != DS_LSTM)
		return;
	ds_rnn_copy_state(e, first, w->d, out[3]->data, w->dc, ld, true);
	for (int64_t k = 0; k < 3 * hid; k++)
		((float *)out[4]->data)[d * 3 * hid + k] = (float)w->dpeep[k];
}

/* ---- columns ---------------------------------------------------------------------------------------------------------------------- */

static ds_rnn_kind kind_of(const char *name) { return name[0] == 'R' ? DS_RNN : name[0] == 'G' ? DS_GRU : DS_LSTM; }

static ds_status run(const ds_env *env, const ds_node *n, const ds_tensor *const *given, ds_tensor *const *out, ds_err *err, bool packed)
{
	const ds_rnn_attr *a = n->a;
	ds_rnn_kind kind = kind_of(n->op_name);
	const ds_rnn_form *f = &ds_rnn_forms[kind];
	walk w = { .kind = kind, .pool = env->pool, .batch_first = a->layout != 0, .lbr = kind == DS_GRU && a->linear_before_reset != 0 };
	const ds_tensor *in[INPUTS] = { NULL };
	const float *peep;
	ds_rnn_act act[6];
	size_t at[PARTS];
	char *work = env->scratch;

	for (int i = 0; i < n->n_in && i < INPUTS; i++)
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
	w.dy = data_of(in[DY]);
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

static ds_status reference(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return run(env, n, in, out, err, false);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, reference);
}

static ds_status forward_packed(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return run(env, n, in, out, err, true);
}

static size_t scratch_of(const ds_node *n, const ds_arg *in, bool packed)
{
	ds_rnn_extents e;
	size_t at[PARTS];

	ds_rnn_extents_of(kind_of(n->op_name), n, in[0].type.dim, in[2].type.dim, &e);
	return layout(kind_of(n->op_name), &e, packed, at);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	return ds_nn_in_f32_scratch(n, in, out) + scratch_of(n, in, false);
}

static size_t scratch_packed(const ds_node *n, const ds_arg *in, const ds_type *out, int threads) { return scratch_of(n, in, true); }

static bool match(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	for (int i = 0; i < n->n_in; i++) {
		want[i] = DS_PLAIN;
		if (in[i].present && i != 4 && in[i].type.dtype != DS_F32)
			return false;
	}
	return true;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	ds_rnn_kind kind = kind_of(n->op_name);
	const ds_type *x = &in[0].type;
	ds_rnn_extents e;
	ds_type y[3];
	ds_node plain = *n;

	plain.n_in = DS_MIN(n->n_in, 8);
	plain.n_out = kind == DS_LSTM ? 3 : 2;
	DS_TRY(ds_rnn_infer(kind, &plain, in, y, err));
	for (int i = 0; i < 3; i++)
		if (!ds_type_concrete(&in[i].type))
			return ds_fail(err, DS_E_UNSUPPORTED, "%s with extents that are not known", n->op_name);
	ds_rnn_extents_of(kind, n, x->dim, in[2].type.dim, &e);
	const int64_t rows = e.time * e.batch;

	out[0] = ds_type_make(x->dtype, 3, (int64_t[]){ e.dirs, rows, e.gates });
	out[1] = ds_type_make(x->dtype, 3, (int64_t[]){ e.dirs, rows, e.hidden });
	out[2] = y[1];
	for (int i = 3; i < n->n_out; i++)
		out[i] = out[1];
	if (kind == DS_LSTM) {
		out[3] = y[1];
		out[4] = ds_type_make(x->dtype, 2, (int64_t[]){ e.dirs, 3 * e.hidden });
	}
	return DS_OK;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	double rows = (double)out[0].dim[1], gates = (double)(out[0].dim[0] * out[0].dim[2]), input = (double)in[1].type.dim[2], hidden = (double)in[2].type.dim[2];
	double size = (double)ds_dtype_size(out[0].dtype);

	*c = (ds_cost){ .macs = rows * gates * (input + 2 * hidden), .flops = 20 * rows * gates, .weight_bytes = size * gates * (input + hidden),
		.act_bytes = size * rows * (input + 3 * gates) };
}

/* ---- the column of the operators --------------------------------------------------------------------------------------------------- */

static ds_value *product(ds_emit *e, ds_value *a, bool turned, ds_value *b)
{
	ds_value *v = ds_emit2(e, "ds.MatMulT", a, b);

	ds_emit_i(e, v, "trans_a", turned);
	return v;
}

static ds_value *matrix(ds_emit *e, ds_value *v, ds_dtype d, int64_t rows, int64_t cols)
{
	ds_type t = { .dtype = d, .rank = 2, .dim = { rows, cols } };

	return ds_emit_reshape(e, v, &t);
}

static ds_value *columns(ds_emit *e, ds_value *v, int64_t from, int64_t to)
{
	ds_value *in[4] = { v, ds_emit_ints(e, 1, &from), ds_emit_ints(e, 1, &to), ds_emit_ints(e, 1, (int64_t[]){ 1 }) };

	return ds_emit_op(e, "Slice", 4, in);
}

static ds_value *joined(ds_emit *e, ds_value *a, ds_value *b, int axis)
{
	ds_value *v = ds_emit2(e, "Concat", a, b);

	ds_emit_i(e, v, "axis", axis);
	return v;
}

/* Direction d of a value [dirs, ...] as a matrix. */
static ds_value *one_of(ds_emit *e, ds_value *v, ds_dtype t, int64_t dirs, int64_t d, int64_t rows, int64_t cols)
{
	int64_t to = d + 1;
	ds_value *in[4] = { v, dirs > 1 ? ds_emit_ints(e, 1, &d) : NULL, dirs > 1 ? ds_emit_ints(e, 1, &to) : NULL, dirs > 1 ? ds_emit_ints(e, 1, (int64_t[]){ 0 }) : NULL };

	return matrix(e, dirs > 1 ? ds_emit_op(e, "Slice", 4, in) : v, t, rows, cols);
}

/* The products over all rows of direction d: what is added to dX, dW, dR, dB of it. */
static void products(ds_emit *e, const ds_node *n, const ds_node *back, const ds_rnn_extents *x, ds_rnn_kind kind, int64_t d, ds_value *dv[4])
{
	ds_dtype t = n->in[0]->type.dtype;
	int64_t rows = x->time * x->batch, hid = x->hidden;
	ds_type all = { .dtype = t, .rank = 2, .dim = { rows, x->gates } }, one = { .dtype = t, .rank = 2, .dim = { 1, x->gates } };
	bool lbr = kind == DS_GRU && DS_A(ds_rnn_attr, n)->linear_before_reset != 0;
	ds_value *gates = one_of(e, back->out[0], t, x->dirs, d, rows, x->gates), *states = one_of(e, back->out[1], t, x->dirs, d, rows, hid), *sum, *recurrent;

	dv[0] = product(e, gates, false, one_of(e, n->in[1], t, x->dirs, d, x->gates, x->input));
	dv[1] = product(e, gates, true, matrix(e, n->in[0], t, rows, x->input));
	sum = ds_emit_reduce_to(e, gates, &all, &one);
	recurrent = sum;
	if (kind == DS_GRU) {
		ds_value *last = one_of(e, back->out[3], t, x->dirs, d, rows, hid), *from = one_of(e, back->out[4], t, x->dirs, d, rows, hid);

		dv[2] = joined(e, product(e, columns(e, gates, 0, 2 * hid), true, states), product(e, last, true, from), 0);
		if (lbr) {
			all.dim[1] = one.dim[1] = hid;
			recurrent = joined(e, columns(e, sum, 0, 2 * hid), ds_emit_reduce_to(e, last, &all, &one), 1);
		}
	} else {
		dv[2] = product(e, gates, true, states);
	}
	dv[3] = joined(e, sum, recurrent, 1);
}

ds_status ds_rnn_gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	static const char *const ops[] = { "ds.RNNGrad", "ds.GRUGrad", "ds.LSTMGrad" };
	ds_emit e = ds_emit_begin(g, err);
	ds_rnn_kind kind = kind_of(n->op_name);
	ds_value *in[INPUTS] = { NULL }, *dv[2][4];
	ds_rnn_extents x;
	ds_node *back;

	for (int i = 0; i < n->n_in && i < DY; i++)
		in[i] = n->in[i];
	for (int i = 0; i < n->n_out; i++)
		in[DY + i] = dout[i];
	back = ds_emit_node(&e, ops[kind], INPUTS, in, kind == DS_RNN ? 3 : 5);
	if (!back)
		return ds_emit_end(&e);
	ds_emit_attrs(&e, back->out[0], n);
	ds_rnn_extents_of(kind, n, n->in[0]->type.dim, n->in[2]->type.dim, &x);
	for (int d = 0; d < x.dirs; d++)
		products(&e, n, back, &x, kind, d, dv[d]);
	for (int i = 0; i < 4; i++) {
		ds_value *v = dv[0][i];

		if (i == 3 && (n->n_in < 4 || !n->in[3]))
			continue;
		if (x.dirs > 1)
			v = i ? joined(&e, v, dv[1][i], 0) : ds_emit2(&e, "Add", v, dv[1][i]);
		din[i] = ds_emit_reshape(&e, v, &n->in[i]->type);
	}
	if (n->n_in > 5 && n->in[5])
		din[5] = back->out[2];
	if (n->n_in > 6 && n->in[6])
		din[6] = back->out[3];
	if (n->n_in > 7 && n->in[7])
		din[7] = back->out[4];
	return ds_emit_end(&e);
}

/* ---- samples: random graphs of the operators, of which the gradients take the place -------------------------------------------------- */

static ds_status sample_of(ds_rnn_kind kind, const char *op, ds_graph *g, uint64_t seed, ds_err *err)
{
	DS_TRY(ds_rnn_sample(kind, g, seed, err));
	const ds_node *n = g->node[0];
	ds_draw s = ds_draw_begin(g, seed);
	ds_value *in[INPUTS] = { NULL };
	ds_emit e = ds_emit_begin(g, err);
	ds_arg arg[8] = { 0 };
	ds_type y[3];
	ds_node *back;

	for (int i = 0; i < n->n_in; i++) {
		in[i] = n->in[i];
		if (in[i])
			arg[i] = (ds_arg){ .present = true, .type = in[i]->type };
	}
	DS_TRY(ds_rnn_infer(kind, n, arg, y, err));
	s.inputs = 100;
	for (int i = 0; i < n->n_out; i++)
		in[DY + i] = seed % 8 == (uint64_t)i ? NULL : ds_draw_input(&s, y[i].dtype, y[i].rank, y[i].dim);
	back = ds_draw_node(&s, op, INPUTS, in, kind == DS_RNN ? 3 : 5);
	if (!back)
		return ds_fail_nomem(err, 0);
	ds_emit_attrs(&e, back->out[0], n);
	DS_TRY(ds_emit_end(&e));
	g->n_output = 0;
	DS_TRY(ds_draw_end(&s, back, err));
	ds_graph_prune_dead(g);
	return DS_OK;
}

static ds_status sample_rnn(ds_graph *g, uint64_t seed, ds_err *err) { return sample_of(DS_RNN, "ds.RNNGrad", g, seed, err); }
static ds_status sample_gru(ds_graph *g, uint64_t seed, ds_err *err) { return sample_of(DS_GRU, "ds.GRUGrad", g, seed, err); }
static ds_status sample_lstm(ds_graph *g, uint64_t seed, ds_err *err) { return sample_of(DS_LSTM, "ds.LSTMGrad", g, seed, err); }

static const ds_opt attrs[] = {
	DS_RNN_ROWS,
	DS_NN_INT(ds_rnn_attr, input_forget, "input_forget", "0", 0, 1, "Couple the forget gate to the input gate (LSTM)"),
	DS_NN_INT(ds_rnn_attr, linear_before_reset, "linear_before_reset", "0", 0, 1, "Multiply by the reset gate after the product (GRU)"),
	{ 0 }
};

static const ds_variant variants[] = {
	{ .name = "rnngrad.f32.packed", .match = match, .scratch = scratch_packed, .forward = forward_packed },
	{ 0 }
};

#define ROW(Name, outs, smp) \
	const ds_op ds_op_##Name = { \
		.name = #Name, .domain = "ds", .min_in = 3, .max_in = INPUTS, .min_out = outs, .max_out = outs, .attr_size = sizeof(ds_rnn_attr), .attrs = attrs, \
		.infer = infer, .scratch = scratch, .forward = forward, .variants = variants, .cost = cost, .sample = smp, \
	};
ROW(RNNGrad, 3, sample_rnn)
ROW(GRUGrad, 5, sample_gru)
ROW(LSTMGrad, 5, sample_lstm)
