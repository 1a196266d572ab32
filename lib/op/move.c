/* move.c - operators that only move elements: views and strided copies */
#include "move.h"
#include "grad.h"
#include "infer.h"
#include "walk.h"

#include <string.h>

ds_status ds_view_forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	if (out[0]->data != in[0]->data)
		memmove(out[0]->data, in[0]->data, ds_tensor_bytes(in[0]));
	return DS_OK;
}

ds_status ds_view_gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);

	din[0] = ds_emit_reshape(&e, dout[0], &n->in[0]->type);
	return ds_emit_end(&e);
}

void ds_view_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost)
{
	memset(cost, 0, sizeof *cost);
}

int ds_same_channels(const ds_node *n, const ds_arg *in, const ds_type *out, ds_link *link, int cap)
{
	return ds_link_same(link, 0, cap, 0, &in[0].type, DS_SLOT_OUT, &out[0], ~0u);
}

void ds_move_cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *cost)
{
	memset(cost, 0, sizeof *cost);
	for (int i = 0; i < n->n_out; i++)
		cost->act_bytes += 2.0 * (double)ds_type_count(&out[i]) * (double)ds_dtype_size(out[i].dtype);
}

bool ds_move_match_last(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	bool last = false;

	for (int i = 0; i < n->n_in; i++)
		last = last || (in[i].present && in[i].type.rank == out[0].rank && out[0].rank >= 3 && want[i] == DS_CHANNELS_LAST);
	if (!last)
		return false;
	for (int i = 0; i < n->n_in; i++)
		want[i] = in[i].present && in[i].type.rank == out[0].rank ? DS_CHANNELS_LAST : DS_PLAIN;
	*out_layout = DS_CHANNELS_LAST;
	return true;
}

bool ds_move_match_from_last(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	for (int i = 1; i < n->n_in; i++)
		want[i] = DS_PLAIN;
	*out_layout = DS_PLAIN;
	return want[0] == DS_CHANNELS_LAST && in[0].type.rank >= 3;
}

void ds_move_dense(int rank, const int64_t *dim, int64_t *stride)
{
	int64_t s = 1;

	for (int d = rank - 1; d >= 0; d--) {
		stride[d] = s;
		s *= dim[d];
	}
}

struct move {
	ds_walk     w;          /* array 0: destination, 1: source */
	size_t      size;
	char       *dst;
	const char *src;
};

#define COPY_LOOP(T) do { \
		T *d = dst; \
		const T *s = src; \
		for (int64_t i = 0; i < n; i++) \
			d[i * ds] = s[i * ss]; \
	} while (0)

static void copy_run(void *dst, int64_t ds, const void *src, int64_t ss, int64_t n, size_t size)
{
	if (ds == 1 && ss == 1) {
		memcpy(dst, src, (size_t)n * size);
		return;
	}
	switch (size) {
	case 1: COPY_LOOP(uint8_t); break;
	case 2: COPY_LOOP(uint16_t); break;
	case 4: COPY_LOOP(uint32_t); break;
	default: COPY_LOOP(uint64_t); break;
	}
}

static void move_task(void *arg, int task, int worker)
{
	const struct move *m = arg;
	const ds_walk *w = &m->w;
	ds_walk_at p;
	int64_t n;

	ds_walk_start(w, task, &p);
	while ((n = ds_walk_run(w, &p)) > 0) {
		copy_run(m->dst + p.off[0] * (int64_t)m->size, w->stride[0][w->rank - 1], m->src + p.off[1] * (int64_t)m->size,
			w->stride[1][w->rank - 1], n, m->size);
		ds_walk_next(w, &p, n);
	}
}

void ds_move_strided(ds_pool *pool, size_t size, int rank, const int64_t *dim, void *dst, const int64_t *ds, const void *src, const int64_t *ss)
{
	struct move m = { .w = { .rank = rank, .n = 2 }, .size = size, .dst = dst, .src = src };

	/* in the order in which dst lies in memory, so that channels-last tensors are written in runs of channels */
	for (int d = 0; d < rank; d++) {
		int at = d;

		for (; at > 0 && m.w.stride[0][at - 1] < ds[d]; at--) {
			m.w.dim[at] = m.w.dim[at - 1];
			m.w.stride[0][at] = m.w.stride[0][at - 1];
			m.w.stride[1][at] = m.w.stride[1][at - 1];
		}
		m.w.dim[at] = dim[d];
		m.w.stride[0][at] = ds[d];
		m.w.stride[1][at] = ss[d];
	}
	ds_walk_merge(&m.w);
	ds_pool_run(pool, ds_walk_tasks(&m.w), move_task, &m);
}

void ds_move_tensor(ds_pool *pool, const ds_tensor *in, ds_tensor *out)
{
	int64_t from[DS_MAX_RANK], to[DS_MAX_RANK], ss[DS_MAX_RANK];
	int lead = out->rank - in->rank;

	if (out->data == in->data)
		return;
	ds_tensor_strides(in, from);
	ds_tensor_strides(out, to);
	for (int d = 0; d < out->rank; d++)
		ss[d] = d < lead || in->dim[d - lead] == 1 ? 0 : from[d - lead];
	ds_move_strided(pool, ds_dtype_size(out->dtype), out->rank, out->dim, out->data, to, in->data, ss);
}
