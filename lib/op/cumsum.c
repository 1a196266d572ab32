/* cumsum.c - CumSum: running sums along an axis, optionally from the end and without the element itself; in order of the axis, in the element's type */
#include "draw.h"
#include "grad.h"
#include "infer.h"

struct attr { int64_t exclusive, reverse; };
static const ds_opt attrs[] = {
	DS_ATTR_FLAG(struct attr, exclusive, "0", "the sum of the elements before"),
	DS_ATTR_FLAG(struct attr, reverse, "0", "from the last element to the first"),
	DS_ATTR_END
};

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	ds_dtype d = in[0].type.dtype;

	if (d == DS_BOOL || d == DS_F16 || d == DS_BF16 || !ds_dtype_size(d))
		return ds_fail(err, DS_E_UNSUPPORTED, "CumSum of %s", ds_dtype_name(d));
	out[0] = in[0].type;
	return DS_OK;
}

#define SUM(T, U) do { \
		const T *s = in[0]->data; \
		T *r = out[0]->data; \
		for (int64_t o = 0; o < outer; o++) { \
			for (int64_t i = 0; i < inner; i++) { \
				U sum = 0; \
				for (int64_t k = 0; k < len; k++) { \
					int64_t at = (o * len + (a->reverse ? len - 1 - k : k)) * inner + i; \
					U x = (U)s[at]; \
					r[at] = (T)(a->exclusive ? sum : sum + x); \
					sum += x; \
				} \
			} \
		} \
	} while (0)

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const struct attr *a = DS_A(struct attr, n);
	int64_t outer = 1, inner = 1, len;
	int axis;

	if (ds_tensor_count(in[1]) != 1)
		return ds_fail(err, DS_E_INPUT, "CumSum wants one axis");
	DS_TRY(ds_axis(ds_tensor_i64(in[1], 0), in[0]->rank, &axis, err));
	len = in[0]->dim[axis];
	for (int i = 0; i < in[0]->rank; i++)
		*(i < axis ? &outer : &inner) *= i == axis ? 1 : in[0]->dim[i];
	switch (in[0]->dtype) {
	case DS_F32: SUM(float, float); break;
	case DS_F64: SUM(double, double); break;
	case DS_I8: SUM(int8_t, uint32_t); break;
	case DS_U8: SUM(uint8_t, uint32_t); break;
	case DS_I16: SUM(int16_t, uint32_t); break;
	case DS_U16: SUM(uint16_t, uint32_t); break;
	case DS_I32: SUM(int32_t, uint32_t); break;
	case DS_U32: SUM(uint32_t, uint32_t); break;
	default: SUM(uint64_t, uint64_t); break;
	}
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int axis;

	if (!in[1].value || ds_tensor_count(in[1].value) != 1 || ds_axis(ds_tensor_i64(in[1].value, 0), in[0].type.rank, &axis, NULL) != DS_OK)
		return 0;
	return ds_link_same(link, 0, cap, 0, &in[0].type, DS_SLOT_OUT, &out[0], ~(1u << axis));
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype kinds[] = { DS_F32, DS_I64, DS_I32, DS_F64 };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3], axis = ds_draw_in(&s, -3, 2);
	ds_value *in[2];
	ds_node *n;

	ds_draw_dims(&s, 3, 6, dim);
	in[0] = ds_draw_input(&s, ds_draw_dtype(&s, kinds, 4), 3, dim);
	in[1] = ds_draw_ints(&s, -1, &axis);
	n = ds_draw_node(&s, "CumSum", 2, in, 1);
	ds_draw_i(&s, n, "exclusive", (int64_t)(seed / 4 & 1));
	ds_draw_i(&s, n, "reverse", (int64_t)(seed / 8 & 1));
	return ds_draw_end(&s, n, err);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);

	din[0] = ds_emit2(&e, "CumSum", dout[0], n->in[1]);
	ds_emit_i(&e, din[0], "reverse", !DS_A(struct attr, n)->reverse);
	ds_emit_i(&e, din[0], "exclusive", DS_A(struct attr, n)->exclusive);
	return ds_emit_end(&e);
}

const ds_op ds_op_CumSum = {
	.name = "CumSum", .domain = "", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = forward, .channels = channels, .gradient = gradient, .sample = sample,
};
