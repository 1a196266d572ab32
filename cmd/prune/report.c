/* report.c - ds-prune: what changed, layer by layer and stage by stage */
#include <inttypes.h>
#include <string.h>

#include "prune.h"

static void sum_rows(const ds_prune_row *r, int n, ds_prune_row *sum)
{
	*sum = (ds_prune_row){ .name = "total" };
	for (int i = 0; i < n; i++) {
		sum->params_before += r[i].params_before;
		sum->params_after += r[i].params_after;
		sum->macs_before += r[i].macs_before;
		sum->macs_after += r[i].macs_after;
	}
}

static void score_cells(ds_rows *out, bool there, const ds_fit_score *v)
{
	if (there && v->has_accuracy)
		ds_rows_f64(out, v->accuracy);
	else
		ds_rows_null(out);
	if (there && v->has_loss)
		ds_rows_f64(out, v->loss);
	else
		ds_rows_null(out);
}

/* One object for each stage of the run and of its control. */
static ds_status report_stages(const work *w, ds_sink *sink, ds_err *err)
{
	static const char *const keys[] = { "run", "criterion", "stage", "share", "parameters", "macs", "accuracy", "loss", "trained_accuracy", "trained_loss", NULL };
	const ds_slim_result *runs[] = { &w->r, &w->control };
	ds_rows *out = NULL;
	ds_status rc = ds_rows_open(&out, sink, true, keys, err);
	for (int k = 0; k < 2 && rc == DS_OK; k++)
		for (int i = 0; i < runs[k]->n_stage && rc == DS_OK; i++) {
			const ds_slim_stage *g = &runs[k]->stage[i];
			const char *run = k ? "control" : "run", *criterion = k ? w->s->control : w->p.criterion->name;
			ds_rows_str(out, run, strlen(run));
			ds_rows_str(out, criterion, strlen(criterion));
			ds_rows_i64(out, i + 1);
			ds_rows_f64(out, g->share);
			ds_rows_f64(out, g->params);
			ds_rows_f64(out, g->macs);
			score_cells(out, g->measured, &g->cut);
			score_cells(out, g->measured && g->tuned, &g->after);
			rc = ds_rows_end(out, err);
		}
	ds_rows_close(out);
	return rc;
}

ds_status prune_show_table(const work *w, const ds_model *before, const ds_model *after, ds_err *err)
{
	const settings *s = w->s;
	static const char *const columns[] = { "layer", ">in", ">out", ">parameters", ">MACs", NULL };
	static const char *const keys[] = { "layer", "in_before", "in_after", "out_before", "out_after", "parameters_before", "parameters_after", "macs_before",
		"macs_after", NULL };
	ds_prune_row *rows = NULL, sum;
	int n = 0;
	ds_sink *sink = NULL;
	ds_rows *out = NULL;
	ds_buf text = { 0 };
	ds_table t;
	ds_status rc = DS_OK;
	DS_GOTO(ds_prune_table(before, after, NULL, &rows, &n, err));
	sum_rows(rows, n, &sum);
	if (s->c.report) {
		DS_GOTO(ds_sink_open(&sink, s->c.report, err));
		DS_GOTO(ds_rows_open(&out, sink, true, keys, err));
		for (int i = 0; i < n; i++) {
			ds_rows_str(out, rows[i].name, strlen(rows[i].name));
			ds_rows_i64(out, rows[i].in_before);
			ds_rows_i64(out, rows[i].in_after);
			ds_rows_i64(out, rows[i].out_before);
			ds_rows_i64(out, rows[i].out_after);
			ds_rows_f64(out, rows[i].params_before);
			ds_rows_f64(out, rows[i].params_after);
			ds_rows_f64(out, rows[i].macs_before);
			ds_rows_f64(out, rows[i].macs_after);
			DS_GOTO(ds_rows_end(out, err));
		}
		ds_rows_close(out);
		out = NULL;
		DS_GOTO(report_stages(w, sink, err));
		rc = ds_sink_commit(sink, err);
		sink = NULL;
		if (rc != DS_OK)
			goto out;
	}
	if (s->c.verbose) {
		ds_table_init(&t, columns);
		for (int i = 0; i < n; i++) {
			ds_table_cell(&t, "%s", rows[i].name);
			ds_table_cell(&t, rows[i].in_before == rows[i].in_after ? "%" PRId64 : "%" PRId64 " > %" PRId64, rows[i].in_before, rows[i].in_after);
			ds_table_cell(&t, rows[i].out_before == rows[i].out_after ? "%" PRId64 : "%" PRId64 " > %" PRId64, rows[i].out_before, rows[i].out_after);
			ds_table_cell(&t, "%.0f > %.0f", rows[i].params_before, rows[i].params_after);
			ds_table_cell(&t, "%.3gM > %.3gM", rows[i].macs_before / 1e6, rows[i].macs_after / 1e6);
		}
		DS_GOTO(ds_sink_memory(&sink, &text, err));
		DS_GOTO(ds_table_write(&t, sink, err));
		rc = ds_sink_commit(sink, err);
		sink = NULL;
		for (const char *line = text.data; rc == DS_OK && line && *line;) {
			const char *nl = strchr(line, '\n');
			size_t len = nl ? (size_t)(nl - line) : strlen(line);
			ds_note("%.*s", (int)len, line);
			line = nl ? nl + 1 : NULL;
		}
	}
	ds_note("parameters %.0f > %.0f (%.1f %%), MACs %.4gM > %.4gM (%.1f %%)", sum.params_before, sum.params_after, 100 * sum.params_after /
		DS_MAX(sum.params_before, 1), sum.macs_before / 1e6, sum.macs_after / 1e6, 100 * sum.macs_after / DS_MAX(sum.macs_before, 1));
out:
	ds_rows_close(out);
	ds_sink_abort(sink);
	ds_buf_done(&text);
	ds_free(rows);
	return rc;
}
