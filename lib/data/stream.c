/* stream.c - DSM tensor streams as samples */
#include "local.h"

#include <string.h>

bool ds_is_stream(const uint8_t *p, size_t n)
{
	return n >= 8 && !memcmp(p, "\x89" "DSM\r\n\x1a\n", 8);
}

ds_status ds_load_stream(ds_loaded *l, const ds_loader *ld, const uint8_t *p, size_t n, const char *path, ds_err *err)
{
	return ds_fail(err, DS_E_UNSUPPORTED, "tensor streams are not read yet");
}
