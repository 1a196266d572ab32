/* memory.c - the plan over time, and what of it a run writes */
#include "memory.h"

static ds_status add_blocks(ds_memory *m, const ds_session *s, ds_err *err)
{
	for (int i = 0; i < m->n_block; i++) {
		ds_memory_block *b = &m->block[i];
		ds_storage_info t;
		ds_session_storage(s, i, &t);
		*b = (ds_memory_block){ .offset = t.offset, .bytes = t.bytes, .room = t.room, .first = t.first, .last = t.last };
		b->value = ds_arena_strdup(&m->arena, t.value ? t.value->name : "");
		b->node = ds_arena_strdup(&m->arena, ds_node_label(t.node));
		b->op = ds_arena_strdup(&m->arena, t.node->op_name);
		if (!b->value || !b->node || !b->op)
			return ds_fail_nomem(err, 0);
		if (b->bytes)
			m->planned = DS_MAX(m->planned, b->offset + b->bytes);
		m->arena_bytes = DS_MAX(m->arena_bytes, b->offset + b->room);
		m->naive += b->room;
	}
	return DS_OK;
}

static ds_status add_steps(ds_memory *m, const ds_session *s, ds_err *err)
{
	for (int i = 0; i < m->n_step; i++) {
		ds_memory_step *t = &m->step[i];
		ds_step_info info;
		DS_TRY(ds_session_step(s, i, &info, err));
		*t = (ds_memory_step){ .scratch = info.scratch, .largest = -1 };
		t->node = ds_arena_strdup(&m->arena, ds_node_label(info.node));
		t->op = ds_arena_strdup(&m->arena, info.node->op_name);
		t->kernel = ds_arena_strdup(&m->arena, info.kernel);
		if (!t->node || !t->op || !t->kernel)
			return ds_fail_nomem(err, 0);
		m->scratch = DS_MAX(m->scratch, info.scratch);
		for (int k = 0; k < m->n_block; k++) {
			const ds_memory_block *b = &m->block[k];
			if (i < b->first || i > b->last)
				continue;
			t->live += b->bytes;
			t->blocks++;
			if (t->largest < 0 || b->bytes > m->block[t->largest].bytes)
				t->largest = k;
		}
		if (m->peak < 0 || t->live > m->live) {
			m->peak = i;
			m->live = t->live;
		}
	}
	return DS_OK;
}

ds_status ds_memory_plan(ds_memory *m, const ds_session *s, ds_err *err)
{
	ds_plan_info info;
	ds_status rc;
	*m = (ds_memory){ .peak = -1, .n_step = ds_session_steps(s), .n_block = ds_session_storages(s) };
	ds_arena_init(&m->arena);
	ds_session_info(s, &info);
	m->prep = info.prep_bytes;
	m->step = ds_calloc((size_t)m->n_step + 1, sizeof *m->step);
	m->block = ds_calloc((size_t)m->n_block + 1, sizeof *m->block);
	if (!m->step || !m->block) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	DS_GOTO(add_blocks(m, s, err));
	DS_GOTO(add_steps(m, s, err));
	for (int k = 0; k < m->n_block; k++)
		m->block[k].at_peak = m->peak >= m->block[k].first && m->peak <= m->block[k].last;
out:
	if (rc != DS_OK)
		ds_memory_done(m);
	return rc;
}

ds_status ds_memory_paint(ds_memory *m, ds_session *s, ds_status (*fn)(void *arg, int64_t run, ds_err *err), void *arg, ds_err *err)
{
	static const unsigned char paint[] = { 0xa5, 0x5a };
	for (int i = 0; i < 2; i++) {
		size_t arena, scratch;
		ds_session_paint(s, paint[i]);
		DS_TRY(fn(arg, i, err));
		ds_session_painted(s, paint[i], &arena, &scratch);
		m->painted = DS_MAX(m->painted, arena);
		m->painted_scratch = DS_MAX(m->painted_scratch, scratch);
	}
	return DS_OK;
}

void ds_memory_done(ds_memory *m)
{
	ds_free(m->step);
	ds_free(m->block);
	ds_arena_done(&m->arena);
	*m = (ds_memory){ .peak = -1 };
}
