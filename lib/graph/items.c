/* items.c - may samples be computed together?  Only where each node is known to keep them apart
 *
 * Dim 0 of the inputs is an open size N that counts samples.  Every value is constant, or made of shapes alone, or a constant repeated along dim 0
 * (a class token), or holds one sample for each index of its dim 0.  A node for which that cannot be shown (a softmax, sum or scan along dim 0, a recurrence over it, an
 * operator that is not listed) says no: the samples are then computed one by one, which is slower and always right. */
#include "op.h"

#include <string.h>

/* SECOND: one sample for each index of dim 1 (queries, keys and values on their way apart) */
typedef enum holds { CONSTANT, SHAPES, REPEATED, SAMPLES, SECOND } holds;

/* Operators other than elementwise ones that read samples from input 0 and treat each alone, given that dim 0 of what they make is N again. */
static const char *const each_alone[] = {
	"Conv", "ConvTranspose", "ConvInteger", "MaxPool", "AveragePool", "LpPool", "GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool", "InstanceNormalization",
	"GroupNormalization", "LRN", "Resize", "DepthToSpace", "SpaceToDepth", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Expand", "Pad", "Dropout", "Identity",
	"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp", "STFT", NULL
};

/* Operators that work along one axis, which must not be that of the samples; the axis where none is stated. */
static const struct along { const char *name; int axis; bool many; } along[] = {
	{ "Softmax", -1, false }, { "LogSoftmax", -1, false }, { "Hardmax", -1, false }, { "LpNormalization", -1, false }, { "LayerNormalization", -1, false },
	{ "RMSNormalization", -1, false }, { "ArgMax", 0, false }, { "ArgMin", 0, false }, { "TopK", -1, false }, { "Split", 0, false }, { "Concat", 0, true },
	{ NULL, 0, false }
};

static bool listed(const char *const *list, const char *name)
{
	while (*list && strcmp(*list, name) != 0)
		list++;
	return *list;
}

/* They step through time, which is dim 1 where the layout puts samples first. */
static const char *const recurrent[] = { "LSTM", "GRU", "RNN", "QLSTM", NULL };

static bool batch_first(const ds_node *n)
{
	const ds_attr *a = ds_attr_find(n, "layout");
	return a && a->type == DS_T_INT && a->u.i == 1;
}

static int64_t axis_of(const ds_node *n, int axis)
{
	const ds_attr *a = ds_attr_find(n, "axis");
	int64_t k = a && a->type == DS_T_INT ? a->u.i : axis;
	return k < 0 ? k + n->in[0]->type.rank : k;
}

static holds what(const char *map, const ds_node *n, int i)
{
	return i < n->n_in && n->in[i] ? (holds)map[n->in[i]->id] : CONSTANT;
}

/* Only input 0 holds samples. */
static bool first_only(const ds_node *n, const char *map)
{
	for (int i = 1; i < n->n_in; i++)
		if (what(map, n, i) > REPEATED)
			return false;
	return what(map, n, 0) == SAMPLES && n->in[0]->type.rank >= 1;
}

/* Samples in every input that is not constant, in dim 0 of as many dims as the result has. */
static bool aligned(const ds_node *n, const char *map)
{
	for (int i = 0; i < n->n_in; i++)
		if (what(map, n, i) == SHAPES || what(map, n, i) == SECOND || (what(map, n, i) > SHAPES && n->in[i]->type.rank != n->out[0]->type.rank))
			return false;
	return true;
}

/* Slice and Transpose leave dim 0 where and as it is. */
static bool moves_no_sample(const ds_node *n)
{
	if (n->op_name[0] == 'T') {
		const ds_attr *perm = ds_attr_find(n, "perm");
		return perm && perm->type == DS_T_INTS && perm->u.is.n && perm->u.is.v[0] == 0;
	}
	const ds_tensor *axes = n->n_in > 3 && n->in[3] ? &n->in[3]->data : NULL;
	for (int64_t i = 0; axes && axes->data && i < ds_tensor_count(axes); i++) {
		int64_t a = (int64_t)ds_tensor_f64(axes, i);
		if (a == 0 || a == -n->in[0]->type.rank)
			return false;
	}
	return axes && axes->data;
}

static bool keeps_apart(const ds_node *n, const char *map)
{
	const char *name = n->op_name;
	int last = n->out[0]->type.rank - 1;
	if (listed(recurrent, name))
		return first_only(n, map) && batch_first(n);
	if (n->op && n->op->domain[0] && !strcmp(name, "RandomDrop"))
		return what(map, n, 0) == SAMPLES && what(map, n, 1) == SAMPLES;        /* a step for each sample */
	if (!n->op || n->op->domain[0] || last < 0)
		return false;
	if (n->op->flags & DS_OP_ANY_LAYOUT)
		return aligned(n, map);
	if (listed(each_alone, name))
		return first_only(n, map);
	if (!strcmp(name, "Slice") || !strcmp(name, "Transpose"))
		return first_only(n, map) && moves_no_sample(n);
	if (!strcmp(name, "MatMul"))    /* rows or whole matrices; never the dim that is summed over */
		return last >= 1 && aligned(n, map) && (what(map, n, 1) != SAMPLES || last >= 2);
	if (!strcmp(name, "Gemm")) {
		const ds_attr *t = ds_attr_find(n, "transA");
		return first_only(n, map) && !(t && t->u.i) && what(map, n, 1) == CONSTANT && what(map, n, 2) == CONSTANT;
	}
	if (!strcmp(name, "Gather")) {
		if (what(map, n, 0) == SECOND)
			return what(map, n, 1) == CONSTANT && n->in[1]->type.rank == 0 && axis_of(n, 0) == 0;
		bool table = what(map, n, 0) == CONSTANT && what(map, n, 1) == SAMPLES;
		return table ? axis_of(n, 0) == 0 : first_only(n, map) && axis_of(n, 0) != 0;
	}
	for (const struct along *a = along; a->name; a++) {
		if (strcmp(a->name, name) != 0)
			continue;
		for (int i = 0; a->many && i < n->n_in; i++)
			if (what(map, n, i) < REPEATED || what(map, n, i) == SECOND)
				return false;
		return (a->many || first_only(n, map)) && axis_of(n, a->axis) > 0;
	}
	return false;
}

static bool made_for(const ds_value *v, int64_t n)
{
	return v->type.rank >= 1 && v->type.dim[0] == n;
}

/* A constant that has to be repeated to fill dim 0 of the result. */
static bool one_row(const ds_node *n, const char *map)
{
	const ds_type *t = &n->in[0]->type;
	return what(map, n, 0) == CONSTANT && t->rank >= 0 && (t->rank < n->out[0]->type.rank || (t->rank == n->out[0]->type.rank && t->rank && t->dim[0] == 1));
}

static bool to_second(const ds_node *n, int64_t count)
{
	const ds_attr *perm = strcmp(n->op_name, "Transpose") == 0 ? ds_attr_find(n, "perm") : NULL;
	return perm && perm->type == DS_T_INTS && perm->u.is.n > 1 && perm->u.is.v[1] == 0 && n->out[0]->type.rank > 1 && n->out[0]->type.dim[1] == count;
}

/* One node; false: the samples mix here, or nobody knows. */
static bool visit(const ds_node *n, char *map, int64_t count)
{
	holds h = CONSTANT;
	for (int i = 0; i < n->n_in; i++)
		h = DS_MAX(h, what(map, n, i));
	if (n->op && (n->op->flags & DS_OP_SHAPE_ONLY))
		h = SHAPES;
	else if (h == SHAPES && (!strcmp(n->op_name, "ConstantOfShape") || (!strcmp(n->op_name, "Expand") && one_row(n, map))))
		h = REPEATED;
	else if (h == REPEATED)
		h = SHAPES;             /* nothing is known of it any more */
	else if (h == SAMPLES && to_second(n, count))
		h = SECOND;
	else if (h >= SAMPLES && !keeps_apart(n, map))
		return false;
	else if (h == SECOND)
		h = SAMPLES;
	for (int i = 0; i < n->n_out; i++) {
		bool used = n->out[i]->name[0] || i == 0;
		if (h == SAMPLES && used && !made_for(n->out[i], count))
			return false;
		map[n->out[i]->id] = (char)h;
	}
	return true;
}

bool ds_graph_items_apart(ds_graph *g)
{
	if (!g->n_input || !g->n_output || g->input[0]->type.rank < 2)
		return false;
	int64_t count = g->input[0]->type.dim[0];
	bool all = count < 0 && count != DS_DIM_UNKNOWN;
	ds_graph_number(g);
	char *map = ds_calloc((size_t)ds_graph_values(g) + 1, 1);
	if (!map)
		return false;
	for (int i = 0; all && i < g->n_input; i++) {
		map[g->input[i]->id] = SAMPLES;
		all = g->input[i]->type.rank >= 2 && made_for(g->input[i], count);
	}
	for (int i = 0; all && i < g->n_node; i++)
		all = visit(g->node[i], map, count);
	for (int i = 0; all && i < g->n_output; i++) {
		all = map[g->output[i]->id] == SAMPLES && made_for(g->output[i], count);
		for (int a = 1; all && a < g->output[i]->type.rank; a++)
			all = g->output[i]->type.dim[a] != count;
	}
	ds_free(map);
	return all;
}
