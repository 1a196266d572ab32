/* observe.c - what is remembered of an activation over all calibration samples
 *
 * The histogram's edges are multiples of limit/2048 with limit a power of two, so that doubling the limit joins whole bins and no count is ever split.  What is
 * kept does not grow with the number of samples, and does not depend on their order: sums per channel are exact over calls (exact.c). */
#include "quantize.h"

#include <math.h>
#include <string.h>

void ds_observer_done(ds_observer *o)
{
	ds_free(o->sum);
	ds_free(o->peak);
	*o = (ds_observer){ 0 };
}

/* Join pairs of bins: bin i of [-L, L) lies in bin (i + BINS/2) / 2 of [-2L, 2L). */
static void widen(ds_observer *o)
{
	uint64_t old[DS_Q_BINS];
	memcpy(old, o->bin, sizeof(old));
	memset(o->bin, 0, sizeof(o->bin));
	for (int i = 0; i < DS_Q_BINS; i++)
		o->bin[(i + DS_Q_BINS) / 2 - DS_Q_BINS / 4] += old[i];
	o->limit *= 2;
}

static void reach(ds_observer *o, double a)
{
	if (o->limit == 0) {
		int e;
		frexp(a, &e);
		o->limit = ldexp(1, e);
	}
	while (a >= o->limit)
		widen(o);
}

static void count_bins(ds_observer *o, const float *x, int64_t n)
{
	double per = DS_Q_BINS / 2 / o->limit;
	for (int64_t i = 0; i < n; i++) {
		if (x[i] == 0) {
			o->zeros++;
			continue;
		}
		double at = (double)x[i] * per;         /* exact: per is a power of two; adding half the bins to it would not be */
		int b = (int)at;
		b += DS_Q_BINS / 2 - (at < b);
		o->bin[b < 0 ? 0 : b >= DS_Q_BINS ? DS_Q_BINS - 1 : b]++;
	}
}

static void drop_sums(ds_observer *o)
{
	ds_free(o->sum);
	ds_free(o->peak);
	o->sum = NULL;
	o->peak = NULL;
	o->channels = -1;
	o->per_channel = 0;
}

/* Sums per channel of a row-major [outer, channels, inner] tensor. */
static ds_status add_sums(ds_observer *o, const ds_tensor *t, const float *x, ds_err *err)
{
	int64_t channels = t->rank >= 2 ? t->dim[1] : 1, outer = t->rank ? t->dim[0] : 1, inner = 1;
	for (int i = 2; i < t->rank; i++)
		inner *= t->dim[i];
	if (t->rank < 2)
		outer = 1, inner = ds_tensor_count(t);
	if (o->channels < 0)
		return DS_OK;
	if (o->sum && channels != o->channels) {        /* free lengths along axis 1: no channels to speak of */
		drop_sums(o);
		return DS_OK;
	}
	if (!o->sum) {
		o->sum = ds_calloc((size_t)channels, sizeof(*o->sum));
		o->peak = ds_calloc((size_t)channels, sizeof(float));
		if (!o->sum || !o->peak)
			return ds_fail_nomem(err, (size_t)channels * sizeof(*o->sum));
		o->channels = channels;
	}
	for (int64_t n = 0; n < outer; n++)
		for (int64_t c = 0; c < channels; c++) {
			double s = 0;
			float top = o->peak[c];
			for (int64_t i = 0; i < inner; i++) {
				float v = x[(n * channels + c) * inner + i];
				s += (double)v;
				top = fabsf(v) > top ? fabsf(v) : top;
			}
			ds_qsum_add(&o->sum[c], s);
			o->peak[c] = top;
		}
	o->per_channel += outer * inner;
	return DS_OK;
}

ds_status ds_observer_add(ds_observer *o, const ds_tensor *t, ds_err *err)
{
	ds_tensor copy = { 0 };
	ds_status rc = DS_OK;
	const float *x = t->data;
	int64_t n = ds_tensor_count(t);
	if (t->dtype != DS_F32 || t->layout != DS_PLAIN || t->q) {
		DS_TRY(ds_tensor_to_f32(t, &copy, err));
		x = copy.data;
	}
	float lo = o->count ? o->min : HUGE_VALF, hi = o->count ? o->max : -HUGE_VALF;
	bool finite = true;
	for (int64_t i = 0; i < n; i++) {
		lo = x[i] < lo ? x[i] : lo;
		hi = x[i] > hi ? x[i] : hi;
		finite = finite && isfinite(x[i]);
	}
	if (!finite) {
		rc = ds_fail(err, DS_E_INPUT, "a calibration sample gives values that are not finite");
	} else if (n) {
		o->min = lo + 0.0f;     /* +0 and -0 are one number, whichever came first */
		o->max = hi + 0.0f;
		o->count += (uint64_t)n;
		double a = fmax(fabs((double)lo), fabs((double)hi));
		if (a > 0)
			reach(o, a);
		count_bins(o, x, n);
		rc = add_sums(o, t, x, err);
	}
	ds_tensor_done(&copy);
	return rc;
}

void ds_observer_merge(ds_observer *to, const ds_observer *from)
{
	if (!from->count)
		return;
	to->min = to->count ? fminf(to->min, from->min) : from->min;
	to->max = to->count ? fmaxf(to->max, from->max) : from->max;
	to->count += from->count;
	to->zeros += from->zeros;
	if (from->limit == 0)
		return;
	if (to->limit == 0)
		to->limit = from->limit;
	while (to->limit < from->limit)
		widen(to);
	/* bins of the narrower histogram fall into those of the wider one, because edges are shared */
	double wider = to->limit / from->limit;
	int ratio = wider < DS_Q_BINS ? (int)wider : DS_Q_BINS;
	for (int i = 0; i < DS_Q_BINS; i++) {
		int signed_i = i - DS_Q_BINS / 2;
		int at = signed_i >= 0 ? signed_i / ratio : -((-signed_i + ratio - 1) / ratio);
		to->bin[at + DS_Q_BINS / 2] += from->bin[i];
	}
}

ds_status ds_observer_join(ds_observer *to, const ds_observer *from, ds_err *err)
{
	if (!from->count)
		return DS_OK;
	if (!to->count && !to->channels)
		return ds_observer_copy(to, from, err);
	ds_observer_merge(to, from);
	if (to->channels != from->channels || to->channels < 0) {
		drop_sums(to);
		return DS_OK;
	}
	for (int64_t c = 0; c < to->channels; c++) {
		ds_qsum_merge(&to->sum[c], &from->sum[c]);
		to->peak[c] = fmaxf(to->peak[c], from->peak[c]);
	}
	to->per_channel += from->per_channel;
	return DS_OK;
}
