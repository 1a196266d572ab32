/* gradient_nets.c - gradients of whole networks: for every shipped description, the loss of a batch is seen to rise along each parameter's gradient as fast as the gradient's
 * length says.  Operators are judged one by one in test/op/gradient.c; here it is the way through a training graph, with batch statistics, residuals, shared tables. */
#include "base/rng.h"
#include "small_specs.h"
#include "train/train.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static ds_status draw(ds_tensor *t, ds_type type, int64_t batch, int64_t below, ds_err *err)
{
	ds_rng rng = ds_rng_init(5, (uint64_t)below);

	for (int i = 0; i < type.rank; i++)
		if (type.dim[i] < 0)
			type.dim[i] = batch;
	DS_TRY(ds_tensor_new(t, type.dtype, type.rank, type.dim, err));
	for (int64_t i = 0; i < ds_tensor_count(t); i++) {
		if (type.dtype == DS_I64)
			((int64_t *)t->data)[i] = (int64_t)ds_rng_below(&rng, (uint64_t)below);
		else
			((float *)t->data)[i] = (float)ds_rng_normal(&rng);
	}
	return DS_OK;
}

/* The loss with parameter p moved by h along g. */
static ds_status loss_at(ds_trainer *t, const ds_tensor *x, const ds_tensor *y, ds_param *p, const float *keep, const float *g, double h, double *loss, ds_err *err)
{
	float *v = p->value.data;
	ds_train_stat stat = { 0 };

	for (int64_t i = 0; i < ds_tensor_count(&p->value); i++)
		v[i] = (float)((double)keep[i] + h * (double)g[i]);
	DS_TRY(ds_trainer_batch(t, x, 1, y, NULL, 1, &stat, err));
	*loss = stat.loss;
	memcpy(v, keep, ds_tensor_bytes(&p->value));
	return DS_OK;
}

/* One parameter: some step must show the slope; 4 %, because a rectifier may bend within it. */
static ds_status judge(ds_trainer *t, const ds_tensor *x, const ds_tensor *y, ds_param *p, char *why, size_t size, ds_err *err)
{
	size_t bytes = ds_tensor_bytes(&p->value);
	float *keep = malloc(bytes), *g = malloc(bytes);
	double length = 0, norm = 0, best = INFINITY, slope = 0, up, down;
	ds_status rc = keep && g ? DS_OK : ds_fail_nomem(err, bytes);

	if (rc != DS_OK)
		goto out;
	memcpy(keep, p->value.data, bytes);
	memcpy(g, p->grad.data, bytes);
	for (int64_t i = 0; i < ds_tensor_count(&p->value); i++) {
		length += (double)g[i] * (double)g[i];
		norm += (double)keep[i] * (double)keep[i];
	}
	length = sqrt(length);
	norm = sqrt(norm) + 0.1 * sqrt((double)ds_tensor_count(&p->value));
	for (double h = 3e-2; h > 1e-4 && best > 0.04 && length > 0; h /= 3) {
		DS_GOTO(loss_at(t, x, y, p, keep, g, h * norm / length, &up, err));
		DS_GOTO(loss_at(t, x, y, p, keep, g, -h * norm / length, &down, err));
		double d = (up - down) / (2 * h * norm);
		/* what a loss of f32 cannot tell is not held against the gradient */
		double e = fmax(fabs(d - length) - 4e-7 * fabs(up) / (h * norm), 0) / length;
		if (e < best) {
			best = e;
			slope = d;
		}
	}
	if (!(best <= 0.04) && !why[0])
		snprintf(why, size, "\"%.60s\": the gradient is %g long, the loss rises by %g", p->name, length, slope);
out:
	free(keep);
	free(g);
	return rc;
}

static ds_status net(const char *folder, const char *name, char *why, size_t size, ds_err *err)
{
	ds_model *m = NULL;
	ds_trainer *t = NULL;
	ds_tensor x = { 0 }, y = { 0 };
	ds_status rc = load(folder, name, &m, err);
	ds_param *p;

	if (rc != DS_OK)
		return rc;
	/* dropout would change the loss from call to call */
	for (int i = 0; i < m->graph->n_node; i++)
		if (strcmp(m->graph->node[i]->op_name, "Dropout") == 0)
			ds_graph_replace(m->graph, m->graph->node[i]->out[0], m->graph->node[i]->in[0]);
	ds_graph_prune_dead(m->graph);
	bool classes = ds_meta_str(&m->meta, "output.0.values") && strcmp(ds_meta_str(&m->meta, "output.0.values"), "logits") == 0;
	ds_train_opts o = { .loss = ds_loss_find(classes ? "cross-entropy" : "mse"), .optimizer = ds_optimizer_find("sgd"), .threads = 1 };
	ds_type target = m->graph->output[0]->type;
	int64_t n_class = target.dim[target.rank - 1];

	DS_GOTO(draw(&x, m->graph->input[0]->type, 4, classes ? n_class : 9, err));
	if (classes)
		target = ds_type_make(DS_I64, target.rank - 1, target.dim);
	DS_GOTO(draw(&y, target, 4, n_class, err));
	DS_GOTO(ds_trainer_new(&t, m, &o, err));
	ds_train_stat stat = { 0 };
	DS_GOTO(ds_trainer_batch(t, &x, 1, &y, NULL, 1, &stat, err));
	int n = ds_trainer_params(t, &p);
	/* later batches add to the gradients: each is looked at before its own parameter moves, with what was there first */
	float **first = calloc((size_t)n, sizeof *first);
	for (int i = 0; first && i < n; i++) {
		first[i] = malloc(ds_tensor_bytes(&p[i].grad));
		memcpy(first[i], p[i].grad.data, ds_tensor_bytes(&p[i].grad));
	}
	for (int i = 0; i < n && rc == DS_OK; i++) {
		memcpy(p[i].grad.data, first[i], ds_tensor_bytes(&p[i].grad));
		rc = judge(t, &x, &y, &p[i], why, size, err);
	}
	for (int i = 0; first && i < n; i++)
		free(first[i]);
	free(first);
	if (n == 0)
		snprintf(why, size, "no parameters");
out:
	ds_trainer_free(t);
	ds_model_free(m);
	ds_tensor_done(&x);
	ds_tensor_done(&y);
	return rc;
}

int main(int argc, char **argv)
{
	const char *folder = "cmd/specs";
	DIR *d = opendir(folder);
	int failed = 0, seen = 0;

	for (struct dirent *e; d && (e = readdir(d));) {
		const char *dot = strrchr(e->d_name, '.');
		char why[700] = "";
		ds_err err = { 0 };
		bool wanted = dot && strcmp(dot, ".spec") == 0 && (argc < 2 || strcmp(argv[1], e->d_name) == 0);

		if (!wanted)
			continue;
		seen++;
		if (net(folder, e->d_name, why, sizeof why, &err) != DS_OK)
			snprintf(why, sizeof why, "%s", err.text);
		printf("%s slopes %s%s%s\n", why[0] ? "not ok" : "ok", e->d_name, why[0] ? ": " : "", why);
		failed += why[0] != 0;
	}
	if (d)
		closedir(d);
	if (!seen)
		printf("not ok slopes: no descriptions in %s\n", folder);
	return failed || !seen;
}
