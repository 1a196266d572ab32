/* criteria.c - the criteria by weight: l1, l2, and random as the control
 *
 * A class is worth the mean, over the weights it takes slices from, of the slice's norm relative to the mean norm of that weight's slices.  The relation makes weights of
 * different size comparable within a group.  Output channels of linear weights count, as they stand (Li et al., "Pruning Filters for Efficient ConvNets", 2017): weighing them
 * with the factor of a following batch norm was tried on cifar10_resnet56 and fell behind random channels. */
#include "prune.h"
#include "../base/rng.h"

#include <math.h>
#include <string.h>

#define DS_CRITERION(x) extern const ds_criterion ds_criterion_##x;
#include "criteria.def"
#undef DS_CRITERION
#define DS_CRITERION(x) &ds_criterion_##x,
static const ds_criterion *const table[] = {
#include "criteria.def"
};
#undef DS_CRITERION

const ds_criterion *const *ds_criterion_all(int *n)
{
	*n = (int)DS_COUNTOF(table);
	return table;
}

const ds_criterion *ds_criterion_find(const char *name)
{
	for (size_t i = 0; i < DS_COUNTOF(table); i++)
		if (strcmp(table[i]->name, name) == 0)
			return table[i];
	return NULL;
}

/* Norms of the slices of w along `axis` (double, fixed order), relative to their mean, in a fresh array. */
static ds_status slice_norms(const ds_value *v, int axis, int power, double **out_norm, ds_err *err)
{
	ds_tensor w;
	double *norm = *out_norm = ds_calloc((size_t)v->data.dim[axis] + 1, sizeof *norm);
	if (!norm)
		return ds_fail_nomem(err, 0);
	DS_TRY(ds_tensor_to_f32(&v->data, &w, err));
	int64_t C = w.dim[axis], inner = 1, outer = 1;
	for (int i = 0; i < axis; i++)
		outer *= w.dim[i];
	for (int i = axis + 1; i < w.rank; i++)
		inner *= w.dim[i];
	const float *p = w.data;
	double mean = 0;
	for (int64_t c = 0; c < C; c++) {
		double sum = 0;
		for (int64_t o = 0; o < outer; o++)
			for (int64_t i = 0; i < inner; i++) {
				double x = fabs((double)p[(o * C + c) * inner + i]);
				sum += power == 1 ? x : x * x;
			}
		norm[c] = (power == 1 ? sum : sqrt(sum));
		mean += norm[c];
	}
	mean /= (double)DS_MAX(C, 1);
	for (int64_t c = 0; mean > 0 && c < C; c++)
		norm[c] /= mean;
	ds_tensor_done(&w);
	return DS_OK;
}

static ds_status by_norm(ds_structure *s, int power, ds_err *err)
{
	ds_status rc = DS_OK;
	int n = s->known.n;
	double **norm = ds_calloc((size_t)n * DS_MAX_RANK + 1, sizeof *norm);
	ds_value **weight = ds_calloc((size_t)n + 1, sizeof *weight);
	if (!norm || !weight) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	for (int i = 0; i < s->g->n_weight; i++)
		weight[s->g->weight[i]->id] = s->g->weight[i];
	for (int i = 0; i < s->n_cls; i++) {
		ds_pclass *c = &s->cls[i];
		int parts = 0;
		c->score = 0;
		/* Output channels of weights; where none is a weight itself (a weight that is reshaped before use), whatever weights the class cuts. */
		for (int pass = 0; pass < 2 && !parts; pass++)
			for (int k = 0; k < c->n; k++) {
				const ds_pelem *e = &s->elem[c->first + k];
				size_t at = (size_t)e->value * DS_MAX_RANK + (size_t)e->axis;
				const ds_value *w = weight[e->value];
				if (!w || !w->data.data || (pass == 0 ? !e->source : w->data.rank < 2))
					continue;
				if (!norm[at])
					DS_GOTO(slice_norms(w, e->axis, power, &norm[at], err));
				c->score += norm[at][e->index];
				parts++;
			}
		if (parts)
			c->score /= parts;
	}
out:
	for (size_t i = 0; norm && i < (size_t)n * DS_MAX_RANK; i++)
		ds_free(norm[i]);
	ds_free(norm);
	ds_free(weight);
	return rc;
}

static ds_status score_l1(ds_structure *s, const ds_model *m, const ds_criterion_opts *o, ds_err *err)
{
	(void)m, (void)o;
	return by_norm(s, 1, err);
}

static ds_status score_l2(ds_structure *s, const ds_model *m, const ds_criterion_opts *o, ds_err *err)
{
	(void)m, (void)o;
	return by_norm(s, 2, err);
}

/* The control: what a criterion must beat. */
static ds_status score_random(ds_structure *s, const ds_model *m, const ds_criterion_opts *o, ds_err *err)
{
	(void)m, (void)err;
	for (int i = 0; i < s->n_cls; i++)
		s->cls[i].score = (double)(ds_rng_at(o->seed, 1, (uint64_t)i) >> 11) * 0x1p-53;
	return DS_OK;
}

const ds_criterion ds_criterion_l1 = { "l1", false, score_l1, "sum of the absolute weights of a filter" };
const ds_criterion ds_criterion_l2 = { "l2", false, score_l2, "Euclidean norm of a filter" };
const ds_criterion ds_criterion_random = { "random", false, score_random, "no criterion: the control" };
