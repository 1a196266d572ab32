/* act_tmpl.h - the activations over an array; included once per instruction set with DS_ACT_FN and DS_SLOPE_FN the functions' names.  The functions of vmath.h are the
 * same operations for every width, so all instances give the same bits. */
#include "kernel.h"
#include "vmath.h"

/* y may be x: an element is read before it is written, and never another. */
#if defined(__clang__)
#define DS_ACT_LOOP _Pragma("clang loop vectorize(assume_safety)")
#else
#define DS_ACT_LOOP _Pragma("GCC ivdep")
#endif

void DS_ACT_FN(float *y, const float *x, size_t n, int act, float a, float b)
{
#define EACH(expr) DS_ACT_LOOP for (size_t i = 0; i < n; i++) { const float v = x[i]; y[i] = (expr); } break
	switch ((ds_act)act) {
	case DS_ACT_RELU:        EACH(v < 0.0f ? 0.0f : v);
	case DS_ACT_CLIP:        EACH((v < a ? a : v) > b ? b : (v < a ? a : v));
	case DS_ACT_LEAKYRELU:   EACH(v < 0.0f ? a * v : v);
	case DS_ACT_SIGMOID:     EACH(ds_vm_sigmoid(v));
	case DS_ACT_SILU:        EACH(ds_vm_silu(v));
	case DS_ACT_HARDSIGMOID: EACH(ds_vm_hardsigmoid(v, a, b));
	case DS_ACT_HARDSWISH:   EACH(ds_vm_hardswish(v));
	case DS_ACT_TANH:        EACH(ds_vm_tanh(v));
	case DS_ACT_ELU:         EACH(ds_vm_elu(v, a));
	case DS_ACT_EXP:         EACH(ds_vm_exp(v));
	case DS_ACT_LOG:         EACH(ds_vm_log(v));
	case DS_ACT_ERF:         EACH(ds_vm_erf(v));
	case DS_ACT_GELU:        EACH(ds_vm_gelu(v));
	case DS_ACT_GELU_TANH:   EACH(ds_vm_gelu_tanh(v));
	case DS_ACT_MISH:        EACH(ds_vm_mish(v));
	case DS_ACT_NONE:
	case DS_ACT_COUNT:
		if (y != x)
			memmove(y, x, n * sizeof *y);
		break;
	}
#undef EACH
}

void DS_SLOPE_FN(float *y, const float *x, const float *dy, size_t n, int act)
{
#define EACH(expr) DS_ACT_LOOP for (size_t i = 0; i < n; i++) { const float v = x[i]; y[i] = dy[i] * (expr); } break
	switch ((ds_act)act) {
	case DS_ACT_GELU:      EACH(ds_vm_gelu_slope(v));
	case DS_ACT_GELU_TANH: EACH(ds_vm_gelu_tanh_slope(v));
	default: break;
	}
#undef EACH
}
