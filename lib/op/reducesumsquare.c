/* reducesumsquare.c - ReduceSumSquare: sum of squares over axes */
#include "reduce.h"

DS_REDUCE_OP(ReduceSumSquare, DS_R_SUM_SQUARE)
