/* time.h - where the time of a run goes: every step of a session over many runs, and what profiling costs
 *
 * One struct holds all that was measured; the text, the trace and the page are drawn from it.  Runs with the clock and runs without it are made in turns (pairs), so that
 * what the clock costs is the median of their differences and changes of the machine's speed hit both alike.  A pair in which the system took a processor away from this
 * process is left out and made again, as long as that is possible in about four times the time.
 *
 * Figures are medians over the runs.  Rows sum to the wall time: the overhead is, run by run, what the steps leave of the wall time, and `variation` is what medians of parts
 * lack to the median of the whole (little on a quiet machine). */
#ifndef DS_PROFILE_TIME_H
#define DS_PROFILE_TIME_H

#include "../exec/exec.h"

/* Median and quartiles of a row over the runs, seconds. */
typedef struct ds_spread { double q1, median, q3; } ds_spread;
/* Of n values, which are sorted in place; quartiles between values are interpolated (n 0: NaN). */
ds_spread ds_spread_of(double *v, int n);

/* What limits a step: the arithmetic of its type, or reading and writing at a level of memory.  Index of ds_ceilings.ops. */
typedef enum ds_number { DS_NUM_F32, DS_NUM_BF16, DS_NUM_I8, DS_NUM_COUNT } ds_number;
extern const char *const ds_number_names[DS_NUM_COUNT + 1];     /* "f32", "bf16", "i8" */

/* One step of the plan, in execution order.  Steps that only change a header (kernel "view") are not run and not here. */
typedef struct ds_time_row {
	const char *node;               /* label of the node, "" if it has none; "relayout": a conversion of layout before the node that follows */
	const char *op;                 /* "Conv" */
	const char *kernel;             /* name of the variant, or "reference" */
	const char *out;                /* "f32[1, 64, 55, 55]" */
	int         step;               /* number of the step in the session's plan (ds_session_step) */
	ds_number   number;             /* type of its arithmetic */
	ds_spread   time;
	double      begin, took;        /* in the run that is shown: seconds since its start */
	ds_cost     cost;               /* macs, other arithmetic, bytes of weights and activations touched */
	size_t      live;               /* bytes of the plan's arena that hold values during this step */
	double      least;              /* seconds that the roofline asks for (ds_time_ceilings), 0: not known */
	const char *bound;              /* what asks for them: "f32", "i8", "L2", "DRAM"; "": not known */
} ds_time_row;

/* The same by type of operator, most expensive first. */
typedef struct ds_time_op { const char *op; int n; ds_spread time; ds_cost cost; double least; } ds_time_op;

typedef struct ds_timing {
	ds_arena     arena;             /* the strings */
	ds_time_row *row;  int n_row;
	ds_time_op  *op;   int n_op;
	int          runs, warmup;      /* clocked runs that count, and as many without the clock */
	int          disturbed;         /* pairs that were left out; -1: too many to be choosy: all count, but for the steps that were hit */
	int          items;             /* samples computed together in one run */
	int          threads;
	ds_spread    wall, overhead;    /* of a clocked run; what its steps leave of it: between them, around the run, the clock */
	double       variation;         /* wall.median - overhead.median - sum of row[].time.median */
	ds_spread    plain;             /* wall time of the runs without the clock */
	ds_spread    cost;              /* what profiling costs: with the clock - without, over the pairs */
	double       shown;             /* wall time of the run that begin and took are from: the one nearest to the median */
	size_t       arena_bytes;       /* of the plan, scratch apart: row[].live is never more */
} ds_timing;

/* One run: everything between the two calls of the clock around fn counts as wall time. */
typedef ds_status (*ds_time_run_fn)(void *arg, int64_t run, ds_err *err);

typedef struct ds_time_opts {
	int    runs;                    /* pairs, 0: for about a second in all, at least 10, at most 10000 */
	int    warmup;                  /* -1: 3 and at least 0.1 s */
	uint64_t memory_limit;          /* bytes for what is kept of all runs, 0: none (DS_E_LIMIT) */
} ds_time_opts;
/* Time session s, which fn runs once per call (`run` counts from 0, so that it can go through several inputs of one shape).  All runs must use the same plan.
 * The session's clock is taken and given back (NULL).  items and threads are not filled in. */
ds_status ds_time_measure(ds_timing *t, ds_session *s, const ds_time_opts *o, ds_time_run_fn fn, void *arg, ds_err *err);
void      ds_time_done(ds_timing *t);

/* How much of what is possible: fills least and bound of rows and operators. */
struct ds_ceilings;
void      ds_time_ceilings(ds_timing *t, const struct ds_ceilings *c);

/* Trace events as the Perfetto UI and chrome://tracing load them (JSON object format: complete events of the shown run, a counter of live bytes, names of process and
 * thread). */
ds_status ds_time_trace(const ds_timing *t, const char *model, ds_buf *out, ds_err *err);

/* Seconds of CLOCK_MONOTONIC. */
double    ds_time_now(void);

#endif
