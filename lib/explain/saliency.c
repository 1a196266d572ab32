/* saliency.c - the gradient of the target with respect to the input: its size (Simonyan et al. 2014, arXiv:1312.6034), and times the input
 *
 * What a small change at a place would change.  It says nothing of how much of the score comes from there: gradient times input does, for a network
 * that is linear around the item. */
#include "explain_int.h"

#include <math.h>
#include <string.h>

/* The item's explained input as f32 and its gradient. */
static ds_status gradient(ds_explainer *x, const ds_explain_item *it, int64_t target, ds_tensor *in, float **grad, ds_err *err)
{
	const ds_tensor *t = &it->in[x->input];
	DS_TRY(ds_tensor_to_f32(t, in, err));
	*grad = ds_calloc((size_t)DS_MAX(ds_tensor_count(t), 1), sizeof **grad);
	ds_status rc = *grad ? ds_explain_gradients(x, it, in->data, 1, target, *grad, NULL, err) : ds_fail_nomem(err, 0);
	if (rc != DS_OK) {
		ds_free(*grad);
		ds_tensor_done(in);
	}
	return rc;
}

ds_status ds_explain_sizes(const ds_explainer *x, const ds_tensor *in, const float *grad, ds_maps *out, ds_map **m, ds_err *err)
{
	ds_plane p;
	if (!ds_explain_plane(x, in, &p)) {             /* more axes than a picture: element by element */
		int lead = in->rank > 1 && in->dim[0] == 1;
		DS_TRY(ds_maps_add(out, DS_MAP_INPUT, in->rank - lead, in->dim + lead, m, err));
		for (int64_t i = 0; i < ds_tensor_count(in); i++)
			((float *)(*m)->t.data)[i] = fabsf(grad[i]);
		return DS_OK;
	}
	DS_TRY(ds_maps_add(out, DS_MAP_PLANE, 2, (int64_t[]){ p.h, p.w }, m, err));
	float *v = (*m)->t.data;
	for (int64_t y = 0; y < p.h; y++)
		for (int64_t k = 0; k < p.w; k++)
			for (int64_t c = 0; c < p.channels; c++)
				v[y * p.w + k] = fmaxf(v[y * p.w + k], fabsf(grad[c * p.sc + y * p.sy + k * p.sx]));
	return DS_OK;
}

static ds_status saliency(ds_explainer *x, const ds_explain_item *it, int64_t target, ds_maps *out, ds_err *err)
{
	ds_tensor in;
	float *grad;
	ds_map *m;
	DS_TRY(gradient(x, it, target, &in, &grad, err));
	ds_status rc = ds_explain_sizes(x, &it->in[x->input], grad, out, &m, err);
	if (rc == DS_OK)
		m->runs = 1;
	ds_free(grad);
	ds_tensor_done(&in);
	return rc;
}

static ds_status gradient_input(ds_explainer *x, const ds_explain_item *it, int64_t target, ds_maps *out, ds_err *err)
{
	const ds_tensor *t = &it->in[x->input];
	int lead = t->rank > 1 && t->dim[0] == 1;
	ds_tensor in;
	float *grad;
	ds_map *m;
	DS_TRY(gradient(x, it, target, &in, &grad, err));
	ds_status rc = ds_maps_add(out, DS_MAP_INPUT, t->rank - lead, t->dim + lead, &m, err);
	if (rc == DS_OK) {
		float *v = m->t.data;
		const float *a = in.data;
		for (int64_t i = 0; i < ds_tensor_count(t); i++)
			v[i] = grad[i] * a[i];
		m->has_sign = true;
		m->runs = 1;
	}
	ds_free(grad);
	ds_tensor_done(&in);
	return rc;
}

const ds_method ds_method_saliency = { "saliency", ds_explain_float_input, saliency, "size of the gradient, the largest over channels" };
const ds_method ds_method_gradient_input = { "gradient-input", ds_explain_float_input, gradient_input, "gradient times input" };
