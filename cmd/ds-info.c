/* ds-info.c - what a stream holds: summary, tensors, graph, history; verification, differences, what lies at an offset
 *
 * Records are taken as they come, so a pipe works as well as a file, and of a stream that is cut everything before the cut is shown.  In a mapped file
 * payloads are passed by without being touched; headers, trailers and the chain between them are checked all the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "format/dsm.h"

typedef struct settings {
	ds_common   c;
	bool        tensors, graph, history, verify;
	const char *diff, *at;
	int64_t     offset;
} settings;

#define AT(member) offsetof(settings, member)
static const ds_opt opts[] = {
	{ .name = "", .type = DS_T_GROUP, .help = "What to show (default: a summary)" },
	{ .name = "tensors", .letter = 't', .type = DS_T_FLAG, .offset = AT(tensors), .help = "one row per tensor: type, shape, bytes, bits per element" },
	{ .name = "graph", .letter = 'g', .type = DS_T_FLAG, .offset = AT(graph), .help = "one row per node: operator, inputs, outputs, attributes" },
	{ .name = "history", .type = DS_T_FLAG, .offset = AT(history), .help = "the commands that made the model, oldest first" },
	{ .name = "verify", .type = DS_T_FLAG, .offset = AT(verify), .help = "check every byte, payloads too" },
	{ .name = "diff", .type = DS_T_STR, .offset = AT(diff), .metavar = "MODEL", .help = "what differs from another stream; exit 6 if anything does" },
	{ .name = "at", .type = DS_T_STR, .offset = AT(at), .metavar = "OFFSET",
		.help = "what lies at a byte: N as cmp counts (from 1), @N as messages do (from 0)" },
	{ 0 }
};

static ds_status check(void *p, ds_err *err)
{
	settings *s = p;
	int modes = (s->tensors || s->graph || s->history) + (s->diff != NULL) + (s->at != NULL);
	if (modes > 1)
		return ds_fail(err, DS_E_USAGE, "--diff and --at stand alone");
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

/* ---- rows for people (a table) and for programs (TSV, JSON Lines) ------------------------------------------------------------------------------ */
typedef struct section {
	const settings *s;
	ds_sink        *sink;
	ds_rows        *rows;
	ds_table        table;
	bool            plain;          /* a table */
	int             n;              /* sections so far */
} section;

static ds_status section_end(section *o, ds_err *err)
{
	ds_status rc = DS_OK;
	ds_rows_close(o->rows);
	o->rows = NULL;
	if (o->plain && o->table.columns) {
		rc = ds_table_write(&o->table, o->sink, err);
		o->table.columns = NULL;
	}
	return rc;
}

static ds_status section_begin(section *o, const char *const *columns, const char *const *keys, ds_err *err)
{
	DS_TRY(section_end(o, err));
	o->plain = !o->s->c.json && !o->s->c.tsv;
	if (!o->plain)
		return ds_rows_open(&o->rows, o->sink, o->s->c.json, keys, err);
	if (o->n++)
		DS_TRY(ds_sink_write(o->sink, "\n", 1, err));
	ds_table_init(&o->table, columns);
	o->table.bold = ds_color(&o->s->c, 1);
	return DS_OK;
}

static void cell_str(section *o, const char *s, size_t n)
{
	if (o->plain)
		ds_table_cell(&o->table, "%.*s", (int)n, s);
	else
		ds_rows_str(o->rows, s, n);
}

static void cell_text(section *o, const char *s)
{
	cell_str(o, s, strlen(s));
}

static void cell_i64(section *o, int64_t v)
{
	if (o->plain)
		ds_table_cell(&o->table, "%lld", (long long)v);
	else
		ds_rows_i64(o->rows, v);
}

/* Bits per element to two digits; nothing for empty tensors. */
static void cell_bits(section *o, double bytes, double elements)
{
	if (elements > 0 && o->plain)
		ds_table_cell(&o->table, "%.2f", 8 * bytes / elements);
	else if (elements > 0)
		ds_rows_f64(o->rows, 8 * bytes / elements);
	else if (o->plain)
		ds_table_cell(&o->table, "-");
	else
		ds_rows_null(o->rows);
}

static ds_status row_end(section *o, ds_err *err)
{
	return o->plain ? DS_OK : ds_rows_end(o->rows, err);
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
} info;

static void info_done(info *f)
{
	ds_meta_done(&f->meta);
	ds_graph_free(f->graph);
	ds_buf_done(&f->tools);
	ds_buf_done(&f->asset_names);
	ds_buf_done(&f->forms);
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
		cell_i64(o, t->item);
		cell_str(o, t->item_name ? t->item_name : "", t->item_len);
	}
	cell_text(o, t->name);
	form_text(&b, t);
	cell_text(o, b.data ? b.data : "");
	ds_buf_reset(&b);
	for (int i = 0; i < t->rank; i++)
		ds_buf_printf(&b, "%s%lld", i ? ", " : "[", (long long)t->dim[i]);
	ds_buf_str(&b, t->rank ? "]" : "[]");
	cell_text(o, b.data ? b.data : "");
	cell_i64(o, (int64_t)t->raw_len);
	cell_bits(o, (double)t->raw_len, elements_of(t));
	ds_buf_done(&b);
	return row_end(o, err);
}

static ds_status begin_tensors(section *o, bool items, ds_err *err)
{
	static const char *const plain[] = { "name", "type", "shape", ">bytes", ">bits", NULL };
	static const char *const keys[] = { "name", "type", "shape", "bytes", "bits", NULL };
	static const char *const item_plain[] = { ">item", "input", "name", "type", "shape", ">bytes", ">bits", NULL };
	static const char *const item_keys[] = { "item", "input", "name", "type", "shape", "bytes", "bits", NULL };
	return section_begin(o, items ? item_plain : plain, items ? item_keys : keys, err);
}

/* ---- graph ------------------------------------------------------------------------------------------------------------------------------------------ */
static void value_text(ds_buf *b, const ds_value *v, const char *const *symbols)
{
	if (!v) {
		ds_buf_str(b, "-");
		return;
	}
	if (v->name[0])
		ds_buf_str(b, v->name);
	else
		ds_buf_printf(b, "%%%d", v->id);
	if (v->type.dtype && symbols) {
		ds_buf_str(b, ":");
		ds_type_print(b, &v->type, symbols);
	}
}

static void attr_text(ds_buf *b, const ds_attr *a)
{
	char num[32];
	ds_buf_printf(b, "%s=", a->key);
	switch (a->type) {
	case DS_T_INT:
		ds_buf_printf(b, "%lld", (long long)a->u.i);
		break;
	case DS_T_FLOAT:
		ds_buf_str(b, ds_fmt_f64(num, a->u.f));
		break;
	case DS_T_STR:
		ds_buf_str(b, a->u.s);
		break;
	case DS_T_INTS:
		for (int i = 0; i < a->u.is.n; i++)
			ds_buf_printf(b, "%s%lld", i ? "," : "", (long long)a->u.is.v[i]);
		break;
	case DS_T_FLOATS:
		for (int i = 0; i < a->u.fs.n; i++)
			ds_buf_printf(b, "%s%s", i ? "," : "", ds_fmt_f64(num, a->u.fs.v[i]));
		break;
	case DS_T_STRS:
		for (int i = 0; i < a->u.ss.n; i++)
			ds_buf_printf(b, "%s%s", i ? "," : "", a->u.ss.v[i]);
		break;
	case DS_T_TENSOR:
		value_text(b, a->u.t, NULL);
		break;
	default:
		ds_buf_printf(b, "graph of %d nodes", a->u.g->n_node);
	}
}

static void cell_buf(section *o, ds_buf *b)
{
	cell_str(o, b->data ? b->data : "", b->len);
	ds_buf_reset(b);
}

/* The nodes of one graph, and after each the nodes of the graphs it owns (depth is limited by the format). */
static ds_status graph_rows(section *o, const ds_graph *g, int depth, const char *const *symbols, ds_err *err)
{
	ds_buf b = { 0 };
	ds_status rc = DS_OK;
	for (int i = 0; rc == DS_OK && i < g->n_node; i++) {
		const ds_node *n = g->node[i];
		cell_i64(o, depth);
		cell_text(o, n->name);
		ds_buf_printf(&b, "%s%s%s", n->domain, *n->domain ? "." : "", n->op_name);
		cell_buf(o, &b);
		for (int k = 0; k < n->n_in; k++) {
			ds_buf_str(&b, k ? " " : "");
			value_text(&b, n->in[k], NULL);
		}
		cell_buf(o, &b);
		for (int k = 0; k < n->n_out; k++) {
			ds_buf_str(&b, k ? " " : "");
			value_text(&b, n->out[k], symbols);
		}
		cell_buf(o, &b);
		for (int k = 0; k < n->n_attr; k++) {
			ds_buf_str(&b, k ? " " : "");
			attr_text(&b, &n->attr[k]);
		}
		cell_buf(o, &b);
		rc = row_end(o, err);
		for (int k = 0; rc == DS_OK && k < n->n_attr; k++)
			if (n->attr[k].type == DS_T_GRAPH)
				rc = graph_rows(o, n->attr[k].u.g, depth + 1, symbols, err);
	}
	ds_buf_done(&b);
	return rc;
}

/* Names of symbols as ds_type_print wants them; sums are spelled out. */
static ds_status symbol_names(ds_graph *g, const char ***out, ds_err *err)
{
	const char **name = ds_calloc((size_t)g->n_symbol + 1, sizeof *name);
	*out = name;
	if (!name)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < g->n_symbol; i++) {
		const ds_symbol *s = &g->symbol[i];
		if (s->a == DS_NO_SYMBOL)
			name[i] = s->name[0] ? s->name : "?";
		else if (s->b == DS_NO_SYMBOL)
			name[i] = ds_arena_printf(&g->arena, "%s%+d", name[s->a], s->add);
		else if (s->add)
			name[i] = ds_arena_printf(&g->arena, "%s+%s%+d", name[s->a], name[s->b], s->add);
		else
			name[i] = ds_arena_printf(&g->arena, "%s+%s", name[s->a], name[s->b]);
		if (!name[i] || strlen(name[i]) > 1000)         /* sums of sums can grow without end */
			name[i] = "?";
	}
	return DS_OK;
}

static ds_status show_graph(section *o, ds_graph *g, ds_err *err)
{
	static const char *const columns[] = { ">depth", "node", "operator", "inputs", "outputs", "attributes", NULL };
	static const char *const keys[] = { "depth", "node", "operator", "inputs", "outputs", "attributes", NULL };
	const char **symbols;
	ds_status rc = symbol_names(g, &symbols, err);
	ds_graph_number(g);
	if (rc == DS_OK)
		rc = section_begin(o, columns, keys, err);
	if (rc == DS_OK)
		rc = graph_rows(o, g, 0, symbols, err);
	ds_free((void *)symbols);
	return rc;
}

/* ---- history ------------------------------------------------------------------------------------------------------------------------------------------ */
static ds_status history_rows(section *o, int64_t step, const ds_meta *m, ds_err *err)
{
	char num[32];
	for (int i = 0; i < m->n; i++) {
		const ds_kv *k = &m->kv[i];
		for (int j = 0; j < (k->type == DS_KV_STR ? 1 : k->n); j++) {
			cell_i64(o, step);
			cell_text(o, k->key);
			if (k->type == DS_KV_STR)
				cell_text(o, k->u.s);
			else if (k->type == DS_KV_LIST)
				cell_text(o, k->u.l[j]);
			else if (k->type == DS_KV_F64)
				cell_text(o, ds_fmt_f64(num, k->u.f[j]));
			else
				cell_i64(o, k->u.i[j]);
			DS_TRY(row_end(o, err));
		}
	}
	return DS_OK;
}

/* ---- summary ------------------------------------------------------------------------------------------------------------------------------------------ */
static ds_status line(section *o, const char *key, const char *value, ds_err *err)
{
	ds_status rc;
	if (!o->plain) {
		cell_text(o, key);
		cell_text(o, value);
		return row_end(o, err);
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
	ds_status rc = symbol_names(g, &symbols, err);
	for (int i = 0; rc == DS_OK && i < g->n_input; i++, ds_buf_reset(&b)) {
		value_text(&b, g->input[i], symbols);
		rc = line(o, "input", b.data ? b.data : "", err);
	}
	for (int i = 0; rc == DS_OK && i < g->n_output; i++, ds_buf_reset(&b)) {
		value_text(&b, g->output[i], symbols);
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
		DS_TRY(section_begin(o, keys, keys, err));
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
			rc = show_graph(o, f->graph, err);
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
		ds_buf_printf(&f->tools, "%s%s", f->history ? ", " : "", tool ? tool : "?");
		if (rc == DS_OK && s->history && f->history == 0)
			rc = section_begin(o, hist, hist_keys, err);
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
	ds_status rc;
	while ((rc = ds_dsm_next(r, &rec, err)) == DS_OK)
		DS_GOTO(one_record(o, &f, r, &rec, err));
	f.complete = rc == DS_END;
	f.verified = ds_dsm_verified(r);
	ds_dsm_identity(r, &f.crc, &f.len);
	bool sections = s->tensors || s->graph || s->history;
	if (f.complete)
		rc = sections ? section_end(o, err) : summary(o, &f, err);
	else                            /* what came before the failure is worth showing */
		(void)!(sections ? section_end(o, &drop) : f.meta.n ? summary(o, &f, &drop) : DS_OK);
	if (rc == DS_OK && sections && s->verify)
		ds_note("%lld records verified", (long long)f.records);
out:
	info_done(&f);
	ds_dsm_close(r);
	return rc;
}

/* ---- --at --------------------------------------------------------------------------------------------------------------------------------------------- */
/* Element or plane at byte `at` of a tensor's payload. */
static void where_in_tensor(ds_buf *b, const ds_tnsr *t, uint64_t at)
{
	ds_qsize q;
	if (ds_qform_size(&t->form, t->rank, t->dim, &q, NULL) != DS_OK)
		return;
	if (t->form.scheme == DS_Q_PLAIN) {
		size_t size = ds_dtype_size(t->form.code);
		uint64_t e = at / size;
		ds_buf_printf(b, ", element %llu [", (unsigned long long)e);
		uint64_t below = 1;
		for (int i = 0; i < t->rank; i++)
			below *= (uint64_t)t->dim[i];
		for (int i = 0; i < t->rank; i++) {
			below /= (uint64_t)t->dim[i];
			ds_buf_printf(b, "%s%llu", i ? ", " : "", (unsigned long long)(e / below));
			e %= below;
		}
		ds_buf_printf(b, "], its byte %llu", (unsigned long long)(at % size));
	} else if (at < q.code_bytes) {
		ds_buf_printf(b, ", codes of row %llu, byte %llu", (unsigned long long)(at / q.code_stride), (unsigned long long)(at % q.code_stride));
	} else if (at < q.zero_off) {
		ds_buf_printf(b, ", scale %llu", (unsigned long long)((at - q.scale_off) / ds_dtype_size(t->form.scale_dtype)));
	} else if (at < q.book_off) {
		ds_buf_printf(b, ", zero point %llu", (unsigned long long)((at - q.zero_off) / ds_dtype_size(t->form.zero_dtype)));
	} else {
		ds_buf_printf(b, ", codebook entry %llu", (unsigned long long)((at - q.book_off) / ds_dtype_size(t->form.scale_dtype)));
	}
}

static void where_in_record(ds_buf *b, const ds_rec *rec, uint64_t at)
{
	uint64_t desc = 64 + ds_pad64(rec->desc_len), data = desc + ds_pad64(rec->data_len);
	const char *name = rec->type == DS_REC_TENSOR ? rec->tensor.name : rec->type == DS_REC_ASSET ? rec->asset_name : NULL;
	ds_buf_printf(b, "record %u (%s%s%s%s): ", rec->seq, rec->letters, name ? " \"" : "", name ? name : "", name ? "\"" : "");
	if (at < 64)
		ds_buf_printf(b, "header, byte %llu", (unsigned long long)at);
	else if (at < desc)
		ds_buf_printf(b, "%s, byte %llu", at - 64 < rec->desc_len ? "descriptor" : "padding of the descriptor", (unsigned long long)(at - 64));
	else if (at < data && at - desc < rec->data_len) {
		ds_buf_printf(b, "payload, byte %llu", (unsigned long long)(at - desc));
		if (rec->type == DS_REC_TENSOR && !rec->codec)
			where_in_tensor(b, &rec->tensor, at - desc);
	} else if (at < data)
		ds_buf_str(b, "padding of the payload");
	else
		ds_buf_printf(b, "trailer, byte %llu", (unsigned long long)(at - data));
}

static ds_status show_at(section *o, ds_source *src, ds_err *err)
{
	ds_dsm_reader *r;
	ds_rec rec;
	ds_buf b = { 0 };
	uint64_t at = (uint64_t)o->s->offset;
	ds_status rc;
	DS_TRY(ds_dsm_open(&r, src, &(ds_dsm_opts){ .memory_limit = o->s->c.memory_limit, .no_verify = true }, err));
	if (at < 64)
		ds_buf_printf(&b, "first 64 bytes (signature, version), byte %llu", (unsigned long long)at);
	while (!b.len && (rc = ds_dsm_next(r, &rec, err)) == DS_OK) {
		uint64_t end = (uint64_t)rec.offset + 128 + ds_pad64(rec.desc_len) + ds_pad64(rec.data_len);
		if (at < end)
			where_in_record(&b, &rec, at - (uint64_t)rec.offset);
	}
	if (!b.len && rc == DS_END) {
		uint32_t crc;
		uint64_t len;
		ds_dsm_identity(r, &crc, &len);
		if (at < len)
			ds_buf_printf(&b, "record %u (DONE): header, byte %llu", rec.seq, (unsigned long long)(at - (len - 64)));
		else
			rc = ds_fail(err, DS_E_INPUT, "the stream has only %llu bytes", (unsigned long long)len);
	}
	if (b.len) {
		ds_buf quoted = { 0 };
		ds_text_quote(&quoted, b.data, b.len);
		ds_buf_str(&quoted, "\n");
		rc = quoted.oom ? ds_fail_nomem(err, b.len) : ds_sink_write(o->sink, quoted.data, quoted.len, err);
		ds_buf_done(&quoted);
	}
	ds_buf_done(&b);
	ds_dsm_close(r);
	return rc;
}

/* ---- --diff ------------------------------------------------------------------------------------------------------------------------------------------- */
static ds_status diff_row(void *arg, const char *what, const char *name, const char *text, ds_err *err)
{
	section *o = arg;
	cell_text(o, what);
	cell_text(o, name);
	cell_text(o, text);
	return row_end(o, err);
}

static ds_status show_diff(section *o, ds_source *src, ds_err *err)
{
	static const char *const keys[] = { "what", "name", "difference", NULL };
	ds_source *other;
	int64_t n = 0;
	char name[100];
	snprintf(name, sizeof name, "%.90s", o->s->diff);
	ds_status rc = ds_open_file(&other, &o->s->c, o->s->diff, err);
	if (rc != DS_OK) {
		ds_source_close(src);
		return rc;
	}
	rc = section_begin(o, keys, keys, err);
	if (rc != DS_OK) {
		ds_source_close(src);
		ds_source_close(other);
		return rc;
	}
	DS_TRY(ds_dsm_diff(src, other, &(ds_dsm_opts){ .memory_limit = o->s->c.memory_limit }, diff_row, o, &n, err));
	if (n == 0 && o->plain) {               /* nothing to say: no heading either */
		o->table.columns = NULL;
		return DS_OK;
	}
	DS_TRY(section_end(o, err));
	return n ? ds_fail(err, DS_E_CHECK, "%lld difference%s from %s", (long long)n, n == 1 ? "" : "s", name) : DS_OK;
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
		rc = s->diff ? show_diff(&o, in, err) : s->at ? show_at(&o, in, err) : show(&o, in, err);
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
		"$ ds-info --diff model.dsm model.dsm\n",
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
