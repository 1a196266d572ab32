/* spec_init.c - parameters and what they are filled with
 *
 * The numbers of a parameter depend on the seed and its name alone, so that a layer more or less leaves the others as they are. */
#include "spec.h"

#include "../base/rng.h"
#include "../base/str.h"

#include <math.h>
#include <string.h>

typedef struct draw { const spec_fill *f; ds_rng rng; double arg; } draw;

static void normal(float *v, int64_t n, draw *d, double deviation)
{
	for (int64_t i = 0; i < n; i++)
		v[i] = (float)(deviation * ds_rng_normal(&d->rng));
}

static void uniform(float *v, int64_t n, draw *d, double bound)
{
	for (int64_t i = 0; i < n; i++)
		v[i] = (float)(bound * (2 * ds_rng_f64(&d->rng) - 1));
}

static void fill_he(float *v, int64_t n, draw *d) { normal(v, n, d, sqrt(2.0 / (double)d->f->fan_in)); }
static void fill_he_out(float *v, int64_t n, draw *d) { normal(v, n, d, sqrt(2.0 / (double)d->f->fan_out)); }
static void fill_he_uniform(float *v, int64_t n, draw *d) { uniform(v, n, d, sqrt(6.0 / (double)d->f->fan_in)); }
static void fill_glorot(float *v, int64_t n, draw *d) { uniform(v, n, d, sqrt(6.0 / (double)(d->f->fan_in + d->f->fan_out))); }
static void fill_glorot_normal(float *v, int64_t n, draw *d) { normal(v, n, d, sqrt(2.0 / (double)(d->f->fan_in + d->f->fan_out))); }
static void fill_lecun(float *v, int64_t n, draw *d) { normal(v, n, d, sqrt(1.0 / (double)d->f->fan_in)); }
static void fill_normal(float *v, int64_t n, draw *d) { normal(v, n, d, d->arg); }
static void fill_uniform(float *v, int64_t n, draw *d) { uniform(v, n, d, d->arg); }
static void fill_zeros(float *v, int64_t n, draw *d) { (void)v, (void)n, (void)d; }
static void fill_constant(float *v, int64_t n, draw *d)
{
	for (int64_t i = 0; i < n; i++)
		v[i] = (float)d->arg;
}
static void fill_ones(float *v, int64_t n, draw *d)
{
	d->arg = 1;
	fill_constant(v, n, d);
}

/* He et al. 2015; Glorot and Bengio 2010; LeCun et al. 1998. */
static const struct rule { const char *name; int args; void (*fill)(float *v, int64_t n, draw *d); } rules[] = {
	{ "he", 0, fill_he }, { "he_out", 0, fill_he_out }, { "he_uniform", 0, fill_he_uniform }, { "glorot", 0, fill_glorot },
	{ "glorot_normal", 0, fill_glorot_normal }, { "lecun", 0, fill_lecun }, { "normal", 1, fill_normal }, { "uniform", 1, fill_uniform },
	{ "zeros", 0, fill_zeros }, { "ones", 0, fill_ones },
	{ "orthogonal", 0, NULL },
};

/* ---- orthogonal (Saxe, McClelland and Ganguli 2013) ---------------------------------------------------------------------------------- */
/* Rows of a (rows <= cols) become orthonormal: modified Gram-Schmidt, each row twice, which is as good as a reflection here. */
static void orthonormal(double *a, int64_t rows, int64_t cols)
{
	for (int64_t i = 0; i < rows; i++) {
		double *x = a + i * cols, sum = 0;
		for (int64_t k = 0; k < 2 * i; k++) {
			const double *y = a + (k % i) * cols;
			double dot = 0;
			for (int64_t j = 0; j < cols; j++)
				dot += x[j] * y[j];
			for (int64_t j = 0; j < cols; j++)
				x[j] -= dot * y[j];
		}
		for (int64_t j = 0; j < cols; j++)
			sum += x[j] * x[j];
		for (int64_t j = 0; j < cols; j++)
			x[j] /= sqrt(sum);
	}
}

static ds_status fill_orthogonal(spec *s, float *v, int64_t n, draw *d, ds_err *err)
{
	int64_t blocks = DS_MAX(d->f->blocks, 1), rows = d->f->blocks ? d->f->dim[d->f->rank - 1] : d->f->dim[0], cols = n / blocks / DS_MAX(rows, 1);
	int64_t few = DS_MIN(rows, cols), many = DS_MAX(rows, cols);
	if (d->f->rank < 2 || few < 1)
		return ds_spec_fail(s, err, DS_E_INPUT, "init=orthogonal is for matrices");
	if ((double)few * (double)few * (double)many * (double)blocks > 2e10)
		return ds_spec_fail(s, err, DS_E_INPUT, "init=orthogonal: a matrix of %lld x %lld is too large", (long long)rows, (long long)cols);
	double *a = ds_calloc((size_t)(few * many), sizeof *a);
	if (!a)
		return ds_fail_nomem(err, (size_t)(few * many) * sizeof *a);
	for (int64_t b = 0; b < blocks; b++) {
		for (int64_t i = 0; i < few * many; i++)
			a[i] = ds_rng_normal(&d->rng);
		orthonormal(a, few, many);
		for (int64_t i = 0; i < rows; i++)
			for (int64_t j = 0; j < cols; j++)
				v[(b * rows + i) * cols + j] = (float)(rows <= cols ? a[i * many + j] : a[j * many + i]);
	}
	ds_free(a);
	return DS_OK;
}

/* ---- parameters ---------------------------------------------------------------------------------------------------------------------- */
static ds_status unknown_rule(spec *s, const char *word, ds_err *err)
{
	ds_buf b = { 0 };
	for (size_t i = 0; i < DS_COUNTOF(rules); i++)
		ds_buf_printf(&b, "%s%s%s", i ? ", " : "", rules[i].name, rules[i].args ? "(X)" : "");
	ds_status rc = ds_spec_fail(s, err, DS_E_INPUT, "init=%.64s: it is a number or one of %s", word, b.data ? b.data : "");
	ds_buf_done(&b);
	return rc;
}

static ds_status fill(spec *s, float *v, int64_t n, draw *d, const spec_val *init, ds_err *err)
{
	if (init->kind == SPEC_NUMBER) {
		d->arg = init->number;
		fill_constant(v, n, d);
		return DS_OK;
	}
	if (init->kind != SPEC_WORD)
		return ds_spec_fail(s, err, DS_E_INPUT, "init= takes a number or a rule");
	for (size_t i = 0; i < DS_COUNTOF(rules); i++) {
		if (strcmp(rules[i].name, init->word) != 0)
			continue;
		if (init->n != rules[i].args || (init->n && init->item[0].kind != SPEC_NUMBER))
			return ds_spec_fail(s, err, DS_E_INPUT, rules[i].args ? "init=%s(X) takes one number" : "init=%s takes no number",
				rules[i].name);
		d->arg = init->n ? init->item[0].number : 0;
		if (!rules[i].fill)
			return fill_orthogonal(s, v, n, d, err);
		rules[i].fill(v, n, d);
		return DS_OK;
	}
	return unknown_rule(s, init->word, err);
}

/* The rule of a layer as a value: "he", or "0.02" for normal(0.02). */
static spec_val own_rule(const char *rule, spec_val *arg)
{
	double x;
	if (!ds_parse_f64(rule, &x))
		return (spec_val){ .kind = SPEC_WORD, .word = rule };
	*arg = (spec_val){ .kind = SPEC_NUMBER, .number = x };
	return (spec_val){ .kind = SPEC_WORD, .word = "normal", .item = arg, .n = 1 };
}

ds_status ds_spec_param(spec *s, const char *layer, const spec_fill *f, const spec_val *init, ds_value **out, ds_err *err)
{
	uint64_t n = 1, limit = s->o && s->o->memory_limit ? s->o->memory_limit : (uint64_t)2 << 30;
	const char *name = *f->part ? ds_arena_printf(&s->arena, "%s.%s", layer, f->part) : layer;
	spec_val arg, own = own_rule(f->rule, &arg);
	ds_tensor t = { 0 };
	if (!name)
		return ds_fail_nomem(err, 64);
	for (int i = 0; i < f->rank; i++)
		if (ds_mul_over(n, (uint64_t)f->dim[i], &n))
			n = UINT64_MAX;
	if (n > limit / 4 || s->bytes + 4 * n > limit)
		return ds_spec_fail(s, err, DS_E_LIMIT, "'%.100s': more parameters than the memory limit allows", name);
	s->bytes += 4 * n;
	DS_TRY(ds_tensor_new(&t, DS_F32, f->rank, f->dim, err));
	draw d = { f, ds_rng_init(s->o ? s->o->seed : 0, ds_hash64(name, strlen(name), 0)), 0 };
	bool general = f->follows && s->init.kind != SPEC_LAYER && !(s->init.kind == SPEC_WORD && !*s->init.word);
	ds_status rc = fill(s, t.data, (int64_t)n, &d, init ? init : general ? &s->init : &own, err);
	if (rc != DS_OK) {
		ds_tensor_done(&t);
		return rc;
	}
	*out = ds_graph_weight(s->g, DS_V_PARAM, name, &t);
	ds_tensor_done(&t);
	return *out ? DS_OK : ds_fail_nomem(err, 64);
}
