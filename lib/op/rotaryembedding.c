/* rotaryembedding.c - RotaryEmbedding (ONNX 23): pairs of a head's elements turned by an angle that grows with the position (Su et al. 2021) */
#include "draw.h"
#include "grad.h"
#include "nn.h"

#include <string.h>

struct attr { int64_t interleaved, num_heads, dim; };

struct job {
	int64_t      heads, len, d, rot, cols;
	bool         wide, interleaved;
	const float *x, *cos, *sin;
	const ds_tensor *ids;
	float       *y;
};

/* Rows [i0, i1) in the order of memory. */
static void run(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;
	int64_t half = j->rot / 2;

	(void)worker;
	for (int64_t i = i0; i < i1; i++) {
		int64_t item = i / (j->heads * j->len), pos = j->wide ? i % j->len : i / j->heads % j->len;
		int64_t at = (j->ids ? ds_tensor_i64(j->ids, item * j->len + pos) : item * j->len + pos) * half;
		const float *x = j->x + i * j->d, *c = j->cos + at, *s = j->sin + at;
		float *y = j->y + i * j->d;

		for (int64_t k = 0; k < half; k++) {
			int64_t a = j->interleaved ? 2 * k : k, b = j->interleaved ? 2 * k + 1 : half + k;
			float u = x[a], v = x[b];

			y[a] = c[k] * u - s[k] * v;
			y[b] = s[k] * u + c[k] * v;
		}
		for (int64_t k = j->rot; k < j->d; k++)
			y[k] = x[k];
	}
}

/* Heads, positions, head size and rotated elements; -1 where a dim is not known. */
static ds_status extents(const ds_node *n, const ds_type *x, struct job *j, ds_err *err)
{
	const struct attr *a = n->a;

	j->wide = x->rank == 4;
	j->interleaved = a->interleaved != 0;
	if (x->rank != 3 && x->rank != 4)
		return ds_fail(err, DS_E_INPUT, "%s: input of rank %d", n->op_name, x->rank);
	if (!j->wide && (a->num_heads < 1 || (x->dim[2] >= 0 && x->dim[2] % a->num_heads)))
		return ds_fail(err, DS_E_INPUT, "%s: num_heads %lld", n->op_name, (long long)a->num_heads);
	j->heads = j->wide ? x->dim[1] : a->num_heads;
	j->len = x->dim[j->wide ? 2 : 1];
	j->d = j->wide ? x->dim[3] : x->dim[2] >= 0 ? x->dim[2] / a->num_heads : -1;
	j->rot = a->dim ? a->dim : j->d;
	if (j->rot % 2 || (j->d >= 0 && j->rot > j->d))
		return j->rot < 0 ? DS_OK : ds_fail(err, DS_E_INPUT, "%s: %lld elements of %lld to turn", n->op_name, (long long)j->rot, (long long)j->d);
	return DS_OK;
}

static ds_status forward_f32(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	struct job j = { .x = in[0]->data, .cos = in[1]->data, .sin = in[2]->data, .ids = n->n_in > 3 ? in[3] : NULL, .y = out[0]->data };
	ds_type x = ds_type_of(in[0]);
	int64_t rows, have = ds_tensor_count(in[1]);

	DS_TRY(extents(n, &x, &j, err));
	rows = x.dim[0] * j.heads * j.len;
	if (ds_tensor_count(in[2]) != have || j.rot < 2 || have % (j.rot / 2))
		return ds_fail(err, DS_E_INPUT, "%s: the tables of sines and cosines do not fit", n->op_name);
	have /= j.rot / 2;
	if (j.ids ? ds_tensor_count(j.ids) != x.dim[0] * j.len : have != x.dim[0] * j.len)
		return ds_fail(err, DS_E_INPUT, "%s: one position for each item and place expected", n->op_name);
	for (int64_t i = 0; j.ids && i < x.dim[0] * j.len; i++)
		if (ds_tensor_i64(j.ids, i) < 0 || ds_tensor_i64(j.ids, i) >= have)
			return ds_fail(err, DS_E_INPUT, "%s: position %lld outside of the tables", n->op_name, (long long)ds_tensor_i64(j.ids, i));
	ds_nn_for(env->pool, rows, ds_nn_grain(rows, 2 * (double)j.d), run, &j);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_nn_in_f32(env, n, in, out, err, forward_f32);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	(void)threads;
	return ds_nn_in_f32_scratch(n, in, out);
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	struct job j = { 0 };

	out[0] = in[0].type;
	if (!ds_nn_is_float(out[0].dtype))
		return ds_fail(err, DS_E_INPUT, "%s of %s", n->op_name, ds_dtype_name(out[0].dtype));
	return out[0].rank < 0 ? DS_OK : extents(n, &out[0], &j, err);
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	(void)n;
	(void)in;
	return ds_nn_same(link, cap, 0, 0, DS_SLOT_OUT, 0, out[0].rank == 4 ? 3 : 2);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype types[] = { DS_F32, DS_F32, DS_F16 };
	ds_draw s = ds_draw_begin(g, seed);
	ds_dtype t = ds_draw_dtype(&s, types, 3);
	int64_t batch = ds_draw_in(&s, 1, 2), heads = ds_draw_in(&s, 1, 3), len = ds_draw_in(&s, 1, 6), d = 2 * ds_draw_in(&s, 1, 9);
	int64_t rot = seed % 3 == 1 && d > 2 ? d - 2 : d, ids[12];
	bool wide = seed % 2 == 0, by_id = seed % 4 < 2;
	int64_t xd[4] = { batch, wide ? heads : len, wide ? len : heads * d, d }, cache[3] = { by_id ? 9 : batch, by_id ? rot / 2 : len, rot / 2 };
	int64_t shape[2] = { batch, len };
	ds_value *in[4];
	ds_tensor tensor;
	ds_node *n;

	in[0] = ds_draw_input(&s, t, wide ? 4 : 3, xd);
	in[1] = ds_draw_param(&s, t, by_id ? 2 : 3, cache);
	in[2] = ds_draw_param(&s, t, by_id ? 2 : 3, cache);
	for (int i = 0; i < 12; i++)
		ids[i] = ds_draw_in(&s, 0, 8);
	DS_TRY(ds_tensor_new(&tensor, DS_I64, 2, shape, err));
	memcpy(tensor.data, ids, (size_t)(batch * len) * sizeof *ids);
	in[3] = ds_graph_weight(g, DS_V_PARAM, "ids", &tensor);
	n = ds_draw_node(&s, "RotaryEmbedding", by_id ? 4 : 3, in, 1);
	ds_draw_i(&s, n, "interleaved", (int64_t)(seed / 4 % 2));
	if (!wide)
		ds_draw_i(&s, n, "num_heads", heads);
	if (rot != d)
		ds_draw_i(&s, n, "rotary_embedding_dim", rot);
	return ds_draw_end(&s, n, err);
}

static const ds_opt attrs[] = {
	DS_NN_INT(struct attr, interleaved, "interleaved", "0", 0, 1, "Pairs are neighbours instead of halves"),
	DS_NN_INT(struct attr, num_heads, "num_heads", "0", 0, 0, "Heads of an input of rank 3"),
	DS_NN_INT(struct attr, dim, "rotary_embedding_dim", "0", 0, 0, "Elements of each head that are turned, 0: all"),
	{ 0 }
};

/* Turned back; the tables are not trained. */
static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_value *in[4] = { dout[0], n->in[1], ds_emit1(&e, "Neg", n->in[2]), n->n_in > 3 ? n->in[3] : NULL };

	din[0] = ds_emit_op(&e, "RotaryEmbedding", n->n_in, in);
	ds_emit_attrs(&e, din[0], n);
	return ds_emit_end(&e);
}

const ds_op ds_op_RotaryEmbedding = {
	.name = "RotaryEmbedding", .domain = "", .min_in = 3, .max_in = 4, .min_out = 1, .max_out = 1, .attr_size = sizeof(struct attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .channels = channels, .gradient = gradient, .sample = sample,
};
