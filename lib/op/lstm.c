/* lstm.c - LSTM (ONNX 22), gates in the order i o f c; Hochreiter & Schmidhuber 1997, peepholes of Gers & Schmidhuber 2000 */
#include "rnnstep.h"

#include <string.h>

void ds_rnn_step_lstm(ds_pool *pool, ds_rnn_step *s, float *gates, size_t ld, const ds_tensor *lens, int64_t step)
{
	int64_t hid = s->hidden;

	ds_rnn_product(pool, &s->r[0], s->rows, s->batch, gates, ld);
	for (int64_t b = 0; b < s->batch; b++) {
		float *i = gates + (size_t)b * ld, *o = i + hid, *f = o + hid, *g = f + hid, *h = s->h + b * hid, *c = s->c + b * hid;

		if (ds_rnn_ended(lens, s->first + b, step))
			continue;
		for (int64_t k = 0; s->peep && k < hid; k++) {
			i[k] = i[k] + s->peep[k] * c[k];
			f[k] = f[k] + s->peep[2 * hid + k] * c[k];
		}
		ds_rnn_clip(i, hid, s->clip);
		ds_rnn_clip(f, hid, s->clip);
		ds_rnn_clip(g, hid, s->clip);
		ds_rnn_apply(&s->act[0], i, hid);
		ds_rnn_apply(&s->act[0], f, hid);
		ds_rnn_apply(&s->act[1], g, hid);
		for (int64_t k = 0; s->input_forget && k < hid; k++)
			f[k] = 1.0f - i[k];
		for (int64_t k = 0; k < hid; k++)
			c[k] = f[k] * c[k] + i[k] * g[k];
		for (int64_t k = 0; s->peep && k < hid; k++)
			o[k] = o[k] + s->peep[hid + k] * c[k];
		ds_rnn_clip(o, hid, s->clip);
		ds_rnn_apply(&s->act[0], o, hid);
		/* the gates stay as they are: the gradient reads them */
		memcpy(s->extra, c, (size_t)hid * sizeof *c);
		ds_rnn_apply(&s->act[2], s->extra, hid);
		for (int64_t k = 0; k < hid; k++)
			h[k] = o[k] * s->extra[k];
	}
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err) { return ds_rnn_infer(DS_LSTM, n, in, out, err); }

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	(void)threads;
	return ds_rnn_scratch(DS_LSTM, n, in, out);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_rnn_forward(DS_LSTM, env, n, in, out, err);
}

static ds_status prepare(const ds_node *n, const ds_arg *in, const ds_type *out, void **prep, size_t *bytes, ds_err *err)
{
	(void)out;
	return ds_rnn_prepare(DS_LSTM, n, in, prep, bytes, err);
}

static size_t scratch_run(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	return ds_rnn_scratch_run(DS_LSTM, n, in, out);
}

static ds_status forward_run(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_rnn_forward_run(DS_LSTM, env, n, in, out, err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return ds_rnn_sample(DS_LSTM, g, seed, err); }

static const ds_opt attrs[] = {
	DS_RNN_ROWS,
	DS_NN_INT(ds_rnn_attr, input_forget, "input_forget", "0", 0, 1, "Couple the forget gate to the input gate"),
	{ 0 }
};

static const ds_variant variants[] = {
	{ .name = "lstm.packed", .match = ds_rnn_match, .prepare = prepare, .free_prep = ds_rnn_free_prep, .scratch = scratch, .forward = forward },
	{ .name = "lstm.run", .match = ds_rnn_match_run, .scratch = scratch_run, .forward = forward_run },
	{ 0 }
};

const ds_op ds_op_LSTM = {
	.name = "LSTM", .domain = "", .min_in = 3, .max_in = 8, .min_out = 0, .max_out = 3,
	.attr_size = sizeof(ds_rnn_attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .variants = variants, .cost = ds_rnn_cost, .channels = ds_rnn_channels, .recut = ds_rnn_recut,
	.gradient = ds_rnn_gradient, .sample = sample,
};
