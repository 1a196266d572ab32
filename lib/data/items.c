/* items.c - the iterator over samples: files loaded ahead on threads, items handed out in input order */
#include "sound.h"
#include "table.h"
#include "../base/thread.h"
#include "ahead.h"

#include <stdio.h>
#include <string.h>

#define ARRAY_LIMIT ((uint64_t)4 << 30)         /* bytes of one array file */

typedef struct data {
	ds_samples base;                /* first */
	ds_list    list;
	ds_loader  ld;
	ds_loaded *named;               /* per input: what --input gave; rc DS_END: nothing */
	int64_t    n_named;             /* items that the named files make, 0: none given */
	char      *named_path;
	ds_ahead  *ahead;
	size_t     entry;               /* next file */
	ds_loaded  own, *now;           /* the file whose items are being handed out: own, or one of all[] */
	ds_loaded *all;                 /* after seek: every file */
	int64_t   *start;               /* ... and the number of its first item; one more than there are files */
	ds_live   *live;                /* a sound from standard input that is read as it comes; NULL: none */
	int64_t    at;                  /* next item of the file */
	int64_t    spread;              /* as in ds_data_opts */
	uint64_t   index;
	ds_shape_of aim;                /* of the target */
	ds_tensor *in, target, last;    /* of the item that was handed out */
	size_t     last_entry;          /* ... and where it came from; entry 0: none */
	int64_t    last_at;
	ds_buf     name;
} data;

static void drop_item(data *d)
{
	for (int k = 0; d->in && k < d->ld.n_in; k++)
		ds_tensor_done(&d->in[k]);
	ds_tensor_done(&d->target);
	ds_tensor_done(&d->last);
}

/* ---- one item ----------------------------------------------------------------------------------------------------------------- */

/* Which array, and which sample of it, feeds input k of the current item; NULL: none. */
static const ds_part *part_for(const data *d, int k, int64_t i, int64_t *sample)
{
	const ds_loaded *l = &d->named[k];
	if (l->rc == DS_OK) {
		int64_t at = l->n == 1 ? 0 : (int64_t)d->index;
		*sample = l->per_item ? 0 : at;
		return at < l->n ? &l->part[l->per_item ? at : 0] : NULL;
	}
	l = d->now;
	if (!l->part)
		return NULL;
	const ds_part *p = &l->part[l->per_item ? i * d->ld.n_in + k : k];
	*sample = l->per_item || p->n == 1 ? 0 : i;
	return p->t.data ? p : NULL;
}

static ds_status check_flaws(const ds_loaded *l, int64_t i, ds_err *err)
{
	int64_t from = i * DS_MAX(l->hop, 1);
	const ds_flaw *f = l->flaws.n ? ds_flaw_in(&l->flaws, from, from + l->span) : NULL;
	if (f && f->line)
		return ds_fail(err, DS_E_INPUT, "line %lld: %s", (long long)f->line, f->what);
	return f ? ds_fail(err, DS_E_INPUT, "%s", f->what) : DS_OK;
}

/* A state begins with zeros; a free dim 0 or any other counts one. */
static ds_status zero_state(ds_tensor *t, const ds_shape_of *k, ds_err *err)
{
	int64_t dim[DS_MAX_RANK];
	if (k->rank < 0)
		return ds_fail(err, DS_E_INPUT, "the size of the model's state '%s' is not known", k->name);
	for (int i = 0; i < k->rank; i++)
		dim[i] = k->dim[i] < 0 ? 1 : k->dim[i];
	return ds_tensor_new(t, k->dtype, k->rank, dim, err);
}

static ds_status make_item(data *d, int64_t i, ds_err *err)
{
	DS_TRY(check_flaws(d->now, i, err));
	for (int k = 0; k < d->ld.n_in; k++) {
		int64_t sample;
		const ds_part *p = part_for(d, k, i, &sample);
		if (!p && d->named[k].rc == DS_OK)
			return ds_fail(err, DS_E_INPUT, "input '%s' has only %lld samples", d->ld.in[k].name, (long long)d->named[k].n);
		if (!p && !d->ld.in[k].state)
			return ds_fail(err, DS_E_USAGE, "nothing for the model's input '%s' (--input %s=FILE)", d->ld.in[k].name, d->ld.in[k].name);
		if (p)
			DS_TRY(ds_part_sample(&d->in[k], p, sample, &d->ld.in[k], err));
		else
			DS_TRY(zero_state(&d->in[k], &d->ld.in[k], err));
	}
	if (d->now->last.t.data)
		DS_TRY(ds_part_sample(&d->last, &d->now->last, i, &d->aim, err));
	if (d->now->target.t.data)
		return ds_part_sample(&d->target, &d->now->target, i, &d->aim, err);
	if (d->ld.want && d->ld.aim.what == DS_AIM_INPUT && d->ld.main < d->ld.n_in)
		d->target = ds_tensor_ref(&d->in[d->ld.main]);
	return DS_OK;
}

/* ds_part_sample fails for want of memory or because this sample is unfit. */
static bool concerns_item(ds_status rc)
{
	return rc == DS_E_INPUT || rc == DS_E_UNSUPPORTED || rc == DS_E_LIMIT || rc == DS_E_SYS;
}

static void set_name(data *d, const char *path, int64_t i, bool numbered)
{
	ds_buf_reset(&d->name);
	ds_buf_str(&d->name, path);
	if (numbered)
		ds_buf_printf(&d->name, "[%lld]", (long long)i);
}

static ds_status give(data *d, const char *path, int64_t i, bool numbered, int64_t label, ds_item *item, bool *bad, ds_err *err)
{
	const ds_loaded *l = d->now;
	int64_t row = l->rc == DS_OK && l->hop ? l->row0 + i * l->hop : -1;
	set_name(d, path, row >= 0 ? row : i, numbered);
	if (d->name.oom)
		return ds_fail_nomem(err, strlen(path));
	*item = (ds_item){ .name = d->name.data, .name_len = d->name.len, .index = d->index, .label = label, .in = d->in, .n_in = d->ld.n_in,
		.path_len = strlen(path), .row = row };
	item->follows = row >= 0 && l->streams && d->last_entry && d->last_entry == d->entry && d->last_at + 1 == i;
	d->last_entry = d->entry;
	d->last_at = i;
	if (d->list.label)
		item->label = (int64_t)d->index < d->list.n_label ? d->list.label[d->index] : -1;
	ds_status rc = l->rc;
	if (rc != DS_OK) {
		if (err)
			*err = l->err;
		*bad = !l->fatal;
	} else {
		rc = make_item(d, i, err);
		*bad = rc != DS_OK && concerns_item(rc);
		if (rc != DS_OK)
			ds_err_in(err, d->name.data);
	}
	item->has_target = rc == DS_OK && d->target.data != NULL;
	if (item->has_target) {
		item->target = d->target;
		item->last = d->last;
	}
	d->index++;
	return rc;
}

/* Item i of the file that is open, by the number that its name has; -1: there is none. */
static int64_t item_called(const ds_loaded *l, int64_t number)
{
	int64_t i = number;
	if (l->hop) {
		i -= l->row0;
		if (i % l->hop)
			return -1;
		i /= l->hop;
	}
	return i < l->n ? i : -1;
}

static ds_status no_such_item(data *d, const ds_entry *e, int64_t number, int64_t label, ds_item *item, bool *bad, ds_err *err)
{
	set_name(d, e->path, number, true);
	if (d->name.oom)
		return ds_fail_nomem(err, strlen(e->path));
	*item = (ds_item){ .name = d->name.data, .name_len = d->name.len, .index = d->index++, .label = label, .in = d->in, .n_in = d->ld.n_in,
		.path_len = strlen(e->path), .row = -1 };
	*bad = true;
	ds_status rc = ds_fail(err, DS_E_INPUT, "there is no such item: the file has %lld", (long long)d->now->n);
	ds_err_in(err, d->name.data);
	return rc;
}

/* Item i of the file that is open, or of those that were picked from it. */
static ds_status give_of_file(data *d, int64_t i, ds_item *item, bool *bad, ds_err *err)
{
	const ds_entry *e = &d->list.e[d->entry - 1];
	int64_t label = e->label, picked = -1;
	if (d->now->rc != DS_OK)
		return give(d, e->path, 0, false, label, item, bad, err);
	if (e->n_pick) {
		int64_t number = e->pick[i].number;
		picked = e->pick[i].label;
		i = item_called(d->now, number);
		if (i < 0)
			return no_such_item(d, e, number, picked, item, bad, err);
	}
	if (d->now->label)
		label = d->now->label[i];
	else if (e->labels)
		label = i < e->n_labels ? e->labels[i] : -1;
	if (picked >= 0)
		label = picked;
	return give(d, e->path, i, d->now->n > 1 || d->now->hop, label, item, bad, err);
}

static int64_t items_of(const ds_loaded *l)
{
	return l->rc == DS_OK ? l->to - l->from : 1;
}

/* After seek: the item of number d->index. */
static ds_status next_of_all(data *d, ds_item *item, bool *bad, ds_err *err)
{
	size_t lo = 0, hi = d->list.n;
	int64_t want = (int64_t)d->index;
	if (want >= d->start[hi])
		return DS_END;
	while (hi - lo > 1) {           /* start[lo] <= want < start[hi] */
		size_t mid = lo + (hi - lo) / 2;
		if (d->start[mid] <= want)
			lo = mid;
		else
			hi = mid;
	}
	d->entry = lo + 1;
	d->now = &d->all[lo];
	return give_of_file(d, d->now->from + want - d->start[lo], item, bad, err);
}

/* Standard input as the only file, windows of a sound: no need to wait for its end. */
static bool may_be_live(const data *d)
{
	const ds_feed *f = d->ld.main < d->ld.n_in ? &d->ld.in[d->ld.main].feed : NULL;
	return f && f->kind == DS_KIND_SOUND && f->hop > 0 && !d->spread && d->list.n == 1 && !strcmp(d->list.e[0].path, "-") && !d->list.e[0].range.given;
}

/* Open standard input; what is no WAV is loaded as a whole. */
static ds_status open_live(data *d, ds_err *err)
{
	ds_source *src;
	const ds_feed *f = &d->ld.in[d->ld.main].feed;
	const ds_source_opts o = { .no_map = true };
	int64_t hop = d->ld.hop ? d->ld.hop : f->hop;
	d->own = (ds_loaded){ 0 };
	d->entry = 1;
	DS_TRY(ds_source_open(&src, "-", &o, err));
	if (!ds_live_probe(src)) {
		ds_load_from(&d->own, &d->ld, src, &d->list.e[0]);
		ds_source_close(src);
		return DS_OK;
	}
	d->own.rc = ds_live_open(&d->live, src, f, hop, &d->own.err);
	d->own.hop = hop;
	d->own.streams = hop == f->window;
	d->own.fatal = d->own.rc == DS_E_NOMEM;
	if (d->own.rc != DS_OK)
		ds_err_in(&d->own.err, "-");
	d->own.part = ds_calloc((size_t)d->ld.n_in, sizeof *d->own.part);
	return d->own.part ? DS_OK : ds_fail_nomem(err, sizeof *d->own.part);
}

static ds_status next_live(data *d, ds_item *item, bool *bad, ds_err *err)
{
	const ds_feed *f = &d->ld.in[d->ld.main].feed;
	ds_part *p = &d->own.part[d->ld.main];
	int64_t len = f->context + f->window;
	ds_part_done(p);
	ds_status rc = ds_tensor_new(&p->t, DS_F32, 1, &len, err);
	if (rc != DS_OK)
		return rc;
	rc = ds_live_next(d->live, p->t.data, &d->own.err);
	if (rc != DS_OK) {              /* the end, or an input that breaks off: nothing can follow */
		ds_live_free(d->live);
		d->live = NULL;
	}
	if (rc == DS_END)
		return rc;
	p->n = d->own.n = 1;
	p->rank = f->rank;
	memcpy(p->dim, f->dim, sizeof p->dim);
	d->own.rc = rc;
	if (rc != DS_OK)
		ds_err_in(&d->own.err, "-");
	return give(d, "-", d->at++, true, d->list.e[0].label, item, bad, err);
}

static ds_status next(ds_samples *s, ds_item *item, bool *bad, ds_err *err)
{
	data *d = (data *)s;
	*bad = false;
	drop_item(d);
	if (d->n_named && !d->list.n) {
		if ((int64_t)d->index >= d->n_named)
			return DS_END;
		return give(d, d->named_path, (int64_t)d->index, d->n_named > 1, -1, item, bad, err);
	}
	if (d->all)
		return next_of_all(d, item, bad, err);
	if (d->live)
		return next_live(d, item, bad, err);
	if (!d->entry && may_be_live(d)) {
		DS_TRY(open_live(d, err));
		if (d->live)
			return next_live(d, item, bad, err);
		d->at = d->own.from;
		if (d->own.rc != DS_OK)
			return give_of_file(d, 0, item, bad, err);
	}
	while (d->at >= d->now->to) {
		ds_loaded_done(d->now, d->ld.n_in);
		d->at = 0;
		if (d->entry >= d->list.n)
			return DS_END;
		DS_TRY(ds_ahead_get(d->ahead, d->entry++, d->now, err));
		d->at = d->now->from;
		if (d->now->rc != DS_OK)
			return give_of_file(d, 0, item, bad, err);      /* `to` is 0: the next call goes on with the next file */
	}
	int64_t i = d->at;
	d->at += d->spread ? DS_MAX(items_of(d->now) * (int64_t)d->list.n / d->spread, 1) : 1;
	return give_of_file(d, i, item, bad, err);
}

/* Items handed out, those left in the current file, and one for each file that was not opened yet. */
static int64_t count(ds_samples *s)
{
	const data *d = (const data *)s;
	if (d->n_named && !d->list.n)
		return d->n_named;
	if (d->all)
		return d->start[d->list.n];
	if (d->live || (!d->entry && may_be_live(d)))
		return -1;
	return (int64_t)(d->index + (d->list.n - d->entry)) + DS_MAX(d->now->to - d->at, 0);
}

static ds_status rewind_all(ds_samples *s, ds_err *err)
{
	data *d = (data *)s;
	for (size_t i = 0; !d->all && i < d->list.n && d->entry; i++) {
		if (!strcmp(d->list.e[i].path, "-"))
			return ds_fail(err, DS_E_INPUT, "standard input cannot be read twice");
	}
	drop_item(d);
	if (!d->all) {
		ds_loaded_done(&d->own, d->ld.n_in);
		ds_ahead_reset(d->ahead);
	}
	d->entry = d->last_entry = 0;
	d->at = 0;
	d->index = 0;
	return DS_OK;
}

/* Every file into memory. */
static ds_status load_all(data *d, ds_err *err)
{
	size_t n = d->list.n;
	DS_TRY(rewind_all(&d->base, err));
	d->start = ds_calloc(n + 1, sizeof *d->start);
	d->all = ds_calloc(n, sizeof *d->all);
	if (!d->start || !d->all)
		return ds_fail_nomem(err, n * sizeof *d->all);
	for (size_t i = 0; i < n; i++) {
		DS_TRY(ds_ahead_get(d->ahead, i, &d->all[i], err));
		if (d->all[i].fatal) {
			if (err)
				*err = d->all[i].err;
			return d->all[i].rc;
		}
		d->start[i + 1] = d->start[i] + items_of(&d->all[i]);
	}
	return DS_OK;
}

static void drop_all(data *d)
{
	for (size_t i = 0; d->all && i < d->list.n; i++)
		ds_loaded_done(&d->all[i], d->ld.n_in);
	ds_free(d->all);
	ds_free(d->start);
	d->all = NULL;
	d->start = NULL;
	d->now = &d->own;
}

static ds_status seek(ds_samples *s, int64_t i, ds_err *err)
{
	data *d = (data *)s;
	if (d->list.n && !d->all) {
		ds_status rc = load_all(d, err);
		if (rc != DS_OK) {
			drop_all(d);
			ds_ahead_reset(d->ahead);
			return rc;
		}
	}
	if (i < 0 || i >= count(s))
		return ds_fail(err, DS_E_INPUT, "there is no item %lld: there are %lld", (long long)i, (long long)count(s));
	d->index = (uint64_t)i;
	return DS_OK;
}

static void free_all(ds_samples *s)
{
	data *d = (data *)s;
	if (!d)
		return;
	ds_ahead_free(d->ahead);
	drop_item(d);
	drop_all(d);
	ds_live_free(d->live);
	ds_free(d->in);
	ds_loaded_done(&d->own, d->ld.n_in);
	for (int k = 0; d->named && k < d->ld.n_in; k++)
		ds_loaded_done(&d->named[k], 1);
	ds_free(d->named);
	ds_free(d->named_path);
	ds_buf_done(&d->name);
	ds_list_done(&d->list);
	for (int k = 0; d->ld.in && k < d->ld.n_in; k++)
		ds_feed_done(&d->ld.in[k].feed);
	ds_aim_done(&d->ld.aim);
	ds_free(d->ld.in);
	ds_free(d);
}

int ds_data_classes(const ds_samples *s, char *const **names)
{
	const data *d = (const data *)s;
	*names = d->list.class_name;
	return d->list.n_class;
}

ds_status ds_data_names(const ds_samples *s, ds_status (*fn)(void *arg, const char *path, int64_t item, ds_err *err), void *arg, ds_err *err)
{
	const data *d = (const data *)s;
	for (size_t i = 0; i < d->list.n; i++) {
		const ds_entry *e = &d->list.e[i];
		for (size_t k = 0; k < DS_MAX(e->n_pick, 1); k++)
			DS_TRY(fn(arg, e->path, e->n_pick ? e->pick[k].number : -1, err));
	}
	return DS_OK;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------ */

/* Keep `spread` of the files, evenly spaced. */
static void thin(ds_list *l, int64_t spread)
{
	size_t keep = (size_t)spread, at = 0;
	if (!spread || l->n <= keep)
		return;
	for (size_t i = 0; i < l->n; i++) {
		if (at < keep && i == at * l->n / keep) {
			ds_entry e = l->e[at];
			l->e[at] = l->e[i];
			l->e[i] = e;            /* all of them are freed with the list */
			at++;
		}
	}
	for (size_t i = keep; i < l->n; i++)
		ds_entry_done(&l->e[i]);
	l->n = keep;
}

/* A spec without a size takes that of the model; one that cannot fit is found here and not once per picture. */
static ds_status settle_prep(ds_shape_of *k, ds_err *err)
{
	ds_prep_spec *s = &k->prep;
	int r = k->rank, first = r == 4 ? 1 : 0;
	if (r != 3 && r != 4)
		return r < 0 ? DS_OK : ds_fail(err, DS_E_INPUT, "the model's input '%s' of rank %d cannot take pictures", k->name, r);
	bool last = s->layout == DS_NHWC;
	int64_t c = k->dim[first + (last ? 2 : 0)], h = k->dim[first + (last ? 0 : 1)], w = k->dim[first + (last ? 1 : 2)];
	if (!s->h && h > 0 && w > 0 && h <= DS_MAX_SIDE && w <= DS_MAX_SIDE) {
		s->h = (int)h;
		s->w = (int)w;
	}
	if ((c >= 0 && c != (s->color == DS_COLOR_GRAY ? 1 : 3)) || (s->h && ((h >= 0 && h != s->h) || (w >= 0 && w != s->w))))
		return ds_fail(err, DS_E_INPUT, "the model's preprocessing (%s, %s, %d x %d) does not fit its input '%s' (%lld channels, %lld x %lld)",
			ds_prep_color[s->color], ds_prep_layout[s->layout], s->h, s->w, k->name, (long long)c, (long long)h, (long long)w);
	return DS_OK;
}

/* Is dim 0 something else than a count of samples: [time, batch], states?  Asked of models with several inputs only; with one input an array is a stack of samples. */
static ds_status mixes_samples(const ds_model *m, bool *mixes, ds_err *err)
{
	*mixes = false;
	if (m->graph->n_input < 2)
		return DS_OK;
	ds_graph *g = ds_graph_clone(m->graph);
	ds_status rc = g ? ds_graph_infer(g, err) : ds_fail_nomem(err, 0);
	*mixes = rc == DS_OK && !ds_graph_items_apart(g);
	ds_graph_free(g);
	return rc;
}

static ds_status read_shapes(data *d, const ds_model *m, ds_err *err)
{
	bool mixes;
	DS_TRY(mixes_samples(m, &mixes, err));
	d->ld.n_in = m->graph->n_input;
	d->ld.in = ds_calloc(d->ld.n_in, sizeof *d->ld.in);
	d->in = ds_calloc(d->ld.n_in, sizeof *d->in);
	d->named = ds_calloc(d->ld.n_in, sizeof *d->named);
	if (!d->ld.in || !d->in || !d->named)
		return ds_fail_nomem(err, d->ld.n_in * sizeof *d->named);
	for (int i = 0; i < d->ld.n_in; i++) {
		const ds_value *v = m->graph->input[i];
		ds_shape_of *k = &d->ld.in[i];
		k->name = v->name;
		k->dtype = v->type.dtype;
		k->rank = v->type.rank;
		k->whole = mixes;
		for (int a = 0; a < k->rank; a++)
			k->dim[a] = v->type.dim[a] < 0 ? -1 : v->type.dim[a];
		d->named[i].rc = DS_END;
		for (int j = 0; j < m->graph->n_state; j++)
			k->state = k->state || (m->graph->state[j].in == v && m->graph->state[j].axis == DS_NO_SYMBOL);
		DS_TRY(ds_prep_from_meta(&k->prep, &m->meta, i, &k->has_prep, err));
		if (k->has_prep)
			DS_TRY(settle_prep(k, err));
		DS_TRY(ds_feed_from_meta(&k->feed, m, i, err));
		if (ds_feed_rows(&k->feed) && (k->feed.kind != DS_KIND_TABLE || k->feed.col.n))
			DS_TRY(ds_feed_settle(&k->feed, k->name, k->dtype, k->rank, k->dim, err));
	}
	return DS_OK;
}

static ds_status unknown_input(const data *d, const char *name, size_t n, ds_err *err)
{
	ds_buf b = { 0 };
	for (int k = 0; k < d->ld.n_in; k++)
		ds_buf_printf(&b, "%s'%s'", k ? ", " : "", d->ld.in[k].name);
	ds_status rc = ds_fail(err, DS_E_USAGE, "--input: the model has no input '%.*s'; it has %s", (int)DS_MIN(n, (size_t)100), name, b.data ? b.data : "none");
	ds_buf_done(&b);
	return rc;
}

static ds_status read_named(data *d, const char *text, ds_err *err)
{
	const char *eq = strchr(text, '=');
	if (!eq || eq == text || !eq[1])
		return ds_fail(err, DS_E_USAGE, "--input '%s': not NAME=FILE", text);
	size_t n = (size_t)(eq - text);
	int k = 0;
	while (k < d->ld.n_in && (strncmp(d->ld.in[k].name, text, n) || d->ld.in[k].name[n]))
		k++;
	if (k == d->ld.n_in)
		return unknown_input(d, text, n, err);
	ds_entry e = { .path = (char *)(uintptr_t)(eq + 1), .label = -1 };
	ds_loader one = d->ld;
	one.in = &d->ld.in[k];
	one.n_in = 1;
	one.main = 0;
	ds_loaded_done(&d->named[k], 1);
	ds_load(&d->named[k], &one, &e);
	if (d->named[k].rc != DS_OK) {
		if (err)
			*err = d->named[k].err;
		return d->named[k].rc;
	}
	if (d->named[k].n < 1)
		return ds_fail(err, DS_E_INPUT, "%s: no samples", eq + 1);
	if (d->named[k].n > d->n_named) {
		d->n_named = d->named[k].n;
		ds_free(d->named_path);
		d->named_path = ds_strdup(eq + 1);
		if (!d->named_path)
			return ds_fail_nomem(err, strlen(eq));
	}
	return DS_OK;
}

static ds_status read_all_named(data *d, const ds_data_opts *o, ds_err *err)
{
	for (int i = 0; i < o->n_named; i++)
		DS_TRY(read_named(d, o->named[i], err));
	while (d->ld.main < d->ld.n_in && (d->named[d->ld.main].rc == DS_OK || d->ld.in[d->ld.main].state))
		d->ld.main++;
	if (d->ld.main == d->ld.n_in) {
		if (o->n_path || o->files_from)
			return ds_fail(err, DS_E_USAGE, d->ld.n_in ? "every input has its --input: nothing is left for the operands" : "the model has no inputs");
		d->ld.main = 0;
	}
	return DS_OK;
}

ds_status ds_data_open(ds_samples **s, const ds_data_opts *o, ds_err *err)
{
	ds_status rc;
	*s = NULL;
	data *d = ds_calloc(1, sizeof *d);
	if (!d)
		return ds_fail_nomem(err, sizeof *d);
	d->base = (ds_samples){ next, rewind_all, count, free_all, seek };
	d->now = &d->own;
	d->ld.max_pixels = o->max_pixels;
	d->ld.want = o->want_labels;
	d->ld.hop = o->hop;
	d->ld.names = o->names;
	d->ld.limit = ARRAY_LIMIT;
	DS_GOTO(read_shapes(d, o->model, err));
	DS_GOTO(ds_aim_from_meta(&d->ld.aim, o->model, err));
	d->ld.want = d->ld.want || d->ld.aim.what == DS_AIM_NEXT || d->ld.aim.what == DS_AIM_INPUT;     /* they are in the samples themselves */
	d->aim = (ds_shape_of){ .name = "target", .dtype = d->ld.aim.what == DS_AIM_NEXT ? DS_I64 : DS_F32 };
	DS_GOTO(read_all_named(d, o, err));
	d->list.text = d->ld.in && (d->ld.in[d->ld.main].feed.kind == DS_KIND_TABLE || d->ld.in[d->ld.main].feed.kind == DS_KIND_TEXT);
	DS_GOTO(ds_list_build(&d->list, o, err));
	thin(&d->list, d->spread = o->spread);
	DS_GOTO(ds_ahead_new(&d->ahead, &d->list, &d->ld, o->threads ? o->threads : ds_cpu_count(), err));
	*s = &d->base;
	d = NULL;
out:
	if (d)
		free_all(&d->base);
	return rc;
}
