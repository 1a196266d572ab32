/* str.c - text rule, quoting, globs, numbers independent of the locale */
#include "str.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One UTF-8 character in shortest form: its length, or 0 when the bytes are not one. */
static size_t utf8(const unsigned char *s, size_t n, uint32_t *cp)
{
	uint32_t c = s[0];
	if (c < 0x80) {
		*cp = c;
		return 1;
	}
	size_t len = c >= 0xC2 && c <= 0xDF ? 2 : (c & 0xF0) == 0xE0 ? 3 : c >= 0xF0 && c <= 0xF4 ? 4 : 0;
	if (!len || len > n)
		return 0;
	c &= 0x7Fu >> len;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xC0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3F);
	}
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	if (c < least[len] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
		return 0;
	*cp = c;
	return len;
}

static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7F && c <= 0x9F);
}

/* Characters that reorder or hide text on a terminal. */
static bool is_bidi(uint32_t c)
{
	return c == 0x61C || (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

bool ds_text_ok(const char *s, size_t n, bool loose)
{
	const unsigned char *p = (const unsigned char *)s;
	for (size_t i = 0; i < n;) {
		uint32_t c;
		size_t len = utf8(p + i, n - i, &c);
		if (!len || (is_control(c) && !(loose && (c == '\t' || c == '\n'))))
			return false;
		i += len;
	}
	return true;
}

void ds_text_quote(ds_buf *b, const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	for (size_t i = 0; i < n;) {
		uint32_t c;
		size_t len = utf8(p + i, n - i, &c);
		if (len && !is_control(c) && !is_bidi(c) && c != '\\') {
			ds_buf_add(b, s + i, len);
			i += len;
			continue;
		}
		if (!len)
			len = 1;
		for (size_t k = 0; k < len; k++, i++) {
			if (p[i] == '\\')
				ds_buf_str(b, "\\\\");
			else if (p[i] == '\t')
				ds_buf_str(b, "\\t");
			else if (p[i] == '\n')
				ds_buf_str(b, "\\n");
			else
				ds_buf_printf(b, "\\x%02x", p[i]);
		}
	}
}

void ds_text_json(ds_buf *b, const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	ds_buf_str(b, "\"");
	for (size_t i = 0; i < n;) {
		uint32_t c;
		size_t len = utf8(p + i, n - i, &c);
		if (!len) {
			ds_buf_str(b, "\\ufffd");
			len = 1;
		} else if (c == '"' || c == '\\') {
			ds_buf_printf(b, "\\%c", (int)c);
		} else if (c == '\n') {
			ds_buf_str(b, "\\n");
		} else if (c == '\t') {
			ds_buf_str(b, "\\t");
		} else if (is_control(c) || is_bidi(c)) {
			ds_buf_printf(b, "\\u%04x", (unsigned)c);
		} else {
			ds_buf_add(b, s + i, len);
		}
		i += len;
	}
	ds_buf_str(b, "\"");
}

/* One pattern element at *p against c; moves *p past it. */
static bool glob_one(const char **pp, unsigned char c)
{
	const char *p = *pp;
	if (*p == '?') {
		*pp = p + 1;
		return true;
	}
	if (*p == '\\' && p[1]) {
		*pp = p + 2;
		return (unsigned char)p[1] == c;
	}
	if (*p == '[') {
		const char *q = p + 1;
		bool neg = *q == '!' || *q == '^', hit = false;
		q += neg;
		const char *first = q;
		while (*q && (*q != ']' || q == first)) {
			unsigned char lo = (unsigned char)*q, hi = lo;
			if (q[1] == '-' && q[2] && q[2] != ']') {
				hi = (unsigned char)q[2];
				q += 2;
			}
			hit |= lo <= c && c <= hi;
			q++;
		}
		if (*q == ']') {
			*pp = q + 1;
			return hit != neg;
		}
	}
	*pp = p + 1;
	return (unsigned char)*p == c;
}

bool ds_glob(const char *p, const char *s)
{
	const char *star = NULL, *mark = NULL;
	for (;;) {
		if (*p == '*') {
			star = ++p;
			mark = s;
			continue;
		}
		const char *q = p;
		if (*s && *p && glob_one(&q, (unsigned char)*s)) {
			p = q;
			s++;
			continue;
		}
		if (!*s && !*p)
			return true;
		if (!star || !*mark)
			return false;
		p = star;
		s = ++mark;
	}
}

bool ds_parse_i64(const char *s, int64_t *v)
{
	const char *p = s + (*s == '-' || *s == '+');
	if (*p < '0' || *p > '9')
		return false;
	char *end;
	errno = 0;
	long long x = strtoll(s, &end, 10);
	if (*end || errno)
		return false;
	*v = x;
	return true;
}

static locale_t c_locale(void)
{
	static locale_t loc;
	locale_t l = __atomic_load_n(&loc, __ATOMIC_ACQUIRE);
	if (!l) {
		l = newlocale(LC_ALL_MASK, "C", (locale_t)0);
		__atomic_store_n(&loc, l, __ATOMIC_RELEASE);
	}
	return l;
}

/* The length of a decimal number without hexadecimal, inf, nan or spaces; 0: none. */
static size_t number_span(const char *s)
{
	const char *p = s + (*s == '-' || *s == '+');
	const char *digits = p;
	size_t n = strspn(p, "0123456789");
	p += n;
	if (*p == '.') {
		size_t f = strspn(p + 1, "0123456789");
		n += f;
		p += 1 + f;
	}
	if (!n || p == digits)
		return 0;
	if (*p == 'e' || *p == 'E') {
		const char *q = p + 1 + (p[1] == '-' || p[1] == '+');
		size_t e = strspn(q, "0123456789");
		if (e)
			p = q + e;
	}
	return (size_t)(p - s);
}

bool ds_parse_f64(const char *s, double *v)
{
	size_t n = number_span(s);
	if (!n || s[n])
		return false;
	locale_t l = c_locale();
	double x = l ? strtod_l(s, NULL, l) : strtod(s, NULL);
	if (!isfinite(x))
		return false;
	*v = x;
	return true;
}

bool ds_parse_size(const char *s, uint64_t *v)
{
	size_t n = number_span(s);
	if (!n || *s == '-' || n > 63)
		return false;
	char num[64];
	memcpy(num, s, n);
	num[n] = 0;
	double x;
	if (!ds_parse_f64(num, &x))
		return false;
	static const char units[] = "KMGTkmgt";
	const char *unit = s + n, *at = *unit ? strchr(units, *unit) : NULL;
	if (*unit && *unit != 'B' && !at)
		return false;
	if (at) {
		x = ldexp(x, 10 * ((int)(at - units) % 4 + 1));
		unit++;
		if (*unit == 'i')
			unit++;
	}
	if (*unit == 'B')
		unit++;
	if (*unit || x < 0 || x >= 9.2e18)
		return false;
	*v = (uint64_t)x;
	return true;
}

static void point(char *buf)
{
	for (char *p = buf; *p; p++)            /* a locale's decimal comma */
		if (*p == ',')
			*p = '.';
}

/* Whole numbers that are exact are written without an exponent: 650, not 6.5e+02. */
static char *whole(char *buf, double v)
{
	if (strchr(buf, 'e') && v == floor(v) && fabs(v) < 1e9)
		snprintf(buf, 32, "%.0f", v);
	return buf;
}

char *ds_fmt_f32(char *buf, float v)
{
	if (isnan(v))
		return memcpy(buf, "nan", 4);
	if (isinf(v))
		return memcpy(buf, v < 0 ? "-inf" : "inf", v < 0 ? 5 : 4);
	for (int p = 1; p <= 9; p++) {
		snprintf(buf, 32, "%.*g", p, (double)v);
		point(buf);
		locale_t l = c_locale();
		if ((l ? strtof_l(buf, NULL, l) : strtof(buf, NULL)) == v)
			break;
	}
	return whole(buf, (double)v);
}

char *ds_fmt_f64(char *buf, double v)
{
	if (isnan(v))
		return memcpy(buf, "nan", 4);
	if (isinf(v))
		return memcpy(buf, v < 0 ? "-inf" : "inf", v < 0 ? 5 : 4);
	for (int p = 1; p <= 17; p++) {
		snprintf(buf, 32, "%.*g", p, v);
		point(buf);
		locale_t l = c_locale();
		if ((l ? strtod_l(buf, NULL, l) : strtod(buf, NULL)) == v)
			break;
	}
	return whole(buf, v);
}

char *ds_fmt_size(char *buf, uint64_t bytes)
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double x = (double)bytes;
	size_t u = 0;
	while (x >= 1024 && u + 1 < DS_COUNTOF(unit)) {
		x /= 1024;
		u++;
	}
	snprintf(buf, 16, u && x < 100 ? "%.1f %s" : "%.0f %s", x, unit[u]);
	point(buf);
	return buf;
}

int ds_edit_distance(const char *a, const char *b, int cap)
{
	enum { MAX = 64 };
	size_t n = strlen(a), m = strlen(b);
	if (n > MAX || m > MAX)
		return cap + 1;
	int row[3][MAX + 1];
	for (size_t j = 0; j <= m; j++)
		row[0][j] = (int)j;
	for (size_t i = 1; i <= n; i++) {
		int *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
		now[0] = (int)i;
		for (size_t j = 1; j <= m; j++) {
			int d = up[j - 1] + (a[i - 1] != b[j - 1]);
			d = DS_MIN(d, DS_MIN(up[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d = DS_MIN(d, up2[j - 2] + 1);
			now[j] = d;
		}
	}
	return DS_MIN(row[n % 3][m], cap + 1);
}
