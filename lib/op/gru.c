/* gru.c - GRU (ONNX 22), gates in the order z r h; Cho et al. 2014, linear_before_reset as in cuDNN */
#include "rnnstep.h"

#include <string.h>

void ds_rnn_step_gru(ds_pool *pool, ds_rnn_step *s, float *gates, size_t ld, const ds_tensor *lens, int64_t step)
{
	int64_t hid = s->hidden;
	float *last = s->extra, *reset = s->extra + (size_t)s->batch * s->ld_extra;

	/* z and r; their columns run on into the third gate's, which is kept aside meanwhile */
	for (int64_t b = 0; b < s->batch; b++)
		memcpy(last + (size_t)b * s->ld_extra, gates + (size_t)b * ld + 2 * hid, (size_t)hid * sizeof(float));
	ds_rnn_product(pool, &s->r[0], s->rows, s->batch, gates, ld);
	for (int64_t b = 0; b < s->batch; b++) {
		float *z = gates + (size_t)b * ld, *r = z + hid, *row = reset + (size_t)b * s->ld_extra;
		const float *h = s->h + b * hid;

		ds_rnn_clip(z, 2 * hid, s->clip);
		ds_rnn_apply(&s->act[0], z, 2 * hid);
		if (s->linear_before_reset) {
			/* the recurrent sum of the third gate alone */
			for (int64_t k = 0; k < hid; k++)
				row[k] = s->recurrent_bias ? s->recurrent_bias[2 * hid + k] : 0.0f;
		} else {
			for (int64_t k = 0; k < hid; k++)
				row[k] = r[k] * h[k];
			s->rows[b] = row;
		}
	}
	ds_rnn_product(pool, &s->r[1], s->rows, s->batch, s->linear_before_reset ? reset : last, s->ld_extra);
	for (int64_t b = 0; b < s->batch; b++) {
		float *z = gates + (size_t)b * ld, *r = z + hid, *x = last + (size_t)b * s->ld_extra, *h = s->h + b * hid;
		const float *row = reset + (size_t)b * s->ld_extra;

		if (ds_rnn_ended(lens, s->first + b, step))
			continue;
		for (int64_t k = 0; s->linear_before_reset && k < hid; k++)
			x[k] = x[k] + r[k] * row[k];
		ds_rnn_clip(x, hid, s->clip);
		ds_rnn_apply(&s->act[1], x, hid);
		for (int64_t k = 0; k < hid; k++)
			h[k] = (1.0f - z[k]) * x[k] + z[k] * h[k];
	}
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err) { return ds_rnn_infer(DS_GRU, n, in, out, err); }

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	(void)threads;
	return ds_rnn_scratch(DS_GRU, n, in, out);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_rnn_forward(DS_GRU, env, n, in, out, err);
}

static ds_status prepare(const ds_node *n, const ds_arg *in, const ds_type *out, void **prep, size_t *bytes, ds_err *err)
{
	(void)out;
	return ds_rnn_prepare(DS_GRU, n, in, prep, bytes, err);
}

static size_t scratch_run(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	return ds_rnn_scratch_run(DS_GRU, n, in, out);
}

static ds_status forward_run(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_rnn_forward_run(DS_GRU, env, n, in, out, err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return ds_rnn_sample(DS_GRU, g, seed, err); }

static const ds_opt attrs[] = {
	DS_RNN_ROWS,
	DS_NN_INT(ds_rnn_attr, linear_before_reset, "linear_before_reset", "0", 0, 1, "Multiply by the reset gate after the product"),
	{ 0 }
};

static const ds_variant variants[] = {
	{ .name = "gru.packed", .match = ds_rnn_match, .prepare = prepare, .free_prep = ds_rnn_free_prep, .scratch = scratch, .forward = forward },
	{ .name = "gru.run", .match = ds_rnn_match_run, .scratch = scratch_run, .forward = forward_run },
	{ 0 }
};

const ds_op ds_op_GRU = {
	.name = "GRU", .domain = "", .min_in = 3, .max_in = 6, .min_out = 0, .max_out = 2,
	.attr_size = sizeof(ds_rnn_attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .variants = variants, .cost = ds_rnn_cost, .channels = ds_rnn_channels, .recut = ds_rnn_recut,
	.gradient = ds_rnn_gradient, .sample = sample,
};
