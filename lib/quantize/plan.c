/* plan.c - the table of bits per layer: rows of a model, the text, a text's rows put to a model's */
#include "plan.h"
#include "local.h"
#include "../base/str.h"
#include "../rewrite/rewrite.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- words ---------------------------------------------------------------------------------------------------------------------- */
static bool width(char c, int *v)
{
	*v = c - '0';
	return c >= '2' && c <= '8';
}

bool ds_qbits_parse(const char *s, ds_qbits *b)
{
	*b = (ds_qbits){ 0, 0 };
	if (strcmp(s, "f32") == 0)
		return true;
	if (s[0] != 'w' || !width(s[1], &b->w) || b->w == 7)
		return false;
	if (!s[2])
		return true;
	return s[2] == 'a' && width(s[3], &b->a) && !s[4];
}

char *ds_qbits_text(char buf[16], ds_qbits b)
{
	if (!b.w)
		snprintf(buf, 16, "f32");
	else if (b.a)
		snprintf(buf, 16, "w%da%d", b.w, b.a);
	else
		snprintf(buf, 16, "w%d", b.w);
	return buf;
}

char *ds_qrule_text(char *buf, const ds_qrule *r)
{
	char num[32];
	if (r->range == DS_RANGE_PERCENTILE)
		snprintf(buf, 48, "percentile:%s", ds_fmt_f64(num, r->percentile));
	else
		snprintf(buf, 48, "%s", ds_qrange_names[r->range]);
	return buf;
}

/* ---- rows of a model ------------------------------------------------------------------------------------------------------------ */
void ds_qplan_done(ds_qplan *p)
{
	ds_arena_done(&p->arena);
	ds_free(p->row);
	ds_free(p->order);
	*p = (ds_qplan){ 0 };
}

static const char *quoted(ds_qplan *p, const char *s)
{
	ds_buf b = { 0 };
	ds_text_quote(&b, s, strlen(s));
	const char *q = b.oom ? NULL : ds_arena_strdup(&p->arena, b.data ? b.data : "");
	ds_buf_done(&b);
	return q;
}

ds_qrow *ds_qplan_add(ds_qplan *p, const char *node, const char *op, const char *weight, ds_dtype dtype, int rank, const int64_t *dim)
{
	if (!ds_grow((void **)&p->row, (size_t)p->n, &p->cap, sizeof(*p->row)))
		return NULL;
	ds_qrow *r = &p->row[p->n];
	*r = (ds_qrow){ .node = ds_arena_strdup(&p->arena, node), .op = ds_arena_strdup(&p->arena, op), .weight = ds_arena_strdup(&p->arena, weight),
		.range = { DS_RANGE_MINMAX, 100, 0 }, .dtype = dtype, .rank = rank, .node_key = quoted(p, node), .weight_key = quoted(p, weight) };
	if (!r->node || !r->op || !r->weight || !r->node_key || !r->weight_key)
		return NULL;
	memcpy(r->dim, dim, (size_t)rank * sizeof(*dim));
	p->n++;
	return r;
}

const ds_node *ds_q_reader(const ds_graph *g, const ds_value *v)
{
	for (int i = 0; i < g->n_node; i++)
		for (int k = 0; k < g->node[i]->n_in; k++)
			if (g->node[i]->in[k] == v)
				return g->node[i];
	for (const ds_graph *s = g->sub; s && !g->parent; s = s->sub) {
		const ds_node *n = ds_q_reader(s, v);
		if (n)
			return n;
	}
	return NULL;
}

ds_status ds_qplan_weights(ds_qplan *p, ds_graph *g, ds_err *err)
{
	uint8_t *mark = NULL;
	ds_status rc = ds_q_weights(g, &mark, err);
	for (int i = 0; rc == DS_OK && i < g->n_weight; i++) {
		const ds_value *v = g->weight[i];
		ds_dtype t = v->type.dtype;
		if (!mark[v->id] || v->data.q || (t != DS_F32 && t != DS_F16 && t != DS_BF16) || !ds_type_count(&v->type))
			continue;
		const ds_node *n = ds_q_reader(g, v);
		if (!ds_qplan_add(p, n ? ds_node_label(n) : "", n ? n->op_name : "", v->name, t, v->type.rank, v->type.dim))
			rc = ds_fail_nomem(err, 0);
	}
	ds_free(mark);
	return rc;
}

/* Bits are asked for in the order of nodes; the edges are what is wanted of that. */
typedef struct edges { char *edge; int n; size_t cap; bool oom; } edges;

static ds_qbits ask(void *arg, const char *node, const char *weight, bool edge)
{
	edges *e = arg;
	(void)node, (void)weight;
	if (ds_grow((void **)&e->edge, (size_t)e->n, &e->cap, 1))
		e->edge[e->n++] = edge;
	else
		e->oom = true;
	return (ds_qbits){ 8, 8 };
}

static ds_status add_layer(ds_qplan *p, const ds_node *n, bool edge, ds_err *err)
{
	const ds_value *w = n->in[1];
	ds_type t = w->type;
	if (strcmp(n->op_name, "LSTM") == 0)            /* weights of inputs and of states, row by row */
		t = ds_type_make(w->type.dtype, 2, (int64_t[]){ w->type.dim[0] * w->type.dim[1], w->type.dim[2] + n->in[2]->type.dim[2] });
	ds_qrow *r = ds_qplan_add(p, n->name, n->op_name, w->name, t.dtype, t.rank, t.dim);
	if (!r)
		return ds_fail_nomem(err, 0);
	r->edge = edge;
	if (strcmp(n->op_name, "Gemm") == 0) {          /* coded with outputs as rows */
		const ds_attr *trans = ds_attr_find(n, "transB");
		if (!trans || !trans->u.i) {
			r->dim[0] = w->type.dim[1];
			r->dim[1] = w->type.dim[0];
		}
	}
	return DS_OK;
}

ds_status ds_qplan_layers(ds_qplan *p, const ds_graph *given, bool fake, ds_err *err)
{
	dsq_places at = { 0 };
	edges e = { 0 };
	int k = 0;
	ds_graph *g = ds_graph_clone(given);
	ds_q8_opts o = { .bits = ask, .bits_arg = &e, .fake = fake };
	ds_status rc = g ? dsq_fold(g, NULL, err) : ds_fail_nomem(err, 0);
	if (rc == DS_OK)
		rc = dsq_places_find(&at, g, &o, err);
	if (rc == DS_OK && e.oom)
		rc = ds_fail_nomem(err, 0);
	for (int i = 0; rc == DS_OK && i < g->n_node; i++) {
		if (at.role[i] == DSQ_LINEAR)
			rc = add_layer(p, g->node[i], e.edge[k++], err);
		else if (!fake && dsq_recurrent(g->node[i]))
			rc = add_layer(p, g->node[i], false, err);
	}
	dsq_places_done(&at);
	ds_free(e.edge);
	ds_graph_free(g);
	return rc;
}

ds_status ds_qrow_bytes(const ds_qrow *r, uint64_t *before, uint64_t *after, ds_err *err)
{
	ds_qw_opts o = { .bits = r->bits.w, .group = r->group };
	ds_qform form;
	ds_qsize size;
	ds_type t = ds_type_make(r->dtype, r->rank, r->dim);
	*before = (uint64_t)ds_type_count(&t) * ds_dtype_size(r->dtype);
	*after = *before;
	if (!r->bits.w)
		return DS_OK;
	ds_status rc = ds_qw_form(&o, r->rank, r->dim, &form, &size, err);
	*after = size.total;
	return rc;
}

bool ds_qplan_activations(const ds_qplan *p)
{
	for (int i = 0; i < p->n; i++)
		if (p->row[i].bits.a)
			return true;
	return false;
}

/* ---- the text ------------------------------------------------------------------------------------------------------------------- */
static const char first_line[] = "# ds-quantize plan 1", columns[] = "node\top\tweight\tbits\tgroup\trange\tscheme\tbytes_before\tbytes";
enum { NODE, OP, WEIGHT, BITS, GROUP, RANGE, SCHEME, BEFORE, AFTER, FIELDS };

static const char *scheme(ds_qbits b)
{
	return !b.w ? "-" : b.a ? "symmetric/asymmetric" : "symmetric";
}

ds_status ds_qplan_write(const ds_qplan *p, ds_buf *b, ds_err *err)
{
	char bits[16], rule[48];
	uint64_t before, after;
	ds_buf_printf(b, "%s\n# model\t%08x:%" PRIu64 "\n%s\n", first_line, p->crc, p->len, columns);
	for (int i = 0; i < p->n; i++) {
		const ds_qrow *r = &p->row[i];
		DS_TRY(ds_qrow_bytes(r, &before, &after, err));
		ds_buf_printf(b, "%s\t%s\t%s\t%s\t", r->node_key, r->op, r->weight_key, ds_qbits_text(bits, r->bits));
		ds_buf_printf(b, r->group ? "%d" : "-", r->group);
		ds_buf_printf(b, "\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\n", r->bits.w ? ds_qrule_text(rule, &r->range) : "-", scheme(r->bits), before, after);
	}
	return b->oom ? ds_fail_nomem(err, b->len) : DS_OK;
}

/* "plan.tsv:12" */
static ds_status at_line(const ds_qplan *p, int line, ds_status rc, ds_err *err)
{
	if (err)
		snprintf(err->where, sizeof err->where, "%.230s:%d", p->name, line);
	return rc;
}

static int by_key(const void *a, const void *b)
{
	const ds_qkey *x = a, *y = b;
	int d = strcmp(x->node, y->node);
	return d ? d : strcmp(x->weight, y->weight);
}

static int by_key_and_row(const void *a, const void *b)
{
	int d = by_key(a, b);
	return d ? d : ((const ds_qkey *)a)->row - ((const ds_qkey *)b)->row;
}

static ds_status sort_rows(ds_qplan *p, ds_err *err)
{
	if (!(p->order = ds_calloc((size_t)p->n + 1, sizeof(*p->order))))
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < p->n; i++)
		p->order[i] = (ds_qkey){ p->row[i].node_key, p->row[i].weight_key, i };
	qsort(p->order, (size_t)p->n, sizeof(*p->order), by_key_and_row);
	for (int i = 1; i < p->n; i++)
		if (by_key(&p->order[i - 1], &p->order[i]) == 0)
			return at_line(p, p->row[p->order[i].row].line, ds_fail(err, DS_E_INPUT, "layer \"%.100s\" with weight \"%.100s\" has a row already, line %d",
				p->order[i].node, p->order[i].weight, p->row[p->order[i - 1].row].line), err);
	return DS_OK;
}

/* Fields of a line, ended in place; how many there are. */
static int split(char *line, char *field[FIELDS])
{
	int n = 0;
	for (char *s = line; s; n++) {
		char *tab = strchr(s, '\t');
		if (tab)
			*tab++ = 0;
		if (n < FIELDS)
			field[n] = s;
		s = tab;
	}
	return n;
}

static ds_status read_row(ds_qplan *p, char *text, int line, ds_err *err)
{
	char *f[FIELDS];
	int64_t group = 0;
	int n = split(text, f);
	if (n != FIELDS)
		return at_line(p, line, ds_fail(err, DS_E_INPUT, "%d fields where the plan has %d columns, separated by tabs", n, FIELDS), err);
	if (!ds_grow((void **)&p->row, (size_t)p->n, &p->cap, sizeof(*p->row)))
		return ds_fail_nomem(err, sizeof(*p->row));
	ds_qrow *r = &p->row[p->n];
	*r = (ds_qrow){ .node = f[NODE], .op = f[OP], .weight = f[WEIGHT], .node_key = f[NODE], .weight_key = f[WEIGHT], .line = line, .range = { DS_RANGE_MINMAX, 100, 0 } };
	if (!ds_qbits_parse(f[BITS], &r->bits))
		return at_line(p, line, ds_fail(err, DS_E_INPUT, "bits \"%.40s\" are not f32, w8 w6 w5 w4 w3 w2, or these with a2 to a8 (w4a8)", f[BITS]), err);
	if (strcmp(f[GROUP], "-") != 0 && (!ds_parse_i64(f[GROUP], &group) || group < 16 || group > 1024 || (group & (group - 1))))
		return at_line(p, line, ds_fail(err, DS_E_INPUT, "group \"%.40s\" is neither - nor a power of two from 16 to 1024", f[GROUP]), err);
	r->group = (int)group;
	if (r->bits.a && r->group)
		return at_line(p, line, ds_fail(err, DS_E_INPUT, "groups are for weights only; %s has one scale per output channel", f[BITS]), err);
	if (r->bits.w && ds_qrule_parse(f[RANGE], &r->range, NULL) != DS_OK)
		return at_line(p, line, ds_fail(err, DS_E_INPUT, "range \"%.40s\" is not minmax, mse, percentile:P or kl", f[RANGE]), err);
	if (r->bits.w && !r->bits.a && r->range.range != DS_RANGE_MINMAX && r->range.range != DS_RANGE_MSE)
		return at_line(p, line, ds_fail(err, DS_E_INPUT, "range %.40s is for activations; weights take minmax or mse", f[RANGE]), err);
	/* whoever edits the bits need not edit the scheme with them */
	if (strcmp(f[SCHEME], "-") != 0 && strcmp(f[SCHEME], "symmetric") != 0 && strcmp(f[SCHEME], "symmetric/asymmetric") != 0)
		return at_line(p, line, ds_fail(err, DS_E_INPUT, "scheme \"%.40s\" is not known (symmetric, symmetric/asymmetric, -)", f[SCHEME]), err);
	p->n++;
	return DS_OK;
}

static ds_status read_head(ds_qplan *p, const char *text, int line, ds_err *err)
{
	static const char key[] = "# model\t";
	if (line == 1 && strcmp(text, first_line) != 0)
		return at_line(p, line, ds_fail(err, DS_E_INPUT, "not a plan of ds-quantize (its first line is \"%s\")", first_line), err);
	if (strncmp(text, key, sizeof key - 1) == 0 && sscanf(text + sizeof key - 1, "%8" SCNx32 ":%" SCNu64, &p->crc, &p->len) != 2)
		return at_line(p, line, ds_fail(err, DS_E_INPUT, "\"%.60s\" is not the identity of a model", text + sizeof key - 1), err);
	return DS_OK;
}

/* A plan rounds activations or does not: the two ways to quantise a model are not mixed. */
static ds_status one_kind(const ds_qplan *p, ds_err *err)
{
	const ds_qrow *first = NULL;
	for (int i = 0; i < p->n; i++) {
		const ds_qrow *r = &p->row[i];
		if (!r->bits.w)
			continue;
		if (first && !first->bits.a != !r->bits.a)
			return at_line(p, r->line, ds_fail(err, DS_E_INPUT, "bits of weights only beside bits with activations (line %d): a plan has one kind, and f32",
				first->line), err);
		first = first ? first : r;
	}
	return DS_OK;
}

ds_status ds_qplan_read(ds_qplan *p, const char *name, const char *text, size_t n, ds_err *err)
{
	bool header = false;
	int line = 1;
	*p = (ds_qplan){ .name = name };
	if (memchr(text, 0, n))
		return at_line(p, 1, ds_fail(err, DS_E_INPUT, "not a plan of ds-quantize: it has bytes 0"), err);
	char *s = ds_arena_strndup(&p->arena, text, n), *next;
	if (!s)
		return ds_fail_nomem(err, n);
	if (!n)
		return at_line(p, 1, ds_fail(err, DS_E_INPUT, "empty: not a plan of ds-quantize"), err);
	for (; s; s = next, line++) {
		if ((next = strchr(s, '\n')))
			*next++ = 0;
		size_t len = strlen(s);
		if (len && s[len - 1] == '\r')          /* edited elsewhere */
			s[len - 1] = 0;
		if (line == 1 || s[0] == '#')
			DS_TRY(read_head(p, s, line, err));
		else if (s[0] && !header && strcmp(s, columns) != 0)
			return at_line(p, line, ds_fail(err, DS_E_INPUT, "the columns are not node, op, weight, bits, group, range, scheme, bytes_before, bytes"), err);
		else if (s[0] && !header)
			header = true;
		else if (s[0])
			DS_TRY(read_row(p, s, line, err));
	}
	if (!header)
		return at_line(p, line - 1, ds_fail(err, DS_E_INPUT, "the plan ends before its columns"), err);
	DS_TRY(one_kind(p, err));
	return sort_rows(p, err);
}

ds_status ds_qplan_obey(ds_qplan *p, ds_qrow *row, ds_err *err)
{
	ds_qkey key = { row->node_key, row->weight_key, 0 };
	const ds_qkey *hit = bsearch(&key, p->order, (size_t)p->n, sizeof(*p->order), by_key);
	uint64_t before, after;
	if (!hit) {
		ds_fail(err, DS_E_INPUT, "the plan has no row for layer \"%.100s\" with weight \"%.100s\" (f32 leaves a layer as it is)", row->node, row->weight);
		ds_err_in(err, p->name);
		return DS_E_INPUT;
	}
	ds_qrow *r = &p->row[hit->row];
	r->used = true;
	row->bits = r->bits;
	row->group = r->group;
	row->range = r->range;
	row->line = r->line;
	ds_status rc = ds_qrow_bytes(row, &before, &after, err);
	return rc == DS_OK ? rc : at_line(p, r->line, rc, err);
}

ds_status ds_qplan_obeyed(const ds_qplan *p, uint32_t crc, uint64_t len, bool force, ds_err *err)
{
	if (!force && (p->crc != crc || p->len != len)) {
		ds_fail(err, DS_E_INPUT, "the plan was made for another model (%08x:%" PRIu64 ", this one is %08x:%" PRIu64 "); --force obeys it all the same", p->crc, p->len,
			crc, len);
		ds_err_in(err, p->name);
		return DS_E_INPUT;
	}
	for (int i = 0; i < p->n; i++)
		if (!p->row[i].used)
			return at_line(p, p->row[i].line, ds_fail(err, DS_E_INPUT, "the model has no layer \"%.100s\" with weight \"%.100s\" to quantise", p->row[i].node,
				p->row[i].weight), err);
	return DS_OK;
}
