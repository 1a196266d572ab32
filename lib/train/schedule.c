/* schedule.c - learning rates by step */
#include "train.h"

#include <math.h>
#include <string.h>

/* Linear from 0 over the warm-up; -1 when it is over.  The first step is not 0. */
static double warm(const ds_schedule_opts *o, int64_t step)
{
	return step < o->warmup ? o->lr * (double)(step + 1) / (double)o->warmup : -1;
}

/* Share of the way from the end of the warm-up to the last step, 0 .. 1. */
static double way(const ds_schedule_opts *o, int64_t step)
{
	int64_t n = o->steps - o->warmup - 1;
	return n <= 0 ? 1 : DS_MIN((double)(step - o->warmup) / (double)n, 1.0);
}

static double constant(const ds_schedule_opts *o, int64_t step)
{
	double w = warm(o, step);
	return w >= 0 ? w : o->lr;
}

static double cosine(const ds_schedule_opts *o, int64_t step)
{
	double w = warm(o, step), floor = o->final * o->lr;
	return w >= 0 ? w : floor + (o->lr - floor) * .5 * (1 + cos(M_PI * way(o, step)));
}

static double linear(const ds_schedule_opts *o, int64_t step)
{
	double w = warm(o, step), floor = o->final * o->lr;
	return w >= 0 ? w : floor + (o->lr - floor) * (1 - way(o, step));
}

/* One cycle (Smith & Topin 2018, arXiv:1708.07120): up from a 25th of the peak by cosine over the warm-up (30 % of the steps when none is given), down to final. */
static double onecycle(const ds_schedule_opts *o, int64_t step)
{
	int64_t up = o->warmup > 0 ? o->warmup : (int64_t)(.3 * (double)o->steps);
	double low = o->lr / 25, floor = o->final * o->lr;
	if (step < up)
		return low + (o->lr - low) * .5 * (1 - cos(M_PI * (double)(step + 1) / (double)up));
	double w = o->steps - up - 1 <= 0 ? 1 : DS_MIN((double)(step - up) / (double)(o->steps - up - 1), 1.0);
	return floor + (o->lr - floor) * .5 * (1 + cos(M_PI * w));
}

static double step_down(const ds_schedule_opts *o, int64_t step)
{
	double w = warm(o, step);
	return w >= 0 ? w : o->lr * pow(o->drop, o->every > 0 ? (double)(step / o->every) : 0);
}

/* Warm-up, stable, decay: the last fifth goes down in a line (Hu et al. 2024, arXiv:2404.06395). */
static double wsd(const ds_schedule_opts *o, int64_t step)
{
	double w = warm(o, step), floor = o->final * o->lr;
	int64_t from = o->steps - o->steps / 5;
	if (w >= 0)
		return w;
	if (step < from)
		return o->lr;
	return o->lr + (floor - o->lr) * DS_MIN((double)(step - from + 1) / (double)DS_MAX(o->steps - from, 1), 1.0);
}

static const ds_schedule table[] = {
	{ "constant", constant, "the same rate to the end" },
	{ "cosine", cosine, "down along half a cosine" },
	{ "onecycle", onecycle, "up over the first 30 % of the steps, then down along a cosine" },
	{ "step", step_down, "times --drop every --drop-every epochs" },
	{ "linear", linear, "down in a line" },
	{ "wsd", wsd, "the same rate, down in a line over the last fifth" },
};
static const ds_schedule *const rows[] = { &table[0], &table[1], &table[2], &table[3], &table[4], &table[5] };

const ds_schedule *ds_schedule_find(const char *name)
{
	for (size_t i = 0; i < DS_COUNTOF(rows); i++)
		if (strcmp(rows[i]->name, name) == 0)
			return rows[i];
	return NULL;
}

const ds_schedule *const *ds_schedule_all(int *n)
{
	*n = (int)DS_COUNTOF(rows);
	return rows;
}
