/* recurrent.c - LSTM on integers: codes of weights with one scale per row of a gate, codes of inputs and states made as they come (op/rnn.h, QLSTM)
 *
 * No range is calibrated: each row of the input has its own step, and a state lies in [-1, 1].  Gates and cells stay f32. */
#include "local.h"

#include <string.h>

static bool codable(const ds_value *v)
{
	return dsq_constant(v) && v->data.data && !v->data.q && v->type.rank == 3 && (v->type.dtype == DS_F32 || v->type.dtype == DS_F16 || v->type.dtype == DS_BF16);
}

bool dsq_recurrent(const ds_node *n)
{
	return !n->domain[0] && strcmp(n->op_name, "LSTM") == 0 && n->n_in > 2 && codable(n->in[1]) && codable(n->in[2]) && n->in[0] && n->in[0]->type.dtype == DS_F32;
}

/* [directions, rows, cols] is coded as a matrix with a scale for each of its rows. */
static ds_status round_operand(ds_graph *g, ds_node *n, int slot, const char *suffix, const ds_qw_opts *o, ds_qw_stat *stat, ds_err *err)
{
	ds_tensor w = { 0 }, q = { 0 };
	ds_qform *form = ds_arena_alloc(&ds_graph_root(g)->arena, 1, sizeof(*form));
	int64_t dim[3];
	ds_status rc;
	if (!form)
		return ds_fail_nomem(err, sizeof(*form));
	DS_GOTO(dsq_own_f32(n, slot, 0, &w, err));
	memcpy(dim, w.dim, sizeof(dim));
	w.rank = 2;
	w.dim[0] = dim[0] * dim[1];
	w.dim[1] = dim[2];
	DS_GOTO(ds_qw_tensor(&w, o, &q, form, stat, err));
	form->row_dims = 2;
	q.rank = 3;
	memcpy(q.dim, dim, sizeof(dim));
	DS_GOTO(dsq_put_operand(g, n, slot, suffix, &q, err));
out:
	ds_tensor_done(&w);
	ds_tensor_done(&q);
	return rc;
}

/* Without activations of its own, a state is a product of a sigmoid and a tanh. */
static bool bounded(const ds_node *n)
{
	return !ds_attr_find(n, "activations") && (n->n_in < 6 || !n->in[5]);
}

static ds_status round_node(ds_graph *g, ds_node *n, int bits, const ds_q8_opts *o, ds_qlayer *l, ds_err *err)
{
	ds_qw_opts wo = { .bits = bits, .range = bits < 8 ? DS_RANGE_MSE : o->weight_range };
	ds_qw_stat r;
	*l = (ds_qlayer){ .node = n->name, .op = n->op_name, .bits = bits };
	DS_TRY(round_operand(g, n, 1, ".weight", &wo, &l->stat, err));
	DS_TRY(round_operand(g, n, 2, ".recurrent", &wo, &r, err));
	l->weight = n->in[1]->name;
	l->stat.count += r.count;
	l->stat.clipped += r.clipped;
	l->stat.scales += r.scales;
	l->stat.sum_sq += r.sum_sq;
	l->stat.err_sq += r.err_sq;
	l->stat.bytes_in += r.bytes_in;
	l->stat.bytes += r.bytes;
	n->op_name = "QLSTM";
	n->domain = "ds";
	if (bounded(n) && ds_attr_f(n, "h_scale", 1.0 / 127) != DS_OK)
		return ds_fail_nomem(err, 0);
	return ds_node_parse(n, err);
}

ds_status dsq_round_recurrent(ds_graph *g, const ds_q8_opts *o, ds_qlayer *layer, int *n_layer, ds_err *err)
{
	for (int i = 0; i < g->n_node; i++) {
		ds_node *n = g->node[i];
		int bits = dsq_recurrent(n) ? o->bits ? o->bits(o->bits_arg, n->name, n->in[1]->name, false).w : 8 : 0;
		if (!bits)
			continue;
		ds_status rc = round_node(g, n, bits, o, &layer[*n_layer], err);
		if (rc != DS_OK) {
			ds_err_prefix(err, "layer \"%.100s\"", n->name);
			return rc;
		}
		++*n_layer;
		if (o->log)
			ds_buf_printf(o->log, "recurrent\t%s: codes of %d bits, states and inputs of 8\n", n->name, bits);
	}
	return DS_OK;
}
