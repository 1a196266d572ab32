/* explain_int.h - inside explain: the explainer's members and what its files share */
#ifndef DS_EXPLAIN_INT_H
#define DS_EXPLAIN_INT_H

#include "explain.h"

typedef enum head_kind { DS_HEAD_LOGITS, DS_HEAD_SOFTMAX, DS_HEAD_SIGMOID, DS_HEAD_VALUES, DS_HEAD_PROBABILITIES } head_kind;

#define DS_EXPLAIN_BATCH 1024           /* items together at most */

struct ds_lens {
	char       *key;
	ds_type    *in;                 /* n_in types that it was made for */
	int         n_in, explained;    /* of the model; which of them is explained */
	ds_graph   *g;                  /* inputs: the model's, then (with gradients) what each element of the output weighs */
	ds_session *s;
	bool        gradient;
	int         n;                  /* values that are watched */
	char      **name;
	int        *value_of, *grad_of; /* output of g, -1: value is the explained input itself */
	ds_tensor  *value, *grad;       /* headers for the reader; of the last run */
	ds_tensor  *feed, *out;         /* g's inputs and outputs */
	ds_tensor   pick;               /* [batch, elements] f32 */
	int64_t     batch, elements;
	struct ds_lens *next;
};

struct ds_explainer {
	const ds_model *m;
	ds_explain_opts o;
	int             input;
	bool            can_batch;      /* several items in one run */
	ds_graph       *g;              /* the model with its first output before the softmax, and that alone */
	ds_session     *s;
	head_kind       head;
	ds_classes      classes;
	ds_lens        *lens;           /* newest first */
};

/* What makes v a probability, and what stands before that; *dims of both agree. */
ds_value *ds_explain_head(const ds_model *m, ds_value *v, head_kind *kind);
/* Quantisation for gradients: pairs of QuantizeLinear and DequantizeLinear of activations become FakeQuantize, weights in codes their values. */
ds_status ds_explain_straight(ds_graph *g, ds_err *err);
void      ds_lens_free(ds_lens *l);
/* p = probabilities of one item's v, as the explainer's head says; p may be v. */
void      ds_explain_softmax(const ds_explainer *x, const float *v, float *p);
/* A map of sizes of gradients: of a picture the largest over channels at each place, else element by element. */
ds_status ds_explain_sizes(const ds_explainer *x, const ds_tensor *in, const float *grad, ds_maps *out, ds_map **m, ds_err *err);
/* `fits` of methods that need gradients of numbers. */
bool      ds_explain_float_input(const ds_explainer *x);
/* `batch` items that differ in the explained input only, as tensors: in[] of it->n_in, fresh. */
ds_status ds_explain_join(const ds_explainer *x, const ds_explain_item *it, const float *rows, int64_t n, int64_t batch, ds_tensor *in, ds_err *err);

#endif
