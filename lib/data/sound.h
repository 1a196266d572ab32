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
/* f32 [frames] in -1..1, the mean of the channels. */
ds_status ds_sound_decode(ds_tensor *t, int64_t *rate, const uint8_t *p, size_t n, uint64_t limit, ds_err *err);
/* The same through libsndfile: the samples of w, or (w NULL) a FLAC stream. */
ds_status ds_sound_sndfile(ds_tensor *t, int64_t *rate, const ds_wav *w, const uint8_t *p, size_t n, uint64_t limit, ds_err *err);

#endif
