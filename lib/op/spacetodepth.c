/* spacetodepth.c - SpaceToDepth: blocks of pixels become channels, the position in the block being the slow part */
#include "draw.h"
#include "grad.h"
#include "infer.h"
#include "move.h"

struct attr { int64_t blocksize; };
static const ds_opt attrs[] = {
	DS_ATTR_MUST(struct attr, blocksize, "side of a block"),
	DS_ATTR_END
};

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *t = &in[0].type;
	int64_t b = DS_A(struct attr, n)->blocksize;

	out[0] = *t;
	if (t->rank < 0)
		return DS_OK;
	if (t->rank != 4 || b < 1 || b > 32768 || (t->dim[2] >= 0 && t->dim[2] % b) || (t->dim[3] >= 0 && t->dim[3] % b))
		return ds_fail(err, DS_E_INPUT, "SpaceToDepth with blocks of %lld does not fit its input", (long long)b);
	out[0].dim[1] = ds_dim_mul(t->dim[1], b * b);
	out[0].dim[2] = ds_dim_div(t->dim[2], b);
	out[0].dim[3] = ds_dim_div(t->dim[3], b);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	int64_t b = DS_A(struct attr, n)->blocksize, s[DS_MAX_RANK], t[DS_MAX_RANK], c = in[0]->dim[1];

	ds_tensor_strides(in[0], s);
	ds_tensor_strides(out[0], t);
	/* seen as N, block row, block column, C, H, W of the output */
	const int64_t dim[6] = { in[0]->dim[0], b, b, c, out[0]->dim[2], out[0]->dim[3] };
	const int64_t to[6] = { t[0], b * c * t[1], c * t[1], t[1], t[2], t[3] };
	const int64_t from[6] = { s[0], s[2], s[3], s[1], b * s[2], b * s[3] };

	ds_move_strided(env->pool, ds_dtype_size(in[0]->dtype), 6, dim, out[0]->data, to, in[0]->data, from);
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	return ds_link_add(link, 0, cap, DS_LINK_SAME, 0, 0, DS_SLOT_OUT, 0, 0);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[4], b = ds_draw_in(&s, 1, 3);
	ds_value *in;
	ds_node *n;

	ds_draw_dims(&s, 4, 4, dim);
	dim[2] *= b;
	dim[3] *= b;
	in = ds_draw_input(&s, DS_F32, 4, dim);
	n = ds_draw_node(&s, "SpaceToDepth", 1, &in, 1);
	ds_draw_i(&s, n, "blocksize", b);
	return ds_draw_end(&s, n, err);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);

	din[0] = ds_emit1(&e, "DepthToSpace", dout[0]);
	ds_emit_i(&e, din[0], "blocksize", DS_A(struct attr, n)->blocksize);
	return ds_emit_end(&e);
}

const ds_op ds_op_SpaceToDepth = {
	.name = "SpaceToDepth", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = forward, .cost = ds_move_cost,
	.channels = channels, .gradient = gradient, .sample = sample,
};
