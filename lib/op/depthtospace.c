/* depthtospace.c - DepthToSpace: blocks of channels become blocks of pixels; the block index is the slow part of the channel (DCR) or the fast one (CRD) */
#include "draw.h"
#include "grad.h"
#include "infer.h"
#include "move.h"

struct attr { int64_t blocksize; int mode; };
static const char *const modes[] = { "DCR", "CRD", NULL };
static const ds_opt attrs[] = {
	DS_ATTR_MUST(struct attr, blocksize, "side of a block"),
	DS_ATTR_CHOICE(struct attr, mode, "DCR", modes, "order of depth, column and row within the channels"),
	DS_ATTR_END
};

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	int64_t b = DS_A(struct attr, n)->blocksize;

	out[0] = in[0].type;
	if (in[0].type.rank < 0)
		return DS_OK;
	if (in[0].type.rank != 4 || b < 1 || b > 32768 || (in[0].type.dim[1] >= 0 && in[0].type.dim[1] % (b * b)))
		return ds_fail(err, DS_E_INPUT, "DepthToSpace with blocks of %lld does not fit its input", (long long)b);
	out[0].dim[1] = ds_dim_div(in[0].type.dim[1], b * b);
	out[0].dim[2] = ds_dim_mul(in[0].type.dim[2], b);
	out[0].dim[3] = ds_dim_mul(in[0].type.dim[3], b);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const struct attr *a = DS_A(struct attr, n);
	int64_t b = a->blocksize, s[DS_MAX_RANK], t[DS_MAX_RANK];
	const int64_t *d = out[0]->dim;

	ds_tensor_strides(in[0], s);
	ds_tensor_strides(out[0], t);
	/* seen as N, C, H, block row, W, block column */
	const int64_t dim[6] = { d[0], d[1], in[0]->dim[2], b, in[0]->dim[3], b };
	const int64_t to[6] = { t[0], t[1], b * t[2], t[2], b * t[3], t[3] };
	const int64_t dcr[6] = { s[0], s[1], s[2], b * d[1] * s[1], s[3], d[1] * s[1] };
	const int64_t crd[6] = { s[0], b * b * s[1], s[2], b * s[1], s[3], s[1] };

	ds_move_strided(env->pool, ds_dtype_size(in[0]->dtype), 6, dim, out[0]->data, to, in[0]->data, a->mode ? crd : dcr);
	return DS_OK;
}

static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int64_t b = DS_A(struct attr, n)->blocksize;
	int k = ds_link_add(link, 0, cap, DS_LINK_SAME, 0, 0, DS_SLOT_OUT, 0, 0);

	return DS_A(struct attr, n)->mode ? ds_link_add(link, k, cap, DS_LINK_BLOCK, DS_SLOT_OUT, 1, 0, 1, b * b) : k;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[4], b = ds_draw_in(&s, 1, 3);
	ds_value *in;
	ds_node *n;

	ds_draw_dims(&s, 4, 4, dim);
	dim[1] *= b * b;
	in = ds_draw_input(&s, DS_F32, 4, dim);
	n = ds_draw_node(&s, "DepthToSpace", 1, &in, 1);
	ds_draw_i(&s, n, "blocksize", b);
	ds_draw_s(&s, n, "mode", modes[seed & 1]);
	return ds_draw_end(&s, n, err);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	const struct attr *a = DS_A(struct attr, n);
	const int64_t *x = n->in[0]->type.dim, *y = n->out[0]->type.dim;

	if (a->mode) {                  /* CRD: SpaceToDepth puts the block index in front */
		ds_type t = { .dtype = n->in[0]->type.dtype, .rank = 6, .dim = { y[0], y[1], x[2], a->blocksize, x[3], a->blocksize } };

		din[0] = ds_emit1(&e, "Transpose", ds_emit_reshape(&e, dout[0], &t));
		ds_emit_is(&e, din[0], "perm", 6, (int64_t[]){ 0, 1, 3, 5, 2, 4 });
		din[0] = ds_emit_reshape(&e, din[0], &n->in[0]->type);
	} else {
		din[0] = ds_emit1(&e, "SpaceToDepth", dout[0]);
		ds_emit_i(&e, din[0], "blocksize", a->blocksize);
	}
	return ds_emit_end(&e);
}

const ds_op ds_op_DepthToSpace = {
	.name = "DepthToSpace", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = forward, .cost = ds_move_cost,
	.channels = channels, .gradient = gradient, .sample = sample,
};
