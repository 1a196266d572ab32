/* dsm_pass.h - a DSM stream into another, record by record, with changes to what it says about itself
 *
 * For filters that leave graph and tensors alone: memory is a block of rows and the tables, and without changes the copy of a canonical stream is that stream. */
#ifndef DS_DSM_PASS_H
#define DS_DSM_PASS_H

#include "dsm.h"

typedef struct ds_dsm_pass_opts {
	/* Change META; called once, before anything is written.  NULL: META stays.  With it, streams without a graph are DS_E_INPUT. */
	ds_status (*edit)(void *arg, const ds_graph *g, ds_meta *meta, ds_err *err);
	void            *arg;
	const ds_asset  *asset;         /* added, or put in the place of the one of that name; NULL: none */
	bool             drop_history;
	/* The record of this run, made once the identity of the input is known: fill *entry.  NULL: none is added. */
	ds_status (*history)(void *arg, uint32_t crc, uint64_t len, ds_meta *entry, ds_err *err);
	/* An unknown record was left out; NULL: nobody wants to know. */
	void      (*dropped)(void *arg, const char *letters);
} ds_dsm_pass_opts;

/* Copy everything from r to w, DONE included.  Nothing may have been read or written before. */
ds_status ds_dsm_pass(ds_dsm_reader *r, ds_dsm_writer *w, const ds_dsm_pass_opts *o, ds_err *err);

#endif
