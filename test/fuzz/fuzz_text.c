/* fuzz_text.c - any bytes as a text: its characters as a vocabulary, its tokens in windows and in lines; as a path with a range */
#include <string.h>

#include "data/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_text(const ds_vocab *v, int tokens, int items, const uint8_t *data, size_t size)
{
	ds_shape_of in = { .name = "x", .dtype = DS_I64, .feed = { .kind = DS_KIND_TEXT, .tokens = tokens, .items = items, .window = 5, .hop = 3, .rank = 2, .dim = { 1, 5 } } };
	ds_part part = { 0 };
	ds_loaded l = { .part = &part };
	ds_loader ld = { .in = &in, .n_in = 1, .want = true, .aim = { .what = items ? DS_AIM_CLASS : DS_AIM_NEXT }, .limit = 1 << 20 };
	in.feed.vocab = *v;
	if (ds_load_text(&l, &ld, data, size, NULL, NULL) == DS_OK) {
		if (l.n < 1)
			__builtin_trap();
		for (int64_t i = 0; i < l.n; i += DS_MAX(l.n / 7, 1)) {
			ds_tensor t, u = { 0 };
			if (ds_part_sample(&t, &part, i, &in, NULL) != DS_OK || (l.target.t.data && ds_part_sample(&u, &l.target, i, &in, NULL) != DS_OK))
				__builtin_trap();
			for (int k = 0; k < 5; k++) {
				int64_t id = ds_tensor_i64(&t, k);
				if (id < 0 || id >= (tokens == DS_TOKENS_BYTES ? 256 : v->n) || (u.data && k && ds_tensor_i64(&u, k - 1) != id))
					__builtin_trap();
			}
			ds_tensor_done(&t);
			ds_tensor_done(&u);
		}
	}
	ds_part_done(&part);
	ds_part_done(&l.target);
	ds_free(l.label);
	ds_flaws_done(&l.flaws);
}

static void read_range(const uint8_t *data, size_t size)
{
	char path[64];
	ds_range r;
	int64_t from, to;
	size_t n = DS_MIN(size, sizeof path - 1), len;
	memcpy(path, data, n);
	path[n] = 0;
	len = ds_range_parse(&r, path);
	ds_range_apply(&r, 1000, &from, &to);
	if (len >= sizeof path || from < 0 || to < from || to > 1000)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ds_buf asset = { 0 };
	ds_vocab v = { 0 };
	if (ds_vocab_build(&asset, data, size, NULL) == DS_OK) {
		if (ds_vocab_parse(&v, asset.data, asset.len, NULL) != DS_OK)
			__builtin_trap();
		for (int i = 0; i < v.n; i++) {
			if (ds_vocab_find(&v, v.code[i]) != i || (i && v.code[i] <= v.code[i - 1]))
				__builtin_trap();
		}
		read_text(&v, DS_TOKENS_CHARS, DS_ITEMS_WINDOWS, data, size);
	}
	ds_vocab_done(&v);
	if (ds_vocab_parse(&v, data, size, NULL) == DS_OK)
		read_text(&v, DS_TOKENS_CHARS, DS_ITEMS_LINES, (const uint8_t *)"ab\t1\n\xC3\xA9z\n", 9);
	ds_vocab_done(&v);
	read_text(&v, DS_TOKENS_BYTES, DS_ITEMS_LINES, data, size);
	read_text(&v, DS_TOKENS_BYTES, DS_ITEMS_WINDOWS, data, size);
	read_range(data, size);
	ds_buf_done(&asset);
	return 0;
}
