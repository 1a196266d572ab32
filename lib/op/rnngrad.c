/* rnngrad.c - ds.RNNGrad, ds.GRUGrad and ds.LSTMGrad, and the gradient column of the recurrent operators
 *
 * The operators walk back through time (rnnback.h); the gradients of X, W, R and B are products over all positions at once, which the column writes as ordinary
 * nodes. */
#include "draw.h"
#include "grad.h"
#include "rnnback.h"

/* ---- columns ---------------------------------------------------------------------------------------------------------------------- */

static ds_status reference(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_rnn_back(env, n, in, out, err, false);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, reference);
}

static ds_status forward_packed(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_rnn_back(env, n, in, out, err, true);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	return ds_nn_in_f32_scratch(n, in, out) + ds_rnn_back_scratch(n, in, false);
}

static size_t scratch_packed(const ds_node *n, const ds_arg *in, const ds_type *out, int threads) { return ds_rnn_back_scratch(n, in, true); }

static bool match(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	for (int i = 0; i < n->n_in; i++) {
		want[i] = DS_PLAIN;
		if (in[i].present && i != 4 && in[i].type.dtype != DS_F32)
			return false;
	}
	return true;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	ds_rnn_kind kind = ds_rnn_kind_of(n->op_name);
	const ds_type *x = &in[0].type;
	ds_rnn_extents e;
	ds_type y[3];
	ds_node plain = *n;

	plain.n_in = DS_MIN(n->n_in, 8);
	plain.n_out = kind == DS_LSTM ? 3 : 2;
	DS_TRY(ds_rnn_infer(kind, &plain, in, y, err));
	for (int i = 0; i < 3; i++)
		if (!ds_type_concrete(&in[i].type))
			return ds_fail(err, DS_E_UNSUPPORTED, "%s with extents that are not known", n->op_name);
	ds_rnn_extents_of(kind, n, x->dim, in[2].type.dim, &e);
	const int64_t rows = e.time * e.batch;

	out[0] = ds_type_make(x->dtype, 3, (int64_t[]){ e.dirs, rows, e.gates });
	out[1] = ds_type_make(x->dtype, 3, (int64_t[]){ e.dirs, rows, e.hidden });
	out[2] = y[1];
	for (int i = 3; i < n->n_out; i++)
		out[i] = out[1];
	if (kind == DS_LSTM) {
		out[3] = y[1];
		out[4] = ds_type_make(x->dtype, 2, (int64_t[]){ e.dirs, 3 * e.hidden });
	}
	return DS_OK;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	double rows = (double)out[0].dim[1], gates = (double)(out[0].dim[0] * out[0].dim[2]), input = (double)in[1].type.dim[2], hidden = (double)in[2].type.dim[2];
	double size = (double)ds_dtype_size(out[0].dtype);

	*c = (ds_cost){ .macs = rows * gates * (input + 2 * hidden), .flops = 20 * rows * gates, .weight_bytes = size * gates * (input + hidden),
		.act_bytes = size * rows * (input + 3 * gates) };
}

/* ---- the column of the operators --------------------------------------------------------------------------------------------------- */

static ds_value *product(ds_emit *e, ds_value *a, bool turned, ds_value *b)
{
	ds_value *v = ds_emit2(e, "ds.MatMulT", a, b);

	ds_emit_i(e, v, "trans_a", turned);
	return v;
}

static ds_value *matrix(ds_emit *e, ds_value *v, ds_dtype d, int64_t rows, int64_t cols)
{
	ds_type t = { .dtype = d, .rank = 2, .dim = { rows, cols } };

	return ds_emit_reshape(e, v, &t);
}

static ds_value *columns(ds_emit *e, ds_value *v, int64_t from, int64_t to)
{
	ds_value *in[4] = { v, ds_emit_ints(e, 1, &from), ds_emit_ints(e, 1, &to), ds_emit_ints(e, 1, (int64_t[]){ 1 }) };

	return ds_emit_op(e, "Slice", 4, in);
}

static ds_value *joined(ds_emit *e, ds_value *a, ds_value *b, int axis)
{
	ds_value *v = ds_emit2(e, "Concat", a, b);

	ds_emit_i(e, v, "axis", axis);
	return v;
}

/* Direction d of a value [dirs, ...] as a matrix. */
static ds_value *one_of(ds_emit *e, ds_value *v, ds_dtype t, int64_t dirs, int64_t d, int64_t rows, int64_t cols)
{
	int64_t to = d + 1;
	ds_value *in[4] = { v, dirs > 1 ? ds_emit_ints(e, 1, &d) : NULL, dirs > 1 ? ds_emit_ints(e, 1, &to) : NULL, dirs > 1 ? ds_emit_ints(e, 1, (int64_t[]){ 0 }) : NULL };

	return matrix(e, dirs > 1 ? ds_emit_op(e, "Slice", 4, in) : v, t, rows, cols);
}

/* The products over all rows of direction d: what is added to dX, dW, dR, dB of it. */
static void products(ds_emit *e, const ds_node *n, const ds_node *back, const ds_rnn_extents *x, ds_rnn_kind kind, int64_t d, ds_value *dv[4])
{
	ds_dtype t = n->in[0]->type.dtype;
	int64_t rows = x->time * x->batch, hid = x->hidden;
	ds_type all = { .dtype = t, .rank = 2, .dim = { rows, x->gates } }, one = { .dtype = t, .rank = 2, .dim = { 1, x->gates } };
	bool lbr = kind == DS_GRU && DS_A(ds_rnn_attr, n)->linear_before_reset != 0;
	ds_value *gates = one_of(e, back->out[0], t, x->dirs, d, rows, x->gates), *states = one_of(e, back->out[1], t, x->dirs, d, rows, hid), *sum, *recurrent;

	dv[0] = product(e, gates, false, one_of(e, n->in[1], t, x->dirs, d, x->gates, x->input));
	dv[1] = product(e, gates, true, matrix(e, n->in[0], t, rows, x->input));
	sum = ds_emit_reduce_to(e, gates, &all, &one);
	recurrent = sum;
	if (kind == DS_GRU) {
		ds_value *last = one_of(e, back->out[3], t, x->dirs, d, rows, hid), *from = one_of(e, back->out[4], t, x->dirs, d, rows, hid);

		dv[2] = joined(e, product(e, columns(e, gates, 0, 2 * hid), true, states), product(e, last, true, from), 0);
		if (lbr) {
			all.dim[1] = one.dim[1] = hid;
			recurrent = joined(e, columns(e, sum, 0, 2 * hid), ds_emit_reduce_to(e, last, &all, &one), 1);
		}
	} else {
		dv[2] = product(e, gates, true, states);
	}
	dv[3] = joined(e, sum, recurrent, 1);
}

ds_status ds_rnn_gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	static const char *const ops[] = { "ds.RNNGrad", "ds.GRUGrad", "ds.LSTMGrad" };
	ds_emit e = ds_emit_begin(g, err);
	ds_rnn_kind kind = ds_rnn_kind_of(n->op_name);
	ds_value *in[DS_RNN_BACK_INPUTS] = { NULL }, *dv[2][4];
	ds_rnn_extents x;
	ds_node *back;

	for (int i = 0; i < n->n_in && i < DS_RNN_DY; i++)
		in[i] = n->in[i];
	for (int i = 0; i < n->n_out; i++)
		in[DS_RNN_DY + i] = dout[i];
	back = ds_emit_node(&e, ops[kind], DS_RNN_BACK_INPUTS, in, kind == DS_RNN ? 3 : 5);
	if (!back)
		return ds_emit_end(&e);
	ds_emit_attrs(&e, back->out[0], n);
	ds_rnn_extents_of(kind, n, n->in[0]->type.dim, n->in[2]->type.dim, &x);
	for (int d = 0; d < x.dirs; d++)
		products(&e, n, back, &x, kind, d, dv[d]);
	for (int i = 0; i < 4; i++) {
		ds_value *v = dv[0][i];

		if (i == 3 && (n->n_in < 4 || !n->in[3]))
			continue;
		if (x.dirs > 1)
			v = i ? joined(&e, v, dv[1][i], 0) : ds_emit2(&e, "Add", v, dv[1][i]);
		din[i] = ds_emit_reshape(&e, v, &n->in[i]->type);
	}
	if (n->n_in > 5 && n->in[5])
		din[5] = back->out[2];
	if (n->n_in > 6 && n->in[6])
		din[6] = back->out[3];
	if (n->n_in > 7 && n->in[7])
		din[7] = back->out[4];
	return ds_emit_end(&e);
}

/* ---- samples: random graphs of the operators, of which the gradients take the place -------------------------------------------------- */

static ds_status sample_of(ds_rnn_kind kind, const char *op, ds_graph *g, uint64_t seed, ds_err *err)
{
	DS_TRY(ds_rnn_sample(kind, g, seed, err));
	const ds_node *n = g->node[0];
	ds_draw s = ds_draw_begin(g, seed);
	ds_value *in[DS_RNN_BACK_INPUTS] = { NULL };
	ds_emit e = ds_emit_begin(g, err);
	ds_arg arg[8] = { 0 };
	ds_type y[3];
	ds_node *back;

	for (int i = 0; i < n->n_in; i++) {
		in[i] = n->in[i];
		if (in[i])
			arg[i] = (ds_arg){ .present = true, .type = in[i]->type };
	}
	DS_TRY(ds_rnn_infer(kind, n, arg, y, err));
	s.inputs = 100;
	for (int i = 0; i < n->n_out; i++)
		in[DS_RNN_DY + i] = seed % 8 == (uint64_t)i ? NULL : ds_draw_input(&s, y[i].dtype, y[i].rank, y[i].dim);
	back = ds_draw_node(&s, op, DS_RNN_BACK_INPUTS, in, kind == DS_RNN ? 3 : 5);
	if (!back)
		return ds_fail_nomem(err, 0);
	ds_emit_attrs(&e, back->out[0], n);
	DS_TRY(ds_emit_end(&e));
	g->n_output = 0;
	DS_TRY(ds_draw_end(&s, back, err));
	ds_graph_prune_dead(g);
	return DS_OK;
}

static ds_status sample_rnn(ds_graph *g, uint64_t seed, ds_err *err) { return sample_of(DS_RNN, "ds.RNNGrad", g, seed, err); }
static ds_status sample_gru(ds_graph *g, uint64_t seed, ds_err *err) { return sample_of(DS_GRU, "ds.GRUGrad", g, seed, err); }
static ds_status sample_lstm(ds_graph *g, uint64_t seed, ds_err *err) { return sample_of(DS_LSTM, "ds.LSTMGrad", g, seed, err); }

static const ds_opt attrs[] = {
	DS_RNN_ROWS,
	DS_NN_INT(ds_rnn_attr, input_forget, "input_forget", "0", 0, 1, "Couple the forget gate to the input gate (LSTM)"),
	DS_NN_INT(ds_rnn_attr, linear_before_reset, "linear_before_reset", "0", 0, 1, "Multiply by the reset gate after the product (GRU)"),
	{ 0 }
};

static const ds_variant variants[] = {
	{ .name = "rnngrad.f32.packed", .match = match, .scratch = scratch_packed, .forward = forward_packed },
	{ 0 }
};

#define ROW(Name, outs, smp) \
	const ds_op ds_op_##Name = { \
		.name = #Name, .domain = "ds", .min_in = 3, .max_in = DS_RNN_BACK_INPUTS, .min_out = outs, .max_out = outs, .attr_size = sizeof(ds_rnn_attr), .attrs = attrs, \
		.infer = infer, .scratch = scratch, .forward = forward, .variants = variants, .cost = cost, .sample = smp, \
	};
ROW(RNNGrad, 3, sample_rnn)
ROW(GRUGrad, 5, sample_gru)
ROW(LSTMGrad, 5, sample_lstm)
