/* plan.c - from a bound graph to steps: variants, layouts, views, lifetimes */
#include "plan.h"
#include "../base/rng.h"

#include <limits.h>
#include <string.h>

typedef struct planner { ds_session *s; ds_plan *p; ds_err *err; int *last_read; /* by value id: node position */ } planner;

/* ---- slots --------------------------------------------------------------------------------------------------------------------- */
static int slot_new(ds_plan *p, ds_where where, const ds_type *type, ds_layout layout)
{
	size_t cap = p->cap_slot;
	if (!ds_grow((void **)&p->slot, (size_t)p->n_slot, &p->cap_slot, sizeof *p->slot))
		return -1;
	if (cap != p->cap_slot) {
		int *o = ds_realloc(p->other, p->cap_slot, sizeof *o);
		if (!o)
			return -1;
		p->other = o;
	}
	ds_slot *s = &p->slot[p->n_slot];
	*s = (ds_slot){ .where = where, .storage = p->n_slot, .first = p->n_step, .last = p->n_step };
	ds_tensor_borrow(&s->t, type->dtype, type->rank, type->dim, NULL);
	s->t.layout = layout;
	s->bytes = ds_tensor_bytes(&s->t);
	p->other[p->n_slot] = -1;
	return p->n_slot++;
}

/* Both layouts are the same bytes when there is one channel or one point. */
static bool layouts_equal(const ds_type *t)
{
	int64_t points = 1;
	for (int i = 2; i < t->rank; i++)
		points *= t->dim[i];
	return t->rank < 3 || t->dim[1] <= 1 || points <= 1;
}

static ds_step *step_new(ds_plan *p, ds_node *n, int n_in, int n_out)
{
	if (!ds_grow((void **)&p->step, (size_t)p->n_step, &p->cap_step, sizeof *p->step))
		return NULL;
	ds_step *s = &p->step[p->n_step];
	*s = (ds_step){ .node = n, .in = ds_arena_alloc(&p->arena, (size_t)n_in + 1, sizeof(int)), .out = ds_arena_alloc(&p->arena, (size_t)n_out, sizeof(int)) };
	return s->in && s->out ? s : NULL;
}

static void alive(ds_plan *p, int slot, int at)
{
	ds_slot *s = &p->slot[p->slot[slot].storage];
	s->last = DS_MAX(s->last, at);
}

/* The slot with the value of `slot` in layout `want`; adds a conversion step if there is none yet. */
static int in_layout(planner *pl, int slot, ds_layout want)
{
	ds_plan *p = pl->p;
	if (p->slot[slot].t.layout == want)
		return slot;
	if (p->other[slot] >= 0)
		return p->other[slot];
	ds_type type = ds_type_of(&p->slot[slot].t);
	int to = slot_new(p, p->slot[slot].where == DS_AT_KNOWN ? DS_AT_KNOWN : DS_AT_ARENA, &type, want);
	if (to < 0)
		return -1;
	p->other[slot] = to;
	p->other[to] = slot;
	p->slot[to].until = p->slot[p->slot[slot].storage].until;
	if (layouts_equal(&type)) {                     /* another header on the same bytes */
		p->slot[to].where = p->slot[slot].where;
		p->slot[to].storage = p->slot[slot].storage;
		p->slot[to].t.data = p->slot[slot].t.data;
		return to;
	}
	if (p->slot[slot].where == DS_AT_KNOWN) {
		ds_tensor t;
		if (ds_tensor_new(&t, type.dtype, type.rank, type.dim, pl->err) != DS_OK)
			return -1;
		t.layout = want;
		p->slot[to].t = t;                      /* owned by the slot */
		return ds_tensor_relayout(&p->slot[slot].t, &t, pl->err) == DS_OK ? to : -1;
	}
	ds_node *n = ds_graph_node(p->g, "ds", "Relayout", "", 1, (ds_value *[]){ NULL }, 1, NULL);
	ds_step *st = n ? step_new(p, n, 1, 1) : NULL;
	if (!st)
		return -1;
	p->g->n_node--;                                 /* lives in the arena only: not part of the graph */
	n->op = ds_op_find("ds", "Relayout");
	n->name = "relayout";
	st->in[0] = slot;
	st->out[0] = to;
	p->slot[to].first = p->slot[to].last = p->n_step;
	alive(p, slot, p->n_step);
	p->n_step++;
	return to;
}

/* ---- packed weights, decoded weights ------------------------------------------------------------------------------------------- */
static uint64_t type_key(uint64_t h, const ds_type *t, bool skip_first)
{
	ds_type c = *t;
	if (skip_first && c.rank > 0)
		c.dim[0] = 0;
	int64_t words[DS_MAX_RANK + 2] = { c.dtype, c.rank };
	for (int i = 0; i < c.rank; i++)
		words[i + 2] = c.dim[i];
	return ds_hash64(words, sizeof words[0] * (size_t)(c.rank + 2), h);
}

/* Equal keys mean equal results of prepare: same node of the session's graph, same constants, same types but for dim 0 of what is not constant. */
static uint64_t prep_key(const ds_session *s, const ds_node *n, const ds_arg *in, const ds_type *out, int original)
{
	uint64_t h = ds_hash64(&original, sizeof original, 0x5eed);
	for (int i = 0; i < n->n_in; i++) {
		h = ds_hash64(&in[i].present, sizeof(bool), h);
		if (!in[i].present)
			continue;
		h = type_key(h, &in[i].type, !in[i].value);
		if (!in[i].value)
			continue;
		bool weight = false;                    /* weights of the session's graph keep their address; folded values are compared by content */
		for (int k = 0; k < s->g->n_weight && !weight; k++)
			weight = s->g->weight[k]->data.data == in[i].value->data;
		h = weight ? ds_hash64(&in[i].value->data, sizeof(void *), h) : ds_hash64(in[i].value->data, ds_tensor_bytes(in[i].value), h);
	}
	for (int i = 0; i < n->n_out; i++)
		h = type_key(h, &out[i], true);
	return h;
}

static ds_status get_prep(planner *pl, const ds_variant *v, const ds_node *n, const ds_arg *in, const ds_type *out, const void **prep)
{
	ds_session *s = pl->s;
	uint64_t key = prep_key(s, n, in, out, n->id);
	for (ds_prep *q = s->preps; q; q = q->next)
		if (q->key == key && q->variant == v) {
			*prep = q->data;
			return DS_OK;
		}
	ds_prep *q = ds_calloc(1, sizeof *q);
	if (!q)
		return ds_fail_nomem(pl->err, sizeof *q);
	q->variant = v;
	q->key = key;
	ds_status rc = v->prepare(n, in, out, &q->data, &q->bytes, pl->err);
	if (rc != DS_OK) {
		ds_free(q);
		return rc;
	}
	q->next = s->preps;
	s->preps = q;
	s->prep_bytes += q->bytes;
	*prep = q->data;
	return DS_OK;
}

/* Quantised constants for functions that want f32: decoded once per plan, in place of the known value. */
static ds_status decode_known(planner *pl, int id)
{
	ds_tensor *k = &pl->p->known.known[id], f;
	if (!k->q)
		return DS_OK;
	DS_TRY(ds_tensor_to_f32(k, &f, pl->err));
	ds_tensor_done(k);
	*k = f;
	return DS_OK;
}

/* ---- one node ------------------------------------------------------------------------------------------------------------------ */
static int known_slot(planner *pl, ds_value *v)
{
	ds_plan *p = pl->p;
	if (p->slot_of[v->id] < 0) {
		int s = slot_new(p, DS_AT_KNOWN, &v->type, DS_PLAIN);
		if (s < 0)
			return -1;
		p->slot_of[v->id] = s;
	}
	p->slot[p->slot_of[v->id]].t = p->known.known[v->id];
	p->slot[p->slot_of[v->id]].t.buf = NULL;        /* owned by known */
	return p->slot_of[v->id];
}

/* Layout for an operator that takes any: that of the inputs with the output's full shape, if one of them is channels-last. */
static ds_layout any_layout(const ds_plan *p, const ds_node *n, const ds_type *out)
{
	for (int i = 0; i < n->n_in; i++) {
		int s = n->in[i] ? p->slot_of[n->in[i]->id] : -1;
		if (s >= 0 && p->slot[s].t.layout == DS_CHANNELS_LAST && ds_type_same_dims(&n->in[i]->type, out))
			return DS_CHANNELS_LAST;
	}
	return DS_PLAIN;
}

static const ds_variant *choose(planner *pl, const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	for (const ds_variant *v = pl->s->o.no_variants ? NULL : n->op->variants; v && v->name; v++) {
		for (int i = 0; i < n->n_in; i++) {
			int s = n->in[i] ? pl->p->slot_of[n->in[i]->id] : -1;
			want[i] = s >= 0 ? pl->p->slot[s].t.layout : DS_PLAIN;
		}
		*out_layout = DS_PLAIN;
		if (v->match(n, in, out, want, out_layout))
			return v;
	}
	*out_layout = n->op->flags & DS_OP_ANY_LAYOUT ? any_layout(pl->p, n, &out[0]) : DS_PLAIN;
	for (int i = 0; i < n->n_in; i++)
		want[i] = *out_layout == DS_CHANNELS_LAST && in[i].present && ds_type_same_dims(&in[i].type, &out[0]) ? DS_CHANNELS_LAST : DS_PLAIN;
	return NULL;
}

/* May out[0] use in[0]'s memory?  Only the planner's own memory, only when nobody reads it later. */
static bool in_place(const planner *pl, const ds_node *n, int in_slot, const ds_type *out, ds_layout layout)
{
	const ds_plan *p = pl->p;
	if (!(n->op->flags & DS_OP_INPLACE) || pl->s->o.keep_all || in_slot < 0)
		return false;
	const ds_slot *s = &p->slot[in_slot];
	if (s->where != DS_AT_ARENA || s->t.layout != layout || s->t.dtype != out->dtype || p->slot[s->storage].until > n->id)
		return false;
	for (int i = 1; i < n->n_in; i++) {             /* another view of the same memory is read while out is written: only x * x itself is safe */
		int o = n->in[i] ? p->slot_of[n->in[i]->id] : -1;
		if (o >= 0 && p->slot[o].storage == s->storage && n->in[i] != n->in[0])
			return false;
	}
	ds_type it = ds_type_of(&s->t);
	return ds_type_same_dims(&it, out) && ds_dtype_size(s->t.dtype) == ds_dtype_size(out->dtype);
}

static ds_status plan_node(planner *pl, ds_node *n)
{
	ds_plan *p = pl->p;
	ds_status rc = DS_OK;
	ds_arg *in = ds_calloc((size_t)n->n_in + 1, sizeof *in);
	ds_type *out = ds_calloc((size_t)n->n_out, sizeof *out);
	ds_layout *want = ds_calloc((size_t)n->n_in + 1, sizeof *want), out_layout = DS_PLAIN;
	int *slots = ds_calloc((size_t)n->n_in + 1, sizeof *slots);
	if (!in || !out || !want || !slots) {
		rc = ds_fail_nomem(pl->err, 0);
		goto out;
	}
	for (int i = 0; i < n->n_in; i++)
		if (n->in[i])
			in[i] = (ds_arg){ true, n->in[i]->type, p->known.known[n->in[i]->id].data ? &p->known.known[n->in[i]->id] : NULL };
	for (int i = 0; i < n->n_out; i++)
		out[i] = n->out[i]->type;
	const ds_variant *v = choose(pl, n, in, out, want, &out_layout);
	if (!v && !n->op->forward) {
		rc = ds_fail(pl->err, DS_E_UNSUPPORTED, "operator has no implementation for these types");
		goto out;
	}
	if (!(v && v->prepare))
		for (int i = 0; i < n->n_in; i++)
			if (in[i].value && in[i].value->q)
				DS_GOTO(decode_known(pl, n->in[i]->id));
	for (int i = 0; i < n->n_in; i++) {
		slots[i] = -1;
		if (!n->in[i])
			continue;
		slots[i] = in[i].value ? known_slot(pl, n->in[i]) : p->slot_of[n->in[i]->id];
		bool laid = slots[i] >= 0 && !p->slot[slots[i]].t.q && !(in[i].value && v && v->prepare);
		if (laid)
			slots[i] = in_layout(pl, slots[i], want[i]);
		if (slots[i] < 0) {
			rc = ds_fail_nomem(pl->err, 0);
			goto out;
		}
	}
	ds_step *st = step_new(p, n, n->n_in, n->n_out);
	if (!st) {
		rc = ds_fail_nomem(pl->err, 0);
		goto out;
	}
	st->variant = v;
	for (int i = 0; i < n->n_in; i++) {
		st->in[i] = slots[i];
		if (slots[i] >= 0)
			alive(p, slots[i], p->n_step);
	}
	int at = p->n_step;
	if (v && v->prepare)
		DS_GOTO(get_prep(pl, v, n, in, out, &st->prep));
	size_t (*scratch)(const ds_node *, const ds_arg *, const ds_type *, int) = v ? v->scratch : n->op->scratch;
	st->scratch = scratch ? scratch(n, in, out, ds_pool_threads(pl->s->pool)) : 0;
	p->scratch = DS_MAX(p->scratch, st->scratch);
	for (int i = 0; i < n->n_out; i++) {
		int s = slot_new(p, DS_AT_ARENA, &out[i], out_layout);
		if (s < 0) {
			rc = ds_fail_nomem(pl->err, 0);
			goto out;
		}
		p->slot[s].until = pl->last_read[n->out[i]->id];
		p->slot_of[n->out[i]->id] = s;
		st->out[i] = s;
		bool view = i == 0 && (n->op->flags & DS_OP_VIEW) && !v && !pl->s->o.keep_all && slots[0] >= 0 && p->slot[slots[0]].t.layout == DS_PLAIN;
		if (view || (i == 0 && in_place(pl, n, slots[0], &out[0], out_layout))) {
			int root = p->slot[slots[0]].storage;
			p->slot[s].where = p->slot[slots[0]].where;
			p->slot[s].storage = root;
			p->slot[root].until = DS_MAX(p->slot[root].until, p->slot[s].until);
			p->slot[s].t.data = p->slot[slots[0]].t.data;
			st->view = view && n->n_out == 1;        /* a second output (Dropout's mask) has to be written */
			alive(p, s, at);
		}
	}
	p->n_step++;
out:
	if (rc != DS_OK)
		ds_err_prefix(pl->err, "node \"%.100s\" (%.64s)", ds_node_label(n), n->op_name);
	ds_free(in);
	ds_free(out);
	ds_free(want);
	ds_free(slots);
	return rc;
}

/* ---- the plan ------------------------------------------------------------------------------------------------------------------ */
static bool all_known(const ds_plan *p, const ds_node *n)
{
	for (int i = 0; i < n->n_out; i++)
		if (!p->known.known[n->out[i]->id].data)
			return false;
	return true;
}

/* needed[id]: the value is read by a node that runs or is an output.  Nodes are visited from the end. */
static void mark_needed(const ds_plan *p, char *needed, int *last_read)
{
	const ds_graph *g = p->g;
	for (int i = 0; i < g->n_output; i++) {
		needed[g->output[i]->id] = 1;
		last_read[g->output[i]->id] = INT_MAX;
	}
	for (int i = g->n_node - 1; i >= 0; i--) {
		const ds_node *n = g->node[i];
		bool run = false;
		for (int k = 0; k < n->n_out; k++)
			run |= needed[n->out[k]->id];
		if (!run || all_known(p, n))
			continue;
		for (int k = 0; k < n->n_in; k++)
			if (n->in[k]) {
				needed[n->in[k]->id] = 1;
				last_read[n->in[k]->id] = DS_MAX(last_read[n->in[k]->id], i);
			}
	}
}

static ds_status plan_steps(planner *pl, const char *needed)
{
	ds_plan *p = pl->p;
	ds_graph *g = p->g;
	for (int i = 0; i < g->n_input; i++) {
		int s = slot_new(p, DS_AT_INPUT, &g->input[i]->type, DS_PLAIN);
		if (s < 0)
			return ds_fail_nomem(pl->err, 0);
		p->slot[s].until = INT_MAX;
		p->slot_of[g->input[i]->id] = s;
	}
	int nodes = g->n_node;
	for (int i = 0; i < nodes; i++) {
		ds_node *n = g->node[i];
		bool run = pl->s->o.keep_all;
		for (int k = 0; k < n->n_out; k++)
			run |= needed[n->out[k]->id];
		if (run && all_known(p, n))
			p->folded++;
		else if (run)
			DS_TRY(plan_node(pl, n));
	}
	p->output = ds_arena_alloc(&p->arena, (size_t)g->n_output + 1, sizeof *p->output);
	if (!p->output)
		return ds_fail_nomem(pl->err, 0);
	for (int i = 0; i < g->n_output; i++) {
		ds_value *v = g->output[i];
		if (p->known.known[v->id].data)
			DS_TRY(decode_known(pl, v->id));
		int s = p->known.known[v->id].data ? known_slot(pl, v) : p->slot_of[v->id];
		s = s < 0 ? s : in_layout(pl, s, DS_PLAIN);
		if (s < 0)
			return ds_fail_nomem(pl->err, 0);
		p->output[i] = s;
		alive(p, s, INT_MAX);
	}
	return DS_OK;
}

/* Memory for what lives during a run, and the data pointers of everything in it. */
static ds_status place(ds_session *s, ds_plan *p, ds_err *err)
{
	DS_TRY(ds_plan_memory(p, !s->o.keep_all, err));
	size_t total = p->block_bytes + ds_pad64(p->scratch) + 64;
	if (s->o.memory_limit && total > s->o.memory_limit)
		return ds_fail(err, DS_E_LIMIT, "running needs %zu bytes, --memory-limit allows %llu", total, (unsigned long long)s->o.memory_limit);
	if (!(p->block = ds_aligned(total)))
		return ds_fail_nomem(err, total);
	memset(p->block, 0, total);
	for (int i = 0; i < p->n_slot; i++)
		if (p->slot[i].where == DS_AT_ARENA)
			p->slot[i].t.data = (char *)p->block + p->slot[p->slot[i].storage].offset;
	return DS_OK;
}

ds_status ds_plan_new(ds_plan **out, ds_session *s, const ds_type *in, ds_err *err)
{
	ds_plan *p = ds_calloc(1, sizeof *p);
	planner pl = { s, p, err, NULL };
	char *needed = NULL;
	ds_status rc = DS_OK;
	*out = NULL;
	if (!p)
		return ds_fail_nomem(err, sizeof *p);
	ds_arena_init(&p->arena);
	p->g = ds_graph_clone(s->g);
	p->in = ds_calloc((size_t)s->g->n_input + 1, sizeof *p->in);
	if (!p->g || !p->in) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	for (int i = 0; i < s->g->n_input; i++)
		p->in[i] = in[i];
	DS_GOTO(ds_graph_bind(p->g, in, p->g->n_input, &p->known, err));
	size_t n = (size_t)p->known.n + 1;
	p->slot_of = ds_malloc(n * sizeof *p->slot_of);
	pl.last_read = ds_malloc(n * sizeof *pl.last_read);
	needed = ds_calloc(n, 1);
	if (!p->slot_of || !pl.last_read || !needed) {
		rc = ds_fail_nomem(err, n);
		goto out;
	}
	for (size_t i = 0; i < n; i++)
		p->slot_of[i] = pl.last_read[i] = -1;
	mark_needed(p, needed, pl.last_read);
	DS_GOTO(plan_steps(&pl, needed));
	DS_GOTO(place(s, p, err));
	*out = p;
	p = NULL;
out:
	ds_free(needed);
	ds_free(pl.last_read);
	ds_plan_free(p);
	return rc;
}

void ds_plan_free(ds_plan *p)
{
	if (!p)
		return;
	for (int i = 0; i < p->n_slot; i++)
		if (p->slot[i].where == DS_AT_KNOWN && p->slot[i].t.buf)
			ds_tensor_done(&p->slot[i].t);
	ds_bound_free(&p->known);
	ds_graph_free(p->g);
	ds_free(p->in);
	ds_free(p->slot);
	ds_free(p->other);
	ds_free(p->step);
	ds_free(p->slot_of);
	ds_free(p->block);
	ds_arena_done(&p->arena);
	ds_free(p);
}
