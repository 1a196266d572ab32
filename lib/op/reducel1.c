/* reducel1.c - ReduceL1: sum of absolute values over axes */
#include "reduce.h"

DS_REDUCE_OP(ReduceL1, DS_R_L1)
