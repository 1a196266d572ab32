/* taper.c - what the window operators share */
#include "taper.h"
#include "draw.h"
#include "infer.h"

#include <math.h>

#define PI 3.14159265358979323846

const ds_opt ds_taper_attrs[] = {
	DS_ATTR_INT(ds_taper_attr, output_datatype, "1", "ONNX number of the type"),
	DS_ATTR_FLAG(ds_taper_attr, periodic, "1", "A period of the function; 0: from its end to its end"),
	DS_ATTR_END
};

ds_status ds_taper_infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	int64_t d = DS_A(ds_taper_attr, n)->output_datatype;
	const ds_dtype_row *row = d > 0 && d < 256 ? ds_dtype_by_onnx((int)d) : NULL;
	if (!row || !row->from_f32)
		return ds_fail(err, DS_E_UNSUPPORTED, "%s of the ONNX type %lld", n->op_name, (long long)d);
	ds_infer_unknown(&out[0], row->dtype, 1);
	if (!in[0].value)
		return DS_OK;
	if (ds_tensor_count(in[0].value) != 1 || ds_tensor_i64(in[0].value, 0) < 0)
		return ds_fail(err, DS_E_INPUT, "%s: the size is no number from 0 on", n->op_name);
	out[0].dim[0] = ds_tensor_i64(in[0].value, 0);
	return DS_OK;
}

ds_status ds_taper_forward(const ds_node *n, const ds_tensor *size, const double a[3], ds_tensor *out, ds_err *err)
{
	int64_t len = out->dim[0], over = DS_A(ds_taper_attr, n)->periodic ? len : len - 1;
	const ds_dtype_row *row = ds_dtype_of(out->dtype);
	if (len != ds_tensor_i64(size, 0))
		return ds_fail(err, DS_E_INTERNAL, "%s is not as long as planned", n->op_name);
	for (int64_t k = 0; k < len; k++) {
		double angle = over ? 2 * PI * (double)k / (double)over : 0, v = a[0] - a[1] * cos(angle) + a[2] * cos(2 * angle);
		float f = (float)v;
		if (out->dtype == DS_F64)
			((double *)out->data)[k] = v;
		else
			row->from_f32((char *)out->data + (size_t)k * (row->bits / 8u), &f, 1);
	}
	return DS_OK;
}

ds_status ds_taper_sample(ds_graph *g, const char *op, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t size = ds_draw_in(&s, 1, 30);
	ds_value *in = ds_draw_ints(&s, -1, &size);
	ds_node *n = ds_draw_node(&s, op, 1, &in, 1);
	ds_draw_i(&s, n, "periodic", seed & 1);
	if (seed & 2)
		ds_draw_i(&s, n, "output_datatype", ds_dtype_of(DS_F64)->onnx);
	return ds_draw_end(&s, n, err);
}
