/* cam.c - class activation maps from gradients: where the channels of a layer that speak for the target are active
 *
 * Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391): channels weighed by their mean gradient, added, cut at 0.
 * Grad-CAM++ (Chattopadhyay et al. 2018, arXiv:1710.11063): a channel's weight is the sum of its positive gradients, each weighed by
 * g^2 / (2 g^2 + g^3 sum A), which is their closed form for the exponential of the score. */
#include "explain_int.h"

#include "../base/str.h"
#include "../draw/draw.h"
#include "../train/train.h"

#include <math.h>
#include <string.h>

/* ---- the layer ---------------------------------------------------------------------------------------------------------------------- */
static bool is(const ds_node *n, const char *op) { return !n->domain[0] && strcmp(n->op_name, op) == 0; }

/* Operators behind which places are no longer those of the picture. */
static bool mixes(const ds_node *n)
{
	static const char *const names[] = { "MatMul", "Gemm", "Reshape", "Transpose", "Flatten", "Softmax", "Attention", "Squeeze", "Unsqueeze", "Gather", "Einsum" };
	for (size_t i = 0; i < DS_COUNTOF(names); i++)
		if (is(n, names[i]))
			return true;
	return n->n_in < 1 || !n->in[0];
}

static int64_t places(const ds_type *t)
{
	int64_t n = 1;
	for (int i = 2; i < t->rank; i++)
		n *= t->dim[i];
	return n;
}

static bool spatial(const ds_value *v)
{
	const ds_type *t = &v->type;
	return ds_grad_float(v) && ds_type_concrete(t) && t->rank >= 3 && t->rank <= 4 && places(t) > 1;
}

/* The last value that comes from a convolution, keeps its places and has more than one of them. */
static ds_value *last_spatial(ds_graph *g, ds_err *err)
{
	ds_value *last = NULL;
	ds_graph_number(g);
	char *from = ds_calloc((size_t)ds_graph_values(g) + 1, 1);
	if (!from) {
		(void)ds_fail_nomem(err, 0);
		return NULL;
	}
	for (int i = 0; i < g->n_node; i++) {
		const ds_node *n = g->node[i];
		bool any = is(n, "Conv") || is(n, "ConvTranspose");
		for (int k = 0; k < n->n_in && !mixes(n); k++)
			any |= n->in[k] && from[n->in[k]->id] && n->in[k]->type.rank == n->out[0]->type.rank;
		if (!any || !spatial(n->out[0]))
			continue;
		from[n->out[0]->id] = 1;
		last = n->out[0];
	}
	ds_free(from);
	if (!last)
		(void)ds_fail(err, DS_E_UNSUPPORTED, "no convolution of this model has more than one place: Grad-CAM needs one");
	return last;
}

/* The last value whose name, or whose node's name, matches. */
static ds_value *named(ds_graph *g, const char *glob, ds_err *err)
{
	ds_value *hit = NULL, *flat = NULL;
	for (int i = 0; i < g->n_node; i++) {
		const ds_node *n = g->node[i];
		for (int k = 0; k < n->n_out; k++)
			if (ds_glob(glob, n->out[k]->name) || (k == 0 && ds_glob(glob, n->name))) {
				flat = n->out[k];
				hit = spatial(flat) ? flat : hit;
			}
	}
	if (!hit && flat)
		(void)ds_fail(err, DS_E_USAGE, "layer \"%.100s\" has no places: Grad-CAM needs [N, channels, places]", flat->name);
	else if (!hit)
		(void)ds_fail(err, DS_E_USAGE, "no layer is called \"%.100s\"", glob);
	return hit;
}

static ds_status watch(void *arg, ds_graph *g, ds_value **v, int cap, int *n, ds_err *err)
{
	const ds_explainer *x = arg;
	(void)cap;
	v[0] = x->o.layer ? named(g, x->o.layer, err) : last_spatial(g, err);
	*n = 1;
	return v[0] ? DS_OK : err ? err->code : DS_E_INPUT;
}

static bool has_convolution(const ds_explainer *x)
{
	for (int i = 0; i < x->g->n_node; i++)
		if (is(x->g->node[i], "Conv") || is(x->g->node[i], "ConvTranspose"))
			return ds_explain_float_input(x);
	return false;
}

/* ---- the map -------------------------------------------------------------------------------------------------------------------------- */
typedef double (*weigh_fn)(const float *a, const float *g, int64_t n);

static double mean_gradient(const float *a, const float *g, int64_t n)
{
	double sum = 0;
	(void)a;
	for (int64_t i = 0; i < n; i++)
		sum += (double)g[i];
	return sum / (double)n;
}

static double plus_plus(const float *a, const float *g, int64_t n)
{
	double sum = 0, w = 0;
	for (int64_t i = 0; i < n; i++)
		sum += (double)a[i];
	for (int64_t i = 0; i < n; i++) {
		double d = (double)g[i], below = 2 * d * d + sum * d * d * d;
		if (d > 0)                      /* the same in floats and doubles: 1e-6 keeps the quotient finite */
			w += d * d * d / (below + 1e-6);
	}
	return w;
}

/* Is the time axis of [N, T, C] turned to the end before the first convolution? */
static bool turned(const ds_explainer *x)
{
	const ds_value *in = x->g->input[x->input];
	for (int i = 0; i < x->g->n_node; i++)
		if (x->g->node[i]->n_in && x->g->node[i]->in[0] == in && is(x->g->node[i], "Transpose"))
			return true;
	return false;
}

static void spread(const ds_explainer *x, const ds_plane *p, const float *cam, int64_t h, int64_t w, bool line, float *out)
{
	if (line && turned(x))                  /* rows of the input are steps in time */
		ds_field_resize(cam, w, 1, out, p->h, p->w);
	else
		ds_field_resize(cam, h, w, out, p->h, p->w);
}

static ds_status add_channels(const ds_tensor *a, const ds_tensor *g, weigh_fn weigh, float *cam, ds_err *err)
{
	int64_t channels = a->dim[1], n = ds_tensor_count(a) / DS_MAX(channels, 1);
	double *sum = ds_calloc((size_t)n + 1, sizeof *sum);
	if (!sum)
		return ds_fail_nomem(err, (size_t)n * sizeof *sum);
	for (int64_t c = 0; c < channels; c++) {
		const float *v = (const float *)a->data + c * n;
		double w = weigh(v, (const float *)g->data + c * n, n);
		for (int64_t i = 0; i < n; i++)
			sum[i] += w * (double)v[i];
	}
	for (int64_t i = 0; i < n; i++)
		cam[i] = sum[i] > 0 ? (float)sum[i] : 0;
	ds_free(sum);
	return DS_OK;
}

static ds_status cam_of(ds_explainer *x, const ds_explain_item *it, int64_t target, weigh_fn weigh, ds_maps *out, ds_err *err)
{
	const ds_lens_opts o = { .watch = watch, .arg = x };
	ds_type type[64];
	ds_plane p;
	ds_lens *l;
	ds_map *m;
	ds_tensor a = { 0 }, g = { 0 };
	float *cam = NULL;
	ds_status rc;
	if (it->n_in > (int)DS_COUNTOF(type))
		return ds_fail(err, DS_E_UNSUPPORTED, "a model of %d inputs", it->n_in);
	if (!ds_explain_plane(x, &it->in[x->input], &p))
		return ds_fail(err, DS_E_UNSUPPORTED, "Grad-CAM of an input of more axes than a picture has");
	for (int i = 0; i < it->n_in; i++)
		type[i] = ds_type_of(&it->in[i]);
	DS_TRY(ds_explain_lens(x, "cam", type, &o, &l, err));
	DS_TRY(ds_lens_run(l, it->in, &target, NULL, err));
	DS_GOTO(ds_tensor_to_f32(ds_lens_value(l, 0), &a, err));
	DS_GOTO(ds_tensor_to_f32(ds_lens_gradient(l, 0), &g, err));
	int64_t w = a.dim[a.rank - 1], h = a.rank > 3 ? a.dim[2] : 1;
	cam = ds_malloc((size_t)(h * w + 1) * sizeof *cam);
	if (!cam) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	DS_GOTO(add_channels(&a, &g, weigh, cam, err));
	DS_GOTO(ds_maps_add(out, DS_MAP_PLANE, 2, (int64_t[]){ p.h, p.w }, &m, err));
	spread(x, &p, cam, h, w, a.rank == 3, m->t.data);
	m->runs = 1;
	m->layer = ds_strdup(ds_lens_name(l, 0));
	rc = m->layer ? DS_OK : ds_fail_nomem(err, 0);
out:
	ds_free(cam);
	ds_tensor_done(&a);
	ds_tensor_done(&g);
	return rc;
}

static ds_status cam(ds_explainer *x, const ds_explain_item *it, int64_t target, ds_maps *out, ds_err *err)
{
	return cam_of(x, it, target, mean_gradient, out, err);
}

static ds_status cam_plus(ds_explainer *x, const ds_explain_item *it, int64_t target, ds_maps *out, ds_err *err)
{
	return cam_of(x, it, target, plus_plus, out, err);
}

const ds_method ds_method_gradcam = { "gradcam", has_convolution, cam, "Grad-CAM: where the channels that speak for the class are active" };
const ds_method ds_method_gradcam_plus_plus = { "gradcam++", has_convolution, cam_plus, "Grad-CAM++: the same with weights for several objects of a class" };
