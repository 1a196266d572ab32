/* macs.c - --macs: parameters, multiply-adds, bytes and bits per weight by layer */
#include <math.h>

#include "profile/macs.h"
#include "profile.h"

static const char *const columns[] = { "node", "operator", "!output", ">params", ">zeros", ">bytes", ">bits", ">macs", ">flops", ">share", "|", ">activations", NULL };

static ds_status row(section *o, const ds_layer_row *r, const ds_layer_row *sum, ds_err *err)
{
	cell_text(o, r->node);
	cell_text(o, r->op);
	cell_only(o, r->out);
	cell_num(o, r->params, 'n');
	cell_num(o, r->params > 0 ? r->zeros / r->params : NAN, '%');
	cell_num(o, r->bytes, 'B');
	cell_num(o, r->params > 0 ? 8 * r->bytes / r->params : NAN, 0);
	cell_num(o, r->cost.macs, 'n');
	cell_num(o, r->cost.flops, 'n');
	cell_num(o, sum->cost.macs > 0 ? r->cost.macs / sum->cost.macs : NAN, '%');
	cell_bar(o, sum->cost.macs > 0 ? r->cost.macs / sum->cost.macs : 0);
	cell_num(o, r->cost.act_bytes, 'B');
	return section_row(o, err);
}

static ds_status print(job *j, const ds_layers *l, ds_err *err)
{
	section o;
	char name[48];
	ds_layer_row others = l->others, sum = l->sum;
	snprintf(name, sizeof name, "(%d others)", l->n_others);
	others.node = name;
	sum.node = "(sum)";
	others.op = others.out = sum.op = sum.out = "";
	DS_TRY(section_begin(&o, j, "layer", columns, err));
	ds_status rc = DS_OK;
	for (int i = 0; i < l->n_row && rc == DS_OK; i++)
		rc = row(&o, &l->row[i], &l->sum, err);
	if (rc == DS_OK)
		rc = row(&o, &others, &l->sum, err);
	if (rc == DS_OK)
		rc = section_end(&o, err);
	section_drop(&o);
	DS_TRY(rc);
	DS_TRY(section_begin(&o, j, "model", columns, err));
	rc = row(&o, &sum, &l->sum, err);
	if (rc == DS_OK)
		rc = section_end(&o, err);
	section_drop(&o);
	return rc;
}

ds_status mode_macs(job *j, ds_err *err)
{
	ds_layers l;
	DS_TRY(job_inputs(j, err));
	ds_type *in = ds_calloc((size_t)j->n_in + 1, sizeof *in);
	if (!in)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < j->n_in; i++)
		in[i] = ds_type_of(&j->set[0][i]);
	ds_status rc = ds_layers_count(&l, j->m->graph, in, err);
	ds_free(in);
	DS_TRY(rc);
	rc = print(j, &l, err);
	ds_layers_done(&l);
	return rc;
}
