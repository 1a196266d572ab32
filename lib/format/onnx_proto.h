/* onnx_proto.h - the messages of onnx.proto that the importer needs, as structs in an arena; names become C strings, data stay spans of the file */
#ifndef DS_ONNX_PROTO_H
#define DS_ONNX_PROTO_H

#include "../base/opt.h"
#include "../tensor/tensor.h"
#include "onnx_wire.h"

/* TensorProto.  Values lie in `raw`, in typed fields (msg is read again for them), or in a file beside the model. */
typedef struct ds_otensor {
	const char *name;
	int         type;               /* TensorProto.DataType */
	int         rank;
	int64_t     dim[DS_MAX_RANK];
	ds_span     msg, raw;
	bool        has_raw, external;
	const char *location;           /* external: plain file name */
	int64_t     ext_offset, ext_length;     /* length -1: not stated */
} ds_otensor;

enum { DS_OA_FLOAT = 1, DS_OA_INT, DS_OA_STRING, DS_OA_TENSOR, DS_OA_GRAPH, DS_OA_FLOATS, DS_OA_INTS, DS_OA_STRINGS };

typedef struct ds_oattr {
	const char *name, *ref;         /* ref: in a function's body, the caller's attribute that stands here */
	int         type;               /* DS_OA_*, or a number of onnx.proto that is not supported */
	double      f;
	int64_t     i;
	const char *s; bool s_text;     /* s_text: fits the container's text rule */
	ds_span     t, g;
	ds_floats   floats;
	ds_ints     ints;
	ds_strs     strs;
} ds_oattr;

typedef struct ds_onode {
	const char *op, *domain, *name, *overload;
	const char **in, **out;         /* "" = absent */
	ds_oattr   *attr;
	int         n_in, n_out, n_attr;
} ds_onode;

typedef struct ds_ovalue {              /* ValueInfoProto */
	const char *name;
	bool        is_tensor;          /* false: a sequence, map or optional; typed: a type is stated */
	bool        typed;
	int         elem;               /* TensorProto.DataType, 0: not stated */
	int         rank;               /* -1: not stated, -2: more than DS_MAX_RANK */
	int64_t     dim[DS_MAX_RANK];   /* -1: unknown, see param */
	const char *param[DS_MAX_RANK]; /* name of a symbolic dim, NULL: none */
} ds_ovalue;

typedef struct ds_ograph {
	const char *name;
	ds_onode   *node;  size_t n_node;
	ds_otensor *init;  size_t n_init;
	ds_ovalue  *in;    size_t n_in;
	ds_ovalue  *out;   size_t n_out;
	ds_ovalue  *info;  size_t n_info;
	size_t      n_sparse;           /* sparse initialisers: refused */
} ds_ograph;

typedef struct ds_oset { const char *domain; int64_t version; } ds_oset;

typedef struct ds_ofunc {
	const char *name, *domain, *overload;
	const char **in, **out;
	ds_onode   *node;
	ds_oattr   *attr;               /* attributes with defaults */
	ds_oset    *set;
	int         n_in, n_out, n_node, n_attr, n_set;
} ds_ofunc;

typedef struct ds_omodel {
	int64_t     ir_version;
	const char *producer;
	ds_ograph   graph;
	bool        has_graph;
	ds_oset    *set;   size_t n_set;
	ds_ofunc   *func;  size_t n_func;
	const char **meta_key, **meta_value; size_t n_meta;
} ds_omodel;

/* Parse into *out; everything that is allocated lives in the arena.  base is the start of the file (for offsets in messages).
 * DS_E_INPUT, DS_E_NOMEM. */
ds_status ds_onnx_model_parse(ds_omodel *out, ds_arena *a, ds_span msg, const uint8_t *base, ds_err *err);
ds_status ds_onnx_graph_parse(ds_ograph *out, ds_arena *a, ds_span msg, const uint8_t *base, ds_err *err);
ds_status ds_onnx_tensor_parse(ds_otensor *out, ds_arena *a, ds_span msg, const uint8_t *base, ds_err *err);

#endif
