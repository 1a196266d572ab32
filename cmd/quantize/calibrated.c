/* calibrated.c - weights and activations: the whole model in memory, samples through it; integers of a model that was trained with rounding */
#include <math.h>
#include <string.h>

#include "data/data.h"
#include "exec/exec.h"
#include "format/history.h"
#include "parts.h"

/* Samples for the methods: bad items are told and left out; the content of all others is summed for the history. */
typedef struct feed {
	ds_samples *from;
	ds_progress *progress;
	int64_t     limit, given, bad;
	bool        summing;
	ds_sha256   sum;
	uint64_t    summed;
} feed;

static ds_status feed_next(void *arg, const ds_tensor **in, int *n_in, ds_err *err)
{
	feed *f = arg;
	ds_item item;
	while (f->given < f->limit) {
		bool bad = false;
		ds_status rc = f->from->next(f->from, &item, &bad, err);
		if (rc != DS_OK && !bad)
			return rc;
		if (bad) {
			if (f->summing) {
				ds_complain(err);
				f->bad++;
			}
			continue;
		}
		for (int i = 0; i < item.n_in && f->summing; i++) {
			ds_sha256_add(&f->sum, item.in[i].data, ds_tensor_bytes(&item.in[i]));
			f->summed += ds_tensor_bytes(&item.in[i]);
		}
		ds_progress_at(f->progress, ++f->given, NULL);
		*in = item.in;
		*n_in = item.n_in;
		return DS_OK;
	}
	return DS_END;
}

/* The first pass is the one that is summed and complains. */
static ds_status feed_rewind(void *arg, ds_err *err)
{
	feed *f = arg;
	f->summing = f->summed == 0;
	f->given = 0;
	return f->summing ? DS_OK : f->from->rewind(f->from, err);
}

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

/* auto: where depthwise convolutions are, whose channels differ most. */
static bool wants_equalizing(const settings *s, const ds_graph *g)
{
	for (int i = 0; i < g->n_node && s->equalize == 0; i++) {
		const ds_attr *group = ds_attr_find(g->node[i], "group");
		if (strcmp(g->node[i]->op_name, "Conv") == 0 && group && group->u.i > 1 && g->node[i]->in[1]->type.dim[1] == 1)
			return true;
	}
	return s->equalize == 1;
}

static ds_status calibrate(settings *s, ds_model *m, account *a, ds_sha256 *sum, uint64_t *summed, ds_err *err)
{
	ds_data_opts d = { .model = m, .n_path = 1, .path = &s->c.calibrate, .recursive = true, .threads = 1, .max_pixels = (uint64_t)1 << 27,
		.spread = s->max_samples };
	feed f = { .limit = s->max_samples };
	ds_qplan table = { 0 };
	ds_buf log = { 0 };
	ds_qlayer *layer = NULL;
	int n = 0;
	ds_status rc;
	ds_sha256_init(&f.sum);
	DS_GOTO(decide(s, m, &table, err));
	DS_GOTO(ds_data_open(&f.from, &d, err));
	f.progress = ds_progress_new(&s->c, "calibration", f.from->count(f.from));
	ds_q8_opts o = { .range = s->rule, .weight_range = DS_RANGE_MINMAX, .equalize = wants_equalizing(s, m->graph), .bias_correct = !s->no_bias,
		.bits = layer_bits, .rule = layer_rule, .bits_arg = &table, .fake = s->qat, .threads = (int)s->c.threads, .log = s->c.verbose ? &log : NULL,
		.local_error = s->c.verbose || s->c.report };
	DS_GOTO(ds_q_calibrated(m->graph, &o, &(ds_qsamples){ feed_next, feed_rewind, &f }, &layer, &n, err));
	tell_log(&log);
	for (int i = 0; i < n; i++)
		DS_GOTO(tell_layer(a, &layer[i], err));
	if (f.bad)
		ds_items_failed((uint64_t)f.bad, (uint64_t)(f.bad + f.given));
	a->tensors = m->graph->n_weight;
	*sum = f.sum;
	*summed = f.summed;
out:
	ds_qplan_done(&table);
	ds_progress_free(f.progress);
	if (f.from)
		f.from->free(f.from);
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

ds_status run_model(settings *s, ds_source **src, ds_sink *sink, ds_sink *report, ds_err *err)
{
	account a = { .report = report };
	ds_dsm_opts ro = { .memory_limit = s->c.memory_limit, .no_verify = s->c.no_verify };
	ds_dsm_wopts wo = { .compress = s->c.compress, .memory_limit = s->c.memory_limit };
	ds_source *in = *src;
	ds_model *m = NULL;
	ds_sha256 sum;
	uint64_t summed = 0;
	char hex[65], *external = NULL;
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
	DS_GOTO(s->trained ? make_integers(s, m, &a, err) : calibrate(s, m, &a, &sum, &summed, err));
	for (int i = 0; s->c.no_history && i < m->n_history; i++)
		ds_meta_done(&m->history[i]);
	if (s->c.no_history)
		m->n_history = 0;
	if (!s->c.no_history && s->trained) {
		DS_GOTO(ds_history_add(m, s->c.filter->name, s->c.effective, NULL, 0, NULL, err));
	} else if (!s->c.no_history) {
		ds_sha256_hex(&sum, hex);
		if (!(external = ds_history_external_sum("calibration", hex, summed))) {
			rc = ds_fail_nomem(err, 0);
			goto out;
		}
		const char *ext[1] = { external };
		DS_GOTO(ds_history_add(m, s->c.filter->name, s->c.effective, ext, 1, s->plan_text.data, err));
	}
	DS_GOTO(ds_model_save(m, sink, &wo, err));
	rc = tell_end(&a, before, ds_sink_offset(sink), err);
out:
	ds_free(external);
	ds_model_free(m);
	return rc;
}
