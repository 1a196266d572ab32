/* spec_layer.c - a line with an operator becomes nodes: how sizes, layers and keys reach an operator, and operators without parameters */
#include "spec.h"

#include "../base/str.h"
#include "../graph/op.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Operators whose further inputs are written as sizes or keys, in their order.  NAME:I whole numbers, :i one, :F numbers, :f one (of the type of the
 * first input), :a an attribute that may be written without its name. */
static const struct { const char *op, *args; } plain[] = {
	{ "Clip", "min:f max:f" }, { "CumSum", "axis:i" }, { "Dropout", "ratio:f" }, { "Elu", "alpha:a" }, { "Expand", "shape:I" },
	{ "Flatten", "axis:a" }, { "LeakyRelu", "alpha:a" }, { "LogSoftmax", "axis:a" }, { "Pad", "pads:I constant_value:f axes:I" },
	{ "ReduceL1", "axes:I" }, { "ReduceL2", "axes:I" }, { "ReduceLogSum", "axes:I" }, { "ReduceLogSumExp", "axes:I" },
	{ "ReduceMax", "axes:I" }, { "ReduceMean", "axes:I" }, { "ReduceMin", "axes:I" }, { "ReduceProd", "axes:I" }, { "ReduceSum", "axes:I" },
	{ "ReduceSumSquare", "axes:I" }, { "Reshape", "shape:I" }, { "Resize", "roi:F scales:F sizes:I" },
	{ "Slice", "starts:I ends:I axes:I steps:I" }, { "Softmax", "axis:a" }, { "Split", "split:I" }, { "Squeeze", "axes:I" },
	{ "Tile", "repeats:I" }, { "TopK", "k:I" }, { "Transpose", "perm:a" }, { "Trilu", "k:i" }, { "Unsqueeze", "axes:I" },
};

static ds_status emit_plain(spec *s, const spec_layer *l, spec_call *c, ds_value **out, ds_err *err);
static const spec_layer any_operator = { "", "", NULL, "", -1, SPEC_MAX_ARG, emit_plain };

/* ---- finding ------------------------------------------------------------------------------------------------------------------------- */
static const spec_layer *const tables[] = { ds_spec_param_layers, ds_spec_block_layers };

static const spec_layer *find_row(const char *name)
{
	for (size_t i = 0; i < DS_COUNTOF(tables); i++)
		for (const spec_layer *l = tables[i]; l->name; l++)
			if (strcmp(l->name, name) == 0)
				return l;
	return NULL;
}

/* Operators that the planner makes have no place in a description. */
static const ds_op *find_op(const char *name)
{
	return name ? ds_op_find("", name) : NULL;
}

bool ds_spec_layer_known(const char *name)
{
	return find_row(name) || find_op(name);
}

const char *ds_spec_layer_base(spec *s, const char *name)
{
	const spec_layer *l = find_row(name);
	if (l)
		return l->base;
	char *base = ds_arena_strdup(&s->arena, name);
	for (char *p = base; p && *p; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
	return base;
}

void ds_spec_layer_nearest(const char *word, const char **best, int *distance)
{
	int n;
	const ds_op *const *op = ds_op_all(&n);
	for (size_t i = 0; i < DS_COUNTOF(tables); i++)
		for (const spec_layer *l = tables[i]; l->name; l++)
			ds_spec_nearer(word, l->name, best, distance);
	for (int i = 0; i < n; i++)
		if (!op[i]->domain[0])
			ds_spec_nearer(word, op[i]->name, best, distance);
}

/* ---- keys and sizes ------------------------------------------------------------------------------------------------------------------ */
const spec_val *ds_spec_key(spec_call *c, const char *key)
{
	for (int i = 0; i < c->n_key; i++)
		if (strcmp(c->key[i].key, key) == 0) {
			c->key[i].used = true;
			return &c->key[i].val;
		}
	return NULL;
}

ds_status ds_spec_key_whole(spec *s, spec_call *c, const char *key, int64_t min, int64_t max, int64_t def, int64_t *out, ds_err *err)
{
	const spec_val *v = ds_spec_key(c, key);
	*out = def;
	return v ? ds_spec_whole(s, v, key, min, max, out, err) : DS_OK;
}

ds_status ds_spec_size(spec *s, spec_call *c, int i, const char *what, int64_t def, int64_t *out, ds_err *err)
{
	*out = def;
	if (i < c->n_pos)
		return ds_spec_whole(s, &c->pos[i], what, 1, SPEC_MAX_SIZE, out, err);
	return def < 0 ? ds_spec_fail(s, err, DS_E_INPUT, "%s: %s is not given", c->op, what) : DS_OK;
}

ds_status ds_spec_dim(spec *s, const ds_value *v, int axis, const char *what, int64_t *out, ds_err *err)
{
	*out = 1;
	if (v->type.rank < 0)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s: the shape of '%.64s' is not known", what, v->name);
	int i = axis < 0 ? axis + v->type.rank : axis;
	if (i < 0 || i >= v->type.rank)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s: '%.64s' has %d dims, there is none with number %d", what, v->name, v->type.rank, axis);
	*out = v->type.dim[i];
	return *out >= 0 ? DS_OK : ds_spec_fail(s, err, DS_E_INPUT, "%s: dim %d of '%.64s' is free, but a number is needed", what, i, v->name);
}

ds_status ds_spec_rank(spec *s, const spec_call *c, int min, int max, const char *hint, ds_err *err)
{
	const ds_type *t = &c->in[0]->type;
	ds_buf b = { 0 };
	if (t->rank >= min && t->rank <= max)
		return DS_OK;
	ds_type_print(&b, t, NULL);
	ds_status rc = min == max ? ds_spec_fail(s, err, DS_E_INPUT, "%s reads %d dims, here are %s%s", c->op, min, b.data ? b.data : "?", hint)
		: ds_spec_fail(s, err, DS_E_INPUT, "%s reads %d to %d dims, here are %s%s", c->op, min, max, b.data ? b.data : "?", hint);
	ds_buf_done(&b);
	return rc;
}

/* ---- nodes --------------------------------------------------------------------------------------------------------------------------- */
ds_status ds_spec_node(spec *s, const char *op, const char *name, int n_in, ds_value *const *in, int n_out, ds_node **out, ds_err *err)
{
	const char *names[SPEC_MAX_OUT] = { name };
	*out = ds_graph_node(s->g, "", op, name, n_in, in, n_out, names);
	return *out ? DS_OK : ds_fail_nomem(err, 64);
}

/* All inputs' types, those of constants with their values. */
static ds_status infer(spec *s, ds_node *n, ds_err *err)
{
	ds_arg *in = ds_calloc((size_t)n->n_in + 1, sizeof *in);
	ds_type out[SPEC_MAX_OUT];
	if (!in || n->n_out > SPEC_MAX_OUT) {
		ds_free(in);
		return ds_fail_nomem(err, sizeof *in);
	}
	for (int i = 0; i < n->n_in; i++)
		if (n->in[i])
			in[i] = (ds_arg){ true, n->in[i]->type, n->in[i]->data.data ? &n->in[i]->data : NULL };
	for (int i = 0; i < n->n_out; i++)
		out[i] = (ds_type){ .rank = -1 };
	ds_status rc = n->op->infer ? n->op->infer(n, in, out, err) : DS_OK;
	for (int i = 0; i < n->n_out && rc == DS_OK; i++)
		n->out[i]->type = out[i];
	ds_free(in);
	return ds_spec_here(s, rc, err);
}

ds_status ds_spec_done(spec *s, ds_node *n, ds_err *err)
{
	ds_status rc = ds_node_parse(n, err);
	DS_TRY(ds_spec_here(s, rc, err));
	int present = 0;
	while (present < n->n_in && n->in[present])
		present++;
	if (present < n->op->min_in || (n->op->max_in >= 0 && n->n_in > n->op->max_in))
		return ds_spec_fail(s, err, DS_E_INPUT, "%s: %d input%s, it reads %d%s", n->op_name, present, present == 1 ? "" : "s",
			present < n->op->min_in ? n->op->min_in : n->op->max_in, present < n->op->min_in ? " or more" : " at most");
	if (n->n_out > n->op->max_out && n->op->max_out >= 0)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s has %d result%s", n->op_name, n->op->max_out, n->op->max_out == 1 ? "" : "s");
	return infer(s, n, err);
}

ds_status ds_spec_simple(spec *s, const char *op, const char *layer, const char *part, int n_in, ds_value *const *in, ds_value **out, ds_err *err)
{
	ds_node *n;
	const char *name = part ? ds_arena_printf(&s->arena, "%s.%s", layer, part) : layer;
	if (!name)
		return ds_fail_nomem(err, 64);
	DS_TRY(ds_spec_node(s, op, name, n_in, in, 1, &n, err));
	DS_TRY(ds_spec_done(s, n, err));
	*out = n->out[0];
	return DS_OK;
}

ds_status ds_spec_ints(spec *s, const int64_t *v, int n, ds_value **out, ds_err *err)
{
	*out = ds_graph_const_i64(s->g, n, v);
	return *out ? DS_OK : ds_fail_nomem(err, 64);
}

ds_status ds_spec_constant(spec *s, ds_dtype dtype, int rank, int64_t n, const float *v, ds_value **out, ds_err *err)
{
	ds_tensor t = { 0 };
	const ds_dtype_row *row = ds_dtype_of(dtype);
	if (!row || !row->from_f32)
		return ds_spec_fail(s, err, DS_E_INPUT, "no constant of type %s can be written here", ds_dtype_name(dtype));
	if ((size_t)n * ds_dtype_size(dtype) > 64)
		return ds_spec_fail(s, err, DS_E_INPUT, "a list of %lld numbers is too long for a constant", (long long)n);
	DS_TRY(ds_tensor_new(&t, dtype, rank, &n, err));
	row->from_f32(t.data, v, (size_t)n);
	*out = ds_graph_weight(s->g, DS_V_CONST, "", &t);
	ds_tensor_done(&t);
	return *out ? DS_OK : ds_fail_nomem(err, 64);
}

ds_status ds_spec_number(spec *s, double v, ds_dtype dtype, ds_value **out, ds_err *err)
{
	float f = (float)v;
	if (dtype == DS_I64) {
		int64_t i;
		DS_TRY(ds_spec_whole(s, &(spec_val){ .kind = SPEC_NUMBER, .number = v }, "the constant", -SPEC_MAX_SIZE, SPEC_MAX_SIZE, &i, err));
		return ds_spec_ints(s, &i, -1, out, err);
	}
	return ds_spec_constant(s, dtype == DS_NONE ? DS_F32 : dtype, 0, 1, &f, out, err);
}

/* ---- attributes ---------------------------------------------------------------------------------------------------------------------- */
/* One number stands for all spatial axes. */
static int repeat_of(const spec_call *c, const char *key)
{
	int spatial = c->n_in ? c->in[0]->type.rank - 2 : 1;
	if (spatial < 1 || spatial > 3)
		return 1;
	if (strcmp(key, "pads") == 0)
		return 2 * spatial;
	return strcmp(key, "kernel_shape") == 0 || strcmp(key, "strides") == 0 || strcmp(key, "dilations") == 0 ? spatial : 1;
}

static ds_status put_list(spec *s, const spec_call *c, ds_node *n, const ds_opt *row, const spec_val *v, ds_err *err)
{
	int64_t w[SPEC_MAX_LIST];
	double f[SPEC_MAX_LIST];
	const char *t[SPEC_MAX_LIST];
	int count = v->kind == SPEC_LIST ? v->n : repeat_of(c, row->name);
	for (int i = 0; i < count; i++) {
		const spec_val *item = v->kind == SPEC_LIST ? &v->item[i] : v;
		if (row->type == DS_T_INTS)
			DS_TRY(ds_spec_whole(s, item, row->name, -SPEC_MAX_SIZE, SPEC_MAX_SIZE, &w[i], err));
		else if (item->kind != (row->type == DS_T_STRS ? SPEC_WORD : SPEC_NUMBER))
			return ds_spec_fail(s, err, DS_E_INPUT, "%s must be %s", row->name, row->type == DS_T_STRS ? "words" : "numbers");
		f[i] = item->number;
		t[i] = item->word;
	}
	ds_status rc = row->type == DS_T_INTS ? ds_attr_is(n, row->name, count, w) : row->type == DS_T_FLOATS ? ds_attr_fs(n, row->name, count, f)
		: ds_attr_ss(n, row->name, count, t);
	return rc == DS_OK ? DS_OK : ds_fail_nomem(err, 64);
}

/* The words that a choice knows, for a message. */
static ds_status check_choice(spec *s, const ds_opt *row, const char *word, ds_err *err)
{
	char text[200];
	size_t n = 0;
	text[0] = 0;
	for (int i = 0; row->choices[i]; i++) {
		if (strcmp(row->choices[i], word) == 0)
			return DS_OK;
		if (n < sizeof text)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i ? ", " : "", row->choices[i]);
	}
	return ds_spec_fail(s, err, DS_E_INPUT, "%s=%.64s: it is one of %s", row->name, word, text);
}

static ds_status put_attr(spec *s, const spec_call *c, ds_node *n, const ds_opt *row, const spec_val *v, ds_err *err)
{
	int64_t i;
	ds_status rc = DS_OK;
	switch (row->type) {
	case DS_T_INT: {
		const ds_dtype_row *type = strcmp(row->name, "to") == 0 && v->kind == SPEC_WORD ? ds_dtype_by_name(v->word) : NULL;
		bool bound = row->min || row->max;
		i = type ? type->onnx : 0;              /* Cast to=f32 */
		if (!type)
			DS_TRY(ds_spec_whole(s, v, row->name, bound ? (int64_t)row->min : -SPEC_MAX_SIZE, bound ? (int64_t)row->max : SPEC_MAX_SIZE, &i,
				err));
		rc = ds_attr_i(n, row->name, i);
		break;
	}
	case DS_T_FLOAT:
		if (v->kind != SPEC_NUMBER)
			return ds_spec_fail(s, err, DS_E_INPUT, "%s must be a number", row->name);
		rc = ds_attr_f(n, row->name, v->number);
		break;
	case DS_T_STR:
	case DS_T_CHOICE:
		if (v->kind != SPEC_WORD)
			return ds_spec_fail(s, err, DS_E_INPUT, "%s must be a word", row->name);
		if (row->type == DS_T_CHOICE)
			DS_TRY(check_choice(s, row, v->word, err));
		rc = ds_attr_s(n, row->name, v->word);
		break;
	case DS_T_INTS:
	case DS_T_FLOATS:
	case DS_T_STRS:
		return put_list(s, c, n, row, v, err);
	default:
		return ds_spec_fail(s, err, DS_E_INPUT, "%s: '%s' cannot be written in a description", n->op_name, row->name);
	}
	return rc == DS_OK ? DS_OK : ds_fail_nomem(err, 64);
}

static const ds_opt *find_attr(const ds_op *op, const char *key)
{
	for (const ds_opt *row = op ? op->attrs : NULL; row && row->name; row++)
		if (strcmp(row->name, key) == 0)
			return row;
	return NULL;
}

ds_status ds_spec_attrs(spec *s, spec_call *c, ds_node *n, ds_err *err)
{
	const ds_op *op = find_op(n->op_name);
	for (int i = 0; i < c->n_key; i++) {
		const ds_opt *row = c->key[i].used ? NULL : find_attr(op, c->key[i].key);
		if (!row)
			continue;
		c->key[i].used = true;
		DS_TRY(put_attr(s, c, n, row, &c->key[i].val, err));
	}
	return DS_OK;
}

/* Each word of a list with spaces between them. */
static bool next_word(const char **list, char *word, size_t size)
{
	size_t n = strcspn(*list, " :");
	if (n == 0 || n >= size)
		return false;
	memcpy(word, *list, n);
	word[n] = 0;
	*list += strcspn(*list, " ");
	*list += strspn(*list, " ");
	return true;
}

static const char *plain_args(const char *op)
{
	for (size_t i = 0; i < DS_COUNTOF(plain); i++)
		if (strcmp(plain[i].op, op) == 0)
			return plain[i].args;
	return "";
}

/* A key that nobody wanted. */
static ds_status unknown_key(spec *s, const spec_layer *l, const spec_call *c, const char *key, ds_err *err)
{
	const char *lists[2] = { l->keys, l == &any_operator ? plain_args(c->op) : "" }, *best = NULL;
	char word[64];
	int d = 4;
	for (int i = 0; i < 2; i++)
		for (const char *p = lists[i]; next_word(&p, word, sizeof word);)
			ds_spec_nearer(key, word, &best, &d), best = best == word ? ds_arena_strdup(&s->arena, word) : best;
	for (const ds_opt *row = find_op(c->op) ? find_op(c->op)->attrs : NULL; row && row->name; row++)
		ds_spec_nearer(key, row->name, &best, &d);
	return ds_spec_fail(s, err, DS_E_INPUT, "%s has no '%.64s'%s", c->op, key, ds_spec_hint(s, best));
}

/* ---- operators without parameters ---------------------------------------------------------------------------------------------------- */
static ds_status arg_value(spec *s, const spec_call *c, const char *what, char code, const spec_val *v, ds_value **out, ds_err *err)
{
	int64_t w[SPEC_MAX_LIST] = { 0 };
	float f[SPEC_MAX_LIST];
	const spec_val *item = v->kind == SPEC_LIST ? v->item : v;
	int n = v->kind == SPEC_LIST ? v->n : 1;
	ds_dtype dtype = c->n_in && c->in[0] && c->in[0]->type.dtype != DS_NONE ? c->in[0]->type.dtype : DS_F32;
	for (int i = 0; i < n; i++) {
		if (code == 'I' || code == 'i')
			DS_TRY(ds_spec_whole(s, &item[i], what, -SPEC_MAX_SIZE, INT64_C(1) << 53, &w[i], err));
		else if (item[i].kind != SPEC_NUMBER)
			return ds_spec_fail(s, err, DS_E_INPUT, "%s must be %s", what, v->kind == SPEC_LIST ? "numbers" : "a number");
		f[i] = (float)item[i].number;
	}
	if ((code == 'i' || code == 'f') && v->kind == SPEC_LIST)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s is one number", what);
	if (code == 'I' || code == 'i') {
		if (n > 8)
			return ds_spec_fail(s, err, DS_E_INPUT, "%s: a list of more than 8 numbers", what);
		return ds_spec_ints(s, w, code == 'i' ? -1 : n, out, err);
	}
	if (code == 'f')
		return ds_spec_number(s, item[0].number, dtype, out, err);
	return ds_spec_constant(s, DS_F32, 1, n, f, out, err);
}

/* Sizes and keys that are inputs of the operator go behind the layers. */
static ds_status plain_inputs(spec *s, spec_call *c, ds_err *err)
{
	const char *args = plain_args(c->op), *attr = NULL;
	char word[64];
	int pos = 0, wanted = c->n_in;
	bool bare = !*args;             /* numbers are constants: Mul 0.5 */
	while (*args) {
		char code = args[strcspn(args, ":") + 1];
		next_word(&args, word, sizeof word);
		if (code == 'a') {
			attr = ds_arena_strdup(&s->arena, word);
			break;
		}
		const spec_val *v = ds_spec_key(c, word);
		if (!v && pos < c->n_pos)
			v = &c->pos[pos++];
		if (wanted == SPEC_MAX_ARG)
			break;
		if (v) {
			while (c->n_in < wanted)
				c->in[c->n_in++] = NULL;
			DS_TRY(arg_value(s, c, word, code, v, &c->in[c->n_in++], err));
		}
		wanted++;
	}
	if (attr && c->n_pos == 1 && c->n_key < SPEC_MAX_ARG) {
		c->key[c->n_key++] = (spec_arg){ .key = attr, .val = c->pos[0] };
		pos++;
	}
	for (; bare && pos < c->n_pos && c->n_in < SPEC_MAX_ARG; pos++)
		DS_TRY(arg_value(s, c, "the constant", c->pos[pos].kind == SPEC_LIST ? 'F' : 'f', &c->pos[pos], &c->in[c->n_in++], err));
	if (pos < c->n_pos)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s: %d size%s too many", c->op, c->n_pos - pos, c->n_pos - pos == 1 ? "" : "s");
	return DS_OK;
}

static ds_status emit_plain(spec *s, const spec_layer *l, spec_call *c, ds_value **out, ds_err *err)
{
	ds_node *n;
	(void)l;
	DS_TRY(plain_inputs(s, c, err));
	const char *names[SPEC_MAX_OUT];
	for (int i = 0; i < c->n_out; i++)
		names[i] = i ? c->out_name[i] : c->name;
	n = ds_graph_node(s->g, "", c->op, c->name, c->n_in, c->in, c->n_out, names);
	if (!n)
		return ds_fail_nomem(err, 64);
	if (strcmp(c->op, "Split") == 0 && c->n_in == 1 && ds_attr_i(n, "num_outputs", c->n_out) != DS_OK)
		return ds_fail_nomem(err, 64);
	DS_TRY(ds_spec_attrs(s, c, n, err));
	DS_TRY(ds_spec_done(s, n, err));
	for (int i = 0; i < c->n_out; i++)
		out[i] = n->out[i];
	return DS_OK;
}

/* ---- a layer ------------------------------------------------------------------------------------------------------------------------- */
ds_status ds_spec_layer_make(spec *s, spec_call *c, ds_value **out, ds_err *err)
{
	const spec_layer *l = find_row(c->op);
	if (!l || (l->n_in >= 0 && c->n_in > l->n_in && find_op(c->op)))        /* Conv(x, w): the parameters are given */
		l = &any_operator;
	if (l->n_in == 0)
		c->n_in = 0;
	if (l->n_in >= 0 && c->n_in != l->n_in)
		return ds_spec_fail(s, err, DS_E_INPUT, c->n_in ? "%s reads one layer" : "%s: there is no input yet", c->op);
	if (l != &any_operator && c->n_out > 1)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s has one result here", c->op);
	if (c->n_pos > l->n_pos)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s: %d size%s too many", c->op, c->n_pos - l->n_pos, c->n_pos - l->n_pos == 1 ? "" : "s");
	if (l->n_in > 0 && c->in[0]->type.rank < 0)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s: the shape of its input is not known", c->op);
	DS_TRY(l->emit(s, l, c, out, err));
	for (int i = 0; i < c->n_key; i++)
		if (!c->key[i].used)
			return unknown_key(s, l, c, c->key[i].key, err);
	return DS_OK;
}
