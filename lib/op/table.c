/* table.c - the table of operators: ds_op_find and ds_op_all over ops.def */
#include "ops.h"
#include <string.h>

static const ds_op *const table[] = {
#define DS_OP(name) &ds_op_##name,
#include "ops.def"
#undef DS_OP
};

const ds_op *const *ds_op_all(int *n)
{
	*n = (int)DS_COUNTOF(table);
	return table;
}

/* Names are unique over both domains, so the order by name alone decides. */
const ds_op *ds_op_find(const char *domain, const char *name)
{
	size_t lo = 0, hi = DS_COUNTOF(table);

	if (strcmp(domain, "ai.onnx") == 0)
		domain = "";
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(name, table[mid]->name);

		if (c == 0)
			return strcmp(domain, table[mid]->domain) == 0 ? table[mid] : NULL;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}
