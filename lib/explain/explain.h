/* explain.h - why a prediction came out: maps over what went in
 *
 * A ds_explainer holds a model and what its methods share: predictions, and lenses, graphs that yield inner values together with the gradient of one
 * element of the model's first output (the logit, where a Softmax or Sigmoid makes it a probability) with respect to them.  A method is one row of
 * methods.def: it is given one item and one such element, the target, and appends maps.
 *
 * Nothing here reads a file or prints.  A map depends on the model, the item, the target, the options and the seed, and on nothing else: not on
 * threads, the batch, or other items. */
#ifndef DS_EXPLAIN_H
#define DS_EXPLAIN_H

#include "../exec/exec.h"

/* ---- maps --------------------------------------------------------------------------------------------------------------------- */
typedef enum ds_map_kind {
	DS_MAP_INPUT,                   /* a number for each element of the item: dims of the input without its batch axis */
	DS_MAP_PLANE,                   /* a number for each place of a picture: [h, w] as ds_plane says */
	DS_MAP_TOKENS,                  /* a number for each token or step: [t] */
	DS_MAP_ATTENTION,               /* who looks at whom: [t, t], row r sums to 1 over the columns that r looks at */
} ds_map_kind;

typedef struct ds_map {
	ds_tensor   t;                  /* f32, owned */
	ds_map_kind kind;
	bool        has_sign;           /* values below 0 speak against the target; else all are 0 or more */
	int         input;              /* which input of the model it is about */
	char       *layer;              /* name of the inner value or node it was taken from, owned; NULL: of no layer */
	int         layer_index, head;  /* of attention: position of the layer, number of the head; -1: does not apply (head: mean over heads) */
	int64_t     target;
	double      score, probability; /* of the target: its logit; softmax over the class axis (the output itself where that is a probability) */
	double      gap;                /* |sum of the map - (score - score of the baseline)| / |score - score of the baseline|; NaN: makes no such claim */
	double      base_score;         /* the target's logit for the baseline; NaN: none */
	int64_t     runs;               /* passes through the model that it took, in items */
} ds_map;

typedef struct ds_maps { ds_map *m; size_t n, cap; } ds_maps;
/* Append a map with zeroed data of these dims; its other members are neutral (NaN, -1, NULL).  The pointer lives until the next call. */
ds_status ds_maps_add(ds_maps *l, ds_map_kind kind, int rank, const int64_t *dim, ds_map **m, ds_err *err);
void      ds_maps_done(ds_maps *l);

/* ---- the explainer ------------------------------------------------------------------------------------------------------------- */
typedef enum ds_base { DS_BASE_ZERO, DS_BASE_MEAN, DS_BASE_BLUR, DS_BASE_TENSOR } ds_base;
typedef enum ds_axes_of { DS_AXES_GUESS, DS_AXES_CHW, DS_AXES_HWC, DS_AXES_TC } ds_axes_of;       /* TC: a row of tokens, each a vector */

typedef struct ds_explain_opts {
	int         threads;            /* 0: all */
	int         batch;              /* items computed together, 0: chosen by their size; never changes a bit of a map */
	uint64_t    memory_limit;       /* of a plan, 0: none */
	uint64_t    seed;               /* of noise and draws */
	int         input;              /* the input that maps are about; -1: the first of floats, else the first */
	ds_axes_of  axes;               /* of a picture; DS_AXES_TC: maps of the input become DS_MAP_TOKENS, one number for each vector */
	const char *layer;              /* name or glob of a value or node; NULL: the method chooses */
	int64_t     head;               /* -1: the method chooses (mean, or each) */
	int64_t     position;           /* whose attention is asked for, in tokens; -1: that of the target, of the class token, or the mean */
	double      epsilon, gamma;     /* of the rules of relevance; gamma below 0: chosen (0.25 for pictures, 0 else) */
	int64_t     samples;            /* how many noisy copies */
	double      noise;              /* standard deviation of the noise, as a share of the item's range (largest - smallest element) */
	int64_t     steps;              /* of the path integral; 0: doubled until the gap is below max_gap */
	double      max_gap;
	int64_t     patch, stride;      /* of occlusion, in places of the picture; 0: chosen (an eighth of the side, half a patch) */
	ds_base     base;               /* what stands for "nothing there" */
	ds_tensor   base_tensor;        /* f32 with the elements of the input's item (DS_BASE_TENSOR); borrowed */
	bool        probability;        /* occlusion: drop of the probability, not of the logit */
} ds_explain_opts;

typedef struct ds_explainer ds_explainer;
/* The model is read, not changed, and must outlive the explainer.  Options are copied; what they point to must live as long. */
ds_status ds_explainer_new(ds_explainer **x, const ds_model *m, const ds_explain_opts *o, ds_err *err);
void      ds_explainer_free(ds_explainer *x);
const ds_explain_opts *ds_explainer_opts(const ds_explainer *x);
const ds_model *ds_explainer_model(const ds_explainer *x);
int       ds_explainer_input(const ds_explainer *x);

/* Where the classes are in the first output of one item: element (place, class) is place_of(target) + class * stride.  From the first prediction on. */
typedef struct ds_classes { int64_t n, stride, elements; } ds_classes;
ds_classes ds_explainer_classes(const ds_explainer *x);

/* An item: one tensor for each input of the model, the batch axis (if it has one) being 1. */
typedef struct ds_explain_item { const ds_tensor *in; int n_in; } ds_explain_item;

/* The first output of an item as f32 (fresh; ds_free): logits, and probabilities where they can be made (NULL allowed).  What the model says as ds-run runs
 * it, integer kernels included. */
ds_status ds_explain_predict(ds_explainer *x, const ds_explain_item *it, float **logit, float **probability, int64_t *n, ds_err *err);
/* The same for n items that differ in the explained input only: rows[i] is that input's elements, f32.  logit: [n, elements]; with `probability` softmaxed over
 * the class axis. */
ds_status ds_explain_scores(ds_explainer *x, const ds_explain_item *it, const float *rows, int64_t n, bool probability, float *logit, ds_err *err);

/* The explained input's item as places and channels: element (c, y, x) at c * sc + y * sy + x * sx.  Rank 3: [C, H, W] or [H, W, C] as the options say or the
 * extents suggest; rank 2: one channel, or (DS_AXES_TC) one row of vectors; rank 1: one row.  False: more axes than that. */
typedef struct ds_plane { int64_t channels, h, w, sc, sy, sx; } ds_plane;
bool      ds_explain_plane(const ds_explainer *x, const ds_tensor *in, ds_plane *p);
/* The baseline for this item into out (elements of the explained input, f32). */
ds_status ds_explain_baseline(const ds_explainer *x, const ds_tensor *in, float *out, ds_err *err);
/* A map over a picture as one number for each place: channels are added up (DS_MAP_INPUT) or it is a plane already.  out: h * w.  DS_E_INPUT: another kind. */
ds_status ds_map_places(const ds_map *m, const ds_plane *p, float *out, ds_err *err);

/* ---- lenses: inner values and gradients ------------------------------------------------------------------------------------------ */
typedef struct ds_lens ds_lens;
typedef struct ds_lens_opts {
	/* Change the graph before gradients are added: it is verified, bound, known values are constants, quantisation is straight-through and every node
	 * and value has a name.  New nodes must be parsed (ds_node_parse) or left to the verification that follows.  NULL: nothing. */
	ds_status (*edit)(void *arg, ds_graph *g, ds_err *err);
	/* Say what to yield: append to v[0 .. cap), *n of them.  NULL: the explained input. */
	ds_status (*watch)(void *arg, ds_graph *g, ds_value **v, int cap, int *n, ds_err *err);
	/* In place of gradients: fill grad[0 .. *n) for output y, whose elements weigh what the input `pick` of the same dims says; values that are appended to
	 * v[*n .. cap) are yielded too.  NULL: ds_train_backward from the sum of y * pick. */
	ds_status (*backward)(void *arg, ds_graph *g, ds_value *y, ds_value *pick, ds_value **v, int cap, int *n, ds_value **grad, ds_err *err);
	void *arg;
	bool  no_gradient;              /* values only */
} ds_lens_opts;
#define DS_LENS_MAX 256

/* The lens `key` for items of these types (dim 0 of each is the batch), made at the first call and kept by the explainer.  One key means the same opts (but arg) in
 * every call.  DS_E_UNSUPPORTED names an operator without gradient. */
ds_status ds_explain_lens(ds_explainer *x, const char *key, const ds_type *in, const ds_lens_opts *o, ds_lens **l, ds_err *err);
/* target[i]: element of the first output of item i of the batch.  logit (may be NULL): [batch, elements]. */
ds_status ds_lens_run(ds_lens *l, const ds_tensor *in, const int64_t *target, float *logit, ds_err *err);
int       ds_lens_count(const ds_lens *l);
const char *ds_lens_name(const ds_lens *l, int i);
/* Valid until the next run. */
const ds_tensor *ds_lens_value(const ds_lens *l, int i), *ds_lens_gradient(const ds_lens *l, int i);

/* Gradients of the target with respect to the explained input of n items that differ in this input only (rows as in ds_explain_scores): grad [n, elements of the
 * input]; score (may be NULL): n logits of the target. */
ds_status ds_explain_gradients(ds_explainer *x, const ds_explain_item *it, const float *rows, int64_t n, int64_t target, float *grad, double *score,
	ds_err *err);
/* How many items the explainer computes together, for items of this type. */
int64_t   ds_explain_batch(const ds_explainer *x, const ds_explain_item *it);

/* ---- methods: one row each (methods.def) ----------------------------------------------------------------------------------------- */
typedef struct ds_method {
	const char *name;
	/* Can it explain this model at all?  NULL: any. */
	bool      (*fits)(const ds_explainer *x);
	/* Append one map or more; score, probability and target are filled in by ds_explain. */
	ds_status (*run)(ds_explainer *x, const ds_explain_item *it, int64_t target, ds_maps *out, ds_err *err);
	const char *help;
	/* Is it the default for this model?  The first row that says so is, else the first that fits. */
	bool      (*best)(const ds_explainer *x);
} ds_method;
const ds_method *const *ds_method_all(int *n);
const ds_method *ds_method_find(const char *name);              /* NULL: no such method */
const ds_method *ds_method_default(const ds_explainer *x);
/* Run a method for one target.  DS_E_USAGE: the target is not an element of the output. */
ds_status ds_explain(ds_explainer *x, const ds_method *m, const ds_explain_item *it, int64_t target, ds_maps *out, ds_err *err);

#endif
