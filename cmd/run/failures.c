/* failures.c - the samples that --eval found answered wrongly, as a table that --files-from reads */
#include <string.h>

#include "job.h"

static const char *const columns[] = { "path", "label", "prediction", "probability", "label_name", "prediction_name", NULL };

ds_status run_failures_open(job *j, ds_err *err)
{
	if (!j->s->failures)
		return DS_OK;
	DS_TRY(ds_sink_open(&j->failures, j->s->failures, err));
	return ds_rows_open(&j->failure_rows, j->failures, false, columns, err);
}

ds_status run_failures_item(job *j, const ds_result *r, int64_t best, float p, ds_err *err)
{
	ds_rows *rows = j->failure_rows;
	if (!rows || r->label < 0 || best == r->label)
		return DS_OK;
	if (best < 0)
		return ds_fail(err, DS_E_UNSUPPORTED, "--failures with a model that does not answer with a class: there is no right and wrong");
	ds_rows_str(rows, r->name, r->name_len);
	ds_rows_i64(rows, r->label);
	ds_rows_i64(rows, best);
	ds_rows_f32(rows, p);
	run_put_label(j, rows, r->label);
	run_put_label(j, rows, best);
	return ds_rows_end(rows, err);
}

ds_status run_failures_end(job *j, ds_err *err)
{
	if (!j->failures)
		return DS_OK;
	ds_sink *s = j->failures;
	j->failures = NULL;
	return ds_sink_commit(s, err);
}

void run_failures_drop(job *j)
{
	ds_rows_close(j->failure_rows);
	ds_sink_abort(j->failures);
	ds_buf_done(&j->unseen);
}
