/* ctcloss.c - ds.CTCLoss and ds.CTCLossGrad: connectionist temporal classification (Graves, Fernandez, Gomez & Schmidhuber 2006, "Connectionist Temporal
 * Classification: Labelling Unsegmented Sequence Data with Recurrent Neural Networks")
 *
 * CTCLoss(logits [N, T, C] floats, target i64 [N, S]; blank) -> loss [N]: minus the logarithm of the probability, under softmax of the logits at each of T steps, of all
 * paths that give the target when repeats are merged and blanks taken out.  A target is a row up to its first -1; everything behind is -1.  DS_E_INPUT: labels
 * outside [0, C), the blank as a label, labels behind the padding.  A target that needs more than T steps (its labels, and one more for each repeat) has the
 * loss +infinity; its gradient is 0.
 * CTCLossGrad(logits, target, dloss [N]; blank) -> dlogits = dloss (softmax - share of the paths that are at each class) (eq. 16).
 * Forward and backward variables are logarithms in f64.  A task is an item. */
#include "draw.h"
#include "grad.h"
#include "nn.h"
#include "nnmath.h"

#include <math.h>
#include <string.h>

typedef struct attr { int64_t blank; } attr;
static const ds_opt attrs[] = {
	DS_NN_INT(attr, blank, "blank", "0", 0, 0, "Class that stands for no label"),
	{ 0 }
};

typedef struct job {
	int64_t        n, t, c, s, blank;
	const float   *x, *dloss;
	const int64_t *target;
	float         *loss, *dx;       /* one of them */
	char          *work;
	size_t         per_worker;
} job;

/* Scratch of a worker: forward variables of all steps (the loss keeps two), backward variables of two, shares of the classes, log softmax of a step. */
static size_t layout(const job *j, bool grad, size_t at[4])
{
	size_t states = 2 * (size_t)j->s + 1;
	size_t size[4] = { sizeof(double) * states * (grad ? (size_t)DS_MAX(j->t, 1) : 2), grad ? sizeof(double) * 2 * states : 0,
		grad ? sizeof(double) * (size_t)j->c : 0, sizeof(float) * (size_t)j->c }, total = 0;

	for (int i = 0; i < 4; i++) {
		at[i] = total;
		total += ds_pad64(size[i]);
	}
	return total;
}

static double log_add(double a, double b)
{
	double hi = a > b ? a : b, lo = a > b ? b : a;

	return lo == -INFINITY ? hi : hi + log1p(exp(lo - hi));
}

static void log_softmax(const float *x, float *y, int64_t n)
{
	float max = -INFINITY, f;

	for (int64_t i = 0; i < n; i++)
		max = x[i] > max ? x[i] : max;
	for (int64_t i = 0; i < n; i++)
		y[i] = x[i] - max;
	ds_nn_exp(y, y, (size_t)n);
	f = (float)log(ds_nn_sum(y, n));
	for (int64_t i = 0; i < n; i++)
		y[i] = (x[i] - max) - f;
}

static int64_t labels_of(const job *j, int64_t item)
{
	int64_t n = 0;

	while (n < j->s && j->target[item * j->s + n] >= 0)
		n++;
	return n;
}

/* Class of state s: blanks stand between, before and behind the labels. */
static int64_t class_of(const job *j, const int64_t *label, int64_t s) { return s % 2 ? label[s / 2] : j->blank; }

/* May state s be entered from s - 2, over a blank?  Not between equal labels. */
static bool skips(const int64_t *label, int64_t s) { return s % 2 && s > 1 && label[s / 2] != label[s / 2 - 1]; }

/* Forward variables of step t from those of the step before (NULL: the first). */
static void forward_step(const job *j, const int64_t *label, int64_t states, const float *logp, const double *old, double *now)
{
	for (int64_t s = 0; s < states; s++) {
		double a = old ? old[s] : s < 2 ? 0 : -INFINITY;

		if (old && s > 0)
			a = log_add(a, old[s - 1]);
		if (old && skips(label, s))
			a = log_add(a, old[s - 2]);
		now[s] = a + (double)logp[class_of(j, label, s)];
	}
}

/* Backward variables of step t, without its own emission, from those of the step behind with theirs (NULL: the last). */
static void backward_step(const int64_t *label, int64_t states, const double *next, double *now)
{
	for (int64_t s = 0; s < states; s++) {
		double b = next ? next[s] : s >= states - 2 ? 0 : -INFINITY;

		if (next && s + 1 < states)
			b = log_add(b, next[s + 1]);
		if (next && s + 2 < states && skips(label, s + 2))
			b = log_add(b, next[s + 2]);
		now[s] = b;
	}
}

static double last_states(const double *a, int64_t states)
{
	return states > 1 ? log_add(a[states - 1], a[states - 2]) : a[0];
}

static void run_losses(void *arg, int64_t i0, int64_t i1, int worker)
{
	const job *j = arg;
	size_t at[4];
	char *w = j->work + (size_t)worker * j->per_worker;

	layout(j, false, at);
	for (int64_t i = i0; i < i1; i++) {
		const int64_t *label = j->target + i * j->s;
		int64_t states = 2 * labels_of(j, i) + 1;
		double *a = (double *)(w + at[0]), *b = a + 2 * j->s + 1;
		float *logp = (float *)(w + at[3]);

		for (int64_t t = 0; t < j->t; t++) {
			double *swap = a;

			log_softmax(j->x + (i * j->t + t) * j->c, logp, j->c);
			forward_step(j, label, states, logp, t ? a : NULL, b);
			a = b;
			b = swap;
		}
		j->loss[i] = j->t ? (float)-last_states(a, states) : states > 1 ? INFINITY : 0;
	}
}

static void run_gradients(void *arg, int64_t i0, int64_t i1, int worker)
{
	const job *j = arg;
	size_t at[4];
	char *w = j->work + (size_t)worker * j->per_worker;
	int64_t most = 2 * j->s + 1;

	layout(j, true, at);
	for (int64_t i = i0; i < i1; i++) {
		const int64_t *label = j->target + i * j->s;
		int64_t states = 2 * labels_of(j, i) + 1;
		double *a = (double *)(w + at[0]), *next = (double *)(w + at[1]), *now = next + most, *share = (double *)(w + at[2]), all;
		float *dx = j->dx + i * j->t * j->c, scale = j->dloss[i];

		/* the result holds the log softmax until it is overwritten, step by step */
		for (int64_t t = 0; t < j->t; t++) {
			log_softmax(j->x + (i * j->t + t) * j->c, dx + t * j->c, j->c);
			forward_step(j, label, states, dx + t * j->c, t ? a + (t - 1) * most : NULL, a + t * most);
		}
		all = j->t ? last_states(a + (j->t - 1) * most, states) : -INFINITY;
		if (all == -INFINITY) {
			memset(dx, 0, sizeof(float) * (size_t)(j->t * j->c));
			continue;
		}
		for (int64_t t = j->t - 1; t >= 0; t--) {
			float *row = dx + t * j->c;

			backward_step(label, states, t + 1 < j->t ? next : NULL, now);
			memset(share, 0, sizeof *share * (size_t)j->c);
			for (int64_t s = 0; s < states; s++) {
				int64_t c = class_of(j, label, s);

				share[c] += exp(a[t * most + s] + now[s] - all);
				next[s] = now[s] + (double)row[c];
			}
			ds_nn_exp(row, row, (size_t)j->c);
			for (int64_t c = 0; c < j->c; c++)
				row[c] = scale * (row[c] - (float)share[c]);
		}
	}
}

/* ---- columns -------------------------------------------------------------------------------------------------------------------- */

static ds_status begin(const ds_env *env, const ds_node *n, const ds_tensor *const *in, bool grad, job *j, ds_err *err)
{
	size_t at[4];

	*j = (job){ .n = in[0]->dim[0], .t = in[0]->dim[1], .c = in[0]->dim[2], .s = in[1]->dim[1], .blank = DS_A(attr, n)->blank, .x = in[0]->data,
		.target = in[1]->data, .work = env->scratch };
	if (j->blank < 0 || j->blank >= j->c)
		return ds_fail(err, DS_E_INPUT, "%s: blank %lld of %lld classes", n->op_name, (long long)j->blank, (long long)j->c);
	for (int64_t i = 0; i < j->n; i++)
		for (int64_t k = 0, labels = labels_of(j, i); k < j->s; k++) {
			int64_t v = j->target[i * j->s + k];

			if (k >= labels ? v != -1 : v >= j->c || v == j->blank)
				return ds_fail(err, DS_E_INPUT, "%s: label %lld of %lld classes at place %lld of item %lld", n->op_name, (long long)v, (long long)j->c,
					(long long)k, (long long)i);
		}
	j->per_worker = layout(j, grad, at);
	if (j->per_worker * (size_t)ds_pool_threads(env->pool) > env->scratch_size)
		return ds_fail(err, DS_E_INTERNAL, "%s: too little scratch", n->op_name);
	return DS_OK;
}

static ds_status losses_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	job j;

	DS_TRY(begin(env, n, in, false, &j, err));
	j.loss = out[0]->data;
	ds_nn_for(env->pool, j.n, 1, run_losses, &j);
	return DS_OK;
}

static ds_status gradients_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	job j;

	DS_TRY(begin(env, n, in, true, &j, err));
	j.dloss = in[2]->data;
	j.dx = out[0]->data;
	ds_nn_for(env->pool, j.n, 1, run_gradients, &j);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, losses_f32);
}

static ds_status grad_forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, gradients_f32);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	const ds_type *x = &in[0].type, *t = &in[1].type;
	job j = { .t = x->rank == 3 ? x->dim[1] : 0, .c = x->rank == 3 ? x->dim[2] : 0, .s = t->rank == 2 ? t->dim[1] : 0 };
	size_t at[4];

	return ds_nn_in_f32_scratch(n, in, out) + layout(&j, n->n_in > 2, at) * (size_t)DS_MAX(threads, 1);
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *x = &in[0].type, *t = &in[1].type;

	out[0] = (ds_type){ x->dtype, -1, { 0 } };
	if (!ds_nn_is_float(x->dtype) || t->dtype != DS_I64)
		return ds_fail(err, DS_E_INPUT, "%s of %s with targets of %s", n->op_name, ds_dtype_name(x->dtype), ds_dtype_name(t->dtype));
	if ((x->rank >= 0 && x->rank != 3) || (t->rank >= 0 && t->rank != 2))
		return ds_fail(err, DS_E_INPUT, "%s: logits of rank %d, targets of rank %d", n->op_name, x->rank, t->rank);
	if (x->rank < 0)
		return DS_OK;
	if (t->rank == 2 && x->dim[0] >= 0 && t->dim[0] >= 0 && x->dim[0] != t->dim[0])
		return ds_fail(err, DS_E_INPUT, "%s: %lld items, %lld targets", n->op_name, (long long)x->dim[0], (long long)t->dim[0]);
	out[0] = n->n_in > 2 ? *x : ds_type_make(x->dtype, 1, x->dim);
	return DS_OK;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	double count = (double)ds_type_count(&in[0].type), states = (double)(in[0].type.dim[0] * in[0].type.dim[1]) * (2 * (double)in[1].type.dim[1] + 1);

	*c = (ds_cost){ .flops = 4 * count + 30 * states * (n->n_in > 2 ? 3 : 1), .act_bytes = (double)(n->n_in > 2 ? 2 : 1) * count * (double)ds_dtype_size(in[0].type.dtype) };
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);

	din[0] = ds_emit3(&e, "ds.CTCLossGrad", n->in[0], n->in[1], dout[0]);
	ds_emit_attrs(&e, din[0], n);
	return ds_emit_end(&e);
}

static ds_status sample_of(ds_graph *g, uint64_t seed, bool grad, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t items = ds_draw_in(&s, 1, 4), c = ds_draw_in(&s, 2, 6), most = ds_draw_in(&s, 0, 4), blank = ds_draw_in(&s, 0, c - 1);
	int64_t dim[3] = { items, seed % 4 ? 2 * most + 1 + ds_draw_in(&s, 0, 8) : ds_draw_in(&s, 1, 3), c }, tdim[2] = { items, most };
	ds_dtype d = seed % 5 == 3 ? DS_F16 : DS_F32;
	ds_value *in[3];
	ds_tensor t;
	ds_node *n;

	DS_TRY(ds_tensor_new(&t, DS_I64, 2, tdim, err));
	for (int64_t i = 0; i < items; i++)
		for (int64_t k = 0, len = seed % 3 ? ds_draw_in(&s, 0, most) : most; k < most; k++) {
			int64_t v = ds_draw_in(&s, 0, c - 2);

			((int64_t *)t.data)[i * most + k] = k < len ? v + (v >= blank) : -1;
		}
	in[0] = ds_draw_input(&s, d, 3, dim);
	in[1] = ds_graph_weight(g, DS_V_PARAM, "target", &t);
	in[2] = grad ? ds_draw_input(&s, d, 1, dim) : NULL;
	s.oom = s.oom || !in[1];
	n = ds_draw_node(&s, grad ? "ds.CTCLossGrad" : "ds.CTCLoss", 2 + grad, in, 1);
	ds_draw_i(&s, n, "blank", blank);
	return ds_draw_end(&s, n, err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err) { return sample_of(g, seed, false, err); }
static ds_status grad_sample(ds_graph *g, uint64_t seed, ds_err *err) { return sample_of(g, seed, true, err); }

const ds_op ds_op_CTCLoss = {
	.name = "CTCLoss", .domain = "ds", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attr_size = sizeof(attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .cost = cost, .gradient = gradient, .sample = sample,
};

const ds_op ds_op_CTCLossGrad = {
	.name = "CTCLossGrad", .domain = "ds", .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1, .attr_size = sizeof(attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = grad_forward, .cost = cost, .sample = grad_sample,
};
