/* onnx.h - inside of the ONNX importer: what its files share, and the reader of single TensorProto files for the tests */
#ifndef DS_ONNX_H
#define DS_ONNX_H

#include "format.h"
#include "onnx_proto.h"

/* ---- tensors (onnx_tensor.c) ----------------------------------------------------------------------------------------------------- */
typedef struct ds_ofile { char *name; ds_buffer *map; } ds_ofile;       /* a file of external data, mapped */
/* Where the bytes of tensors come from. */
typedef struct ds_odata {
	ds_buffer  *file;               /* the whole model */
	int         dir;                /* directory of the model, -1: not a file; external data are refused */
	const char *no_dir;             /* errno's text when the directory could not be opened */
	ds_ofile   *ext;  size_t n_ext, cap_ext;
} ds_odata;
/* path of the model, NULL: a stream.  Takes no reference to file. */
void      ds_odata_init(ds_odata *d, ds_buffer *file, const char *path);
void      ds_odata_done(ds_odata *d);
/* Make the tensor of a TensorProto: a view of the file's bytes where they lie at a multiple of 64, else a copy.  DS_E_UNSUPPORTED names the tensor
 * when its type has no counterpart here or its data lie elsewhere than beside the model; DS_E_INPUT when length and dims disagree. */
ds_status ds_onnx_tensor(ds_tensor *out, ds_odata *d, const ds_otensor *t, ds_err *err);
/* The same for a file that is one TensorProto (test data).  *name (may be NULL) is its name, freed by the caller. */
ds_status ds_onnx_tensor_file(ds_tensor *out, char **name, const void *p, size_t n, ds_err *err);
/* What ONNX calls an element type: "string", "float8e4m3fn"; "?" for numbers that it has not given. */
const char *ds_onnx_type_name(int type);

/* ---- names ------------------------------------------------------------------------------------------------------------------------ */
typedef struct ds_omap_slot { const char *key; void *value; } ds_omap_slot;
typedef struct ds_omap { ds_omap_slot *slot; size_t n, cap; } ds_omap;     /* name -> pointer; keys are borrowed */
void  *ds_omap_get(const ds_omap *m, const char *key);                     /* NULL: absent */
/* Set or replace; false: no memory. */
bool   ds_omap_set(ds_omap *m, const char *key, void *value);
void   ds_omap_done(ds_omap *m);

/* ---- import (onnx.c, onnx_build.c) -------------------------------------------------------------------------------------------------- */
/* Names that are visible at a place: those of a graph and of the graphs around it.  A function's body sees only its own. */
typedef struct ds_oscope {
	struct ds_oscope *up;           /* enclosing scope, NULL: none */
	struct ds_oscope *caller;       /* of a function's body: where the call stands */
	ds_omap           value;        /* ONNX name -> ds_value */
	ds_omap           stated;       /* ONNX name -> ds_ovalue of value_info */
	ds_omap           rename;       /* of a function's body: its outputs -> their names at the caller */
	const char       *prefix;       /* of values and nodes of a function's body, "" elsewhere */
	const ds_oattr   *attr; int n_attr;     /* of a function's body: the attributes of the call, defaults filled in */
	ds_graph         *g;
	const ds_oset    *set; size_t n_set;    /* operator sets in force */
} ds_oscope;

typedef struct ds_ofix { ds_node *n; int kind; } ds_ofix;               /* nodes to be looked at when types are known */
typedef struct ds_ostated { ds_value *v; const ds_ovalue *info; } ds_ostated;
enum { DS_OFIX_SOFTMAX };

/* One import that is running. */
typedef struct ds_oimport {
	const ds_import *o;
	ds_arena         arena;         /* messages and names; freed at the end of the import */
	const uint8_t   *base;
	ds_omodel        om;
	ds_odata         data;
	ds_model        *m;
	ds_omap          names;         /* of values, in use in the model -> anything */
	ds_omap          node_names;
	ds_omap          reserved;      /* names of the main graph's inputs, outputs and initialisers */
	ds_omap          symbols;       /* dim_param -> its number + 1 */
	ds_ofix         *fix;    size_t n_fix, cap_fix;
	ds_ostated      *stated; size_t n_stated, cap_stated;
	size_t           serial;        /* for names that must be made unique */
	size_t           n_node;        /* nodes made so far, functions unfolded */
	int              depth;         /* of graphs and functions */
} ds_oimport;

/* A node on its way in: upgrades change it, then it is appended to the graph.  Arrays lie in the import's arena. */
typedef struct ds_odraft {
	ds_oimport  *im;
	ds_oscope   *sc;
	const char  *op, *domain, *name; /* name: as it stands in the file */
	int64_t      version;           /* of the operator set that the node was written for */
	ds_value   **in;                /* room for DS_ODRAFT_ROOM more */
	const char **out;               /* ONNX names, "" = not wanted */
	ds_oattr    *attr;              /* room for DS_ODRAFT_ROOM more */
	int          n_in, n_out, n_attr, cap_attr;
	ds_node     *made;              /* set by ds_odraft_emit: no more is to be done */
} ds_odraft;
enum { DS_ODRAFT_ROOM = 8 };

/* Append the draft as a node and give its outputs their names. */
ds_status ds_odraft_emit(ds_odraft *d, ds_err *err);
/* Bind the ONNX name of output i to v.  DS_E_INPUT when the name is taken. */
ds_status ds_odraft_bind(ds_odraft *d, int i, ds_value *v, ds_err *err);
const ds_oattr *ds_odraft_attr(const ds_odraft *d, const char *name);  /* NULL: absent */
void      ds_odraft_del(ds_odraft *d, const char *name);
ds_status ds_odraft_set(ds_odraft *d, const ds_oattr *a, ds_err *err);
/* Put v at input i, absent inputs before it. */
ds_status ds_odraft_input(ds_odraft *d, int i, ds_value *v, ds_err *err);
/* A weight from a tensor, as constant (64 bytes or less, unless it is an array of floats that `param` wants kept as a parameter) or parameter.
 * Takes the reference to t in every case. */
ds_value *ds_oimport_weight(ds_oimport *im, ds_oscope *sc, const char *name, ds_tensor *t, bool param, ds_err *err);
/* A value's name that fits the text rule and that nothing has yet ("" stays ""); NULL: no memory. */
const char *ds_oimport_name(ds_oimport *im, ds_oscope *sc, const char *name);

/* Bring a draft from its operator set to DS_OPSET (onnx_upgrade.c).  DS_E_UNSUPPORTED where that is not possible. */
ds_status ds_onnx_upgrade(ds_odraft *d, ds_err *err);
/* The upgrades that need types (onnx_upgrade.c). */
ds_status ds_onnx_upgrade_typed(ds_oimport *im, ds_err *err);
/* Turn DequantizeLinear of constant weights into quantised parameters (onnx_qdq.c).  *n counts. */
ds_status ds_onnx_qdq(ds_graph *g, int *n, ds_err *err);
/* Build the graph of the parsed model (onnx_build.c). */
ds_status ds_onnx_build(ds_oimport *im, ds_err *err);
/* Give node outputs that inference could not type the types that the file states for them. */
void      ds_onnx_fill_stated(ds_oimport *im);

#endif
