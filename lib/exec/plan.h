/* plan.h - inside exec: what planning makes and running uses */
#ifndef DS_EXEC_PLAN_H
#define DS_EXEC_PLAN_H

#include "exec.h"

/* Memory of one or several values.  ARENA storage has an offset into the plan's block; INPUT data come with each run; KNOWN data belong to the
 * plan (constants, folded values). */
typedef enum ds_where { DS_AT_ARENA, DS_AT_INPUT, DS_AT_KNOWN } ds_where;
typedef struct ds_slot {
	ds_where  where;
	ds_tensor t;            /* header; data set for KNOWN when planned, for ARENA when the block exists, for INPUT at each run */
	int       storage;      /* slot whose memory this one uses (itself, or the one it is a view of) */
	size_t    bytes;
	int       first, last;  /* steps between which the storage lives (kept on the storage's slot) */
	int       until;        /* position of the last node that reads a value kept here (on the storage's slot); INT_MAX: an output */
	size_t    offset, room;         /* (on the storage's slot) where it is in the block, and how much of it with what is left free behind */
} ds_slot;

typedef struct ds_step {
	ds_node          *node;
	const ds_variant *variant;      /* NULL: the reference */
	int              *in, *out;     /* slots; -1: absent */
	const void       *prep;
	size_t            scratch;
	bool              view;         /* out[0] is in[0] under another header: nothing to do */
} ds_step;

/* A packed weight, shared by the plans of a session. */
typedef struct ds_prep {
	struct ds_prep   *next;
	const ds_variant *variant;
	uint64_t          key;
	void             *data;
	size_t            bytes;
} ds_prep;

typedef struct ds_plan {
	struct ds_plan *next;           /* most recently used first */
	ds_type   *in;                  /* the input types it is for */
	ds_graph  *g;                   /* clone with concrete types */
	ds_bound   known;               /* by value id of g */
	ds_slot   *slot;  int n_slot;   size_t cap_slot;
	ds_step   *step;  int n_step;   size_t cap_step;
	int       *slot_of;             /* by value id: slot with the value in the layout it is made in, -1: none */
	int       *other;               /* by slot: the slot with the same value in the other layout, -1: none */
	int       *output;              /* slots of the graph's outputs, plain layout */
	ds_arena   arena;               /* in/out arrays of steps */
	void      *block;               /* ARENA storage, then scratch */
	size_t     block_bytes, scratch, naive_bytes;
	int        folded;
} ds_plan;

struct ds_session {
	ds_session_opts o;
	ds_graph  *g;                   /* after the rewrites that do not depend on shapes */
	ds_buf     log;                 /* what they did, and why not elsewhere: rewrite, node, text by tabs */
	ds_pool   *pool;
	ds_plan   *plans;
	ds_prep   *preps;
	size_t     prep_bytes;
	ds_tap_fn  tap;
	void      *tap_arg;
	ds_clock_fn clock;
	void      *clock_arg;
};

enum { DS_PLANS_KEPT = 4 };

ds_status ds_plan_new(ds_plan **out, ds_session *s, const ds_type *in, ds_err *err);
void      ds_plan_free(ds_plan *p);
/* Cost of one node of a bound graph; 0 when it is folded (bind.c). */
ds_status ds_node_cost(const ds_node *n, const ds_bound *known, ds_cost *cost, ds_err *err);
/* Lay storage out by liveness: sets offsets and block_bytes (plan_memory.c). */
ds_status ds_plan_memory(ds_plan *p, bool reuse, ds_err *err);

#endif
