/* memory.c - --memory: the plan over the steps, who holds its peak, plan against measurement */
#include <math.h>

#include "profile/machine.h"
#include "profile/memory.h"
#include "profile.h"

static ds_status by_step(job *j, const ds_memory *m, ds_err *err)
{
	static const char *const columns[] = { ">step", "node", "operator", ">live", ">of_peak", "|", ">blocks", ">scratch", "largest", ">largest_bytes", NULL };
	section o;
	DS_TRY(section_begin(&o, j, "step", columns, err));
	ds_status rc = DS_OK;
	for (int i = 0; i < m->n_step && rc == DS_OK; i++) {
		const ds_memory_step *t = &m->step[i];
		double share = m->live ? (double)t->live / (double)m->live : NAN;
		cell_i64(&o, i);
		cell_text(&o, t->node);
		cell_text(&o, t->op);
		cell_num(&o, (double)t->live, 'B');
		cell_num(&o, share, '%');
		cell_bar(&o, share > 0 ? share : 0);
		cell_i64(&o, t->blocks);
		cell_num(&o, (double)t->scratch, 'B');
		cell_text(&o, t->largest < 0 ? "" : m->block[t->largest].node);
		cell_num(&o, t->largest < 0 ? NAN : (double)m->block[t->largest].bytes, 'B');
		rc = section_row(&o, err);
	}
	if (rc == DS_OK)
		rc = section_end(&o, err);
	section_drop(&o);
	return rc;
}

static ds_status holders(job *j, const ds_memory *m, ds_err *err)
{
	static const char *const columns[] = { "node", "operator", ">bytes", ">share", "|", ">offset", ">first", ">last", NULL };
	section o;
	DS_TRY(section_begin(&o, j, "peak", columns, err));
	ds_status rc = DS_OK;
	for (int i = 0; i < m->n_block && rc == DS_OK; i++) {
		const ds_memory_block *b = &m->block[i];
		if (!b->at_peak)
			continue;
		cell_text(&o, b->node);
		cell_text(&o, b->op);
		cell_num(&o, (double)b->bytes, 'B');
		cell_num(&o, (double)b->bytes / (double)m->live, '%');
		cell_bar(&o, (double)b->bytes / (double)m->live);
		cell_num(&o, (double)b->offset, 'B');
		cell_i64(&o, b->first);
		cell_i64(&o, b->last);
		rc = section_row(&o, err);
	}
	if (rc == DS_OK)
		rc = section_end(&o, err);
	section_drop(&o);
	return rc;
}

static ds_status figure(section *o, const char *what, double bytes, const char *note, ds_err *err)
{
	cell_text(o, what);
	cell_num(o, bytes, 'B');
	cell_text(o, note);
	return section_row(o, err);
}

static double or_none(double bytes) { return bytes > 0 ? bytes : NAN; }

static ds_status summary(job *j, const ds_memory *m, ds_err *err)
{
	static const char *const columns[] = { "what", ">bytes", "note", NULL };
	const char *agree = m->painted == m->planned ? "found by painting the arena before runs: as planned"
		: m->painted > m->planned && m->painted <= m->arena_bytes ? "found by painting the arena before runs: in the room behind the last value"
		: m->painted < m->planned ? "found by painting the arena before runs: less than planned" : "found by painting the arena before runs";
	ds_process_memory p;
	section o;
	char note[160];
	ds_machine_memory(&p);
	DS_TRY(section_begin(&o, j, "memory", columns, err));
	ds_status rc;
	snprintf(note, sizeof note, "end of the highest value; %.1f %% of the naive sum", m->naive ? 100 * (double)m->planned / (double)m->naive : 0.0);
	DS_GOTO(figure(&o, "planned", (double)m->planned, note, err));
	DS_GOTO(figure(&o, "painted", (double)m->painted, agree, err));
	snprintf(note, sizeof note, "at step %d, %s: no plan needs less", m->peak, m->peak < 0 ? "" : m->step[m->peak].node);
	DS_GOTO(figure(&o, "alive", (double)m->live, note, err));
	DS_GOTO(figure(&o, "arena", (double)m->arena_bytes, "planned, with room for vectors behind the last value", err));
	DS_GOTO(figure(&o, "naive", (double)m->naive, "if every value had memory of its own", err));
	DS_GOTO(figure(&o, "scratch", (double)m->scratch, "for steps to work in, the largest", err));
	DS_GOTO(figure(&o, "scratch_painted", (double)m->painted_scratch, "what runs have written of it", err));
	DS_GOTO(figure(&o, "packed", (double)m->prep, "weights in the form that kernels read", err));
	DS_GOTO(figure(&o, "resident", or_none(p.resident), "of the process, after the runs", err));
	DS_GOTO(figure(&o, "high_water", j->peak_spoilt ? NAN : or_none(p.high_water), j->peak_spoilt ? "spoilt by measuring the machine's ceilings in this call"
		: "largest resident size of the process", err));
	rc = section_end(&o, err);
out:
	section_drop(&o);
	return rc;
}

ds_status mode_memory(job *j, ds_err *err)
{
	ds_session *s;
	ds_memory m;
	DS_TRY(job_session(j, &s, err));
	DS_TRY(ds_memory_plan(&m, s, err));
	ds_status rc = ds_memory_paint(&m, s, job_run, j, err);
	if (rc == DS_OK)
		rc = by_step(j, &m, err);
	if (rc == DS_OK)
		rc = holders(j, &m, err);
	if (rc == DS_OK)
		rc = summary(j, &m, err);
	ds_memory_done(&m);
	return rc;
}
