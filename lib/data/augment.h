/* augment.h - random changes to training samples that leave their meaning: one row each in augment.c
 *
 * Random numbers come from a counter over (seed, epoch, item), so that what happens to a sample depends neither on threads nor on its place in a batch. */
#ifndef DS_AUGMENT_H
#define DS_AUGMENT_H

#include "../base/rng.h"
#include "../tensor/tensor.h"

/* How one sample of the model's first input lies in memory. */
typedef struct ds_aug_shape {
	int64_t n;                      /* values */
	bool    picture;                /* [c, h, w], or with `last` [h, w, c] */
	bool    last;
	int64_t c, h, w;
	int64_t len;                    /* of the last axis: time, for what moves along it */
} ds_aug_shape;

struct ds_aug_row;
typedef struct ds_aug_step { const struct ds_aug_row *row; double value; bool reflect; } ds_aug_step;
#define DS_AUG_MAX 16
typedef struct ds_augment {
	int         n;
	ds_aug_step step[DS_AUG_MAX];   /* in the order in which they were asked for */
	double      mixup;              /* parameter of the beta distribution, 0: none; the batch is mixed after everything else */
} ds_augment;

/* One kind of change. */
typedef struct ds_aug_row {
	const char *name;
	const char *value;              /* metavar of its value, NULL: it takes none */
	double      min, max;
	bool        picture;            /* for pictures only */
	bool        whole;              /* the value is a whole number */
	bool        input_only;         /* a target that is the input itself does not get it (denoising) */
	bool        reflect;            /* NAME:N:reflect is allowed */
	/* x in place; tmp has room for a copy.  NULL: done for the whole batch (mixup). */
	void      (*apply)(const ds_aug_step *s, const ds_aug_shape *z, float *x, float *tmp, ds_rng *r);
	const char *help;
} ds_aug_row;
const ds_aug_row *ds_aug_rows(int *n);

/* "flip,crop:4,cutout:8,mixup:0.2"; NULL or "": nothing.  DS_E_USAGE names what is wrong and what there is. */
ds_status ds_augment_parse(ds_augment *a, const char *text, ds_err *err);
/* May it be applied to samples of this shape?  DS_E_USAGE names the step. */
ds_status ds_augment_check(const ds_augment *a, const ds_aug_shape *z, ds_err *err);
/* One sample: x has z->n values, tmp too.  input_only: the steps of that kind, else all others. */
void      ds_augment_item(const ds_augment *a, const ds_aug_shape *z, float *x, float *tmp, bool input_only, ds_rng *r);
/* A number of Beta(a, a). */
double    ds_rng_beta(ds_rng *r, double a);

#endif
