/* knapsack.c - the multiple-choice knapsack by dynamic programming */
#include "knapsack.h"

#include <inttypes.h>
#include <math.h>

static uint64_t up(uint64_t cost, uint64_t unit)
{
	return cost / unit + (cost % unit != 0);
}

/* best[c]: least damage of the things so far at cost c or less, infinite: none; which[i][c]: the choice of thing i that made it. */
static void add_thing(double *best, double *next, uint8_t *which, uint64_t room, const ds_choice *choice, int n, uint64_t unit)
{
	for (uint64_t c = 0; c <= room; c++) {
		next[c] = HUGE_VAL;
		which[c] = UINT8_MAX;
	}
	for (int k = 0; k < n; k++) {
		uint64_t w = up(choice[k].cost, unit);
		for (uint64_t c = w; c <= room; c++) {
			double d = best[c - w] + choice[k].damage;
			if (d < next[c]) {
				next[c] = d;
				which[c] = (uint8_t)k;
			}
		}
	}
}

ds_status ds_knapsack(int n, const int *n_choice, const ds_choice *choice, int width, uint64_t budget, uint64_t unit, int *pick, ds_err *err)
{
	uint64_t least = 0, most = 0;
	for (int i = 0; i < n; i++) {
		uint64_t a = UINT64_MAX, b = 0;
		for (int k = 0; k < n_choice[i]; k++) {
			a = DS_MIN(a, choice[(size_t)i * (size_t)width + (size_t)k].cost);
			b = DS_MAX(b, choice[(size_t)i * (size_t)width + (size_t)k].cost);
		}
		least += a;
		most += b;
	}
	if (least > budget)
		return ds_fail(err, DS_E_CHECK, "the budget leaves %" PRIu64 " bytes, and the cheapest choices take %" PRIu64, budget, least);
	budget = DS_MIN(budget, most);
	unit = DS_MAX(unit, 1);
	while (budget / unit > DS_KNAPSACK_STEPS / (uint64_t)DS_MAX(n, 1))
		unit *= 2;
	for (int tries = 0;; tries++, unit = DS_MAX(unit / 2, 1)) {     /* rounded up, even the cheapest might not fit */
		uint64_t coarse = 0;
		for (int i = 0; i < n; i++) {
			uint64_t a = UINT64_MAX;
			for (int k = 0; k < n_choice[i]; k++)
				a = DS_MIN(a, up(choice[(size_t)i * (size_t)width + (size_t)k].cost, unit));
			coarse += a;
		}
		if (coarse <= budget / unit)
			break;
		if (tries == 3 || unit == 1)
			return ds_fail(err, DS_E_CHECK, "the budget is too close to that of the cheapest choices, %" PRIu64 " bytes", least);
	}
	size_t room = (size_t)(budget / unit);
	double *best = ds_calloc(room + 1, sizeof *best), *next = ds_calloc(room + 1, sizeof *next);
	uint8_t *which = ds_calloc((size_t)DS_MAX(n, 1), room + 1);
	ds_status rc = best && next && which ? DS_OK : ds_fail_nomem(err, (size_t)n * room);
	for (int i = 0; i < n && rc == DS_OK; i++) {
		add_thing(best, next, which + (size_t)i * (room + 1), room, choice + (size_t)i * (size_t)width, n_choice[i], unit);
		double *swap = best;
		best = next;
		next = swap;
	}
	size_t at = room;
	while (rc == DS_OK && at > 0 && best[at - 1] <= best[at])       /* what costs less for the same damage */
		at--;
	for (int i = n - 1; i >= 0 && rc == DS_OK; i--) {
		uint8_t k = which[(size_t)i * (room + 1) + at];
		if (k == UINT8_MAX) {
			rc = ds_fail(err, DS_E_INTERNAL, "the knapsack has no way back");
			break;
		}
		pick[i] = k;
		at -= (size_t)up(choice[(size_t)i * (size_t)width + (size_t)k].cost, unit);
	}
	ds_free(best);
	ds_free(next);
	ds_free(which);
	return rc;
}
