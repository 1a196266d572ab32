/* conformance.c - run ONNX's backend tests (and whole models with test_data_set_*) through the importer and a session
 *
 * conformance [--rtol R] [--atol A] [--atol-rel A] [--op NAME] [--only GLOB] [--threads N] [--reference] [--dsm] [--failures] DIR...
 *
 * Every directory at or below DIR that holds a model.onnx and test_data_set_K/{input_I,output_J}.pb is a case.  An output y agrees with its reference r where
 * |y - r| <= atol + rtol*|r| + atol-rel*max|r|.  A case that needs an operator or type that is not supported is skipped with its name.  With
 * --dsm the model is written as a DSM stream and read again first.  Without DIR there is nothing to do: test/op/conformance.sh unpacks the suite and names it. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "exec/exec.h"
#include "format/onnx.h"

extern const ds_format ds_format_onnx;

typedef struct settings {
	double      rtol, atol, atol_rel;
	const char *op, *only;
	int         threads;
	bool        reference, dsm, failures;   /* reference: no variants, no rewrites; dsm: through the container; failures: print only what is not ok */
	int         n_ok, n_bad, n_skip;
} settings;

static char *join(const char *a, const char *b)
{
	ds_buf buf = { 0 };
	ds_buf_printf(&buf, "%s/%s", a, b);
	return buf.data;
}

static bool is_file(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* input_I.pb or output_J.pb of a data set; DS_END when there is none. */
static ds_status read_tensor(ds_tensor *t, const char *dir, const char *what, int i, ds_err *err)
{
	char name[64];
	snprintf(name, sizeof name, "%s_%d.pb", what, i);
	char *path = join(dir, name);
	ds_source *src = NULL;
	const void *p = NULL;
	void *owner = NULL;
	size_t n = 0;
	ds_status rc = DS_END;
	*t = (ds_tensor){ 0 };
	if (path && is_file(path)) {
		rc = ds_source_open(&src, path, &(ds_source_opts){ 0 }, err);
		if (rc == DS_OK)
			rc = ds_source_all(src, (uint64_t)1 << 31, &p, &n, &owner, err);
		if (rc == DS_OK)
			rc = ds_onnx_tensor_file(t, NULL, p, n, err);
	}
	ds_source_drop(owner);
	ds_source_close(src);
	ds_free(path);
	return rc;
}

/* ---- comparing -------------------------------------------------------------------------------------------------------------------- */
static bool same_shape(const ds_tensor *a, const ds_tensor *b)
{
	bool same = a->rank == b->rank && a->dtype == b->dtype;
	for (int i = 0; same && i < a->rank; i++)
		same = a->dim[i] == b->dim[i];
	return same;
}

static void print_shape(ds_buf *b, const ds_tensor *t)
{
	ds_type ty = ds_type_of(t);
	ds_type_print(b, &ty, NULL);
}

static bool agree(const settings *s, const ds_tensor *y, const ds_tensor *r, int index, ds_buf *why)
{
	if (!same_shape(y, r)) {
		ds_buf_printf(why, "output %d is ", index);
		print_shape(why, y);
		ds_buf_str(why, ", expected ");
		print_shape(why, r);
		return false;
	}
	int64_t n = ds_tensor_count(r), bad = 0, first = -1;
	double top = 0, worst = 0;
	/* A step of bf16 is 2^-8: ONNX's references were cut off where ours are rounded. */
	double rtol = r->dtype == DS_BF16 ? fmax(s->rtol, 1.0 / 128) : s->rtol;
	for (int64_t i = 0; i < n; i++)
		if (isfinite(ds_tensor_f64(r, i)))
			top = fmax(top, fabs(ds_tensor_f64(r, i)));
	for (int64_t i = 0; i < n; i++) {
		double a = ds_tensor_f64(y, i), b = ds_tensor_f64(r, i);
		if (a == b || (isnan(a) && isnan(b)))
			continue;
		double d = fabs(a - b);
		if (d <= s->atol + rtol * fabs(b) + s->atol_rel * top)
			continue;
		if (first < 0)
			first = i;
		worst = fmax(worst, d);
		bad++;
	}
	if (bad)
		ds_buf_printf(why, "output %d: %lld of %lld differ, at %lld %g instead of %g, largest difference %g", index, (long long)bad, (long long)n,
			(long long)first, ds_tensor_f64(y, first), ds_tensor_f64(r, first), worst);
	return bad == 0;
}

/* ---- one case --------------------------------------------------------------------------------------------------------------------- */
enum { MAX_IO = 64 };
typedef enum verdict { OK, BAD, SKIP } verdict;

static verdict say(ds_buf *why, const ds_err *err)
{
	char line[900];
	ds_err_line(err, line, sizeof line);
	ds_buf_str(why, line);
	return err->code == DS_E_UNSUPPORTED ? SKIP : BAD;
}

/* ONNX's own files hold bf16 and f16 as 16-bit integers in places. */
static void as_half(ds_tensor *t, ds_dtype want)
{
	if (t->dtype == DS_U16 && (want == DS_BF16 || want == DS_F16))
		t->dtype = want;
}

/* Run with inputs [from, n_in) as constants of the graph: the shapes of some cases follow from values of their inputs. */
static ds_status run_known(const settings *s, const ds_model *m, const ds_tensor *in, int n_in, int from, ds_tensor *out, int n_out, ds_err *err)
{
	const ds_session_opts o = { .threads = s->threads, .no_rewrite = s->reference, .no_variants = s->reference };
	ds_graph *g = ds_graph_clone(m->graph);
	ds_session *session = NULL;
	ds_status rc = g ? DS_OK : DS_E_NOMEM;
	for (int i = from; i < n_in && rc == DS_OK; i++) {
		char name[32];
		ds_tensor t = ds_tensor_ref(&in[i]);
		snprintf(name, sizeof name, "input %d known", i);
		ds_value *v = ds_graph_weight(g, DS_V_PARAM, name, &t);
		if (v)
			ds_graph_replace(g, g->input[i], v);
		else
			rc = DS_E_NOMEM;
	}
	if (rc == DS_OK) {
		g->n_input = from;
		rc = ds_session_new_opts(&session, g, &o, err);
	}
	if (rc == DS_OK)
		rc = ds_session_run(session, in, from, out, n_out, err);
	ds_session_free(session);
	ds_graph_free(g);
	return rc;
}

/* As it is; failing that with all inputs but the first known, and with all of them. */
static ds_status run_any(const settings *s, const ds_model *m, ds_session *session, const ds_tensor *in, int n_in, ds_tensor *out, int n_out,
	ds_err *err)
{
	ds_status rc = ds_session_run(session, in, n_in, out, n_out, err);
	for (int from = 1; from >= 0 && rc == DS_E_INPUT && strstr(err->text, "not known before the run"); from--)
		rc = run_known(s, m, in, n_in, from, out, n_out, err);
	return rc;
}

static verdict run_set(const settings *s, const ds_model *m, ds_session *session, const char *dir, ds_buf *why)
{
	ds_tensor in[MAX_IO] = { 0 }, out[MAX_IO] = { 0 }, ref;
	ds_err err = { 0 };
	int n_in = ds_model_inputs(m), n_out = ds_model_outputs(m);
	verdict v = OK;
	if (n_in > MAX_IO || n_out > MAX_IO)
		return SKIP;
	for (int i = 0; i < n_in && v == OK; i++) {
		ds_status rc = read_tensor(&in[i], dir, "input", i, &err);
		if (rc == DS_END) {
			ds_buf_printf(why, "no input_%d.pb", i);
			v = SKIP;
		} else if (rc != DS_OK) {
			v = say(why, &err);
		} else {
			as_half(&in[i], m->graph->input[i]->type.dtype);
		}
	}
	if (v == OK && run_any(s, m, session, in, n_in, out, n_out, &err) != DS_OK)
		v = say(why, &err);
	for (int i = 0; i < n_out && v == OK; i++) {
		ds_status rc = read_tensor(&ref, dir, "output", i, &err);
		if (rc == DS_OK)
			as_half(&ref, out[i].dtype);
		if (rc == DS_OK && !agree(s, &out[i], &ref, i, why))
			v = BAD;
		else if (rc != DS_OK && rc != DS_END)
			v = say(why, &err);
		ds_tensor_done(&ref);
	}
	for (int i = 0; i < MAX_IO; i++) {
		ds_tensor_done(&in[i]);
		ds_tensor_done(&out[i]);
	}
	return v;
}

/* The model as a stream and back.  *bytes must outlive it. */
static ds_status through_dsm(ds_model **m, ds_buf *bytes, ds_err *err)
{
	ds_sink *sink = NULL;
	ds_source *src = NULL;
	DS_TRY(ds_sink_memory(&sink, bytes, err));
	ds_status rc = ds_model_save(*m, sink, &(ds_dsm_wopts){ 0 }, err);
	ds_model_free(*m);
	*m = NULL;
	if (rc == DS_OK)
		rc = ds_sink_commit(sink, err);
	else
		ds_sink_abort(sink);
	if (rc == DS_OK)
		rc = ds_source_memory(&src, bytes->data, bytes->len, "memory", err);
	return rc == DS_OK ? ds_model_load(m, src, &(ds_dsm_opts){ 0 }, err) : rc;
}

static bool graph_has(const ds_graph *g, const char *op)
{
	for (int i = 0; i < g->n_node; i++) {
		if (strcmp(g->node[i]->op_name, op) == 0)
			return true;
		for (int k = 0; k < g->node[i]->n_attr; k++)
			if (g->node[i]->attr[k].type == DS_T_GRAPH && graph_has(g->node[i]->attr[k].u.g, op))
				return true;
	}
	return false;
}

static verdict run_sets(const settings *s, const ds_model *m, const char *dir, ds_buf *why)
{
	const ds_session_opts o = { .threads = s->threads, .no_rewrite = s->reference, .no_variants = s->reference };
	ds_session *session = NULL;
	ds_err err = { 0 };
	verdict v = OK;
	if (ds_session_new_opts(&session, m->graph, &o, &err) != DS_OK)
		return say(why, &err);
	for (int k = 0; v == OK; k++) {
		char name[64];
		struct stat st;
		snprintf(name, sizeof name, "test_data_set_%d", k);
		char *set = join(dir, name);
		bool there = set && stat(set, &st) == 0;
		if (there)
			v = run_set(s, m, session, set, why);
		else if (k == 0) {
			ds_buf_str(why, "no test_data_set_0");
			v = SKIP;
		}
		ds_free(set);
		if (!there)
			break;
	}
	ds_session_free(session);
	return v;
}

/* Cases whose reference is known to be wrong. */
static const struct { const char *glob, *why; } wrong[] = {
	{ "test_qlinearmatmul_?D_int8_*", "its reference wraps around where the operator saturates (numpy's cast)" },
};

static const char *known_wrong(const char *name)
{
	for (size_t i = 0; i < DS_COUNTOF(wrong); i++)
		if (ds_glob(wrong[i].glob, name))
			return wrong[i].why;
	return NULL;
}

static void run_case(settings *s, const char *dir, const char *path)
{
	static const char *const word[] = { "ok", "not ok", "skip" };
	const char *name = strrchr(dir, '/') ? strrchr(dir, '/') + 1 : dir;
	ds_source *src = NULL;
	ds_model *m = NULL;
	ds_buf why = { 0 }, missing = { 0 }, bytes = { 0 };
	ds_err err = { 0 };
	verdict v = OK;
	if (s->only && !ds_glob(s->only, name))
		return;
	const ds_import o = { .path = path, .check_only = true, .missing = &missing };
	if (ds_source_open(&src, path, &(ds_source_opts){ 0 }, &err) != DS_OK || ds_format_onnx.read(&m, src, &o, &err) != DS_OK)
		v = say(&why, &err);
	if (s->op && (!m || !graph_has(m->graph, s->op)))
		goto out;
	if (m && known_wrong(name)) {
		v = SKIP;
		ds_buf_str(&why, known_wrong(name));
	} else if (m && missing.len) {
		v = SKIP;
		for (char *c = missing.data; (c = strchr(c, '\n')) && c[1]; c++)
			*c = ';';
		ds_buf_printf(&why, "not supported: %.*s", (int)missing.len - 1, missing.data);
	} else if (m && s->dsm && through_dsm(&m, &bytes, &err) != DS_OK) {
		v = say(&why, &err);
	} else if (m) {
		v = run_sets(s, m, dir, &why);
	}
	if (v != OK || !s->failures)
		printf("%s %s%s%s\n", word[v], name, why.len ? ": " : "", why.len ? why.data : "");
	fflush(stdout);
	s->n_ok += v == OK;
	s->n_bad += v == BAD;
	s->n_skip += v == SKIP;
out:
	ds_model_free(m);
	ds_buf_done(&why);
	ds_buf_done(&missing);
	ds_buf_done(&bytes);
}

/* ---- directories -------------------------------------------------------------------------------------------------------------------- */
static int no_dots(const struct dirent *d)
{
	return d->d_name[0] != '.' && strncmp(d->d_name, "test_data_set_", 14) != 0;
}

static void walk(settings *s, const char *dir, int depth)
{
	struct dirent **list = NULL;
	char *model = join(dir, "model.onnx");
	if (model && is_file(model))
		run_case(s, dir, model);
	int n = depth < 4 ? scandir(dir, &list, no_dots, alphasort) : 0;
	for (int i = 0; i < n; i++) {
		char *sub = join(dir, list[i]->d_name);
		struct stat st;
		if (sub && stat(sub, &st) == 0 && S_ISDIR(st.st_mode))
			walk(s, sub, depth + 1);
		ds_free(sub);
		free(list[i]);
	}
	free(list);
	ds_free(model);
}

static bool number(const char *text, double *v)
{
	return text && ds_parse_f64(text, v);
}

int main(int argc, char **argv)
{
	/* atol_rel: a fraction of the rounding error of the largest value; the small ones of a sum's terms may be off by as much in the reference */
	settings s = { .rtol = 1e-3, .atol = 1e-7, .atol_rel = 1e-8, .threads = 1 };
	double threads = 1;
	int i = 1;
	for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		const char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;
		bool flag = strcmp(a, "--reference") == 0 || strcmp(a, "--failures") == 0 || strcmp(a, "--dsm") == 0, ok = flag || v;
		s.reference |= strcmp(a, "--reference") == 0;
		s.dsm |= strcmp(a, "--dsm") == 0;
		s.failures |= strcmp(a, "--failures") == 0;
		if (strcmp(a, "--rtol") == 0)
			ok = number(v, &s.rtol);
		else if (strcmp(a, "--atol") == 0)
			ok = number(v, &s.atol);
		else if (strcmp(a, "--atol-rel") == 0)
			ok = number(v, &s.atol_rel);
		else if (strcmp(a, "--threads") == 0)
			ok = number(v, &threads);
		else if (strcmp(a, "--op") == 0)
			s.op = v;
		else if (strcmp(a, "--only") == 0)
			s.only = v;
		else
			ok = flag;
		if (!ok) {
			fprintf(stderr, "conformance: %s: unknown option, or a value is missing\n", a);
			return 2;
		}
		i += !flag;
	}
	s.threads = (int)threads;
	if (i == argc)
		printf("skip conformance: no directory of cases given\n");
	for (; i < argc; i++)
		walk(&s, argv[i], 0);
	if (s.n_ok + s.n_bad + s.n_skip)
		printf("# %d ok, %d not ok, %d skipped\n", s.n_ok, s.n_bad, s.n_skip);
	return s.n_bad ? 1 : 0;
}
