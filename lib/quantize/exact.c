/* exact.c - sums that do not depend on the order of what is added
 *
 * A sum is a whole number of 2^-149, the smallest f32, in two's complement over six limbs: 384 bits hold more than 2^60 of the largest f32.  Sums in f64 of f32 numbers
 * are multiples of 2^-149 too, however they were rounded, so nothing added is ever cut. */
#include "quantize.h"

#include <math.h>
#include <string.h>

enum { LIMBS = sizeof(((ds_qsum *)0)->limb) / sizeof(uint64_t), UNIT = -149 };

static void carry_up(ds_qsum *s, int from, unsigned carry)
{
	for (int i = from; carry && i < LIMBS; i++)
		carry = ++s->limb[i] == 0;
}

static void add_limb(ds_qsum *s, int i, uint64_t v)
{
	if (i >= LIMBS)
		return;
	s->limb[i] += v;
	carry_up(s, i + 1, s->limb[i] < v);
}

static void negate(ds_qsum *s)
{
	for (int i = 0; i < LIMBS; i++)
		s->limb[i] = ~s->limb[i];
	carry_up(s, 0, 1);
}

void ds_qsum_merge(ds_qsum *to, const ds_qsum *from)
{
	for (int i = 0; i < LIMBS; i++)
		add_limb(to, i, from->limb[i]);
}

void ds_qsum_add(ds_qsum *s, double v)
{
	int e;
	double m = frexp(fabs(v), &e);          /* v = m 2^e, m a multiple of 2^-53 */
	if (!(m > 0) || !isfinite(v))
		return;
	uint64_t whole = (uint64_t)ldexp(m, 53);
	int shift = e - 53 - UNIT;
	ds_qsum t = { { 0 } };
	if (shift < 0) {
		t.limb[0] = shift > -64 ? whole >> -shift : 0;
	} else if (shift < 64 * (LIMBS - 1)) {
		int i = shift / 64, k = shift % 64;
		t.limb[i] = whole << k;
		if (k)
			t.limb[i + 1] = whole >> (64 - k);
	}
	if (v < 0)
		negate(&t);
	ds_qsum_merge(s, &t);
}

double ds_qsum_value(const ds_qsum *s)
{
	ds_qsum t = *s;
	bool minus = t.limb[LIMBS - 1] >> 63;
	double v = 0;
	if (minus)
		negate(&t);
	for (int i = 0; i < LIMBS; i++)
		v += ldexp((double)t.limb[i], 64 * i + UNIT);
	return minus ? -v : v;
}
