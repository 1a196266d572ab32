/* rnnact.c - activations of the recurrent operators by name (rnn.h) */
#include "rnn.h"
#include "nnmath.h"

#include <math.h>
#include <strings.h>

enum { AFFINE, ELU, HARDSIGMOID, LEAKYRELU, RELU, SCALEDTANH, SIGMOID, SOFTPLUS, SOFTSIGN, TANH, THRESHOLDEDRELU };

static const struct { const char *name; bool alpha, beta; float a, b; } table[] = {
	[AFFINE] = { "Affine", true, true, 1, 0 },
	[ELU] = { "Elu", true, false, 1, 0 },
	[HARDSIGMOID] = { "HardSigmoid", true, true, 0.2f, 0.5f },
	[LEAKYRELU] = { "LeakyRelu", true, false, 0.01f, 0 },
	[RELU] = { "Relu", false, false, 0, 0 },
	[SCALEDTANH] = { "ScaledTanh", true, true, 1, 1 },
	[SIGMOID] = { "Sigmoid", false, false, 0, 0 },
	[SOFTPLUS] = { "Softplus", false, false, 0, 0 },
	[SOFTSIGN] = { "Softsign", false, false, 0, 0 },
	[TANH] = { "Tanh", false, false, 0, 0 },
	[THRESHOLDEDRELU] = { "ThresholdedRelu", true, false, 1, 0 },
};

ds_status ds_rnn_acts(const ds_node *n, int per, int directions, const char *const *def, ds_rnn_act *act, ds_err *err)
{
	const ds_rnn_attr *a = n->a;
	int na = 0, nb = 0, total = per * directions;

	if (a->activations.n && a->activations.n != total)
		return ds_fail(err, DS_E_INPUT, "%s: %d activations, %d expected", n->op_name, a->activations.n, total);
	for (int i = 0; i < total; i++) {
		const char *name = a->activations.n ? a->activations.v[i] : def[i % per];
		size_t k = 0;

		while (k < DS_COUNTOF(table) && strcasecmp(table[k].name, name) != 0)
			k++;
		if (k == DS_COUNTOF(table))
			return ds_fail(err, DS_E_UNSUPPORTED, "%s: activation %s", n->op_name, name);
		act[i] = (ds_rnn_act){ (int)k, table[k].a, table[k].b };
		/* parameters are listed for those activations that take them */
		if (table[k].alpha && na < a->alpha.n)
			act[i].alpha = (float)a->alpha.v[na++];
		if (table[k].beta && nb < a->beta.n)
			act[i].beta = (float)a->beta.v[nb++];
	}
	return DS_OK;
}

void ds_rnn_apply(const ds_rnn_act *act, float *y, int64_t n)
{
	const float a = act->alpha, b = act->beta;

#define EACH(expr) for (int64_t i = 0; i < n; i++) { float v = y[i]; y[i] = (expr); } break
	switch (act->id) {
	case AFFINE: EACH(a * v + b);
	case ELU: EACH(v >= 0 ? v : a * expm1f(v));
	case HARDSIGMOID: EACH(fminf(fmaxf(a * v + b, 0.0f), 1.0f));
	case LEAKYRELU: EACH(v >= 0 ? v : a * v);
	case RELU: EACH(v > 0 ? v : 0.0f);
	case SCALEDTANH:
		for (int64_t i = 0; i < n; i++)
			y[i] = b * y[i];
		ds_nn_tanh(y, y, (size_t)n);
		for (int64_t i = 0; i < n; i++)
			y[i] = a * y[i];
		break;
	case SIGMOID:
		ds_nn_sigmoid(y, y, (size_t)n);
		break;
	case SOFTPLUS: EACH(v > 20 ? v : log1pf(expf(v)));
	case SOFTSIGN: EACH(v / (1.0f + fabsf(v)));
	case TANH:
		ds_nn_tanh(y, y, (size_t)n);
		break;
	default: EACH(v > a ? v : 0.0f);
	}
#undef EACH
}

void ds_rnn_apply_back(const ds_rnn_act *act, float clip, const float *y, float *d, int64_t n)
{
	const float a = act->alpha, b = act->beta;
	float lo = -clip, hi = clip;

#define EACH(expr) for (int64_t i = 0; i < n; i++) { const float v = y[i]; d[i] *= (expr); } break
	switch (act->id) {
	case AFFINE: (void)y; for (int64_t i = 0; i < n; i++) d[i] *= a; break;
	case ELU: EACH(v >= 0 ? 1.0f : v + a);
	case HARDSIGMOID: EACH(v > 0 && v < 1 ? a : 0.0f);
	case LEAKYRELU: EACH(v >= 0 ? 1.0f : a);
	case RELU: EACH(v > 0 ? 1.0f : 0.0f);
	case SCALEDTANH: EACH(b * (a - v * v / a));
	case SIGMOID: EACH(v * (1.0f - v));
	case SOFTPLUS: EACH(1.0f - expf(-v));
	case SOFTSIGN: EACH((1.0f - fabsf(v)) * (1.0f - fabsf(v)));
	case TANH: EACH(1.0f - v * v);
	default: EACH(v != 0 ? 1.0f : 0.0f);
	}
#undef EACH
	if (clip <= 0)
		return;
	ds_rnn_apply(act, &lo, 1);
	ds_rnn_apply(act, &hi, 1);
	for (int64_t i = 0; i < n; i++)
		d[i] = y[i] == lo || y[i] == hi ? 0.0f : d[i];
}
