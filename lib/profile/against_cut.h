/* against_cut.h - which channels of a pruned model's values are left: found by comparing parameters */
#ifndef DS_PROFILE_AGAINST_CUT_H
#define DS_PROFILE_AGAINST_CUT_H

#include "../prune/prune.h"

/* For each value of ref that lost some of its channels (axis 1): which of the reference's are left, rising.  Channels that leave together are known from the structure; of
 * each such group the vectors of the copy (biases, scales) are looked for, in order, among the reference's.  Values of groups where that is not clear are not told of.
 * ref: nodes and values named as in own. */
typedef ds_status (*ds_cut_fn)(void *arg, const char *value, const int32_t *left, int64_t n, int64_t of, ds_err *err);
ds_status ds_against_cuts(const ds_model *ref, const ds_graph *named, const ds_graph *own, ds_cut_fn tell, void *arg, ds_err *err);

#endif
