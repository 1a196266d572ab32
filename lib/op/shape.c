/* shape.c - Shape: the dims of the input as i64, optionally a slice of them */
#include "draw.h"
#include "infer.h"

struct attr { int64_t start, end; };
static const ds_opt attrs[] = {
	DS_ATTR_INT(struct attr, start, "0", "first dim"),
	DS_ATTR_INT(struct attr, end, "9223372036854775807", "dim after the last"),
	DS_ATTR_END
};

/* Bounds count from the end when negative, and are clamped. */
static int bound(int64_t v, int rank)
{
	if (v < 0)
		v += rank;
	return (int)DS_MIN(DS_MAX(v, 0), rank);
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const struct attr *a = DS_A(struct attr, n);
	int rank = in[0].type.rank;

	ds_infer_unknown(&out[0], DS_I64, 1);
	if (rank >= 0)
		out[0].dim[0] = DS_MAX(bound(a->end, rank) - bound(a->start, rank), 0);
	return DS_OK;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	const struct attr *a = DS_A(struct attr, n);
	int64_t *r = out[0]->data;
	int end = bound(a->end, in[0]->rank);

	for (int i = bound(a->start, in[0]->rank); i < end; i++)
		*r++ = in[0]->dim[i];
	return DS_OK;
}

/* Any index may go: the dims are asked for again. */
static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int k = 0;

	for (int i = 0; i < in[0].type.rank; i++)
		k = ds_link_add(link, k, cap, DS_LINK_FREE, 0, i, 0, i, 0);
	return k;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[5];
	int rank = (int)ds_draw_in(&s, 0, 5);
	ds_value *in;
	ds_node *n;

	ds_draw_dims(&s, rank, 5, dim);
	in = ds_draw_input(&s, DS_F32, rank, dim);
	n = ds_draw_node(&s, "Shape", 1, &in, 1);
	if (seed & 1)
		ds_draw_i(&s, n, "start", ds_draw_in(&s, -3, 2));
	if (seed & 2)
		ds_draw_i(&s, n, "end", ds_draw_in(&s, -3, 6));
	return ds_draw_end(&s, n, err);
}

const ds_op ds_op_Shape = {
	.name = "Shape", .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .flags = DS_OP_SHAPE_ONLY,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .forward = forward, .channels = channels, .sample = sample,
};
