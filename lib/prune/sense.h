/* sense.h - inside prune: the graph that answers how the loss depends on channels */
#ifndef DS_PRUNE_SENSE_H
#define DS_PRUNE_SENSE_H

#include "prune.h"

/* A place where channels of classes can be read off: an edge to a node that sums over them, or a weight. */
typedef struct ds_sense_at {
	int       node, slot;           /* of the structure's graph: input `slot` of node `node`; node -1: weight `slot` */
	int       axis;
	int64_t   extent;
	const int *cls;                 /* by index along the axis; -1: belongs to no class, or was counted elsewhere */
	int       wrt;                  /* which of the values that gradients are taken of */
	int       out;                  /* output of the graph [items, extent] or [extent]; -1: the loss does not depend on it */
} ds_sense_at;

typedef struct ds_sense {
	ds_structure  *s;
	const ds_model *m;
	const ds_criterion_opts *o;
	ds_sense_at   *at;  int n_at;  size_t cap_at;
	int          **cls;             /* by value id * DS_MAX_RANK + axis of the structure: classes by index, NULL: none */
	ds_arena       arena;
	ds_graph      *g;               /* inputs: the model's, target; outputs: loss, then one for each place */
	ds_session    *session;
	ds_tensor     *feed, *out;
	int            n_target;        /* 1: there is one */
	bool           weights;
	int64_t        items;           /* per batch */
} ds_sense;

/* Places are chosen; weights: |weight * gradient| summed over each slice of every weight; else the gradient of a gate on each channel, for each item alone: the sum over
 * positions of value * gradient at every edge where the channel leaves its class (into a sum over channels).  Nothing is left on failure. */
ds_status ds_sense_new(ds_sense *s, ds_structure *st, const ds_model *m, bool weights, const ds_criterion_opts *o, ds_err *err);
void      ds_sense_done(ds_sense *s);
/* One batch: s->out holds the results. */
ds_status ds_sense_run(ds_sense *s, const ds_tensor *in, int n_in, const ds_tensor *target, ds_err *err);

#endif
