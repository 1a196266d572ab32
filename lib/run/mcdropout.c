/* mcdropout.c - Monte-Carlo dropout: a graph whose Dropout drops when it runs, and samples that come several times */
#include "uncertain.h"

#include <stdio.h>
#include <string.h>

/* ---- the graph ------------------------------------------------------------------------------------------------------------------ */

static double ratio_of(const ds_node *n)
{
	const ds_value *r = n->n_in > 1 ? n->in[1] : NULL;
	return r ? r->data.data && ds_tensor_count(&r->data) == 1 ? ds_tensor_f64(&r->data, 0) : 0 : .5;
}

/* The name of the input that says which numbers are drawn; not one that the model has. */
static const char *free_name(const ds_graph *g, char name[32])
{
	for (int k = 0;; k++) {
		bool taken = false;
		snprintf(name, 32, "pass%d", k);
		for (int i = 0; i < g->n_input; i++)
			taken = taken || !strcmp(g->input[i]->name, name);
		for (int i = 0; i < g->n_node; i++) {
			for (int o = 0; o < g->node[i]->n_out; o++)
				taken = taken || !strcmp(g->node[i]->out[o]->name, name);
		}
		for (int i = 0; i < g->n_weight; i++)
			taken = taken || !strcmp(g->weight[i]->name, name);
		if (!taken)
			return name;
	}
}

/* Dropout nodes of the main graph; those of branches and loops stay as they are. */
static ds_status activate(ds_graph *g, ds_value *pass, uint64_t seed, int *found, ds_err *err)
{
	for (int i = 0; i < g->n_node; i++) {
		ds_node *n = g->node[i];
		double p = strcmp(n->op_name, "Dropout") || n->domain[0] ? 0 : ratio_of(n);
		if (!(p > 0 && p < 1))
			continue;
		ds_node *d = ds_graph_insert(g, i, "ds", "RandomDrop", n->name, 2, (ds_value *[]){ n->in[0], pass }, 1, NULL);
		if (!d || ds_attr_f(d, "ratio", p) != DS_OK || ds_attr_i(d, "seed", (int64_t)seed) != DS_OK || ds_attr_i(d, "node", (*found)++) != DS_OK)
			return ds_fail_nomem(err, 0);
		ds_graph_replace(g, n->out[0], d->out[0]);
		i++;
	}
	return *found ? DS_OK : ds_fail(err, DS_E_UNSUPPORTED, "Monte-Carlo dropout of a model without Dropout");
}

ds_status ds_mc_graph(const ds_graph *g, uint64_t seed, ds_graph **out, ds_err *err)
{
	char name[32];
	int found = 0;
	ds_status rc = DS_OK;
	ds_type t = { .dtype = DS_I64, .rank = 2, .dim = { 1, 1 } };
	ds_graph *c = ds_graph_clone(g);
	*out = NULL;
	for (int i = 0; i < g->n_state; i++) {
		if (g->state[i].axis == DS_NO_SYMBOL)
			rc = ds_fail(err, DS_E_UNSUPPORTED, "Monte-Carlo dropout of a model whose states go from window to window");
	}
	if (rc == DS_OK && c && g->n_input && g->input[0]->type.rank > 0 && g->input[0]->type.dim[0] < 0)
		t.dim[0] = g->input[0]->type.dim[0];    /* samples that can be computed together have a number each */
	ds_value *pass = rc == DS_OK && c ? ds_graph_input(c, free_name(c, name), &t) : NULL;
	if (rc == DS_OK)
		rc = pass ? activate(c, pass, seed, &found, err) : ds_fail_nomem(err, 0);
	if (rc == DS_OK) {
		ds_graph_prune_dead(c);
		rc = ds_graph_verify(c, NULL, err);
	}
	if (rc == DS_OK)
		*out = c;
	else
		ds_graph_free(c);
	return rc;
}

/* ---- the samples ---------------------------------------------------------------------------------------------------------------- */

typedef struct passes {
	ds_samples  base;
	ds_samples *inner;
	int64_t     n, left;            /* passes of an item; of the present one still to come */
	ds_item     item;               /* the inner one's */
	bool        bad;                /* ... which cannot be used, and why */
	ds_err      why;
	ds_tensor  *in;                 /* its inputs and the number of the pass */
	int         n_in;
} passes;

static ds_status passes_next(ds_samples *s, ds_item *item, bool *bad, ds_err *err)
{
	passes *p = (passes *)s;
	if (!p->left) {
		*item = (ds_item){ 0 };
		p->why = (ds_err){ 0 };
		p->bad = false;
		ds_status rc = p->inner->next(p->inner, item, &p->bad, &p->why);
		if (rc != DS_OK && !p->bad) {
			if (err)
				*err = p->why;
			return rc;
		}
		p->item = *item;
		p->left = p->n;
		for (int i = 0; !p->bad && i + 1 < p->n_in; i++) {
			ds_tensor_done(&p->in[i]);
			p->in[i] = ds_tensor_ref(&item->in[i]);
		}
	}
	if (p->bad) {
		p->left--;
		*item = p->item;
		*bad = true;
		if (err)
			*err = p->why;
		return DS_E_INPUT;
	}
	ds_tensor *pass = &p->in[p->n_in - 1];
	ds_tensor_done(pass);           /* whoever holds the one before keeps it */
	DS_TRY(ds_tensor_new(pass, DS_I64, 2, (int64_t[]){ 1, 1 }, err));
	*(int64_t *)pass->data = (int64_t)(p->item.index * (uint64_t)p->n + (uint64_t)(p->n - p->left--));
	*item = p->item;
	item->in = p->in;
	item->n_in = p->n_in;
	*bad = false;
	return DS_OK;
}

static ds_status passes_rewind(ds_samples *s, ds_err *err)
{
	passes *p = (passes *)s;
	p->left = 0;
	return p->inner->rewind(p->inner, err);
}

static int64_t passes_count(ds_samples *s)
{
	passes *p = (passes *)s;
	return p->inner->count(p->inner);
}

static void passes_free(ds_samples *s)
{
	passes *p = (passes *)s;
	p->inner->free(p->inner);
	for (int i = 0; i < p->n_in; i++)
		ds_tensor_done(&p->in[i]);
	ds_free(p->in);
	ds_free(p);
}

ds_status ds_mc_samples(ds_samples *inner, const ds_graph *mc, int64_t n, ds_samples **out, ds_err *err)
{
	passes *p = ds_calloc(1, sizeof *p);
	ds_tensor *in = ds_calloc((size_t)mc->n_input, sizeof *in);
	*out = NULL;
	if (!p || !in) {
		ds_free(p);
		ds_free(in);
		return ds_fail_nomem(err, sizeof *p);
	}
	*p = (passes){ .base = { passes_next, passes_rewind, passes_count, passes_free, NULL }, .inner = inner, .n = n, .in = in, .n_in = mc->n_input };
	*out = &p->base;
	return DS_OK;
}
