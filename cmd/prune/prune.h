/* prune.h - one run of ds-prune: its settings, what it holds, and what its parts do for each other */
#ifndef DS_PRUNE_WORK_H
#define DS_PRUNE_WORK_H

#include "cli/cli.h"
#include "format/dsm.h"
#include "format/history.h"
#include "slim/slim.h"

typedef struct settings {
	ds_common   c;
	int         unit, scope, schedule;
	const char *criterion, *loss, *finetune, *control, *latency_table, *front;
	const char *target_params, *target_macs, *target_size, *target_latency;
	double      ratio, holdout, max_drop;
	int64_t     min_keep, round, samples, steps;
	bool        hold;               /* --max-drop was given */
	ds_fit_words words;             /* of --finetune */
	char       *words_text;
	const char *freeze[32];
} settings;

typedef struct voice { settings *s; ds_progress *bar; char what[40]; int64_t total; } voice;
typedef struct only_arg { ds_filterset set; } only_arg;

typedef struct work {
	settings     *s;
	ds_model     *m;
	ds_graph     *before;           /* as it was read */
	ds_structure *st;               /* of it: frozen are what --only and --except leave out */
	only_arg      only;
	ds_slim_plan  p;
	ds_latency   *table;
	ds_slim      *slim;
	ds_slim_result r, control;
	ds_source    *plan_src;
	void         *plan_owner;
	voice         v;
	double        accuracy_before, accuracy_after;
} work;

/* ---- words: options, targets, words of training ----------------------------------------------------------------------------------- */
/* Combinations that make no sense, and the words of --finetune -> s->words.  DS_E_USAGE. */
ds_status prune_check(void *p, ds_err *err);
/* What a target is of, and how much. */
typedef struct target { const char *option, *text; ds_cost_kind kind; } target;
int       prune_targets(const settings *s, target *t);         /* how many are given; *t is the last of them */
/* "40%", "250000", "1.5M" (millions; of bytes 2^20), milliseconds.  share: of the whole. */
ds_status prune_parse_amount(const target *t, double *v, bool *share, ds_err *err);

/* ---- report: what changed ---------------------------------------------------------------------------------------------------------- */
/* A row for each layer, and the sum: to --report, and as notes with -v. */
ds_status prune_show_table(const work *w, const ds_model *before, const ds_model *after, ds_err *err);

#endif
