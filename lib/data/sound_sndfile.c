/* sound_sndfile.c - samples of WAV and FLAC through libsndfile (an optional library: HAVE_SNDFILE)
 *
 * The library, which brings a dozen others, is loaded when the first sound is there, so that nobody else waits for it.
 * No file name reaches the library.  A WAV file is shown to it as a plain header and the samples; frames are counted as they are read, never as a header
 * promises them. */
#include "sound.h"

#ifdef HAVE_SNDFILE
#include <dlfcn.h>
#include <string.h>
#include <sndfile.h>

#define HEADER 44
#define BLOCK 4096      /* frames */

/* What is used of the library. */
typedef struct library {
	void       *handle;
	SNDFILE   *(*open)(SF_VIRTUAL_IO *io, int mode, SF_INFO *info, void *arg);
	sf_count_t (*readf)(SNDFILE *s, float *to, sf_count_t frames);
	int        (*error)(SNDFILE *s);
	const char *(*text)(SNDFILE *s);
	int        (*close)(SNDFILE *s);
} library;

/* Loaded again it is only counted; once loaded it stays. */
static bool load(library *lib)
{
	*lib = (library){ .handle = dlopen("libsndfile.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) };
	if (!lib->handle)
		return false;
	/* POSIX has functions and objects of one size; ISO C knows no cast between them */
	*(void **)&lib->open = dlsym(lib->handle, "sf_open_virtual");
	*(void **)&lib->readf = dlsym(lib->handle, "sf_readf_float");
	*(void **)&lib->error = dlsym(lib->handle, "sf_error");
	*(void **)&lib->text = dlsym(lib->handle, "sf_strerror");
	*(void **)&lib->close = dlsym(lib->handle, "sf_close");
	if (lib->open && lib->readf && lib->error && lib->text && lib->close)
		return true;
	dlclose(lib->handle);
	return false;
}

bool ds_sound_library(void)
{
	library lib;
	if (!load(&lib))
		return false;
	dlclose(lib.handle);
	return true;
}

/* The bytes that the library may read: head, then body. */
typedef struct memory { uint8_t head[HEADER]; size_t n_head; const uint8_t *body; size_t n_body; sf_count_t at; } memory;

static sf_count_t length(void *arg)
{
	const memory *m = arg;
	return (sf_count_t)(m->n_head + m->n_body);
}

/* Beyond the end is the end: a seek that failed would leave the library reading samples as chunks. */
static sf_count_t seek(sf_count_t offset, int whence, void *arg)
{
	memory *m = arg;
	sf_count_t base = whence == SEEK_CUR ? m->at : whence == SEEK_END ? length(arg) : 0, to;
	if (!ds_add_over(base, offset, &to) && to >= 0)
		m->at = DS_MIN(to, length(arg));
	return m->at;
}

static sf_count_t read_some(void *to, sf_count_t count, void *arg)
{
	memory *m = arg;
	uint8_t *d = to;
	size_t at = (size_t)m->at, n = (size_t)DS_MIN(count, length(arg) - m->at), head = at < m->n_head ? DS_MIN(n, m->n_head - at) : 0;
	if (count <= 0)
		return 0;
	if (head)
		memcpy(d, m->head + at, head);
	if (n > head)
		memcpy(d + head, m->body + (at + head - m->n_head), n - head);
	m->at += (sf_count_t)n;
	return (sf_count_t)n;
}

static sf_count_t write_none(const void *p, sf_count_t n, void *arg)
{
	return 0;
}

static sf_count_t tell(void *arg)
{
	return ((memory *)arg)->at;
}

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static void make_header(memory *m, const ds_wav *w)
{
	uint32_t frame = (uint32_t)w->channels * (uint32_t)w->bits / 8;
	uint8_t *h = m->head;
	memcpy(h, "RIFF....WAVEfmt ", 16);
	put32(h + 4, (uint32_t)(HEADER - 8 + w->n));
	put32(h + 16, 16);
	put32(h + 20, (w->is_float ? 3u : 1u) | (uint32_t)w->channels << 16);
	put32(h + 24, (uint32_t)w->rate);
	put32(h + 28, (uint32_t)w->rate * frame);
	put32(h + 32, frame | (uint32_t)w->bits << 16);
	memcpy(h + 36, "data", 4);
	put32(h + 40, (uint32_t)w->n);
	m->n_head = HEADER;
}

/* Read all frames, mixed: the buffer grows with what has been read. */
static ds_status read_mixed(float **out, size_t *frames, const library *lib, SNDFILE *s, int channels, uint64_t limit, ds_err *err)
{
	float *block = ds_calloc((size_t)channels * BLOCK, sizeof *block);
	size_t cap = 0;
	ds_status rc = block ? DS_OK : ds_fail_nomem(err, (size_t)channels * BLOCK * sizeof *block);
	*out = NULL;
	*frames = 0;
	for (sf_count_t got; rc == DS_OK && (got = lib->readf(s, block, BLOCK)) > 0;) {
		if ((*frames + (size_t)got) * sizeof **out > limit) {
			rc = ds_fail(err, DS_E_LIMIT, "a sound of more than %llu bytes", (unsigned long long)limit);
			break;
		}
		while (rc == DS_OK && *frames + (size_t)got > cap) {
			if (!ds_grow((void **)out, cap, &cap, sizeof **out))
				rc = ds_fail_nomem(err, cap * 2 * sizeof **out);
		}
		for (sf_count_t i = 0; rc == DS_OK && i < got; i++) {
			double sum = 0;
			for (int c = 0; c < channels; c++)
				sum += (double)block[i * channels + c];
			(*out)[(*frames)++] = (float)(sum / channels);
		}
	}
	ds_free(block);
	if (rc == DS_OK && lib->error(s) != SF_ERR_NO_ERROR)
		rc = ds_fail(err, DS_E_INPUT, "damaged sound: %s", lib->text(s));
	return rc;
}

ds_status ds_sound_sndfile(ds_tensor *t, int64_t *rate, const ds_wav *w, const uint8_t *p, size_t n, uint64_t limit, ds_err *err)
{
	SF_VIRTUAL_IO io = { length, seek, read_some, write_none, tell };
	SF_INFO info = { 0 };
	memory m = { .body = w ? w->data : p, .n_body = w ? w->n : n };
	float *v = NULL;
	size_t frames = 0;
	library lib;
	ds_status rc;
	*rate = 0;
	if (w && w->n > UINT32_MAX - HEADER)
		return ds_fail(err, DS_E_LIMIT, "a WAV file of more than 4 GiB");
	if (w)
		make_header(&m, w);
	if (!load(&lib))
		return ds_fail(err, DS_E_UNSUPPORTED, "libsndfile is not there");
	SNDFILE *s = lib.open(&io, SFM_READ, &info, &m);
	if (!s) {
		dlclose(lib.handle);
		return ds_fail(err, DS_E_INPUT, "damaged %s", w ? "WAV file" : "FLAC stream");
	}
	if ((info.format & SF_FORMAT_TYPEMASK) != (w ? SF_FORMAT_WAV : SF_FORMAT_FLAC) || info.channels < 1 || info.channels > DS_SOUND_CHANNELS ||
		info.samplerate < 1 || info.samplerate > DS_SOUND_RATE)
		rc = ds_fail(err, DS_E_INPUT, "a sound of %d channels, %d frames a second", info.channels, info.samplerate);
	else
		rc = read_mixed(&v, &frames, &lib, s, info.channels, limit, err);
	/* a FLAC stream that was cut says how long it was */
	if (rc == DS_OK && info.frames > 0 && info.frames < SF_COUNT_MAX && (sf_count_t)frames != info.frames)
		rc = ds_fail(err, DS_E_INPUT, "truncated sound: %lld frames, %zu are there", (long long)info.frames, frames);
	*rate = info.samplerate;
	lib.close(s);
	dlclose(lib.handle);
	int64_t dim = (int64_t)frames;
	if (rc == DS_OK)
		rc = ds_tensor_new(t, DS_F32, 1, &dim, err);
	if (rc == DS_OK && frames)
		memcpy(t->data, v, frames * sizeof *v);
	ds_free(v);
	return rc;
}
#else
typedef int no_sndfile;         /* a translation unit may not be empty */
#endif
