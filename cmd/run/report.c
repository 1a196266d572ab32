/* report.c - the report of ds-run: one line of JSON per sample */
#include <math.h>
#include <string.h>

#include "job.h"

static void report_key(ds_buf *b, const char *key, const char *text, size_t n)
{
	ds_buf_printf(b, ",\"%s\":", key);
	ds_text_json(b, text, n);
}

static ds_status report_write(job *j, ds_buf *b, ds_err *err)
{
	ds_buf_str(b, "}\n");
	ds_status rc = b->oom ? ds_fail_nomem(err, b->len) : ds_sink_write(j->report, b->data, b->len, err);
	ds_buf_done(b);
	return rc;
}

/* {"event":"item"|"error", ...}: one line per sample. */
ds_status run_report_item(job *j, const ds_result *r, int64_t best, float p, ds_err *err)
{
	ds_buf b = { 0 };
	char text[32];
	if (!j->report)
		return DS_OK;
	ds_buf_printf(&b, "{\"event\":\"%s\"", r->bad ? "error" : "item");
	report_key(&b, "input", r->name, r->name_len);
	ds_buf_printf(&b, ",\"index\":%llu", (unsigned long long)r->index);
	if (r->bad)
		report_key(&b, "error", r->bad->text, strlen(r->bad->text));
	if (r->label >= 0)
		ds_buf_printf(&b, ",\"label\":%lld", (long long)r->label);
	if (best >= 0)
		ds_buf_printf(&b, ",\"predicted\":%lld,\"probability\":%s", (long long)best, isfinite(p) ? ds_fmt_f32(text, p) : "null");
	return report_write(j, &b, err);
}

ds_status run_report_end(job *j, ds_err *err)
{
	ds_buf b = { 0 };
	if (!j->report)
		return DS_OK;
	ds_buf_printf(&b, "{\"event\":\"end\",\"items\":%llu,\"failed\":%llu", (unsigned long long)j->n, (unsigned long long)j->failed);
	if (j->s->eval && j->here.score.n)
		ds_buf_printf(&b, ",\"labelled\":%llu,\"top1\":%llu,\"top5\":%llu", (unsigned long long)j->here.score.n,
			(unsigned long long)j->here.score.top1, (unsigned long long)j->here.score.top5);
	DS_TRY(report_write(j, &b, err));
	ds_status rc = ds_sink_commit(j->report, err);
	j->report = NULL;
	return rc;
}
