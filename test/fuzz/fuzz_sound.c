/* fuzz_sound.c - any bytes as a sound: the walk through WAV, and what libsndfile makes of it */
#include "data/sound.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	ds_tensor_done(&t);
	return 0;
}
