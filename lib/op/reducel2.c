/* reducel2.c - ReduceL2: square root of the sum of squares over axes */
#include "reduce.h"

DS_REDUCE_OP(ReduceL2, DS_R_L2)
