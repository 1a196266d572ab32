/* cast.c - Cast: another element type; floats to integers truncate, anything to bool asks for != 0 */
#include "cast.h"
#include "draw.h"
#include "grad.h"
#include "walk.h"
#include "../kernel/kernel.h"

struct attr { int64_t to, saturate; int round_mode; };
static const char *const rounds[] = { "up", "down", "nearest", NULL };
static const ds_opt attrs[] = {
	DS_ATTR_MUST(struct attr, to, "ONNX number of the type wanted"),
	DS_ATTR_FLAG(struct attr, saturate, "1", "concerns 8-bit floats only"),
	DS_ATTR_CHOICE(struct attr, round_mode, "up", rounds, "concerns 8-bit exponents only"),
	DS_ATTR_END
};

struct job { ds_walk w; ds_dtype to, from; char *dst; const char *src; size_t to_size, from_size; ds_k_half_fn *half; };

static void cast_task(void *arg, int task, int worker)
{
	const struct job *j = arg;
	const ds_walk *w = &j->w;
	int64_t n, step = w->stride[0][w->rank - 1], from = w->stride[1][w->rank - 1];
	ds_walk_at p;

	ds_walk_start(w, task, &p);
	while ((n = ds_walk_run(w, &p)) > 0) {
		char *d = j->dst + p.off[0] * (int64_t)j->to_size;
		const char *s = j->src + p.off[1] * (int64_t)j->from_size;

		/* infer has made sure that this pair of types converts; f32 and bf16 have a kernel with the same results */
		if (step == 1 && from == 1 && ((j->from == DS_F32 && j->to == DS_BF16) || (j->from == DS_BF16 && j->to == DS_F32)))
			j->half(d, s, (size_t)n, j->to == DS_BF16);
		else if (step == 1 && from == 1)
			(void)!ds_convert(d, j->to, s, j->from, (size_t)n, NULL);
		else
			for (int64_t i = 0; i < n; i++)
				(void)!ds_convert(d + i * step * (int64_t)j->to_size, j->to, s + i * from * (int64_t)j->from_size, j->from, 1,
					NULL);
		ds_walk_next(w, &p, n);
	}
}

ds_status ds_cast_run(ds_pool *pool, const ds_tensor *in, ds_tensor *out, ds_err *err)
{
	struct job j = {
		.w = { .rank = out->rank, .n = 2 }, .to = out->dtype, .from = in->dtype, .dst = out->data, .src = in->data,
		.to_size = ds_dtype_size(out->dtype), .from_size = ds_dtype_size(in->dtype),
		.half = ds_kernel_pick(DS_K_half, ds_cpu_allowed())->fn.half
	};

	if (!j.to_size || !j.from_size)
		return ds_fail(err, DS_E_INTERNAL, "conversion of packed codes");
	for (int d = 0; d < out->rank; d++)
		j.w.dim[d] = out->dim[d];
	if (in->layout == out->layout) {        /* the order in memory is the same, whichever it is */
		ds_tensor flat = *out;

		flat.layout = DS_PLAIN;
		ds_tensor_strides(&flat, j.w.stride[0]);
		ds_tensor_strides(&flat, j.w.stride[1]);
	} else {
		ds_tensor_strides(out, j.w.stride[0]);
		ds_tensor_strides(in, j.w.stride[1]);
	}
	ds_walk_merge(&j.w);
	ds_pool_run(pool, ds_walk_tasks(&j.w), cast_task, &j);
	return DS_OK;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	int64_t to = DS_A(struct attr, n)->to;
	const ds_dtype_row *row = to > 0 && to < 256 ? ds_dtype_by_onnx((int)to) : NULL;

	if (!row || !ds_dtype_size(row->dtype) || !ds_dtype_size(in[0].type.dtype))
		return ds_fail(err, DS_E_UNSUPPORTED, "Cast to the ONNX type %lld", (long long)to);
	out[0] = in[0].type;
	out[0].dtype = row->dtype;
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	return ds_cast_run(env->pool, in[0], out[0], err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype kinds[] = { DS_F32, DS_F16, DS_BF16, DS_F64, DS_I8, DS_U8, DS_I16, DS_U16, DS_I32, DS_U32, DS_I64, DS_U64, DS_BOOL };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3];
	ds_value *in;
	ds_node *n;

	ds_draw_dims(&s, 3, 6, dim);
	in = ds_draw_input(&s, ds_draw_dtype(&s, kinds, 13), 3, dim);
	n = ds_draw_node(&s, "Cast", 1, &in, 1);
	ds_draw_i(&s, n, "to", ds_dtype_of(kinds[ds_draw_in(&s, 0, 12)])->onnx);
	return ds_draw_end(&s, n, err);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);

	if (!ds_grad_float(n->in[0]))
		return DS_OK;           /* from integers nothing flows on */
	din[0] = ds_emit1(&e, "Cast", dout[0]);
	ds_emit_i(&e, din[0], "to", ds_dtype_of(n->in[0]->type.dtype)->onnx);
	return ds_emit_end(&e);
}

const ds_op ds_op_Cast = {
	.name = "Cast", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .flags = DS_OP_ANY_LAYOUT,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = forward, .gradient = gradient, .sample = sample,
};
