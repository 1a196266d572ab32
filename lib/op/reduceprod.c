/* reduceprod.c - ReduceProd: product over axes */
#include "reduce.h"

DS_REDUCE_OP(ReduceProd, DS_R_PROD)
