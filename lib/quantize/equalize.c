/* equalize.c - channels of an activation share one 8-bit scale: those that use little of it are made larger, exactly undone by the next layer
 *
 * relu(t x) = t relu(x) for t > 0, so channel c of an activation may be multiplied by t_c where convolutions write it (rows of their weights and biases) and divided where
 * convolutions read it (columns).  This is cross-layer equalisation (Nagel et al. 2019, 1906.04721, 4.1) with two changes for weights that have a scale per
 * output channel: rows cost nothing, so t follows the measured peaks of the activation (as in SmoothQuant, Xiao et al. 2022) instead of the weights of both
 * sides; and all layers of a residual stream are scaled together, because their sum has one set of channels.
 *     t_c = (M / peak_c)^a, at most LARGEST, with M the peak of all channels
 * a = 1 where only depthwise convolutions read (their columns are rows), else 3/4, since columns share the scale of their row.  A Clip stays as it is: t_c leaves
 * MARGIN times the peak below its upper bound, and channels that come near it are left alone. */
#include "local.h"

#include <math.h>
#include <string.h>

static const double MARGIN = 2, LARGEST = 32, EVIDENT = 1.3;

static int64_t groups(const ds_node *n)
{
	const ds_attr *a = ds_attr_find(n, "group");
	return a ? a->u.i : 1;
}

static bool depthwise(const ds_node *n)
{
	return groups(n) > 1 && n->in[1]->type.dim[1] == 1;
}

static bool usable(const ds_graph *g, const ds_node *n)
{
	if (n->domain[0] || strcmp(n->op_name, "Conv") != 0)
		return false;
	for (int i = 1; i < n->n_in; i++)
		if (n->in[i] && (!dsq_constant(n->in[i]) || !n->in[i]->data.data || n->in[i]->data.q || n->in[i]->data.dtype != DS_F32 ||
		    ds_value_uses(g, n->in[i]) != 1))
			return false;
	return true;
}

/* Weight of b that channel c meets: [first, first + count) rows, column c mod (C / groups), inner elements each. */
typedef struct column { float *w; int64_t first, count, col, cols, inner; } column;

static column column_of(const ds_node *b, int64_t c)
{
	const ds_tensor *w = &b->in[1]->data;
	int64_t per = w->dim[0] / groups(b), inner = 1;
	for (int i = 2; i < w->rank; i++)
		inner *= w->dim[i];
	return (column){ w->data, c / w->dim[1] * per, per, c % w->dim[1], w->dim[1], inner };
}

static void column_scale(const column *k, double s)
{
	for (int64_t r = k->first; r < k->first + k->count; r++)
		for (int64_t i = 0; i < k->inner; i++) {
			float *w = &k->w[(r * k->cols + k->col) * k->inner + i];
			*w = (float)((double)*w * s);
		}
}

/* Weights may be borrowed from a mapped file or shared with a clone: take copies. */
static ds_status own(ds_value *v, ds_err *err)
{
	ds_tensor t;
	DS_TRY(ds_tensor_to_f32(&v->data, &t, err));
	ds_tensor_done(&v->data);
	v->data = t;
	return DS_OK;
}

/* Values whose channels go together: sums, functions and maxima keep channels apart. */
typedef struct set {
	bool    bad, some_reader, all_depthwise;
	int64_t channels;
	double *ratio;          /* per channel: largest peak_c / M over the quantised values of the set */
	double *most;           /* per channel: what the Clips allow */
} set;

typedef struct sets { int *parent; set *s; int n; } sets;

static int root(const sets *all, const ds_value *v)
{
	int i = v->id;
	while (all->parent[i] != i)
		i = all->parent[i];
	return i;
}

static void join(sets *all, const ds_value *a, const ds_value *b)
{
	int i = root(all, a), k = root(all, b);
	all->parent[DS_MAX(i, k)] = DS_MIN(i, k);
}

static bool keeps_channels(const ds_node *n)
{
	double bottom, top;
	if (dsq_act(n, &bottom, &top))
		return bottom == 0;
	if (n->domain[0])
		return false;
	if (strcmp(n->op_name, "Add") == 0)
		return !dsq_constant(n->in[0]) && !dsq_constant(n->in[1]) && n->in[0]->type.rank == n->in[1]->type.rank;
	return strcmp(n->op_name, "MaxPool") == 0 && n->n_out == 1;
}

static void spoil(sets *all, const ds_value *v)
{
	if (v && !dsq_constant(v))
		all->s[root(all, v)].bad = true;
}

static void agree(set *s, int64_t channels)
{
	if (s->channels && s->channels != channels)
		s->bad = true;
	s->channels = channels;
}

static void build(sets *all, const ds_graph *g)
{
	for (int i = 0; i < g->n_node; i++)
		for (int k = 0; k < (keeps_channels(g->node[i]) ? g->node[i]->n_in : 0); k++)
			if (g->node[i]->in[k] && !dsq_constant(g->node[i]->in[k]))
				join(all, g->node[i]->in[k], g->node[i]->out[0]);
	for (int i = 0; i < all->n; i++)
		all->s[i].all_depthwise = true;
	for (int i = 0; i < g->n_input; i++)
		spoil(all, g->input[i]);
	for (int i = 0; i < g->n_output; i++)
		spoil(all, g->output[i]);
	for (int i = 0; i < g->n_node; i++) {
		const ds_node *n = g->node[i];
		if (keeps_channels(n))
			continue;
		if (!usable(g, n)) {
			for (int k = 0; k < n->n_in; k++)
				spoil(all, n->in[k]);
			for (int k = 0; k < n->n_out; k++)
				spoil(all, n->out[k]);
			continue;
		}
		if (dsq_constant(n->in[0]))
			continue;
		set *in = &all->s[root(all, n->in[0])], *out = &all->s[root(all, n->out[0])];
		agree(in, n->in[1]->type.dim[1] * groups(n));
		agree(out, n->in[1]->type.dim[0]);
		in->some_reader = true;
		in->all_depthwise = in->all_depthwise && depthwise(n);
	}
}

/* What the observed values of a set say. */
static ds_status look(sets *all, const ds_graph *g, const dsq_places *p, ds_err *err)
{
	for (int i = 0; i < p->n_point; i++) {
		const ds_observer *o = p->point[i].seen;
		set *s = &all->s[root(all, p->point[i].v)];
		if (s->bad || !s->some_reader || !s->channels || o->channels != s->channels || !o->peak)
			continue;
		if (!s->ratio) {
			s->ratio = ds_calloc((size_t)s->channels, sizeof(double));
			s->most = ds_calloc((size_t)s->channels, sizeof(double));
			if (!s->ratio || !s->most)
				return ds_fail_nomem(err, 0);
			for (int64_t c = 0; c < s->channels; c++)
				s->most[c] = LARGEST;
		}
		double top = fmax(fabs((double)o->min), fabs((double)o->max)), bottom, bound;
		for (int64_t c = 0; c < s->channels && top > 0; c++)
			s->ratio[c] = fmax(s->ratio[c], (double)o->peak[c] / top);
		const ds_node *by = p->point[i].v->kind == DS_V_NODE ? p->point[i].v->node : NULL;
		if (by && dsq_act(by, &bottom, &bound))
			for (int64_t c = 0; c < s->channels; c++)
				s->most[c] = fmin(s->most[c], bound / (MARGIN * fmax((double)o->peak[c], 1e-6)));
	}
	/* a Clip that nobody observed may bite: leave its set alone */
	for (int i = 0; i < g->n_node; i++) {
		double bottom, bound;
		if (dsq_act(g->node[i], &bottom, &bound) && bound < HUGE_VAL && p->point_of[g->node[i]->out[0]->id] < 0)
			all->s[root(all, g->node[i]->out[0])].bad = true;
	}
	return DS_OK;
}

static double factor(const set *s, int64_t c)
{
	if (s->bad || !s->ratio || !(s->ratio[c] > 1e-6))
		return 1;
	double t = s->all_depthwise ? 1 / s->ratio[c] : pow(1 / s->ratio[c], 0.75);
	return fmax(fmin(t, s->most[c]), 1);
}

static ds_status scale_layer(const sets *all, ds_node *n, ds_err *err)
{
	const set *in = &all->s[root(all, n->in[0])], *out = &all->s[root(all, n->out[0])];
	for (int i = 1; i < n->n_in; i++)
		if (n->in[i])
			DS_TRY(own(n->in[i], err));
	ds_tensor *w = &n->in[1]->data;
	float *bias = n->n_in > 2 && n->in[2] ? n->in[2]->data.data : NULL;
	int64_t row = ds_tensor_count(w) / DS_MAX(w->dim[0], 1);
	for (int64_t c = 0; c < w->dim[0]; c++) {
		double t = factor(out, c);
		for (int64_t i = 0; i < row; i++)
			((float *)w->data)[c * row + i] = (float)((double)((float *)w->data)[c * row + i] * t);
		if (bias)
			bias[c] = (float)((double)bias[c] * t);
	}
	for (int64_t c = 0; c < w->dim[1] * groups(n); c++) {
		column k = column_of(n, c);
		column_scale(&k, 1 / factor(in, c));
	}
	return DS_OK;
}

/* ---- the other way: which factors has a copy? ------------------------------------------------------------------------------------- */
static const ds_node *twin_of(const ds_graph *own, const ds_node *n)
{
	for (int i = 0; i < own->n_node; i++) {
		const ds_node *m = own->node[i];
		if (strcmp(m->name, n->name) == 0 && strcmp(m->op_name, n->op_name) == 0 && m->n_in > 1 && dsq_constant(m->in[1]) && m->in[1]->data.data)
			return ds_type_same_dims(&m->in[1]->type, &n->in[1]->type) ? m : NULL;
	}
	return NULL;
}

/* How much larger each row of the copy's weight is, once the factors of what it reads are taken out. */
static void slopes(const ds_node *n, const float *own, const double *in, double *slope)
{
	const ds_tensor *w = &n->in[1]->data;
	const float *ref = w->data;
	int64_t per = w->dim[0] / groups(n), inner = 1;
	for (int i = 2; i < w->rank; i++)
		inner *= w->dim[i];
	for (int64_t o = 0; o < w->dim[0]; o++) {
		double xy = 0, xx = 0;
		for (int64_t c = 0; c < w->dim[1]; c++)
			for (int64_t i = 0; i < inner; i++) {
				int64_t at = (o * w->dim[1] + c) * inner + i;
				double x = (double)ref[at] / (in ? in[o / per * w->dim[1] + c] : 1);
				xy += x * (double)own[at];
				xx += x * x;
			}
		slope[o] = xx > 0 && xy > 0 ? xy / xx : 0;
	}
}

/* The channel that was used best has the factor 1; a layer that is too large as a whole is none of equalisation's doing. */
static void normalise(double *slope, int64_t n)
{
	double least = HUGE_VAL, most = 0;
	for (int64_t c = 0; c < n; c++)
		if (slope[c] > 0) {
			least = fmin(least, slope[c]);
			most = fmax(most, slope[c]);
		}
	for (int64_t c = 0; c < n; c++)
		slope[c] = slope[c] > 0 && most > EVIDENT * least ? slope[c] / least : 1;
}

static ds_status factors_of(sets *all, const ds_node *n, const ds_node *twin, ds_err *err)
{
	set *out = &all->s[root(all, n->out[0])];
	ds_tensor w;
	DS_TRY(ds_tensor_to_f32(&twin->in[1]->data, &w, err));
	out->ratio = ds_calloc((size_t)out->channels + 1, sizeof(double));
	if (out->ratio && w.dim[0] == out->channels)
		slopes(n, w.data, all->s[root(all, n->in[0])].ratio, out->ratio);
	if (out->ratio)
		normalise(out->ratio, out->channels);
	ds_tensor_done(&w);
	return out->ratio ? DS_OK : ds_fail_nomem(err, (size_t)out->channels * sizeof(double));
}

ds_status ds_q_equalized(ds_graph *g, const ds_graph *own, ds_q_factor_fn give, void *arg, ds_err *err)
{
	sets all;
	ds_status rc = DS_OK;
	ds_graph_number(g);
	all = (sets){ .n = ds_graph_values(g) };
	all.parent = ds_calloc((size_t)all.n + 1, sizeof(*all.parent));
	all.s = ds_calloc((size_t)all.n + 1, sizeof(*all.s));
	if (!all.parent || !all.s) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	for (int i = 0; i < all.n; i++)
		all.parent[i] = i;
	build(&all, g);
	for (int i = 0; i < g->n_node; i++) {           /* in execution order: the factors of what a set's first layer reads are known */
		const ds_node *n = g->node[i], *twin = usable(g, n) && !dsq_constant(n->in[0]) ? twin_of(own, n) : NULL;
		const set *s = twin ? &all.s[root(&all, n->out[0])] : NULL;
		if (s && !s->bad && s->some_reader && !s->ratio)
			DS_GOTO(factors_of(&all, n, twin, err));
	}
	for (int i = 0; i < g->n_node; i++)
		for (int k = 0; k < g->node[i]->n_out; k++) {
			const ds_value *v = g->node[i]->out[k];
			const set *s = &all.s[root(&all, v)];
			if (s->ratio)
				DS_GOTO(give(arg, v->name, s->ratio, s->channels, err));
		}
out:
	for (int i = 0; all.s && i < all.n; i++)
		ds_free(all.s[i].ratio);
	ds_free(all.parent);
	ds_free(all.s);
	return rc;
}

ds_status dsq_equalize(ds_graph *g, const dsq_places *p, int *count, ds_buf *log, ds_err *err)
{
	sets all = { .n = ds_graph_values(g) };
	ds_status rc = DS_OK;
	*count = 0;
	all.parent = ds_calloc((size_t)all.n + 1, sizeof(*all.parent));
	all.s = ds_calloc((size_t)all.n + 1, sizeof(*all.s));
	if (!all.parent || !all.s) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	for (int i = 0; i < all.n; i++)
		all.parent[i] = i;
	build(&all, g);
	DS_GOTO(look(&all, g, p, err));
	for (int i = 0; i < all.n; i++)
		*count += !all.s[i].bad && all.s[i].ratio != NULL;
	for (int i = 0; i < g->n_node && *count; i++)
		if (usable(g, g->node[i]) && !dsq_constant(g->node[i]->in[0]))
			DS_GOTO(scale_layer(&all, g->node[i], err));
	if (log)
		ds_buf_printf(log, "equalize\t%d sets of channels\n", *count);
out:
	for (int i = 0; all.s && i < all.n; i++) {
		ds_free(all.s[i].ratio);
		ds_free(all.s[i].most);
	}
	ds_free(all.parent);
	ds_free(all.s);
	return rc;
}
