/* tfevents.c - event files as TensorBoard reads them: protobuf by hand, records with masked checksums */
#include "tfevents.h"

#include <math.h>
#include <string.h>
#include <time.h>

/* ---- protobuf ------------------------------------------------------------------------------------------------------------------------ */
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static void varint(ds_buf *b, uint64_t v)
{
	uint8_t out[10];
	size_t n = 0;
	do {
		out[n] = (uint8_t)(v & 0x7f);
		v >>= 7;
		out[n++] |= v ? 0x80 : 0;
	} while (v);
	ds_buf_add(b, out, n);
}

static void little(ds_buf *b, uint64_t v, size_t n)
{
	uint8_t out[8];
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(v >> 8 * i);
	ds_buf_add(b, out, n);
}

static void field(ds_buf *b, int number, int wire)
{
	varint(b, (uint64_t)number << 3 | (unsigned)wire);
}

static void put_double(ds_buf *b, int number, double v)
{
	uint64_t bits;
	memcpy(&bits, &v, sizeof bits);
	field(b, number, FIXED64);
	little(b, bits, 8);
}

static void put_bytes(ds_buf *b, int number, const void *p, size_t n)
{
	field(b, number, BYTES);
	varint(b, n);
	ds_buf_add(b, p, n);
}

static void put_message(ds_buf *b, int number, ds_buf *inner)
{
	put_bytes(b, number, inner->data ? inner->data : "", inner->len);
	b->oom |= inner->oom;
	ds_buf_done(inner);
}

/* ---- records ------------------------------------------------------------------------------------------------------------------------- */
/* The checksum of a checksum would be weak: it is turned and shifted first. */
static uint32_t masked(const void *p, size_t n)
{
	uint32_t c = ds_crc32c(0, p, n);
	return (c >> 15 | c << 17) + 0xa282ead8u;
}

static ds_status put_record(ds_sink *s, const ds_buf *event, ds_err *err)
{
	ds_buf b = { 0 };
	little(&b, event->len, 8);
	little(&b, b.oom ? 0 : masked(b.data, 8), 4);
	ds_buf_add(&b, event->data, event->len);
	little(&b, masked(event->data, event->len), 4);
	ds_status rc = b.oom || event->oom ? ds_fail_nomem(err, event->len) : ds_sink_write(s, b.data, b.len, err);
	ds_buf_done(&b);
	return rc;
}

static void now(ds_buf *b)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	put_double(b, 1, (double)t.tv_sec + 1e-9 * (double)t.tv_nsec);
}

ds_status ds_tfevents_begin(ds_sink *s, ds_err *err)
{
	static const char version[] = "brain.Event:2";
	ds_buf b = { 0 };
	now(&b);
	put_bytes(&b, 3, version, sizeof version - 1);
	ds_status rc = put_record(s, &b, err);
	ds_buf_done(&b);
	return rc == DS_OK ? ds_sink_flush(s, err) : rc;
}

ds_status ds_tfevents_put(ds_sink *s, int64_t step, const ds_buf *summary, ds_err *err)
{
	ds_buf b = { 0 };
	now(&b);
	field(&b, 2, VARINT);
	varint(&b, (uint64_t)step);
	put_bytes(&b, 5, summary->data ? summary->data : "", summary->len);
	ds_status rc = put_record(s, &b, err);
	ds_buf_done(&b);
	return rc;
}

/* ---- values -------------------------------------------------------------------------------------------------------------------------- */
void ds_tfevents_scalar(ds_buf *b, const char *tag, float v)
{
	ds_buf value = { 0 };
	uint32_t bits;
	memcpy(&bits, &v, sizeof bits);
	put_bytes(&value, 1, tag, strlen(tag));
	field(&value, 2, FIXED32);
	little(&value, bits, 4);
	put_message(b, 1, &value);
}

#define BUCKETS 64

/* BUCKETS equal buckets from the smallest to the largest value; a field holds their upper ends, another how many values each has. */
void ds_tfevents_histogram(ds_buf *b, const char *tag, const float *v, int64_t n)
{
	double min = INFINITY, max = -INFINITY, sum = 0, squares = 0, count[BUCKETS] = { 0 }, num = 0;
	ds_buf histo = { 0 }, limits = { 0 }, counts = { 0 }, value = { 0 };
	for (int64_t i = 0; i < n; i++) {
		double x = (double)v[i];
		if (!isfinite(x))
			continue;
		min = DS_MIN(min, x);
		max = DS_MAX(max, x);
		sum += x;
		squares += x * x;
		num++;
	}
	if (!(num > 0))
		min = max = 0;
	double width = (max - min) / BUCKETS;
	for (int64_t i = 0; i < n; i++) {
		if (isfinite(v[i]))
			count[width > 0 ? DS_MIN((int)(((double)v[i] - min) / width), BUCKETS - 1) : 0]++;
	}
	for (int i = 0; i < BUCKETS; i++) {
		double limit = i == BUCKETS - 1 ? max : min + width * (i + 1);
		uint64_t bits[2];
		memcpy(&bits[0], &limit, 8);
		memcpy(&bits[1], &count[i], 8);
		little(&limits, bits[0], 8);
		little(&counts, bits[1], 8);
	}
	put_double(&histo, 1, min);
	put_double(&histo, 2, max);
	put_double(&histo, 3, num);
	put_double(&histo, 4, sum);
	put_double(&histo, 5, squares);
	put_message(&histo, 6, &limits);
	put_message(&histo, 7, &counts);
	put_bytes(&value, 1, tag, strlen(tag));
	put_message(&value, 5, &histo);
	put_message(b, 1, &value);
}
