/* normgrad.c - ds.NormGrad: the gradient of Layer-, RMS-, Instance- and GroupNormalization
 *
 * NormGrad(x, scale, dy) -> dx (type of x), dscale, dbias (those of scale).  With kind layer and rms rows are normalised over the axes from `axis` on and
 * scale has the dims of those axes; with instance and group x is [N, C, ...] and scale is [C].  With v = (x - mean) inv and g = dy scale
 *     dx = inv (g - mean(g) - v mean(g v)),    dscale = sum of dy v,    dbias = sum of dy         (rms: v = x inv, no mean(g))
 * (Ba, Kiros & Hinton 2016, differentiated).  Row sums are f64.  Parameters' sums are made in chunks of rows that depend on the shape, added in order. */
#include "grad.h"
#include "draw.h"
#include "elementwise.h"
#include "rownorm.h"

#include <math.h>
#include <string.h>

enum { LAYER, RMS, INSTANCE, GROUP, LANES = 8, CHUNK = 32 };

typedef struct attr { int kind; double epsilon; int64_t axis, num_groups; } attr;

static const char *const kinds[] = { "layer", "rms", "instance", "group", NULL };
static const ds_opt attrs[] = {
	DS_NN_INT(attr, axis, "axis", "-1", 0, 0, "First of the axes that were normalised over (layer, rms)"),
	DS_NN_FLOAT(attr, epsilon, "epsilon", "1e-05", "Added to the variance"),
	DS_NN_CHOICE(attr, kind, "kind", "layer", kinds, "Which normalisation this is the gradient of"),
	DS_NN_INT(attr, num_groups, "num_groups", "1", 0, 0, "Groups of channels"),
	{ 0 }
};

/* Rows of `len` elements; parameter of element i of the tensor: i / inner % period.  A chunk is `step` rows; the rows of a chunk of channel kinds hold every parameter once. */
struct shape { int64_t rows, len, period, inner, step, chunks; };

struct job {
	struct shape s;
	const float *x, *scale, *dy;
	float       *dx, *part;         /* part: [chunks][2][period] */
	float       *dscale, *dbias;
	double       epsilon;
	bool         rms, whole;        /* whole: one parameter for each element of a row */
};

static ds_status shape_of(const ds_node *n, const ds_type *x, struct shape *s, ds_err *err)
{
	const attr *a = n->a;
	int64_t groups = a->kind == GROUP ? a->num_groups : x->rank > 1 ? x->dim[1] : 1;
	int axis = 2;

	*s = (struct shape){ .rows = 1, .len = 1, .inner = 1 };
	if (a->kind <= RMS) {
		DS_TRY(ds_nn_axis(n, a->axis, x->rank, &axis, err));
		for (int i = 0; i < x->rank; i++)
			*(i < axis ? &s->rows : &s->len) *= x->dim[i];
		s->period = s->len;
		s->step = CHUNK;
	} else {
		if (x->rank < 2 || (x->dim[1] && (groups < 1 || x->dim[1] % groups)))
			return ds_fail(err, DS_E_INPUT, "%s: channels and groups", n->op_name);
		for (int i = 2; i < x->rank; i++)
			s->inner *= x->dim[i];
		s->period = x->dim[1];
		s->rows = x->dim[0] * groups;
		s->len = x->dim[1] ? x->dim[1] / groups * s->inner : 0;
		s->step = DS_MAX(groups, 1);
	}
	s->chunks = (s->rows + s->step - 1) / s->step;
	return DS_OK;
}

/* Sums of a and of a (x - m) in f64: lanes, then the lanes in order. */
static void sums(const float *a, const float *x, double m, int64_t n, double *sa, double *sax)
{
	double s[LANES] = { 0 }, t[LANES] = { 0 };
	int64_t i = 0;

	for (; i + LANES <= n; i += LANES)
		for (int k = 0; k < LANES; k++) {
			s[k] += (double)a[i + k];
			t[k] += (double)a[i + k] * ((double)x[i + k] - m);
		}
	for (int k = 0; i < n; i++, k++) {
		s[k] += (double)a[i];
		t[k] += (double)a[i] * ((double)x[i] - m);
	}
	*sa = *sax = 0;
	for (int k = 0; k < LANES; k++) {
		*sa += s[k];
		*sax += t[k];
	}
}

/* One parameter for each element: gradients of the parameters are added up element by element, g goes to dx. */
static void params_whole(const struct job *j, int64_t row, double mean, double inv, float *ds, float *db)
{
	int64_t n = j->s.len;
	const float *x = j->x + row * n, *dy = j->dy + row * n, *scale = j->scale, m = (float)mean, f = (float)inv;
	float *g = j->dx + row * n;

	DS_EW_LOOP for (int64_t k = 0; k < n; k++) {
		ds[k] += dy[k] * ((x[k] - m) * f);
		db[k] += dy[k];
		g[k] = dy[k] * scale[k];
	}
}

/* One parameter for `inner` neighbours. */
static void params_channels(const struct job *j, int64_t row, double mean, double inv, float *ds, float *db)
{
	int64_t n = j->s.len, inner = j->s.inner;

	for (int64_t k = 0; k < n; k += inner) {
		int64_t at = row * n + k, p = at / inner % j->s.period;
		double a, b;

		sums(j->dy + at, j->x + at, mean, inner, &a, &b);
		ds[p] = (float)(b * inv);
		db[p] = (float)a;
		for (int64_t i = 0; i < inner; i++)
			j->dx[at + i] = j->dy[at + i] * j->scale[p];
	}
}

static void run_rows(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;
	int64_t n = j->s.len;

	for (int64_t c = i0; c < i1; c++) {
		float *ds = j->part + 2 * c * j->s.period, *db = ds + j->s.period;

		memset(ds, 0, 2 * sizeof(float) * (size_t)j->s.period);
		for (int64_t r = c * j->s.step; r < DS_MIN((c + 1) * j->s.step, j->s.rows); r++) {
			const float *x = j->x + r * n;
			double mean = j->rms ? 0 : ds_nn_sum(x, n) / (double)n, inv = 1 / sqrt(ds_nn_sum_sq(x, mean, n) / (double)n + j->epsilon), a, b;
			float *dx = j->dx + r * n, m, f, shift, slope;

			(j->whole ? params_whole : params_channels)(j, r, mean, inv, ds, db);
			sums(dx, x, mean, n, &a, &b);
			m = (float)mean;
			f = (float)inv;
			shift = j->rms ? 0 : (float)(a / (double)n);
			slope = (float)(b * inv / (double)n);
			DS_EW_LOOP for (int64_t k = 0; k < n; k++)
				dx[k] = f * (dx[k] - shift - (x[k] - m) * f * slope);
		}
	}
}

static void run_params(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;

	for (int64_t p = i0; p < i1; p++) {
		double a = 0, b = 0;

		for (int64_t c = 0; c < j->s.chunks; c++) {
			a += (double)j->part[2 * c * j->s.period + p];
			b += (double)j->part[(2 * c + 1) * j->s.period + p];
		}
		j->dscale[p] = (float)a;
		if (j->dbias)
			j->dbias[p] = (float)b;
	}
}

static ds_status run(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const attr *a = n->a;
	struct job j = { .x = in[0]->data, .scale = in[1]->data, .dy = in[2]->data, .dx = out[0]->data, .part = env->scratch, .dscale = out[1]->data,
		.dbias = n->n_out > 2 && out[2] ? out[2]->data : NULL, .epsilon = a->epsilon, .rms = a->kind == RMS, .whole = a->kind <= RMS };
	ds_type x = ds_type_of(in[0]);

	DS_TRY(shape_of(n, &x, &j.s, err));
	if (ds_tensor_count(in[1]) != j.s.period)
		return ds_fail(err, DS_E_INPUT, "%s: %lld parameters where %lld are needed", n->op_name, (long long)ds_tensor_count(in[1]), (long long)j.s.period);
	if (2 * sizeof(float) * (size_t)(j.s.chunks * j.s.period) > env->scratch_size)
		return ds_fail(err, DS_E_INTERNAL, "%s: too little scratch", n->op_name);
	if (j.s.len > 0)
		ds_nn_for(env->pool, j.s.chunks, 1, run_rows, &j);
	ds_nn_for(env->pool, j.s.period, ds_nn_grain(j.s.period, 2 * (double)j.s.chunks), run_params, &j);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, run);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	struct shape s;

	if (shape_of(n, &in[0].type, &s, NULL) != DS_OK)
		return 0;
	return ds_nn_in_f32_scratch(n, in, out) + ds_pad64(2 * sizeof(float) * (size_t)(s.chunks * s.period));
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	out[0] = in[0].type;
	for (int i = 1; i < n->n_out; i++)
		out[i] = in[1].type;
	if (!ds_nn_is_float(in[0].type.dtype) || !ds_nn_is_float(in[1].type.dtype))
		return ds_fail(err, DS_E_INPUT, "%s of %s", n->op_name, ds_dtype_name(in[0].type.dtype));
	return DS_OK;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	double count = (double)ds_type_count(&out[0]);

	*c = (ds_cost){ .flops = 16 * count, .act_bytes = 3 * count * (double)ds_dtype_size(out[0].dtype) };
}

/* ---- the columns of the operators ------------------------------------------------------------------------------------------------ */

/* Statistics that are read as outputs (mean, 1 / deviation) pass their gradients on by ordinary nodes. */
static ds_value *through_statistics(ds_emit *e, const ds_node *n, ds_value *const *dout, ds_value *dx, int64_t len)
{
	const ds_type *t = &n->in[0]->type;
	ds_value *v = NULL;

	if (dout[1])
		v = ds_emit_expand(e, ds_emit2(e, "Div", dout[1], ds_emit_f32(e, (float)len)), t);
	if (n->n_out > 2 && dout[2]) {
		ds_value *x = n->in[0], *mean = n->out[1], *inv = n->out[2], *cube = ds_emit2(e, "Mul", inv, ds_emit2(e, "Mul", inv, inv)), *w;

		if (t->dtype != DS_F32) {
			x = ds_emit1(e, "Cast", x);
			ds_emit_i(e, x, "to", ds_dtype_of(DS_F32)->onnx);
		}
		w = ds_emit2(e, "Mul", ds_emit2(e, "Div", dout[2], ds_emit_f32(e, -(float)len)), cube);
		w = ds_emit2(e, "Mul", ds_emit2(e, "Sub", x, mean), w);
		v = v ? ds_emit2(e, "Add", v, w) : w;
	}
	if (v && t->dtype != DS_F32) {
		v = ds_emit1(e, "Cast", v);
		ds_emit_i(e, v, "to", ds_dtype_of(t->dtype)->onnx);
	}
	return v && dx ? ds_emit2(e, "Add", dx, v) : v ? v : dx;
}

ds_status ds_rownorm_gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	const ds_norm_attr *a = n->a;
	ds_emit e = ds_emit_begin(g, err);
	bool layer = strcmp(n->op_name, "LayerNormalization") == 0, rms = strcmp(n->op_name, "RMSNormalization") == 0;
	bool bias = n->n_in > 2 && n->in[2];
	ds_type t = n->in[0]->type, params = n->in[1]->type;
	ds_value *scale = n->in[1];
	ds_node *back;
	int axis = 0;

	if (layer || rms) {
		DS_TRY(ds_nn_axis(n, a->axis, t.rank, &axis, err));
		params = ds_type_make(scale->type.dtype, t.rank - axis, t.dim + axis);
		if (ds_type_count(&scale->type) != ds_type_count(&params))
			scale = ds_emit_expand(&e, scale, &params);
	}
	if (dout[0]) {
		back = ds_emit_node(&e, "ds.NormGrad", 3, (ds_value *[]){ n->in[0], scale, dout[0] }, 3);
		if (!back)
			return ds_emit_end(&e);
		ds_emit_s(&e, back->out[0], "kind", layer ? "layer" : rms ? "rms" : strcmp(n->op_name, "GroupNormalization") == 0 ? "group" : "instance");
		ds_emit_f(&e, back->out[0], "epsilon", a->epsilon);
		if (layer || rms)
			ds_emit_i(&e, back->out[0], "axis", axis);
		else if (a->num_groups > 0)
			ds_emit_i(&e, back->out[0], "num_groups", a->num_groups);
		din[0] = back->out[0];
		din[1] = back->out[1];
		if (ds_type_count(&n->in[1]->type) != ds_type_count(&params))
			din[1] = ds_emit_reduce_to(&e, din[1], &params, &n->in[1]->type);
		else if (!ds_type_same_dims(&n->in[1]->type, &params))
			din[1] = ds_emit_reshape(&e, din[1], &n->in[1]->type);
		if (bias && ds_type_count(&n->in[2]->type) != ds_type_count(&params))
			din[2] = ds_emit_reduce_to(&e, back->out[2], &params, &n->in[2]->type);
		else if (bias)
			din[2] = ds_type_same_dims(&n->in[2]->type, &params) ? back->out[2] : ds_emit_reshape(&e, back->out[2], &n->in[2]->type);
	}
	if (layer && n->n_out > 1) {
		int64_t len = 1;

		for (int i = axis; i < t.rank; i++)
			len *= t.dim[i];
		din[0] = through_statistics(&e, n, dout, din[0], len);
	}
	return ds_emit_end(&e);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype types[] = { DS_F32, DS_F32, DS_F16 };
	ds_draw s = ds_draw_begin(g, seed);
	ds_dtype d = ds_draw_dtype(&s, types, 3);
	int kind = (int)(seed % 4), rank = kind <= RMS ? (int)ds_draw_in(&s, 1, 4) : 3, axis = kind <= RMS ? (int)ds_draw_in(&s, 0, rank - 1) : 1;
	int64_t dim[4], groups = 1 + (int64_t)(seed / 4 % 3);
	ds_value *in[3];
	ds_node *n;

	ds_draw_dims(&s, rank, seed % 8 < 4 ? 6 : 70, dim);
	if (rank > 2)
		dim[0] = ds_draw_in(&s, 1, 4);
	if (kind == GROUP)
		dim[1] = groups * ds_draw_in(&s, 1, 5);
	in[0] = ds_draw_input(&s, d, rank, dim);
	in[1] = ds_draw_input(&s, d, kind <= RMS ? rank - axis : 1, dim + axis);
	in[2] = ds_draw_input(&s, d, rank, dim);
	n = ds_draw_node(&s, "ds.NormGrad", 3, in, 3);
	ds_draw_s(&s, n, "kind", kinds[kind]);
	ds_draw_i(&s, n, "axis", axis);
	ds_draw_i(&s, n, "num_groups", groups);
	return ds_draw_end(&s, n, err);
}

const ds_op ds_op_NormGrad = {
	.name = "NormGrad", .domain = "ds", .min_in = 3, .max_in = 3, .min_out = 2, .max_out = 3, .attr_size = sizeof(attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .cost = cost, .sample = sample,
};
