/* fuzz_list.c - any bytes as a list of names, as a table of failures, and a name in and out of a table */
#include <string.h>

#include "base/str.h"
#include "data/local.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_list(const char *p, size_t n, bool null_sep)
{
	ds_list l = { 0 };
	ds_err e;
	if (ds_list_names(&l, p, n, null_sep, NULL, &e) != DS_OK && e.code != DS_E_INPUT)
		__builtin_trap();
	for (size_t i = 0; i < l.n; i++) {
		if (!l.e[i].path || l.e[i].n_pick > n)
			__builtin_trap();
		for (size_t k = 0; k < l.e[i].n_pick; k++)
			if (l.e[i].pick[k].number < 0 || l.e[i].pick[k].label < -1)
				__builtin_trap();
	}
	ds_list_done(&l);
}

/* What ds-run writes comes back: the first bytes as a name with tabs, newlines and whatever. */
static void there_and_back(const uint8_t *data, size_t size)
{
	char name[40];
	size_t n = DS_MIN(size, sizeof name - 3), k = 0;
	for (size_t i = 0; i < n; i++)
		if (data[i])
			name[k++] = (char)data[i];
	memcpy(name + k, "x", 2);       /* no range and no item at the end */
	ds_buf b = { 0 };
	ds_list l = { 0 };
	ds_buf_str(&b, "path\tprediction\tlabel\n");
	ds_text_quote(&b, name, k + 1);
	ds_buf_str(&b, "\t3\t7\n");
	if (ds_list_names(&l, b.data, b.len, false, NULL, NULL) != DS_OK || l.n != 1 || strcmp(l.e[0].path, name) || l.e[0].label != 7)
		__builtin_trap();
	ds_list_done(&l);
	ds_buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_list((const char *)data, size, false);
	read_list((const char *)data, size, true);
	there_and_back(data, size);
	return 0;
}
