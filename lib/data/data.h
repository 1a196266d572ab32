/* data.h - samples into tensors: pictures, arrays, tensor streams, tables, series, text, sound; directories, lists, labels; preprocessing */
#ifndef DS_DATA_H
#define DS_DATA_H

#include "../graph/model.h"
#include "../io/io.h"

/* ---- decoded pictures --------------------------------------------------------------------------------------------------------- */
typedef struct ds_image { int w, h, channels; uint8_t *px; } ds_image;  /* rows top down, interleaved, 8 bit; channels 1 (gray) or 3 (RGB) */
typedef struct ds_image_codec {
	const char *name;                                       /* "png" */
	bool      (*probe)(const uint8_t *p, size_t n);
	/* max_pixels: refuse larger pictures before allocating.  Alpha is dropped (as PIL convert("RGB")), 16 bit cut to 8. */
	ds_status (*decode)(ds_image *out, const uint8_t *p, size_t n, uint64_t max_pixels, ds_err *err);
} ds_image_codec;
/* By content; EXIF orientation applied.  max_pixels 0: 64 Mi. */
ds_status ds_image_decode(ds_image *out, const uint8_t *p, size_t n, uint64_t max_pixels, ds_err *err);
bool      ds_image_probe(const uint8_t *p, size_t n);                   /* do these first bytes look like a picture? */
void      ds_image_done(ds_image *im);

/* ---- preprocessing: META input.N.* -------------------------------------------------------------------------------------------- */
typedef struct ds_prep_spec {
	int    h, w;                    /* network input; 0: as the model's input states, or else as the picture is */
	int    resize;                  /* none stretch short-side letterbox; a letterbox stands at the top left, with crop center in the middle */
	int    resize_to;               /* short-side: the length it is scaled to (256); 0: just enough to cover h, w */
	int    interpolation;           /* nearest bilinear bilinear-antialias bicubic-antialias */
	int    crop;                    /* none center */
	double fill[3];                 /* letterbox colour, 0..255 */
	double scale, mean[3], std[3];  /* (x * scale - mean) / std, x in 0..255; channels in the order of `color` */
	int    color;                   /* RGB BGR gray */
	int    layout;                  /* NCHW NHWC */
} ds_prep_spec;
enum { DS_RESIZE_NONE, DS_RESIZE_STRETCH, DS_RESIZE_SHORT, DS_RESIZE_LETTERBOX };
enum { DS_INTERP_NEAREST, DS_INTERP_BILINEAR, DS_INTERP_BILINEAR_AA, DS_INTERP_BICUBIC_AA };
enum { DS_CROP_NONE, DS_CROP_CENTER };
enum { DS_COLOR_RGB, DS_COLOR_BGR, DS_COLOR_GRAY };
enum { DS_NCHW, DS_NHWC };
/* Their names as META and the options spell them, NULL-terminated. */
extern const char *const ds_prep_resize[], *const ds_prep_interp[], *const ds_prep_crop[], *const ds_prep_color[], *const ds_prep_layout[];
typedef struct ds_preset { const char *name; ds_prep_spec spec; const char *help; } ds_preset;
const ds_preset *ds_presets(int *n);                                    /* imagenet, cifar10, mnist, ... */
const ds_preset *ds_preset_find(const char *name);
/* Values in range, sizes that fit each other; DS_E_USAGE names what is wrong (from_meta makes DS_E_INPUT of it). */
ds_status ds_prep_check(const ds_prep_spec *s, ds_err *err);
ds_status ds_prep_from_meta(ds_prep_spec *s, const ds_meta *m, int input, bool *present, ds_err *err);
ds_status ds_prep_to_meta(const ds_prep_spec *s, ds_meta *m, int input);
/* Size of the result for a picture of im->w x im->h: that of the spec, else what its rules make of the picture. */
ds_status ds_prep_size(const ds_prep_spec *s, const ds_image *im, int *h, int *w, ds_err *err);
/* Where it lies: place (x, y) of the result is (x + left, y + top) of the picture scaled to w x h. */
typedef struct ds_prep_where { int w, h, left, top; } ds_prep_where;
ds_status ds_prep_find(const ds_prep_spec *s, const ds_image *im, ds_prep_where *where, ds_err *err);
/* One picture into `dst` (C*h*w f32 in the spec's layout, h and w from ds_prep_size). */
ds_status ds_prep_image(const ds_prep_spec *s, const ds_image *im, float *dst, ds_err *err);

/* ---- items -------------------------------------------------------------------------------------------------------------------- */
/* The iterator through which the methods get samples.  An item is one sample: one tensor per model input, each without or with a leading batch
 * dim of 1 as the model's input states. */
typedef struct ds_item {
	const char *name; size_t name_len;      /* any bytes; valid until the next call */
	size_t      path_len;                   /* of the name without [number of the item or row in its file] */
	uint64_t    index;                      /* 0, 1, ... in input order */
	int64_t     label;                      /* -1: none */
	ds_tensor  *in; int n_in;               /* owned by the iterator until the next call */
	/* What the model should answer, where that is no class: f32 values with output 0's dims (dim 0 is 1; standardised as output.0.mean and .std say), or the
	 * tokens that follow, i64 [1, T].  Only with want_labels; owned as `in` is. */
	bool        has_target;
	ds_tensor   target;
	ds_tensor   last;                       /* the target's columns in the window's last row, [1, columns]: the forecast that needs no model; empty: none */
	int64_t     row;                        /* of a window: its first row, token or sound frame in the file (context not counted); else -1 */
	bool        follows;                    /* the window right after the one handed out before: recurrent state goes on */
} ds_item;
typedef struct ds_samples {
	/* DS_END at the end; another failure concerns this item only if *bad is set (err says why; go on with the next call). */
	ds_status (*next)(struct ds_samples *s, ds_item *item, bool *bad, ds_err *err);
	ds_status (*rewind)(struct ds_samples *s, ds_err *err);
	int64_t   (*count)(struct ds_samples *s);       /* -1: not known */
	void      (*free)(struct ds_samples *s);
	/* The next call of `next` gives item i of count().  The first call reads everything and keeps it in memory as it was read (windows share their file's rows), after
	 * which count() is exact; `next` may be called in any order of items from then on.  NULL: not possible.  DS_E_INPUT: no such item. */
	ds_status (*seek)(struct ds_samples *s, int64_t i, ds_err *err);
} ds_samples;

typedef struct ds_data_opts {
	const ds_model *model;          /* input types and preprocessing */
	int             n_path;
	const char *const *path;        /* files, directories, "-"; names may hold any byte but 0.  "FILE[A:B]" takes rows A to B - 1 of a table, tokens of a text,
	                                 * frames of a sound, samples of an array: numbers, negative ones from the end, or percentages; "FILE[N]" is the item of
	                                 * that name; a file that is called so wins */
	const char     *files_from;     /* a list of names, NULL: none; "-": standard input.  One whose first line begins with "path<TAB>" is a table with quoted
	                                 * names in that column and labels in the column "label" */
	bool            null_sep;       /* names in the list end in a zero byte */
	const char     *labels;         /* file with the labels of the items: TSV `path<TAB>label`, IDX or npy; NULL: as want_labels says */
	bool            want_labels;    /* a directory per class, a TSV list `path<TAB>label` as path, IDX labels beside IDX images */
	const struct ds_labels *names;  /* of the model's classes, to understand lists and directories by name; NULL: none */
	bool            recursive;
	int             threads;        /* decode ahead on this many threads; order of items is kept */
	uint64_t        max_pixels;
	int64_t         spread;         /* about this many items, evenly spaced over all files and inside large arrays (calibration: a directory per class
	                                 * sorted by name must not give its first class alone); labels are not kept; 0: every item */
	int             n_named;        /* --input NAME=FILE */
	const char *const *named;
	int64_t         hop;            /* rows from one window to the next, 0: as META says */
} ds_data_opts;
ds_status ds_data_open(ds_samples **s, const ds_data_opts *o, ds_err *err);
/* What the class numbers of a directory per class are called (index order, borrowed); 0: labels did not come from directories. */
int       ds_data_classes(const ds_samples *s, char *const **names);
/* Every file of the list, in order, before anything is read; one of which single items were picked comes once for each, by number (else item is -1). */
ds_status ds_data_names(const ds_samples *s, ds_status (*fn)(void *arg, const char *path, int64_t item, ds_err *err), void *arg, ds_err *err);

/* ---- tables, series, text, sound: META input.N.* and output.0.* (ds-model(5)) ---------------------------------------------------- */
enum { DS_KIND_TENSOR, DS_KIND_IMAGE, DS_KIND_TABLE, DS_KIND_TEXT, DS_KIND_SOUND };
enum { DS_AXES_NT, DS_AXES_TN, DS_AXES_NTC, DS_AXES_NCT, DS_AXES_TNC };         /* N items, T rows, C columns */
enum { DS_TOKENS_CHARS, DS_TOKENS_BYTES };
enum { DS_ITEMS_WINDOWS, DS_ITEMS_LINES };
/* Their names as META and the options spell them, NULL-terminated. */
extern const char *const ds_kind_names[], *const ds_axes_names[], *const ds_tokens_names[], *const ds_items_names[];
/* What ds-convert writes of them: a member that is -1, 0 or NULL is not said (kind is). */
typedef struct ds_rows_spec {
	int                kind, axes, tokens, items;
	int64_t            window, hop, context, rate;  /* hop -1: not said; 0: a sound is one item */
	const char *const *column;      /* of the input; n_column of them */
	int                n_column;
	const char *const *target;      /* columns that output 0 answers to */
	int                n_target;
	int64_t            horizon;     /* -1: not said */
} ds_rows_spec;
/* Into META for an input and output 0; what is not said stays as it is, but the mean and deviation of other columns go. */
ds_status ds_rows_to_meta(const ds_rows_spec *s, ds_meta *m, int input, ds_err *err);
/* Is what META says of input 0 and output 0 sound, and does it fit the graph?  DS_E_INPUT, DS_E_UNSUPPORTED name the key. */
ds_status ds_data_check(const ds_model *m, ds_err *err);
/* What output 0 answers to: output.0.*, and what the first input that takes rows is. */
typedef struct ds_columns { char **name; double *mean, *std; int n; } ds_columns;      /* mean, std: of n, or NULL */
typedef struct ds_aim {
	enum { DS_AIM_NONE, DS_AIM_CLASS, DS_AIM_VALUES, DS_AIM_INPUT, DS_AIM_NEXT } what;      /* items have a label; a target: columns, the input, the next tokens */
	ds_columns col;                 /* of a table; INPUT: one column of classes, or none */
	int64_t    horizon;             /* rows after the window; 0: the window's last row, or a table's own */
	int        rank;                /* of output 0, -1: not known */
	int64_t    dim[DS_MAX_RANK];    /* -1: free */
} ds_aim;
ds_status ds_aim_from_meta(ds_aim *a, const ds_model *m, ds_err *err);
void      ds_aim_done(ds_aim *a);
/* The dims of a target of h rows and c columns: those of output 0, dim 0 being 1; *swap: columns before rows. */
ds_status ds_aim_dims(const ds_aim *a, int64_t h, int64_t c, int *rank, int64_t dim[3], bool *swap, ds_err *err);
/* What ds_item.row counts: "row", "time" (divide by *unit to have seconds), NULL where items are no windows. */
const char *ds_data_position(const ds_model *m, double *unit);
/* What a model takes from its training data before training, as far as META does not say it yet: the columns of a table and their mean and deviation, the characters
 * of a text (asset "vocabulary"), the names of classes (asset "labels").  o->want_labels must be set. */
ds_status ds_data_fit(ds_model *m, const ds_data_opts *o, ds_err *err);

/* The characters of a model, whose numbers are its tokens.  The asset is their UTF-8 text in the order of the numbers, each once and nothing between them. */
typedef struct ds_vocab { uint32_t *code; int n; uint16_t *order; } ds_vocab;  /* order: numbers by rising code */
#define DS_VOCAB_MAX 65536
ds_status ds_vocab_parse(ds_vocab *v, const void *asset, size_t n, ds_err *err);
void      ds_vocab_done(ds_vocab *v);
int       ds_vocab_find(const ds_vocab *v, uint32_t code);               /* -1: not one of them */
/* The asset for a text: its characters by rising code.  DS_E_INPUT: not UTF-8. */
ds_status ds_vocab_build(ds_buf *asset, const void *text, size_t n, ds_err *err);
/* Put the characters of the text in a file into the model for input i: by rising code, but in their own order where each stands in it once. */
ds_status ds_vocab_set(ds_model *m, int input, const char *path, ds_err *err);

/* ---- single readers ------------------------------------------------------------------------------------------------------------ */
ds_status ds_npy_read(ds_tensor *t, ds_source *src, uint64_t limit, ds_err *err);               /* format 1.0-3.0, C order; Fortran order is transposed */
ds_status ds_npy_write(ds_sink *s, const ds_tensor *t, ds_err *err);
ds_status ds_idx_read(ds_tensor *t, ds_source *src, uint64_t limit, ds_err *err);               /* plain or gzip */
/* Label names: one per line, in index order; "wnid name, name" lines keep the part after the id when every line has one. */
typedef struct ds_labels { char **name, **id; int n; } ds_labels;        /* id: NULL, or the "wnid" of each */
ds_status ds_labels_parse(ds_labels *l, const char *text, size_t n, ds_err *err);
void      ds_labels_done(ds_labels *l);
/* Index of the class that is called `text`: its name, its id, one of its comma-separated synonyms; `_` and space are the same.  -1: none.
 * (A synonym that several classes share counts for the first.) */
int       ds_labels_find(const ds_labels *l, const char *text);

/* ---- figures -------------------------------------------------------------------------------------------------------------------- */
/* 95 % interval of a proportion k/n (Wilson 1927); [0, 1] for n == 0. */
void      ds_wilson(uint64_t k, uint64_t n, double *lo, double *hi);
/* McNemar's exact test: two-sided probability of b against c discordant pairs when both are equally likely. */
double    ds_mcnemar(uint64_t b, uint64_t c);
/* 95 % interval of the difference (b - c) / n of two proportions measured on the same n items (Wald, Agresti & Min 2005: 1/2 added to each cell). */
void      ds_paired_diff(uint64_t b, uint64_t c, uint64_t n, double *lo, double *hi);
/* Indices of the k largest of n values in falling order, ties by index, NaN last. */
void      ds_top_k(const float *v, int64_t n, int k, int64_t *index);
/* p = softmax(v) in f64, summed in order; p may be v. */
void      ds_softmax(const float *v, int64_t n, float *p);

#endif
