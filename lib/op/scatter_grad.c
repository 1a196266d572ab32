/* scatter_grad.c - gradients of ScatterElements and ScatterND, made of ordinary nodes (gather.h) */
#include "gather.h"
#include "grad.h"

#include <string.h>

typedef struct pair { ds_emit *e; const ds_node *n; const char *scatter, *gather; int64_t axis; bool elements; } pair;

static ds_value *put(const pair *p, ds_value *data, ds_value *updates, const char *reduction)
{
	ds_value *v = ds_emit3(p->e, p->scatter, data, p->n->in[1], updates);

	if (p->elements)
		ds_emit_i(p->e, v, "axis", p->axis);
	ds_emit_s(p->e, v, "reduction", reduction);
	return v;
}

static ds_value *pick(const pair *p, ds_value *from)
{
	ds_value *v = ds_emit2(p->e, p->gather, from, p->n->in[1]);

	if (p->elements)
		ds_emit_i(p->e, v, "axis", p->axis);
	return v;
}

/* Updates that are the last at their place: they are numbered, scattered and picked up again. */
static ds_value *survivors(const pair *p)
{
	const ds_type *u = &p->n->in[2]->type;
	ds_value *none = ds_emit_expand(p->e, ds_emit_i64(p->e, -1), &p->n->in[0]->type);
	ds_value *number = ds_emit3(p->e, "Range", ds_emit_i64(p->e, 0), ds_emit_i64(p->e, ds_type_count(u)), ds_emit_i64(p->e, 1));

	number = ds_emit_reshape(p->e, number, u);
	return ds_emit2(p->e, "Equal", pick(p, put(p, none, number, "none")), number);
}

ds_status ds_scatter_gradient(ds_graph *g, const ds_node *n, int64_t axis, int kind, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	bool elements = strcmp(n->op_name, "ScatterElements") == 0;
	pair p = { &e, n, n->op_name, elements ? "GatherElements" : "GatherND", axis, elements };
	const char *reduction = ds_scatter_kinds[kind];
	ds_value *data = n->in[0], *updates = n->in[2], *y = n->out[0], *zero = ds_emit_scalar(&e, data->type.dtype, 0), *mine;

	if (strcmp(reduction, "add") == 0) {
		din[0] = dout[0];
		din[2] = pick(&p, dout[0]);
	} else if (strcmp(reduction, "none") == 0) {
		din[0] = put(&p, dout[0], ds_emit_expand(&e, zero, &updates->type), "none");
		din[2] = ds_emit3(&e, "Where", survivors(&p), pick(&p, dout[0]), zero);
	} else if (strcmp(reduction, "mul") == 0) {
		/* the product of the others: for an update that of all divided by it (an update of zero has no gradient here) */
		ds_value *all = pick(&p, ds_emit2(&e, "Mul", dout[0], y)), *is0 = ds_emit2(&e, "Equal", updates, zero);
		ds_value *one = ds_emit_scalar(&e, data->type.dtype, 1);

		din[0] = put(&p, dout[0], updates, "mul");
		din[2] = ds_emit3(&e, "Where", is0, zero, ds_emit2(&e, "Div", all, ds_emit3(&e, "Where", is0, one, updates)));
	} else {
		/* max, min: to what is there at the end, first of all to the data */
		mine = ds_emit2(&e, "Equal", data, y);
		din[0] = ds_emit3(&e, "Where", mine, dout[0], zero);
		din[2] = ds_emit3(&e, "Where", ds_emit2(&e, "Equal", updates, pick(&p, y)), pick(&p, ds_emit3(&e, "Where", mine, zero, dout[0])), zero);
	}
	return ds_emit_end(&e);
}
