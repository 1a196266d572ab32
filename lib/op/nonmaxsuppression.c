/* nonmaxsuppression.c - NonMaxSuppression (ONNX 11): the boxes of each class that overlap no better one by more than a threshold */
#include "draw.h"
#include "nn.h"

#include <math.h>

struct attr { int64_t center; };

struct box { double y0, x0, y1, x1; };

static struct box box_of(const float *b, bool center)
{
	if (center)
		return (struct box){ (double)b[1] - (double)b[3] / 2, (double)b[0] - (double)b[2] / 2, (double)b[1] + (double)b[3] / 2,
			(double)b[0] + (double)b[2] / 2 };
	return (struct box){ fmin((double)b[0], (double)b[2]), fmin((double)b[1], (double)b[3]), fmax((double)b[0], (double)b[2]),
		fmax((double)b[1], (double)b[3]) };
}

static double overlap(struct box a, struct box b)
{
	double h = fmin(a.y1, b.y1) - fmax(a.y0, b.y0), w = fmin(a.x1, b.x1) - fmax(a.x0, b.x0), both;

	if (h <= 0 || w <= 0)
		return 0;
	both = (a.y1 - a.y0) * (a.x1 - a.x0) + (b.y1 - b.y0) * (b.x1 - b.x0) - h * w;
	return both > 0 ? h * w / both : 0;
}

/* The chosen boxes of all classes: out (may be NULL) gets [batch, class, box] rows.  state: one byte for each box. */
static int64_t choose(const ds_node *n, const ds_tensor *const *in, uint8_t *state, int64_t *out, int64_t cap)
{
	const ds_tensor *boxes = in[0], *scores = in[1];
	int64_t batch = scores->dim[0], classes = scores->dim[1], count = scores->dim[2], total = 0;
	int64_t most = n->n_in > 2 && in[2] ? ds_tensor_i64(in[2], 0) : 0;
	double iou = n->n_in > 3 && in[3] ? ds_tensor_f64(in[3], 0) : 0, least = n->n_in > 4 && in[4] ? ds_tensor_f64(in[4], 0) : -INFINITY;
	bool center = DS_A(struct attr, n)->center != 0;

	for (int64_t c = 0; c < batch * classes; c++) {
		const float *score = (const float *)scores->data + c * count, *box = (const float *)boxes->data + c / classes * count * 4;

		for (int64_t i = 0; i < count; i++)
			state[i] = !((double)score[i] > least);
		for (int64_t k = 0; k < most; k++) {
			int64_t best = -1;

			for (int64_t i = 0; i < count; i++)
				if (!state[i] && (best < 0 || score[i] > score[best]))
					best = i;
			if (best < 0)
				break;
			for (int64_t i = 0; i < count; i++)
				if (!state[i] && overlap(box_of(box + best * 4, center), box_of(box + i * 4, center)) > iou)
					state[i] = 1;
			state[best] = 1;
			if (out && total < cap) {
				out[total * 3] = c / classes;
				out[total * 3 + 1] = c % classes;
				out[total * 3 + 2] = best;
			}
			total++;
		}
	}
	return total;
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	if (choose(n, in, env->scratch, out[0]->data, out[0]->dim[0]) != out[0]->dim[0])
		return ds_fail(err, DS_E_INTERNAL, "%s: number of boxes", n->op_name);
	return DS_OK;
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	(void)n;
	(void)out;
	(void)threads;
	return (size_t)in[1].type.dim[2];
}

/* How many boxes come out depends on the data, so the shape is known only where those are. */
static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *b = &in[0].type, *s = &in[1].type;
	const ds_tensor *t[5] = { 0 };
	bool known = true;

	out[0] = ds_type_make(DS_I64, 2, (int64_t[]){ DS_DIM_UNKNOWN, 3 });
	if (b->dtype != DS_F32 || s->dtype != DS_F32 || (b->rank >= 0 && b->rank != 3) || (s->rank >= 0 && s->rank != 3))
		return ds_fail(err, DS_E_INPUT, "%s: boxes and scores must be f32 of rank 3", n->op_name);
	if (b->rank == 3 && s->rank == 3)
		for (int i = 0; i < 3; i++) {
			static const int with[3][2] = { { 0, 0 }, { 1, 2 }, { 2, -1 } };
			int64_t want = with[i][1] < 0 ? 4 : s->dim[with[i][1]];

			if (b->dim[with[i][0]] >= 0 && want >= 0 && b->dim[with[i][0]] != want)
				return ds_fail(err, DS_E_INPUT, "%s: extents of boxes and scores", n->op_name);
		}
	for (int i = 0; i < n->n_in; i++) {
		t[i] = in[i].present ? in[i].value : NULL;
		known &= !in[i].present || in[i].value;
		if (i > 1 && t[i] && ds_tensor_count(t[i]) != 1)
			return ds_fail(err, DS_E_INPUT, "%s: input %d must be one number", n->op_name, i);
	}
	if (known) {
		uint8_t *state = ds_malloc((size_t)t[1]->dim[2] + 1);

		if (!state)
			return ds_fail_nomem(err, (size_t)t[1]->dim[2]);
		out[0].dim[0] = choose(n, t, state, NULL, 0);
		ds_free(state);
	}
	return DS_OK;
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	ds_draw s = ds_draw_begin(g, seed);
	int64_t most = ds_draw_in(&s, 1, 5), boxes[3] = { ds_draw_in(&s, 1, 2), ds_draw_in(&s, 1, 12), 4 };
	int64_t scores[3] = { boxes[0], ds_draw_in(&s, 1, 3), boxes[1] };
	ds_value *in[5];
	ds_node *n;

	in[0] = ds_draw_param(&s, DS_F32, 3, boxes);
	in[1] = ds_draw_param(&s, DS_F32, 3, scores);
	in[2] = ds_draw_ints(&s, -1, &most);
	in[3] = ds_draw_f32(&s, 0.3f);
	in[4] = ds_draw_f32(&s, -1);
	n = ds_draw_node(&s, "NonMaxSuppression", 3 + (int)(seed % 3), in, 1);
	ds_draw_i(&s, n, "center_point_box", (int64_t)(seed % 2));
	return ds_draw_end(&s, n, err);
}

static const ds_opt attrs[] = {
	DS_NN_INT(struct attr, center, "center_point_box", "0", 0, 1, "Boxes are centre and size instead of two corners"),
	{ 0 }
};

const ds_op ds_op_NonMaxSuppression = {
	.name = "NonMaxSuppression", .domain = "", .min_in = 2, .max_in = 5, .min_out = 1, .max_out = 1, .attr_size = sizeof(struct attr), .attrs = attrs,
	.infer = infer, .scratch = scratch, .forward = forward, .sample = sample,
};
