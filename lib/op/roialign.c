/* roialign.c - RoiAlign (ONNX 22): regions of a feature map sampled to a fixed size (He et al. 2017) */
#include "draw.h"
#include "nn.h"

#include <math.h>

struct attr { int mode, coords; int64_t out_h, out_w, ratio; double scale; };
static const char *const modes[] = { "avg", "max", NULL };
static const char *const coords[] = { "half_pixel", "output_half_pixel", NULL };

struct job {
	const struct attr *a;
	int64_t          channels, h, w;
	const float     *x, *rois;
	const ds_tensor *batch;
	float           *y;
};

/* The value at (y, x), or for the maximum the largest of the four weighted neighbours. */
static double at(const struct job *j, const float *p, double y, double x)
{
	int64_t y0, x0, y1, x1;
	double ly, lx, v[4];

	if (y < -1 || y > (double)j->h || x < -1 || x > (double)j->w)
		return 0;
	y = fmax(y, 0);
	x = fmax(x, 0);
	y0 = DS_MIN((int64_t)y, j->h - 1);
	x0 = DS_MIN((int64_t)x, j->w - 1);
	y1 = DS_MIN(y0 + 1, j->h - 1);
	x1 = DS_MIN(x0 + 1, j->w - 1);
	ly = y0 == j->h - 1 ? 0 : y - (double)y0;
	lx = x0 == j->w - 1 ? 0 : x - (double)x0;
	v[0] = (1 - ly) * (1 - lx) * (double)p[y0 * j->w + x0];
	v[1] = (1 - ly) * lx * (double)p[y0 * j->w + x1];
	v[2] = ly * (1 - lx) * (double)p[y1 * j->w + x0];
	v[3] = ly * lx * (double)p[y1 * j->w + x1];
	return j->a->mode == 0 ? v[0] + v[1] + v[2] + v[3] : fmax(fmax(v[0], v[1]), fmax(v[2], v[3]));
}

/* Planes [i0, i1) of (region, channel). */
static void run(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;
	const struct attr *a = j->a;

	(void)worker;
	for (int64_t i = i0; i < i1; i++) {
		const float *roi = j->rois + i / j->channels * 4;
		const float *p = j->x + (ds_tensor_i64(j->batch, i / j->channels) * j->channels + i % j->channels) * j->h * j->w;
		double off = a->coords == 0 ? 0.5 : 0, x0 = (double)roi[0] * a->scale - off, y0 = (double)roi[1] * a->scale - off;
		double w = (double)roi[2] * a->scale - off - x0, h = (double)roi[3] * a->scale - off - y0, bw, bh;
		int64_t nx, ny;

		if (a->coords == 1) {
			w = fmax(w, 1);
			h = fmax(h, 1);
		}
		bw = w / (double)a->out_w;
		bh = h / (double)a->out_h;
		ny = a->ratio > 0 ? a->ratio : (int64_t)fmin(fmax(ceil(bh), 1), 1e4);
		nx = a->ratio > 0 ? a->ratio : (int64_t)fmin(fmax(ceil(bw), 1), 1e4);
		for (int64_t o = 0; o < a->out_h * a->out_w; o++) {
			double sum = a->mode == 0 ? 0 : -INFINITY;

			for (int64_t ky = 0; ky < ny; ky++)
				for (int64_t kx = 0; kx < nx; kx++) {
					double v = at(j, p, y0 + (double)(o / a->out_w) * bh + ((double)ky + 0.5) * bh / (double)ny,
						x0 + (double)(o % a->out_w) * bw + ((double)kx + 0.5) * bw / (double)nx);

					sum = a->mode == 0 ? sum + v : fmax(sum, v);
				}
			j->y[i * a->out_h * a->out_w + o] = (float)(a->mode == 0 ? sum / (double)(nx * ny) : sum);
		}
	}
}

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_tensor *x = in[0];
	struct job j = { n->a, x->dim[1], x->dim[2], x->dim[3], x->data, in[1]->data, in[2], out[0]->data };
	int64_t items = out[0]->dim[0] * j.channels;

	for (int64_t i = 0; i < out[0]->dim[0]; i++)
		if (ds_tensor_i64(in[2], i) < 0 || ds_tensor_i64(in[2], i) >= x->dim[0])
			return ds_fail(err, DS_E_INPUT, "%s: batch index out of range", n->op_name);
	if (j.h < 1 || j.w < 1)
		return ds_fail(err, DS_E_INPUT, "%s of an empty tensor", n->op_name);
	ds_nn_for(env->pool, items, ds_nn_grain(items, 80 * (double)(j.a->out_h * j.a->out_w)), run, &j);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	(void)threads;
	return ds_nn_in_f32_scratch(n, in, out);
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const struct attr *a = n->a;
	const ds_type *x = &in[0].type, *r = &in[1].type;

	out[0] = (ds_type){ x->dtype, -1, { 0 } };
	if (!ds_nn_is_float(x->dtype) || (x->rank >= 0 && x->rank != 4) || (r->rank >= 0 && r->rank != 2) || (r->rank == 2 && r->dim[1] >= 0 && r->dim[1] != 4))
		return ds_fail(err, DS_E_INPUT, "%s: an input of rank 4 and regions [n, 4] expected", n->op_name);
	if (x->rank == 4)
		out[0] = ds_type_make(x->dtype, 4, (int64_t[]){ r->rank == 2 ? r->dim[0] : DS_DIM_UNKNOWN, x->dim[1], a->out_h, a->out_w });
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	(void)n;
	(void)in;
	(void)out;
	return ds_nn_same(link, cap, 0, 0, DS_SLOT_OUT, 1, 2);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[4], rois[2] = { ds_draw_in(&s, 1, 4), 4 }, index[4];
	ds_value *in[3];
	ds_node *n;

	ds_draw_dims(&s, 4, 8, dim);
	for (int i = 0; i < 4; i++)
		index[i] = ds_draw_in(&s, 0, dim[0] - 1);
	in[0] = ds_draw_input(&s, DS_F32, 4, dim);
	in[1] = ds_draw_input(&s, DS_F32, 2, rois);
	in[2] = ds_draw_ints(&s, rois[0], index);
	n = ds_draw_node(&s, "RoiAlign", 3, in, 1);
	ds_draw_s(&s, n, "mode", modes[seed % 2]);
	ds_draw_s(&s, n, "coordinate_transformation_mode", coords[seed / 2 % 2]);
	ds_draw_i(&s, n, "output_height", ds_draw_in(&s, 1, 4));
	ds_draw_i(&s, n, "sampling_ratio", ds_draw_in(&s, 0, 2));
	ds_draw_f(&s, n, "spatial_scale", 2);
	return ds_draw_end(&s, n, err);
}

static const ds_opt attrs[] = {
	DS_NN_CHOICE(struct attr, coords, "coordinate_transformation_mode", "half_pixel", coords, "Whether coordinates are shifted by half a pixel"),
	DS_NN_CHOICE(struct attr, mode, "mode", "avg", modes, "Mean or maximum of the samples"),
	DS_NN_INT(struct attr, out_h, "output_height", "1", 1, 65536, "Rows of the result"),
	DS_NN_INT(struct attr, out_w, "output_width", "1", 1, 65536, "Columns of the result"),
	DS_NN_INT(struct attr, ratio, "sampling_ratio", "0", 0, 1024, "Samples per cell and axis, 0: as many as the cell has elements"),
	DS_NN_FLOAT(struct attr, scale, "spatial_scale", "1", "From the regions' coordinates to the input's"),
	{ 0 }
};

const ds_op ds_op_RoiAlign = {
	.name = "RoiAlign", .domain = "", .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1, .attr_size = sizeof(struct attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .channels = channels, .sample = sample,
};
