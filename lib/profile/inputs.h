/* inputs.h - inputs made up for a model whose own are not at hand */
#ifndef DS_PROFILE_INPUTS_H
#define DS_PROFILE_INPUTS_H

#include "../exec/exec.h"

/* Concrete types for the graph's inputs: open dims become `other`, the first dim of each input `batch` where it is open; dims that the model ties together stay so.
 * DS_E_INPUT: an input without a type or a rank. */
ds_status ds_inputs_types(const ds_graph *g, int64_t batch, int64_t other, ds_type *in, ds_err *err);
/* Fresh tensors of these types (ds_tensor_done each): floats are normal, integers 0 or 1, or below the number of rows where they pick rows of a table (Gather).  The same
 * seed gives the same values. */
ds_status ds_inputs_random(const ds_graph *g, const ds_type *type, uint64_t seed, ds_tensor *in, ds_err *err);

#endif
