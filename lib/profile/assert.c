/* assert.c - conditions on figures: reading them, judging them, saying how far off they are */
#include "assert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct scale { const char *suffix; double factor; } scale;

/* Suffixes of each unit, the empty one first where a number may stand alone; `text` names them in messages.  Sizes are read by ds_parse_size. */
static const struct { scale scale[6]; const char *text; } units[] = {
	[DS_UNIT_PLAIN] = { { { "", 1 } }, "a number" },
	[DS_UNIT_SECONDS] = { { { "ns", 1e-9 }, { "us", 1e-6 }, { "ms", 1e-3 }, { "s", 1 }, { "min", 60 } }, "a time with its unit: ns, us, ms, s, min" },
	[DS_UNIT_BYTES] = { { { NULL, 0 } }, "a size: bytes, or with K, M, G" },
	[DS_UNIT_COUNT] = { { { "", 1 }, { "K", 1e3 }, { "M", 1e6 }, { "G", 1e9 }, { "T", 1e12 } }, "a number, or with K, M, G, T (powers of 1000)" },
	[DS_UNIT_SHARE] = { { { "", 1 }, { "%", 0.01 } }, "a share: 0.01 or 1%" },
	[DS_UNIT_RATE] = { { { "", 1 }, { "/s", 1 } }, "a number per second" },
};

/* The number in front, n characters of it; false when it is none. */
static bool number(const char *text, size_t n, double *v)
{
	char buf[64];
	if (n == 0 || n >= sizeof buf)
		return false;
	memcpy(buf, text, n);
	buf[n] = 0;
	return ds_parse_f64(buf, v);
}

ds_status ds_unit_parse(const char *text, ds_unit unit, double *v, ds_err *err)
{
	const scale *s = units[unit].scale;
	uint64_t bytes;
	size_t len = strlen(text), n = len;
	if (unit == DS_UNIT_BYTES && ds_parse_size(text, &bytes)) {
		*v = (double)bytes;
		return DS_OK;
	}
	while (n && !strchr("0123456789.", text[n - 1]))
		n--;
	for (size_t i = 0; unit != DS_UNIT_BYTES && i < DS_COUNTOF(units[unit].scale) && s[i].suffix; i++)
		if (strcmp(text + n, s[i].suffix) == 0 && number(text, n, v) && isfinite(*v * s[i].factor)) {
			*v *= s[i].factor;
			return DS_OK;
		}
	if (unit == DS_UNIT_SECONDS && number(text, len, v) && *v == 0)
		return DS_OK;
	return ds_fail(err, DS_E_USAGE, "\"%.60s\" is not %s", text, units[unit].text);
}

char *ds_unit_text(char *buf, ds_unit unit, double v)
{
	static const scale time[] = { { "s", 1 }, { "ms", 1e-3 }, { "us", 1e-6 }, { "ns", 1e-9 } }, count[] = { { " T", 1e12 }, { " G", 1e9 }, { " M", 1e6 }, { " K", 1e3 }, { "", 1 } };
	const scale *s = unit == DS_UNIT_SECONDS ? time : count;
	size_t last = unit == DS_UNIT_SECONDS ? DS_COUNTOF(time) - 1 : DS_COUNTOF(count) - 1;
	enum { ROOM = 32 };
	if (isnan(v)) {
		snprintf(buf, ROOM, "not measured");
	} else if (isinf(v)) {
		snprintf(buf, ROOM, v > 0 ? "no bound" : "-no bound");
	} else if (unit == DS_UNIT_BYTES && v >= 0 && v < 1e18) {
		ds_fmt_size(buf, (uint64_t)v);
	} else if (unit == DS_UNIT_SECONDS || unit == DS_UNIT_COUNT) {
		while (last && fabs(v) >= (s + last - 1)->factor * 0.99995 && unit == DS_UNIT_SECONDS)
			last--;
		for (size_t i = 0; unit == DS_UNIT_COUNT && i < last; i++)
			if (fabs(v) >= s[i].factor)
				last = i;
		snprintf(buf, ROOM, unit == DS_UNIT_SECONDS ? "%.4g %s" : "%.4g%s", v / s[last].factor, s[last].suffix);
	} else if (unit == DS_UNIT_SHARE) {
		snprintf(buf, ROOM, "%.4g %%", v * 100);
	} else {
		snprintf(buf, ROOM, unit == DS_UNIT_RATE ? "%.5g/s" : "%.6g", v);
	}
	return buf;
}

/* ---- reading --------------------------------------------------------------------------------------------------------------------------- */

static ds_status unknown(const char *key, size_t n, const ds_assert_key *keys, ds_err *err)
{
	char name[40], list[360] = "", near[60] = "";
	int best = 3;
	snprintf(name, sizeof name, "%.*s", (int)DS_MIN(n, sizeof name - 1), key);
	for (const ds_assert_key *k = keys; k->name; k++) {
		size_t used = strlen(list);
		snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", k->name);
		int d = ds_edit_distance(name, k->name, best);
		if (d < best && d < (int)n) {
			best = d;
			snprintf(near, sizeof near, " (did you mean \"%s\"?)", k->name);
		}
	}
	return ds_fail(err, DS_E_USAGE, "unknown figure \"%s\"%s; there are %s", name, near, list);
}

ds_status ds_assert_parse(ds_assertion *a, const char *text, const ds_assert_key *keys, ds_err *err)
{
	static const char blank[] = " \t";
	const char *p = text + strspn(text, blank);
	size_t n = strcspn(p, "<>= \t");
	*a = (ds_assertion){ .text = text, .value = NAN, .lo = NAN, .hi = NAN };
	for (const ds_assert_key *k = keys; k->name && !a->key; k++)
		if (strlen(k->name) == n && strncmp(k->name, p, n) == 0)
			a->key = k;
	if (!n)
		return ds_fail(err, DS_E_USAGE, "\"%.60s\": a condition is KEY OP VALUE, such as p99=20ms", text);
	if (!a->key)
		return unknown(p, n, keys, err);
	p += n;
	p += strspn(p, blank);
	size_t ops = strspn(p, "<>=");
	if (ops == 1 && *p == '=') {
		snprintf(a->op, sizeof a->op, "%s", a->key->more ? ">=" : "<=");
	} else if ((ops == 1 || (ops == 2 && p[1] == '=')) && *p != '=') {
		snprintf(a->op, sizeof a->op, "%.*s", (int)ops, p);
	} else {
		return ds_fail(err, DS_E_USAGE, "\"%.60s\": between %s and its value stands <, <=, >, >= or = (not worse than)", text, a->key->name);
	}
	p += ops;
	p += strspn(p, blank);
	ds_status rc = ds_unit_parse(p, a->key->unit, &a->want, err);
	if (rc != DS_OK)
		ds_err_prefix(err, "%s: ", a->key->name);
	return rc;
}

/* ---- judging --------------------------------------------------------------------------------------------------------------------------- */

void ds_assert_judge(ds_assertion *a, double value, double lo, double hi)
{
	a->value = value;
	a->lo = lo;
	a->hi = hi;
	bool less = a->op[0] == '<', equal = a->op[1] == '=';
	double bound = less ? hi : lo;
	if (isnan(bound))
		bound = value;
	if (isnan(bound) || isinf(bound))
		a->met = false;
	else if (equal && bound == a->want)
		a->met = true;
	else
		a->met = less ? bound < a->want : bound > a->want;
}

void ds_assert_say(const ds_assertion *a, ds_buf *b)
{
	char v[32], lo[32], hi[32], want[32];
	ds_unit u = a->key->unit;
	if (isnan(a->value)) {
		ds_buf_printf(b, "%s was not measured", a->key->name);
		return;
	}
	ds_buf_printf(b, "%s is %s", a->key->name, ds_unit_text(v, u, a->value));
	if (!isnan(a->lo) && !isnan(a->hi))
		ds_buf_printf(b, " (%s to %s)", ds_unit_text(lo, u, a->lo), ds_unit_text(hi, u, a->hi));
	ds_buf_printf(b, ", %s%s %s", a->met ? "" : "not ", a->op, ds_unit_text(want, u, a->want));
	if (!a->met && isinf(a->op[0] == '<' ? a->hi : a->lo))
		ds_buf_str(b, ": too few values to be sure");
}
