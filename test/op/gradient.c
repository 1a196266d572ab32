/* gradient.c - the `gradient` columns against finite differences: every row of the table that has one and a `sample`, over several seeds
 *
 * gradient [NAME ...]; DS_GRAD_SEEDS is the number of seeds (default 12).  For every sample graph:
 *   floats become f64 where the operator takes them, and float weights become inputs;
 *   the loss is a sum of the outputs with random weights; the gradients of all float inputs come from ds_train_backward and a session;
 *   a session without variants and rewrites, and one with three threads, give the same bits (the tables name what may differ);
 *   elements of every float input are moved up and down, and the quotient of the losses is compared with the gradient.  An input that got no gradient must
 *   not change the loss.  Points are spread so that no two are near each other, elements at a kink are left out, and most must not be at one. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/base/rng.h"
#include "../../lib/exec/exec.h"
#include "../../lib/train/train.h"

enum { MAX_IO = 32, PER_TENSOR = 12 };

/* Where the inputs of an operator are taken from, for those that are not smooth everywhere in [-2, 2]. */
static const struct { const char *name; double lo, hi; } domains[] = {
	{ "Acos", -0.9, 0.9 }, { "Acosh", 1.2, 3 }, { "Asin", -0.9, 0.9 }, { "Atanh", -0.9, 0.9 }, { "Log", 0.2, 3 }, { "Sqrt", 0.2, 3 }, { "Pow", 0.3, 2 },
	{ "Reciprocal", 0.5, 3 }, { "Div", 0.5, 3 }, { "ReduceLogSum", 0.2, 3 }, { "Tan", -1.2, 1.2 }, { "BatchNormalization", 0.3, 2 },
	{ "ReduceProd", 0.5, 2 }, { "Mod", 0.5, 3 }, { "GlobalMaxPool", -400, 400 }, { "BatchNormTrain", -20, 20 },
	{ "", -2, 2 },
};
/* Gradients whose bits may depend on the variant (relative to the largest). */
static const struct { const char *name; double rel; } loose[] = {
	{ "", 0 },
};

/* Straight through: the gradient is by design not the derivative; only the agreement of its runs is looked at. */
static const char *const straight[] = { "FakeQuantize", "" };

/* Inputs from this one on are settings that are not trained: tables, weights of classes. */
static const struct { const char *name; int from; } settings[] = {
	{ "RotaryEmbedding", 1 }, { "NegativeLogLikelihoodLoss", 1 }, { "SoftmaxCrossEntropyLoss", 1 }, { "", 0 },
};

typedef struct check {
	const ds_op *op;
	uint64_t     seed;
	double       lo, hi;
	int          judged, kinks;
	char         why[1200];
} check;

static bool fail(check *c, const char *what, const ds_err *err)
{
	char line[900] = "";

	if (err)
		ds_err_line(err, line, sizeof line);
	if (!c->why[0])
		snprintf(c->why, sizeof c->why, "seed %llu: %s%s%s", (unsigned long long)c->seed, what, err ? ": " : "", line);
	return false;
}

static bool is_float(ds_dtype d)
{
	return d == DS_F32 || d == DS_F64 || d == DS_F16 || d == DS_BF16;
}

static void done(ds_tensor *t, int n)
{
	for (int i = 0; i < n; i++)
		ds_tensor_done(&t[i]);
}

/* ---- graphs --------------------------------------------------------------------------------------------------------------------- */

static bool is_setting(const ds_graph *g, const ds_value *w)
{
	for (size_t k = 0; k < DS_COUNTOF(settings); k++)
		for (int i = 0; i < g->node[0]->n_in; i++)
			if (g->node[0]->in[i] == w && i >= settings[k].from && strcmp(settings[k].name, g->node[0]->op_name) == 0)
				return true;
	return false;
}

/* Every float weight becomes an input; with `wide` inputs and weights of floats become f64. */
static ds_status open_up(ds_graph *g, bool promote, bool wide, ds_err *err)
{
	char name[32];

	for (int i = 0; wide && i < g->n_input; i++)
		if (is_float(g->input[i]->type.dtype))
			g->input[i]->type.dtype = DS_F64;
	for (int i = 0; i < g->n_weight; i++) {
		ds_value *w = g->weight[i];

		if (!is_float(w->type.dtype) || w->data.q)
			continue;
		if (wide) {
			ds_tensor t;

			DS_TRY(ds_tensor_new(&t, DS_F64, w->data.rank, w->data.dim, err));
			DS_TRY(ds_convert(t.data, DS_F64, w->data.data, w->data.dtype, (size_t)ds_tensor_count(&t), err));
			ds_tensor_done(&w->data);
			w->data = t;
			w->type.dtype = DS_F64;
			w->kind = DS_V_PARAM;
			snprintf(name, sizeof name, "wide%d", i);
			w->name = ds_arena_strdup(&g->arena, name);
		}
		if (promote && !is_setting(g, w)) {
			snprintf(name, sizeof name, "open%d", i);
			ds_value *in = ds_graph_input(g, name, &w->type);

			if (!in)
				return ds_fail_nomem(err, 0);
			ds_graph_replace(g, w, in);
		}
	}
	ds_graph_prune_dead(g);
	return ds_graph_verify(g, NULL, err);
}

static ds_status bind(ds_graph *g, ds_err *err)
{
	ds_type in[MAX_IO];

	if (g->n_input > MAX_IO || g->n_output > MAX_IO)
		return ds_fail(err, DS_E_INTERNAL, "too many inputs or outputs");
	for (int i = 0; i < g->n_input; i++)
		in[i] = g->input[i]->type;
	return ds_graph_bind(g, in, g->n_input, NULL, err);
}

/* The sample, opened as far as the operator allows; NULL when it has no float to differentiate. */
static ds_graph *forward_graph(check *c, ds_err *err)
{
	static const struct { bool promote, wide; } tries[] = { { true, true }, { true, false }, { false, true }, { false, false } };

	for (size_t k = 0; k < DS_COUNTOF(tries); k++) {
		ds_graph *g = ds_graph_new();
		bool any = false;

		if (!g || c->op->sample(g, c->seed, err) != DS_OK) {
			fail(c, "sample", err);
			ds_graph_free(g);
			return NULL;
		}
		if (open_up(g, tries[k].promote, tries[k].wide, err) == DS_OK && bind(g, err) == DS_OK) {
			for (int i = 0; i < g->n_input; i++)
				any |= is_float(g->input[i]->type.dtype) && ds_type_count(&g->input[i]->type) > 0;
			if (any)
				return g;
			ds_graph_free(g);
			return NULL;
		}
		ds_graph_free(g);
	}
	fail(c, "the sample cannot be bound", err);
	return NULL;
}

/* Inputs, the weights of the outputs in `use`, then gradients as the outputs; grad[i] is -1 where there is none. */
static ds_status backward_graph(const ds_graph *f, const bool *use, ds_graph **out, int *grad, ds_err *err)
{
	ds_graph *g = ds_graph_clone(f);
	ds_value *wrt[MAX_IO], *dv[MAX_IO] = { NULL }, *loss = NULL;
	int n = f->n_input, outputs = f->n_output, k = 0;
	char name[32];
	ds_status rc = g ? DS_OK : ds_fail_nomem(err, 0);

	*out = NULL;
	if (rc != DS_OK)
		return rc;
	ds_emit e = ds_emit_begin(g, err);
	for (int i = 0; i < outputs; i++) {
		ds_type t = f->output[i]->type;

		if (!use[i])
			continue;
		t.dtype = DS_F64;
		snprintf(name, sizeof name, "weight%d", i);
		ds_value *w = ds_graph_input(g, name, &t), *v = ds_emit1(&e, "Cast", g->output[i]), *s;

		ds_emit_i(&e, v, "to", 11);
		s = ds_emit1(&e, "ReduceSum", ds_emit2(&e, "Mul", v, w));
		ds_emit_i(&e, s, "keepdims", 0);
		loss = loss ? ds_emit2(&e, "Add", loss, s) : s;
	}
	DS_GOTO(ds_emit_end(&e));
	if (!loss) {
		rc = DS_END;
		goto out;
	}
	g->n_output = 0;
	DS_GOTO(ds_graph_output(g, loss));
	DS_GOTO(ds_graph_verify(g, NULL, err));
	DS_GOTO(bind(g, err));
	for (int i = 0; i < n; i++)
		wrt[i] = g->input[i];
	DS_GOTO(ds_train_backward(g, loss, wrt, n, dv, err));
	g->n_output = 0;
	for (int i = 0; i < n; i++) {
		grad[i] = -1;
		if (!dv[i] || !is_float(wrt[i]->type.dtype))
			continue;
		ds_emit e2 = ds_emit_begin(g, err);
		ds_value *v = ds_emit1(&e2, "Identity", dv[i]);         /* one value may be the gradient of several */
		DS_GOTO(ds_emit_end(&e2));
		DS_GOTO(ds_graph_output(g, v));
		grad[i] = k++;
	}
	if (!k)
		rc = DS_END;
	else
		rc = ds_graph_verify(g, NULL, err);
out:
	if (rc == DS_OK)
		*out = g;
	else
		ds_graph_free(g);
	return rc;
}

/* ---- values --------------------------------------------------------------------------------------------------------------------- */

static double domain_value(const check *c, double u)
{
	return c->lo + u * (c->hi - c->lo);
}

/* Floats: all elements of all inputs lie on one grid, no two on one point. */
static bool fill(const check *c, const ds_graph *g, ds_tensor *in, ds_rng *r)
{
	int64_t all = 0, *order;

	for (int i = 0; i < g->n_input; i++)
		all += is_float(in[i].dtype) ? ds_tensor_count(&in[i]) : 0;
	order = malloc((size_t)(all + 1) * sizeof *order);
	if (!order)
		return false;
	for (int64_t i = 0; i < all; i++)
		order[i] = i;
	for (int64_t i = all - 1; i > 0; i--) {
		int64_t k = (int64_t)ds_rng_below(r, (uint64_t)i + 1), t = order[i];

		order[i] = order[k];
		order[k] = t;
	}
	for (int i = 0, at = 0; i < g->n_input; i++) {
		const ds_dtype_row *row = ds_dtype_of(in[i].dtype);

		for (int64_t k = 0; k < ds_tensor_count(&in[i]); k++) {
			double v = row->is_float ? domain_value(c, ((double)order[at++] + 0.37) / (double)all) : in[i].dtype == DS_BOOL
				? (double)ds_rng_below(r, 2) : (double)ds_rng_below(r, 16) - (row->is_signed ? 8 : 0);

			if (ds_convert((char *)in[i].data + (size_t)k * ds_dtype_size(in[i].dtype), in[i].dtype, &v, DS_F64, 1, NULL) != DS_OK)
				return false;
		}
	}
	free(order);
	return true;
}

static ds_status run_once(const ds_graph *g, const ds_session_opts *o, const ds_tensor *in, ds_tensor *out, ds_err *err)
{
	ds_session *s = NULL;
	ds_status rc = ds_session_new_opts(&s, g, o, err);

	if (rc == DS_OK)
		rc = ds_session_run(s, in, g->n_input, out, g->n_output, err);
	ds_session_free(s);
	return rc;
}

/* ---- one gradient run three ways ------------------------------------------------------------------------------------------------ */

static bool agree(check *c, const ds_tensor *a, const ds_tensor *b, const char *what)
{
	double rel = 0, most = 0;

	for (size_t i = 0; i < DS_COUNTOF(loose); i++)
		if (strcmp(loose[i].name, c->op->name) == 0)
			rel = loose[i].rel;
	if (a->dtype != b->dtype || ds_tensor_bytes(a) != ds_tensor_bytes(b))
		return fail(c, what, NULL);
	if (memcmp(a->data, b->data, ds_tensor_bytes(a)) == 0)
		return true;
	for (int64_t i = 0; i < ds_tensor_count(a); i++)
		most = fmax(most, fabs(ds_tensor_f64(a, i)));
	for (int64_t i = 0; i < ds_tensor_count(a); i++) {
		double x = ds_tensor_f64(a, i), y = ds_tensor_f64(b, i);

		/* zeros of either sign are one number */
		if (!(x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= rel * most))
			return fail(c, what, NULL);
	}
	return true;
}

static bool gradients(check *c, const ds_graph *b, const ds_tensor *in, ds_tensor *ref)
{
	static const struct { ds_session_opts o; const char *what; } ways[] = {
		{ { .threads = 1, .no_rewrite = true, .no_variants = true }, "" },
		{ { .threads = 1 }, "the gradient with variants is not that without" },
		{ { .threads = 3 }, "the gradient depends on the number of threads" },
		{ { .threads = 3, .no_rewrite = true, .no_variants = true }, "the reference gradient depends on the number of threads" },
	};
	ds_err err = { 0 };
	bool ok = true;

	for (size_t k = 0; k < DS_COUNTOF(ways) && ok; k++) {
		ds_tensor out[MAX_IO] = { 0 };

		if (run_once(b, &ways[k].o, in, k ? out : ref, &err) != DS_OK)
			ok = fail(c, k ? ways[k].what : "gradient", &err);
		for (int i = 0; k && ok && i < b->n_output; i++)
			ok = agree(c, &ref[i], &out[i], ways[k].what);
		done(out, MAX_IO);
	}
	return ok;
}

/* ---- finite differences --------------------------------------------------------------------------------------------------------- */

typedef struct probe {
	ds_session      *s;
	const ds_graph  *g;
	ds_tensor       *in;            /* of the forward graph */
	const ds_tensor *weight[MAX_IO];
	bool             narrow;        /* outputs are f32 in truth */
} probe;

static bool loss_at(check *c, probe *p, double *loss)
{
	ds_tensor out[MAX_IO] = { 0 };
	ds_err err = { 0 };
	double sum = 0;

	if (ds_session_run(p->s, p->in, p->g->n_input, out, p->g->n_output, &err) != DS_OK)
		return fail(c, "forward", &err);
	for (int i = 0; i < p->g->n_output; i++)
		for (int64_t k = 0; p->weight[i] && k < ds_tensor_count(&out[i]); k++) {
			double v = ds_tensor_f64(&out[i], k);

			p->narrow = p->narrow && v == (double)(float)v;
			sum += v * ((const double *)p->weight[i]->data)[k];
		}
	done(out, MAX_IO);
	*loss = sum;
	return true;
}

static bool moved(check *c, probe *p, int i, int64_t at, double by, double *loss)
{
	ds_tensor *t = &p->in[i];
	char *x = (char *)t->data + (size_t)at * ds_dtype_size(t->dtype), keep[8];
	double v = ds_tensor_f64(t, at) + by;
	bool ok;

	memcpy(keep, x, ds_dtype_size(t->dtype));
	ok = ds_convert(x, t->dtype, &v, DS_F64, 1, NULL) == DS_OK && loss_at(c, p, loss);
	memcpy(x, keep, ds_dtype_size(t->dtype));
	return ok;
}

/* Central differences with steps h and h/2, extrapolated.  *kink: the second difference does not shrink with h as that of a smooth function does. */
static bool quotient(check *c, probe *p, int i, int64_t at, double h, double base, double tol, double *d, bool *kink)
{
	double up[2], down[2], bend[2];

	for (int k = 0; k < 2; k++, h /= 2) {
		if (!moved(c, p, i, at, h, &up[k]) || !moved(c, p, i, at, -h, &down[k]))
			return false;
		bend[k] = fabs(up[k] + down[k] - 2 * base) / h;
	}
	h *= 4;
	/* nor can a gradient be judged where the quotients are far from each other (an edge between h and h/2, a variance of nearly nothing) */
	*kink = fabs((up[1] - down[1]) / h - (up[0] - down[0]) / (2 * h)) > tol;
	*d = (8 * (up[1] - down[1]) - (up[0] - down[0])) / (6 * h);
	/* halving h halves the bend of a smooth function; one far below half was bent between h/2 and h */
	*kink |= (bend[1] > 0.75 * bend[0] && bend[1] > tol) || (bend[1] < 0.25 * bend[0] && bend[0] > tol);
	return true;
}

static bool differences(check *c, probe *p, const ds_tensor *grad, const int *slot, ds_rng *r)
{
	double base;

	p->narrow = true;
	if (!loss_at(c, p, &base))
		return false;
	if (!isfinite(base))
		return fail(c, "the loss is not finite: the test needs a domain for this operator", NULL);
	for (int i = 0; i < p->g->n_input; i++) {
		const ds_tensor *g = slot[i] < 0 ? NULL : &grad[slot[i]];
		int64_t n = ds_tensor_count(&p->in[i]), count = DS_MIN(n, PER_TENSOR);
		double most = 1e-3 * fabs(base) + 0.1;

		if (!is_float(p->in[i].dtype))
			continue;
		if (g && (ds_tensor_count(g) != n || g->rank != p->in[i].rank || memcmp(g->dim, p->in[i].dim, (size_t)g->rank * sizeof g->dim[0]) != 0 ||
			g->dtype != p->in[i].dtype))
			return fail(c, "the gradient has not the type of the input", NULL);
		for (int64_t k = 0; g && k < n; k++)
			most = fmax(most, fabs(ds_tensor_f64(g, k)));
		for (int64_t k = 0; k < count; k++) {
			int64_t at = n <= PER_TENSOR ? k : (int64_t)ds_rng_below(r, (uint64_t)n);
			double tol = (p->narrow ? 2e-3 : 1e-6) * most, h = p->narrow ? 0x1p-6 : 0x1p-12, d, x = g ? ds_tensor_f64(g, at) : 0;
			bool kink = false, good = false;
			char what[200];

			/* a kink may hide within the step: nearer to the point a right gradient is right */
			for (int tries = 0; tries < 3 && !kink && !good; tries++, h /= 8) {
				if (!quotient(c, p, i, at, h, base, tol, &d, &kink))
					return false;
				good = fabs(d - x) <= tol;
			}
			c->judged++;
			c->kinks += kink;
			if (!kink && !good) {
				snprintf(what, sizeof what, "input %d \"%.20s\", element %lld: %s %.9g, finite differences say %.9g", i, p->g->input[i]->name,
					(long long)at, g ? "gradient" : "no gradient,", x, d);
				return fail(c, what, NULL);
			}
		}
	}
	return true;
}

/* Outputs that the loss is made of: floats that are finite. */
static bool usable(check *c, probe *p, bool *use)
{
	ds_tensor out[MAX_IO] = { 0 };
	ds_err err = { 0 };

	if (ds_session_run(p->s, p->in, p->g->n_input, out, p->g->n_output, &err) != DS_OK)
		return fail(c, "forward", &err);
	for (int i = 0; i < p->g->n_output; i++) {
		use[i] = is_float(out[i].dtype) && ds_tensor_count(&out[i]) > 0;
		for (int64_t k = 0; use[i] && k < ds_tensor_count(&out[i]); k++)
			use[i] = isfinite(ds_tensor_f64(&out[i], k));
	}
	done(out, MAX_IO);
	return true;
}

static bool allocate(check *c, const ds_graph *g, int from, ds_tensor *in)
{
	ds_err err = { 0 };

	for (int i = from; i < g->n_input; i++) {
		const ds_type *t = &g->input[i]->type;

		if (ds_tensor_new(&in[i], t->dtype, t->rank, t->dim, &err) != DS_OK)
			return fail(c, "input", &err);
	}
	return true;
}

/* ---- one sample ----------------------------------------------------------------------------------------------------------------- */

static bool sample(check *c)
{
	ds_tensor in[MAX_IO] = { 0 }, grad[MAX_IO] = { 0 };
	ds_rng r = ds_rng_init(c->seed, 78);
	ds_err err = { 0 };
	int slot[MAX_IO] = { 0 };
	ds_graph *f = forward_graph(c, &err), *b = NULL;
	ds_session_opts plain = { .threads = 1, .no_rewrite = true, .no_variants = true };
	probe p = { .g = f, .in = in };
	bool ok = f != NULL, use[MAX_IO] = { false };
	ds_status rc;
	int at = 0;

	if (!f)
		return !c->why[0];
	ok = allocate(c, f, 0, in) && fill(c, f, in, &r);
	if (ok && ds_session_new_opts(&p.s, f, &plain, &err) != DS_OK)
		ok = fail(c, "session", &err);
	if (!ok || !(ok = usable(c, &p, use)))
		goto out;
	rc = backward_graph(f, use, &b, slot, &err);
	if (rc != DS_OK && rc != DS_END)
		ok = fail(c, "backward", &err);
	if (rc != DS_OK)
		goto out;
	ok = allocate(c, b, f->n_input, in);
	for (int i = f->n_input; ok && i < b->n_input; i++)
		for (int64_t k = 0; k < ds_tensor_count(&in[i]); k++)
			((double *)in[i].data)[k] = 2 * ds_rng_f64(&r) - 1;
	for (int i = 0; i < f->n_output; i++)
		if (use[i])
			p.weight[i] = &in[f->n_input + at++];
	ok = ok && gradients(c, b, in, grad);
	for (size_t i = 0; i < DS_COUNTOF(straight); i++)
		if (strcmp(straight[i], c->op->name) == 0)
			goto out;
	ok = ok && differences(c, &p, grad, slot, &r);
out:
	ds_session_free(p.s);
	done(in, MAX_IO);
	done(grad, MAX_IO);
	ds_graph_free(f);
	ds_graph_free(b);
	return ok;
}

int main(int argc, char **argv)
{
	const char *env = getenv("DS_GRAD_SEEDS");
	uint64_t seeds = env ? strtoull(env, NULL, 10) : 12;
	int n, bad = 0, have = 0;
	const ds_op *const *op = ds_op_all(&n);

	for (int i = 0; i < n; i++) {
		check c = { .op = op[i] };
		size_t d = 0;
		bool wanted = argc < 2, ok = true;

		for (int k = 1; k < argc; k++)
			wanted |= strcmp(argv[k], op[i]->name) == 0;
		if (!wanted || !op[i]->gradient)
			continue;
		have++;
		if (!op[i]->sample) {
			printf("skip gradient %s: no sample\n", op[i]->name);
			continue;
		}
		while (domains[d].name[0] && strcmp(domains[d].name, op[i]->name) != 0)
			d++;
		c.lo = domains[d].lo;
		c.hi = domains[d].hi;
		for (c.seed = 0; c.seed < seeds && ok; c.seed++)
			ok = sample(&c);
		if (ok && 2 * c.kinks > c.judged && c.judged)
			ok = fail(&c, "most elements are at kinks", NULL);
		printf("%s gradient %s%s%s\n", ok ? "ok" : "not ok", op[i]->name, ok ? "" : ": ", c.why);
		fflush(stdout);
		bad += !ok;
	}
	printf("# %d operators with gradients, %d not ok\n", have, bad);
	return bad != 0;
}
