/* bitshift.c - BitShift: unsigned integers shifted left or right; shifting by the width or more gives zero */
#include "elementwise.h"

struct attr { int direction; };
static const char *const ways[] = { "LEFT", "RIGHT", NULL };
static const ds_opt attrs[] = {
	{ .name = "direction", .type = DS_T_CHOICE, .flags = DS_OPT_REQUIRED, .offset = offsetof(struct attr, direction), .choices = ways,
		.help = "which way" },
	DS_ATTR_END
};

static inline uint64_t shift(uint64_t x, uint64_t y, bool right)
{
	return y > 63 ? 0 : right ? x >> y : x << y;
}

DS_EW_UNSIGNED(DS_EW2_ROW, shift, SAME, const bool right = ((const struct attr *)arg)->direction == 1, shift(x, y, right))

static const ds_ew ew = { .fn = { DS_EW_FN_UNSIGNED(shift) }, .same = 1 };

DS_EW_OP(BitShift, 2, .attr_size = sizeof(struct attr), .attrs = attrs)
