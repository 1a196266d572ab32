/* against.c - a changed model against its reference, layer by layer */
#include "against.h"
#include "against_cut.h"
#include "../exec/exec.h"
#include "../quantize/quantize.h"
#include "../rewrite/rewrite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A value of both models. */
typedef struct pair {
	const char    *name;
	int            row;
	ds_tensor      ref;             /* of the sample in work, f32 */
	bool           seen;            /* it was computed */
	double        *factor;          /* of equalisation, by which the changed model's channels are larger; NULL: none */
	int64_t        channels;
	int32_t       *left;            /* of a pruned model: which of the reference's channels there are, n_left of them; NULL: all */
	int64_t        n_left;
	int            in, out;         /* number among the inputs and outputs of the cut graph; -1: none */
} pair;

struct ds_against {
	ds_against_opts o;
	ds_graph   *ref, *own, *cut;
	ds_session *ref_s, *own_s, *cut_s;
	ds_session *ref_run, *own_run;  /* the models as they run, not to be looked into */
	pair       *pair;  int n_pair;  size_t cap_pair;        /* by names */
	ds_against_row *row; int n_row; size_t cap_row;
	ds_tensor  *feed, *out;
	int         n_feed, n_out;      /* of the cut graph */
	ds_type    *in_type;            /* of the first sample */
	bool        sorted;
	ds_shift    shift;
};

/* ---- likeness -------------------------------------------------------------------------------------------------------------------- */
double ds_likeness_sqnr(const ds_likeness *l)
{
	if (!(l->ref > 0) && !(l->err > 0))
		return NAN;
	return l->err > 0 ? l->ref > 0 ? 10 * log10(l->ref / l->err) : -HUGE_VAL : HUGE_VAL;
}

double ds_likeness_cosine(const ds_likeness *l)
{
	return l->ref > 0 && l->own > 0 ? l->dot / sqrt(l->ref) / sqrt(l->own) : NAN;
}

void ds_likeness_add(ds_likeness *l, const float *ref, const float *own, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		double a = (double)ref[i], b = (double)own[i], d = b - a;
		l->ref += a * a;
		l->own += b * b;
		l->err += d * d;
		l->dot += a * b;
	}
}

/* ---- matching -------------------------------------------------------------------------------------------------------------------- */
static int by_name(const void *a, const void *b)
{
	return strcmp(((const pair *)a)->name, ((const pair *)b)->name);
}

static pair *find(const ds_against *a, const char *name)
{
	pair key = { .name = name };
	return a->n_pair ? bsearch(&key, a->pair, (size_t)a->n_pair, sizeof *a->pair, by_name) : NULL;
}

static bool has_norm(const ds_graph *g)
{
	for (int i = 0; i < g->n_node; i++)
		if (strcmp(g->node[i]->op_name, "BatchNormalization") == 0)
			return true;
	return false;
}

static ds_status prepare(ds_graph *g, ds_err *err)
{
	if (ds_graph_name_all(g) != DS_OK)
		return ds_fail_nomem(err, 0);
	DS_TRY(ds_graph_infer(g, err));
	ds_graph_number(g);
	return DS_OK;
}

static ds_status clone(ds_graph **out, const ds_model *m, ds_err *err)
{
	if (!(*out = ds_graph_clone(m->graph)))
		return ds_fail_nomem(err, 0);
	return prepare(*out, err);
}

static const ds_value *value_named(const ds_graph *g, const char *name)
{
	for (int i = 0; i < g->n_node; i++)
		for (int k = 0; k < g->node[i]->n_out; k++)
			if (strcmp(g->node[i]->out[k]->name, name) == 0)
				return g->node[i]->out[k];
	return NULL;
}

static bool parameters(const ds_node *n)
{
	for (int k = 0; k < n->n_in; k++)
		if (n->in[k] && n->in[k]->kind == DS_V_PARAM)
			return true;
	return false;
}

/* Rows are values that both have as floats; shapes that are known to differ are told of. */
static ds_status match(ds_against *a, ds_err *err)
{
	for (int i = 0; i < a->own->n_node; i++) {
		const ds_node *n = a->own->node[i];
		for (int k = 0; k < n->n_out; k++) {
			const ds_value *v = n->out[k], *r = v->name[0] ? value_named(a->ref, v->name) : NULL;
			if (!r || v->type.dtype != DS_F32 || r->type.dtype != DS_F32)
				continue;
			if (!ds_grow((void **)&a->row, (size_t)a->n_row, &a->cap_row, sizeof *a->row) ||
			    !ds_grow((void **)&a->pair, (size_t)a->n_pair, &a->cap_pair, sizeof *a->pair))
				return ds_fail_nomem(err, 0);
			a->row[a->n_row] = (ds_against_row){ .node = n->name, .op = n->op_name, .value = v->name, .weights = parameters(n) };
			a->pair[a->n_pair++] = (pair){ .name = v->name, .row = a->n_row++, .in = -1, .out = -1 };
		}
	}
	if (!a->n_pair)
		return ds_fail(err, DS_E_INPUT, "no value of the two models has the same name: they are not one model before and after");
	qsort(a->pair, (size_t)a->n_pair, sizeof *a->pair, by_name);
	return DS_OK;
}

static ds_status check_ends(const ds_graph *r, const ds_graph *g, ds_err *err)
{
	if (r->n_input != g->n_input || r->n_output != g->n_output)
		return ds_fail(err, DS_E_INPUT, "the models have %d and %d inputs, %d and %d outputs", r->n_input, g->n_input, r->n_output, g->n_output);
	for (int i = 0; i < r->n_input; i++)
		if (r->input[i]->type.dtype != g->input[i]->type.dtype || r->input[i]->type.rank != g->input[i]->type.rank)
			return ds_fail(err, DS_E_INPUT, "input %d (%.60s) of the two models has another type", i, g->input[i]->name);
	return DS_OK;
}

/* ---- taps ------------------------------------------------------------------------------------------------------------------------ */
/* The reference as the changed model has it: the same function, channels of another size. */
static void scale_channels(ds_tensor *t, const double *factor)
{
	int64_t inner = 1;
	float *x = t->data;
	for (int i = 2; i < t->rank; i++)
		inner *= t->dim[i];
	for (int64_t at = 0, n = ds_tensor_count(t); at < n; at++)
		x[at] = (float)((double)x[at] * factor[at / inner % t->dim[1]]);
}

static ds_status take_factor(void *arg, const char *value, const double *factor, int64_t channels, ds_err *err)
{
	pair *p = find(arg, value);
	if (!p || p->factor)
		return DS_OK;
	if (!(p->factor = ds_calloc((size_t)channels, sizeof *p->factor)))
		return ds_fail_nomem(err, (size_t)channels * sizeof *p->factor);
	memcpy(p->factor, factor, (size_t)channels * sizeof *factor);
	p->channels = channels;
	return DS_OK;
}

static ds_status take_cut(void *arg, const char *value, const int32_t *left, int64_t n, int64_t of, ds_err *err)
{
	ds_against *a = arg;
	pair *p = find(a, value);
	if (!p || p->left)
		return DS_OK;
	if (!(p->left = ds_calloc((size_t)n + 1, sizeof *p->left)))
		return ds_fail_nomem(err, (size_t)n * sizeof *p->left);
	memcpy(p->left, left, (size_t)n * sizeof *left);
	p->n_left = n;
	a->row[p->row].channels = n;
	a->row[p->row].of = of;
	return DS_OK;
}

/* The channels that are left. */
static ds_status gather(ds_tensor *t, const int32_t *left, int64_t n, ds_err *err)
{
	int64_t dim[DS_MAX_RANK], inner = 1, outer = t->dim[0], of = t->dim[1];
	ds_tensor out;
	memcpy(dim, t->dim, sizeof dim);
	dim[1] = n;
	for (int i = 2; i < t->rank; i++)
		inner *= t->dim[i];
	DS_TRY(ds_tensor_new(&out, DS_F32, t->rank, dim, err));
	for (int64_t o = 0; o < outer; o++)
		for (int64_t c = 0; c < n; c++)
			memcpy((float *)out.data + (o * n + c) * inner, (const float *)t->data + (o * of + left[c]) * inner, (size_t)inner * sizeof(float));
	ds_tensor_done(t);
	*t = out;
	return DS_OK;
}

static ds_status on_ref(void *arg, const ds_node *n, int k, const ds_tensor *t, ds_err *err)
{
	pair *p = find(arg, n->out[k]->name);
	if (!p || t->dtype != DS_F32)
		return DS_OK;
	ds_tensor_done(&p->ref);
	p->seen = true;
	DS_TRY(ds_tensor_to_f32(t, &p->ref, err));
	if (p->factor && p->ref.rank >= 2 && p->ref.dim[1] == p->channels)
		scale_channels(&p->ref, p->factor);
	if (p->left && p->ref.rank >= 2 && p->n_left && p->left[p->n_left - 1] < p->ref.dim[1])
		return gather(&p->ref, p->left, p->n_left, err);
	return DS_OK;
}

/* The changed model's channels, where equalisation or cuts made others of them. */
static ds_status compare(ds_against_row *r, ds_likeness *l, const ds_tensor *ref, const ds_tensor *own, ds_err *err)
{
	ds_type x = ds_type_of(ref), y = ds_type_of(own);
	ds_tensor f;
	if (!ds_type_same_dims(&x, &y)) {
		r->skip = "channels were cut, and which are left is not clear";
		return DS_OK;
	}
	DS_TRY(ds_tensor_to_f32(own, &f, err));
	ds_likeness_add(l, ref->data, f.data, ds_tensor_count(&f));
	ds_tensor_done(&f);
	return DS_OK;
}

static ds_status on_own(void *arg, const ds_node *n, int k, const ds_tensor *t, ds_err *err)
{
	ds_against *a = arg;
	const pair *p = find(a, n->out[k]->name);
	if (!p || !p->seen || a->row[p->row].skip)
		return DS_OK;
	return compare(&a->row[p->row], &a->row[p->row].arrived, &p->ref, t, err);
}

/* ---- the cut graph --------------------------------------------------------------------------------------------------------------- */
/* Every matched value becomes an output, and what read it reads an input that stands for the reference's. */
static ds_status cut(ds_against *a, ds_err *err)
{
	ds_graph *g = a->cut = ds_graph_clone(a->own);
	if (!g)
		return ds_fail_nomem(err, 0);
	g->n_output = 0;
	g->n_state = 0;
	for (int i = 0; i < a->n_pair; i++) {
		pair *p = &a->pair[i];
		const ds_value *known = value_named(g, p->name);
		ds_value *v = (ds_value *)(uintptr_t)known;
		if (!v || !p->seen || a->row[p->row].skip)
			continue;
		char *name = ds_arena_printf(&g->arena, "%.230s?ref", p->name);
		ds_type t = ds_type_of(&p->ref);
		ds_value *in = name ? ds_graph_input(g, name, &t) : NULL;
		if (!in)
			return ds_fail_nomem(err, 0);
		p->in = g->n_input - 1;
		ds_graph_replace(g, v, in);
	}
	for (int i = 0; i < a->n_pair; i++) {
		pair *p = &a->pair[i];
		const ds_value *v = p->in >= 0 ? value_named(g, p->name) : NULL;
		if (!v)
			continue;
		p->out = g->n_output;
		if (ds_graph_output(g, (ds_value *)(uintptr_t)v) != DS_OK)
			return ds_fail_nomem(err, 0);
	}
	a->n_feed = g->n_input;
	a->n_out = g->n_output;
	a->feed = ds_calloc((size_t)a->n_feed + 1, sizeof *a->feed);
	a->out = ds_calloc((size_t)DS_MAX(a->n_out, a->ref->n_output) + 1, sizeof *a->out);
	if (!a->feed || !a->out)
		return ds_fail_nomem(err, 0);
	return ds_session_new_opts(&a->cut_s, g, &(ds_session_opts){ .threads = a->o.threads, .memory_limit = a->o.memory_limit, .keep_all = true }, err);
}

static ds_status local(ds_against *a, const ds_tensor *in, int n_in, ds_err *err)
{
	for (int i = 0; i < n_in; i++)
		a->feed[i] = in[i];
	for (int i = 0; i < a->n_pair; i++)
		if (a->pair[i].in >= 0)
			a->feed[a->pair[i].in] = a->pair[i].ref;
	DS_TRY(ds_session_run(a->cut_s, a->feed, a->n_feed, a->out, a->n_out, err));
	ds_status rc = DS_OK;
	for (int i = 0; i < a->n_pair; i++) {
		const pair *p = &a->pair[i];
		if (p->out >= 0 && rc == DS_OK)
			rc = compare(&a->row[p->row], &a->row[p->row].local, &p->ref, &a->out[p->out], err);
	}
	for (int i = 0; i < a->n_out; i++)
		ds_tensor_done(&a->out[i]);
	return rc;
}

/* Has a weight of the same name other dims? */
static bool smaller(const ds_graph *ref, const ds_graph *own)
{
	for (int i = 0; i < ref->n_weight; i++)
		for (int k = 0; k < own->n_weight; k++)
			if (ref->weight[i]->name[0] && strcmp(ref->weight[i]->name, own->weight[k]->name) == 0 && !ds_type_same_dims(&ref->weight[i]->type, &own->weight[k]->type))
				return true;
	return false;
}

/* ---- from outside ---------------------------------------------------------------------------------------------------------------- */
ds_status ds_against_new(ds_against **out, const ds_model *ref, const ds_model *changed, const ds_against_opts *o, ds_err *err)
{
	ds_status rc;
	int applied;
	ds_against *a = *out = ds_calloc(1, sizeof *a);
	if (!a)
		return ds_fail_nomem(err, sizeof *a);
	a->o = *o;
	DS_GOTO(clone(&a->ref, ref, err));
	DS_GOTO(clone(&a->own, changed, err));
	if (has_norm(a->ref) && !has_norm(a->own)) {
		DS_GOTO(ds_rewrite_apply(a->ref, "fold-batchnorm", &applied, NULL, err));
		ds_graph_prune_dead(a->ref);
		DS_GOTO(prepare(a->ref, err));
	}
	DS_GOTO(check_ends(a->ref, a->own, err));
	DS_GOTO(match(a, err));
	if (o->equalized)
		DS_GOTO(ds_q_equalized(a->ref, a->own, take_factor, a, err));
	if (smaller(a->ref, a->own))
		DS_GOTO(ds_against_cuts(ref, a->ref, a->own, take_cut, a, err));
	ds_session_opts inside = { .threads = o->threads, .memory_limit = o->memory_limit, .keep_all = true }, plain = inside;
	plain.keep_all = false;
	DS_GOTO(ds_session_new_opts(&a->ref_s, a->ref, &inside, err));
	DS_GOTO(ds_session_new_opts(&a->own_s, a->own, &inside, err));
	DS_GOTO(ds_session_new_opts(&a->ref_run, ref->graph, &plain, err));
	DS_GOTO(ds_session_new_opts(&a->own_run, changed->graph, &plain, err));
	ds_session_tap(a->ref_s, on_ref, a);
	ds_session_tap(a->own_s, on_own, a);
out:
	if (rc != DS_OK) {
		ds_against_free(a);
		*out = NULL;
	}
	return rc;
}

static ds_status first_sample(ds_against *a, const ds_tensor *in, int n_in, bool *fits, ds_err *err)
{
	if (!a->in_type) {
		if (!(a->in_type = ds_calloc((size_t)n_in + 1, sizeof *a->in_type)))
			return ds_fail_nomem(err, 0);
		for (int i = 0; i < n_in; i++)
			a->in_type[i] = ds_type_of(&in[i]);
	}
	*fits = true;
	for (int i = 0; i < n_in; i++) {
		ds_type t = ds_type_of(&in[i]);
		*fits = *fits && ds_type_same_dims(&t, &a->in_type[i]);
	}
	return DS_OK;
}

static void drop(ds_tensor *t, int n)
{
	for (int i = 0; t && i < n; i++)
		ds_tensor_done(&t[i]);
}

ds_status ds_against_item(ds_against *a, const ds_tensor *in, int n_in, const int64_t *label, bool *fits, ds_err *err)
{
	int n = a->ref->n_output;
	ds_tensor *ref = ds_calloc((size_t)n + 1, sizeof *ref), *own = ds_calloc((size_t)n + 1, sizeof *own);
	ds_status rc = ref && own ? first_sample(a, in, n_in, fits, err) : ds_fail_nomem(err, 0);
	if (rc != DS_OK || !*fits)
		goto out;
	DS_GOTO(ds_session_run(a->ref_s, in, n_in, ref, n, err));
	drop(ref, n);
	DS_GOTO(ds_session_run(a->own_s, in, n_in, own, n, err));
	drop(own, n);
	if (!a->cut_s)
		DS_GOTO(cut(a, err));
	DS_GOTO(local(a, in, n_in, err));
	DS_GOTO(ds_session_run(a->ref_run, in, n_in, ref, n, err));
	DS_GOTO(ds_session_run(a->own_run, in, n_in, own, n, err));
	DS_GOTO(ds_shift_add(&a->shift, &a->o.kind, ref, own, n, label, err));
	for (int i = 0; i < a->n_row; i++)
		a->row[i].items++;
out:
	drop(ref, n);
	drop(own, n);
	ds_free(ref);
	ds_free(own);
	return rc;
}

/* Worst first; of equals the order of the graph. */
static int by_error(const void *x, const void *y)
{
	const ds_against_row *a = *(const ds_against_row *const *)x, *b = *(const ds_against_row *const *)y;
	double p = a->skip ? NAN : ds_likeness_sqnr(&a->local), q = b->skip ? NAN : ds_likeness_sqnr(&b->local);
	if (isnan(p) != isnan(q))
		return isnan(p) ? 1 : -1;
	if (!isnan(p) && p != q)
		return p < q ? -1 : 1;
	if (a->weights != b->weights)
		return a->weights ? -1 : 1;
	return a < b ? -1 : a > b;
}

const ds_against_row *ds_against_rows(ds_against *a, int *n)
{
	*n = a->n_row;
	if (a->sorted)
		return a->row;
	const ds_against_row **p = ds_calloc((size_t)a->n_row + 1, sizeof *p);
	ds_against_row *sorted = ds_calloc((size_t)a->n_row + 1, sizeof *sorted);
	for (int i = 0; p && sorted && i < a->n_row; i++)
		p[i] = &a->row[i];
	if (p && sorted) {
		qsort(p, (size_t)a->n_row, sizeof *p, by_error);
		for (int i = 0; i < a->n_row; i++)
			sorted[i] = *p[i];
		ds_free(a->row);
		a->row = sorted;
		a->sorted = true;
		sorted = NULL;
	}
	ds_free(p);
	ds_free(sorted);
	return a->row;
}

const ds_shift *ds_against_outputs(const ds_against *a)
{
	return &a->shift;
}

void ds_against_free(ds_against *a)
{
	if (!a)
		return;
	for (int i = 0; i < a->n_pair; i++) {
		ds_tensor_done(&a->pair[i].ref);
		ds_free(a->pair[i].factor);
		ds_free(a->pair[i].left);
	}
	ds_session_free(a->ref_s);
	ds_session_free(a->own_s);
	ds_session_free(a->cut_s);
	ds_session_free(a->ref_run);
	ds_session_free(a->own_run);
	ds_graph_free(a->ref);
	ds_graph_free(a->own);
	ds_graph_free(a->cut);
	ds_free(a->pair);
	ds_free(a->row);
	ds_free(a->feed);
	ds_free(a->out);
	ds_free(a->in_type);
	ds_free(a);
}
