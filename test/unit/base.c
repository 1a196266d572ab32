/* base.c - unit tests of lib/base: text, numbers, globs, arena, pool, random numbers */
#include "base/rng.h"
#include "base/str.h"
#include "base/thread.h"

#include <stdio.h>
#include <string.h>

static int failed;
#define CHECK(name, cond) do { if (cond) printf("ok %s\n", name); else { printf("not ok %s: line %d\n", name, __LINE__); failed = 1; } } while (0)

static void count_task(void *arg, int task, int worker)
{
	(void)worker;
	__atomic_fetch_add(&((int *)arg)[task], 1, __ATOMIC_RELAXED);
}

static void numbers(void)
{
	int64_t i;
	double d;
	uint64_t u;
	char buf[32];
	CHECK("i64", ds_parse_i64("-42", &i) && i == -42 && !ds_parse_i64("4x", &i) && !ds_parse_i64("", &i) && !ds_parse_i64(" 1", &i) &&
		!ds_parse_i64("99999999999999999999", &i));
	CHECK("f64", ds_parse_f64("1e-3", &d) && d == 1e-3 && ds_parse_f64(".5", &d) && d == .5 && !ds_parse_f64("nan", &d) && !ds_parse_f64("1e999", &d) &&
		!ds_parse_f64("0x1p3", &d) && !ds_parse_f64("0,5", &d) && !ds_parse_f64("", &d) && !ds_parse_f64(".", &d));
	CHECK("size", ds_parse_size("1.5GiB", &u) && u == 1610612736u && ds_parse_size("64k", &u) && u == 65536 && ds_parse_size("7", &u) && u == 7 &&
		ds_parse_size("2M", &u) && u == 2097152 && !ds_parse_size("-1", &u) && !ds_parse_size("1X", &u) && !ds_parse_size("1e30G", &u));
	CHECK("fmt", !strcmp(ds_fmt_f32(buf, 0.1f), "0.1") && !strcmp(ds_fmt_f64(buf, 0.1), "0.1") && !strcmp(ds_fmt_f32(buf, 16777216.f), "16777216"));
	CHECK("fmt-whole", !strcmp(ds_fmt_f64(buf, 650), "650") && !strcmp(ds_fmt_f32(buf, -100.f), "-100") && !strcmp(ds_fmt_f64(buf, 1e20), "1e+20"));
	CHECK("fmt-size", !strcmp(ds_fmt_size(buf, 4950943), "4.7 MiB") && !strcmp(ds_fmt_size(buf, 12), "12 B"));
}

static void texts(void)
{
	CHECK("glob", ds_glob("layer*.conv?", "layer1.0.conv2") && !ds_glob("layer*.conv?", "layer1.conv") && ds_glob("[a-c]x", "bx") && !ds_glob("[!a-c]x", "bx") &&
		ds_glob("*", "") && ds_glob("a\\*", "a*") && !ds_glob("a\\*", "ab") && !ds_glob("", "a") && ds_glob("*a*b*", "xxaxxbxx"));
	CHECK("text", ds_text_ok("caf\xc3\xa9", 5, false) && !ds_text_ok("\xc0\x80", 2, false) && !ds_text_ok("a\tb", 3, false) && ds_text_ok("a\tb", 3, true) &&
		!ds_text_ok("\xed\xa0\x80", 3, false) && !ds_text_ok("\xc2\x9b", 2, true));
	ds_buf b = { 0 };
	ds_text_quote(&b, "a\x1b[31m\\\n\xff", 9);
	CHECK("quote", b.data && !strcmp(b.data, "a\\x1b[31m\\\\\\n\\xff"));
	ds_buf_reset(&b);
	ds_text_json(&b, "\"\x01\xff", 3);
	CHECK("json", b.data && !strcmp(b.data, "\"\\\"\\u0001\\ufffd\""));
	ds_buf_done(&b);
	CHECK("distance", ds_edit_distance("--rati", "--ratio", 2) == 1 && ds_edit_distance("abcd", "abdc", 2) == 1 && ds_edit_distance("abc", "xyz", 2) == 3);
}

int main(void)
{
	numbers();
	texts();
	ds_arena a;
	ds_arena_init(&a);
	bool ok = true;
	for (size_t n = 1; n < 3000; n++) {
		unsigned char *p = ds_arena_alloc(&a, n, 7);
		ok &= p && !((uintptr_t)p & 15) && !p[0] && !p[n * 7 - 1];
		if (p)
			memset(p, 0xAA, n * 7);
	}
	CHECK("arena", ok && !ds_arena_alloc(&a, SIZE_MAX / 2, 4));
	ds_arena_done(&a);
	ds_pool *p = ds_pool_new(3);
	static int hit[10000];
	for (int round = 0; round < 50; round++)
		ds_pool_run(p, 10000, count_task, hit);
	ok = p && ds_pool_threads(p) == 3;
	for (int k = 0; k < 10000; k++)
		ok &= hit[k] == 50;
	CHECK("pool", ok);
	ds_pool_free(p);
	ds_rng r = ds_rng_init(1, 2);
	double sum = 0;
	for (int k = 0; k < 100000; k++)
		sum += ds_rng_f64(&r);
	CHECK("rng", sum > 49500 && sum < 50500 && ds_rng_at(1, 2, 3) == ds_rng_at(1, 2, 3) && ds_rng_at(1, 2, 3) != ds_rng_at(1, 3, 3));
	return failed;
}
