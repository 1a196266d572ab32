/* answers.c - what a model answers to some samples, and how far a changed model's answers are from that */
#include "answers.h"
#include "../exec/exec.h"

#include <math.h>
#include <string.h>

/* log of the sum of exp, and the largest value */
static double log_sum(const float *x, int64_t n)
{
	double top = -HUGE_VAL, sum = 0;
	for (int64_t i = 0; i < n; i++)
		top = fmax(top, (double)x[i]);
	for (int64_t i = 0; i < n; i++)
		sum += exp((double)x[i] - top);
	return top + log(sum);
}

double ds_kl(const float *p, const float *q, int64_t n, bool logits)
{
	static const double least = 1e-12;      /* probabilities that were rounded to zero */
	double kl = 0, lp = logits ? log_sum(p, n) : 0, lq = logits ? log_sum(q, n) : 0;
	for (int64_t i = 0; i < n; i++) {
		double a = logits ? (double)p[i] - lp : log(fmax((double)p[i], least)), b = logits ? (double)q[i] - lq : log(fmax((double)q[i], least));
		kl += exp(a) * (a - b);
	}
	return fmax(kl, 0);
}

double ds_shift_damage(const ds_shift *s, const ds_answer_kind *k)
{
	if (k->classes)
		return s->n ? s->kl / (double)s->n : 0;
	return s->sq > 0 ? s->err / s->sq : s->err > 0 ? HUGE_VAL : 0;
}

static int64_t best(const float *x, int64_t n)
{
	int64_t at = 0;
	for (int64_t i = 1; i < n; i++)
		if (x[i] > x[at])
			at = i;
	return at;
}

static void add_classes(ds_shift *s, const ds_answer_kind *k, const float *p, const float *q, int64_t count, const int64_t *label)
{
	for (int64_t i = 0; i + k->classes <= count; i += k->classes) {
		int64_t at = i / k->classes, top = best(q + i, k->classes);
		s->n++;
		s->kl += ds_kl(p + i, q + i, k->classes, k->logits);
		s->same += top == best(p + i, k->classes);
		s->right += label && label[at] == top;
	}
}

ds_status ds_shift_add(ds_shift *s, const ds_answer_kind *k, const ds_tensor *ref, const ds_tensor *out, int n_out, const int64_t *label, ds_err *err)
{
	for (int i = 0; i < n_out; i++) {
		ds_tensor p, q;
		ds_type a = ds_type_of(&ref[i]), b = ds_type_of(&out[i]);
		if (!ds_type_same_dims(&a, &b))
			return ds_fail(err, DS_E_INPUT, "output %d of the two models has other dims", i);
		DS_TRY(ds_tensor_to_f32(&ref[i], &p, err));
		ds_status rc = ds_tensor_to_f32(&out[i], &q, err);
		if (rc != DS_OK) {
			ds_tensor_done(&p);
			return rc;
		}
		const float *x = p.data, *y = q.data;
		int64_t n = ds_tensor_count(&p);
		for (int64_t v = 0; v < n; v++) {
			double d = (double)y[v] - (double)x[v];
			s->sq += (double)x[v] * (double)x[v];
			s->err += d * d;
		}
		if (i == 0 && k->classes)
			add_classes(s, k, x, y, n, label);
		ds_tensor_done(&p);
		ds_tensor_done(&q);
	}
	return DS_OK;
}

/* ---- in memory ------------------------------------------------------------------------------------------------------------------- */
static ds_status copy_of(const ds_tensor *t, ds_tensor *out, ds_err *err)
{
	if (t->layout != DS_PLAIN || t->q)
		return ds_tensor_to_f32(t, out, err);
	DS_TRY(ds_tensor_new(out, t->dtype, t->rank, t->dim, err));
	memcpy(out->data, t->data, ds_tensor_bytes(t));
	return DS_OK;
}

ds_status ds_answers_add(ds_answers *a, const ds_tensor *in, int n_in, const int64_t *label, int64_t items, ds_err *err)
{
	if (!ds_grow((void **)&a->set, (size_t)a->n_set, &a->cap, sizeof *a->set))
		return ds_fail_nomem(err, 0);
	struct ds_answer_set *s = &a->set[a->n_set++];
	*s = (struct ds_answer_set){ .in = ds_calloc((size_t)n_in + 1, sizeof *s->in), .items = items };
	a->n_in = n_in;
	a->items += items;
	if (!s->in || (label && !(s->label = ds_calloc((size_t)items, sizeof *s->label))))
		return ds_fail_nomem(err, 0);
	if (label)
		memcpy(s->label, label, (size_t)items * sizeof *label);
	for (int i = 0; i < n_in; i++)
		DS_TRY(copy_of(&in[i], &s->in[i], err));
	return DS_OK;
}

static bool can_join(const struct ds_answer_set *a, const struct ds_answer_set *b, int n_in)
{
	bool ok = !a->label == !b->label;
	for (int i = 0; i < n_in && ok; i++) {
		const ds_tensor *x = &a->in[i], *y = &b->in[i];
		ok = x->dtype == y->dtype && x->rank == y->rank && x->rank > 0 && memcmp(x->dim + 1, y->dim + 1, (size_t)(x->rank - 1) * sizeof x->dim[0]) == 0;
	}
	return ok;
}

/* Sets [first, first + n) into one. */
static ds_status join(ds_answers *a, int first, int n, struct ds_answer_set *out, ds_err *err)
{
	struct ds_answer_set *s = &a->set[first];
	*out = (struct ds_answer_set){ .in = ds_calloc((size_t)a->n_in + 1, sizeof *out->in) };
	for (int k = 0; k < n; k++)
		out->items += s[k].items;
	if (s->label)
		out->label = ds_calloc((size_t)out->items, sizeof *out->label);
	if (!out->in || (s->label && !out->label))
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < a->n_in; i++) {
		int64_t dim[DS_MAX_RANK];
		char *p;
		memcpy(dim, s->in[i].dim, sizeof dim);
		dim[0] = 0;
		for (int k = 0; k < n; k++)
			dim[0] += s[k].in[i].dim[0];
		DS_TRY(ds_tensor_new(&out->in[i], s->in[i].dtype, s->in[i].rank, dim, err));
		p = out->in[i].data;
		for (int k = 0; k < n; k++) {
			memcpy(p, s[k].in[i].data, ds_tensor_bytes(&s[k].in[i]));
			p += ds_tensor_bytes(&s[k].in[i]);
		}
	}
	for (int64_t k = 0, at = 0; k < n && s->label; at += s[k].items, k++)
		memcpy(out->label + at, s[k].label, (size_t)s[k].items * sizeof *out->label);
	return DS_OK;
}

static void set_done(ds_answers *a, struct ds_answer_set *s)
{
	for (int k = 0; k < a->n_in && s->in; k++)
		ds_tensor_done(&s->in[k]);
	for (int k = 0; k < a->n_out && s->out; k++)
		ds_tensor_done(&s->out[k]);
	ds_free(s->in);
	ds_free(s->out);
	ds_free(s->label);
	*s = (struct ds_answer_set){ 0 };
}

ds_status ds_answers_pack(ds_answers *a, int64_t items, ds_err *err)
{
	int to = 0;
	ds_status rc = DS_OK;
	for (int i = 0, n; i < a->n_set && rc == DS_OK; i += n) {
		struct ds_answer_set one;
		for (n = 1; i + n < a->n_set && n < items && can_join(&a->set[i], &a->set[i + n], a->n_in);)
			n++;
		rc = join(a, i, n, &one, err);
		if (rc != DS_OK) {
			set_done(a, &one);
			break;
		}
		for (int k = 0; k < n; k++)
			set_done(a, &a->set[i + k]);
		a->set[to++] = one;
	}
	if (rc == DS_OK)
		a->n_set = to;
	return rc;
}

/* Runs g over all sets; keep: its outputs are the reference's. */
static ds_status run_all(ds_answers *keep, const ds_answers *a, const ds_graph *g, ds_shift *shift, ds_err *err)
{
	ds_session *s = NULL;
	ds_tensor *out = ds_calloc((size_t)g->n_output + 1, sizeof *out);
	ds_session_opts o = { .threads = a->threads, .memory_limit = a->memory_limit };
	ds_status rc = out ? ds_session_new_opts(&s, g, &o, err) : ds_fail_nomem(err, 0);
	*shift = (ds_shift){ 0 };
	for (int i = 0; i < a->n_set && rc == DS_OK; i++) {
		const struct ds_answer_set *b = &a->set[i];
		rc = ds_session_run(s, b->in, a->n_in, out, g->n_output, err);
		if (rc != DS_OK)
			break;
		if (keep) {
			keep->n_out = g->n_output;
			keep->set[i].out = out;
			out = ds_calloc((size_t)g->n_output + 1, sizeof *out);
			rc = out ? ds_shift_add(shift, &a->kind, b->out, b->out, g->n_output, b->label, err) : ds_fail_nomem(err, 0);
			continue;
		}
		rc = ds_shift_add(shift, &a->kind, b->out, out, DS_MIN(a->n_out, g->n_output), b->label, err);
		for (int k = 0; k < g->n_output; k++)
			ds_tensor_done(&out[k]);
	}
	ds_session_free(s);
	ds_free(out);
	return rc;
}

ds_status ds_answers_ask(ds_answers *a, const ds_graph *g, ds_shift *s, ds_err *err)
{
	return run_all(a, a, g, s, err);
}

ds_status ds_answers_compare(const ds_answers *a, const ds_graph *g, ds_shift *s, ds_err *err)
{
	return run_all(NULL, a, g, s, err);
}

void ds_answers_done(ds_answers *a)
{
	for (int i = 0; i < a->n_set; i++)
		set_done(a, &a->set[i]);
	ds_free(a->set);
	*a = (ds_answers){ 0 };
}
