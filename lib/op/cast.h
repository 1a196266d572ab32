/* cast.h - conversion between element types, shared by Cast and CastLike */
#ifndef DS_OP_CAST_H
#define DS_OP_CAST_H

#include "infer.h"

/* out = in converted to out's type with ONNX's rules, in any layouts. */
ds_status ds_cast_run(ds_pool *pool, const ds_tensor *in, ds_tensor *out, ds_err *err);

#endif
