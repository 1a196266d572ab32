/* sure.h - what is known of one item's uncertainty, and of all items': between sure.c, which asks the models, and calibrate.c, which counts */
#ifndef DS_RUN_SURE_H
#define DS_RUN_SURE_H

#include "job.h"

/* One kind of probabilities against the labels, n items. */
typedef struct figures {
	double *conf, *brier, *nll;     /* probability of the class that is named; ds_brier, ds_nll */
	bool   *hit;                    /* is it the right one? */
	size_t  n, cap;
} figures;

struct sure {
	sure_words   ask;
	ds_certainty kept;              /* what the model keeps */
	ds_set_rule  rule;
	int          alpha_at;          /* in the tables of quantiles; -1: smaller than all of them */
	ds_model     mc;                /* the model with a graph that drops; everything else is here.m's */
	side        *member;            /* the others of an ensemble, or the model without dropout */
	int          n_member;
	bool         mute;              /* nobody has asked, and what is kept does not fit what comes out */
	bool         logits;            /* does the model itself need a softmax? */
	/* of the item */
	int          kind;              /* RUN_CLASSES, RUN_VALUES */
	int64_t      n;                 /* classes or values; 0: no item yet */
	float       *one, *raw, *p;     /* of the member that speaks, of the model alone, of all */
	double      *sum, *square;      /* over members, of probabilities or values */
	double      *score;
	int64_t     *order;
	ds_tensor    out;               /* p as the model's output */
	double       entropy, energy, mutual, spread;
	int64_t      best, set_size;
	/* of all items */
	figures      alone, together;
	double      *sizes;             /* of the sets */
	size_t       n_sizes, cap_sizes;
	uint64_t     covered, counted;
	uint64_t    *covered_by;        /* of values: of each column, out of `counted` / columns */
	ds_sink     *reliability;
};

/* Is class y in the item's set?  Can value i be so far off? */
bool   run_sure_has(const struct sure *u, int64_t y);
double run_sure_width(const struct sure *u, int64_t i);
void   run_figures_done(figures *f);

#endif
