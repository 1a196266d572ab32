/* trace.c - --trace: one run as trace events */
#include "profile.h"

ds_status mode_trace(job *j, ds_err *err)
{
	const ds_timing *t;
	ds_buf b = { 0 };
	DS_TRY(job_timing(j, &t, err));
	ds_status rc = ds_time_trace(t, job_model_name(j), &b, err);
	if (rc == DS_OK)
		rc = job_write(j, j->s->trace, &b, err);
	ds_buf_done(&b);
	return rc;
}
