/* melweightmatrix.c - MelWeightMatrix: triangles on the mel scale over the bins of a spectrum (ONNX 17)
 *
 * [dft_length / 2 + 1, num_mel_bins].  The edges of the triangles are equally far from each other on the scale 2595 log10(1 + f / 700), as if there were one band
 * more than there is; each edge is moved down to a bin. */
#include "draw.h"
#include "infer.h"

#include <math.h>
#include <string.h>

struct attr { int64_t output_datatype; };
static const ds_opt attrs[] = { DS_ATTR_INT(struct attr, output_datatype, "1", "ONNX number of the type"), DS_ATTR_END };

enum { BANDS, LENGTH, RATE, LOW, HIGH };

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	int64_t d = DS_A(struct attr, n)->output_datatype;
	const ds_dtype_row *row = d > 0 && d < 256 ? ds_dtype_by_onnx((int)d) : NULL;
	if (!row || !row->from_f32)
		return ds_fail(err, DS_E_UNSUPPORTED, "MelWeightMatrix of the ONNX type %lld", (long long)d);
	ds_infer_unknown(&out[0], row->dtype, 2);
	for (int i = 0; i < 5; i++) {
		const ds_dtype_row *type = ds_dtype_of(in[i].type.dtype);
		if ((in[i].value && ds_tensor_count(in[i].value) != 1) || (type && type->is_float != (i >= LOW)))
			return ds_fail(err, DS_E_INPUT, "MelWeightMatrix: input %d is no %s", i, i < LOW ? "whole number" : "frequency");
		if (i < LOW && in[i].value && (ds_tensor_i64(in[i].value, 0) < (i == BANDS ? 0 : 1) || ds_tensor_i64(in[i].value, 0) > INT32_MAX))
			return ds_fail(err, DS_E_INPUT, "MelWeightMatrix: %s out of range", i == BANDS ? "number of bands" : i == LENGTH ? "length" : "rate");
	}
	if (in[BANDS].value)
		out[0].dim[1] = ds_tensor_i64(in[BANDS].value, 0);
	if (in[LENGTH].value)
		out[0].dim[0] = ds_tensor_i64(in[LENGTH].value, 0) / 2 + 1;
	return DS_OK;
}

/* The bin of edge i. */
static int64_t edge(int64_t i, int64_t bands, int64_t length, int64_t rate, double low, double high)
{
	double from = 2595 * log10(1 + low / 700), to = 2595 * log10(1 + high / 700);
	double mel = from + (double)i * ((to - from) / (double)(bands + 2)), f = 700 * (pow(10, mel / 2595) - 1);
	double bin = floor((double)(length + 1) * f / (double)rate);
	return bin >= 0 && bin < 4e9 ? (int64_t)bin : -1;
}

static void put(ds_tensor *out, int64_t bin, int64_t band, double v)
{
	const ds_dtype_row *row = ds_dtype_of(out->dtype);
	int64_t at = bin * out->dim[1] + band;
	float f = (float)v;
	if (out->dtype == DS_F64)
		((double *)out->data)[at] = v;
	else
		row->from_f32((char *)out->data + (size_t)at * (row->bits / 8u), &f, 1);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	int64_t bands = out[0]->dim[1], bins = out[0]->dim[0], length = ds_tensor_i64(in[LENGTH], 0), rate = ds_tensor_i64(in[RATE], 0);
	double low = ds_tensor_f64(in[LOW], 0), high = ds_tensor_f64(in[HIGH], 0);
	if (bins != length / 2 + 1 || bands != ds_tensor_i64(in[BANDS], 0))
		return ds_fail(err, DS_E_INTERNAL, "MelWeightMatrix is not as large as planned");
	memset(out[0]->data, 0, ds_tensor_bytes(out[0]));
	for (int64_t b = 0; b < bands; b++) {
		int64_t from = edge(b, bands, length, rate, low, high), top = edge(b + 1, bands, length, rate, low, high), to = edge(b + 2, bands, length, rate, low, high);
		if (from < 0 || top < from || to < top || top >= bins || to > bins)
			return ds_fail(err, DS_E_INPUT, "MelWeightMatrix: band %lld lies beyond half the rate", (long long)b);
		for (int64_t k = from; k < top; k++)
			put(out[0], k, b, (double)(k - from) / (double)(top - from));
		put(out[0], top, b, 1);
		for (int64_t k = top; k < to; k++)
			put(out[0], k, b, (double)(to - k) / (double)(to - top));
	}
	return DS_OK;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t v[3] = { ds_draw_in(&s, 1, 12), ds_draw_in(&s, 8, 64), 8000 };
	ds_value *in[5] = { 0 };
	for (int i = 0; i < 3; i++)
		in[i] = ds_draw_ints(&s, -1, &v[i]);
	in[LOW] = ds_draw_f32(&s, (float)ds_draw_in(&s, 0, 500));
	in[HIGH] = ds_draw_f32(&s, (float)ds_draw_in(&s, 1000, 3900));
	ds_node *n = ds_draw_node(&s, "MelWeightMatrix", 5, in, 1);
	if (seed & 1)
		ds_draw_i(&s, n, "output_datatype", ds_dtype_of(DS_F64)->onnx);
	return ds_draw_end(&s, n, err);
}

const ds_op ds_op_MelWeightMatrix = {
	.name = "MelWeightMatrix", .domain = "", .min_in = 5, .max_in = 5, .min_out = 1, .max_out = 1, .attr_size = sizeof(struct attr), .attrs = attrs,
	.infer = infer, .forward = forward, .sample = sample,
};
