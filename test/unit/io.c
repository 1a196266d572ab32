/* io.c - sources, sinks, checksums, zstd */
#include "io/io.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed;
#define OK(cond, name) do { if (cond) printf("ok %s\n", name); \
	else { printf("not ok %s: %s:%d\n", name, __FILE__, __LINE__); failed = 1; } } while (0)

static uint32_t bitwise(const uint8_t *p, size_t n)
{
	uint32_t c = ~0u;
	for (; n; n--, p++) {
		c ^= *p;
		for (int k = 0; k < 8; k++)
			c = c >> 1 ^ (0x82F63B78u & -(c & 1));
	}
	return ~c;
}

static void checksums(void)
{
	enum { N = 40000 };
	uint8_t *p = malloc(N);
	bool same = true, table = true, parts = true, joined = true;
	for (size_t i = 0; i < N; i++)
		p[i] = (uint8_t)(i * 2654435761u >> 13);
	OK(ds_crc32c(0, "123456789", 9) == 0xE3069283u, "crc32c check value");
	OK(ds_crc32c(0, "", 0) == 0, "crc32c of nothing");
	for (size_t n = 0; n < N; n += n < 300 ? 1 : 997) {
		for (size_t at = 0; at < 3; at++) {
			uint32_t want = bitwise(p + at, n - DS_MIN(n, at));
			same &= ds_crc32c(0, p + at, n - DS_MIN(n, at)) == want;
			table &= ds_crc32c_table(0, p + at, n - DS_MIN(n, at)) == want;
		}
		uint32_t whole = bitwise(p, n), a = ds_crc32c(0, p, n / 3);
		parts &= ds_crc32c(a, p + n / 3, n - n / 3) == whole;
		joined &= ds_crc32c_combine(a, ds_crc32c(0, p + n / 3, n - n / 3), n - n / 3) == whole;
	}
	OK(same, "crc32c equals the definition");
	OK(table, "crc32c by table equals the definition");
	OK(parts, "crc32c in pieces");
	OK(joined, "crc32c combine");
	ds_sha256 s;
	char hex[65];
	ds_sha256_init(&s);
	ds_sha256_add(&s, "abc", 3);
	ds_sha256_hex(&s, hex);
	OK(strcmp(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") == 0, "sha256 abc");
	ds_sha256_init(&s);
	for (int i = 0; i < 1000000; i += 50)
		ds_sha256_add(&s, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 50);
	ds_sha256_hex(&s, hex);
	OK(strcmp(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0") == 0, "sha256 of a million a");
	free(p);
}

/* Gives its bytes in portions of 1, 2, 3, ... */
struct drip { const uint8_t *p; size_t n, step; };
static int64_t drip_read(void *arg, void *buf, size_t n, ds_err *err)
{
	struct drip *d = arg;
	size_t take = DS_MIN(DS_MIN(++d->step, n), d->n);
	memcpy(buf, d->p, take);
	d->p += take;
	d->n -= take;
	return (int64_t)take;
}

static void one_source(ds_source *s, const uint8_t *want, size_t n, const char *name)
{
	uint8_t buf[5000];
	const void *p;
	size_t got, at = 0;
	bool good = true;
	ds_err err;
	for (unsigned k = 0; at < n; k++) {
		size_t ask = DS_MIN((size_t)(k * 37 % 4999 + 1), n - at);
		good &= ds_source_peek(s, ask, &p, &got, &err) == DS_OK && got == ask && memcmp(p, want + at, ask) == 0;
		if (k % 3 == 2)
			good &= ds_source_skip(s, ask, &err) == DS_OK;
		else
			good &= ds_source_read(s, buf, ask, &err) == DS_OK && memcmp(buf, want + at, ask) == 0;
		at += ask;
		good &= ds_source_offset(s) == (int64_t)at;
	}
	good &= ds_source_peek(s, 10, &p, &got, &err) == DS_OK && got == 0;
	good &= ds_source_read(s, buf, 1, &err) == DS_END;
	good &= ds_source_skip(s, 1, &err) == DS_E_INPUT;
	OK(good, name);
	ds_source_close(s);
}

static void sources(const char *dir)
{
	enum { N = 300000 };
	static uint8_t data[N];
	char path[512];
	ds_source *s;
	ds_err err;
	for (size_t i = 0; i < N; i++)
		data[i] = (uint8_t)(i * 40503u >> 7);
	snprintf(path, sizeof path, "%s/data", dir);
	FILE *f = fopen(path, "w");
	fwrite(data, 1, N, f);
	fclose(f);
	OK(ds_source_open(&s, path, NULL, &err) == DS_OK && ds_source_mapped(s) && ds_source_size(s) == N, "a file is mapped");
	one_source(s, data, N, "mapped source");
	OK(ds_source_open(&s, path, &(ds_source_opts){ .no_map = true }, &err) == DS_OK && !ds_source_mapped(s), "no_map");
	one_source(s, data, N, "read source");
	OK(ds_source_memory(&s, data, N, "memory", &err) == DS_OK, "memory");
	one_source(s, data, N, "memory source");
	struct drip d = { data, N, 0 };
	OK(ds_source_custom(&s, drip_read, NULL, &d, "drip", &err) == DS_OK, "custom");
	one_source(s, data, N, "dripping source");

	const void *p;
	size_t n;
	void *owner;
	d = (struct drip){ data, N, 0 };
	OK(ds_source_custom(&s, drip_read, NULL, &d, "drip", &err) == DS_OK && ds_source_all(s, N, &p, &n, &owner, &err) == DS_OK && n == N &&
		memcmp(p, data, N) == 0, "everything of a pipe");
	ds_source_close(s);
	ds_source_drop(owner);
	d = (struct drip){ data, N, 0 };
	OK(ds_source_custom(&s, drip_read, NULL, &d, "drip", &err) == DS_OK && ds_source_all(s, N - 1, &p, &n, &owner, &err) == DS_E_LIMIT, "limit");
	ds_source_close(s);
	OK(ds_source_open(&s, path, NULL, &err) == DS_OK && ds_source_skip(s, 64, &err) == DS_OK &&
		ds_source_borrow(s, 1000, &p, &err) == DS_OK && (owner = ds_source_keep(s)) != NULL, "borrow");
	ds_source_close(s);
	OK(memcmp(p, data + 64, 1000) == 0, "a kept mapping outlives its source");
	ds_source_drop(owner);
	OK(ds_source_open(&s, dir, NULL, &err) == DS_E_INPUT && !s, "a directory is not input");
	OK(ds_source_open(&s, "/nonexistent/x", NULL, &err) == DS_E_SYS && strstr(err.where, "nonexistent"), "a missing file is named");
}

static bool holds(const char *path, const char *text)
{
	char buf[64] = "";
	FILE *f = fopen(path, "r");
	if (!f)
		return false;
	size_t n = fread(buf, 1, sizeof buf - 1, f);
	fclose(f);
	return n == strlen(text) && memcmp(buf, text, n) == 0;
}

static ds_status put(const char *path, const char *text, bool commit)
{
	ds_sink *s;
	ds_err err;
	ds_status rc = ds_sink_open(&s, path, &err);
	if (rc == DS_OK)
		rc = ds_sink_write(s, text, strlen(text), &err);
	if (rc == DS_OK && commit)
		return ds_sink_commit(s, &err);
	ds_sink_abort(s);
	return rc;
}

static int entries(const char *dir)
{
	char cmd[600];
	int n = -1;
	snprintf(cmd, sizeof cmd, "ls -A '%s' | wc -l", dir);
	FILE *f = popen(cmd, "r");
	if (f && fscanf(f, "%d", &n) != 1)
		n = -1;
	if (f)
		pclose(f);
	return n;
}

static void sinks(const char *dir)
{
	char x[512], link_[512], dangling[512];
	struct stat st;
	snprintf(x, sizeof x, "%s/x", dir);
	snprintf(link_, sizeof link_, "%s/link", dir);
	snprintf(dangling, sizeof dangling, "%s/dangling", dir);
	int before = entries(dir);
	umask(027);
	OK(put(x, "one", false) == DS_OK && access(x, F_OK) != 0 && entries(dir) == before, "abort leaves nothing");
	OK(put(x, "one", true) == DS_OK && holds(x, "one") && entries(dir) == before + 1, "commit of a new file");
	OK(stat(x, &st) == 0 && (st.st_mode & 07777) == 0640, "mode follows the umask");
	OK(chmod(x, 0600) == 0 && put(x, "two", true) == DS_OK && holds(x, "two") && entries(dir) == before + 1, "replace");
	OK(stat(x, &st) == 0 && (st.st_mode & 07777) == 0600, "mode of a replaced file stays");
	OK(put(x, "three", false) == DS_OK && holds(x, "two"), "abort keeps the old file");
	OK(symlink("x", link_) == 0 && put(link_, "four", true) == DS_OK && holds(x, "four") && lstat(link_, &st) == 0 && S_ISLNK(st.st_mode),
		"a symbolic link stays and its target is replaced");
	OK(symlink("new", dangling) == 0 && put(dangling, "five", true) == DS_OK && holds(dangling, "five") && lstat(dangling, &st) == 0 &&
		S_ISLNK(st.st_mode), "a link to nowhere gets its target");
	OK(put("/dev/null", "six", true) == DS_OK && stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode), "a device is written directly");
	OK(put("/dev/full", "seven", true) == DS_E_SYS, "a full device is an error");
	OK(put(dir, "eight", true) == DS_E_SYS, "a directory is an error");
	OK(put("/nonexistent/x", "nine", true) == DS_E_SYS, "a missing directory is an error");
	ds_buf b = { 0 };
	ds_sink *s;
	ds_err err;
	OK(ds_sink_memory(&s, &b, &err) == DS_OK && ds_sink_write(s, "ab", 2, &err) == DS_OK && ds_sink_write(s, "c", 1, &err) == DS_OK &&
		ds_sink_offset(s) == 3 && ds_sink_commit(s, &err) == DS_OK && b.len == 3 && memcmp(b.data, "abc", 3) == 0, "memory sink");
	ds_buf_done(&b);
	enum { N = 1000000 };
	uint8_t *big = malloc(N), *back = malloc(N);
	for (size_t i = 0; i < N; i++)
		big[i] = (uint8_t)(i >> 3);
	bool good = ds_sink_open(&s, x, &err) == DS_OK;
	for (size_t at = 0, k = 1; good && at < N; k = k * 7 % 300007 + 1) {
		size_t n = DS_MIN(k, (size_t)N - at);
		good = ds_sink_write(s, big + at, n, &err) == DS_OK;
		at += n;
	}
	good = good && ds_sink_commit(s, &err) == DS_OK;
	FILE *f = fopen(x, "r");
	OK(good && f && fread(back, 1, N, f) == N && memcmp(big, back, N) == 0, "pieces of every size");
	if (f)
		fclose(f);
	free(big);
	free(back);
}

static void zstd(void)
{
	enum { N = 200000 };
	uint8_t *p = malloc(N), *q = malloc(N);
	void *z;
	size_t n;
	ds_err err;
	ds_unzstd *u;
	for (size_t i = 0; i < N; i++)
		p[i] = (uint8_t)(i / 100);
	OK(ds_zstd_compress(p, N, &z, &n, &err) == DS_OK && n < N / 10, "compress");
	for (int extra = -1; extra <= 1; extra++) {
		size_t in = 0, out = 0;
		bool done = false;
		ds_status rc = ds_unzstd_new(&u, (uint64_t)(N + extra), &err);
		while (rc == DS_OK && !done && in < n) {
			size_t a = DS_MIN((size_t)7, n - in), b = DS_MIN((size_t)1000, N - out);
			rc = ds_unzstd_step(u, (uint8_t *)z + in, &a, q + out, &b, &done, &err);
			in += a;
			out += b;
		}
		if (extra)
			OK(rc == DS_E_INPUT, "a wrong content size is refused");
		else
			OK(rc == DS_OK && done && in == n && out == N && memcmp(p, q, N) == 0, "decode in small steps");
		ds_unzstd_free(u);
	}
	ds_free(z);
	free(p);
	free(q);
}

int main(void)
{
	char dir[] = "/tmp/ds-io-XXXXXX", cmd[64];
	checksums();
	zstd();
	if (!mkdtemp(dir)) {
		printf("not ok temporary directory\n");
		return 1;
	}
	sources(dir);
	sinks(dir);
	snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
	return failed || system(cmd) != 0;
}
