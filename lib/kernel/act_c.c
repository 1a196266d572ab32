/* act_c.c - activations in plain C */
#define DS_ACT_FN ds_k_act_f32_c
#define DS_SLOPE_FN ds_k_slope_f32_c
#include "act_tmpl.h"

const char *const ds_act_names[DS_ACT_COUNT + 1] = {
	"none", "relu", "clip", "leakyrelu", "sigmoid", "silu", "hardsigmoid", "hardswish", "tanh", "elu", "exp", "log", "erf", "gelu", "gelu_tanh",
	"mish", NULL
};
