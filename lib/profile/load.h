/* load.h - load on a model: requests that arrive whether it is ready or not, and how long each of them took
 *
 * Open loop: the times of arrival are fixed before the run by the seed; a request waits in a queue while the model is busy, and its latency is counted from the time it
 * was to arrive.  So one long stall is felt by all requests that came in the meantime (no coordinated omission).  Closed loop: the next request arrives when the last one
 * is done, which measures what the model can do at most. */
#ifndef DS_PROFILE_LOAD_H
#define DS_PROFILE_LOAD_H

#include "dist.h"

typedef enum ds_load_kind { DS_LOAD_CLOSED, DS_LOAD_POISSON, DS_LOAD_CONSTANT } ds_load_kind;

/* "closed", "poisson:RATE", "constant:RATE", RATE in requests per second.  DS_E_USAGE says what is allowed. */
ds_status ds_load_parse(const char *text, ds_load_kind *kind, double *rate, ds_err *err);

enum { DS_LOAD_SIZES = 4 };             /* numbers of requests that go together */

/* A clock in seconds; tests bring one of their own, in which a second takes no time. */
typedef struct ds_load_clock {
	double (*now)(void *arg);
	void   (*until)(void *arg, double t);           /* returns at t or soon after; at once when t is over */
	void    *arg;
} ds_load_clock;

typedef struct ds_load_opts {
	ds_load_kind  kind;
	double        rate;             /* requests per second, open loop */
	double        seconds;          /* of arrivals, 0: no limit */
	int64_t       requests;         /* 0: no limit; one of the two must be set */
	uint64_t      seed;             /* of the times of arrival */
	double        drain;            /* seconds after the last arrival in which waiting requests are still served */
	const int    *batch;            /* numbers of requests that may be computed together, rising, the first is 1; NULL: one at a time */
	int           n_batch;
	/* Compute requests first .. first+n-1.  DS_E_INPUT: these have failed, go on; any other failure ends the run. */
	ds_status   (*serve)(void *arg, int64_t first, int n, ds_err *err);
	/* Called now and then, at most ten times a second; may be NULL. */
	void        (*progress)(void *arg, int64_t done);
	void         *arg;
	const ds_load_clock *clock;     /* NULL: the real one */
} ds_load_opts;

typedef struct ds_load_result {
	uint64_t arrived, done, failed;
	uint64_t left;                  /* arrived but still waiting when the time of draining was over */
	double   seconds;               /* from the start until the last request was done */
	double   offered, rate;         /* requests per second: that arrived, that were done */
	double   rate_lo, rate_hi;      /* 95 %; NaN when there were too few */
	double   busy;                  /* share of the time in which the model computed */
	int64_t  queue_max;             /* requests that waited at one time, those being computed not counted */
	ds_dist  latency;               /* of those done and left (these count with their age at the end: a lower bound); not of those that failed */
	ds_dist  service;               /* time of computing, per request */
} ds_load_result;

ds_status ds_load_run(ds_load_result *r, const ds_load_opts *o, ds_err *err);
void      ds_load_result_done(ds_load_result *r);

#endif
