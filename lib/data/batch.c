/* batch.c - items merged along dim 0 into batches */
#include "batch.h"

#include <string.h>

bool ds_batch_possible(const ds_model *m)
{
	for (int i = 0; i < m->graph->n_input; i++) {
		const ds_type *t = &m->graph->input[i]->type;
		if (t->rank < 2 || t->dim[0] >= 0)
			return false;
	}
	return m->graph->n_input > 0;
}

/* The item that did not fit the batch before: a copy of its tensors. */
typedef struct waiting { ds_tensor *in; int n_in; } waiting;

static void waiting_done(waiting *w)
{
	for (int i = 0; i < w->n_in; i++)
		ds_tensor_done(&w->in[i]);
	ds_free(w->in);
	*w = (waiting){ 0 };
}

static void batch_reset(ds_batch *b)
{
	for (int i = 0; i < b->n_in; i++)
		ds_tensor_done(&b->in[i]);
	ds_free(b->in);
	b->in = NULL;
	b->n_in = 0;
	b->items = 0;
}

static bool same_sample(const ds_batch *b, const ds_tensor *in, int n_in)
{
	if (b->n_in != n_in)
		return false;
	for (int i = 0; i < n_in; i++) {
		const ds_tensor *x = &b->in[i], *y = &in[i];
		if (x->dtype != y->dtype || x->rank != y->rank || memcmp(x->dim + 1, y->dim + 1, sizeof *x->dim * (size_t)DS_MAX(x->rank - 1, 0)) != 0)
			return false;
	}
	return true;
}

static ds_status start(ds_batch *b, const ds_tensor *in, int n_in, int64_t max, ds_err *err)
{
	b->in = ds_calloc((size_t)n_in + 1, sizeof *b->in);
	if (!b->in)
		return ds_fail_nomem(err, 0);
	b->cap = max;
	for (b->n_in = 0; b->n_in < n_in; b->n_in++) {
		const ds_tensor *t = &in[b->n_in];
		int64_t dim[DS_MAX_RANK];
		memcpy(dim, t->dim, sizeof dim);
		if (max > 1)
			dim[0] = max;
		DS_TRY(ds_tensor_new(&b->in[b->n_in], t->dtype, t->rank, dim, err));
	}
	return DS_OK;
}

static void append(ds_batch *b, const ds_tensor *in)
{
	for (int i = 0; i < b->n_in; i++) {
		size_t bytes = ds_tensor_bytes(&in[i]);
		memcpy((char *)b->in[i].data + (size_t)b->items * bytes, in[i].data, bytes);
	}
	b->items++;
}

/* Copies of an item's tensors. */
static ds_status keep(waiting *w, const ds_item *item, ds_err *err)
{
	*w = (waiting){ ds_calloc((size_t)item->n_in + 1, sizeof *w->in), 0 };
	if (!w->in)
		return ds_fail_nomem(err, 0);
	for (; w->n_in < item->n_in; w->n_in++) {
		const ds_tensor *t = &item->in[w->n_in];
		DS_TRY(ds_tensor_new(&w->in[w->n_in], t->dtype, t->rank, t->dim, err));
		memcpy(w->in[w->n_in].data, t->data, ds_tensor_bytes(t));
	}
	return DS_OK;
}

ds_status ds_batch_next(ds_batch *b, ds_samples *s, int64_t max, void (*bad_fn)(void *arg, const ds_item *item, const ds_err *err), void *arg, ds_err *err)
{
	batch_reset(b);
	waiting *w = b->priv;
	if (!w && !(b->priv = w = ds_calloc(1, sizeof *w)))
		return ds_fail_nomem(err, sizeof *w);
	if (w->in) {
		ds_status rc = start(b, w->in, w->n_in, max, err);
		if (rc == DS_OK)
			append(b, w->in);
		waiting_done(w);
		DS_TRY(rc);
	}
	while (b->items < max) {
		ds_item item;
		bool bad = false;
		ds_status rc = s->next(s, &item, &bad, err);
		if (rc == DS_END)
			break;
		if (rc != DS_OK && bad) {
			if (bad_fn)
				bad_fn(arg, &item, err);
			continue;
		}
		DS_TRY(rc);
		if (!b->in)
			DS_TRY(start(b, item.in, item.n_in, max, err));
		if (!same_sample(b, item.in, item.n_in)) {
			DS_TRY(keep(w, &item, err));
			break;
		}
		append(b, item.in);
	}
	for (int i = 0; i < b->n_in && b->cap > 1; i++)
		b->in[i].dim[0] = b->items;
	return b->items ? DS_OK : DS_END;
}

void ds_batch_done(ds_batch *b)
{
	batch_reset(b);
	if (b->priv)
		waiting_done(b->priv);
	ds_free(b->priv);
	b->priv = NULL;
}
