/* inputs.c - inputs made up for a model whose own are not at hand */
#include "inputs.h"
#include "../base/rng.h"

#include <string.h>

/* The number that a symbol stands for: basic ones have a value, the others are sums. */
static int64_t symbol_value(const ds_graph *g, const int64_t *basic, uint32_t k, int depth)
{
	const ds_symbol *s = &g->symbol[k];
	if (s->a == DS_NO_SYMBOL || depth > 64)
		return basic[k];
	int64_t v = symbol_value(g, basic, s->a, depth + 1) + s->add;
	return s->b == DS_NO_SYMBOL ? v : v + symbol_value(g, basic, s->b, depth + 1);
}

ds_status ds_inputs_types(const ds_graph *g, int64_t batch, int64_t other, ds_type *in, ds_err *err)
{
	int64_t *basic = ds_calloc((size_t)g->n_symbol + 1, sizeof *basic);
	ds_status rc = basic ? DS_OK : ds_fail_nomem(err, 0);
	for (int i = 0; rc == DS_OK && i < g->n_symbol; i++)
		basic[i] = other;
	for (int i = 0; rc == DS_OK && i < g->n_input; i++) {
		const ds_type *t = &g->input[i]->type;
		if (t->dtype == DS_NONE || t->rank < 0)
			rc = ds_fail(err, DS_E_INPUT, "input \"%.100s\" has no type that says enough to make one up", g->input[i]->name);
		else if (t->rank > 0 && t->dim[0] < 0 && t->dim[0] != DS_DIM_UNKNOWN && -1 - t->dim[0] < g->n_symbol)
			basic[-1 - t->dim[0]] = batch;
	}
	for (int i = 0; rc == DS_OK && i < g->n_input; i++) {
		in[i] = g->input[i]->type;
		for (int k = 0; k < in[i].rank; k++) {
			int64_t d = in[i].dim[k];
			if (d >= 0)
				continue;
			bool known = d != DS_DIM_UNKNOWN && -1 - d < g->n_symbol;
			in[i].dim[k] = known ? DS_MAX(symbol_value(g, basic, (uint32_t)(-1 - d), 0), 1) : k ? other : batch;
		}
	}
	ds_free(basic);
	return rc;
}

/* How many rows the tables have that value v picks from, through operators that keep its values; 0: none found. */
static int64_t rows_of(const ds_graph *g, const ds_value *v, int depth)
{
	int64_t least = 0;
	for (int i = 0; depth < 8 && i < g->n_node; i++) {
		const ds_node *n = g->node[i];
		int64_t rows = 0;
		if (!strcmp(n->op_name, "Gather") && n->n_in > 1 && n->in[1] == v && n->in[0]->type.rank > 0) {
			const ds_attr *a = ds_attr_find(n, "axis");
			int64_t axis = a ? a->u.i : 0, rank = n->in[0]->type.rank;
			axis += axis < 0 ? rank : 0;
			rows = axis >= 0 && axis < rank ? n->in[0]->type.dim[axis] : 0;
		} else if (n->n_in && n->in[0] == v && n->op && ((n->op->flags & DS_OP_VIEW) || !strcmp(n->op_name, "Cast") || !strcmp(n->op_name, "Transpose"))) {
			rows = rows_of(g, n->out[0], depth + 1);
		}
		if (rows > 0)
			least = least ? DS_MIN(least, rows) : rows;
	}
	return least;
}

ds_status ds_inputs_random(const ds_graph *g, const ds_type *type, uint64_t seed, ds_tensor *in, ds_err *err)
{
	enum { CHUNK = 1024 };
	float part[CHUNK];
	for (int i = 0; i < g->n_input; i++) {
		const ds_dtype_row *d = ds_dtype_of(type[i].dtype);
		ds_rng rng = ds_rng_init(seed, (uint64_t)i);
		int64_t below = DS_MAX(rows_of(g, g->input[i], 0), 2);
		if (!d || !d->from_f32)
			return ds_fail(err, DS_E_UNSUPPORTED, "input \"%.100s\" is of a type that cannot be made up", g->input[i]->name);
		DS_TRY(ds_tensor_new(&in[i], type[i].dtype, type[i].rank, type[i].dim, err));
		int64_t n = ds_tensor_count(&in[i]);
		for (int64_t at = 0; at < n; at += CHUNK) {
			size_t k = (size_t)DS_MIN(n - at, CHUNK);
			for (size_t e = 0; e < k; e++)
				part[e] = d->is_float ? (float)ds_rng_normal(&rng) : (float)ds_rng_below(&rng, (uint64_t)DS_MIN(below, 1 << 24));
			d->from_f32((char *)in[i].data + (size_t)at * ds_dtype_size(type[i].dtype), part, k);
		}
	}
	return DS_OK;
}
