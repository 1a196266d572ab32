/* qgemm.c - QGemm (ds): product of u8 codes with a constant int8 matrix, requantised on the way out (see fused.h) */
#include "igemm.h"
#include "draw.h"
#include "infer.h"
#include "mm_ref.h"

#include <math.h>
#include <string.h>

static const ds_arg *opt(const ds_node *n, const ds_arg *in, int i) { return i < n->n_in && in[i].present ? &in[i] : NULL; }

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_gemm_full *a = n->a;
	if (in[0].type.dtype != DS_U8)
		return ds_fail(err, DS_E_INPUT, "QGemm of type %s", ds_dtype_name(in[0].type.dtype));
	DS_TRY(ds_gemm_act_infer(&in[0].type, &in[1].type, a->transB != 0, &out[0], err));
	out[0].dtype = a->q.y_scale > 0 ? DS_U8 : DS_F32;
	return DS_OK;
}

static int64_t quads(int64_t k) { return (k + 3) / 4 * 4; }

/* Rows are read in whole quads: when k is none, they are copied into scratch first. */
static bool match(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	const ds_arg *b = opt(n, in, 2);
	for (int i = 0; i < n->n_in; i++)
		want[i] = DS_PLAIN;
	if (in[0].type.dtype != DS_U8 || !ds_qweight_ok(&in[1]) || (b && !b->value) || ds_type_count(out) == 0 || ds_type_count(&in[0].type) == 0)
		return false;
	return DS_A(ds_gemm_full, n)->transB || in[1].value->q->gran == DS_Q_TENSOR;
}

static ds_status prepare(const ds_node *n, const ds_arg *in, const ds_type *out, void **prep, size_t *bytes, ds_err *err)
{
	const ds_gemm_full *a = n->a;
	ds_status rc = DS_OK;
	ds_qweight w = { 0 };
	ds_tensor b = { 0 };
	int32_t *sum = NULL;
	int8_t *rows = NULL;
	int64_t k = in[0].type.dim[in[0].type.rank - 1], cols = out->dim[out->rank - 1], kq = quads(k);
	ds_igemm *g = ds_calloc(1, sizeof *g);
	if (!g)
		return ds_fail_nomem(err, sizeof *g);
	DS_GOTO(ds_qweight_read(in[1].value, &w, err));
	sum = ds_calloc((size_t)cols, sizeof *sum);
	rows = ds_calloc((size_t)(cols * kq), 1);
	if (!sum || !rows) {
		rc = ds_fail_nomem(err, (size_t)(cols * kq));
		goto out;
	}
	for (int64_t o = 0; o < cols; o++)
		for (int64_t i = 0; i < k; i++)
			sum[o] += rows[o * kq + i] = w.code[a->transB ? o * k + i : i * cols + o];
	DS_GOTO(ds_igemm_new(g, true, 1, cols, 1, kq, err));
	ds_igemm_pack_i8(g, 0, rows, 1, kq);
	if (opt(n, in, 2))
		DS_GOTO(ds_tensor_to_f32(in[2].value, &b, err));
	ds_igemm_requant(g, &a->q, &a->act, w.scale, w.scale_step, b.data, sum);
	*bytes = g->bytes;
	*prep = g;
	g = NULL;
out:
	ds_qweight_done(&w);
	ds_tensor_done(&b);
	ds_free(sum);
	ds_free(rows);
	if (g) {
		ds_igemm_done(g);
		ds_free(g);
	}
	return rc;
}

static void free_prep(void *prep)
{
	if (prep)
		ds_igemm_done(prep);
	ds_free(prep);
}

static size_t copy_bytes(int64_t m, int64_t k) { return k % 4 ? (size_t)ds_pad64((uint64_t)(m * quads(k))) : 0; }

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	const ds_kernel *kn = ds_kernel_pick(DS_K_gemm_i8, ds_cpu_allowed());
	int64_t k = in[0].type.dim[in[0].type.rank - 1], m = ds_type_count(&in[0].type) / k;
	ds_igemm g = { .kn = kn, .groups = 1, .n = out->dim[out->rank - 1], .taps = 1, .kc = quads(k), .elem = 1 };
	g.n_pad = ds_k_panel_count(kn, g.n) * kn->nr;
	return copy_bytes(m, k) + ds_igemm_scratch(&g, m, threads);
}

static ds_status forward_fast(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_igemm *g = env->prep;
	int64_t k = in[0]->dim[in[0]->rank - 1], m = ds_tensor_count(in[0]) / k;
	char *a = in[0]->data, *s = env->scratch;
	if (k % 4) {
		for (int64_t i = 0; i < m; i++) {
			memcpy(s + i * g->kc, a + i * k, (size_t)k);
			memset(s + i * g->kc + k, 0, (size_t)(g->kc - k));
		}
		a = s;
		s += copy_bytes(m, k);
	}
	ds_igemm_dense d = { a, (size_t)g->kc };
	ds_igemm_run r = { .g = g, .m = m, .rows = ds_igemm_dense_rows, .rows_arg = &d, .c = out[0]->data, .scratch = s };
	ds_igemm_go(env->pool, &r);
	return DS_OK;
}

/* On decoded weights, in f64: agrees with the fast row but for ties. */
static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_gemm_full *a = n->a;
	const ds_q_attr *q = &a->q;
	int64_t k = in[0]->dim[in[0]->rank - 1], m = k ? ds_tensor_count(in[0]) / k : 0, cols = out[0]->dim[out[0]->rank - 1];
	const float *w = in[1]->data, *b = n->n_in > 2 && in[2] ? in[2]->data : NULL;
	if (in[1]->dtype != DS_F32 || in[1]->q)
		return ds_fail(err, DS_E_UNSUPPORTED, "QGemm: weights of type %s", ds_dtype_name(in[1]->dtype));
	for (int64_t i = 0; i < m * cols; i++) {
		const uint8_t *x = (const uint8_t *)in[0]->data + i / cols * k;
		int64_t o = i % cols;
		double v = 0;
		for (int64_t j = 0; j < k; j++)
			v += (double)(x[j] - q->x_zp) * q->x_scale * (double)w[a->transB ? o * k + j : j * cols + o];
		v += b ? b[o] : 0.0f;
		if (q->y_scale > 0) {
			v = rint(v / q->y_scale) + (double)q->y_zp;
			((uint8_t *)out[0]->data)[i] = (uint8_t)fmin(fmax(v, (double)q->q_min), (double)q->q_max);
		} else {
			float f = (float)v;
			ds_k_act_f32_c((float *)out[0]->data + i, &f, 1, a->act.act, (float)a->act.a, (float)a->act.b);
		}
	}
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int k = ds_mm_links(&in[0].type, &in[1].type, &out[0], false, DS_A(ds_gemm_full, n)->transB != 0, 1, link, cap);
	if (opt(n, in, 2))
		k = ds_link_add(link, k, cap, DS_LINK_SAME, 2, 0, DS_SLOT_OUT, out->rank - 1, 0);
	return k;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t a[3] = { ds_draw_in(&s, 1, 3), ds_draw_in(&s, 1, 9), ds_draw_in(&s, 1, 40) }, c = ds_draw_in(&s, 1, 70), tb = seed % 2;
	int64_t b[2] = { tb ? c : a[2], tb ? a[2] : c };
	ds_value *in[3] = { ds_draw_input(&s, DS_U8, 3, a), ds_draw_coded(&s, 2, b, tb), ds_draw_param(&s, DS_F32, 1, &c) };
	ds_node *n = s.oom ? NULL : ds_graph_node(g, "ds", "QGemm", "", 2 + (int)(seed / 2 % 2), in, 1, NULL);
	s.oom = s.oom || !n;
	ds_draw_i(&s, n, "transB", tb);
	ds_draw_f(&s, n, "x_scale", 0.02);
	ds_draw_i(&s, n, "x_zp", 100);
	if (seed % 3) {
		ds_draw_f(&s, n, "y_scale", 0.05);
		ds_draw_i(&s, n, "y_zp", 50);
	} else {
		ds_draw_s(&s, n, "act", "relu");
	}
	return ds_draw_end(&s, n, err);
}

static const ds_opt attrs[] = {
	{ "transB", .type = DS_T_INT, .offset = offsetof(ds_gemm_full, transB), .def = "0", .max = 1, .help = "B is given transposed" },
	DS_ACT_ATTRS(ds_gemm_full, act), DS_Q_ATTRS(ds_gemm_full, q), { 0 }
};
const ds_variant ds_qgemm_variants[] = {
	{ "qgemm.i8.packed", match, prepare, free_prep, scratch, forward_fast },
	{ 0 },
};

const ds_op ds_op_QGemm = {
	.name = "QGemm", .domain = "ds", .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1, .attr_size = sizeof(ds_gemm_full), .attrs = attrs,
	.infer = infer, .forward = forward, .variants = ds_qgemm_variants, .cost = ds_mm_cost, .channels = channels, .sample = sample,
};
