/* calibrated.c - weights and activations: the whole model in memory, samples through it; integers of a model that was trained with rounding */
#include <inttypes.h>
#include <string.h>

#include "../feed.h"
#include "format/history.h"
#include "parts.h"

/* The table of the model's layers, decided: by options or by the plan. */
static ds_status decide(settings *s, const ds_model *m, ds_qplan *table, ds_err *err)
{
	const char *why;
	DS_TRY(ds_qplan_layers(table, m->graph, s->qat, err));
	for (int i = 0; i < table->n; i++)
		DS_TRY(table_decide(s, &table->row[i], &why, err));
	return table_check(s, m->id_crc, m->id_len, err);
}

/* The methods ask by name. */
static const ds_qrow *row_of(const ds_qplan *table, const char *node)
{
	for (int i = 0; i < table->n; i++)
		if (strcmp(table->row[i].node, node) == 0)
			return &table->row[i];
	return NULL;
}

static ds_qbits layer_bits(void *arg, const char *node, const char *weight, bool edge)
{
	const ds_qrow *r = row_of(arg, node);
	(void)weight, (void)edge;
	return r ? r->bits : (ds_qbits){ 0, 0 };
}

static const ds_qrule *layer_rule(void *arg, const char *node)
{
	const ds_qrow *r = row_of(arg, node);
	return r && r->bits.w ? &r->range : NULL;
}

/* -c names a file of statistics, or samples. */
static ds_status open_samples(settings *s, const ds_model *m, feed *f, ds_statistics *stats, bool *have, ds_err *err)
{
	ds_data_opts d = { .model = m, .n_path = 1, .path = &s->c.calibrate, .recursive = true, .threads = 1, .max_pixels = (uint64_t)1 << 27,
		.spread = s->max_samples };
	ds_source *src;
	*have = ds_statistics_at(s->c.calibrate);
	if (!*have) {
		DS_TRY(ds_data_open(&f->from, &d, err));
		f->progress = ds_progress_new(&s->c, "calibration", f->from->count(f->from));
		return DS_OK;
	}
	if (ds_given("max-samples"))
		return ds_fail(err, DS_E_USAGE, "--max-samples is for samples; %s is a file of statistics", s->c.calibrate);
	DS_TRY(ds_open_file(&src, &s->c, s->c.calibrate, err));
	ds_status rc = ds_statistics_read(stats, src, &(ds_dsm_opts){ .memory_limit = s->c.memory_limit, .no_verify = s->c.no_verify }, err);
	if (rc == DS_OK && (stats->crc != m->id_crc || stats->len != m->id_len))
		rc = ds_fail(err, DS_E_INPUT, "statistics of another model (%08" PRIx32 ":%" PRIu64 ", this one is %08" PRIx32 ":%" PRIu64 ")", stats->crc, stats->len, m->id_crc, m->id_len);
	if (rc != DS_OK)
		ds_err_in(err, s->c.calibrate);
	f->of = stats->of;
	return rc;
}

static ds_status calibrate(settings *s, ds_model *m, account *a, ds_digest *of, ds_err *err)
{
	feed f = { .limit = s->max_samples };
	ds_statistics stats = { 0 };
	bool have = false;
	ds_qplan table = { 0 };
	ds_buf log = { 0 };
	ds_qlayer *layer = NULL;
	int n = 0;
	ds_status rc;
	DS_GOTO(decide(s, m, &table, err));
	DS_GOTO(open_samples(s, m, &f, &stats, &have, err));
	ds_q8_opts o = { .range = s->rule, .weight_range = DS_RANGE_MINMAX, .equalize = !s->qat && feed_equalize(s->equalize, m->graph), .bias_correct = !s->no_bias,
		.bits = layer_bits, .rule = layer_rule, .bits_arg = &table, .fake = s->qat, .threads = (int)s->c.threads, .log = s->c.verbose ? &log : NULL,
		.stats = have ? &stats.q : NULL, .local_error = s->c.verbose || s->c.report };
	rc = ds_q_calibrated(m->graph, &o, &(ds_qsamples){ feed_next, feed_rewind, &f }, &layer, &n, err);
	if (rc != DS_OK) {
		if (have)
			ds_err_in(err, s->c.calibrate);
		goto out;
	}
	tell_log(&log);
	for (int i = 0; i < n; i++)
		DS_GOTO(tell_layer(a, &layer[i], err));
	if (f.bad)
		ds_items_failed((uint64_t)f.bad, (uint64_t)(f.bad + f.given));
	a->tensors = m->graph->n_weight;
	*of = f.of;
out:
	ds_qplan_done(&table);
	feed_done(&f);
	ds_statistics_done(&stats);
	ds_buf_done(&log);
	ds_free(layer);
	return rc;
}

/* Fake quantisation to integers; each quantised weight is told of. */
static ds_status make_integers(settings *s, ds_model *m, account *a, ds_err *err)
{
	ds_buf log = { 0 };
	const ds_graph *g = m->graph;
	int lowered;
	ds_status rc = ds_q_export(m->graph, &lowered, s->c.verbose ? &log : NULL, err);
	tell_log(&log);
	for (int i = 0; rc == DS_OK && i < g->n_weight; i++) {
		const ds_value *v = g->weight[i];
		ds_qsize size;
		if (v->kind != DS_V_PARAM || !v->data.q)
			continue;
		rc = ds_qform_size(v->data.q, v->data.rank, v->data.dim, &size, err);
		ds_tnsr t = { .form = *v->data.q };
		ds_qw_stat st = { .count = ds_tensor_count(&v->data), .scales = size.scales, .bytes = size.total };
		st.bytes_in = (uint64_t)st.count * sizeof(float);
		if (rc == DS_OK)
			rc = tell_tensor(a, s, v->name, &t, &st, err);
	}
	for (int i = 0; rc == DS_OK && i < g->n_node; i++)
		if (strcmp(g->node[i]->op_name, "FakeQuantize") == 0)
			ds_warn("%s: its codes have no integer form; it stays", g->node[i]->name);
	a->tensors = g->n_weight;
	return rc;
}

static ds_status put_history(settings *s, ds_model *m, const ds_digest *of, ds_err *err)
{
	char hex[65], *sum = NULL, *plan = NULL;
	const char *effective, *ext[2];
	int n = 0;
	ds_status rc;
	DS_GOTO(table_history(s, &effective, &plan, err));
	if (!s->trained) {
		ds_digest_hex(of, hex);
		if (!(ext[n++] = sum = ds_history_external_sum("calibration", hex, of->bytes))) {
			rc = ds_fail_nomem(err, 0);
			goto out;
		}
	}
	if (plan)
		ext[n++] = plan;
	rc = ds_history_add(m, s->c.filter->name, effective, ext, n, s->plan_text.data, err);
out:
	ds_free(sum);
	ds_free(plan);
	return rc;
}

ds_status run_model(settings *s, ds_source **src, ds_sink *sink, ds_sink *report, ds_err *err)
{
	account a = { .report = report };
	ds_dsm_opts ro = { .memory_limit = s->c.memory_limit, .no_verify = s->c.no_verify };
	ds_dsm_wopts wo = { .compress = s->c.compress, .memory_limit = s->c.memory_limit };
	ds_source *in = *src;
	ds_model *m = NULL;
	ds_digest of = { 0 };
	*src = NULL;
	ds_status rc = ds_model_load(&m, in, &ro, err);
	if (rc != DS_OK)
		return rc;
	uint64_t before = m->id_len;
	if (s->c.dry_run) {
		ds_qplan table = { 0 };
		rc = decide(s, m, &table, err);
		if (rc == DS_OK)
			rc = table_print(&table, m->id_crc, m->id_len, sink, err);
		ds_qplan_done(&table);
		goto out;
	}
	DS_GOTO(s->trained ? make_integers(s, m, &a, err) : calibrate(s, m, &a, &of, err));
	for (int i = 0; s->c.no_history && i < m->n_history; i++)
		ds_meta_done(&m->history[i]);
	if (s->c.no_history)
		m->n_history = 0;
	if (!s->c.no_history)
		DS_GOTO(put_history(s, m, &of, err));
	DS_GOTO(ds_model_save(m, sink, &wo, err));
	rc = tell_end(&a, before, ds_sink_offset(sink), err);
out:
	ds_model_free(m);
	return rc;
}
