/* attention.h - attributes and samples of Attention */
#ifndef DS_OP_ATTENTION_H
#define DS_OP_ATTENTION_H

#include "nn.h"

typedef struct ds_attention_attr { int64_t is_causal, kv_num_heads, q_num_heads, output_mode, precision, left, right; double scale, softcap; } ds_attention_attr;

ds_status ds_attention_sample(ds_graph *g, uint64_t seed, ds_err *err);

#endif
