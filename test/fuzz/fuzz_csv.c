/* fuzz_csv.c - any bytes as a table: all its fields, its numbers, its classes */
#include <string.h>

#include "data/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_grid(const uint8_t *data, size_t size, const ds_table_opts *o)
{
	ds_grid g;
	ds_err err = { 0 };
	ds_status rc = ds_grid_read(&g, data, size, o, &err);
	if (rc != DS_OK && (err.code == DS_OK || g.v || g.name))
		__builtin_trap();
	for (size_t i = 1; i < g.flaws.n; i++) {
		if (g.flaws.f[i].row < g.flaws.f[i - 1].row + g.flaws.f[i - 1].n)
			__builtin_trap();
	}
	for (int64_t r = 0; r < g.rows; r++) {
		const ds_flaw *f = ds_flaw_in(&g.flaws, r, r + 1);
		if (f && (f->row > r || f->row + f->n <= r))
			__builtin_trap();
	}
	ds_grid_done(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const ds_table_want want[] = { { "a", false }, { "2", true } };
	static const char *const but[] = { "b" };
	ds_csv c;
	char **name;
	int n;
	bool numeric;
	ds_csv_open(&c, data, size);
	while (ds_csv_next(&c, NULL) == DS_OK) {
		for (size_t i = 0; i < c.n; i++) {
			const char *p = (const char *)data;
			if (c.field[i].p < p || c.field[i].p + c.field[i].n > p + size)
				__builtin_trap();
		}
	}
	ds_csv_close(&c);
	read_grid(data, size, &(ds_table_opts){ .want = want, .n = 2 });
	read_grid(data, size, &(ds_table_opts){ .but = but, .n_but = 1 });
	if (ds_table_classes(data, size, "1", &name, &n, &numeric, NULL) == DS_OK) {
		for (int i = 0; i < n; i++) {
			if (i + 1 < n && strcmp(name[i], name[i + 1]) >= 0)
				__builtin_trap();
			ds_free(name[i]);
		}
		ds_free(name);
	}
	return 0;
}
