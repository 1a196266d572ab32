/* rnn_shape.c - types, cost, units that can be cut, and samples of RNN, GRU, LSTM and QLSTM (rnn.h) */
#include "rnn.h"
#include "rnnstep.h"
#include "infer.h"
#include "nnsample.h"

ds_status ds_rnn_infer(ds_rnn_kind kind, const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_rnn_attr *a = n->a;
	const ds_type *x = &in[0].type, *w = &in[1].type, *r = &in[2].type;
	int64_t dirs = a->direction == 2 ? 2 : 1, hidden = a->hidden_size ? a->hidden_size : r->rank == 3 ? r->dim[2] : DS_DIM_UNKNOWN;
	int64_t time, batch, gates = ds_rnn_forms[kind].gates;
	ds_rnn_act act[6];

	for (int i = 0; i < n->n_out; i++)
		out[i] = (ds_type){ x->dtype, -1, { 0 } };
	if ((x->rank >= 0 && x->rank != 3) || (w->rank >= 0 && w->rank != 3) || (r->rank >= 0 && r->rank != 3) || !ds_nn_is_float(x->dtype))
		return ds_fail(err, DS_E_INPUT, "%s: X, W and R must be floats of rank 3", n->op_name);
	DS_TRY(ds_rnn_acts(n, ds_rnn_forms[kind].acts, (int)dirs, ds_rnn_forms[kind].defaults, act, err));
	if (r->rank == 3 && ((r->dim[0] >= 0 && r->dim[0] != dirs) || (r->dim[1] >= 0 && r->dim[2] >= 0 && r->dim[1] != ds_dim_mul(gates, r->dim[2]))
		|| (hidden >= 0 && r->dim[2] >= 0 && r->dim[2] != hidden)))
		return ds_fail(err, DS_E_INPUT, "%s: extents of R", n->op_name);
	if (w->rank == 3 && ((w->dim[0] >= 0 && w->dim[0] != dirs) || (w->dim[1] >= 0 && hidden >= 0 && w->dim[1] != ds_dim_mul(gates, hidden))
		|| (x->rank == 3 && w->dim[2] >= 0 && x->dim[2] >= 0 && w->dim[2] != x->dim[2])))
		return ds_fail(err, DS_E_INPUT, "%s: extents of W", n->op_name);
	if (x->rank < 0)
		return DS_OK;
	time = x->dim[a->layout ? 1 : 0];
	batch = x->dim[a->layout ? 0 : 1];
	for (int i = 3; i < n->n_in; i++) {
		/* B, sequence_lens, initial_h, initial_c, P */
		const int64_t state[3] = { a->layout ? batch : dirs, a->layout ? dirs : batch, hidden };
		const int64_t want[5][3] = { { dirs, ds_dim_mul(2 * gates, hidden) }, { batch }, { state[0], state[1], hidden },
			{ state[0], state[1], hidden }, { dirs, ds_dim_mul(3, hidden) } };
		static const int rank[5] = { 2, 1, 3, 3, 2 };

		if (!in[i].present || in[i].type.rank < 0)
			continue;
		if (in[i].type.rank != rank[i - 3])
			return ds_fail(err, DS_E_INPUT, "%s: input %d of rank %d", n->op_name, i, in[i].type.rank);
		for (int k = 0; k < rank[i - 3]; k++)
			if (in[i].type.dim[k] >= 0 && want[i - 3][k] >= 0 && in[i].type.dim[k] != want[i - 3][k])
				return ds_fail(err, DS_E_INPUT, "%s: extents of input %d", n->op_name, i);
	}
	if (a->layout)
		out[0] = ds_type_make(x->dtype, 4, (int64_t[]){ batch, time, dirs, hidden });
	else
		out[0] = ds_type_make(x->dtype, 4, (int64_t[]){ time, dirs, batch, hidden });
	for (int i = 1; i < n->n_out; i++)
		out[i] = ds_type_make(x->dtype, 3, a->layout ? (int64_t[]){ batch, dirs, hidden } : (int64_t[]){ dirs, batch, hidden });
	return DS_OK;
}

/* Unit h of every gate goes with unit h of the state; features of X with columns of W.  Directions are cut alike; neither samples nor time are. */
int ds_rnn_channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int k = 0;

	(void)out;
	k = ds_link_add(link, k, cap, DS_LINK_FREE, 1, 1, 0, 0, 0);
	k = ds_link_add(link, k, cap, DS_LINK_FREE, 2, 1, 0, 0, 0);
	for (int i = 1; i < n->n_in; i++)                               /* gates, one behind the other, in W, R, B and P */
		if (in[i].present && (i < 4 || i == 7))
			k = ds_link_add(link, k, cap, DS_LINK_GROUP, i, 1, 2, 2, 0);
	k = ds_link_add(link, k, cap, DS_LINK_SAME, 0, 2, 1, 2, 0);
	for (int i = 5; i < n->n_in && i < 7; i++)
		if (in[i].present)
			k = ds_link_add(link, k, cap, DS_LINK_SAME, i, 2, 2, 2, 0);
	for (int i = 0; i < n->n_out; i++)
		if (n->out[i])
			k = ds_link_add(link, k, cap, DS_LINK_SAME, 2, 2, DS_SLOT_OUT + i, i ? 2 : 3, 0);
	return k;
}

ds_status ds_rnn_recut(ds_graph *g, ds_node *n, const ds_type *in, const ds_type *want, ds_err *err)
{
	(void)g;
	(void)want;
	return ds_attr_find(n, "hidden_size") && ds_attr_i(n, "hidden_size", in[2].dim[2]) != DS_OK ? ds_fail_nomem(err, 0) : DS_OK;
}

void ds_rnn_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost)
{
	double steps = (double)(in[0].type.dim[0] * in[0].type.dim[1]), size = (double)ds_dtype_size(in[0].type.dtype);
	double weights = (double)(ds_type_count(&in[1].type) + ds_type_count(&in[2].type));

	(void)n;
	*cost = (ds_cost){ .macs = steps * weights, .flops = 10 * steps * (double)(in[1].type.dim[0] * in[1].type.dim[1]),
		.weight_bytes = weights * size, .act_bytes = size * (double)(ds_type_count(&in[0].type) + ds_type_count(&out[0])) };
}

ds_status ds_rnn_sample(ds_rnn_kind kind, ds_graph *g, uint64_t seed, ds_err *err)
{
	const ds_rnn_form *f = &ds_rnn_forms[kind];
	ds_rng r = ds_sample_rng(f->name, seed);
	int64_t time = ds_sample_int(&r, 1, 5), batch = seed % 8 == 7 ? ds_sample_int(&r, 17, 40) : ds_sample_int(&r, 1, 3);
	int64_t input = ds_sample_int(&r, 1, 20), hidden = ds_sample_int(&r, 1, 24);
	int64_t dirs = seed % 3 == 2 ? 2 : 1, first = seed % 2;
	int64_t xd[3] = { first ? batch : time, first ? time : batch, input }, wd[3] = { dirs, f->gates * hidden, input };
	int64_t rd[3] = { dirs, f->gates * hidden, hidden }, bd[2] = { dirs, 2 * f->gates * hidden }, pd[2] = { dirs, 3 * hidden };
	int64_t hd[3] = { first ? batch : dirs, first ? dirs : batch, hidden };
	ds_value *in[8] = { 0 };
	ds_node *n;

	in[0] = ds_sample_input(g, seed % 7 == 6 && kind != DS_QLSTM ? DS_F16 : DS_F32, 3, xd);
	for (int i = 1; i < 3; i++)
		in[i] = kind == DS_QLSTM ? ds_rnn_sample_codes(g, &r, i == 1 ? wd : rd, seed % 2) :
			ds_sample_weight(g, &r, in[0] ? in[0]->type.dtype : DS_F32, 3, i == 1 ? wd : rd, -0.5, 0.5);
	if (!in[0] || !in[1] || !in[2])
		return ds_fail_nomem(err, 0);
	if (seed % 4)
		in[3] = ds_sample_weight(g, &r, in[0]->type.dtype, 2, bd, -0.5, 0.5);
	if (seed % 5 == 1)
		in[4] = ds_sample_weight(g, &r, DS_I32, 1, &batch, 0, (double)time + 1);
	if (seed % 4 > 1)
		in[5] = ds_sample_input(g, in[0]->type.dtype, 3, hd);
	if (DS_RNN_HAS_CELL(kind) && seed % 4 > 2)
		in[6] = ds_sample_input(g, in[0]->type.dtype, 3, hd);
	if (DS_RNN_HAS_CELL(kind) && seed % 3)
		in[7] = ds_sample_weight(g, &r, in[0]->type.dtype, 2, pd, -0.5, 0.5);
	n = ds_sample_node(g, kind == DS_QLSTM ? "ds" : "", f->name, DS_RNN_HAS_CELL(kind) ? 8 : 6, in, DS_RNN_HAS_CELL(kind) ? 3 : 2);
	if (!n)
		return ds_fail_nomem(err, 0);
	DS_TRY(ds_attr_i(n, "hidden_size", hidden));
	DS_TRY(ds_attr_i(n, "layout", first));
	DS_TRY(ds_attr_s(n, "direction", ds_rnn_directions[seed % 3]));
	if (seed % 6 == 5)
		DS_TRY(ds_attr_f(n, "clip", 0.3));
	if (kind == DS_QLSTM && seed % 4 < 3)
		DS_TRY(ds_attr_f(n, "h_scale", 1.0 / 127));
	if (kind == DS_GRU)
		DS_TRY(ds_attr_i(n, "linear_before_reset", seed % 4 < 2));
	return ds_node_parse(n, err);
}
