/* knapsack.h - one choice for each of n things, so that the damage is least and the cost fits */
#ifndef DS_PROFILE_KNAPSACK_H
#define DS_PROFILE_KNAPSACK_H

#include "../base/mem.h"

typedef struct ds_choice { uint64_t cost; double damage; } ds_choice;           /* damage: finite, 0 or more */

/* choice[i * width .. + n_choice[i]): of thing i.  pick[i] gets the number of the one that is taken.  The multiple-choice knapsack by dynamic programming over the
 * cost (Kellerer et al. 2004, 11.5): exact when `unit` divides every cost and budget / unit is at most DS_KNAPSACK_STEPS / n; else costs are rounded up to a coarser
 * unit, so that the budget holds all the same.  Of equal damages the one of less cost is taken, then the one of smaller numbers.
 * DS_E_CHECK: not even the cheapest choices fit; the text says how much they cost. */
#define DS_KNAPSACK_STEPS ((uint64_t)1 << 26)
ds_status ds_knapsack(int n, const int *n_choice, const ds_choice *choice, int width, uint64_t budget, uint64_t unit, int *pick, ds_err *err);

#endif
