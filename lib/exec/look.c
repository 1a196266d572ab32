/* look.c - looking inside a plan: its steps, the memory that they share, what a run writes of it */
#include "plan.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

int ds_session_steps(const ds_session *s)
{
	return s->plans ? s->plans->n_step : 0;
}

static size_t prep_bytes(const ds_session *s, const ds_step *st)
{
	for (const ds_prep *q = s->preps; q && st->prep; q = q->next)
		if (q->data == st->prep)
			return q->bytes;
	return 0;
}

ds_status ds_session_step(const ds_session *s, int i, ds_step_info *info, ds_err *err)
{
	const ds_plan *p = s->plans;
	const ds_step *st = &p->step[i];
	const ds_tensor *out = &p->slot[st->out[0]].t;
	*info = (ds_step_info){ .node = st->node, .kernel = st->view ? "view" : st->variant ? st->variant->name : "reference", .out = out, .view = st->view,
		.prep_bytes = prep_bytes(s, st), .scratch = st->scratch };
	if (st->view)
		return DS_OK;
	if (!st->node->in[0] && strcmp(st->node->op_name, "Relayout") == 0) {   /* made by the planner: no value, no types in the graph */
		info->cost.act_bytes = 2 * (double)ds_tensor_bytes(out);
		return DS_OK;
	}
	DS_TRY(ds_node_cost(st->node, &p->known, &info->cost, err));
	if (info->prep_bytes)
		info->cost.weight_bytes = (double)info->prep_bytes;
	return DS_OK;
}

/* One slot, or the header in the other layout over the same bytes. */
static bool same_slot(const ds_plan *p, int a, int b)
{
	return a == b || (a >= 0 && p->other[a] == b && p->slot[a].storage == p->slot[b].storage);
}

/* The step before `end` that makes a slot, through views; -1 - k: the model's input k; INT_MIN: a constant, or nothing. */
static int maker(const ds_plan *p, int end, int slot)
{
	for (int i = end - 1; slot >= 0 && i >= 0; i--)
		for (int o = 0; o < p->step[i].node->n_out; o++) {
			if (!same_slot(p, p->step[i].out[o], slot))
				continue;
			if (!p->step[i].view)
				return i;
			slot = p->step[i].in[0];
			o = p->step[i].node->n_out;     /* go on with the step before */
		}
	for (int k = 0; slot >= 0 && k < p->g->n_input; k++)
		if (same_slot(p, p->slot_of[p->g->input[k]->id], slot))
			return -1 - k;
	return INT_MIN;
}

int ds_session_sources(const ds_session *s, int i, int *from, int cap)
{
	const ds_plan *p = s->plans;
	bool output = i >= p->n_step;
	int n = 0, n_in = output ? 1 : p->step[i].node->n_in;
	for (int k = 0; k < n_in; k++) {
		int m = maker(p, DS_MIN(i, p->n_step), output ? p->output[i - p->n_step] : p->step[i].in[k]);
		if (m == INT_MIN)
			continue;
		if (n < cap)
			from[n] = m;
		n++;
	}
	return n;
}

/* ---- memory ---------------------------------------------------------------------------------------------------------------------- */
static bool is_storage(const ds_slot *s, int i)
{
	return s->where == DS_AT_ARENA && s->storage == i;
}

int ds_session_storages(const ds_session *s)
{
	int n = 0;
	for (int i = 0; s->plans && i < s->plans->n_slot; i++)
		n += is_storage(&s->plans->slot[i], i);
	return n;
}

/* Slots are made step by step: the n-th storage in their order is the n-th by `first`. */
void ds_session_storage(const ds_session *s, int i, ds_storage_info *info)
{
	const ds_plan *p = s->plans;
	int k = 0;
	while (!is_storage(&p->slot[k], k) || i-- > 0)
		k++;
	const ds_slot *t = &p->slot[k];
	const ds_step *st = &p->step[DS_MIN(t->first, p->n_step - 1)];
	*info = (ds_storage_info){ .node = st->node, .offset = t->offset, .bytes = t->bytes, .room = t->room, .first = t->first,
		.last = DS_MIN(t->last, p->n_step - 1) };
	for (int o = 0; o < st->node->n_out; o++)
		if (st->out[o] == k)
			info->value = st->node->out[o];
}

void ds_session_paint(ds_session *s, unsigned char byte)
{
	ds_plan *p = s->plans;
	memset(p->block, byte, p->block_bytes + p->scratch);
}

static size_t changed(const unsigned char *from, size_t n, unsigned char byte)
{
	while (n && from[n - 1] == byte)
		n--;
	return n;
}

void ds_session_painted(const ds_session *s, unsigned char byte, size_t *arena, size_t *scratch)
{
	const ds_plan *p = s->plans;
	const unsigned char *block = p->block;
	*arena = changed(block, p->block_bytes, byte);
	*scratch = changed(block + p->block_bytes, p->scratch, byte);
}
