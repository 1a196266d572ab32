/* optimizer.c - what a gradient does to a parameter
 *
 * Arithmetic is per element, or in matrix products whose order is fixed, so that the number of threads changes nothing. */
#include "train.h"
#include "../op/igemm.h"

#include <math.h>
#include <string.h>

/* SGD with momentum; weight decay is part of the gradient, as the recipes of convolutional networks have it (Sutskever et al. 2013 for Nesterov's form). */
static void sgd(const ds_optim_opts *o, ds_param *p, int64_t i0, int64_t i1, double lr, double decay, int64_t step)
{
	float *w = p->value.data, *m = p->moment[0].data;
	const float *g = p->grad.data;
	const float mu = (float)o->momentum, rate = (float)lr, wd = (float)decay;
	(void)step;
	if (o->nesterov) {
		for (int64_t i = i0; i < i1; i++) {
			float d = g[i] + wd * w[i];
			m[i] = mu * m[i] + d;
			w[i] -= rate * (d + mu * m[i]);
		}
	} else {
		for (int64_t i = i0; i < i1; i++) {
			m[i] = mu * m[i] + (g[i] + wd * w[i]);
			w[i] -= rate * m[i];
		}
	}
}

/* Decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101). */
static void adamw(const ds_optim_opts *o, ds_param *p, int64_t i0, int64_t i1, double lr, double decay, int64_t step)
{
	float *w = p->value.data, *m = p->moment[0].data, *v = p->moment[1].data;
	const float *g = p->grad.data;
	const float b1 = (float)o->beta1, b2 = (float)o->beta2, eps = (float)o->eps;
	const float c1 = (float)(1 / (1 - pow(o->beta1, (double)step))), c2 = (float)(1 / (1 - pow(o->beta2, (double)step)));
	const float rate = (float)lr, keep = (float)(1 - lr * decay);
	for (int64_t i = i0; i < i1; i++) {
		m[i] = b1 * m[i] + (1 - b1) * g[i];
		v[i] = b2 * v[i] + (1 - b2) * (g[i] * g[i]);
		w[i] = keep * w[i] - rate * (m[i] * c1) / (sqrtf(v[i] * c2) + eps);
	}
}

/* ---- Muon -------------------------------------------------------------------------------------------------------------------------- */
/* c[m][n] = a[m][k] * b, b's element (kk, j) at b[kk * sk + j * sn]. */
static ds_status product(ds_pool *pool, float *c, const float *a, int64_t m, int64_t k, const float *b, int64_t sk, int64_t sn, int64_t n, ds_err *err)
{
	ds_igemm g;
	DS_TRY(ds_igemm_new(&g, false, 1, n, 1, k, err));
	ds_igemm_pack_f32(&g, 0, b, sk, sn);
	size_t bytes = ds_igemm_scratch(&g, m, ds_pool_threads(pool));
	void *scratch = ds_aligned(bytes + 64);
	ds_igemm_dense d = { (const char *)a, (size_t)k * sizeof(float) };
	ds_igemm_run r = { .g = &g, .m = m, .rows = ds_igemm_dense_rows, .rows_arg = &d, .c = c, .scratch = scratch };
	if (scratch)
		ds_igemm_go(pool, &r);
	ds_igemm_done(&g);
	ds_free(scratch);
	return scratch ? DS_OK : ds_fail_nomem(err, bytes);
}

/* Five steps of the quintic Newton-Schulz iteration towards the orthogonal factor of x [r][c], r <= c (Jordan et al., "Muon", 2024: the coefficients). */
static ds_status orthogonal(ds_pool *pool, float *x, int64_t r, int64_t c, ds_err *err)
{
	const float ka = 3.4445f, kb = -4.7750f, kc = 2.0315f;
	float *a = ds_aligned((size_t)(2 * r * r + r * c) * sizeof(float)), *b = a + r * r, *y = b + r * r;
	ds_status rc = a ? DS_OK : ds_fail_nomem(err, (size_t)(2 * r * r + r * c) * sizeof(float));
	double norm = 0;
	for (int64_t i = 0; i < r * c; i++)
		norm += (double)x[i] * x[i];
	float scale = (float)(1 / (sqrt(norm) + 1e-7));
	for (int64_t i = 0; i < r * c; i++)
		x[i] *= scale;
	for (int k = 0; k < 5 && rc == DS_OK; k++) {
		rc = product(pool, a, x, r, c, x, 1, c, r, err);
		if (rc == DS_OK)
			rc = product(pool, b, a, r, r, a, r, 1, r, err);
		for (int64_t i = 0; rc == DS_OK && i < r * r; i++)
			b[i] = kb * a[i] + kc * b[i];
		if (rc == DS_OK)
			rc = product(pool, y, b, r, r, x, c, 1, c, err);
		for (int64_t i = 0; rc == DS_OK && i < r * c; i++)
			x[i] = ka * x[i] + y[i];
	}
	ds_free(a);
	return rc;
}

/* The step of a hidden matrix [rows][columns] is its momentum made orthogonal, times sqrt(max(1, rows / columns)); everything else goes by AdamW at a fraction of the rate. */
static ds_status muon(const ds_optim_opts *o, ds_param *p, ds_pool *pool, double lr, double decay, int64_t step, ds_err *err)
{
	enum { ADAM_SHARE = 8 };
	int64_t n = ds_tensor_count(&p->value), rows = p->value.rank ? p->value.dim[0] : 1, cols = rows ? n / rows : 0;
	if (!p->matrix || rows < 2 || cols < 2) {
		adamw(o, p, 0, n, lr / ADAM_SHARE, decay, step);
		return DS_OK;
	}
	float *w = p->value.data, *m = p->moment[0].data, *u = ds_aligned((size_t)n * sizeof *u);
	const float *g = p->grad.data;
	const float mu = (float)o->momentum;
	bool flip = rows > cols;
	if (!u)
		return ds_fail_nomem(err, (size_t)n * sizeof *u);
	for (int64_t i = 0; i < n; i++) {
		m[i] = mu * m[i] + (1 - mu) * g[i];
		u[flip ? i % cols * rows + i / cols : i] = o->nesterov ? (1 - mu) * g[i] + mu * m[i] : m[i];
	}
	ds_status rc = orthogonal(pool, u, flip ? cols : rows, flip ? rows : cols, err);
	float rate = (float)(lr * sqrt(DS_MAX(1.0, (double)rows / (double)cols))), keep = (float)(1 - lr * decay);
	for (int64_t i = 0; rc == DS_OK && i < n; i++)
		w[i] = keep * w[i] - rate * u[flip ? i % cols * rows + i / cols : i];
	ds_free(u);
	return rc;
}

/* ---- the table ----------------------------------------------------------------------------------------------------------------------- */
static const ds_optimizer table[] = {
	{ "sgd", 1, .1, sgd, NULL, "stochastic gradient descent with (Nesterov) momentum" },
	{ "adamw", 2, 1e-3, adamw, NULL, "Adam with decoupled weight decay" },
	{ "muon", 2, .02, NULL, muon, "orthogonalised momentum for matrices, AdamW at an eighth of the rate for the rest" },
};
static const ds_optimizer *const rows[] = { &table[0], &table[1], &table[2] };

const ds_optimizer *ds_optimizer_find(const char *name)
{
	for (size_t i = 0; i < DS_COUNTOF(rows); i++)
		if (strcmp(rows[i]->name, name) == 0)
			return rows[i];
	return NULL;
}

const ds_optimizer *const *ds_optimizer_all(int *n)
{
	*n = (int)DS_COUNTOF(rows);
	return rows;
}
