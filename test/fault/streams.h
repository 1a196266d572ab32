/* streams.h - small DSM streams that between them hold every record type, codec and class of element type: for the corruption harness, the fuzz
 * seeds and the tests of commands.  Everything is generated, nothing is random. */
#ifndef DS_TEST_STREAMS_H
#define DS_TEST_STREAMS_H

#include "format/dsm_int.h"

#include <stdio.h>
#include <stdlib.h>

/* A stream under construction: a failure anywhere makes the whole one fail. */
typedef struct maker { ds_buf out; ds_sink *sink; ds_dsm_writer *w; ds_err err; ds_status rc; } maker;
#define DO(m, expr) do { if ((m)->rc == DS_OK) (m)->rc = (expr); } while (0)

static void maker_open(maker *m, const char *kind, bool compress)
{
	ds_meta meta = { 0 };
	*m = (maker){ .rc = DS_OK };
	DO(m, ds_sink_memory(&m->sink, &m->out, &m->err));
	DO(m, ds_dsm_create(&m->w, m->sink, &(ds_dsm_wopts){ .compress = compress }, &m->err));
	DO(m, ds_meta_set_str(&meta, "kind", kind));
	DO(m, ds_meta_set_str(&meta, "model.name", "toy"));
	DO(m, ds_dsm_put_meta(m->w, &meta, &m->err));
	ds_meta_done(&meta);
}

static bool maker_close(maker *m, ds_buf *out)
{
	DO(m, ds_dsm_finish(m->w, &m->err));
	ds_dsm_writer_free(m->w);
	ds_sink_abort(m->sink);
	*out = m->out;
	if (m->rc != DS_OK)
		fprintf(stderr, "# %s\n", m->err.text);
	return m->rc == DS_OK;
}

/* A tensor of the given form whose planes are filled with a pattern that respects the unowned bits. */
static void put_form(maker *m, const char *name, const ds_qform *form, int rank, const int64_t *dim, uint32_t item, const char *item_name)
{
	ds_tnsr t = { .form = *form, .rank = rank, .name = (char *)(uintptr_t)name, .item = item, .item_name = (char *)(uintptr_t)item_name,
		.item_len = item_name ? strlen(item_name) : 0 };
	ds_qsize q;
	for (int i = 0; i < rank; i++)
		t.dim[i] = dim[i];
	DO(m, ds_qform_size(form, rank, dim, &q, &m->err));
	if (m->rc != DS_OK)
		return;
	uint8_t *p = ds_calloc(q.total + 1, 1), *code = ds_calloc((size_t)(q.rows * q.cols) + 1, 1);
	int bits = form->code == DS_I8 ? 8 : (int)form->code - 0x40;
	if (form->scheme == DS_Q_PLAIN) {
		for (uint64_t i = 0; i < q.total; i++)
			p[i] = form->code == DS_BOOL ? i & 1 : (uint8_t)(i * 37 + 5);
	} else {
		for (int64_t i = 0; i < q.rows * q.cols; i++)
			code[i] = (uint8_t)((i * 11 + 3) & ((1 << bits) - 1));
		if (form->joined)
			ds_q_pack(bits, code, q.rows * q.cols, p, q.code_stride);
		for (int64_t r = 0; !form->joined && r < q.rows; r++)
			ds_q_pack(bits, code + r * q.cols, q.cols, p + (uint64_t)r * q.code_stride, q.code_stride);
		size_t scale = ds_dtype_size(form->scale_dtype), zero = form->zero_dtype ? ds_dtype_size(form->zero_dtype) : 0;
		for (uint64_t i = 0; i < (uint64_t)q.scales * scale; i++)
			p[q.scale_off + i] = (uint8_t)(0x38 + i % 4);
		for (uint64_t i = 0; q.zero_bytes && i < (uint64_t)q.scales * zero; i++)
			p[q.zero_off + i] = (uint8_t)(i % 7);
		for (uint64_t i = 0; q.book_bytes && i < ((uint64_t)1 << bits) * scale; i++)
			p[q.book_off + i] = (uint8_t)(0x30 + i % 16);
	}
	DO(m, ds_dsm_tensor_begin(m->w, &t, &m->err));
	DO(m, ds_dsm_tensor_data(m->w, p, (size_t)q.total, &m->err));
	DO(m, ds_dsm_tensor_end(m->w, &m->err));
	ds_free(p);
	ds_free(code);
}

static void put_plain_tensor(maker *m, const char *name, ds_dtype dtype, int rank, const int64_t *dim, uint32_t item, const char *item_name)
{
	put_form(m, name, &(ds_qform){ .code = dtype }, rank, dim, item, item_name);
}

/* ---- graphs -------------------------------------------------------------------------------------------------------------------------------------- */
static ds_value *test_weight(ds_graph *g, ds_vkind kind, const char *name, ds_dtype dtype, int rank, const int64_t *dim)
{
	ds_tensor t;
	if (ds_tensor_new(&t, dtype, rank, dim, NULL) != DS_OK)
		return NULL;
	for (size_t i = 0; i < ds_tensor_bytes(&t); i++)
		((uint8_t *)t.data)[i] = (uint8_t)(i % 4 == 3 ? 0x3e : i * 7 + strlen(name));
	return ds_graph_weight(g, kind, name, &t);
}

static ds_graph *test_branch(ds_graph *parent, ds_value *outer, ds_value *konst, bool deeper)
{
	ds_graph *g = ds_graph_sub(parent);
	ds_node *n = ds_graph_node(g, "", "Add", "inner", 2, (ds_value *[]){ outer, konst }, 1, (const char *[]){ "same_name" });
	if (deeper) {
		ds_graph *t = test_branch(g, n->out[0], konst, false), *e = ds_graph_sub(g);
		ds_status rc = ds_graph_output(e, konst);       /* not a value of its own: gets an Identity */
		ds_node *c = ds_graph_node(g, "", "If", "deep", 1, (ds_value *[]){ g->parent->input[1] }, 1, NULL);
		if (rc != DS_OK || ds_attr_g(c, "then_branch", t) != DS_OK || ds_attr_g(c, "else_branch", e) != DS_OK || ds_graph_output(g, c->out[0]) != DS_OK)
			return NULL;
		return g;
	}
	return ds_graph_output(g, n->out[0]) == DS_OK ? g : NULL;
}

/* Symbols and a sum, sub-graphs two deep, a tied parameter, a state pair, constants small and large, all types of attributes, assets, history. */
static ds_model *everything(void)
{
	ds_model *m = ds_model_new();
	ds_graph *g = m->graph;
	int64_t n = -1 - ds_graph_symbol(g, "N"), past = -1 - ds_graph_symbol(g, "past");
	ds_type x = ds_type_make(DS_F32, 2, (int64_t[]){ n, 8 }), c = ds_type_make(DS_BOOL, 0, NULL), kv = ds_type_make(DS_F32, 3, (int64_t[]){ n, past, 4 });
	ds_value *in = ds_graph_input(g, "x", &x), *cond = ds_graph_input(g, "cond", &c), *state = ds_graph_input(g, "past_kv", &kv);
	ds_value *unused = test_weight(g, DS_V_PARAM, "unused", DS_F32, 1, (int64_t[]){ 3 });
	ds_value *b = test_weight(g, DS_V_PARAM, "bias", DS_F32, 1, (int64_t[]){ 8 }), *wt = test_weight(g, DS_V_PARAM, "weight", DS_F32, 2, (int64_t[]){ 8, 8 });
	ds_value *big = test_weight(g, DS_V_CONST, "", DS_F32, 1, (int64_t[]){ 40 }), *small = ds_graph_const_f32(g, 0.5f);
	ds_node *gemm = ds_graph_node(g, "", "Gemm", "fc", 3, (ds_value *[]){ in, wt, b }, 1, (const char *[]){ "h" });
	ds_node *tied = ds_graph_node(g, "", "MatMul", "tied", 2, (ds_value *[]){ gemm->out[0], wt }, 1, NULL);
	ds_node *iff = ds_graph_node(g, "", "If", "choose", 1, (ds_value *[]){ cond }, 1, (const char *[]){ "y" });
	ds_node *sum = ds_graph_node(g, "", "ReduceSum", "", 2, (ds_value *[]){ big, NULL }, 1, (const char *[]){ "s" });
	ds_node *cat = ds_graph_node(g, "", "Concat", "grow", 2, (ds_value *[]){ state, state }, 1, (const char *[]){ "present_kv" });
	ds_node *own = ds_graph_node(g, "ds", "Unknown", "all attributes", 1, (ds_value *[]){ in }, 2, (const char *[]){ "z", "" });
	cat->out[0]->type = kv;
	gemm->out[0]->type = x;
	bool ok = unused && ds_attr_f(gemm, "alpha", 0.25) == DS_OK && ds_attr_i(gemm, "transB", 1) == DS_OK && ds_attr_i(sum, "keepdims", 0) == DS_OK &&
		ds_attr_i(cat, "axis", 1) == DS_OK && ds_attr_g(iff, "then_branch", test_branch(g, tied->out[0], small, true)) == DS_OK &&
		ds_attr_g(iff, "else_branch", test_branch(g, tied->out[0], small, false)) == DS_OK && ds_graph_output(g, iff->out[0]) == DS_OK &&
		ds_graph_output(g, sum->out[0]) == DS_OK && ds_graph_output(g, cat->out[0]) == DS_OK && ds_graph_output(g, own->out[0]) == DS_OK;
	ok = ok && ds_attr_s(own, "s", "text") == DS_OK && ds_attr_is(own, "is", 3, (int64_t[]){ 1, -2, 3 }) == DS_OK &&
		ds_attr_fs(own, "fs", 2, (double[]){ 0.5, -1e9 }) == DS_OK && ds_attr_ss(own, "ss", 2, (const char *[]){ "a", "" }) == DS_OK &&
		ds_attr_t(own, "t", small) == DS_OK;
	ok = ok && ds_grow((void **)&g->symbol, (size_t)g->n_symbol, &g->cap_symbol, sizeof *g->symbol) &&
		ds_grow((void **)&g->state, 0, &g->cap_state, sizeof *g->state);
	g->symbol[g->n_symbol++] = (ds_symbol){ "", 0, 1, 5 };
	tied->out[0]->type = ds_type_make(DS_F32, 2, (int64_t[]){ -3, 8 });
	g->state[g->n_state++] = (ds_state){ state, cat->out[0], 1, 100 };
	ds_meta h = { 0 };
	ok = ok && ds_meta_set_str(&m->meta, "model.name", "everything") == DS_OK && ds_meta_set_i64(&m->meta, "input.0.size", 2, (int64_t[]){ 2, -3 }) == DS_OK &&
		ds_meta_set_f64(&m->meta, "input.0.mean", 3, (double[]){ 0.1, 1e300, -0.0 }) == DS_OK &&
		ds_meta_set_list(&m->meta, "list", 3, (const char *[]){ "a", "", "\xc3\xa4" }) == DS_OK;
	ds_buffer *labels = ds_buffer_new(5);
	memcpy(ds_buffer_data(labels), "a\nb\nc", 5);
	ok = ok && ds_model_asset_set(m, "labels.txt", "text/plain", labels) == DS_OK && ds_model_asset_set(m, "empty", "", ds_buffer_new(0)) == DS_OK;
	ok = ok && ds_meta_set_str(&h, "tool", "test 1.0") == DS_OK && ds_meta_set_str(&h, "plan", "a\tb\nc") == DS_OK && ds_model_history_add(m, &h) == DS_OK;
	if (!ok) {
		ds_model_free(m);
		m = NULL;
	}
	return m;
}

static bool stream_everything(ds_buf *out, bool compress)
{
	ds_model *m = everything();
	ds_sink *s;
	*out = (ds_buf){ 0 };
	bool good = m && ds_sink_memory(&s, out, NULL) == DS_OK && ds_model_save(m, s, &(ds_dsm_wopts){ .compress = compress }, NULL) == DS_OK;
	ds_sink_abort(s);
	ds_model_free(m);
	return good;
}

/* ---- the streams ---------------------------------------------------------------------------------------------------------------------------------- */
static bool stream_model(ds_buf *out) { return stream_everything(out, false); }
static bool stream_model_zstd(ds_buf *out) { return stream_everything(out, true); }

/* A model whose weights are quantised, as a one-pass filter writes it: the graph as it was, other forms. */
static bool stream_quantised(ds_buf *out)
{
	maker m;
	ds_graph *g = ds_graph_new();
	ds_type x = ds_type_make(DS_F32, 2, (int64_t[]){ 1, 40 });
	ds_value *in = ds_graph_input(g, "x", &x), *v[6];
	static const ds_qform form[6] = {
		{ .code = DS_I8, .scheme = DS_Q_SYM, .gran = DS_Q_ROW, .row_dims = 1, .scale_dtype = DS_F32 },
		{ .code = DS_U3, .scheme = DS_Q_ASYM, .gran = DS_Q_GROUP, .row_dims = 1, .scale_dtype = DS_F16, .zero_dtype = DS_U8, .group = 16 },
		{ .code = DS_U4, .scheme = DS_Q_CODEBOOK, .gran = DS_Q_TENSOR, .row_dims = 1, .scale_dtype = DS_F32 },
		{ .code = DS_U5, .scheme = DS_Q_MINIMA, .gran = DS_Q_ROW, .row_dims = 1, .scale_dtype = DS_BF16, .zero_dtype = DS_BF16 },
		{ .code = DS_U6, .scheme = DS_Q_SYM, .gran = DS_Q_GROUP, .row_dims = 1, .scale_dtype = DS_F32, .group = 32 },
		{ .code = DS_U2, .scheme = DS_Q_SYM, .gran = DS_Q_TENSOR, .row_dims = 1, .joined = 1, .scale_dtype = DS_F16 },
	};
	maker_open(&m, "model", false);
	int64_t dim[2] = { 3, 40 };
	for (int i = 0; i < 6; i++) {
		char name[16];
		snprintf(name, sizeof name, "w%d", i);
		v[i] = test_weight(g, DS_V_PARAM, name, DS_F32, 2, dim);
		in = ds_graph_node(g, "", "Add", "", 2, (ds_value *[]){ in, v[i] }, 1, (const char *[]){ i == 5 ? "y" : "" })->out[0];
	}
	DO(&m, ds_graph_output(g, in));
	DO(&m, ds_dsm_put_graph(m.w, g, NULL, NULL, &m.err));
	for (int i = 0; i < 6; i++)
		put_form(&m, v[i]->name, &form[i], 2, dim, DSM_NONE, NULL);
	ds_graph_free(g);
	return maker_close(&m, out);
}

/* Items of every plain type, an empty tensor, names that need escapes, an unknown record. */
static bool stream_items(ds_buf *out)
{
	maker m;
	maker_open(&m, "tensors", false);
	for (int d = DS_F32; d <= DS_BOOL; d++)
		put_plain_tensor(&m, "t", (ds_dtype)d, 2, (int64_t[]){ 1, d }, (uint32_t)(d - 1) / 4, "\xff\\ name\n");
	put_plain_tensor(&m, "", DS_F32, 0, NULL, 3, NULL);
	put_plain_tensor(&m, "none", DS_F32, 3, (int64_t[]){ 4, 0, 2 }, 4, NULL);
	DO(&m, dsm_rec_begin(m.w, "xTRa", (const uint8_t *)"desc", 4, 7, &m.err));
	DO(&m, dsm_rec_data(m.w, "unknown", 7, &m.err));
	DO(&m, dsm_rec_end(m.w, &m.err));
	return maker_close(&m, out);
}

static bool stream_zstd(ds_buf *out)
{
	maker m;
	maker_open(&m, "logits", true);
	put_plain_tensor(&m, "y", DS_F32, 2, (int64_t[]){ 8, 64 }, 0, "a.png");
	put_plain_tensor(&m, "y", DS_U8, 1, (int64_t[]){ 3 }, 1, "b.png");     /* does not shrink */
	put_form(&m, "q", &(ds_qform){ .code = DS_U4, .scheme = DS_Q_SYM, .gran = DS_Q_TENSOR, .joined = 1, .scale_dtype = DS_F32 }, 2, (int64_t[]){ 9, 33 }, 2, NULL);
	return maker_close(&m, out);
}

static bool stream_statistics(ds_buf *out)
{
	maker m;
	ds_meta h = { 0 };
	maker_open(&m, "statistics", false);
	put_plain_tensor(&m, "a.max", DS_F32, 1, (int64_t[]){ 17 }, 0, NULL);
	put_plain_tensor(&m, "a.min", DS_F64, 1, (int64_t[]){ 2 }, 0, NULL);
	put_plain_tensor(&m, "b.max", DS_BF16, 1, (int64_t[]){ 3 }, 0, NULL);
	DO(&m, ds_meta_set_list(&h, "args", 2, (const char *[]){ "--stats", "--seed=1" }));
	DO(&m, ds_meta_set_str(&h, "tool", "ds-profile 0.1.0"));
	DO(&m, ds_dsm_put_history(m.w, &h, &m.err));
	ds_meta_done(&h);
	return maker_close(&m, out);
}

static bool stream_checkpoint(ds_buf *out)
{
	maker m;
	ds_graph *g = ds_graph_new();
	ds_type x = ds_type_make(DS_F32, 1, (int64_t[]){ 4 });
	ds_value *in = ds_graph_input(g, "x", &x), *w = test_weight(g, DS_V_PARAM, "w", DS_F32, 1, (int64_t[]){ 4 });
	maker_open(&m, "checkpoint", false);
	DO(&m, ds_graph_output(g, ds_graph_node(g, "", "Mul", "", 2, (ds_value *[]){ in, w }, 1, (const char *[]){ "y" })->out[0]));
	DO(&m, ds_dsm_put_graph(m.w, g, NULL, NULL, &m.err));
	DO(&m, ds_dsm_put_param(m.w, w, &m.err));
	put_plain_tensor(&m, "adam.m/w", DS_F32, 1, (int64_t[]){ 4 }, DSM_NONE, NULL);
	put_plain_tensor(&m, "adam.v/w", DS_F32, 1, (int64_t[]){ 4 }, DSM_NONE, NULL);
	ds_graph_free(g);
	return maker_close(&m, out);
}

static const struct { const char *name; bool (*make)(ds_buf *out); } test_stream[] = {
	{ "model", stream_model }, { "model-zstd", stream_model_zstd }, { "quantised", stream_quantised }, { "items", stream_items }, { "zstd", stream_zstd },
	{ "statistics", stream_statistics }, { "checkpoint", stream_checkpoint },
};

#endif
