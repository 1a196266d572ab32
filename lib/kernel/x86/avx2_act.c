/* avx2_act.c - activations for AVX2 */
#define DS_ACT_FN ds_k_act_f32_avx2
#define DS_SLOPE_FN ds_k_slope_f32_avx2
#include "../act_tmpl.h"
