/* live.c - a sound that is still being made: WAV from a pipe, window by window as the frames come
 *
 * The same numbers as from a file: integers are divided by the largest one, channels are averaged in f64. */
#include "sound.h"

#include <string.h>

struct ds_live {
	ds_source *src;
	ds_wav     w;
	uint64_t   left;                /* bytes of samples to come; UINT64_MAX: nobody knows */
	size_t     frame;               /* bytes */
	int64_t    hop, window, context;
	float     *buf;                 /* context, then window */
	uint8_t   *raw;                 /* `room` frames */
	int64_t    room;
	bool       begun, ended;
};

/* ---- numbers ------------------------------------------------------------------------------------------------------------------- */

static double pcm(const uint8_t *p, int bits)
{
	uint32_t v = 0;
	if (bits == 8)
		return ((double)*p - 128) / 128;
	for (int i = 0; i < bits; i += 8)
		v |= (uint32_t)*p++ << (32 - bits + i);
	return (double)(float)(int32_t)v / 2147483648.0;
}

static double real(const uint8_t *p, int bits)
{
	uint64_t v = 0;
	float f;
	double d;
	for (int i = 0; i < bits; i += 8)
		v |= (uint64_t)*p++ << i;
	if (bits == 64) {
		memcpy(&d, &v, sizeof d);
		return (double)(float)d;
	}
	uint32_t u = (uint32_t)v;
	memcpy(&f, &u, sizeof f);
	return (double)f;
}

void ds_wav_mix(const ds_wav *w, const uint8_t *p, int64_t frames, float *out)
{
	for (int64_t i = 0; i < frames; i++) {
		double sum = 0;
		for (int c = 0; c < w->channels; c++, p += w->bits / 8)
			sum += w->is_float ? real(p, w->bits) : pcm(p, w->bits);
		out[i] = (float)(sum / w->channels);
	}
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------- */

static ds_status cut_short(ds_status rc, ds_err *err)
{
	return rc == DS_END ? ds_fail(err, DS_E_INPUT, "truncated WAV: no samples") : rc;
}

/* From behind "RIFF....WAVE" to the samples. */
static ds_status read_head(ds_live *l, bool open, ds_err *err)
{
	uint8_t head[8], format[64];
	bool known = false;
	for (;;) {
		DS_TRY(cut_short(ds_source_read(l->src, head, sizeof head, err), err));
		uint32_t size = head[4] | (uint32_t)head[5] << 8 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 24;
		int64_t at = ds_source_offset(l->src);
		if (!memcmp(head, "data", 4)) {
			if (!known)
				return ds_fail_at(err, DS_E_INPUT, at, "WAV: samples before their format");
			l->left = size == 0xFFFFFFFF || (size == 0 && open) ? UINT64_MAX : size;
			return DS_OK;
		}
		size_t n = 0;
		if (!memcmp(head, "fmt ", 4)) {
			n = DS_MIN(size, sizeof format);
			DS_TRY(cut_short(ds_source_read(l->src, format, n, err), err));
			DS_TRY(ds_wav_format(&l->w, format, n, at, err));
			known = true;
		}
		DS_TRY(cut_short(ds_source_skip(l->src, (uint64_t)size + (size & 1) - n, err), err));
	}
}

bool ds_live_probe(ds_source *src)
{
	const void *p;
	size_t n;
	return ds_source_peek(src, 12, &p, &n, NULL) == DS_OK && n == 12 && !memcmp(p, "RIFF", 4) && !memcmp((const uint8_t *)p + 8, "WAVE", 4);
}

ds_status ds_live_open(ds_live **out, ds_source *src, const ds_feed *f, int64_t hop, ds_err *err)
{
	uint8_t riff[12];
	ds_status rc;
	ds_live *l = ds_calloc(1, sizeof *l);
	*out = NULL;
	if (!l) {
		ds_source_close(src);
		return ds_fail_nomem(err, sizeof *l);
	}
	l->src = src;
	l->hop = hop;
	l->window = f->window;
	l->context = f->context;
	DS_GOTO(cut_short(ds_source_read(src, riff, sizeof riff, err), err));
	uint32_t size = riff[4] | (uint32_t)riff[5] << 8 | (uint32_t)riff[6] << 16 | (uint32_t)riff[7] << 24;
	DS_GOTO(read_head(l, size - 1 >= 0xFFFFFFFE, err));
	if (f->rate && f->rate != l->w.rate)
		DS_GOTO(ds_fail(err, DS_E_INPUT, "a sound of %lld frames a second where the model takes %lld", (long long)l->w.rate, (long long)f->rate));
	l->frame = (size_t)l->w.channels * (size_t)l->w.bits / 8;
	l->buf = ds_calloc((size_t)(l->context + l->window), sizeof *l->buf);
	l->room = DS_MIN(DS_MAX(l->window, hop), 4096);
	l->raw = ds_calloc((size_t)l->room, l->frame);
	if (!l->buf || !l->raw)
		DS_GOTO(ds_fail_nomem(err, (size_t)l->window * l->frame));
	*out = l;
	l = NULL;
out:
	ds_live_free(l);
	return rc;
}

void ds_live_free(ds_live *l)
{
	if (!l)
		return;
	ds_source_close(l->src);
	ds_free(l->buf);
	ds_free(l->raw);
	ds_free(l);
}

/* Up to n frames into raw; fewer at the end. */
static ds_status read_frames(ds_live *l, int64_t n, int64_t *got, ds_err *err)
{
	size_t want = (size_t)DS_MIN((uint64_t)n * l->frame, l->left), have = 0, k;
	while (have < want) {
		ds_status rc = ds_source_some(l->src, l->raw + have, want - have, &k, err);
		if (rc != DS_OK && rc != DS_END)
			return rc;
		if (rc == DS_END || !k)
			break;
		have += k;
	}
	if (have < want && l->left != UINT64_MAX)
		return ds_fail_at(err, DS_E_INPUT, ds_source_offset(l->src), "truncated WAV: %llu bytes of samples are missing", (unsigned long long)(l->left - have));
	l->left -= l->left == UINT64_MAX ? 0 : have;
	*got = (int64_t)(have / l->frame);
	l->ended = *got < n;
	return DS_OK;
}

/* Leave out the frames between windows that are further from each other than they are long. */
static ds_status pass_over(ds_live *l, int64_t n, ds_err *err)
{
	while (n > 0 && !l->ended) {
		int64_t got, some = DS_MIN(n, l->room);
		DS_TRY(read_frames(l, some, &got, err));
		n -= got;
	}
	return DS_OK;
}

ds_status ds_live_next(ds_live *l, float *window, ds_err *err)
{
	int64_t len = l->context + l->window, keep = l->begun ? DS_MAX(len - l->hop, 0) : l->context, fresh, got, new = 0;
	if (l->begun && l->hop > len)
		DS_TRY(pass_over(l, l->hop - len, err));
	if (l->ended)
		return DS_END;
	if (l->begun)
		memmove(l->buf, l->buf + (len - keep), (size_t)keep * sizeof *l->buf);
	fresh = len - keep;
	memset(l->buf + keep, 0, (size_t)fresh * sizeof *l->buf);
	for (; new < fresh && !l->ended; new += got) {
		DS_TRY(read_frames(l, DS_MIN(fresh - new, l->room), &got, err));
		ds_wav_mix(&l->w, l->raw, got, l->buf + keep + new);
	}
	if (!new || keep + new <= l->context)
		return DS_END;
	l->begun = true;
	memcpy(window, l->buf, (size_t)len * sizeof *window);
	return DS_OK;
}
