/* ds-info.c - what a stream holds: summary, tensors, graph, history; verification, differences, what lies at an offset
 *
 * Records are taken as they come, so a pipe works as well as a file, and of a stream that is cut everything before the cut is shown.  In a mapped file
 * payloads are passed by without being touched; headers, trailers and the chain between them are checked all the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "info/info.h"

#define AT(member) offsetof(settings, member)
static const ds_opt opts[] = {
	{ .name = "", .type = DS_T_GROUP, .help = "What to show (default: a summary)" },
	{ .name = "tensors", .letter = 't', .type = DS_T_FLAG, .offset = AT(tensors), .help = "one row per tensor: type, shape, bytes, bits per element" },
	{ .name = "graph", .letter = 'g', .type = DS_T_FLAG, .offset = AT(graph), .help = "one row per node: operator, inputs, outputs, attributes" },
	{ .name = "history", .type = DS_T_FLAG, .offset = AT(history), .help = "the commands that made the model, oldest first" },
	{ .name = "replay", .type = DS_T_FLAG, .offset = AT(replay),
		.help = "print a Makefile that does those commands again and compares what they make with this stream" },
	{ .name = "verify", .type = DS_T_FLAG, .offset = AT(verify), .help = "check every byte, payloads too" },
	{ .name = "diff", .type = DS_T_STR, .offset = AT(diff), .metavar = "MODEL", .help = "what differs from another stream; exit 6 if anything does" },
	{ .name = "at", .type = DS_T_STR, .offset = AT(at), .metavar = "OFFSET",
		.help = "what lies at a byte: N as cmp counts (from 1), @N as messages do (from 0)" },
	{ 0 }
};

static ds_status check(void *p, ds_err *err)
{
	settings *s = p;
	int modes = (s->tensors || s->graph || s->history) + s->replay + (s->diff != NULL) + (s->at != NULL);
	if (modes > 1)
		return ds_fail(err, DS_E_USAGE, "--replay, --diff and --at stand alone");
	if (s->verify && s->c.no_verify)
		return ds_fail(err, DS_E_USAGE, "--verify and --no-verify together");
	if (s->at) {
		bool zero = s->at[0] == '@';
		if (!ds_parse_i64(s->at + zero, &s->offset) || s->offset < !zero)
			return ds_fail(err, DS_E_USAGE, "--at: '%.50s' is not a byte number", s->at);
		s->offset -= !zero;
	}
	return DS_OK;
}

/* ---- what is known about the stream --------------------------------------------------------------------------------------------------------------- */
typedef struct op_count { const char *name; int n; } op_count;
typedef struct info {
	ds_meta   meta;
	ds_graph *graph;
	double    elements, bytes;
	int64_t   tensors, records, assets, history, items;
	ds_buf    tools, asset_names, forms;
	uint32_t  crc;
	uint64_t  len;
	bool      verified, complete;
	replay   *replay;               /* NULL: not asked for */
} info;

static void info_done(info *f)
{
	ds_meta_done(&f->meta);
	ds_graph_free(f->graph);
	ds_buf_done(&f->tools);
	ds_buf_done(&f->asset_names);
	ds_buf_done(&f->forms);
	info_replay_free(f->replay);
}

static const char *const scheme_word[] = { "plain", "symmetric", "asymmetric", "codebook", "minima" };

/* "u4 symmetric group 128", "i8 symmetric row", "f32" */
static void form_text(ds_buf *b, const ds_tnsr *t)
{
	static const char *const gran[] = { "tensor", "row", "group" };
	ds_buf_str(b, ds_dtype_name(t->form.code));
	if (t->form.scheme == DS_Q_PLAIN)
		return;
	ds_buf_printf(b, " %s %s", scheme_word[t->form.scheme], gran[t->form.gran]);
	if (t->form.gran == DS_Q_GROUP)
		ds_buf_printf(b, " %u", t->form.group);
}

static double elements_of(const ds_tnsr *t)
{
	double n = 1;
	for (int i = 0; i < t->rank; i++)
		n *= (double)t->dim[i];
	return n;
}

static ds_status tensor_row(section *o, const ds_tnsr *t, bool items, ds_err *err)
{
	ds_buf b = { 0 };
	if (items) {
		info_cell_i64(o, t->item);
		info_cell_str(o, t->item_name ? t->item_name : "", t->item_len);
	}
	info_cell_text(o, t->name);
	form_text(&b, t);
	info_cell_text(o, b.data ? b.data : "");
	ds_buf_reset(&b);
	for (int i = 0; i < t->rank; i++)
		ds_buf_printf(&b, "%s%lld", i ? ", " : "[", (long long)t->dim[i]);
	ds_buf_str(&b, t->rank ? "]" : "[]");
	info_cell_text(o, b.data ? b.data : "");
	info_cell_i64(o, (int64_t)t->raw_len);
	info_cell_bits(o, (double)t->raw_len, elements_of(t));
	ds_buf_done(&b);
	return info_row_end(o, err);
}

static ds_status begin_tensors(section *o, bool items, ds_err *err)
{
	static const char *const plain[] = { "name", "type", "shape", ">bytes", ">bits", NULL };
	static const char *const keys[] = { "name", "type", "shape", "bytes", "bits", NULL };
	static const char *const item_plain[] = { ">item", "input", "name", "type", "shape", ">bytes", ">bits", NULL };
	static const char *const item_keys[] = { "item", "input", "name", "type", "shape", "bytes", "bits", NULL };
	return info_section_begin(o, items ? item_plain : plain, items ? item_keys : keys, err);
}

/* ---- history ------------------------------------------------------------------------------------------------------------------------------------------ */
static ds_status history_rows(section *o, int64_t step, const ds_meta *m, ds_err *err)
{
	char num[32];
	for (int i = 0; i < m->n; i++) {
		const ds_kv *k = &m->kv[i];
		for (int j = 0; j < (k->type == DS_KV_STR ? 1 : k->n); j++) {
			info_cell_i64(o, step);
			info_cell_text(o, k->key);
			if (k->type == DS_KV_STR)
				info_cell_text(o, k->u.s);
			else if (k->type == DS_KV_LIST)
				info_cell_text(o, k->u.l[j]);
			else if (k->type == DS_KV_F64)
				info_cell_text(o, ds_fmt_f64(num, k->u.f[j]));
			else
				info_cell_i64(o, k->u.i[j]);
			DS_TRY(info_row_end(o, err));
		}
	}
	return DS_OK;
}

/* ---- summary ------------------------------------------------------------------------------------------------------------------------------------------ */
static ds_status line(section *o, const char *key, const char *value, ds_err *err)
{
	ds_status rc;
	if (!o->plain) {
		info_cell_text(o, key);
		info_cell_text(o, value);
		return info_row_end(o, err);
	}
	ds_buf b = { 0 };
	ds_buf_printf(&b, "%-12s ", key);
	ds_text_quote(&b, value, strlen(value));
	ds_buf_str(&b, "\n");
	rc = b.oom ? ds_fail_nomem(err, b.len) : ds_sink_write(o->sink, b.data, b.len, err);
	ds_buf_done(&b);
	return rc;
}

static int by_count(const void *a, const void *b)
{
	const op_count *x = a, *y = b;
	return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : strcmp(x->name, y->name);
}

static int by_op(const void *a, const void *b)
{
	return strcmp(((const op_count *)a)->name, ((const op_count *)b)->name);
}

/* "Conv 53, Relu 49": operators of the main graph, most frequent first. */
static ds_status operators(const ds_graph *g, ds_buf *b, ds_err *err)
{
	op_count *c = ds_calloc((size_t)g->n_node, sizeof *c);
	int n = 0;
	if (!c)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < g->n_node; i++)
		c[i] = (op_count){ g->node[i]->op_name, 1 };
	if (g->n_node)
		qsort(c, (size_t)g->n_node, sizeof *c, by_op);
	for (int i = 0; i < g->n_node; i++)
		if (n && strcmp(c[n - 1].name, c[i].name) == 0)
			c[n - 1].n++;
		else
			c[n++] = c[i];
	if (n)
		qsort(c, (size_t)n, sizeof *c, by_count);
	for (int i = 0; i < n; i++)
		ds_buf_printf(b, "%s%s %d", i ? ", " : "", c[i].name, c[i].n);
	ds_free(c);
	return DS_OK;
}

static ds_status interface(section *o, ds_graph *g, ds_err *err)
{
	const char **symbols;
	ds_buf b = { 0 };
	ds_status rc = info_symbol_names(g, &symbols, err);
	for (int i = 0; rc == DS_OK && i < g->n_input; i++, ds_buf_reset(&b)) {
		info_value_text(&b, g->input[i], symbols);
		rc = line(o, "input", b.data ? b.data : "", err);
	}
	for (int i = 0; rc == DS_OK && i < g->n_output; i++, ds_buf_reset(&b)) {
		info_value_text(&b, g->output[i], symbols);
		rc = line(o, "output", b.data ? b.data : "", err);
	}
	if (rc == DS_OK)
		rc = operators(g, &b, err);
	if (rc == DS_OK)
		rc = line(o, "operators", b.data ? b.data : "", err);
	ds_free((void *)symbols);
	ds_buf_done(&b);
	return rc;
}

enum { META_SHOWN = 8 };        /* items of a long list */

static ds_status meta_lines(section *o, const ds_meta *m, ds_err *err)
{
	ds_buf b = { 0 };
	char num[32];
	ds_status rc = DS_OK;
	for (int i = 0; rc == DS_OK && i < m->n; i++, ds_buf_reset(&b)) {
		const ds_kv *k = &m->kv[i];
		if (strcmp(k->key, "kind") == 0)
			continue;
		if (k->type == DS_KV_STR)
			ds_buf_str(&b, k->u.s);
		for (int j = 0; k->type != DS_KV_STR && j < k->n; j++) {
			if (j == META_SHOWN && k->n > META_SHOWN + 4) {
				ds_buf_printf(&b, " ... (%d)", k->n);
				break;
			}
			ds_buf_str(&b, j ? " " : "");
			if (k->type == DS_KV_I64)
				ds_buf_printf(&b, "%lld", (long long)k->u.i[j]);
			else
				ds_buf_str(&b, k->type == DS_KV_F64 ? ds_fmt_f64(num, k->u.f[j]) : k->u.l[j]);
		}
		rc = line(o, k->key, b.data ? b.data : "", err);
	}
	ds_buf_done(&b);
	return rc;
}

static ds_status summary(section *o, info *f, ds_err *err)
{
	static const char *const keys[] = { "key", "value", NULL };
	char text[200], size[32];
	const char *kind = ds_meta_str(&f->meta, "kind");
	o->plain = !o->s->c.json && !o->s->c.tsv;
	if (!o->plain)
		DS_TRY(info_section_begin(o, keys, keys, err));
	DS_TRY(line(o, "kind", kind ? kind : "?", err));
	DS_TRY(meta_lines(o, &f->meta, err));
	if (f->graph)
		DS_TRY(interface(o, f->graph, err));
	if (o->plain)
		snprintf(text, sizeof text, "%lld, %.0f elements, %s, %.2f bits per element", (long long)f->tensors, f->elements,
			ds_fmt_size(size, (uint64_t)f->bytes), f->elements > 0 ? 8 * f->bytes / f->elements : 0.0);
	else
		snprintf(text, sizeof text, "%lld", (long long)f->tensors);
	DS_TRY(line(o, "tensors", text, err));
	if (!o->plain) {
		snprintf(text, sizeof text, "%.0f", f->elements);
		DS_TRY(line(o, "elements", text, err));
		snprintf(text, sizeof text, "%.0f", f->bytes);
		DS_TRY(line(o, "bytes", text, err));
	}
	if (f->items >= 0 && !f->graph) {
		snprintf(text, sizeof text, "%lld", (long long)f->items + 1);
		DS_TRY(line(o, "items", text, err));
	}
	if (f->asset_names.len)
		DS_TRY(line(o, "assets", f->asset_names.data, err));
	if (f->tools.len)
		DS_TRY(line(o, "history", f->tools.data, err));
	if (!f->complete)
		return DS_OK;
	snprintf(text, sizeof text, "%08x:%llu", f->crc, (unsigned long long)f->len);
	DS_TRY(line(o, "identity", text, err));
	return line(o, "payload", f->verified ? "verified" : "not verified (--verify does)", err);
}

/* ---- going through the stream -------------------------------------------------------------------------------------------------------------------------- */
static ds_status one_record(section *o, info *f, ds_dsm_reader *r, const ds_rec *rec, ds_err *err)
{
	static const char *const hist[] = { ">step", "key", "value", NULL };
	static const char *const hist_keys[] = { "step", "key", "value", NULL };
	const settings *s = o->s;
	ds_status rc = DS_OK;
	f->records++;
	if (rec->type == DS_REC_META) {
		rc = ds_dsm_meta(r, &f->meta, err);
	} else if (rec->type == DS_REC_GRPH) {
		rc = ds_dsm_graph(r, &f->graph, NULL, NULL, err);
		if (rc == DS_OK && s->graph)
			rc = info_show_graph(o, f->graph, err);
	} else if (rec->type == DS_REC_ASSET) {
		ds_buf_printf(&f->asset_names, "%s%s", f->assets++ ? ", " : "", rec->asset_name);
	} else if (rec->type == DS_REC_TENSOR) {
		bool items = rec->tensor.item != DS_NO_SYMBOL;
		if (s->tensors && f->tensors == 0)
			rc = begin_tensors(o, items, err);
		if (rc == DS_OK && s->tensors)
			rc = tensor_row(o, &rec->tensor, items, err);
		f->tensors++;
		f->items = items ? (int64_t)rec->tensor.item : -1;
		f->elements += elements_of(&rec->tensor);
		f->bytes += (double)rec->raw_len;
	} else if (rec->type == DS_REC_HIST) {
		ds_meta m = { 0 };
		rc = ds_dsm_meta(r, &m, err);
		const char *tool = ds_meta_str(&m, "tool");
		if (rc == DS_OK && f->replay)
			rc = info_replay_add(f->replay, &m, err);
		ds_buf_printf(&f->tools, "%s%s", f->history ? ", " : "", tool ? tool : "?");
		if (rc == DS_OK && s->history && f->history == 0)
			rc = info_section_begin(o, hist, hist_keys, err);
		f->history++;
		if (rc == DS_OK && s->history)
			rc = history_rows(o, f->history, &m, err);
		ds_meta_done(&m);
	}
	return rc;
}

static ds_status show(section *o, ds_source *src, ds_err *err)
{
	const settings *s = o->s;
	ds_dsm_reader *r;
	ds_rec rec;
	info f = { .items = -1 };
	ds_err drop;
	DS_TRY(ds_dsm_open(&r, src, &(ds_dsm_opts){ .memory_limit = s->c.memory_limit, .no_verify = !s->verify }, err));
	ds_status rc = s->replay ? info_replay_new(&f.replay, err) : DS_OK;
	if (rc != DS_OK)
		goto out;
	while ((rc = ds_dsm_next(r, &rec, err)) == DS_OK)
		DS_GOTO(one_record(o, &f, r, &rec, err));
	f.complete = rc == DS_END;
	f.verified = ds_dsm_verified(r);
	ds_dsm_identity(r, &f.crc, &f.len);
	bool sections = s->tensors || s->graph || s->history;
	if (s->replay)
		rc = f.complete ? info_replay_write(f.replay, f.crc, f.len, o->sink, err) : rc;
	else if (f.complete)
		rc = sections ? info_section_end(o, err) : summary(o, &f, err);
	else                            /* what came before the failure is worth showing */
		(void)!(sections ? info_section_end(o, &drop) : f.meta.n ? summary(o, &f, &drop) : DS_OK);
	if (rc == DS_OK && sections && s->verify)
		ds_note("%lld records verified", (long long)f.records);
out:
	info_done(&f);
	ds_dsm_close(r);
	return rc;
}

static ds_status run(void *p, ds_err *err)
{
	settings *s = p;
	section o = { .s = s };
	ds_source *in;
	ds_err drop;
	ds_status rc;
	DS_TRY(ds_open_output(&o.sink, &s->c, false, err));
	rc = ds_open_input(&in, &s->c, err);
	if (rc == DS_OK)
		rc = s->diff ? info_show_diff(&o, in, err) : s->at ? info_show_at(&o, in, err) : show(&o, in, err);
	ds_rows_close(o.rows);
	/* what was found before a failure is shown, but leaves no half file; the failure decides the exit code */
	if (rc != DS_OK && rc != DS_E_CHECK && s->c.output && strcmp(s->c.output, "-") != 0) {
		ds_sink_abort(o.sink);
		return rc;
	}
	ds_status done = ds_sink_commit(o.sink, rc == DS_OK ? err : &drop);
	return rc == DS_OK ? done : rc;
}

static const ds_filter filter = {
	.name = "ds-info",
	.summary = "show what a model or tensor stream holds",
	.usage = "[option ...] [MODEL]",
	.examples = "$ ds-info model.dsm\n"
		"$ ds-info --tensors --tsv model.dsm\n"
		"$ ds-info --diff model.dsm model.dsm\n"
		"$ ds-info --replay model.dsm > replay.mk\n",
	.opts = opts,
	.common = DS_C_MODEL | DS_C_OUTPUT | DS_C_FORMAT | DS_C_MEMORY | DS_C_MAP,
	.settings_size = sizeof(settings),
	.check = check,
	.run = run,
	.libraries = "zstd",
};

int main(int argc, char **argv)
{
	return ds_main(&filter, argc, argv);
}
