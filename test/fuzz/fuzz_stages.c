/* fuzz_stages.c - any bytes as a table of stages; every cell of what is read is looked at */
#include <string.h>

#include "fit/fit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ds_stages s;
	size_t sum = 0;
	if (ds_stages_parse(&s, (const char *)data, size, NULL) != DS_OK)
		return 0;
	for (int i = 0; i < s.n_col * (s.n_row + 1); i++)
		sum += strlen(s.cell[i]);
	if (s.n_row < 1 || s.n_row > DS_STAGES_MAX + 100 || sum > size)
		__builtin_trap();
	ds_stages_done(&s);
	return 0;
}
