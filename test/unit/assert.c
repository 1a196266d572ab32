/* assert.c - conditions on figures: what is read, what is refused and how, which end of the interval decides */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "profile/assert.h"

static int failed;
#define CHECK(name, cond, ...) do { if (cond) printf("ok %s\n", name); else { printf("not ok %s: ", name); printf(__VA_ARGS__); printf("\n"); failed = 1; } } while (0)

static const ds_assert_key keys[] = {
	{ "p99", DS_UNIT_SECONDS, false, 1, "" }, { "qps", DS_UNIT_RATE, true, 1, "" }, { "rss", DS_UNIT_BYTES, false, 2, "" }, { "drop", DS_UNIT_SHARE, false, 4, "" },
	{ "macs", DS_UNIT_COUNT, false, 8, "" }, { "top1", DS_UNIT_SHARE, true, 4, "" }, { "mse", DS_UNIT_PLAIN, false, 4, "" }, { 0 }
};

static void reading(void)
{
	static const struct { const char *text, *key, *op; double want; } good[] = {
		{ "p99=20ms", "p99", "<=", 0.02 }, { "p99<5us", "p99", "<", 5e-6 }, { "p99 <= 1.5s", "p99", "<=", 1.5 }, { "p99=0", "p99", "<=", 0 }, { "p99=1e3ns", "p99", "<=", 1e-6 },
		{ "qps=500", "qps", ">=", 500 }, { "qps>=500/s", "qps", ">=", 500 }, { "qps<9", "qps", "<", 9 }, { "rss=200M", "rss", "<=", 200 * 1048576.0 },
		{ "rss>1.5GiB", "rss", ">", 1.5 * 1073741824.0 }, { "drop=1%", "drop", "<=", 0.01 }, { " drop = .01", "drop", "<=", 0.01 }, { "macs=300M", "macs", "<=", 3e8 },
		{ "top1>=.9", "top1", ">=", 0.9 }, { "top1=99.5%", "top1", ">=", 0.995 }, { "mse<1e-3", "mse", "<", 1e-3 }, { "drop=-1%", "drop", "<=", -0.01 },
	};
	static const struct { const char *text, *says; } bad[] = {
		{ "", "KEY OP VALUE" }, { "=3", "KEY OP VALUE" }, { "p98=3ms", "did you mean \"p99\"" }, { "p98=3ms", "there are p99, qps, rss" }, { "speed=3", "there are" },
		{ "p99", "stands" }, { "p99==3ms", "stands" }, { "p99=>3ms", "stands" }, { "p99<>3ms", "stands" }, { "p99=", "unit" }, { "p99=3", "unit" }, { "p99=3hours", "unit" },
		{ "p99=ms", "unit" }, { "p99=3 ms x", "unit" }, { "qps=5%", "number per second" }, { "rss=20X", "size" }, { "drop=1ms", "share" }, { "mse=nan", "number" },
		{ "mse=inf", "number" }, { "mse=0x10", "number" }, { "mse=1,5", "number" }, { "drop=%", "share" }, { "macs=1KK", "number" }, { "p99=1e999s", "unit" },
		{ "P99=3ms", "p99" }, { "macs=1e308T", "number" }, { "p99<=<3ms", "stands" },
	};
	ds_assertion a;
	ds_err err;
	for (size_t i = 0; i < DS_COUNTOF(good); i++) {
		err = (ds_err){ 0 };
		ds_status rc = ds_assert_parse(&a, good[i].text, keys, &err);
		CHECK(good[i].text, rc == DS_OK && strcmp(a.key->name, good[i].key) == 0 && strcmp(a.op, good[i].op) == 0 && fabs(a.want - good[i].want) <= 1e-12 * fabs(good[i].want),
			"%s %s %g: %s", a.key ? a.key->name : "", a.op, a.want, err.text);
	}
	for (size_t i = 0; i < DS_COUNTOF(bad); i++) {
		err = (ds_err){ 0 };
		ds_status rc = ds_assert_parse(&a, bad[i].text, keys, &err);
		CHECK("refused", rc == DS_E_USAGE && strstr(err.text, bad[i].says), "\"%s\": %d \"%s\"", bad[i].text, (int)rc, err.text);
	}
}

static void judging(void)
{
	static const struct { const char *text; double v, lo, hi; bool met; } rows[] = {
		{ "p99=20ms", 0.01, 0.009, 0.02, true }, { "p99=20ms", 0.01, 0.009, 0.0201, false }, { "p99<20ms", 0.01, 0.009, 0.02, false }, { "p99=20ms", 0.01, 0, INFINITY, false },
		{ "p99=20ms", 0.02, NAN, NAN, true }, { "p99=20ms", NAN, NAN, NAN, false }, { "qps=500", 600, 499, 700, false }, { "qps=500", 600, 500, 700, true },
		{ "qps>500", 600, 500, 700, false }, { "qps<700", 600, 500, 699, true }, { "rss>0", 5, NAN, NAN, true }, { "drop=0", -0.01, -0.02, 0, true },
	};
	ds_assertion a;
	for (size_t i = 0; i < DS_COUNTOF(rows); i++) {
		ds_status rc = ds_assert_parse(&a, rows[i].text, keys, NULL);
		ds_assert_judge(&a, rows[i].v, rows[i].lo, rows[i].hi);
		CHECK("the worse end decides", rc == DS_OK && a.met == rows[i].met, "row %zu: %s", i, rows[i].text);
	}
	ds_buf b = { 0 };
	ds_status rc = ds_assert_parse(&a, "p99=20ms", keys, NULL);
	ds_assert_judge(&a, 0.0231, 0.021, 0.0262);
	ds_assert_say(&a, &b);
	CHECK("said in words", rc == DS_OK && strcmp(b.data, "p99 is 23.1 ms (21 ms to 26.2 ms), not <= 20 ms") == 0, "%s", b.data);
	ds_buf_done(&b);
}

static void writing(void)
{
	static const struct { ds_unit u; double v; const char *text; } rows[] = {
		{ DS_UNIT_SECONDS, 0.02, "20 ms" }, { DS_UNIT_SECONDS, 1.5, "1.5 s" }, { DS_UNIT_SECONDS, 2.5e-6, "2.5 us" }, { DS_UNIT_SECONDS, 0, "0 ns" },
		{ DS_UNIT_BYTES, 1048576, "1.0 MiB" }, { DS_UNIT_COUNT, 1.5e6, "1.5 M" }, { DS_UNIT_COUNT, 12, "12" }, { DS_UNIT_SHARE, 0.015, "1.5 %" }, { DS_UNIT_RATE, 500, "500/s" },
		{ DS_UNIT_PLAIN, 0.25, "0.25" }, { DS_UNIT_SECONDS, NAN, "not measured" }, { DS_UNIT_SECONDS, INFINITY, "no bound" }, { DS_UNIT_COUNT, 2e12, "2 T" },
	};
	char buf[32];
	for (size_t i = 0; i < DS_COUNTOF(rows); i++)
		CHECK("figures with units", strcmp(ds_unit_text(buf, rows[i].u, rows[i].v), rows[i].text) == 0, "row %zu: %s", i, buf);
}

int main(void)
{
	reading();
	judging();
	writing();
	return failed;
}
