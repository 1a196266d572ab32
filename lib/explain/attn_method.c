/* attn_method.c - attention maps, rollout, and attention weighted by its gradient
 *
 * Raw maps say where a layer looked, not why the prediction came out (Jain & Wallace 2019, arXiv:1902.10186).  Rollout follows looks through the layers;
 * weighted by the gradient of the target they speak about that target. */
#include "attention.h"
#include "explain_int.h"
#include "../draw/draw.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- the lens ----------------------------------------------------------------------------------------------------------------------- */
/* Maps with keys in front of queries are turned, twice, so that there is a value on the way that has queries first. */
static ds_status turn(ds_graph *g, ds_attn *l, ds_err *err)
{
	int64_t perm[DS_MAX_RANK];
	int r = l->prob->type.rank;
	ds_emit e = ds_emit_begin(g, err);
	for (int i = 0; i < r; i++)
		perm[i] = i < r - 2 ? i : 2 * r - 3 - i;
	ds_value *a = ds_emit1(&e, "Transpose", l->prob), *b = ds_emit1(&e, "Transpose", a);
	ds_emit_is(&e, a, "perm", r, perm);
	ds_emit_is(&e, b, "perm", r, perm);
	DS_TRY(ds_emit_end(&e));
	ds_graph_replace(g, l->prob, b);
	a->node->in[0] = l->prob;
	l->prob = a;
	return DS_OK;
}

/* The one form, and every layer's probabilities under the name of its node, in a value of their own. */
static ds_status edit(void *arg, ds_graph *g, ds_err *err)
{
	ds_attn *l;
	int n;
	bool turned = false;
	ds_status rc = DS_OK;
	(void)arg;
	DS_TRY(ds_attention_unfold(g, err));
	DS_TRY(ds_attention_find(g, &l, &n, err));
	for (int i = 0; i < n && rc == DS_OK; i++)
		if (l[i].flip) {
			rc = turn(g, &l[i], err);
			turned = true;
		}
	ds_free(l);
	return rc == DS_OK && turned ? ds_graph_sort(g, err) : rc;
}

static ds_status watch(void *arg, ds_graph *g, ds_value **v, int cap, int *n, ds_err *err)
{
	ds_attn *l;
	int layers;
	(void)arg;
	DS_TRY(ds_attention_find(g, &l, &layers, err));
	for (int i = 0; i < layers && *n < cap; i++) {
		ds_value *p = l[i].prob;
		if (l[i].flip) {                /* what `turn` put behind it */
			for (int k = 0; k < g->n_node; k++)
				if (g->node[k]->in[0] == p && strcmp(g->node[k]->op_name, "Transpose") == 0)
					p = g->node[k]->out[0];
		}
		const char *name = ds_arena_strdup(&ds_graph_root(g)->arena, l[i].name);
		bool taken = !name || !name[0];
		for (int k = 0; k < g->n_node && !taken; k++)
			for (int o = 0; o < g->node[k]->n_out; o++)
				taken |= g->node[k]->out[o] != p && strcmp(g->node[k]->out[o]->name, name) == 0;
		if (!taken)
			p->name = name;
		v[(*n)++] = p;
	}
	ds_free(l);
	return layers ? DS_OK : ds_fail(err, DS_E_UNSUPPORTED, "no attention was found in the model");
}

/* May there be attention?  What an item would show for sure is not known yet. */
static bool fits(const ds_explainer *x)
{
	bool soft = false, product = false;
	for (int i = 0; i < x->g->n_node; i++) {
		const char *op = x->g->node[i]->op_name;
		if (!strcmp(op, "Attention"))
			return true;
		product |= soft && (!strcmp(op, "MatMul") || !strcmp(op, "Einsum"));
		soft |= !strcmp(op, "Softmax") || !strcmp(op, "Exp");
	}
	return product;
}

/* ---- one run -------------------------------------------------------------------------------------------------------------------------- */
typedef struct look {
	ds_lens *lens;
	int      n;                     /* layers */
} look;

/* heads, queries and keys of layer i. */
static void extents(const look *k, int i, int64_t *heads, int64_t *tq, int64_t *tk)
{
	const ds_tensor *t = ds_lens_value(k->lens, i);
	*tq = t->dim[t->rank - 2];
	*tk = t->dim[t->rank - 1];
	*heads = ds_tensor_count(t) / DS_MAX(*tq * *tk, 1);
}

static ds_status see(ds_explainer *x, const ds_explain_item *it, int64_t target, bool gradient, look *k, ds_err *err)
{
	ds_lens_opts o = { .edit = edit, .watch = watch, .no_gradient = !gradient };
	ds_type type[64];
	if (it->n_in > (int)DS_COUNTOF(type))
		return ds_fail(err, DS_E_UNSUPPORTED, "a model of %d inputs", it->n_in);
	for (int i = 0; i < it->n_in; i++)
		type[i] = ds_type_of(&it->in[i]);
	DS_TRY(ds_explain_lens(x, gradient ? "attention-gradient" : "attention", type, &o, &k->lens, err));
	k->n = ds_lens_count(k->lens);
	return ds_lens_run(k->lens, it->in, &target, NULL, err);
}

/* The layer that --layer names, -1: none was named. */
static ds_status chosen_layer(const ds_explainer *x, const look *k, int *which, ds_err *err)
{
	*which = -1;
	if (!x->o.layer)
		return DS_OK;
	ds_attn *l = ds_calloc((size_t)k->n, sizeof *l);
	if (!l)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < k->n; i++)
		l[i].name = ds_lens_name(k->lens, i);
	*which = ds_attention_layer(l, k->n, x->o.layer);
	ds_free(l);
	return *which >= 0 ? DS_OK : ds_fail(err, DS_E_USAGE, "no layer of attention \"%.100s\": there are %d, from 0 on, and the first is %.100s", x->o.layer, k->n,
		ds_lens_name(k->lens, 0));
}

static ds_status named(ds_map *m, const look *k, int layer, ds_err *err)
{
	m->layer_index = layer;
	m->layer = layer < 0 ? NULL : ds_strdup(ds_lens_name(k->lens, layer));
	m->runs = 1;
	return layer < 0 || m->layer ? DS_OK : ds_fail_nomem(err, 0);
}

static ds_status attention(ds_explainer *x, const ds_explain_item *it, int64_t target, ds_maps *out, ds_err *err)
{
	look k;
	int only;
	DS_TRY(see(x, it, target, false, &k, err));
	DS_TRY(chosen_layer(x, &k, &only, err));
	for (int i = 0; i < k.n; i++) {
		int64_t heads, tq, tk;
		ds_tensor t;
		if (only >= 0 && i != only)
			continue;
		extents(&k, i, &heads, &tq, &tk);
		if (x->o.head >= heads)
			return ds_fail(err, DS_E_USAGE, "head %lld of layer %d, which has %lld", (long long)x->o.head, i, (long long)heads);
		DS_TRY(ds_tensor_to_f32(ds_lens_value(k.lens, i), &t, err));
		ds_status rc = DS_OK;
		for (int64_t h = 0; h < heads && rc == DS_OK; h++) {
			ds_map *m;
			if (x->o.head >= 0 && h != x->o.head)
				continue;
			rc = ds_maps_add(out, DS_MAP_ATTENTION, 2, (int64_t[]){ tq, tk }, &m, err);
			if (rc == DS_OK) {
				memcpy(m->t.data, (const float *)t.data + h * tq * tk, (size_t)(tq * tk) * sizeof(float));
				m->head = (int)h;
				rc = named(m, &k, i, err);
			}
		}
		ds_tensor_done(&t);
		DS_TRY(rc);
	}
	return DS_OK;
}

/* Through the layers: r [t, t] in f64.  Layers that look elsewhere (cross attention) or at fewer tokens are left out. */
static ds_status roll(ds_explainer *x, const look *k, bool gradient, int64_t *t_out, double **r_out, ds_err *err)
{
	double *r = NULL;
	int64_t t = 0, heads, tq, tk;
	ds_status rc = DS_OK;
	for (int i = 0; i < k->n && rc == DS_OK; i++) {
		ds_tensor a = { 0 }, g = { 0 };
		extents(k, i, &heads, &tq, &tk);
		if (!t && tq == tk && tq > 1) {
			t = tq;
			r = ds_calloc((size_t)t * (size_t)t, sizeof *r);
			for (int64_t d = 0; r && d < t; d++)
				r[d * t + d] = 1;
			if (!r)
				return ds_fail_nomem(err, 0);
		}
		if (tq != t || tk != t || !t)
			continue;
		rc = ds_tensor_to_f32(ds_lens_value(k->lens, i), &a, err);
		if (rc == DS_OK && gradient)
			rc = ds_tensor_to_f32(ds_lens_gradient(k->lens, i), &g, err);
		int64_t from = x->o.head >= 0 ? x->o.head : 0, n = x->o.head >= 0 ? 1 : heads;
		if (rc == DS_OK && from >= heads)
			rc = ds_fail(err, DS_E_USAGE, "head %lld of layer %d, which has %lld", (long long)from, i, (long long)heads);
		if (rc == DS_OK)
			rc = gradient ? ds_attngrad_add(r, (const float *)a.data + from * t * t, (const float *)g.data + from * t * t, n, t, err)
				: ds_rollout_add(r, (const float *)a.data + from * t * t, n, t, err);
		ds_tensor_done(&a);
		ds_tensor_done(&g);
	}
	if (rc == DS_OK && !t)
		rc = ds_fail(err, DS_E_UNSUPPORTED, "no layer whose tokens look at each other");
	if (rc != DS_OK)
		ds_free(r);
	*t_out = t;
	*r_out = rc == DS_OK ? r : NULL;
	return rc;
}

/* Whose row of r: --position's, the target's where the output speaks of each token, that of the class token; -1: the mean of all. */
static ds_status row_of(const ds_explainer *x, int64_t target, int64_t t, int64_t first, int64_t *row, ds_err *err)
{
	const ds_classes *c = &x->classes;
	*row = first > 0 ? 0 : -1;
	if (c->n && c->stride == 1 && c->elements / c->n == t && t > 1)
		*row = target / c->n;
	if (x->o.position >= 0)
		*row = x->o.position;
	return *row < t ? DS_OK : ds_fail(err, DS_E_USAGE, "--position %lld of %lld tokens", (long long)*row, (long long)t);
}

/* A row of r as a map: over the places of the picture whose patches the tokens are, else token by token. */
static ds_status put(ds_explainer *x, const ds_explain_item *it, int64_t target, const double *r, int64_t t, ds_maps *out, ds_err *err)
{
	const ds_tensor *in = &it->in[x->input];
	int64_t first = 0, rows, cols, row;
	ds_plane p;
	ds_map *m;
	bool grid = ds_explain_plane(x, in, &p) && p.h > 1 && p.w > 1 && ds_patch_grid(t, p.h, p.w, &first, &rows, &cols);
	DS_TRY(row_of(x, target, t, grid ? first : 0, &row, err));
	float *v = ds_calloc((size_t)t, sizeof *v);
	if (!v)
		return ds_fail_nomem(err, 0);
	for (int64_t i = row < 0 ? 0 : row; i < (row < 0 ? t : row + 1); i++)
		for (int64_t j = 0; j < t; j++)
			v[j] += (float)(r[i * t + j] / (double)(row < 0 ? t : 1));
	ds_status rc = grid ? ds_maps_add(out, DS_MAP_PLANE, 2, (int64_t[]){ p.h, p.w }, &m, err) : ds_maps_add(out, DS_MAP_TOKENS, 1, &t, &m, err);
	if (rc == DS_OK && grid)
		ds_field_resize(v + first, rows, cols, m->t.data, p.h, p.w);
	else if (rc == DS_OK)
		memcpy(m->t.data, v, (size_t)t * sizeof *v);
	if (rc == DS_OK)
		m->runs = 1;
	ds_free(v);
	return rc;
}

static ds_status rolled(ds_explainer *x, const ds_explain_item *it, int64_t target, bool gradient, ds_maps *out, ds_err *err)
{
	look k;
	double *r;
	int64_t t;
	DS_TRY(see(x, it, target, gradient, &k, err));
	DS_TRY(roll(x, &k, gradient, &t, &r, err));
	for (int64_t i = 0; i < t && gradient; i++)     /* what a token starts with of itself is no attention */
		r[i * t + i] -= 1;
	ds_status rc = put(x, it, target, r, t, out, err);
	ds_free(r);
	return rc;
}

static ds_status rollout(ds_explainer *x, const ds_explain_item *it, int64_t target, ds_maps *out, ds_err *err)
{
	return rolled(x, it, target, false, out, err);
}

static ds_status attention_gradient(ds_explainer *x, const ds_explain_item *it, int64_t target, ds_maps *out, ds_err *err)
{
	return rolled(x, it, target, true, out, err);
}

const ds_method ds_method_attention = { "attention", fits, attention, "who looks at whom, each layer and head; not an explanation" };
const ds_method ds_method_rollout = { "rollout", fits, rollout, "attention followed through the layers; the same for every class" };
const ds_method ds_method_attention_gradient = { "attention-gradient", fits, attention_gradient, "attention times its gradient, through the layers" };

/* ---- relevance -------------------------------------------------------------------------------------------------------------------------- */
/* Relevance of pictures is noisy without: on a transformer for MNIST, deletion goes from 0.276 to 0.248 (random: 0.568). */
#define PICTURE_GAMMA 0.25

static ds_status open_form(void *arg, ds_graph *g, ds_err *err)
{
	(void)arg;
	return ds_attention_unfold(g, err);
}

static ds_status relevance(void *arg, ds_graph *g, ds_value *y, ds_value *pick, ds_value **v, int cap, int *n, ds_value **grad, ds_err *err)
{
	ds_lrp_sinks s;
	DS_TRY(ds_lrp_backward(g, y, pick, v, *n, grad, arg, &s, err));
	ds_value *sink[] = { s.bias, s.softmax, s.other };
	for (size_t i = 0; i < DS_COUNTOF(sink) && *n < cap; i++)
		if (sink[i])
			v[(*n)++] = sink[i];
	return DS_OK;
}

static ds_status lrp(ds_explainer *x, const ds_explain_item *it, int64_t target, ds_maps *out, ds_err *err)
{
	ds_lrp_opts rules = { x->o.epsilon, x->o.gamma };
	ds_lens_opts o = { .edit = open_form, .backward = relevance, .arg = &rules };
	const ds_tensor *in = &it->in[x->input];
	int lead = in->rank > 1 && in->dim[0] == 1;
	ds_type type[64];
	ds_lens *l;
	ds_tensor value, grad;
	ds_plane p;
	ds_map *m;
	if (it->n_in > (int)DS_COUNTOF(type))
		return ds_fail(err, DS_E_UNSUPPORTED, "a model of %d inputs", it->n_in);
	if (!ds_dtype_of(in->dtype)->is_float)
		return ds_fail(err, DS_E_UNSUPPORTED, "relevance of an input of %s", ds_dtype_name(in->dtype));
	if (rules.gamma < 0)
		rules.gamma = x->o.axes != DS_AXES_TC && ds_explain_plane(x, in, &p) && p.h > 1 ? PICTURE_GAMMA : 0;
	for (int i = 0; i < it->n_in; i++)
		type[i] = ds_type_of(&it->in[i]);
	DS_TRY(ds_explain_lens(x, "lrp", type, &o, &l, err));
	float *logit = ds_calloc((size_t)(l->elements * l->batch) + 1, sizeof *logit);
	if (!logit)
		return ds_fail_nomem(err, 0);
	ds_status rc = ds_lens_run(l, it->in, &target, logit, err);
	double score = logit[target], lost = 0, sum = 0;
	ds_free(logit);
	DS_TRY(rc);
	for (int i = 1; i < ds_lens_count(l); i++)
		lost += ds_tensor_f64(ds_lens_value(l, i), 0);
	DS_TRY(ds_tensor_to_f32(ds_lens_value(l, 0), &value, err));
	rc = ds_tensor_to_f32(ds_lens_gradient(l, 0), &grad, err);
	if (rc == DS_OK)
		rc = ds_maps_add(out, DS_MAP_INPUT, in->rank - lead, in->dim + lead, &m, err);
	for (int64_t i = 0; rc == DS_OK && i < ds_tensor_count(in); i++) {
		float r = ((float *)grad.data)[i] * ((float *)value.data)[i];
		((float *)m->t.data)[i] = r;
		sum += (double)r;
	}
	ds_tensor_done(&value);
	ds_tensor_done(&grad);
	DS_TRY(rc);
	m->has_sign = true;
	m->base_score = lost;
	m->gap = fabs(sum + lost - score) / fmax(fabs(score), 1e-9);
	m->runs = 1;
	return DS_OK;
}

const ds_method ds_method_lrp = { "lrp", ds_explain_float_input, lrp, "relevance layer by layer, by rules made for transformers (AttnLRP)", fits };
