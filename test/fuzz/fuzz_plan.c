/* fuzz_plan.c - any bytes as a plan of ds-quantize: refused with a line, or written again it reads as the same */
#include <stdlib.h>
#include <string.h>

#include "quantize/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Rows of a model that would take what the plan says, and the text of them. */
static bool again(ds_qplan *p, ds_buf *b)
{
	ds_qplan m = { 0 };
	bool ok = true;
	for (int i = 0; i < p->n && ok; i++) {
		ds_qrow *r = ds_qplan_add(&m, "", "", "", DS_F32, 2, (int64_t[]){ 64, 64 });
		if (!r)
			abort();
		r->node_key = p->row[i].node_key;
		r->weight_key = p->row[i].weight_key;
		ok = ds_qplan_obey(p, r, NULL) == DS_OK;
	}
	if (!ok || ds_qplan_obeyed(p, p->crc, p->len, false, NULL) != DS_OK)
		abort();
	ok = ds_qplan_write(&m, b, NULL) == DS_OK;
	ds_qplan_done(&m);
	return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ds_qplan p = { 0 }, q = { 0 };
	ds_buf b = { 0 };
	ds_err err;
	memset(&err, 0, sizeof err);
	ds_status rc = ds_qplan_read(&p, "fuzz", (const char *)data, size, &err);
	if (rc == DS_E_INPUT && strncmp(err.where, "fuzz:", 5) != 0)
		abort();
	if (rc == DS_OK && again(&p, &b)) {
		if (ds_qplan_read(&q, "again", b.data, b.len, NULL) != DS_OK || q.n != p.n)
			abort();
		for (int i = 0; i < q.n; i++)
			if (q.row[i].bits.w != p.row[i].bits.w || q.row[i].bits.a != p.row[i].bits.a || q.row[i].group != p.row[i].group)
				abort();
		ds_qplan_done(&q);
	}
	ds_buf_done(&b);
	ds_qplan_done(&p);
	return 0;
}
