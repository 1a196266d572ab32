/* profile.h - inside ds-profile: the settings, the job that all modes share, sections of the report
 *
 * A mode is one file here, a member in the settings, a row in the table of options and a row in the table of modes (both in ds-profile.c).  It gets the model and its
 * inputs from the job and prints sections. */
#ifndef DS_CMD_PROFILE_H
#define DS_CMD_PROFILE_H

#include <stdio.h>

#include "cli/cli.h"
#include "exec/exec.h"
#include "profile/answers.h"
#include "profile/ceiling.h"
#include "profile/load.h"
#include "profile/time.h"
#include "run/run.h"

typedef struct settings {
	ds_common   c;
	/* inputs */
	ds_strs     input;
	uint64_t    max_pixels;
	/* modes */
	bool        time, memory, macs;
	const char *trace, *html;
	bool        stats, merge;
	int         equalize;           /* of --stats: auto yes no */
	int64_t     max_samples;
	bool        is_sensitivity;
	int         sensitivity;        /* quantize prune, -1: not asked for */
	const char *bits, *range, *budget, *against, *ratio, *criterion;
	int64_t     group;
	/* how */
	int64_t     runs, warmup, top;
	bool        ceilings;
	/* load, conditions, cost */
	const char *load, *metrics;
	double      seconds, cost;
	int64_t     requests;
	ds_strs     assert_;
	bool        is_cost, is_assert;
} settings;

typedef struct job {
	settings   *s;
	ds_model   *m;
	ds_labels   names;              /* of the model's classes */
	ds_samples *samples;            /* NULL: no INPUT was named, job_inputs makes random ones */
	ds_sink    *out;
	bool        pretty;             /* the report goes to a terminal: aligned columns, units, bars */
	bool        ascii;              /* ... that does not know UTF-8 */
	int         sections;           /* written so far */
	ds_tensor **set;                /* of job_inputs: n_set times n_in tensors */
	int         n_set, n_in, items; /* items in each */
	uint64_t    failed, read;       /* samples that could not be read, and all */
	ds_session *session;            /* of job_session */
	ds_timing   timing;             /* of job_timing */
	ds_ceilings ceiling;            /* of job_ceilings */
	bool        timed, has_ceiling;
	ds_load_result load;            /* of job_load */
	bool        loaded;
	ds_load_kind load_kind;
	int         load_items;         /* requests computed together at most */
	double      joules;             /* of the machine during the load; NaN: not measured */
	ds_versus   versus;             /* of job_versus */
	bool        compared;
	double      percentile, rss;    /* of mode_prepare: the highest that a condition asks for, 0: none; bytes */
	bool        peak_spoilt;        /* the high-water mark of the process holds more than the model needs */
} job;

/* ---- what modes ask for; made at the first call, freed by ds-profile.c ---------------------------------------------------------- */
/* Inputs to run the model on, all of one shape: the first samples in batches of -b (default 1), at most 16 of them, or random ones when no INPUT was named.
 * DS_END: none of them could be read, which has been said; pass it on. */
ds_status job_inputs(job *j, ds_err *err);
/* A session as ds-run makes it, planned for these inputs. */
ds_status job_session(job *j, ds_session **s, ds_err *err);
/* Run it once on the inputs whose turn it is; arg is the job.  The outputs stay in the session. */
ds_status job_run(void *arg, int64_t run, ds_err *err);
/* The times of its steps (with ceilings), measured once however many modes draw from them. */
ds_status job_timing(job *j, const ds_timing **t, ds_err *err);
/* This machine's ceilings: measured, or from the cache. */
ds_status job_ceilings(job *j, const ds_ceilings **c, ds_err *err);
/* Requests as --load says, one after another without it; once however many modes draw from them. */
ds_status job_load(job *j, const ds_load_result **r, ds_err *err);
/* Price of 1000 requests, its lower and its upper end; after job_load. */
void      job_price(const job *j, double v[3]);
/* Parameters of the model, multiply-adds for one sample. */
ds_status job_counts(job *j, double *params, double *macs, ds_err *err);
/* The samples from the first one on, whoever has looked at them before. */
ds_status job_rewind(job *j, ds_err *err);
/* How output 0 is read, whose dims are these: classes, or a row of classes for each position. */
ds_answer_kind job_answer_kind(const ds_model *m, int rank, const int64_t *dim);
/* The named samples as model m takes them; NULL when none were named. */
ds_status job_open_samples(job *j, const ds_model *m, ds_samples **samples, ds_err *err);
/* The model of --against. */
ds_status job_load_reference(job *j, ds_model **ref, ds_err *err);
/* Answers of the two models on the named samples, once. */
ds_status job_versus(job *j, const ds_versus **v, ds_err *err);
/* What to call the model in reports: the file's name, "stdin". */
const char *job_model_name(const job *j);
/* A text to a file, atomically ("-": standard output is not accepted: the report goes there). */
ds_status job_write(const job *j, const char *path, const ds_buf *text, ds_err *err);

/* ---- the report: sections of rows ------------------------------------------------------------------------------------------------ */
/* TSV and JSON rows begin with the key `section`; a terminal gets a table with a heading.  Column names begin with '>' where they are right-aligned on a terminal.  A column
 * "|" is for cell_bar, there on terminals only; one that begins with '!' is for programs only (cell_only). */
enum { SECTION_COLUMNS = 24 };
typedef struct section {
	job        *j;
	const char *name;
	const char *key[SECTION_COLUMNS + 1];
	ds_rows    *rows;
	ds_table    table;
	int         at;
} section;
ds_status section_begin(section *o, job *j, const char *name, const char *const *columns, ds_err *err);
/* One call for each column, from left to right. */
void      cell_text(section *o, const char *s);
void      cell_i64(section *o, int64_t v);
/* Numbers: as they are for programs, with a unit and three or four digits for people; NaN: none.  unit: 's' seconds, 'B' bytes, '%' a share of 1, 'G' billions per second,
 * 'n' a count (1.23 M), 0: as it is. */
void      cell_num(section *o, double v, char unit);
void      cell_bar(section *o, double share);
void      cell_only(section *o, const char *s);
void      cell_none(section *o);
ds_status section_row(section *o, ds_err *err);
ds_status section_end(section *o, ds_err *err);
/* A failed section: frees only. */
void      section_drop(section *o);
/* Rows `key value` such as the machine's. */
ds_status section_pair(section *o, const char *key, const char *value, ds_err *err);
/* Does the terminal's locale say UTF-8 (LC_ALL, LC_CTYPE, LANG: the first that is set)? */
bool      locale_utf8(void);
/* The text of cell_num for people. */
char     *num_text(char buf[32], double v, char unit);

/* ---- the modes -------------------------------------------------------------------------------------------------------------------- */
/* Status of a mode: DS_E_CHECK lets the others go on and is the status at the end. */
ds_status mode_time(job *j, ds_err *err);
ds_status mode_memory(job *j, ds_err *err);
ds_status mode_macs(job *j, ds_err *err);
ds_status mode_trace(job *j, ds_err *err);
ds_status mode_html(job *j, ds_err *err);
ds_status mode_prepare(job *j, ds_err *err);
ds_status mode_load(job *j, ds_err *err);
ds_status mode_cost(job *j, ds_err *err);
ds_status mode_metrics(job *j, ds_err *err);
ds_status mode_assert(job *j, ds_err *err);
ds_status check_assert(const settings *s, ds_err *err);
ds_status mode_stats(job *j, ds_err *err);
ds_status mode_against(job *j, ds_err *err);
ds_status mode_sensitivity(job *j, ds_err *err);
ds_status check_sensitivity(const settings *s, ds_err *err);
/* --stats --merge, which needs no model. */
ds_status merge_stats(job *j, ds_err *err);

#endif
