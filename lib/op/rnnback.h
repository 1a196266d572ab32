/* rnnback.h - the gradients of RNN, GRU and LSTM: what the walk there and back (rnnback.c) and the operators' columns (rnngrad.c) hand each other
 *
 * Inputs 0 to 7 are those of the operator, then come the gradients of its outputs, each of which may be absent.  Outputs:
 *     0  gates   [dirs, rows, gates * hidden]  gradients of what enters the gates; rows are positions in the order of X
 *     1  states  [dirs, rows, hidden]          the state that entered each step
 *     2  dh0     gradient of the initial state
 *     3  LSTM: dc0 like dh0.                   GRU: gradient of the recurrent sum of the last gate, [dirs, rows, hidden]
 *     4  LSTM: dP [dirs, 3 * hidden].          GRU: what that sum was made of, [dirs, rows, hidden]
 * Positions behind the end of a sequence have zeros. */
#ifndef DS_OP_RNNBACK_H
#define DS_OP_RNNBACK_H

#include "rnnstep.h"

enum { DS_RNN_DY = 8, DS_RNN_DYH = 9, DS_RNN_DYC = 10, DS_RNN_BACK_INPUTS = 11 };

/* Of an operator or its gradient, by name. */
static inline ds_rnn_kind ds_rnn_kind_of(const char *name) { return name[0] == 'R' ? DS_RNN : name[0] == 'G' ? DS_GRU : DS_LSTM; }

/* f32; packed: the weights are packed in scratch for the matrix kernels.  The bits are the same. */
ds_status ds_rnn_back(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err, bool packed);
size_t    ds_rnn_back_scratch(const ds_node *n, const ds_arg *in, bool packed);

#endif
