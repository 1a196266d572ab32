/* part.c - arrays as samples of a model's input: where one sample ends and the next begins, of what type and shape each is */
#include "local.h"

#include <string.h>

void ds_part_done(ds_part *p)
{
	ds_tensor_done(&p->t);
	*p = (ds_part){ 0 };
}

static bool fits(const int64_t *have, const int64_t *want, int rank)
{
	for (int i = 0; i < rank; i++) {
		if (want[i] >= 0 && have[i] != want[i])
			return false;
	}
	return true;
}

/* u8 arrays for an input with preprocessing are pictures: [h, w], [h, w, c], [n, h, w], [n, h, w, c] or [n, c, h, w], c being 1 or 3. */
static bool as_pictures(ds_part *p, const ds_tensor *t)
{
	const int64_t *d = t->dim;
	bool last = t->rank >= 3 && (d[t->rank - 1] == 1 || d[t->rank - 1] == 3);
	bool planes = t->rank == 4 && !last && (d[1] == 1 || d[1] == 3);
	if (t->rank < 2 || t->rank > 4 || (t->rank == 4 && !last && !planes))
		return false;
	bool many = t->rank == 4 || (t->rank == 3 && !last);
	int at = many + planes;
	if (d[at] < 1 || d[at] > DS_MAX_SIDE || d[at + 1] < 1 || d[at + 1] > DS_MAX_SIDE)
		return false;
	*p = (ds_part){ .n = many ? d[0] : 1, .picture = true, .planes = planes, .h = (int)d[at], .w = (int)d[at + 1] };
	p->channels = planes ? (int)d[1] : last ? (int)d[t->rank - 1] : 1;
	return true;
}

static void set_dims(ds_part *p, int64_t n, int rank, const int64_t *dim)
{
	p->n = n;
	p->rank = rank;
	for (int i = 0; i < rank; i++)
		p->dim[i] = dim[i];
}

/* Arrays of a rank that says what they are: with `batch` the input's dim 0 counts samples. */
static bool by_rank(ds_part *p, const ds_tensor *t, const ds_shape_of *k, bool batch)
{
	int64_t d[DS_MAX_RANK] = { 1 };
	int r = k->rank;
	if (batch && t->rank == r && fits(t->dim + 1, k->dim + 1, r - 1)) {
		memcpy(d + 1, t->dim + 1, (size_t)(r - 1) * sizeof *d);
		set_dims(p, t->dim[0], r, d);
		return true;
	}
	if (batch && t->rank == r - 1 && fits(t->dim, k->dim + 1, r - 1)) {
		memcpy(d + 1, t->dim, (size_t)(r - 1) * sizeof *d);
		set_dims(p, 1, r, d);
		return true;
	}
	if (!batch && t->rank == r && fits(t->dim, k->dim, r)) {
		set_dims(p, 1, r, t->dim);
		return true;
	}
	if (t->rank == r + 1 && (!batch || t->dim[1] == 1) && fits(t->dim + 1, k->dim, r)) {
		set_dims(p, t->dim[0], r, t->dim + 1);
		return true;
	}
	return false;
}

/* Arrays whose number of elements says what they are ([n, 28, 28] for an input [N, 1, 28, 28]); only where the input's sizes are known. */
static bool by_count(ds_part *p, const ds_tensor *t, const ds_shape_of *k, bool batch)
{
	int64_t d[DS_MAX_RANK], one = 1, all = ds_tensor_count(t);
	for (int i = 0; i < k->rank; i++) {
		d[i] = i == 0 && batch ? 1 : k->dim[i];
		if (d[i] < 1 || ds_mul_over(one, d[i], &one))
			return false;
	}
	if (all == one)
		set_dims(p, 1, k->rank, d);
	else if (t->rank && t->dim[0] > 0 && all % t->dim[0] == 0 && all / t->dim[0] == one)
		set_dims(p, t->dim[0], k->rank, d);
	else
		return false;
	return true;
}

static ds_status wrong_shape(const ds_tensor *t, const ds_shape_of *k, ds_err *err)
{
	ds_buf have = { 0 }, want = { 0 };
	for (int i = 0; i < t->rank; i++)
		ds_buf_printf(&have, "%s%lld", i ? ", " : "", (long long)t->dim[i]);
	for (int i = 0; i < k->rank; i++)
		ds_buf_printf(&want, k->dim[i] < 0 ? "%s?" : "%s%lld", i ? ", " : "", (long long)k->dim[i]);
	ds_status rc = ds_fail(err, DS_E_INPUT, "an array [%s] where the model's input '%s' wants [%s]", have.data ? have.data : "", k->name,
		want.data ? want.data : "");
	ds_buf_done(&have);
	ds_buf_done(&want);
	return rc;
}

ds_status ds_part_make(ds_part *p, ds_tensor *t, const ds_shape_of *k, ds_err *err)
{
	*p = (ds_part){ 0 };
	const ds_dtype_row *from = ds_dtype_of(t->dtype), *to = ds_dtype_of(k->dtype);
	if (!(k->has_prep && t->dtype == DS_U8 && as_pictures(p, t))) {
		bool batch = k->rank >= 2 && (k->dim[0] < 0 || k->dim[0] == 1) && !k->whole;
		if (from && to && from->is_float && !to->is_float)
			return ds_fail(err, DS_E_INPUT, "an array of %s where the model's input '%s' wants %s", from->name, k->name, to->name);
		if (k->rank < 0)
			set_dims(p, 1, t->rank, t->dim);
		else if (!by_rank(p, t, k, batch) && !by_count(p, t, k, batch))
			return wrong_shape(t, k, err);
	}
	p->t = *t;
	*t = (ds_tensor){ 0 };
	return DS_OK;
}

/* A picture as the input's tensor: preprocessed f32, then the type that the model wants. */
ds_status ds_picture_tensor(ds_tensor *out, const ds_image *im, const ds_shape_of *k, ds_err *err)
{
	int h, w, channels = k->prep.color == DS_COLOR_GRAY ? 1 : 3;
	ds_tensor f = { 0 };
	*out = (ds_tensor){ 0 };
	DS_TRY(ds_prep_size(&k->prep, im, &h, &w, err));
	bool last = k->prep.layout == DS_NHWC;
	int64_t dim[4] = { 1, last ? h : channels, last ? w : h, last ? channels : w };
	bool batch = k->rank != 3;
	if (!fits(dim + !batch, k->dim, k->rank))
		return ds_fail(err, DS_E_INPUT, "preprocessing makes [%lld, %lld, %lld] of it, which does not fit the model's input '%s'", (long long)dim[1],
			(long long)dim[2], (long long)dim[3], k->name);
	DS_TRY(ds_tensor_new(&f, DS_F32, 3 + batch, dim + !batch, err));
	ds_status rc = ds_prep_image(&k->prep, im, f.data, err);
	if (rc == DS_OK && k->dtype != DS_F32) {
		rc = ds_tensor_new(out, k->dtype, f.rank, f.dim, err);
		if (rc == DS_OK) {
			const ds_dtype_row *row = ds_dtype_of(k->dtype);
			row->from_f32(out->data, f.data, (size_t)ds_tensor_count(&f));
		}
		ds_tensor_done(&f);
		return rc;
	}
	if (rc != DS_OK)
		ds_tensor_done(&f);
	else
		*out = f;
	return rc;
}

static ds_status picture_sample(ds_tensor *out, const ds_part *p, int64_t i, const ds_shape_of *k, ds_err *err)
{
	size_t area = (size_t)p->h * p->w, bytes = area * p->channels;
	const uint8_t *src = (const uint8_t *)p->t.data + bytes * (size_t)i;
	ds_image im = { p->w, p->h, p->channels, (uint8_t *)(uintptr_t)src };
	uint8_t *mixed = NULL;
	if (p->planes && p->channels > 1) {
		mixed = ds_malloc(bytes);
		if (!mixed)
			return ds_fail_nomem(err, bytes);
		for (size_t at = 0; at < area; at++) {
			for (int c = 0; c < p->channels; c++)
				mixed[at * p->channels + c] = src[area * c + at];
		}
		im.px = mixed;
	}
	ds_status rc = ds_picture_tensor(out, &im, k, err);
	ds_free(mixed);
	return rc;
}

/* Rows [i * hop + first, + len), zeros beyond the ends. */
static ds_status window_sample(ds_tensor *out, const ds_part *p, int64_t i, const ds_shape_of *k, ds_err *err)
{
	int64_t rows = p->t.dim[0], cols = p->t.dim[1], start = i * p->hop + p->first;
	int64_t from = DS_MIN(DS_MAX(start, 0), rows), to = DS_MAX(DS_MIN(start + p->len, rows), from);
	size_t size = ds_dtype_size(p->t.dtype), n = (size_t)((to - from) * cols);
	ds_dtype dtype = k->dtype != DS_NONE ? k->dtype : p->t.dtype;
	ds_tensor plain = { 0 };
	DS_TRY(ds_tensor_new(out, dtype, p->rank, p->dim, err));
	const char *src = (const char *)p->t.data + (size_t)(from * cols) * size;
	char *dst = (char *)out->data + (size_t)((from - start) * cols) * ds_dtype_size(dtype);
	ds_status rc = DS_OK;
	if (n && !p->swap)
		rc = ds_convert(dst, dtype, src, p->t.dtype, n, err);
	if (n && p->swap) {
		rc = ds_tensor_new(&plain, dtype, p->rank, p->dim, err);
		if (rc == DS_OK)
			rc = ds_convert(plain.data, dtype, src, p->t.dtype, n, err);
		size_t one = ds_dtype_size(dtype);
		for (int64_t r = 0; rc == DS_OK && r < to - from; r++) {
			for (int64_t c = 0; c < cols; c++)
				memcpy((char *)out->data + (size_t)(c * p->len + r + from - start) * one, (const char *)plain.data + (size_t)(r * cols + c) * one, one);
		}
		ds_tensor_done(&plain);
	}
	if (rc != DS_OK)
		ds_tensor_done(out);
	return rc;
}

ds_status ds_part_sample(ds_tensor *out, const ds_part *p, int64_t i, const ds_shape_of *k, ds_err *err)
{
	*out = (ds_tensor){ 0 };
	if (p->picture)
		return picture_sample(out, p, i, k, err);
	if (p->windows)
		return window_sample(out, p, i, k, err);
	ds_dtype dtype = k->dtype != DS_NONE ? k->dtype : p->t.dtype;
	DS_TRY(ds_tensor_new(out, dtype, p->rank, p->dim, err));
	size_t n = (size_t)ds_tensor_count(out), size = ds_dtype_size(p->t.dtype);
	const char *src = (const char *)p->t.data + n * size * (size_t)i;
	ds_status rc = DS_OK;
	if (dtype == p->t.dtype)
		memcpy(out->data, src, n * size);
	else
		rc = ds_convert(out->data, dtype, src, p->t.dtype, n, err);
	if (rc != DS_OK)
		ds_tensor_done(out);
	return rc;
}
