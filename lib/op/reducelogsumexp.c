/* reducelogsumexp.c - ReduceLogSumExp: logarithm of the sum of exponentials over axes, without overflow */
#include "reduce.h"

DS_REDUCE_OP(ReduceLogSumExp, DS_R_LOG_SUM_EXP)
