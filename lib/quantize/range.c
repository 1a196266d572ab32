/* range.c - from a histogram of activations to a u8 scale and zero point
 *
 * mse: the expected squared error of a candidate range [lo, hi] with step s is s^2/12 for each value inside and the squared distance to the edge for each outside;
 * both sides shrink together and apart over a fixed list of candidates.  kl: Kullback-Leibler distance between the histogram and what 256 levels leave of it.  The
 * textbook form (TensorRT's talk of 2017) re-normalises the quantised histogram and so clips data after a Relu to a few per cent of their range.  This one drops exact
 * zeros, uses the generalised distance sum p log(p/q) - p + q without normalising, and does not look below 1/16 of the range. */
#include "quantize.h"
#include "../base/str.h"

#include <math.h>
#include <string.h>

const char *const ds_qrange_names[] = { "minmax", "mse", "percentile", "kl", NULL };

ds_status ds_qrule_parse(const char *text, ds_qrule *r, ds_err *err)
{
	static const char pct[] = "percentile:";
	*r = (ds_qrule){ DS_RANGE_MSE, 100 };
	for (int i = 0; ds_qrange_names[i]; i++)
		if (i != DS_RANGE_PERCENTILE && strcmp(text, ds_qrange_names[i]) == 0) {
			r->range = (ds_qrange)i;
			return DS_OK;
		}
	if (strncmp(text, pct, sizeof(pct) - 1) == 0 && ds_parse_f64(text + sizeof(pct) - 1, &r->percentile) && r->percentile > 50 &&
	    r->percentile <= 100) {
		r->range = DS_RANGE_PERCENTILE;
		return DS_OK;
	}
	return ds_fail(err, DS_E_USAGE, "--range '%s' is not one of minmax, mse, percentile:P (50 < P <= 100), kl", text);
}

int ds_qparam_top(const ds_qparam *p)
{
	return p->bits ? (1 << p->bits) - 1 : 255;
}

/* The grid of [lo, hi] with 0 in it and exact. */
static ds_qparam grid(double lo, double hi, int bits)
{
	ds_qparam p = { .bits = bits };
	int top = ds_qparam_top(&p);
	lo = fmin(lo, 0);
	hi = fmax(hi, 0);
	p.scale = (float)((hi - lo) / top);
	if (!(p.scale >= 0x1p-126f))
		p.scale = 1;
	p.zero = (int)fmin(fmax(rint(-lo / (double)p.scale), 0), top);
	return p;
}

static double bin_centre(const ds_observer *o, int i)
{
	return (i - DS_Q_BINS / 2 + 0.5) * (2 * o->limit / DS_Q_BINS);
}

/* First and last bin that hold anything; *first > *last: none. */
static void occupied(const ds_observer *o, int *first, int *last)
{
	*first = 0;
	*last = DS_Q_BINS - 1;
	while (*first < DS_Q_BINS && !o->bin[*first])
		++*first;
	while (*last >= 0 && !o->bin[*last])
		--*last;
}

static double squared(double v) { return v * v; }

/* Expected squared error: of wide codes s^2 / 12 for what lies inside, of narrow ones what rounding the middle of each bin costs. */
static double mse_of(const ds_observer *o, const ds_qparam *p, int first, int last)
{
	double s = (double)p->scale, top = ds_qparam_top(p), lo = -s * p->zero, hi = s * (top - p->zero), inside = 0, out = 0;
	bool narrow = top < 255;
	for (int i = first; i <= last; i++) {
		double c = bin_centre(o, i), n = (double)o->bin[i];
		if (c < lo)
			out += n * (lo - c) * (lo - c);
		else if (c > hi)
			out += n * (c - hi) * (c - hi);
		else if (narrow)
			out += n * squared(c - s * rint(c / s));
		else
			inside += n;
	}
	return out + inside * s * s / 12;
}

enum { TRIES = 64 };

static ds_qparam fit_mse(const ds_observer *o, int bits)
{
	int first, last;
	occupied(o, &first, &last);
	ds_qparam best = grid((double)o->min, (double)o->max, bits);
	double least = mse_of(o, &best, first, last), reach = bits && bits < 8 ? 15.0 / 16 : 0.75;       /* narrow codes clip more */
	for (int k = 0; k < TRIES; k++)
		for (int side = 0; side < 3; side++) {          /* both ends, the lower alone, the upper alone */
			double f = 1 - reach * (k + 1) / TRIES;
			ds_qparam p = grid((double)o->min * (side == 2 ? 1 : f), (double)o->max * (side == 1 ? 1 : f), bits);
			double e = mse_of(o, &p, first, last);
			if (e < least) {
				least = e;
				best = p;
			}
		}
	return best;
}

/* The range that leaves (1 - share) of all values outside, half of it on either side when there are values of both signs. */
static ds_qparam fit_percentile(const ds_observer *o, double percent, int bits)
{
	double cut = (double)o->count * (1 - percent / 100), width = 2 * o->limit / DS_Q_BINS;
	double lo = (double)o->min, hi = (double)o->max;
	if (o->min < 0 && o->max > 0)
		cut /= 2;
	double seen = 0;
	for (int i = 0; i < DS_Q_BINS / 2 && o->min < 0 && (seen += (double)o->bin[i]) <= cut; i++)
		lo = bin_centre(o, i) + width / 2;
	seen = 0;
	for (int i = DS_Q_BINS - 1; i >= DS_Q_BINS / 2 && o->max > 0 && (seen += (double)o->bin[i]) <= cut; i--)
		hi = bin_centre(o, i) - width / 2;
	return grid(fmax(lo, (double)o->min), fmin(hi, (double)o->max), bits);
}

/* Generalised distance between the histogram and its image on the grid p: the count of a level is spread over its occupied bins. */
static double kl_of(const ds_observer *o, const ds_qparam *p, int first, int last)
{
	double sum = 0, top = ds_qparam_top(p);
	for (int i = first; i <= last; ) {
		int level = -1, end = i;
		double mass = 0;
		for (; end <= last; end++) {
			double q = rint(bin_centre(o, end) / (double)p->scale) + p->zero;
			int l = (int)fmin(fmax(q, 0), top);
			if (level >= 0 && l != level)
				break;
			level = l;
			mass += (double)o->bin[end];
		}
		/* what lies outside the range is counted at the edge bin of the range: the level keeps its mass, bins beyond have q = 0 + a little */
		double edge_lo = -(double)p->scale * (p->zero + 0.5), edge_hi = (double)p->scale * (top + 0.5 - p->zero);
		int inside = 0;
		for (int k = i; k < end; k++)
			inside += o->bin[k] > 0 && bin_centre(o, k) >= edge_lo && bin_centre(o, k) <= edge_hi;
		for (int k = i; k < end; k++) {
			double n = (double)o->bin[k], c = bin_centre(o, k);
			if (n == 0)
				continue;
			double q = c >= edge_lo && c <= edge_hi ? mass / inside : 1e-4;
			sum += n * log(n / q) - n + q;
		}
		i = end;
	}
	return sum;
}

static ds_qparam fit_kl(const ds_observer *o, int bits)
{
	int first, last;
	occupied(o, &first, &last);
	ds_qparam best = grid((double)o->min, (double)o->max, bits);
	double least = kl_of(o, &best, first, last);
	for (int k = 1; k < TRIES; k++) {
		double f = 1 - (1 - 1.0 / 16) * k / (TRIES - 1);
		ds_qparam p = grid((double)o->min * f, (double)o->max * f, bits);
		double e = kl_of(o, &p, first, last);
		if (e < least) {
			least = e;
			best = p;
		}
	}
	return best;
}

ds_qparam ds_qrange_fit(const ds_observer *o, const ds_qrule *r)
{
	if (o->count == 0 || o->limit == 0)
		return (ds_qparam){ 1, 0, r->bits };
	switch (r->range) {
	case DS_RANGE_MSE:        return fit_mse(o, r->bits);
	case DS_RANGE_PERCENTILE: return fit_percentile(o, r->percentile, r->bits);
	case DS_RANGE_KL:         return fit_kl(o, r->bits);
	case DS_RANGE_MINMAX:     break;
	}
	return grid((double)o->min, (double)o->max, r->bits);
}

double ds_qrange_clipped(const ds_observer *o, const ds_qparam *p)
{
	double lo = -(double)p->scale * (p->zero + 0.5), hi = (double)p->scale * (ds_qparam_top(p) + 0.5 - p->zero), n = 0;
	if (!o->count || o->limit == 0)
		return 0;
	for (int i = 0; i < DS_Q_BINS; i++)
		if (bin_centre(o, i) < lo || bin_centre(o, i) > hi)
			n += (double)o->bin[i];
	return n / (double)o->count;
}
