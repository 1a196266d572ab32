/* report.c - what a run tells of itself: JSON Lines, or events for TensorBoard
 *
 * The members of an object are JSON; in an events file those that are numbers become scalars called EVENT/KEY. */
#include "fit_int.h"
#include "tfevents.h"
#include "../base/str.h"
#include "../base/thread.h"
#include "../cpu/cpu.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ds_fit_report {
	ds_sink   *sink;
	bool       events;              /* for TensorBoard */
	const char *event;
	int64_t    step;
	ds_buf     line;                /* JSON, or scalars as encoded values */
	int        n;                   /* members so far */
};

ds_status ds_fit_report_open(ds_fit_report **out, const char *path, uint64_t keep, ds_err *err)
{
	*out = NULL;
	if (!path)
		return DS_OK;
	ds_fit_report *r = ds_calloc(1, sizeof *r);
	if (!r)
		return ds_fail_nomem(err, sizeof *r);
	r->events = strstr(path, "tfevents") != NULL;
	ds_status rc = ds_sink_log(&r->sink, path, keep, err);
	if (rc == DS_OK && r->events && !keep)
		rc = ds_tfevents_begin(r->sink, err);
	if (rc != DS_OK) {
		ds_sink_abort(r->sink);
		ds_free(r);
		return rc;
	}
	*out = r;
	return DS_OK;
}

static void key(ds_fit_report *r, const char *k)
{
	if (r->n++)
		ds_buf_str(&r->line, ",");
	ds_text_json(&r->line, k, strlen(k));
	ds_buf_str(&r->line, ":");
}

void ds_fit_report_begin(ds_fit_report *r, const char *event, int64_t step)
{
	if (!r)
		return;
	ds_buf_reset(&r->line);
	r->event = event;
	r->step = step;
	r->n = 0;
	if (r->events)
		return;
	ds_buf_str(&r->line, "{");
	ds_fit_report_str(r, "event", event);
	if (step >= 0)
		ds_fit_report_i64(r, "step", step);
}

void ds_fit_report_f64(ds_fit_report *r, const char *k, double v)
{
	char text[32];
	if (!r)
		return;
	if (r->events) {
		char tag[128];
		snprintf(tag, sizeof tag, "%s/%s", r->event, k);
		ds_tfevents_scalar(&r->line, tag, (float)v);
		r->n++;
		return;
	}
	key(r, k);
	ds_buf_str(&r->line, isfinite(v) ? ds_fmt_f64(text, v) : "null");
}

void ds_fit_report_i64(ds_fit_report *r, const char *k, int64_t v)
{
	if (!r || r->events)
		return;
	key(r, k);
	ds_buf_printf(&r->line, "%lld", (long long)v);
}

void ds_fit_report_str(ds_fit_report *r, const char *k, const char *v)
{
	if (!r || r->events)
		return;
	key(r, k);
	ds_text_json(&r->line, v, strlen(v));
}

ds_status ds_fit_report_end(ds_fit_report *r, ds_err *err)
{
	if (!r || (r->events && !r->n))
		return DS_OK;
	if (!r->events)
		ds_buf_str(&r->line, "}\n");
	if (r->line.oom)
		return ds_fail_nomem(err, r->line.len);
	if (r->events)
		DS_TRY(ds_tfevents_put(r->sink, DS_MAX(r->step, (int64_t)0), &r->line, err));
	else
		DS_TRY(ds_sink_write(r->sink, r->line.data, r->line.len, err));
	return ds_sink_flush(r->sink, err);
}

static void read_line(const char *path, char *buf, int size)
{
	FILE *f = fopen(path, "re");
	if (!f || !fgets(buf, size, f))
		snprintf(buf, (size_t)size, "unknown");
	buf[strcspn(buf, "\n")] = 0;
	if (f)
		fclose(f);
}

void ds_fit_report_machine(ds_fit_report *r, int threads)
{
	char text[128], isa[64];
	double load[3];
	if (!r)
		return;
	ds_fit_report_str(r, "version", DS_VERSION);
	ds_fit_report_str(r, "compiler", __VERSION__);
	ds_fit_report_str(r, "processor", ds_cpu_model(text, sizeof text));
	ds_fit_report_str(r, "flags", ds_cpu_text(ds_cpu_allowed(), isa));
	read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", text, sizeof text);
	ds_fit_report_str(r, "governor", text);
	ds_fit_report_i64(r, "processors", ds_cpu_count());
	ds_fit_report_i64(r, "threads", threads ? threads : ds_cpu_count());
	if (getloadavg(load, 1) == 1)
		ds_fit_report_f64(r, "load", load[0]);
}

bool ds_fit_report_histograms(const ds_fit_report *r)
{
	return r && r->events;
}

ds_status ds_fit_report_histogram(ds_fit_report *r, const char *group, const char *name, const ds_tensor *t, int64_t step, ds_err *err)
{
	ds_buf tag = { 0 };
	ds_buf_reset(&r->line);
	ds_buf_printf(&tag, "%s/%s", group, name);
	ds_status rc = tag.oom ? ds_fail_nomem(err, tag.len) : DS_OK;
	if (rc == DS_OK) {
		ds_tfevents_histogram(&r->line, tag.data, t->data, ds_tensor_count(t));
		rc = r->line.oom ? ds_fail_nomem(err, r->line.len) : ds_tfevents_put(r->sink, step, &r->line, err);
	}
	ds_buf_done(&tag);
	return rc;
}

uint64_t ds_fit_report_offset(const ds_fit_report *r)
{
	return r ? ds_sink_offset(r->sink) : 0;
}

ds_status ds_fit_report_close(ds_fit_report *r, ds_err *err)
{
	if (!r)
		return DS_OK;
	ds_status rc = ds_sink_commit(r->sink, err);
	ds_buf_done(&r->line);
	ds_free(r);
	return rc;
}
