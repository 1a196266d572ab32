/* convgrad.c - gradients of convolutions: shapes, plain loops, samples */
#include "convgrad.h"
#include "draw.h"
#include "infer.h"

#include <math.h>

/* Enough pieces for the threads of any machine, as long as their sums fit into a second-level cache; long enough to be worth a task. */
enum { PARTS = 32, PART_BYTES = 2 << 20, PART_PIXELS = 256 };

int64_t ds_conv_grad_parts(const ds_conv_geo *g)
{
	int64_t lines = g->n * g->out[0] * g->out[1], weights = g->oc * (g->ic / g->groups) * g->k[0] * g->k[1] * g->k[2];
	int64_t parts = DS_MIN(PARTS, PART_BYTES / 4 / DS_MAX(weights, 1));
	parts = DS_MIN(parts, lines * g->out[2] / PART_PIXELS);
	return DS_MAX(DS_MIN(parts, lines), 1);
}

ds_type ds_conv_grad_type(const ds_node *n, ds_dtype dtype)
{
	const ds_ints *s = &DS_A(ds_conv_grad_attr, n)->shape;
	return ds_type_make(dtype, DS_MIN(s->n, DS_MAX_RANK), s->v);
}

ds_status ds_conv_grad_check(const ds_node *n, const ds_type *x, const ds_type *w, const ds_type *dy, ds_err *err)
{
	const ds_ints *s = &DS_A(ds_conv_grad_attr, n)->shape;
	ds_type y;
	if (s->n < 3 || s->n > 5)
		return ds_fail(err, DS_E_INPUT, "%s: shape of %d dims", n->op_name, s->n);
	for (int i = 0; i < s->n; i++)
		if (s->v[i] < 0)
			return ds_fail(err, DS_E_INPUT, "%s: shape with dim %lld", n->op_name, (long long)s->v[i]);
	DS_TRY(ds_conv_infer(n->a, x, w, &y, err));
	if (y.rank < 0 || dy->rank < 0)
		return DS_OK;
	bool same = y.rank == dy->rank;
	for (int i = 0; same && i < y.rank; i++)
		same = y.dim[i] < 0 || dy->dim[i] < 0 || y.dim[i] == dy->dim[i];
	return same ? DS_OK : ds_fail(err, DS_E_INPUT, "%s: the gradient does not have the dims of the convolution's result", n->op_name);
}

/* ---- plain loops ------------------------------------------------------------------------------------------------------------------ */
typedef struct job { const ds_conv_geo *g; const void *a, *b; void *y; int64_t parts; } job;

/* Output position whose tap k reads input i along one axis: -1 none (a rest), -2 outside. */
static int64_t output_of(const ds_conv_geo *g, int axis, int64_t i, int64_t k)
{
	int64_t p = i + g->pad[axis] - k * g->dil[axis], s = g->stride[axis];
	if (((p % s) + s) % s)
		return -1;
	return p < 0 || p / s >= g->out[axis] ? -2 : p / s;
}

#define GRAD_INPUT(name, T, FMA) \
static void name(void *arg, int task, int worker) \
{ \
	const job *j = arg; \
	const ds_conv_geo *g = j->g; \
	const int64_t icg = g->ic / g->groups, ocg = g->oc / g->groups, img = task / g->ic, c = task % g->ic, grp = c / icg; \
	const int64_t taps = g->k[0] * g->k[1] * g->k[2], plane = g->out[0] * g->out[1] * g->out[2], in_plane = g->in[0] * g->in[1] * g->in[2]; \
	const T *dy = (const T *)j->a + (img * g->oc + grp * ocg) * plane, *w = (const T *)j->b + (grp * ocg * icg + c % icg) * taps; \
	T *dx = (T *)j->y + (int64_t)task * in_plane; \
	for (int64_t i = 0; i < in_plane; i++) { \
		int64_t iz = i / (g->in[1] * g->in[2]), iy = i / g->in[2] % g->in[1], ix = i % g->in[2]; \
		T s = 0; \
		for (int64_t t = 0; t < taps; t++) { \
			int64_t oz = output_of(g, 0, iz, t / (g->k[1] * g->k[2])), oy = output_of(g, 1, iy, t / g->k[2] % g->k[1]), ox = output_of(g, 2, ix, t % g->k[2]); \
			if (oz == -1 || oy == -1 || ox == -1) \
				continue; \
			bool inside = oz >= 0 && oy >= 0 && ox >= 0; \
			for (int64_t o = 0; o < ocg; o++) \
				s = FMA(inside ? dy[o * plane + (oz * g->out[1] + oy) * g->out[2] + ox] : 0, w[o * icg * taps + t], s); \
		} \
		dx[i] = s; \
	} \
}
GRAD_INPUT(input_f32, float, fmaf)
GRAD_INPUT(input_f64, double, fma)

/* Tasks are (output channel, input channel of its group). */
#define GRAD_WEIGHT(name, T, FMA) \
static void name(void *arg, int task, int worker) \
{ \
	const job *j = arg; \
	const ds_conv_geo *g = j->g; \
	const int64_t icg = g->ic / g->groups, ocg = g->oc / g->groups, o = task / icg, c = o / ocg * icg + task % icg; \
	const int64_t taps = g->k[0] * g->k[1] * g->k[2], lines = g->n * g->out[0] * g->out[1], in_plane = g->in[0] * g->in[1] * g->in[2]; \
	for (int64_t t = 0; t < taps; t++) { \
		const int64_t kz = t / (g->k[1] * g->k[2]), ky = t / g->k[2] % g->k[1], kx = t % g->k[2]; \
		T sum = 0; \
		for (int64_t part = 0; part < j->parts; part++) { \
			T s = 0; \
			for (int64_t l = lines * part / j->parts; l < lines * (part + 1) / j->parts; l++) { \
				int64_t oy = l % g->out[1], oz = l / g->out[1] % g->out[0], img = l / (g->out[1] * g->out[0]); \
				int64_t iy = oy * g->stride[1] + ky * g->dil[1] - g->pad[1], iz = oz * g->stride[0] + kz * g->dil[0] - g->pad[0]; \
				bool inside = iy >= 0 && iy < g->in[1] && iz >= 0 && iz < g->in[0]; \
				const T *dy = (const T *)j->a + (((img * g->oc + o) * g->out[0] + oz) * g->out[1] + oy) * g->out[2]; \
				const T *x = (const T *)j->b + (img * g->ic + c) * in_plane + (inside ? (iz * g->in[1] + iy) * g->in[2] : 0); \
				for (int64_t ox = 0; ox < g->out[2]; ox++) { \
					int64_t ix = ox * g->stride[2] + kx * g->dil[2] - g->pad[2]; \
					s = FMA(dy[ox], inside && ix >= 0 && ix < g->in[2] ? x[ix] : 0, s); \
				} \
			} \
			sum = part ? sum + s : s; \
		} \
		((T *)j->y)[(int64_t)task * taps + t] = sum; \
	} \
}
GRAD_WEIGHT(weight_f32, float, fmaf)
GRAD_WEIGHT(weight_f64, double, fma)

void ds_conv_grad_input_ref(ds_pool *pool, const ds_conv_geo *g, ds_dtype t, const void *dy, const void *w, void *dx)
{
	ds_pool_run(pool, (int)(g->n * g->ic), t == DS_F64 ? input_f64 : input_f32, &(job){ .g = g, .a = dy, .b = w, .y = dx });
}

void ds_conv_grad_weight_ref(ds_pool *pool, const ds_conv_geo *g, ds_dtype t, const void *dy, const void *x, void *dw)
{
	ds_pool_run(pool, (int)(g->oc * (g->ic / g->groups)), t == DS_F64 ? weight_f64 : weight_f32,
		&(job){ .g = g, .a = dy, .b = x, .y = dw, .parts = ds_conv_grad_parts(g) });
}

/* ---- columns -------------------------------------------------------------------------------------------------------------------------- */
void ds_conv_grad_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost)
{
	/* as many products as the convolution itself: weights of one output channel times outputs */
	const ds_type *w = DS_A(ds_conv_grad_attr, n)->shape.n && n->op_name[8] == 'W' ? out : &in[1].type;
	double per = 1, bytes = (double)ds_dtype_size(out->dtype);
	for (int i = 1; i < w->rank; i++)
		per *= (double)w->dim[i];
	*cost = (ds_cost){ .macs = per * (double)ds_type_count(&in[0].type),
		.act_bytes = bytes * (double)(ds_type_count(&in[0].type) + ds_type_count(&in[1].type) + ds_type_count(out)) };
}

void ds_conv_grad_emit(ds_emit *e, const ds_node *like, ds_value *dy, ds_value *x, ds_value *w, ds_value **dx, ds_value **dw)
{
	*dx = ds_emit2(e, "ds.ConvGradInput", dy, w);
	*dw = ds_emit2(e, "ds.ConvGradWeight", dy, x);
	ds_emit_is(e, *dx, "shape", x->type.rank, x->type.dim);
	ds_emit_is(e, *dw, "shape", w->type.rank, w->type.dim);
	ds_emit_attrs(e, *dx, like);
	ds_emit_attrs(e, *dw, like);
}

/* Plain, strided, grouped, depthwise, dilated, 1-D, 3-D and auto_pad in turn; now and then many channels or positions. */
ds_status ds_conv_grad_sample(ds_graph *g, const char *op, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int sp = seed % 8 == 6 ? 1 : seed % 8 == 7 ? 3 : 2;
	bool weight = op[8] == 'W', many = seed % 6 == 1;
	int64_t group = seed % 4 == 2 ? 2 : seed % 4 == 3 ? ds_draw_in(&s, 2, 40) : 1;
	int64_t icg = seed % 4 == 3 ? 1 : ds_draw_in(&s, 1, many ? 70 : 12), ocg = seed % 4 == 3 ? 1 : ds_draw_in(&s, 1, many ? 70 : 12);
	int64_t x[5] = { ds_draw_in(&s, 1, 2), icg * group }, w[5] = { ocg * group, icg }, stride[3], dil[3], pad[6];
	for (int i = 0; i < sp; i++) {
		x[2 + i] = ds_draw_in(&s, 5, seed % 5 == 0 ? 23 : 9);
		w[2 + i] = ds_draw_in(&s, 1, 3);
		stride[i] = ds_draw_in(&s, 1, 3);
		dil[i] = seed % 5 == 4 ? 2 : 1;
		pad[i] = ds_draw_in(&s, 0, 1);
		pad[sp + i] = ds_draw_in(&s, 0, 1);
	}
	ds_node *n = s.oom ? NULL : ds_graph_node(g, "ds", op, op, 2, (ds_value *[]){ NULL, NULL }, 1, NULL);
	s.oom = s.oom || !n;
	ds_draw_i(&s, n, "group", group);
	ds_draw_is(&s, n, "strides", sp, stride);
	ds_draw_is(&s, n, "dilations", sp, dil);
	ds_draw_is(&s, n, "kernel_shape", sp, w + 2);
	ds_draw_is(&s, n, "shape", 2 + sp, weight ? w : x);
	if (seed % 6 == 5)
		ds_draw_s(&s, n, "auto_pad", seed % 12 == 5 ? "SAME_UPPER" : "SAME_LOWER");
	else
		ds_draw_is(&s, n, "pads", 2 * sp, pad);
	if (s.oom)
		return ds_fail_nomem(err, 0);
	DS_TRY(ds_node_parse(n, err));
	ds_type tx = ds_type_make(DS_F32, 2 + sp, x), tw = ds_type_make(DS_F32, 2 + sp, w), ty;
	DS_TRY(ds_conv_infer(n->a, &tx, &tw, &ty, err));
	n->in[0] = ds_draw_input(&s, DS_F32, 2 + sp, ty.dim);
	n->in[1] = ds_draw_input(&s, DS_F32, 2 + sp, weight ? x : w);
	return ds_draw_end(&s, n, err);
}

const ds_opt ds_conv_grad_attrs[] = {
	DS_CONV_ATTRS(ds_conv_grad_attr, conv),
	{ "shape", .type = DS_T_INTS, .flags = DS_OPT_REQUIRED, .offset = offsetof(ds_conv_grad_attr, shape), .help = "dims of the result" },
	DS_BF16_ATTR(ds_conv_grad_attr, bf16),
	{ 0 }
};
