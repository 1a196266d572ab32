/* ops_train.c - operators that only training uses, against the truth: CTCLoss against all alignments, RandomDrop against its probabilities */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/base/rng.h"
#include "../../lib/exec/exec.h"

static int failures;

static void report(const char *name, const char *why)
{
	printf("%s %s%s%s\n", why[0] ? "not ok" : "ok", name, why[0] ? ": " : "", why);
	failures += why[0] != 0;
}

/* Run one node of domain ds over two inputs. */
static ds_status run(const char *op, const char *key, double value, const ds_tensor *in, ds_tensor *out, ds_err *err)
{
	ds_graph *g = ds_graph_new();
	ds_session *s = NULL;
	ds_session_opts o = { .threads = 2 };
	ds_type t0 = ds_type_of(&in[0]), t1 = ds_type_of(&in[1]);
	ds_value *v[2] = { ds_graph_input(g, "a", &t0), ds_graph_input(g, "b", &t1) };
	ds_node *n = ds_graph_node(g, "ds", op, "n", 2, v, 1, NULL);
	ds_status rc = DS_OK;

	rc = strcmp(key, "ratio") == 0 ? ds_attr_f(n, key, value) : ds_attr_i(n, key, (int64_t)value);
	if (rc == DS_OK)
		rc = ds_graph_output(g, n->out[0]);
	if (rc == DS_OK)
		rc = ds_session_new_opts(&s, g, &o, err);
	if (rc == DS_OK)
		rc = ds_session_run(s, in, 2, out, 1, err);
	ds_session_free(s);
	ds_graph_free(g);
	return rc;
}

static ds_tensor tensor(ds_dtype d, int rank, const int64_t *dim)
{
	ds_tensor t;

	if (ds_tensor_new(&t, d, rank, dim, NULL) != DS_OK)
		exit(2);
	return t;
}

/* ---- CTC ------------------------------------------------------------------------------------------------------------------------ */

/* Does a path give the target when repeats are merged and blanks taken out? */
static bool gives(const int *path, int t, const int64_t *label, int n, int blank)
{
	int at = 0;

	for (int i = 0; i < t; i++) {
		if (path[i] == blank || (i && path[i] == path[i - 1]))
			continue;
		if (at == n || label[at] != path[i])
			return false;
		at++;
	}
	return at == n;
}

static double brute(const float *x, int t, int c, const int64_t *label, int n, int blank)
{
	double all = 0;
	int path[8] = { 0 }, paths = 1;

	for (int i = 0; i < t; i++)
		paths *= c;
	for (int p = 0; p < paths; p++) {
		double prob = 1;

		for (int i = 0, rest = p; i < t; i++, rest /= c) {
			double sum = 0;

			path[i] = rest % c;
			for (int k = 0; k < c; k++)
				sum += exp((double)x[i * c + k]);
			prob *= exp((double)x[i * c + path[i]]) / sum;
		}
		all += gives(path, t, label, n, blank) ? prob : 0;
	}
	return -log(all);
}

static void ctc_alignments(void)
{
	static const int64_t targets[][3] = { { -1, -1, -1 }, { 1, -1, -1 }, { 1, 2, -1 }, { 1, 1, -1 }, { 2, 1, 2 }, { 1, 1, 2 }, { 2, 2, 2 } };
	ds_rng r = ds_rng_init(5, 5);
	char why[600] = "";

	for (int t = 1; t <= 5 && !why[0]; t++) {
		int64_t items = DS_COUNTOF(targets), dim[3] = { items, t, 3 }, tdim[2] = { items, 3 };
		ds_tensor in[2] = { tensor(DS_F32, 3, dim), tensor(DS_I64, 2, tdim) }, out = { 0 };
		ds_err err = { 0 };

		memcpy(in[1].data, targets, sizeof targets);
		for (int64_t i = 0; i < ds_tensor_count(&in[0]); i++)
			((float *)in[0].data)[i] = (float)(4 * ds_rng_f64(&r) - 2);
		if (run("CTCLoss", "blank", 0, in, &out, &err) != DS_OK)
			snprintf(why, sizeof why, "%s", err.text);
		for (int i = 0; !why[0] && i < items; i++) {
			int n = 0;
			while (n < 3 && targets[i][n] >= 0)
				n++;
			double want = brute((float *)in[0].data + i * t * 3, t, 3, targets[i], n, 0), have = (double)((float *)out.data)[i];

			if (!(fabs(want - have) <= 1e-5) && !(isinf(want) && isinf(have)))
				snprintf(why, sizeof why, "%d steps, target %d: %.7g, all alignments say %.7g", t, i, have, want);
		}
		ds_tensor_done(&in[0]);
		ds_tensor_done(&in[1]);
		ds_tensor_done(&out);
	}
	report("CTCLoss is the sum over all alignments", why);
}

static void ctc_targets(void)
{
	static const int64_t bad[][2] = { { 3, -1 }, { 0, -1 }, { -1, 1 }, { 1, -2 } };
	char why[600] = "";

	for (size_t i = 0; i < DS_COUNTOF(bad) && !why[0]; i++) {
		ds_tensor in[2] = { tensor(DS_F32, 3, (int64_t[]){ 1, 4, 3 }), tensor(DS_I64, 2, (int64_t[]){ 1, 2 }) }, out = { 0 };
		ds_err err = { 0 };

		memcpy(in[1].data, bad[i], sizeof bad[i]);
		if (run("CTCLoss", "blank", 0, in, &out, &err) != DS_E_INPUT)
			snprintf(why, sizeof why, "target %zu is taken", i);
		ds_tensor_done(&in[0]);
		ds_tensor_done(&in[1]);
		ds_tensor_done(&out);
	}
	report("CTCLoss refuses targets that are none", why);
}

/* ---- dropout -------------------------------------------------------------------------------------------------------------------- */

static void drop(void)
{
	enum { N = 100001 };
	ds_tensor in[2] = { tensor(DS_F32, 1, (int64_t[]){ N }), tensor(DS_I64, 0, NULL) }, out[3] = { { 0 } };
	ds_err err = { 0 };
	char why[600] = "";
	int64_t zeros = 0, differ = 0, pairs = 0;

	for (int i = 0; i < N; i++)
		((float *)in[0].data)[i] = 1;
	for (int k = 0; k < 3 && !why[0]; k++) {
		*(int64_t *)in[1].data = k == 2;
		if (run("RandomDrop", "ratio", 0.3, in, &out[k], &err) != DS_OK)
			snprintf(why, sizeof why, "%s", err.text);
	}
	for (int i = 0; i < N && !why[0]; i++) {
		float y = ((float *)out[0].data)[i];

		if (y != 0 && y != 1 / 0.7f)
			snprintf(why, sizeof why, "element %d is %.9g", i, (double)y);
		zeros += y == 0;
		pairs += i && y == 0 && ((float *)out[0].data)[i - 1] == 0;
		differ += (y == 0) != (((float *)out[2].data)[i] == 0);
	}
	/* five standard deviations of counts: independent of neighbours and of other steps */
	if (!why[0] && (fabs((double)zeros - 0.3 * N) > 725 || fabs((double)pairs - 0.09 * N) > 620 || fabs((double)differ - 0.42 * N) > 800))
		snprintf(why, sizeof why, "%lld zeros, %lld pairs, %lld others in the next step of %d", (long long)zeros, (long long)pairs, (long long)differ, N);
	if (!why[0] && memcmp(out[0].data, out[1].data, N * sizeof(float)) != 0)
		snprintf(why, sizeof why, "one step gives two masks");
	report("RandomDrop drops as often as it should", why);
	for (int k = 0; k < 3; k++)
		ds_tensor_done(&out[k]);
	ds_tensor_done(&in[0]);
	ds_tensor_done(&in[1]);
}

int main(void)
{
	ctc_alignments();
	ctc_targets();
	drop();
	return failures != 0;
}
