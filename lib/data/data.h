/* data.h - samples into tensors: pictures, arrays, IDX files, tensor streams; directories, lists, labels; preprocessing */
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
/* One picture into `dst` (C*h*w f32 in the spec's layout, h and w from ds_prep_size). */
ds_status ds_prep_image(const ds_prep_spec *s, const ds_image *im, float *dst, ds_err *err);

/* ---- items -------------------------------------------------------------------------------------------------------------------- */
/* The iterator through which the methods get samples.  An item is one sample: one tensor per model input, each without or with a leading batch
 * dim of 1 as the model's input states. */
typedef struct ds_item {
	const char *name; size_t name_len;      /* any bytes; valid until the next call */
	uint64_t    index;                      /* 0, 1, ... in input order */
	int64_t     label;                      /* -1: none */
	ds_tensor  *in; int n_in;               /* owned by the iterator until the next call */
} ds_item;
typedef struct ds_samples {
	/* DS_END at the end; another failure concerns this item only if *bad is set (err says why; go on with the next call). */
	ds_status (*next)(struct ds_samples *s, ds_item *item, bool *bad, ds_err *err);
	ds_status (*rewind)(struct ds_samples *s, ds_err *err);
	int64_t   (*count)(struct ds_samples *s);       /* -1: not known */
	void      (*free)(struct ds_samples *s);
} ds_samples;

typedef struct ds_data_opts {
	const ds_model *model;          /* input types and preprocessing */
	int             n_path;
	const char *const *path;        /* files, directories, "-"; names may hold any byte but 0 */
	const char     *files_from;     /* a list of names, NULL: none; "-": standard input */
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
} ds_data_opts;
ds_status ds_data_open(ds_samples **s, const ds_data_opts *o, ds_err *err);
/* What the class numbers of a directory per class are called (index order, borrowed); 0: labels did not come from directories. */
int       ds_data_classes(const ds_samples *s, char *const **names);

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
