/* grad.h - emitting nodes: what the `gradient` columns, losses and other graph builders write with
 *
 * An emitter remembers the first failure; after it every call answers NULL and does nothing, so that a gradient reads as one straight line and is checked once, by
 * ds_emit_end.  Nodes are appended in execution order; attributes are parsed by ds_graph_verify, types inferred by binding. */
#ifndef DS_OP_GRAD_H
#define DS_OP_GRAD_H

#include "../graph/op.h"

typedef struct ds_emit { ds_graph *g; ds_err *err; ds_status rc; } ds_emit;

ds_emit   ds_emit_begin(ds_graph *g, ds_err *err);
/* The first failure, or DS_OK. */
ds_status ds_emit_end(ds_emit *e);

/* A node of ONNX's vocabulary; "ds.Name" for our own.  in[] may hold NULL for absent inputs.  Its outputs are node->out[0 .. n_out). */
ds_node  *ds_emit_node(ds_emit *e, const char *op, int n_in, ds_value *const *in, int n_out);
/* The same with one output, which is returned. */
ds_value *ds_emit_op(ds_emit *e, const char *op, int n_in, ds_value *const *in);
ds_value *ds_emit1(ds_emit *e, const char *op, ds_value *a);
ds_value *ds_emit2(ds_emit *e, const char *op, ds_value *a, ds_value *b);
ds_value *ds_emit3(ds_emit *e, const char *op, ds_value *a, ds_value *b, ds_value *c);
/* Attributes of the node that makes v (NULL allowed after a failure). */
void      ds_emit_i(ds_emit *e, ds_value *v, const char *key, int64_t i);
void      ds_emit_f(ds_emit *e, ds_value *v, const char *key, double f);
void      ds_emit_s(ds_emit *e, ds_value *v, const char *key, const char *s);
void      ds_emit_is(ds_emit *e, ds_value *v, const char *key, int count, const int64_t *i);
/* One attribute of another node. */
void      ds_emit_attr(ds_emit *e, ds_value *v, const ds_attr *a);
/* All attributes of node `from` that v's node does not have yet (a gradient operator with the attributes of its operator). */
void      ds_emit_attrs(ds_emit *e, ds_value *v, const ds_node *from);

/* Constants: a scalar, a scalar of a float type, a vector of integers. */
ds_value *ds_emit_f32(ds_emit *e, float v);
ds_value *ds_emit_scalar(ds_emit *e, ds_dtype dtype, double v);
ds_value *ds_emit_i64(ds_emit *e, int64_t v);
ds_value *ds_emit_ints(ds_emit *e, int count, const int64_t *v);

/* v with the dims of `t` (concrete, as many elements). */
ds_value *ds_emit_reshape(ds_emit *e, ds_value *v, const ds_type *t);
/* Sum v, whose dims are those of `from`, over the axes along which `to` was broadcast to it (numpy's rules): a value with the dims of `to`. */
ds_value *ds_emit_reduce_to(ds_emit *e, ds_value *v, const ds_type *from, const ds_type *to);
/* Broadcast v to the dims of `to`. */
ds_value *ds_emit_expand(ds_emit *e, ds_value *v, const ds_type *to);
/* Sum or mean over the axes given, kept as extent 1 or dropped. */
ds_value *ds_emit_reduce(ds_emit *e, const char *op, ds_value *v, int count, const int64_t *axes, bool keep);

/* Is this the type of values that have gradients (f32, f64, f16, bf16)? */
bool      ds_grad_float(const ds_value *v);

#endif
