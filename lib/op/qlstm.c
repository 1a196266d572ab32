/* qlstm.c - QLSTM (ds): LSTM whose products run on int8 codes (rnn.h) */
#include "rnnstep.h"

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	if (in[0].type.dtype != DS_F32)
		return ds_fail(err, DS_E_INPUT, "QLSTM of type %s", ds_dtype_name(in[0].type.dtype));
	return ds_rnn_infer(DS_QLSTM, n, in, out, err);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	(void)threads;
	return ds_rnn_scratch(DS_QLSTM, n, in, out);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_rnn_forward(DS_QLSTM, env, n, in, out, err);
}

static ds_status prepare(const ds_node *n, const ds_arg *in, const ds_type *out, void **prep, size_t *bytes, ds_err *err)
{
	(void)out;
	return ds_rnn_prepare(DS_QLSTM, n, in, prep, bytes, err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return ds_rnn_sample(DS_QLSTM, g, seed, err); }

static const ds_opt attrs[] = {
	DS_RNN_ROWS,
	DS_NN_INT(ds_rnn_attr, input_forget, "input_forget", "0", 0, 1, "Couple the forget gate to the input gate"),
	DS_NN_FLOAT(ds_rnn_attr, h_scale, "h_scale", "0", "Step of the codes of the state, 0: each row has its own"),
	{ 0 }
};

static const ds_variant variants[] = {
	{ .name = "qlstm.i8.packed", .match = ds_rnn_match_codes, .prepare = prepare, .free_prep = ds_rnn_free_prep, .scratch = scratch, .forward = forward },
	{ 0 }
};

const ds_op ds_op_QLSTM = {
	.name = "QLSTM", .domain = "ds", .min_in = 3, .max_in = 8, .min_out = 0, .max_out = 3,
	.attr_size = sizeof(ds_rnn_attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .variants = variants, .cost = ds_rnn_cost, .channels = ds_rnn_channels, .recut = ds_rnn_recut,
	.sample = sample,
};
