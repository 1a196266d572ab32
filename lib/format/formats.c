/* formats.c - the table of foreign model containers */
#include "format.h"

#include <string.h>

#define DS_FORMAT(name) extern const ds_format ds_format_##name;
#include "formats.def"
#undef DS_FORMAT

static const ds_format *const formats[] = {
#define DS_FORMAT(name) &ds_format_##name,
#include "formats.def"
#undef DS_FORMAT
};

const ds_format *const *ds_format_all(int *n)
{
	*n = (int)DS_COUNTOF(formats);
	return formats;
}

const ds_format *ds_format_find(const char *name)
{
	for (size_t i = 0; i < DS_COUNTOF(formats); i++)
		if (strcmp(formats[i]->name, name) == 0)
			return formats[i];
	return NULL;
}

const ds_format *ds_format_probe(const uint8_t *p, size_t n, int64_t size)
{
	for (size_t i = 0; i < DS_COUNTOF(formats); i++)
		if (formats[i]->probe(p, n, size))
			return formats[i];
	return NULL;
}
