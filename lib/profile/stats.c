/* stats.c - files of calibration statistics
 *
 * Tensors "SET/PART/VALUE" by rising names; SET is even or plain (before or after equalisation), PART one of
 *   counts     i64 [5]: values, zeros among them, channels (-1: not the same in all samples), values of a channel, number of the first bin
 *   histogram  u64 [bins]: from the first to the last that is not empty
 *   peak       f32 [channels]: largest magnitude
 *   range      f64 [3]: minimum, maximum, limit of the histogram's 4096 bins
 *   sum        u64 [channels, 6]: sum of each channel, in units of 2^-149, two's complement, lowest word first
 * histogram, peak and sum are left out where they are empty. */
#include "stats.h"
#include "../io/io.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNTS, HISTOGRAM, PEAK, RANGE, SUM, PARTS };
static const char *const part_names[] = { "counts", "histogram", "peak", "range", "sum" };
static const char *const set_names[] = { "plain", "even" };     /* by DS_QSET_* */
static const int set_order[] = { DS_QSET_EVEN, DS_QSET_PLAIN };

/* ---- which samples --------------------------------------------------------------------------------------------------------------- */
static void add_words(uint32_t to[8], const uint32_t from[8])
{
	uint64_t carry = 0;
	for (int i = 7; i >= 0; i--) {
		carry += (uint64_t)to[i] + from[i];
		to[i] = (uint32_t)carry;
		carry >>= 32;
	}
}

void ds_digest_add(ds_digest *d, const ds_tensor *in, int n_in)
{
	ds_sha256 s;
	char hex[65];
	ds_sha256_init(&s);
	for (int i = 0; i < n_in; i++) {
		ds_sha256_add(&s, in[i].data, ds_tensor_bytes(&in[i]));
		d->bytes += ds_tensor_bytes(&in[i]);
	}
	ds_sha256_hex(&s, hex);                 /* ends the sum, which is in s.h then */
	add_words(d->word, s.h);
}

void ds_digest_merge(ds_digest *to, const ds_digest *from)
{
	add_words(to->word, from->word);
	to->bytes += from->bytes;
}

void ds_digest_hex(const ds_digest *d, char out[65])
{
	for (int i = 0; i < 8; i++)
		snprintf(out + 8 * i, 9, "%08" PRIx32, d->word[i]);
}

static bool digest_from(ds_digest *d, const char *hex)
{
	if (!hex || strlen(hex) != 64 || strspn(hex, "0123456789abcdef") != 64)
		return false;
	for (int i = 0; i < 8; i++) {
		char word[9] = "";
		memcpy(word, hex + 8 * i, 8);
		d->word[i] = (uint32_t)strtoul(word, NULL, 16);
	}
	return true;
}

void ds_statistics_done(ds_statistics *s)
{
	ds_qstats_done(&s->q);
	*s = (ds_statistics){ 0 };
}

ds_status ds_statistics_merge(ds_statistics *to, const ds_statistics *from, ds_err *err)
{
	if (to->crc != from->crc || to->len != from->len)
		return ds_fail(err, DS_E_INPUT, "statistics of another model (%08" PRIx32 ":%" PRIu64 ", the first ones are of %08" PRIx32 ":%" PRIu64 ")", from->crc, from->len,
			to->crc, to->len);
	DS_TRY(ds_qstats_merge(&to->q, &from->q, err));
	ds_digest_merge(&to->of, &from->of);
	return DS_OK;
}

/* ---- writing --------------------------------------------------------------------------------------------------------------------- */
static ds_status put_meta(const ds_statistics *s, ds_dsm_writer *w, ds_err *err)
{
	ds_meta m = { 0 };
	char model[32], hex[65], print[20];
	int64_t bytes = (int64_t)s->of.bytes;
	snprintf(model, sizeof model, "%08" PRIx32 ":%" PRIu64, s->crc, s->len);
	snprintf(print, sizeof print, "%016" PRIx64, s->q.even_print);
	ds_digest_hex(&s->of, hex);
	ds_status rc = ds_meta_set_str(&m, "kind", "statistics");
	if (rc == DS_OK)
		rc = ds_meta_set_str(&m, "statistics.model", model);
	if (rc == DS_OK)
		rc = ds_meta_set_i64(&m, "statistics.samples", 1, &s->q.samples);
	if (rc == DS_OK)
		rc = ds_meta_set_i64(&m, "statistics.bytes", 1, &bytes);
	if (rc == DS_OK)
		rc = ds_meta_set_str(&m, "statistics.digest", hex);
	if (rc == DS_OK && s->q.set[DS_QSET_EVEN].n)
		rc = ds_meta_set_str(&m, "statistics.even", print);
	rc = rc == DS_OK ? ds_dsm_put_meta(w, &m, err) : ds_fail_nomem(err, 0);
	ds_meta_done(&m);
	return rc;
}

static void bins_used(const ds_observer *o, int *first, int *n)
{
	int a = 0, b = DS_Q_BINS;
	while (a < DS_Q_BINS && !o->bin[a])
		a++;
	while (b > a && !o->bin[b - 1])
		b--;
	*first = a < DS_Q_BINS ? a : 0;
	*n = b - a;
}

static ds_status put_part(ds_dsm_writer *w, int set, int part, const ds_qseen *v, ds_err *err)
{
	const ds_observer *o = &v->seen;
	int first, used;
	char name[300];
	ds_tensor t;
	bins_used(o, &first, &used);
	int64_t counts[5] = { (int64_t)o->count, (int64_t)o->zeros, o->channels, o->per_channel, first }, channels = o->sum ? o->channels : 0;
	double range[3] = { (double)o->min, (double)o->max, o->limit };
	switch (part) {
	case COUNTS: ds_tensor_borrow(&t, DS_I64, 1, (int64_t[]){ 5 }, counts); break;
	case HISTOGRAM: ds_tensor_borrow(&t, DS_U64, 1, (int64_t[]){ used }, (void *)(uintptr_t)(o->bin + first)); break;
	case PEAK: ds_tensor_borrow(&t, DS_F32, 1, &channels, o->peak); break;
	case RANGE: ds_tensor_borrow(&t, DS_F64, 1, (int64_t[]){ 3 }, range); break;
	default: ds_tensor_borrow(&t, DS_U64, 2, (int64_t[]){ channels, 6 }, o->sum); break;
	}
	if (!ds_tensor_count(&t))
		return DS_OK;
	if (snprintf(name, sizeof name, "%s/%s/%s", set_names[set], part_names[part], v->name) > 255)
		return ds_fail(err, DS_E_UNSUPPORTED, "the name of value \"%.60s...\" is too long for a file of statistics", v->name);
	return ds_dsm_put_tensor(w, &t, name, DS_NO_SYMBOL, NULL, 0, err);
}

ds_status ds_statistics_write(const ds_statistics *s, ds_sink *sink, const ds_dsm_wopts *o, ds_err *err)
{
	ds_dsm_writer *w;
	ds_status rc;
	DS_TRY(ds_dsm_create(&w, sink, o, err));
	DS_GOTO(put_meta(s, w, err));
	for (int k = 0; k < 2; k++)
		for (int part = 0; part < PARTS; part++)
			for (int i = 0; i < s->q.set[set_order[k]].n; i++)
				DS_GOTO(put_part(w, set_order[k], part, &s->q.set[set_order[k]].value[i], err));
	rc = ds_dsm_finish(w, err);
out:
	ds_dsm_writer_free(w);
	return rc;
}

/* ---- reading --------------------------------------------------------------------------------------------------------------------- */
typedef struct loader {
	ds_statistics *s;
	uint64_t       limit, taken;    /* bytes, limit 0: none */
	char           last[300];       /* name of the tensor before */
} loader;

static bool one(const ds_meta *m, const char *key, int64_t *v)
{
	const ds_kv *k = ds_meta_find(m, key);
	if (!k || k->type != DS_KV_I64 || k->n != 1 || k->u.i[0] < 0)
		return false;
	*v = k->u.i[0];
	return true;
}

static ds_status read_meta(ds_statistics *s, ds_dsm_reader *r, ds_err *err)
{
	ds_meta m = { 0 };
	int64_t bytes;
	DS_TRY(ds_dsm_meta(r, &m, err));
	const char *kind = ds_meta_str(&m, "kind"), *model = ds_meta_str(&m, "statistics.model"), *even = ds_meta_str(&m, "statistics.even");
	ds_status rc = DS_OK;
	if (!kind || strcmp(kind, "statistics") != 0)
		rc = ds_fail(err, DS_E_INPUT, "a DSM stream of kind '%s' where statistics were expected (ds-profile --stats writes them)", kind ? kind : "?");
	else if (!model || sscanf(model, "%8" SCNx32 ":%" SCNu64, &s->crc, &s->len) != 2)
		rc = ds_fail(err, DS_E_INPUT, "statistics.model is missing or no identity of a model");
	else if (!one(&m, "statistics.samples", &s->q.samples) || !s->q.samples || !one(&m, "statistics.bytes", &bytes) ||
		!digest_from(&s->of, ds_meta_str(&m, "statistics.digest")))
		rc = ds_fail(err, DS_E_INPUT, "statistics.samples, .bytes or .digest is missing or not valid");
	else if (even && sscanf(even, "%16" SCNx64, &s->q.even_print) != 1)
		rc = ds_fail(err, DS_E_INPUT, "statistics.even is not valid");
	else
		s->of.bytes = (uint64_t)bytes;
	ds_meta_done(&m);
	return rc;
}

/* "SET/PART/VALUE" -> their numbers and the value's name; NULL: none of ours. */
static const char *take_apart(const char *name, int *set, int *part)
{
	for (*set = 0; *set < 2; ++*set)
		for (*part = 0; *part < PARTS; ++*part) {
			size_t a = strlen(set_names[*set]), b = strlen(part_names[*part]);
			if (strncmp(name, set_names[*set], a) == 0 && name[a] == '/' && strncmp(name + a + 1, part_names[*part], b) == 0 && name[a + 1 + b] == '/')
				return name + a + b + 2;
		}
	return NULL;
}

static ds_status payload(ds_dsm_reader *r, void *p, size_t n, ds_err *err)
{
	size_t at = 0, got = 1;
	while (got && at < n) {
		DS_TRY(ds_dsm_payload(r, (char *)p + at, n - at, &got, err));
		at += got;
	}
	return at == n ? DS_OK : ds_fail(err, DS_E_INPUT, "a tensor is shorter than its dims say");
}

/* Type and dims of a part; of a histogram `n` is the number of bins. */
static bool fits(const ds_tnsr *t, int part, const ds_observer *o)
{
	static const ds_dtype type[] = { DS_I64, DS_U64, DS_F32, DS_F64, DS_U64 };
	if (t->form.scheme != DS_Q_PLAIN || t->sparsity || t->form.code != type[part] || t->rank != (part == SUM ? 2 : 1))
		return false;
	switch (part) {
	case COUNTS: return t->dim[0] == 5;
	case HISTOGRAM: return t->dim[0] >= 1 && t->dim[0] <= DS_Q_BINS;
	case PEAK: return t->dim[0] >= 1 && t->dim[0] == o->channels;
	case RANGE: return t->dim[0] == 3;
	default: return t->dim[0] >= 1 && t->dim[0] == o->channels && t->dim[1] == 6;
	}
}

static ds_status take_counts(loader *a, ds_dsm_reader *r, int set, const char *name, ds_err *err)
{
	int64_t v[5];
	a->taken += sizeof(ds_qseen);
	if (a->limit && a->taken > a->limit)
		return ds_fail(err, DS_E_LIMIT, "the statistics take more memory than --memory-limit allows");
	DS_TRY(payload(r, v, sizeof v, err));
	if (v[0] < 0 || v[1] < 0 || v[1] > v[0] || v[2] < -1 || v[3] < 0 || v[4] < 0 || v[4] >= DS_Q_BINS)
		return ds_fail(err, DS_E_INPUT, "counts of \"%.100s\" cannot be", name);
	ds_observer *o = ds_qstats_add(&a->s->q, set, name);
	if (!o)
		return ds_fail_nomem(err, sizeof(ds_qseen));
	o->count = (uint64_t)v[0];
	o->zeros = (uint64_t)v[1];
	o->channels = v[2];
	o->per_channel = v[3];
	o->bin[0] = (uint64_t)v[4];             /* until the histogram comes */
	return DS_OK;
}

/* The first bin's number was left in bin[0]. */
static ds_status take_histogram(ds_dsm_reader *r, ds_observer *o, int64_t n, ds_err *err)
{
	uint64_t first = o->bin[0], all = o->zeros;
	o->bin[0] = 0;
	if (first + (uint64_t)n > DS_Q_BINS)
		return ds_fail(err, DS_E_INPUT, "%" PRId64 " bins from bin %" PRIu64 " on", n, first);
	DS_TRY(payload(r, o->bin + first, (size_t)n * sizeof(o->bin[0]), err));
	for (int i = 0; i < DS_Q_BINS; i++) {
		if (o->bin[i] > o->count - all)
			return ds_fail(err, DS_E_INPUT, "more values in the histogram than there are");
		all += o->bin[i];
	}
	return DS_OK;
}

static bool range_ok(const ds_observer *o, const double v[3])
{
	int e;
	if (!isfinite(v[0]) || !isfinite(v[1]) || !isfinite(v[2]) || v[0] > v[1] || v[2] < 0 || fabs(v[0]) > 3.4028234663852886e38 || fabs(v[1]) > 3.4028234663852886e38)
		return false;
	if (v[2] == 0)
		return v[0] == 0 && v[1] == 0 && o->zeros == o->count;
	return frexp(v[2], &e) == 0.5 && e > -160 && e < 160 && fmax(fabs(v[0]), fabs(v[1])) < v[2];
}

static ds_status take_part(loader *a, ds_dsm_reader *r, const ds_tnsr *t, int part, ds_observer *o, ds_err *err)
{
	double range[3];
	size_t n = (size_t)t->dim[0];
	a->taken += part == SUM ? n * sizeof(*o->sum) : part == PEAK ? n * sizeof(*o->peak) : 0;
	if (a->limit && a->taken > a->limit)
		return ds_fail(err, DS_E_LIMIT, "the statistics take more memory than --memory-limit allows");
	if (part == HISTOGRAM)
		return take_histogram(r, o, t->dim[0], err);
	if (part == RANGE) {
		DS_TRY(payload(r, range, sizeof range, err));
		if (!range_ok(o, range))
			return ds_fail(err, DS_E_INPUT, "a range that cannot be");
		o->min = (float)range[0];
		o->max = (float)range[1];
		o->limit = range[2];
		return DS_OK;
	}
	if (part == SUM) {
		o->sum = ds_calloc(n, sizeof(*o->sum));
		return o->sum ? payload(r, o->sum, n * sizeof(*o->sum), err) : ds_fail_nomem(err, n * sizeof(*o->sum));
	}
	o->peak = ds_calloc(n, sizeof(*o->peak));
	if (!o->peak)
		return ds_fail_nomem(err, n * sizeof(*o->peak));
	DS_TRY(payload(r, o->peak, n * sizeof(*o->peak), err));
	for (size_t i = 0; i < n; i++)
		if (!isfinite(o->peak[i]) || o->peak[i] < 0)
			return ds_fail(err, DS_E_INPUT, "a peak that cannot be");
	return DS_OK;
}

static ds_status take_tensor(loader *a, ds_dsm_reader *r, const ds_tnsr *t, ds_err *err)
{
	int set, part;
	const char *name = t->name ? t->name : "", *value = take_apart(name, &set, &part);
	if (!value || strcmp(name, a->last) <= 0)
		return ds_fail(err, DS_E_INPUT, "a tensor \"%.100s\" that statistics do not have, or not here", name);
	snprintf(a->last, sizeof a->last, "%s", name);
	ds_observer *o = part == COUNTS ? NULL : ds_qstats_find(&a->s->q.set[set], value);
	if (part != COUNTS && !o)
		return ds_fail(err, DS_E_INPUT, "\"%.100s\" without counts", name);
	if (!fits(t, part, o))
		return ds_fail(err, DS_E_INPUT, "the type or dims of \"%.100s\" are not those of statistics", name);
	ds_status rc = part == COUNTS ? take_counts(a, r, set, value, err) : take_part(a, r, t, part, o, err);
	if (rc != DS_OK)
		ds_err_prefix(err, "\"%.100s\"", name);
	return rc;
}

/* Is every value whole? */
static ds_status check_all(const ds_statistics *s, ds_err *err)
{
	if (!s->q.set[DS_QSET_PLAIN].n)
		return ds_fail(err, DS_E_INPUT, "statistics of nothing");
	for (int k = 0; k < 2; k++)
		for (int i = 0; i < s->q.set[k].n; i++) {
			const ds_qseen *v = &s->q.set[k].value[i];
			uint64_t all = v->seen.zeros;
			for (int b = 0; b < DS_Q_BINS; b++)
				all += v->seen.bin[b];
			if (all != v->seen.count || (v->seen.limit == 0) != (v->seen.zeros == v->seen.count) || (v->seen.channels > 0) != (v->seen.sum != NULL) ||
			    (v->seen.channels > 0) != (v->seen.peak != NULL))
				return ds_fail(err, DS_E_INPUT, "the statistics of value \"%.100s\" are not whole", v->name);
		}
	return DS_OK;
}

ds_status ds_statistics_read(ds_statistics *s, ds_source *src, const ds_dsm_opts *o, ds_err *err)
{
	ds_dsm_reader *r;
	ds_rec rec;
	loader a = { .s = s, .limit = o->memory_limit };
	ds_status rc;
	*s = (ds_statistics){ 0 };
	DS_TRY(ds_dsm_open(&r, src, o, err));
	while ((rc = ds_dsm_next(r, &rec, err)) == DS_OK) {
		if (rec.type == DS_REC_META)
			DS_GOTO(read_meta(s, r, err));
		else if (rec.type == DS_REC_TENSOR)
			DS_GOTO(take_tensor(&a, r, &rec.tensor, err));
	}
	if (rc == DS_END)
		rc = check_all(s, err);
out:
	ds_dsm_close(r);
	if (rc != DS_OK)
		ds_statistics_done(s);
	return rc;
}

bool ds_statistics_at(const char *path)
{
	ds_source *src;
	ds_dsm_reader *r;
	ds_rec rec;
	ds_meta m = { 0 };
	if (strcmp(path, "-") == 0 || ds_source_open(&src, path, NULL, NULL) != DS_OK)
		return false;
	if (ds_source_size(src) < 0) {          /* of a pipe nothing may be taken */
		ds_source_close(src);
		return false;
	}
	if (ds_dsm_open(&r, src, &(ds_dsm_opts){ 0 }, NULL) != DS_OK)
		return false;
	bool is = ds_dsm_next(r, &rec, NULL) == DS_OK && rec.type == DS_REC_META && ds_dsm_meta(r, &m, NULL) == DS_OK;
	const char *kind = is ? ds_meta_str(&m, "kind") : NULL;
	is = kind && strcmp(kind, "statistics") == 0;
	ds_meta_done(&m);
	ds_dsm_close(r);
	return is;
}
