/* profile_time.c - times: rows and the wall, the slowed kernel is named first; memory: plan against paint; counts by hand; ceilings as text; trace events */
#include "nets.h"
#include "base/str.h"
#include "exec/plan.h"
#include "profile/ceiling.h"
#include "profile/inputs.h"
#include "profile/macs.h"
#include "profile/memory.h"

#include <stdlib.h>
#include <string.h>

static int failed;
#define CHECK(name, cond, ...) do { if (cond) printf("ok %s\n", name); else { printf("not ok %s: ", name); printf(__VA_ARGS__); printf("\n"); failed = 1; } } while (0)

/* A net in a session with inputs to run it on. */
typedef struct bed { ds_graph *g; ds_session *s; ds_type type; ds_tensor in; } bed;

static bool bed_new(bed *b, int net, int64_t batch)
{
	ds_err err = { 0 };
	*b = (bed){ .g = ds_graph_new() };
	rng = ds_rng_init(7, (uint64_t)net);
	nets[net].build(b->g);
	bool ok = ds_graph_verify(b->g, NULL, &err) == DS_OK && ds_inputs_types(b->g, batch, 1, &b->type, &err) == DS_OK
		&& ds_inputs_random(b->g, &b->type, 3, &b->in, &err) == DS_OK
		&& ds_session_new_opts(&b->s, b->g, &(ds_session_opts){ .threads = 1 }, &err) == DS_OK && ds_session_plan(b->s, &b->type, 1, &err) == DS_OK;
	if (!ok)
		CHECK(nets[net].name, false, "%s", err.text);
	return ok;
}

static void bed_done(bed *b)
{
	ds_tensor_done(&b->in);
	ds_session_free(b->s);
	ds_graph_free(b->g);
}

static ds_status run(void *arg, int64_t i, ds_err *err)
{
	bed *b = arg;
	ds_tensor out;
	(void)i;
	return ds_session_run_view(b->s, &b->in, 1, &out, 0, err);
}

/* ---- spread ------------------------------------------------------------------------------------------------------------------------ */
static void spread(void)
{
	double a[] = { 5, 1, 3, 2, 4 }, b[] = { 1, 2, 3, 4 };
	ds_spread s = ds_spread_of(a, 5), t = ds_spread_of(b, 4), none = ds_spread_of(b, 0);
	CHECK("spread", s.q1 == 2 && s.median == 3 && s.q3 == 4 && t.q1 == 1.75 && t.median == 2.5 && t.q3 == 3.25 && isnan(none.median),
		"%g %g %g, %g %g %g", s.q1, s.median, s.q3, t.q1, t.median, t.q3);
}

/* ---- time -------------------------------------------------------------------------------------------------------------------------- */
static void rows(int net)
{
	bed b;
	ds_timing t;
	ds_err err = { 0 };
	char name[64];
	snprintf(name, sizeof name, "rows sum to the wall: %s", nets[net].name);
	if (!bed_new(&b, net, 2))
		return;
	ds_status rc = ds_time_measure(&t, b.s, &(ds_time_opts){ .runs = 31, .warmup = 2 }, run, &b, &err);
	double sum = 0, end = 0;
	bool order = rc == DS_OK;
	for (int i = 0; rc == DS_OK && i < t.n_row; i++) {
		const ds_time_row *r = &t.row[i];
		sum += r->time.median;
		order &= r->begin >= end - 1e-9 && r->took >= 0 && r->time.q1 <= r->time.median && r->time.median <= r->time.q3 && r->live <= t.arena_bytes;
		end = r->begin + r->took;
	}
	CHECK(name, rc == DS_OK && fabs(sum + t.overhead.median + t.variation - t.wall.median) < 1e-9, "%s sum %g wall %g", err.text, sum, t.wall.median);
	snprintf(name, sizeof name, "steps in order within the run: %s", nets[net].name);
	CHECK(name, order && end <= t.shown && t.n_row > 0 && (t.runs == 31 || t.disturbed), "end %g of %g, %d runs", end, t.shown, rc == DS_OK ? t.runs : 0);
	double ops = 0;
	for (int i = 0; rc == DS_OK && i < t.n_op; i++)
		ops += t.op[i].n;
	snprintf(name, sizeof name, "operators: %s", nets[net].name);
	CHECK(name, rc == DS_OK && ops == t.n_row, "%g operators' nodes", ops);
	if (rc == DS_OK)
		ds_time_done(&t);
	bed_done(&b);
}

/* The rows, without what medians lack to each other, come within 2 % of the wall time as soon as nothing disturbs the runs. */
static void sums(void)
{
	bed b;
	ds_timing t;
	double lack = 1;
	bool quiet = false;
	if (!bed_new(&b, 0, 32))
		return;
	for (int i = 0; i < 12 && fabs(lack) > .02; i++) {
		if (ds_time_measure(&t, b.s, &(ds_time_opts){ .runs = 51, .warmup = 3 }, run, &b, NULL) != DS_OK)
			break;
		lack = t.variation / t.wall.median;
		quiet |= !t.disturbed;
		ds_time_done(&t);
	}
	if (fabs(lack) > .02 && !quiet)
		printf("skip medians sum within 2 %%: other programs disturb the runs\n");
	else
		CHECK("medians sum within 2 %", fabs(lack) <= .02, "%g lack", lack);
	bed_done(&b);
}

/* Stands in for one step's kernel: the same result, half a millisecond later. */
static ds_status (*true_forward)(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err);
static ds_status slow_forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	double end = ds_time_now() + 5e-4;
	while (ds_time_now() < end)
		;
	return true_forward(env, n, in, out, err);
}

static void slowed(int net)
{
	bed b;
	ds_timing t;
	ds_err err = { 0 };
	char name[64];
	int missed = 0;
	if (!bed_new(&b, net, 1))
		return;
	for (int i = 0; i < b.s->plans->n_step; i++) {
		ds_step *st = &b.s->plans->step[i];
		const ds_variant *v = st->variant;
		if (st->view)
			continue;
		ds_variant w = v ? *v : (ds_variant){ .name = "reference" };
		true_forward = v ? v->forward : st->node->op->forward;
		w.forward = slow_forward;
		st->variant = &w;
		ds_status rc = ds_time_measure(&t, b.s, &(ds_time_opts){ .runs = 11, .warmup = 1 }, run, &b, &err);
		st->variant = v;
		int top = 0;
		for (int k = 1; rc == DS_OK && k < t.n_row; k++)
			if (t.row[k].time.median > t.row[top].time.median)
				top = k;
		bool named = rc == DS_OK && t.row[top].step == i && t.row[top].time.median >= 5e-4 && strcmp(t.op[0].op, st->node->op_name) == 0;
		if (!named)
			printf("# %s: step %d was slowed, step %d is named %s\n", nets[net].name, i, rc == DS_OK ? t.row[top].step : -1, err.text);
		missed += !named;
		if (rc == DS_OK)
			ds_time_done(&t);
	}
	snprintf(name, sizeof name, "every slowed step is named: %s", nets[net].name);
	CHECK(name, !missed, "%d were not", missed);
	bed_done(&b);
}

/* ---- memory ------------------------------------------------------------------------------------------------------------------------ */
static void memory(int net)
{
	bed b;
	ds_memory m;
	ds_err err = { 0 };
	char name[64];
	if (!bed_new(&b, net, 3))
		return;
	ds_status rc = ds_memory_plan(&m, b.s, &err);
	if (rc == DS_OK)
		rc = ds_memory_paint(&m, b.s, run, &b, &err);
	snprintf(name, sizeof name, "planned peak is the painted high-water mark: %s", nets[net].name);
	CHECK(name, rc == DS_OK && m.painted == m.planned && m.planned > 0, "%s planned %zu, painted %zu", err.text, m.planned, m.painted);
	snprintf(name, sizeof name, "alive <= planned <= arena <= naive: %s", nets[net].name);
	CHECK(name, rc == DS_OK && m.live <= m.planned && m.planned <= m.arena_bytes && m.arena_bytes <= m.naive && m.painted_scratch <= m.scratch
		&& m.arena_bytes == b.s->plans->block_bytes && m.naive == b.s->plans->naive_bytes, "%zu %zu %zu", m.live, m.arena_bytes, m.naive);
	size_t held = 0;
	bool apart = rc == DS_OK;
	for (int i = 0; rc == DS_OK && i < m.n_block; i++) {
		held += m.block[i].at_peak ? m.block[i].bytes : 0;
		for (int k = 0; k < i; k++) {
			const ds_memory_block *x = &m.block[i], *y = &m.block[k];
			bool together = x->first <= y->last && y->first <= x->last;
			apart &= !together || x->offset + x->room <= y->offset || y->offset + y->room <= x->offset;
		}
	}
	snprintf(name, sizeof name, "blocks alive together lie apart: %s", nets[net].name);
	CHECK(name, apart && held == m.live, "%zu held of %zu", held, m.live);
	if (rc == DS_OK)
		ds_memory_done(&m);
	bed_done(&b);
}

/* A run that writes further than planned is seen: the painted end follows what a step does. */
static ds_status (*inner_run)(void *arg, int64_t i, ds_err *err);
static ds_status overrun(void *arg, int64_t i, ds_err *err)
{
	bed *b = arg;
	ds_status rc = inner_run(arg, i, err);
	((char *)b->s->plans->block)[b->s->plans->block_bytes - 1] = 1;
	return rc;
}

static void planted(void)
{
	bed b;
	ds_memory m;
	if (!bed_new(&b, 0, 1))
		return;
	inner_run = run;
	bool ok = ds_memory_plan(&m, b.s, NULL) == DS_OK && ds_memory_paint(&m, b.s, overrun, &b, NULL) == DS_OK;
	CHECK("a byte written behind the plan is found", ok && m.painted == m.arena_bytes && m.painted > m.planned, "%zu of %zu", m.painted, m.arena_bytes);
	if (ok)
		ds_memory_done(&m);
	bed_done(&b);
}

/* ---- counts ------------------------------------------------------------------------------------------------------------------------ */
static const ds_layer_row *layer(const ds_layers *l, const char *node)
{
	for (int i = 0; i < l->n_row; i++)
		if (strncmp(l->row[i].node, node, strlen(node)) == 0)
			return &l->row[i];
	return NULL;
}

/* depthwise: expand 3 -> 24 (1x1), dw 24 (3x3), project 24 -> 16, grouped 16 -> 32 in 4 groups (3x3), last 32 -> 12, fc 12 -> 5, on 8 x 8 points. */
static void counts(void)
{
	static const struct { const char *node; double macs, params; } want[] = {
		{ "Conv_0", 64 * 3 * 24, 3 * 24 + 24 }, { "Conv_3", 64 * 9 * 24, 9 * 24 + 24 }, { "Conv_6", 64 * 24 * 16, 24 * 16 + 16 },
		{ "Conv_8", 64 * 9 * 4 * 32, 9 * 4 * 32 + 32 }, { "Conv_10", 64 * 32 * 12, 32 * 12 + 12 }, { "Gemm", 12 * 5, 12 * 5 + 5 },
		{ "BatchNormalization_1", 0, 4 * 24 },
	};
	bed b;
	ds_layers l;
	ds_err err = { 0 };
	double macs = 0, params = 4 * 24;       /* the second normalisation */
	if (!bed_new(&b, 2, 2))
		return;
	ds_status rc = ds_layers_count(&l, b.g, &b.type, &err);
	for (size_t i = 0; i < DS_COUNTOF(want); i++) {
		const ds_layer_row *r = rc == DS_OK ? layer(&l, want[i].node) : NULL;
		macs += 2 * want[i].macs;
		params += want[i].params;
		CHECK(want[i].node, r && r->cost.macs == 2 * want[i].macs && r->params == want[i].params && r->bytes == 4 * want[i].params && r->zeros == 0,
			"%s %g macs %g params", err.text, r ? r->cost.macs : 0, r ? r->params : 0);
	}
	CHECK("sum of layers", rc == DS_OK && l.sum.cost.macs == macs && l.sum.params == params && l.sum.bytes == 4 * params, "%g %g", l.sum.cost.macs, l.sum.params);
	if (rc == DS_OK)
		ds_layers_done(&l);
	bed_done(&b);
}

/* A matrix of which a half is zero. */
static void counts_small(void)
{
	enum { R = 32, C = 64 };
	ds_graph *g = ds_graph_new();
	ds_type t = ds_type_make(DS_F32, 2, (int64_t[]){ 1, C });
	ds_value *x = ds_graph_input(g, "x", &t);
	ds_tensor w;
	ds_layers l;
	ds_err err = { 0 };
	bool ok = ds_tensor_new(&w, DS_F32, 2, (int64_t[]){ C, R }, &err) == DS_OK;
	for (int64_t i = 0; ok && i < R * C; i++)
		((float *)w.data)[i] = (float)(i % 2);
	ds_value *y = op(g, "MatMul", 2, (ds_value *[]){ x, ds_graph_weight(g, DS_V_PARAM, "w", &w) });
	y->name = "y";
	ds_graph_output(g, y);
	ok = ok && ds_graph_verify(g, NULL, &err) == DS_OK && ds_layers_count(&l, g, &t, &err) == DS_OK;
	CHECK("zeros are counted", ok && l.n_row == 1 && l.row[0].zeros == R * C / 2 && l.row[0].cost.macs == R * C, "%s", err.text);
	if (ok)
		ds_layers_done(&l);
	ds_graph_free(g);
}

/* ---- ceilings ---------------------------------------------------------------------------------------------------------------------- */
static void ceilings(void)
{
	ds_ceilings c = { .threads = 2, .ops = { 1e11, 2e11, 4.5e11 }, .bytes = { 3e11, 1e11, 0, 2e10 }, .size = { 65536, 2e6, 0, INFINITY } }, d;
	ds_buf b = { 0 };
	const char *bound;
	bool ok = ds_ceilings_write(&c, "some machine", &b, NULL) == DS_OK;
	CHECK("ceilings as text", ok && ds_ceilings_read(&d, "some machine", b.data, b.len, NULL) == DS_OK && memcmp(c.ops, d.ops, sizeof c.ops) == 0
		&& memcmp(c.bytes, d.bytes, sizeof c.bytes) == 0 && memcmp(c.size, d.size, sizeof c.size) == 0 && d.threads == 2, "%s", b.data);
	CHECK("ceilings of another machine", ds_ceilings_read(&d, "some machin", b.data, b.len, NULL) == DS_E_INPUT, "taken");
	int taken = 0;
	for (size_t i = 0; i < b.len; i++) {
		b.data[i] ^= 1;
		taken += ds_ceilings_read(&d, "some machine", b.data, b.len, NULL) != DS_E_INPUT;
		b.data[i] ^= 1;
		taken += ds_ceilings_read(&d, "some machine", b.data, i, NULL) != DS_E_INPUT;
	}
	CHECK("damaged ceilings", !taken, "%d taken", taken);
	ds_buf_done(&b);
	double s = ds_ceilings_least(&c, DS_NUM_F32, 1e9, 1e4, &bound);
	CHECK("bound by arithmetic", s == 1e9 / 1e11 && strcmp(bound, "f32") == 0, "%g %s", s, bound);
	s = ds_ceilings_least(&c, DS_NUM_I8, 1e6, 1e6, &bound);
	CHECK("bound by a cache", s == 1e6 / 1e11 && strcmp(bound, "L2") == 0, "%g %s", s, bound);
	s = ds_ceilings_least(&c, DS_NUM_I8, 1e6, 3e6, &bound);
	CHECK("bound by memory where a level is missing", s == 3e6 / 2e10 && strcmp(bound, "DRAM") == 0, "%g %s", s, bound);
}

/* The figures of this machine are those of a machine: more from nearer memory, within bounds of reason. */
static void measured(void)
{
	ds_ceilings c;
	ds_err err = { 0 };
	ds_pool *pool = ds_pool_new(1);
	ds_status rc = ds_ceilings_measure(&c, pool, &err);
	ds_pool_free(pool);
	CHECK("ceilings of this machine", rc == DS_OK && c.threads == 1 && c.ops[DS_NUM_F32] > 1e8 && c.ops[DS_NUM_F32] < 1e14 && c.ops[DS_NUM_I8] > 1e8
		&& c.bytes[DS_LEVEL_DRAM] > 1e8 && c.bytes[DS_LEVEL_DRAM] < 1e13, "%s", err.text);
}

/* ---- trace ------------------------------------------------------------------------------------------------------------------------- */
static void trace(void)
{
	bed b;
	ds_timing t;
	ds_buf text = { 0 };
	if (!bed_new(&b, 0, 1))
		return;
	bool ok = ds_time_measure(&t, b.s, &(ds_time_opts){ .runs = 5, .warmup = 1 }, run, &b, NULL) == DS_OK && ds_time_trace(&t, "a \"net\"\n", &text, NULL) == DS_OK;
	int steps = 0, open = 0;
	double last = -1;
	for (const char *p = ok ? text.data : ""; *p; p++)
		open += *p == '{' || *p == '[' ? 1 : *p == '}' || *p == ']' ? -1 : 0;
	const char *p = ok ? strstr(text.data, "\"tid\":2,\"name\":\"run\"") : NULL;
	bool rising = p != NULL;
	while (p && (p = strstr(p + 1, "{\"ph\":\"X\",\"pid\":1,\"tid\":1")) != NULL) {
		const char *ts = strstr(p, "\"ts\":"), *dur = strstr(p, "\"dur\":");
		double at = ts ? strtod(ts + 5, NULL) : -1, length = dur ? strtod(dur + 6, NULL) : -1;
		rising &= at >= last - 1e-9 && length >= 0;
		last = at + length;
		steps++;
	}
	CHECK("trace events", ok && rising && !open && steps == t.n_row && strstr(text.data, "\\\"net\\\""), "%d steps of %d, %d open", steps, ok ? t.n_row : 0, open);
	ds_buf_done(&text);
	if (ok)
		ds_time_done(&t);
	bed_done(&b);
}

int main(void)
{
	spread();
	for (int k = 0; k < (int)DS_COUNTOF(nets); k++) {
		rows(k);
		memory(k);
	}
	sums();
	slowed(0);
	slowed(2);
	planted();
	counts();
	counts_small();
	ceilings();
	measured();
	trace();
	return failed;
}
