/* trainset.c - samples read once into memory for training: what is good, what is kept apart, what does not fit */
#include "trainset_int.h"

#include <stdio.h>
#include <string.h>

bool ds_trainset_is_held(const ds_trainset *t, uint64_t number)
{
	return t->o.holdout >= 1 || (t->o.holdout > 0 && (double)(ds_rng_at(t->o.seed, FOR_HOLDOUT, number) >> 11) * 0x1p-53 < t->o.holdout);
}

/* ---- is a sample any good? --------------------------------------------------------------------------------------------------------- */
static ds_status check_label(const ds_trainset *t, const ds_item *item, ds_err *err)
{
	if (item->label < 0)
		return ds_fail(err, DS_E_INPUT, "no label");
	if (t->o.classes && item->label >= t->o.classes)
		return ds_fail(err, DS_E_INPUT, "label %lld where the model has classes 0 to %lld", (long long)item->label, (long long)t->o.classes - 1);
	return DS_OK;
}

static ds_status check_target(const ds_trainset *t, const ds_item *item, ds_err *err)
{
	const ds_tensor *y = &item->target;
	bool tokens = item->has_target && y->dtype == DS_I64;
	switch (t->o.goal) {
	case DS_GOAL_CLASS:
		if (!tokens)
			return check_label(t, item, err);
		break;
	case DS_GOAL_TOKENS:
		if (!tokens)
			return ds_fail(err, DS_E_INPUT, "no sequence to learn");
		break;
	case DS_GOAL_VALUES:
		if (item->has_target)
			return y->dtype == DS_F32 ? DS_OK : ds_fail(err, DS_E_INPUT, "its target is no list of numbers");
		return check_label(t, item, err);
	default:
		return DS_OK;
	}
	for (int64_t i = 0, n = ds_tensor_count(y); i < n; i++) {
		int64_t v = ((const int64_t *)y->data)[i];
		if (t->o.classes && (v >= t->o.classes || (v < 0 && t->o.goal == DS_GOAL_CLASS)))
			return ds_fail(err, DS_E_INPUT, "token %lld where the model has 0 to %lld", (long long)v, (long long)t->o.classes - 1);
	}
	return DS_OK;
}

/* Samples of one shape make a batch. */
static ds_status check_shape(const ds_trainset *t, const ds_item *item, ds_err *err)
{
	if (!t->in)
		return DS_OK;
	if (item->has_target != t->has_target || (t->has_target && !ds_stock_fits(&t->target, &item->target)))
		return ds_fail(err, DS_E_INPUT, "its target is of another type or shape than those before it");
	for (int k = 0; k < t->n_in; k++) {
		if (!ds_stock_fits(&t->in[k], &item->in[k]))
			return ds_fail(err, DS_E_INPUT, "its type or shape is not that of the samples before it");
	}
	return DS_OK;
}

ds_status ds_trainset_read(ds_trainset *t, ds_item *item, bool tell, ds_err *err)
{
	for (;;) {
		bool bad = false;
		ds_status rc = t->src->next(t->src, item, &bad, err);
		if (rc == DS_END || (rc != DS_OK && !bad))
			return rc;
		if (rc == DS_OK) {
			if (t->o.goal == DS_GOAL_AUTO)
				t->o.goal = item->has_target && item->target.dtype == DS_F32 ? DS_GOAL_VALUES : DS_GOAL_CLASS;
			rc = check_target(t, item, err);
			if (rc == DS_OK)
				rc = check_shape(t, item, err);
			if (rc == DS_OK)
				return DS_OK;
			ds_err_in(err, item->name);
		}
		if (tell) {
			t->bad++;
			if (t->o.bad)
				t->o.bad(t->o.bad_arg, item, err);
		}
	}
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------------- */
/* What the first sample says about all of them. */
static ds_status first_sample(ds_trainset *t, const ds_item *item, ds_err *err)
{
	const ds_tensor *x = &item->in[0];
	t->shape = (ds_aug_shape){ .n = ds_tensor_count(x), .len = x->rank ? x->dim[x->rank - 1] : 1, .last = t->o.channels_last };
	if (x->rank == 4 && t->shape.n > 0) {
		const int64_t *d = x->dim + 1;
		t->shape.c = d[t->shape.last ? 2 : 0];
		t->shape.h = d[t->shape.last ? 0 : 1];
		t->shape.w = d[t->shape.last ? 1 : 2];
		t->shape.picture = x->dim[0] == 1;
	}
	if (x->dtype != DS_F32 && (t->o.augment.n || t->o.augment.mixup > 0))
		return ds_fail(err, DS_E_USAGE, "--augment: the model's first input is not made of real numbers");
	DS_TRY(ds_augment_check(&t->o.augment, &t->shape, err));
	t->n_in = item->n_in;
	t->has_target = item->has_target;
	t->seeks = item->row >= 0 && t->src->seek;
	if (!(t->in = ds_calloc((size_t)t->n_in + 1, sizeof *t->in)))
		return ds_fail_nomem(err, 0);
	for (int k = 0; k < t->n_in; k++) {
		bool picture = k == 0 && t->shape.picture;
		DS_TRY(ds_stock_init(&t->in[k], &item->in[k], true, picture ? t->shape.c : 1, picture && !t->shape.last ? t->shape.h * t->shape.w : 1, err));
	}
	return t->has_target ? ds_stock_init(&t->target, &item->target, false, 1, 1, err) : DS_OK;
}

static ds_status keep(ds_trainset *t, const ds_item *item, ds_err *err)
{
	for (int k = 0; k < t->n_in && !t->seeks; k++)
		DS_TRY(ds_stock_put(&t->in[k], t->n, &item->in[k], err));
	if (t->has_target && !t->seeks)
		DS_TRY(ds_stock_put(&t->target, t->n, &item->target, err));
	if (!ds_grow((void **)&t->label, t->n, &t->cap_label, sizeof *t->label) || !ds_grow((void **)&t->number, t->n, &t->cap_number, sizeof *t->number))
		return ds_fail_nomem(err, 0);
	t->label[t->n] = item->label;
	t->number[t->n++] = (int64_t)item->index;
	return DS_OK;
}

static ds_status list(ds_trainset *t, bool held, ds_err *err)
{
	int64_t **l = held ? &t->held : &t->train;
	size_t *n = held ? &t->n_held : &t->n_train;
	if (!ds_grow((void **)l, *n, held ? &t->cap_held : &t->cap_train, sizeof **l))
		return ds_fail_nomem(err, 0);
	(*l)[(*n)++] = (int64_t)t->n - 1;
	return DS_OK;
}

/* Of windows that overlap, what is new in each: the last of its rows. */
static void add_tensor(ds_trainset *t, const ds_tensor *x, int64_t rows)
{
	size_t n = ds_tensor_bytes(x), part = n;
	if (rows > 0 && x->rank >= 2 && rows < x->dim[1])
		part = n / (size_t)x->dim[1] * (size_t)rows;
	ds_sha256_add(&t->sum, (const char *)x->data + n - part, part);
	t->summed += part;
}

static void account(ds_trainset *t, const ds_item *item)
{
	if (t->counts && item->label >= 0 && item->label < t->o.classes)
		t->counts[item->label]++;
	int64_t rows = item->row >= 0 && t->last_row >= 0 ? item->row - t->last_row : 0, label = item->label;
	t->last_row = item->row;
	for (int k = 0; k < item->n_in; k++)
		add_tensor(t, &item->in[k], rows);
	ds_tensor y = item->target;
	if (!item->has_target)
		ds_tensor_borrow(&y, DS_I64, 0, NULL, &label);
	add_tensor(t, &y, rows);
}

uint64_t ds_trainset_bytes(const ds_trainset *t)
{
	uint64_t sum = ds_stock_memory(&t->target) + (t->cap_label + t->cap_number + t->cap_train * 2 + t->cap_held) * sizeof(int64_t);
	for (int k = 0; t->in && k < t->n_in; k++)
		sum += ds_stock_memory(&t->in[k]);
	return sum;
}

static void forget(ds_trainset *t)
{
	for (int k = 0; t->in && k < t->n_in; k++)
		ds_stock_done(&t->in[k]);
	ds_stock_done(&t->target);
	ds_free(t->in);
	ds_free(t->label);
	ds_free(t->number);
	ds_free(t->train);
	ds_free(t->held);
	t->in = NULL;
	t->label = t->number = t->train = t->held = NULL;
	t->n = t->n_train = t->n_held = t->cap_label = t->cap_number = t->cap_train = t->cap_held = 0;
}

/* Everything into memory; *fits says whether it went in. */
static ds_status read_all(ds_trainset *t, bool *fits, ds_err *err)
{
	ds_item item;
	ds_status rc;
	*fits = true;
	while ((rc = ds_trainset_read(t, &item, true, err)) == DS_OK) {
		account(t, &item);
		if (!t->in)
			DS_TRY(first_sample(t, &item, err));
		if (!*fits)
			continue;
		DS_TRY(keep(t, &item, err));
		DS_TRY(list(t, ds_trainset_is_held(t, item.index), err));
		*fits = !t->o.memory || ds_trainset_bytes(t) <= t->o.memory;
	}
	return rc == DS_END ? DS_OK : rc;
}

/* A second pass: only what is kept apart stays; the others are counted, and a window is sized for them. */
static ds_status read_held(ds_trainset *t, ds_err *err)
{
	ds_item item;
	ds_status rc;
	uint64_t each = 0;
	forget(t);
	DS_TRY(t->src->rewind(t->src, err));
	while ((rc = ds_trainset_read(t, &item, false, err)) == DS_OK) {
		if (!t->in) {
			DS_TRY(first_sample(t, &item, err));
			for (int k = 0; k < t->n_in; k++) {
				each += t->in[k].bytes;
				t->in[k].coded = false;         /* samples in the window come and go: a palette would fill up */
			}
			each += t->target.bytes + 16;
		}
		if (ds_trainset_is_held(t, item.index)) {
			DS_TRY(keep(t, &item, err));
			DS_TRY(list(t, true, err));
		} else {
			t->items++;
		}
	}
	if (rc != DS_END)
		return rc;
	uint64_t used = ds_trainset_bytes(t), room = used < t->o.memory ? (t->o.memory - used) / DS_MAX(each, (uint64_t)1) : 0;
	t->window = (int64_t)DS_MIN(room, (uint64_t)t->items);
	if (t->items && t->window < 2 * t->o.batch)
		return ds_fail(err, DS_E_LIMIT, "samples of %llu bytes: --memory-limit leaves no room to shuffle two batches of them", (unsigned long long)each);
	return DS_OK;
}

ds_status ds_trainset_open(ds_trainset **out, ds_samples *s, const ds_trainset_opts *o, ds_err *err)
{
	bool fits;
	ds_status rc;
	*out = NULL;
	ds_trainset *t = ds_calloc(1, sizeof *t);
	if (!t) {
		s->free(s);
		return ds_fail_nomem(err, sizeof *t);
	}
	t->src = s;
	t->o = *o;
	pthread_mutex_init(&t->lock, NULL);
	pthread_mutex_init(&t->source, NULL);
	pthread_cond_init(&t->changed, NULL);
	t->last_row = -1;
	ds_sha256_init(&t->sum);
	if (o->classes > 0 && o->classes <= 1 << 20 && !(t->counts = ds_calloc((size_t)o->classes, sizeof *t->counts))) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	DS_GOTO(read_all(t, &fits, err));
	if (!fits)
		DS_GOTO(read_held(t, err));
	else
		t->items = (int64_t)t->n_train;
	if (!t->items && !t->n_held) {
		rc = ds_fail(err, DS_E_INPUT, "no samples to train with");
		goto out;
	}
	t->o.batch = t->items ? DS_MIN(o->batch, t->items) : o->batch;
	*out = t;
	t = NULL;
out:
	ds_trainset_free(t);
	return rc;
}

void ds_trainset_free(ds_trainset *t)
{
	if (!t)
		return;
	if (t->threaded) {
		pthread_mutex_lock(&t->lock);
		t->stop = true;
		pthread_cond_broadcast(&t->changed);
		pthread_mutex_unlock(&t->lock);
		pthread_join(t->thread, NULL);
	}
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->source);
	pthread_mutex_destroy(&t->lock);
	for (int i = 0; i < AHEAD; i++)
		ds_minibatch_done(&t->ring[i].b);
	forget(t);
	ds_free(t->order);
	ds_free(t->tmp);
	ds_free(t->mix);
	ds_free(t->counts);
	t->src->free(t->src);
	ds_free(t);
}

int64_t ds_trainset_batch(const ds_trainset *t) { return t->o.batch; }
int64_t ds_trainset_batches(const ds_trainset *t) { return t->items / t->o.batch; }
int64_t ds_trainset_items(const ds_trainset *t) { return t->items; }
int64_t ds_trainset_held(const ds_trainset *t) { return (int64_t)t->n_held; }
int64_t ds_trainset_bad(const ds_trainset *t) { return t->bad; }
ds_goal ds_trainset_goal(const ds_trainset *t) { return t->o.goal; }
int64_t ds_trainset_window(const ds_trainset *t) { return t->window; }
const int64_t *ds_trainset_counts(const ds_trainset *t) { return t->counts; }

void ds_trainset_sum(const ds_trainset *t, char hex[65], uint64_t *n)
{
	ds_sha256 s = t->sum;
	ds_sha256_hex(&s, hex);
	*n = t->summed;
}
