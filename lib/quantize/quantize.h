/* quantize.h - quantisation: rounding of weights, ranges of activations, equalisation, calibration
 *
 * Weights are rounded by ds_qw, which takes a tensor's elements in pieces of any size and gives its planes in the order of the container, so that a
 * filter holds one block of rows and the plane of scales.  Activations are looked at by ds_observer and get a scale and a zero point from
 * ds_qrange_fit. ds_q_calibrated does the whole of "w8a8", or of fewer bits, to a graph in memory, with integers or with fake quantisation to be
 * trained.  Nothing here reads a file: samples come through ds_qsamples. */
#ifndef DS_QUANTIZE_H
#define DS_QUANTIZE_H

#include "../base/thread.h"
#include "../graph/graph.h"

/* ---- ranges -------------------------------------------------------------------------------------------------------------------- */
typedef enum ds_qrange { DS_RANGE_MINMAX, DS_RANGE_MSE, DS_RANGE_PERCENTILE, DS_RANGE_KL } ds_qrange;
typedef struct ds_qrule {
	ds_qrange range;
	double    percentile;           /* (50, 100], share of values inside */
	int       bits;                 /* of the codes, 2 to 8; 0: 8 */
} ds_qrule;
extern const char *const ds_qrange_names[];                                     /* "minmax", "mse", "percentile", "kl", NULL */
/* "minmax", "mse", "kl", "percentile:99.99".  DS_E_USAGE. */
ds_status ds_qrule_parse(const char *text, ds_qrule *r, ds_err *err);

/* ---- weights ------------------------------------------------------------------------------------------------------------------- */
typedef struct ds_qw_opts {
	int       bits;                 /* 8, 6, 5, 4, 3, 2 */
	int       group;                /* 0: one scale per row (index of the leading dim); else a power of two, 16..1024 */
	ds_qrange range;                /* minmax, or mse: the scale of least squared error among DS_QW_TRIES of the row's (group's) own */
	ds_pool  *pool;                 /* NULL: one thread; never changes a byte */
} ds_qw_opts;
#define DS_QW_TRIES 32

/* What happened to a tensor.  Sums are f64 in element order within a row or group and then over these. */
typedef struct ds_qw_stat {
	int64_t  count, clipped;        /* values; those beyond the largest code by more than half a step */
	int64_t  scales;
	double   sum_sq, err_sq;        /* of the values; of what rounding changed */
	uint64_t bytes_in, bytes;       /* before; after with all planes and pads */
} ds_qw_stat;
double ds_qw_sqnr(const ds_qw_stat *s);         /* decibel; HUGE_VAL without error */

/* How a tensor [dim0, ...] is coded: symmetric, rows = dim 0, one f32 scale per row, or bf16 scales per group of columns.  Two cases leave that:
 * rows of more than DS_QW_LONG_ROW elements have groups of 1024 (a row is held until its scale is known); a plane of scales over DS_QW_MAX_SCALES bytes
 * (millions of short rows) makes the tensor one run of groups of 1024.  DS_E_INPUT: rank 0, bits or group not valid, an empty tensor. */
#define DS_QW_LONG_ROW   (INT64_C(1) << 22)
#define DS_QW_MAX_SCALES (INT64_C(1) << 25)
ds_status ds_qw_form(const ds_qw_opts *o, int rank, const int64_t *dim, ds_qform *form, ds_qsize *size, ds_err *err);

/* One tensor on its way through. */
typedef struct ds_qw ds_qw;
typedef ds_status (*ds_qw_emit)(void *arg, const void *p, size_t n, ds_err *err);
/* Elements are of dtype (f32, f16 or bf16), row-major.  The planes go to emit in pieces; together ds_qsize.total bytes. */
ds_status ds_qw_new(ds_qw **q, const ds_qw_opts *o, ds_dtype dtype, int rank, const int64_t *dim, ds_qw_emit emit, void *arg, ds_err *err);
/* Bytes of elements, cut anywhere.  DS_E_INPUT: a value that is not finite (its index is named), more bytes than the dims say. */
ds_status ds_qw_push(ds_qw *q, const void *p, size_t n, ds_err *err);
/* The rest of the codes and the scales.  DS_E_INTERNAL when elements are missing. */
ds_status ds_qw_end(ds_qw *q, ds_qw_stat *stat, ds_err *err);
void      ds_qw_free(ds_qw *q);

/* A plain tensor in memory -> quantised parameter.  `form` is the caller's storage for out->q and must live as long as out. */
ds_status ds_qw_tensor(const ds_tensor *in, const ds_qw_opts *o, ds_tensor *out, ds_qform *form, ds_qw_stat *stat, ds_err *err);

/* One row or group: codes (as stored, one byte each) and the scale as stored (rounded up to bf16 when bf16 is set).  Sums of values and errors. */
typedef struct ds_qunit { float scale; int64_t clipped; double sum_sq, err_sq; } ds_qunit;
/* False: a value is not finite, *bad is its index. */
bool ds_q_unit(const float *x, int64_t n, int bits, ds_qrange range, bool bf16, uint8_t *code, ds_qunit *u, int64_t *bad);

/* Which values are weights: an operand of Conv, ConvTranspose, Gemm, MatMul, Gather or a recurrent operator (sub-graphs too) that is a parameter of rank 2 or more.
 * Numbers the graph; *mark[value id] is 1 for weights; freed with ds_free. */
ds_status ds_q_weights(ds_graph *g, uint8_t **mark, ds_err *err);

/* ---- activations --------------------------------------------------------------------------------------------------------------- */
/* Extremes, a histogram, and sums per channel of one value over all samples.  The histogram has a fixed number of bins over [-limit, limit); limit is a power of
 * two that doubles (pairs of bins join) when a value needs it.  Exact zeros are counted apart: they cost nothing in any range. */
#define DS_Q_BINS 4096
/* A sum that does not depend on the order of what is added: 2^-149 in two's complement, lowest limb first. */
typedef struct ds_qsum { uint64_t limb[6]; } ds_qsum;
void      ds_qsum_add(ds_qsum *s, double v);            /* v: an f32, or a sum of less than 2^40 of them in f64; nothing if not finite */
void      ds_qsum_merge(ds_qsum *to, const ds_qsum *from);
double    ds_qsum_value(const ds_qsum *s);
typedef struct ds_observer {
	float    min, max;
	uint64_t count, zeros;
	double   limit;                 /* 0: nothing seen but zeros */
	uint64_t bin[DS_Q_BINS];
	ds_qsum *sum;                   /* [channels] */
	float   *peak;                  /* [channels], largest magnitude */
	int64_t  channels, per_channel; /* channels -1: not the same in all calls, no sums; values that went into each sum */
} ds_observer;
void      ds_observer_done(ds_observer *o);
/* Values of a plain tensor of any layout; axis 1 (rank >= 2) are the channels.  DS_E_NOMEM, DS_E_INPUT: not finite. */
ds_status ds_observer_add(ds_observer *o, const ds_tensor *t, ds_err *err);
void      ds_observer_merge(ds_observer *to, const ds_observer *from);          /* without the sums */
ds_status ds_observer_join(ds_observer *to, const ds_observer *from, ds_err *err);      /* with them: as if one had seen what both have, in any order */
ds_status ds_observer_copy(ds_observer *to, const ds_observer *from, ds_err *err);      /* to: overwritten */

typedef struct ds_qparam { float scale; int zero, bits; } ds_qparam;            /* x = scale * (q - zero), q from 0 to 2^bits - 1 in u8; bits 0: 8 */
int       ds_qparam_top(const ds_qparam *p);                                    /* the largest q */
/* The range always holds 0, and 0 is exact.  minmax; mse (least of clipping plus rounding error over the histogram); percentile; kl (histogram without zeros, not
 * renormalised, above 1/16 of the range: the textbook form clips far too much). */
ds_qparam ds_qrange_fit(const ds_observer *o, const ds_qrule *r);
/* Share of the values that such a range clips. */
double    ds_qrange_clipped(const ds_observer *o, const ds_qparam *p);

/* ---- a whole graph: weights and activations -------------------------------------------------------------------------------------- */
/* Where calibration samples come from: DS_END after the last.  in[] has one tensor per graph input, valid until the next call. */
typedef struct ds_qsamples {
	ds_status (*next)(void *arg, const ds_tensor **in, int *n_in, ds_err *err);
	ds_status (*rewind)(void *arg, ds_err *err);
	void       *arg;
} ds_qsamples;

/* Statistics of every f32 value of a graph whose batch normalisation is folded, over samples: what calibration without samples wants.  Set EVEN: of the same
 * values after equalisation.  The same for any order of the samples, and for any division of them into parts that are merged (PLAIN; EVEN cannot be). */
enum { DS_QSET_PLAIN, DS_QSET_EVEN };
typedef struct ds_qseen { const char *name; ds_observer seen; } ds_qseen;
typedef struct ds_qset { ds_qseen *value; int n; size_t cap; } ds_qset;         /* by rising names */
typedef struct ds_qstats {
	ds_arena arena;
	ds_qset  set[2];
	uint64_t even_print;            /* of the weights behind EVEN */
	int64_t  samples;
} ds_qstats;
void         ds_qstats_done(ds_qstats *s);
/* One pass over the samples, two with `equalize`.  The graph stays as it is. */
ds_status    ds_q_observe(ds_qstats *s, const ds_graph *g, bool equalize, int threads, const ds_qsamples *samples, ds_err *err);
/* Adds `from` to `to`, whose EVEN is lost.  DS_E_INPUT: statistics of other values. */
ds_status    ds_qstats_merge(ds_qstats *to, const ds_qstats *from, ds_err *err);
/* Building and looking: a new value at the end (NULL: no memory), order by names, a value (NULL: none). */
ds_observer *ds_qstats_add(ds_qstats *s, int set, const char *name);
void         ds_qstats_sort(ds_qstats *s);
ds_observer *ds_qstats_find(const ds_qset *s, const char *name);

/* One line of the account. */
typedef struct ds_qlayer {
	const char *node, *op, *weight;         /* in the graph's arena; weight may be "" */
	int         bits;                       /* of the weight */
	ds_qw_stat  stat;                       /* of the weight */
	ds_qparam   in, out;                    /* scale 0: not quantised */
	double      out_sq, out_err;            /* local error: sum of squares of the f32 output, of the layer alone with quantised input and weight */
	double      clipped;                    /* share of input values that the input's range clips */
} ds_qlayer;

/* 2 to 8 bits of a layer's weight and of what it reads; w 0: the layer stays f32. */
typedef struct ds_qbits { int w, a; } ds_qbits;

typedef struct ds_q8_opts {
	ds_qrule   range;               /* of activations */
	ds_qrange  weight_range;
	bool       equalize;            /* a pass more over the samples: scale channels so that an activation's range is used evenly */
	bool       bias_correct;
	/* Bits of a layer; edge: no other layer stands before it, or behind it.  NULL: 8 and 8. */
	ds_qbits (*bits)(void *arg, const char *node, const char *weight, bool edge);
	void      *bits_arg;
	/* How the range of what a layer reads is found; NULL, or NULL as its answer: `range`.  Layers that read the same activation must agree.  Also given bits_arg. */
	const ds_qrule *(*rule)(void *arg, const char *node);
	bool       fake;                /* FakeQuantize that can be trained in place of integers; nothing is folded, equalised or corrected */
	int        threads;
	ds_buf    *log;                 /* NULL or one line per decision */
	const ds_qstats *stats;         /* take these in place of samples, which may then be NULL; the same result, but no local_error */
	bool       local_error;         /* a second pass over the samples fills out_sq, out_err */
} ds_q8_opts;

/* Quantise g in place: fold batch norm, equalise, calibrate, round weights, put QuantizeLinear/DequantizeLinear pairs around the integer regions.
 * An activation that layers of fewer than 8 bits and others read gets 8 bits, and behind these the narrower grids of those layers. With `fake`,
 * FakeQuantize nodes stand where the codes will be, at weights (signed, one scale per output channel, per tensor for a MatMul) and activations (one
 * scale; zero points fixed by calibration); their scales are parameters "NAME.step".  Batch normalisation stays and is trained; its factors go into
 * scales when integers are made. *layer (owned by the caller, ds_free) gets the account.  DS_E_INPUT: no samples, values not finite, shapes that do
 * not fit. */
ds_status ds_q_calibrated(ds_graph *g, const ds_q8_opts *o, const ds_qsamples *samples, ds_qlayer **layer, int *n_layer, ds_err *err);

/* By which factors are the channels of `own`, an equalised copy of g, larger?  g: batch normalisation folded, as in the copy.  Found by comparing weights, so they are as exact as
 * these are rounded; told for each value whose channels may have factors. */
typedef ds_status (*ds_q_factor_fn)(void *arg, const char *value, const double *factor, int64_t channels, ds_err *err);
ds_status ds_q_equalized(ds_graph *g, const ds_graph *own, ds_q_factor_fn give, void *arg, ds_err *err);

/* The integer model of a graph with FakeQuantize nodes, in place: the rewrites lower-fake-quantize and fold-batchnorm, with which such a graph is also run, so that
 * both give the same bits.  *n: nodes that were lowered.  DS_E_INPUT: there is none. */
ds_status ds_q_export(ds_graph *g, int *n, ds_buf *log, ds_err *err);

#endif
