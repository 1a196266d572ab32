/* range.c - FILE[A:B], FILE[N]: which rows or which item of a file are meant, and windows over them */
#include "local.h"
#include "../base/str.h"

#include <math.h>
#include <string.h>

/* "120", "-96", "80%" or nothing. */
static bool parse_bound(ds_bound *b, const char *s, size_t n, double nothing, bool percent)
{
	char buf[32];
	*b = (ds_bound){ nothing, percent };
	if (!n)
		return true;
	if (n >= sizeof buf)
		return false;
	memcpy(buf, s, n);
	buf[n] = 0;
	b->percent = buf[n - 1] == '%';
	if (b->percent)
		buf[n - 1] = 0;
	return ds_parse_f64(buf, &b->at) && fabs(b->at) <= 9e15 && (b->percent ? fabs(b->at) <= 100 : b->at == floor(b->at));
}

size_t ds_range_parse(ds_range *r, const char *path)
{
	size_t n = strlen(path);
	const char *open = strrchr(path, '['), *colon = open ? strchr(open, ':') : NULL;
	*r = (ds_range){ 0 };
	if (!colon || open == path || path[n - 1] != ']')
		return 0;
	if (!parse_bound(&r->from, open + 1, (size_t)(colon - open - 1), 0, false) ||
		!parse_bound(&r->to, colon + 1, (size_t)(path + n - 1 - colon - 1), 100, true))
		return 0;
	r->given = true;
	return (size_t)(open - path);
}

size_t ds_item_parse(int64_t *item, const char *path)
{
	size_t n = strlen(path);
	const char *open = strrchr(path, '[');
	char digits[20];
	size_t k = open ? (size_t)(path + n - open) : 0;        /* "[12]" */
	if (k < 3 || open == path || path[n - 1] != ']' || k - 2 >= sizeof digits || strspn(open + 1, "0123456789") != k - 2)
		return 0;
	memcpy(digits, open + 1, k - 2);
	digits[k - 2] = 0;
	return ds_parse_i64(digits, item) ? n - k : 0;
}

static int64_t place(const ds_bound *b, int64_t n)
{
	double at = b->percent ? floor((double)n * b->at / 100) : b->at;
	if (at < 0 || (at == 0 && signbit(at)))
		at += (double)n;
	return at <= 0 ? 0 : at >= (double)n ? n : (int64_t)at;
}

void ds_range_apply(const ds_range *r, int64_t n, int64_t *from, int64_t *to)
{
	*from = 0;
	*to = n;
	if (!r || !r->given)
		return;
	*from = place(&r->from, n);
	*to = DS_MAX(place(&r->to, n), *from);
}

int64_t ds_window_count(int64_t rows, int64_t len, int64_t hop, int64_t after)
{
	return rows < len + after ? 0 : (rows - len - after) / hop + 1;
}

void ds_part_windows(ds_part *p, ds_tensor *t, const ds_feed *f, int64_t hop)
{
	*p = (ds_part){ .t = *t, .rank = f->rank, .windows = true, .swap = f->axes == DS_AXES_NCT, .hop = hop, .first = -f->context,
		.len = f->window + f->context };
	memcpy(p->dim, f->dim, sizeof p->dim);
	*t = (ds_tensor){ 0 };
}
