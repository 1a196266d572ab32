/* dynamicquantizelinear.c - DynamicQuantizeLinear (ONNX 11): u8 codes over the range of the tensor, which always holds 0 */
#include "draw.h"
#include "qdq.h"

#include <math.h>

enum { PIECE = 16384 };

struct job { const float *x; uint8_t *y; int64_t n; float scale; int32_t zero; };

static void run(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;
	const float lo = (float)-j->zero, hi = (float)(255 - j->zero);

	(void)worker;
	for (int64_t i = i0 * PIECE; i < DS_MIN(i1 * PIECE, j->n); i++) {
		float v = j->x[i] / j->scale;

		v = v > lo ? v : lo;
		v = v < hi ? v : hi;
		j->y[i] = (uint8_t)((int32_t)ds_rint_small(v) + j->zero);
	}
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	struct job j = { in[0]->data, out[0]->data, ds_tensor_count(in[0]), 1, 0 };
	float lo = 0, hi = 0, zero;

	(void)n;
	(void)err;
	for (int64_t i = 0; i < j.n; i++) {
		lo = j.x[i] < lo ? j.x[i] : lo;
		hi = j.x[i] > hi ? j.x[i] : hi;
	}
	if (hi > lo)
		j.scale = (hi - lo) / 255.0f;
	zero = (0.0f - lo) / j.scale;
	zero = zero > 0 ? zero < 255 ? zero : 255 : 0;
	j.zero = (int32_t)ds_rint_small(zero);
	ds_nn_for(env->pool, (j.n + PIECE - 1) / PIECE, 1, run, &j);
	*(float *)out[1]->data = j.scale;
	*(uint8_t *)out[2]->data = (uint8_t)j.zero;
	return DS_OK;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	if (in[0].type.dtype != DS_F32)
		return ds_fail(err, DS_E_INPUT, "%s of %s", n->op_name, ds_dtype_name(in[0].type.dtype));
	out[0] = in[0].type;
	out[0].dtype = DS_U8;
	out[1] = ds_type_make(DS_F32, 0, NULL);
	out[2] = ds_type_make(DS_U8, 0, NULL);
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	(void)n;
	(void)in;
	return ds_nn_same(link, cap, 0, 0, DS_SLOT_OUT, 0, out[0].rank);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[4];
	ds_value *in;

	ds_draw_dims(&s, 4, 9, dim);
	in = ds_draw_input(&s, DS_F32, (int)(seed % 5 % 4 + 1), dim);
	return ds_draw_end(&s, ds_draw_node(&s, "DynamicQuantizeLinear", 1, &in, 3), err);
}

const ds_op ds_op_DynamicQuantizeLinear = {
	.name = "DynamicQuantizeLinear", .domain = "", .min_in = 1, .max_in = 1, .min_out = 3, .max_out = 3,
	.infer = infer, .forward = forward, .channels = channels, .sample = sample,
};
