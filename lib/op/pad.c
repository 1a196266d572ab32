/* pad.c - Pad: elements added at both ends of axes (constant, edge, reflect, wrap); negative numbers take away
 *
 * Every axis gets a map from its positions in the output to those in the input, -1 for the constant.  The maps lie in scratch memory. */
#include "draw.h"
#include "grad.h"
#include "infer.h"
#include "move.h"
#include "walk.h"

#include <string.h>

enum { CONSTANT, REFLECT, EDGE, WRAP };
struct attr { int mode; };
static const char *const modes[] = { "constant", "reflect", "edge", "wrap", NULL };
static const ds_opt attrs[] = {
	DS_ATTR_CHOICE(struct attr, mode, "constant", modes, "what is added"),
	DS_ATTR_END
};

/* Numbers to add before and after every axis; *known is false when they have no value yet. */
static ds_status read_pads(const ds_node *n, const ds_arg *in, int rank, int64_t *before, int64_t *after, bool *known, ds_err *err)
{
	int64_t pads[2 * DS_MAX_RANK], axis[DS_MAX_RANK];
	int count, axes = rank;
	bool given = n->n_in > 3 && in[3].present;
	unsigned mask;

	for (int i = 0; i < DS_MAX_RANK; i++) {
		before[i] = after[i] = 0;
		axis[i] = i;
	}
	DS_TRY(ds_known_ints(&in[1], 2 * DS_MAX_RANK, pads, &count, err));
	if (given)
		DS_TRY(ds_known_ints(&in[3], DS_MAX_RANK, axis, &axes, err));
	*known = count >= 0 && axes >= 0;
	if (!*known)
		return DS_OK;
	if (count != 2 * axes)
		return ds_fail(err, DS_E_INPUT, "Pad: %d numbers for %d axes", count, axes);
	DS_TRY(ds_axes(axis, axes, rank, &mask, err));
	for (int i = 0; i < axes; i++) {
		int a = (int)(axis[i] < 0 ? axis[i] + rank : axis[i]);

		if (pads[i] > INT32_MAX || pads[i] < INT32_MIN || pads[i + axes] > INT32_MAX || pads[i + axes] < INT32_MIN)
			return ds_fail(err, DS_E_INPUT, "Pad by %lld and %lld", (long long)pads[i], (long long)pads[i + axes]);
		before[a] = pads[i];
		after[a] = pads[i + axes];
	}
	return DS_OK;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	const ds_type *t = &in[0].type;
	int64_t before[DS_MAX_RANK], after[DS_MAX_RANK];
	bool known;

	out[0] = *t;
	if (n->n_in > 2 && in[2].present && in[2].type.dtype != t->dtype)
		return ds_fail(err, DS_E_INPUT, "Pad of %s with %s", ds_dtype_name(t->dtype), ds_dtype_name(in[2].type.dtype));
	if (t->rank < 0)
		return DS_OK;
	DS_TRY(read_pads(n, in, t->rank, before, after, &known, err));
	for (int i = 0; i < t->rank; i++) {
		int64_t d = t->dim[i], *o = &out[0].dim[i];

		if (!known)
			*o = DS_DIM_UNKNOWN;
		else if (d >= 0)
			*o = d + before[i] + after[i];
		else if (before[i] + after[i])
			*o = DS_DIM_UNKNOWN;
		if (known && d >= 0 && (*o < 0 || (d == 0 && *o > 0 && DS_A(struct attr, n)->mode != CONSTANT)))
			return ds_fail(err, DS_E_INPUT, "Pad of axis %d, %lld long, by %lld and %lld", i, (long long)d, (long long)before[i], (long long)after[i]);
	}
	return DS_OK;
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	size_t s = 0;

	for (int i = 0; i < out[0].rank; i++)
		s += (size_t)out[0].dim[i] * sizeof(int64_t);
	return s;
}

/* Position p, which may be outside [0, d), of the endless continuation of an axis. */
static int64_t position(int64_t p, int64_t d, int mode)
{
	int64_t period = 2 * d - 2;

	if (p >= 0 && p < d)
		return p;
	switch (mode) {
	case CONSTANT: return -1;
	case EDGE:     return p < 0 ? 0 : d - 1;
	case WRAP:     return (p % d + d) % d;
	default:
		if (d == 1)
			return 0;
		p = (p % period + period) % period;
		return p < d ? p : period - p;
	}
}

struct job {
	const int64_t *map[DS_MAX_RANK];        /* by axis, in memory order of the output */
	int64_t        dim[DS_MAX_RANK], to[DS_MAX_RANK], from[DS_MAX_RANK];
	int            rank;
	size_t         size;
	char          *dst;
	const char    *src, *fill;
	int64_t        rows, per_task;
};

static void fill(char *dst, const char *value, int64_t n, size_t size)
{
	static const char zero[8];

	if (memcmp(value, zero, size) == 0) {
		memset(dst, 0, (size_t)n * size);
		return;
	}
	for (int64_t i = 0; i < n; i++)
		memcpy(dst + (size_t)i * size, value, size);
}

/* One row along the last axis, `src` being its position 0 in the input. */
static void pad_row(const struct job *j, char *dst, const char *src)
{
	const int64_t *map = j->map[j->rank - 1];
	int64_t n = j->dim[j->rank - 1], step = j->from[j->rank - 1];

	for (int64_t i = 0, k; i < n; i = k) {
		/* runs of the constant and of neighbours are done at once */
		k = i + 1;
		if (map[i] < 0) {
			while (k < n && map[k] < 0)
				k++;
			fill(dst + (size_t)i * j->size, j->fill, k - i, j->size);
			continue;
		}
		while (step == 1 && k < n && map[k] == map[k - 1] + 1)
			k++;
		memcpy(dst + (size_t)i * j->size, src + map[i] * step * (int64_t)j->size, (size_t)(k - i) * j->size);
	}
}

static void pad_task(void *arg, int task, int worker)
{
	const struct job *j = arg;
	int64_t end = DS_MIN(j->rows, (task + 1) * j->per_task);

	for (int64_t r = task * j->per_task; r < end; r++) {
		int64_t rest = r, from = 0, to = 0;
		bool inside = true;

		for (int d = j->rank - 2; d >= 0; d--) {
			int64_t at = rest % j->dim[d], p = j->map[d][at];

			rest /= j->dim[d];
			to += at * j->to[d];
			from += p * j->from[d];
			inside &= p >= 0;
		}
		if (inside)
			pad_row(j, j->dst + to * (int64_t)j->size, j->src + from * (int64_t)j->size);
		else
			fill(j->dst + to * (int64_t)j->size, j->fill, j->dim[j->rank - 1], j->size);
	}
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	static const char zero[8];
	const ds_tensor *t = in[0];
	int mode = DS_A(struct attr, n)->mode;
	struct job j = { .rank = t->rank, .size = ds_dtype_size(t->dtype), .dst = out[0]->data, .src = t->data, .rows = 1, .fill = zero };
	int64_t before[DS_MAX_RANK], after[DS_MAX_RANK], from[DS_MAX_RANK], to[DS_MAX_RANK], *map = env->scratch;
	ds_arg arg[4] = { 0 };
	bool known;

	for (int i = 1; i < n->n_in && i < 4; i++)
		arg[i] = (ds_arg){ .present = in[i] != NULL, .value = in[i] };
	DS_TRY(read_pads(n, arg, t->rank, before, after, &known, err));
	if (n->n_in > 2 && in[2] && ds_tensor_count(in[2]) > 0)
		j.fill = in[2]->data;
	if (ds_tensor_count(out[0]) == 0)
		return DS_OK;
	if (t->rank == 0)
		return ds_view_forward(env, n, in, out, err);
	ds_tensor_strides(t, from);
	ds_tensor_strides(out[0], to);
	for (int d = 0; d < t->rank; d++) {
		int a = ds_walk_axis(out[0], d);

		j.map[d] = map;
		j.from[d] = from[a];
		j.to[d] = to[a];
		j.dim[d] = out[0]->dim[a];
		if (j.dim[d] != t->dim[a] + before[a] + after[a])
			return ds_fail(err, DS_E_INTERNAL, "Pad: numbers are not those that were planned for");
		for (int64_t i = 0; i < j.dim[d]; i++)
			*map++ = position(i - before[a], t->dim[a], mode);
		j.rows *= d < t->rank - 1 ? j.dim[d] : 1;
	}
	j.per_task = DS_MAX(1, 16384 / DS_MAX(1, j.dim[t->rank - 1]));
	ds_pool_run(env->pool, (int)((j.rows + j.per_task - 1) / j.per_task), pad_task, &j);
	return DS_OK;
}

/* A padded axis can be pruned when constants are added at one end only: recut then knows their number from the extents. */
static int channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	int64_t before[DS_MAX_RANK], after[DS_MAX_RANK];
	int k = 0;
	bool known;

	if (read_pads(n, in, in[0].type.rank, before, after, &known, NULL) != DS_OK || !known)
		return 0;
	for (int i = 0; i < in[0].type.rank; i++) {
		if (before[i] == 0 && after[i] == 0)
			k = ds_link_add(link, k, cap, DS_LINK_SAME, 0, i, DS_SLOT_OUT, i, 0);
		else if (DS_A(struct attr, n)->mode == CONSTANT && before[i] >= 0 && after[i] >= 0 && (before[i] == 0 || after[i] == 0))
			k = ds_link_add(link, k, cap, DS_LINK_SHIFT, 0, i, DS_SLOT_OUT, i, before[i]);
	}
	return k;
}

static ds_status recut(ds_graph *g, ds_node *n, const ds_type *in, const ds_type *want, ds_err *err)
{
	int64_t before[DS_MAX_RANK], after[DS_MAX_RANK], pads[2 * DS_MAX_RANK], axis[DS_MAX_RANK];
	ds_arg arg[4] = { 0 };
	int rank = in[0].rank, axes = rank;
	bool known, change = false;

	for (int i = 1; i < n->n_in && i < 4; i++) {
		arg[i].present = n->in[i] != NULL;
		if (n->in[i] && n->in[i]->kind != DS_V_NODE && n->in[i]->data.data)
			arg[i].value = &n->in[i]->data;
	}
	DS_TRY(read_pads(n, arg, rank, before, after, &known, err));
	if (!known)
		return DS_OK;
	for (int i = 0; i < rank; i++) {
		int64_t more = want[0].dim[i] - in[0].dim[i];

		if (in[0].dim[i] < 0 || want[0].dim[i] < 0 || more == before[i] + after[i])
			continue;
		if (more < 0 || (before[i] && after[i]))
			return ds_fail(err, DS_E_UNSUPPORTED, "Pad at both ends of axis %d, which was cut", i);
		change = true;
		*(before[i] ? &before[i] : &after[i]) = more;
	}
	if (!change)
		return DS_OK;
	for (int i = 0; i < rank; i++)
		axis[i] = i;
	if (n->n_in > 3 && n->in[3])
		DS_TRY(ds_recut_read(n, 3, DS_MAX_RANK, axis, &axes, err));
	for (int i = 0; i < axes; i++) {
		pads[i] = before[axis[i] < 0 ? axis[i] + rank : axis[i]];
		pads[i + axes] = after[axis[i] < 0 ? axis[i] + rank : axis[i]];
	}
	return ds_recut_ints(g, n, 1, 2 * axes, pads, err);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype kinds[] = { DS_F32, DS_I64, DS_U8 };
	ds_draw s = ds_draw_begin(g, seed);
	int64_t dim[3], pads[6];
	int mode = (int)(seed % 4);
	ds_dtype d = mode == CONSTANT ? DS_F32 : ds_draw_dtype(&s, kinds, 3);
	ds_value *in[3];
	ds_node *n;

	ds_draw_dims(&s, 3, 5, dim);
	for (int i = 0; i < 6; i++)
		pads[i] = ds_draw_in(&s, 0, mode == REFLECT || mode == WRAP ? dim[i % 3] - 1 : 3);
	if (seed % 7 == 0)
		pads[1] = dim[1] > 1 ? -1 : 0;
	in[0] = ds_draw_input(&s, d, 3, dim);
	in[1] = ds_draw_ints(&s, 6, pads);
	in[2] = ds_draw_f32(&s, 1.5f);
	n = ds_draw_node(&s, "Pad", mode == CONSTANT && seed & 8 ? 3 : 2, in, 1);
	ds_draw_s(&s, n, "mode", modes[mode]);
	return ds_draw_end(&s, n, err);
}

/* Constants: what was added goes, what was taken away gets noughts; the constant itself has the rest of the sum.  Other modes: every axis was gathered by its map. */
static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	const ds_type *t = &n->in[0]->type;
	int64_t before[DS_MAX_RANK], after[DS_MAX_RANK];
	ds_emit e = ds_emit_begin(g, err);
	ds_value *d = dout[0];
	ds_arg arg[4] = { 0 };
	int mode = DS_A(struct attr, n)->mode, rank = t->rank;
	bool known;

	if (mode == CONSTANT) {         /* the numbers may be computed */
		ds_value *in[4] = { d, ds_emit1(&e, "Neg", n->in[1]), NULL, n->n_in > 3 ? n->in[3] : NULL };

		din[0] = ds_emit_op(&e, "Pad", 4, in);
		if (n->n_in > 2 && n->in[2]) {
			ds_value *all = ds_emit1(&e, "ReduceSum", d), *own = ds_emit1(&e, "ReduceSum", din[0]);

			ds_emit_i(&e, all, "keepdims", 0);
			ds_emit_i(&e, own, "keepdims", 0);
			din[2] = ds_emit_reshape(&e, ds_emit2(&e, "Sub", all, own), &n->in[2]->type);
		}
		return ds_emit_end(&e);
	}
	for (int i = 1; i < n->n_in && i < 4; i++)
		arg[i] = (ds_arg){ .present = n->in[i] != NULL, .value = n->in[i] && n->in[i]->data.data ? &n->in[i]->data : NULL };
	DS_TRY(read_pads(n, arg, rank, before, after, &known, err));
	if (!known)
		return ds_fail(err, DS_E_UNSUPPORTED, "Pad by numbers that are computed");
	ds_type now = n->out[0]->type;
	for (int a = rank - 1; a >= 0; a--) {
		int64_t count = now.dim[a];

		if (before[a] == 0 && after[a] == 0)
			continue;
		int64_t *map = ds_malloc(sizeof *map * (size_t)(count + 1));
		if (!map)
			return ds_fail_nomem(err, 0);
		for (int64_t i = 0; i < count; i++)
			map[i] = position(i - before[a], t->dim[a], mode);
		ds_value *index = ds_emit_ints(&e, (int)count, map);
		ds_free(map);
		now.dim[a] = t->dim[a];
		d = ds_emit3(&e, "ds.GatherGrad", d, ds_emit_ints(&e, rank, now.dim), index);
		ds_emit_i(&e, d, "axis", a);
	}
	din[0] = d;
	return ds_emit_end(&e);
}

static const ds_variant variants[] = {
	{ .name = "pad.last", .match = ds_move_match_last, .scratch = scratch, .forward = forward },
	{ .name = NULL },
};

const ds_op ds_op_Pad = {
	.name = "Pad", .domain = "", .min_in = 2, .max_in = 4, .min_out = 1, .max_out = 1,
	.attr_size = sizeof(struct attr), .attrs = attrs, .infer = infer, .scratch = scratch, .forward = forward, .variants = variants, .cost = ds_move_cost,
	.channels = channels, .recut = recut, .gradient = gradient, .sample = sample,
};
