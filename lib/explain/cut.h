/* cut.h - a model in two halves, so that maps are about a value inside it
 *
 * Tokens are numbers without a size: what can be nudged, averaged and multiplied is the vector that a token is looked up as.  A sound's samples are numbers,
 * but people read spectrograms.  A cut makes the value an input of the half behind it, which is then explained as any model, and the half before it
 * turns items into that value. */
#ifndef DS_EXPLAIN_CUT_H
#define DS_EXPLAIN_CUT_H

#include "explain.h"

/* The vectors that the tokens of input `input` are looked up as: a name that lives in the model, NULL: none. */
const char *ds_cut_tokens(const ds_model *m, int input);
/* The logarithm of a sound's spectrum (mel or not).  *frames: its axis of time (counted from 1: the batch is 0). */
const char *ds_cut_spectrum(const ds_model *m, int input, int *frames, ds_err *err);

typedef struct ds_cut ds_cut;
/* DS_E_USAGE: no value of that name, or none that is made from inputs.  The model must outlive the cut. */
ds_status ds_cut_new(ds_cut **c, const ds_model *m, const char *value, int threads, ds_err *err);
void      ds_cut_free(ds_cut *c);
/* The half behind: its inputs are those of the model's that it still reads, and then the value. */
const ds_model *ds_cut_model(const ds_cut *c);
int       ds_cut_input(const ds_cut *c);                        /* the value's place among its inputs: the last */
/* An item of the model as one of that half, *n_in tensors that live until the next call. */
ds_status ds_cut_item(ds_cut *c, const ds_tensor *in, int n_in, const ds_tensor **out, int *n_out, ds_err *err);

#endif
