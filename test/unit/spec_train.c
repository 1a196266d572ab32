/* spec_train.c - every shipped description can be trained: the gradient reaches each of its parameters, and the loss of one batch falls */
#include "base/rng.h"
#include "base/str.h"
#include "small_specs.h"
#include "train/train.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed;

/* Numbers for every element: normal ones, or classes. */
static ds_status draw(ds_tensor *t, const ds_type *type, int64_t batch, int64_t below, ds_err *err)
{
	ds_rng rng = ds_rng_init(5, (uint64_t)below);
	ds_type c = *type;
	for (int i = 0; i < c.rank; i++)
		if (c.dim[i] < 0)
			c.dim[i] = batch;
	DS_TRY(ds_tensor_new(t, c.dtype, c.rank, c.dim, err));
	for (int64_t i = 0; i < ds_tensor_count(t); i++)
		if (c.dtype == DS_I64)
			((int64_t *)t->data)[i] = (int64_t)ds_rng_below(&rng, (uint64_t)below);
		else
			((float *)t->data)[i] = (float)ds_rng_normal(&rng);
	return DS_OK;
}

/* The parameters without a gradient, in one line. */
static int untouched(ds_trainer *t, ds_buf *names)
{
	ds_param *p;
	int n = ds_trainer_params(t, &p), bad = 0;
	for (int i = 0; i < n; i++) {
		double sum = 0;
		for (int64_t k = 0; k < ds_tensor_count(&p[i].grad); k++)
			sum += fabs((double)((float *)p[i].grad.data)[k]);
		if (!(sum > 0) || !isfinite(sum)) {
			ds_buf_printf(names, " %s", p[i].name);
			bad++;
		}
	}
	return n ? bad : 1;
}

static ds_status train(const ds_model *m, ds_buf *names, double loss[2], ds_err *err)
{
	bool classes = ds_meta_str(&m->meta, "output.0.values") && strcmp(ds_meta_str(&m->meta, "output.0.values"), "logits") == 0;
	ds_train_opts o = { .loss = ds_loss_find(classes ? "cross-entropy" : "mse"), .optimizer = ds_optimizer_find("adamw"),
		.optim = { .momentum = .9, .beta1 = .9, .beta2 = .99, .eps = 1e-8 }, .threads = 1 };
	ds_type y = m->graph->output[0]->type;
	int64_t n_class = y.dim[y.rank - 1];
	ds_tensor x = { 0 }, target = { 0 };
	ds_train_stat stat = { 0 };
	ds_trainer *t = NULL;
	ds_status rc;
	if (classes) {
		y.dtype = DS_I64;
		y.rank--;
	}
	DS_GOTO(draw(&x, &m->graph->input[0]->type, 4, 9, err));
	DS_GOTO(draw(&target, &y, 4, n_class, err));
	DS_GOTO(ds_trainer_new(&t, m, &o, err));
	for (int step = 0; step < 6; step++) {
		DS_GOTO(ds_trainer_batch(t, &x, 1, &target, NULL, 1, &stat, err));
		loss[step > 0] = stat.loss;
		if (step == 0 && untouched(t, names))
			rc = ds_fail(err, DS_E_CHECK, "no gradient for%.400s", names->data ? names->data : " any parameter");
		if (rc != DS_OK)
			goto out;
		DS_GOTO(ds_trainer_update(t, .003, NULL, err));
	}
	rc = loss[1] < loss[0] ? DS_OK : ds_fail(err, DS_E_CHECK, "the loss goes from %g to %g", loss[0], loss[1]);
out:
	ds_trainer_free(t);
	ds_tensor_done(&x);
	ds_tensor_done(&target);
	return rc;
}

int main(void)
{
	struct dirent **e;
	int n = scandir("cmd/specs", &e, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		ds_model *m = NULL;
		ds_buf names = { 0 };
		ds_err err = { 0 };
		double loss[2] = { 0 };
		const char *name = e[i]->d_name;
		if (ds_glob("*.spec", name)) {
			ds_status rc = load("cmd/specs", name, &m, &err);
			if (rc == DS_OK)
				rc = train(m, &names, loss, &err);
			if (rc == DS_OK)
				printf("ok %s learns\n", name);
			else
				printf("not ok %s learns: %s: %s\n", name, err.where, err.text), failed = 1;
		}
		ds_buf_done(&names);
		ds_model_free(m);
		free(e[i]);
	}
	if (n < 1) {
		printf("not ok shipped descriptions: none\n");
		return 1;
	}
	free(e);
	return failed;
}
