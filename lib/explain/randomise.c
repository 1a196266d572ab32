/* randomise.c - the layers of a graph from the top down, and a copy with the upper ones shuffled */
#include "randomise.h"

#include <stdlib.h>
#include <string.h>

#include "../base/rng.h"

typedef struct layer { ds_value *v; int at; } layer;

static bool fixed(const ds_node *n)
{
	for (int i = 0; i < n->n_in; i++)
		if (n->in[i] && n->in[i]->kind != DS_V_PARAM && n->in[i]->kind != DS_V_CONST)
			return false;
	return true;
}

/* The position of the first node that reads v together with something that depends on the inputs; -1: none does. */
static int first_use(const ds_graph *g, const ds_value *v)
{
	for (int i = 0; i < g->n_node; i++) {
		const ds_node *n = g->node[i];
		bool reads = false;
		for (int k = 0; k < n->n_in; k++)
			reads = reads || n->in[k] == v;
		if (!reads)
			continue;
		if (!fixed(n))
			return i;
		int at = first_use(g, n->out[0]);       /* the nodes are in execution order: this ends */
		if (at >= 0)
			return at;
	}
	return -1;
}

static int from_top(const void *pa, const void *pb)
{
	const layer *a = pa, *b = pb;
	int by_name = strcmp(a->v->name, b->v->name);
	return a->at != b->at ? (a->at < b->at ? 1 : -1) : by_name;
}

/* All layers, from the top (ds_free). */
static layer *layers_of(const ds_graph *g, int *n)
{
	layer *l = ds_calloc((size_t)g->n_weight, sizeof *l);
	*n = 0;
	for (int i = 0; l && i < g->n_weight; i++) {
		ds_value *v = g->weight[i];
		const ds_dtype_row *t = ds_dtype_of(v->data.dtype);
		if (v->kind != DS_V_PARAM || v->data.rank < 2 || !t || (!t->is_float && t->bits > 8) || !v->data.data)
			continue;
		int at = first_use(g, v);
		if (at >= 0)
			l[(*n)++] = (layer){ v, at };
	}
	if (l)
		qsort(l, (size_t)*n, sizeof *l, from_top);
	return l;
}

int ds_forget_layers(const ds_graph *g)
{
	int n;
	ds_free(layers_of(g, &n));
	return n;
}

const char *ds_forget_name(const ds_graph *g, int k)
{
	int n;
	layer *l = layers_of(g, &n);
	const char *name = l && k < n ? l[k].v->name : "";
	ds_free(l);
	return name;
}

static ds_status shuffle(ds_value *v, uint64_t seed, ds_err *err)
{
	ds_tensor t, f;
	ds_rng r = ds_rng_init(seed, ds_hash64(v->name, strlen(v->name), 0));
	DS_TRY(ds_tensor_new(&t, v->data.dtype, v->data.rank, v->data.dim, err));
	size_t n = (size_t)ds_tensor_count(&t), size = ds_dtype_size(t.dtype);
	if (v->data.q || v->data.layout != DS_PLAIN) {
		ds_status rc = ds_tensor_to_f32(&v->data, &f, err);
		if (rc == DS_OK)
			rc = ds_convert(t.data, t.dtype, f.data, DS_F32, n, err);
		ds_tensor_done(&f);
		if (rc != DS_OK) {
			ds_tensor_done(&t);
			return rc;
		}
	} else if (n) {
		memcpy(t.data, v->data.data, n * size);
	}
	for (size_t i = n; i-- > 1; ) {
		size_t j = (size_t)ds_rng_below(&r, (uint64_t)i + 1);
		unsigned char *a = (unsigned char *)t.data + i * size, *b = (unsigned char *)t.data + j * size, was[8];
		memcpy(was, a, size);
		memcpy(a, b, size);
		memcpy(b, was, size);
	}
	ds_tensor_done(&v->data);
	v->data = t;
	return DS_OK;
}

ds_status ds_forget(ds_graph **out, const ds_graph *g, int layers, uint64_t seed, ds_err *err)
{
	int n = 0;
	ds_graph *copy = ds_graph_clone(g);
	layer *l = copy ? layers_of(copy, &n) : NULL;
	ds_status rc = l ? DS_OK : ds_fail_nomem(err, 0);
	for (int i = 0; i < n && i < layers && rc == DS_OK; i++)
		rc = shuffle(l[i].v, seed, err);
	ds_free(l);
	if (rc != DS_OK) {
		ds_graph_free(copy);
		return rc;
	}
	*out = copy;
	return DS_OK;
}
