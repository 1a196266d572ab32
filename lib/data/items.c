/* items.c - the iterator over samples: files loaded ahead on threads, items handed out in input order */
#include "local.h"
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
	ds_loaded  now;                 /* the file whose items are being handed out, with n == 0 before the first */
	int64_t    at;                  /* next item of it */
	int64_t    spread;              /* as in ds_data_opts */
	uint64_t   index;
	ds_tensor *in;                  /* of the item that was handed out */
	ds_buf     name;
} data;

static void drop_item(data *d)
{
	for (int k = 0; d->in && k < d->ld.n_in; k++)
		ds_tensor_done(&d->in[k]);
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
	l = &d->now;
	if (!l->part)
		return NULL;
	const ds_part *p = &l->part[l->per_item ? i * d->ld.n_in + k : k];
	*sample = l->per_item || p->n == 1 ? 0 : i;
	return p->t.data ? p : NULL;
}

static ds_status make_item(data *d, int64_t i, ds_err *err)
{
	for (int k = 0; k < d->ld.n_in; k++) {
		int64_t sample;
		const ds_part *p = part_for(d, k, i, &sample);
		if (!p && d->named[k].rc == DS_OK)
			return ds_fail(err, DS_E_INPUT, "input '%s' has only %lld samples", d->ld.in[k].name, (long long)d->named[k].n);
		if (!p)
			return ds_fail(err, DS_E_USAGE, "nothing for the model's input '%s' (--input %s=FILE)", d->ld.in[k].name, d->ld.in[k].name);
		DS_TRY(ds_part_sample(&d->in[k], p, sample, &d->ld.in[k], err));
	}
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
	set_name(d, path, i, numbered);
	if (d->name.oom)
		return ds_fail_nomem(err, strlen(path));
	*item = (ds_item){ .name = d->name.data, .name_len = d->name.len, .index = d->index, .label = label, .in = d->in, .n_in = d->ld.n_in };
	if (d->list.label)
		item->label = (int64_t)d->index < d->list.n_label ? d->list.label[d->index] : -1;
	ds_status rc = d->now.rc;
	if (rc != DS_OK) {
		if (err)
			*err = d->now.err;
		*bad = !d->now.fatal;
	} else {
		rc = make_item(d, i, err);
		*bad = rc != DS_OK && concerns_item(rc);
		if (rc != DS_OK)
			ds_err_in(err, d->name.data);
	}
	d->index++;
	return rc;
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
	while (d->at >= d->now.n) {
		ds_loaded_done(&d->now, d->ld.n_in);
		d->at = 0;
		if (d->entry >= d->list.n)
			return DS_END;
		DS_TRY(ds_ahead_get(d->ahead, d->entry++, &d->now, err));
		if (d->now.rc != DS_OK) {
			const ds_entry *e = &d->list.e[d->entry - 1];
			return give(d, e->path, 0, false, e->label, item, bad, err);    /* now.n is 0: the next call goes on with the next file */
		}
	}
	const ds_entry *e = &d->list.e[d->entry - 1];
	int64_t label = e->labels ? d->at < e->n_labels ? e->labels[d->at] : -1 : e->label, i = d->at;
	d->at += d->spread ? DS_MAX(d->now.n * (int64_t)d->list.n / d->spread, 1) : 1;
	return give(d, e->path, i, d->now.n > 1, label, item, bad, err);
}

/* Items handed out, those left in the current file, and one for each file that was not opened yet. */
static int64_t count(ds_samples *s)
{
	const data *d = (const data *)s;
	if (d->n_named && !d->list.n)
		return d->n_named;
	return (int64_t)(d->index + (d->list.n - d->entry)) + (d->now.n - d->at);
}

static ds_status rewind_all(ds_samples *s, ds_err *err)
{
	data *d = (data *)s;
	for (size_t i = 0; i < d->list.n && d->entry; i++) {
		if (!strcmp(d->list.e[i].path, "-"))
			return ds_fail(err, DS_E_INPUT, "standard input cannot be read twice");
	}
	drop_item(d);
	ds_loaded_done(&d->now, d->ld.n_in);
	ds_ahead_reset(d->ahead);
	d->entry = 0;
	d->at = 0;
	d->index = 0;
	return DS_OK;
}

static void free_all(ds_samples *s)
{
	data *d = (data *)s;
	if (!d)
		return;
	ds_ahead_free(d->ahead);
	drop_item(d);
	ds_free(d->in);
	ds_loaded_done(&d->now, d->ld.n_in);
	for (int k = 0; d->named && k < d->ld.n_in; k++)
		ds_loaded_done(&d->named[k], 1);
	ds_free(d->named);
	ds_free(d->named_path);
	ds_buf_done(&d->name);
	ds_list_done(&d->list);
	ds_free(d->ld.in);
	ds_free(d);
}

int ds_data_classes(const ds_samples *s, char *const **names)
{
	const data *d = (const data *)s;
	*names = d->list.class_name;
	return d->list.n_class;
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
	for (size_t i = keep; i < l->n; i++) {
		ds_free(l->e[i].path);
		ds_free(l->e[i].labels);
	}
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
		DS_TRY(ds_prep_from_meta(&k->prep, &m->meta, i, &k->has_prep, err));
		if (k->has_prep)
			DS_TRY(settle_prep(k, err));
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
	while (d->ld.main < d->ld.n_in && d->named[d->ld.main].rc == DS_OK)
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
	d->base = (ds_samples){ next, rewind_all, count, free_all };
	d->ld.max_pixels = o->max_pixels;
	d->ld.limit = ARRAY_LIMIT;
	DS_GOTO(read_shapes(d, o->model, err));
	DS_GOTO(read_all_named(d, o, err));
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
