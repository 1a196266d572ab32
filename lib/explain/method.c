/* method.c - the table of methods, and one call of one of them */
#include "explain_int.h"

#include <math.h>
#include <string.h>

#define DS_METHOD(name) extern const ds_method ds_method_##name;
#include "methods.def"
#undef DS_METHOD

#define DS_METHOD(name) &ds_method_##name,
static const ds_method *const methods[] = {
#include "methods.def"
};
#undef DS_METHOD

const ds_method *const *ds_method_all(int *n)
{
	*n = (int)DS_COUNTOF(methods);
	return methods;
}

const ds_method *ds_method_find(const char *name)
{
	for (size_t i = 0; i < DS_COUNTOF(methods); i++)
		if (!strcmp(methods[i]->name, name))
			return methods[i];
	return NULL;
}

const ds_method *ds_method_default(const ds_explainer *x)
{
	for (size_t i = 0; i < DS_COUNTOF(methods); i++)
		if (methods[i]->best && methods[i]->best(x) && (!methods[i]->fits || methods[i]->fits(x)))
			return methods[i];
	for (size_t i = 0; i < DS_COUNTOF(methods); i++)
		if (!methods[i]->fits || methods[i]->fits(x))
			return methods[i];
	return NULL;
}

bool ds_explain_float_input(const ds_explainer *x)
{
	const ds_dtype_row *d = ds_dtype_of(x->g->input[x->input]->type.dtype);
	return d && d->is_float;
}

/* A map over vectors of tokens: one number for each token. */
static ds_status by_token(const ds_explainer *x, const ds_tensor *in, ds_map *m, ds_err *err)
{
	ds_plane p;
	ds_tensor t;
	if ((m->kind != DS_MAP_INPUT && m->kind != DS_MAP_PLANE) || !ds_explain_plane(x, in, &p))
		return DS_OK;
	DS_TRY(ds_tensor_new(&t, DS_F32, 1, &p.w, err));
	ds_status rc = ds_map_places(m, &p, t.data, err);
	if (rc != DS_OK) {
		ds_tensor_done(&t);
		return rc;
	}
	ds_tensor_done(&m->t);
	m->t = t;
	m->kind = DS_MAP_TOKENS;
	return DS_OK;
}

ds_status ds_explain(ds_explainer *x, const ds_method *m, const ds_explain_item *it, int64_t target, ds_maps *out, ds_err *err)
{
	float *logit = NULL, *p = NULL;
	int64_t n;
	size_t first = out->n;
	DS_TRY(ds_explain_predict(x, it, &logit, &p, &n, err));
	ds_status rc = DS_OK;
	if (target < 0 || target >= n)
		rc = ds_fail(err, DS_E_USAGE, "class %lld of a model that has %lld", (long long)target, (long long)n);
	if (rc == DS_OK)
		rc = m->run(x, it, target, out, err);
	for (size_t i = first; rc == DS_OK && i < out->n; i++) {
		ds_map *v = &out->m[i];
		v->target = target;
		v->score = (double)logit[target];
		v->probability = (double)p[target];
		v->input = x->input;
		if (x->o.axes == DS_AXES_TC)
			rc = by_token(x, &it->in[x->input], v, err);
	}
	ds_free(logit);
	ds_free(p);
	return rc;
}
