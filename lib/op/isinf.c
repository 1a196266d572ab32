/* isinf.c - IsInf: is x an infinity, of the signs asked for */
#include "elementwise.h"

#include <math.h>

struct attr { int64_t detect_negative, detect_positive; };
static const ds_opt attrs[] = {
	DS_ATTR_FLAG(struct attr, detect_negative, "1", "minus infinity counts"),
	DS_ATTR_FLAG(struct attr, detect_positive, "1", "plus infinity counts"),
	DS_ATTR_END
};

#define LET const struct attr *at = arg; const bool neg = at->detect_negative != 0; const bool pos = at->detect_positive != 0
DS_EW_FLOATS(DS_EW1_ROW, isinf, BOOL, LET, (x == INFINITY && pos) || (x == -INFINITY && neg), (x == INFINITY && pos) || (x == -INFINITY && neg))

static const ds_ew ew = { .fn = { DS_EW_FN_FLOATS(isinf) }, .same = 1, .out = DS_BOOL };

DS_EW_OP(IsInf, 1, .attr_size = sizeof(struct attr), .attrs = attrs)
