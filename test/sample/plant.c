/* plant.c - plants a fault in one layer of a quantised model: `plant MODEL OUT WHAT N` prints the layer's name, exit 9 when there is no N-th one
 *
 * WHAT: weight (the scales of its weight are doubled), bias (doubled), input (the scale of what it reads is doubled where it is rounded and where it is read),
 * read (only where it is read). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/dsm.h"

static ds_err err;

static void need(ds_status rc)
{
	if (rc == DS_OK)
		return;
	fprintf(stderr, "plant: %s: %s\n", err.where, err.text);
	exit(1);
}

/* The value's data in memory of its own: it may be borrowed from the file. */
static ds_tensor *own(ds_value *v)
{
	size_t n;
	ds_qsize size;
	if (v->data.q)
		need(ds_qform_size(v->data.q, v->data.rank, v->data.dim, &size, &err));
	n = v->data.q ? (size_t)size.total : ds_tensor_bytes(&v->data);
	ds_buffer *b = ds_buffer_new(n);
	if (!b)
		exit(1);
	memcpy(ds_buffer_data(b), v->data.data, n);
	v->data.data = ds_buffer_data(b);       /* what it was borrowed from stays until the program ends */
	return &v->data;
}

static void twice(float *x, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		x[i] *= 2;
}

static void double_scales(ds_value *v)
{
	ds_qsize size;
	ds_tensor *t = own(v);
	need(ds_qform_size(t->q, t->rank, t->dim, &size, &err));
	twice((float *)((char *)t->data + size.scale_off), size.scales);
}

/* The DequantizeLinear whose output the layer reads, through moves. */
static ds_node *reads(const ds_node *n)
{
	ds_value *v = n->in[0];
	while (v && v->kind == DS_V_NODE && strcmp(v->node->op_name, "DequantizeLinear") != 0)
		v = v->node->in[0];
	return v && v->kind == DS_V_NODE ? v->node : NULL;
}

static bool plant(ds_graph *g, ds_node *n, const char *what)
{
	if (strcmp(what, "weight") == 0) {
		double_scales(n->in[1]);
	} else if (strcmp(what, "bias") == 0) {
		if (n->n_in < 3 || !n->in[2])
			return false;
		ds_tensor *t = own(n->in[2]);
		twice(t->data, ds_tensor_count(t));
	} else {
		ds_node *d = reads(n);
		if (!d)
			return false;
		ds_tensor *t = own(d->in[1]);
		if (strcmp(what, "read") == 0) {        /* a scale of its own */
			ds_tensor copy;
			need(ds_tensor_to_f32(t, &copy, &err));
			twice(copy.data, 1);
			ds_value *v = ds_graph_weight(g, DS_V_CONST, "", &copy);
			if (!v)
				exit(1);
			d->in[1] = v;
		} else {
			twice(t->data, 1);
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	ds_source *src;
	ds_sink *sink;
	ds_model *m;
	if (argc != 5)
		return 2;
	need(ds_source_open(&src, argv[1], NULL, &err));
	need(ds_model_load(&m, src, &(ds_dsm_opts){ 0 }, &err));
	int at = 0, n = atoi(argv[4]);
	for (int i = 0; i < m->graph->n_node; i++) {
		ds_node *l = m->graph->node[i];
		if (l->n_in < 2 || !l->in[1] || l->in[1]->kind != DS_V_PARAM || !l->in[1]->data.q || at++ != n)
			continue;
		if (!plant(m->graph, l, argv[3]))
			return 8;
		puts(l->name);
		need(ds_sink_open(&sink, argv[2], &err));
		need(ds_model_save(m, sink, &(ds_dsm_wopts){ 0 }, &err));
		need(ds_sink_commit(sink, &err));
		return 0;
	}
	return 9;
}
