/* resize.c - Resize (ONNX 19): nearest, linear and cubic interpolation, with all coordinate transformations, antialiasing and cropping
 *
 * Interpolation is separable: each axis that changes gets a table of (input index, weight) for every output index, and the axes are passed one after
 * the other in logical order, whatever the layout, so both layouts give the same bits.  Nearest without cropping moves elements of any type. */
#include "resize.h"
#include "nnsample.h"

#include <math.h>
#include <string.h>

const char *const ds_resize_modes[] = { "nearest", "linear", "cubic", NULL };
const char *const ds_resize_coords[] = { "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
	"tf_crop_and_resize", NULL };
const char *const ds_resize_nearest[] = { "round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL };
const char *const ds_resize_aspect[] = { "stretch", "not_larger", "not_smaller", NULL };

/* ---- extents ------------------------------------------------------------------------------------------------------------------ */

static int place_of(const ds_resize_attr *a, int i, int rank) { return (int)(a->axes.v[i] < 0 ? a->axes.v[i] + rank : a->axes.v[i]); }

ds_status ds_resize_extents(const ds_node *n, int rank, const int64_t *dim, const ds_tensor *scales, const ds_tensor *sizes, ds_resize_axis *ax, ds_err *err)
{
	const ds_resize_attr *a = n->a;
	int count = a->axes.n ? a->axes.n : rank;
	double keep = a->aspect == 1 ? INFINITY : 0;

	if ((scales && ds_tensor_count(scales) != count) || (sizes && ds_tensor_count(sizes) != count))
		return ds_fail(err, DS_E_INPUT, "%s: %d scales or sizes expected", n->op_name, count);
	for (int i = 0; i < rank; i++)
		ax[i] = (ds_resize_axis){ dim[i], dim[i], 1, 0, 1, true };
	for (int i = 0; i < count; i++) {
		int k = a->axes.n ? place_of(a, i, rank) : i;

		if (k < 0 || k >= rank)
			return ds_fail(err, DS_E_INPUT, "%s: axis out of range", n->op_name);
		if (scales) {
			ax[k].scale = ds_tensor_f64(scales, i);
			if (!(ax[k].scale > 0) || ax[k].scale > 1e6)
				return ds_fail(err, DS_E_INPUT, "%s: scale %g", n->op_name, ax[k].scale);
			ax[k].out = ax[k].scale == 1 ? dim[k] : dim[k] < 0 ? DS_DIM_UNKNOWN : (int64_t)floor(fmin((double)dim[k] * ax[k].scale, 1e16));
		} else if (sizes) {
			ax[k].out = ds_tensor_i64(sizes, i);
			if (ax[k].out < 0)
				return ds_fail(err, DS_E_INPUT, "%s: size %lld", n->op_name, (long long)ax[k].out);
			ax[k].scale = dim[k] > 0 ? (double)ax[k].out / (double)dim[k] : 1;
			keep = a->aspect == 1 ? fmin(keep, ax[k].scale) : fmax(keep, ax[k].scale);
		}
	}
	for (int i = 0; sizes && a->aspect && i < count; i++) {
		int k = a->axes.n ? place_of(a, i, rank) : i;

		ax[k].scale = keep;
		ax[k].out = dim[k] < 0 ? DS_DIM_UNKNOWN : (int64_t)fmin(keep * (double)dim[k] + 0.5, 1e16);
	}
	for (int i = 0; i < rank; i++)
		if (dim[i] >= 0 && (double)dim[i] * ax[i].scale > 1e15)
			return ds_fail(err, DS_E_INPUT, "%s: axis %d of %lld times %g", n->op_name, i, (long long)dim[i], ax[i].scale);
	for (int i = 0; i < rank; i++)
		ax[i].same = ax[i].out == ax[i].in && fabs(ax[i].scale - 1) < 1e-9;
	return DS_OK;
}

static const ds_tensor *given(const ds_tensor *t) { return t && ds_tensor_count(t) > 0 ? t : NULL; }

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *x = &in[0].type;
	bool has_scales = n->n_in > 2 && in[2].present, has_sizes = n->n_in > 3 && in[3].present;
	const ds_tensor *scales = has_scales ? given(in[2].value) : NULL, *sizes = has_sizes ? given(in[3].value) : NULL;
	ds_resize_axis ax[DS_MAX_RANK];

	out[0] = *x;
	if (x->rank < 0)
		return DS_OK;
	if (has_sizes && sizes)
		scales = NULL;
	if ((scales && has_sizes && !in[3].value) || (!scales && !sizes)) {
		for (int i = 0; i < x->rank; i++)
			out[0].dim[i] = DS_DIM_UNKNOWN;
		return has_scales || has_sizes ? DS_OK : ds_fail(err, DS_E_INPUT, "%s: neither scales nor sizes", n->op_name);
	}
	DS_TRY(ds_resize_extents(n, x->rank, x->dim, scales, sizes, ax, err));
	for (int i = 0; i < x->rank; i++)
		out[0].dim[i] = ax[i].out;
	return DS_OK;
}

/* ---- tables ------------------------------------------------------------------------------------------------------------------- */

int ds_resize_taps(const ds_resize_attr *a, int64_t in, int64_t out)
{
	double shrink = out > 0 && in > out ? fmin((double)in / (double)out, 1e8) : 1;
	int reach = a->mode == 2 ? 2 : 1;

	if (a->mode == 0)
		return 1;
	return a->antialias ? 2 * (int)ceil(reach * shrink) + 4 : 2 * reach;
}

static double source(const ds_resize_attr *a, const ds_resize_axis *x, int64_t o)
{
	double in = (double)x->in, width = x->scale * in, v = (double)o;

	switch (a->coords) {
	case 1: return in / 2 * (1 - (double)x->out / width) + (v + 0.5) / x->scale - 0.5;
	case 2: return width == 1 ? -0.5 : (v + 0.5) / x->scale - 0.5;
	case 3: return width == 1 ? 0 : v * (in - 1) / (width - 1);
	case 4: return v / x->scale;
	case 5: return (width == 1 ? (x->roi1 - x->roi0) * (in - 1) / 2 : v * (x->roi1 - x->roi0) * (in - 1) / (width - 1)) + x->roi0 * (in - 1);
	default: return (v + 0.5) / x->scale - 0.5;
	}
}

static double cubic(double x, double A)
{
	x = fabs(x);
	if (x <= 1)
		return ((A + 2) * x - (A + 3)) * x * x + 1;
	return x < 2 ? ((A * x - 5 * A) * x + 8 * A) * x - 4 * A : 0;
}

static int64_t nearest(const ds_resize_attr *a, double x)
{
	double f = floor(x);

	switch (a->nearest) {
	case 1: return (int64_t)(x - f < 0.5 ? f : f + 1);
	case 2: return (int64_t)f;
	case 3: return (int64_t)ceil(x);
	default: return (int64_t)(x - f <= 0.5 ? f : f + 1);
	}
}

void ds_resize_fill(const ds_resize_attr *a, const ds_resize_axis *x, ds_resize_table *t)
{
	double s = a->antialias ? fmin(x->scale, 1) : 1;
	int reach = a->mode == 2 ? 2 : 1, start = (int)floor(-reach / s) + 1, taps = a->mode == 0 ? 1 : 2 - 2 * start;

	taps = DS_MIN(taps, t->taps);
	for (int64_t o = 0; o < x->out; o++) {
		double at = source(a, x, o), sum = 0, r = at - floor(at);
		int32_t *index = t->index + o * t->taps;
		float *weight = t->weight + o * t->taps;

		for (int k = 0; k < t->taps; k++) {
			index[k] = 0;
			weight[k] = 0;
		}
		if (a->coords == 5 && !(at >= 0 && at <= (double)(x->in - 1))) {
			index[0] = -1;
			continue;
		}
		int64_t base = (int64_t)floor(at);

		if (a->mode == 0) {
			index[0] = (int32_t)DS_MIN(DS_MAX(nearest(a, at), 0), x->in - 1);
			weight[0] = 1;
			continue;
		}
		for (int pass = 0; pass < 2; pass++)
			for (int k = 0; k < taps; k++) {
				int64_t i = base + start + k;
				double d = (start + k - r) * s, w = a->mode == 2 ? cubic(d, a->cubic_a) : fmax(0, 1 - fabs(d));

				if (a->exclude_outside && (i < 0 || i >= x->in))
					w = 0;
				if (pass == 0) {
					sum += w;
					continue;
				}
				index[k] = (int32_t)DS_MIN(DS_MAX(i, 0), x->in - 1);
				weight[k] = (float)(sum != 0 ? w / sum : w);
			}
	}
}

/* ---- one axis ----------------------------------------------------------------------------------------------------------------- */

struct pass {
	ds_resize_table t;
	int64_t      in, out, inner, size;
	const void  *x;
	void        *y;
	float        outside;
};

static void copy_rows(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct pass *p = arg;
	size_t len = (size_t)(p->inner * p->size);

	(void)worker;
	for (int64_t r = i0; r < i1; r++) {
		const char *x = (const char *)p->x + (size_t)(r / p->out * p->in + p->t.index[r % p->out]) * len;
		char *y = (char *)p->y + (size_t)r * len;

		switch (len) {
		case 1: *y = *x; break;
		case 4: memcpy(y, x, 4); break;
		default: memcpy(y, x, len);
		}
	}
}

static void mix_rows(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct pass *p = arg;

	(void)worker;
	for (int64_t r = i0; r < i1; r++) {
		const float *x = (const float *)p->x + r / p->out * p->in * p->inner;
		float *restrict y = (float *)p->y + r * p->inner;
		const int32_t *index = p->t.index + r % p->out * p->t.taps;
		const float *w = p->t.weight + r % p->out * p->t.taps;

		if (index[0] < 0) {
			for (int64_t i = 0; i < p->inner; i++)
				y[i] = p->outside;
			continue;
		}
		for (int64_t i = 0; i < p->inner; i++)
			y[i] = w[0] * x[index[0] * p->inner + i];
		for (int k = 1; k < p->t.taps; k++) {
			const float *v = x + index[k] * p->inner, f = w[k];

			if (f == 0)
				continue;
			for (int64_t i = 0; i < p->inner; i++)
				y[i] += f * v[i];
		}
	}
}

/* ---- forward ------------------------------------------------------------------------------------------------------------------ */

/* Place of logical axis i in memory order. */
static int memory_place(const ds_tensor *t, int i)
{
	if (t->layout != DS_CHANNELS_LAST || i == 0)
		return i;
	return i == 1 ? t->rank - 1 : i - 1;
}

/* Largest intermediate in elements, tables and an f32 copy of input and output: what forward lays out in scratch. */
static size_t layout_scratch(const ds_node *n, int rank, const int64_t *in, const int64_t *out, size_t at[4])
{
	const ds_resize_attr *a = n->a;
	size_t most = 1, total = 0, table = 0, all_in = 1;

	for (int i = 0; i < rank; i++)
		all_in *= (size_t)in[i];
	for (int i = -1; i < rank; i++) {
		size_t c = 1;

		for (int k = 0; k < rank; k++)
			c *= (size_t)(k <= i ? out[k] : in[k]);
		most = DS_MAX(most, c);
		if (i >= 0)
			table = DS_MAX(table, (size_t)out[i] * (size_t)ds_resize_taps(a, in[i], out[i]));
	}
	/* 8 bytes: nearest moves elements of any size */
	for (int i = 0; i < 4; i++) {
		at[i] = total;
		total += ds_pad64(i < 2 ? most * 8 : i == 2 ? table * 8 : all_in * 4);
	}
	return total;
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	size_t at[4];

	(void)threads;
	return layout_scratch(n, out[0].rank, in[0].type.dim, out[0].dim, at);
}

ds_status ds_resize_roi(const ds_node *n, const ds_tensor *roi, int rank, ds_resize_axis *ax, ds_err *err)
{
	const ds_resize_attr *a = n->a;
	int count = a->axes.n ? a->axes.n : rank;

	if (a->coords != 5)
		return DS_OK;
	if (!given(roi) || ds_tensor_count(roi) != 2 * count)
		return ds_fail(err, DS_E_INPUT, "%s: roi of %d numbers expected", n->op_name, 2 * count);
	for (int i = 0; i < count; i++) {
		ds_resize_axis *x = &ax[a->axes.n ? place_of(a, i, rank) : i];

		x->roi0 = ds_tensor_f64(roi, i);
		x->roi1 = ds_tensor_f64(roi, count + i);
		if (x->roi0 != 0 || x->roi1 != 1)
			x->same = false;
	}
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_resize_attr *a = n->a;
	const ds_tensor *x = in[0], *sizes = n->n_in > 3 ? given(in[3]) : NULL, *scales = n->n_in > 2 && !sizes ? given(in[2]) : NULL;
	bool move = a->mode == 0 && a->coords != 5;
	ds_resize_axis ax[DS_MAX_RANK];
	int64_t mem[DS_MAX_RANK];
	size_t at[4], esize = move ? ds_dtype_size(x->dtype) : sizeof(float), count = (size_t)ds_tensor_count(out[0]);
	char *work = env->scratch;
	const void *from = x->data;
	int left = 0, turn = 0;

	DS_TRY(ds_resize_extents(n, x->rank, x->dim, scales, sizes, ax, err));
	for (int i = 0; i < x->rank; i++) {
		if (ax[i].out != out[0]->dim[i])
			return ds_fail(err, DS_E_INPUT, "%s: output has %lld along axis %d, %lld planned", n->op_name, (long long)ax[i].out, i,
				(long long)out[0]->dim[i]);
		mem[memory_place(x, i)] = x->dim[i];
	}
	if (x->layout != out[0]->layout)
		return ds_fail(err, DS_E_INTERNAL, "%s: layouts", n->op_name);
	if (layout_scratch(n, x->rank, x->dim, out[0]->dim, at) > env->scratch_size)
		return ds_fail(err, DS_E_INTERNAL, "%s: too little scratch", n->op_name);
	if (count == 0)
		return DS_OK;
	if (ds_tensor_count(x) == 0)
		return ds_fail(err, DS_E_INPUT, "%s of an empty tensor", n->op_name);
	DS_TRY(ds_resize_roi(n, n->n_in > 1 ? in[1] : NULL, x->rank, ax, err));
	if (!move && x->dtype != DS_F32) {
		if (!ds_dtype_of(x->dtype)->to_f32)
			return ds_fail(err, DS_E_UNSUPPORTED, "%s of %s", n->op_name, ds_dtype_name(x->dtype));
		ds_dtype_of(x->dtype)->to_f32((float *)(work + at[3]), x->data, (size_t)ds_tensor_count(x));
		from = work + at[3];
	}
	for (int i = 0; i < x->rank; i++)
		left += !ax[i].same;
	for (int i = 0; i < x->rank; i++) {
		int place = memory_place(x, i);
		int64_t outer = 1, rows;
		struct pass p = { .in = ax[i].in, .out = ax[i].out, .inner = 1, .size = (int64_t)esize, .x = from, .outside = (float)a->extrapolation };

		if (ax[i].same)
			continue;
		for (int k = 0; k < x->rank; k++)
			*(k < place ? &outer : k > place ? &p.inner : &p.in) *= k == place ? 1 : mem[k];
		p.t.taps = ds_resize_taps(a, ax[i].in, ax[i].out);
		p.t.index = (int32_t *)(work + at[2]);
		p.t.weight = (float *)(p.t.index + p.out * p.t.taps);
		ds_resize_fill(a, &ax[i], &p.t);
		left--;
		p.y = left == 0 && (move || out[0]->dtype == DS_F32) ? out[0]->data : work + at[turn];
		rows = outer * p.out;
		ds_nn_for(env->pool, rows, ds_nn_grain(rows, (double)(p.inner * p.t.taps)), move ? copy_rows : mix_rows, &p);
		mem[place] = p.out;
		from = p.y;
		turn ^= 1;
	}
	if (from == out[0]->data)
		return DS_OK;
	if (move || out[0]->dtype == DS_F32)
		memcpy(out[0]->data, from, count * esize);
	else
		ds_dtype_of(out[0]->dtype)->from_f32(out[0]->data, from, count);
	return DS_OK;
}

static bool match_last(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	(void)n;
	(void)in;
	(void)out;
	if (want[0] != DS_CHANNELS_LAST)
		return false;
	for (int i = 1; i < n->n_in; i++)
		want[i] = DS_PLAIN;
	*out_layout = DS_CHANNELS_LAST;
	return true;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	double size = (double)ds_dtype_size(out[0].dtype), count = (double)ds_type_count(&out[0]);

	*c = (ds_cost){ .flops = DS_A(ds_resize_attr, n)->mode == 0 ? 0 : 8 * count, .act_bytes = size * (count + (double)ds_type_count(&in[0].type)) };
}

/* Batch and channels stay; the spatial axes are barriers. */
static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	(void)n;
	for (int i = 0; i < 2 && i < out[0].rank; i++)
		if (in[0].type.dim[i] != out[0].dim[i])
			return 0;
	return ds_nn_same(link, cap, 0, 0, DS_SLOT_OUT, 0, DS_MIN(2, out[0].rank));
}

ds_status ds_resize_sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype types[] = { DS_F32, DS_F32, DS_U8, DS_F16 };
	ds_rng r = ds_sample_rng("Resize", seed);
	int64_t dim[4] = { ds_sample_int(&r, 1, 2), ds_sample_int(&r, 1, 20), ds_sample_int(&r, 2, 7), ds_sample_int(&r, 2, 7) };
	int64_t size[4] = { dim[0], dim[1], ds_sample_int(&r, 1, 12), ds_sample_int(&r, 1, 12) }, four = 4;
	int mode = (int)(seed % 3), coords = (int)(seed / 3 % 5);
	ds_value *in[4] = { ds_sample_input(g, types[seed % 4], 4, dim), NULL, NULL, NULL };
	ds_tensor t;
	ds_node *n;

	if (seed % 2) {
		in[3] = ds_graph_const_i64(g, 4, size);
	} else {
		DS_TRY(ds_tensor_new(&t, DS_F32, 1, &four, err));
		for (int i = 0; i < 4; i++)
			((float *)t.data)[i] = i < 2 ? 1.0f : (float)size[i] / (float)dim[i];
		in[2] = ds_graph_weight(g, DS_V_CONST, "scales", &t);
	}
	n = ds_sample_node(g, "", "Resize", 4, in, 1);
	if (!in[0] || !n)
		return ds_fail_nomem(err, 0);
	DS_TRY(ds_attr_s(n, "mode", ds_resize_modes[mode]));
	DS_TRY(ds_attr_s(n, "coordinate_transformation_mode", ds_resize_coords[coords]));
	DS_TRY(ds_attr_s(n, "nearest_mode", ds_resize_nearest[seed % 4]));
	DS_TRY(ds_attr_i(n, "exclude_outside", seed % 7 == 2));
	DS_TRY(ds_attr_i(n, "antialias", mode != 0 && seed % 5 == 2));
	return ds_node_parse(n, err);
}

const ds_opt ds_resize_attrs[] = {
	DS_NN_INT(ds_resize_attr, antialias, "antialias", "0", 0, 1, "Widen the filter when shrinking"),
	DS_NN_INTS(ds_resize_attr, axes, "axes", 0, "Axes that roi, scales and sizes speak of, default all"),
	DS_NN_CHOICE(ds_resize_attr, coords, "coordinate_transformation_mode", "half_pixel", ds_resize_coords, "From output to input coordinates"),
	DS_NN_FLOAT(ds_resize_attr, cubic_a, "cubic_coeff_a", "-0.75", "Coefficient of the cubic"),
	DS_NN_INT(ds_resize_attr, exclude_outside, "exclude_outside", "0", 0, 1, "Weights outside count as 0"),
	DS_NN_FLOAT(ds_resize_attr, extrapolation, "extrapolation_value", "0", "Value outside of the crop"),
	DS_NN_CHOICE(ds_resize_attr, aspect, "keep_aspect_ratio_policy", "stretch", ds_resize_aspect, "What sizes mean"),
	DS_NN_CHOICE(ds_resize_attr, mode, "mode", "nearest", ds_resize_modes, "Interpolation"),
	DS_NN_CHOICE(ds_resize_attr, nearest, "nearest_mode", "round_prefer_floor", ds_resize_nearest, "Rounding of nearest"),
	{ 0 }
};

static const ds_variant variants[] = {
	{ .name = "resize.last", .match = match_last, .scratch = scratch, .forward = forward },
	{ 0 }
};

const ds_op ds_op_Resize = {
	.name = "Resize", .domain = "", .min_in = 1, .max_in = 4, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(ds_resize_attr), .attrs = ds_resize_attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .variants = variants, .cost = cost, .channels = channels, .gradient = ds_resize_gradient, .sample = ds_resize_sample,
};
