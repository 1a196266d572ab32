/* load.c - one file into arrays: what it is is told by its content */
#include "sound.h"
#include "table.h"

#include <string.h>
#include <sys/stat.h>

typedef struct bytes { const uint8_t *p; size_t n; const char *path; const ds_range *range; } bytes;

static ds_status new_parts(ds_loaded *l, size_t n, ds_err *err)
{
	l->part = ds_calloc(n, sizeof *l->part);
	return l->part ? DS_OK : ds_fail_nomem(err, n * sizeof *l->part);
}

/* ---- pictures, single arrays -------------------------------------------------------------------------------------------------- */

static ds_status load_picture(ds_loaded *l, const ds_loader *ld, const bytes *b, ds_err *err)
{
	const ds_shape_of *k = &ld->in[ld->main];
	ds_image im = { 0 };
	ds_tensor t;
	if (!k->has_prep) {
		l->fatal = true;
		return ds_fail(err, DS_E_USAGE, "a picture, and the model does not say how pictures become its input '%s'; "
			"ds-convert --input-preset (or --input-size and its companions) puts that into the model", k->name);
	}
	DS_TRY(ds_image_decode(&im, b->p, b->n, ld->max_pixels, err));
	ds_status rc = ds_picture_tensor(&t, &im, k, err);
	ds_image_done(&im);
	if (rc != DS_OK)
		return rc;
	rc = new_parts(l, ld->n_in, err);
	if (rc != DS_OK) {
		ds_tensor_done(&t);
		return rc;
	}
	ds_part *p = &l->part[ld->main];
	p->n = l->n = 1;
	p->rank = t.rank;
	memcpy(p->dim, t.dim, sizeof p->dim);
	p->t = t;
	return DS_OK;
}

static ds_status one_array(ds_loaded *l, const ds_loader *ld, ds_tensor *t, const ds_range *r, ds_err *err)
{
	ds_status rc = new_parts(l, ld->n_in, err);
	if (rc == DS_OK && ds_is_rows(t, &ld->in[ld->main]))
		rc = ds_load_rows(l, ld, t, r, err);
	else if (rc == DS_OK)
		rc = ds_part_make(&l->part[ld->main], t, &ld->in[ld->main], err);
	if (rc == DS_OK && !l->row_range)
		l->n = l->part[ld->main].n;
	ds_tensor_done(t);
	return rc;
}

static ds_status load_idx(ds_loaded *l, const ds_loader *ld, const bytes *b, ds_err *err)
{
	ds_tensor t;
	DS_TRY(ds_idx_parse(&t, b->p, b->n, ld->limit, err));
	return one_array(l, ld, &t, b->range, err);
}

static ds_status load_npy(ds_loaded *l, const ds_loader *ld, const bytes *b, ds_err *err)
{
	ds_tensor t;
	bool kept;
	DS_TRY(ds_npy_parse(&t, b->p, b->n, ld->limit, NULL, &kept, err));
	return one_array(l, ld, &t, b->range, err);
}

/* Bytes without any header, by the name's ending: elements of the input's type, little-endian, as many samples as there are. */
static bool is_raw(const char *path)
{
	size_t n = strlen(path);
	return n > 4 && !strcmp(path + n - 4, ".raw");
}

static ds_status load_raw(ds_loaded *l, const ds_loader *ld, const bytes *b, ds_err *err)
{
	const ds_shape_of *k = &ld->in[ld->main];
	int64_t dim[DS_MAX_RANK + 1], one = (int64_t)ds_dtype_size(k->dtype);
	ds_tensor t;
	for (int i = 0; i < k->rank; i++) {
		dim[i] = i == 0 && k->dim[0] < 0 ? 1 : k->dim[i];
		if (dim[i] < 1 || ds_mul_over(one, dim[i], &one))
			one = 0;
	}
	if (k->rank < 1 || one < 1)
		return ds_fail(err, DS_E_INPUT, "raw bytes, and the size of the model's input '%s' is not fixed", k->name);
	if (b->n % (size_t)one)
		return ds_fail(err, DS_E_INPUT, "%zu raw bytes where a sample of the model's input '%s' has %lld", b->n, k->name, (long long)one);
	int64_t many = (int64_t)(b->n / (size_t)one);
	if (k->dim[0] > 1 && many > 1 && k->rank < DS_MAX_RANK) {
		memmove(dim + 1, dim, (size_t)k->rank * sizeof *dim);
		dim[0] = many;
		DS_TRY(ds_tensor_new(&t, k->dtype, k->rank + 1, dim, err));
	} else {
		dim[0] *= many;
		DS_TRY(ds_tensor_new(&t, k->dtype, k->rank, dim, err));
	}
	memcpy(t.data, b->p, b->n);
	return one_array(l, ld, &t, b->range, err);
}

/* ---- tables, text, sound -------------------------------------------------------------------------------------------------------------- */

static ds_status load_rows(ds_loaded *l, const ds_loader *ld, const bytes *b, ds_err *err)
{
	DS_TRY(new_parts(l, (size_t)ld->n_in, err));
	l->row_range = true;
	if (ld->in[ld->main].feed.kind == DS_KIND_TABLE)
		return ds_load_table(l, ld, b->p, b->n, b->range, err);
	if (ld->in[ld->main].feed.kind == DS_KIND_SOUND)
		return ds_load_sound(l, ld, b->p, b->n, b->range, err);
	return ds_load_text(l, ld, b->p, b->n, b->range, err);
}

/* ---- by content --------------------------------------------------------------------------------------------------------------- */

static ds_status load_bytes(ds_loaded *l, const ds_loader *ld, const bytes *b, ds_err *err)
{
	if (is_raw(b->path))
		return load_raw(l, ld, b, err);
	if (!b->n)
		return ds_fail(err, DS_E_INPUT, "empty file");
	if (ds_image_probe(b->p, b->n))
		return load_picture(l, ld, b, err);
	if (ds_is_stream(b->p, b->n))
		return ds_load_stream(l, ld, b->p, b->n, b->path, err);
	if (ds_is_npy(b->p, b->n))
		return load_npy(l, ld, b, err);
	if (ds_is_idx(b->p, b->n))
		return load_idx(l, ld, b, err);
	const ds_feed *f = &ld->in[ld->main].feed;
	bool sound = ds_is_sound(b->p, b->n);
	if (ds_feed_rows(f) && sound == (f->kind == DS_KIND_SOUND))
		return load_rows(l, ld, b, err);
	if (sound) {
		l->fatal = true;
		return ds_fail(err, DS_E_USAGE, "a sound, and the model does not say how sounds become its input '%s'; ds-convert --input-kind sound puts that into the model",
			ld->in[ld->main].name);
	}
	return ds_fail(err, DS_E_INPUT, "neither a picture nor an array nor a tensor stream");
}

static ds_status load_source(ds_loaded *l, const ds_loader *ld, ds_source *src, const ds_entry *e, ds_err *err)
{
	const void *p;
	size_t n;
	void *owner;
	uint8_t *plain = NULL;
	DS_TRY(ds_source_all(src, ld->limit, &p, &n, &owner, err));
	bytes b = { p, n, e->path, &e->range };
	ds_status rc = DS_OK;
	if (ds_is_gzip(b.p, b.n)) {
		rc = ds_gunzip(&plain, &b.n, b.p, b.n, ld->limit, err);
		b.p = plain;
	}
	if (rc == DS_OK)
		rc = load_bytes(l, ld, &b, err);
	l->to = l->n;
	if (rc == DS_OK && !l->row_range)       /* what has no rows of its own is cut by its samples */
		ds_range_apply(&e->range, l->n, &l->from, &l->to);
	if (rc == DS_OK && e->n_pick) {
		l->from = 0;
		l->to = (int64_t)e->n_pick;
	}
	ds_free(plain);
	ds_source_drop(owner);
	return rc;
}

/* What a name that was found in a directory or a list must be; operands may be anything that can be read. */
static ds_status check_file(const ds_entry *e, ds_err *err)
{
	struct stat st;
	if (e->why)
		return ds_fail(err, DS_E_INPUT, "%s", e->why);
	if (e->sys)
		return ds_fail_sys(err, e->sys, "open");
	if (e->listed && !stat(e->path, &st) && !S_ISREG(st.st_mode))
		return ds_fail(err, DS_E_INPUT, S_ISDIR(st.st_mode) ? "is a directory" : "not a regular file");
	return DS_OK;
}

/* Free what was read; the outcome stays. */
static void empty(ds_loaded *l, int n_in)
{
	for (int64_t i = 0; l->part && i < (l->per_item ? l->n : 1) * n_in; i++)
		ds_part_done(&l->part[i]);
	ds_free(l->part);
	ds_part_done(&l->target);
	ds_part_done(&l->last);
	ds_free(l->label);
	ds_flaws_done(&l->flaws);
	l->part = NULL;
	l->label = NULL;
	l->n = l->from = l->to = 0;
}

static void settle(ds_loaded *l, const ds_loader *ld, const ds_entry *e)
{
	if (l->rc == DS_E_NOMEM || l->rc == DS_E_INTERNAL)
		l->fatal = true;
	if (l->rc != DS_OK) {
		empty(l, ld->n_in);
		ds_err_in(&l->err, e->path);
	}
}

void ds_load_from(ds_loaded *l, const ds_loader *ld, ds_source *src, const ds_entry *e)
{
	*l = (ds_loaded){ 0 };
	l->rc = load_source(l, ld, src, e, &l->err);
	settle(l, ld, e);
}

void ds_load(ds_loaded *l, const ds_loader *ld, const ds_entry *e)
{
	ds_source *src;
	ds_source_opts o = { .no_map = true };  /* a file that shrinks under us shall be one bad item, not a signal */
	*l = (ds_loaded){ 0 };
	l->rc = check_file(e, &l->err);
	if (l->rc == DS_OK)
		l->rc = ds_source_open(&src, e->path, &o, &l->err);
	if (l->rc == DS_OK) {
		l->rc = load_source(l, ld, src, e, &l->err);
		ds_source_close(src);
	}
	settle(l, ld, e);
}

void ds_loaded_done(ds_loaded *l, int n_in)
{
	empty(l, n_in);
	*l = (ds_loaded){ 0 };
}
