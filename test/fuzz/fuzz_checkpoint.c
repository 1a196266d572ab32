/* fuzz_checkpoint.c - any bytes as a checkpoint; what is read goes into the weights of its own graph */
#include <string.h>

#include "fit/fit_int.h"

#define LIMIT (1u << 22)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ds_fit_ckpt c;
	ds_source *s;
	if (ds_source_memory(&s, data, size, "fuzz", NULL) != DS_OK || ds_fit_ckpt_read(&c, s, LIMIT, NULL) != DS_OK)
		return 0;
	ds_graph *g = c.g ? ds_graph_clone(c.g) : NULL;
	ds_model m = { .graph = g };
	(void)!ds_fit_ckpt_check(&c, "--epochs=1\n", &m, NULL);
	if (g) {
		(void)!ds_fit_ckpt_weights(&c, g, false, NULL);
		(void)!ds_fit_ckpt_weights(&c, g, true, NULL);
	}
	ds_graph_free(g);
	ds_fit_ckpt_done(&c);
	return 0;
}
