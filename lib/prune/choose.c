/* choose.c - how many channels stay in each group, which ones, and the plan as text */
#include "prune.h"
#include "../base/str.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- how many ------------------------------------------------------------------------------------------------------------------ */
static int settle(const ds_prune_opts *o, int classes, int64_t keep)
{
	if (o->round > 1)
		keep = (keep + o->round - 1) / o->round * o->round;
	keep = DS_MAX(keep, DS_MAX(o->min_keep, 1));
	return (int)DS_MIN(keep, classes);
}

typedef struct rank { double score; int cls; } rank;

static int by_score(const void *a, const void *b)
{
	const rank *x = a, *y = b;
	if (x->score != y->score)
		return x->score < y->score ? -1 : 1;
	return y->cls - x->cls;                 /* of equals the later one goes first */
}

static void freeze(ds_structure *s, const ds_prune_opts *o)
{
	for (int i = 0; o->allowed && i < s->n_cls; i++)
		for (int k = 0; k < s->cls[i].n; k++) {
			const ds_pelem *e = &s->elem[s->cls[i].first + k];
			if (!e->source || s->frozen[s->cls[i].group])
				continue;
			for (int w = 0; w < s->g->n_weight; w++)
				if (s->g->weight[w]->id == e->value && !o->allowed(o->arg, s->g->weight[w]->name))
					s->frozen[s->cls[i].group] = 1;
		}
}

ds_status ds_prune_choose(ds_structure *s, const ds_prune_opts *o, ds_err *err)
{
	freeze(s, o);
	if (!o->global) {
		for (int i = 0; i < s->n_group; i++) {
			ds_pgroup *g = &s->group[i];
			g->keep = s->frozen[i] ? g->classes : settle(o, g->classes, g->classes - (int64_t)floor(g->classes * o->ratio + 1e-9));
		}
		return DS_OK;
	}
	/* Global: the worst units of all groups; scores are relative to their layer's mean. */
	rank *list = ds_calloc((size_t)s->n_cls + 1, sizeof *list);
	if (!list)
		return ds_fail_nomem(err, 0);
	int n = 0;
	for (int i = 0; i < s->n_cls; i++)
		if (!s->frozen[s->cls[i].group])
			list[n++] = (rank){ s->cls[i].score, i };
	qsort(list, (size_t)n, sizeof *list, by_score);
	int64_t go = (int64_t)floor(n * o->ratio + 1e-9);
	for (int i = 0; i < s->n_group; i++)
		s->group[i].keep = s->group[i].classes;
	for (int i = 0; i < n && go > 0; i++) {
		ds_pgroup *g = &s->group[s->cls[list[i].cls].group];
		if (g->keep > DS_MAX(o->min_keep, 1)) {
			g->keep--;
			go--;
		}
	}
	for (int i = 0; i < s->n_group; i++)
		if (!s->frozen[i])
			s->group[i].keep = settle(o, s->group[i].classes, s->group[i].keep);
	ds_free(list);
	return DS_OK;
}

void ds_prune_mark(ds_structure *s)
{
	rank *list = ds_calloc((size_t)s->n_cls + 1, sizeof *list);
	int *left = ds_calloc((size_t)s->n_group + 1, sizeof *left);
	if (list && left) {
		for (int i = 0; i < s->n_group; i++)
			left[i] = s->group[i].classes - s->group[i].keep;
		for (int i = 0; i < s->n_cls; i++)
			list[i] = (rank){ s->cls[i].score, i };
		qsort(list, (size_t)s->n_cls, sizeof *list, by_score);
		for (int i = 0; i < s->n_cls; i++) {
			ds_pclass *c = &s->cls[list[i].cls];
			c->cut = left[c->group] > 0;
			left[c->group] -= c->cut;
		}
	}
	ds_free(list);
	ds_free(left);
}

/* ---- the plan as text ------------------------------------------------------------------------------------------------------------ */
void ds_prune_plan_write(const ds_structure *s, const ds_prune_plan_head *h, ds_buf *b)
{
	ds_buf_printf(b, "# ds-prune plan 1\n# model\t%08x:%" PRIu64 "\n# criterion\t%s\n# seed\t%" PRIu64 "\n", h->crc, h->len, h->criterion, h->seed);
	ds_buf_str(b, "group\tlayers\tchannels\tkeep\n");
	for (int i = 0; i < s->n_group; i++) {
		ds_text_quote(b, s->group[i].name, strlen(s->group[i].name));
		ds_buf_printf(b, "\t%d\t%d\t%d\n", s->group[i].layers, s->group[i].classes, s->group[i].keep);
	}
}

/* The next line into `line` (cut at its size); false at the end. */
static bool next_line(const char **p, const char *end, char *line, size_t size)
{
	if (*p >= end)
		return false;
	const char *nl = memchr(*p, '\n', (size_t)(end - *p));
	size_t n = (size_t)((nl ? nl : end) - *p);
	size_t m = DS_MIN(n, size - 1);
	memcpy(line, *p, m);
	line[m] = 0;
	*p += n + (nl != NULL);
	return true;
}

ds_status ds_prune_plan_head_read(const char *text, size_t n, ds_prune_plan_head *h, ds_err *err)
{
	char line[600], key[32], value[64];
	const char *p = text, *end = text + n;
	bool first = true;
	*h = (ds_prune_plan_head){ .criterion = "" };
	while (next_line(&p, end, line, sizeof line) && line[0] == '#') {
		if (first && strcmp(line, "# ds-prune plan 1") != 0)
			break;
		first = false;
		if (sscanf(line, "# %31s %63s", key, value) != 2)
			continue;
		if (strcmp(key, "model") == 0 && sscanf(value, "%8" SCNx32 ":%" SCNu64, &h->crc, &h->len) != 2)
			return ds_fail(err, DS_E_INPUT, "the plan's line \"%.80s\" is not a fingerprint", line);
		if (strcmp(key, "criterion") == 0)
			snprintf(h->criterion, sizeof h->criterion, "%.31s", value);
		int64_t seed;
		if (strcmp(key, "seed") == 0 && ds_parse_i64(value, &seed))
			h->seed = (uint64_t)seed;
	}
	if (first)
		return ds_fail(err, DS_E_INPUT, "not a plan of ds-prune (its first line is \"# ds-prune plan 1\")");
	return DS_OK;
}

static ds_status plan_row(ds_structure *s, const char *line, int number, ds_err *err)
{
	char copy[600], *field[4];
	int n = 0;
	snprintf(copy, sizeof copy, "%s", line);
	for (char *q = copy; q && n < 4; n++) {
		field[n] = q;
		q = strchr(q, '\t');
		if (q)
			*q++ = 0;
	}
	int64_t channels, keep;
	if (n != 4 || !ds_parse_i64(field[2], &channels) || !ds_parse_i64(field[3], &keep))
		return ds_fail(err, DS_E_INPUT, "line %d of the plan does not have the columns group, layers, channels, keep", number);
	for (int i = 0; i < s->n_group; i++) {
		ds_buf name = { 0 };
		ds_text_quote(&name, s->group[i].name, strlen(s->group[i].name));
		bool oom = name.oom, same = !oom && name.data && strcmp(name.data, field[0]) == 0;
		ds_buf_done(&name);
		if (oom)
			return ds_fail_nomem(err, 0);
		if (!same)
			continue;
		if (channels != s->group[i].classes)
			return ds_fail(err, DS_E_INPUT, "line %d of the plan: group \"%.100s\" has %d channels, not %" PRId64, number, field[0], s->group[i].classes, channels);
		if (keep < 1 || keep > channels)
			return ds_fail(err, DS_E_INPUT, "line %d of the plan: keep is %" PRId64 ", it must be 1 to %" PRId64, number, keep, channels);
		s->group[i].keep = (int)keep;
		return DS_OK;
	}
	return ds_fail(err, DS_E_INPUT, "line %d of the plan: the model has no group \"%.100s\"", number, field[0]);
}

ds_status ds_prune_plan_apply(ds_structure *s, const char *text, size_t n, const ds_model *m, bool force, ds_err *err)
{
	ds_prune_plan_head h;
	DS_TRY(ds_prune_plan_head_read(text, n, &h, err));
	if (!force && (h.crc != m->id_crc || h.len != m->id_len))
		return ds_fail(err, DS_E_INPUT, "the plan was made for another model (%08x:%" PRIu64 ", this one is %08x:%" PRIu64 "); --force obeys it all the same", h.crc,
			h.len, m->id_crc, m->id_len);
	char line[600];
	const char *p = text, *end = text + n;
	bool header = false;
	for (int number = 1; next_line(&p, end, line, sizeof line); number++) {
		if (line[0] == '#' || !line[0])
			continue;
		if (!header && strncmp(line, "group\t", 6) == 0) {
			header = true;
			continue;
		}
		DS_TRY(plan_row(s, line, number, err));
	}
	return DS_OK;
}
