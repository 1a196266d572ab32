/* attentiongrad.c - ds.AttentionGrad: the gradients of Attention, with the scores computed again
 *
 * AttentionGrad(q, k, v, mask, past k, past v, lengths, dy, dqk) -> dq, dk, dv[, dpast k, dpast v]; AttentionScoresGrad with the same inputs -> the gradients of the
 * scores behind the mask, [batch, heads, queries, keys] (for a mask that is trained).  All but q, k, v may be absent; attributes are those of Attention.  With P
 * the probabilities, S the scores behind the mask:
 *     dP = dY V',   dS = P (dP - sum(dP P)),   dQ = dS K,   dK = dS' Q,   dV = P' dY       (Vaswani et al. 2017, differentiated)
 * A task is one head of keys of one item, with all heads of queries that share it, so sums over queries are one chain of fused multiply-adds in their order; the reference
 * and the variant with packed panels give the same bits.  Keys that no query of a block sees are left out. */
#include "attention.h"
#include "draw.h"
#include "grad.h"

#include <math.h>
#include <string.h>

enum { ROWS = 64, DY = 7, DQK = 8, INPUTS = 9 };
enum { KEYS, VALUES, KEYS_ACROSS, VALUES_ACROSS, KEYS_DOWN, SCORES, DSCORES, CAPPED, SUM_K, SUM_V, POINTERS, PARTS };

typedef struct job {
	ds_attention_job j;
	const float *dy, *dqk;
	float       *dq, *dk, *dv, *dpast_k, *dpast_v, *dscores;

	size_t       at[PARTS], per_worker;
	char        *work;
} job;

static size_t layout(const ds_attention_shape *s, size_t at[PARTS])
{
	const ds_kernel *kn = ds_kernel_pick(DS_K_gemm_f32, ds_cpu_allowed());
	size_t total = 0, keys = (size_t)s->kv_len, cols = ds_attention_cols(s->kv_len);
	size_t size[PARTS] = {
		[KEYS] = keys * (size_t)s->d, [VALUES] = keys * (size_t)s->dv, [KEYS_ACROSS] = ds_k_panels_size(kn, s->d, s->kv_len),
		[VALUES_ACROSS] = ds_k_panels_size(kn, s->dv, s->kv_len), [KEYS_DOWN] = ds_k_panels_size(kn, s->kv_len, s->d),
		[SCORES] = ROWS * cols, [DSCORES] = ROWS * cols, [CAPPED] = cols, [SUM_K] = keys * ds_attention_cols(s->d), [SUM_V] = keys * ds_attention_cols(s->dv),
		[POINTERS] = ROWS * (sizeof(void *) / sizeof(float)),
	};

	for (int i = 0; i < PARTS; i++) {
		at[i] = total;
		total += ds_pad64(size[i] * sizeof(float));
	}
	return total;
}

typedef ds_attention_operand operand;

static double dot(const float *a, const float *b, int64_t n)
{
	double s[8] = { 0 }, sum = 0;
	int64_t i = 0;

	for (; i + 8 <= n; i += 8)
		for (int k = 0; k < 8; k++)
			s[k] += (double)a[i + k] * (double)b[i + k];
	for (int k = 0; i < n; i++, k++)
		s[k] += (double)a[i] * (double)b[i];
	for (int k = 0; k < 8; k++)
		sum += s[k];
	return sum;
}

static void add(float *d, const float *x, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		d[i] += x[i];
}

/* p: the products q k of one row, which become probabilities; d: dP, which becomes the gradient of the products.  n: keys that this block looks at. */
static void row_back(const job *j, float *p, float *d, float *capped, int64_t b, int64_t h, int64_t pos, int64_t offset, int64_t valid, int64_t n)
{
	const ds_attention_shape *e = &j->j.s;
	int64_t at = ((b * e->heads + h) * e->q_len + pos) * e->kv_len, lo, hi;
	const float *dqk = j->dqk ? j->dqk + at : NULL;
	int mode = (int)j->j.a->output_mode;
	float sum;

	ds_attention_row(&j->j, p, b, h, pos, offset, valid, dqk != NULL, NULL, j->j.cap > 0 ? capped : NULL);
	ds_attention_seen(&j->j, pos, offset, valid, &lo, &hi);
	if (!j->dy)
		memset(d, 0, (size_t)n * sizeof *d);
	if (dqk && mode == 3)
		add(d, dqk, n);
	sum = (float)dot(p, d, n);
	for (int64_t i = 0; i < n; i++)
		d[i] = p[i] * (d[i] - sum);
	if (dqk && mode == 2)
		add(d + lo, dqk + lo, hi - lo);
	if (j->dscores) {
		memcpy(j->dscores + at, d, (size_t)n * sizeof *d);
		memset(j->dscores + at + n, 0, (size_t)(e->kv_len - n) * sizeof *d);
		return;
	}
	if (dqk && mode == 1)
		add(d, dqk, n);
	for (int64_t i = dqk ? 0 : lo; j->j.cap > 0 && i < (dqk ? n : hi); i++) {
		float t = capped[i] / j->j.cap;

		d[i] = d[i] * (1 - t * t);
	}
	if (dqk && mode == 0)
		add(d, dqk, n);
	for (int64_t i = 0; i < n; i++)
		d[i] = d[i] * j->j.scale;
}

/* sum[key][i] += sum over the n queries of x[query][key] * rows[query][i], i < d, one chain in their order. */
static void over_queries(const job *j, const float *x, size_t ldx, const float *const *rows, int n, int64_t keys, int64_t d, float *sum)
{
	size_t ld = ds_attention_cols(d);

	if (j->j.packed) {
		ds_k_tn k = { .a = x, .lda = ldx, .b = (const void *const *)rows, .ldb = (size_t)n, .pixels = n, .rows = (int)keys, .taps = 1, .kc = (int)d, .c = sum, .ldc = ld };

		j->j.tn->fn.tn(&k);
		return;
	}
	for (int64_t key = 0; key < keys; key++)
		for (int64_t i = 0; i < d; i++) {
			float s = sum[(size_t)key * ld + (size_t)i];

			for (int r = 0; r < n; r++)
				s = fmaf(x[(size_t)r * ldx + (size_t)key], rows[r][i], s);
			sum[(size_t)key * ld + (size_t)i] = s;
		}
}

/* A block of at most ROWS queries of one head. */
static void block(const job *j, char *w, const operand *across, const operand *vacross, const operand *down, int64_t b, int64_t h, int64_t pos, int n,
	int64_t offset, int64_t valid)
{
	const ds_attention_shape *e = &j->j.s;
	size_t lds = ds_attention_cols(e->kv_len);
	float *p = (float *)(w + j->at[SCORES]), *d = (float *)(w + j->at[DSCORES]);
	const float **rows = (const float **)(w + j->at[POINTERS]);
	const float *q = j->j.q + b * e->q_at[0] + h * e->q_at[1] + pos * e->q_at[2];
	const float *dy = j->dy ? j->dy + b * e->y_at[0] + h * e->y_at[1] + pos * e->y_at[2] : NULL;
	int64_t keys = j->dqk ? e->kv_len : ds_attention_keys(&j->j, pos, n, offset, valid);
	for (int r = 0; r < n; r++)
		rows[r] = q + r * e->q_at[2];
	ds_attention_product(&j->j, rows, n, e->d, across, keys, p, lds, false);
	for (int r = 0; r < n && dy; r++)
		rows[r] = dy + r * e->y_at[2];
	if (dy)
		ds_attention_product(&j->j, rows, n, e->dv, vacross, keys, d, lds, false);
	for (int r = 0; r < n; r++)
		row_back(j, p + (size_t)r * lds, d + (size_t)r * lds, (float *)(w + j->at[CAPPED]), b, h, pos + r, offset, valid, keys);
	if (j->dscores)
		return;
	for (int r = 0; r < n; r++)
		rows[r] = d + (size_t)r * lds;
	ds_attention_product(&j->j, rows, n, keys, down, e->d, j->dq + b * e->q_at[0] + h * e->q_at[1] + pos * e->q_at[2], (size_t)e->q_at[2], false);
	for (int r = 0; r < n; r++)
		rows[r] = q + r * e->q_at[2];
	over_queries(j, d, lds, rows, n, keys, e->d, (float *)(w + j->at[SUM_K]));
	for (int r = 0; r < n && dy; r++)
		rows[r] = dy + r * e->y_at[2];
	if (dy)
		over_queries(j, p, lds, rows, n, keys, e->dv, (float *)(w + j->at[SUM_V]));
}

/* Sums of one head to the cache's part and the new part. */
static void put(const float *sum, size_t ld, float *past, float *x, int64_t n_past, int64_t n_new, int64_t step, int64_t d)
{
	for (int64_t i = 0; i < n_past + n_new; i++) {
		float *to = i < n_past ? (past ? past + i * d : NULL) : x + (i - n_past) * step;

		if (to)
			memcpy(to, sum + (size_t)i * ld, (size_t)d * sizeof *sum);
	}
}

static void run_heads(void *arg, int64_t i0, int64_t i1, int worker)
{
	const job *j = arg;
	const ds_attention_job *a = &j->j;
	const ds_attention_shape *e = &a->s;
	char *w = j->work + (size_t)worker * j->per_worker;
	float *keys = (float *)(w + j->at[KEYS]), *values = (float *)(w + j->at[VALUES]), *sk = (float *)(w + j->at[SUM_K]), *sv = (float *)(w + j->at[SUM_V]);
	size_t ldk = ds_attention_cols(e->d), ldv = ds_attention_cols(e->dv);
	operand across = { keys, e->d, e->kv_len, 1, e->d, (float *)(w + j->at[KEYS_ACROSS]) };
	operand vacross = { values, e->dv, e->kv_len, 1, e->dv, (float *)(w + j->at[VALUES_ACROSS]) };
	operand down = { keys, e->kv_len, e->d, e->d, 1, (float *)(w + j->at[KEYS_DOWN]) };

	for (int64_t i = i0; i < i1; i++) {
		int64_t b = i / e->kv_heads, g = i % e->kv_heads, share = e->heads / e->kv_heads;
		int64_t valid = a->lengths ? ds_tensor_i64(a->lengths, b) : e->kv_len, offset = a->lengths && !a->past_k ? valid - e->q_len : e->past;

		ds_attention_gather(keys, NULL, a->past_k ? a->past_k + i * e->past * e->d : NULL, a->k + b * e->k_at[0] + g * e->k_at[1], e->past, e->new_len,
			e->k_at[2], e->d);
		ds_attention_gather(values, NULL, a->past_v ? a->past_v + i * e->past * e->dv : NULL, a->v + b * e->v_at[0] + g * e->v_at[1], e->past, e->new_len,
			e->v_at[2], e->dv);
		ds_attention_pack(&j->j, &across);
		ds_attention_pack(&j->j, &vacross);
		ds_attention_pack(&j->j, &down);
		memset(sk, 0, (size_t)e->kv_len * ldk * sizeof *sk);
		memset(sv, 0, (size_t)e->kv_len * ldv * sizeof *sv);
		for (int64_t h = g * share; h < (g + 1) * share; h++)
			for (int64_t pos = 0; pos < e->q_len; pos += ROWS)
				block(j, w, &across, &vacross, &down, b, h, pos, (int)DS_MIN(ROWS, e->q_len - pos), offset, valid);
		if (j->dscores)
			continue;
		put(sk, ldk, j->dpast_k ? j->dpast_k + i * e->past * e->d : NULL, j->dk + b * e->k_at[0] + g * e->k_at[1], e->past, e->new_len, e->k_at[2], e->d);
		put(sv, ldv, j->dpast_v ? j->dpast_v + i * e->past * e->dv : NULL, j->dv + b * e->v_at[0] + g * e->v_at[1], e->past, e->new_len, e->v_at[2], e->dv);
	}
}

/* ---- columns ---------------------------------------------------------------------------------------------------------------------- */

static bool only_scores(const ds_node *n) { return strcmp(n->op_name, "AttentionScoresGrad") == 0; }

static ds_status run(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err, bool packed)
{
	job j = { .work = env->scratch };
	const ds_tensor *all[INPUTS] = { NULL };
	bool scores = only_scores(n);

	for (int i = 0; i < n->n_in && i < INPUTS; i++)
		all[i] = in[i];
	DS_TRY(ds_attention_begin(n, all, DY, &j.j, err));
	j.j.packed = packed;
	j.dy = all[DY] ? all[DY]->data : NULL;
	j.dqk = all[DQK] ? all[DQK]->data : NULL;
	if (scores) {
		j.dscores = out[0]->data;
	} else {
		j.dq = out[0]->data;
		j.dk = out[1]->data;
		j.dv = out[2]->data;
		j.dpast_k = n->n_out > 3 && j.j.past_k ? out[3]->data : NULL;
		j.dpast_v = n->n_out > 4 && j.j.past_k ? out[4]->data : NULL;
	}
	j.per_worker = layout(&j.j.s, j.at);
	if (j.per_worker * (size_t)ds_pool_threads(env->pool) > env->scratch_size)
		return ds_fail(err, DS_E_INTERNAL, "%s: too little scratch", n->op_name);
	if (j.j.s.kv_len == 0) {
		for (int i = 0; i < n->n_out; i++)
			memset(out[i]->data, 0, ds_tensor_bytes(out[i]));
		return DS_OK;
	}
	ds_nn_for(env->pool, j.j.s.batch * j.j.s.kv_heads, 1, run_heads, &j);
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

static bool match(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	for (int i = 0; i < n->n_in; i++) {
		want[i] = DS_PLAIN;
		if (in[i].present && i != 3 && i != 6 && in[i].type.dtype != DS_F32)
			return false;
	}
	return n->n_in < 4 || !in[3].present || in[3].type.dtype == DS_F32 || in[3].type.dtype == DS_BOOL;
}

static bool extents(const ds_node *n, const ds_arg *in, ds_attention_shape *s)
{
	return ds_attention_extents(n, &in[0].type, &in[1].type, &in[2].type, n->n_in > 4 && in[4].present ? &in[4].type : NULL, s, NULL) == DS_OK;
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	ds_attention_shape s;
	size_t at[PARTS];

	return extents(n, in, &s) ? ds_nn_in_f32_scratch(n, in, out) + layout(&s, at) * (size_t)DS_MAX(threads, 1) : 0;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	ds_attention_shape s;

	for (int i = 0; i < 3; i++) {
		if (!ds_nn_is_float(in[i].type.dtype))
			return ds_fail(err, DS_E_INPUT, "%s of %s", n->op_name, ds_dtype_name(in[i].type.dtype));
		if (!ds_type_concrete(&in[i].type))
			return ds_fail(err, DS_E_UNSUPPORTED, "%s with extents that are not known", n->op_name);
		if (in[i].type.rank != 3 && in[i].type.rank != 4)
			return ds_fail(err, DS_E_INPUT, "%s of rank %d", n->op_name, in[i].type.rank);
	}
	if (n->n_out > 3 && (n->n_in < 6 || !in[4].present || !in[5].present))
		return ds_fail(err, DS_E_INPUT, "%s: gradients of a cache that is not there", n->op_name);
	if (!extents(n, in, &s))
		return ds_fail(err, DS_E_INPUT, "%s: extents of queries, keys and values", n->op_name);
	if (only_scores(n)) {
		out[0] = ds_type_make(in[0].type.dtype, 4, (int64_t[]){ s.batch, s.heads, s.q_len, s.kv_len });
		return DS_OK;
	}
	for (int i = 0; i < n->n_out; i++)
		out[i] = in[i < 3 ? i : i + 1].type;
	return DS_OK;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	ds_attention_shape s;
	double pairs, bytes = 0;

	*c = (ds_cost){ 0 };
	if (!extents(n, in, &s))
		return;
	pairs = (double)(s.batch * s.heads) * (double)(s.q_len * s.kv_len);
	for (int i = 0; i < n->n_in; i++)
		bytes += in[i].present ? (double)ds_type_count(&in[i].type) : 0;
	*c = (ds_cost){ .macs = pairs * (double)(3 * s.d + 2 * s.dv), .flops = 12 * pairs, .act_bytes = 2 * bytes * (double)ds_dtype_size(out[0].dtype) };
}

/* ---- the column of Attention -------------------------------------------------------------------------------------------------------- */

/* The gradient of an output `present` [batch, heads, past + new, d] goes to the cache and to the new keys or values, of rank 3 or 4. */
static void from_present(ds_emit *e, const ds_value *x, ds_value *dpresent, int64_t past, ds_value **dx, ds_value **dpast)
{
	const ds_type *t = &x->type;
	int64_t total = t->dim[t->rank == 4 ? 2 : 1] + past;
	ds_value *axis = ds_emit_ints(e, 1, (int64_t[]){ 2 }), *at = ds_emit_ints(e, 1, &past), *v = dpresent;

	if (past) {
		ds_value *in[4] = { dpresent, ds_emit_ints(e, 1, (int64_t[]){ 0 }), at, axis }, *old = ds_emit_op(e, "Slice", 4, in);

		*dpast = *dpast ? ds_emit2(e, "Add", *dpast, old) : old;
		in[1] = at;
		in[2] = ds_emit_ints(e, 1, &total);
		v = ds_emit_op(e, "Slice", 4, in);
	}
	if (t->rank == 3) {
		v = ds_emit1(e, "Transpose", v);
		ds_emit_is(e, v, "perm", 4, (int64_t[]){ 0, 2, 1, 3 });
		v = ds_emit_reshape(e, v, t);
	}
	*dx = *dx ? ds_emit2(e, "Add", *dx, v) : v;
}

ds_status ds_attention_gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_value *in[INPUTS] = { NULL }, *scores;
	bool past = n->n_in > 5 && n->in[4] && n->in[5];
	int64_t n_past = past ? n->in[4]->type.dim[2] : 0;
	ds_node *back;

	for (int i = 0; i < n->n_in && i < DY; i++)
		in[i] = n->in[i];
	in[DY] = dout[0];
	in[DQK] = n->n_out > 3 ? dout[3] : NULL;
	if (in[DY] || in[DQK]) {
		back = ds_emit_node(&e, "ds.AttentionGrad", INPUTS, in, past ? 5 : 3);
		if (!back)
			return ds_emit_end(&e);
		ds_emit_attrs(&e, back->out[0], n);
		for (int i = 0; i < back->n_out; i++)
			din[i < 3 ? i : i + 1] = back->out[i];
		if (n->n_in > 3 && ds_grad_float(n->in[3])) {
			/* a mask may be shorter than the keys, and is broadcast to the scores */
			const ds_type *q = &n->in[0]->type, *m = &n->in[3]->type;
			ds_attention_shape s;
			ds_type t = { .dtype = q->dtype, .rank = 4 };

			DS_TRY(ds_attention_extents(n, q, &n->in[1]->type, &n->in[2]->type, past ? &n->in[4]->type : NULL, &s, err));
			scores = ds_emit_op(&e, "ds.AttentionScoresGrad", INPUTS, in);
			ds_emit_attrs(&e, scores, n);
			memcpy(t.dim, (int64_t[]){ s.batch, s.heads, s.q_len, s.kv_len }, 4 * sizeof t.dim[0]);
			if (m->dim[m->rank - 1] != 1 && m->dim[m->rank - 1] < s.kv_len) {
				t.dim[3] = m->dim[m->rank - 1];
				ds_value *cut[4] = { scores, ds_emit_ints(&e, 1, (int64_t[]){ 0 }), ds_emit_ints(&e, 1, &t.dim[3]), ds_emit_ints(&e, 1, (int64_t[]){ 3 }) };

				scores = ds_emit_op(&e, "Slice", 4, cut);
			}
			din[3] = ds_emit_reduce_to(&e, scores, &t, m);
		}
	}
	for (int i = 1; i < 3 && i < n->n_out; i++)
		if (dout[i])
			from_present(&e, n->in[i], dout[i], n_past, &din[i], &din[3 + i]);
	return ds_emit_end(&e);
}

/* Random graphs of Attention, of which the gradient operator takes the place. */
static ds_status sample_of(ds_graph *g, uint64_t seed, const char *op, ds_err *err)
{
	DS_TRY(ds_attention_sample(g, seed, err));
	const ds_node *n = g->node[0];
	ds_draw s = ds_draw_begin(g, seed);
	ds_value *in[INPUTS] = { NULL };
	bool past = n->in[4] != NULL;
	ds_emit e = ds_emit_begin(g, err);
	ds_type y = n->in[0]->type;
	ds_attention_shape ext;
	ds_node *back;

	DS_TRY(ds_attention_extents(n, &y, &n->in[1]->type, &n->in[2]->type, past ? &n->in[4]->type : NULL, &ext, err));
	for (int i = 0; i < n->n_in; i++)
		in[i] = n->in[i];
	y.dim[y.rank - 1] = y.rank == 4 ? ext.dv : ext.heads * ext.dv;
	s.inputs = 100;
	in[DY] = seed % 10 == 9 ? NULL : ds_draw_input(&s, y.dtype, y.rank, y.dim);
	in[DQK] = seed % 5 == 4 ? ds_draw_input(&s, y.dtype, 4, (int64_t[]){ ext.batch, ext.heads, ext.q_len, ext.kv_len }) : NULL;
	back = ds_draw_node(&s, op, INPUTS, in, strcmp(op, "ds.AttentionScoresGrad") == 0 ? 1 : past ? 5 : 3);
	if (!back)
		return ds_fail_nomem(err, 0);
	ds_emit_attrs(&e, back->out[0], n);
	DS_TRY(ds_emit_end(&e));
	g->n_output = 0;
	DS_TRY(ds_draw_end(&s, back, err));
	ds_graph_prune_dead(g);
	return DS_OK;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return sample_of(g, seed, "ds.AttentionGrad", err); }
static ds_status sample_scores(ds_graph *g, uint64_t seed, ds_err *err) { return sample_of(g, seed, "ds.AttentionScoresGrad", err); }

static const ds_variant variants[] = {
	{ .name = "attentiongrad.f32.packed", .match = match, .scratch = scratch, .forward = forward_packed },
	{ 0 }
};

const ds_op ds_op_AttentionGrad = {
	.name = "AttentionGrad", .domain = "ds", .min_in = 3, .max_in = 9, .min_out = 3, .max_out = 5, .attr_size = sizeof(ds_attention_attr),
	.attrs = ds_attention_attrs, .infer = infer, .scratch = scratch, .forward = forward, .variants = variants, .cost = cost, .sample = sample,
};

const ds_op ds_op_AttentionScoresGrad = {
	.name = "AttentionScoresGrad", .domain = "ds", .min_in = 3, .max_in = 9, .min_out = 1, .max_out = 1, .attr_size = sizeof(ds_attention_attr),
	.attrs = ds_attention_attrs, .infer = infer, .scratch = scratch, .forward = forward, .variants = variants, .cost = cost, .sample = sample_scores,
};
