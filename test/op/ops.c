/* ops.c - the generic operator test: every row of the table that has a `sample`, over many seeds
 *
 * ops [NAME ...]; DS_OP_SEEDS is the number of seeds (default 24).  For every sample graph:
 *   it verifies, and the inferred types are those of the run;
 *   a session with all rewrites and variants gives the bits of the reference (no variants, no rewrites), with 1, 2 and 7 threads;
 *   every variant that matches, for plain and for channels-last inputs, gives the bits of the reference when called by itself, writes all of its
 *   output, stays inside its scratch and depends on nothing that was there before; so does the reference itself on channels-last tensors where the
 *   row promises that;
 *   its cost is finite.
 * Operators in the table `loose` may differ from their reference by the stated relative error (of the largest value). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/base/rng.h"
#include "../../lib/exec/exec.h"

enum { MAX_IO = 32, GUARD = 256 };

static const struct { const char *name; double rel; } loose[] = {
	{ "QConv", 0.03 }, { "QGemm", 0.03 },  /* the reference works on decoded weights: ties may fall by one code */
	{ "QLSTM", 1e-5 },                     /* and sums of rounded numbers are not sums of integers */
	{ "", 0 },
};

typedef struct check { const ds_op *op; uint64_t seed; char why[1200]; } check;

static bool fail(check *c, const char *what, const ds_err *err)
{
	char line[900] = "";

	if (err)
		ds_err_line(err, line, sizeof line);
	snprintf(c->why, sizeof c->why, "seed %llu: %s%s%s", (unsigned long long)c->seed, what, err ? ": " : "", line);
	return false;
}

/* ---- data --------------------------------------------------------------------------------------------------------------------- */

static bool fill(ds_tensor *t, ds_rng *r)
{
	int64_t n = ds_tensor_count(t);
	double *v = malloc((size_t)(n > 0 ? n : 1) * sizeof *v);
	const ds_dtype_row *row = ds_dtype_of(t->dtype);
	bool ok;

	for (int64_t i = 0; v && i < n; i++) {
		if (t->dtype == DS_BOOL)
			v[i] = (double)ds_rng_below(r, 2);
		else if (row->is_float)
			v[i] = 4 * ds_rng_f64(r) - 2;
		else if (t->dtype == DS_U8 || t->dtype == DS_I8)
			v[i] = (double)ds_rng_below(r, 256) - (t->dtype == DS_I8 ? 128 : 0);
		else
			v[i] = (double)ds_rng_below(r, 16) - (row->is_signed ? 8 : 0);
	}
	ok = v && ds_convert(t->data, t->dtype, v, DS_F64, (size_t)n, NULL) == DS_OK;
	free(v);
	return ok;
}

/* NULL when a and b agree, else what differs. */
static const char *differ(const ds_op *op, const ds_tensor *a, const ds_tensor *b)
{
	static char text[200];
	double rel = 0, most = 0, worst = 0;
	int64_t n = ds_tensor_count(a);

	if (a->dtype != b->dtype || a->rank != b->rank || memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]) != 0)
		return "types differ";
	if (memcmp(a->data, b->data, ds_tensor_bytes(a)) == 0)
		return NULL;
	for (size_t i = 0; i < DS_COUNTOF(loose); i++)
		if (strcmp(loose[i].name, op->name) == 0)
			rel = loose[i].rel;
	for (int64_t i = 0; i < n; i++)
		if (isfinite(ds_tensor_f64(a, i)))
			most = fmax(most, fabs(ds_tensor_f64(a, i)));
	for (int64_t i = 0; i < n; i++) {
		double x = ds_tensor_f64(a, i), y = ds_tensor_f64(b, i), d = fabs(x - y);

		if ((isnan(x) && isnan(y)) || (x == y && rel > 0))
			continue;
		/* equal numbers with different bits: zeros of different sign */
		if (x == y && memcmp((char *)a->data + i * (int64_t)ds_dtype_size(a->dtype), (char *)b->data + i * (int64_t)ds_dtype_size(a->dtype),
			ds_dtype_size(a->dtype)) == 0)
			continue;
		worst = isfinite(d) ? fmax(worst, d) : INFINITY;
		if (!(d <= rel * most) || rel == 0) {
			snprintf(text, sizeof text, "element %lld is %.9g, %.9g expected (tolerance %g)", (long long)i, y, x, rel * most);
			return text;
		}
	}
	return NULL;
}

static void done(ds_tensor *t, int n)
{
	for (int i = 0; i < n; i++)
		ds_tensor_done(&t[i]);
}

/* ---- through sessions ---------------------------------------------------------------------------------------------------------- */

static ds_status run_session(const ds_graph *g, const ds_session_opts *o, const ds_tensor *in, ds_tensor *out, ds_err *err)
{
	ds_session *s = NULL;
	ds_status rc = ds_session_new_opts(&s, g, o, err);

	if (rc == DS_OK)
		rc = ds_session_run(s, in, g->n_input, out, g->n_output, err);
	ds_session_free(s);
	return rc;
}

static bool sessions(check *c, const ds_graph *g, const ds_tensor *in, ds_tensor *ref)
{
	static const int threads[] = { 1, 2, 7 };
	ds_err err = { 0 };
	ds_session_opts plain = { .threads = 1, .no_rewrite = true, .no_variants = true };

	if (run_session(g, &plain, in, ref, &err) != DS_OK)
		return fail(c, "reference", &err);
	for (int i = 0; i < g->n_output; i++) {
		const ds_type *t = &g->output[i]->type;

		if (t->dtype != ref[i].dtype || (t->rank >= 0 && t->rank != ref[i].rank))
			return fail(c, "inferred type is not that of the run", NULL);
		for (int k = 0; k < t->rank; k++)
			if (t->dim[k] >= 0 && t->dim[k] != ref[i].dim[k])
				return fail(c, "inferred dims are not those of the run", NULL);
	}
	for (size_t k = 0; k < 2 * DS_COUNTOF(threads); k++) {
		ds_session_opts o = { .threads = threads[k / 2], .no_rewrite = k % 2, .no_variants = k % 2 };
		ds_tensor out[MAX_IO] = { 0 };
		const char *d = NULL;
		bool ok = run_session(g, &o, in, out, &err) == DS_OK;

		for (int i = 0; ok && !d && i < g->n_output; i++)
			d = differ(c->op, &ref[i], &out[i]);
		done(out, g->n_output);
		if (!ok)
			return fail(c, k % 2 ? "reference on threads" : "session", &err);
		if (d) {
			char what[300];

			snprintf(what, sizeof what, "%s, %d threads: %s", k % 2 ? "reference" : "variants", threads[k / 2], d);
			return fail(c, what, NULL);
		}
	}
	return true;
}

/* ---- one forward by itself ------------------------------------------------------------------------------------------------------ */

typedef struct call {
	const ds_node *n;
	ds_arg         arg[MAX_IO];
	ds_type        type[MAX_IO];
	ds_tensor      in[MAX_IO];
	ds_tensor     *ref[MAX_IO];     /* by output of the node, NULL: not an output of the graph */
	ds_pool       *pool;
} call;

static ds_status with_layout(const ds_tensor *t, ds_layout layout, ds_tensor *out)
{
	if (t->layout == layout || t->q) {
		*out = ds_tensor_ref(t);
		return DS_OK;
	}
	DS_TRY(ds_tensor_new(out, t->dtype, t->rank, t->dim, NULL));
	out->layout = layout;
	return ds_tensor_relayout(t, out, NULL);
}

static bool one_forward(check *c, const call *k, const ds_variant *v, const ds_layout *want, ds_layout out_layout, const char *name)
{
	ds_tensor in[MAX_IO] = { 0 }, out[MAX_IO] = { 0 }, plain = { 0 };
	const ds_tensor *inp[MAX_IO] = { 0 };
	ds_tensor *outp[MAX_IO] = { 0 };
	const ds_node *n = k->n;
	ds_err err = { 0 };
	ds_env env = { .pool = k->pool };
	void *prep = NULL;
	size_t bytes = 0;
	char what[400] = "", *block = NULL;
	const char *d = NULL;
	ds_status rc = DS_OK;

	for (int i = 0; i < n->n_in && rc == DS_OK; i++)
		if (k->arg[i].present) {
			rc = with_layout(&k->in[i], want[i], &in[i]);
			inp[i] = &in[i];
		}
	for (int i = 0; i < n->n_out && rc == DS_OK; i++) {
		rc = ds_tensor_new(&out[i], k->type[i].dtype, k->type[i].rank, k->type[i].dim, &err);
		out[i].layout = i == 0 ? out_layout : DS_PLAIN;
		outp[i] = &out[i];
		if (rc == DS_OK)
			memset(out[i].data, 0xEE, ds_tensor_bytes(&out[i]));
	}
	if (rc == DS_OK && v && v->prepare)
		rc = v->prepare(n, k->arg, k->type, &prep, &bytes, &err);
	if (rc == DS_OK) {
		size_t (*scratch)(const ds_node *, const ds_arg *, const ds_type *, int) = v ? v->scratch : n->op->scratch;

		env.prep = prep;
		env.scratch_size = scratch ? scratch(n, k->arg, k->type, ds_pool_threads(k->pool)) : 0;
		block = ds_aligned(env.scratch_size + GUARD);
		if (!block)
			rc = DS_E_NOMEM;
		else
			memset(block, 0xFF, env.scratch_size + GUARD);
		env.scratch = block;
	}
	if (rc == DS_OK)
		rc = (v ? v->forward : n->op->forward)(&env, n, inp, outp, &err);
	if (rc != DS_OK) {
		snprintf(what, sizeof what, "%s", name);
		fail(c, what, &err);
	}
	for (int i = 0; i < GUARD && rc == DS_OK && !d; i++)
		if ((unsigned char)block[env.scratch_size + (size_t)i] != 0xFF)
			d = "wrote behind its scratch";
	for (int i = 0; i < n->n_out && rc == DS_OK && !d; i++) {
		if (!k->ref[i])
			continue;
		if (with_layout(&out[i], DS_PLAIN, &plain) != DS_OK)
			d = "no memory";
		else
			d = differ(c->op, k->ref[i], &plain);
		ds_tensor_done(&plain);
	}
	if (d) {
		snprintf(what, sizeof what, "%s%s: %s", name, out_layout == DS_CHANNELS_LAST || want[0] == DS_CHANNELS_LAST ? " (channels last)" : "", d);
		fail(c, what, NULL);
	}
	if (v && v->free_prep)
		v->free_prep(prep);
	ds_free(block);
	done(in, n->n_in);
	done(out, n->n_out);
	return rc == DS_OK && !d;
}

static bool forwards(check *c, const ds_graph *g, const ds_tensor *in, ds_tensor *ref)
{
	call k = { .n = g->node[0] };
	bool ok = true;

	if (g->n_node != 1 || k.n->n_in > MAX_IO || k.n->n_out > MAX_IO || (k.n->op->flags & DS_OP_IMPURE))
		return true;
	for (int i = 0; i < k.n->n_in; i++) {
		const ds_value *v = k.n->in[i];

		if (!v)
			continue;
		k.arg[i] = (ds_arg){ true, v->type, v->kind == DS_V_PARAM || v->kind == DS_V_CONST ? &v->data : NULL };
		k.in[i] = v->data;
		for (int j = 0; j < g->n_input; j++)
			if (g->input[j] == v)
				k.in[i] = in[j];
		if (v->data.q || !ds_type_concrete(&v->type))
			return true;
	}
	for (int i = 0; i < k.n->n_out; i++) {
		k.type[i] = k.n->out[i]->type;
		if (!ds_type_concrete(&k.type[i]))
			return true;
		for (int j = 0; j < g->n_output; j++)
			if (g->output[j] == k.n->out[i])
				k.ref[i] = &ref[j];
	}
	k.pool = ds_pool_new(2);
	for (int last = 0; last < 2 && ok; last++) {
		ds_layout want[MAX_IO] = { 0 }, layout = DS_PLAIN;
		bool any = false;

		for (const ds_variant *v = k.n->op->variants; v && v->name && ok; v++) {
			for (int i = 0; i < k.n->n_in; i++)
				want[i] = last && k.arg[i].present && k.arg[i].type.rank >= 3 ? DS_CHANNELS_LAST : DS_PLAIN;
			layout = DS_PLAIN;
			if (v->match(k.n, k.arg, k.type, want, &layout))
				ok = one_forward(c, &k, v, want, layout, v->name);
		}
		for (int i = 0; i < k.n->n_in; i++) {
			want[i] = last && k.arg[i].present && k.type[0].rank >= 3 && ds_type_same_dims(&k.arg[i].type, &k.type[0])
				? DS_CHANNELS_LAST : DS_PLAIN;
			any |= want[i] == DS_CHANNELS_LAST;
		}
		if (ok && (!last || (any && (k.n->op->flags & DS_OP_ANY_LAYOUT))))
			ok = one_forward(c, &k, NULL, want, last ? DS_CHANNELS_LAST : DS_PLAIN, "reference");
	}
	ds_pool_free(k.pool);
	return ok;
}

/* ---- cost ---------------------------------------------------------------------------------------------------------------------- */

static bool costs(check *c, const ds_graph *g, const ds_tensor *in)
{
	ds_graph *copy = ds_graph_clone(g);
	ds_type type[MAX_IO];
	ds_bound known = { 0 };
	ds_cost *cost = calloc((size_t)g->n_node + 1, sizeof *cost);
	ds_err err = { 0 };
	bool ok = copy && cost;

	for (int i = 0; i < g->n_input; i++)
		type[i] = ds_type_of(&in[i]);
	if (ok && (ds_graph_bind(copy, type, g->n_input, &known, &err) != DS_OK || ds_graph_costs(copy, &known, cost, &err) != DS_OK))
		ok = fail(c, "cost", &err);
	for (int i = 0; ok && i < g->n_node; i++) {
		const double v[] = { cost[i].macs, cost[i].flops, cost[i].weight_bytes, cost[i].act_bytes };

		for (size_t k = 0; k < DS_COUNTOF(v); k++)
			if (!isfinite(v[k]) || v[k] < 0)
				ok = fail(c, "cost is not a number of things", NULL);
	}
	ds_bound_free(&known);
	ds_graph_free(copy);
	free(cost);
	return ok;
}

/* ---- one sample ----------------------------------------------------------------------------------------------------------------- */

static bool sample(check *c)
{
	ds_graph *g = ds_graph_new();
	ds_tensor in[MAX_IO] = { 0 }, ref[MAX_IO] = { 0 };
	ds_rng r = ds_rng_init(c->seed, 77);
	ds_err err = { 0 };
	bool ok = true;

	if (!g || c->op->sample(g, c->seed, &err) != DS_OK)
		ok = fail(c, "sample", &err);
	if (ok && ds_graph_verify(g, NULL, &err) != DS_OK)
		ok = fail(c, "verify", &err);
	if (ok && ds_graph_infer(g, &err) != DS_OK)
		ok = fail(c, "infer", &err);
	if (ok && (g->n_input > MAX_IO || g->n_output > MAX_IO || g->n_output == 0))
		ok = fail(c, "sample has too many or no outputs", NULL);
	for (int i = 0; ok && i < g->n_input; i++) {
		const ds_type *t = &g->input[i]->type;

		if (ds_tensor_new(&in[i], t->dtype, t->rank, t->dim, &err) != DS_OK || !fill(&in[i], &r))
			ok = fail(c, "input", &err);
	}
	if (ok)
		ok = sessions(c, g, in, ref) && forwards(c, g, in, ref) && costs(c, g, in);
	done(in, MAX_IO);
	done(ref, MAX_IO);
	ds_graph_free(g);
	return ok;
}

int main(int argc, char **argv)
{
	const char *env = getenv("DS_OP_SEEDS");
	uint64_t seeds = env ? strtoull(env, NULL, 10) : 24;
	int n, bad = 0, without = 0;
	const ds_op *const *op = ds_op_all(&n);

	for (int i = 0; i < n; i++) {
		check c = { .op = op[i] };
		bool wanted = argc < 2, ok = true;

		for (int k = 1; k < argc; k++)
			wanted |= strcmp(argv[k], op[i]->name) == 0;
		if (!wanted)
			continue;
		if (!op[i]->sample) {
			printf("skip op %s: no sample\n", op[i]->name);
			without++;
			continue;
		}
		for (c.seed = 0; c.seed < seeds && ok; c.seed++)
			ok = sample(&c);
		printf("%s op %s%s%s\n", ok ? "ok" : "not ok", op[i]->name, ok ? "" : ": ", c.why);
		fflush(stdout);
		bad += !ok;
	}
	printf("# %d operators, %d not ok, %d without sample\n", n, bad, without);
	return bad != 0;
}
