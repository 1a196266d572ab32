/* fuzz_png.c - any bytes as a PNG picture, decoded and prepared for a network */
#include "data/local.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const preset[] = { "imagenet", "mnist", "yolox" };
	ds_image im;
	ds_err err = { 0 };
	if (ds_image_png.decode(&im, data, size, 1 << 16, &err) == DS_OK) {
		ds_prep_spec s = ds_preset_find(preset[im.w % 3])->spec;
		s.h = s.w = 16;
		s.resize_to = s.resize_to ? 20 : 0;
		float out[3 * 16 * 16];
		if (ds_prep_image(&s, &im, out, &err) != DS_OK && err.code == DS_OK)
			__builtin_trap();
	}
	ds_image_done(&im);
	return 0;
}
