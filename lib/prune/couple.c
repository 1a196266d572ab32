/* couple.c - from links between axes to classes and groups: two union-finds
 *
 * Every axis of every value gets a run of elements.  Each node's links join elements; what a node does not link is marked as a barrier.  The classes that remain free
 * and hold an output channel of a weight are the units; sources (weight, axis) that share a unit are joined into groups. */
#include "prune.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LINKS = 256 };

typedef struct coupler {
	ds_structure *s;
	int64_t      *base;             /* by (value id, axis): first element; -1: value has no concrete type or is folded shape arithmetic */
	int          *parent;           /* by element */
	char         *barrier;          /* by element (meaningful at roots after joining) */
	char         *source;           /* by element: an output channel of a weight */
	int          *owner;            /* by element: value id * DS_MAX_RANK + axis */
	int64_t       n;
} coupler;

static int find(int *parent, int i)
{
	while (parent[i] != i) {
		parent[i] = parent[parent[i]];
		i = parent[i];
	}
	return i;
}

/* The smaller index becomes the root, so that roots follow the graph. */
static void join(int *parent, int a, int b)
{
	a = find(parent, a);
	b = find(parent, b);
	if (a < b)
		parent[b] = a;
	else
		parent[a] = b;
}

static int64_t base_of(const coupler *c, const ds_value *v, int axis)
{
	return c->base[(size_t)v->id * DS_MAX_RANK + (size_t)axis];
}

static ds_value *slot_value(const ds_node *n, int slot)
{
	if (slot >= DS_SLOT_OUT)
		return slot - DS_SLOT_OUT < n->n_out ? n->out[slot - DS_SLOT_OUT] : NULL;
	return slot < n->n_in ? n->in[slot] : NULL;
}

static void block_axis(coupler *c, const ds_value *v, int axis, const char *covered)
{
	int64_t b = base_of(c, v, axis);
	for (int64_t p = 0; b >= 0 && p < v->type.dim[axis]; p++)
		if (!covered || !covered[p])
			c->barrier[b + p] = 1;
}

/* Elementwise with broadcasting: aligned axes of equal extent go together; an axis of extent 1 against a larger one is neutral. */
static int elementwise_links(const ds_node *n, ds_link *link, int cap)
{
	int count = 0, rank = n->out[0]->type.rank;
	for (int i = 0; i < n->n_in; i++) {
		const ds_value *v = n->in[i];
		if (!v)
			continue;
		for (int a = 0; a < v->type.rank && count < cap; a++)
			if (v->type.dim[a] == n->out[0]->type.dim[a + rank - v->type.rank])
				link[count++] = (ds_link){ DS_LINK_SAME, (int8_t)i, (int8_t)a, DS_SLOT_OUT, (int8_t)(a + rank - v->type.rank), 0 };
	}
	return count;
}

static void apply_link(coupler *c, const ds_node *n, const ds_link *l)
{
	ds_value *va = slot_value(n, l->a), *vb = l->kind == DS_LINK_FREE || l->kind == DS_LINK_CYCLE ? NULL : slot_value(n, l->b);
	if (!va || l->a_axis >= va->type.rank || base_of(c, va, l->a_axis) < 0)
		return;
	int64_t a = base_of(c, va, l->a_axis), ea = va->type.dim[l->a_axis];
	if (l->kind == DS_LINK_FREE) {          /* cutting starts at weights, not at the operand of a product of two activations */
		if (c->s->known.known[va->id].data)
			memset(c->source + a, 1, (size_t)ea);
		return;
	}
	if (l->kind == DS_LINK_CYCLE) {
		for (int64_t p = l->n; l->n > 0 && p < ea; p++)
			join(c->parent, (int)(a + p), (int)(a + p % l->n));
		return;
	}
	if (!vb || l->b_axis >= vb->type.rank || base_of(c, vb, l->b_axis) < 0)
		return;
	int64_t b = base_of(c, vb, l->b_axis), eb = vb->type.dim[l->b_axis];
	for (int64_t p = 0; p < ea; p++) {
		switch (l->kind) {
		case DS_LINK_SAME:
			if (p < eb)
				join(c->parent, (int)(a + p), (int)(b + p));
			break;
		case DS_LINK_BLOCK:
			for (int64_t k = 0; k < l->n && p * l->n + k < eb; k++)
				join(c->parent, (int)(a + p), (int)(b + p * l->n + k));
			break;
		case DS_LINK_SHIFT:
			if (p + l->n >= 0 && p + l->n < eb)
				join(c->parent, (int)(a + p), (int)(b + p + l->n));
			break;
		case DS_LINK_GROUP:
			if (eb)
				join(c->parent, (int)(a + p), (int)(b + p % eb));
			break;
		default:
			break;
		}
	}
}

/* Axes of a node that no link names are barriers; of an output axis that shifts reach only in part, the rest is one. */
static ds_status bar_the_rest(coupler *c, const ds_node *n, const ds_link *link, int n_link, ds_err *err)
{
	for (int k = -n->n_in; k < n->n_out; k++) {
		int slot = k < 0 ? k + n->n_in : DS_SLOT_OUT + k;
		const ds_value *v = slot_value(n, slot);
		for (int a = 0; v && a < v->type.rank; a++) {
			bool named = false, shifted = false;
			int64_t extent = v->type.dim[a];
			if (extent <= 1 || base_of(c, v, a) < 0)
				continue;
			for (int i = 0; i < n_link; i++) {
				bool as_b = link[i].kind != DS_LINK_FREE && link[i].kind != DS_LINK_CYCLE && link[i].b == slot && link[i].b_axis == a;
				named |= as_b || (link[i].a == slot && link[i].a_axis == a);
				shifted |= as_b && slot >= DS_SLOT_OUT && link[i].kind == DS_LINK_SHIFT;
			}
			if (!named)
				block_axis(c, v, a, NULL);
			if (!shifted)
				continue;
			char *covered = ds_calloc((size_t)extent, 1);
			if (!covered)
				return ds_fail_nomem(err, (size_t)extent);
			for (int i = 0; i < n_link; i++) {
				const ds_value *va = slot_value(n, link[i].a);
				if (link[i].b != slot || link[i].b_axis != a || link[i].kind != DS_LINK_SHIFT || !va)
					continue;
				for (int64_t p = 0; p < va->type.dim[link[i].a_axis]; p++)
					if (p + link[i].n >= 0 && p + link[i].n < extent)
						covered[p + link[i].n] = 1;
			}
			block_axis(c, v, a, covered);
			ds_free(covered);
		}
	}
	return DS_OK;
}

static ds_status couple_node(coupler *c, const ds_node *n, ds_err *err)
{
	ds_link link[MAX_LINKS];
	int n_link = 0;
	bool folded = true;
	for (int i = 0; i < n->n_out; i++) {            /* shape arithmetic has no channels; weights that are reshaped or decoded have */
		const ds_dtype_row *d = ds_dtype_of(n->out[i]->type.dtype);
		folded &= c->s->known.known[n->out[i]->id].data && !(d && d->is_float);
	}
	if (folded)
		return DS_OK;
	if (n->op->channels) {
		ds_arg *in = ds_calloc((size_t)n->n_in + 1, sizeof *in);
		ds_type *out = ds_calloc((size_t)n->n_out, sizeof *out);
		if (in && out) {
			for (int i = 0; i < n->n_in; i++)
				if (n->in[i])
					in[i] = (ds_arg){ true, n->in[i]->type, c->s->known.known[n->in[i]->id].data ? &c->s->known.known[n->in[i]->id] : NULL };
			for (int i = 0; i < n->n_out; i++)
				out[i] = n->out[i]->type;
			n_link = n->op->channels(n, in, out, link, MAX_LINKS);
		}
		bool oom = !in || !out;
		ds_free(in);
		ds_free(out);
		if (oom)
			return ds_fail_nomem(err, 0);
	} else if (n->op->flags & DS_OP_ANY_LAYOUT) {
		n_link = elementwise_links(n, link, MAX_LINKS);
	}
	for (int i = 0; i < n_link; i++)
		apply_link(c, n, &link[i]);
	return bar_the_rest(c, n, link, n_link, err);
}

static void lay_value(coupler *c, const ds_value *v)
{
	const ds_dtype_row *d = ds_dtype_of(v->type.dtype);
	bool weight = v->kind == DS_V_PARAM || v->kind == DS_V_CONST;
	if (!ds_type_concrete(&v->type) || !d || (weight && !d->is_float && v->type.rank < 2))
		return;
	for (int a = 0; a < v->type.rank; a++) {
		size_t at = (size_t)v->id * DS_MAX_RANK + (size_t)a;
		if (c->owner)
			for (int64_t p = 0; p < v->type.dim[a]; p++)
				c->owner[c->n + p] = (int)at;
		c->base[at] = c->n;
		c->n += v->type.dim[a];
	}
}

static void lay_all(coupler *c)
{
	ds_graph *g = c->s->g;
	c->n = 0;
	for (int i = 0; i < g->n_input; i++)
		lay_value(c, g->input[i]);
	for (int i = 0; i < g->n_weight; i++)
		lay_value(c, g->weight[i]);
	for (int i = 0; i < g->n_node; i++)
		for (int k = 0; k < g->node[i]->n_out; k++)
			lay_value(c, g->node[i]->out[k]);
}

/* Runs of elements for every value that takes part: not the small integer tensors of shape arithmetic. */
static ds_status lay_elements(coupler *c, ds_err *err)
{
	int n = c->s->known.n;
	c->base = ds_malloc(sizeof *c->base * DS_MAX_RANK * ((size_t)n + 1));
	if (!c->base)
		return ds_fail_nomem(err, 0);
	for (size_t i = 0; i < (size_t)n * DS_MAX_RANK; i++)
		c->base[i] = -1;
	lay_all(c);                             /* count */
	if (c->n > 1 << 28)
		return ds_fail(err, DS_E_LIMIT, "the graph has too many indices to analyse");
	c->parent = ds_malloc(sizeof *c->parent * ((size_t)c->n + 1));
	c->barrier = ds_calloc((size_t)c->n + 1, 1);
	c->source = ds_calloc((size_t)c->n + 1, 1);
	c->owner = ds_calloc((size_t)c->n + 1, sizeof *c->owner);
	if (!c->parent || !c->barrier || !c->source || !c->owner)
		return ds_fail_nomem(err, (size_t)c->n * 10);
	lay_all(c);                             /* and fill owner */
	for (int64_t i = 0; i < c->n; i++)
		c->parent[i] = (int)i;
	return DS_OK;
}


static int cmp_i64(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

/* Elements sorted by (root, position) become the classes of the structure. */
static ds_status collect(coupler *c, ds_err *err)
{
	ds_structure *s = c->s;
	char *has_source = ds_calloc((size_t)c->n + 1, 1), *blocked = ds_calloc((size_t)c->n + 1, 1);
	int64_t *list = NULL, n = 0, last = -1;
	ds_status rc = DS_OK;
	if (!has_source || !blocked) {
		rc = ds_fail_nomem(err, (size_t)c->n * 2);
		goto out;
	}
	for (int64_t i = 0; i < c->n; i++) {
		int r = find(c->parent, (int)i);
		blocked[r] |= c->barrier[i];
		has_source[r] |= c->source[i];
	}
	for (int64_t i = 0; i < c->n; i++) {
		int r = find(c->parent, (int)i);
		n += has_source[r] && !blocked[r];
	}
	list = ds_malloc(sizeof *list * ((size_t)n + 1));
	s->elem = ds_calloc((size_t)n + 1, sizeof *s->elem);
	s->cls = ds_calloc((size_t)n + 1, sizeof *s->cls);
	if (!list || !s->elem || !s->cls) {
		rc = ds_fail_nomem(err, (size_t)n * 32);
		goto out;
	}
	n = 0;
	for (int64_t i = 0; i < c->n; i++) {
		int64_t r = find(c->parent, (int)i);
		if (has_source[r] && !blocked[r])
			list[n++] = r << 32 | i;
	}
	qsort(list, (size_t)n, sizeof *list, cmp_i64);
	for (int64_t i = 0; i < n; i++) {
		int64_t root = list[i] >> 32, e = list[i] & 0xFFFFFFFF;
		int own = c->owner[e];
		if (root != last)
			s->cls[s->n_cls++].first = s->n_elem;
		last = root;
		s->cls[s->n_cls - 1].n++;
		s->elem[s->n_elem++] = (ds_pelem){ own / DS_MAX_RANK, (int8_t)(own % DS_MAX_RANK), c->source[e], (int32_t)(e - c->base[own]) };
	}
out:
	ds_free(has_source);
	ds_free(blocked);
	ds_free(list);
	return rc;
}

/* The weight with this id; where the source is made of a weight (reshaped, decoded), the first weight that the class cuts. */
static const char *group_name(const ds_structure *s, const ds_pclass *c, int id)
{
	for (int w = 0; w < s->g->n_weight; w++)
		if (s->g->weight[w]->id == id)
			return s->g->weight[w]->name;
	for (int k = 0; k < c->n; k++)
		for (int w = 0; w < s->g->n_weight; w++)
			if (s->g->weight[w]->id == s->elem[c->first + k].value)
				return s->g->weight[w]->name;
	return "";
}

/* Sources that share a class belong to one group; groups are numbered and named by their first source. */
static ds_status group_classes(ds_structure *s, ds_err *err)
{
	int n = s->known.n * DS_MAX_RANK;
	int *parent = ds_malloc(sizeof *parent * ((size_t)n + 1)), *number = ds_malloc(sizeof *number * ((size_t)n + 1));
	s->group = ds_calloc((size_t)s->n_cls + 1, sizeof *s->group);
	s->frozen = ds_calloc((size_t)s->n_cls + 1, 1);
	if (!parent || !number || !s->group || !s->frozen) {
		ds_free(parent);
		ds_free(number);
		return ds_fail_nomem(err, (size_t)n * 8);
	}
	for (int i = 0; i < n; i++) {
		parent[i] = i;
		number[i] = -1;
	}
	for (int i = 0; i < s->n_cls; i++) {
		int first = -1;
		for (int k = 0; k < s->cls[i].n; k++) {
			const ds_pelem *e = &s->elem[s->cls[i].first + k];
			int at = e->value * DS_MAX_RANK + e->axis;
			if (!e->source)
				continue;
			if (first < 0)
				first = at;
			join(parent, first, at);
		}
		s->cls[i].group = first;
	}
	for (int i = 0; i < s->n_cls; i++) {
		int r = find(parent, s->cls[i].group);
		if (number[r] < 0) {
			number[r] = s->n_group++;
			s->group[number[r]].name = group_name(s, &s->cls[i], r / DS_MAX_RANK);
		}
		s->cls[i].group = number[r];
		s->group[number[r]].classes++;
	}
	/* How many weights take part: count each source (value, axis) once. */
	char *seen = ds_calloc((size_t)n + 1, 1);
	for (int i = 0; seen && i < s->n_cls; i++)
		for (int k = 0; k < s->cls[i].n; k++) {
			const ds_pelem *e = &s->elem[s->cls[i].first + k];
			int at = e->value * DS_MAX_RANK + e->axis;
			if (e->source && !seen[at]) {
				seen[at] = 1;
				s->group[s->cls[i].group].layers++;
			}
		}
	for (int i = 0; i < s->n_group; i++)
		s->group[i].keep = s->group[i].classes;
	ds_free(parent);
	ds_free(number);
	ds_status rc = seen ? DS_OK : ds_fail_nomem(err, (size_t)n);
	ds_free(seen);
	return rc;
}

static void default_types(const ds_graph *g, const ds_type *in, ds_type *t)
{
	for (int i = 0; i < g->n_input; i++) {
		t[i] = in ? in[i] : g->input[i]->type;
		for (int k = 0; k < t[i].rank; k++)
			if (t[i].dim[k] < 0)
				t[i].dim[k] = 1;
	}
}

ds_status ds_structure_new(ds_structure **out, const ds_model *m, const ds_type *in, ds_err *err)
{
	ds_structure *s = ds_calloc(1, sizeof *s);
	coupler c = { .s = s };
	ds_type *t = ds_calloc((size_t)m->graph->n_input + 1, sizeof *t);
	ds_status rc = DS_OK;
	*out = NULL;
	if (!s || !t || !(s->g = ds_graph_clone(m->graph)) || ds_graph_name_all(s->g) != DS_OK) {
		rc = ds_fail_nomem(err, sizeof *s);
		goto out;
	}
	default_types(s->g, in, t);
	DS_GOTO(ds_graph_verify(s->g, NULL, err));
	DS_GOTO(ds_graph_bind(s->g, t, s->g->n_input, &s->known, err));
	DS_GOTO(lay_elements(&c, err));
	for (int i = 0; i < s->g->n_input; i++)
		for (int a = 0; a < s->g->input[i]->type.rank; a++)
			block_axis(&c, s->g->input[i], a, NULL);
	for (int i = 0; i < s->g->n_output; i++)
		for (int a = 0; a < s->g->output[i]->type.rank; a++)
			block_axis(&c, s->g->output[i], a, NULL);
	for (int i = 0; i < s->g->n_node; i++)
		DS_GOTO(couple_node(&c, s->g->node[i], err));
	DS_GOTO(collect(&c, err));
	DS_GOTO(group_classes(s, err));
	*out = s;
	s = NULL;
out:
	ds_free(t);
	ds_free(c.base);
	ds_free(c.parent);
	ds_free(c.barrier);
	ds_free(c.source);
	ds_free(c.owner);
	ds_structure_free(s);
	return rc;
}

void ds_structure_free(ds_structure *s)
{
	if (!s)
		return;
	ds_bound_free(&s->known);
	ds_graph_free(s->g);
	ds_free(s->elem);
	ds_free(s->cls);
	ds_free(s->group);
	ds_free(s->frozen);
	ds_free(s);
}

void ds_structure_dump(const ds_structure *s, ds_buf *out)
{
	ds_buf_str(out, "group\tlayers\tchannels\n");
	for (int i = 0; i < s->n_group; i++)
		ds_buf_printf(out, "%s\t%d\t%d\n", s->group[i].name, s->group[i].layers, s->group[i].classes);
}
