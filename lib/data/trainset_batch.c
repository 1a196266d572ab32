/* trainset_batch.c - batches for training: the order of an epoch, random changes, targets; made by a thread that runs ahead
 *
 * The thread is the only one that touches the order, the window and the source while an epoch runs.  Batch k of the epoch goes through slot k % AHEAD. */
#include "trainset_int.h"

#include <string.h>

void ds_minibatch_done(ds_minibatch *b)
{
	for (int k = 0; b->in && k < b->n_in; k++)
		ds_tensor_done(&b->in[k]);
	ds_free(b->in);
	ds_tensor_done(&b->target);
	ds_free(b->number);
	ds_free(b->label);
	*b = (ds_minibatch){ 0 };
}

bool ds_trainset_soft(const ds_trainset *t)
{
	return t->o.goal == DS_GOAL_CLASS && t->o.augment.mixup > 0 && !t->has_target;
}

/* Type of the target of n items; rank -1: none. */
static ds_status target_type(const ds_trainset *t, int64_t n, ds_type *y, ds_err *err)
{
	const ds_stock *s = &t->target;
	*y = (ds_type){ .rank = -1 };
	if (t->o.goal == DS_GOAL_NONE)
		return DS_OK;
	if (t->has_target && t->o.goal != DS_GOAL_INPUT) {
		*y = ds_type_make(s->dtype, s->rank, s->dim);
		y->dim[0] = n;
		return s->rank > 0 && s->dim[0] == 1 ? DS_OK : ds_fail(err, DS_E_INPUT, "targets have no dim for the batch");
	}
	if (t->o.goal == DS_GOAL_CLASS) {
		*y = ds_trainset_soft(t) ? ds_type_make(DS_F32, 2, (int64_t[]){ n, t->o.classes }) : ds_type_make(DS_I64, 1, &n);
		return ds_trainset_soft(t) && t->o.classes < 1 ? ds_fail(err, DS_E_INPUT, "mixup needs a model with a known number of classes") : DS_OK;
	}
	*y = t->o.output;
	y->dtype = DS_F32;
	if (y->rank < 1)
		return ds_fail(err, DS_E_INPUT, "the dims of the model's output are not known");
	y->dim[0] = n;
	if (!ds_type_concrete(y))
		return ds_fail(err, DS_E_INPUT, "the dims of the model's output are not known");
	if (t->o.goal == DS_GOAL_INPUT && t->in[0].dtype != DS_F32)
		return ds_fail(err, DS_E_UNSUPPORTED, "the first input is not made of f32 numbers: it cannot be the target");
	if (t->o.goal == DS_GOAL_INPUT && ds_type_count(y) != n * (int64_t)t->in[0].count)
		return ds_fail(err, DS_E_INPUT, "the model's output has %lld values and its input %zu: the input cannot be the target", (long long)(ds_type_count(y) / n),
			t->in[0].count);
	return DS_OK;
}

/* A batch for n items, empty. */
static ds_status make_room(const ds_trainset *t, ds_minibatch *b, int64_t n, ds_err *err)
{
	ds_type y;
	if (b->in && b->n == n)
		return DS_OK;
	ds_minibatch_done(b);
	b->in = ds_calloc((size_t)t->n_in + 1, sizeof *b->in);
	b->number = ds_calloc((size_t)n, sizeof *b->number);
	b->label = ds_calloc((size_t)n, sizeof *b->label);
	if (!b->in || !b->number || !b->label)
		return ds_fail_nomem(err, 0);
	for (; b->n_in < t->n_in; b->n_in++) {
		const ds_stock *s = &t->in[b->n_in];
		int64_t dim[DS_MAX_RANK];
		memcpy(dim, s->dim, sizeof dim);
		if (n != 1 && (s->rank < 1 || dim[0] != 1))
			return ds_fail(err, DS_E_UNSUPPORTED, "an input without a dim for the batch: only --batch=1 is possible");
		if (s->rank > 0 && dim[0] == 1)
			dim[0] = n;
		DS_TRY(ds_tensor_new(&b->in[b->n_in], s->dtype, s->rank, dim, err));
	}
	DS_TRY(target_type(t, n, &y, err));
	if (y.rank >= 0)
		DS_TRY(ds_tensor_new(&b->target, y.dtype, y.rank, y.dim, err));
	b->n = n;
	return DS_OK;
}

/* ---- one item -------------------------------------------------------------------------------------------------------------------------- */
static void put_label(const ds_trainset *t, ds_minibatch *b, int64_t at, int64_t label)
{
	ds_tensor *y = &b->target;
	int64_t per = y->data && b->n ? ds_tensor_count(y) / b->n : 0;
	if (y->dtype == DS_I64) {
		((int64_t *)y->data)[at] = label;
		return;
	}
	float *row = (float *)y->data + at * per;
	if (per == 1) {
		*row = (float)label;
		return;
	}
	memset(row, 0, (size_t)per * sizeof *row);
	if (label < per)
		row[label] = 1;
}

/* Does the batch get the targets that items bring? */
static bool brings(const ds_trainset *t)
{
	return t->has_target && t->o.goal != DS_GOAL_NONE && t->o.goal != DS_GOAL_INPUT;
}

static ds_status copy_window(ds_trainset *t, ds_minibatch *b, int64_t at, int64_t pos, ds_err *err)
{
	ds_item item;
	bool bad;
	DS_TRY(t->src->seek(t->src, t->number[pos], err));
	DS_TRY(t->src->next(t->src, &item, &bad, err));
	for (int k = 0; k < t->n_in; k++) {
		if (!ds_stock_fits(&t->in[k], &item.in[k]))
			return ds_fail(err, DS_E_INPUT, "a sample is not what it was in the first pass");
		memcpy((char *)b->in[k].data + (size_t)at * t->in[k].bytes, item.in[k].data, t->in[k].bytes);
	}
	if (brings(t) && (!item.has_target || !ds_stock_fits(&t->target, &item.target)))
		return ds_fail(err, DS_E_INPUT, "a sample's target is not what it was in the first pass");
	if (brings(t))
		memcpy((char *)b->target.data + (size_t)at * t->target.bytes, item.target.data, t->target.bytes);
	return DS_OK;
}

static ds_status copy_sample(ds_trainset *t, ds_minibatch *b, int64_t at, int64_t pos, ds_err *err)
{
	if (t->seeks) {
		pthread_mutex_lock(&t->source);
		ds_status rc = copy_window(t, b, at, pos, err);
		pthread_mutex_unlock(&t->source);
		return rc;
	}
	for (int k = 0; k < t->n_in; k++)
		ds_stock_get(&t->in[k], (size_t)pos, (char *)b->in[k].data + (size_t)at * t->in[k].bytes);
	if (brings(t))
		ds_stock_get(&t->target, (size_t)pos, (char *)b->target.data + (size_t)at * t->target.bytes);
	return DS_OK;
}

/* Position pos of the stock becomes item `at` of the batch. */
static ds_status fill(ds_trainset *t, ds_minibatch *b, int64_t at, int64_t pos, bool change, ds_err *err)
{
	DS_TRY(copy_sample(t, b, at, pos, err));
	b->number[at] = t->number[pos];
	b->label[at] = t->label[pos];
	float *x = (float *)b->in[0].data + (size_t)at * t->in[0].count;
	ds_rng r = ds_rng_init(ds_rng_at(t->o.seed, FOR_ITEM, (uint64_t)t->epoch), (uint64_t)t->number[pos]);
	change &= t->o.augment.n > 0;
	if (change)
		ds_augment_item(&t->o.augment, &t->shape, x, t->tmp, false, &r);
	if (t->o.goal == DS_GOAL_INPUT)
		memcpy((char *)b->target.data + (size_t)at * t->in[0].bytes, x, t->in[0].bytes);
	else if (t->o.goal != DS_GOAL_NONE && !brings(t))
		put_label(t, b, at, t->label[pos]);
	if (change)
		ds_augment_item(&t->o.augment, &t->shape, x, t->tmp, true, &r);
	return DS_OK;
}

/* Mixup (Zhang et al. 2018): each item with another of the batch, in shares of its own. */
static void mix(ds_trainset *t, ds_minibatch *b)
{
	int64_t n = t->shape.n, per = b->target.data ? ds_tensor_count(&b->target) / b->n : 0;
	float *x = b->in[0].data, *y = b->target.dtype == DS_F32 ? b->target.data : NULL, *y0 = t->mix + n * b->n;
	memcpy(t->mix, x, (size_t)(n * b->n) * sizeof *x);
	if (y)
		memcpy(y0, y, (size_t)(per * b->n) * sizeof *y);
	for (int64_t i = 0; i < b->n; i++) {
		ds_rng r = ds_rng_init(ds_rng_at(t->o.seed, FOR_MIX, (uint64_t)t->epoch), (uint64_t)b->number[i]);
		int64_t j = (int64_t)ds_rng_below(&r, (uint64_t)b->n);
		float a = (float)ds_rng_beta(&r, t->o.augment.mixup);
		const float *u = t->mix + i * n, *v = t->mix + j * n;
		for (int64_t k = 0; k < n; k++)
			x[i * n + k] = a * u[k] + (1 - a) * v[k];
		for (int64_t k = 0; y && k < per; k++)
			y[i * per + k] = a * y0[i * per + k] + (1 - a) * y0[j * per + k];
	}
}

/* ---- the order ---------------------------------------------------------------------------------------------------------------------------- */
static ds_status shuffle(ds_trainset *t, ds_err *err)
{
	if (!t->order && !(t->order = ds_calloc(t->n_train + 1, sizeof *t->order)))
		return ds_fail_nomem(err, t->n_train * sizeof *t->order);
	memcpy(t->order, t->train, t->n_train * sizeof *t->order);
	ds_rng r = ds_rng_init(ds_rng_at(t->o.seed, FOR_ORDER, (uint64_t)t->epoch), 0);
	for (size_t i = t->n_train; i > 1; i--) {
		size_t j = (size_t)ds_rng_below(&r, i);
		int64_t a = t->order[i - 1];
		t->order[i - 1] = t->order[j];
		t->order[j] = a;
	}
	return DS_OK;
}

/* The next sample for training of the stream into the window's place `at`; sets dry at the end. */
static ds_status refill(ds_trainset *t, int64_t at, ds_err *err)
{
	ds_item item;
	ds_status rc;
	do
		rc = ds_trainset_read(t, &item, false, err);
	while (rc == DS_OK && ds_trainset_is_held(t, item.index));
	if (rc == DS_END) {
		t->dry = true;
		return DS_OK;
	}
	DS_TRY(rc);
	size_t pos = t->n_held + (size_t)at;
	for (int k = 0; k < t->n_in; k++)
		DS_TRY(ds_stock_put(&t->in[k], pos, &item.in[k], err));
	if (t->has_target)
		DS_TRY(ds_stock_put(&t->target, pos, &item.target, err));
	t->label[pos] = item.label;
	t->number[pos] = (int64_t)item.index;
	return DS_OK;
}

/* One sample of the window goes into the batch (NULL: is passed over), the next of the stream takes its place. */
static ds_status draw(ds_trainset *t, ds_minibatch *b, int64_t at, ds_err *err)
{
	while (!t->dry && t->filled < t->window) {
		DS_TRY(refill(t, t->filled, err));
		t->filled += !t->dry;
	}
	if (!t->filled)
		return ds_fail(err, DS_E_INPUT, "there are fewer samples than in the first pass");
	ds_rng r = ds_rng_init(ds_rng_at(t->o.seed, FOR_WINDOW, (uint64_t)t->epoch), (uint64_t)t->drawn++);
	int64_t j = (int64_t)ds_rng_below(&r, (uint64_t)t->filled);
	if (b)
		DS_TRY(fill(t, b, at, (int64_t)t->n_held + j, true, err));
	if (!t->dry)
		DS_TRY(refill(t, j, err));
	if (!t->dry)
		return DS_OK;
	/* the last one of the window moves into the gap */
	size_t to = t->n_held + (size_t)j, from = t->n_held + (size_t)--t->filled;
	for (int k = 0; k < t->n_in && to != from; k++) {
		ds_tensor x;
		ds_stock *s = &t->in[k];
		DS_TRY(ds_tensor_new(&x, s->dtype, s->rank, s->dim, err));
		ds_stock_get(s, from, x.data);
		ds_status rc = ds_stock_put(s, to, &x, err);
		ds_tensor_done(&x);
		DS_TRY(rc);
	}
	if (t->has_target && to != from) {
		ds_tensor x;
		DS_TRY(ds_tensor_new(&x, t->target.dtype, t->target.rank, t->target.dim, err));
		ds_stock_get(&t->target, from, x.data);
		ds_status rc = ds_stock_put(&t->target, to, &x, err);
		ds_tensor_done(&x);
		DS_TRY(rc);
	}
	t->label[to] = t->label[from];
	t->number[to] = t->number[from];
	return DS_OK;
}

/* ---- making batches -------------------------------------------------------------------------------------------------------------------- */
static ds_status make_batch(ds_trainset *t, ds_minibatch *b, ds_err *err)
{
	int64_t n = t->o.batch;
	DS_TRY(make_room(t, b, n, err));
	for (int64_t i = 0; i < n; i++) {
		if (t->window)
			DS_TRY(draw(t, b, i, err));
		else
			DS_TRY(fill(t, b, i, t->order[t->batch * n + i], true, err));
	}
	if (t->o.augment.mixup > 0)
		mix(t, b);
	t->batch++;
	return DS_OK;
}

static ds_status begin_epoch(ds_trainset *t, int64_t skip, ds_err *err)
{
	if (!t->window)
		return shuffle(t, err);
	if (!t->cap_label || t->cap_label < t->n_held + (size_t)t->window) {
		size_t want = t->n_held + (size_t)t->window;
		int64_t *a = ds_realloc(t->label, want, sizeof *a);
		t->label = a ? a : t->label;
		int64_t *b = ds_realloc(t->number, want, sizeof *b);
		t->number = b ? b : t->number;
		if (!a || !b)
			return ds_fail_nomem(err, want * sizeof *a);
		t->cap_label = t->cap_number = want;
	}
	t->drawn = t->filled = 0;
	t->dry = false;
	DS_TRY(t->src->rewind(t->src, err));
	for (int64_t i = 0; i < skip; i++)
		DS_TRY(draw(t, NULL, 0, err));
	return DS_OK;
}

static void *work(void *arg)
{
	ds_trainset *t = arg;
	ds_err err = { 0 };
	ds_status rc = begin_epoch(t, t->batch * t->o.batch, &err);
	bool more = rc != DS_OK || t->batch < ds_trainset_batches(t);
	pthread_mutex_lock(&t->lock);
	while (more && !t->stop) {
		slot *s = &t->ring[t->tail % AHEAD];
		if (t->tail >= t->head + AHEAD) {
			pthread_cond_wait(&t->changed, &t->lock);
			continue;
		}
		pthread_mutex_unlock(&t->lock);
		if (rc == DS_OK)
			rc = make_batch(t, &s->b, &err);
		s->rc = rc;
		s->err = err;
		more = rc == DS_OK && t->batch < ds_trainset_batches(t);
		pthread_mutex_lock(&t->lock);
		t->tail++;
		pthread_cond_broadcast(&t->changed);
	}
	t->finished = true;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

static void stop(ds_trainset *t)
{
	if (!t->threaded)
		return;
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	t->threaded = t->stop = false;
}

ds_status ds_trainset_start(ds_trainset *t, int64_t epoch, int64_t batch, ds_err *err)
{
	stop(t);
	if (!t->items)
		return ds_fail(err, DS_E_INPUT, "all samples are kept apart: none is left to train with");
	if (!t->tmp && !(t->tmp = ds_calloc((size_t)t->shape.n + 1, sizeof *t->tmp)))
		return ds_fail_nomem(err, (size_t)t->shape.n * sizeof *t->tmp);
	if (t->o.augment.mixup > 0 && !t->mix) {
		ds_type y;
		DS_TRY(target_type(t, t->o.batch, &y, err));
		size_t n = (size_t)(t->shape.n * t->o.batch + (y.rank >= 0 ? ds_type_count(&y) : 0));
		if (t->has_target && y.dtype == DS_I64)
			return ds_fail(err, DS_E_USAGE, "--augment: mixup is not for targets that are sequences");
		if (!(t->mix = ds_calloc(n, sizeof *t->mix)))
			return ds_fail_nomem(err, n * sizeof *t->mix);
	}
	t->epoch = epoch;
	t->batch = batch;
	t->head = t->tail = 0;
	t->lent = t->finished = false;
	t->threaded = pthread_create(&t->thread, NULL, work, t) == 0;
	return t->threaded ? DS_OK : begin_epoch(t, batch * t->o.batch, err);
}

ds_status ds_trainset_next(ds_trainset *t, const ds_minibatch **b, ds_err *err)
{
	if (!t->threaded) {             /* no thread to be had */
		if (t->batch >= ds_trainset_batches(t))
			return DS_END;
		DS_TRY(make_batch(t, &t->ring[0].b, err));
		*b = &t->ring[0].b;
		return DS_OK;
	}
	pthread_mutex_lock(&t->lock);
	if (t->lent) {              /* the batch before is given back */
		t->head++;
		pthread_cond_broadcast(&t->changed);
	}
	t->lent = false;
	while (t->tail <= t->head && !t->finished)
		pthread_cond_wait(&t->changed, &t->lock);
	bool there = t->tail > t->head;
	pthread_mutex_unlock(&t->lock);
	if (!there)
		return DS_END;
	slot *s = &t->ring[t->head % AHEAD];
	if (s->rc != DS_OK) {
		if (err)
			*err = s->err;
		return s->rc;
	}
	t->lent = true;
	*b = &s->b;
	return DS_OK;
}

ds_status ds_trainset_gather_held(ds_trainset *t, int64_t from, int64_t n, ds_minibatch *b, ds_err *err)
{
	n = DS_MIN(n, (int64_t)t->n_held - from);
	if (n <= 0)
		return DS_END;
	DS_TRY(make_room(t, b, n, err));
	for (int64_t i = 0; i < n; i++)
		DS_TRY(fill(t, b, i, t->held[from + i], false, err));
	return DS_OK;
}
