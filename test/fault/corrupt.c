/* corrupt.c - the corruption harness: every damaged stream must be refused
 *
 * On seven small streams that hold every record type, codec and class of element type: each byte with each of the 255 other values; each truncation; a byte
 * appended, removed or inserted anywhere; records and blocks of 64 bytes dropped, doubled, swapped, or taken from another stream.  Half of the
 * mutants are read as a mapping, half as a pipe.  `corrupt --write DIR` writes the streams instead, one file each.
 * Structure behind checksums that were made to fit is the fuzzers' matter (test/fuzz/fuzz_dsm.c). */
#include "streams.h"

#include "base/thread.h"

#include <stdatomic.h>

typedef struct job {
	const uint8_t *p;
	size_t         n;
	int            stream;
	atomic_llong   tried, missed;
	atomic_llong   first_missed;
} job;

/* Is the stream read to its end without complaint? */
static bool accepted(const uint8_t *p, size_t n)
{
	ds_source *src;
	ds_dsm_reader *r;
	ds_rec rec;
	ds_status rc;
	if (ds_source_memory(&src, p, n, "mutant", NULL) != DS_OK || ds_dsm_open(&r, src, NULL, NULL) != DS_OK)
		return false;
	while ((rc = ds_dsm_next(r, &rec, NULL)) == DS_OK)
		;
	ds_dsm_close(r);
	return rc == DS_END;
}

static void count(job *j, const uint8_t *p, size_t n, long long what)
{
	atomic_fetch_add(&j->tried, 1);
	if (accepted(p, n)) {
		long long none = -1;
		atomic_fetch_add(&j->missed, 1);
		atomic_compare_exchange_strong(&j->first_missed, &none, what);
	}
}

static int report(job *j, const char *stream, const char *what)
{
	long long missed = atomic_load(&j->missed);
	printf("%sok %s: %s (%lld mutants", missed ? "not " : "", stream, what, (long long)atomic_load(&j->tried));
	if (missed)
		printf(", %lld undetected, the first at %lld", missed, (long long)atomic_load(&j->first_missed));
	printf(")\n");
	fflush(stdout);
	atomic_store(&j->tried, 0);
	atomic_store(&j->missed, 0);
	atomic_store(&j->first_missed, -1);
	return missed != 0;
}

/* Task: 16 bytes of the stream, all other values of each. */
static void every_value(void *arg, int task, int worker)
{
	job *j = arg;
	(void)worker;
	uint8_t *buf = ds_aligned(j->n + 64);
	if (!buf)
		return;
	uint8_t *p = buf + (task & 1);          /* aligned memory counts as mapped */
	memcpy(p, j->p, j->n);
	for (size_t at = (size_t)task * 16; at < DS_MIN((size_t)task * 16 + 16, j->n); at++) {
		uint8_t old = p[at];
		for (int v = 1; v < 256; v++) {
			p[at] = (uint8_t)(old ^ v);
			count(j, p, j->n, (long long)at);
		}
		p[at] = old;
	}
	ds_free(buf);
}

static void lengths(job *j)
{
	size_t n = j->n;
	uint8_t *buf = ds_aligned(n + 128);
	for (size_t k = 0; k < n; k++) {                /* exact copies, so that a read too far is seen by the sanitizers */
		uint8_t *cut = ds_malloc(k);
		memcpy(cut, j->p, k);
		count(j, cut, k, (long long)k);
		ds_free(cut);
		uint8_t *map = ds_aligned(k);
		memcpy(map, j->p, k);
		count(j, map, k, (long long)k);
		ds_free(map);
	}
	for (int v = 0; v < 256; v++) {
		memcpy(buf, j->p, n);
		buf[n] = (uint8_t)v;
		count(j, buf, n + 1, (long long)n);
	}
	for (size_t k = 0; k < n; k++) {
		memcpy(buf, j->p, k);
		memcpy(buf + k, j->p + k + 1, n - k - 1);
		count(j, buf, n - 1, (long long)k);
		memcpy(buf + k + 1, j->p + k, n - k);
		buf[k] = (uint8_t)(k * 31);
		count(j, buf, n + 1, (long long)k);
	}
	ds_free(buf);
}

/* Where the records of a stream start; the last entry is its end. */
static size_t records(const uint8_t *p, size_t n, size_t *at, size_t cap)
{
	size_t k = 0;
	for (size_t o = 64; o < n && k + 1 < cap;) {
		at[k++] = o;
		bool done = memcmp(p + o, "DONE", 4) == 0;
		o += 64 + (done ? 0 : (size_t)(ds_pad64(dsm_get64(p + o + 8)) + ds_pad64(dsm_get64(p + o + 16)) + 64));
	}
	at[k] = n;
	return k;
}

static void pieces(job *j, const size_t *at, size_t k)
{
	size_t n = j->n;
	uint8_t *buf = ds_aligned(2 * n);
	for (size_t i = 0; i < k; i++) {
		size_t len = at[i + 1] - at[i];
		memcpy(buf, j->p, at[i]);                                               /* dropped */
		memcpy(buf + at[i], j->p + at[i + 1], n - at[i + 1]);
		count(j, buf, n - len, (long long)at[i]);
		memcpy(buf, j->p, at[i + 1]);                                           /* doubled */
		memcpy(buf + at[i + 1], j->p + at[i], n - at[i]);
		count(j, buf, n + len, (long long)at[i]);
		for (size_t m = i + 1; m < k; m++) {                                    /* swapped with a later one */
			size_t len2 = at[m + 1] - at[m], mid = at[m] - at[i + 1];
			if (len == len2 && memcmp(j->p + at[i], j->p + at[m], len) == 0)
				continue;                                               /* the same bytes: no change */
			memcpy(buf, j->p, n);
			memcpy(buf + at[i], j->p + at[m], len2);
			memcpy(buf + at[i] + len2, j->p + at[i + 1], mid);
			memcpy(buf + at[i] + len2 + mid, j->p + at[i], len);
			count(j, buf, n, (long long)at[i]);
		}
	}
	ds_free(buf);
}

/* A record of another stream in the place of one of ours, or before it. */
static void splices(job *j, const size_t *at, size_t k, const uint8_t *q, const size_t *bt, size_t m, size_t n2)
{
	uint8_t *buf = ds_aligned(j->n + n2);
	for (size_t i = 0; i < k; i++)
		for (size_t l = 0; l < m; l++) {
			size_t len = bt[l + 1] - bt[l];
			for (int replace = 0; replace < 2; replace++) {
				size_t from = at[i + (size_t)replace];
				if (replace && len == from - at[i] && memcmp(q + bt[l], j->p + at[i], len) == 0)
					continue;
				memcpy(buf, j->p, at[i]);
				memcpy(buf + at[i], q + bt[l], len);
				memcpy(buf + at[i] + len, j->p + from, j->n - from);
				count(j, buf, at[i] + len + j->n - from, (long long)at[i]);
			}
		}
	ds_free(buf);
}

static int harness(ds_pool *pool)
{
	enum { N = DS_COUNTOF(test_stream), CAP = 64 };
	ds_buf s[N];
	size_t at[N][CAP], k[N], block[CAP * 4];
	int bad = 0;
	for (size_t i = 0; i < N; i++) {
		if (!test_stream[i].make(&s[i]) || !accepted((uint8_t *)s[i].data, s[i].len)) {
			printf("not ok %s: the sound stream is refused\n", test_stream[i].name);
			return 1;
		}
		k[i] = records((uint8_t *)s[i].data, s[i].len, at[i], CAP);
	}
	for (size_t i = 0; i < N; i++) {
		job j = { .p = (uint8_t *)s[i].data, .n = s[i].len };
		atomic_init(&j.first_missed, -1);
		ds_pool_run(pool, (int)(j.n / 16) + 1, every_value, &j);
		bad |= report(&j, test_stream[i].name, "each byte, each other value");
		lengths(&j);
		bad |= report(&j, test_stream[i].name, "truncated, longer, a byte removed or inserted");
		pieces(&j, at[i], k[i]);
		size_t n_block = DS_MIN(j.n / 64, DS_COUNTOF(block) - 1);
		for (size_t b = 0; b <= n_block; b++)
			block[b] = b * 64;
		block[n_block] = j.n;
		pieces(&j, block, n_block);
		bad |= report(&j, test_stream[i].name, "records and blocks dropped, doubled, swapped");
		for (size_t o = 0; o < N; o++)
			if (o != i)
				splices(&j, at[i], k[i], (uint8_t *)s[o].data, at[o], k[o], s[o].len);
		bad |= report(&j, test_stream[i].name, "foreign records spliced in");
	}
	for (size_t i = 0; i < N; i++)
		ds_buf_done(&s[i]);
	return bad;
}

static int write_all(const char *dir)
{
	for (size_t i = 0; i < DS_COUNTOF(test_stream); i++) {
		char path[4096];
		ds_buf b;
		ds_sink *s;
		ds_err err;
		snprintf(path, sizeof path, "%s/%s.dsm", dir, test_stream[i].name);
		if (!test_stream[i].make(&b) || ds_sink_open(&s, path, &err) != DS_OK || ds_sink_write(s, b.data, b.len, &err) != DS_OK ||
			ds_sink_commit(s, &err) != DS_OK) {
			fprintf(stderr, "corrupt: %s: cannot be written\n", path);
			return 1;
		}
		ds_buf_done(&b);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--write") == 0)
		return write_all(argv[2]);
	ds_pool *pool = ds_pool_new(0);
	int bad = harness(pool);
	ds_pool_free(pool);
	return bad;
}
