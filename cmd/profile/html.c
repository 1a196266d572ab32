/* html.c - --html: one page with the graph, the bars, the roofline and the memory over time */
#include <math.h>
#include <string.h>

#include "profile/machine.h"
#include "profile/page.h"
#include "profile.h"

enum { FACTS = DS_FACTS_MAX + 6, TILES = 8 };

/* What the page is made of; strings and arrays live in the arena. */
typedef struct build {
	job             *j;
	const ds_timing *t;
	ds_session      *s;
	ds_arena         a;
	ds_page          p;
	ds_page_node    *node;
	ds_page_edge    *edge;  size_t cap_edge;
	ds_page_fact     fact[FACTS], tile[TILES];
	ds_fact          machine[DS_FACTS_MAX];
	ds_page_ceiling  compute[DS_NUM_COUNT], memory[DS_LEVEL_COUNT];
	int             *at;            /* by step of the plan: its node on the page, -1: none (a view) */
} build;

static const ds_page_node nothing = { .seconds = NAN, .q1 = NAN, .q3 = NAN, .ops = NAN, .bytes = NAN, .least = NAN, .live = NAN };

static const char *type_text(build *b, const ds_type *t)
{
	ds_buf text = { 0 };
	ds_type_print(&text, t, NULL);
	const char *s = text.data && !text.oom ? ds_arena_strdup(&b->a, text.data) : "";
	ds_buf_done(&text);
	return s ? s : "";
}

/* ---- the graph ------------------------------------------------------------------------------------------------------------------------- */

static ds_status add_edge(build *b, int from, int to, ds_err *err)
{
	if (!ds_grow((void **)&b->edge, (size_t)b->p.n_edge, &b->cap_edge, sizeof *b->edge))
		return ds_fail_nomem(err, 0);
	b->edge[b->p.n_edge++] = (ds_page_edge){ from, to };
	return DS_OK;
}

static ds_status add_edges(build *b, int step, int to, ds_err *err)
{
	int few[16], *from = few, n = ds_session_sources(b->s, step, few, (int)DS_COUNTOF(few));
	if (n > (int)DS_COUNTOF(few)) {
		from = ds_arena_alloc(&b->a, (size_t)n, sizeof *from);
		if (!from)
			return ds_fail_nomem(err, 0);
		ds_session_sources(b->s, step, from, n);
	}
	for (int i = 0; i < n; i++) {
		bool twice = false;
		for (int k = 0; k < i; k++)
			twice |= from[k] == from[i];
		int node = from[i] < 0 ? -1 - from[i] : b->at[from[i]];
		if (!twice && node >= 0 && node < to)
			DS_TRY(add_edge(b, node, to, err));
	}
	return DS_OK;
}

static ds_page_node timed(const ds_time_row *r)
{
	return (ds_page_node){ .kind = DS_PAGE_STEP, .name = r->node, .op = r->op, .kernel = r->kernel, .out = r->out, .bound = r->bound, .seconds = r->time.median, .q1 = r->time.q1,
		.q3 = r->time.q3, .ops = 2 * r->cost.macs + r->cost.flops, .bytes = r->cost.weight_bytes + r->cost.act_bytes, .least = r->least > 0 ? r->least : NAN,
		.live = (double)r->live };
}

/* Inputs of the model, steps in execution order, outputs. */
static ds_status graph(build *b, ds_err *err)
{
	const ds_graph *g = b->j->m->graph;
	int steps = ds_session_steps(b->s), n = 0;
	b->node = ds_arena_alloc(&b->a, (size_t)(g->n_input + b->t->n_row + g->n_output) + 1, sizeof *b->node);
	b->at = ds_arena_alloc(&b->a, (size_t)steps + 1, sizeof *b->at);
	if (!b->node || !b->at)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < steps; i++)
		b->at[i] = -1;
	for (int i = 0; i < g->n_input; i++) {
		ds_type t = ds_type_of(&b->j->set[0][i]);
		b->node[n] = nothing;
		b->node[n].kind = DS_PAGE_INPUT;
		b->node[n].op = "input";
		b->node[n].out = type_text(b, &t);
		b->node[n++].name = g->input[i]->name;
	}
	for (int i = 0; i < b->t->n_row; i++) {
		b->at[b->t->row[i].step] = n;
		b->node[n] = timed(&b->t->row[i]);
		DS_TRY(add_edges(b, b->t->row[i].step, n, err));
		n++;
	}
	for (int i = 0; i < g->n_output; i++) {
		b->node[n] = nothing;
		b->node[n].kind = DS_PAGE_OUTPUT;
		b->node[n].op = "output";
		b->node[n].name = g->output[i]->name;
		DS_TRY(add_edges(b, steps + i, n, err));
		n++;
	}
	b->p.node = b->node;
	b->p.n_node = n;
	b->p.edge = b->edge;
	return DS_OK;
}

/* ---- memory ---------------------------------------------------------------------------------------------------------------------------- */

/* Steps of the plan count views, those of the page do not: the first timed step at or after `first`, the last one at or before `last`. */
static int timed_step(const build *b, int step, int direction)
{
	int n = ds_session_steps(b->s), inputs = b->j->m->graph->n_input;
	while (step >= 0 && step < n && b->at[step] < 0)
		step += direction;
	return step < 0 ? -1 : step >= n ? b->t->n_row : b->at[step] - inputs;
}

static ds_status blocks(build *b, ds_err *err)
{
	int n = ds_session_storages(b->s);
	ds_page_block *block = ds_arena_alloc(&b->a, (size_t)n + 1, sizeof *block);
	ds_plan_info info;
	if (!block)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < n; i++) {
		ds_storage_info s;
		ds_session_storage(b->s, i, &s);
		const char *name = s.value && *s.value->name ? s.value->name : s.node ? ds_node_label(s.node) : "";
		name = ds_arena_strdup(&b->a, *name ? name : s.node ? s.node->op_name : "");
		if (!name)
			return ds_fail_nomem(err, 0);
		block[i] = (ds_page_block){ name, timed_step(b, s.first, 1), timed_step(b, s.last, -1), (double)s.offset, (double)s.bytes };
	}
	ds_session_info(b->s, &info);
	b->p.block = block;
	b->p.n_block = n;
	b->p.planned = (double)info.arena_bytes;
	b->p.naive = (double)info.naive_bytes;
	return DS_OK;
}

/* ---- head ------------------------------------------------------------------------------------------------------------------------------ */

static void add_fact(build *b, ds_page_fact *list, int *n, int most, const char *key, const char *value)
{
	const char *copy = ds_arena_strdup(&b->a, value);
	if (copy && *n < most)
		list[(*n)++] = (ds_page_fact){ key, copy };
}

static void tile(build *b, const char *key, double v, char unit, const char *behind)
{
	char text[48], number[32];
	if (!(v > 0))
		return;
	if (unit == 'n' && v < 1000)            /* no more digits than there is knowledge */
		snprintf(text, sizeof text, "%.3g%s", v, behind);
	else
		snprintf(text, sizeof text, "%s%s", num_text(number, v, unit), behind);
	add_fact(b, b->tile, &b->p.n_tile, TILES, key, text);
}

static void head(build *b)
{
	const ds_timing *t = b->t;
	const ds_graph *g = b->j->m->graph;
	double params = 0, macs = 0, least = 0;
	char text[160];
	for (int i = 0; i < g->n_weight; i++)
		if (g->weight[i]->kind == DS_V_PARAM)
			params += (double)ds_type_count(&g->weight[i]->type);
	for (int i = 0; i < t->n_row; i++) {
		macs += t->row[i].cost.macs;
		least += t->row[i].least;
	}
	tile(b, t->items > 1 ? "time of a batch" : "time of a run", t->wall.median, 's', "");
	tile(b, "samples per second", t->items / t->wall.median, 'n', "");
	tile(b, "of what the ceilings allow", least / t->wall.median, '%', "");
	tile(b, "multiply-adds", macs, 'n', "");
	tile(b, "parameters", params, 'n', "");
	tile(b, "planned memory", b->p.planned, 'B', "");
	tile(b, "around the steps", t->overhead.median / t->wall.median, '%', "");
	int n = ds_machine_facts(b->machine);
	for (int i = 0; i < n; i++)
		add_fact(b, b->fact, &b->p.n_fact, FACTS, b->machine[i].name, b->machine[i].text);
	snprintf(text, sizeof text, "%d, %d samples each, %d threads, inputs %s", t->runs, t->items, t->threads, b->j->samples ? "as named" : "made up");
	add_fact(b, b->fact, &b->p.n_fact, FACTS, "runs", text);
	add_fact(b, b->fact, &b->p.n_fact, FACTS, "version", DS_VERSION);
}

static void ceilings(build *b, const ds_ceilings *c)
{
	for (int i = 0; i < DS_NUM_COUNT; i++)
		if (c->ops[i] > 0)
			b->compute[b->p.n_compute++] = (ds_page_ceiling){ ds_number_names[i], c->ops[i] };
	for (int i = 0; i < DS_LEVEL_COUNT; i++)
		if (c->bytes[i] > 0)
			b->memory[b->p.n_memory++] = (ds_page_ceiling){ ds_level_names[i], c->bytes[i] };
	b->p.compute = b->compute;
	b->p.memory = b->memory;
}

ds_status mode_html(job *j, ds_err *err)
{
	build b = { .j = j };
	const ds_ceilings *c;
	ds_buf text = { 0 };
	ds_status rc;
	ds_arena_init(&b.a);
	DS_GOTO(job_timing(j, &b.t, err));
	DS_GOTO(job_session(j, &b.s, err));
	DS_GOTO(job_ceilings(j, &c, err));
	b.p.title = job_model_name(j);
	b.p.wall = b.t->wall.median;
	b.p.overhead = b.t->overhead.median;
	b.p.variation = b.t->variation;
	DS_GOTO(graph(&b, err));
	DS_GOTO(blocks(&b, err));
	head(&b);
	b.p.fact = b.fact;
	b.p.tile = b.tile;
	ceilings(&b, c);
	DS_GOTO(ds_page_write(&b.p, &text, err));
	rc = job_write(j, j->s->html, &text, err);
out:
	ds_buf_done(&text);
	ds_free(b.edge);
	ds_arena_done(&b.a);
	return rc;
}
