/* explainer.c - a model to be explained: predictions, classes, what the explained input looks like, baselines */
#include "explain_int.h"

#include "../run/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define BATCH_ELEMENTS ((int64_t)1 << 20)       /* of the explained input that are computed together when nothing is said */
#define BATCH_MAX 32

/* ---- maps --------------------------------------------------------------------------------------------------------------------- */
ds_status ds_maps_add(ds_maps *l, ds_map_kind kind, int rank, const int64_t *dim, ds_map **m, ds_err *err)
{
	if (!ds_grow((void **)&l->m, l->n, &l->cap, sizeof *l->m))
		return ds_fail_nomem(err, sizeof *l->m);
	ds_map *v = &l->m[l->n];
	*v = (ds_map){ .kind = kind, .layer_index = -1, .head = -1, .score = NAN, .probability = NAN, .gap = NAN, .base_score = NAN };
	DS_TRY(ds_tensor_new(&v->t, DS_F32, rank, dim, err));
	l->n++;
	*m = v;
	return DS_OK;
}

void ds_maps_done(ds_maps *l)
{
	for (size_t i = 0; i < l->n; i++) {
		ds_tensor_done(&l->m[i].t);
		ds_free(l->m[i].layer);
	}
	ds_free(l->m);
	*l = (ds_maps){ 0 };
}

/* ---- the model ------------------------------------------------------------------------------------------------------------------ */
/* Operators behind a softmax that change nothing but the form of its values. */
static bool passes(const ds_node *n)
{
	static const char *const names[] = { "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", "DequantizeLinear", "QuantizeLinear" };
	for (size_t i = 0; i < DS_COUNTOF(names); i++)
		if (!strcmp(n->op_name, names[i]))
			return !n->domain[0];
	return false;
}

ds_value *ds_explain_head(const ds_model *m, ds_value *v, head_kind *kind)
{
	static const struct { const char *op; head_kind kind; } ends[] = { { "Softmax", DS_HEAD_SOFTMAX }, { "LogSoftmax", DS_HEAD_SOFTMAX },
		{ "Sigmoid", DS_HEAD_SIGMOID } };
	const char *say = ds_meta_str(&m->meta, "output.0.values");
	ds_value *p = v;
	while (p->kind == DS_V_NODE && passes(p->node) && p->node->in[0])
		p = p->node->in[0];
	for (size_t i = 0; p->kind == DS_V_NODE && i < DS_COUNTOF(ends); i++)
		if (!p->node->domain[0] && !strcmp(p->node->op_name, ends[i].op)) {
			*kind = ends[i].kind;
			return p->node->in[0];
		}
	*kind = say && !strcmp(say, "numbers") ? DS_HEAD_VALUES : say && !strcmp(say, "probabilities") ? DS_HEAD_PROBABILITIES : DS_HEAD_LOGITS;
	return v;
}

static int choose_input(const ds_graph *g)
{
	for (int i = 0; i < g->n_input; i++)
		if (g->input[i]->type.dtype == DS_F32 || g->input[i]->type.dtype == DS_F16 || g->input[i]->type.dtype == DS_BF16)
			return i;
	return 0;
}

static ds_status make(ds_explainer *x, ds_err *err)
{
	ds_graph *g = x->g;
	if (g->n_output < 1 || g->n_input < 1)
		return ds_fail(err, DS_E_INPUT, "the model has no %s", g->n_input ? "output" : "input");
	x->input = x->o.input >= 0 ? x->o.input : choose_input(g);
	if (x->input >= g->n_input)
		return ds_fail(err, DS_E_USAGE, "input %d of a model that has %d", x->input, g->n_input);
	g->output[0] = ds_explain_head(x->m, g->output[0], &x->head);
	g->n_output = 1;
	g->n_state = 0;
	ds_graph_prune_dead(g);
	DS_TRY(ds_graph_verify(g, NULL, err));
	ds_graph *t = ds_graph_clone(g);
	if (!t)
		return ds_fail_nomem(err, 0);
	ds_status rc = ds_graph_infer(t, err);
	x->can_batch = rc == DS_OK && t->input[x->input]->type.rank > 0 && t->input[x->input]->type.dim[0] < 0 && ds_graph_items_apart(t);
	ds_graph_free(t);
	DS_TRY(rc);
	ds_session_opts so = { .threads = x->o.threads, .memory_limit = x->o.memory_limit };
	return ds_session_new_opts(&x->s, g, &so, err);
}

ds_status ds_explainer_new(ds_explainer **out, const ds_model *m, const ds_explain_opts *o, ds_err *err)
{
	*out = NULL;
	ds_explainer *x = ds_calloc(1, sizeof *x);
	if (!x)
		return ds_fail_nomem(err, sizeof *x);
	x->m = m;
	x->o = *o;
	x->g = ds_graph_clone(m->graph);
	ds_status rc = x->g ? make(x, err) : ds_fail_nomem(err, 0);
	if (rc != DS_OK)
		ds_explainer_free(x);
	else
		*out = x;
	return rc;
}

void ds_explainer_free(ds_explainer *x)
{
	if (!x)
		return;
	for (ds_lens *l = x->lens, *next; l; l = next) {
		next = l->next;
		ds_lens_free(l);
	}
	ds_session_free(x->s);
	ds_graph_free(x->g);
	ds_free(x);
}

const ds_explain_opts *ds_explainer_opts(const ds_explainer *x) { return &x->o; }
const ds_model *ds_explainer_model(const ds_explainer *x) { return x->m; }
int ds_explainer_input(const ds_explainer *x) { return x->input; }
ds_classes ds_explainer_classes(const ds_explainer *x) { return x->classes; }

int64_t ds_explain_batch(const ds_explainer *x, const ds_explain_item *it)
{
	int64_t n = DS_MAX(ds_tensor_count(&it->in[x->input]), 1);
	if (!x->can_batch)
		return 1;
	return x->o.batch > 0 ? DS_MIN(x->o.batch, DS_EXPLAIN_BATCH) : DS_MAX(1, DS_MIN(BATCH_MAX, BATCH_ELEMENTS / n));
}

/* ---- predictions ----------------------------------------------------------------------------------------------------------------- */
/* The axis of classes: that which ds_class_count finds, else the last of [N, T, V] and axis 1 of maps [N, C, H, W]. */
static ds_classes classes_of(const ds_tensor *t, int64_t batch)
{
	ds_classes c = { .n = ds_class_count(t->rank, t->dim), .stride = 1, .elements = ds_tensor_count(t) / DS_MAX(batch, 1) };
	if (c.n || t->rank < 2)
		return c.n ? c : (ds_classes){ DS_MAX(c.elements, 1), 1, c.elements };
	int axis = t->rank <= 3 ? t->rank - 1 : 1;
	c.n = t->dim[axis];
	for (int i = axis + 1; i < t->rank; i++)
		c.stride *= t->dim[i];
	return c;
}

void ds_explain_softmax(const ds_explainer *x, const float *v, float *p)
{
	const ds_classes *c = &x->classes;
	for (int64_t i = 0; i < c->elements; i++) {
		if (x->head == DS_HEAD_SIGMOID)
			p[i] = (float)(1 / (1 + exp(-(double)v[i])));
		else if (x->head == DS_HEAD_PROBABILITIES)
			p[i] = v[i];
		else if (x->head == DS_HEAD_VALUES || c->n < 2)
			p[i] = NAN;
	}
	if ((x->head != DS_HEAD_SOFTMAX && x->head != DS_HEAD_LOGITS) || c->n < 2)
		return;
	for (int64_t i = 0; i < c->elements; i++) {             /* the first class of each place */
		if (i / c->stride % c->n)
			continue;
		double top = -HUGE_VAL, sum = 0;
		for (int64_t k = 0; k < c->n; k++)
			top = fmax(top, (double)v[i + k * c->stride]);
		for (int64_t k = 0; k < c->n; k++)
			sum += exp((double)v[i + k * c->stride] - top);
		for (int64_t k = 0; k < c->n; k++)
			p[i + k * c->stride] = (float)(exp((double)v[i + k * c->stride] - top) / sum);
	}
}

/* Run the session: its output as f32, `batch` items. */
static ds_status run(ds_explainer *x, const ds_tensor *in, int n_in, int64_t batch, ds_tensor *out, ds_err *err)
{
	ds_tensor t;
	DS_TRY(ds_session_run(x->s, in, n_in, &t, 1, err));
	ds_status rc = ds_tensor_to_f32(&t, out, err);
	x->classes = classes_of(&t, batch);
	ds_tensor_done(&t);
	return rc;
}

ds_status ds_explain_predict(ds_explainer *x, const ds_explain_item *it, float **logit, float **probability, int64_t *n, ds_err *err)
{
	ds_tensor out;
	if (it->n_in != x->g->n_input)
		return ds_fail(err, DS_E_INTERNAL, "%d inputs for a model that has %d", it->n_in, x->g->n_input);
	DS_TRY(run(x, it->in, it->n_in, 1, &out, err));
	*n = x->classes.elements;
	size_t count = (size_t)DS_MAX(*n, 1);
	*logit = ds_calloc(count, sizeof **logit);
	if (probability)
		*probability = ds_calloc(count, sizeof **probability);
	if (!*logit || (probability && !*probability)) {
		ds_free(*logit);
		*logit = NULL;
		if (probability) {
			ds_free(*probability);
			*probability = NULL;
		}
		ds_tensor_done(&out);
		return ds_fail_nomem(err, count * sizeof **logit);
	}
	memcpy(*logit, out.data, (size_t)*n * sizeof **logit);
	if (probability)
		ds_explain_softmax(x, *logit, *probability);
	ds_tensor_done(&out);
	return DS_OK;
}

ds_status ds_explain_join(const ds_explainer *x, const ds_explain_item *it, const float *rows, int64_t n, int64_t batch, ds_tensor *in, ds_err *err)
{
	for (int k = 0; k < it->n_in; k++) {
		const ds_tensor *one = &it->in[k];
		int64_t dim[DS_MAX_RANK], count = ds_tensor_count(one);
		memcpy(dim, one->dim, sizeof dim);
		if (batch > 1)
			dim[0] *= batch;
		DS_TRY(ds_tensor_new(&in[k], one->dtype, one->rank, dim, err));
		size_t bytes = ds_tensor_bytes(one);
		for (int64_t i = 0; i < batch; i++) {
			char *to = (char *)in[k].data + (size_t)i * bytes;
			if (k != x->input)
				memcpy(to, one->data, bytes);
			else                            /* places beyond the last item repeat it */
				DS_TRY(ds_convert(to, one->dtype, rows + DS_MIN(i, n - 1) * count, DS_F32, (size_t)count, err));
		}
	}
	return DS_OK;
}

ds_status ds_explain_scores(ds_explainer *x, const ds_explain_item *it, const float *rows, int64_t n, bool probability, float *logit, ds_err *err)
{
	ds_tensor *in = ds_calloc((size_t)it->n_in, sizeof *in), out = { 0 };
	int64_t batch = ds_explain_batch(x, it), count = ds_tensor_count(&it->in[x->input]);
	ds_status rc = in ? DS_OK : ds_fail_nomem(err, sizeof *in);
	for (int64_t i = 0; rc == DS_OK && i < n; i += batch) {
		int64_t some = DS_MIN(batch, n - i);
		rc = ds_explain_join(x, it, rows + i * count, some, some, in, err);
		if (rc == DS_OK)
			rc = run(x, in, it->n_in, some, &out, err);
		int64_t e = x->classes.elements;
		for (int64_t k = 0; rc == DS_OK && k < some; k++) {
			memcpy(logit + (i + k) * e, (const float *)out.data + k * e, (size_t)e * sizeof *logit);
			if (probability)
				ds_explain_softmax(x, logit + (i + k) * e, logit + (i + k) * e);
		}
		ds_tensor_done(&out);
		for (int k = 0; k < it->n_in; k++)
			ds_tensor_done(&in[k]);
	}
	ds_free(in);
	return rc;
}

/* ---- pictures -------------------------------------------------------------------------------------------------------------------- */
static bool few(int64_t n) { return n == 1 || n == 3 || n == 4; }

bool ds_explain_plane(const ds_explainer *x, const ds_tensor *in, ds_plane *p)
{
	int lead = in->rank > 1 && in->dim[0] == 1, rank = in->rank - lead;
	const int64_t *d = in->dim + lead;
	if (rank == 1)
		*p = (ds_plane){ 1, 1, d[0], 0, 0, 1 };
	else if (rank == 2 && x->o.axes == DS_AXES_TC)
		*p = (ds_plane){ d[1], 1, d[0], 1, 0, d[1] };
	else if (rank == 2)
		*p = (ds_plane){ 1, d[0], d[1], 0, d[1], 1 };
	else if (rank != 3)
		return false;
	else if (x->o.axes == DS_AXES_HWC || (x->o.axes == DS_AXES_GUESS && !few(d[0]) && few(d[2])))
		*p = (ds_plane){ d[2], d[0], d[1], 1, d[1] * d[2], d[2] };
	else
		*p = (ds_plane){ d[0], d[1], d[2], d[1] * d[2], d[2], 1 };
	return true;
}

ds_status ds_map_places(const ds_map *m, const ds_plane *p, float *out, ds_err *err)
{
	const float *v = m->t.data;
	int64_t n = p->h * p->w;
	if (m->kind == DS_MAP_PLANE && ds_tensor_count(&m->t) == n) {
		memcpy(out, v, (size_t)n * sizeof *out);
		return DS_OK;
	}
	if (m->kind != DS_MAP_INPUT || ds_tensor_count(&m->t) != n * p->channels)
		return ds_fail(err, DS_E_INPUT, "a map that is not about places of a picture");
	for (int64_t y = 0; y < p->h; y++)
		for (int64_t k = 0; k < p->w; k++) {
			double sum = 0;
			for (int64_t c = 0; c < p->channels; c++)
				sum += (double)v[c * p->sc + y * p->sy + k * p->sx];
			out[y * p->w + k] = (float)sum;
		}
	return DS_OK;
}
