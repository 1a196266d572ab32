/* reducemin.c - ReduceMin: smallest element over axes, NaN if there is one */
#include "reduce.h"

DS_REDUCE_OP(ReduceMin, DS_R_MIN)
