/* fuzz_sound.c - any bytes as a sound: the walk through WAV, what libsndfile makes of it, and that a pipe gives the same */
#include <math.h>
#include <string.h>

#include "data/sound.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Windows of three frames, one after another, from a source that is read as it comes. */
static void read_live(const uint8_t *data, size_t size, const ds_tensor *whole)
{
	const ds_feed f = { .window = 3 };
	ds_source *src;
	ds_live *l;
	float v[3];
	int64_t at = 0;
	if (ds_source_memory(&src, data, size, "fuzz", NULL) != DS_OK)
		return;
	if (!ds_live_probe(src)) {
		ds_source_close(src);
		return;
	}
	ds_status rc = ds_live_open(&l, src, &f, 3, NULL);
	for (; rc == DS_OK && (rc = ds_live_next(l, v, NULL)) == DS_OK; at += 3) {
		for (int i = 0; whole && i < 3; i++) {
			float want = at + i < whole->dim[0] ? ((const float *)whole->data)[at + i] : 0;
			if (memcmp(&want, &v[i], sizeof want) != 0 && !(isnan(want) && isnan(v[i])))
				__builtin_trap();
		}
	}
	if (whole && (rc != DS_END || at < whole->dim[0] || at >= whole->dim[0] + 3))
		__builtin_trap();
	ds_live_free(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ds_tensor t;
	ds_wav w;
	int64_t rate;
	ds_err err = { 0 };
	if (ds_wav_parse(&w, data, size, NULL) == DS_OK && (w.data < data || w.n > size - (size_t)(w.data - data) || w.channels < 1 || w.rate < 1))
		__builtin_trap();
	ds_status rc = ds_sound_decode(&t, &rate, data, size, 1 << 20, &err);
	if (rc == DS_OK ? t.rank != 1 || t.dtype != DS_F32 || rate < 1 : err.code == DS_OK || t.data != NULL)
		__builtin_trap();
	ds_is_sound(data, size);
	read_live(data, size, rc == DS_OK && ds_wav_parse(&w, data, size, NULL) == DS_OK ? &t : NULL);
	ds_tensor_done(&t);
	return 0;
}
