/* feed.h - samples for calibration, as ds-quantize and ds-profile give them to the methods: bad items are told and left out, the others are counted in a digest */
#ifndef DS_CMD_FEED_H
#define DS_CMD_FEED_H

#include "cli/cli.h"
#include "data/data.h"
#include "profile/stats.h"

typedef struct feed {
	ds_samples  *from;
	ds_progress *progress;
	int64_t      limit, given, bad;
	bool         summing;
	ds_digest    of;
} feed;

static inline ds_status feed_next(void *arg, const ds_tensor **in, int *n_in, ds_err *err)
{
	feed *f = arg;
	ds_item item;
	while (f->given < f->limit) {
		bool bad = false;
		ds_status rc = f->from->next(f->from, &item, &bad, err);
		if (rc != DS_OK && !bad)
			return rc;
		if (bad) {
			if (f->summing) {
				ds_complain(err);
				f->bad++;
			}
			continue;
		}
		if (f->summing)
			ds_digest_add(&f->of, item.in, item.n_in);
		ds_progress_at(f->progress, ++f->given, NULL);
		*in = item.in;
		*n_in = item.n_in;
		return DS_OK;
	}
	return DS_END;
}

/* The first pass is the one that is summed and complains. */
static inline ds_status feed_rewind(void *arg, ds_err *err)
{
	feed *f = arg;
	f->summing = f->of.bytes == 0;
	f->given = 0;
	return f->summing ? DS_OK : f->from->rewind(f->from, err);
}

static inline void feed_done(feed *f)
{
	ds_progress_free(f->progress);
	if (f->from)
		f->from->free(f->from);
}

/* --equalize auto: where depthwise convolutions are, whose channels differ most.  how: auto yes no. */
static inline bool feed_equalize(int how, const ds_graph *g)
{
	for (int i = 0; i < g->n_node && how == 0; i++) {
		const ds_attr *group = ds_attr_find(g->node[i], "group");
		if (strcmp(g->node[i]->op_name, "Conv") == 0 && group && group->u.i > 1 && g->node[i]->in[1]->type.dim[1] == 1)
			return true;
	}
	return how == 1;
}

#endif
