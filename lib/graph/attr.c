/* attr.c - attributes: the written form, and parsing into an operator's attribute struct by its table */
#include "op.h"
#include "../base/str.h"

#include <inttypes.h>
#include <string.h>

static ds_arena *arena_of(ds_node *n)
{
	return &ds_graph_root(n->graph)->arena;
}

const ds_attr *ds_attr_find(const ds_node *n, const char *key)
{
	for (int i = 0; i < n->n_attr; i++)
		if (strcmp(n->attr[i].key, key) == 0)
			return &n->attr[i];
	return NULL;
}

void ds_attr_del(ds_node *n, const char *key)
{
	const ds_attr *a = ds_attr_find(n, key);
	if (a) {
		int i = (int)(a - n->attr);
		memmove(n->attr + i, n->attr + i + 1, sizeof *a * (size_t)(n->n_attr - i - 1));
		n->n_attr--;
	}
}

/* The place for `key`, kept sorted; the array is copied when it grows (arena memory is never given back, attributes are few). */
static ds_attr *slot(ds_node *n, const char *key)
{
	int i = 0;
	while (i < n->n_attr && strcmp(n->attr[i].key, key) < 0)
		i++;
	if (i < n->n_attr && strcmp(n->attr[i].key, key) == 0)
		return &n->attr[i];
	ds_attr *a = ds_arena_alloc(arena_of(n), (size_t)n->n_attr + 1, sizeof *a);
	char *copy = ds_arena_strdup(arena_of(n), key);
	if (!a || !copy)
		return NULL;
	if (n->n_attr) {
		memcpy(a, n->attr, sizeof *a * (size_t)i);
		memcpy(a + i + 1, n->attr + i, sizeof *a * (size_t)(n->n_attr - i));
	}
	n->attr = a;
	n->n_attr++;
	a[i].key = copy;
	return &a[i];
}

static void *dup_items(ds_node *n, const void *v, int count, size_t size)
{
	void *p = ds_arena_alloc(arena_of(n), (size_t)count, size);
	if (p && count)
		memcpy(p, v, (size_t)count * size);
	return p;
}

ds_status ds_attr_i(ds_node *n, const char *key, int64_t v)
{
	ds_attr *a = slot(n, key);
	if (!a)
		return DS_E_NOMEM;
	a->type = DS_T_INT;
	a->u.i = v;
	return DS_OK;
}

ds_status ds_attr_f(ds_node *n, const char *key, double v)
{
	ds_attr *a = slot(n, key);
	if (!a)
		return DS_E_NOMEM;
	a->type = DS_T_FLOAT;
	a->u.f = v;
	return DS_OK;
}

ds_status ds_attr_s(ds_node *n, const char *key, const char *v)
{
	char *copy = ds_arena_strdup(arena_of(n), v);
	ds_attr *a = copy ? slot(n, key) : NULL;
	if (!a)
		return DS_E_NOMEM;
	a->type = DS_T_STR;
	a->u.s = copy;
	return DS_OK;
}

ds_status ds_attr_is(ds_node *n, const char *key, int count, const int64_t *v)
{
	int64_t *copy = dup_items(n, v, count, sizeof *v);
	ds_attr *a = copy ? slot(n, key) : NULL;
	if (!a)
		return DS_E_NOMEM;
	a->type = DS_T_INTS;
	a->u.is = (ds_ints){ copy, count };
	return DS_OK;
}

ds_status ds_attr_fs(ds_node *n, const char *key, int count, const double *v)
{
	double *copy = dup_items(n, v, count, sizeof *v);
	ds_attr *a = copy ? slot(n, key) : NULL;
	if (!a)
		return DS_E_NOMEM;
	a->type = DS_T_FLOATS;
	a->u.fs = (ds_floats){ copy, count };
	return DS_OK;
}

ds_status ds_attr_ss(ds_node *n, const char *key, int count, const char *const *v)
{
	const char **copy = dup_items(n, v, count, sizeof *v);
	for (int i = 0; copy && i < count; i++)
		if (!(copy[i] = ds_arena_strdup(arena_of(n), v[i])))
			return DS_E_NOMEM;
	ds_attr *a = copy ? slot(n, key) : NULL;
	if (!a)
		return DS_E_NOMEM;
	a->type = DS_T_STRS;
	a->u.ss = (ds_strs){ copy, count };
	return DS_OK;
}

ds_status ds_attr_t(ds_node *n, const char *key, ds_value *v)
{
	ds_attr *a = slot(n, key);
	if (!a)
		return DS_E_NOMEM;
	a->type = DS_T_TENSOR;
	a->u.t = v;
	return DS_OK;
}

ds_status ds_attr_g(ds_node *n, const char *key, ds_graph *v)
{
	ds_attr *a = slot(n, key);
	if (!a)
		return DS_E_NOMEM;
	a->type = DS_T_GRAPH;
	a->u.g = v;
	return DS_OK;
}

/* ---- parsing ------------------------------------------------------------------------------------------------------------------- */
static int choice_of(const ds_opt *row, const char *s)
{
	for (int i = 0; row->choices[i]; i++)
		if (strcmp(row->choices[i], s) == 0)
			return i;
	return -1;
}

static ds_status put_default(const ds_opt *row, void *to, ds_err *err)
{
	const char *def = row->def;
	switch (row->type) {
	case DS_T_INT: {
		int64_t v = 0;
		if (def && !ds_parse_i64(def, &v))
			break;
		*(int64_t *)to = v;
		return DS_OK;
	}
	case DS_T_FLOAT: {
		double v = 0;
		if (def && !ds_parse_f64(def, &v))
			break;
		*(double *)to = v;
		return DS_OK;
	}
	case DS_T_STR:
		*(const char **)to = def;
		return DS_OK;
	case DS_T_CHOICE: {
		int v = def ? choice_of(row, def) : 0;
		if (v < 0)
			break;
		*(int *)to = v;
		return DS_OK;
	}
	default:
		return DS_OK;           /* lists, tensors, graphs: empty */
	}
	return ds_fail(err, DS_E_INTERNAL, "default \"%s\" of attribute %s does not fit", def, row->name);
}

static ds_status put_value(const ds_opt *row, const ds_attr *a, void *to, ds_err *err)
{
	bool same = a->type == row->type || (row->type == DS_T_CHOICE && a->type == DS_T_STR) || (row->type == DS_T_FLOAT && a->type == DS_T_INT);
	if (!same && !((row->type == DS_T_INTS || row->type == DS_T_FLOATS || row->type == DS_T_STRS) && a->type >= DS_T_INTS && a->type <= DS_T_STRS &&
		a->u.is.n == 0))
		return ds_fail(err, DS_E_INPUT, "attribute \"%s\" has the wrong type", row->name);
	switch (row->type) {
	case DS_T_INT:
		if ((row->min || row->max) && ((double)a->u.i < row->min || (double)a->u.i > row->max))
			return ds_fail(err, DS_E_INPUT, "attribute \"%s\" is %" PRId64 ", outside %g to %g", row->name, a->u.i, row->min, row->max);
		*(int64_t *)to = a->u.i;
		break;
	case DS_T_FLOAT:
		*(double *)to = a->type == DS_T_INT ? (double)a->u.i : a->u.f;
		break;
	case DS_T_STR:
		*(const char **)to = a->u.s;
		break;
	case DS_T_CHOICE: {
		int v = choice_of(row, a->u.s);
		if (v < 0)
			return ds_fail(err, DS_E_INPUT, "attribute \"%s\" is \"%.64s\", which is none of its values", row->name, a->u.s);
		*(int *)to = v;
		break;
	}
	case DS_T_INTS:
		*(ds_ints *)to = a->u.is;
		break;
	case DS_T_FLOATS:
		*(ds_floats *)to = a->u.fs;
		break;
	case DS_T_STRS:
		*(ds_strs *)to = a->u.ss;
		break;
	case DS_T_TENSOR:
		*(const ds_tensor **)to = a->u.t ? &a->u.t->data : NULL;
		break;
	case DS_T_GRAPH:
		*(ds_graph **)to = a->u.g;
		break;
	}
	return DS_OK;
}

ds_status ds_node_parse(ds_node *n, ds_err *err)
{
	ds_status rc = DS_OK;
	const ds_op *op = ds_op_find(n->domain, n->op_name);
	n->op = op;
	if (!op) {
		rc = ds_fail(err, DS_E_UNSUPPORTED, "operator %s%s%s is not supported", n->domain, *n->domain ? "." : "", n->op_name);
		goto out;
	}
	void *a = ds_arena_alloc(arena_of(n), 1, op->attr_size ? op->attr_size : 1);
	if (!a) {
		rc = ds_fail_nomem(err, op->attr_size);
		goto out;
	}
	int used = 0;
	for (const ds_opt *row = op->attrs; row && row->name; row++) {
		const ds_attr *at = ds_attr_find(n, row->name);
		used += at != NULL;
		if (!at && (row->flags & DS_OPT_REQUIRED)) {
			rc = ds_fail(err, DS_E_INPUT, "attribute \"%s\" is missing", row->name);
			goto out;
		}
		DS_GOTO(at ? put_value(row, at, (char *)a + row->offset, err) : put_default(row, (char *)a + row->offset, err));
	}
	for (int i = 0; used != n->n_attr && i < n->n_attr; i++) {
		const ds_opt *row = op->attrs;
		while (row && row->name && strcmp(row->name, n->attr[i].key) != 0)
			row++;
		if (!row || !row->name) {
			rc = ds_fail(err, DS_E_INPUT, "unknown attribute \"%.64s\"", n->attr[i].key);
			goto out;
		}
	}
	n->a = a;
out:
	if (rc != DS_OK)
		ds_err_prefix(err, "node \"%.100s\" (%.64s)", ds_node_label(n), n->op_name);
	return rc;
}
