/* head.h - inside train: what losses are built from */
#ifndef DS_TRAIN_HEAD_H
#define DS_TRAIN_HEAD_H

#include "train.h"

/* The axis of classes: the last one of [N, C] and [N, T, V], axis 1 of maps [N, C, H, W]. */
static inline int ds_class_axis(const ds_type *t) { return t->rank <= 3 ? t->rank - 1 : 1; }

ds_value *ds_head_mean(ds_emit *e, ds_value *v);        /* of everything: a scalar */
/* Class numbers -> targets with a new axis of classes, smoothed (Szegedy et al. 2016, arXiv:1512.00567): 1 - s + s / C on the class, s / C elsewhere. */
ds_value *ds_head_one_hot(ds_emit *e, ds_value *target, int axis, int64_t classes, double smoothing);
/* Rows of [N, D] at length 1. */
ds_value *ds_head_unit_rows(ds_emit *e, ds_value *v);

#endif
