/* cut.c - a model in two halves at a value inside it */
#include "cut.h"

#include <string.h>

struct ds_cut {
	ds_model   *m;                  /* behind */
	ds_session *s;                  /* before */
	ds_graph   *front;
	int        *from;               /* of each input of the half behind but the last: which of the model's it is */
	ds_tensor  *in;
	int         n;
};

static bool is(const ds_node *n, const char *op) { return n && !n->domain[0] && strcmp(n->op_name, op) == 0; }

static bool one_of(const ds_node *n, const char *const *list)
{
	for (; n && !n->domain[0] && *list; list++)
		if (strcmp(n->op_name, *list) == 0)
			return true;
	return false;
}

/* ---- where --------------------------------------------------------------------------------------------------------------------------- */
static bool depends(const ds_value *v, const ds_value *on, int depth)
{
	if (v == on)
		return true;
	for (int i = 0; v && v->kind == DS_V_NODE && depth < 40 && i < v->node->n_in; i++)
		if (v->node->in[i] && depends(v->node->in[i], on, depth + 1))
			return true;
	return false;
}

/* Token numbers, however their dims and type were changed on the way. */
static bool same_tokens(const ds_value *v, const ds_value *input)
{
	static const char *const form[] = { "Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", NULL };
	while (v && v != input && v->kind == DS_V_NODE && one_of(v->node, form))
		v = v->node->in[0];
	return v == input;
}

const char *ds_cut_tokens(const ds_model *m, int input)
{
	const ds_graph *g = m->graph;
	const ds_value *x = g->input[input];
	for (int i = 0; i < g->n_node; i++) {
		const ds_node *n = g->node[i];
		bool table = is(n, "Gather") && n->n_in > 1 && same_tokens(n->in[1], x) && !depends(n->in[0], x, 0);
		if ((table || (is(n, "OneHot") && same_tokens(n->in[0], x))) && n->out[0]->name[0])
			return n->out[0]->name;
	}
	return NULL;
}

const char *ds_cut_spectrum(const ds_model *m, int input, int *frames, ds_err *err)
{
	static const char *const moving[] = { "Transpose", "Squeeze", "Unsqueeze", "Identity", NULL };
	ds_graph *g = ds_graph_clone(m->graph);
	const char *name = NULL;
	int64_t steps = 0;
	*frames = 0;
	if (!g || ds_graph_verify(g, NULL, err) != DS_OK || ds_graph_infer(g, err) != DS_OK) {
		ds_graph_free(g);
		return NULL;
	}
	for (int i = 0; i < g->n_node && !name; i++) {
		const ds_node *n = g->node[i];
		if (is(n, "STFT") && depends(n->in[0], g->input[input], 0))
			steps = n->out[0]->type.rank > 1 ? n->out[0]->type.dim[1] : 0;
		if (!is(n, "Log") || !steps || !depends(n->in[0], g->input[input], 0))
			continue;
		const ds_value *v = n->out[0];
		for (ds_node *next; (next = ds_value_only_user(g, v)) && one_of(next, moving);)
			v = next->out[0];
		for (int k = 1; k < v->type.rank; k++)
			*frames = v->type.dim[k] == steps ? k : *frames;
		/* names live in the model's own graph */
		for (int k = 0; k < m->graph->n_node; k++)
			for (int o = 0; o < m->graph->node[k]->n_out; o++)
				if (v->name[0] && strcmp(m->graph->node[k]->out[o]->name, v->name) == 0)
					name = m->graph->node[k]->out[o]->name;
	}
	ds_graph_free(g);
	return name;
}

/* ---- the halves ------------------------------------------------------------------------------------------------------------------------ */
static ds_value *find(ds_graph *g, const char *name)
{
	for (int i = 0; i < g->n_node; i++)
		for (int k = 0; k < g->node[i]->n_out; k++)
			if (strcmp(g->node[i]->out[k]->name, name) == 0)
				return g->node[i]->out[k];
	return NULL;
}

static ds_status front(ds_cut *c, const ds_model *m, const char *value, int threads, ds_err *err)
{
	ds_session_opts so = { .threads = threads };
	ds_value *v;
	c->front = ds_graph_clone(m->graph);
	if (!c->front)
		return ds_fail_nomem(err, 0);
	v = find(c->front, value);
	if (!v)
		return ds_fail(err, DS_E_USAGE, "no value \"%.100s\" is made inside the model", value);
	c->front->n_output = 0;
	c->front->n_state = 0;
	if (ds_graph_output(c->front, v) != DS_OK)
		return ds_fail_nomem(err, 0);
	ds_graph_prune_dead(c->front);
	DS_TRY(ds_graph_verify(c->front, NULL, err));
	return ds_session_new_opts(&c->s, c->front, &so, err);
}

static ds_status behind(ds_cut *c, const ds_model *m, const char *value, ds_err *err)
{
	c->m = ds_model_new();
	ds_graph *g = ds_graph_clone(m->graph);
	if (!c->m || !g || ds_meta_copy(&c->m->meta, &m->meta) != DS_OK) {
		ds_graph_free(g);
		return ds_fail_nomem(err, 0);
	}
	ds_graph_free(c->m->graph);
	c->m->graph = g;
	g->n_state = 0;
	DS_TRY(ds_graph_verify(g, NULL, err));
	DS_TRY(ds_graph_infer(g, err));
	ds_value *v = find(g, value);
	if (!v || v->type.dtype == DS_NONE)
		return ds_fail(err, DS_E_USAGE, "value \"%.100s\" has no type", value);
	ds_type type = v->type;
	const char *name = v->name;
	v->name = "";
	ds_value *in = ds_graph_input(g, name, &type);
	if (!in)
		return ds_fail_nomem(err, 0);
	ds_graph_replace(g, v, in);
	ds_graph_prune_dead(g);
	/* inputs that nothing reads any more go */
	c->from = ds_calloc((size_t)g->n_input, sizeof *c->from);
	c->in = ds_calloc((size_t)g->n_input, sizeof *c->in);
	if (!c->from || !c->in)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < g->n_input; i++)
		if (g->input[i] == in || ds_value_uses(g, g->input[i])) {
			c->from[c->n] = i;
			g->input[c->n++] = g->input[i];
		}
	g->n_input = c->n;
	if (!ds_value_uses(g, in))
		return ds_fail(err, DS_E_USAGE, "the output does not depend on value \"%.100s\"", value);
	return ds_graph_verify(g, NULL, err);
}

ds_status ds_cut_new(ds_cut **out, const ds_model *m, const char *value, int threads, ds_err *err)
{
	ds_cut *c = ds_calloc(1, sizeof *c);
	*out = NULL;
	if (!c)
		return ds_fail_nomem(err, sizeof *c);
	ds_status rc = front(c, m, value, threads, err);
	if (rc == DS_OK)
		rc = behind(c, m, value, err);
	if (rc != DS_OK)
		ds_cut_free(c);
	else
		*out = c;
	return rc;
}

void ds_cut_free(ds_cut *c)
{
	if (!c)
		return;
	if (c->in && c->n)
		ds_tensor_done(&c->in[c->n - 1]);
	ds_session_free(c->s);
	ds_graph_free(c->front);
	ds_model_free(c->m);
	ds_free(c->from);
	ds_free(c->in);
	ds_free(c);
}

const ds_model *ds_cut_model(const ds_cut *c) { return c->m; }
int ds_cut_input(const ds_cut *c) { return c->n - 1; }

ds_status ds_cut_item(ds_cut *c, const ds_tensor *in, int n_in, const ds_tensor **out, int *n_out, ds_err *err)
{
	ds_tensor_done(&c->in[c->n - 1]);
	for (int i = 0; i < c->n - 1; i++)
		c->in[i] = in[c->from[i]];              /* headers: not owned here */
	DS_TRY(ds_session_run(c->s, in, n_in, &c->in[c->n - 1], 1, err));
	*out = c->in;
	*n_out = c->n;
	return DS_OK;
}
