/* local.h - what the files of data/ share with each other and with nobody else */
#ifndef DS_DATA_LOCAL_H
#define DS_DATA_LOCAL_H

#include "data.h"

#define DS_MAX_PIXELS (64u << 20)       /* of a picture, unless the user says otherwise */
#define DS_MAX_SIDE 16384               /* width and height */

/* The codecs; a build without libjpeg leaves ds_image_jpeg out (HAVE_JPEG). */
extern const ds_image_codec ds_image_png, ds_image_jpeg;

/* Sizes of a picture against the limits; DS_E_INPUT for empty pictures, DS_E_LIMIT above the budget.  Allocates out->px. */
ds_status ds_image_alloc(ds_image *out, uint64_t w, uint64_t h, int channels, uint64_t max_pixels, ds_err *err);
/* Orientation 1..8 from a TIFF block (EXIF), 1 when there is none or it makes no sense. */
int       ds_exif_orientation(const uint8_t *p, size_t n);
/* Turn and mirror so that the picture is upright. */
ds_status ds_image_orient(ds_image *im, int orientation, ds_err *err);

/* Scale to w x h by one of ds_prep_interp; box resampling rules as in the comment of resize.c. */
ds_status ds_image_resize(ds_image *out, const ds_image *in, int w, int h, int interpolation, ds_err *err);

/* The whole of a gzip stream in fresh memory (ds_free).  DS_E_LIMIT above limit bytes. */
bool      ds_is_gzip(const uint8_t *p, size_t n);
ds_status ds_gunzip(uint8_t **out, size_t *out_n, const uint8_t *p, size_t n, uint64_t limit, ds_err *err);

/* Arrays from memory.  With `owner` the tensor may keep pointing into p and takes the owner (ds_source_drop) on success; *kept says whether it did. */
bool      ds_is_npy(const uint8_t *p, size_t n);
ds_status ds_npy_parse(ds_tensor *t, const uint8_t *p, size_t n, uint64_t limit, void *owner, bool *kept, ds_err *err);
bool      ds_is_idx(const uint8_t *p, size_t n);
ds_status ds_idx_parse(ds_tensor *t, const uint8_t *p, size_t n, uint64_t limit, ds_err *err);

/* ---- rows: what META says of tables, text and sound ----------------------------------------------------------------------------- */
typedef struct ds_feed {        /* input.N.* */
	int        kind, axes, tokens, items;   /* axes: -1 not said */
	int64_t    window, hop, context;        /* rows of an item, from one to the next (0: one item a file), rows before it that it sees too; window 0: not said */
	int64_t    rate;                /* of sound, 0: any */
	ds_columns col;                 /* of a table; n 0: not said */
	ds_vocab   vocab;               /* of characters; n 0: none yet */
	int        rank;                /* of an item, once settled: with dim 0 (dim 1 for TN, TNC) being 1 */
	int64_t    dim[DS_MAX_RANK];
} ds_feed;
bool      ds_feed_rows(const ds_feed *f);                               /* is it a table, a text, a sound? */
/* vocabulary: load the asset too.  What is not said stays 0 (-1, n 0). */
ds_status ds_feed_from_meta(ds_feed *f, const ds_model *m, int input, ds_err *err);
void      ds_feed_done(ds_feed *f);
/* Fill in what follows from the input's type (dims, -1: free): window, axes, rank, dim.  Columns must be known. */
ds_status ds_feed_settle(ds_feed *f, const char *name, ds_dtype dtype, int rank, const int64_t *dim, ds_err *err);

/* The dims of an item of t rows and c columns, once settled; false: they do not fit. */
bool      ds_feed_dims(const ds_feed *f, int64_t t, int64_t c, int64_t *dim);

/* FILE[A:B] */
typedef struct ds_bound { double at; bool percent; } ds_bound;
typedef struct ds_range { bool given; ds_bound from, to; } ds_range;
/* Does the path end in a range?  Its length without it, 0: no (or not one that can be understood). */
size_t    ds_range_parse(ds_range *r, const char *path);
/* Does it end in the number of an item, FILE[12]?  The same; *item is the number. */
size_t    ds_item_parse(int64_t *item, const char *path);
/* The part [*from, *to) of n rows. */
void      ds_range_apply(const ds_range *r, int64_t n, int64_t *from, int64_t *to);

/* A table's cells, all text: what fuzzing wants to reach without a model. */
typedef struct ds_csv_field { const char *p; size_t n; bool doubled; } ds_csv_field;   /* doubled: quotes inside are written twice */
typedef struct ds_csv { const char *p, *end; char sep; int64_t line, next_line; ds_csv_field *field; size_t n, cap; } ds_csv;
void      ds_csv_open(ds_csv *c, const void *p, size_t n);              /* finds the separator: , ; or tab */
/* The next row that is not empty; DS_END after the last. */
ds_status ds_csv_next(ds_csv *c, ds_err *err);
void      ds_csv_close(ds_csv *c);
/* The field without surrounding spaces as a number; false: none. */
bool      ds_csv_number(const ds_csv_field *f, double *v);
void      ds_csv_text(const ds_csv_field *f, ds_buf *b);                /* appended */

/* A row that cannot be used, and why.  Windows that hold it are bad items. */
typedef struct ds_flaw { int64_t row, n; int64_t line; char what[96]; } ds_flaw;
typedef struct ds_flaws { ds_flaw *f; size_t n, cap; } ds_flaws;        /* by rising row */

/* ---- the list of what is to be read -------------------------------------------------------------------------------------------- */
typedef struct ds_entry {
	char    *path;
	int64_t  label;         /* -1: not known */
	int64_t *labels;        /* of the items inside the file (IDX), n_labels of them; NULL: none */
	int64_t  n_labels;
	bool     listed;        /* found in a directory or list: must be a regular file */
	int      sys;           /* errno when the name could not even be looked at, 0: fine */
	const char *why;        /* a bad item from the start: the reason, NULL: fine */
	ds_range range;
	struct ds_pick { int64_t number, label; } *pick;        /* these items alone, by the number in brackets that names them (label -1: not known); NULL: all */
	size_t   n_pick, cap_pick;
} ds_entry;
typedef struct ds_list {
	ds_entry *e;
	size_t    n, cap;
	char    **class_name;   /* directory per class: names in order of their index; NULL otherwise */
	int       n_class;
	size_t    cap_class;
	int64_t  *label;        /* of the items in order (IDX or npy given by name), n_label of them; NULL: none */
	int64_t   n_label;
	bool      text;         /* samples are texts: .txt and .csv files in directories too, and a file with tabs is no list */
} ds_list;
/* l is zeroed but for text. */
ds_status ds_list_build(ds_list *l, const ds_data_opts *o, ds_err *err);
void      ds_list_done(ds_list *l);
void      ds_entry_done(ds_entry *e);
/* The names of a list (--files-from) or of a table, appended; with null_sep never a table. */
ds_status ds_list_names(ds_list *l, const char *p, size_t n, bool null_sep, const ds_labels *classes, ds_err *err);
/* truth.c: a whole file in memory (ds_source_drop(owner)). */
ds_status ds_read_whole(const char *path, const void **p, size_t *n, void **owner, ds_err *err);
/* A TSV of `path<TAB>label`, further columns ignored; the first line may be a header, lines that begin with # are comments.  Calls fn for each. */
typedef ds_status (*ds_pair_fn)(void *arg, const char *path, int64_t label, ds_err *err);
/* A class by its number or name; -1: neither. */
int64_t   ds_label_of(const char *s, const ds_labels *names);
ds_status ds_read_pairs(const char *file, const char *p, size_t n, const ds_labels *names, ds_pair_fn fn, void *arg, ds_err *err);
/* The labels that lie beside a file of pictures, if there are any. */
ds_status ds_labels_for_images(ds_entry *e, ds_err *err);
/* Labels for all entries from a list (any trailing part of the path names it), an IDX or an npy file. */
ds_status ds_apply_labels(ds_list *l, const char *file, const ds_labels *names, ds_err *err);

/* ---- one file, loaded ---------------------------------------------------------------------------------------------------------- */
/* An array that feeds one input of the model: n samples of the same size in a row. */
typedef struct ds_part {
	ds_tensor t;            /* empty: nothing for this input */
	int64_t   n;
	int       rank;         /* of a sample as the model's input wants it */
	int64_t   dim[DS_MAX_RANK];
	bool      picture;      /* samples are u8 pictures of h x w x channels that go through preprocessing; rank and dim are not used */
	bool      planes;       /* ... stored [channels, h, w] instead of [h, w, channels] */
	int       h, w, channels;
	bool      windows;      /* t is [rows, cols] and sample i is rows [i * hop + first, + len) of it, zeros beyond its ends */
	bool      swap;         /* ... columns before rows */
	int64_t   hop, first, len;
} ds_part;
typedef struct ds_loaded {
	ds_status rc;           /* != DS_OK: the file is bad, err says why */
	bool      fatal;        /* not the file's fault: stop */
	ds_err    err;
	int64_t   n;            /* items */
	bool      per_item;     /* part[item * n_in + input] instead of part[input] */
	ds_part  *part;
	int64_t   from, to;     /* the items that were asked for */
	bool      row_range;    /* ... have been cut by rows already */
	ds_part   target, last; /* empty: none */
	int64_t  *label;        /* of n items, NULL: none in the file itself */
	int64_t   row0, hop;    /* windows: row of the first, from one to the next; hop 0: no windows */
	int64_t   span;         /* rows of the file that an item touches, from i * hop on (i, where hop is 0): whose flaws are its own */
	bool      streams;      /* each window goes on where the one before ended */
	ds_flaws  flaws;
} ds_loaded;

/* What the loader knows about the model, fixed when the iterator is opened and shared by its threads. */
typedef struct ds_shape_of {
	const char *name;
	ds_dtype    dtype;
	int         rank;
	int64_t     dim[DS_MAX_RANK];   /* -1: free */
	bool        has_prep;
	ds_feed     feed;
	bool        state;              /* one of the graph's states: zeros, unless the runner has something better */
	bool        whole;              /* dim 0 does not count samples (one of several inputs of a model that mixes them): an array of the input's rank is one */
	ds_prep_spec prep;
} ds_shape_of;
typedef struct ds_loader {
	ds_shape_of *in;        int n_in;
	int          main;      /* the input that pictures and arrays feed */
	uint64_t     max_pixels, limit;
	ds_aim       aim;
	bool         want;      /* labels and targets */
	int64_t      hop;       /* 0: as META says */
	const ds_labels *names; /* of classes, NULL: none */
} ds_loader;

/* Read one file.  Never fails as a function: the outcome is in *l. */
void      ds_load(ds_loaded *l, const ds_loader *ld, const ds_entry *e);
/* The same from a source that is open; it stays open. */
void      ds_load_from(ds_loaded *l, const ds_loader *ld, ds_source *src, const ds_entry *e);
void      ds_loaded_done(ds_loaded *l, int n_in);
/* Rows of bytes as the loader's inputs want them: tables, texts, sounds.  The range is that of the entry. */
ds_status ds_load_table(ds_loaded *l, const ds_loader *ld, const void *p, size_t n, const ds_range *r, ds_err *err);
ds_status ds_load_sound(ds_loaded *l, const ds_loader *ld, const void *p, size_t n, const ds_range *r, ds_err *err);
ds_status ds_load_text(ds_loaded *l, const ds_loader *ld, const void *p, size_t n, const ds_range *r, ds_err *err);
/* Is an array [rows, columns] of an input that takes a table in windows?  Then it is read as one, by position. */
bool      ds_is_rows(const ds_tensor *t, const ds_shape_of *k);
ds_status ds_load_rows(ds_loaded *l, const ds_loader *ld, const ds_tensor *t, const ds_range *r, ds_err *err);
/* [rows, cols] as windows of input k; takes t.  l->n must be set. */
void      ds_part_windows(ds_part *p, ds_tensor *t, const ds_feed *f, int64_t hop);
/* How many windows of `len` rows, `hop` apart, have `after` more rows behind them. */
int64_t   ds_window_count(int64_t rows, int64_t len, int64_t hop, int64_t after);
/* A tensor stream: its items into l. */
bool      ds_is_stream(const uint8_t *p, size_t n);
ds_status ds_load_stream(ds_loaded *l, const ds_loader *ld, const uint8_t *p, size_t n, const char *path, ds_err *err);
/* Sample i of a part as the tensor that input k wants (fresh tensor). */
ds_status ds_part_sample(ds_tensor *out, const ds_part *p, int64_t i, const ds_shape_of *k, ds_err *err);
ds_status ds_picture_tensor(ds_tensor *out, const ds_image *im, const ds_shape_of *k, ds_err *err);
/* Decide how an array feeds an input: fills p->n and the picture flags.  Takes the tensor on success. */
ds_status ds_part_make(ds_part *p, ds_tensor *t, const ds_shape_of *k, ds_err *err);
void      ds_part_done(ds_part *p);

#endif
