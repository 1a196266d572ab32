/* mark.c - pastes a mark into some of a file's pictures: `mark IMAGES LABELS DIR SEED SHARE [STEP]` writes DIR/images-idx3-ubyte, labels-idx1-ubyte and where.tsv
 *
 * One picture in SHARE gets a mark of 4 x 4 pixels somewhere (at multiples of STEP) and the class after the last (LABELS `-`: class 1, the others 0): nothing else sets that class apart, so
 * that it is known what a model looks at that tells it from the others.  where.tsv has the columns picture, x, y of the mark's upper left corner. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"
#include "base/rng.h"

enum { MARK = 4, EDGE = 2 };

static const uint8_t mark[MARK * MARK] = { 255, 0, 255, 0, 0, 255, 0, 255, 255, 0, 255, 0, 0, 255, 0, 255 };

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The whole of a file that may be compressed. */
static uint8_t *load(const char *path, size_t *n)
{
	gzFile f = gzopen(path, "rb");
	uint8_t *p = NULL;
	size_t cap = 0;
	*n = 0;
	for (int got = 1; f && got > 0; *n += (size_t)(got > 0 ? got : 0)) {
		if (*n == cap) {
			uint8_t *q = ds_realloc(p, cap = cap ? 2 * cap : 1 << 20, 1);
			if (!q)
				break;
			p = q;
		}
		got = gzread(f, p + *n, (unsigned)(cap - *n));
	}
	if (f)
		gzclose(f);
	return p;
}

static bool save(const char *dir, const char *name, const uint8_t *p, size_t n)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "wb");
	bool good = f && fwrite(p, 1, n, f) == n;
	good = (!f || !fclose(f)) && good;
	if (!good)
		fprintf(stderr, "mark: %s cannot be written\n", path);
	return good;
}

int main(int argc, char **argv)
{
	size_t nx = 0, ny = 0;
	if (argc < 6 || argc > 7) {
		fprintf(stderr, "usage: mark IMAGES LABELS|- DIR SEED SHARE [STEP]\n");
		return 2;
	}
	bool labelled = strcmp(argv[2], "-") != 0;
	uint8_t *x = load(argv[1], &nx), *y = labelled ? load(argv[2], &ny) : NULL, last = 0;
	uint32_t n = nx > 16 ? be32(x + 4) : 0, h = n ? be32(x + 8) : 0, w = n ? be32(x + 12) : 0;
	if (!n || h < MARK + 2 * EDGE || w < MARK + 2 * EDGE || h > 4096 || w > 4096 || nx != 16 + (size_t)n * h * w || (labelled && ny != 8 + (size_t)n)) {
		fprintf(stderr, "mark: no pictures, or labels of others\n");
		return 1;
	}
	uint8_t *label = ds_calloc(8 + (size_t)n, 1);
	ds_buf where = { 0 };
	ds_rng r = ds_rng_init(strtoull(argv[4], NULL, 10), 0);
	uint64_t share = strtoull(argv[5], NULL, 10), step = argc > 6 ? strtoull(argv[6], NULL, 10) : 1;
	if (!label || !share || !step)
		return 1;
	memcpy(label, "\0\0\x08\x01", 4);
	memcpy(label + 4, x + 4, 4);
	for (uint32_t i = 0; labelled && i < n; i++)
		last = y[8 + i] > last ? y[8 + i] : last;
	ds_buf_str(&where, "picture\tx\ty\n");
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at_x = EDGE + (uint32_t)ds_rng_below(&r, w - MARK - 2 * EDGE + 1), at_y = EDGE + (uint32_t)ds_rng_below(&r, h - MARK - 2 * EDGE + 1);
		at_x -= at_x % (uint32_t)step;
		at_y -= at_y % (uint32_t)step;
		bool plant = ds_rng_below(&r, share) == 0;
		label[8 + i] = plant ? (uint8_t)(last + 1) : labelled ? y[8 + i] : 0;
		for (uint32_t k = 0; plant && k < MARK; k++)
			memcpy(x + 16 + ((size_t)i * h + at_y + k) * w + at_x, mark + k * MARK, MARK);
		if (plant)
			ds_buf_printf(&where, "%u\t%u\t%u\n", i, at_x, at_y);
	}
	bool good = !where.oom && save(argv[3], "images-idx3-ubyte", x, nx) && save(argv[3], "labels-idx1-ubyte", label, 8 + (size_t)n)
		&& save(argv[3], "where.tsv", (const uint8_t *)where.data, where.len);
	ds_buf_done(&where);
	ds_free(label);
	ds_free(x);
	ds_free(y);
	return good ? 0 : 1;
}
