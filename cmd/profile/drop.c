/* drop.c - what the model loses against the reference of --against, for conditions: accuracy on samples with labels, agreement on any */
#include <math.h>

#include "profile.h"

typedef struct side { const ds_model *m; ds_samples *samples; ds_runner *run; } side;

static ds_status open_side(job *j, side *d, ds_err *err)
{
	ds_runner_opts o = { .threads = (int)j->s->c.threads, .batch = (int)j->s->c.batch, .memory_limit = j->s->c.memory_limit };
	DS_TRY(job_open_samples(j, d->m, &d->samples, err));
	return ds_runner_new(&d->run, d->m, d->samples, &o, err);
}

static void close_side(side *d)
{
	ds_runner_free(d->run);
	if (d->samples)
		d->samples->free(d->samples);
}

/* Samples that one of the two cannot take were complained of by --against. */
static ds_status compare(job *j, side *a, side *b, ds_versus *v, ds_err *err)
{
	ds_result here, there;
	ds_status rc;
	ds_progress *bar = ds_progress_new(&j->s->c, "samples", a->samples->count(a->samples));
	while ((rc = ds_runner_next(a->run, &here, err)) == DS_OK && (rc = ds_runner_next(b->run, &there, err)) == DS_OK) {
		if (!here.bad && !there.bad && (rc = ds_versus_add(v, &here, &there, err)) != DS_OK)
			break;
		ds_progress_at(bar, (int64_t)v->n, NULL);
	}
	ds_progress_free(bar);
	return rc == DS_END ? DS_OK : rc;
}

ds_status job_versus(job *j, const ds_versus **v, ds_err *err)
{
	ds_model *ref = NULL;
	side a = { .m = j->m }, b = { 0 };
	ds_status rc;
	*v = &j->versus;
	if (j->compared)
		return DS_OK;
	DS_GOTO(job_load_reference(j, &ref, err));
	b.m = ref;
	DS_GOTO(ds_versus_init(&j->versus, 0, err));
	DS_GOTO(open_side(j, &a, err));
	DS_GOTO(open_side(j, &b, err));
	DS_GOTO(compare(j, &a, &b, &j->versus, err));
	j->compared = true;
out:
	close_side(&a);
	close_side(&b);
	ds_model_free(ref);
	return rc;
}
