/* spec.h - what the files of the spec format (ds-spec(5)) share: tokens, values, the network that is being built, the layers
 *
 * A description is cut into tokens once (spec_lex.c) and then carried out line by line (spec.c, spec_call.c, spec_header.c): repeat and def run the
 * same tokens again.  Every layer appends nodes to the graph and infers their types at once (spec_layer.c, spec_param.c, spec_block.c), so that sizes
 * which follow need not be written.  Parameters are filled as they are made (spec_init.c), each from its own random stream, whose number is made of
 * its name. */
#ifndef DS_FORMAT_SPEC_H
#define DS_FORMAT_SPEC_H

#include "format.h"
#include "onnx.h"       /* ds_omap */

/* ---- tokens -------------------------------------------------------------------------------------------------------------------------- */
enum {          /* kinds beside single characters */
	SPEC_T_END = 0, SPEC_T_LINE = 256, SPEC_T_NAME, SPEC_T_NUMBER, SPEC_T_TEXT,
	SPEC_T_FLOOR /* // */, SPEC_T_EQ, SPEC_T_NE, SPEC_T_LE, SPEC_T_GE, SPEC_T_AND, SPEC_T_OR
};
typedef struct spec_token {
	int         kind, line;
	bool        space;              /* white space stands before it */
	const char *text;               /* NAME, TEXT: what it says; others: as written, for messages */
	double      number;
} spec_token;

/* ---- values -------------------------------------------------------------------------------------------------------------------------- */
typedef enum spec_kind { SPEC_NUMBER, SPEC_WORD, SPEC_LIST, SPEC_LAYER } spec_kind;
typedef struct spec_val {
	spec_kind        kind;
	double           number;
	const char      *word;          /* WORD: a name that means nothing here, such as `he` in init=he, or a quoted text */
	bool             quoted;
	struct spec_val *item; int n;   /* LIST; of a WORD what stood in parentheses, normal(0.02) */
	ds_value        *layer;
} spec_val;

/* What stands on a layer's line after the operator. */
typedef struct spec_arg { const char *key; spec_val val; bool used; } spec_arg;
enum { SPEC_MAX_ARG = 32, SPEC_MAX_LIST = 64, SPEC_MAX_OUT = 16 };
typedef struct spec_call {
	const char *op;
	ds_value   *in[SPEC_MAX_ARG]; int n_in;         /* the layers that it reads */
	spec_val    pos[SPEC_MAX_ARG]; int n_pos;       /* sizes */
	spec_arg    key[SPEC_MAX_ARG]; int n_key;
	const char *name;                               /* of the layer, unique */
	int         n_out;                              /* results that are wanted */
	const char *out_name[SPEC_MAX_OUT];
} spec_call;

/* ---- the network that is being built ------------------------------------------------------------------------------------------------- */
typedef struct spec_bind { const char *name; spec_val val; bool set; /* by --set */ } spec_bind;
typedef struct spec_def { const char *name; int args, body; struct spec_def *next; } spec_def;         /* positions of tokens */

typedef struct spec {
	ds_arena         arena;
	const ds_import *o;
	const char      *file;
	spec_token      *tok; size_t n_tok, cap_tok;
	int              at;                            /* token that is read */
	ds_model        *m;
	ds_graph        *g;
	spec_bind       *bind; size_t n_bind, cap_bind;
	size_t           frame, outer;                  /* names of this def begin at `frame`; those outside all defs end at `outer` */
	spec_def        *def;
	spec_val         init;                          /* of the statement `init`; a WORD "" where there was none */
	ds_omap          names;                         /* of layers, inputs and parameters */
	ds_omap          symbols;
	const char      *prefix;                        /* of names: "stem." */
	ds_value        *cur;                           /* result of the last layer, `.` */
	ds_node         *soft;                          /* newest layer with a bias that nobody asked for: BatchNormalization takes it away */
	bool            *overridden;                    /* one for each --set: there is such a param */
	int              line;                          /* of the statement that runs */
	int              nested, depth, lines, layers;  /* of expressions; of calls of a def; what ran so far */
	uint64_t         bytes;                         /* of parameters */
} spec;

enum {
	SPEC_MAX_DEPTH = 16, SPEC_MAX_NESTED = 48, SPEC_MAX_LINES = 100000,
	SPEC_MAX_LAYERS = 20000, SPEC_MAX_FILE = 1 << 20, SPEC_MAX_SIZE = 1 << 30
};

/* A failure in the line of the statement that runs: err->where becomes FILE:LINE. */
ds_status ds_spec_fail(spec *s, ds_err *err, ds_status code, const char *fmt, ...) DS_PRINTF(4, 5);
/* The same for an err that a deeper function filled. */
ds_status ds_spec_here(spec *s, ds_status rc, ds_err *err);
/* Keep the candidate that is nearest to `word` in *best. */
void      ds_spec_nearer(const char *word, const char *candidate, const char **best, int *distance);
/* " (did you mean 'x'?)" or "". */
const char *ds_spec_hint(spec *s, const char *best);

/* ---- spec_lex.c, spec_expr.c --------------------------------------------------------------------------------------------------------- */
ds_status ds_spec_lex(spec *s, const char *text, size_t n, ds_err *err);
static inline const spec_token *spec_tok(const spec *s) { return &s->tok[s->at]; }
static inline bool spec_is(const spec *s, int kind) { return s->tok[s->at].kind == kind; }
bool      ds_spec_is_word(const spec *s, const char *word);        /* a NAME with this text */
ds_status ds_spec_expect(spec *s, int kind, const char *what, ds_err *err);
bool      ds_spec_at_end(const spec *s);                           /* of a statement: end of line, ; | { } */
/* One expression from the tokens. */
ds_status ds_spec_expr(spec *s, spec_val *out, ds_err *err);
/* The newest binding of a name that is visible here, NULL: none. */
spec_bind *ds_spec_find(spec *s, const char *name);
ds_status ds_spec_set(spec *s, const char *name, const spec_val *v, ds_err *err);
/* As a size or count: a whole number in [min, max].  `what` is said in the message. */
ds_status ds_spec_whole(spec *s, const spec_val *v, const char *what, int64_t min, int64_t max, int64_t *out, ds_err *err);
ds_status ds_spec_unknown(spec *s, const char *word, ds_err *err); /* "nothing is called ..." with a suggestion */

/* ---- spec.c, spec_call.c, spec_header.c ---------------------------------------------------------------------------------------------- */
typedef struct spec_statement { const char *word; ds_status (*run)(spec *s, ds_err *err); } spec_statement;
extern const spec_statement ds_spec_headers[];                     /* name param input output labels meta init; NULL-terminated */
/* Run statements up to the } of a block, which is read too, or to the end of the file. */
ds_status ds_spec_block(spec *s, ds_err *err);
/* From behind a { to behind its }. */
ds_status ds_spec_skip(spec *s, ds_err *err);
/* Behind the word `def`. */
ds_status ds_spec_def(spec *s, ds_err *err);
/* Layers with | between them; n_out names for the results (0: none), with which the names of several stages begin. */
ds_status ds_spec_pipeline(spec *s, int n_out, const char *const *names, ds_err *err);
/* NAME, ... = ..., with the position behind the =. */
ds_status ds_spec_assign(spec *s, int n, const char *const *names, ds_err *err);
/* A unique name: prefix and base; numbered: "conv1", "conv2"; else "x", "x_2".  NULL: no memory. */
const char *ds_spec_name(spec *s, const char *base, bool numbered);
/* KEY=VALUE as metadata of input or output i (or of the model: what == NULL). */
ds_status ds_spec_meta(spec *s, const char *what, int i, const char *key, const spec_val *v, ds_err *err);
/* What every description needs at its end: an output. */
ds_status ds_spec_finish_outputs(spec *s, ds_err *err);

/* ---- layers -------------------------------------------------------------------------------------------------------------------------- */
typedef struct spec_layer {
	const char *name;               /* as written */
	const char *base;               /* of the names of its layers: "conv" */
	const char *op;                 /* ONNX operator whose attributes it takes too, NULL: none */
	const char *keys;               /* its own keys, with spaces between them */
	int         n_in;               /* layers it reads; -1: any number */
	int         n_pos;              /* at most so many sizes */
	ds_status (*emit)(spec *s, const struct spec_layer *l, spec_call *c, ds_value **out, ds_err *err);
} spec_layer;
extern const spec_layer ds_spec_param_layers[], ds_spec_block_layers[];       /* NULL-terminated */
/* Is it an operator or a layer that a line may begin with? */
bool      ds_spec_layer_known(const char *name);
/* How layers of this operator are named: "conv".  NULL: no memory. */
const char *ds_spec_layer_base(spec *s, const char *name);
/* Make the layer: c->in, pos, key are set; out[0, c->n_out) are its results. */
ds_status ds_spec_layer_make(spec *s, spec_call *c, ds_value **out, ds_err *err);
void      ds_spec_layer_nearest(const char *word, const char **best, int *distance);

/* Find a key and mark it as used. */
const spec_val *ds_spec_key(spec_call *c, const char *key);
ds_status ds_spec_key_whole(spec *s, spec_call *c, const char *key, int64_t min, int64_t max, int64_t def, int64_t *out, ds_err *err);
/* Size i of the line (or the key), required when def < 0. */
ds_status ds_spec_size(spec *s, spec_call *c, int i, const char *what, int64_t def, int64_t *out, ds_err *err);
/* Concrete dim of a layer, counted from the end when negative. */
ds_status ds_spec_dim(spec *s, const ds_value *v, int axis, const char *what, int64_t *out, ds_err *err);
ds_status ds_spec_rank(spec *s, const spec_call *c, int min, int max, const char *hint, ds_err *err);

/* Append a node named `name` whose first output has the same name; attributes and inference are the caller's. */
ds_status ds_spec_node(spec *s, const char *op, const char *name, int n_in, ds_value *const *in, int n_out, ds_node **out, ds_err *err);
/* Give the node all keys of the line that are attributes of its operator. */
ds_status ds_spec_attrs(spec *s, spec_call *c, ds_node *n, ds_err *err);
/* Parse attributes, check the number of inputs, infer the types. */
ds_status ds_spec_done(spec *s, ds_node *n, ds_err *err);
/* A node without attributes, done; its name is LAYER.part (part NULL: LAYER). */
ds_status ds_spec_simple(spec *s, const char *op, const char *layer, const char *part, int n_in, ds_value *const *in, ds_value **out, ds_err *err);
ds_status ds_spec_ints(spec *s, const int64_t *v, int n, ds_value **out, ds_err *err);    /* constants; n == -1: a scalar */
/* Constants are small: what is large is a parameter and would be trained.  rank 0 (n 1) or 1. */
ds_status ds_spec_constant(spec *s, ds_dtype dtype, int rank, int64_t n, const float *v, ds_value **out, ds_err *err);
ds_status ds_spec_number(spec *s, double v, ds_dtype dtype, ds_value **out, ds_err *err);

/* ---- parameters (spec_init.c) -------------------------------------------------------------------------------------------------------- */
typedef struct spec_fill {
	const char *part;               /* name of the parameter after that of the layer: "weight" */
	int         rank;
	int64_t     dim[DS_MAX_RANK];
	int64_t     fan_in, fan_out;    /* for rules that depend on them */
	int64_t     blocks;             /* orthogonal: the matrix is that many square ones below each other; 0: 1 */
	const char *rule;               /* when neither the line nor `init` says another: "he", "zeros", "0.02" (normal) */
	bool        follows;            /* obeys the statement `init` */
} spec_fill;
/* Make the f32 parameter LAYER.part filled by the rule in `init` (NULL: fill->rule). */
ds_status ds_spec_param(spec *s, const char *layer, const spec_fill *fill, const spec_val *init, ds_value **out, ds_err *err);

#endif
