/* attention.c - attention in graphs: one form, layers found, maps of real transformers, rollout, relevance and its conservation */
#include "base/rng.h"
#include "explain/attention.h"
#include "format/onnx.h"
#include "data/data.h"
#include "format/format.h"
#include "train/train.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const ds_format ds_format_onnx, ds_format_spec;

static int failed;
static char why[512];

static void say(const char *name, ds_status rc, const ds_err *err)
{
	if (rc != DS_OK && !why[0])
		snprintf(why, sizeof why, "%s", err->text);
	printf(why[0] ? "not ok attention_%s: %s\n" : "ok attention_%s%s\n", name, why);
	failed |= why[0] != 0;
	why[0] = 0;
}

static void wrong(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (!why[0])
		vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
}

/* A clone that is bound, folded and in the one form. */
static ds_status open_graph(ds_graph **out, const ds_graph *model, const ds_tensor *in, int n_in, bool unfold, ds_err *err)
{
	ds_graph *g = ds_graph_clone(model);
	ds_type t[8];
	ds_bound known = { 0 };
	char *moves = NULL;
	ds_status rc = g ? DS_OK : ds_fail_nomem(err, 0);
	*out = NULL;
	if (rc != DS_OK)
		return rc;
	for (int i = 0; i < n_in; i++)
		t[i] = ds_type_of(&in[i]);
	DS_GOTO(ds_graph_verify(g, NULL, err));
	DS_GOTO(ds_graph_bind(g, t, n_in, &known, err));
	moves = calloc((size_t)known.n + 1, 1);
	DS_GOTO(ds_train_fold(g, &known, moves, err));
	DS_GOTO(ds_graph_name_all(g) == DS_OK ? DS_OK : ds_fail_nomem(err, 0));
	DS_GOTO(ds_graph_verify(g, NULL, err));
	DS_GOTO(ds_graph_infer(g, err));
	if (unfold)
		DS_GOTO(ds_attention_unfold(g, err));
	*out = g;
out:
	ds_bound_free(&known);
	free(moves);
	if (rc != DS_OK)
		ds_graph_free(g);
	return rc;
}

/* Run g for these outputs only (out: n tensors). */
static ds_status run(ds_graph *g, const ds_tensor *in, int n_in, ds_value *const *want, int n, ds_tensor *out, ds_err *err)
{
	ds_session *s = NULL;
	ds_session_opts o = { .threads = 1 };
	ds_status rc = DS_OK;
	g->n_output = 0;
	for (int i = 0; i < n; i++)
		DS_GOTO(ds_graph_output(g, want[i]) == DS_OK ? DS_OK : ds_fail_nomem(err, 0));
	DS_GOTO(ds_graph_verify(g, NULL, err));
	DS_GOTO(ds_session_new_opts(&s, g, &o, err));
	DS_GOTO(ds_session_run(s, in, n_in, out, n, err));
out:
	ds_session_free(s);
	return rc;
}

static void done(ds_tensor *t, int n)
{
	for (int i = 0; i < n; i++)
		ds_tensor_done(&t[i]);
}

static double apart(const ds_tensor *a, const ds_tensor *b)
{
	double most = 0;
	if (ds_tensor_count(a) != ds_tensor_count(b))
		return INFINITY;
	for (int64_t i = 0; i < ds_tensor_count(a); i++) {
		double d = fabs(ds_tensor_f64(a, i) - ds_tensor_f64(b, i));
		most = !(d <= most) ? d : most;
	}
	return most;
}

static ds_status fill(ds_tensor *t, const ds_type *type, uint64_t seed, int64_t below, ds_err *err)
{
	ds_rng r = ds_rng_init(11, seed);
	DS_TRY(ds_tensor_new(t, type->dtype, type->rank, type->dim, err));
	for (int64_t i = 0; i < ds_tensor_count(t); i++) {
		double v = type->dtype == DS_BOOL ? (double)ds_rng_below(&r, 3) > 0 : below ? (double)ds_rng_below(&r, (uint64_t)below) : ds_rng_normal(&r);
		char *at = (char *)t->data + (size_t)i * ds_dtype_size(type->dtype);
		DS_TRY(ds_convert(at, type->dtype, &v, DS_F64, 1, err));
	}
	return DS_OK;
}

/* ---- one form ------------------------------------------------------------------------------------------------------------------- */
/* A graph with one Attention gives the same numbers unfolded. */
static ds_status compare(ds_graph *g, ds_tensor *in, uint64_t seed, ds_err *err)
{
	ds_graph *a = NULL, *b = NULL;
	ds_value *va[4], *vb[4];
	ds_tensor x[4] = { { 0 } }, y[4] = { { 0 } };
	int n = 0;
	ds_status rc;
	DS_GOTO(open_graph(&a, g, in, g->n_input, false, err));
	DS_GOTO(open_graph(&b, g, in, g->n_input, true, err));
	n = a->n_output;
	for (int i = 0; i < n; i++) {
		va[i] = a->output[i];
		vb[i] = b->output[i];
	}
	for (int i = 0; i < b->n_node; i++)
		if (strcmp(b->node[i]->op_name, "Attention") == 0)
			wrong("seed %d: Attention is still there", (int)seed);
	DS_GOTO(run(a, in, g->n_input, va, n, x, err));
	DS_GOTO(run(b, in, g->n_input, vb, n, y, err));
	for (int i = 0; i < n; i++) {
		/* scores that are hidden are a large number here, and minus infinity there */
		for (int64_t k = 0; x[i].dtype == DS_F32 && i == 3 && k < ds_tensor_count(&x[i]); k++)
			if (((float *)x[i].data)[k] == -INFINITY && ((float *)y[i].data)[k] < -1e29f)
				((float *)y[i].data)[k] = ((float *)x[i].data)[k] = 0;
		double d = x[i].dtype == DS_F16 && i == 3 ? 0 : apart(&x[i], &y[i]);
		if (!(d <= (x[i].dtype == DS_F16 ? 1e-2 : 2e-5)))
			wrong("seed %d: output %d is %g off", (int)seed, i, d);
	}
out:
	done(x, n);
	done(y, n);
	ds_graph_free(a);
	ds_graph_free(b);
	return rc;
}

static ds_status unfold_samples(ds_err *err)
{
	const ds_op *op = ds_op_find("", "Attention");
	for (uint64_t seed = 0; seed < 180; seed++) {
		ds_graph *g = ds_graph_new();
		ds_tensor in[8] = { { 0 } };
		ds_status rc = op->sample(g, seed, err);
		for (int i = 0; rc == DS_OK && i < g->n_input; i++)
			rc = fill(&in[i], &g->input[i]->type, seed * 8 + (uint64_t)i, 0, err);
		if (rc == DS_OK)
			rc = compare(g, in, seed, err);
		if (rc != DS_OK)
			ds_err_prefix(err, "seed %d", (int)seed);
		done(in, 8);
		ds_graph_free(g);
		DS_TRY(rc);
	}
	return DS_OK;
}

/* Lengths of items, and masks shorter than the keys. */
static ds_status unfold_lengths(ds_err *err)
{
	for (uint64_t seed = 0; seed < 6; seed++) {
		ds_graph *g = ds_graph_new();
		ds_type q = ds_type_make(DS_F32, 4, (int64_t[]){ 2, 2, 5, 4 }), k = ds_type_make(DS_F32, 4, (int64_t[]){ 2, 2, 7, 4 }), len = ds_type_make(DS_I64, 1, (int64_t[]){ 2 });
		ds_type mask = ds_type_make(seed % 2 ? DS_BOOL : DS_F32, 2, (int64_t[]){ 5, 6 });
		ds_value *in[7] = { ds_graph_input(g, "q", &q), ds_graph_input(g, "k", &k), ds_graph_input(g, "v", &k), ds_graph_input(g, "mask", &mask), NULL, NULL, NULL };
		ds_tensor t[5] = { { 0 } };
		int n = 4;
		if (seed < 4)
			in[6] = ds_graph_input(g, "len", &len);
		ds_node *a = ds_graph_node(g, "", "Attention", "a", 7, in, 1, (const char *[]){ "y" });
		ds_status rc = ds_attr_i(a, "is_causal", seed % 3 == 0);
		rc = rc == DS_OK ? ds_graph_output(g, a->out[0]) : rc;
		for (int i = 0; rc == DS_OK && i < n; i++)
			rc = fill(&t[i], &g->input[i]->type, seed * 8 + (uint64_t)i, 0, err);
		if (rc == DS_OK && seed < 4 && (rc = ds_tensor_new(&t[n], DS_I64, 1, len.dim, err)) == DS_OK) {
			((int64_t *)t[n].data)[0] = 6;
			((int64_t *)t[n].data)[1] = 7;
			n++;
		}
		if (rc == DS_OK)
			rc = compare(g, t, seed, err);
		done(t, n);
		ds_graph_free(g);
		DS_TRY(rc);
	}
	return DS_OK;
}

/* Softmax in steps, with what is hidden filled in before and the largest taken away. */
static ds_status steps(ds_err *err)
{
	ds_graph *g = ds_graph_new(), *o = NULL;
	ds_type t = ds_type_make(DS_F32, 3, (int64_t[]){ 2, 4, 3 });
	ds_value *x = ds_graph_input(g, "x", &t);
	ds_emit e = ds_emit_begin(g, err);
	ds_value *xt = ds_emit1(&e, "Transpose", x), *axis = ds_emit_ints(&e, 1, (int64_t[]){ -1 });
	ds_emit_is(&e, xt, "perm", 3, (int64_t[]){ 0, 2, 1 });
	ds_value *s = ds_emit2(&e, "MatMul", x, xt), *top = ds_emit1(&e, "Exp", ds_emit2(&e, "Sub", s, ds_emit2(&e, "ReduceMax", s, axis)));
	ds_value *a = ds_emit2(&e, "Div", top, ds_emit2(&e, "ReduceSum", top, axis)), *y = ds_emit2(&e, "MatMul", a, x), *both[2];
	ds_tensor in = { 0 }, out[2] = { { 0 } };
	ds_attn *l = NULL;
	int n = 0;
	ds_status rc = ds_emit_end(&e);
	DS_GOTO(rc);
	a->node->name = "weights";
	DS_GOTO(ds_graph_output(g, y));
	DS_GOTO(fill(&in, &t, 3, 0, err));
	DS_GOTO(open_graph(&o, g, &in, 1, true, err));
	DS_GOTO(ds_attention_find(o, &l, &n, err));
	if (n != 1 || strcmp(l[0].name, "weights") != 0 || l[0].maps != 2 || l[0].tq != 4 || l[0].tk != 4) {
		wrong("%d layers, the first of %d heads", n, n ? (int)l[0].maps : 0);
		goto out;
	}
	both[0] = l[0].prob;
	both[1] = o->output[0];
	DS_GOTO(run(o, &in, 1, both, 2, out, err));
	for (int r = 0; r < 8; r++) {
		double sum = 0;
		for (int k = 0; k < 4; k++)
			sum += (double)((float *)out[0].data)[r * 4 + k];
		if (fabs(sum - 1) > 1e-6)
			wrong("row %d sums to %g", r, sum);
	}
out:
	ds_free(l);
	done(out, 2);
	ds_tensor_done(&in);
	ds_graph_free(o);
	ds_graph_free(g);
	return rc;
}

/* Channels first: values times the transposed map, softmax over the keys in front of the queries; and a softmax that is no attention. */
static ds_status flipped(ds_err *err)
{
	ds_graph *g = ds_graph_new(), *o = NULL;
	ds_type t = ds_type_make(DS_F32, 3, (int64_t[]){ 1, 3, 4 });    /* channels, places */
	ds_value *x = ds_graph_input(g, "x", &t), *w = NULL;
	ds_emit e = ds_emit_begin(g, err);
	ds_value *xt = ds_emit1(&e, "Transpose", x);
	ds_emit_is(&e, xt, "perm", 3, (int64_t[]){ 0, 2, 1 });
	ds_value *s = ds_emit2(&e, "MatMul", xt, x), *p = ds_emit1(&e, "Softmax", s);
	ds_emit_i(&e, p, "axis", 1);
	ds_value *y = ds_emit2(&e, "MatMul", x, p);
	ds_tensor in = { 0 }, wt = { 0 }, out[1] = { { 0 } };
	ds_attn *l = NULL;
	int n = 0;
	float map[16];
	ds_status rc = fill(&wt, &(ds_type){ DS_F32, 2, { 4, 2 } }, 4, 0, err);
	DS_GOTO(rc);
	w = ds_graph_weight(g, DS_V_PARAM, "w", &wt);
	ds_value *c = ds_emit1(&e, "Softmax", ds_emit2(&e, "MatMul", y, w));    /* classes: weighs nothing */
	ds_emit_i(&e, c, "axis", -1);
	DS_GOTO(ds_emit_end(&e));
	DS_GOTO(ds_graph_output(g, c));
	DS_GOTO(fill(&in, &t, 3, 0, err));
	DS_GOTO(open_graph(&o, g, &in, 1, true, err));
	DS_GOTO(ds_attention_find(o, &l, &n, err));
	if (n != 1 || !l[0].flip) {
		wrong("%d layers", n);
		goto out;
	}
	DS_GOTO(run(o, &in, 1, &l[0].prob, 1, out, err));
	DS_GOTO(ds_attention_map(&l[0], &out[0], map, err));
	for (int q = 0; q < 4; q++)
		if (fabs((double)map[q * 4] + (double)map[q * 4 + 1] + (double)map[q * 4 + 2] + (double)map[q * 4 + 3] - 1) > 1e-6)
			wrong("row %d does not sum to one", q);
out:
	ds_free(l);
	done(out, 1);
	ds_tensor_done(&in);
	ds_graph_free(o);
	ds_graph_free(g);
	return rc;
}

/* ---- a small transformer in both forms ------------------------------------------------------------------------------------------ */
enum { CONTEXT = 8, VOCAB = 9, TAKEN = 16 };

/* Its graph; prob of both layers; the score is logit `class` of the last position. */
static ds_status writer(const char *form, ds_graph **g, ds_attn **l, int *n, ds_value **embedding, ds_value **score, const ds_tensor *in, ds_err *err)
{
	const char *set[] = { "width=16", "context=8", "layers=2", "vocab=9", form };
	ds_import o = { .seed = 3, .set = set, .n_set = 5 };
	ds_source *src;
	ds_model *m = NULL;
	ds_tensor pick = { 0 };
	DS_TRY(ds_source_open(&src, "cmd/specs/chargpt.spec", NULL, err));
	DS_TRY(ds_format_spec.read(&m, src, &o, err));
	/* biases, so that relevance has somewhere to go but to the tokens */
	ds_status rc = open_graph(g, m->graph, in, 1, true, err);
	ds_model_free(m);
	DS_TRY(rc);
	DS_TRY(ds_attention_find(*g, l, n, err));
	for (int i = 0; i < (*g)->n_node && !*embedding; i++)
		if (strcmp((*g)->node[i]->op_name, "Gather") == 0 && (*g)->node[i]->in[1] == (*g)->input[0])
			*embedding = (*g)->node[i]->out[0];
	ds_value *y = (*g)->output[0];
	DS_TRY(ds_tensor_new(&pick, DS_F32, y->type.rank, y->type.dim, err));
	((float *)pick.data)[(CONTEXT - 1) * VOCAB + 4] = 1;
	ds_emit e = ds_emit_begin(*g, err);
	ds_value *one = ds_graph_weight(*g, DS_V_PARAM, "", &pick);
	*score = ds_emit1(&e, "ReduceSum", ds_emit2(&e, "Mul", y, one));
	ds_emit_i(&e, *score, "keepdims", 0);
	DS_TRY(ds_emit_end(&e));
	DS_TRY(ds_graph_verify(*g, NULL, err));
	return ds_graph_infer(*g, err);
}

/* out: score, embedding, its relevance / value, the maps of two layers, three sinks. */
static ds_status relevance(const char *form, const ds_lrp_opts *o, ds_tensor *out, int *taken, ds_err *err)
{
	ds_graph *g = NULL;
	ds_attn *l = NULL;
	ds_value *emb = NULL, *score = NULL, *grad = NULL, *want[TAKEN];
	ds_lrp_sinks sinks = { 0 };
	ds_tensor in = { 0 };
	ds_type t = ds_type_make(DS_I64, 2, (int64_t[]){ 1, CONTEXT });
	int n = 0, k = 0;
	ds_status rc;
	DS_GOTO(fill(&in, &t, 5, VOCAB, err));
	DS_GOTO(writer(form, &g, &l, &n, &emb, &score, &in, err));
	if (n != 2 || !emb || l[0].maps != 4 || l[0].tq != CONTEXT) {
		wrong("%s: %d layers", form, n);
		rc = DS_E_INTERNAL;
		goto out;
	}
	DS_GOTO(ds_lrp_backward(g, score, NULL, &emb, 1, &grad, o, &sinks, err));
	if (!grad) {
		wrong("%s: no relevance", form);
		rc = DS_E_INTERNAL;
		goto out;
	}
	want[k++] = score;
	want[k++] = emb;
	want[k++] = grad;
	want[k++] = l[0].prob;
	want[k++] = l[1].prob;
	if (sinks.bias)
		want[k++] = sinks.bias;
	if (sinks.softmax)
		want[k++] = sinks.softmax;
	if (sinks.other)
		want[k++] = sinks.other;
	*taken = k;
	DS_GOTO(run(g, &in, 1, want, k, out, err));
out:
	ds_free(l);
	ds_tensor_done(&in);
	ds_graph_free(g);
	return rc;
}

static ds_status conservation(const ds_lrp_opts *o, ds_err *err)
{
	ds_tensor a[TAKEN] = { { 0 } }, b[TAKEN] = { { 0 } };
	int na = 0, nb = 0;
	ds_status rc;
	DS_GOTO(relevance("form=Attention", o, a, &na, err));
	DS_GOTO(relevance("form=MatMul", o, b, &nb, err));
	double score = ds_tensor_f64(&a[0], 0), sum = 0, size = 0;
	for (int64_t i = 0; i < ds_tensor_count(&a[1]); i++) {
		double r = ds_tensor_f64(&a[1], i) * ds_tensor_f64(&a[2], i);
		sum += r;
		size += fabs(r);
	}
	for (int i = 5; i < na; i++)
		sum += ds_tensor_f64(&a[i], 0);
	if (!(fabs(sum - score) < 1e-2 * fabs(score)) || size == 0)
		wrong("the score is %g, relevance and sinks sum to %g", score, sum);
	if (na != nb)
		wrong("%d sinks fused, %d in steps", na - 5, nb - 5);
	for (int i = 0; i < na && i < nb; i++) {
		double d = apart(&a[i], &b[i]);
		if (!(d < 1e-4))
			wrong("fused and in steps: value %d is %g off", i, d);
	}
	for (int i = 3; i < 5; i++)
		for (int64_t r = 0; r < 4 * CONTEXT; r++) {
			double row = 0;
			for (int64_t k = 0; k < CONTEXT; k++)
				row += ds_tensor_f64(&a[i], r * CONTEXT + k) * (k > r % CONTEXT ? 1e9 : 1);
			if (fabs(row - 1) > 1e-5)
				wrong("layer %d, row %d sums to %g", i - 3, (int)r, row);
		}
out:
	done(a, na);
	done(b, nb);
	return rc;
}

/* ---- against a reference (test/sample/explain/attn_lrp.py) ------------------------------------------------------------------------------ */
static ds_status npy(ds_tensor *t, const char *path, ds_err *err)
{
	ds_source *s;
	DS_TRY(ds_source_open(&s, path, NULL, err));
	ds_status rc = ds_npy_read(t, s, UINT64_C(1) << 30, err);
	ds_source_close(s);
	return rc;
}

#define SAMPLE "test/sample/explain/"

/* Maps and relevance of a fixture; text: relevance of tokens is summed over what they are embedded in.  row: of the reference. */
static ds_status reference(const char *name, int64_t element, bool text, double gamma, int row, ds_err *err)
{
	char path[128];
	ds_source *src;
	ds_model *m = NULL;
	ds_graph *g = NULL;
	ds_attn *l = NULL;
	ds_tensor in = { 0 }, ref = { 0 }, maps = { 0 }, pick = { 0 }, out[5] = { { 0 } };
	ds_value *about = NULL, *grad = NULL, *want[5];
	ds_import o = { 0 };
	int n = 0;
	ds_status rc;
	snprintf(path, sizeof path, SAMPLE "%s.onnx", name);
	DS_TRY(ds_source_open(&src, path, NULL, err));
	DS_TRY(ds_format_onnx.read(&m, src, &o, err));
	snprintf(path, sizeof path, SAMPLE "%s_input.npy", name);
	DS_GOTO(npy(&in, path, err));
	snprintf(path, sizeof path, SAMPLE "%s_relevance.npy", name);
	DS_GOTO(npy(&ref, path, err));
	snprintf(path, sizeof path, SAMPLE "%s_attention.npy", name);
	DS_GOTO(npy(&maps, path, err));
	DS_GOTO(open_graph(&g, m->graph, &in, 1, true, err));
	DS_GOTO(ds_attention_find(g, &l, &n, err));
	about = text ? NULL : g->input[0];
	for (int i = 0; i < g->n_node && !about; i++)
		if (strcmp(g->node[i]->op_name, "Gather") == 0 && g->node[i]->in[1] == g->input[0])
			about = g->node[i]->out[0];
	if (n != 2 || !about) {
		wrong("%s: %d layers", name, n);
		goto out;
	}
	ds_value *y = g->output[0];
	DS_GOTO(ds_tensor_new(&pick, DS_F32, y->type.rank, y->type.dim, err));
	((float *)pick.data)[element] = 1;
	ds_emit e = ds_emit_begin(g, err);
	want[0] = ds_emit1(&e, "ReduceSum", ds_emit2(&e, "Mul", y, ds_graph_weight(g, DS_V_PARAM, "", &pick)));
	ds_emit_i(&e, want[0], "keepdims", 0);
	DS_GOTO(ds_emit_end(&e));
	DS_GOTO(ds_graph_verify(g, NULL, err));
	DS_GOTO(ds_graph_infer(g, err));
	DS_GOTO(ds_lrp_backward(g, want[0], NULL, &about, 1, &grad, &(ds_lrp_opts){ .gamma = gamma }, NULL, err));
	want[1] = about;
	want[2] = grad;
	want[3] = l[0].prob;
	want[4] = l[1].prob;
	DS_GOTO(run(g, &in, 1, want, 5, out, err));
	int64_t per = ds_tensor_count(&maps) / 2, count = text ? ref.dim[0] : ds_tensor_count(&in), width = ds_tensor_count(&out[1]) / count;
	double off = 0, most = 0, map_off = 0;
	for (int64_t i = 0; i < 2 * per; i++)
		map_off = fmax(map_off, fabs(ds_tensor_f64(&out[3 + i / per], i % per) - ds_tensor_f64(&maps, i)));
	for (int64_t i = 0; i < count; i++) {
		double r = 0, w = ds_tensor_f64(&ref, row * count + i);
		for (int64_t k = 0; k < width; k++)
			r += ds_tensor_f64(&out[1], i * width + k) * ds_tensor_f64(&out[2], i * width + k);
		off = fmax(off, fabs(r - w));
		most = fmax(most, fabs(w));
	}
	if (!(off <= 1e-4 * most) || !(map_off < 1e-5))
		wrong("%s, gamma %g: relevance up to %g is %g off, maps %g", name, gamma, most, off, map_off);
	else
		printf("# %s, gamma %g: relevance up to %.3g is %.2g off, maps %.2g\n", name, gamma, most, off, map_off);
out:
	ds_free(l);
	done(out, 5);
	ds_tensor_done(&in);
	ds_tensor_done(&ref);
	ds_tensor_done(&maps);
	ds_graph_free(g);
	ds_model_free(m);
	return rc;
}

/* ---- rollout, grids ----------------------------------------------------------------------------------------------------------------- */
static ds_status rollout(ds_err *err)
{
	/* two layers, two heads, three tokens: by hand r = B A with A, B = (mean of heads + I) / 2 */
	static const float one[18] = { 1, 0, 0, .5f, .5f, 0, .2f, .3f, .5f, 1, 0, 0, .1f, .9f, 0, .6f, .2f, .2f };
	static const float two[18] = { .2f, .4f, .4f, 0, 1, 0, .25f, .25f, .5f, .6f, .2f, .2f, .5f, .5f, 0, .75f, .25f, 0 };
	double a[9], b[9], want[9], r[9] = { 1, 0, 0, 0, 1, 0, 0, 0, 1 };
	for (int i = 0; i < 9; i++) {
		a[i] = .25 * ((double)one[i] + (double)one[9 + i]) + (i % 4 == 0 ? .5 : 0);
		b[i] = .25 * ((double)two[i] + (double)two[9 + i]) + (i % 4 == 0 ? .5 : 0);
	}
	for (int i = 0; i < 9; i++)
		want[i] = b[i / 3 * 3] * a[i % 3] + b[i / 3 * 3 + 1] * a[3 + i % 3] + b[i / 3 * 3 + 2] * a[6 + i % 3];
	DS_TRY(ds_rollout_add(r, one, 2, 3, err));
	DS_TRY(ds_rollout_add(r, two, 2, 3, err));
	for (int i = 0; i < 9; i++) {
		double row = r[i / 3 * 3] + r[i / 3 * 3 + 1] + r[i / 3 * 3 + 2];
		if (fabs(r[i] - want[i]) > 1e-7 || fabs(row - 1) > 1e-12)
			wrong("element %d is %g, not %g; its row sums to %.12g", i, r[i], want[i], row);
	}
	/* attention times gradient: only what speaks for the target, and what was there stays */
	static const float map[4] = { .5f, .5f, .25f, .75f }, grad[4] = { 2, -4, 4, 0 };
	double g[4] = { 1, 0, 0, 1 }, expect[4] = { 2, 0, 1, 1 };
	DS_TRY(ds_attngrad_add(g, map, grad, 1, 2, err));
	for (int i = 0; i < 4; i++)
		if (fabs(g[i] - expect[i]) > 1e-12)
			wrong("attention times gradient: element %d is %g, not %g", i, g[i], expect[i]);
	return DS_OK;
}

static void grids(void)
{
	static const struct { int64_t t, h, w, first, rows, cols; } all[] = {
		{ 17, 28, 28, 1, 4, 4 }, { 16, 28, 28, 0, 4, 4 }, { 197, 224, 224, 1, 14, 14 }, { 198, 224, 224, 2, 14, 14 }, { 201, 224, 224, 5, 14, 14 },
		{ 50, 224, 224, 1, 7, 7 }, { 129, 128, 256, 1, 8, 16 }, { 257, 224, 224, 1, 16, 16 }, { 4, 30, 30, 0, 2, 2 }, { 12, 28, 28, 3, 3, 3 }, { 1370, 518, 518, 1, 37, 37 },
	};
	int64_t f, r, c;
	for (size_t i = 0; i < DS_COUNTOF(all); i++)
		if (!ds_patch_grid(all[i].t, all[i].h, all[i].w, &f, &r, &c) || f != all[i].first || r != all[i].rows || c != all[i].cols)
			wrong("%d tokens of %d x %d", (int)all[i].t, (int)all[i].h, (int)all[i].w);
	if (ds_patch_grid(35, 224, 224, &f, &r, &c))
		wrong("35 tokens are no grid");
}

/* ---- real transformers ---------------------------------------------------------------------------------------------------------------- */
static bool asset(char *path, size_t size, const char *name)
{
	const char *root = getenv("DS_ASSETS");
	FILE *f;
	snprintf(path, size, "%s/%s", root && *root ? root : "../shared/assets", name);
	f = fopen(path, "rb");
	if (f)
		fclose(f);
	return f != NULL;
}

/* Maps of a model for one item against [layers, heads, t, t] at ref. */
static ds_status against(const char *model, const ds_tensor *in, const float *ref, int layers, int64_t heads, int64_t t, ds_err *err)
{
	ds_source *src;
	ds_model *m = NULL;
	ds_graph *g = NULL;
	ds_attn *l = NULL;
	ds_value *want[16];
	ds_tensor out[16] = { { 0 } };
	ds_import o = { 0 };
	int n = 0;
	double off = 0, sums = 0;
	ds_status rc;
	DS_TRY(ds_source_open(&src, model, NULL, err));
	DS_TRY(ds_format_onnx.read(&m, src, &o, err));
	DS_GOTO(open_graph(&g, m->graph, in, 1, true, err));
	DS_GOTO(ds_attention_find(g, &l, &n, err));
	if (n != layers || l[0].maps != heads || l[0].tq != t || l[0].tk != t) {
		wrong("%d layers, not %d", n, layers);
		goto out;
	}
	for (int i = 0; i < n; i++)
		want[i] = l[i].prob;
	DS_GOTO(run(g, in, 1, want, n, out, err));
	for (int i = 0; i < n; i++)
		for (int64_t k = 0; k < heads * t; k++) {
			double sum = 0;
			for (int64_t j = 0; j < t; j++) {
				double v = ds_tensor_f64(&out[i], k * t + j);
				sum += v;
				off = fmax(off, fabs(v - (double)ref[(i * heads * t + k) * t + j]));
			}
			sums = fmax(sums, fabs(sum - 1));
		}
	if (!(off <= 1e-4) || !(sums <= 1e-5))
		wrong("%g off; rows are %g from one", off, sums);
	else
		printf("# %s: %.2g off, rows %.2g from one\n", model, off, sums);
out:
	ds_free(l);
	done(out, n);
	ds_graph_free(g);
	ds_model_free(m);
	return rc;
}

static void real_vit(void)
{
	char model[512], ref[512], data[512];
	ds_tensor r = { 0 }, x = { 0 }, item = { 0 };
	ds_source *s;
	ds_err err = { 0 };
	ds_status rc = DS_OK;
	if (!asset(model, sizeof model, "models/vit_mnist/model.onnx") || !asset(ref, sizeof ref, "models/vit_mnist/attn8.npy") ||
		!asset(data, sizeof data, "data/mnist/t10k-images-idx3-ubyte.gz")) {
		printf("skip attention_vit_mnist: no assets\n");
		return;
	}
	DS_GOTO(npy(&r, ref, &err));
	DS_GOTO(ds_source_open(&s, data, NULL, &err));
	rc = ds_idx_read(&x, s, UINT64_C(1) << 30, &err);
	ds_source_close(s);
	DS_GOTO(rc);
	DS_GOTO(ds_tensor_new(&item, DS_F32, 4, (int64_t[]){ 1, 1, 28, 28 }, &err));
	for (int i = 0; i < 8 && rc == DS_OK; i++) {
		for (int k = 0; k < 784; k++)
			((float *)item.data)[k] = (float)(((double)((uint8_t *)x.data)[i * 784 + k] / 255 - .1307) / .3081);
		rc = against(model, &item, (const float *)r.data + i * 6 * 8 * 17 * 17, 6, 8, 17, &err);
	}
out:
	say("vit_mnist", rc, &err);
	ds_tensor_done(&r);
	ds_tensor_done(&x);
	ds_tensor_done(&item);
}

static void real_stories(void)
{
	char model[512], ref[512], tokens[512], line[256];
	ds_tensor r = { 0 }, ids = { 0 };
	ds_err err = { 0 };
	ds_status rc = DS_OK;
	FILE *f = NULL;
	int n = 0;
	if (!asset(model, sizeof model, "models/stories260K/model.onnx") || !asset(ref, sizeof ref, "models/stories260K/ref/attn_prompt.npy") ||
		!asset(tokens, sizeof tokens, "models/stories260K/ref/attn_prompt.tokens.tsv")) {
		printf("skip attention_stories260K: no assets\n");
		return;
	}
	DS_GOTO(npy(&r, ref, &err));
	DS_GOTO(ds_tensor_new(&ids, DS_I64, 2, (int64_t[]){ 1, 26 }, &err));
	f = fopen(tokens, "r");
	while (f && n < 26 && fgets(line, sizeof line, f)) {
		char *at = strchr(line, '\t');
		if (at && line[0] >= '0' && line[0] <= '9')
			((int64_t *)ids.data)[n++] = strtol(at + 1, NULL, 10);
	}
	if (f)
		fclose(f);
	rc = n == 26 ? against(model, &ids, r.data, 5, 8, 26, &err) : ds_fail(&err, DS_E_INPUT, "%d tokens", n);
out:
	say("stories260K", rc, &err);
	ds_tensor_done(&r);
	ds_tensor_done(&ids);
}

int main(void)
{
	ds_err err = { 0 };
	say("unfold_samples", unfold_samples(&err), &err);
	say("unfold_lengths", unfold_lengths(&err), &err);
	say("softmax_in_steps", steps(&err), &err);
	say("flipped", flipped(&err), &err);
	say("lrp", conservation(&(ds_lrp_opts){ 0 }, &err), &err);
	say("lrp_epsilon", conservation(&(ds_lrp_opts){ .epsilon = .01 }, &err), &err);
	say("lrp_gamma", conservation(&(ds_lrp_opts){ .gamma = .25 }, &err), &err);
	say("lrp_vit", reference("vit", 3, false, 0, 0, &err), &err);
	say("lrp_vit_gamma", reference("vit", 3, false, .25, 1, &err), &err);
	say("lrp_words", reference("words", 6 * 11 + 6, true, 0, 0, &err), &err);
	say("rollout", rollout(&err), &err);
	grids();
	say("grids", DS_OK, &err);
	real_vit();
	real_stories();
	return failed;
}
