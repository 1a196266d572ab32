/* against_cut.c - which channels of a pruned model's values are left */
#include "against_cut.h"

#include <stdlib.h>
#include <string.h>

/* A vector of parameters whose index is a channel: cls[i] is the class of index i. */
typedef struct vec { const ds_value *ref, *own; int *cls; } vec;

typedef struct finder {
	ds_structure *s;
	const ds_graph *own;
	int         **map;              /* by value id * DS_MAX_RANK + axis: classes by index, -1: none; NULL: no class */
	int           n_map;
	char         *left;             /* by class: 1 is left, 0 is gone */
	char         *known;            /* by group */
	ds_arena      arena;
} finder;

static int64_t extent(const ds_value *v, int axis)
{
	return axis < v->type.rank ? v->type.dim[axis] : 0;
}

static ds_status note_element(finder *f, const ds_value *const *by_id, const ds_pelem *e, int cls, ds_err *err)
{
	const ds_value *v = by_id[e->value];
	int at = e->value * DS_MAX_RANK + e->axis;
	int64_t n = v ? extent(v, e->axis) : 0;
	if (e->index < 0 || e->index >= n)
		return DS_OK;
	if (!f->map[at]) {
		if (!(f->map[at] = ds_arena_alloc(&f->arena, (size_t)n, sizeof(int))))
			return ds_fail_nomem(err, (size_t)n * sizeof(int));
		for (int64_t i = 0; i < n; i++)
			f->map[at][i] = -1;
	}
	f->map[at][e->index] = cls;
	return DS_OK;
}

static void list_values(const ds_graph *g, const ds_value **by_id)
{
	for (int i = 0; i < g->n_input; i++)
		by_id[g->input[i]->id] = g->input[i];
	for (int i = 0; i < g->n_weight; i++)
		by_id[g->weight[i]->id] = g->weight[i];
	for (int i = 0; i < g->n_node; i++)
		for (int k = 0; k < g->node[i]->n_out; k++)
			by_id[g->node[i]->out[k]->id] = g->node[i]->out[k];
}

static const ds_value *weight_named(const ds_graph *g, const char *name)
{
	for (int i = 0; i < g->n_weight; i++)
		if (name[0] && strcmp(g->weight[i]->name, name) == 0)
			return g->weight[i];
	return NULL;
}

static bool vector(const ds_value *v)
{
	return v && v->type.rank == 1 && v->type.dtype == DS_F32 && v->data.data && !v->data.q;
}

/* Are all channels of the vector of one group, each its own class? */
static bool of_group(const finder *f, const int *cls, int64_t n, int group)
{
	for (int64_t i = 0; i < n; i++)
		if (cls[i] < 0 || f->s->cls[cls[i]].group != group)
			return false;
	return true;
}

/* The vectors of a group that go by the same classes as the first one. */
static int vectors_of(const finder *f, int group, vec *out, int max)
{
	int n = 0;
	for (int i = 0; i < f->s->g->n_weight && n < max; i++) {
		const ds_value *v = f->s->g->weight[i];
		int *cls = f->map[v->id * DS_MAX_RANK];
		const ds_value *own = weight_named(f->own, v->name);
		if (!cls || !vector(v) || !vector(own) || !of_group(f, cls, v->type.dim[0], group) || v->type.dim[0] != f->s->group[group].classes)
			continue;
		if (n && (memcmp(out[0].cls, cls, (size_t)v->type.dim[0] * sizeof *cls) != 0 || own->type.dim[0] != out[0].own->type.dim[0]))
			continue;
		out[n++] = (vec){ v, own, cls };
	}
	return n;
}

/* Vectors that training or recalibration has changed do not count: those of which every entry is found count. */
static bool contained(const vec *v)
{
	const float *own = v->own->data.data, *ref = v->ref->data.data;
	int64_t at = 0, n = v->ref->type.dim[0];
	for (int64_t j = 0; j < v->own->type.dim[0]; j++, at++) {
		while (at < n && ref[at] != own[j])
			at++;
		if (at == n)
			return false;
	}
	return true;
}

static void find_group(finder *f, int group)
{
	vec v[32];
	int all = vectors_of(f, group, v, 32), n = 0;
	for (int i = 0; i < all; i++)
		if (contained(&v[i]))
			v[n++] = v[i];
	if (!n)
		return;
	int64_t at = 0, of = v[0].ref->type.dim[0];
	for (int64_t j = 0; j < v[0].own->type.dim[0]; j++, at++) {
		for (bool same = false; at < of && !same; at += !same) {
			same = true;
			for (int i = 0; i < n; i++)
				same = same && ((const float *)v[i].ref->data.data)[at] == ((const float *)v[i].own->data.data)[j];
		}
		if (at == of)
			return;
		f->left[v[0].cls[at]] = 1;
	}
	f->known[group] = 1;
}

/* Tell of a value all of whose channels' groups are known. */
static ds_status tell_value(const finder *f, const ds_value *v, ds_cut_fn tell, void *arg, ds_err *err)
{
	const int *cls = f->map[v->id * DS_MAX_RANK + 1];
	int64_t of = extent(v, 1), n = 0;
	if (!cls || v->type.rank < 2 || !v->name[0])
		return DS_OK;
	int32_t *left = ds_calloc((size_t)of + 1, sizeof *left);
	if (!left)
		return ds_fail_nomem(err, (size_t)of * sizeof *left);
	ds_status rc = DS_OK;
	bool clear = true;
	for (int64_t i = 0; i < of; i++) {
		clear = clear && (cls[i] < 0 || f->known[f->s->cls[cls[i]].group]);
		if (cls[i] < 0 || f->left[cls[i]])
			left[n++] = (int32_t)i;
	}
	if (clear && n < of)
		rc = tell(arg, v->name, left, n, of, err);
	ds_free(left);
	return rc;
}

ds_status ds_against_cuts(const ds_model *ref, const ds_graph *named, const ds_graph *own, ds_cut_fn tell, void *arg, ds_err *err)
{
	finder f = { .own = own };
	ds_model m = *ref;
	const ds_value **by_id = NULL;
	ds_status rc;
	m.graph = (ds_graph *)(uintptr_t)named;
	DS_TRY(ds_structure_new(&f.s, &m, NULL, err));
	ds_graph_number(f.s->g);
	f.n_map = ds_graph_values(f.s->g);
	f.map = ds_calloc((size_t)(f.n_map + 1) * DS_MAX_RANK, sizeof *f.map);
	f.left = ds_calloc((size_t)f.s->n_cls + 1, 1);
	f.known = ds_calloc((size_t)f.s->n_group + 1, 1);
	by_id = ds_calloc((size_t)f.n_map + 1, sizeof *by_id);
	if (!f.map || !f.left || !f.known || !by_id) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	list_values(f.s->g, by_id);
	for (int i = 0; i < f.s->n_cls; i++)
		for (int k = 0; k < f.s->cls[i].n; k++)
			DS_GOTO(note_element(&f, by_id, &f.s->elem[f.s->cls[i].first + k], i, err));
	for (int i = 0; i < f.s->n_group; i++)
		find_group(&f, i);
	for (int i = 0; i < f.s->g->n_node; i++)
		for (int k = 0; k < f.s->g->node[i]->n_out; k++)
			DS_GOTO(tell_value(&f, f.s->g->node[i]->out[k], tell, arg, err));
	rc = DS_OK;
out:
	ds_arena_done(&f.arena);
	ds_free(f.map);
	ds_free(f.left);
	ds_free(f.known);
	ds_free((void *)by_id);
	ds_structure_free(f.s);
	return rc;
}
