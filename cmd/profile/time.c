/* time.c - --time: what each node and each operator takes, against the wall time and against what the machine can do */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "profile/machine.h"
#include "profile.h"

/* ---- the head: where the figures come from ------------------------------------------------------------------------------------------- */
static void today(char *buf, size_t n)
{
	time_t now = time(NULL);
	struct tm t;
	if (!gmtime_r(&now, &t) || !strftime(buf, n, "%Y-%m-%dT%H:%M:%SZ", &t))
		buf[0] = 0;
}

static void ceilings_text(const ds_ceilings *c, ds_buf *b)
{
	char t[32];
	for (int i = 0; i < DS_NUM_COUNT; i++)
		ds_buf_printf(b, "%s%s %s", i ? ", " : "", ds_number_names[i], num_text(t, c->ops[i], 'G'));
	ds_buf_str(b, " G operations/s;");
	for (int i = 0; i < DS_LEVEL_COUNT; i++)
		if (c->bytes[i] > 0)
			ds_buf_printf(b, " %s %s", ds_level_names[i], num_text(t, c->bytes[i], 'G'));
	ds_buf_str(b, " GB/s");
}

static ds_status head(job *j, const ds_timing *t, ds_err *err)
{
	static const char *const columns[] = { "what", "value", NULL };
	ds_fact fact[DS_FACTS_MAX];
	char text[160];
	section o;
	ds_buf b = { 0 };
	const ds_ceilings *c;
	int n = ds_machine_facts(fact);
	DS_TRY(job_ceilings(j, &c, err));
	DS_TRY(section_begin(&o, j, "machine", columns, err));
	ds_status rc = DS_OK;
	for (int i = 0; i < n && rc == DS_OK; i++)
		rc = section_pair(&o, fact[i].name, fact[i].text, err);
	ceilings_text(c, &b);
	if (rc == DS_OK)
		rc = section_pair(&o, "ceilings", b.data ? b.data : "", err);
	ds_buf_done(&b);
	if (rc == DS_OK)
		rc = section_pair(&o, "model", job_model_name(j), err);
	snprintf(text, sizeof text, "%d, %d sample%s each, inputs %s", t->runs, t->items, t->items == 1 ? "" : "s", j->samples ? "as named" : "made up (no INPUT was named)");
	if (rc == DS_OK)
		rc = section_pair(&o, "runs", text, err);
	snprintf(text, sizeof text, "%d", t->threads);
	if (rc == DS_OK)
		rc = section_pair(&o, "threads", text, err);
	if (rc == DS_OK)
		rc = section_pair(&o, "version", DS_VERSION, err);
	today(text, sizeof text);
	if (rc == DS_OK)
		rc = section_pair(&o, "date", text, err);
	if (rc == DS_OK)
		rc = section_end(&o, err);
	section_drop(&o);
	return rc;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------------------- */
static void cell_spread(section *o, const ds_spread *s)
{
	cell_num(o, s->median, 's');
	cell_num(o, s->q1, 's');
	cell_num(o, s->q3, 's');
}

static void cell_share(section *o, const ds_spread *s, double wall)
{
	cell_num(o, s->median / wall, '%');
	cell_bar(o, s->median / wall);
	cell_spread(o, s);
}

static double positive(double v) { return v > 0 ? v : NAN; }

/* What was done in so many seconds: operations (a multiply-add is two) and bytes per second, and the least time that the machine's ceilings allow over what it took. */
static void cell_rates(section *o, const ds_cost *c, double seconds, double least)
{
	cell_num(o, positive((2 * c->macs + c->flops) / seconds), 'G');
	cell_num(o, positive((c->weight_bytes + c->act_bytes) / seconds), 'G');
	cell_num(o, positive(least / seconds), '%');
}

static ds_status by_operator(job *j, const ds_timing *t, ds_err *err)
{
	static const char *const columns[] = { "operator", ">nodes", ">share", "|", ">median", ">q1", ">q3", ">gflops", ">gbytes", ">of_ceiling", NULL };
	section o;
	DS_TRY(section_begin(&o, j, "operator", columns, err));
	ds_status rc = DS_OK;
	for (int i = 0; i < t->n_op && rc == DS_OK; i++) {
		const ds_time_op *r = &t->op[i];
		cell_text(&o, r->op);
		cell_i64(&o, r->n);
		cell_share(&o, &r->time, t->wall.median);
		cell_rates(&o, &r->cost, r->time.median, r->least);
		rc = section_row(&o, err);
	}
	if (rc == DS_OK)
		rc = section_end(&o, err);
	section_drop(&o);
	return rc;
}

static int by_seconds(const void *a, const void *b)
{
	const ds_time_row *x = *(const ds_time_row *const *)a, *y = *(const ds_time_row *const *)b;
	return x->time.median != y->time.median ? (x->time.median < y->time.median) - (x->time.median > y->time.median) : x->step - y->step;
}

/* A row without a node: overhead, the clock, what --top left out. */
static ds_status other_row(section *o, const char *name, const ds_spread *s, double wall, ds_err *err)
{
	cell_text(o, name);
	cell_text(o, "");
	cell_text(o, "");
	cell_only(o, "");
	cell_share(o, s, wall);
	cell_none(o);
	cell_none(o);
	cell_none(o);
	cell_text(o, "");
	return section_row(o, err);
}

static ds_status node_row(section *o, const ds_time_row *r, double wall, ds_err *err)
{
	cell_text(o, r->node);
	cell_text(o, r->op);
	cell_text(o, r->kernel);
	cell_only(o, r->out);
	cell_share(o, &r->time, wall);
	cell_rates(o, &r->cost, r->time.median, r->least);
	cell_text(o, r->bound);
	return section_row(o, err);
}

static ds_status by_node(job *j, const ds_timing *t, ds_err *err)
{
	static const char *const columns[] = { "node", "operator", "kernel", "!output", ">share", "|", ">median", ">q1", ">q3", ">gflops", ">gbytes",
		">of_ceiling", "bound", NULL };
	section o = { .j = j };
	const ds_time_row **list = ds_calloc((size_t)t->n_row + 1, sizeof *list);
	int n = j->s->top && j->s->top < t->n_row ? (int)j->s->top : t->n_row;
	ds_spread rest = { NAN, 0, NAN };
	double wall = t->wall.median;
	char name[48];
	ds_status rc = list ? section_begin(&o, j, "node", columns, err) : ds_fail_nomem(err, 0);
	if (rc != DS_OK)
		goto out;
	for (int i = 0; i < t->n_row; i++)
		list[i] = &t->row[i];
	if (t->n_row)
		qsort(list, (size_t)t->n_row, sizeof *list, by_seconds);
	for (int i = 0; i < n; i++)
		DS_GOTO(node_row(&o, list[i], wall, err));
	for (int i = n; i < t->n_row; i++)
		rest.median += list[i]->time.median;
	snprintf(name, sizeof name, "(%d others)", t->n_row - n);
	if (n < t->n_row)
		DS_GOTO(other_row(&o, name, &rest, wall, err));
	DS_GOTO(other_row(&o, "(overhead)", &t->overhead, wall, err));
	DS_GOTO(other_row(&o, "(variation)", &(ds_spread){ NAN, t->variation, NAN }, wall, err));
	rc = section_end(&o, err);
out:
	section_drop(&o);
	ds_free(list);
	return rc;
}

/* ---- the sum ------------------------------------------------------------------------------------------------------------------------- */
static ds_status sum_row(section *o, const char *what, const ds_spread *s, double wall, const char *note, ds_err *err)
{
	cell_text(o, what);
	cell_num(o, s->median / wall, '%');
	cell_spread(o, s);
	cell_text(o, note);
	return section_row(o, err);
}

static ds_status summary(job *j, const ds_timing *t, ds_err *err)
{
	static const char *const columns[] = { "what", ">share", ">median", ">q1", ">q3", "note", NULL };
	section o;
	char note[128];
	double steps = 0, wall = t->wall.median;
	for (int i = 0; i < t->n_row; i++)
		steps += t->row[i].time.median;
	DS_TRY(section_begin(&o, j, "run", columns, err));
	ds_status rc;
	snprintf(note, sizeof note, t->disturbed < 0 ? "with the clock; other programs disturbed most runs: steps that they hit are left out" : "with the clock; %d pairs of runs left out that other programs "
		"disturbed", t->disturbed);
	DS_GOTO(sum_row(&o, "steps", &(ds_spread){ NAN, steps, NAN }, wall, "all nodes", err));
	DS_GOTO(sum_row(&o, "overhead", &t->overhead, wall, "wall time less the steps, run by run: between them, around the run, the clock", err));
	DS_GOTO(sum_row(&o, "sum", &(ds_spread){ NAN, steps + t->overhead.median, NAN }, wall, "steps and overhead", err));
	DS_GOTO(sum_row(&o, "variation", &(ds_spread){ NAN, t->variation, NAN }, wall, "what medians of parts lack to the median of the whole", err));
	DS_GOTO(sum_row(&o, "wall", &t->wall, wall, note, err));
	DS_GOTO(sum_row(&o, "plain", &t->plain, wall, "wall time without the clock", err));
	DS_GOTO(sum_row(&o, "profiling", &t->cost, wall, "what it costs: with the clock less without, in pairs", err));
	rc = section_end(&o, err);
out:
	section_drop(&o);
	return rc;
}

ds_status mode_time(job *j, ds_err *err)
{
	const ds_timing *t;
	DS_TRY(job_timing(j, &t, err));
	DS_TRY(head(j, t, err));
	DS_TRY(by_operator(j, t, err));
	DS_TRY(by_node(j, t, err));
	return summary(j, t, err);
}
