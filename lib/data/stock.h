/* stock.h - one tensor of each of many items, compact in memory */
#ifndef DS_DATA_STOCK_H
#define DS_DATA_STOCK_H

#include "../tensor/tensor.h"

typedef struct ds_palette { float value[256]; uint32_t key[1024]; uint8_t code[1024]; bool used[1024]; int n; } ds_palette;

typedef struct ds_stock {
	ds_dtype    dtype;
	int         rank;
	int64_t     dim[DS_MAX_RANK];   /* of an item */
	size_t      count, bytes;       /* of an item: values, bytes as a tensor */
	bool        coded;              /* a byte per value, by the palette of its channel */
	int64_t     channels, run;      /* value i is of channel i / run % channels */
	ds_palette *palette;
	uint8_t   **chunk;
	size_t      n_chunk, cap_chunk, per_chunk;      /* items of a chunk */
} ds_stock;

/* For items like t.  code: try to keep a byte per value; channels and run as above. */
ds_status ds_stock_init(ds_stock *s, const ds_tensor *t, bool code, int64_t channels, int64_t run, ds_err *err);
void      ds_stock_done(ds_stock *s);
bool      ds_stock_fits(const ds_stock *s, const ds_tensor *t);         /* type and dims */
/* Keep t as item i, where i is at most the number of items so far. */
ds_status ds_stock_put(ds_stock *s, size_t i, const ds_tensor *t, ds_err *err);
/* Item i into s->bytes bytes at dst. */
void      ds_stock_get(const ds_stock *s, size_t i, void *dst);
uint64_t  ds_stock_memory(const ds_stock *s);

#endif
