/* onnx_upgrade.c - operators of older operator sets become those of DS_OPSET
 *
 * One row per change that ONNX made to an operator: rows whose `below` is above the node's version are applied in the order of the table.  A row changes the
 * draft (attributes become inputs, names change) or emits several nodes itself.  What newer sets than DS_OPSET added is dropped where it says what the
 * default is, so that files of new exporters can be read; everything else goes to ds_node_parse, which refuses what it does not know. */
#include "onnx.h"

#include <string.h>

/* ---- small helpers -------------------------------------------------------------------------------------------------------------------- */
static ds_value *const_ints(ds_odraft *d, const ds_oattr *a)
{
	return ds_graph_const_i64(ds_graph_root(d->sc->g), a->ints.n, a->ints.v);
}

static ds_value *const_f32(ds_odraft *d, double v)
{
	return ds_graph_const_f32(ds_graph_root(d->sc->g), (float)v);
}

/* Attribute `name` of integers becomes input i (rank 1). */
static ds_status ints_to_input(ds_odraft *d, const char *name, int i, ds_err *err)
{
	const ds_oattr *a = ds_odraft_attr(d, name);

	if (!a)
		return DS_OK;
	if (a->type != DS_OA_INTS)
		return ds_fail(err, DS_E_INPUT, "attribute '%s' is not a list of integers", name);
	if (a->ints.n * 8 > 64) {       /* more than a constant may hold: a parameter */
		int64_t n = a->ints.n;
		ds_tensor t;
		DS_TRY(ds_tensor_new(&t, DS_I64, 1, &n, err));
		memcpy(t.data, a->ints.v, (size_t)n * 8);
		ds_value *v = ds_oimport_weight(d->im, d->sc, ds_arena_printf(&d->im->arena, "%s.%s", d->out[0], name), &t, false, err);
		DS_TRY(v ? ds_odraft_input(d, i, v, err) : DS_E_NOMEM);
	} else {
		DS_TRY(ds_odraft_input(d, i, const_ints(d, a), err));
	}
	ds_odraft_del(d, name);
	return DS_OK;
}

static ds_status float_to_input(ds_odraft *d, const char *name, int i, ds_err *err)
{
	const ds_oattr *a = ds_odraft_attr(d, name);

	if (!a)
		return DS_OK;
	if (a->type != DS_OA_FLOAT)
		return ds_fail(err, DS_E_INPUT, "attribute '%s' is not a number", name);
	DS_TRY(ds_odraft_input(d, i, const_f32(d, a->f), err));
	ds_odraft_del(d, name);
	return DS_OK;
}

static int64_t int_of(const ds_odraft *d, const char *name, int64_t def)
{
	const ds_oattr *a = ds_odraft_attr(d, name);

	return a && a->type == DS_OA_INT ? a->i : def;
}

static bool str_is(const ds_odraft *d, const char *name, const char *v)
{
	const ds_oattr *a = ds_odraft_attr(d, name);

	return a && a->type == DS_OA_STRING && strcmp(a->s, v) == 0;
}

static ds_status set_str(ds_odraft *d, const char *name, const char *v, ds_err *err)
{
	ds_oattr a = { .name = name, .type = DS_OA_STRING, .s = v, .s_text = true };

	return ds_odraft_set(d, &a, err);
}

static ds_status set_int(ds_odraft *d, const char *name, int64_t v, ds_err *err)
{
	ds_oattr a = { .name = name, .type = DS_OA_INT, .i = v, .s = "" };

	return ds_odraft_set(d, &a, err);
}

/* A further node in the same graph with one fresh, nameless output. */
static ds_status extra(ds_odraft *d, const char *op, int n_in, ds_value *const *in, ds_node **out, ds_err *err)
{
	*out = ds_graph_node(d->sc->g, "", op, "", n_in, in, 1, NULL);
	return *out ? DS_OK : ds_fail_nomem(err, sizeof **out);
}

static ds_status have_input(const ds_odraft *d, int i, ds_err *err)
{
	return i < d->n_in && d->in[i] ? DS_OK : ds_fail(err, DS_E_INPUT, "input %d is missing", i);
}

/* ---- attributes that became inputs ------------------------------------------------------------------------------------------------------ */
static ds_status axes_input(ds_odraft *d, ds_err *err)
{
	const ds_oattr *a = ds_odraft_attr(d, "axes");

	if (a && a->type == DS_OA_INTS && a->ints.n == 0) {     /* an empty list meant the same as none */
		ds_odraft_del(d, "axes");
		return DS_OK;
	}
	return ints_to_input(d, "axes", 1, err);
}

static ds_status pad(ds_odraft *d, ds_err *err)
{
	DS_TRY(ints_to_input(d, "pads", 1, err));
	const ds_oattr *a = ds_odraft_attr(d, "value");
	if (a && a->type == DS_OA_FLOAT && a->f == 0)
		ds_odraft_del(d, "value");      /* the default for every type of data */
	return float_to_input(d, "value", 2, err);
}

static ds_status slice(ds_odraft *d, ds_err *err)
{
	DS_TRY(ints_to_input(d, "starts", 1, err));
	DS_TRY(ints_to_input(d, "ends", 2, err));
	return ints_to_input(d, "axes", 3, err);
}

static ds_status split_input(ds_odraft *d, ds_err *err)
{
	return ints_to_input(d, "split", 1, err);
}

static ds_status split_count(ds_odraft *d, ds_err *err)
{
	return d->n_in > 1 && d->in[1] ? DS_OK : set_int(d, "num_outputs", d->n_out, err);
}

static ds_status clip(ds_odraft *d, ds_err *err)
{
	DS_TRY(float_to_input(d, "min", 1, err));
	return float_to_input(d, "max", 2, err);
}

static ds_status topk(ds_odraft *d, ds_err *err)
{
	const ds_oattr *a = ds_odraft_attr(d, "k");

	if (!a || a->type != DS_OA_INT)
		return ds_fail(err, DS_E_INPUT, "attribute 'k' is missing");
	DS_TRY(ds_odraft_input(d, 1, ds_graph_const_i64(ds_graph_root(d->sc->g), 1, &a->i), err));
	ds_odraft_del(d, "k");
	return DS_OK;
}

static ds_status reshape(ds_odraft *d, ds_err *err)
{
	return ints_to_input(d, "shape", 1, err);
}

static ds_status dft(ds_odraft *d, ds_err *err)
{
	int64_t axis = int_of(d, "axis", 1);

	ds_odraft_del(d, "axis");
	return ds_odraft_input(d, 2, ds_graph_const_i64(ds_graph_root(d->sc->g), -1, &axis), err);
}

/* ---- operators with another name or more modes -------------------------------------------------------------------------------------------- */
/* Upsample, and Resize before 11: corners at 0, rounding down. */
static ds_status resize10(ds_odraft *d, ds_err *err)
{
	const ds_oattr *a = ds_odraft_attr(d, "scales");
	ds_value *scales = d->n_in > 1 ? d->in[1] : NULL;

	if (a && a->type == DS_OA_FLOATS) {
		int64_t n = a->floats.n;
		ds_tensor t;
		DS_TRY(ds_tensor_new(&t, DS_F32, 1, &n, err));
		for (int64_t i = 0; i < n; i++)
			((float *)t.data)[i] = (float)a->floats.v[i];
		scales = ds_oimport_weight(d->im, d->sc, "", &t, false, err);
		if (!scales)
			return DS_E_NOMEM;
		ds_odraft_del(d, "scales");
	}
	if (!scales)
		return ds_fail(err, DS_E_INPUT, "no scales");
	d->op = "Resize";
	d->n_in = 1;
	DS_TRY(ds_odraft_input(d, 2, scales, err));
	if (str_is(d, "mode", "bilinear") || str_is(d, "mode", "trilinear"))
		DS_TRY(set_str(d, "mode", "linear", err));
	DS_TRY(set_str(d, "coordinate_transformation_mode", "asymmetric", err));
	return set_str(d, "nearest_mode", "floor", err);
}

/* Empty roi, scales or sizes mean absent. */
static ds_status resize_empty(ds_odraft *d, ds_err *err)
{
	for (int i = 1; i < d->n_in; i++) {
		const ds_value *v = d->in[i];
		if (v && (v->kind == DS_V_PARAM || v->kind == DS_V_CONST) && ds_tensor_count(&v->data) == 0)
			d->in[i] = NULL;
	}
	return DS_OK;
}

static ds_status grid_sample(ds_odraft *d, ds_err *err)
{
	if (str_is(d, "mode", "bilinear"))
		return set_str(d, "mode", "linear", err);
	if (str_is(d, "mode", "bicubic"))
		return set_str(d, "mode", "cubic", err);
	return DS_OK;
}

static ds_status roi_align(ds_odraft *d, ds_err *err)
{
	return ds_odraft_attr(d, "coordinate_transformation_mode") ? DS_OK : set_str(d, "coordinate_transformation_mode", "output_half_pixel", err);
}

static ds_status scatter(ds_odraft *d, ds_err *err)
{
	d->op = "ScatterElements";
	return DS_OK;
}

static ds_status refuse(ds_odraft *d, ds_err *err)
{
	return ds_fail(err, DS_E_UNSUPPORTED, "its form of operator set %lld is not supported (export the model anew)", (long long)d->version);
}

/* ---- training ------------------------------------------------------------------------------------------------------------------------------ */
static ds_status batchnorm(ds_odraft *d, ds_err *err)
{
	if (int_of(d, "training_mode", 0) || (d->version < 7 && !int_of(d, "is_test", 0)))
		return ds_fail(err, DS_E_UNSUPPORTED, "it is in training mode; export the model for inference");
	if (!int_of(d, "spatial", 1))
		return ds_fail(err, DS_E_UNSUPPORTED, "statistics per activation (spatial=0) are not supported");
	ds_odraft_del(d, "spatial");
	ds_odraft_del(d, "is_test");
	ds_odraft_del(d, "consumed_inputs");
	for (int i = 1; i < d->n_out; i++)
		DS_TRY(ds_odraft_bind(d, i, NULL, err));
	d->n_out = DS_MIN(d->n_out, 1);
	return DS_OK;
}

static bool constant_true(const ds_value *v)
{
	return (v->kind == DS_V_PARAM || v->kind == DS_V_CONST) && ds_tensor_count(&v->data) == 1 && v->data.dtype == DS_BOOL && ds_tensor_i64(&v->data, 0) != 0;
}

/* The share that Dropout drops in training; 0: not known, or none. */
static double dropped(ds_odraft *d)
{
	const ds_value *r = d->n_in > 1 ? d->in[1] : NULL;
	if (d->version < 12) {
		const ds_oattr *a = ds_odraft_attr(d, "ratio");
		return a && a->type == DS_OA_FLOAT ? a->f : .5;
	}
	if (!r)
		return .5;
	return r->kind != DS_V_NODE && r->kind != DS_V_INPUT && r->data.data && ds_tensor_count(&r->data) == 1 ? ds_tensor_f64(&r->data, 0) : 0;
}

/* It stays for those who train the model further, or ask it many times with elements dropped. */
static ds_status keep_dropout(ds_odraft *d, double ratio, ds_err *err)
{
	d->n_in = 1;
	d->n_attr = 0;
	DS_TRY(ds_odraft_input(d, 1, const_f32(d, ratio), err));
	d->n_out = 1;
	return ds_odraft_emit(d, err);
}

/* Dropout at inference passes its input on; the mask, where somebody reads it, is all true. */
static ds_status dropout(ds_odraft *d, ds_err *err)
{
	int n_out = d->n_out;
	ds_node *shape, *mask;
	ds_tensor t;

	DS_TRY(have_input(d, 0, err));
	ds_value *training = d->n_in > 2 ? d->in[2] : NULL, *x = d->in[0];
	if (d->version < 7 && !int_of(d, "is_test", 0))
		return ds_fail(err, DS_E_UNSUPPORTED, "it is in training mode; export the model for inference");
	if (training && (training->kind == DS_V_NODE || training->kind == DS_V_INPUT || constant_true(training)))
		return ds_fail(err, DS_E_UNSUPPORTED, "it is, or can be put, in training mode; export the model for inference");
	double ratio = dropped(d);
	if (ratio > 0 && ratio < 1 && (n_out < 2 || !*d->out[1]))
		return keep_dropout(d, ratio, err);
	d->op = "Identity";
	d->n_in = 1;
	d->n_attr = 0;
	d->n_out = DS_MIN(n_out, 1);
	DS_TRY(ds_odraft_emit(d, err));
	if (n_out < 2 || !*d->out[1])
		return DS_OK;
	DS_TRY(extra(d, "Shape", 1, &x, &shape, err));
	const char *name = ds_oimport_name(d->im, d->sc, d->out[1]);
	mask = name ? ds_graph_node(d->sc->g, "", "ConstantOfShape", "", 1, shape->out, 1, &name) : NULL;
	if (!mask)
		return ds_fail_nomem(err, sizeof *mask);
	int64_t one = 1;
	DS_TRY(ds_tensor_new(&t, DS_BOOL, 1, &one, err));
	*(uint8_t *)t.data = 1;
	ds_value *v = ds_oimport_weight(d->im, d->sc, "", &t, false, err);
	if (!v)
		return DS_E_NOMEM;
	if (ds_attr_t(mask, "value", v) != DS_OK)
		return ds_fail_nomem(err, 64);
	d->n_out = n_out;
	return ds_odraft_bind(d, 1, mask->out[0], err);
}

/* ---- Softmax before 13 ------------------------------------------------------------------------------------------------------------------- */
/* Softmax, LogSoftmax and Hardmax worked on a matrix: dims [0, axis) are rows, the rest columns.  Where axis is the last one that is today's meaning; the
 * rank is known only after inference, so the node is noted here and mended in ds_onnx_upgrade_typed. */
static ds_status softmax(ds_odraft *d, ds_err *err)
{
	ds_oimport *im = d->im;

	if (!ds_odraft_attr(d, "axis"))
		DS_TRY(set_int(d, "axis", 1, err));
	DS_TRY(have_input(d, 0, err));
	DS_TRY(ds_odraft_emit(d, err));
	if (!ds_grow((void **)&im->fix, im->n_fix, &im->cap_fix, sizeof *im->fix))
		return ds_fail_nomem(err, sizeof *im->fix);
	im->fix[im->n_fix++] = (ds_ofix){ d->made, DS_OFIX_SOFTMAX };
	return DS_OK;
}

static int position(const ds_graph *g, const ds_node *n)
{
	int i = 0;

	while (i < g->n_node && g->node[i] != n)
		i++;
	return i < g->n_node ? i : -1;
}

/* y = Softmax(x, axis) becomes y = Reshape(Softmax(Flatten(x, axis)), Shape(x)). */
static ds_status flatten_softmax(ds_node *n, int64_t axis, ds_err *err)
{
	ds_graph *g = n->graph;
	ds_value *x = n->in[0], *y = n->out[0];
	int at = position(g, n);

	if (at < 0)
		return DS_OK;           /* gone in the meantime */
	ds_node *shape = ds_graph_insert(g, at, "", "Shape", "", 1, &x, 1, NULL);
	ds_node *flat = shape ? ds_graph_insert(g, at + 1, "", "Flatten", "", 1, &x, 1, NULL) : NULL;
	ds_node *soft = flat ? ds_graph_insert(g, at + 2, "", n->op_name, n->name, 1, flat->out, 1, NULL) : NULL;
	ds_value *in[2] = { soft ? soft->out[0] : NULL, shape ? shape->out[0] : NULL };
	ds_node *back = soft ? ds_graph_insert(g, at + 3, "", "Reshape", "", 2, in, 1, &y->name) : NULL;
	if (!back || ds_attr_i(flat, "axis", axis) != DS_OK || ds_attr_i(soft, "axis", -1) != DS_OK)
		return ds_fail_nomem(err, sizeof *n);
	back->out[0]->type = y->type;
	ds_graph_replace(g, y, back->out[0]);
	y->name = "";           /* the old node is dead now */
	DS_TRY(ds_node_parse(shape, err));
	DS_TRY(ds_node_parse(flat, err));
	DS_TRY(ds_node_parse(soft, err));
	return ds_node_parse(back, err);
}

ds_status ds_onnx_upgrade_typed(ds_oimport *im, ds_err *err)
{
	for (size_t i = 0; i < im->n_fix; i++) {
		ds_node *n = im->fix[i].n;
		const ds_attr *a = ds_attr_find(n, "axis");
		int64_t axis = a ? a->u.i : 1, rank = n->in[0]->type.rank;
		if (axis == -1 || (rank >= 0 && axis == rank - 1))
			continue;
		ds_status rc = flatten_softmax(n, axis, err);
		if (rc != DS_OK && rc != DS_E_UNSUPPORTED)
			return rc;
	}
	return DS_OK;
}

/* ---- opset 6: arithmetic with `broadcast` and `axis` ---------------------------------------------------------------------------------------- */
static int rank_of(const ds_odraft *d, int i)
{
	const ds_value *v = i < d->n_in ? d->in[i] : NULL;
	const ds_ovalue *stated = v ? ds_omap_get(&d->sc->stated, v->name) : NULL;

	return !v ? -1 : v->type.rank >= 0 ? v->type.rank : stated ? stated->rank : -1;
}

/* Give input 1 dims of extent 1 at its end, so that its first axis stands at `axis` of input 0. */
static ds_status align_axis(ds_odraft *d, int64_t axis, ds_err *err)
{
	int ra = rank_of(d, 0), rb = rank_of(d, 1);
	int64_t axes[DS_MAX_RANK];
	ds_node *n;

	if (ra < 0 || rb < 0 || axis < 0 || axis + rb > ra)
		return ds_fail(err, DS_E_UNSUPPORTED, "broadcasting along an axis (operator set 6) where ranks are not stated; export the model anew");
	int k = ra - rb - (int)axis;
	if (k == 0)
		return DS_OK;
	for (int i = 0; i < k; i++)
		axes[i] = rb + i;
	ds_value *in[2] = { d->in[1], ds_graph_const_i64(ds_graph_root(d->sc->g), k, axes) };
	if (!in[1])
		return ds_fail_nomem(err, sizeof *in[1]);
	DS_TRY(extra(d, "Unsqueeze", 2, in, &n, err));
	d->in[1] = n->out[0];
	return DS_OK;
}

static ds_status broadcast6(ds_odraft *d, ds_err *err)
{
	int64_t axis = int_of(d, "axis", -1);

	if (int_of(d, "broadcast", 0) && axis != -1)
		DS_TRY(align_axis(d, axis, err));
	ds_odraft_del(d, "broadcast");
	ds_odraft_del(d, "axis");
	ds_odraft_del(d, "consumed_inputs");
	return DS_OK;
}

/* The slope was one per channel. */
static ds_status prelu6(ds_odraft *d, ds_err *err)
{
	bool shared = d->n_in > 1 && d->in[1] && ds_type_concrete(&d->in[1]->type) && ds_type_count(&d->in[1]->type) == 1;

	return shared || rank_of(d, 1) != 1 ? DS_OK : align_axis(d, 1, err);
}

/* ---- the table -------------------------------------------------------------------------------------------------------------------------------- */
typedef ds_status (*upgrade)(ds_odraft *d, ds_err *err);
static const struct { const char *op; int below; upgrade fn; } rows[] = {
	{ "Add", 7, broadcast6 }, { "Sub", 7, broadcast6 }, { "Mul", 7, broadcast6 }, { "Div", 7, broadcast6 }, { "Pow", 7, broadcast6 },
	{ "And", 7, broadcast6 }, { "Or", 7, broadcast6 }, { "Xor", 7, broadcast6 }, { "Equal", 7, broadcast6 }, { "Greater", 7, broadcast6 },
	{ "Less", 7, broadcast6 }, { "Gemm", 7, broadcast6 }, { "PRelu", 7, prelu6 }, { "Reshape", 5, reshape },
	{ "RNN", 7, refuse }, { "GRU", 7, refuse }, { "LSTM", 7, refuse }, { "Tile", 6, refuse }, { "Upsample", 7, refuse },
	{ "BatchNormalization", 1 << 30, batchnorm },
	{ "Dropout", 1 << 30, dropout },
	{ "Squeeze", 13, axes_input }, { "Unsqueeze", 13, axes_input }, { "ReduceSum", 13, axes_input },
	{ "ReduceL1", 18, axes_input }, { "ReduceL2", 18, axes_input }, { "ReduceLogSum", 18, axes_input }, { "ReduceLogSumExp", 18, axes_input },
	{ "ReduceMax", 18, axes_input }, { "ReduceMean", 18, axes_input }, { "ReduceMin", 18, axes_input }, { "ReduceProd", 18, axes_input },
	{ "ReduceSumSquare", 18, axes_input },
	{ "Pad", 11, pad }, { "Slice", 10, slice }, { "Split", 13, split_input }, { "Split", 18, split_count }, { "Clip", 11, clip }, { "TopK", 10, topk },
	{ "DFT", 20, dft },
	{ "Resize", 11, resize10 }, { "Upsample", 1 << 30, resize10 }, { "Resize", 1 << 30, resize_empty },
	{ "GridSample", 20, grid_sample }, { "RoiAlign", 16, roi_align }, { "Scatter", 1 << 30, scatter },
	{ "Scan", 9, refuse }, { "GroupNormalization", 21, refuse },
	{ "Softmax", 13, softmax }, { "LogSoftmax", 13, softmax }, { "Hardmax", 13, softmax },
};

/* Attributes that operator sets above DS_OPSET have added: dropped when they say what was always meant. */
static const struct { const char *op, *attr; int64_t i; const char *s; } defaults[] = {
	{ "DequantizeLinear", "output_dtype", 0, NULL }, { "QuantizeLinear", "precision", 0, NULL }, { "Cast", "round_mode", 0, "up" },
	{ "CastLike", "round_mode", 0, "up" },
};

enum { OLDEST = 6, NEWEST = 26 };

ds_status ds_onnx_upgrade(ds_odraft *d, ds_err *err)
{
	if (d->version < OLDEST || d->version > NEWEST)
		return ds_fail(err, DS_E_UNSUPPORTED, "operator set %lld; %d to %d are supported", (long long)d->version, OLDEST, NEWEST);
	for (size_t i = 0; i < DS_COUNTOF(rows) && !d->made; i++)
		if (strcmp(rows[i].op, d->op) == 0 && d->version < rows[i].below)
			DS_TRY(rows[i].fn(d, err));
	for (size_t i = 0; i < DS_COUNTOF(defaults) && !d->made; i++) {
		const ds_oattr *a = strcmp(defaults[i].op, d->op) == 0 ? ds_odraft_attr(d, defaults[i].attr) : NULL;
		if (a && (defaults[i].s ? a->type == DS_OA_STRING && strcmp(a->s, defaults[i].s) == 0 : a->type == DS_OA_INT && a->i == defaults[i].i))
			ds_odraft_del(d, defaults[i].attr);
	}
	return DS_OK;
}
