/* train_ops.c - the operators of a training step, shape by shape: convolutions (forward, gradients of input and weight), batch normalisation, matrix products
 *
 * train_ops [--threads N] [--seconds S] [--bf16] [PATTERN]    text columns: operator and shape, milliseconds (fastest; one thread: of processor time), G operations or GB per second.  PATTERN (a glob) chooses lines.
 * Each operator runs by itself through the variant that a training graph would get, over channels-last tensors in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "base/str.h"
#include "graph/op.h"

enum { MAX_IN = 8 };

static double seconds = 0.25;
static bool bf16;
static const char *pattern = "*";
static ds_pool *pool;

/* One thread: time on the processor, so that a busy machine can be measured too. */
static double now(void)
{
	struct timespec t;
	clock_gettime(ds_pool_threads(pool) == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void die(const char *what, const ds_err *err)
{
	char line[600] = "";
	if (err)
		ds_err_line(err, line, sizeof line);
	fprintf(stderr, "train_ops: %s %s\n", what, line);
	exit(1);
}

/* ---- one operator -------------------------------------------------------------------------------------------------------------------------- */
typedef struct call {
	ds_graph *g;
	ds_node  *n;
	ds_value *in[MAX_IN];
	int       n_in;
} call;

static call begin(void)
{
	call c = { .g = ds_graph_new() };
	if (!c.g)
		die("no memory", NULL);
	return c;
}

static void input(call *c, int rank, const int64_t *dim)
{
	ds_type t = ds_type_make(DS_F32, rank, dim);
	char name[8];
	snprintf(name, sizeof name, "x%d", c->n_in);
	if (!(c->in[c->n_in++] = ds_graph_input(c->g, name, &t)))
		die("no memory", NULL);
}

static void node(call *c, const char *domain, const char *op, int n_out)
{
	if (!(c->n = ds_graph_node(c->g, domain, op, "n", c->n_in, c->in, n_out, NULL)))
		die("no memory", NULL);
}

/* Time of the variant that matches channels-last inputs. */
static void run(call *c, const char *label, double ops, const char *unit)
{
	ds_err err = { 0 };
	ds_arg arg[MAX_IN];
	ds_type out[8];
	ds_layout want[MAX_IN], layout = DS_PLAIN;
	ds_tensor in[MAX_IN], res[8];
	const ds_tensor *inp[MAX_IN];
	ds_tensor *outp[8];
	static double t[20000];
	int count = 0;
	if (!ds_glob(pattern, label)) {
		ds_graph_free(c->g);
		return;
	}
	for (int i = 0; i < c->n->n_out; i++)
		if (ds_graph_output(c->g, c->n->out[i]) != DS_OK)
			die("no memory", NULL);
	if (ds_graph_verify(c->g, NULL, &err) != DS_OK)
		die(label, &err);
	for (int i = 0; i < c->n_in; i++) {
		arg[i] = (ds_arg){ true, c->in[i]->type, NULL };
		want[i] = arg[i].type.rank > 2 ? DS_CHANNELS_LAST : DS_PLAIN;
	}
	if (c->n->op->infer(c->n, arg, out, &err) != DS_OK)
		die(label, &err);
	const ds_variant *v = c->n->op->variants;
	while (v && v->name && !v->match(c->n, arg, out, want, &layout))
		v++;
	if (!v || !v->name) {
		v = NULL;
		layout = out[0].rank > 2 ? DS_CHANNELS_LAST : DS_PLAIN;
	}
	ds_rng r = ds_rng_init(1, 2);
	for (int i = 0; i < c->n_in; i++) {
		if (ds_tensor_new(&in[i], DS_F32, arg[i].type.rank, arg[i].type.dim, &err) != DS_OK)
			die(label, &err);
		in[i].layout = want[i];
		for (int64_t k = 0; k < ds_tensor_count(&in[i]); k++)
			((float *)in[i].data)[k] = (float)ds_rng_f64(&r) - 0.5f;
		inp[i] = &in[i];
	}
	for (int i = 0; i < c->n->n_out; i++) {
		if (ds_tensor_new(&res[i], DS_F32, out[i].rank, out[i].dim, &err) != DS_OK)
			die(label, &err);
		res[i].layout = i ? DS_PLAIN : layout;
		outp[i] = &res[i];
	}
	size_t (*scratch)(const ds_node *, const ds_arg *, const ds_type *, int) = v ? v->scratch : c->n->op->scratch;
	ds_env env = { .pool = pool, .scratch_size = scratch ? scratch(c->n, arg, out, ds_pool_threads(pool)) : 0 };
	if (!(env.scratch = ds_aligned(env.scratch_size + 64)))
		die("no memory", NULL);
	for (double end = now() + seconds; count < 20000 && (count < 4 || now() < end); count++) {
		double t0 = now();
		if ((v ? v->forward : c->n->op->forward)(&env, c->n, inp, outp, &err) != DS_OK)
			die(label, &err);
		t[count] = now() - t0;
	}
	qsort(t, (size_t)count, sizeof *t, by_value);
	printf("%-44s %9.3f ms %8.1f %s\n", label, t[0] * 1e3, ops / t[0] * 1e-9, unit);
	fflush(stdout);
	for (int i = 0; i < c->n_in; i++)
		ds_tensor_done(&in[i]);
	for (int i = 0; i < c->n->n_out; i++)
		ds_tensor_done(&res[i]);
	ds_free(env.scratch);
	ds_graph_free(c->g);
}

/* ---- convolutions ---------------------------------------------------------------------------------------------------------------------------- */
static void conv(const char *net, int64_t batch, int64_t ic, int64_t oc, int64_t size, int64_t k, int64_t stride)
{
	int64_t o = (size + 2 * (k / 2) - k) / stride + 1, x[4] = { batch, ic, size, size }, w[4] = { oc, ic, k, k }, y[4] = { batch, oc, o, o };
	int64_t pads[4] = { k / 2, k / 2, k / 2, k / 2 }, strides[2] = { stride, stride };
	double ops = 2.0 * (double)(batch * oc * o * o * ic * k * k);
	static const char *const what[] = { "Conv", "ConvGradInput", "ConvGradWeight" };
	for (int i = 0; i < 3; i++) {
		call c = begin();
		char label[96];
		if (i == 1 && ic < 8) {
			ds_graph_free(c.g);
			continue;               /* the first layer: nobody asks for it */
		}
		input(&c, 4, i ? y : x);
		input(&c, 4, i == 2 ? x : w);
		node(&c, i ? "ds" : "", what[i], 1);
		if (ds_attr_i(c.n, "bf16", bf16) != DS_OK || ds_attr_is(c.n, "pads", 4, pads) != DS_OK || ds_attr_is(c.n, "strides", 2, strides) != DS_OK || (i && ds_attr_is(c.n, "shape", 4, i == 1 ? x : w) != DS_OK))
			die("no memory", NULL);
		snprintf(label, sizeof label, "%s %lld->%lld %lldx%lld k%lld/%lld %s", net, (long long)ic, (long long)oc, (long long)size, (long long)size, (long long)k, (long long)stride, what[i]);
		run(&c, label, ops, "GFLOP/s");
	}
}

static void norm(const char *net, int64_t batch, int64_t ch, int64_t size)
{
	int64_t x[4] = { batch, ch, size, size };
	double bytes = 4.0 * (double)(batch * ch * size * size);
	for (int grad = 0; grad < 2; grad++) {
		call c = begin();
		char label[96];
		input(&c, 4, x);
		if (grad)
			input(&c, 4, x);
		for (int i = 0; i < 4; i++)
			input(&c, 1, &ch);
		node(&c, "ds", grad ? "BatchNormGrad" : "BatchNormTrain", grad ? 3 : 5);
		if (ds_attr_i(c.n, "relu", 1) != DS_OK)
			die("no memory", NULL);
		snprintf(label, sizeof label, "%s %lld %lldx%lld %s", net, (long long)ch, (long long)size, (long long)size, grad ? "BatchNormGrad" : "BatchNormTrain");
		run(&c, label, bytes * (grad ? 5 : 3), "GB/s");
	}
}

/* ---- matrix products ---------------------------------------------------------------------------------------------------------------------------- */
static void product(const char *net, int rank, const int64_t *a, const int64_t *b, int ta, int tb)
{
	call c = begin();
	char label[96];
	double ops = 2;
	for (int i = 0; i < rank; i++)
		ops *= (double)a[i];
	ops *= (double)b[tb ? 0 : 1];
	if (rank == 4)
		ops = ops / (double)b[tb ? 0 : 1] * (double)b[tb ? 2 : 3];
	input(&c, rank, a);
	input(&c, rank, b);
	node(&c, "ds", "MatMulT", 1);
	if (ds_attr_i(c.n, "bf16", bf16) != DS_OK || ds_attr_i(c.n, "trans_a", ta) != DS_OK || ds_attr_i(c.n, "trans_b", tb) != DS_OK)
		die("no memory", NULL);
	snprintf(label, sizeof label, "%s %lldx%lld%s %lldx%lld%s MatMulT", net, (long long)a[rank - 2], (long long)a[rank - 1], ta ? "'" : "", (long long)b[rank - 2], (long long)b[rank - 1], tb ? "'" : "");
	run(&c, label, ops, "GFLOP/s");
}

/* Y = X W, dX = dY W', dW = X' dY. */
static void dense(const char *net, int64_t m, int64_t k, int64_t n)
{
	product(net, 2, (int64_t[]){ m, k }, (int64_t[]){ k, n }, 0, 0);
	product(net, 2, (int64_t[]){ m, n }, (int64_t[]){ k, n }, 0, 1);
	product(net, 2, (int64_t[]){ m, k }, (int64_t[]){ m, n }, 1, 0);
}

static void attention(const char *net, int64_t b, int64_t h, int64_t t, int64_t d)
{
	product(net, 4, (int64_t[]){ b, h, t, d }, (int64_t[]){ b, h, t, d }, 0, 1);
	product(net, 4, (int64_t[]){ b, h, t, t }, (int64_t[]){ b, h, t, d }, 0, 0);
	product(net, 4, (int64_t[]){ b, h, t, t }, (int64_t[]){ b, h, t, d }, 1, 0);
}

int main(int argc, char **argv)
{
	int threads = 0;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
			threads = (int)strtol(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
			seconds = strtod(argv[++i], NULL);
		else if (strcmp(argv[i], "--bf16") == 0)
			bf16 = true;
		else
			pattern = argv[i];
	}
	pool = ds_pool_new(threads);
	printf("# %d threads\n", ds_pool_threads(pool));
	/* ResNet-8 of 16, 32, 64 channels on 28x28 pictures */
	conv("resnet8", 128, 1, 16, 28, 3, 1);
	conv("resnet8", 128, 16, 16, 28, 3, 1);
	conv("resnet8", 128, 16, 32, 28, 3, 2);
	conv("resnet8", 128, 16, 32, 28, 1, 2);
	conv("resnet8", 128, 32, 32, 14, 3, 1);
	conv("resnet8", 128, 32, 64, 14, 3, 2);
	conv("resnet8", 128, 64, 64, 7, 3, 1);
	norm("resnet8", 128, 16, 28);
	norm("resnet8", 128, 32, 14);
	norm("resnet8", 128, 64, 7);
	/* ResNet-18 on 32x32 pictures */
	conv("resnet18", 128, 3, 64, 32, 3, 1);
	conv("resnet18", 128, 64, 64, 32, 3, 1);
	conv("resnet18", 128, 64, 128, 32, 3, 2);
	conv("resnet18", 128, 64, 128, 32, 1, 2);
	conv("resnet18", 128, 128, 128, 16, 3, 1);
	conv("resnet18", 128, 128, 256, 16, 3, 2);
	conv("resnet18", 128, 256, 256, 8, 3, 1);
	conv("resnet18", 128, 256, 512, 8, 3, 2);
	conv("resnet18", 128, 512, 512, 4, 3, 1);
	norm("resnet18", 128, 64, 32);
	norm("resnet18", 128, 512, 4);
	/* a GPT of 6 layers, 384 wide, 256 long, batch 16 */
	dense("gpt", 4096, 384, 1152);
	dense("gpt", 4096, 384, 384);
	dense("gpt", 4096, 384, 1536);
	dense("gpt", 4096, 1536, 384);
	attention("gpt", 16, 6, 256, 64);
	ds_pool_free(pool);
	return 0;
}
