/* dsm_pass.c - a DSM stream into another, record by record */
#include "dsm_pass.h"

#include <string.h>

enum { BLOCK = 1 << 20, MAX_HISTORY = 256 };

typedef struct copy {
	const ds_dsm_pass_opts *o;
	ds_dsm_reader *r;
	ds_dsm_writer *w;
	ds_meta        meta;
	ds_graph      *g;
	ds_value     **param;
	int            n_param, at, n_hist;
	bool           meta_out, asset_out;
	void          *block;
} copy;

/* META waits for the graph, which edit() looks at. */
static ds_status flush_meta(copy *c, ds_err *err)
{
	if (c->meta_out)
		return DS_OK;
	c->meta_out = true;
	if (c->o->edit && !c->g)
		return ds_fail(err, DS_E_INPUT, "it holds no model, so there is no input or output to describe");
	if (c->o->edit)
		DS_TRY(c->o->edit(c->o->arg, c->g, &c->meta, err));
	DS_TRY(ds_dsm_put_meta(c->w, &c->meta, err));
	return c->g ? ds_dsm_put_graph(c->w, c->g, &c->param, &c->n_param, err) : DS_OK;
}

/* The added asset stands before the first record that comes after it in the order of the container. */
static ds_status flush_asset(copy *c, const ds_rec *next, ds_err *err)
{
	const ds_asset *a = c->o->asset;
	if (!a || c->asset_out || (next && next->type == DS_REC_ASSET && strcmp(next->asset_name, a->name) < 0))
		return DS_OK;
	c->asset_out = true;
	return ds_dsm_put_asset(c->w, a, err);
}

static ds_status copy_asset(copy *c, const ds_rec *rec, ds_err *err)
{
	if (c->o->asset && strcmp(rec->asset_name, c->o->asset->name) == 0)
		return DS_OK;           /* replaced; its payload is skipped */
	return ds_dsm_copy(c->w, c->r, err);
}

/* What we do not know stays if nothing was changed or if its last letter says that it may. */
static ds_status copy_other(copy *c, const ds_rec *rec, ds_err *err)
{
	bool safe = rec->letters[3] >= 'a' && rec->letters[3] <= 'z';
	if (safe || !(c->o->edit || c->o->asset || c->o->drop_history))
		return ds_dsm_copy(c->w, c->r, err);
	if (c->o->dropped)
		c->o->dropped(c->o->arg, rec->letters);
	return DS_OK;
}

static ds_status copy_tensor(copy *c, const ds_rec *rec, ds_err *err)
{
	ds_tnsr t = rec->tensor;
	if (c->g) {
		if (c->at >= c->n_param)
			return ds_fail(err, DS_E_INPUT, "more tensors than parameters");
		t.value = (uint32_t)c->param[c->at++]->id;
	}
	DS_TRY(ds_dsm_tensor_begin(c->w, &t, err));
	for (size_t got = 1; got > 0;) {
		DS_TRY(ds_dsm_payload(c->r, c->block, BLOCK, &got, err));
		if (got)
			DS_TRY(ds_dsm_tensor_data(c->w, c->block, got, err));
	}
	return ds_dsm_tensor_end(c->w, err);
}

static ds_status copy_history(copy *c, ds_err *err)
{
	ds_meta m = { 0 };
	if (c->o->drop_history)
		return DS_OK;
	c->n_hist++;
	ds_status rc = ds_dsm_meta(c->r, &m, err);
	if (rc == DS_OK)
		rc = ds_dsm_put_history(c->w, &m, err);
	ds_meta_done(&m);
	return rc;
}

static ds_status copy_record(copy *c, const ds_rec *rec, ds_err *err)
{
	if (rec->type == DS_REC_META)
		return ds_dsm_meta(c->r, &c->meta, err);
	if (rec->type == DS_REC_GRPH)
		return ds_dsm_graph(c->r, &c->g, NULL, NULL, err);
	DS_TRY(flush_meta(c, err));
	DS_TRY(flush_asset(c, rec, err));
	switch (rec->type) {
	case DS_REC_ASSET: return copy_asset(c, rec, err);
	case DS_REC_TENSOR: return copy_tensor(c, rec, err);
	case DS_REC_HIST: return copy_history(c, err);
	default: return copy_other(c, rec, err);
	}
}

static ds_status own_history(copy *c, ds_err *err)
{
	ds_meta entry = { 0 };
	uint32_t crc;
	uint64_t len;
	if (!c->o->history)
		return DS_OK;
	if (c->n_hist >= MAX_HISTORY)
		return ds_fail(err, DS_E_LIMIT, "the model has %d history records already (--no-history drops them)", MAX_HISTORY);
	ds_dsm_identity(c->r, &crc, &len);
	ds_status rc = c->o->history(c->o->arg, crc, len, &entry, err);
	if (rc == DS_OK)
		rc = ds_dsm_put_history(c->w, &entry, err);
	ds_meta_done(&entry);
	return rc;
}

static ds_status copy_all(copy *c, ds_err *err)
{
	ds_rec rec;
	ds_status rc;
	while ((rc = ds_dsm_next(c->r, &rec, err)) == DS_OK)
		DS_TRY(copy_record(c, &rec, err));
	if (rc != DS_END)
		return rc;
	DS_TRY(flush_meta(c, err));
	DS_TRY(flush_asset(c, NULL, err));
	DS_TRY(own_history(c, err));
	return ds_dsm_finish(c->w, err);
}

ds_status ds_dsm_pass(ds_dsm_reader *r, ds_dsm_writer *w, const ds_dsm_pass_opts *o, ds_err *err)
{
	copy c = { .o = o, .r = r, .w = w, .block = ds_aligned(BLOCK) };
	ds_status rc = c.block ? copy_all(&c, err) : ds_fail_nomem(err, BLOCK);
	ds_free(c.param);
	ds_graph_free(c.g);
	ds_meta_done(&c.meta);
	ds_free(c.block);
	return rc;
}
