/* exec.h - from a graph and concrete input shapes to results: bind, infer, fold, rewrite, plan memory, run
 *
 * A session clones the model's graph once and applies the rewrites that do not depend on shapes (rewrite/).  For every new set of input shapes it
 * makes a plan: types are inferred with known values, shape arithmetic and constants are folded, variants are chosen, layouts assigned (conversions
 * inserted where they change), constant inputs packed (shared between the plans of a session), and all intermediate memory laid out by liveness. */
#ifndef DS_EXEC_H
#define DS_EXEC_H

#include "../graph/model.h"
#include "../graph/op.h"

typedef struct ds_session_opts {
	int         threads;            /* 0: all */
	bool        no_rewrite;         /* run the graph as it stands (reference) */
	bool        no_variants;        /* reference kernels only */
	bool        keep_all;           /* no rewrites, no memory reuse: every inner value of the graph as given can be asked for */
	uint64_t    memory_limit;       /* bytes of plan memory, 0: none */
} ds_session_opts;

ds_status ds_session_new_opts(ds_session **s, const ds_graph *g, const ds_session_opts *o, ds_err *err);
/* A tap sees the values of a run as they are computed, in execution order (calibration, --tensors, statistics).  `name` matches graph names after
 * rewriting; the tensor is valid during the call and may have any layout.  Used with keep_all. */
typedef ds_status (*ds_tap_fn)(void *arg, const ds_node *n, int out_index, const ds_tensor *t, ds_err *err);
void      ds_session_tap(ds_session *s, ds_tap_fn fn, void *arg);
/* A clock is told when each step of a run began (seconds of CLOCK_MONOTONIC) and how long it took, in execution order, as the session runs anyway (fused, memory
 * reused); steps that only change a header are not run.  `step` is the number that ds_session_step knows.  Conversions of layout are nodes called "relayout" in
 * front of the node that wants them. */
typedef void (*ds_clock_fn)(void *arg, int step, const ds_node *n, double begin, double seconds);
void      ds_session_clock(ds_session *s, ds_clock_fn fn, void *arg);
ds_pool  *ds_session_pool(ds_session *s);
/* Plan for inputs of these types before the first run.  DS_E_LIMIT: more memory than the limit. */
ds_status ds_session_plan(ds_session *s, const ds_type *in, int n_in, ds_err *err);
/* ds_session_run whose outputs are headers over the session's own memory (plain, not owned): valid until the next run, nothing is copied. */
ds_status ds_session_run_view(ds_session *s, const ds_tensor *in, int n_in, ds_tensor *out, int n_out, ds_err *err);
/* The graph that will run (after shape-independent rewrites). */
const ds_graph *ds_session_graph(const ds_session *s);

/* Counters of the plan that the last run used. */
typedef struct ds_plan_info { size_t arena_bytes, naive_bytes, prep_bytes; int nodes, folded; } ds_plan_info;
void      ds_session_info(const ds_session *s, ds_plan_info *info);
/* The plan that the last run used, step by step; everything is valid until the plan goes (another run with other shapes, the end of the session). */
typedef struct ds_step_info {
	const ds_node   *node;          /* with concrete types */
	const char      *kernel;        /* name of the variant, "reference", or "view" (nothing is run) */
	const ds_tensor *out;           /* header of output 0 */
	bool             view;
	size_t           prep_bytes;    /* packed weights */
	size_t           scratch;
	ds_cost          cost;          /* of the operator's row; where weights are packed, weight_bytes are the packed ones */
} ds_step_info;
int       ds_session_steps(const ds_session *s);        /* 0: nothing was run or planned yet */
ds_status ds_session_step(const ds_session *s, int i, ds_step_info *info, ds_err *err);
/* Which steps make what step i reads, or -1 - k for the model's input k; views are followed to what they show, constants left out.  i == ds_session_steps() + k: what
 * the model's output k is.  Answers how many there are and stores at most `cap` of them. */
int       ds_session_sources(const ds_session *s, int i, int *from, int cap);
/* Memory of values between steps: a block that one value, or several after one another (in place, views), have from step `first` to step `last`.  The plan's arena
 * is as large as the highest offset + room. */
typedef struct ds_storage_info {
	const ds_value *value;          /* the one that it was made for; NULL: a conversion of layout */
	const ds_node  *node;           /* that makes it */
	size_t          offset, bytes, room;    /* room: bytes with alignment and slack behind */
	int             first, last;
} ds_storage_info;
int       ds_session_storages(const ds_session *s);
void      ds_session_storage(const ds_session *s, int i, ds_storage_info *info);        /* in the order of `first` */
/* Fill the plan's memory (arena and scratch) with a byte, and find the bytes up to and including the last one that is no longer it, in each of the two: what a run in
 * between has written.  A byte that happens to be written as it was is not seen; two runs with different bytes leave little to chance. */
void      ds_session_paint(ds_session *s, unsigned char byte);
void      ds_session_painted(const ds_session *s, unsigned char byte, size_t *arena, size_t *scratch);
/* Text for --dump=plan, alloc, kernels: "what" is one of these words. */
ds_status ds_session_dump(ds_session *s, const char *what, ds_buf *out, ds_err *err);

/* Bind a graph to concrete input types: infers every value, and gives constant tensors to the values that are known.  The graph is changed in
 * place (types of values).  `known` (may be NULL) gets an array of tensors by value id after ds_graph_number; free with ds_bound_free. */
typedef struct ds_bound { ds_tensor *known; int n; } ds_bound;
ds_status ds_graph_bind(ds_graph *g, const ds_type *in, int n_in, ds_bound *known, ds_err *err);
void      ds_bound_free(ds_bound *b);
/* Cost per node of a bound graph: array by node id. */
ds_status ds_graph_costs(const ds_graph *g, const ds_bound *known, ds_cost *cost, ds_err *err);

#endif
