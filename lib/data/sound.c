/* sound.c - sounds as items: WAV and FLAC mixed to one channel, whole or in windows
 *
 * Only what is understood reaches libsndfile.  A WAV file is walked here, and its format must be PCM of 8 to 32 bits or IEEE float; the library then sees a
 * header of our own before the samples, and no other chunk. */
#include "sound.h"

#include <string.h>

static uint32_t le32(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }
static uint32_t le16(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8; }

bool ds_is_sound(const uint8_t *p, size_t n)
{
	if (n >= 12 && (!memcmp(p, "RIFF", 4) || !memcmp(p, "RIFX", 4) || !memcmp(p, "RF64", 4)) && !memcmp(p + 8, "WAVE", 4))
		return true;
	return n >= 4 && (!memcmp(p, "fLaC", 4) || !memcmp(p, "OggS", 4) || (n >= 12 && !memcmp(p, "FORM", 4) && !memcmp(p + 8, "AIF", 3)));
}

/* ---- WAV ----------------------------------------------------------------------------------------------------------------------- */

#define PCM 1u
#define FLOAT 3u
#define EXTENSIBLE 0xFFFEu

ds_status ds_wav_format(ds_wav *w, const uint8_t *p, size_t n, int64_t at, ds_err *err)
{
	static const uint8_t tail[14] = { 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71 };
	if (n < 16)
		return ds_fail_at(err, DS_E_INPUT, at, "WAV: a format of %zu bytes", n);
	uint32_t tag = le16(p), bytes;
	w->channels = (int)le16(p + 2);
	w->rate = le32(p + 4);
	w->bits = (int)le16(p + 14);
	if (tag == EXTENSIBLE && n >= 40 && !memcmp(p + 26, tail, sizeof tail))
		tag = le16(p + 24);
	w->is_float = tag == FLOAT;
	if (tag != PCM && tag != FLOAT)
		return ds_fail_at(err, DS_E_UNSUPPORTED, at, "WAV: coding 0x%04x; PCM and IEEE float are read", (unsigned)tag);
	if (w->is_float ? w->bits != 32 && w->bits != 64 : w->bits != 8 && w->bits != 16 && w->bits != 24 && w->bits != 32)
		return ds_fail_at(err, DS_E_UNSUPPORTED, at, "WAV: samples of %d bits", w->bits);
	if (w->channels < 1 || w->channels > DS_SOUND_CHANNELS || w->rate < 1 || w->rate > DS_SOUND_RATE)
		return ds_fail_at(err, DS_E_INPUT, at, "WAV: %d channels, %lld frames a second", w->channels, (long long)w->rate);
	bytes = (uint32_t)w->channels * (uint32_t)w->bits / 8;
	if (le16(p + 12) != bytes)
		return ds_fail_at(err, DS_E_INPUT, at, "WAV: frames of %u bytes where the samples take %u", (unsigned)le16(p + 12), (unsigned)bytes);
	return DS_OK;
}

ds_status ds_wav_parse(ds_wav *w, const uint8_t *p, size_t n, ds_err *err)
{
	bool known = false;
	*w = (ds_wav){ 0 };
	if (n < 12 || memcmp(p, "RIFF", 4) || memcmp(p + 8, "WAVE", 4))
		return ds_fail(err, DS_E_UNSUPPORTED, "a sound that is neither WAV (RIFF) nor FLAC");
	for (size_t at = 12; n - at >= 8;) {
		uint32_t size = le32(p + at + 4);
		size_t left = n - at - 8;
		if (!memcmp(p + at, "data", 4)) {
			if (!known)
				return ds_fail_at(err, DS_E_INPUT, (int64_t)at, "WAV: samples before their format");
			/* a program that wrote into a pipe did not know the length */
			bool open = size == 0xFFFFFFFF || (size == 0 && le32(p + 4) - 1 >= 0xFFFFFFFE);
			if (!open && size > left)
				return ds_fail_at(err, DS_E_INPUT, (int64_t)n, "truncated WAV: %u bytes of samples, %zu are there", (unsigned)size, left);
			size_t frame = (size_t)w->channels * (size_t)w->bits / 8;
			w->data = p + at + 8;
			w->n = (open ? left : size) / frame * frame;
			return DS_OK;
		}
		if (size > left)
			return ds_fail_at(err, DS_E_INPUT, (int64_t)at, "truncated WAV: a chunk of %u bytes, %zu are there", (unsigned)size, left);
		if (!memcmp(p + at, "fmt ", 4)) {
			DS_TRY(ds_wav_format(w, p + at + 8, size, (int64_t)at, err));
			known = true;
		}
		if (size + (size & 1) >= left)
			break;
		at += 8 + (size_t)size + (size & 1);
	}
	return ds_fail(err, DS_E_INPUT, "truncated WAV: no samples");
}

ds_status ds_sound_decode(ds_tensor *t, int64_t *rate, const uint8_t *p, size_t n, uint64_t limit, ds_err *err)
{
	ds_wav w = { 0 };
	bool flac = n >= 4 && !memcmp(p, "fLaC", 4);
	*t = (ds_tensor){ 0 };
	if (!flac)
		DS_TRY(ds_wav_parse(&w, p, n, err));
#ifdef HAVE_SNDFILE
	if (ds_sound_library())
		return ds_sound_sndfile(t, rate, flac ? NULL : &w, p, n, limit, err);
#endif
	*rate = w.rate;
	if (flac)
		return ds_fail(err, DS_E_UNSUPPORTED, "a FLAC stream, and libsndfile is not there");
	int64_t frames = (int64_t)(w.n / ((size_t)w.channels * (size_t)w.bits / 8));
	if ((uint64_t)frames * sizeof(float) > limit)
		return ds_fail(err, DS_E_LIMIT, "a sound of more than %llu bytes", (unsigned long long)limit);
	DS_TRY(ds_tensor_new(t, DS_F32, 1, &frames, err));
	ds_wav_mix(&w, w.data, frames, t->data);
	return DS_OK;
}

/* ---- items --------------------------------------------------------------------------------------------------------------------- */

/* One item: the whole sound, or as much of it as the window takes, zeros behind it. */
static ds_status whole_sound(ds_loaded *l, ds_part *p, const ds_feed *f, int64_t frames, ds_err *err)
{
	l->n = p->n = 1;
	p->hop = 1;
	if (!f->window) {
		p->len = frames + f->context;
		if (frames < 1 || !ds_feed_dims(f, p->len, 1, p->dim))
			return ds_fail(err, DS_E_INPUT, "a sound of %lld frames", (long long)frames);
	}
	return DS_OK;
}

ds_status ds_load_sound(ds_loaded *l, const ds_loader *ld, const void *p, size_t n, const ds_range *r, ds_err *err)
{
	const ds_feed *f = &ld->in[ld->main].feed;
	ds_part *part = &l->part[ld->main];
	ds_tensor all, t;
	int64_t rate, from, to, hop = f->hop ? ld->hop ? ld->hop : f->hop : 0;
	DS_TRY(ds_sound_decode(&all, &rate, p, n, ld->limit, err));
	ds_status rc = DS_OK;
	if (f->rate && rate != f->rate)
		rc = ds_fail(err, DS_E_INPUT, "a sound of %lld frames a second where the model takes %lld", (long long)rate, (long long)f->rate);
	ds_range_apply(r, all.dim[0], &from, &to);
	int64_t dim[] = { to - from, 1 };
	if (rc == DS_OK)
		rc = ds_tensor_new(&t, DS_F32, 2, dim, err);
	if (rc == DS_OK && to > from)
		memcpy(t.data, (const float *)all.data + from, (size_t)(to - from) * sizeof(float));
	ds_tensor_done(&all);
	if (rc != DS_OK)
		return rc;
	ds_part_windows(part, &t, f, hop);
	if (!hop)
		return whole_sound(l, part, f, to - from, err);
	if (to == from)
		return ds_fail(err, DS_E_INPUT, "a sound without frames");
	l->hop = hop;
	l->row0 = from;
	l->streams = hop == f->window;
	/* the last window may end in zeros: no frame is left out, unless between windows */
	l->n = part->n = DS_MIN((DS_MAX(to - from - f->window, 0) + hop - 1) / hop + 1, (to - from + hop - 1) / hop);
	return DS_OK;
}
