/* spec.c - descriptions of networks: what the language computes, how parameters are filled, that shipped descriptions run, that causal ones look back only */
#include "base/rng.h"
#include "base/str.h"
#include "format/format.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const ds_format ds_format_spec;
static int failed;
#define CHECK(name, cond) do { if (cond) printf("ok %s\n", name); else { printf("not ok %s: line %d\n", name, __LINE__); failed = 1; } } while (0)

static ds_model *read_text(const char *text, uint64_t seed, ds_err *err)
{
	ds_buf missing = { 0 };
	const ds_import o = { .missing = &missing, .seed = seed };
	ds_source *src = NULL;
	ds_model *m = NULL;
	if (ds_source_memory(&src, text, strlen(text), "net", err) == DS_OK && ds_format_spec.read(&m, src, &o, err) != DS_OK)
		m = NULL;
	ds_buf_done(&missing);
	return m;
}

static ds_model *must(const char *name, const char *text)
{
	ds_err err = { 0 };
	ds_model *m = read_text(text, 1, &err);
	if (!m) {
		printf("not ok %s: %s: %s\n", name, err.where, err.text);
		failed = 1;
	}
	return m;
}

static const ds_tensor *weight(const ds_model *m, const char *name)
{
	for (int i = 0; i < m->graph->n_weight; i++)
		if (strcmp(m->graph->weight[i]->name, name) == 0)
			return &m->graph->weight[i]->data;
	return NULL;
}

/* ---- the language --------------------------------------------------------------------------------------------------------------------------- */
/* Each expression is a dim of the input. */
static void expressions(void)
{
	static const struct { const char *text; int64_t value; } t[] = {
		{ "1 + 2*3", 7 }, { "(1 + 2)*3", 9 }, { "2^3^2 / 2", 256 }, { "7 // 2", 3 }, { "-7 // 2 + 5", 1 }, { "7 % 4", 3 }, { "-1 % 4", 3 }, { "10 - 2 - 3", 5 },
		{ "min(4, 9) + max(2, 3)", 7 }, { "floor(3.7) + ceil(3.2)", 7 }, { "sqrt(81)", 9 }, { "3 + (2 > 1) + (2 < 1)", 4 }, { "1 + (1 == 1 && 2 != 2 || 1)", 2 },
		{ "1 + !0 + !5", 2 }, { "k*2", 10 }, { "1 + (w == word) + (w == other)", 2 }, { "1 +\n 1", 2 }, { "1e2", 100 }, { ".5 * 8", 4 },
	};
	bool ok = true;
	for (size_t i = 0; i < DS_COUNTOF(t); i++) {
		char text[256];
		snprintf(text, sizeof text, "param k = 5\nparam w = word\ninput x [%s, 2]\nRelu\n", t[i].text);
		ds_model *m = must(t[i].text, text);
		if (m && m->graph->input[0]->type.dim[0] != t[i].value) {
			printf("not ok expressions: %s is %lld\n", t[i].text, (long long)m->graph->input[0]->type.dim[0]);
			ok = false;
		}
		ds_model_free(m);
	}
	CHECK("expressions", ok);
}

static void statements(void)
{
	ds_model *m = must("statements", "input x [N, 4]\n"
		"repeat 2 { Gemm 4 }\n"
		"repeat 3 as i { if i == 0 { Relu } else if i == 1 { Tanh } else { Sigmoid } }\n"
		"def twice(n, act=1) {\n\ty = Gemm n | Gemm n\n\tif act { Relu }\n}\n"
		"a = twice 5; b = twice(x) n=6 act=0\n"
		". = a\n"
		"Concat b axis=1 | Mul 0.5\n"
		"p, q = Split axis=1\n"
		"output left(p) values=logits\n"
		"output right(q)\n"
		"meta \"licence.of\" \"ours\"; labels one two \"number three\" 4 5\n");
	if (!m)
		return;
	const ds_graph *g = m->graph;
	CHECK("blocks bear names", weight(m, "a.y.gemm1.weight") && weight(m, "b.y.gemm2.weight") && weight(m, "gemm2.bias"));
	CHECK("outputs are those named", g->n_output == 2 && strcmp(g->output[0]->name, "left") == 0 && strcmp(g->output[1]->name, "right") == 0);
	CHECK("shapes follow", g->output[0]->type.rank == 2 && g->output[0]->type.dim[1] == 6 && g->output[1]->type.dim[1] == 5);
	CHECK("if and repeat", strcmp(g->node[2]->op_name, "Relu") == 0 && strcmp(g->node[3]->op_name, "Tanh") == 0 && strcmp(g->node[4]->op_name, "Sigmoid") == 0);
	const ds_asset *a = ds_model_asset(m, "labels");
	CHECK("labels", a && ds_buffer_size(a->data) == 25 && memcmp(ds_buffer_data(a->data), "one\ntwo\nnumber three\n4\n5\n", 25) == 0);
	CHECK("meta", ds_meta_str(&m->meta, "licence.of") && ds_meta_str(&m->meta, "output.0.values"));
	ds_model_free(m);
}

static void windows(void)
{
	static const struct { const char *line; int64_t h, w; } t[] = {
		{ "Conv 2", 9, 7 }, { "Conv 2 5 strides=2", 5, 4 }, { "Conv 2 [3, 1] pads=valid", 7, 7 }, { "Conv 2 3 pads=[0, 1, 2, 1]", 9, 7 }, { "MaxPool 2", 4, 3 },
		{ "MaxPool 3 strides=2 pads=same", 5, 4 }, { "AveragePool 3 strides=1 pads=1", 9, 7 }, { "ConvTranspose 2 4 strides=2", 18, 14 },
		{ "ConvTranspose 2 3 strides=2", 18, 14 }, { "ConvTranspose 2 2 strides=3", 27, 21 }, { "ConvTranspose 2 3", 9, 7 }, { "Conv 4 3 group=2 dilations=2", 9, 7 },
	};
	bool ok = true;
	for (size_t i = 0; i < DS_COUNTOF(t); i++) {
		char text[256];
		snprintf(text, sizeof text, "input x [N, 4, 9, 7]\n%s\n", t[i].line);
		ds_model *m = must(t[i].line, text);
		const ds_type *y = m ? &m->graph->output[0]->type : NULL;
		if (y && (y->dim[2] != t[i].h || y->dim[3] != t[i].w)) {
			printf("not ok windows: %s gives %lld x %lld\n", t[i].line, (long long)y->dim[2], (long long)y->dim[3]);
			ok = false;
		}
		ds_model_free(m);
	}
	CHECK("windows", ok);
}

static void biases(void)
{
	ds_model *m = must("biases", "input x [N, 3, 8, 8]\nConv 4 | BatchNormalization\nConv 4\nConv 4 bias=1 | BatchNormalization\nConv 4 bias=0\n");
	if (m)
		CHECK("a normalisation takes the bias that nobody asked for", !weight(m, "conv1.bias") && weight(m, "conv2.bias") && weight(m, "conv3.bias") &&
			!weight(m, "conv4.bias"));
	ds_model_free(m);
}

/* ---- parameters -------------------------------------------------------------------------------------------------------------------------------- */
static void spread_of(const ds_tensor *t, double *mean, double *deviation, double *largest)
{
	const float *v = t->data;
	int64_t n = ds_tensor_count(t);
	double sum = 0, square = 0;
	*largest = 0;
	for (int64_t i = 0; i < n; i++) {
		sum += v[i];
		square += (double)v[i] * v[i];
		*largest = fmax(*largest, fabs((double)v[i]));
	}
	*mean = sum / (double)n;
	*deviation = sqrt(square / (double)n - *mean * *mean);
}

static void rules(void)
{
	/* weight [200, 100]: 100 in, 200 out; deviation, and the bound where the rule is uniform */
	static const struct { const char *rule; double deviation, bound; } t[] = {
		{ "he", 0.141421, 0 }, { "he_out", 0.1, 0 }, { "he_uniform", 0.141421, 0.244949 }, { "glorot", 0.0816497, 0.141421 }, { "glorot_normal", 0.0816497, 0 },
		{ "lecun", 0.1, 0 }, { "normal(0.3)", 0.3, 0 }, { "uniform(0.3)", 0.173205, 0.3 }, { "zeros", 0, 0 }, { "0.25", 0, 0.25 }, { "orthogonal", 0.0707107, 0 },
	};
	bool ok = true;
	for (size_t i = 0; i < DS_COUNTOF(t); i++) {
		char text[256];
		double mean, deviation, largest;
		snprintf(text, sizeof text, "input x [N, 100]\nGemm 200 init=%s\n", t[i].rule);
		ds_model *m = must(t[i].rule, text);
		if (!m)
			continue;
		spread_of(weight(m, "gemm1.weight"), &mean, &deviation, &largest);
		if (fabs(deviation - t[i].deviation) > 0.02 * t[i].deviation + 1e-9 || (t[i].bound > 0 && (largest > t[i].bound * 1.000001 || largest < t[i].bound * .99))) {
			printf("not ok rules: %s has a deviation of %g and a bound of %g\n", t[i].rule, deviation, largest);
			ok = false;
		}
		ds_model_free(m);
	}
	CHECK("rules have the spread they promise", ok);
}

static void orthogonal(void)
{
	ds_model *m = must("orthogonal", "input x [N, 5, 6]\nLSTM 8\n");
	const ds_tensor *r = m ? weight(m, "lstm1.recurrent") : NULL, *b = m ? weight(m, "lstm1.bias") : NULL;
	double worst = 0;
	for (int gate = 0; r && gate < 4; gate++)
		for (int i = 0; i < 8; i++)
			for (int j = 0; j < 8; j++) {
				const float *v = (const float *)r->data + gate * 64;
				double dot = 0;
				for (int k = 0; k < 8; k++)
					dot += (double)v[i * 8 + k] * v[j * 8 + k];
				worst = fmax(worst, fabs(dot - (i == j)));
			}
	CHECK("recurrent weights are orthogonal gate by gate", r && worst < 1e-6);
	CHECK("an LSTM begins by remembering", b && ((float *)b->data)[16] == 1 && ((float *)b->data)[15] == 0 && ((float *)b->data)[24] == 0);
	ds_model_free(m);
}

static bool same(const ds_tensor *a, const ds_tensor *b)
{
	return a && b && ds_tensor_bytes(a) == ds_tensor_bytes(b) && memcmp(a->data, b->data, ds_tensor_bytes(a)) == 0;
}

static void seeds(void)
{
	ds_err err = { 0 };
	ds_model *a = read_text("input x [N, 8]\nfirst = Gemm 8\nlast = Gemm 8\n", 1, &err), *b = read_text("input x [N, 8]\nfirst = Gemm 8\nGemm 8\nlast = Gemm 8\n", 1, &err),
		*c = read_text("input x [N, 8]\nfirst = Gemm 8\nlast = Gemm 8\n", 2, &err);
	if (a && b && c) {
		CHECK("a layer more leaves the others as they are", same(weight(a, "last.weight"), weight(b, "last.weight")));
		CHECK("another seed, other parameters", !same(weight(a, "last.weight"), weight(c, "last.weight")));
		CHECK("each parameter has its own stream", !same(weight(a, "first.weight"), weight(a, "last.weight")));
	}
	ds_model_free(a);
	ds_model_free(b);
	ds_model_free(c);
}

/* ---- models run ----------------------------------------------------------------------------------------------------------------------------------- */
/* Random input for the model's own dims, free ones `free_dim`. */
static ds_status random_input(const ds_model *m, int64_t free_dim, ds_tensor *x, ds_err *err)
{
	ds_dtype dtype;
	int64_t dim[DS_MAX_RANK];
	ds_rng rng = ds_rng_init(7, 7);
	int rank = ds_model_input_type(m, 0, &dtype, dim);
	for (int i = 0; i < rank; i++)
		if (dim[i] < 0)
			dim[i] = free_dim;
	DS_TRY(ds_tensor_new(x, dtype, rank, dim, err));
	for (int64_t i = 0; i < ds_tensor_count(x); i++)
		if (dtype == DS_I64)
			((int64_t *)x->data)[i] = (int64_t)ds_rng_below(&rng, 5);
		else
			((float *)x->data)[i] = (float)ds_rng_normal(&rng);
	return DS_OK;
}

static ds_status run_model(const ds_model *m, const ds_tensor *x, ds_tensor *y, ds_err *err)
{
	ds_session *s = NULL;
	ds_status rc = ds_session_new(&s, m, 1, err);
	if (rc == DS_OK)
		rc = ds_session_run(s, x, 1, y, 1, err);
	ds_session_free(s);
	return rc;
}

static bool finite_and_alive(const ds_tensor *y)
{
	const float *v = y->data;
	int64_t n = ds_tensor_count(y);
	double sum = 0;
	for (int64_t i = 0; i < n; i++) {
		if (!isfinite(v[i]))
			return false;
		sum += fabs((double)v[i]);
	}
	return n > 0 && sum > 0;
}

/* Every description that is shipped becomes a model that runs; the largest one is left out for its time. */
static void shipped(const char *folder)
{
	struct dirent **e;
	int n = scandir(folder, &e, NULL, alphasort), seen = 0;
	for (int i = 0; i < n; i++) {
		char path[512];
		ds_source *src = NULL;
		ds_model *m = NULL;
		ds_tensor x = { 0 }, y = { 0 };
		ds_err err = { 0 };
		snprintf(path, sizeof path, "%s/%s", folder, e[i]->d_name);
		bool is = ds_glob("*.spec", e[i]->d_name);
		if (is) {
			const ds_import o = { .set = (const char *const[]){ strcmp(e[i]->d_name, "gpt.spec") == 0 ? "layers=1" : "width=8" },
				.n_set = strcmp(e[i]->d_name, "gpt.spec") == 0 || strncmp(e[i]->d_name, "resnet", 6) == 0 };
			ds_status rc = ds_source_open(&src, path, NULL, &err);
			if (rc == DS_OK)
				rc = ds_format_spec.read(&m, src, &o, &err);
			if (rc == DS_OK)
				rc = random_input(m, 2, &x, &err);
			if (rc == DS_OK)
				rc = run_model(m, &x, &y, &err);
			if (rc == DS_OK && finite_and_alive(&y))
				printf("ok %s runs\n", e[i]->d_name);
			else
				printf("not ok %s: %s: %s\n", e[i]->d_name, err.where, err.text), failed = 1;
			seen++;
		}
		ds_tensor_done(&x);
		ds_tensor_done(&y);
		ds_model_free(m);
		free(e[i]);
	}
	if (n >= 0)
		free(e);
	CHECK("there are shipped descriptions", seen >= 8);
}

/* The difference of two models' results for the same input; negative: one does not run. */
static double difference(const char *a, const char *b, int64_t free_dim)
{
	ds_model *m = must(a, a), *k = must(b, b);
	ds_tensor x = { 0 }, y = { 0 }, z = { 0 };
	ds_err err = { 0 };
	double worst = -1;
	if (m && k && random_input(m, free_dim, &x, &err) == DS_OK && run_model(m, &x, &y, &err) == DS_OK && run_model(k, &x, &z, &err) == DS_OK) {
		worst = 0;
		for (int64_t i = 0; i < ds_tensor_count(&y); i++)
			worst = fmax(worst, fabs((double)((float *)y.data)[i] - ((float *)z.data)[i]));
	} else {
		printf("# %s\n", err.text);
	}
	ds_tensor_done(&x);
	ds_tensor_done(&y);
	ds_tensor_done(&z);
	ds_model_free(m);
	ds_model_free(k);
	return worst;
}

static void attention(void)
{
	double d;
	d = difference("input x [N, 6, 8]\nSelfAttention 2 causal=1 init=normal(.4)\n", "input x [N, 6, 8]\nSelfAttention 2 causal=1 form=MatMul init=normal(.4)\n", 3);
	CHECK("attention in one operator or in steps", d >= 0 && d < 1e-5);
	d = difference("input x [N, T, 8]\nSelfAttention 4 init=normal(.4)\n", "input x [N, T, 8]\nSelfAttention 4 form=MatMul init=normal(.4)\n", 5);
	CHECK("the same for a free length", d >= 0 && d < 1e-5);
	d = difference("input x [N, T, 8]\nSelfAttention 4 causal=1 init=normal(.4)\n", "input x [N, T, 8]\nSelfAttention 4 causal=1 form=MatMul init=normal(.4)\n", 5);
	CHECK("and with a mask", d >= 0 && d < 1e-5);
	d = difference("input x [N, 4, 8]\nPosition 4\n", "input x [N, T, 8]\nPosition 4\n", 4);
	CHECK("positions of a free length", d == 0);
	d = difference("input x [3, 2, 8]\nPosition 4\n", "input x [3, T, 8]\nPosition 4\n", 2);
	CHECK("fewer steps than positions", d == 0);
}

/* Change the input from step t on: [1, T, F] or [1, F, T].  Are the results before t the same, and does any later one change? */
static void causal(const char *name, const char *text, int time_axis)
{
	ds_model *m = must(name, text);
	ds_tensor x = { 0 }, y = { 0 }, z = { 0 };
	ds_err err = { 0 };
	bool before = true, after = false;
	if (!m || random_input(m, 1, &x, &err) != DS_OK || run_model(m, &x, &y, &err) != DS_OK) {
		CHECK(name, false);
		goto out;
	}
	int64_t at = 9, inner = time_axis == 1 && x.rank > 2 ? x.dim[2] : 1, steps = x.dim[time_axis];
	for (int64_t i = 0; i < ds_tensor_count(&x); i++)
		if (i / inner % steps >= at) {
			if (x.dtype == DS_I64)
				((int64_t *)x.data)[i] ^= 1;
			else
				((float *)x.data)[i] += 1;
		}
	if (run_model(m, &x, &z, &err) != DS_OK) {
		CHECK(name, false);
		goto out;
	}
	inner = time_axis == 1 ? y.dim[2] : 1;
	for (int64_t i = 0; i < ds_tensor_count(&y); i++) {
		bool differs = ((float *)y.data)[i] != ((float *)z.data)[i];
		if (i / inner % steps < at)
			before = before && !differs;
		else
			after = after || differs;
	}
	CHECK(name, before && after);
out:
	ds_tensor_done(&x);
	ds_tensor_done(&y);
	ds_tensor_done(&z);
	ds_model_free(m);
}

/* A shipped description up to the line that begins with `stop` (NULL: all of it), and what follows then. */
static void causal_file(const char *name, const char *path, const char *stop, const char *rest)
{
	char text[8192];
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, sizeof text - 256, f) : 0;
	if (f)
		fclose(f);
	text[n] = 0;
	char *end = stop ? strstr(text, stop) : text + n;
	if (!n || !end) {
		CHECK(name, false);
		return;
	}
	snprintf(end, 256, "%s", rest);
	causal(name, text, 1);
}

/* The band of the largest power of a tone, and that power's logarithm. */
static int loudest(const ds_model *m, double hertz, double amplitude, double *level)
{
	ds_tensor x = { 0 }, y = { 0 };
	ds_err err = { 0 };
	int best = -1;
	if (ds_tensor_new(&x, DS_F32, 3, (int64_t[]){ 1, 1, 1024 }, &err) != DS_OK)
		return -1;
	for (int i = 0; i < 1024; i++)
		((float *)x.data)[i] = (float)(amplitude * sin(2 * 3.14159265358979 * hertz * i / 8000));
	if (run_model(m, &x, &y, &err) == DS_OK && y.dim[1] == 20) {
		best = 0;
		for (int i = 0; i < 20; i++)
			best = ((float *)y.data)[i * y.dim[2] + 3] > ((float *)y.data)[best * y.dim[2] + 3] ? i : best;
		*level = ((float *)y.data)[best * y.dim[2] + 3];
	}
	ds_tensor_done(&x);
	ds_tensor_done(&y);
	return best;
}

static void sound(void)
{
	ds_model *m = must("LogMel", "input s [N, 1, 1024]\nLogMel 20 rate=8000 frame_length=256 frame_step=128\n");
	double a = 0, b = 0;
	if (!m)
		return;
	const ds_type *t = &m->graph->output[0]->type;
	CHECK("LogMel's shape", t->rank == 3 && t->dim[1] == 20 && t->dim[2] == 7);
	int low = loudest(m, 300, .1, &a), middle = loudest(m, 1000, .1, &a), high = loudest(m, 3000, .1, &a);
	CHECK("higher tones are in higher bands", low >= 0 && low < middle && middle < high);
	loudest(m, 1000, .1, &a);
	loudest(m, 1000, 1, &b);
	CHECK("ten times the amplitude, a hundred times the power", fabs(b - a - 2 * log(10)) < 1e-3);
	ds_model_free(m);
}

int main(void)
{
	expressions();
	statements();
	windows();
	biases();
	rules();
	orthogonal();
	seeds();
	shipped("cmd/specs");
	attention();
	sound();
	causal("causal convolutions look back only", "input x [1, 3, 16]\nrepeat 3 as i { Conv 4 3 dilations=2^i pads=causal | Relu }\n", 2);
	causal("a recurrent net looks back only", "input x [1, 16, 3]\nLSTM 4\nGRU 5\n", 1);
	causal("causal attention looks back only", "input x [1, 16, 8]\nSelfAttention 2 causal=1\n", 1);
	causal_file("the shipped character GPT looks back only", "cmd/specs/chargpt.spec", NULL, "");
	causal_file("the shipped TCN looks back only", "cmd/specs/tcn.spec", "Slice [window", "Transpose [0, 2, 1]\noutput y\n");
	causal_file("the shipped LSTM looks back only", "cmd/specs/lstm.spec", "last = Slice", "LSTM units | LSTM units\noutput y\n");
	causal("and in steps", "input x [1, 16, 8]\nSelfAttention 2 causal=1 form=MatMul\n", 1);
	return failed;
}
