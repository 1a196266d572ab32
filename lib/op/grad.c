/* grad.c - the emitter of nodes */
#include "grad.h"

#include <string.h>

ds_emit ds_emit_begin(ds_graph *g, ds_err *err)
{
	return (ds_emit){ g, err, DS_OK };
}

ds_status ds_emit_end(ds_emit *e)
{
	return e->rc;
}

static void nomem(ds_emit *e)
{
	if (e->rc == DS_OK)
		e->rc = ds_fail_nomem(e->err, 0);
}

ds_node *ds_emit_node(ds_emit *e, const char *op, int n_in, ds_value *const *in, int n_out)
{
	bool own = strncmp(op, "ds.", 3) == 0;
	if (e->rc != DS_OK)
		return NULL;
	ds_node *n = ds_graph_node(e->g, own ? "ds" : "", own ? op + 3 : op, "", n_in, in, n_out, NULL);
	if (!n)
		nomem(e);
	return n;
}

ds_value *ds_emit_op(ds_emit *e, const char *op, int n_in, ds_value *const *in)
{
	ds_node *n = ds_emit_node(e, op, n_in, in, 1);
	return n ? n->out[0] : NULL;
}

ds_value *ds_emit1(ds_emit *e, const char *op, ds_value *a)
{
	return ds_emit_op(e, op, 1, (ds_value *[]){ a });
}

ds_value *ds_emit2(ds_emit *e, const char *op, ds_value *a, ds_value *b)
{
	return ds_emit_op(e, op, 2, (ds_value *[]){ a, b });
}

ds_value *ds_emit3(ds_emit *e, const char *op, ds_value *a, ds_value *b, ds_value *c)
{
	return ds_emit_op(e, op, 3, (ds_value *[]){ a, b, c });
}

static void set(ds_emit *e, ds_status rc)
{
	if (rc != DS_OK)
		nomem(e);
}

void ds_emit_i(ds_emit *e, ds_value *v, const char *key, int64_t i)
{
	if (e->rc == DS_OK)
		set(e, ds_attr_i(v->node, key, i));
}

void ds_emit_f(ds_emit *e, ds_value *v, const char *key, double f)
{
	if (e->rc == DS_OK)
		set(e, ds_attr_f(v->node, key, f));
}

void ds_emit_s(ds_emit *e, ds_value *v, const char *key, const char *s)
{
	if (e->rc == DS_OK)
		set(e, ds_attr_s(v->node, key, s));
}

void ds_emit_is(ds_emit *e, ds_value *v, const char *key, int count, const int64_t *i)
{
	if (e->rc == DS_OK)
		set(e, ds_attr_is(v->node, key, count, i));
}

static ds_status copy_attr(ds_node *n, const ds_attr *a)
{
	switch (a->type) {
	case DS_T_INT:    return ds_attr_i(n, a->key, a->u.i);
	case DS_T_FLOAT:  return ds_attr_f(n, a->key, a->u.f);
	case DS_T_STR:    return ds_attr_s(n, a->key, a->u.s);
	case DS_T_INTS:   return ds_attr_is(n, a->key, a->u.is.n, a->u.is.v);
	case DS_T_FLOATS: return ds_attr_fs(n, a->key, a->u.fs.n, a->u.fs.v);
	case DS_T_STRS:   return ds_attr_ss(n, a->key, a->u.ss.n, a->u.ss.v);
	default:          return DS_OK;         /* tensors and graphs are no settings of a gradient */
	}
}

void ds_emit_attr(ds_emit *e, ds_value *v, const ds_attr *a)
{
	if (e->rc == DS_OK)
		set(e, copy_attr(v->node, a));
}

void ds_emit_attrs(ds_emit *e, ds_value *v, const ds_node *from)
{
	for (int i = 0; e->rc == DS_OK && i < from->n_attr; i++)
		if (!ds_attr_find(v->node, from->attr[i].key))
			set(e, copy_attr(v->node, &from->attr[i]));
}

/* ---- constants ------------------------------------------------------------------------------------------------------------------ */
ds_value *ds_emit_f32(ds_emit *e, float v)
{
	ds_value *c = e->rc == DS_OK ? ds_graph_const_f32(e->g, v) : NULL;
	if (!c)
		nomem(e);
	return c;
}

ds_value *ds_emit_scalar(ds_emit *e, ds_dtype dtype, double v)
{
	if (dtype == DS_F32)
		return ds_emit_f32(e, (float)v);
	ds_tensor t;
	if (e->rc == DS_OK)
		e->rc = ds_tensor_new(&t, dtype, 0, NULL, e->err);
	if (e->rc != DS_OK || (e->rc = ds_convert(t.data, dtype, &v, DS_F64, 1, e->err)) != DS_OK)
		return NULL;
	ds_value *c = ds_graph_weight(e->g, DS_V_CONST, "", &t);
	if (!c)
		nomem(e);
	return c;
}

ds_value *ds_emit_i64(ds_emit *e, int64_t v)
{
	ds_value *c = e->rc == DS_OK ? ds_graph_const_i64(e->g, -1, &v) : NULL;
	if (!c)
		nomem(e);
	return c;
}

ds_value *ds_emit_ints(ds_emit *e, int count, const int64_t *v)
{
	ds_value *c = e->rc == DS_OK ? ds_graph_const_i64(e->g, count, v) : NULL;
	if (!c)
		nomem(e);
	return c;
}

/* ---- shapes --------------------------------------------------------------------------------------------------------------------- */
ds_value *ds_emit_reshape(ds_emit *e, ds_value *v, const ds_type *t)
{
	ds_value *r = ds_emit2(e, "Reshape", v, ds_emit_ints(e, t->rank, t->dim));
	ds_emit_i(e, r, "allowzero", 1);
	return r;
}

ds_value *ds_emit_reduce(ds_emit *e, const char *op, ds_value *v, int count, const int64_t *axes, bool keep)
{
	ds_value *r = ds_emit2(e, op, v, ds_emit_ints(e, count, axes));
	ds_emit_i(e, r, "keepdims", keep);
	return r;
}

ds_value *ds_emit_reduce_to(ds_emit *e, ds_value *v, const ds_type *from, const ds_type *to)
{
	int64_t axes[DS_MAX_RANK];
	int n = 0, lead = from->rank - to->rank;
	for (int i = 0; i < from->rank; i++)
		if (i < lead || (to->dim[i - lead] == 1 && from->dim[i] != 1))
			axes[n++] = i;
	/* a bias along the last axis is so common that its sum has an operator of its own */
	int last = from->rank - 1;
	bool bias = n > 0 && n == last && axes[n - 1] == last - 1 && to->dtype == DS_F32 && from->dim[last] > 1;
	if (bias) {
		ds_type rows = { .dtype = to->dtype, .rank = 2, .dim = { 1, from->dim[last] } };
		for (int i = 0; i < last; i++)
			rows.dim[0] *= from->dim[i];
		v = ds_emit1(e, "ds.ChannelSum", last > 1 ? ds_emit_reshape(e, v, &rows) : v);
		return to->rank == 1 ? v : ds_emit_reshape(e, v, to);
	}
	if (n)
		v = ds_emit_reduce(e, "ReduceSum", v, n, axes, true);
	return lead ? ds_emit_reshape(e, v, to) : v;
}

ds_value *ds_emit_expand(ds_emit *e, ds_value *v, const ds_type *to)
{
	return ds_emit2(e, "Expand", v, ds_emit_ints(e, to->rank, to->dim));
}

bool ds_grad_float(const ds_value *v)
{
	return v && (v->type.dtype == DS_F32 || v->type.dtype == DS_F64 || v->type.dtype == DS_F16 || v->type.dtype == DS_BF16);
}
