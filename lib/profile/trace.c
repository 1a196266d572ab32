/* trace.c - a run as trace events
 *
 * The JSON object format of the Trace Event Format: metadata events name the process and the track, complete events ("X") are the steps with begin and length in
 * microseconds, counter events ("C") are the bytes alive. */
#include "time.h"
#include "../base/str.h"

#include <math.h>
#include <string.h>

static void string(ds_buf *b, const char *key, const char *s)
{
	ds_buf_printf(b, ",\"%s\":", key);
	ds_text_json(b, s, strlen(s));
}

static void number(ds_buf *b, const char *key, double v)
{
	char t[32];
	ds_buf_printf(b, ",\"%s\":%s", key, isfinite(v) ? ds_fmt_f64(t, v) : "null");
}

/* Microseconds, to the nanosecond. */
static double micro(double seconds) { return round(seconds * 1e9) / 1e3; }

static void step(ds_buf *b, const ds_time_row *r, double begin, double end)
{
	ds_buf_str(b, ",\n{\"ph\":\"X\",\"pid\":1,\"tid\":1");
	string(b, "name", r->node[0] ? r->node : r->op);
	string(b, "cat", r->op);
	number(b, "ts", micro(begin));
	number(b, "dur", micro(end) - micro(begin));
	ds_buf_printf(b, ",\"args\":{\"step\":%d", r->step);
	string(b, "operator", r->op);
	string(b, "kernel", r->kernel);
	string(b, "output", r->out);
	number(b, "macs", r->cost.macs);
	number(b, "bytes", r->cost.weight_bytes + r->cost.act_bytes);
	number(b, "median_us", r->time.median * 1e6);
	if (r->least > 0)
		number(b, "of_ceiling", r->least / r->took);
	ds_buf_str(b, "}}");
}

static void counter(ds_buf *b, double at, double bytes)
{
	ds_buf_str(b, ",\n{\"ph\":\"C\",\"pid\":1,\"tid\":1,\"name\":\"arena\"");
	number(b, "ts", micro(at));
	ds_buf_str(b, ",\"args\":{\"bytes\":");
	ds_buf_printf(b, "%.0f}}", bytes);
}

ds_status ds_time_trace(const ds_timing *t, const char *model, ds_buf *out, ds_err *err)
{
	double at = 0;
	ds_buf_str(out, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n{\"ph\":\"M\",\"pid\":1,\"tid\":1,\"name\":\"process_name\",\"args\":{\"name\":");
	ds_text_json(out, model, strlen(model));
	ds_buf_str(out, "}},\n{\"ph\":\"M\",\"pid\":1,\"tid\":1,\"name\":\"thread_name\",\"args\":{\"name\":\"steps\"}}");
	ds_buf_str(out, ",\n{\"ph\":\"M\",\"pid\":1,\"tid\":2,\"name\":\"thread_name\",\"args\":{\"name\":\"runs\"}}");
	ds_buf_str(out, ",\n{\"ph\":\"X\",\"pid\":1,\"tid\":2,\"name\":\"run\",\"cat\":\"run\",\"ts\":0");
	number(out, "dur", micro(t->shown));
	ds_buf_printf(out, ",\"args\":{\"runs\":%d,\"items\":%d,\"threads\":%d}}", t->runs, t->items, t->threads);
	for (int i = 0; i < t->n_row; i++) {
		const ds_time_row *r = &t->row[i];
		double begin = fmax(r->begin, at);
		at = fmax(begin, r->begin + r->took);
		counter(out, begin, (double)r->live);
		step(out, r, begin, at);
	}
	counter(out, fmax(at, t->shown), 0);
	ds_buf_str(out, "\n]}\n");
	return out->oom ? ds_fail_nomem(err, out->len) : DS_OK;
}
