/* kernel.h - arithmetic on raw pointers: what each slot computes, and the table of its implementations
 *
 * A slot is one computation; kernel.def has a row for each implementation of it.  ds_kernel_pick gives the last row of a slot whose needs are
 * allowed.  All rows of a slot give the same bytes, but for gemm_bf16 (products of bf16, which processors sum in orders of their own): f32 sums are one chain of fused multiply-adds per output in ascending order that starts at the
 * bias, int8 sums are exact in int32, and the steps after them are written out below with every rounding.
 *
 * Matrix products.  One call computes a block of rows of one panel:
 *     s[r][j] = start + sum over t < taps, k < kc of a[t*a_rows + r][a_off + k] * b[t*kc + k][j]
 * The rows of the left operand are reached through pointers, so that the taps of a convolution need no copy (indirect convolution: Dukhan, "The
 * Indirect Convolution Algorithm", 2019).  A long sum may be split over calls: the chain goes on in `acc`. */
#ifndef DS_KERNEL_H
#define DS_KERNEL_H

#include "../base/status.h"
#include "../cpu/cpu.h"

typedef struct ds_k_gemm {
	const void *const *a;           /* [taps][a_rows] rows, element a_off is the first that is read */
	size_t       a_rows, a_off;
	int          taps, kc;          /* kc: elements per tap; int8: a multiple of 4 */
	const void  *b;                 /* panel: f32 [taps*kc][width], int8 [taps*kc/4][width][4], bf16 [taps*kc/2][width][2] (rows of a are f32, rounded to bf16; kc even) */
	int          rows, cols, width; /* cols <= width: columns stored; width a multiple of the row's step */
	bool         first, last;       /* first: start from bias/init, else from acc.  last: finish and store to c, else store acc */
	void        *acc;               /* f32 / int32 [rows][ld_acc], 16-padded columns written freely up to width */
	size_t       ld_acc;
	void        *c;                 /* f32 or u8, [rows][ldc] */
	size_t       ldc;               /* elements */
	void *const *c_rows;            /* f32: row r begins at c_rows[r] + c_off elements instead; NULL: not so */
	size_t       c_off;
	const float *bias;              /* [width], f32: start of the chain; int8: added after mult; NULL: 0 */
	/* finish f32: y = s + res (if given); c = min(max(y, lo), hi) */
	const void  *res;               /* f32 or u8 [rows][ldr], NULL: none */
	size_t       ldr;
	float        lo, hi;
	/* finish int8: y = (float)s * mult[j] + bias[j] + (float)(res - res_zp) * res_mult, one rounding per operation, left to right.
	 * f32_out: c = min(max(y, lo), hi); else c = (u8)(rint(min(max(y, lo), hi)) + zp) where lo and hi are whole and 0 <= lo + zp, hi + zp <= 255 */
	const int32_t *init;            /* [width] start of the sums (-zero point of x times sum of weights), NULL: 0 */
	const float *mult;              /* [width] */
	float        res_mult;
	int32_t      res_zp, zp;
	bool         f32_out;
} ds_k_gemm;

/* Depthwise convolution of n output pixels of one row: channel c of pixel i is finish(start[c] + sum over t of a[i*taps + t][c] * w[t][c]). */
typedef struct ds_k_dw {
	const void *const *a;           /* [n][taps] pixels */
	int          n, taps, chans;
	const void  *w;                 /* f32 / int8 [taps][ldw]; ldw a multiple of 64, zero beyond chans */
	size_t       ldw;
	void        *c;                 /* f32 or u8 [n][ldc] */
	size_t       ldc;
	const float *bias, *mult;       /* [ldw], as in ds_k_gemm */
	const int32_t *init;
	const void  *res;
	size_t       ldr;
	float        lo, hi, res_mult;
	int32_t      res_zp, zp;
	bool         f32_out;
} ds_k_dw;

typedef void ds_k_gemm_fn(const ds_k_gemm *g);
typedef void ds_k_dw_fn(const ds_k_dw *d);

/* ---- training ---- */
/* Product of a transposed left operand: c[r][t*kc + j] = start + sum over p < pixels of a[p*lda + r] * b[t*ldb + p][b_off + j], one chain in ascending p that
 * starts at 0 (first) or at what c holds.  The rows of the right operand are reached through pointers: the taps of a convolution's weight gradient need no copy.
 * b_block > 0: a row is cut into blocks of the kernel's width nr, which lie b_block elements apart (element j is at b_off + j / nr * b_block + j % nr), the last one full.
 * b NULL (taps 1): both operands are packed: element j of row p of the right one is packed[j / nr * b_block + p*nr + j % nr], element r of row p of the left one
 * a[r / DS_TN_ROWS * lda + p*DS_TN_ROWS + r % DS_TN_ROWS], in whole blocks. */
enum { DS_TN_ROWS = 8 };
typedef struct ds_k_tn {
	const float *a;
	size_t       lda;
	const void *const *b;           /* [taps][ldb] */
	const float *packed;
	size_t       ldb, b_off, b_block;
	int          pixels, rows, taps, kc;
	bool         first;
	float       *c;                 /* [rows][ldc] */
	size_t       ldc;
} ds_k_tn;

/* Weight gradient of a depthwise convolution: c[t][j] = start + sum over p < pixels of a[p*lda + j] * b[t*ldb + p][j], j < chans, as above. */
typedef struct ds_k_dwg {
	const float *a;
	size_t       lda;
	const void *const *b;
	size_t       ldb;
	int          pixels, taps, chans;
	bool         first;
	float       *c;                 /* [taps][ldc] */
	size_t       ldc;
} ds_k_dwg;

/* Rows cut into such blocks: y[j / width * block + p * width + j % width] = x[p * ld + j] for p < pixels, j < chans; 0 for the rest of the last block. */
typedef void ds_k_blocks_fn(float *y, size_t block, size_t width, const float *x, size_t ld, size_t pixels, size_t chans);

/* n elements between f32 and bf16: to the nearest, ties to even, a NaN stays one (to_bf16), or exactly back. */
typedef void ds_k_half_fn(void *y, const void *x, size_t n, bool to_bf16);

/* Sums per channel over `pixels` rows of `chans` elements, in f64, one chain in ascending order that goes on in sum and sum2; and what is done with them.
 * With u = x - mean[c], all of f32 with one rounding per operation, and g = dy, or 0 where relu is set and u*a[c] + b[c] <= 0 (a NaN stays):
 *   SUM      sum += x                       MOMENTS  sum += x, sum2 += x*x
 *   GRAD     sum += g, sum2 += g*u (the product exact)
 *   APPLY    y = u*a + b, with relu 0 where that is <= 0   BACK     y = (g*k1 - k2) - u*k3 */
typedef enum ds_norm_what { DS_NORM_SUM, DS_NORM_MOMENTS, DS_NORM_GRAD, DS_NORM_APPLY, DS_NORM_BACK } ds_norm_what;
typedef struct ds_k_norm {
	ds_norm_what what;
	bool         relu;
	const float *x, *dy;            /* rows at distance ld */
	float       *y;                 /* may be x or dy */
	size_t       ld, pixels, chans;
	const float *mean, *a, *b, *k1, *k2, *k3;
	double      *sum, *sum2;
} ds_k_norm;

typedef void ds_k_tn_fn(const ds_k_tn *g);
typedef void ds_k_dwg_fn(const ds_k_dwg *g);
typedef void ds_k_norm_fn(const ds_k_norm *n);

/* Activations that follow a matrix product; a and b as in the ONNX operator (clip: min, max; leakyrelu, elu, hardsigmoid: alpha (and beta)). */
typedef enum ds_act {
	DS_ACT_NONE, DS_ACT_RELU, DS_ACT_CLIP, DS_ACT_LEAKYRELU, DS_ACT_SIGMOID, DS_ACT_SILU, DS_ACT_HARDSIGMOID, DS_ACT_HARDSWISH, DS_ACT_TANH,
	DS_ACT_ELU, DS_ACT_EXP, DS_ACT_LOG, DS_ACT_ERF, DS_ACT_GELU, DS_ACT_GELU_TANH, DS_ACT_MISH, DS_ACT_COUNT,
} ds_act;
extern const char *const ds_act_names[DS_ACT_COUNT + 1];        /* "none", "relu", ..., NULL: choices of an attribute */
/* y[i] = act(x[i]), in place allowed.  The functions are those of kernel/vmath.h: the same bits on every machine,
 * and as the operators of these names. */
typedef void ds_k_act_fn(float *y, const float *x, size_t n, int act, float a, float b);
/* y[i] = dy[i] * act'(x[i]), gelu and gelu_tanh; y may be x or dy. */
typedef void ds_k_slope_fn(float *y, const float *x, const float *dy, size_t n, int act);

/* y[i] = max (from -infinity) or sum (from 0, ascending) over t < taps of a[t][i], for n channels; max of bytes (from 0). */
typedef void ds_k_pool_fn(float *y, const float *const *a, int taps, size_t n, int sum);
typedef void ds_k_pool_u8_fn(uint8_t *y, const uint8_t *const *a, int taps, size_t n);

typedef union ds_kfn {
	ds_k_gemm_fn *gemm;
	ds_k_dw_fn   *dw;
	ds_k_act_fn  *act;
	ds_k_slope_fn *slope;
	ds_k_pool_fn *pool;
	ds_k_pool_u8_fn *pool_u8;
	ds_k_tn_fn   *tn;
	ds_k_dwg_fn  *dwg;
	ds_k_norm_fn *norm;
	ds_k_blocks_fn *blocks;
	ds_k_half_fn *half;
} ds_kfn;

typedef enum ds_kslot {
	DS_K_gemm_f32, DS_K_gemm_i8, DS_K_dw_f32, DS_K_dw_i8, DS_K_act_f32, DS_K_pool_f32, DS_K_pool_u8,
	DS_K_gemm_tn_f32, DS_K_dwg_f32, DS_K_norm_f32, DS_K_blocks_f32, DS_K_gemm_bf16, DS_K_half, DS_K_slope_f32,
	DS_K_COUNT,
} ds_kslot;

/* CLOSE: sums in another order, within 1e-5 of the sum of the products' sizes */
typedef enum ds_ktol { DS_TOL_EXACT, DS_TOL_CLOSE } ds_ktol;

typedef struct ds_kernel {
	ds_kslot    slot;
	const char *slot_name, *name;
	unsigned    needs;              /* DS_ISA_* */
	int         nr, step;           /* gemm: widest panel, and what the last panel's width is rounded up to; dw, act: channels per step */
	ds_ktol     tol;
	ds_kfn      fn;
} ds_kernel;

const ds_kernel *ds_kernel_all(int *n);
/* Best row of the slot under the mask (ds_cpu_allowed() as a rule); never NULL, because every slot has a row in C. */
const ds_kernel *ds_kernel_pick(ds_kslot slot, unsigned mask);

/* ---- panels -------------------------------------------------------------------------------------------------------------------- */
/* Elements of a right operand [k, n] packed for kernel kn (int8: k is rounded up to 4 by the caller). */
size_t ds_k_panels_size(const ds_kernel *kn, int64_t k, int64_t n);
/* Width of panel p, and where it starts in elements. */
int    ds_k_panel_width(const ds_kernel *kn, int64_t n, int64_t p);
static inline int64_t ds_k_panel_count(const ds_kernel *kn, int64_t n) { return (n + kn->nr - 1) / kn->nr; }
static inline size_t ds_k_panel_at(const ds_kernel *kn, int64_t k, int64_t p) { return (size_t)(p * kn->nr) * (size_t)k; }
/* Pack columns of panel p: element (kk, j) is b[kk*sk + j*sn].  Columns beyond n are zero. */
void   ds_k_pack_f32(const ds_kernel *kn, float *dst, const float *b, int64_t k, int64_t n, int64_t p, int64_t sk, int64_t sn);
void   ds_k_pack_bf16(const ds_kernel *kn, uint16_t *dst, const float *b, int64_t k, int64_t n, int64_t p, int64_t sk, int64_t sn);      /* k even */
void   ds_k_pack_i8(const ds_kernel *kn, int8_t *dst, const int8_t *b, int64_t k, int64_t n, int64_t p, int64_t sk, int64_t sn);

/* The rows, declared from the table. */
#define DS_KERN(slot, isa, fn, nr, step, tol) DS_KDECL_##slot(fn)
#define DS_KDECL_gemm_f32(fn) void fn(const ds_k_gemm *g);
#define DS_KDECL_gemm_i8(fn)  void fn(const ds_k_gemm *g);
#define DS_KDECL_dw_f32(fn)   void fn(const ds_k_dw *d);
#define DS_KDECL_dw_i8(fn)    void fn(const ds_k_dw *d);
#define DS_KDECL_act_f32(fn)  void fn(float *y, const float *x, size_t n, int act, float a, float b);
#define DS_KDECL_slope_f32(fn) void fn(float *y, const float *x, const float *dy, size_t n, int act);
#define DS_KDECL_pool_f32(fn) void fn(float *y, const float *const *a, int taps, size_t n, int sum);
#define DS_KDECL_pool_u8(fn)  void fn(uint8_t *y, const uint8_t *const *a, int taps, size_t n);
#define DS_KDECL_half(fn)     void fn(void *y, const void *x, size_t n, bool to_bf16);
#define DS_KDECL_gemm_bf16(fn) void fn(const ds_k_gemm *g);
#define DS_KDECL_gemm_tn_f32(fn) void fn(const ds_k_tn *g);
#define DS_KDECL_dwg_f32(fn)  void fn(const ds_k_dwg *g);
#define DS_KDECL_norm_f32(fn) void fn(const ds_k_norm *n);
#define DS_KDECL_blocks_f32(fn) void fn(float *y, size_t block, size_t width, const float *x, size_t ld, size_t pixels, size_t chans);
#include "kernel.def"
#undef DS_KERN

#endif
