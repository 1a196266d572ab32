/* onnx.c - the ONNX format: is it one, and the steps of an import
 *
 * The protobuf wire format is read by our own pull parser (onnx_wire.c) instead of protobuf-c: it needs no library, copies nothing, and every length is compared with
 * the bytes that are there before it is used.  A model is read in these steps: messages into structs (onnx_proto.c), structs into a graph
 * (onnx_build.c) with each node brought to DS_OPSET (onnx_upgrade.c), verification, inference, the upgrades that need ranks, and integer weights into
 * quantised parameters (onnx_qdq.c).  MatMul by a constant stays as it is. */
#include "onnx.h"

#include "../base/str.h"

#include <string.h>

static const uint64_t DEFAULT_LIMIT = (uint64_t)2 << 30;

/* Fields of ModelProto and how they are written. */
static const struct { uint8_t num, wire; } model_field[] = {
	{ 1, DS_WIRE_VARINT }, { 2, DS_WIRE_SPAN }, { 3, DS_WIRE_SPAN }, { 4, DS_WIRE_SPAN }, { 5, DS_WIRE_VARINT }, { 6, DS_WIRE_SPAN }, { 7, DS_WIRE_SPAN },
	{ 8, DS_WIRE_SPAN }, { 14, DS_WIRE_SPAN }, { 20, DS_WIRE_SPAN }, { 25, DS_WIRE_SPAN }, { 26, DS_WIRE_SPAN },
};

/* ONNX has no signature.  Something is taken for it when its first bytes read as fields of ModelProto, the IR version or the graph among them. */
static bool probe(const uint8_t *p, size_t n, int64_t size)
{
	const uint8_t *end = p + n;
	bool ir = false, graph = false;

	while (p < end) {
		uint64_t key, v;
		size_t i = 0;
		if (!ds_pb_varint(&p, end, &key))
			break;
		while (i < DS_COUNTOF(model_field) && (key >> 3 != model_field[i].num || (key & 7) != model_field[i].wire))
			i++;
		if (i == DS_COUNTOF(model_field))
			return false;
		if (!ds_pb_varint(&p, end, &v))
			break;
		if (key >> 3 == 1 && (v == 0 || v > 64))
			return false;
		ir |= key >> 3 == 1;
		graph |= key >> 3 == 7;
		if ((key & 7) == DS_WIRE_VARINT)
			continue;
		if (v > (uint64_t)(end - p)) {
			if (size >= 0 && v > (uint64_t)size)
				return false;
			break;
		}
		p += v;
	}
	return ir || graph;
}

static void note(const ds_import *o, int n, const char *what)
{
	if (o && o->notes && n)
		ds_buf_printf(o->notes, "%d %s\n", n, what);
}

static ds_status metadata(ds_oimport *im, ds_err *err)
{
	const ds_omodel *om = &im->om;
	ds_meta *meta = &im->m->meta;
	const char *name = om->graph.name;
	ds_status rc = DS_OK;

	if (*name && ds_text_ok(name, strlen(name), false))
		rc = ds_meta_set_str(meta, "model.name", name);
	for (size_t i = 0; rc == DS_OK && i < om->n_meta; i++)  /* the two words that the container knows too */
		if ((strcmp(om->meta_key[i], "license") == 0 || strcmp(om->meta_key[i], "source") == 0) && ds_text_ok(om->meta_value[i],
			strlen(om->meta_value[i]), true))
			rc = ds_meta_set_str(meta, om->meta_key[i], om->meta_value[i]);
	return rc == DS_OK ? DS_OK : ds_fail_nomem(err, 64);
}

/* What is done to the graph once it stands. */
static ds_status finish(ds_oimport *im, ds_err *err)
{
	ds_graph *g = im->m->graph;
	ds_buf *missing = im->o ? im->o->missing : NULL;
	int dead = ds_graph_prune_dead(g), quantised = 0;

	ds_status rc = ds_graph_verify(g, missing, err);
	if (rc == DS_E_UNSUPPORTED && im->o && im->o->check_only)
		return DS_OK;
	DS_TRY(rc);
	DS_TRY(ds_graph_infer(g, err));
	DS_TRY(ds_onnx_upgrade_typed(im, err));
	DS_TRY(ds_onnx_qdq(g, &quantised, err));
	dead += ds_graph_prune_dead(g);
	if (ds_graph_name_all(g) != DS_OK)
		return ds_fail_nomem(err, 64);
	DS_TRY(ds_graph_verify(g, missing, err));
	DS_TRY(ds_graph_infer(g, err));
	ds_onnx_fill_stated(im);
	note(im->o, dead, "nodes whose results nobody used were left out");
	note(im->o, quantised, "dequantised weights became quantised parameters or f32");
	return DS_OK;
}

static ds_status import(ds_oimport *im, ds_span msg, ds_err *err)
{
	DS_TRY(ds_onnx_model_parse(&im->om, &im->arena, msg, im->base, err));
	if (!im->om.has_graph)
		return ds_fail(err, DS_E_INPUT, "not a valid ONNX file: it has no graph (truncated?)");
	if (im->om.ir_version < 3 && im->om.n_set == 0)
		return ds_fail(err, DS_E_UNSUPPORTED, "ONNX IR version %lld is older than any operator set that is supported", (long long)im->om.ir_version);
	im->m = ds_model_new();
	if (!im->m)
		return ds_fail_nomem(err, sizeof *im->m);
	DS_TRY(ds_onnx_build(im, err));
	DS_TRY(metadata(im, err));
	return finish(im, err);
}

static ds_status read_onnx(ds_model **out, ds_source *src, const ds_import *o, ds_err *err)
{
	ds_oimport im = { .o = o };
	const void *p = NULL;
	void *owner = NULL;
	size_t n = 0;
	ds_status rc;

	*out = NULL;
	ds_arena_init(&im.arena);
	rc = ds_source_all(src, o && o->memory_limit ? o->memory_limit : DEFAULT_LIMIT, &p, &n, &owner, err);
	if (rc != DS_OK)
		goto out;
	ds_buffer *file = ds_buffer_wrap((void *)(uintptr_t)p, n, ds_source_drop, owner);
	if (!file) {
		ds_source_drop(owner);
		rc = ds_fail_nomem(err, 64);
		goto out;
	}
	im.base = p;
	ds_odata_init(&im.data, file, o ? o->path : NULL);
	rc = import(&im, (ds_span){ p, n }, err);
	ds_odata_done(&im.data);
	ds_buffer_unref(file);
	if (rc == DS_OK)
		*out = im.m;
	else
		ds_model_free(im.m);
out:
	ds_err_in(err, ds_source_name(src));
	ds_omap_done(&im.names);
	ds_omap_done(&im.node_names);
	ds_omap_done(&im.reserved);
	ds_omap_done(&im.symbols);
	ds_free(im.fix);
	ds_free(im.stated);
	ds_arena_done(&im.arena);
	ds_source_close(src);
	return rc;
}

const ds_format ds_format_onnx = {
	.name = "onnx",
	.help = "ONNX models, operator sets 6 to 26",
	.probe = probe,
	.read = read_onnx,
};
