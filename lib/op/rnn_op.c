/* rnn_op.c - RNN (ONNX 22): h = f(x W + h R + bias) */
#include "rnnstep.h"

#include <string.h>

void ds_rnn_step_rnn(ds_pool *pool, ds_rnn_step *s, float *gates, size_t ld, const ds_tensor *lens, int64_t step)
{
	ds_rnn_product(pool, &s->r[0], s->rows, s->batch, gates, ld);
	for (int64_t b = 0; b < s->batch; b++) {
		float *g = gates + (size_t)b * ld;

		if (ds_rnn_ended(lens, s->first + b, step))
			continue;
		ds_rnn_clip(g, s->hidden, s->clip);
		ds_rnn_apply(&s->act[0], g, s->hidden);
		memcpy(s->h + b * s->hidden, g, (size_t)s->hidden * sizeof *g);
	}
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err) { return ds_rnn_infer(DS_RNN, n, in, out, err); }

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	(void)threads;
	return ds_rnn_scratch(DS_RNN, n, in, out);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_rnn_forward(DS_RNN, env, n, in, out, err);
}

static ds_status prepare(const ds_node *n, const ds_arg *in, const ds_type *out, void **prep, size_t *bytes, ds_err *err)
{
	(void)out;
	return ds_rnn_prepare(DS_RNN, n, in, prep, bytes, err);
}

static size_t scratch_run(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	return ds_rnn_scratch_run(DS_RNN, n, in, out);
}

static ds_status forward_run(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_rnn_forward_run(DS_RNN, env, n, in, out, err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return ds_rnn_sample(DS_RNN, g, seed, err); }

static const ds_opt attrs[] = {
	DS_RNN_ROWS,
	{ 0 }
};

static const ds_variant variants[] = {
	{ .name = "rnn.packed", .match = ds_rnn_match, .prepare = prepare, .free_prep = ds_rnn_free_prep, .scratch = scratch, .forward = forward },
	{ .name = "rnn.run", .match = ds_rnn_match_run, .scratch = scratch_run, .forward = forward_run },
	{ 0 }
};

const ds_op ds_op_RNN = {
	.name = "RNN", .domain = "", .min_in = 3, .max_in = 6, .min_out = 0, .max_out = 2,
	.attr_size = sizeof(ds_rnn_attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .variants = variants, .cost = ds_rnn_cost, .channels = ds_rnn_channels, .recut = ds_rnn_recut,
	.gradient = ds_rnn_gradient, .sample = sample,
};
