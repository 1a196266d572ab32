/* reducemean.c - ReduceMean: mean over axes; integers truncate */
#include "reduce.h"

DS_REDUCE_OP(ReduceMean, DS_R_MEAN)
