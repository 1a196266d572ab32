/* stock.c - one tensor of each of many items, compact in memory: pictures by a palette per channel, a byte per value
 *
 * Preprocessing makes of 256 grey levels 256 different numbers, in each channel its own.  Their numbers in a palette are exact and a quarter of the size; when a
 * channel turns out to have more, everything kept so far becomes f32 again. */
#include "stock.h"

#include <string.h>

#define CHUNK ((size_t)64 << 10)        /* bytes, about: small, so that a set for a small memory limit is not all rounding */

static size_t stored(const ds_stock *s)
{
	return s->coded ? s->count : s->bytes;
}

ds_status ds_stock_init(ds_stock *s, const ds_tensor *t, bool code, int64_t channels, int64_t run, ds_err *err)
{
	*s = (ds_stock){ .dtype = t->dtype, .rank = t->rank, .count = (size_t)ds_tensor_count(t), .bytes = ds_tensor_bytes(t), .channels = channels, .run = run };
	memcpy(s->dim, t->dim, sizeof s->dim);
	s->coded = code && t->dtype == DS_F32 && channels > 0 && channels <= 64 && run > 0;
	if (s->coded && !(s->palette = ds_calloc((size_t)channels, sizeof *s->palette)))
		return ds_fail_nomem(err, 0);
	s->per_chunk = DS_MAX(CHUNK / DS_MAX(s->bytes, (size_t)1), (size_t)1);
	return DS_OK;
}

void ds_stock_done(ds_stock *s)
{
	for (size_t i = 0; i < s->n_chunk; i++)
		ds_free(s->chunk[i]);
	ds_free(s->chunk);
	ds_free(s->palette);
	*s = (ds_stock){ 0 };
}

bool ds_stock_fits(const ds_stock *s, const ds_tensor *t)
{
	return t->dtype == s->dtype && t->rank == s->rank && !memcmp(t->dim, s->dim, (size_t)t->rank * sizeof *t->dim);
}

/* The code of a value, a new one if need be; -1: the palette is full. */
static inline int code_of(ds_palette *p, float v)
{
	uint32_t key, at;
	memcpy(&key, &v, sizeof key);
	for (at = key * 0x9E3779B1u >> 22; p->used[at]; at = (at + 1) & 1023) {
		if (p->key[at] == key)
			return p->code[at];
	}
	if (p->n == 256)
		return -1;
	p->used[at] = true;
	p->key[at] = key;
	p->value[p->n] = v;
	return p->code[at] = (uint8_t)p->n++;
}

static bool encode(ds_stock *s, uint8_t *dst, const float *v)
{
	for (size_t i = 0, c = 0; i < s->count; c = (c + 1) % (size_t)s->channels) {
		ds_palette *p = &s->palette[c];
		for (size_t end = DS_MIN(i + (size_t)s->run, s->count); i < end; i++) {
			int code = code_of(p, v[i]);
			if (code < 0)
				return false;
			dst[i] = (uint8_t)code;
		}
	}
	return true;
}

static void decode(const ds_stock *s, float *dst, const uint8_t *code)
{
	for (size_t i = 0, c = 0; i < s->count; c = (c + 1) % (size_t)s->channels) {
		const float *value = s->palette[c].value;
		for (size_t end = DS_MIN(i + (size_t)s->run, s->count); i < end; i++)
			dst[i] = value[code[i]];
	}
}

/* More than 256 values: every chunk as f32. */
static ds_status give_up_codes(ds_stock *s, ds_err *err)
{
	for (size_t k = 0; k < s->n_chunk; k++) {
		uint8_t *plain = ds_malloc(s->per_chunk * s->bytes);
		if (!plain) {
			for (size_t j = k; j < s->n_chunk; j++)         /* what is not converted is of no use any more */
				ds_free(s->chunk[j]);
			s->n_chunk = k;
			s->coded = false;
			return ds_fail_nomem(err, s->per_chunk * s->bytes);
		}
		for (size_t i = 0; i < s->per_chunk; i++)
			decode(s, (float *)(void *)(plain + i * s->bytes), s->chunk[k] + i * s->count);
		ds_free(s->chunk[k]);
		s->chunk[k] = plain;
	}
	s->coded = false;
	return DS_OK;
}

static ds_status make_room(ds_stock *s, size_t i, ds_err *err)
{
	while (s->n_chunk <= i / s->per_chunk) {
		if (!ds_grow((void **)&s->chunk, s->n_chunk, &s->cap_chunk, sizeof *s->chunk))
			return ds_fail_nomem(err, 0);
		if (!(s->chunk[s->n_chunk] = ds_calloc(s->per_chunk, DS_MAX(stored(s), (size_t)1))))
			return ds_fail_nomem(err, s->per_chunk * stored(s));
		s->n_chunk++;
	}
	return DS_OK;
}

static uint8_t *place(const ds_stock *s, size_t i)
{
	return s->chunk[i / s->per_chunk] + i % s->per_chunk * stored(s);
}

ds_status ds_stock_put(ds_stock *s, size_t i, const ds_tensor *t, ds_err *err)
{
	DS_TRY(make_room(s, i, err));
	if (s->coded && encode(s, place(s, i), t->data))
		return DS_OK;
	if (s->coded)
		DS_TRY(give_up_codes(s, err));
	if (s->bytes)
		memcpy(place(s, i), t->data, s->bytes);
	return DS_OK;
}

void ds_stock_get(const ds_stock *s, size_t i, void *dst)
{
	if (s->coded)
		decode(s, dst, place(s, i));
	else if (s->bytes)
		memcpy(dst, place(s, i), s->bytes);
}

uint64_t ds_stock_memory(const ds_stock *s)
{
	return (uint64_t)s->n_chunk * s->per_chunk * stored(s);
}
