/* fake.c - FakeQuantize nodes: behind activations, behind weights, and from a trained graph to its integer model */
#include "local.h"
#include "../rewrite/rewrite.h"

#include <string.h>

/* ---- nodes ---------------------------------------------------------------------------------------------------------------------- */
/* A parameter "LIKE.step" with a name that no weight has yet. */
static ds_status scale_param(ds_graph *g, const char *like, int64_t n, const float *v, ds_value **out, ds_err *err)
{
	ds_tensor t;
	DS_TRY(ds_tensor_new(&t, DS_F32, 1, &n, err));
	memcpy(t.data, v, (size_t)n * sizeof(*v));
	ds_arena *a = &ds_graph_root(g)->arena;
	char *name = ds_arena_printf(a, "%.200s.step", like);
	for (int k = 2; name; k++) {
		bool taken = false;
		for (int i = 0; i < g->n_weight && !taken; i++)
			taken = strcmp(g->weight[i]->name, name) == 0;
		if (!taken)
			break;
		name = ds_arena_printf(a, "%.200s.step%d", like, k);
	}
	*out = name ? ds_graph_weight(g, DS_V_PARAM, name, &t) : NULL;
	ds_tensor_done(&t);
	return *out ? DS_OK : ds_fail_nomem(err, 0);
}

/* FakeQuantize of x at position `at`. */
static ds_status fake(ds_graph *g, int at, ds_value *x, ds_value *scale, int lo, int hi, bool per_sample, ds_value **out, ds_err *err)
{
	ds_value *in[2] = { x, scale };
	ds_node *n = ds_graph_insert(g, at, "ds", "FakeQuantize", "", 2, in, 1, NULL);
	if (!n || ds_attr_i(n, "axis", 0) != DS_OK || ds_attr_i(n, "q_min", lo) != DS_OK || ds_attr_i(n, "q_max", hi) != DS_OK ||
	    (per_sample && ds_attr_i(n, "per_sample", 1) != DS_OK))
		return ds_fail_nomem(err, 0);
	*out = n->out[0];
	return ds_node_parse(n, err);
}

/* ---- activations ---------------------------------------------------------------------------------------------------------------- */
/* v of another graph in g, by its name. */
static ds_value *value_named(const ds_graph *g, const ds_value *v)
{
	for (int i = 0; i < g->n_input; i++)
		if (strcmp(g->input[i]->name, v->name) == 0)
			return g->input[i];
	for (int i = 0; i < g->n_node; i++)
		for (int k = 0; k < g->node[i]->n_out; k++)
			if (strcmp(g->node[i]->out[k]->name, v->name) == 0)
				return g->node[i]->out[k];
	return NULL;
}

static void redirect(ds_node *n, const ds_value *from, ds_value *to)
{
	for (int k = 0; k < n->n_in; k++)
		if (n->in[k] == from)
			n->in[k] = to;
}

/* A layer that reads a point. */
typedef struct reader { const char *node; int point, bits; } reader;

typedef struct inserter {
	const dsq_places *p;
	ds_graph   *g;
	bool        trained;
	ds_value  **scale;              /* by point: of those of a group one that all share */
	reader     *reader;
	int         n_reader;
	ds_err     *err;
} inserter;

static ds_status grid_at(inserter *s, int at, ds_value *x, const char *name, const ds_qparam *q, ds_value **scale, ds_value **out)
{
	if (!*scale && s->trained)
		DS_TRY(scale_param(s->g, name, 1, &q->scale, scale, s->err));
	if (!*scale && !(*scale = ds_graph_const_f32(s->g, q->scale)))
		return ds_fail_nomem(s->err, 0);
	return fake(s->g, at, x, *scale, -q->zero, ds_qparam_top(q) - q->zero, true, out, s->err);
}

/* Where a node that reads v may stand: right behind its maker. */
static int place_behind(const ds_graph *g, const ds_value *v)
{
	int at = 0;
	if (v->kind != DS_V_NODE)
		return 0;
	while (g->node[at] != v->node)
		at++;
	return at + 1;
}

/* The grid that all readers get, then the narrower ones of some layers. */
static ds_status insert_point(inserter *s, int i)
{
	const dsq_point *pt = &s->p->point[i];
	ds_graph *g = s->g;
	ds_value *v = value_named(g, pt->v), *base = v;
	if (!v)
		return ds_fail(s->err, DS_E_INTERNAL, "value \"%.100s\" is gone", pt->v->name);
	const char *name = v->name;
	int at = place_behind(g, v);
	if (!pt->moved || (!s->trained && pt->bits == 8)) {
		DS_TRY(grid_at(s, at, v, name, &pt->q, &s->scale[s->trained ? pt->group : i], &base));
		for (int k = ++at; k < g->n_node; k++)
			redirect(g->node[k], v, base);
	}
	for (int b = 2; b < pt->bits; b++) {
		ds_value *narrow, *scale = NULL;
		if (pt->low[b].bits != b)
			continue;
		DS_TRY(grid_at(s, at++, base, name, &pt->low[b], &scale, &narrow));
		for (int k = 0; k < s->n_reader; k++)
			for (int m = at; s->reader[k].point == i && s->reader[k].bits == b && m < g->n_node; m++)
				if (strcmp(g->node[m]->name, s->reader[k].node) == 0)
					g->node[m]->in[0] = narrow;
	}
	return DS_OK;
}

ds_status dsq_places_insert(dsq_places *p, const ds_graph *of, ds_graph *g, bool trained, ds_err *err)
{
	inserter s = { .p = p, .g = g, .trained = trained, .err = err, .scale = ds_calloc((size_t)p->n_point + 1, sizeof(*s.scale)),
		.reader = ds_calloc((size_t)of->n_node + 1, sizeof(*s.reader)) };
	ds_status rc = s.scale && s.reader ? DS_OK : ds_fail_nomem(err, 0);
	for (int i = 0; rc == DS_OK && i < of->n_node; i++)     /* before anything moves: `of` may be g */
		if (p->role[i] == DSQ_LINEAR)
			s.reader[s.n_reader++] = (reader){ of->node[i]->name, p->point_of[of->node[i]->in[0]->id], p->bits[i].a };
	for (int i = 0; rc == DS_OK && i < p->n_point; i++)
		rc = insert_point(&s, i);
	ds_free(s.scale);
	ds_free(s.reader);
	return rc;
}

/* ---- weights -------------------------------------------------------------------------------------------------------------------- */
/* Scales of rows, or of all of w, as rounding would choose them. */
static ds_status fit_scales(const ds_tensor *w, int bits, ds_qrange range, int64_t scales, float *out, ds_qlayer *l, const char *name, ds_err *err)
{
	int64_t count = ds_tensor_count(w), cols = count / scales, bad;
	uint8_t *code = ds_malloc((size_t)cols + 1);
	if (!code)
		return ds_fail_nomem(err, (size_t)cols);
	ds_status rc = DS_OK;
	l->stat = (ds_qw_stat){ .count = count, .scales = scales, .bytes_in = (uint64_t)count * sizeof(float), .bytes = (uint64_t)(count * bits + 7) / 8 };
	for (int64_t r = 0; rc == DS_OK && r < scales; r++) {
		ds_qunit u;
		if (!ds_q_unit((const float *)w->data + r * cols, cols, bits, range, false, code, &u, &bad)) {
			rc = ds_fail(err, DS_E_INPUT, "weight \"%.100s\": a value is not finite", name);
			break;
		}
		out[r] = u.scale;
		l->stat.clipped += u.clipped;
		l->stat.sum_sq += u.sum_sq;
		l->stat.err_sq += u.err_sq;
	}
	ds_free(code);
	return rc;
}

static bool is_gemm(const ds_node *n) { return strcmp(n->op_name, "Gemm") == 0; }

static bool trans_b(const ds_node *n)
{
	const ds_attr *a = ds_attr_find(n, "transB");
	return a && a->u.i;
}

ds_status dsq_fake_weight(ds_graph *g, ds_node *n, int bits, ds_qrange range, ds_qlayer *l, ds_err *err)
{
	ds_tensor w = { 0 };
	float *scale = NULL;
	bool shared = ds_value_uses(g, n->in[1]) > 1, put = n->in[1]->data.dtype != DS_F32;
	ds_status rc;
	DS_GOTO(dsq_own_f32(n, 1, 0, &w, err));
	if (!shared && is_gemm(n) && !trans_b(n)) {
		DS_GOTO(dsq_transpose_gemm(n, &w, err));
		put = true;
	}
	bool rows = strcmp(n->op_name, "Conv") == 0 || (is_gemm(n) && trans_b(n));
	int64_t scales = rows ? w.dim[0] : 1;
	if (!(scale = ds_malloc((size_t)scales * sizeof(*scale)))) {
		rc = ds_fail_nomem(err, (size_t)scales * sizeof(*scale));
		goto out;
	}
	DS_GOTO(fit_scales(&w, bits, range, scales, scale, l, n->in[1]->name, err));
	if (put)
		DS_GOTO(dsq_put_operand(g, n, 1, ".weight", &w, err));
	l->weight = n->in[1]->name;
	l->bits = bits;
	/* 8 bits leave -128 out, as rounding does; narrow codes need their lowest */
	int top = (1 << (bits - 1)) - 1, at = 0;
	ds_value *s, *q;
	while (g->node[at] != n)
		at++;
	DS_GOTO(scale_param(g, l->weight[0] ? l->weight : n->name, scales, scale, &s, err));
	DS_GOTO(fake(g, at, n->in[1], s, bits == 8 ? -top : -top - 1, top, false, &q, err));
	n->in[1] = q;
out:
	ds_free(scale);
	ds_tensor_done(&w);
	return rc;
}

/* ---- to integers ---------------------------------------------------------------------------------------------------------------- */
ds_status ds_q_export(ds_graph *g, int *n, ds_buf *log, ds_err *err)
{
	int folded;
	DS_TRY(ds_graph_infer(g, err));
	DS_TRY(ds_rewrite_apply(g, "lower-fake-quantize", n, log, err));
	if (!*n)
		return ds_fail(err, DS_E_INPUT, "the model has no fake quantisation to take bits from");
	DS_TRY(ds_rewrite_apply(g, "fold-batchnorm", &folded, log, err));
	ds_graph_prune_dead(g);
	if (ds_graph_name_all(g) != DS_OK)
		return ds_fail_nomem(err, 0);
	return ds_graph_verify(g, NULL, err);
}
