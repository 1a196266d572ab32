/* reducesum.c - ReduceSum: sum over axes */
#include "reduce.h"

DS_REDUCE_OP(ReduceSum, DS_R_SUM)
