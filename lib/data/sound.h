/* sound.h - decoded sounds */
#ifndef DS_DATA_SOUND_H
#define DS_DATA_SOUND_H

#include "local.h"

#define DS_SOUND_CHANNELS 16
#define DS_SOUND_RATE 768000

/* What the walk through a WAV file has found; data lies in the file. */
typedef struct ds_wav { int channels, bits; bool is_float; int64_t rate; const uint8_t *data; size_t n; } ds_wav;
bool      ds_is_sound(const uint8_t *p, size_t n);
/* DS_E_UNSUPPORTED: a coding that we leave alone. */
ds_status ds_wav_parse(ds_wav *w, const uint8_t *p, size_t n, ds_err *err);
/* The chunk "fmt ", which stands at `at`. */
ds_status ds_wav_format(ds_wav *w, const uint8_t *p, size_t n, int64_t at, ds_err *err);
/* Frames at p as f32 in -1..1, the mean of the channels (in f64): what libsndfile gives. */
void      ds_wav_mix(const ds_wav *w, const uint8_t *p, int64_t frames, float *out);
/* WAV from a pipe, window by window.  The source is taken in every case. */
typedef struct ds_live ds_live;
bool      ds_live_probe(ds_source *src);        /* does it begin like one? */
ds_status ds_live_open(ds_live **l, ds_source *src, const ds_feed *f, int64_t hop, ds_err *err);
/* The next context + window frames, zeros behind the last; DS_END. */
ds_status ds_live_next(ds_live *l, float *window, ds_err *err);
void      ds_live_free(ds_live *l);
/* f32 [frames] in -1..1, the mean of the channels. */
ds_status ds_sound_decode(ds_tensor *t, int64_t *rate, const uint8_t *p, size_t n, uint64_t limit, ds_err *err);
/* Can libsndfile be used?  It is loaded by the first call. */
bool      ds_sound_library(void);
/* The same through it: the samples of w, or (w NULL) a FLAC stream. */
ds_status ds_sound_sndfile(ds_tensor *t, int64_t *rate, const ds_wav *w, const uint8_t *p, size_t n, uint64_t limit, ds_err *err);

#endif
