/* search.h - inside prune: costs of plans, and the table of measured layers */
#ifndef DS_PRUNE_SEARCH_H
#define DS_PRUNE_SEARCH_H

#include "prune.h"

typedef struct ds_costs ds_costs;
/* table: for DS_COST_LATENCY. */
ds_status ds_costs_new(ds_costs **c, const ds_structure *s, ds_cost_kind kind, const ds_latency *table, ds_err *err);
void      ds_costs_free(ds_costs *c);
/* The cost of a plan, which becomes the present one. */
double    ds_costs_total(ds_costs *c, const int *keep);
/* What would change if `group` kept `to` units; keep[] is the present plan (changed and put back). */
double    ds_costs_change(const ds_costs *c, int *keep, int group, int to);
void      ds_costs_move(ds_costs *c, int *keep, int group, int to);
/* pair[a * groups + b] = 1 where some term depends on both groups. */
void      ds_costs_neighbours(const ds_costs *c, char *pair);

/* Numbers of units that a plan may keep of a group, falling, the whole group first: multiples of o->round not below o->min_keep.  Returns how many, at most cap (evenly
 * spread where there are more). */
int       ds_prune_keeps(const ds_structure *s, const ds_prune_opts *o, int group, int *keep, int cap);

/* Channels that a node reads and makes, as the table counts them: axis 1, of matrices the last one. */
void      ds_node_channels(const ds_node *n, const ds_type *in, const ds_type *out, int64_t *ci, int64_t *co);
int       ds_latency_find(const ds_latency *t, const char *node);               /* -1: it takes no time */
double    ds_latency_at(const ds_latency *t, int node, int64_t ci, int64_t co); /* seconds */
double    ds_latency_rest(const ds_latency *t);                                 /* what no node accounts for */

#endif
