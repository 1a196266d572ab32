/* against.h - a changed model against its reference, layer by layer: what each layer adds to the error alone, and what arrives at it
 *
 * Values are matched by name; batch normalisation that the changed model no longer has is folded in the reference first, as the filters do it.  Local error: every layer of
 * the changed model is computed from the reference's values, all at once in a graph that is the changed one cut at each matched value; so rounding of inputs, weights and
 * biases of a layer shows in its own row and in no other.  Propagated error: the value as the changed model has it, which is what all layers before did as well. */
#ifndef DS_PROFILE_AGAINST_H
#define DS_PROFILE_AGAINST_H

#include "answers.h"

/* Sums over all elements of all samples: squares of the reference, of the changed value, of the difference; the products. */
typedef struct ds_likeness { double ref, own, err, dot; } ds_likeness;
double ds_likeness_sqnr(const ds_likeness *l);          /* decibel; HUGE_VAL: no difference; NaN: nothing seen */
double ds_likeness_cosine(const ds_likeness *l);        /* NaN: one of them is zero */
void   ds_likeness_add(ds_likeness *l, const float *ref, const float *own, int64_t n);

typedef struct ds_against_row {
	const char *node, *op, *value;  /* of the changed model; in its arena */
	bool        weights;            /* the layer has parameters of its own */
	ds_likeness local, arrived;
	int64_t     items;              /* samples that went in */
	int64_t     channels, of;       /* axis 1 in the changed model and in the reference; differ where channels were cut */
	const char *skip;               /* why it cannot be compared, NULL: it can */
} ds_against_row;

typedef struct ds_against ds_against;
typedef struct ds_against_opts {
	int      threads;
	uint64_t memory_limit;          /* of a plan, 0: none */
	/* Factors of equalisation: the changed model's channels are larger than the reference's (ds-quantize --equalize).  They are found by comparing weights. */
	bool     equalized;
	ds_answer_kind kind;            /* of output 0 */
} ds_against_opts;
/* Both models must live as long.  DS_E_INPUT: inputs or outputs do not fit, nothing matches. */
ds_status ds_against_new(ds_against **a, const ds_model *ref, const ds_model *changed, const ds_against_opts *o, ds_err *err);
/* One sample: a tensor for each input.  *fits: false where a sample of other dims than the first is left out. */
ds_status ds_against_item(ds_against *a, const ds_tensor *in, int n_in, const int64_t *label, bool *fits, ds_err *err);
/* The rows with the worst local error first; rows that are exactly the reference's and have no weights last.  *n of them; valid as long as a. */
const ds_against_row *ds_against_rows(ds_against *a, int *n);
const ds_shift *ds_against_outputs(const ds_against *a);
void      ds_against_free(ds_against *a);

#endif
