/* onnx_proto.c - onnx.proto's messages out of the wire format: one function per message
 *
 * Arrays are counted first and then filled, so memory follows the bytes that are there.  Unknown fields are skipped, as protobuf wants it. */
#include "onnx_proto.h"
#include "../base/str.h"

#include <string.h>

/* What every function here is given. */
typedef struct ctx { ds_arena *a; const uint8_t *base; ds_err *err; } ctx;

/* Loop over the fields of a message; `rc` holds how it ended. */
#define FIELDS(b, f) while ((rc = ds_pb_next(&(b), &(f), c->err)) == DS_OK)
#define ENDED(rc)    ((rc) == DS_END ? DS_OK : (rc))
#define WANT(w)      DS_TRY(ds_pb_want(&b, &f, (w), c->err))

static ds_status text(ctx *c, const ds_pb *b, const ds_field *f, const char **out)
{
	DS_TRY(ds_pb_want(b, f, DS_WIRE_SPAN, c->err));
	if (memchr(f->s.p, 0, f->s.n))
		return ds_fail_at(c->err, DS_E_INPUT, f->s.p - c->base, "a name holds a zero byte");
	*out = ds_arena_strndup(c->a, (const char *)f->s.p, f->s.n);
	return *out ? DS_OK : ds_fail_nomem(c->err, f->s.n);
}

static ds_status array(ctx *c, size_t n, size_t size, void *out)
{
	void *p = ds_arena_alloc(c->a, n ? n : 1, size);

	memcpy(out, &p, sizeof p);
	return p ? DS_OK : ds_fail_nomem(c->err, n * size);
}

/* ---- TensorProto ---------------------------------------------------------------------------------------------------------------- */
typedef struct dims { int64_t *dim; int n; bool bad; } dims;

static bool one_dim(void *arg, uint64_t v)
{
	dims *d = arg;

	if (d->n >= DS_MAX_RANK || v > INT32_MAX) {
		d->bad = true;
		return false;
	}
	d->dim[d->n++] = (int64_t)v;
	return true;
}

/* StringStringEntryProto of external_data. */
static ds_status external(ctx *c, ds_otensor *t, ds_span msg)
{
	ds_pb b = ds_pb_of(msg, c->base);
	ds_field f;
	const char *key = "", *value = "";
	ds_status rc;

	FIELDS(b, f) {
		if (f.num == 1)
			DS_TRY(text(c, &b, &f, &key));
		else if (f.num == 2)
			DS_TRY(text(c, &b, &f, &value));
	}
	int64_t v = -1;
	bool number = strcmp(key, "offset") == 0 || strcmp(key, "length") == 0;
	if (number && (!ds_parse_i64(value, &v) || v < 0))
		return ds_fail_at(c->err, DS_E_INPUT, msg.p - c->base, "external data: %s is not a number", key);
	if (strcmp(key, "location") == 0)
		t->location = value;
	else if (strcmp(key, "offset") == 0)
		t->ext_offset = v;
	else if (strcmp(key, "length") == 0)
		t->ext_length = v;
	return ENDED(rc);       /* other keys (checksum) are not needed */
}

static ds_status tensor(ctx *c, ds_otensor *t, ds_span msg)
{
	ds_pb b = ds_pb_of(msg, c->base);
	dims d = { t->dim, 0, false };
	ds_field f;
	ds_status rc;

	*t = (ds_otensor){ .name = "", .msg = msg, .ext_length = -1 };
	FIELDS(b, f) {
		switch (f.num) {
		case 1: DS_TRY(ds_pb_numbers(&b, &f, DS_WIRE_VARINT, one_dim, &d, c->err)); break;
		case 2: WANT(DS_WIRE_VARINT); t->type = f.v > 1000 ? 1000 : (int)f.v; break;
		case 3: return ds_fail_at(c->err, DS_E_UNSUPPORTED, msg.p - c->base, "a tensor in segments");
		case 8: DS_TRY(text(c, &b, &f, &t->name)); break;
		case 9: WANT(DS_WIRE_SPAN); t->raw = f.s; t->has_raw = true; break;
		case 13: WANT(DS_WIRE_SPAN); DS_TRY(external(c, t, f.s)); break;
		case 14: WANT(DS_WIRE_VARINT); t->external = f.v == 1; break;
		}
	}
	if (d.bad)
		return ds_fail_at(c->err, DS_E_INPUT, msg.p - c->base, "tensor '%s': more than %d dims, or a dim out of range", t->name, DS_MAX_RANK);
	t->rank = d.n;
	return ENDED(rc);
}

ds_status ds_onnx_tensor_parse(ds_otensor *out, ds_arena *a, ds_span msg, const uint8_t *base, ds_err *err)
{
	ctx c = { a, base, err };

	return tensor(&c, out, msg);
}

/* ---- AttributeProto ------------------------------------------------------------------------------------------------------------- */
static bool count_one(void *arg, uint64_t v)
{
	(void)v;
	++*(size_t *)arg;
	return true;
}

typedef struct nums { double *f; int64_t *i; int n; } nums;

static double bits_f32(uint64_t v)
{
	uint32_t u = (uint32_t)v;
	float x;

	memcpy(&x, &u, 4);
	return (double)x;
}

static bool one_float(void *arg, uint64_t v)
{
	nums *n = arg;

	n->f[n->n++] = bits_f32(v);
	return true;
}

static bool one_int(void *arg, uint64_t v)
{
	nums *n = arg;

	n->i[n->n++] = (int64_t)v;
	return true;
}

/* Which of the value fields are there: for files older than IR 2, which state no type. */
static int type_from_fields(uint32_t seen)
{
	static const struct { uint8_t field, type; } row[] = {
		{ 2, DS_OA_FLOAT }, { 3, DS_OA_INT }, { 4, DS_OA_STRING }, { 5, DS_OA_TENSOR }, { 6, DS_OA_GRAPH }, { 7, DS_OA_FLOATS },
		{ 8, DS_OA_INTS }, { 9, DS_OA_STRINGS },
	};

	for (size_t i = 0; i < DS_COUNTOF(row); i++)
		if (seen & 1u << row[i].field)
			return row[i].type;
	return 0;
}

/* First pass over an attribute: how long are its lists? */
static ds_status attr_lists(ctx *c, ds_pb b, size_t *n_float, size_t *n_int, size_t *n_str)
{
	ds_field f;
	ds_status rc;

	FIELDS(b, f) {
		if (f.num == 7)
			DS_TRY(ds_pb_numbers(&b, &f, DS_WIRE_32, count_one, n_float, c->err));
		else if (f.num == 8)
			DS_TRY(ds_pb_numbers(&b, &f, DS_WIRE_VARINT, count_one, n_int, c->err));
		else if (f.num == 9)
			++*n_str;
	}
	return ENDED(rc);
}

static ds_status attribute(ctx *c, ds_oattr *at, ds_span msg)
{
	ds_pb b = ds_pb_of(msg, c->base);
	size_t n_float = 0, n_int = 0, n_str = 0, k = 0;
	nums fl = { 0 }, in = { 0 };
	const char **str;
	uint32_t seen = 0;
	ds_field f;
	ds_status rc;

	*at = (ds_oattr){ .name = "", .s = "", .s_text = true };
	DS_TRY(attr_lists(c, b, &n_float, &n_int, &n_str));
	if (n_float > INT32_MAX || n_int > INT32_MAX || n_str > INT32_MAX)
		return ds_fail_at(c->err, DS_E_INPUT, msg.p - c->base, "an attribute is too long");
	DS_TRY(array(c, n_float, sizeof *fl.f, &fl.f));
	DS_TRY(array(c, n_int, sizeof *in.i, &in.i));
	DS_TRY(array(c, n_str, sizeof *str, &str));
	FIELDS(b, f) {
		if (f.num < 32)
			seen |= 1u << f.num;
		switch (f.num) {
		case 1: DS_TRY(text(c, &b, &f, &at->name)); break;
		case 2: WANT(DS_WIRE_32); at->f = bits_f32(f.v); break;
		case 3: WANT(DS_WIRE_VARINT); at->i = (int64_t)f.v; break;
		case 4:
			WANT(DS_WIRE_SPAN);
			at->s_text = ds_text_ok((const char *)f.s.p, f.s.n, true);
			if (at->s_text)
				DS_TRY(text(c, &b, &f, &at->s));
			break;
		case 5: WANT(DS_WIRE_SPAN); at->t = f.s; break;
		case 6: WANT(DS_WIRE_SPAN); at->g = f.s; break;
		case 7: DS_TRY(ds_pb_numbers(&b, &f, DS_WIRE_32, one_float, &fl, c->err)); break;
		case 8: DS_TRY(ds_pb_numbers(&b, &f, DS_WIRE_VARINT, one_int, &in, c->err)); break;
		case 9: DS_TRY(text(c, &b, &f, &str[k])); k++; break;
		case 20: WANT(DS_WIRE_VARINT); at->type = f.v > 1000 ? 1000 : (int)f.v; break;
		case 21: DS_TRY(text(c, &b, &f, &at->ref)); break;
		}
	}
	if (at->type == 0 && !at->ref)
		at->type = type_from_fields(seen);
	at->floats = (ds_floats){ fl.f, fl.n };
	at->ints = (ds_ints){ in.i, in.n };
	at->strs = (ds_strs){ str, (int)k };
	return ENDED(rc);
}

/* ---- NodeProto ------------------------------------------------------------------------------------------------------------------ */
/* "ai.onnx" and "" are the same domain. */
static const char *domain_of(const char *d)
{
	return strcmp(d, "ai.onnx") == 0 ? "" : d;
}

static ds_status node(ctx *c, ds_onode *n, ds_span msg)
{
	ds_pb b = ds_pb_of(msg, c->base);
	size_t n_in, n_out, n_attr;
	ds_field f;
	ds_status rc;

	*n = (ds_onode){ .op = "", .domain = "", .name = "", .overload = "" };
	DS_TRY(ds_pb_count(b, 1, &n_in, c->err));
	DS_TRY(ds_pb_count(b, 2, &n_out, c->err));
	DS_TRY(ds_pb_count(b, 5, &n_attr, c->err));
	if (n_in > 0xfff0 || n_out > 0xfff0 || n_attr > 64)
		return ds_fail_at(c->err, DS_E_INPUT, msg.p - c->base, "a node with too many inputs, outputs or attributes");
	DS_TRY(array(c, n_in, sizeof *n->in, &n->in));
	DS_TRY(array(c, n_out, sizeof *n->out, &n->out));
	DS_TRY(array(c, n_attr, sizeof *n->attr, &n->attr));
	FIELDS(b, f) {
		switch (f.num) {
		case 1: DS_TRY(text(c, &b, &f, &n->in[n->n_in])); n->n_in++; break;
		case 2: DS_TRY(text(c, &b, &f, &n->out[n->n_out])); n->n_out++; break;
		case 3: DS_TRY(text(c, &b, &f, &n->name)); break;
		case 4: DS_TRY(text(c, &b, &f, &n->op)); break;
		case 5: WANT(DS_WIRE_SPAN); DS_TRY(attribute(c, &n->attr[n->n_attr], f.s)); n->n_attr++; break;
		case 7: DS_TRY(text(c, &b, &f, &n->domain)); n->domain = domain_of(n->domain); break;
		case 8: DS_TRY(text(c, &b, &f, &n->overload)); break;
		}
	}
	return ENDED(rc);
}

/* ---- ValueInfoProto ------------------------------------------------------------------------------------------------------------- */
static ds_status dim(ctx *c, ds_ovalue *v, ds_span msg)
{
	ds_pb b = ds_pb_of(msg, c->base);
	ds_field f;
	ds_status rc;

	if (v->rank < 0 || v->rank == DS_MAX_RANK) {
		v->rank = -2;
		return DS_OK;
	}
	int i = v->rank++;
	v->dim[i] = -1;
	FIELDS(b, f) {
		if (f.num == 1) {
			WANT(DS_WIRE_VARINT);
			v->dim[i] = f.v > INT32_MAX ? -1 : (int64_t)f.v;        /* a negative dim is how some exporters write "unknown" */
		} else if (f.num == 2) {
			DS_TRY(text(c, &b, &f, &v->param[i]));
			if (!v->param[i][0])
				v->param[i] = NULL;
		}
	}
	return ENDED(rc);
}

static ds_status shape(ctx *c, ds_ovalue *v, ds_span msg)
{
	ds_pb b = ds_pb_of(msg, c->base);
	ds_field f;
	ds_status rc;

	v->rank = 0;
	FIELDS(b, f)
		if (f.num == 1) {
			WANT(DS_WIRE_SPAN);
			DS_TRY(dim(c, v, f.s));
		}
	return ENDED(rc);
}

static ds_status tensor_type(ctx *c, ds_ovalue *v, ds_span msg)
{
	ds_pb b = ds_pb_of(msg, c->base);
	ds_field f;
	ds_status rc;

	v->is_tensor = true;
	FIELDS(b, f) {
		if (f.num == 1) {
			WANT(DS_WIRE_VARINT);
			v->elem = f.v > 1000 ? 1000 : (int)f.v;
		} else if (f.num == 2) {
			WANT(DS_WIRE_SPAN);
			DS_TRY(shape(c, v, f.s));
		}
	}
	return ENDED(rc);
}

static ds_status value(ctx *c, ds_ovalue *v, ds_span msg)
{
	ds_pb b = ds_pb_of(msg, c->base), type;
	ds_field f;
	ds_status rc;

	*v = (ds_ovalue){ .name = "", .rank = -1 };
	FIELDS(b, f) {
		if (f.num == 1) {
			DS_TRY(text(c, &b, &f, &v->name));
		} else if (f.num == 2) {
			WANT(DS_WIRE_SPAN);
			type = ds_pb_of(f.s, c->base);
			FIELDS(type, f) {
				v->typed |= f.num != 6;         /* 6 is a remark, the others are kinds of types */
				if (f.num == 1) {
					WANT(DS_WIRE_SPAN);
					DS_TRY(tensor_type(c, v, f.s));
				}
			}
			DS_TRY(ENDED(rc));
		}
	}
	return ENDED(rc);
}

/* ---- GraphProto, FunctionProto, ModelProto -------------------------------------------------------------------------------------- */
ds_status ds_onnx_graph_parse(ds_ograph *g, ds_arena *a, ds_span msg, const uint8_t *base, ds_err *err)
{
	ctx cx = { a, base, err }, *c = &cx;
	ds_pb b = ds_pb_of(msg, base);
	size_t n_node, n_init, n_in, n_out, n_info;
	ds_field f;
	ds_status rc;

	*g = (ds_ograph){ .name = "" };
	DS_TRY(ds_pb_count(b, 1, &n_node, err));
	DS_TRY(ds_pb_count(b, 5, &n_init, err));
	DS_TRY(ds_pb_count(b, 11, &n_in, err));
	DS_TRY(ds_pb_count(b, 12, &n_out, err));
	DS_TRY(ds_pb_count(b, 13, &n_info, err));
	if (n_node > 1u << 20 || n_init > 1u << 20 || n_in > 1u << 20 || n_out > 1u << 20 || n_info > 1u << 21)
		return ds_fail_at(err, DS_E_INPUT, msg.p - base, "a graph with too many nodes or values");
	DS_TRY(array(c, n_node, sizeof *g->node, &g->node));
	DS_TRY(array(c, n_init, sizeof *g->init, &g->init));
	DS_TRY(array(c, n_in, sizeof *g->in, &g->in));
	DS_TRY(array(c, n_out, sizeof *g->out, &g->out));
	DS_TRY(array(c, n_info, sizeof *g->info, &g->info));
	FIELDS(b, f) {
		switch (f.num) {
		case 1: WANT(DS_WIRE_SPAN); DS_TRY(node(c, &g->node[g->n_node++], f.s)); break;
		case 2: DS_TRY(text(c, &b, &f, &g->name)); break;
		case 5: WANT(DS_WIRE_SPAN); DS_TRY(tensor(c, &g->init[g->n_init++], f.s)); break;
		case 11: WANT(DS_WIRE_SPAN); DS_TRY(value(c, &g->in[g->n_in++], f.s)); break;
		case 12: WANT(DS_WIRE_SPAN); DS_TRY(value(c, &g->out[g->n_out++], f.s)); break;
		case 13: WANT(DS_WIRE_SPAN); DS_TRY(value(c, &g->info[g->n_info++], f.s)); break;
		case 15: g->n_sparse++; break;
		}
	}
	return ENDED(rc);
}

static ds_status opset(ctx *c, ds_oset *s, ds_span msg)
{
	ds_pb b = ds_pb_of(msg, c->base);
	ds_field f;
	ds_status rc;

	*s = (ds_oset){ .domain = "" };
	FIELDS(b, f) {
		if (f.num == 1) {
			DS_TRY(text(c, &b, &f, &s->domain));
			s->domain = domain_of(s->domain);
		} else if (f.num == 2) {
			WANT(DS_WIRE_VARINT);
			s->version = f.v > INT32_MAX ? INT32_MAX : (int64_t)f.v;
		}
	}
	return ENDED(rc);
}

static ds_status function(ctx *c, ds_ofunc *fn, ds_span msg)
{
	ds_pb b = ds_pb_of(msg, c->base);
	size_t n_in, n_out, n_node, n_attr, n_set;
	ds_field f;
	ds_status rc;

	*fn = (ds_ofunc){ .name = "", .domain = "", .overload = "" };
	DS_TRY(ds_pb_count(b, 4, &n_in, c->err));
	DS_TRY(ds_pb_count(b, 5, &n_out, c->err));
	DS_TRY(ds_pb_count(b, 7, &n_node, c->err));
	DS_TRY(ds_pb_count(b, 9, &n_set, c->err));
	DS_TRY(ds_pb_count(b, 11, &n_attr, c->err));
	if (n_in > 0xfff0 || n_out > 0xfff0 || n_attr > 64 || n_node > INT32_MAX || n_set > INT32_MAX)
		return ds_fail_at(c->err, DS_E_INPUT, msg.p - c->base, "a function with too many inputs, outputs or attributes");
	DS_TRY(array(c, n_in, sizeof *fn->in, &fn->in));
	DS_TRY(array(c, n_out, sizeof *fn->out, &fn->out));
	DS_TRY(array(c, n_node, sizeof *fn->node, &fn->node));
	DS_TRY(array(c, n_attr, sizeof *fn->attr, &fn->attr));
	DS_TRY(array(c, n_set, sizeof *fn->set, &fn->set));
	FIELDS(b, f) {
		switch (f.num) {
		case 1: DS_TRY(text(c, &b, &f, &fn->name)); break;
		case 4: DS_TRY(text(c, &b, &f, &fn->in[fn->n_in])); fn->n_in++; break;
		case 5: DS_TRY(text(c, &b, &f, &fn->out[fn->n_out])); fn->n_out++; break;
		case 7: WANT(DS_WIRE_SPAN); DS_TRY(node(c, &fn->node[fn->n_node], f.s)); fn->n_node++; break;
		case 9: WANT(DS_WIRE_SPAN); DS_TRY(opset(c, &fn->set[fn->n_set], f.s)); fn->n_set++; break;
		case 10: DS_TRY(text(c, &b, &f, &fn->domain)); fn->domain = domain_of(fn->domain); break;
		case 11: WANT(DS_WIRE_SPAN); DS_TRY(attribute(c, &fn->attr[fn->n_attr], f.s)); fn->n_attr++; break;
		case 13: DS_TRY(text(c, &b, &f, &fn->overload)); break;
		}
	}
	return ENDED(rc);
}

static ds_status property(ctx *c, ds_omodel *m, ds_span msg)
{
	ds_pb b = ds_pb_of(msg, c->base);
	const char *key = "", *val = "";
	ds_field f;
	ds_status rc;

	FIELDS(b, f) {
		if (f.num == 1)
			DS_TRY(text(c, &b, &f, &key));
		else if (f.num == 2)
			DS_TRY(text(c, &b, &f, &val));
	}
	m->meta_key[m->n_meta] = key;
	m->meta_value[m->n_meta++] = val;
	return ENDED(rc);
}

ds_status ds_onnx_model_parse(ds_omodel *m, ds_arena *a, ds_span msg, const uint8_t *base, ds_err *err)
{
	ctx cx = { a, base, err }, *c = &cx;
	ds_pb b = ds_pb_of(msg, base);
	size_t n_set, n_func, n_meta;
	ds_field f;
	ds_status rc;

	*m = (ds_omodel){ .producer = "" };
	DS_TRY(ds_pb_count(b, 8, &n_set, err));
	DS_TRY(ds_pb_count(b, 14, &n_meta, err));
	DS_TRY(ds_pb_count(b, 25, &n_func, err));
	DS_TRY(array(c, n_set, sizeof *m->set, &m->set));
	DS_TRY(array(c, n_func, sizeof *m->func, &m->func));
	DS_TRY(array(c, n_meta, sizeof *m->meta_key, &m->meta_key));
	DS_TRY(array(c, n_meta, sizeof *m->meta_value, &m->meta_value));
	FIELDS(b, f) {
		switch (f.num) {
		case 1: WANT(DS_WIRE_VARINT); m->ir_version = (int64_t)f.v; break;
		case 2: DS_TRY(text(c, &b, &f, &m->producer)); break;
		case 7:
			WANT(DS_WIRE_SPAN);
			if (m->has_graph)
				return ds_fail_at(err, DS_E_INPUT, f.s.p - base, "not a valid ONNX file: two graphs");
			m->has_graph = true;
			DS_TRY(ds_onnx_graph_parse(&m->graph, a, f.s, base, err));
			break;
		case 8: WANT(DS_WIRE_SPAN); DS_TRY(opset(c, &m->set[m->n_set++], f.s)); break;
		case 14: WANT(DS_WIRE_SPAN); DS_TRY(property(c, m, f.s)); break;
		case 25: WANT(DS_WIRE_SPAN); DS_TRY(function(c, &m->func[m->n_func++], f.s)); break;
		}
	}
	return ENDED(rc);
}
