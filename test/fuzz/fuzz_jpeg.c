/* fuzz_jpeg.c - any bytes as a JPEG picture */
#include "data/local.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ds_image im = { 0 };
	ds_err err = { 0 };
	if (ds_image_decode(&im, data, size, 1 << 16, &err) != DS_OK && (err.code == DS_OK || im.px))
		__builtin_trap();
	ds_image_done(&im);
	ds_exif_orientation(data, size);
	return 0;
}
