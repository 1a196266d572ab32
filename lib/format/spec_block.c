/* spec_block.c - lines that become several operators: recurrent layers, self-attention, positions */
#include "spec.h"

#include "../graph/op.h"

#include <math.h>
#include <string.h>

/* ---- recurrent layers ---------------------------------------------------------------------------------------------------------------- */
static const struct { const char *name; int gates; } recurrent[] = { { "LSTM", 4 }, { "GRU", 3 }, { "RNN", 1 } };

/* The bias of the forget gate (of i, o, f, c) begins at 1, so that a cell remembers from the start (Gers, Schmidhuber and Cummins 2000). */
static void remember(ds_value *bias, int64_t directions, int64_t hidden)
{
	float *b = bias->data.data;
	for (int64_t d = 0; d < directions; d++)
		for (int64_t i = 0; i < hidden; i++)
			b[d * 8 * hidden + 2 * hidden + i] = 1;
}

/* LSTM UNITS: [N, T, F] -> [N, T, UNITS], with last=1 [N, UNITS]; of two directions the results stand side by side. */
static ds_status emit_recurrent(spec *s, const spec_layer *l, spec_call *c, ds_value **out, ds_err *err)
{
	const spec_val *way = ds_spec_key(c, "direction"), *init = ds_spec_key(c, "init"), *inner = ds_spec_key(c, "recurrent_init");
	int64_t hidden, features, directions = 1, gates = 0, last;
	ds_value *in[4] = { c->in[0] }, *shape;
	ds_node *n;
	for (size_t i = 0; i < DS_COUNTOF(recurrent); i++)
		if (strcmp(recurrent[i].name, l->name) == 0)
			gates = recurrent[i].gates;
	DS_TRY(ds_spec_rank(s, c, 3, 3, ": [N, time, features]", err));
	DS_TRY(ds_spec_dim(s, c->in[0], 2, c->op, &features, err));
	DS_TRY(ds_spec_size(s, c, 0, "the number of units", -1, &hidden, err));
	DS_TRY(ds_spec_key_whole(s, c, "last", 0, 1, 0, &last, err));
	if (way && way->kind == SPEC_WORD && strcmp(way->word, "bidirectional") == 0)
		directions = 2;
	const spec_fill w = { .part = "weight", .rank = 3, .dim = { directions, gates * hidden, features }, .fan_in = features, .fan_out = hidden,
		.rule = "glorot", .follows = true };
	const spec_fill r = { .part = "recurrent", .rank = 3, .dim = { directions, gates * hidden, hidden }, .fan_in = hidden, .fan_out = hidden,
		.blocks = directions * gates, .rule = "orthogonal" };
	const spec_fill b = { .part = "bias", .rank = 2, .dim = { directions, 2 * gates * hidden }, .rule = "zeros" };
	DS_TRY(ds_spec_param(s, c->name, &w, init, &in[1], err));
	DS_TRY(ds_spec_param(s, c->name, &r, inner, &in[2], err));
	DS_TRY(ds_spec_param(s, c->name, &b, NULL, &in[3], err));
	if (gates == 4)
		remember(in[3], directions, hidden);
	const char *node = ds_arena_printf(&s->arena, "%s.cell", c->name);
	if (!node)
		return ds_fail_nomem(err, 64);
	const char *names[2] = { last ? "" : node, last ? node : "" };
	n = ds_graph_node(s->g, "", l->op, node, 4, in, last ? 2 : 1, names);
	if (!n || ds_attr_i(n, "hidden_size", hidden) != DS_OK || ds_attr_i(n, "layout", 1) != DS_OK ||
		(way && way->kind == SPEC_WORD && ds_attr_s(n, "direction", way->word) != DS_OK))
		return ds_fail_nomem(err, 64);
	DS_TRY(ds_spec_attrs(s, c, n, err));
	DS_TRY(ds_spec_done(s, n, err));
	/* Y is [N, T, directions, units], the last state [N, directions, units] */
	DS_TRY(ds_spec_ints(s, (int64_t[]){ 0, last ? directions * hidden : 0, directions * hidden }, last ? 2 : 3, &shape, err));
	return ds_spec_simple(s, "Reshape", c->name, NULL, 2, (ds_value *[]){ n->out[last], shape }, out, err);
}

/* ---- self-attention ------------------------------------------------------------------------------------------------------------------ */
typedef struct attention {
	const char *name;
	int64_t     heads, kv_heads, size, causal, bias;
	const spec_val *init, *out_init;
} attention;

/* x W (+ b) */
static ds_status linear(spec *s, const attention *a, const char *part, ds_value *x, int64_t from, int64_t to, const spec_val *init, ds_value **out,
	ds_err *err)
{
	const spec_fill w = { .part = "weight", .rank = 2, .dim = { from, to }, .fan_in = from, .fan_out = to, .rule = "glorot", .follows = true };
	const spec_fill b = { .part = "bias", .rank = 1, .dim = { to }, .rule = "zeros" };
	const char *name = ds_arena_printf(&s->arena, "%s.%s", a->name, part);
	ds_value *in[2] = { x };
	if (!name)
		return ds_fail_nomem(err, 64);
	DS_TRY(ds_spec_param(s, name, &w, init, &in[1], err));
	DS_TRY(ds_spec_simple(s, "MatMul", name, a->bias ? "product" : NULL, 2, in, out, err));
	if (!a->bias)
		return DS_OK;
	in[0] = *out;
	DS_TRY(ds_spec_param(s, name, &b, NULL, &in[1], err));
	return ds_spec_simple(s, "Add", name, NULL, 2, in, out, err);
}

/* [N, T, size] -> [N, heads, T, size / heads] in the order of dims `perm`. */
static ds_status split_heads(spec *s, const attention *a, const char *part, const int64_t perm[4], ds_value **x, ds_err *err)
{
	ds_value *shape;
	ds_node *n;
	const char *name = ds_arena_printf(&s->arena, "%s.%s.transposed", a->name, part), *split = ds_arena_printf(&s->arena, "%s.heads", part);
	if (!name || !split)
		return ds_fail_nomem(err, 64);
	DS_TRY(ds_spec_ints(s, (int64_t[]){ 0, 0, a->heads, a->size / a->heads }, 4, &shape, err));
	DS_TRY(ds_spec_simple(s, "Reshape", a->name, split, 2, (ds_value *[]){ *x, shape }, x, err));
	DS_TRY(ds_spec_node(s, "Transpose", name, 1, x, 1, &n, err));
	if (ds_attr_is(n, "perm", 4, perm) != DS_OK)
		return ds_fail_nomem(err, 64);
	*x = n->out[0];
	return ds_spec_done(s, n, err);
}

/* The length of time as a list of one number, known or found out when the model runs. */
static ds_status length_of(spec *s, const char *layer, ds_value *x, ds_value **out, ds_err *err)
{
	ds_node *n;
	const char *name = ds_arena_printf(&s->arena, "%s.length", layer);
	if (x->type.dim[1] >= 0)
		return ds_spec_ints(s, &x->type.dim[1], 1, out, err);
	if (!name)
		return ds_fail_nomem(err, 64);
	DS_TRY(ds_spec_node(s, "Shape", name, 1, &x, 1, &n, err));
	if (ds_attr_i(n, "start", 1) != DS_OK || ds_attr_i(n, "end", 2) != DS_OK)
		return ds_fail_nomem(err, 64);
	*out = n->out[0];
	return ds_spec_done(s, n, err);
}

/* [T, T]: far below zero where a key is later than the query. */
static ds_status causal_mask(spec *s, const attention *a, ds_value *x, ds_value **out, ds_err *err)
{
	int64_t t = x->type.dim[1];
	const float far = -1e9f;
	ds_value *shape, *len[2], *one, *value;
	ds_node *n;
	const char *name = ds_arena_printf(&s->arena, "%s.mask.shape", a->name), *full = ds_arena_printf(&s->arena, "%s.mask.full", a->name);
	if (!name || !full)
		return ds_fail_nomem(err, 64);
	if (t >= 0) {
		DS_TRY(ds_spec_ints(s, (int64_t[]){ t, t }, 2, &shape, err));
	} else {
		DS_TRY(length_of(s, a->name, x, &len[0], err));
		len[1] = len[0];
		DS_TRY(ds_spec_node(s, "Concat", name, 2, len, 1, &n, err));
		if (ds_attr_i(n, "axis", 0) != DS_OK)
			return ds_fail_nomem(err, 64);
		DS_TRY(ds_spec_done(s, n, err));
		shape = n->out[0];
	}
	DS_TRY(ds_spec_constant(s, DS_F32, 1, 1, &far, &value, err));
	DS_TRY(ds_spec_node(s, "ConstantOfShape", full, 1, &shape, 1, &n, err));
	if (ds_attr_t(n, "value", value) != DS_OK)
		return ds_fail_nomem(err, 64);
	DS_TRY(ds_spec_done(s, n, err));
	n->out[0]->type = (ds_type){ .dtype = DS_F32, .rank = 2, .dim = { t, t } };    /* of a shape that is not followed */
	DS_TRY(ds_spec_ints(s, (int64_t[]){ 1 }, -1, &one, err));
	return ds_spec_simple(s, "Trilu", a->name, "mask", 2, (ds_value *[]){ n->out[0], one }, out, err);
}

/* The same as Attention, in small steps. */
static ds_status attend_in_steps(spec *s, const attention *a, ds_value *x, ds_value *const qkv[3], ds_value **out, ds_err *err)
{
	ds_value *q = qkv[0], *k = qkv[1], *v = qkv[2], *w, *scale, *shape;
	ds_node *n;
	DS_TRY(split_heads(s, a, "query", (int64_t[]){ 0, 2, 1, 3 }, &q, err));
	DS_TRY(split_heads(s, a, "key", (int64_t[]){ 0, 2, 3, 1 }, &k, err));
	DS_TRY(split_heads(s, a, "value", (int64_t[]){ 0, 2, 1, 3 }, &v, err));
	DS_TRY(ds_spec_number(s, 1 / sqrt((double)(a->size / a->heads)), DS_F32, &scale, err));
	DS_TRY(ds_spec_simple(s, "Mul", a->name, "query.scaled", 2, (ds_value *[]){ q, scale }, &q, err));
	DS_TRY(ds_spec_simple(s, "MatMul", a->name, "scores", 2, (ds_value *[]){ q, k }, &w, err));
	if (a->causal) {
		ds_value *mask;
		DS_TRY(causal_mask(s, a, x, &mask, err));
		DS_TRY(ds_spec_simple(s, "Add", a->name, "masked", 2, (ds_value *[]){ w, mask }, &w, err));
	}
	DS_TRY(ds_spec_simple(s, "Softmax", a->name, "weights", 1, &w, &w, err));
	DS_TRY(ds_spec_simple(s, "MatMul", a->name, "mixed", 2, (ds_value *[]){ w, v }, &v, err));
	const char *name = ds_arena_printf(&s->arena, "%s.mixed.transposed", a->name);
	if (!name)
		return ds_fail_nomem(err, 64);
	DS_TRY(ds_spec_node(s, "Transpose", name, 1, &v, 1, &n, err));
	if (ds_attr_is(n, "perm", 4, (int64_t[]){ 0, 2, 1, 3 }) != DS_OK)
		return ds_fail_nomem(err, 64);
	DS_TRY(ds_spec_done(s, n, err));
	DS_TRY(ds_spec_ints(s, (int64_t[]){ 0, 0, a->size }, 3, &shape, err));
	return ds_spec_simple(s, "Reshape", a->name, "mixed.joined", 2, (ds_value *[]){ n->out[0], shape }, out, err);
}

static ds_status attend(spec *s, spec_call *c, const attention *a, ds_value *const qkv[3], ds_value **out, ds_err *err)
{
	ds_node *n;
	const char *name = ds_arena_printf(&s->arena, "%s.attention", a->name);
	if (!name)
		return ds_fail_nomem(err, 64);
	DS_TRY(ds_spec_node(s, "Attention", name, 3, qkv, 1, &n, err));
	if (ds_attr_i(n, "q_num_heads", a->heads) != DS_OK || ds_attr_i(n, "kv_num_heads", a->kv_heads) != DS_OK ||
		(a->causal && ds_attr_i(n, "is_causal", 1) != DS_OK))
		return ds_fail_nomem(err, 64);
	DS_TRY(ds_spec_attrs(s, c, n, err));
	*out = n->out[0];
	return ds_spec_done(s, n, err);
}

/* SelfAttention HEADS: [N, T, size] -> the same; four products with weights and what is between them. */
static ds_status emit_attention(spec *s, const spec_layer *l, spec_call *c, ds_value **out, ds_err *err)
{
	static const char *const part[3] = { "query", "key", "value" };
	const spec_val *form = ds_spec_key(c, "form");
	attention a = { .name = c->name, .init = ds_spec_key(c, "init"), .out_init = ds_spec_key(c, "out_init") };
	ds_value *qkv[3], *mixed;
	(void)l;
	DS_TRY(ds_spec_rank(s, c, 3, 3, ": [N, time, features]", err));
	DS_TRY(ds_spec_dim(s, c->in[0], 2, c->op, &a.size, err));
	DS_TRY(ds_spec_size(s, c, 0, "the number of heads", -1, &a.heads, err));
	DS_TRY(ds_spec_key_whole(s, c, "kv_heads", 1, a.heads, a.heads, &a.kv_heads, err));
	DS_TRY(ds_spec_key_whole(s, c, "causal", 0, 1, 0, &a.causal, err));
	DS_TRY(ds_spec_key_whole(s, c, "bias", 0, 1, 1, &a.bias, err));
	if (a.size % a.heads || a.heads % a.kv_heads)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s: %lld features, %lld heads, %lld of keys: each must divide the one before it", c->op,
			(long long)a.size, (long long)a.heads, (long long)a.kv_heads);
	bool steps = form && form->kind == SPEC_WORD && strcmp(form->word, "MatMul") == 0;
	if (form && !steps && (form->kind != SPEC_WORD || strcmp(form->word, "Attention") != 0))
		return ds_spec_fail(s, err, DS_E_INPUT, "form= is Attention (one operator) or MatMul (the steps)");
	if (steps && a.kv_heads != a.heads)
		return ds_spec_fail(s, err, DS_E_INPUT, "form=MatMul has as many heads of keys as of queries");
	for (int i = 0; i < 3; i++)
		DS_TRY(linear(s, &a, part[i], c->in[0], a.size, i ? a.size / a.heads * a.kv_heads : a.size, a.init, &qkv[i], err));
	DS_TRY(steps ? attend_in_steps(s, &a, c->in[0], qkv, &mixed, err) : attend(s, c, &a, qkv, &mixed, err));
	DS_TRY(linear(s, &a, "out", mixed, a.size, a.size, a.out_init ? a.out_init : a.init, out, err));
	return DS_OK;
}

/* ---- positions ----------------------------------------------------------------------------------------------------------------------- */
/* Position CONTEXT: adds row t of a table to step t. */
static ds_status emit_position(spec *s, const spec_layer *l, spec_call *c, ds_value **out, ds_err *err)
{
	int64_t context, size, t = c->in[0]->type.rank == 3 ? c->in[0]->type.dim[1] : 0;
	ds_value *table, *len, *zero;
	(void)l;
	DS_TRY(ds_spec_rank(s, c, 3, 3, ": [N, time, features]", err));
	DS_TRY(ds_spec_dim(s, c->in[0], 2, c->op, &size, err));
	DS_TRY(ds_spec_size(s, c, 0, "the number of positions", t > 0 ? t : -1, &context, err));
	if (t > context)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s: %lld steps, but %lld positions", c->op, (long long)t, (long long)context);
	const spec_fill f = { .part = "weight", .rank = 2, .dim = { context, size }, .fan_in = size, .fan_out = context, .rule = "0.02",
		.follows = true };
	DS_TRY(ds_spec_param(s, c->name, &f, ds_spec_key(c, "init"), &table, err));
	if (t != context) {             /* the first T rows */
		DS_TRY(length_of(s, c->name, c->in[0], &len, err));
		DS_TRY(ds_spec_ints(s, (int64_t[]){ 0 }, 1, &zero, err));
		DS_TRY(ds_spec_simple(s, "Slice", c->name, "rows", 4, (ds_value *[]){ table, zero, len, zero }, &table, err));
		table->type = (ds_type){ .dtype = DS_F32, .rank = 2, .dim = { t, size } };
	}
	return ds_spec_simple(s, "Add", c->name, NULL, 2, (ds_value *[]){ c->in[0], table }, out, err);
}

/* ---- sound ----------------------------------------------------------------------------------------------------------------------- */
/* A window of `length` samples and the bands' weights over the bins of a spectrum of it; both are folded when the model is planned. */
static ds_status mel_constants(spec *s, const char *layer, int64_t length, int64_t bands, int64_t rate, double low, double high, ds_value *out[2],
	ds_err *err)
{
	ds_value *in[5];
	DS_TRY(ds_spec_ints(s, &bands, -1, &in[0], err));
	DS_TRY(ds_spec_ints(s, &length, -1, &in[1], err));
	DS_TRY(ds_spec_ints(s, &rate, -1, &in[2], err));
	DS_TRY(ds_spec_number(s, low, DS_F32, &in[3], err));
	DS_TRY(ds_spec_number(s, high, DS_F32, &in[4], err));
	DS_TRY(ds_spec_simple(s, "HannWindow", layer, "window", 1, &in[1], &out[0], err));
	return ds_spec_simple(s, "MelWeightMatrix", layer, "weights", 5, in, &out[1], err);
}

/* LogMel BANDS: sound [N, 1, samples] or [N, samples] -> [N, BANDS, frames], the logarithm of the power in bands of the mel scale. */
static ds_status emit_logmel(spec *s, const spec_layer *l, spec_call *c, ds_value **out, ds_err *err)
{
	int64_t bands, rate, length, step, samples;
	double range[3] = { 20, 0, 1e-6 };
	static const char *const range_key[3] = { "low", "high", "floor" };
	ds_value *x = c->in[0], *k[2], *v;
	ds_node *n;
	(void)l;
	DS_TRY(ds_spec_rank(s, c, 2, 3, ": [N, samples] or [N, 1, samples]", err));
	DS_TRY(ds_spec_dim(s, x, -1, c->op, &samples, err));
	if (x->type.rank == 3 && x->type.dim[1] != 1)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s: %lld channels of sound, it reads one", c->op, (long long)x->type.dim[1]);
	DS_TRY(ds_spec_size(s, c, 0, "the number of bands", -1, &bands, err));
	DS_TRY(ds_spec_key_whole(s, c, "rate", 1, 1 << 24, 0, &rate, err));
	DS_TRY(ds_spec_key_whole(s, c, "frame_length", 2, samples, rate / 40, &length, err));
	DS_TRY(ds_spec_key_whole(s, c, "frame_step", 1, samples, DS_MAX(length / 2, 1), &step, err));
	range[1] = (double)rate / 2;
	for (int i = 0; i < 3; i++) {
		const spec_val *given = ds_spec_key(c, range_key[i]);
		if (given && given->kind != SPEC_NUMBER)
			return ds_spec_fail(s, err, DS_E_INPUT, "%s must be a number", range_key[i]);
		range[i] = given ? given->number : range[i];
	}
	if (!rate)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s: rate= is not given (samples in a second)", c->op);
	if (!(range[0] >= 0 && range[0] < range[1] && range[1] <= (double)rate / 2 && range[2] > 0) || length > samples)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s: low < high <= rate/2, floor > 0, and frames no longer than the sound", c->op);
	DS_TRY(mel_constants(s, c->name, length, bands, rate, range[0], range[1], k, err));
	DS_TRY(ds_spec_ints(s, (int64_t[]){ 0, samples, 1 }, 3, &v, err));
	DS_TRY(ds_spec_simple(s, "Reshape", c->name, "samples", 2, (ds_value *[]){ x, v }, &x, err));
	DS_TRY(ds_spec_ints(s, &step, -1, &v, err));
	k[0]->type = (ds_type){ .dtype = DS_F32, .rank = 1, .dim = { length } };
	DS_TRY(ds_spec_simple(s, "STFT", c->name, "spectrum", 3, (ds_value *[]){ x, v, k[0] }, &x, err));
	DS_TRY(ds_spec_simple(s, "Mul", c->name, "squares", 2, (ds_value *[]){ x, x }, &x, err));
	DS_TRY(ds_spec_ints(s, (int64_t[]){ 3 }, 1, &v, err));
	const char *name = ds_arena_printf(&s->arena, "%s.power", c->name);
	if (!name)
		return ds_fail_nomem(err, 64);
	DS_TRY(ds_spec_node(s, "ReduceSum", name, 2, (ds_value *[]){ x, v }, 1, &n, err));
	if (ds_attr_i(n, "keepdims", 0) != DS_OK)
		return ds_fail_nomem(err, 64);
	DS_TRY(ds_spec_done(s, n, err));
	DS_TRY(ds_spec_simple(s, "MatMul", c->name, "bands", 2, (ds_value *[]){ n->out[0], k[1] }, &x, err));
	DS_TRY(ds_spec_number(s, range[2], DS_F32, &v, err));
	DS_TRY(ds_spec_simple(s, "Add", c->name, "floor", 2, (ds_value *[]){ x, v }, &x, err));
	DS_TRY(ds_spec_simple(s, "Log", c->name, "log", 1, &x, &x, err));
	DS_TRY(ds_spec_node(s, "Transpose", c->name, 1, &x, 1, &n, err));
	if (ds_attr_is(n, "perm", 3, (int64_t[]){ 0, 2, 1 }) != DS_OK)
		return ds_fail_nomem(err, 64);
	*out = n->out[0];
	return ds_spec_done(s, n, err);
}

const spec_layer ds_spec_block_layers[] = {
	{ "LSTM", "lstm", "LSTM", "init recurrent_init last", 1, 1, emit_recurrent },
	{ "GRU", "gru", "GRU", "init recurrent_init last", 1, 1, emit_recurrent },
	{ "RNN", "rnn", "RNN", "init recurrent_init last", 1, 1, emit_recurrent },
	{ "SelfAttention", "attn", NULL, "bias causal form init kv_heads out_init", 1, 1, emit_attention },
	{ "LogMel", "logmel", NULL, "floor frame_length frame_step high low rate", 1, 1, emit_logmel },
	{ "Position", "position", NULL, "init", 1, 1, emit_position },
	{ NULL }
};
