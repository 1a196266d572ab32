/* ops.h - declarations of every operator row, from ops.def */
#ifndef DS_OPS_H
#define DS_OPS_H

#include "../graph/op.h"

#define DS_OP(name) extern const ds_op ds_op_##name;
#include "ops.def"
#undef DS_OP

#endif
