/* reducemax.c - ReduceMax: largest element over axes, NaN if there is one */
#include "reduce.h"

DS_REDUCE_OP(ReduceMax, DS_R_MAX)
