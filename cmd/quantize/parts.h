/* parts.h - inside ds-quantize: settings, the table of bits, the account, the two ways through */
#ifndef DS_CMD_QUANTIZE_PARTS_H
#define DS_CMD_QUANTIZE_PARTS_H

#include "cli/cli.h"
#include "format/dsm.h"
#include "quantize/plan.h"

typedef struct settings {
	ds_common   c;
	int         bits;               /* index into bit_names */
	int64_t     group;
	const char *range;
	ds_strs     keep;
	int         equalize;           /* auto yes no */
	bool        no_bias;
	int64_t     max_samples;
	bool        qat;
	/* derived */
	ds_qbits    base;               /* of --bits */
	bool        trained;            /* --bits trained */
	bool        activations;        /* bits of activations too: by --bits, or by the plan */
	ds_qrule    rule;
	const char **keep_glob;         /* the GLOB of each GLOB=BITS */
	ds_qbits   *keep_bits;
	bool       *keep_used;          /* has it matched anything? */
	ds_filterset only;
	ds_qplan    plan;               /* of --plan */
	ds_source  *plan_src;
	void       *plan_owner;
	ds_buf      plan_text, effective; /* for the history */
} settings;

/* ---- one table of bits per layer (table.c) -------------------------------------------------------------------------------------- */
/* GLOB=BITS of --keep; table_done() frees it, after a failure too. */
ds_status table_words(settings *s, ds_err *err);
/* Read --plan, if there is one, and what it decides: with activations or without. */
ds_status table_read(settings *s, ds_err *err);
/* Fill a row of the model: from the plan, else from --bits, --keep, --only, --except.  *why: why it stays as it is, NULL: it does not. */
ds_status table_decide(settings *s, ds_qrow *row, const char **why, ds_err *err);
/* Patterns that named nothing, rows of the plan that no layer took. */
ds_status table_check(settings *s, uint32_t crc, uint64_t len, ds_err *err);
/* For the history: the settings without those that a plan stands for, and the line that sums the plan (NULL: none; ds_free). */
ds_status table_history(settings *s, const char **effective, char **external, ds_err *err);
/* --dry-run. */
ds_status table_print(ds_qplan *p, uint32_t crc, uint64_t len, ds_sink *out, ds_err *err);
void      table_done(settings *s);

/* ---- the account (account.c) ---------------------------------------------------------------------------------------------------- */
typedef struct account {
	ds_sink  *report;               /* --report, NULL: none */
	double    weights, weight_bits; /* quantised tensors: elements, bits with every plane */
	int       tensors, quantised;
} account;
ds_status tell_tensor(account *a, const settings *s, const char *name, const ds_tnsr *t, const ds_qw_stat *st, ds_err *err);
ds_status tell_layer(account *a, const ds_qlayer *l, ds_err *err);
ds_status tell_end(account *a, uint64_t before, uint64_t after, ds_err *err);
/* The library's log under -v: lines `rewrite TAB node TAB what was done`.  Frees it. */
void      tell_log(ds_buf *log);

/* ---- the two ways through ------------------------------------------------------------------------------------------------------- */
ds_status run_weights(settings *s, ds_source **src, ds_sink *sink, ds_sink *report, ds_err *err);       /* weights.c: one pass */
ds_status run_model(settings *s, ds_source **src, ds_sink *sink, ds_sink *report, ds_err *err);         /* calibrated.c: the whole model in memory */

#endif
