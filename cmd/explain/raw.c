/* raw.c - maps as numbers: an npy array, or a DSM tensor stream */
#include "job.h"

#include <stdio.h>
#include <string.h>

enum { NPY, DSM };

/* npy holds one array: maps of the same dims, one after another along a new axis; one map alone as it is. */
typedef struct state { ds_dsm_writer *w; ds_tensor *t; size_t n, cap; uint32_t item; } state;

static bool chosen(const job *j)
{
	return j->s->raw >= 0;
}

static ds_status start(job *j, ds_err *err)
{
	state *st = j->state = ds_calloc(1, sizeof *st);
	if (!st)
		return ds_fail_nomem(err, sizeof *st);
	if (j->s->raw == NPY)
		return DS_OK;
	ds_dsm_wopts o = { .compress = j->s->c.compress, .memory_limit = j->s->c.memory_limit };
	ds_meta m = { 0 };
	DS_TRY(ds_dsm_create(&st->w, j->out, &o, err));
	ds_status rc = ds_meta_set_str(&m, "kind", "tensors");
	if (rc == DS_OK)
		rc = ds_dsm_put_meta(st->w, &m, err);
	ds_meta_done(&m);
	return rc;
}

/* "gradcam/281", "attention/3/0/281": method, layer and head where there are some, element of the output. */
static ds_status put_dsm(job *j, state *st, const ex_result *r, ds_err *err)
{
	for (size_t i = 0; i < r->maps.n; i++) {
		const ds_map *m = &r->maps.m[i];
		ds_buf b = { 0 };
		ds_buf_str(&b, j->method->name);
		if (m->layer_index >= 0)
			ds_buf_printf(&b, "/%d", m->layer_index);
		if (m->head >= 0)
			ds_buf_printf(&b, "/%d", m->head);
		ds_buf_printf(&b, "/%lld", (long long)m->target);
		ds_status rc = b.oom ? ds_fail_nomem(err, b.len) : ds_dsm_put_tensor(st->w, &m->t, b.data, st->item, r->item->name, r->item->name_len, err);
		ds_buf_done(&b);
		DS_TRY(rc);
	}
	st->item++;
	return DS_OK;
}

static ds_status item(job *j, const ex_result *r, ds_err *err)
{
	state *st = j->state;
	if (st->w)
		return put_dsm(j, st, r, err);
	for (size_t i = 0; i < r->maps.n; i++) {
		const ds_tensor *t = &r->maps.m[i].t;
		if (st->n && (t->rank != st->t[0].rank || memcmp(t->dim, st->t[0].dim, (size_t)t->rank * sizeof *t->dim)))
			return ds_fail(err, DS_E_UNSUPPORTED, "maps of different shapes are no npy array; use --raw=dsm");
		if (t->rank == DS_MAX_RANK)
			return ds_fail(err, DS_E_UNSUPPORTED, "maps of %d axes are no npy array; use --raw=dsm", t->rank);
		if (!ds_grow((void **)&st->t, st->n, &st->cap, sizeof *st->t))
			return ds_fail_nomem(err, sizeof *st->t);
		st->t[st->n++] = ds_tensor_ref(t);
	}
	return DS_OK;
}

static ds_status end(job *j, ds_err *err)
{
	state *st = j->state;
	if (st->w)
		return ds_dsm_finish(st->w, err);
	if (!st->n)
		return ds_fail(err, DS_E_INPUT, "no map");
	if (st->n == 1)
		return ds_npy_write(j->out, &st->t[0], err);
	ds_tensor all;
	int64_t dim[DS_MAX_RANK] = { (int64_t)st->n };
	memcpy(dim + 1, st->t[0].dim, (size_t)st->t[0].rank * sizeof *dim);
	DS_TRY(ds_tensor_new(&all, DS_F32, st->t[0].rank + 1, dim, err));
	size_t bytes = ds_tensor_bytes(&st->t[0]);
	for (size_t i = 0; i < st->n; i++)
		memcpy((char *)all.data + i * bytes, st->t[i].data, bytes);
	ds_status rc = ds_npy_write(j->out, &all, err);
	ds_tensor_done(&all);
	return rc;
}

static void drop(job *j)
{
	state *st = j->state;
	if (!st)
		return;
	ds_dsm_writer_free(st->w);
	for (size_t i = 0; i < st->n; i++)
		ds_tensor_done(&st->t[i]);
	ds_free(st->t);
	ds_free(st);
	j->state = NULL;
}

const ex_output ex_output_raw = { "raw", true, chosen, start, item, end, drop };
