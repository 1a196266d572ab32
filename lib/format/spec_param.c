/* spec_param.c - layers that bring parameters: their shapes follow from the input and the sizes on the line */
#include "spec.h"

#include "../graph/op.h"

#include <string.h>

/* ---- windows: kernel, steps and borders of convolutions and pools -------------------------------------------------------------------- */
typedef struct window { int n; int64_t kernel[3], stride[3], dilation[3], pad[6]; } window;

/* A key (or size) that is one number for all axes or a list. */
static ds_status axes_of(spec *s, const char *what, const spec_val *v, int n, int64_t min, int64_t def, int64_t *out, ds_err *err)
{
	if (v && v->kind == SPEC_LIST && v->n != n)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s: %d numbers for %d axes", what, v->n, n);
	for (int i = 0; i < n; i++) {
		out[i] = def;
		if (v)
			DS_TRY(ds_spec_whole(s, v->kind == SPEC_LIST ? &v->item[i] : v, what, min, 1 << 20, &out[i], err));
	}
	return DS_OK;
}

/* pads=same keeps ceil(size / stride), causal puts all in front, valid none; numbers are ONNX's. */
static ds_status window_pads(spec *s, window *w, const spec_val *v, const char *def, bool transposed, int64_t *extra, ds_err *err)
{
	const char *word = v ? v->word : def;
	if (v && v->kind != SPEC_WORD)
		return axes_of(s, "pads", v, 2 * w->n, 0, 0, w->pad, err);
	bool same = strcmp(word, "same") == 0, causal = strcmp(word, "causal") == 0;
	if (!same && !causal && strcmp(word, "valid") != 0)
		return ds_spec_fail(s, err, DS_E_INPUT, "pads=%.64s: it is same, causal, valid, or numbers", word);
	if (causal && (w->n != 1 || transposed))
		return ds_spec_fail(s, err, DS_E_INPUT, "pads=causal is for one axis, time");
	for (int i = 0; i < w->n; i++) {
		int64_t total = (w->kernel[i] - 1) * w->dilation[i];
		if (transposed)         /* the result is size * stride */
			total += 1 - w->stride[i];
		extra[i] = total < 0 && same ? -total : 0;
		total = same || causal ? DS_MAX(total, 0) : 0;
		w->pad[i] = causal ? total : total / 2;
		w->pad[w->n + i] = total - w->pad[i];
	}
	return DS_OK;
}

static ds_status window_read(spec *s, spec_call *c, window *w, const spec_val *kernel, int64_t def_kernel, const char *def_pads, bool transposed,
	int64_t *extra, ds_err *err)
{
	const spec_val *k = ds_spec_key(c, "kernel_shape");
	*w = (window){ .n = c->in[0]->type.rank - 2 };
	if (!k && !kernel && !def_kernel)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s: the size of the window is not given", c->op);
	DS_TRY(axes_of(s, "kernel_shape", k ? k : kernel, w->n, 1, def_kernel, w->kernel, err));
	DS_TRY(axes_of(s, "dilations", ds_spec_key(c, "dilations"), w->n, 1, 1, w->dilation, err));
	const spec_val *step = ds_spec_key(c, "strides");
	DS_TRY(axes_of(s, "strides", step, w->n, 1, 1, w->stride, err));
	for (int i = 0; i < w->n && !step && !def_kernel; i++)          /* pools go on by their size */
		w->stride[i] = w->kernel[i];
	return window_pads(s, w, ds_spec_key(c, "pads"), def_pads, transposed, extra, err);
}

static ds_status window_put(ds_node *n, const window *w, ds_err *err)
{
	bool ok = ds_attr_is(n, "kernel_shape", w->n, w->kernel) == DS_OK && ds_attr_is(n, "strides", w->n, w->stride) == DS_OK &&
		ds_attr_is(n, "dilations", w->n, w->dilation) == DS_OK && ds_attr_is(n, "pads", 2 * w->n, w->pad) == DS_OK;
	return ok ? DS_OK : ds_fail_nomem(err, 64);
}

/* ---- convolutions -------------------------------------------------------------------------------------------------------------------- */
/* The bias of a layer: 1 and 0 as the line says; a bias that nobody asked for gives way to a BatchNormalization. */
static ds_status bias_of(spec *s, spec_call *c, int64_t size, int64_t def, ds_value **out, bool *soft, ds_err *err)
{
	int64_t bias;
	const spec_val *given = ds_spec_key(c, "bias");
	const spec_fill f = { .part = "bias", .rank = 1, .dim = { size }, .rule = "zeros" };
	DS_TRY(ds_spec_key_whole(s, c, "bias", 0, 1, def, &bias, err));
	*out = NULL;
	*soft = !given && bias;
	return bias ? ds_spec_param(s, c->name, &f, NULL, out, err) : DS_OK;
}

static ds_status emit_conv(spec *s, const spec_layer *l, spec_call *c, ds_value **out, ds_err *err)
{
	bool transposed = strcmp(l->name, "ConvTranspose") == 0, soft;
	int64_t ic, oc, group, extra[3] = { 0 }, taps = 1;
	window w;
	ds_node *n;
	DS_TRY(ds_spec_rank(s, c, 3, 5, ": [N, channels, sizes ...]", err));
	DS_TRY(ds_spec_dim(s, c->in[0], 1, c->op, &ic, err));
	DS_TRY(ds_spec_size(s, c, 0, "the number of channels", -1, &oc, err));
	DS_TRY(ds_spec_key_whole(s, c, "group", 1, SPEC_MAX_SIZE, 1, &group, err));
	DS_TRY(window_read(s, c, &w, c->n_pos > 1 ? &c->pos[1] : NULL, 3, "same", transposed, extra, err));
	if (ic % group || oc % group)
		return ds_spec_fail(s, err, DS_E_INPUT, "group=%lld: %lld channels in and %lld out are not multiples of it", (long long)group,
			(long long)ic, (long long)oc);
	spec_fill f = { .part = "weight", .rank = 2 + w.n, .dim = { transposed ? ic : oc, (transposed ? oc : ic) / group }, .rule = "he",
		.follows = true };
	for (int i = 0; i < w.n; i++) {
		f.dim[2 + i] = w.kernel[i];
		taps *= w.kernel[i];
	}
	f.fan_in = ic / group * taps;
	f.fan_out = oc / group * taps;
	ds_value *in[3] = { c->in[0] };
	DS_TRY(ds_spec_param(s, c->name, &f, ds_spec_key(c, "init"), &in[1], err));
	DS_TRY(bias_of(s, c, oc, 1, &in[2], &soft, err));
	DS_TRY(ds_spec_node(s, l->op, c->name, in[2] ? 3 : 2, in, 1, &n, err));
	DS_TRY(window_put(n, &w, err));
	if ((group > 1 && ds_attr_i(n, "group", group) != DS_OK) || (transposed && ds_attr_is(n, "output_padding", w.n, extra) != DS_OK))
		return ds_fail_nomem(err, 64);
	DS_TRY(ds_spec_attrs(s, c, n, err));
	DS_TRY(ds_spec_done(s, n, err));
	s->soft = soft ? n : NULL;
	out[0] = n->out[0];
	return DS_OK;
}

static ds_status emit_pool(spec *s, const spec_layer *l, spec_call *c, ds_value **out, ds_err *err)
{
	int64_t extra[3];
	window w;
	ds_node *n;
	DS_TRY(ds_spec_rank(s, c, 3, 5, ": [N, channels, sizes ...]", err));
	DS_TRY(window_read(s, c, &w, c->n_pos > 0 ? &c->pos[0] : NULL, 0, "valid", false, extra, err));
	DS_TRY(ds_spec_node(s, l->op, c->name, 1, c->in, 1, &n, err));
	DS_TRY(window_put(n, &w, err));
	DS_TRY(ds_spec_attrs(s, c, n, err));
	DS_TRY(ds_spec_done(s, n, err));
	out[0] = n->out[0];
	return DS_OK;
}

/* ---- products ------------------------------------------------------------------------------------------------------------------------ */
static ds_status emit_gemm(spec *s, const spec_layer *l, spec_call *c, ds_value **out, ds_err *err)
{
	int64_t in_dim, size;
	bool soft;
	ds_node *n;
	DS_TRY(ds_spec_rank(s, c, 2, 2, "; Flatten makes two of several, MatMul works on the last", err));
	DS_TRY(ds_spec_dim(s, c->in[0], 1, c->op, &in_dim, err));
	DS_TRY(ds_spec_size(s, c, 0, "the number of outputs", -1, &size, err));
	const spec_fill f = { .part = "weight", .rank = 2, .dim = { size, in_dim }, .fan_in = in_dim, .fan_out = size, .rule = "glorot",
		.follows = true };
	ds_value *in[3] = { c->in[0] };
	DS_TRY(ds_spec_param(s, c->name, &f, ds_spec_key(c, "init"), &in[1], err));
	DS_TRY(bias_of(s, c, size, 1, &in[2], &soft, err));
	DS_TRY(ds_spec_node(s, l->op, c->name, in[2] ? 3 : 2, in, 1, &n, err));
	if (ds_attr_i(n, "transB", 1) != DS_OK)
		return ds_fail_nomem(err, 64);
	DS_TRY(ds_spec_attrs(s, c, n, err));
	DS_TRY(ds_spec_done(s, n, err));
	s->soft = soft ? n : NULL;
	out[0] = n->out[0];
	return DS_OK;
}

static ds_status emit_matmul(spec *s, const spec_layer *l, spec_call *c, ds_value **out, ds_err *err)
{
	int64_t in_dim, size;
	bool soft;
	ds_value *in[2] = { c->in[0] }, *bias;
	DS_TRY(ds_spec_rank(s, c, 2, DS_MAX_RANK, "", err));
	DS_TRY(ds_spec_dim(s, c->in[0], -1, c->op, &in_dim, err));
	DS_TRY(ds_spec_size(s, c, 0, "the number of outputs", -1, &size, err));
	const spec_fill f = { .part = "weight", .rank = 2, .dim = { in_dim, size }, .fan_in = in_dim, .fan_out = size, .rule = "glorot",
		.follows = true };
	DS_TRY(ds_spec_param(s, c->name, &f, ds_spec_key(c, "init"), &in[1], err));
	DS_TRY(bias_of(s, c, size, 0, &bias, &soft, err));
	DS_TRY(ds_spec_simple(s, l->op, c->name, bias ? "product" : NULL, 2, in, out, err));
	if (!bias)
		return DS_OK;
	in[0] = out[0];
	in[1] = bias;
	return ds_spec_simple(s, "Add", c->name, NULL, 2, in, out, err);
}

/* ---- normalisations ------------------------------------------------------------------------------------------------------------------ */
/* Take away the bias that the layer before it has only by default: the mean would remove it. */
static void drop_bias(spec *s, const ds_value *v)
{
	if (s->soft && v->kind == DS_V_NODE && v->node == s->soft && v->node->n_in == 3 && ds_value_uses(s->g, v) == 0)
		v->node->n_in = 2;
}

static ds_status emit_batchnorm(spec *s, const spec_layer *l, spec_call *c, ds_value **out, ds_err *err)
{
	static const struct { const char *part, *rule; } part[] = {
		{ "scale", "ones" }, { "bias", "zeros" }, { "mean", "zeros" }, { "var", "ones" }
	};
	const spec_val *init = ds_spec_key(c, "init");
	ds_value *in[5] = { c->in[0] };
	int64_t channels;
	ds_node *n;
	DS_TRY(ds_spec_rank(s, c, 2, 5, ": [N, channels, ...]", err));
	DS_TRY(ds_spec_dim(s, c->in[0], 1, c->op, &channels, err));
	drop_bias(s, c->in[0]);
	for (int i = 0; i < 4; i++) {
		const spec_fill f = { .part = part[i].part, .rank = 1, .dim = { channels }, .fan_in = 1, .fan_out = 1, .rule = part[i].rule };
		DS_TRY(ds_spec_param(s, c->name, &f, i == 0 ? init : NULL, &in[1 + i], err));
	}
	DS_TRY(ds_spec_node(s, l->op, c->name, 5, in, 1, &n, err));
	DS_TRY(ds_spec_attrs(s, c, n, err));
	DS_TRY(ds_spec_done(s, n, err));
	out[0] = n->out[0];
	return DS_OK;
}

/* LayerNormalization and RMSNormalization over the dims from `axis` on; InstanceNormalization and GroupNormalization per channel. */
static ds_status emit_norm(spec *s, const spec_layer *l, spec_call *c, ds_value **out, ds_err *err)
{
	bool per_channel = strcmp(l->name, "InstanceNormalization") == 0 || strcmp(l->name, "GroupNormalization") == 0;
	bool rms = strcmp(l->name, "RMSNormalization") == 0;
	spec_fill f = { .part = "scale", .fan_in = 1, .fan_out = 1, .rule = "ones" };
	int rank = c->in[0]->type.rank;
	int64_t axis, bias, groups;
	ds_value *in[3] = { c->in[0] };
	ds_node *n;
	DS_TRY(ds_spec_rank(s, c, 2, DS_MAX_RANK, "", err));
	DS_TRY(ds_spec_key_whole(s, c, "axis", -rank, rank - 1, -1, &axis, err));
	axis = per_channel ? 1 : axis < 0 ? axis + rank : axis;
	for (int i = (int)axis; i < (per_channel ? 2 : rank); i++)
		DS_TRY(ds_spec_dim(s, c->in[0], i, c->op, &f.dim[f.rank++], err));
	DS_TRY(ds_spec_param(s, c->name, &f, ds_spec_key(c, "init"), &in[1], err));
	f.part = "bias";
	f.rule = "zeros";
	DS_TRY(ds_spec_key_whole(s, c, "bias", per_channel, !rms, !rms, &bias, err));
	if (bias)
		DS_TRY(ds_spec_param(s, c->name, &f, NULL, &in[2], err));
	DS_TRY(ds_spec_node(s, l->op, c->name, bias ? 3 : 2, in, 1, &n, err));
	if (!per_channel && ds_attr_i(n, "axis", axis) != DS_OK)
		return ds_fail_nomem(err, 64);
	if (c->n_pos) {
		DS_TRY(ds_spec_size(s, c, 0, "the number of groups", -1, &groups, err));
		if (ds_attr_i(n, "num_groups", groups) != DS_OK)
			return ds_fail_nomem(err, 64);
	}
	DS_TRY(ds_spec_attrs(s, c, n, err));
	DS_TRY(ds_spec_done(s, n, err));
	out[0] = n->out[0];
	return DS_OK;
}

static ds_status emit_prelu(spec *s, const spec_layer *l, spec_call *c, ds_value **out, ds_err *err)
{
	spec_fill f = { .part = "slope", .rank = c->in[0]->type.rank - 1, .fan_in = 1, .fan_out = 1 };
	static const spec_val quarter = { .kind = SPEC_NUMBER, .number = 0.25 };
	const spec_val *init = ds_spec_key(c, "init");
	ds_value *in[2] = { c->in[0] };
	DS_TRY(ds_spec_rank(s, c, 2, DS_MAX_RANK, "", err));
	DS_TRY(ds_spec_dim(s, c->in[0], 1, c->op, &f.dim[0], err));
	for (int i = 1; i < f.rank; i++)
		f.dim[i] = 1;
	f.rule = "ones";
	DS_TRY(ds_spec_param(s, c->name, &f, init ? init : &quarter, &in[1], err));
	return ds_spec_simple(s, l->op, c->name, NULL, 2, in, out, err);
}

/* ---- tables -------------------------------------------------------------------------------------------------------------------------- */
/* Gather ROWS SIZE: the rows of a table whose numbers come in. */
static ds_status emit_gather(spec *s, const spec_layer *l, spec_call *c, ds_value **out, ds_err *err)
{
	int64_t rows, size;
	ds_value *in[2] = { NULL, c->in[0] };
	DS_TRY(ds_spec_size(s, c, 0, "the number of rows", -1, &rows, err));
	DS_TRY(ds_spec_size(s, c, 1, "the size of a row", -1, &size, err));
	const spec_fill f = { .part = "weight", .rank = 2, .dim = { rows, size }, .fan_in = size, .fan_out = rows, .rule = "0.02", .follows = true };
	if (c->in[0]->type.dtype != DS_I64 && c->in[0]->type.dtype != DS_I32)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s: the numbers of rows must be i64 or i32, here they are %s", c->op,
			ds_dtype_name(c->in[0]->type.dtype));
	DS_TRY(ds_spec_param(s, c->name, &f, ds_spec_key(c, "init"), &in[0], err));
	return ds_spec_simple(s, l->op, c->name, NULL, 2, in, out, err);
}

/* Parameter [dims]: a parameter by itself. */
static ds_status emit_parameter(spec *s, const spec_layer *l, spec_call *c, ds_value **out, ds_err *err)
{
	spec_fill f = { .part = "", .rule = "0.02", .follows = true };
	(void)l;
	const spec_val *dims = c->n_pos ? &c->pos[0] : NULL;
	if (!dims || dims->kind != SPEC_LIST || dims->n > DS_MAX_RANK)
		return ds_spec_fail(s, err, DS_E_INPUT, "Parameter [DIM, ...]: its dims are not given");
	f.rank = dims->n;
	for (int i = 0; i < dims->n; i++)
		DS_TRY(ds_spec_whole(s, &dims->item[i], "a dim", 1, SPEC_MAX_SIZE, &f.dim[i], err));
	f.fan_in = f.rank ? f.dim[f.rank - 1] : 1;
	f.fan_out = f.rank ? f.dim[0] : 1;
	return ds_spec_param(s, c->name, &f, ds_spec_key(c, "init"), out, err);
}

const spec_layer ds_spec_param_layers[] = {
	{ "Conv", "conv", "Conv", "bias init pads", 1, 2, emit_conv },
	{ "ConvTranspose", "deconv", "ConvTranspose", "bias init pads", 1, 2, emit_conv },
	{ "MaxPool", "maxpool", "MaxPool", "pads", 1, 1, emit_pool },
	{ "AveragePool", "avgpool", "AveragePool", "pads", 1, 1, emit_pool },
	{ "Gemm", "gemm", "Gemm", "bias init", 1, 1, emit_gemm },
	{ "MatMul", "matmul", "MatMul", "bias init", 1, 1, emit_matmul },
	{ "BatchNormalization", "bn", "BatchNormalization", "init", 1, 0, emit_batchnorm },
	{ "LayerNormalization", "ln", "LayerNormalization", "bias init axis", 1, 0, emit_norm },
	{ "RMSNormalization", "rms", "RMSNormalization", "init axis", 1, 0, emit_norm },
	{ "InstanceNormalization", "in", "InstanceNormalization", "init", 1, 0, emit_norm },
	{ "GroupNormalization", "gn", "GroupNormalization", "init", 1, 1, emit_norm },
	{ "PRelu", "prelu", "PRelu", "init", 1, 0, emit_prelu },
	{ "Gather", "gather", "Gather", "init", 1, 2, emit_gather },
	{ "Parameter", "parameter", NULL, "init", 0, 1, emit_parameter },
	{ NULL }
};
