/* igemm.h - the fast variants of the convolutions and matrix products, and the driver that they share
 *
 * A packed right operand (weights) meets rows that are reached through pointers.  The work is cut into tiles of rows x panels by shape alone; within a
 * tile the sum is cut into blocks whose part of a panel stays in the first-level cache while all rows of the tile pass. */
#ifndef DS_OP_IGEMM_H
#define DS_OP_IGEMM_H

#include "conv_shape.h"

/* A packed right operand with everything that happens to the sums; made by prepare, freed with ds_igemm_free. */
typedef struct ds_igemm {
	const ds_kernel *kn;
	const ds_kernel *act_kn;
	bool     i8;
	int64_t  groups, n, taps, kc;           /* per group: n columns, taps * kc elements (int8: kc is a multiple of 4) */
	size_t   elem, group_size;              /* bytes of an element; elements of a group's panels */
	int64_t  n_pad;                         /* columns of a group rounded up to whole panels */
	void    *b;
	float   *bias, *mult;                   /* [groups][n_pad], mult for int8 */
	int32_t *init;
	float    lo, hi;
	int      act;                           /* DS_ACT_NONE when it is in lo and hi */
	float    act_a, act_b, res_mult;
	int32_t  x_zp, y_zp, res_zp;
	bool     f32_out;
	bool     scatter;                       /* runs have `out` */
	size_t   bytes;                         /* of memory held */
} ds_igemm;

/* Allocate b, bias (and mult, init for int8) for the given sizes; the caller packs. */
ds_status ds_igemm_new(ds_igemm *g, bool i8, int64_t groups, int64_t n, int64_t taps, int64_t kc, ds_err *err);
void      ds_igemm_done(ds_igemm *g);
void      ds_igemm_act(ds_igemm *g, const ds_act_attr *a);
/* Pack one group from row-major float [n][k] (sn, sk: strides) or int8. */
void      ds_igemm_pack_f32(ds_igemm *g, int64_t group, const float *w, int64_t sk, int64_t sn);
void      ds_igemm_pack_i8(ds_igemm *g, int64_t group, const int8_t *w, int64_t sk, int64_t sn);
/* Scale, bias and clamp of an int8 product from its attributes, scales per column (step 0: one for all), f32 bias (NULL: none), sums of weights. */
void      ds_igemm_requant(ds_igemm *g, const ds_q_attr *q, const ds_act_attr *a, const float *sw, int sw_step, const float *bias, const int32_t *sum_w);

/* The same over memory of the caller, f32, for weights that change from run to run: bytes that it takes (at 64-byte multiples); at == NULL only counts.  Nothing to be
 * freed.  The bias is zero; `at` is written by ds_igemm_weights.  bf16: both operands are rounded to bf16 where the processor has products of these and kc is even; sums stay
 * f32. */
size_t    ds_igemm_place(ds_igemm *g, bool bf16, int64_t groups, int64_t n, int64_t taps, int64_t kc, void *at);
/* Where the weights lie: element c of tap t of column j of group i is at w[i*s_group + tap[t] + c*s_c + j*s_n], `taps` of them with taps * kc = g->taps * g->kc elements;
 * bias [groups * n] or NULL. */
typedef struct ds_igemm_w { const float *w, *bias; const int64_t *tap; int taps; int64_t s_group, s_c, s_n; } ds_igemm_w;
void      ds_igemm_weights(ds_pool *pool, ds_igemm *g, const ds_igemm_w *w);

/* Left operand: fill p[t * stride + r] with the row pointers of rows [m0, m0 + rows) of a group. */
typedef void ds_igemm_rows(const void *arg, int64_t group, int64_t m0, int rows, const void **p, size_t stride);

/* Rows of the result that do not lie one behind the other: p[r] = where row m0 + r begins (of group 0). */
typedef void ds_igemm_out(const void *arg, int64_t m0, int rows, void **p);

typedef struct ds_igemm_run {
	const ds_igemm *g;
	int64_t         m;                      /* rows */
	ds_igemm_rows  *rows;
	const void     *rows_arg;
	void           *c;                      /* [m][groups * n] */
	ds_igemm_out   *out;                    /* NULL: rows lie densely in c; f32 without residual only (g->scatter) */
	const void     *res;                    /* the same shape, or NULL */
	void           *scratch;                /* ds_igemm_scratch bytes, 64-byte aligned */
} ds_igemm_run;
size_t ds_igemm_scratch(const ds_igemm *g, int64_t m, int threads);
void   ds_igemm_go(ds_pool *pool, const ds_igemm_run *r);
/* n runs together: task i does tile i of each that has one, so that runs over the same rows meet in the cache.  Their scratch is the same memory.  A product without taps
 * gives its bias (`out` only). */
void   ds_igemm_go_all(ds_pool *pool, const ds_igemm_run *r, int n);
enum { DS_IGEMM_RUNS = 32 };

/* Rows of a dense matrix: arg of ds_igemm_dense_rows. */
typedef struct ds_igemm_dense { const char *a; size_t stride; } ds_igemm_dense;
void   ds_igemm_dense_rows(const void *arg, int64_t group, int64_t m0, int rows, const void **p, size_t stride);

/* Weights of a node as row-major f32 (a copy, decoded), or as int8 codes with scales. */
typedef struct ds_qweight { int8_t *code; float *scale; int64_t rows, cols; int scale_step; } ds_qweight;
ds_status ds_qweight_read(const ds_tensor *t, ds_qweight *w, ds_err *err);
bool      ds_qweight_ok(const ds_arg *a);
/* Signed codes of 2 to 8 bits with one scale for all or one per index of axis 0: what products of integers take. */
bool      ds_q_codes_i8(const ds_qform *q);
void      ds_qweight_done(ds_qweight *w);

extern const ds_variant ds_conv_variants[];             /* Conv, ConvAct */
extern const ds_variant ds_matmul_variants[];
extern const ds_variant ds_gemm_variants[];
extern const ds_variant ds_gemm_act_variants[];
extern const ds_variant ds_qconv_variants[];
extern const ds_variant ds_qgemm_variants[];

#endif
