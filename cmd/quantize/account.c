/* account.c - what ds-quantize says of each weight and layer: -v and --report */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "parts.h"

static void json_number(ds_buf *b, double v)
{
	char num[40];
	ds_buf_str(b, isfinite(v) ? ds_fmt_f64(num, v) : "null");
}

static ds_status report_line(account *a, ds_buf *b, ds_err *err)
{
	ds_status rc = b->oom ? ds_fail_nomem(err, 0) : ds_sink_write(a->report, b->data, b->len, err);
	ds_buf_done(b);
	return rc;
}

static void weight_keys(ds_buf *b, const char *name, const char *bits, const ds_tnsr *t, const ds_qw_stat *st)
{
	static const char *const gran[] = { "tensor", "row", "group" };
	ds_buf_str(b, "\"tensor\":");
	ds_text_json(b, name, strlen(name));
	ds_buf_printf(b, ",\"bits\":\"%s\",\"granularity\":\"%s\",\"group\":", bits, gran[t->form.gran]);
	ds_buf_printf(b, t->form.group ? "%u" : "null", t->form.group);
	ds_buf_printf(b, ",\"elements\":%" PRId64 ",\"bytes_before\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"bits_per_weight\":", st->count, st->bytes_in, st->bytes);
	json_number(b, 8.0 * (double)st->bytes / (double)st->count);
	ds_buf_str(b, ",\"mse\":");
	json_number(b, st->err_sq / (double)st->count);
	ds_buf_str(b, ",\"sqnr_db\":");
	json_number(b, ds_qw_sqnr(st));
	ds_buf_str(b, ",\"clipped\":");
	json_number(b, (double)st->clipped / (double)st->count);
}

ds_status tell_tensor(account *a, const settings *s, const char *name, const ds_tnsr *t, const ds_qw_stat *st, ds_err *err)
{
	char bits[8], sqnr[32] = "";
	snprintf(bits, sizeof bits, "w%d", t->form.code == DS_I8 ? 8 : (int)(t->form.code - DS_U2 + 2));
	if (!s->trained)
		snprintf(sqnr, sizeof sqnr, ", SQNR %.1f dB", ds_qw_sqnr(st));
	a->quantised++;
	a->weights += (double)st->count;
	a->weight_bits += 8.0 * (double)st->bytes;
	ds_note("%s: %s, %s %u, %.2f bits per weight%s", name, bits, t->form.group ? "groups of" : "rows", t->form.group ? t->form.group :
		(unsigned)st->scales, 8.0 * (double)st->bytes / (double)st->count, sqnr);
	if (!a->report)
		return DS_OK;
	ds_buf b = { 0 };
	ds_buf_str(&b, "{\"event\":\"tensor\",");
	weight_keys(&b, name, bits, t, st);
	ds_buf_str(&b, "}\n");
	return report_line(a, &b, err);
}

ds_status tell_end(account *a, uint64_t before, uint64_t after, ds_err *err)
{
	char x[16], y[16];
	double bpw = a->weights > 0 ? a->weight_bits / a->weights : 0;
	ds_note("%d of %d tensors quantised, %.3f bits per weight with scales and padding; %s -> %s (%.3f)", a->quantised, a->tensors, bpw,
		ds_fmt_size(x, before), ds_fmt_size(y, after), before ? (double)after / (double)before : 0);
	if (!a->report)
		return DS_OK;
	ds_buf b = { 0 };
	ds_buf_printf(&b, "{\"event\":\"end\",\"tensors\":%d,\"quantised\":%d,\"bits_per_weight\":", a->tensors, a->quantised);
	json_number(&b, bpw);
	ds_buf_printf(&b, ",\"file_bytes_before\":%" PRIu64 ",\"file_bytes\":%" PRIu64 "}\n", before, after);
	return report_line(a, &b, err);
}

static double decibel(double signal, double noise)
{
	return noise > 0 ? 10 * log10(signal / noise) : HUGE_VAL;
}

ds_status tell_layer(account *a, const ds_qlayer *l, ds_err *err)
{
	a->quantised++;
	a->weights += (double)l->stat.count;
	a->weight_bits += 8.0 * (double)l->stat.bytes;
	char bits[16], alone[48] = "";
	snprintf(bits, sizeof bits, "w%da%d", l->bits, l->in.bits ? l->in.bits : 8);
	if (l->out_sq > 0)
		snprintf(alone, sizeof alone, " output SQNR %.1f dB alone,", decibel(l->out_sq, l->out_err));
	if (l->in.scale > 0)
		ds_note("%s: %s, weight SQNR %.1f dB,%s input scale %.6g zero %d, %.4f %% clipped", l->node, bits, ds_qw_sqnr(&l->stat), alone,
			(double)l->in.scale, l->in.zero, 100 * l->clipped);
	else
		ds_note("%s: %s, weight SQNR %.1f dB, each row of the input with its own scale", l->node, bits, ds_qw_sqnr(&l->stat));
	if (!a->report)
		return DS_OK;
	ds_buf b = { 0 };
	ds_tnsr t = { .form.gran = DS_Q_ROW };
	ds_buf_str(&b, "{\"event\":\"layer\",\"layer\":");
	ds_text_json(&b, l->node, strlen(l->node));
	ds_buf_printf(&b, ",\"operator\":\"%s\",", l->op);
	weight_keys(&b, l->weight, bits, &t, &l->stat);
	ds_buf_str(&b, ",\"input_scale\":");
	json_number(&b, l->in.scale > 0 ? (double)l->in.scale : NAN);
	ds_buf_printf(&b, ",\"input_zero\":%d,\"input_clipped\":", l->in.zero);
	json_number(&b, l->clipped);
	ds_buf_str(&b, ",\"output_scale\":");
	json_number(&b, l->out.scale > 0 ? (double)l->out.scale : NAN);
	ds_buf_str(&b, ",\"output_mse_ratio\":");
	json_number(&b, l->out_sq > 0 ? l->out_err / l->out_sq : NAN);
	ds_buf_str(&b, ",\"output_sqnr_db\":");
	json_number(&b, decibel(l->out_sq, l->out_err));
	ds_buf_str(&b, "}\n");
	return report_line(a, &b, err);
}

void tell_log(ds_buf *log)
{
	for (char *s = log->data, *e; s && *s; s = e + 1) {
		if (!(e = strchr(s, '\n')))
			break;
		*e = 0;
		char *node = strchr(s, '\t'), *what = node ? strchr(node + 1, '\t') : NULL;
		if (what) {
			*node = *what = 0;
			ds_note("%s: %s: %s", node + 1, s, what + 1);
			continue;
		}
		if (node)
			*node = 0;
		ds_note("%s%s%s", s, node ? ": " : "", node ? node + 1 : "");
	}
	ds_buf_done(log);
}
