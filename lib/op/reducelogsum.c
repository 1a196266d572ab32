/* reducelogsum.c - ReduceLogSum: logarithm of the sum over axes */
#include "reduce.h"

DS_REDUCE_OP(ReduceLogSum, DS_R_LOG_SUM)
