/* look.c - looking inside a plan: its steps, the memory that they share, what a run writes of it */
#include "plan.h"

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
