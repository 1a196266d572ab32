/* metrics.c - Prometheus text: one HELP and TYPE per metric, labels escaped, numbers that read back */
#include "metrics.h"
#include "io.h"
#include "../base/str.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* A label's value: bytes that are no printable UTF-8 are spelt out, then `\`, `"` and newline are escaped as the format wants it. */
static void label(ds_buf *b, const char *key, const char *value)
{
	ds_buf text = { 0 };
	if (ds_text_ok(value, strlen(value), true))
		ds_buf_str(&text, value);
	else
		ds_text_quote(&text, value, strlen(value));
	ds_buf_printf(b, "%s%s=\"", b->len && b->data[b->len - 1] != '{' ? "," : "", key);
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];
		if (c == '\\' || c == '"')
			ds_buf_add(b, "\\", 1);
		ds_buf_add(b, c == '\n' ? "\\n" : &c, c == '\n' ? 2 : 1);
	}
	ds_buf_str(b, "\"");
	b->oom |= text.oom;
	ds_buf_done(&text);
}

static void number(ds_buf *b, double v)
{
	char text[40];
	if (isinf(v))
		ds_buf_str(b, v > 0 ? "+Inf" : "-Inf");
	else
		ds_buf_str(b, ds_fmt_f64(text, v));
	ds_buf_str(b, "\n");
}

static void head(ds_metrics *m, const ds_metric *d)
{
	static const char *const types[] = { "gauge", "counter", "summary" };
	if (m->last && strcmp(m->last, d->name) == 0)
		return;
	m->last = d->name;
	ds_buf_printf(&m->body, "# HELP %s %s\n# TYPE %s %s\n", d->name, d->help, d->name, types[d->type]);
}

static void sample(ds_metrics *m, const char *name, const char *suffix, const char *key, const char *value, double v)
{
	ds_buf l = { 0 };
	ds_buf_str(&l, "{");
	if (m->label.len)
		ds_buf_add(&l, m->label.data, m->label.len);
	if (key)
		label(&l, key, value);
	ds_buf_printf(&m->body, "%s%s%s%s ", name, suffix, l.len > 1 ? l.data : "", l.len > 1 ? "}" : "");
	number(&m->body, v);
	m->body.oom |= l.oom;
	ds_buf_done(&l);
}

void ds_metrics_add(ds_metrics *m, const ds_metric *d, const char *key, const char *value, double v)
{
	if (isnan(v))
		return;
	head(m, d);
	sample(m, d->name, "", key, value, v);
}

void ds_metrics_summary(ds_metrics *m, const ds_metric *d, int n, const double *p, const double *v, double sum, uint64_t count)
{
	char text[40];
	head(m, d);
	for (int i = 0; i < n; i++)
		if (!isnan(v[i]))
			sample(m, d->name, "", "quantile", ds_fmt_f64(text, p[i]), v[i]);
	sample(m, d->name, "_sum", NULL, NULL, sum);
	sample(m, d->name, "_count", NULL, NULL, (double)count);
}

void ds_metrics_begin(ds_metrics *m, const char *filter, const char *model)
{
	static const ds_metric build = { "ds_build_info", DS_METRIC_GAUGE, "The ds tools that wrote this page." };
	*m = (ds_metrics){ 0 };
	label(&m->label, "filter", filter);
	const char *slash = model ? strrchr(model, '/') : NULL;
	if (model)
		label(&m->label, "model", slash ? slash + 1 : model);
	ds_metrics_add(m, &build, "version", DS_VERSION, 1);
}

/* Resident pages now, by /proc; NaN where there is none. */
static double resident(void)
{
	long all, in_memory = -1;
	FILE *f = fopen("/proc/self/statm", "re");
	if (!f)
		return NAN;
	int n = fscanf(f, "%ld %ld", &all, &in_memory);
	fclose(f);
	return n == 2 ? (double)in_memory * (double)sysconf(_SC_PAGESIZE) : NAN;
}

void ds_metrics_process(ds_metrics *m)
{
	static const ds_metric rows[] = {
		{ "ds_process_resident_memory_bytes", DS_METRIC_GAUGE, "Memory of the process when the page was written." },
		{ "ds_process_resident_memory_max_bytes", DS_METRIC_GAUGE, "Most memory that the process had." },
		{ "ds_process_cpu_seconds_total", DS_METRIC_COUNTER, "Processor time of the process, all threads, user and system." },
		{ "ds_last_run_timestamp_seconds", DS_METRIC_GAUGE, "When the page was written, in seconds since 1970." },
	};
	struct rusage u;
	struct timespec t = { 0 };
	bool known = getrusage(RUSAGE_SELF, &u) == 0;
	clock_gettime(CLOCK_REALTIME, &t);
	double now = resident();                /* the kernel brings the maximum up to date a little later */
	const double v[] = {
		now, known ? fmax((double)u.ru_maxrss * 1024, now) : NAN,
		known ? (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6 : NAN,
		(double)t.tv_sec + floor((double)t.tv_nsec * 1e-6) * 1e-3,
	};
	for (size_t i = 0; i < DS_COUNTOF(rows); i++)
		ds_metrics_add(m, &rows[i], NULL, NULL, v[i]);
}

ds_status ds_metrics_end(ds_metrics *m, const char *path, ds_err *err)
{
	ds_sink *s = NULL;
	ds_status rc = m->body.oom || m->label.oom ? ds_fail_nomem(err, m->body.len) : ds_sink_open(&s, path, err);
	if (rc == DS_OK)
		rc = ds_sink_write(s, m->body.data, m->body.len, err);
	if (rc == DS_OK)
		rc = ds_sink_commit(s, err);
	else
		ds_sink_abort(s);
	ds_metrics_done(m);
	return rc;
}

void ds_metrics_done(ds_metrics *m)
{
	ds_buf_done(&m->body);
	ds_buf_done(&m->label);
	*m = (ds_metrics){ 0 };
}
