/* memory.h - memory of a run over its steps: the plan, who holds its peak, what a run really writes */
#ifndef DS_PROFILE_MEMORY_H
#define DS_PROFILE_MEMORY_H

#include "../exec/exec.h"

/* A block of the arena and the steps that it lives for. */
typedef struct ds_memory_block {
	const char *value, *node, *op;  /* the value it was made for ("": a conversion of layout) and the node that makes it */
	size_t      offset, bytes, room;
	int         first, last;        /* steps of the plan */
	bool        at_peak;            /* alive when most is */
} ds_memory_block;

typedef struct ds_memory_step {
	const char *node, *op, *kernel;
	size_t      live;               /* bytes of all values that are alive */
	size_t      scratch;            /* what the step works in besides */
	int         blocks;
	int         largest;            /* number of the largest block alive, -1: none */
} ds_memory_step;

typedef struct ds_memory {
	ds_arena         arena;
	ds_memory_step  *step;   int n_step;    /* views included: they are steps of the plan that run nothing */
	ds_memory_block *block;  int n_block;
	int              peak;          /* the step where most is alive, -1: no steps */
	size_t           live;          /* ... and how much: no plan needs less */
	size_t           planned;       /* end of the highest value in the arena: the planned peak */
	size_t           arena_bytes;   /* the same with the room behind it */
	size_t           naive;         /* if every value had memory of its own */
	size_t           scratch, prep; /* for steps to work in, the largest; packed weights */
	size_t           painted, painted_scratch;      /* end of what runs have written, found by painting; 0: not looked for */
} ds_memory;

/* The plan of the session's last run (or ds_session_plan). */
ds_status ds_memory_plan(ds_memory *m, const ds_session *s, ds_err *err);
/* Paint the arena with one pattern and with its complement, let fn run the session after each, and find the last byte that a run has changed. */
ds_status ds_memory_paint(ds_memory *m, ds_session *s, ds_status (*fn)(void *arg, int64_t run, ds_err *err), void *arg, ds_err *err);
void      ds_memory_done(ds_memory *m);

#endif
