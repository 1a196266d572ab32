/* job.h - what the parts of ds-explain share: settings, one run, one result, the table of outputs */
#ifndef DS_CMD_EXPLAIN_JOB_H
#define DS_CMD_EXPLAIN_JOB_H

#include "cli/cli.h"
#include "data/data.h"
#include "draw/draw.h"
#include "explain/cut.h"
#include "explain/explain.h"
#include "format/dsm.h"
#include "run/run.h"

typedef struct settings {
	ds_common   c;
	/* what is explained */
	ds_strs     input, classes;
	const char *labels, *truth, *method, *layer, *about, *words;
	int64_t     top, head, position, max_errors;
	uint64_t    max_pixels;
	/* how */
	const char *baseline;
	int64_t     samples, steps, patch, stride;
	double      noise, max_gap, epsilon, gamma;
	bool        drop_probability;
	/* what comes out */
	int         raw, view, to, on;     /* -1: not asked for; a choice */
	int64_t     top_tokens;
	const char *colors;
	int64_t     columns, zoom;
	double      opacity, clip, blur;
	const char *out_dir;
	/* is it true */
	bool        faithful;
	int64_t     grid, orders, sanity;
	const char *curves, *against;
	double      max_drift;
} settings;

typedef struct job job;

/* One item explained: its prediction and its maps, those of one target after another. */
typedef struct ex_result {
	const ds_item   *item;
	ds_explain_item  it;
	const float     *logit, *probability;   /* n elements of the first output */
	int64_t          n;
	ds_maps          maps;
} ex_result;

/* A way to give results: one row of the table in ds-explain.c, the first that is chosen serves. */
typedef struct ex_output {
	const char *name;
	bool        binary;             /* not for a terminal */
	bool      (*chosen)(const job *j);      /* settings and the model are known */
	ds_status (*start)(job *j, ds_err *err);
	ds_status (*item)(job *j, const ex_result *r, ds_err *err);
	ds_status (*end)(job *j, ds_err *err);          /* DS_E_CHECK: all is given, and a check failed */
	void      (*drop)(job *j);      /* give up what `state` holds; called in every case */
} ex_output;
extern const ex_output ex_output_blocks, ex_output_tokens, ex_output_html, ex_output_text, ex_output_rows, ex_output_raw, ex_output_picture, ex_output_faithful, ex_output_drift,
	ex_output_dir;
/* The first of the table that is chosen; with `after`, the first behind that. */
const ex_output *ex_choose(const job *j, const ex_output *after);

/* The input whose numbers are tokens, and what they are called. */
typedef struct ex_tokens {
	bool      on;
	int       input;                /* of the model */
	bool      bytes;
	ds_vocab  vocab;
	ds_labels words;                /* --words */
} ex_tokens;
enum { EX_PNG, EX_HTML, EX_TEXT };      /* --to */
enum { EX_PAIR, EX_OVERLAY, EX_HEAT, EX_MATRIX };       /* --view */
enum { EX_NETWORK, EX_ORIGINAL };                       /* --on */

struct job {
	settings         *s;
	ds_model         *m;
	ds_samples       *samples;
	ds_explainer     *x;
	const ds_method  *method;
	ds_labels         names;
	ds_cut           *cut;          /* maps are about a value inside; NULL: about an input */
	int               source;       /* the model's input that maps are about in the end */
	ex_tokens         token;
	bool              sound;
	int64_t           rate;         /* of a sound: samples in a second, 0: not known */
	int               frames;       /* axis of time of the spectrogram that maps are about, 0: they are about samples */
	ds_prep_spec      prep;         /* of the explained input */
	bool              picture;      /* it has preprocessing */
	ds_tensor         baseline;     /* read from a file */
	ds_sink          *out, *report;
	const ex_output  *output;
	void             *state;        /* of the output */
	uint64_t          n, failed;
};

/* rows.c: one row for a map, to rows of tsv or json and to --report. */
extern const char *const ex_columns[];
void      ex_put_cells(const job *j, ds_rows *rows, const ex_result *r, const ds_map *m);
ds_status ex_put_row(const job *j, ds_rows *rows, const ex_result *r, const ds_map *m, ds_err *err);
/* Where the map is largest (of maps with a sign: speaks most for the class): column and row, -1: does not apply. */
void      ex_top_place(const job *j, const ex_result *r, const ds_map *m, int64_t *x, int64_t *y);
/* The class of a map's target, and what it is called (NULL: it has no name). */
int64_t   ex_class(const job *j, const ds_map *m);
const char *ex_label(const job *j, int64_t class_);

/* inside.c: where the model is cut and what its tokens are called. */
ds_status ex_inside_open(job *j, ds_explain_opts *o, ds_err *err);
ds_status ex_inside_item(job *j, const ds_item *item, ds_explain_item *it, ds_err *err);
void      ex_inside_done(job *j);
/* What a token is called: characters as they are, tokens without text as #123. */
void      ex_token_text(const job *j, int64_t id, ds_buf *b);
/* The same for a line of text: a line's end is an arrow, what is unfit is escaped. */
void      ex_token_shown(const job *j, int64_t id, ds_buf *b);
bool      ex_tokens_join(const job *j);         /* do texts of tokens make a text when they stand side by side? */

/* tokens.c: a number for each token.  False: the map is not about tokens.  Of attention, the row of the token that the answer is for. */
bool      ex_token_scores(const job *j, const ds_map *m, const float **v, int64_t *n);
int64_t   ex_token_id(const job *j, const ex_result *r, int64_t i);             /* -1: the map's tokens are none of the input's */
/* The class as a heading says it: its name, in quotes where it begins or ends with a space, else its number. */
void      ex_class_text(const job *j, int64_t class_, ds_buf *b);
ds_rgb    ex_heat(double t);                    /* -1 against .. 0 white .. 1 for */

/* caption.c: what is written above a map: the last part of the file's name, class and probability, method with layer, head and completeness.  Appended; fit to be shown. */
void      ex_caption_file(const ex_result *r, ds_buf *b);
void      ex_caption_class(const job *j, const ds_map *m, ds_buf *b);
void      ex_caption_method(const job *j, const ds_map *m, ds_buf *b);

/* seen.c: the explained input of an item as the network saw it: RGB of p->h rows and p->w columns (fresh; ds_free).  Preprocessing is undone; other numbers are stretched
 * to 0..255. */
ds_status ex_seen(const job *j, const ex_result *r, const ds_plane *p, uint8_t **rgb, ds_err *err);

#endif
