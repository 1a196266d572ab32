/* attention.c - Attention (ONNX 23 to 25): softmax(Q K' * scale + bias) V with masks, causality, windows, grouped queries, soft cap and a cache of
 * keys and values.
 *
 * Vaswani et al. 2017; grouped queries: Ainslie et al. 2023.  A task is one head of one item.  Every score is one chain of fused multiply-adds in
 * ascending order of the head's elements, every output one over the keys: the reference walks them one by one, the variant packs keys and values
 * into panels for the matrix kernels, and both give the same bits. */
#include "attention.h"
#include "nnmath.h"

#include <math.h>
#include <string.h>

enum { ROWS = 32 };             /* query rows at a time */

static void at_of(const ds_type *t, int64_t heads, int64_t at[3])
{
	int64_t len = t->rank == 4 ? t->dim[2] : t->dim[1], d = t->rank == 4 ? t->dim[3] : t->dim[2] / heads;

	at[0] = heads * len * d;
	at[1] = t->rank == 4 ? len * d : d;
	at[2] = t->rank == 4 ? d : heads * d;
}

ds_status ds_attention_extents(const ds_node *n, const ds_type *q, const ds_type *k, const ds_type *v, const ds_type *past, ds_attention_shape *s, ds_err *err)
{
	const ds_attention_attr *a = n->a;
	bool wide = q->rank == 4;

	*s = (ds_attention_shape){ .batch = q->dim[0], .heads = wide ? q->dim[1] : a->q_num_heads, .kv_heads = wide ? k->dim[1] : a->kv_num_heads,
		.q_len = q->dim[wide ? 2 : 1], .new_len = k->dim[wide ? 2 : 1], .past = past ? past->dim[2] : 0 };
	if (s->heads < 1 || s->kv_heads < 1 || s->heads % s->kv_heads)
		return ds_fail(err, DS_E_INPUT, "%s: %lld heads of queries, %lld of keys", n->op_name, (long long)s->heads, (long long)s->kv_heads);
	s->d = wide ? q->dim[3] : q->dim[2] / s->heads;
	s->dv = wide ? v->dim[3] : v->dim[2] / s->kv_heads;
	s->kv_len = s->past + s->new_len;
	if (k->dim[wide ? 3 : 2] != (wide ? s->d : s->d * s->kv_heads) || v->dim[wide ? 2 : 1] != s->new_len || (!wide && q->dim[2] % s->heads)
		|| k->dim[0] != s->batch || v->dim[0] != s->batch || (wide && v->dim[1] != s->kv_heads))
		return ds_fail(err, DS_E_INPUT, "%s: extents of queries, keys and values", n->op_name);
	at_of(q, s->heads, s->q_at);
	at_of(k, s->kv_heads, s->k_at);
	at_of(v, s->kv_heads, s->v_at);
	s->y_at[0] = s->heads * s->q_len * s->dv;
	s->y_at[1] = wide ? s->q_len * s->dv : s->dv;
	s->y_at[2] = wide ? s->dv : s->heads * s->dv;
	return DS_OK;
}

/* ---- scratch of one worker ---------------------------------------------------------------------------------------------------------- */

enum { KEYS, VALUES, KEY_PANELS, VALUE_PANELS, SCORES, RESULT, POINTERS, PARTS };

static size_t worker_layout(const ds_attention_shape *s, size_t at[PARTS])
{
	const ds_kernel *kn = ds_kernel_pick(DS_K_gemm_f32, ds_cpu_allowed());
	size_t total = 0, size[PARTS] = { (size_t)(s->kv_len * s->d), (size_t)(s->kv_len * s->dv), ds_k_panels_size(kn, s->d, s->kv_len),
		ds_k_panels_size(kn, s->kv_len, s->dv), ROWS * ds_attention_cols(s->kv_len), ROWS * ds_attention_cols(s->dv), 2 * ROWS * (sizeof(void *) / sizeof(float)) };

	for (int i = 0; i < PARTS; i++) {
		at[i] = total;
		total += ds_pad64(size[i] * sizeof(float));
	}
	return total;
}

/* ---- one head --------------------------------------------------------------------------------------------------------------------- */

void ds_attention_gather(float *dst, float *present, const float *past, const float *x, int64_t n_past, int64_t n_new, int64_t step, int64_t d)
{
	if (n_past)
		memcpy(dst, past, (size_t)(n_past * d) * sizeof *dst);
	for (int64_t i = 0; i < n_new; i++)
		memcpy(dst + (n_past + i) * d, x + i * step, (size_t)d * sizeof *dst);
	if (present)
		memcpy(present, dst, (size_t)((n_past + n_new) * d) * sizeof *dst);
}

void ds_attention_pack(const ds_attention_job *j, const ds_attention_operand *o)
{
	for (int64_t p = 0; j->packed && p < ds_k_panel_count(j->kn, o->n); p++)
		ds_k_pack_f32(j->kn, o->panels + ds_k_panel_at(j->kn, o->k, p), o->b, o->k, o->n, p, o->sk, o->sn);
}

void ds_attention_product(const ds_attention_job *j, const float *const *rows, int64_t n_rows, int64_t kc, const ds_attention_operand *o, int64_t n, float *c,
	size_t ldc, bool sum)
{
	const ds_kernel *kn = j->kn;

	for (int64_t p = 0; j->packed && p < ds_k_panel_count(kn, n); p++) {
		ds_k_gemm g = { .a = (const void *const *)rows, .a_rows = (size_t)n_rows, .taps = 1, .kc = (int)kc, .b = o->panels + ds_k_panel_at(kn, o->k, p),
			.rows = (int)n_rows, .width = ds_k_panel_width(kn, o->n, p), .cols = (int)DS_MIN(kn->nr, n - p * kn->nr), .first = !sum, .last = !sum,
			.acc = c + p * kn->nr, .ld_acc = ldc, .c = c + p * kn->nr, .ldc = ldc, .lo = -INFINITY, .hi = INFINITY };

		kn->fn.gemm(&g);
	}
	for (int64_t r = 0; !j->packed && r < n_rows; r++)
		for (int64_t i = 0; i < n; i++) {
			float s = sum ? c[(size_t)r * ldc + (size_t)i] : 0;

			for (int64_t e = 0; e < kc; e++)
				s = fmaf(rows[r][e], o->b[e * o->sk + i * o->sn], s);
			c[(size_t)r * ldc + (size_t)i] = s;
		}
}

void ds_attention_seen(const ds_attention_job *j, int64_t row, int64_t offset, int64_t valid, int64_t *lo, int64_t *hi)
{
	*lo = 0;
	*hi = DS_MIN(valid, j->s.kv_len);
	if (j->a->is_causal)
		*hi = DS_MIN(*hi, row + offset + 1);
	if (j->a->left >= 0)
		*lo = DS_MAX(*lo, row + offset - j->a->left);
	if (j->a->right >= 0)
		*hi = DS_MIN(*hi, row + offset + j->a->right + 1);
	if (j->mask && j->mask_at[3])
		*hi = DS_MIN(*hi, j->mask_len);
	*hi = DS_MAX(*hi, 0);
	*lo = DS_MIN(*lo, *hi);
}

int64_t ds_attention_keys(const ds_attention_job *j, int64_t pos, int64_t n, int64_t offset, int64_t valid)
{
	int64_t most = 0, lo, hi;

	for (int64_t r = 0; r < n; r++) {
		ds_attention_seen(j, pos + r, offset, valid, &lo, &hi);
		most = DS_MAX(most, hi);
	}
	return DS_MIN((most + 63) / 64 * 64, j->s.kv_len);
}

/* Add the mask to the scores [lo, hi) of one row. */
static void add_mask(const ds_attention_job *j, float *s, int64_t b, int64_t h, int64_t row, int64_t lo, int64_t hi)
{
	int64_t at = b * j->mask_at[0] + h * j->mask_at[1] + row * j->mask_at[2], step = j->mask_at[3];

	if (j->mask && j->mask->dtype == DS_BOOL) {
		const uint8_t *m = (const uint8_t *)j->mask->data + at;

		for (int64_t i = lo; i < hi; i++)
			s[i] = m[i * step] ? s[i] : -INFINITY;
	} else if (j->mask) {
		const float *m = (const float *)j->mask->data + at;

		for (int64_t i = lo; i < hi; i++)
			s[i] = s[i] + m[i * step];
	}
}

static float row_max(const float *x, int64_t n)
{
	float m[8], best;
	int64_t i = 0;

	for (int k = 0; k < 8; k++)
		m[k] = -INFINITY;
	for (; i + 8 <= n; i += 8)
		for (int k = 0; k < 8; k++)
			m[k] = x[i + k] > m[k] ? x[i + k] : m[k];
	best = m[0];
	for (int k = 1; k < 8; k++)
		best = m[k] > best ? m[k] : best;
	for (; i < n; i++)
		best = x[i] > best ? x[i] : best;
	return best;
}

void ds_attention_row(const ds_attention_job *j, float *s, int64_t b, int64_t h, int64_t row, int64_t offset, int64_t valid, bool all, float *qk,
	float *capped)
{
	int64_t lo, hi, from, to, n = j->s.kv_len, mode = j->a->output_mode;
	size_t bytes = (size_t)n * sizeof *s;
	float max;

	/* only what is seen is computed (from a multiple of the lanes of sums on), and all of it when somebody looks at the scores */
	ds_attention_seen(j, row, offset, valid, &lo, &hi);
	from = all ? 0 : lo & ~7;
	to = all ? n : hi;
	for (int64_t i = from; i < to; i++)
		s[i] = s[i] * j->scale;
	if (qk && mode == 0)
		memcpy(qk, s, bytes);
	if (j->cap > 0) {
		for (int64_t i = from; i < to; i++)
			s[i] = s[i] / j->cap;
		j->act->fn.act(s + from, s + from, (size_t)(to - from), DS_ACT_TANH, 0, 0);
		for (int64_t i = from; i < to; i++)
			s[i] = s[i] * j->cap;
	}
	if (qk && mode == 1)
		memcpy(qk, s, bytes);
	if (capped)
		memcpy(capped + from, s + from, (size_t)(to - from) * sizeof *s);
	for (int64_t i = from; i < lo; i++)
		s[i] = -INFINITY;
	for (int64_t i = hi; i < to; i++)
		s[i] = -INFINITY;
	add_mask(j, s, b, h, row, lo, hi);
	if (qk && mode == 2)
		memcpy(qk, s, bytes);
	max = row_max(s + from, to - from);
	if (max == -INFINITY) {
		from = to = 0;          /* no key is seen: the result is 0 */
	} else {
		float sum;

		for (int64_t i = from; i < to; i++)
			s[i] = s[i] - max;
		j->act->fn.act(s + from, s + from, (size_t)(to - from), DS_ACT_EXP, 0, 0);
		sum = (float)ds_nn_sum(s + from, to - from);
		for (int64_t i = from; i < to; i++)
			s[i] = s[i] / sum;
	}
	memset(s, 0, (size_t)from * sizeof *s);
	memset(s + to, 0, (size_t)(n - to) * sizeof *s);
	if (qk && mode == 3)
		memcpy(qk, s, bytes);
}

/* Heads of keys [i0, i1) of (item, head), with all query heads that share them. */
static void run(void *arg, int64_t i0, int64_t i1, int worker)
{
	const ds_attention_job *j = arg;
	const ds_attention_shape *e = &j->s;
	size_t at[PARTS], lds = ds_attention_cols(e->kv_len), ldr = ds_attention_cols(e->dv);
	char *w = j->work + (size_t)worker * j->per_worker;

	worker_layout(e, at);
	float *keys = (float *)(w + at[KEYS]), *values = (float *)(w + at[VALUES]), *kp = (float *)(w + at[KEY_PANELS]);
	float *vp = (float *)(w + at[VALUE_PANELS]), *scores = (float *)(w + at[SCORES]), *result = (float *)(w + at[RESULT]);
	const float **rows = (const float **)(w + at[POINTERS]), **probs = rows + ROWS;
	ds_attention_operand across = { keys, e->d, e->kv_len, 1, e->d, kp }, down = { values, e->kv_len, e->dv, e->dv, 1, vp };

	for (int64_t i = i0; i < i1; i++) {
		int64_t b = i / e->kv_heads, g = i % e->kv_heads, share = e->heads / e->kv_heads;
		int64_t valid = j->lengths ? ds_tensor_i64(j->lengths, b) : e->kv_len, offset = j->lengths && !j->past_k ? valid - e->q_len : e->past;

		ds_attention_gather(keys, j->present_k ? j->present_k + i * e->kv_len * e->d : NULL, j->past_k ? j->past_k + i * e->past * e->d : NULL,
			j->k + b * e->k_at[0] + g * e->k_at[1], e->past, e->new_len, e->k_at[2], e->d);
		ds_attention_gather(values, j->present_v ? j->present_v + i * e->kv_len * e->dv : NULL, j->past_v ? j->past_v + i * e->past * e->dv : NULL,
			j->v + b * e->v_at[0] + g * e->v_at[1], e->past, e->new_len, e->v_at[2], e->dv);
		ds_attention_pack(j, &across);
		ds_attention_pack(j, &down);
		for (int64_t r0 = 0; r0 < share * e->q_len; r0 += ROWS) {
			int n = (int)DS_MIN(ROWS, share * e->q_len - r0);
			int64_t seen = j->qk ? e->kv_len : 0;

			for (int r = 0; r < n; r++) {
				int64_t h = g * share + (r0 + r) / e->q_len, pos = (r0 + r) % e->q_len;

				rows[r] = j->q + b * e->q_at[0] + h * e->q_at[1] + pos * e->q_at[2];
				probs[r] = scores + (size_t)r * lds;
				seen = DS_MAX(seen, ds_attention_keys(j, pos, 1, offset, valid));
			}
			ds_attention_product(j, rows, n, e->d, &across, seen, scores, lds, false);
			for (int r = 0; r < n; r++) {
				int64_t h = g * share + (r0 + r) / e->q_len, pos = (r0 + r) % e->q_len;

				ds_attention_row(j, scores + (size_t)r * lds, b, h, pos, offset, valid, j->qk != NULL,
					j->qk ? j->qk + ((b * e->heads + h) * e->q_len + pos) * e->kv_len : NULL, NULL);
			}
			ds_attention_product(j, probs, n, seen, &down, e->dv, result, ldr, false);
			for (int r = 0; r < n; r++) {
				int64_t h = g * share + (r0 + r) / e->q_len, pos = (r0 + r) % e->q_len;

				memcpy(j->y + b * e->y_at[0] + h * e->y_at[1] + pos * e->y_at[2], result + (size_t)r * ldr, (size_t)e->dv * sizeof(float));
			}
		}
	}
}

/* ---- columns ------------------------------------------------------------------------------------------------------------------------ */

static ds_status mask_of(const ds_node *n, ds_attention_job *j, ds_err *err)
{
	const ds_attention_shape *e = &j->s;
	const int64_t want[4] = { e->batch, e->heads, e->q_len, e->kv_len };
	int64_t step = 1;

	if (j->mask->rank > 4 || j->mask->rank < 1 || (j->mask->dtype != DS_BOOL && j->mask->dtype != DS_F32))
		return ds_fail(err, DS_E_INPUT, "%s: mask of rank %d and type %s", n->op_name, j->mask->rank, ds_dtype_name(j->mask->dtype));
	for (int d = 3, k = j->mask->rank - 1; k >= 0; d--, k--) {
		int64_t have = j->mask->dim[k];

		/* a mask may be shorter than the keys: the rest is not seen */
		if (have != 1 && (d == 3 ? have > want[d] : have != want[d]))
			return ds_fail(err, DS_E_INPUT, "%s: the mask does not fit", n->op_name);
		j->mask_at[d] = have == 1 && want[d] != 1 ? 0 : step;
		step *= have;
	}
	j->mask_len = j->mask->dim[j->mask->rank - 1];
	return DS_OK;
}

ds_status ds_attention_begin(const ds_node *n, const ds_tensor *const *in, int n_in, ds_attention_job *j, ds_err *err)
{
	const ds_attention_attr *a = n->a;
	const ds_tensor *all[7] = { NULL };

	for (int i = 0; i < n_in && i < 7; i++)
		all[i] = in[i];
	const ds_tensor *past_k = all[4], *past_v = all[5];
	ds_type q = ds_type_of(in[0]), k = ds_type_of(in[1]), v = ds_type_of(in[2]), past = past_k ? ds_type_of(past_k) : q;

	*j = (ds_attention_job){ .a = a, .q = in[0]->data, .k = in[1]->data, .v = in[2]->data, .mask = all[3], .lengths = all[6],
		.kn = ds_kernel_pick(DS_K_gemm_f32, ds_cpu_allowed()), .tn = ds_kernel_pick(DS_K_gemm_tn_f32, ds_cpu_allowed()),
		.act = ds_kernel_pick(DS_K_act_f32, ds_cpu_allowed()) };
	DS_TRY(ds_attention_extents(n, &q, &k, &v, past_k ? &past : NULL, &j->s, err));
	if (past_k && (!past_v || past_v->rank != 4 || past_k->dim[0] != j->s.batch || past_v->dim[0] != j->s.batch || past_k->dim[1] != j->s.kv_heads
		|| past_v->dim[1] != j->s.kv_heads || past_v->dim[2] != j->s.past || past_k->dim[3] != j->s.d || past_v->dim[3] != j->s.dv))
		return ds_fail(err, DS_E_INPUT, "%s: extents of past keys and values", n->op_name);
	if (j->lengths && ds_tensor_count(j->lengths) != j->s.batch)
		return ds_fail(err, DS_E_INPUT, "%s: one length for each item expected", n->op_name);
	j->past_k = past_k ? past_k->data : NULL;
	j->past_v = past_v ? past_v->data : NULL;
	j->scale = a->scale != 0 ? (float)a->scale : (float)(1 / sqrt((double)j->s.d));
	j->cap = (float)a->softcap;
	return j->mask ? mask_of(n, j, err) : DS_OK;
}

static ds_status forward_any(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err, bool packed)
{
	ds_attention_job j;
	size_t at[PARTS];

	DS_TRY(ds_attention_begin(n, in, n->n_in, &j, err));
	j.y = out[0]->data;
	j.present_k = n->n_out > 1 && out[1] ? out[1]->data : NULL;
	j.present_v = n->n_out > 2 && out[2] ? out[2]->data : NULL;
	j.qk = n->n_out > 3 && out[3] ? out[3]->data : NULL;
	j.packed = packed;
	j.per_worker = worker_layout(&j.s, at);
	j.work = env->scratch;
	if (j.per_worker * (size_t)ds_pool_threads(env->pool) > env->scratch_size)
		return ds_fail(err, DS_E_INTERNAL, "%s: too little scratch", n->op_name);
	if (j.s.kv_len == 0) {
		memset(j.y, 0, ds_tensor_bytes(out[0]));
		return DS_OK;
	}
	ds_nn_for(env->pool, j.s.batch * j.s.kv_heads, 1, run, &j);
	return DS_OK;
}

static ds_status reference_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return forward_any(env, n, in, out, err, false);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, reference_f32);
}

static ds_status forward_packed(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return forward_any(env, n, in, out, err, true);
}

static bool match(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	(void)out;
	(void)out_layout;
	for (int i = 0; i < n->n_in; i++) {
		want[i] = DS_PLAIN;
		if (in[i].present && i != 3 && i != 6 && in[i].type.dtype != DS_F32)
			return false;
	}
	return n->n_in < 4 || !in[3].present || in[3].type.dtype == DS_F32 || in[3].type.dtype == DS_BOOL;
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	ds_attention_shape s;
	size_t at[PARTS];

	if (ds_attention_extents(n, &in[0].type, &in[1].type, &in[2].type, n->n_in > 4 && in[4].present ? &in[4].type : NULL, &s, NULL) != DS_OK)
		return 0;
	return ds_nn_in_f32_scratch(n, in, out) + worker_layout(&s, at) * (size_t)DS_MAX(threads, 1);
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_attention_attr *a = n->a;
	const ds_type *q = &in[0].type, *k = &in[1].type, *v = &in[2].type;
	bool has_past = n->n_in > 4 && in[4].present, wide = q->rank == 4;
	int64_t heads, kv_heads, d, dv, total;

	for (int i = 0; i < n->n_out; i++)
		out[i] = (ds_type){ i == 2 ? v->dtype : q->dtype, -1, { 0 } };
	if (!ds_nn_is_float(q->dtype) || !ds_nn_is_float(k->dtype) || !ds_nn_is_float(v->dtype))
		return ds_fail(err, DS_E_INPUT, "%s of %s", n->op_name, ds_dtype_name(q->dtype));
	if (q->rank < 0 || k->rank < 0 || v->rank < 0)
		return DS_OK;
	if ((q->rank != 3 && q->rank != 4) || k->rank != q->rank || v->rank != q->rank)
		return ds_fail(err, DS_E_INPUT, "%s: queries, keys and values must have rank 3 or 4", n->op_name);
	if (!wide && (a->q_num_heads < 1 || a->kv_num_heads < 1))
		return ds_fail(err, DS_E_INPUT, "%s: q_num_heads and kv_num_heads are needed for inputs of rank 3", n->op_name);
	if (has_past != (n->n_in > 5 && in[5].present) || (has_past && in[4].type.rank >= 0 && in[4].type.rank != 4))
		return ds_fail(err, DS_E_INPUT, "%s: past keys and values of rank 4 come together", n->op_name);
	heads = wide ? q->dim[1] : a->q_num_heads;
	kv_heads = wide ? k->dim[1] : a->kv_num_heads;
	d = wide ? k->dim[3] : ds_dim_div(k->dim[2], kv_heads);
	dv = wide ? v->dim[3] : ds_dim_div(v->dim[2], kv_heads);
	total = k->dim[wide ? 2 : 1];
	if (has_past)
		total = in[4].type.rank == 4 ? ds_dim_add(in[4].type.dim[2], total) : DS_DIM_UNKNOWN;
	if (wide)
		out[0] = ds_type_make(q->dtype, 4, (int64_t[]){ q->dim[0], heads, q->dim[2], dv });
	else
		out[0] = ds_type_make(q->dtype, 3, (int64_t[]){ q->dim[0], q->dim[1], ds_dim_mul(heads, dv) });
	if (n->n_out > 1)
		out[1] = ds_type_make(k->dtype, 4, (int64_t[]){ q->dim[0], kv_heads, total, d });
	if (n->n_out > 2)
		out[2] = ds_type_make(v->dtype, 4, (int64_t[]){ q->dim[0], kv_heads, total, dv });
	if (n->n_out > 3)
		out[3] = ds_type_make(q->dtype, 4, (int64_t[]){ q->dim[0], heads, q->dim[wide ? 2 : 1], total });
	return DS_OK;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	ds_attention_shape s;
	double pairs, bytes = (double)ds_type_count(&out[0]);

	*c = (ds_cost){ 0 };
	if (ds_attention_extents(n, &in[0].type, &in[1].type, &in[2].type, n->n_in > 4 && in[4].present ? &in[4].type : NULL, &s, NULL) != DS_OK)
		return;
	pairs = (double)(s.batch * s.heads) * (double)(s.q_len * s.kv_len);
	for (int i = 0; i < n->n_in; i++)
		bytes += in[i].present ? (double)ds_type_count(&in[i].type) : 0;
	*c = (ds_cost){ .macs = pairs * (double)(s.d + s.dv), .flops = 6 * pairs, .act_bytes = bytes * (double)ds_dtype_size(out[0].dtype) };
}

const ds_opt ds_attention_attrs[] = {
	DS_NN_INT(ds_attention_attr, is_causal, "is_causal", "0", 0, 1, "A query sees keys up to its own position"),
	DS_NN_INT(ds_attention_attr, kv_num_heads, "kv_num_heads", "0", 0, 0, "Heads of keys and values of rank 3"),
	DS_NN_INT(ds_attention_attr, left, "left_window_size", "-1", 0, 0, "Keys before its own position that a query sees, -1: all"),
	DS_NN_INT(ds_attention_attr, q_num_heads, "q_num_heads", "0", 0, 0, "Heads of queries of rank 3"),
	DS_NN_INT(ds_attention_attr, output_mode, "qk_matmul_output_mode", "0", 0, 3, "What output 3 holds: products, after the cap, after the mask, probabilities"),
	DS_NN_INT(ds_attention_attr, right, "right_window_size", "-1", 0, 0, "Keys behind its own position that a query sees, -1: all"),
	DS_NN_FLOAT(ds_attention_attr, scale, "scale", "0", "Factor of the products, 0: 1 / sqrt(head size)"),
	DS_NN_FLOAT(ds_attention_attr, softcap, "softcap", "0", "Bound of the scores through tanh, 0: none"),
	DS_NN_INT(ds_attention_attr, precision, "softmax_precision", "0", 0, 0, "Type of the softmax (number of ONNX); f32 here"),
	{ 0 }
};

static const ds_variant variants[] = {
	{ .name = "attention.f32.packed", .match = match, .scratch = scratch, .forward = forward_packed },
	{ 0 }
};

const ds_op ds_op_Attention = {
	.name = "Attention", .domain = "", .min_in = 3, .max_in = 7, .min_out = 1, .max_out = 4, .attr_size = sizeof(ds_attention_attr), .attrs = ds_attention_attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .variants = variants, .cost = cost, .gradient = ds_attention_gradient,
	.sample = ds_attention_sample,
};
