/* rnn.h - recurrent operators: RNN, GRU and LSTM share attributes, the walk over directions and time, and the products with the weights
 *
 * Every gate is bias, then one chain of fused multiply-adds over the input, then over the state: the order does not depend on packing, threads or
 * how many sequences run together.  With constant weights the variant packs them once; the reference reads them as they are and gives the same bits.
 *
 * QLSTM (ds) is LSTM with W and R of int8 codes, one scale per row of a gate, and products of integers: each row of X becomes codes of its own step, max |x| / 127, and so
 * does the state, or of the fixed step h_scale (|h| <= 1 after tanh).  Gates, cell and state are f32.  A row's result depends on nothing but the row. */
#ifndef DS_OP_RNN_H
#define DS_OP_RNN_H

#include "nn.h"

typedef enum ds_rnn_kind { DS_RNN, DS_GRU, DS_LSTM, DS_QLSTM } ds_rnn_kind;
#define DS_RNN_HAS_CELL(kind) ((kind) >= DS_LSTM)

typedef struct ds_rnn_attr {
	ds_strs   activations;
	ds_floats alpha, beta;
	double    clip;                 /* 0: none */
	double    h_scale;              /* QLSTM: step of the codes of the state, 0: each row has its own */
	int       direction;            /* 0 forward, 1 reverse, 2 bidirectional */
	int64_t   hidden_size, input_forget, layout, linear_before_reset;
} ds_rnn_attr;

extern const char *const ds_rnn_directions[];

#define DS_RNN_ROWS \
	DS_NN_STRS(ds_rnn_attr, activations, "activations", "Names of the activations, for each direction"), \
	DS_NN_FLOATS(ds_rnn_attr, alpha, "activation_alpha", "First parameters of the activations that have one"), \
	DS_NN_FLOATS(ds_rnn_attr, beta, "activation_beta", "Second parameters of the activations that have one"), \
	DS_NN_FLOAT(ds_rnn_attr, clip, "clip", "0", "Bound of what enters the activations, 0: none"), \
	DS_NN_CHOICE(ds_rnn_attr, direction, "direction", "forward", ds_rnn_directions, "Which way the sequence is read"), \
	DS_NN_INT(ds_rnn_attr, hidden_size, "hidden_size", "0", 0, 0, "Elements of the state"), \
	DS_NN_INT(ds_rnn_attr, layout, "layout", "0", 0, 1, "Order of the axes: 0 time first, 1 batch first")

ds_status ds_rnn_infer(ds_rnn_kind kind, const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err);
size_t    ds_rnn_scratch(ds_rnn_kind kind, const ds_node *n, const ds_arg *in, const ds_type *out);
/* env->prep: what ds_rnn_prepare made, or NULL for the reference. */
ds_status ds_rnn_forward(ds_rnn_kind kind, const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err);
/* Variant: W and R constant and f32. */
bool      ds_rnn_match(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout);
ds_status ds_rnn_prepare(ds_rnn_kind kind, const ds_node *n, const ds_arg *in, void **prep, size_t *bytes, ds_err *err);
void      ds_rnn_free_prep(void *prep);
/* QLSTM: W and R are constant codes with one scale for all, or one per row of a gate. */
bool      ds_rnn_match_codes(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout);
/* The same for weights that are computed: they are packed by every run. */
bool      ds_rnn_match_run(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout);
size_t    ds_rnn_scratch_run(ds_rnn_kind kind, const ds_node *n, const ds_arg *in, const ds_type *out);
ds_status ds_rnn_forward_run(ds_rnn_kind kind, const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err);
/* The gradient column of all three (rnngrad.c). */
ds_status ds_rnn_gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err);
void      ds_rnn_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost);
/* Units that can be cut: gate rows of W, R and B with columns of R, states and outputs. */
int       ds_rnn_channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap);
ds_status ds_rnn_recut(ds_graph *g, ds_node *n, const ds_type *in, const ds_type *want, ds_err *err);
ds_status ds_rnn_sample(ds_rnn_kind kind, ds_graph *g, uint64_t seed, ds_err *err);

/* ---- activations (rnnact.c) --------------------------------------------------------------------------------------------------- */
typedef struct ds_rnn_act { int id; float alpha, beta; } ds_rnn_act;
/* The activations of all directions, `per` for each: those of the attribute, or the defaults `def`.  DS_E_INPUT, DS_E_UNSUPPORTED. */
ds_status ds_rnn_acts(const ds_node *n, int per, int directions, const char *const *def, ds_rnn_act *act, ds_err *err);
void      ds_rnn_apply(const ds_rnn_act *a, float *y, int64_t n);        /* in place */
/* d[i] = d[i] * f'(x[i]) where y[i] = f(x[i]); with clip > 0 x was cut to [-clip, clip] before, and at the ends nothing flows. */
void      ds_rnn_apply_back(const ds_rnn_act *a, float clip, const float *y, float *d, int64_t n);

#endif
