/* version.c - --version: versions of the libraries as constants of their headers, so that none of them is loaded for it */
#include <string.h>

#include <png.h>
#include <zlib.h>
#include <zstd.h>
#ifdef HAVE_JPEG
#include <stdio.h>

#include <jpeglib.h>
#endif

#include "internal.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

static const struct library { const char *name, *version; } libraries[] = {
	{ "libpng", PNG_LIBPNG_VER_STRING },
#ifdef HAVE_JPEG
#ifdef LIBJPEG_TURBO_VERSION
	{ "libjpeg", "turbo " TEXT(LIBJPEG_TURBO_VERSION) },
#else
	{ "libjpeg", TEXT(JPEG_LIB_VERSION) },
#endif
#else
	{ "libjpeg", "not in this build" },
#endif
#ifdef HAVE_SNDFILE
	{ "libsndfile", TEXT(HAVE_SNDFILE) },
#else
	{ "libsndfile", "not in this build" },
#endif
	{ "zlib", ZLIB_VERSION },
	{ "zstd", ZSTD_VERSION_STRING },
};

/* Is `word` one of the words of `list`? */
static bool listed(const char *list, const char *word)
{
	const size_t n = strlen(word);
	while (list && *list) {
		size_t k = strcspn(list, " ");
		if (k == n && memcmp(list, word, n) == 0)
			return true;
		list += k;
		list += strspn(list, " ");
	}
	return false;
}

void ds_cli_version(ds_buf *b)
{
	const ds_filter *f = ds_cli.f;
	ds_buf_printf(b, "%s %s\nds-model format 1\n", f->name, DS_VERSION);
	for (size_t i = 0; i < DS_COUNTOF(libraries); i++)
		if (listed(f->libraries, libraries[i].name))
			ds_buf_printf(b, "%s %s\n", libraries[i].name, libraries[i].version);
	ds_buf_str(b, "Licence MIT; there is no warranty, to the extent permitted by law.\n");
}
