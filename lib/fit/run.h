/* run.h - a run under way: what run.c sets up and loop.c goes through */
#ifndef DS_FIT_RUN_H
#define DS_FIT_RUN_H

#include "fit_int.h"

typedef struct ds_fitting {
	const ds_fit_opts *o;
	ds_fit_result     *r;
	ds_model          *m;           /* as given: META, assets, identity */
	ds_model           work;        /* its graph as the present stage began: what the trainer looks at */
	const ds_fit_words *w;          /* of the present stage */
	int                stage;
	const char        *data;
	ds_fit_state       s;
	ds_fit_ckpt        ck;          /* that the run goes on from */
	bool               resuming;    /* ck is not used up yet */
	int64_t            saved;       /* step of the checkpoint on disk, -1: none was written */
	ds_labels          names;
	ds_trainset       *set, *val;   /* val NULL: the part of set that is held out */
	ds_trainer        *t;
	ds_graph          *best;
	ds_fit_report     *report;
	/* of the stage */
	ds_augment         augment;
	const ds_loss     *loss;        /* NULL: the hook's head */
	ds_goal            goal;
	ds_fit_tally       tally;       /* of the epoch */
	ds_tensor         *extra;
	ds_type           *extra_type;
	const ds_schedule *schedule;
	ds_schedule_opts   rate;
	int64_t            accumulate, per_epoch;       /* batches of a step; steps of an epoch */
	bool              *frozen_used; /* which patterns of --freeze matched */
	bool               stop;        /* early */
	double             lr, norm;    /* of the last step */
	double             clock;       /* when this stretch of the epoch began, seconds */
	int64_t            stretch;     /* samples since then */
	double             told;        /* when --metrics was written last, seconds */
} ds_fitting;

double    ds_fit_now(void);
/* printf for the hook's note or warn. */
void      ds_fit_say(const ds_fitting *f, bool warn, const char *fmt, ...) DS_PRINTF(3, 4);
/* Write --metrics, where asked for: at once, or when the last page has become old (metrics.c). */
ds_status ds_fit_page(ds_fitting *f, double loss, bool now, ds_err *err);
/* Everything from the first step to the last. */
ds_status ds_fit_loop(ds_fitting *f, ds_err *err);
/* The weights that the stage gives: those of the last step or the best ones, into g (a clone of the working graph). */
ds_status ds_fit_result_weights(ds_fitting *f, ds_graph *g, ds_err *err);

#endif
