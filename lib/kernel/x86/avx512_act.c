/* avx512_act.c - activations for AVX-512 */
#define DS_ACT_FN ds_k_act_f32_avx512
#include "../act_tmpl.h"
