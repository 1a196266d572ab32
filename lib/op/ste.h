/* ste.h - straight-through estimators: the one rule by which operators that round or switch are differentiated
 *
 * An operator y = h(x) that is flat almost everywhere (a rounding, a threshold) has no useful derivative.  It gets that of the clamp to [lo, hi],
 * the range in which x still decides something: 1 inside, both ends included, 0 outside (Bengio et al. 2013, arXiv:1308.3432; saturating form:
 * Hubara et al. 2016, arXiv:1602.02830).  Ends are inside so that a value that lies on the last step, as all values behind a first rounding do, is
 * not cut off from its gradient. */
#ifndef DS_OP_STE_H
#define DS_OP_STE_H

#include <stdbool.h>

/* dx of y = h(x), from dy; u is x in the unit of lo and hi.  A NaN is outside. */
static inline float ds_ste(float dy, float u, float lo, float hi)
{
	return ((u >= lo) & (u <= hi)) ? dy : 0.0f;
}

#endif
