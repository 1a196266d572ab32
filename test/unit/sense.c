/* sense.c - scores by gradient are what finite differences of channel gates and the definition of SNIP say; channels that nothing reads score nought */
#include "nets.h"
#include "prune/prune.h"

#include <string.h>

static int failed;
#define CHECK(name, cond, ...) do { if (cond) printf("ok %s\n", name); else { printf("not ok %s: ", name); printf(__VA_ARGS__); printf("\n"); failed = 1; } } while (0)

enum { ITEMS = 6, CLASSES = 5 };

/* Two batches of half the items each. */
typedef struct feed { ds_tensor x, y; int at, size; ds_tensor in, target; } feed;

static ds_status next(void *arg, const ds_tensor **in, int *n_in, const ds_tensor **target, ds_err *err)
{
	feed *f = arg;
	if (f->at == ITEMS)
		return DS_END;
	f->in = f->x;
	f->target = f->y;
	f->in.dim[0] = f->target.dim[0] = f->size;
	f->in.data = (float *)f->x.data + f->at * 3 * 64;
	f->target.data = (int64_t *)f->y.data + f->at;
	f->at += f->size;
	*in = &f->in;
	*n_in = 1;
	*target = &f->target;
	return DS_OK;
}

static bool samples(feed *f, int size)
{
	ds_rng r = ds_rng_init(5, 5);
	*f = (feed){ .size = size };
	if (ds_tensor_new(&f->x, DS_F32, 4, (int64_t[]){ ITEMS, 3, 8, 8 }, NULL) != DS_OK || ds_tensor_new(&f->y, DS_I64, 1, (int64_t[]){ ITEMS }, NULL) != DS_OK)
		return false;
	for (int64_t i = 0; i < ds_tensor_count(&f->x); i++)
		((float *)f->x.data)[i] = (float)ds_rng_normal(&r);
	for (int i = 0; i < ITEMS; i++)
		((int64_t *)f->y.data)[i] = i % CLASSES;
	return true;
}

/* Cross-entropy of each item in double. */
static bool losses(const ds_graph *g, const feed *f, double *loss)
{
	ds_session *s;
	ds_tensor y;
	if (ds_session_new_opts(&s, g, &(ds_session_opts){ .threads = 1, .no_rewrite = true }, NULL) != DS_OK)
		return false;
	ds_status rc = ds_session_run(s, &f->x, 1, &y, 1, NULL);
	ds_session_free(s);
	if (rc != DS_OK)
		return false;
	for (int i = 0; i < ITEMS; i++) {
		const float *v = (const float *)y.data + i * CLASSES;
		double sum = 0;
		for (int c = 0; c < CLASSES; c++)
			sum += exp((double)v[c]);
		loss[i] = log(sum) - (double)v[((const int64_t *)f->y.data)[i]];
	}
	ds_tensor_done(&y);
	return true;
}

static int64_t stride(const ds_tensor *t, int axis)
{
	int64_t s = 1;
	for (int i = axis + 1; i < t->rank; i++)
		s *= t->dim[i];
	return s;
}

/* Columns of a weight: axis 1 in these networks, axis 2 of a recurrent layer's input weights.  Those of its state's weights are not counted: gates stand where a state
 * leaves the layer, not on its way back. */
static bool column(const ds_value *w, int axis)
{
	return w->type.rank == 3 ? axis == 2 && !strstr(w->name, ".recurrent") : axis == 1 && w->type.rank >= 2 && !strstr(w->name, ".bias") && !strstr(w->name, ".peephole");
}

/* Multiply what the consumers of class c read by z: the columns of the weights that it cuts.  A deep copy of those weights is in g. */
static void gate(ds_graph *g, const ds_graph *from, const ds_structure *s, int c, double z)
{
	for (int w = 0; w < g->n_weight; w++)
		memcpy(g->weight[w]->data.data, from->weight[w]->data.data, ds_tensor_bytes(&g->weight[w]->data));
	for (int k = 0; k < s->cls[c].n; k++) {
		const ds_pelem *e = &s->elem[s->cls[c].first + k];
		for (int w = 0; w < g->n_weight; w++) {
			ds_tensor *t = &g->weight[w]->data;
			if (s->g->weight[w]->id != e->value || !column(s->g->weight[w], e->axis))
				continue;
			int64_t st = stride(t, e->axis);
			for (int64_t p = 0; p < ds_tensor_count(t); p++)
				if (p / st % t->dim[e->axis] == e->index)
					((float *)t->data)[p] *= (float)z;
		}
	}
}

static ds_graph *deep_copy(const ds_graph *g)
{
	ds_graph *c = ds_graph_clone(g);
	for (int w = 0; w < c->n_weight; w++) {
		ds_tensor t;
		if (ds_tensor_new(&t, g->weight[w]->data.dtype, g->weight[w]->data.rank, g->weight[w]->data.dim, NULL) != DS_OK)
			return NULL;
		memcpy(t.data, g->weight[w]->data.data, ds_tensor_bytes(&t));
		ds_tensor_done(&c->weight[w]->data);
		c->weight[w]->data = t;
	}
	return c;
}

static bool score(ds_structure *s, const ds_model *m, const char *criterion, feed *f, int size, int threads, double *out)
{
	ds_err err = { 0 };
	f->at = 0;
	f->size = size;
	ds_psamples p = { next, f };
	ds_status rc = ds_criterion_find(criterion)->score(s, m, &(ds_criterion_opts){ .samples = &p, .loss = ds_loss_find("cross-entropy"), .threads = threads }, &err);
	if (rc != DS_OK)
		printf("not ok %s: %s\n", criterion, err.text);
	for (int c = 0; rc == DS_OK && c < s->n_cls; c++)
		out[c] = s->cls[c].score;
	return rc == DS_OK;
}

static void one(int k)
{
	char name[100];
	ds_err err = { 0 };
	ds_structure *s = NULL;
	feed f;
	double taylor[400], fisher[400], again[400], lo[ITEMS], hi[ITEMS];
	rng = ds_rng_init(7, (uint64_t)k);
	ds_model *m = ds_model_new();
	nets[k].build(m->graph);
	ds_graph *bent = NULL;
	if (!samples(&f, 3) || ds_graph_verify(m->graph, NULL, &err) != DS_OK || ds_structure_new(&s, m, NULL, &err) != DS_OK || s->n_cls > 400 ||
		!(bent = deep_copy(m->graph))) {
		printf("not ok %s: %s\n", nets[k].name, err.text);
		failed = 1;
		goto out;
	}
	if (!score(s, m, "taylor", &f, 3, 1, taylor) || !score(s, m, "fisher", &f, 6, 2, fisher) || !score(s, m, "fisher", &f, 2, 1, again)) {
		failed = 1;
		goto out;
	}
	double worst = 0, worst2 = 0, batch = 0, scale = 0, scale2 = 0, eps = 4e-3;
	for (int c = 0; c < s->n_cls; c++) {
		double a = 0, q = 0;
		gate(bent, m->graph, s, c, 1 - eps);
		bool ok = losses(bent, &f, lo);
		gate(bent, m->graph, s, c, 1 + eps);
		if (!ok || !losses(bent, &f, hi)) {
			worst = 9;
			break;
		}
		for (int i = 0; i < ITEMS; i++) {
			double d = (hi[i] - lo[i]) / (2 * eps);
			a += fabs(d) / ITEMS;
			q += d * d / ITEMS;
		}
		worst = fmax(worst, fabs(a - taylor[c]));
		worst2 = fmax(worst2, fabs(q - fisher[c]));
		batch = fmax(batch, fabs(again[c] - fisher[c]));
		scale = fmax(scale, taylor[c]);
		scale2 = fmax(scale2, fisher[c]);
	}
	snprintf(name, sizeof name, "%s-taylor-is-the-gate", nets[k].name);
	CHECK(name, scale > 0 && worst < .01 * scale, "off by %g of %g", worst, scale);
	snprintf(name, sizeof name, "%s-fisher-is-its-square", nets[k].name);
	CHECK(name, scale2 > 0 && worst2 < .02 * scale2, "off by %g of %g", worst2, scale2);
	snprintf(name, sizeof name, "%s-batch-and-threads", nets[k].name);
	CHECK(name, batch < 1e-5 * scale2, "off by %g of %g", batch, scale2);
out:
	ds_tensor_done(&f.x);
	ds_tensor_done(&f.y);
	ds_graph_free(bent);
	ds_structure_free(s);
	ds_model_free(m);
}

/* A filter whose only reader multiplies it by nought is worth nothing to taylor and fisher, whatever its weights; to snip too, but for rounding. */
static void unread(void)
{
	ds_err err = { 0 };
	ds_structure *s = NULL;
	feed f;
	double v[400];
	rng = ds_rng_init(3, 3);
	ds_model *m = ds_model_new();
	flatten(m->graph);
	for (int w = 0; w < m->graph->n_weight; w++) {
		ds_tensor *t = &m->graph->weight[w]->data;
		if (strcmp(m->graph->weight[w]->name, "fc") == 0)
			for (int64_t o = 0; o < 5; o++)
				memset((float *)t->data + o * 160 + 4 * 16, 0, 16 * sizeof(float));
	}
	static const char *const all[] = { "taylor", "fisher", "snip" };
	if (samples(&f, 3) && ds_graph_verify(m->graph, NULL, &err) == DS_OK && ds_structure_new(&s, m, NULL, &err) == DS_OK)
		for (int i = 0; i < 3; i++) {
			bool ok = score(s, m, all[i], &f, 3, 1, v);
			int lowest = 0;
			for (int c = 0; ok && c < s->n_cls; c++)
				lowest = v[c] < v[lowest] ? c : lowest;
			CHECK(all[i], ok && s->n_cls == 10 && lowest == 4 && v[4] == 0 && v[3] > 0, "class %d of %d has %g", lowest, s->n_cls, v[4]);
		}
	else
		CHECK("unread", false, "%s", err.text);
	ds_tensor_done(&f.x);
	ds_tensor_done(&f.y);
	ds_structure_free(s);
	ds_model_free(m);
}

/* How many samples go together, where the model keeps them apart. */
static void batches(int k)
{
	char name[64];
	ds_err err = { 0 };
	ds_structure *s;
	int64_t items = 0;
	rng = ds_rng_init(7, 0);
	ds_model *m = ds_model_new();
	nets[k].build(m->graph);
	snprintf(name, sizeof name, "%s-batch", nets[k].name);
	if (ds_graph_verify(m->graph, NULL, &err) == DS_OK && ds_structure_new(&s, m, NULL, &err) == DS_OK) {
		ds_status rc = ds_criterion_batch(s, m, &items, &err);
		CHECK(name, rc == DS_OK && items == 64, "%lld: %s", (long long)items, err.text);
		ds_structure_free(s);
	}
	ds_model_free(m);
}

int main(void)
{
	for (int k = 0; k < (int)DS_COUNTOF(nets); k++)
		one(k);
	unread();
	for (int k = 0; k < (int)DS_COUNTOF(nets); k++)
		batches(k);
	return failed;
}
