/* cost.c - what a model costs when groups keep so many channels: parameters, bytes, multiply-adds, or time by a table of measured layers
 *
 * The cost is a sum of terms, one for each weight or node, and a term depends on the groups whose channels are on an axis of its values.  Extents follow from the numbers that
 * stay without cutting anything, so a search can ask for thousands of plans. */
#include "search.h"

#include <math.h>
#include <string.h>

/* Part of an axis' extent: so many indices for each unit that a group keeps. */
typedef struct part { int group; double per_unit; } part;
typedef struct axis { int first, n; int64_t rest; } axis;       /* parts[first .. first+n), and what never goes */
typedef struct term { int node, weight; double now; } term;     /* one of the two, the other -1 */

struct ds_costs {
	const ds_structure *s;
	ds_cost_kind kind;
	const ds_latency *table;
	axis   *axis;                   /* by value id * DS_MAX_RANK + axis */
	part   *part;  int n_part;  size_t cap_part;
	term   *term;  int n_term;
	int    *of;    int *first;      /* terms of group g: of[first[g] .. first[g+1]) */
	int    *slot;                   /* by node: row of the table, -1: none */
	double  fixed;
	ds_arg *in;                     /* room for the widest node */
	ds_type *out;
};

/* ---- extents -------------------------------------------------------------------------------------------------------------------------- */
static const ds_type **types_by_id(const ds_structure *s)
{
	const ds_graph *g = s->g;
	const ds_type **type = ds_calloc((size_t)s->known.n + 1, sizeof *type);
	for (int i = 0; type && i < g->n_input; i++)
		type[g->input[i]->id] = &g->input[i]->type;
	for (int i = 0; type && i < g->n_weight; i++)
		type[g->weight[i]->id] = &g->weight[i]->type;
	for (int i = 0; type && i < g->n_node; i++)
		for (int k = 0; k < g->node[i]->n_out; k++)
			type[g->node[i]->out[k]->id] = &g->node[i]->out[k]->type;
	return type;
}

/* Elements by axis and group, counted; classes come in the order of their first element, so parts of one axis are gathered in a pass over the axes. */
static ds_status find_parts(ds_costs *c, ds_err *err)
{
	const ds_structure *s = c->s;
	int n = s->known.n * DS_MAX_RANK;
	ds_status rc = DS_OK;
	const ds_type **type = types_by_id(s);
	int *head = ds_malloc(sizeof *head * ((size_t)n + 1)), *next = NULL;
	typedef struct count { int group, n; } count;
	count *list = NULL;
	size_t cap = 0, cap_next = 0;
	int used = 0;
	if (!type || !head) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	for (int i = 0; i < n; i++)
		head[i] = -1;
	for (int i = 0; i < s->n_cls; i++)
		for (int k = 0; k < s->cls[i].n; k++) {
			const ds_pelem *e = &s->elem[s->cls[i].first + k];
			int at = e->value * DS_MAX_RANK + e->axis, j = head[at];
			while (j >= 0 && list[j].group != s->cls[i].group)
				j = next[j];
			if (j < 0) {
				if (!ds_grow((void **)&list, (size_t)used, &cap, sizeof *list) || !ds_grow((void **)&next, (size_t)used, &cap_next, sizeof *next)) {
					rc = ds_fail_nomem(err, 0);
					goto out;
				}
				list[used] = (count){ s->cls[i].group, 0 };
				next[used] = head[at];
				j = head[at] = used++;
			}
			list[j].n++;
		}
	for (int i = 0; i < n; i++) {
		const ds_type *t = type[i / DS_MAX_RANK];
		axis *a = &c->axis[i];
		*a = (axis){ c->n_part, 0, t && i % DS_MAX_RANK < t->rank ? t->dim[i % DS_MAX_RANK] : 0 };
		for (int j = head[i]; j >= 0; j = next[j]) {
			if (!ds_grow((void **)&c->part, (size_t)c->n_part, &c->cap_part, sizeof *c->part)) {
				rc = ds_fail_nomem(err, 0);
				goto out;
			}
			c->part[c->n_part++] = (part){ list[j].group, (double)list[j].n / s->group[list[j].group].classes };
			a->n++;
			a->rest -= list[j].n;
		}
	}
out:
	ds_free(type);
	ds_free(head);
	ds_free(next);
	ds_free(list);
	return rc;
}

static int64_t extent(const ds_costs *c, const int *keep, int value, int k)
{
	const axis *a = &c->axis[value * DS_MAX_RANK + k];
	double sum = 0;
	for (int i = 0; i < a->n; i++)
		sum += c->part[a->first + i].per_unit * keep[c->part[a->first + i].group];
	return a->rest + llround(sum);
}

static ds_type shrunk(const ds_costs *c, const int *keep, const ds_value *v)
{
	ds_type t = v->type;
	for (int k = 0; k < t.rank; k++)
		if (c->axis[v->id * DS_MAX_RANK + k].n)
			t.dim[k] = extent(c, keep, v->id, k);
	return t;
}

/* ---- terms ---------------------------------------------------------------------------------------------------------------------------- */
static bool folded(const ds_structure *s, const ds_node *n)
{
	for (int i = 0; i < n->n_out; i++)
		if (!s->known.known[n->out[i]->id].data)
			return false;
	return true;
}

static int channel_axis(const ds_type *t) { return t->rank > 2 ? 1 : t->rank - 1; }

void ds_node_channels(const ds_node *n, const ds_type *in, const ds_type *out, int64_t *ci, int64_t *co)
{
	(void)n;
	*ci = in && in->rank > 0 ? in->dim[channel_axis(in)] : 0;
	*co = out->rank > 0 ? out->dim[channel_axis(out)] : 0;
}

static double node_value(const ds_costs *c, const int *keep, int i)
{
	const ds_node *n = c->s->g->node[i];
	if (c->kind == DS_COST_LATENCY) {
		ds_type in = n->n_in && n->in[0] ? shrunk(c, keep, n->in[0]) : (ds_type){ .rank = 0 }, out = shrunk(c, keep, n->out[0]);
		int64_t ci, co;
		ds_node_channels(n, &in, &out, &ci, &co);
		return ds_latency_at(c->table, c->slot[i], ci, co);
	}
	ds_cost cost = { 0 };
	for (int k = 0; k < n->n_in; k++) {
		const ds_tensor *known = n->in[k] && c->s->known.known[n->in[k]->id].data ? &c->s->known.known[n->in[k]->id] : NULL;
		c->in[k] = n->in[k] ? (ds_arg){ true, shrunk(c, keep, n->in[k]), known } : (ds_arg){ 0 };
	}
	for (int k = 0; k < n->n_out; k++)
		c->out[k] = shrunk(c, keep, n->out[k]);
	if (n->op->cost)
		n->op->cost(n, c->in, c->out, &cost);
	return cost.macs;
}

static double term_value(const ds_costs *c, const int *keep, const term *t)
{
	if (t->node >= 0)
		return node_value(c, keep, t->node);
	const ds_value *v = c->s->g->weight[t->weight];
	ds_type w = shrunk(c, keep, v);
	double n = (double)ds_type_count(&w);
	return c->kind == DS_COST_PARAMS ? n : ceil(n * (double)ds_dtype_size(w.dtype) / 64) * 64;       /* records are aligned */
}

/* Groups on the axes of a value, into mark. */
static void mark_groups(const ds_costs *c, const ds_value *v, char *mark, bool *any)
{
	for (int k = 0; v && k < v->type.rank; k++) {
		const axis *a = &c->axis[v->id * DS_MAX_RANK + k];
		for (int i = 0; i < a->n; i++)
			mark[c->part[a->first + i].group] = 1;
		*any |= a->n > 0;
	}
}

static void groups_of(const ds_costs *c, const term *t, char *mark, bool *any)
{
	memset(mark, 0, (size_t)c->s->n_group);
	*any = false;
	if (t->weight >= 0) {
		mark_groups(c, c->s->g->weight[t->weight], mark, any);
		return;
	}
	const ds_node *n = c->s->g->node[t->node];
	for (int k = 0; k < n->n_in; k++)
		mark_groups(c, n->in[k], mark, any);
	for (int k = 0; k < n->n_out; k++)
		mark_groups(c, n->out[k], mark, any);
}

static ds_status find_terms(ds_costs *c, ds_err *err)
{
	const ds_graph *g = c->s->g;
	int groups = c->s->n_group, most = 0, *keep = ds_calloc((size_t)groups + 1, sizeof *keep);
	bool weights = c->kind == DS_COST_PARAMS || c->kind == DS_COST_BYTES, any;
	char *mark = ds_calloc((size_t)groups + 1, 1);
	ds_status rc = DS_OK;
	c->term = ds_calloc((size_t)g->n_node + (size_t)g->n_weight + 1, sizeof *c->term);
	c->first = ds_calloc((size_t)groups + 2, sizeof *c->first);
	c->slot = ds_calloc((size_t)g->n_node + 1, sizeof *c->slot);
	for (int i = 0; i < g->n_node; i++)
		most = DS_MAX(most, DS_MAX(g->node[i]->n_in, g->node[i]->n_out));
	c->in = ds_calloc((size_t)most + 1, sizeof *c->in);
	c->out = ds_calloc((size_t)most + 1, sizeof *c->out);
	if (!keep || !mark || !c->term || !c->first || !c->slot || !c->in || !c->out) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	for (int i = 0; i < groups; i++)
		keep[i] = c->s->group[i].classes;
	for (int i = 0; i < (weights ? g->n_weight : g->n_node); i++) {
		term t = { weights ? -1 : i, weights ? i : -1, 0 };
		if (weights ? g->weight[i]->kind != DS_V_PARAM && c->kind == DS_COST_PARAMS : folded(c->s, g->node[i]))
			continue;
		if (c->kind == DS_COST_LATENCY && (c->slot[i] = ds_latency_find(c->table, g->node[i]->name)) < 0)
			continue;
		t.now = term_value(c, keep, &t);
		groups_of(c, &t, mark, &any);
		if (!any) {
			c->fixed += t.now;
			continue;
		}
		c->term[c->n_term++] = t;
		for (int k = 0; k < groups; k++)
			c->first[k + 1] += mark[k];
	}
	if (c->kind == DS_COST_LATENCY)
		c->fixed += ds_latency_rest(c->table);
	for (int i = 0; i < groups; i++)
		c->first[i + 1] += c->first[i];
	if (!(c->of = ds_calloc((size_t)c->first[groups] + 1, sizeof *c->of))) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	memset(keep, 0, sizeof *keep * (size_t)groups);         /* now: how many are there already */
	for (int i = 0; i < c->n_term; i++) {
		groups_of(c, &c->term[i], mark, &any);
		for (int k = 0; k < groups; k++)
			if (mark[k])
				c->of[c->first[k] + keep[k]++] = i;
	}
out:
	ds_free(keep);
	ds_free(mark);
	return rc;
}

ds_status ds_costs_new(ds_costs **out, const ds_structure *s, ds_cost_kind kind, const ds_latency *table, ds_err *err)
{
	ds_costs *c = ds_calloc(1, sizeof *c);
	*out = NULL;
	if (!c || !(c->axis = ds_calloc((size_t)s->known.n * DS_MAX_RANK + 1, sizeof *c->axis))) {
		ds_free(c);
		return ds_fail_nomem(err, 0);
	}
	c->s = s;
	c->kind = kind;
	c->table = table;
	ds_status rc = find_parts(c, err);
	if (rc == DS_OK)
		rc = find_terms(c, err);
	if (rc != DS_OK) {
		ds_costs_free(c);
		return rc;
	}
	*out = c;
	return DS_OK;
}

void ds_costs_free(ds_costs *c)
{
	if (!c)
		return;
	ds_free(c->axis);
	ds_free(c->part);
	ds_free(c->term);
	ds_free(c->of);
	ds_free(c->first);
	ds_free(c->slot);
	ds_free(c->in);
	ds_free(c->out);
	ds_free(c);
}

double ds_costs_total(ds_costs *c, const int *keep)
{
	double sum = c->fixed;
	for (int i = 0; i < c->n_term; i++)
		sum += c->term[i].now = term_value(c, keep, &c->term[i]);
	return sum;
}

double ds_costs_change(const ds_costs *c, int *keep, int group, int to)
{
	double d = 0;
	int from = keep[group];
	keep[group] = to;
	for (int i = c->first[group]; i < c->first[group + 1]; i++)
		d += term_value(c, keep, &c->term[c->of[i]]) - c->term[c->of[i]].now;
	keep[group] = from;
	return d;
}

void ds_costs_move(ds_costs *c, int *keep, int group, int to)
{
	keep[group] = to;
	for (int i = c->first[group]; i < c->first[group + 1]; i++)
		c->term[c->of[i]].now = term_value(c, keep, &c->term[c->of[i]]);
}

void ds_costs_neighbours(const ds_costs *c, char *pair)
{
	int n = c->s->n_group;
	for (int a = 0; a < n; a++)
		for (int b = 0; b < n; b++)
			for (int i = c->first[a], j = c->first[b]; i < c->first[a + 1] && j < c->first[b + 1];) {
				if (c->of[i] == c->of[j])
					pair[(size_t)a * (size_t)n + (size_t)b] = 1;
				if (c->of[i] < c->of[j])
					i++;
				else
					j++;
			}
}
