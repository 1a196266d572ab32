/* draw.c - what the `sample` columns build their small random graphs with */
#include "draw.h"

#include <stdio.h>
#include <string.h>

ds_draw ds_draw_begin(ds_graph *g, uint64_t seed)
{
	return (ds_draw){ .g = g, .rng = ds_rng_init(seed, 0x73616d70), .seed = seed };
}

int64_t ds_draw_in(ds_draw *s, int64_t lo, int64_t hi)
{
	return lo + (int64_t)ds_rng_below(&s->rng, (uint64_t)(hi - lo) + 1);
}

ds_dtype ds_draw_dtype(const ds_draw *s, const ds_dtype *d, int n)
{
	return d[s->seed % (uint64_t)n];
}

void ds_draw_dims(ds_draw *s, int rank, int64_t max, int64_t *dim)
{
	for (int i = 0; i < rank; i++)
		dim[i] = ds_draw_in(s, 1, max);
}

ds_value *ds_draw_input(ds_draw *s, ds_dtype dtype, int rank, const int64_t *dim)
{
	ds_type t = ds_type_make(dtype, rank, dim);
	char name[16];
	ds_value *v;

	snprintf(name, sizeof name, "x%d", s->inputs++);
	v = s->oom ? NULL : ds_graph_input(s->g, name, &t);
	s->oom = s->oom || !v;
	return v;
}

static ds_value *weight(ds_draw *s, ds_tensor *t)
{
	char name[16];
	bool small = !t->q && ds_tensor_bytes(t) <= 64;
	ds_value *v;

	snprintf(name, sizeof name, "w%d", s->inputs++);
	v = s->oom ? NULL : ds_graph_weight(s->g, small ? DS_V_CONST : DS_V_PARAM, small ? "" : name, t);
	if (!v) {
		ds_tensor_done(t);
		s->oom = true;
	}
	return v;
}

ds_value *ds_draw_param(ds_draw *s, ds_dtype dtype, int rank, const int64_t *dim)
{
	const ds_dtype_row *row = ds_dtype_of(dtype);
	double lo = row->is_float ? -2 : row->is_signed ? -8 : 0;
	double span = row->is_float ? 4 : dtype == DS_BOOL ? 2 : 16;
	ds_tensor t;
	size_t size = ds_dtype_size(dtype);

	if (s->oom || ds_tensor_new(&t, dtype, rank, dim, NULL) != DS_OK) {
		s->oom = true;
		return NULL;
	}
	for (int64_t i = 0; i < ds_tensor_count(&t); i++) {
		float v = (float)(lo + ds_rng_f64(&s->rng) * span);

		if (!row->is_float)
			v = (float)(int)(v + (v < 0 ? -0.999f : 0.f));
		row->from_f32((char *)t.data + (size_t)i * size, &v, 1);
	}
	return weight(s, &t);
}

ds_value *ds_draw_coded(ds_draw *s, int rank, const int64_t *dim, bool per_row)
{
	static const ds_qform by_row = { .code = DS_I8, .scheme = DS_Q_SYM, .gran = DS_Q_ROW, .row_dims = 1, .scale_dtype = DS_F32 };
	static const ds_qform by_tensor = { .code = DS_I8, .scheme = DS_Q_SYM, .gran = DS_Q_TENSOR, .row_dims = 1, .scale_dtype = DS_F32 };
	const ds_qform *q = per_row ? &by_row : &by_tensor;
	ds_tensor t = { .dtype = DS_F32, .rank = rank, .q = q };
	ds_qsize size;

	for (int i = 0; i < rank; i++)
		t.dim[i] = dim[i];
	if (s->oom || ds_qform_size(q, rank, dim, &size, NULL) != DS_OK || !(t.buf = ds_buffer_new(size.total))) {
		s->oom = true;
		return NULL;
	}
	t.data = ds_buffer_data(t.buf);
	for (int64_t r = 0; r < size.rows; r++)
		for (int64_t c = 0; c < size.cols; c++)
			((int8_t *)t.data)[(uint64_t)r * size.code_stride + (uint64_t)c] = (int8_t)ds_draw_in(s, -127, 127);
	for (int64_t i = 0; i < size.scales; i++)
		((float *)(void *)((char *)t.data + size.scale_off))[i] = (float)(0.001 + ds_rng_f64(&s->rng) * 0.01);
	return weight(s, &t);
}

ds_value *ds_draw_ints(ds_draw *s, int64_t count, const int64_t *v)
{
	ds_value *c = s->oom ? NULL : ds_graph_const_i64(s->g, count, v);

	s->oom = s->oom || !c;
	return c;
}

ds_value *ds_draw_f32(ds_draw *s, float v)
{
	ds_value *c = s->oom ? NULL : ds_graph_const_f32(s->g, v);

	s->oom = s->oom || !c;
	return c;
}

ds_node *ds_draw_node(ds_draw *s, const char *op, int n_in, ds_value *const *in, int n_out)
{
	bool own = strncmp(op, "ds.", 3) == 0;
	ds_node *n;

	op += own ? 3 : 0;
	n = s->oom ? NULL : ds_graph_node(s->g, own ? "ds" : "", op, op, n_in, in, n_out, NULL);

	s->oom = s->oom || !n;
	return n;
}

void ds_draw_i(ds_draw *s, ds_node *n, const char *key, int64_t v)
{
	s->oom = s->oom || ds_attr_i(n, key, v) != DS_OK;
}

void ds_draw_f(ds_draw *s, ds_node *n, const char *key, double v)
{
	s->oom = s->oom || ds_attr_f(n, key, v) != DS_OK;
}

void ds_draw_s(ds_draw *s, ds_node *n, const char *key, const char *v)
{
	s->oom = s->oom || ds_attr_s(n, key, v) != DS_OK;
}

void ds_draw_is(ds_draw *s, ds_node *n, const char *key, int count, const int64_t *v)
{
	s->oom = s->oom || ds_attr_is(n, key, count, v) != DS_OK;
}

ds_status ds_draw_end(ds_draw *s, ds_node *n, ds_err *err)
{
	for (int i = 0; !s->oom && i < n->n_out; i++)
		s->oom = ds_graph_output(s->g, n->out[i]) != DS_OK;
	if (s->oom)
		return ds_fail_nomem(err, sizeof(ds_node));
	return ds_node_parse(n, err);
}
