/* faithful.c - deletion and insertion curves of a map over patches, with random orders as their control */
#include "faithful.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../base/mem.h"
#include "../base/rng.h"

/* ---- orders of patches ---------------------------------------------------------------------------------------------------------- */

typedef struct ranked { double v; int64_t place, patch; } ranked;

typedef struct work {
	const ds_faith_opts *o;
	const float *x, *blank;
	float       *batch;             /* o->batch samples */
	double     **where;             /* that p of each in the batch goes to */
	double      *p, *chance;        /* of the batch; of one random order */
	int64_t      n, side, across, patches, steps;
	int64_t     *of, *order;        /* the patch of each place; patches in turn */
	ranked      *rank;
	ds_score_fn  score;
	void        *arg;
} work;

static void shuffled(const work *w, uint64_t stream, int64_t *order)
{
	ds_rng r = ds_rng_init(w->o->seed, stream);
	for (int64_t i = 0; i < w->patches; i++) {
		int64_t j = (int64_t)ds_rng_below(&r, (uint64_t)i + 1);
		order[i] = order[j];
		order[j] = i;
	}
}

static int falling(const void *pa, const void *pb)
{
	const ranked *a = pa, *b = pb;
	return a->v != b->v ? (a->v < b->v ? 1 : -1) : a->place > b->place ? 1 : -1;
}

/* Most relevant first.  Equal ones in a random order: by position they would be what lies at the top. */
static void order_by_map(work *w, const float *map, int64_t *order)
{
	int64_t *place = w->order;              /* of each patch among equals */
	shuffled(w, 0, place);
	for (int64_t i = 0; i < w->patches; i++)
		w->rank[i] = (ranked){ 0, place[i], i };
	for (int64_t i = 0; i < w->o->plane.h * w->o->plane.w; i++)
		w->rank[w->of[i]].v += isfinite(map[i]) ? (double)map[i] : 0;
	qsort(w->rank, (size_t)w->patches, sizeof *w->rank, falling);
	for (int64_t i = 0; i < w->patches; i++)
		order[i] = w->rank[i].patch;
}

/* ---- curves --------------------------------------------------------------------------------------------------------------------- */

/* How many patches the first k steps take: as many as are left by the steps after, counted backwards. */
static int64_t taken(const work *w, int64_t k)
{
	return 2 * k <= w->steps ? k * w->patches / w->steps : w->patches - (w->steps - k) * w->patches / w->steps;
}

static ds_status flush(work *w, ds_err *err)
{
	int64_t n = w->n;
	w->n = 0;
	if (!n)
		return DS_OK;
	DS_TRY(w->score(w->arg, w->batch, n, w->p, err));
	for (int64_t i = 0; i < n; i++)
		*w->where[i] = w->p[i];
	return DS_OK;
}

/* The next sample of the batch is `from`, with the patches that are marked from `other`; its probability goes to p. */
static ds_status add(work *w, const float *from, const float *other, const bool *marked, double *p, ds_err *err)
{
	const ds_plane *f = &w->o->plane;
	int64_t count = f->channels * f->h * f->w;
	float *dst = w->batch + w->n * count;
	memcpy(dst, from, (size_t)count * sizeof *dst);
	for (int64_t i = 0; marked && i < f->h * f->w; i++) {
		if (!marked[w->of[i]])
			continue;
		for (int64_t c = 0; c < f->channels; c++) {
			int64_t at = c * f->sc + i / f->w * f->sy + i % f->w * f->sx;
			dst[at] = other[at];
		}
	}
	w->where[w->n++] = p;
	return w->n == w->o->batch ? flush(w, err) : DS_OK;
}

/* What lies between the ends of a curve: steps - 1 samples. */
static ds_status curve(work *w, const int64_t *order, const float *from, const float *other, double *p, ds_err *err)
{
	bool *marked = ds_calloc((size_t)w->patches, sizeof *marked);
	ds_status rc = DS_OK;
	if (!marked)
		return ds_fail_nomem(err, (size_t)w->patches);
	for (int64_t k = 1, i = 0; k < w->steps && rc == DS_OK; k++) {
		for (; i < taken(w, k); i++)
			marked[order[i]] = true;
		rc = add(w, from, other, marked, p + k, err);
	}
	ds_free(marked);
	return rc;
}

static double area(const double *p, int64_t steps)
{
	double sum = (p[0] + p[steps]) / 2;
	for (int64_t k = 1; k < steps; k++)
		sum += p[k];
	return sum / (double)steps;
}

static void ends(double *p, int64_t steps, double first, double last)
{
	p[0] = first;
	p[steps] = last;
}

static ds_status by_chance(work *w, ds_faith *out, ds_err *err)
{
	int orders = w->o->orders;
	for (int r = 0; r < orders; r++) {
		shuffled(w, 1 + (uint64_t)r, w->order);
		ends(w->chance, w->steps, out->whole, out->blank);
		DS_TRY(curve(w, w->order, w->x, w->blank, w->chance, err));
		DS_TRY(flush(w, err));
		for (int64_t k = 0; k <= w->steps; k++)
			out->random[k] += w->chance[k] / orders;
	}
	out->random_auc = orders ? area(out->random, w->steps) : NAN;
	return DS_OK;
}

static ds_status curves(work *w, ds_faith *out, const float *map, int64_t *order, ds_err *err)
{
	int64_t n = w->steps;
	order_by_map(w, map, order);
	DS_TRY(add(w, w->x, NULL, NULL, &out->whole, err));
	DS_TRY(add(w, w->blank, NULL, NULL, &out->blank, err));
	DS_TRY(curve(w, order, w->x, w->blank, out->deletion, err));
	DS_TRY(curve(w, order, w->blank, w->x, out->insertion, err));
	DS_TRY(flush(w, err));
	ends(out->deletion, n, out->whole, out->blank);
	ends(out->insertion, n, out->blank, out->whole);
	out->deletion_auc = area(out->deletion, n);
	out->insertion_auc = area(out->insertion, n);
	return by_chance(w, out, err);
}

static ds_status cut(work *w, ds_faith *out, ds_err *err)
{
	const ds_plane *f = &w->o->plane;
	int64_t longer = DS_MAX(f->h, f->w), grid = w->o->grid ? w->o->grid : f->h == 1 ? 49 : 7;
	w->side = DS_MAX((longer + grid - 1) / grid, 1);
	w->across = (f->w + w->side - 1) / w->side;
	w->patches = w->across * ((f->h + w->side - 1) / w->side);
	if (w->patches < 2)
		return ds_fail(err, DS_E_INPUT, "a sample of %lld x %lld places is one patch: nothing to take away in turn", (long long)f->h, (long long)f->w);
	w->steps = DS_MIN(w->o->steps ? w->o->steps : 100, w->patches);
	out->patches = w->patches;
	out->steps = w->steps;
	return DS_OK;
}

ds_status ds_faithful(ds_faith *out, const ds_faith_opts *o, const float *x, const float *blank, const float *map, ds_score_fn score, void *arg, ds_err *err)
{
	work w = { .o = o, .x = x, .blank = blank, .score = score, .arg = arg };
	size_t count = (size_t)(o->plane.channels * o->plane.h * o->plane.w), batch = (size_t)o->batch;
	int64_t *order = NULL;
	ds_status rc;
	*out = (ds_faith){ 0 };
	DS_GOTO(cut(&w, out, err));
	size_t curve_size = (size_t)w.steps + 1;
	out->deletion = ds_calloc(curve_size, sizeof(double));
	out->insertion = ds_calloc(curve_size, sizeof(double));
	w.chance = ds_calloc(curve_size, sizeof(double));
	if (o->orders)
		out->random = ds_calloc(curve_size, sizeof(double));
	order = ds_calloc((size_t)w.patches, sizeof *order);
	w.of = ds_calloc((size_t)(o->plane.h * o->plane.w), sizeof *w.of);
	w.order = ds_calloc((size_t)w.patches, sizeof *w.order);
	w.rank = ds_calloc((size_t)w.patches, sizeof *w.rank);
	w.batch = ds_calloc(batch, count * sizeof *w.batch);
	w.where = ds_calloc(batch, sizeof *w.where);
	w.p = ds_calloc(batch, sizeof *w.p);
	if (!out->deletion || !out->insertion || !w.chance || (o->orders && !out->random) || !order || !w.of || !w.order || !w.rank ||
		!w.batch || !w.where || !w.p) {
		rc = ds_fail_nomem(err, batch * count * sizeof *w.batch);
		goto out;
	}
	for (int64_t i = 0; i < o->plane.h * o->plane.w; i++)
		w.of[i] = i / o->plane.w / w.side * w.across + i % o->plane.w / w.side;
	rc = curves(&w, out, map, order, err);
out:
	ds_free(w.p);
	ds_free(w.where);
	ds_free(w.batch);
	ds_free(w.rank);
	ds_free(w.order);
	ds_free(w.of);
	ds_free(order);
	ds_free(w.chance);
	if (rc != DS_OK)
		ds_faith_done(out);
	return rc;
}

void ds_faith_done(ds_faith *f)
{
	ds_free(f->deletion);
	ds_free(f->insertion);
	ds_free(f->random);
	*f = (ds_faith){ 0 };
}
