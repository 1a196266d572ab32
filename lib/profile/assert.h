/* assert.h - conditions on measured figures: `p99=20ms`, `qps>=500`, `rss=200M`, judged by the worse end of the interval
 *
 * KEY OP VALUE, spaces around OP allowed.  OP is <, <=, >, >= or =, which means: not worse than.  Which keys there are is the filter's table. */
#ifndef DS_PROFILE_ASSERT_H
#define DS_PROFILE_ASSERT_H

#include "../base/str.h"

typedef enum ds_unit {
	DS_UNIT_PLAIN,          /* a number */
	DS_UNIT_SECONDS,        /* ns us ms s min; a number alone is refused (0 apart) */
	DS_UNIT_BYTES,          /* K M G, powers of 1024 */
	DS_UNIT_COUNT,          /* K M G, powers of 1000 */
	DS_UNIT_SHARE,          /* 1% or .01 */
	DS_UNIT_RATE,           /* per second, "/s" may stand behind it */
} ds_unit;

/* Number and unit as a value in base units (seconds, bytes, a share of 1); DS_E_USAGE says what units there are. */
ds_status ds_unit_parse(const char *text, ds_unit unit, double *v, ds_err *err);
/* "21.3 ms", "200.0 MiB", "1.2 %"; "not measured" for NaN.  buf of 32 bytes or more. */
char     *ds_unit_text(char *buf, ds_unit unit, double v);

typedef struct ds_assert_key {          /* a table ends with a NULL name */
	const char *name;
	ds_unit     unit;
	bool        more;               /* more is better */
	unsigned    needs;              /* bits of the filter: which measurement it takes */
	const char *help;
} ds_assert_key;

typedef struct ds_assertion {
	const ds_assert_key *key;
	char        op[3];              /* "<", "<=", ">", ">=" */
	double      want;
	const char *text;               /* as it was given, not copied */
	double      value, lo, hi;      /* what was measured; NaN until then, lo and hi also where there is no interval */
	bool        met;
} ds_assertion;

/* DS_E_USAGE: unknown key (with the list of known ones), operator, unit or number. */
ds_status ds_assert_parse(ds_assertion *a, const char *text, const ds_assert_key *keys, ds_err *err);
/* Enter what was measured and decide: the end of the interval that is worse for the condition must hold.  NaN for lo and hi: there is no interval.  A value of NaN, or
 * an end at infinity, is never good enough. */
void      ds_assert_judge(ds_assertion *a, double value, double lo, double hi);
/* "p99 is 23.1 ms (21.0 ms to 26.2 ms), not <= 20.0 ms" appended to b. */
void      ds_assert_say(const ds_assertion *a, ds_buf *b);

#endif
