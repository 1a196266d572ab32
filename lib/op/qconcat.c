/* qconcat.c - ds.QConcat: quantised tensors joined along an axis, each brought to the scale of the result (fused_q.h) */
#include "fused_q.h"
#include "nnsample.h"
#include "qdq.h"

#include <string.h>

struct job {
	const ds_tensor *const *in;
	const ds_node   *n;
	uint8_t         *y;
	int64_t          outer, row;    /* bytes of one outer row of the result */
	int              axis;
};

static float ratio(const ds_qconcat_attr *q, int i) { return (float)(q->x_scales.v[i] / q->y_scale); }

static void table_of(const ds_qconcat_attr *q, int i, uint8_t table[256])
{
	const float m = ratio(q, i), lo = (float)-q->y_zp, hi = (float)(255 - q->y_zp);

	for (int c = 0; c < 256; c++) {
		float v = (float)(c - (int)q->x_zps.v[i]) * m;

		v = v > lo ? v : lo;
		v = v < hi ? v : hi;
		table[c] = (uint8_t)((int)ds_rint_small(v) + (int)q->y_zp);
	}
}

/* Outer rows [i0, i1) of all inputs. */
static void run(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;
	const ds_qconcat_attr *q = j->n->a;
	int64_t at = 0;

	(void)worker;
	for (int k = 0; k < j->n->n_in; k++) {
		const ds_tensor *t = j->in[k];
		int64_t outer, extent, inner, len;
		uint8_t table[256];
		bool copy = q->x_scales.v[k] == q->y_scale && q->x_zps.v[k] == q->y_zp;

		ds_nn_split(t, j->axis, &outer, &extent, &inner);
		len = extent * inner;
		if (!copy)
			table_of(q, k, table);
		for (int64_t r = i0; r < i1; r++) {
			const uint8_t *x = (const uint8_t *)t->data + r * len;
			uint8_t *y = j->y + r * j->row + at;

			if (copy)
				memcpy(y, x, (size_t)len);
			else
				for (int64_t i = 0; i < len; i++)
					y[i] = table[x[i]];
		}
		at += len;
	}
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	struct job j = { .in = in, .n = n, .y = out[0]->data };
	int64_t extent, inner;

	DS_TRY(ds_nn_axis(n, DS_A(ds_qconcat_attr, n)->axis, out[0]->rank, &j.axis, err));
	for (int i = 0; i < n->n_in; i++)
		if (in[i]->layout != out[0]->layout)
			return ds_fail(err, DS_E_INTERNAL, "%s: layouts", n->op_name);
	ds_nn_split(out[0], j.axis, &j.outer, &extent, &inner);
	j.row = extent * inner;
	ds_nn_for(env->pool, j.outer, ds_nn_grain(j.outer, (double)j.row / 2), run, &j);
	return DS_OK;
}

static bool match_last(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	bool any = false;

	(void)in;
	for (int i = 0; i < n->n_in; i++)
		any |= want[i] == DS_CHANNELS_LAST;
	if (!any || out[0].rank < 3)
		return false;
	for (int i = 0; i < n->n_in; i++)
		want[i] = DS_CHANNELS_LAST;
	*out_layout = DS_CHANNELS_LAST;
	return true;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_qconcat_attr *q = n->a;
	int axis;

	out[0] = in[0].type;
	if (q->x_scales.n != n->n_in || q->x_zps.n != n->n_in || !(q->y_scale > 0))
		return ds_fail(err, DS_E_INPUT, "%s: one scale and zero point for each input expected", n->op_name);
	for (int i = 0; i < n->n_in; i++) {
		if (in[i].type.dtype != DS_U8 || !(q->x_scales.v[i] > 0) || q->x_zps.v[i] < 0 || q->x_zps.v[i] > 255)
			return ds_fail(err, DS_E_INPUT, "%s: input %d", n->op_name, i);
		if (in[i].type.rank != in[0].type.rank)
			return ds_fail(err, DS_E_INPUT, "%s: ranks differ", n->op_name);
	}
	if (out[0].rank < 0)
		return DS_OK;
	DS_TRY(ds_nn_axis(n, q->axis, out[0].rank, &axis, err));
	for (int i = 1; i < n->n_in; i++)
		for (int k = 0; k < out[0].rank; k++) {
			int64_t a = out[0].dim[k], b = in[i].type.dim[k];

			if (k == axis)
				out[0].dim[k] = ds_dim_add(a, b);
			else if (a >= 0 && b >= 0 && a != b)
				return ds_fail(err, DS_E_INPUT, "%s: extents differ along axis %d", n->op_name, k);
			else if (b >= 0)
				out[0].dim[k] = b;
		}
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int axis, k = 0;
	int64_t at = 0;

	if (ds_nn_axis(n, DS_A(ds_qconcat_attr, n)->axis, out[0].rank, &axis, NULL) != DS_OK)
		return 0;
	for (int i = 0; i < n->n_in && k < cap; i++) {
		k = ds_nn_same(link, cap, k, i, DS_SLOT_OUT, 0, axis);
		k = ds_nn_same(link, cap, k, i, DS_SLOT_OUT, axis + 1, out[0].rank);
		if (k < cap)
			link[k++] = (ds_link){ DS_LINK_SHIFT, (int8_t)i, (int8_t)axis, DS_SLOT_OUT, (int8_t)axis, at };
		at += in[i].type.dim[axis];
	}
	return k;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_rng r = ds_sample_rng("QConcat", seed);
	int64_t dim[4] = { ds_sample_int(&r, 1, 3), ds_sample_int(&r, 1, 9), ds_sample_int(&r, 1, 6), ds_sample_int(&r, 1, 6) }, zp[3];
	int axis = (int)ds_sample_int(&r, 0, 3), count = (int)ds_sample_int(&r, 1, 3);
	double scale[3];
	ds_value *in[3];
	ds_node *n;

	for (int i = 0; i < count; i++) {
		dim[axis] = ds_sample_int(&r, 1, 40);
		scale[i] = i == 1 ? 0.05 : 0.02 + 0.1 * ds_rng_f64(&r);
		zp[i] = i == 1 ? 7 : ds_sample_int(&r, 0, 255);
		if (!(in[i] = ds_sample_input(g, DS_U8, 4, dim)))
			return ds_fail_nomem(err, 0);
	}
	n = ds_sample_node(g, "ds", "QConcat", count, in, 1);
	if (!n)
		return ds_fail_nomem(err, 0);
	DS_TRY(ds_attr_i(n, "axis", axis));
	DS_TRY(ds_attr_fs(n, "x_scales", count, scale));
	DS_TRY(ds_attr_is(n, "x_zps", count, zp));
	DS_TRY(ds_attr_f(n, "y_scale", 0.05));
	DS_TRY(ds_attr_i(n, "y_zp", 7));
	return ds_node_parse(n, err);
}

static const ds_opt attrs[] = {
	DS_NN_INT(ds_qconcat_attr, axis, "axis", "1", 0, 0, "Axis to join along"),
	DS_NN_FLOATS(ds_qconcat_attr, x_scales, "x_scales", "Scale of each input"),
	DS_NN_INTS(ds_qconcat_attr, x_zps, "x_zps", 0, "Zero point of each input"),
	DS_NN_FLOAT(ds_qconcat_attr, y_scale, "y_scale", "1", "Scale of the result"),
	DS_NN_INT(ds_qconcat_attr, y_zp, "y_zp", "0", 0, 255, "Zero point of the result"),
	{ 0 }
};

static const ds_variant variants[] = {
	{ .name = "qconcat.last", .match = match_last, .forward = forward },
	{ 0 }
};

const ds_op ds_op_QConcat = {
	.name = "QConcat", .domain = "ds", .min_in = 1, .max_in = -1, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(ds_qconcat_attr), .attrs = attrs,
	.infer = infer, .forward = forward, .variants = variants, .channels = channels, .sample = sample,
};
