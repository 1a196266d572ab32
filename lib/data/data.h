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
ds_status ds_image_decode(ds_image *out, const uint8_t *p, size_t n, uint64_t max_pixels, ds_err *err);        /* by content; EXIF orientation applied */
void      ds_image_done(ds_image *im);

/* ---- preprocessing: META input.N.* -------------------------------------------------------------------------------------------- */
typedef struct ds_prep_spec {
	int    h, w;                    /* network input; 0: as the picture is */
	int    resize;                  /* none stretch short-side letterbox */
	int    resize_to;               /* short-side: the length it is scaled to (256); 0: that of h, w */
	int    interpolation;           /* nearest bilinear bilinear-antialias bicubic-antialias */
	int    crop;                    /* none center */
	double fill[3];                 /* letterbox colour, 0..255 */
	double scale, mean[3], std[3];  /* (x * scale - mean) / std */
	int    color;                   /* RGB BGR gray */
	int    layout;                  /* NCHW NHWC */
} ds_prep_spec;
extern const char *const ds_prep_resize[], *const ds_prep_interp[], *const ds_prep_crop[], *const ds_prep_color[], *const ds_prep_layout[];
typedef struct ds_preset { const char *name; ds_prep_spec spec; const char *help; } ds_preset;
const ds_preset *ds_presets(int *n);                                    /* imagenet, cifar10, mnist, ... */
ds_status ds_prep_from_meta(ds_prep_spec *s, const ds_meta *m, int input, bool *present, ds_err *err);
ds_status ds_prep_to_meta(const ds_prep_spec *s, ds_meta *m, int input);
/* One picture into `dst` (C*h*w f32 in the spec's layout). */
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
	const char     *labels;         /* --eval: TSV of labels, IDX labels file, or NULL: directory per class */
	bool            want_labels;
	bool            recursive;
	int             threads;        /* decode ahead on this many threads; order of items is kept */
	uint64_t        max_pixels;
	int             n_named;        /* --input NAME=FILE */
	const char *const *named;
} ds_data_opts;
ds_status ds_data_open(ds_samples **s, const ds_data_opts *o, ds_err *err);

/* ---- single readers ------------------------------------------------------------------------------------------------------------ */
ds_status ds_npy_read(ds_tensor *t, ds_source *src, uint64_t limit, ds_err *err);               /* format 1.0-3.0, C order; Fortran order is transposed */
ds_status ds_npy_write(ds_sink *s, const ds_tensor *t, ds_err *err);
ds_status ds_idx_read(ds_tensor *t, ds_source *src, uint64_t limit, ds_err *err);               /* plain or gzip */
/* Label names: one per line, in index order; "wnid name, name" lines keep the part after the id when every line has one. */
typedef struct ds_labels { char **name; int n; } ds_labels;
ds_status ds_labels_parse(ds_labels *l, const char *text, size_t n, ds_err *err);
void      ds_labels_done(ds_labels *l);

#endif
