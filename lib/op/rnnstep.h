/* rnnstep.h - what the recurrent operators' common walk (rnn.c) and their steps (rnn_op.c, gru.c, lstm.c) hand each other */
#ifndef DS_OP_RNNSTEP_H
#define DS_OP_RNNSTEP_H

#include "rnn.h"
#include "igemm.h"
#include "../base/rng.h"

/* Extents of a run; gates: elements of all gates of one position; ld: columns of a row of gates, as kernels may write a panel's whole width. */
typedef struct ds_rnn_extents { int64_t time, batch, input, hidden, gates; int dirs; size_t ld; } ds_rnn_extents;
void ds_rnn_extents_of(ds_rnn_kind kind, const ds_node *n, const int64_t *x, const int64_t *r, ds_rnn_extents *e);
static inline size_t ds_rnn_cols(int64_t n) { return ((size_t)n + 63) / 64 * 64 + 64; }

/* Panels of int8 codes with what belongs to their columns; made and freed in rnn_i8.c. */
typedef struct ds_rnn_codes {
	const ds_kernel *kn;
	int64_t  k4;                    /* k rounded up to 4 */
	int8_t  *panels;
	int32_t *init;                  /* [n_pad]: -128 times the sum of a column, since left operands are unsigned with zero at 128 */
	float   *mult;                  /* [n_pad]: scale of the column, times the step of the rows if that is fixed */
} ds_rnn_codes;

/* A right operand [k, n]: raw is its transpose as ONNX has it (upright: [k, n] itself), packed (may be NULL) its panels.
 * With `coded` the left operand is rounded to 255 codes: of the step `step`, or of its own for each row (step 0).  codes (NULL: the reference, on decoded raw) are
 * its panels then, and work is DS_RNN_CHUNK rows of codes and of sums (ds_rnn_codes_work bytes). */
typedef struct ds_rnn_matrix {
	int64_t             k, n;
	const float        *raw, *packed;
	bool                upright, coded;
	float               step;
	const ds_rnn_codes *codes;
	void               *work;
} ds_rnn_matrix;
enum { DS_RNN_CHUNK = 32 };
/* w: the codes of a tensor [rows][k], of which n rows from `first` on are the columns.  step: of the matrix. */
ds_status ds_rnn_codes_new(ds_rnn_codes *c, const ds_qweight *w, int64_t first, int64_t n, float step, size_t *bytes, ds_err *err);
void      ds_rnn_codes_done(ds_rnn_codes *c);
/* A parameter [dirs, rows, k] of random codes with one scale per row, or one for all; NULL: no memory. */
ds_value *ds_rnn_sample_codes(ds_graph *g, ds_rng *r, const int64_t dim[3], bool per_row);
size_t    ds_rnn_codes_work(int64_t k, size_t ld);
void      ds_rnn_product_coded(ds_pool *pool, const ds_rnn_matrix *m, const float *const *rows, int64_t n_rows, float *acc, size_t ld);
/* Floats of its panels; panels of it into dst. */
size_t ds_rnn_panels(int64_t k, int64_t n);
void   ds_rnn_pack(ds_rnn_matrix *m, float *dst);

typedef struct ds_rnn_step {
	int64_t           batch, hidden;
	int64_t           first;        /* number of the first sequence among all: the lengths are those of all */
	float             clip;
	bool              input_forget, linear_before_reset;
	const ds_rnn_act *act;
	ds_rnn_matrix     w, r[2];
	float            *h, *c;        /* [batch][hidden], in and out */
	float            *extra;        /* 2 x [batch][ld_extra] */
	size_t            ld_extra;
	const float      *peep;         /* [3][hidden]: i, o, f; NULL: none */
	const float      *recurrent_bias;       /* [gates * hidden], NULL: none */
	const float     **rows;         /* [batch]: the rows of h; may be overwritten */
} ds_rnn_step;

/* One step: gates [batch][ld] hold bias and input part.  Sequences whose length is at most `step` keep their state. */
typedef void ds_rnn_step_fn(ds_pool *pool, ds_rnn_step *s, float *gates, size_t ld, const ds_tensor *lens, int64_t step);

typedef struct ds_rnn_form {
	const char     *name;
	int             gates, acts;
	int             part_at[2], part[2];    /* gates of the parts of R */
	const char     *defaults[3];
	ds_rnn_step_fn *step;
} ds_rnn_form;
extern const ds_rnn_form ds_rnn_forms[];

ds_rnn_step_fn ds_rnn_step_rnn, ds_rnn_step_gru, ds_rnn_step_lstm;

/* Copy a state [dirs, batch, hidden] (or [batch, dirs, hidden]) of direction d in or out; inner has ld columns.  Without an outer one zeros go in. */
void ds_rnn_copy_state(const ds_rnn_extents *e, bool batch_first, int d, float *outer, float *inner, size_t ld, bool out);
/* acc[i][j] goes on with sum over k of rows[i][k] * m[k][j] in ascending order; acc has ld columns per row, a multiple of 64. */
void ds_rnn_product(ds_pool *pool, const ds_rnn_matrix *m, const float *const *rows, int64_t n_rows, float *acc, size_t ld);

static inline bool ds_rnn_ended(const ds_tensor *lens, int64_t b, int64_t step) { return lens && ds_tensor_i64(lens, b) <= step; }
/* Sequences that are walked together by one task, from the first step to the last: few, where the recurrent weights stay in a cache near by; all of them, with the products
 * shared out among workers, where they do not.  No result depends on it. */
static inline int64_t ds_rnn_together(const ds_rnn_extents *e)
{
	return e->gates * e->hidden <= 1 << 18 ? DS_MIN(e->batch, 16) : e->batch;
}

static inline void ds_rnn_clip(float *v, int64_t n, float clip)
{
	for (int64_t i = 0; clip > 0 && i < n; i++)
		v[i] = v[i] > clip ? clip : v[i] < -clip ? -clip : v[i];
}

#endif
