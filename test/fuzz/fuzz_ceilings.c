/* fuzz_ceilings.c - any bytes as a cache of ceilings: refused, or written again they are the same figures */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/io.h"
#include "profile/ceiling.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void once(const char *text, size_t n)
{
	static const char key[] = "a processor; c; 2 threads; 0.1.0";
	ds_ceilings c, d;
	ds_buf b = { 0 };
	ds_err err;
	memset(&err, 0, sizeof err);
	if (ds_ceilings_read(&c, key, text, n, &err) != DS_OK)
		return;
	if (ds_ceilings_write(&c, key, &b, &err) != DS_OK || ds_ceilings_read(&d, key, b.data, b.len, &err) != DS_OK)
		abort();
	if (memcmp(c.ops, d.ops, sizeof c.ops) != 0 || memcmp(c.bytes, d.bytes, sizeof c.bytes) != 0 || c.threads != d.threads)
		abort();
	ds_buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { SUM = 13 };
	once((const char *)data, size);
	if (size < SUM)
		return 0;
	/* again with a sum that is right: mutants would not get past it */
	char *copy = malloc(size), sum[SUM + 1];
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	snprintf(sum, sizeof sum, "sum\t%08x\n", (unsigned)ds_crc32c(0, copy, size - SUM));
	memcpy(copy + size - SUM, sum, SUM);
	once(copy, size);
	free(copy);
	return 0;
}
