/* relayout.c - ds.Relayout: the same tensor in another memory layout; the planner inserts it where layouts change, models never hold it
 *
 * Channels-last is the transpose of [channels][positions] for each item of the batch: squares of SIDE x SIDE elements, so that both sides are read
 * and written in whole cache lines; few channels (pictures) go by interleaving. */
#include "nn.h"
#include "nnsample.h"

#include <string.h>

enum { SIDE = 32 };

struct job {
	int64_t     rows, cols;         /* of the source, per item */
	int64_t     blocks;             /* of SIDE columns */
	size_t      size;
	const char *x;
	char       *y;
};

/* Columns [c0, c1) of one item: y[c][r] = x[r][c]. */
#define TRANSPOSE(T) \
	static void transpose_##T(const T *restrict x, T *restrict y, int64_t rows, int64_t cols, int64_t c0, int64_t c1) \
	{ \
		for (int64_t r0 = 0; r0 < rows; r0 += SIDE) { \
			int64_t r1 = DS_MIN(r0 + SIDE, rows); \
			if (rows < SIDE / 4 && c1 - c0 == SIDE) { \
				for (int64_t r = r0; r < r1; r++) \
					for (int64_t c = 0; c < SIDE; c++) \
						y[(c0 + c) * rows + r] = x[r * cols + c0 + c]; \
				continue; \
			} \
			for (int64_t c = c0; c < c1; c++) \
				for (int64_t r = r0; r < r1; r++) \
					y[c * rows + r] = x[r * cols + c]; \
		} \
	}
TRANSPOSE(uint8_t)
TRANSPOSE(uint16_t)
TRANSPOSE(uint32_t)
TRANSPOSE(uint64_t)

static void run(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;

	(void)worker;
	for (int64_t i = i0; i < i1; i++) {
		int64_t item = i / j->blocks, c0 = i % j->blocks * SIDE, c1 = DS_MIN(c0 + SIDE, j->cols);
		size_t at = (size_t)(item * j->rows * j->cols) * j->size;
		const void *x = j->x + at;
		void *y = j->y + at;

		switch (j->size) {
		case 1: transpose_uint8_t(x, y, j->rows, j->cols, c0, c1); break;
		case 2: transpose_uint16_t(x, y, j->rows, j->cols, c0, c1); break;
		case 4: transpose_uint32_t(x, y, j->rows, j->cols, c0, c1); break;
		default: transpose_uint64_t(x, y, j->rows, j->cols, c0, c1); break;
		}
	}
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const ds_tensor *x = in[0];
	int64_t spatial = 1;
	struct job j = { .size = ds_dtype_size(x->dtype), .x = x->data, .y = out[0]->data };

	if (x->q || j.size == 0)
		return ds_fail(err, DS_E_INTERNAL, "%s of %s", n->op_name, ds_dtype_name(x->dtype));
	for (int i = 2; i < x->rank; i++)
		spatial *= x->dim[i];
	if (x->layout == out[0]->layout || x->rank < 3 || spatial == 1 || x->dim[1] == 1) {
		if (x->data != out[0]->data)
			memcpy(out[0]->data, x->data, ds_tensor_bytes(x));
		return DS_OK;
	}
	j.rows = x->layout == DS_PLAIN ? x->dim[1] : spatial;
	j.cols = x->layout == DS_PLAIN ? spatial : x->dim[1];
	j.blocks = (j.cols + SIDE - 1) / SIDE;
	ds_nn_for(env->pool, x->dim[0] * j.blocks, ds_nn_grain(x->dim[0] * j.blocks, (double)j.rows * SIDE), run, &j);
	return DS_OK;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	(void)n;
	(void)in;
	*c = (ds_cost){ .act_bytes = 2 * (double)ds_type_count(&out[0]) * (double)ds_dtype_size(out[0].dtype) };
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	(void)n;
	(void)in;
	return ds_nn_same(link, cap, 0, 0, DS_SLOT_OUT, 0, out[0].rank);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype types[] = { DS_F32, DS_U8, DS_F16, DS_I64 };
	ds_rng r = ds_sample_rng("Relayout", seed);
	int64_t dim[5];
	ds_value *x;
	ds_node *n;

	for (int i = 0; i < 5; i++)
		dim[i] = ds_sample_int(&r, 1, i == 1 ? 80 : 9);
	x = ds_sample_input(g, types[seed % 4], (int)(3 + seed % 3), dim);
	n = x ? ds_sample_node(g, "ds", "Relayout", 1, &x, 1) : NULL;
	return n ? ds_node_parse(n, err) : ds_fail_nomem(err, 0);
}

const ds_op ds_op_Relayout = {
	.name = "Relayout", .domain = "ds", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
	.infer = ds_nn_infer_same, .forward = forward, .cost = cost, .channels = channels, .sample = sample,
};
