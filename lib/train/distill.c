/* distill.c - a student against its teacher, as ordinary nodes */
#include "distill.h"
#include "head.h"

#include <string.h>

static ds_value *mul(ds_emit *e, ds_value *v, double by) { return by == 1 ? v : ds_emit2(e, "Mul", v, ds_emit_f32(e, (float)by)); }

static ds_value *along(ds_emit *e, const char *op, ds_value *v, int axis)
{
	ds_value *r = ds_emit1(e, op, v);
	ds_emit_i(e, r, "axis", axis);
	return r;
}

static ds_value *sum_over(ds_emit *e, ds_value *v, int axis, bool keep) { return ds_emit_reduce(e, "ReduceSum", v, 1, (int64_t[]){ axis }, keep); }
static ds_value *mean_over(ds_emit *e, ds_value *v, int axis) { return ds_emit_reduce(e, "ReduceMean", v, 1, (int64_t[]){ axis }, true); }

/* Mean over positions of sum over classes of p * (log p - log q). */
static ds_value *divergence(ds_emit *e, ds_value *logp, ds_value *logq, int axis)
{
	ds_value *p = ds_emit1(e, "Exp", logp);
	return ds_head_mean(e, sum_over(e, ds_emit2(e, "Mul", p, ds_emit2(e, "Sub", logp, logq)), axis, false));
}

/* ---- logits ------------------------------------------------------------------------------------------------------------------------ */
/* T^2 * KL(teacher || student) of softened classes (Hinton, Vinyals & Dean 2015, arXiv:1503.02531). */
static ds_status kd(const ds_head *h, const ds_distill_opts *o, ds_value *s, ds_value *t, int axis, ds_value **loss, ds_err *err)
{
	ds_emit *e = h->e;
	double T = o->temperature;
	*loss = mul(e, divergence(e, along(e, "LogSoftmax", mul(e, t, 1 / T), axis), along(e, "LogSoftmax", mul(e, s, 1 / T), axis), axis), T * T);
	return ds_emit_end(e);
}

/* The same the other way round: the student is punished for what the teacher would not say (Gu et al. 2024, arXiv:2306.08543). */
static ds_status reverse(const ds_head *h, const ds_distill_opts *o, ds_value *s, ds_value *t, int axis, ds_value **loss, ds_err *err)
{
	ds_emit *e = h->e;
	double T = o->temperature;
	*loss = mul(e, divergence(e, along(e, "LogSoftmax", mul(e, s, 1 / T), axis), along(e, "LogSoftmax", mul(e, t, 1 / T), axis), axis), T * T);
	return ds_emit_end(e);
}

/* Logits less their mean over the classes, over their deviation. */
static ds_value *standard(ds_emit *e, ds_value *z, int axis)
{
	ds_value *d = ds_emit2(e, "Sub", z, mean_over(e, z, axis));
	ds_value *sd = ds_emit1(e, "Sqrt", ds_emit2(e, "Add", mean_over(e, ds_emit2(e, "Mul", d, d), axis), ds_emit_f32(e, 1e-7f)));
	return ds_emit2(e, "Div", d, sd);
}

/* kd on standardised logits (Sun et al. 2024, arXiv:2403.01427): the student need not match the teacher's range. */
static ds_status standardised(const ds_head *h, const ds_distill_opts *o, ds_value *s, ds_value *t, int axis, ds_value **loss, ds_err *err)
{
	return kd(h, o, standard(h->e, s, axis), standard(h->e, t, axis), axis, loss, err);
}

static ds_status logits(const ds_head *h, const ds_distill_opts *o, ds_value *s, ds_value *t, int axis, ds_value **loss, ds_err *err)
{
	ds_value *d = ds_emit2(h->e, "Sub", s, t);
	*loss = ds_head_mean(h->e, ds_emit2(h->e, "Mul", d, d));
	return ds_emit_end(h->e);
}

/* Decoupled (Zhao et al. 2022, arXiv:2203.08679): KL of (target, rest) plus beta times KL among the others. */
static ds_status dkd(const ds_head *h, const ds_distill_opts *o, ds_value *s, ds_value *t, int axis, ds_value **loss, ds_err *err)
{
	ds_emit *e = h->e;
	const ds_type *type = &h->pred[0]->type;
	double T = o->temperature;
	if (!h->target || h->target->type.dtype != DS_I64)
		return ds_fail(err, DS_E_USAGE, "dkd wants class labels");
	ds_value *own = ds_head_one_hot(e, h->target, axis, type->dim[axis], 0);
	ds_value *z[2] = { mul(e, t, 1 / T), mul(e, s, 1 / T) }, *logp[2], *pair[2][2], *rest[2];
	for (int i = 0; i < 2; i++) {
		logp[i] = along(e, "LogSoftmax", z[i], axis);
		ds_value *p = sum_over(e, ds_emit2(e, "Mul", ds_emit1(e, "Exp", logp[i]), own), axis, false);
		p = ds_emit3(e, "Clip", p, ds_emit_f32(e, 1e-6f), ds_emit_f32(e, 1 - 1e-6f));
		pair[i][0] = p;
		pair[i][1] = ds_emit2(e, "Sub", ds_emit_f32(e, 1), p);
		rest[i] = along(e, "LogSoftmax", ds_emit2(e, "Sub", z[i], mul(e, own, 1000)), axis);    /* the target takes no part */
	}
	ds_value *target = NULL;
	for (int k = 0; k < 2; k++) {
		ds_value *term = ds_emit2(e, "Mul", pair[0][k], ds_emit2(e, "Sub", ds_emit1(e, "Log", pair[0][k]), ds_emit1(e, "Log", pair[1][k])));
		target = target ? ds_emit2(e, "Add", target, term) : term;
	}
	ds_value *others = sum_over(e, ds_emit2(e, "Mul", ds_emit1(e, "Exp", rest[0]),
		ds_emit2(e, "Mul", ds_emit2(e, "Sub", rest[0], rest[1]), ds_emit2(e, "Sub", ds_emit_f32(e, 1), own))), axis, false);
	*loss = mul(e, ds_head_mean(e, ds_emit2(e, "Add", target, mul(e, others, o->beta))), T * T);
	return ds_emit_end(e);
}

/* 1 - Pearson's correlation along an axis, mean. */
static ds_value *unlike(ds_emit *e, ds_value *a, ds_value *b, int axis)
{
	ds_value *x = ds_emit2(e, "Sub", a, mean_over(e, a, axis)), *y = ds_emit2(e, "Sub", b, mean_over(e, b, axis));
	ds_value *xy = sum_over(e, ds_emit2(e, "Mul", x, y), axis, false);
	ds_value *xx = sum_over(e, ds_emit2(e, "Mul", x, x), axis, false), *yy = sum_over(e, ds_emit2(e, "Mul", y, y), axis, false);
	ds_value *n = ds_emit1(e, "Sqrt", ds_emit2(e, "Add", ds_emit2(e, "Mul", xx, yy), ds_emit_f32(e, 1e-12f)));
	return ds_head_mean(e, ds_emit2(e, "Sub", ds_emit_f32(e, 1), ds_emit2(e, "Div", xy, n)));
}

/* Correlation instead of equality, between classes of an item and between items of a class (Huang et al. 2022, arXiv:2205.10536). */
static ds_status dist(const ds_head *h, const ds_distill_opts *o, ds_value *s, ds_value *t, int axis, ds_value **loss, ds_err *err)
{
	ds_emit *e = h->e;
	double T = o->temperature;
	ds_value *p = along(e, "Softmax", mul(e, s, 1 / T), axis), *q = along(e, "Softmax", mul(e, t, 1 / T), axis);
	*loss = mul(e, ds_emit2(e, "Add", unlike(e, p, q, axis), unlike(e, p, q, 0)), T * T);
	return ds_emit_end(e);
}

/* ---- inner values -------------------------------------------------------------------------------------------------------------------- */
static ds_value *rows_of(ds_emit *e, ds_value *v, const ds_type *t)
{
	int64_t n = ds_type_count(t) / t->dim[0];
	ds_type flat = ds_type_make(DS_F32, 2, (int64_t[]){ t->dim[0], n });
	return ds_emit_reshape(e, v, &flat);
}

/* Similarities of the items of a batch [N, N], rows of length 1. */
static ds_value *similarity(ds_emit *e, ds_value *v, const ds_type *t)
{
	ds_value *f = rows_of(e, v, t), *s = ds_emit2(e, "Gemm", f, f);
	ds_emit_i(e, s, "transB", 1);
	return ds_head_unit_rows(e, s);
}

/* Where activations are large: mean of squares over the channels, as one vector of length 1 per item. */
static ds_value *where(ds_emit *e, ds_value *v, const ds_type *t)
{
	ds_type map = *t;
	map.dim[1] = 1;
	ds_value *m = ds_emit_reduce(e, "ReduceMean", ds_emit2(e, "Mul", v, v), 1, (int64_t[]){ 1 }, true);
	return ds_head_unit_rows(e, rows_of(e, m, &map));
}

static ds_value *find(const ds_graph *g, const char *name)
{
	for (int i = 0; i < g->n_node; i++)
		for (int k = 0; k < g->node[i]->n_out; k++)
			if (strcmp(g->node[i]->out[k]->name, name) == 0)
				return g->node[i]->out[k];
	return NULL;
}

static ds_status match(const ds_head *h, const ds_match *m, ds_value *teacher, ds_value **loss, ds_err *err)
{
	ds_emit *e = h->e;
	ds_value *student = find(h->g, m->student), *d;
	if (!student)
		return ds_fail(err, DS_E_INPUT, "the student has no value \"%.200s\"", m->student);
	const ds_type *s = &student->type, *t = &m->teacher;
	bool attention = m->how == DS_MATCH_ATTENTION;
	if (s->dim[0] != t->dim[0] || (attention && (s->rank != 4 || t->rank != 4 || s->dim[2] != t->dim[2] || s->dim[3] != t->dim[3])) ||
		(m->how == DS_MATCH_VALUES && !ds_type_same_dims(s, t)))
		return ds_fail(err, DS_E_INPUT, "value \"%.200s\" does not fit the teacher's", m->student);
	if (m->how == DS_MATCH_VALUES)
		d = ds_emit2(e, "Sub", student, teacher);
	else if (attention)
		d = ds_emit2(e, "Sub", where(e, student, s), where(e, teacher, t));
	else
		d = ds_emit2(e, "Sub", similarity(e, student, s), similarity(e, teacher, t));
	d = ds_emit2(e, "Mul", d, d);
	/* similarities and maps: sum per item; values: mean */
	*loss = m->how == DS_MATCH_VALUES ? ds_head_mean(e, d) : ds_head_mean(e, sum_over(e, d, 1, false));
	*loss = mul(e, *loss, m->weight);
	return ds_emit_end(e);
}

/* ---- the head ------------------------------------------------------------------------------------------------------------------------- */
ds_status ds_distill_head(void *arg, const ds_head *h, ds_value **loss, ds_err *err)
{
	const ds_distill_opts *o = arg;
	ds_emit *e = h->e;
	int at = 0;
	*loss = NULL;
	if (o->loss) {
		DS_TRY(o->loss->build(h, &o->loss_opts, loss, err));
		if (o->method)
			*loss = mul(e, *loss, 1 - o->alpha);
	}
	if (o->method) {
		const ds_type *s = &h->pred[0]->type, *t = &h->extra[at]->type;
		ds_value *part = NULL;
		if (!ds_type_same_dims(s, t))
			return ds_fail(err, DS_E_INPUT, "the teacher's output and the student's have different dims");
		DS_TRY(o->method->build(h, o, h->pred[0], h->extra[at++], ds_class_axis(s), &part, err));
		part = mul(e, part, o->loss ? o->alpha : 1);
		*loss = *loss ? ds_emit2(e, "Add", *loss, part) : part;
	}
	for (int i = 0; i < o->n_match; i++) {
		ds_value *part = NULL;
		DS_TRY(match(h, &o->match[i], h->extra[at++], &part, err));
		*loss = *loss ? ds_emit2(e, "Add", *loss, part) : part;
	}
	if (!*loss)
		return ds_fail(err, DS_E_USAGE, "nothing to learn from: no labels, no teacher");
	return ds_emit_end(e);
}

/* ---- the table ------------------------------------------------------------------------------------------------------------------------ */
static const ds_distill table[] = {
	{ "kd", false, kd, "softened classes of the teacher" },
	{ "kd-ls", false, standardised, "the same on standardised logits" },
	{ "dkd", true, dkd, "the target and the other classes apart" },
	{ "dist", false, dist, "correlation between classes and between items" },
	{ "reverse-kl", false, reverse, "KL from the student's side, for language models" },
	{ "mse", false, logits, "squared error of the logits" },
};
static const ds_distill *const rows[] = { &table[0], &table[1], &table[2], &table[3], &table[4], &table[5] };

const ds_distill *ds_distill_find(const char *name)
{
	for (size_t i = 0; i < DS_COUNTOF(rows); i++)
		if (strcmp(rows[i]->name, name) == 0)
			return rows[i];
	return NULL;
}

const ds_distill *const *ds_distill_all(int *n)
{
	*n = (int)DS_COUNTOF(rows);
	return rows;
}
