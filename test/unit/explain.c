/* explain.c - maps: exact for linear models, complete, the same for any batch; against references; through quantisation; what is refused */
#include "base/rng.h"
#include "data/data.h"
#include "explain/explain.h"
#include "format/format.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int failures;
static ds_err err;

#define CHECK(name, cond) do { \
	bool ok_ = (cond); \
	failures += !ok_; \
	printf(ok_ ? "ok explain_%s\n" : "not ok explain_%s: " #cond " (%s)\n", name, err.text); \
	err = (ds_err){ 0 }; \
} while (0)

static const ds_explain_opts usual = { .threads = 1, .input = -1, .head = -1, .samples = 16, .noise = 0.1, .max_gap = 0.01 };

static ds_model *read_model(const char *format, const void *p, size_t n)
{
	ds_source *src;
	ds_model *m = NULL;
	ds_import o = { .seed = 3 };
	const ds_format *f = ds_format_find(format);
	if (!f || ds_source_memory(&src, p, n, "model", &err) != DS_OK || f->read(&m, src, &o, &err) != DS_OK)
		return NULL;
	return m;
}

static ds_model *spec(const char *text) { return read_model("spec", text, strlen(text)); }

static ds_status read_npy(ds_tensor *t, const char *path)
{
	ds_source *src;
	*t = (ds_tensor){ 0 };
	DS_TRY(ds_source_open(&src, path, NULL, &err));
	ds_status rc = ds_npy_read(t, src, 1 << 20, &err);
	ds_source_close(src);
	return rc;
}

static ds_tensor random_item(int rank, const int64_t *dim, uint64_t seed)
{
	ds_tensor t = { 0 };
	ds_rng r = ds_rng_init(seed, 1);
	if (ds_tensor_new(&t, DS_F32, rank, dim, &err) == DS_OK)
		for (int64_t i = 0; i < ds_tensor_count(&t); i++)
			((float *)t.data)[i] = (float)ds_rng_normal(&r);
	return t;
}

/* One map of one method; empty on failure (err). */
static ds_maps maps_of(const ds_model *m, const ds_explain_opts *o, const char *method, const ds_tensor *in, int64_t target)
{
	ds_explainer *x = NULL;
	ds_maps l = { 0 };
	ds_explain_item it = { in, 1 };
	ds_status rc = ds_explainer_new(&x, m, o, &err);
	if (rc == DS_OK)
		rc = ds_explain(x, ds_method_find(method), &it, target, &l, &err);
	ds_explainer_free(x);
	if (rc != DS_OK)
		ds_maps_done(&l);
	return l;
}

static double correlation(const float *a, const float *b, int64_t n)
{
	double ma = 0, mb = 0, sab = 0, saa = 0, sbb = 0;
	for (int64_t i = 0; i < n; i++) {
		ma += (double)a[i] / (double)n;
		mb += (double)b[i] / (double)n;
	}
	for (int64_t i = 0; i < n; i++) {
		sab += ((double)a[i] - ma) * ((double)b[i] - mb);
		saa += ((double)a[i] - ma) * ((double)a[i] - ma);
		sbb += ((double)b[i] - mb) * ((double)b[i] - mb);
	}
	return sab / sqrt(saa * sbb);
}

static double worst(const float *a, const float *b, int64_t n)
{
	double d = 0;
	for (int64_t i = 0; i < n; i++)
		d = fmax(d, fabs((double)a[i] - (double)b[i]));
	return d;
}

/* ---- linear models: the answers are known --------------------------------------------------------------------------------------------- */
/* The weights that make output k, of [inputs, outputs] or its transpose as Gemm has it. */
static void weights_of(const ds_model *m, int64_t k, int64_t inputs, int64_t outputs, float *w)
{
	for (int i = 0; i < m->graph->n_weight; i++) {
		const ds_tensor *t = &m->graph->weight[i]->data;
		if (t->rank != 2 || ds_tensor_count(t) != inputs * outputs)
			continue;
		for (int64_t e = 0; e < inputs; e++)
			w[e] = ((const float *)t->data)[t->dim[0] == inputs ? e * outputs + k : k * inputs + e];
	}
}

static void linear(void)
{
	enum { N = 12, K = 5 };
	ds_model *m = spec("input x [N, 12]\nGemm 5\noutput y values=logits\n");
	ds_tensor in = random_item(2, (int64_t[]){ 1, N }, 5);
	float w[N], wx[N], size[N];
	ds_explain_opts o = usual;
	if (!m || !in.data) {
		CHECK("linear_model", false);
		return;
	}
	weights_of(m, 2, N, K, w);
	for (int i = 0; i < N; i++) {
		wx[i] = w[i] * ((const float *)in.data)[i];
		size[i] = fabsf(w[i]);
	}
	ds_maps l = maps_of(m, &o, "integrated-gradients", &in, 2);
	CHECK("linear_integrated", l.n == 1 && worst(l.m[0].t.data, wx, N) < 1e-6 && l.m[0].gap < 1e-5 && l.m[0].t.rank == 1);
	ds_maps_done(&l);
	l = maps_of(m, &o, "gradient-input", &in, 2);
	CHECK("linear_gradient_input", l.n == 1 && worst(l.m[0].t.data, wx, N) < 1e-6 && l.m[0].has_sign);
	ds_maps_done(&l);
	l = maps_of(m, &o, "saliency", &in, 2);
	CHECK("linear_saliency", l.n == 1 && worst(l.m[0].t.data, size, N) < 1e-6 && !l.m[0].has_sign);
	ds_maps_done(&l);
	l = maps_of(m, &o, "smoothgrad", &in, 2);
	CHECK("linear_smoothgrad", l.n == 1 && worst(l.m[0].t.data, size, N) < 1e-6 && l.m[0].runs == 16);
	ds_maps_done(&l);
	o.patch = o.stride = 1;
	l = maps_of(m, &o, "occlusion", &in, 2);
	CHECK("linear_occlusion", l.n == 1 && worst(l.m[0].t.data, wx, N) < 1e-5 && l.m[0].runs == N + 1);
	ds_maps_done(&l);
	o.base = DS_BASE_TENSOR;                /* the item itself: nothing is missing */
	o.base_tensor = in;
	l = maps_of(m, &o, "occlusion", &in, 2);
	CHECK("baseline_item", l.n == 1 && ds_tensor_count(&l.m[0].t) == N && worst(l.m[0].t.data, (float[N]){ 0 }, N) == 0);
	ds_maps_done(&l);
	ds_tensor_done(&in);
	ds_model_free(m);
}

/* A softmax or sigmoid at the end does not change what is explained: the logit. */
static void heads(void)
{
	static const char *const text[] = { "input x [N, 6]\nGemm 4\noutput y values=logits\n", "input x [N, 6]\nGemm 4 | Softmax\noutput y values=probabilities\n",
		"input x [N, 6]\nGemm 4 | Sigmoid\noutput y values=probabilities\n" };
	ds_tensor in = random_item(2, (int64_t[]){ 1, 6 }, 9);
	ds_maps l[3] = { { 0 } };
	for (int i = 0; i < 3; i++) {
		ds_model *m = spec(text[i]);
		if (m)
			l[i] = maps_of(m, &usual, "gradient-input", &in, 1);
		ds_model_free(m);
	}
	CHECK("heads", l[0].n && l[1].n && l[2].n && !worst(l[0].m[0].t.data, l[1].m[0].t.data, 6) && !worst(l[0].m[0].t.data, l[2].m[0].t.data, 6));
	if (l[0].n && l[1].n && l[2].n) {
		CHECK("head_softmax", l[0].m[0].probability == l[1].m[0].probability && l[0].m[0].score == l[1].m[0].score);
		CHECK("head_sigmoid", fabs(l[2].m[0].probability - 1 / (1 + exp(-l[2].m[0].score))) < 1e-6);
	}
	for (int i = 0; i < 3; i++)
		ds_maps_done(&l[i]);
	ds_tensor_done(&in);
}

/* ---- against Captum and pytorch-grad-cam (test/oracle/explain.py make) ------------------------------------------------------------------- */
static void references(void)
{
	static const char *const methods[] = { "gradcam", "gradcam++", "integrated-gradients", "saliency", "gradient-input", "occlusion" };
	ds_source *src;
	const void *p;
	size_t n;
	void *owner = NULL;
	ds_tensor in = { 0 };
	ds_model *m = NULL;
	if (ds_source_open(&src, "test/oracle/explain/small.onnx", NULL, &err) == DS_OK) {
		if (ds_source_all(src, 1 << 20, &p, &n, &owner, &err) == DS_OK)
			m = read_model("onnx", p, n);
		ds_source_close(src);
	}
	CHECK("reference_model", m && read_npy(&in, "test/oracle/explain/item.npy") == DS_OK);
	for (size_t i = 0; m && in.data && i < DS_COUNTOF(methods); i++) {
		char path[96], name[64];
		ds_explain_opts o = usual;
		ds_tensor want;
		o.patch = 4;
		o.stride = 3;
		o.max_gap = 1e-3;
		snprintf(path, sizeof path, "test/oracle/explain/%s.npy", methods[i]);
		snprintf(name, sizeof name, "reference_%s", methods[i]);
		ds_maps l = maps_of(m, &o, methods[i], &in, 3);
		bool ok = l.n == 1 && read_npy(&want, path) == DS_OK && ds_tensor_count(&want) == ds_tensor_count(&l.m[0].t);
		double r = ok ? correlation(l.m[0].t.data, want.data, ds_tensor_count(&want)) : 0;
		CHECK(name, r > (i == 2 ? 0.9999 : 0.999999));
		if (ok && i > 2)                /* Grad-CAM's reference is scaled to 0..1 */
			CHECK(name, worst(l.m[0].t.data, want.data, ds_tensor_count(&want)) < 1e-5);
		if (i == 2)
			CHECK("complete", ok && l.m[0].gap <= 1e-3);
		if (ok)
			ds_tensor_done(&want);
		ds_maps_done(&l);
	}
	ds_tensor_done(&in);
	ds_source_drop(owner);
	ds_model_free(m);
}

/* ---- nothing but the item decides ---------------------------------------------------------------------------------------------------------- */
static void alone(void)
{
	static const char text[] = "input x [N, 2, 9, 7]\nConv 6 | Relu | MaxPool 2 strides=2\nConv 8 | Relu\nGlobalAveragePool | Flatten | Gemm 4\noutput y values=logits\n";
	static const char *const methods[] = { "gradcam", "integrated-gradients", "smoothgrad", "saliency", "occlusion" };
	ds_model *m = spec(text);
	ds_tensor in = random_item(4, (int64_t[]){ 1, 2, 9, 7 }, 11);
	for (size_t i = 0; m && i < DS_COUNTOF(methods); i++) {
		ds_explain_opts a = usual, b = usual;
		char name[64];
		a.batch = 1;
		b.batch = 5;
		b.threads = 2;
		ds_maps la = maps_of(m, &a, methods[i], &in, 1), lb = maps_of(m, &b, methods[i], &in, 1);
		snprintf(name, sizeof name, "same_bits_%s", methods[i]);
		CHECK(name, la.n == 1 && lb.n == 1 && !memcmp(la.m[0].t.data, lb.m[0].t.data, ds_tensor_bytes(&la.m[0].t)));
		ds_maps_done(&la);
		ds_maps_done(&lb);
	}
	CHECK("alone_model", m && in.data);
	ds_tensor_done(&in);
	ds_model_free(m);
}

/* Kernels that are their own mirror images: each place of a symmetric picture has the map of its mirror image. */
static void symmetric(void)
{
	ds_model *m = spec("input x [N, 1, 8, 8]\nConv 4 kernel_shape=3 pads=1 | Relu\nGlobalAveragePool | Flatten | Gemm 3\noutput y values=logits\n");
	ds_tensor in = random_item(4, (int64_t[]){ 1, 1, 8, 8 }, 13);
	for (int i = 0; m && i < m->graph->n_weight; i++) {
		ds_tensor *t = &m->graph->weight[i]->data;
		if (t->rank == 4)               /* kernels that are their own mirror images */
			for (int64_t k = 0; k < ds_tensor_count(t); k += 3)
				((float *)t->data)[k + 2] = ((float *)t->data)[k];
	}
	float *v = in.data;
	for (int y = 0; y < 8; y++)
		for (int x = 0; x < 4; x++)
			v[y * 8 + 7 - x] = v[y * 8 + x];
	ds_maps l = m ? maps_of(m, &usual, "integrated-gradients", &in, 0) : (ds_maps){ 0 };
	double d = l.n ? 0 : 1;
	for (int y = 0; l.n && y < 8; y++)
		for (int x = 0; x < 4; x++)
			d = fmax(d, fabs((double)((float *)l.m[0].t.data)[y * 8 + 7 - x] - (double)((float *)l.m[0].t.data)[y * 8 + x]));
	CHECK("symmetric", d < 1e-6);
	ds_maps_done(&l);
	ds_tensor_done(&in);
	ds_model_free(m);
}

/* ---- through quantisation ------------------------------------------------------------------------------------------------------------------- */
/* x -> codes of `type` -> reshaped as codes -> values -> Gemm: inside the range the gradient is that of the Gemm, outside 0. */
static ds_model *rounded(ds_dtype type, float scale, int zero)
{
	ds_model *m = ds_model_new();
	ds_graph *g = m->graph;
	ds_type t = ds_type_make(DS_F32, 2, (int64_t[]){ -1 - ds_graph_symbol(g, "N"), 4 });
	ds_value *x = ds_graph_input(g, "x", &t), *s = ds_graph_const_f32(g, scale);
	ds_tensor z, w;
	if (ds_tensor_new(&z, type, 0, NULL, &err) != DS_OK || ds_tensor_new(&w, DS_F32, 2, (int64_t[]){ 4, 2 }, &err) != DS_OK)
		return NULL;
	if (type == DS_U8)
		*(uint8_t *)z.data = (uint8_t)zero;
	else
		*(int8_t *)z.data = (int8_t)zero;
	for (int i = 0; i < 8; i++)
		((float *)w.data)[i] = (float)(i + 1);
	ds_value *zv = ds_graph_weight(g, DS_V_CONST, "", &z), *wv = ds_graph_weight(g, DS_V_PARAM, "w", &w);
	ds_value *q = ds_graph_node(g, "", "QuantizeLinear", "q", 3, (ds_value *[]){ x, s, zv }, 1, NULL)->out[0];
	ds_value *i = ds_graph_node(g, "", "Identity", "i", 1, &q, 1, NULL)->out[0];
	ds_value *d = ds_graph_node(g, "", "DequantizeLinear", "d", 3, (ds_value *[]){ i, s, zv }, 1, NULL)->out[0];
	ds_value *y = ds_graph_node(g, "", "MatMul", "m", 2, (ds_value *[]){ d, wv }, 1, (const char *[]){ "y" })->out[0];
	return ds_graph_output(g, y) == DS_OK && ds_graph_verify(g, NULL, &err) == DS_OK ? m : NULL;
}

static void straight(void)
{
	static const struct { ds_dtype type; float scale; int zero; float x[4]; bool in[4]; } cases[] = {
		{ DS_U8, 0.1f, 128, { 1.03f, -5, 12.6f, -12.9f }, { true, true, true, false } },
		{ DS_I8, 0.1f, 0, { 1.03f, -5, 12.6f, -12.9f }, { true, true, true, false } },
		{ DS_U8, 0.1f, 0, { 1.03f, -5, 25.4f, 25.6f }, { true, false, true, false } },
	};
	for (size_t i = 0; i < DS_COUNTOF(cases); i++) {
		ds_model *m = rounded(cases[i].type, cases[i].scale, cases[i].zero);
		ds_tensor in;
		float want[4], x[4];
		for (int k = 0; k < 4; k++) {
			x[k] = cases[i].x[k];
			want[k] = cases[i].in[k] ? (float)(2 * k + 2) : 0;
		}
		ds_tensor_borrow(&in, DS_F32, 2, (int64_t[]){ 1, 4 }, x);
		ds_maps l = m ? maps_of(m, &usual, "saliency", &in, 1) : (ds_maps){ 0 };
		CHECK("straight_through", l.n == 1 && worst(l.m[0].t.data, want, 4) == 0);
		ds_maps_done(&l);
		ds_model_free(m);
	}
}

/* ---- what is refused ------------------------------------------------------------------------------------------------------------------------ */
static void refused(void)
{
	ds_model *m = spec("input x [N, 2, 6, 6]\nConv 3 | Relu\nGlobalAveragePool | Flatten | Gemm 4\noutput y values=logits\n");
	ds_tensor in = random_item(4, (int64_t[]){ 1, 2, 6, 6 }, 2);
	ds_explain_opts o = usual;
	ds_maps l = maps_of(m, &o, "saliency", &in, 4);
	CHECK("class_out_of_range", !l.n && err.code == DS_E_USAGE);
	o.layer = "no such layer";
	l = maps_of(m, &o, "gradcam", &in, 0);
	CHECK("no_layer", !l.n && err.code == DS_E_USAGE && strstr(err.text, "no such layer"));
	o.layer = "*emm*";
	l = maps_of(m, &o, "gradcam", &in, 0);
	CHECK("flat_layer", !l.n && err.code == DS_E_USAGE);
	o = usual;
	o.base = DS_BASE_TENSOR;
	ds_tensor small = random_item(1, (int64_t[]){ 3 }, 1);
	o.base_tensor = small;
	l = maps_of(m, &o, "occlusion", &in, 0);
	CHECK("small_baseline", !l.n && err.code == DS_E_USAGE);
	o = usual;
	o.input = 1;
	l = maps_of(m, &o, "saliency", &in, 0);
	CHECK("no_input", !l.n && err.code == DS_E_USAGE);
	ds_tensor_done(&small);
	ds_tensor_done(&in);
	ds_model_free(m);
	m = spec("input x [N, 5]\nGemm 4\noutput y values=logits\n");
	ds_explainer *x = NULL;
	CHECK("no_convolution", m && ds_explainer_new(&x, m, &usual, &err) == DS_OK && !ds_method_find("gradcam")->fits(x) && ds_method_default(x) != NULL);
	ds_explainer_free(x);
	ds_model_free(m);
	CHECK("no_method", !ds_method_find("nothing") && !ds_method_find(""));
}

/* ---- baselines -------------------------------------------------------------------------------------------------------------------------------- */
static void baselines(void)
{
	ds_model *m = spec("input x [N, 2, 6, 8]\nConv 3 | Relu\nGlobalAveragePool | Flatten | Gemm 4\noutput y values=logits\n");
	ds_tensor in = random_item(4, (int64_t[]){ 1, 2, 6, 8 }, 2);
	float out[96], flat[96];
	for (int k = DS_BASE_ZERO; k <= DS_BASE_BLUR; k++) {
		ds_explain_opts o = usual;
		ds_explainer *x = NULL;
		o.base = (ds_base)k;
		double mean = 0;
		for (int i = 0; i < 48; i++)
			mean += (double)((float *)in.data)[i] / 48;
		if (ds_explainer_new(&x, m, &o, &err) != DS_OK || ds_explain_baseline(x, &in, out, &err) != DS_OK)
			CHECK("baseline", false);
		else if (k == DS_BASE_ZERO)
			CHECK("baseline_zero", out[5] == 0 && out[95] == 0);
		else if (k == DS_BASE_MEAN)
			CHECK("baseline_mean", fabs((double)out[0] - mean) < 1e-6 && out[0] == out[47] && out[48] != out[0]);
		else {
			double a = 0, b = 0;
			for (int i = 1; i < 48; i++) {
				a += fabs((double)((float *)in.data)[i] - (double)((float *)in.data)[i - 1]);
				b += fabs((double)out[i] - (double)out[i - 1]);
			}
			CHECK("baseline_blur", b < a / 2);
			ds_tensor level;
			for (int i = 0; i < 96; i++)
				flat[i] = 0.25f;
			ds_tensor_borrow(&level, DS_F32, 4, in.dim, flat);
			CHECK("baseline_blur_level", ds_explain_baseline(x, &level, out, &err) == DS_OK && worst(out, flat, 96) < 1e-6);
		}
		ds_explainer_free(x);
	}
	ds_tensor_done(&in);
	ds_model_free(m);
}

int main(void)
{
	linear();
	heads();
	references();
	alone();
	symmetric();
	straight();
	refused();
	baselines();
	return failures > 0;
}
