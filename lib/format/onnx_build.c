/* onnx_build.c - from ONNX's messages to a graph: names become values, functions are unfolded, sub-graphs nested, symbols made
 *
 * Every node passes as a draft through the upgrades (onnx_upgrade.c) and is then appended.  Nesting of graphs and functions is at most
 * MAX_DEPTH, the number of nodes at most that of the container, so a small file cannot unfold without end. */
#include "onnx.h"

#include "../base/rng.h"
#include "../base/str.h"
#include "../graph/op.h"

#include <string.h>

enum { MAX_DEPTH = 16, MAX_NODES = 1 << 20, MAX_NAME = 240 };

/* ---- maps --------------------------------------------------------------------------------------------------------------------------- */
static ds_omap_slot *slot_of(const ds_omap *m, const char *key)
{
	size_t i = (size_t)ds_hash64(key, strlen(key), 0) & (m->cap - 1);

	while (m->slot[i].key && strcmp(m->slot[i].key, key) != 0)
		i = (i + 1) & (m->cap - 1);
	return &m->slot[i];
}

void *ds_omap_get(const ds_omap *m, const char *key)
{
	return m->cap ? slot_of(m, key)->value : NULL;
}

bool ds_omap_set(ds_omap *m, const char *key, void *value)
{
	if (2 * (m->n + 1) > m->cap) {
		ds_omap big = { .cap = m->cap ? 2 * m->cap : 16, .n = m->n };
		big.slot = ds_calloc(big.cap, sizeof *big.slot);
		if (!big.slot)
			return false;
		for (size_t i = 0; i < m->cap; i++)
			if (m->slot[i].key)
				*slot_of(&big, m->slot[i].key) = m->slot[i];
		ds_free(m->slot);
		*m = big;
	}
	ds_omap_slot *s = slot_of(m, key);
	m->n += !s->key;
	*s = (ds_omap_slot){ key, value };
	return true;
}

void ds_omap_done(ds_omap *m)
{
	ds_free(m->slot);
	*m = (ds_omap){ 0 };
}

static void scope_done(ds_oscope *s)
{
	ds_omap_done(&s->value);
	ds_omap_done(&s->stated);
	ds_omap_done(&s->rename);
}

/* Stands in maps for a name whose value does not exist any more (an output that only training has). */
static const char gone_mark;
#define GONE ((ds_value *)(uintptr_t)&gone_mark)

static ds_value *lookup(const ds_oscope *s, const char *name)
{
	ds_value *v = NULL;

	for (; s && !v; s = s->up)
		v = ds_omap_get(&s->value, name);
	return v;
}

/* ---- names -------------------------------------------------------------------------------------------------------------------------- */
/* The name in the container's text rule, short enough to be numbered. */
static const char *fit(ds_oimport *im, const char *name)
{
	size_t n = strlen(name);
	ds_buf b = { 0 };

	if (n <= MAX_NAME && ds_text_ok(name, n, false))
		return name;
	ds_text_quote(&b, name, n);
	n = DS_MIN(b.len, MAX_NAME);
	while (n > 0 && n < b.len && ((uint8_t)b.data[n] & 0xc0) == 0x80)
		n--;
	const char *out = b.oom || !b.data ? NULL : ds_arena_strndup(&im->arena, b.data, n);
	ds_buf_done(&b);
	return out;
}

/* `name` or, when it is in use, `name_1`, ...; registered in `used`. */
static const char *unique(ds_oimport *im, ds_omap *used, const char *name, bool may_reserved)
{
	const char *s = fit(im, name);

	while (s && (ds_omap_get(used, s) || (!may_reserved && used == &im->names && ds_omap_get(&im->reserved, s)))) {
		size_t n = strlen(name);
		s = ds_arena_printf(&im->arena, "%.*s", (int)DS_MIN(n, MAX_NAME), name);
		s = s ? fit(im, s) : NULL;
		s = s ? ds_arena_printf(&im->arena, "%s_%zu", s, ++im->serial) : NULL;
	}
	return s && ds_omap_set(used, s, im) ? s : NULL;
}

const char *ds_oimport_name(ds_oimport *im, ds_oscope *sc, const char *name)
{
	const char *outer;

	if (!*name)
		return name;
	while (sc->caller && (outer = ds_omap_get(&sc->rename, name))) {
		name = outer;
		sc = sc->caller;
	}
	if (*sc->prefix) {
		name = ds_arena_printf(&im->arena, "%s%s", sc->prefix, name);
		if (!name)
			return NULL;
	}
	return unique(im, &im->names, name, !sc->up && !sc->caller);
}

/* ---- types -------------------------------------------------------------------------------------------------------------------------- */
/* The dim of a value: a number, a symbol, or unknown.  make: unknown dims and new names become symbols. */
static ds_status dim_of(ds_oimport *im, const ds_ovalue *v, int i, bool make, int64_t *out, ds_err *err)
{
	const char *name = v->param[i];
	int k = -1;

	*out = v->dim[i];
	if (v->dim[i] >= 0)
		return DS_OK;
	if (name && (name = fit(im, name)) == NULL)
		return ds_fail_nomem(err, MAX_NAME);
	size_t known = name ? (size_t)(uintptr_t)ds_omap_get(&im->symbols, name) : 0;
	if (known) {
		k = (int)known - 1;
	} else if (make) {
		k = ds_graph_symbol(ds_graph_root(im->m->graph), name ? name : "");
		if (k < 0 || (name && !ds_omap_set(&im->symbols, name, (void *)(uintptr_t)(k + 1))))
			return ds_fail_nomem(err, 64);
	}
	*out = k < 0 ? DS_DIM_UNKNOWN : -1 - (int64_t)k;
	return DS_OK;
}

static ds_status type_of(ds_oimport *im, const ds_ovalue *v, bool make, ds_type *t, ds_err *err)
{
	const ds_dtype_row *row = v->elem > 0 && v->elem < 127 ? ds_dtype_by_onnx(v->elem) : NULL;

	*t = (ds_type){ .dtype = DS_NONE, .rank = -1 };
	if (v->typed && (!v->is_tensor || v->rank == -2))
		return ds_fail(err, DS_E_UNSUPPORTED, "value '%s' is %s", v->name, v->is_tensor ? "a tensor with too many dims" : "a sequence, map or optional value");
	if (v->elem && !row)
		return ds_fail(err, DS_E_UNSUPPORTED, "value '%s': tensors of %s are not supported", v->name, ds_onnx_type_name(v->elem));
	t->dtype = row ? row->dtype : DS_NONE;
	t->rank = (int8_t)v->rank;
	for (int i = 0; i < v->rank; i++)
		DS_TRY(dim_of(im, v, i, make, &t->dim[i], err));
	return DS_OK;
}

void ds_onnx_fill_stated(ds_oimport *im)
{
	for (size_t i = 0; i < im->n_stated; i++) {
		ds_type t, *have = &im->stated[i].v->type;
		if ((have->dtype != DS_NONE && have->rank >= 0) || type_of(im, im->stated[i].info, false, &t, NULL) != DS_OK)
			continue;
		if (have->dtype == DS_NONE)
			have->dtype = t.dtype;
		if (have->rank < 0) {
			have->rank = t.rank;
			memcpy(have->dim, t.dim, sizeof have->dim);
		}
	}
}

/* ---- weights ------------------------------------------------------------------------------------------------------------------------ */
ds_value *ds_oimport_weight(ds_oimport *im, ds_oscope *sc, const char *name, ds_tensor *t, bool param, ds_err *err)
{
	bool floats = ds_dtype_of(t->dtype)->is_float;
	bool small = ds_tensor_bytes(t) <= 64 && !(param && floats && ds_tensor_count(t) > 1);
	const char *own = *name || small ? ds_oimport_name(im, sc, name) : unique(im, &im->names, "weight", false);
	ds_value *v = own ? ds_graph_weight(im->m->graph, small ? DS_V_CONST : DS_V_PARAM, own, t) : NULL;

	if (!v) {
		ds_tensor_done(t);
		ds_fail_nomem(err, 64);
	}
	return v;
}

static ds_status initialisers(ds_oimport *im, ds_oscope *sc, const ds_ograph *og, ds_err *err)
{
	if (og->n_sparse)
		return ds_fail(err, DS_E_UNSUPPORTED, "sparse initialisers are not supported");
	for (size_t i = 0; i < og->n_init; i++) {
		const ds_otensor *ot = &og->init[i];
		ds_tensor t;
		if (ds_omap_get(&sc->value, ot->name) || !*ot->name)
			return ds_fail(err, DS_E_INPUT, "initialiser '%s' has no name or is there twice", ot->name);
		DS_TRY(ds_onnx_tensor(&t, &im->data, ot, err));
		ds_value *v = ds_oimport_weight(im, sc, ot->name, &t, true, err);
		if (!v)
			return DS_E_NOMEM;
		if (!ds_omap_set(&sc->value, ot->name, v))
			return ds_fail_nomem(err, 64);
	}
	return DS_OK;
}

/* ---- drafts ------------------------------------------------------------------------------------------------------------------------- */
const ds_oattr *ds_odraft_attr(const ds_odraft *d, const char *name)
{
	for (int i = 0; i < d->n_attr; i++)
		if (strcmp(d->attr[i].name, name) == 0)
			return &d->attr[i];
	return NULL;
}

void ds_odraft_del(ds_odraft *d, const char *name)
{
	for (int i = 0; i < d->n_attr; i++)
		if (strcmp(d->attr[i].name, name) == 0)
			d->attr[i--] = d->attr[--d->n_attr];
}

ds_status ds_odraft_set(ds_odraft *d, const ds_oattr *a, ds_err *err)
{
	ds_odraft_del(d, a->name);
	if (d->n_attr == d->cap_attr)
		return ds_fail(err, DS_E_INTERNAL, "too many attributes");
	d->attr[d->n_attr++] = *a;
	return DS_OK;
}

ds_status ds_odraft_input(ds_odraft *d, int i, ds_value *v, ds_err *err)
{
	if (!v)
		return ds_fail_nomem(err, 64);
	if (i < d->n_in && d->in[i])
		return ds_fail(err, DS_E_INPUT, "%s: input %d and the attribute that it replaces are both there", d->op, i);
	while (d->n_in <= i)
		d->in[d->n_in++] = NULL;
	d->in[i] = v;
	return DS_OK;
}

ds_status ds_odraft_bind(ds_odraft *d, int i, ds_value *v, ds_err *err)
{
	const char *name = i < d->n_out ? d->out[i] : "";

	if (!*name)
		return DS_OK;
	if (lookup(d->sc, name))
		return ds_fail(err, DS_E_INPUT, "value '%s' is made twice", name);
	if (!ds_omap_set(&d->sc->value, name, v ? v : GONE))
		return ds_fail_nomem(err, 64);
	const ds_ovalue *info = v ? ds_omap_get(&d->sc->stated, name) : NULL;
	if (info) {
		if (!ds_grow((void **)&d->im->stated, d->im->n_stated, &d->im->cap_stated, sizeof *d->im->stated))
			return ds_fail_nomem(err, 64);
		d->im->stated[d->im->n_stated++] = (ds_ostated){ v, info };
	}
	return DS_OK;
}

static ds_status sub_graph(ds_oimport *im, ds_oscope *up, ds_span msg, ds_graph **out, ds_err *err);

static ds_status tensor_attr(ds_odraft *d, ds_node *n, const ds_oattr *a, ds_err *err)
{
	ds_otensor ot;
	ds_tensor t;

	DS_TRY(ds_onnx_tensor_parse(&ot, &d->im->arena, a->t, d->im->base, err));
	if (!*ot.name)
		ot.name = a->name;
	DS_TRY(ds_onnx_tensor(&t, &d->im->data, &ot, err));
	const char *name = ds_tensor_bytes(&t) <= 64 ? "" : ds_arena_printf(&d->im->arena, "%s.%s", *d->name ? d->name : d->op, a->name);
	if (!name) {
		ds_tensor_done(&t);
		return ds_fail_nomem(err, 64);
	}
	ds_value *v = ds_oimport_weight(d->im, d->sc, name, &t, false, err);
	return v ? ds_attr_t(n, a->name, v) : DS_E_NOMEM;
}

static ds_status attr(ds_odraft *d, ds_node *n, const ds_oattr *a, ds_err *err)
{
	ds_graph *g = NULL;

	if (!*a->name || !ds_text_ok(a->name, strlen(a->name), false) || strlen(a->name) > 127)
		return ds_fail(err, DS_E_INPUT, "an attribute without a proper name");
	switch (a->type) {
	case DS_OA_FLOAT: return ds_attr_f(n, a->name, a->f);
	case DS_OA_INT: return ds_attr_i(n, a->name, a->i);
	case DS_OA_STRING:
		if (!a->s_text)
			return ds_fail(err, DS_E_UNSUPPORTED, "attribute '%s' holds bytes that are not text", a->name);
		return ds_attr_s(n, a->name, a->s);
	case DS_OA_FLOATS: return ds_attr_fs(n, a->name, a->floats.n, a->floats.v);
	case DS_OA_INTS: return ds_attr_is(n, a->name, a->ints.n, a->ints.v);
	case DS_OA_STRINGS:
		for (int i = 0; i < a->strs.n; i++)
			if (!ds_text_ok(a->strs.v[i], strlen(a->strs.v[i]), true))
				return ds_fail(err, DS_E_UNSUPPORTED, "attribute '%s' holds bytes that are not text", a->name);
		return ds_attr_ss(n, a->name, a->strs.n, a->strs.v);
	case DS_OA_TENSOR: return tensor_attr(d, n, a, err);
	case DS_OA_GRAPH:
		DS_TRY(sub_graph(d->im, d->sc, a->g, &g, err));
		return ds_attr_g(n, a->name, g);
	default: return ds_fail(err, DS_E_UNSUPPORTED, "attribute '%s' has a kind (%d of ONNX) that is not supported", a->name, a->type);
	}
}

ds_status ds_odraft_emit(ds_odraft *d, ds_err *err)
{
	ds_oimport *im = d->im;
	const char *name = d->name, *domain = d->domain, *op = d->op;

	while (d->n_in > 0 && !d->in[d->n_in - 1])
		d->n_in--;
	while (d->n_out > 1 && !*d->out[d->n_out - 1])
		d->n_out--;
	if (d->n_out < 1)
		return ds_fail(err, DS_E_INPUT, "%s '%s' has no output", d->op, d->name);
	if (!ds_text_ok(op, strlen(op), false) || !*op || strlen(op) > 127 || !ds_text_ok(domain, strlen(domain), false) || strlen(domain) > 127)
		return ds_fail(err, DS_E_INPUT, "an operator without a proper name");
	if (*name) {
		if (*d->sc->prefix)
			name = ds_arena_printf(&im->arena, "%s%s", d->sc->prefix, name);
		name = name ? unique(im, &im->node_names, name, true) : NULL;
	}
	const char **outs = ds_arena_alloc(&im->arena, (size_t)d->n_out, sizeof *outs);
	if (!name || !outs)
		return ds_fail_nomem(err, 64);
	for (int i = 0; i < d->n_out; i++)
		if (!(outs[i] = ds_oimport_name(im, d->sc, d->out[i])))
			return ds_fail_nomem(err, MAX_NAME);
	d->made = ds_graph_node(d->sc->g, domain, op, name, d->n_in, d->in, d->n_out, outs);
	if (!d->made)
		return ds_fail_nomem(err, sizeof *d->made);
	for (int i = 0; i < d->n_attr; i++) {
		ds_status rc = attr(d, d->made, &d->attr[i], err);
		if (rc == DS_E_NOMEM && err && err->code == DS_OK)
			ds_fail_nomem(err, 64);
		DS_TRY(rc);
	}
	for (int i = 0; i < d->n_out; i++)
		DS_TRY(ds_odraft_bind(d, i, d->made->out[i], err));
	return DS_OK;
}

/* ---- nodes -------------------------------------------------------------------------------------------------------------------------- */
static int64_t version_of(const ds_oscope *sc, const char *domain)
{
	for (size_t i = 0; i < sc->n_set; i++)
		if (strcmp(sc->set[i].domain, domain) == 0)
			return sc->set[i].version;
	return 0;
}

/* Attributes that stand for those of the function's call are put in place; absent ones vanish. */
static ds_status resolve_attrs(ds_odraft *d, const ds_onode *n, ds_err *err)
{
	const ds_oscope *f = d->sc;

	while (f && !f->caller)
		f = f->up;
	for (int i = 0; i < n->n_attr; i++) {
		const ds_oattr *a = &n->attr[i];
		if (!a->ref) {
			d->attr[d->n_attr++] = *a;
			continue;
		}
		for (int k = 0; f && k < f->n_attr; k++)
			if (strcmp(f->attr[k].name, a->ref) == 0) {
				d->attr[d->n_attr] = f->attr[k];
				d->attr[d->n_attr++].name = a->name;
				if (f->attr[k].type == DS_OA_GRAPH)
					return ds_fail(err, DS_E_UNSUPPORTED, "a function with a graph as attribute");
				break;
			}
	}
	return DS_OK;
}

static const ds_ofunc *find_function(const ds_oimport *im, const ds_onode *n)
{
	for (size_t i = 0; i < im->om.n_func; i++) {
		const ds_ofunc *f = &im->om.func[i];
		if (strcmp(f->name, n->op) == 0 && strcmp(f->domain, n->domain) == 0 && strcmp(f->overload, n->overload) == 0)
			return f;
	}
	return NULL;
}

static ds_status one_node(ds_oimport *im, ds_oscope *sc, const ds_onode *n, ds_err *err);

/* Unfold a call: the body's nodes are appended where the call stands. */
static ds_status unfold(ds_odraft *d, const ds_ofunc *f, ds_err *err)
{
	ds_oimport *im = d->im;
	ds_oscope sc = { .caller = d->sc, .g = d->sc->g, .set = f->set, .n_set = (size_t)f->n_set };
	ds_status rc = DS_OK;

	if (d->n_in > f->n_in || d->n_out > f->n_out)
		return ds_fail(err, DS_E_INPUT, "call of function '%s' with too many inputs or outputs", f->name);
	if (++im->depth > MAX_DEPTH)
		return ds_fail(err, DS_E_INPUT, "functions and graphs are nested too deeply");
	sc.prefix = ds_arena_printf(&im->arena, "%s%.100s/", strlen(d->sc->prefix) < 100 ? d->sc->prefix : "", *d->name ? d->name : d->op);
	ds_oattr *attrs = ds_arena_alloc(&im->arena, (size_t)d->n_attr + (size_t)f->n_attr + 1, sizeof *attrs);
	if (!sc.prefix || !attrs)
		return ds_fail_nomem(err, 64);
	for (int i = 0; i < f->n_attr; i++)
		if (!ds_odraft_attr(d, f->attr[i].name))
			attrs[sc.n_attr++] = f->attr[i];
	for (int i = 0; i < d->n_attr; i++)
		attrs[sc.n_attr++] = d->attr[i];
	sc.attr = attrs;
	for (int i = 0; i < f->n_in && rc == DS_OK; i++)
		if (i < d->n_in && d->in[i] && !ds_omap_set(&sc.value, f->in[i], d->in[i]))
			rc = ds_fail_nomem(err, 64);
	for (int i = 0; i < d->n_out && rc == DS_OK; i++)
		if (*d->out[i] && !ds_omap_set(&sc.rename, f->out[i], (void *)(uintptr_t)d->out[i]))
			rc = ds_fail_nomem(err, 64);
	for (int i = 0; i < f->n_node && rc == DS_OK; i++)
		rc = one_node(im, &sc, &f->node[i], err);
	for (int i = 0; i < d->n_out && rc == DS_OK; i++) {
		ds_value *v = ds_omap_get(&sc.value, f->out[i]);
		if (*d->out[i] && !v)
			rc = ds_fail(err, DS_E_INPUT, "function '%s' does not make its output '%s'", f->name, f->out[i]);
		else
			rc = ds_odraft_bind(d, i, v, err);
	}
	im->depth--;
	scope_done(&sc);
	return rc;
}

/* The tensor that a Constant node stands for. */
static ds_status constant_tensor(ds_odraft *d, ds_tensor *t, ds_err *err)
{
	const ds_oattr *a = d->n_attr == 1 ? &d->attr[0] : NULL;
	ds_otensor ot;
	int64_t n;

	if (!a || (a->type == DS_OA_STRING || a->type == DS_OA_STRINGS || a->type > DS_OA_STRINGS))
		return ds_fail(err, DS_E_UNSUPPORTED, "a constant that is text, sparse, or has not exactly one value");
	switch (a->type) {
	case DS_OA_TENSOR:
		DS_TRY(ds_onnx_tensor_parse(&ot, &d->im->arena, a->t, d->im->base, err));
		ot.name = d->out[0];
		return ds_onnx_tensor(t, &d->im->data, &ot, err);
	case DS_OA_FLOAT:
		DS_TRY(ds_tensor_new(t, DS_F32, 0, NULL, err));
		*(float *)t->data = (float)a->f;
		return DS_OK;
	case DS_OA_INT:
		DS_TRY(ds_tensor_new(t, DS_I64, 0, NULL, err));
		*(int64_t *)t->data = a->i;
		return DS_OK;
	case DS_OA_FLOATS:
		n = a->floats.n;
		DS_TRY(ds_tensor_new(t, DS_F32, 1, &n, err));
		for (int64_t i = 0; i < n; i++)
			((float *)t->data)[i] = (float)a->floats.v[i];
		return DS_OK;
	case DS_OA_INTS:
		n = a->ints.n;
		DS_TRY(ds_tensor_new(t, DS_I64, 1, &n, err));
		if (n)
			memcpy(t->data, a->ints.v, (size_t)n * 8);
		return DS_OK;
	default:
		return ds_fail(err, DS_E_INPUT, "a constant without a value");
	}
}

static ds_status constant(ds_odraft *d, ds_err *err)
{
	ds_tensor t = { 0 };

	if (d->n_out != 1)
		return ds_fail(err, DS_E_INPUT, "a constant with %d outputs", d->n_out);
	DS_TRY(constant_tensor(d, &t, err));
	ds_value *v = ds_oimport_weight(d->im, d->sc, d->out[0], &t, false, err);
	return v ? ds_odraft_bind(d, 0, v, err) : DS_E_NOMEM;
}

static ds_status draft_of(ds_odraft *d, const ds_onode *n, ds_err *err)
{
	ds_oimport *im = d->im;

	d->in = ds_arena_alloc(&im->arena, (size_t)n->n_in + DS_ODRAFT_ROOM, sizeof *d->in);
	d->out = ds_arena_alloc(&im->arena, (size_t)n->n_out + 1, sizeof *d->out);
	d->cap_attr = n->n_attr + DS_ODRAFT_ROOM;
	d->attr = ds_arena_alloc(&im->arena, (size_t)d->cap_attr, sizeof *d->attr);
	if (!d->in || !d->out || !d->attr)
		return ds_fail_nomem(err, 64);
	for (int i = 0; i < n->n_in; i++) {
		ds_value *v = *n->in[i] ? lookup(d->sc, n->in[i]) : NULL;
		bool optional = d->sc->caller != NULL;          /* inputs that the call of a function left out */
		if (v == GONE)
			return ds_fail(err, DS_E_UNSUPPORTED, "'%s' is an output that only training has", n->in[i]);
		if (*n->in[i] && !v && !optional)
			return ds_fail(err, DS_E_INPUT, "'%s' is used, but nothing before makes it", n->in[i]);
		d->in[d->n_in++] = v;
	}
	for (int i = 0; i < n->n_out; i++)
		d->out[d->n_out++] = n->out[i];
	return resolve_attrs(d, n, err);
}

static ds_status convert_node(ds_odraft *d, const ds_onode *n, ds_err *err)
{
	const ds_ofunc *f = find_function(d->im, n);

	DS_TRY(draft_of(d, n, err));
	if (f && !ds_op_find(n->domain, n->op))
		return unfold(d, f, err);
	d->version = version_of(d->sc, n->domain);
	if (!*n->domain && d->version == 0)
		return ds_fail(err, DS_E_INPUT, "no operator set is stated for ONNX's own operators");
	if (!*n->domain && strcmp(n->op, "Constant") == 0)
		return constant(d, err);
	if (!*n->domain)
		DS_TRY(ds_onnx_upgrade(d, err));
	return d->made ? DS_OK : ds_odraft_emit(d, err);
}

static ds_status one_node(ds_oimport *im, ds_oscope *sc, const ds_onode *n, ds_err *err)
{
	ds_odraft d = { .im = im, .sc = sc, .op = n->op, .domain = n->domain, .name = n->name };

	if (++im->n_node > MAX_NODES)
		return ds_fail(err, DS_E_INPUT, "more than %d nodes", MAX_NODES);
	ds_status rc = convert_node(&d, n, err);
	if (rc != DS_OK)
		ds_err_prefix(err, "%s '%s'", n->op, *n->name ? n->name : n->n_out ? n->out[0] : "");
	return rc;
}

/* ---- graphs ------------------------------------------------------------------------------------------------------------------------- */
static ds_status inputs(ds_oimport *im, ds_oscope *sc, const ds_ograph *og, ds_err *err)
{
	for (size_t i = 0; i < og->n_in; i++) {
		const ds_ovalue *in = &og->in[i];
		ds_type t;
		ds_value *v = ds_omap_get(&sc->value, in->name);
		if (v && (v->kind == DS_V_PARAM || v->kind == DS_V_CONST))
			continue;               /* IR 3: every initialiser is listed as an input too; it is a weight */
		if (v || !*in->name)
			return ds_fail(err, DS_E_INPUT, "input '%s' has no name or is there twice", in->name);
		DS_TRY(type_of(im, in, !sc->up, &t, err));
		const char *name = ds_oimport_name(im, sc, in->name);
		v = name ? ds_graph_input(sc->g, name, &t) : NULL;
		if (!v || !ds_omap_set(&sc->value, in->name, v))
			return ds_fail_nomem(err, 64);
	}
	return DS_OK;
}

/* Is v made by, or an input of, this very graph?  Weights belong to the main graph. */
static bool own_value(const ds_graph *g, const ds_value *v)
{
	if (v->kind == DS_V_NODE)
		return v->node->graph == g;
	if (v->kind != DS_V_INPUT)
		return g->parent == NULL;
	for (int i = 0; i < g->n_input; i++)
		if (g->input[i] == v)
			return true;
	return false;
}

/* Outputs of the main graph must bear their names; where a value already has another one, an Identity makes the copy. */
static ds_status output(ds_oimport *im, ds_oscope *sc, const ds_ovalue *out, ds_err *err)
{
	ds_value *v = lookup(sc, out->name);
	const char *want = fit(im, out->name);

	if (v == GONE)
		return ds_fail(err, DS_E_UNSUPPORTED, "output '%s' is one that only training has", out->name);
	if (!v || !*out->name)
		return ds_fail(err, DS_E_INPUT, "nothing makes the output '%s'", out->name);
	if (!want)
		return ds_fail_nomem(err, MAX_NAME);
	bool named = sc->up || strcmp(v->name, want) == 0;
	if (!named || !own_value(sc->g, v)) {
		const char *name = sc->up ? "" : unique(im, &im->names, out->name, true);
		ds_node *id = name ? ds_graph_node(sc->g, "", "Identity", "", 1, &v, 1, &name) : NULL;
		if (!id)
			return ds_fail_nomem(err, 64);
		v = id->out[0];
	}
	return ds_graph_output(sc->g, v) == DS_OK ? DS_OK : ds_fail_nomem(err, 64);
}

static ds_status graph_into(ds_oimport *im, ds_oscope *sc, const ds_ograph *og, ds_err *err)
{
	for (size_t i = 0; i < og->n_info; i++)
		if (!ds_omap_set(&sc->stated, og->info[i].name, &og->info[i]))
			return ds_fail_nomem(err, 64);
	for (size_t i = 0; i < og->n_out; i++)
		if (!ds_omap_set(&sc->stated, og->out[i].name, &og->out[i]))
			return ds_fail_nomem(err, 64);
	DS_TRY(initialisers(im, sc, og, err));
	DS_TRY(inputs(im, sc, og, err));
	for (size_t i = 0; i < og->n_node; i++)
		DS_TRY(one_node(im, sc, &og->node[i], err));
	for (size_t i = 0; i < og->n_out; i++)
		DS_TRY(output(im, sc, &og->out[i], err));
	return DS_OK;
}

static ds_status sub_graph(ds_oimport *im, ds_oscope *up, ds_span msg, ds_graph **out, ds_err *err)
{
	ds_ograph *og = ds_arena_alloc(&im->arena, 1, sizeof *og);      /* stated types point into it until the end */
	ds_oscope sc = { .up = up, .prefix = up->prefix, .set = up->set, .n_set = up->n_set, .g = ds_graph_sub(up->g) };
	ds_status rc;

	if (!sc.g || !og)
		return ds_fail_nomem(err, sizeof *sc.g);
	if (++im->depth > MAX_DEPTH)
		return ds_fail(err, DS_E_INPUT, "functions and graphs are nested too deeply");
	rc = ds_onnx_graph_parse(og, &im->arena, msg, im->base, err);
	if (rc == DS_OK)
		rc = graph_into(im, &sc, og, err);
	im->depth--;
	*out = sc.g;
	scope_done(&sc);
	return rc;
}

/* The main graph's own names come before those that have to be made up. */
static ds_status reserve(ds_oimport *im, const ds_ograph *og, ds_err *err)
{
	bool ok = true;

	for (size_t i = 0; i < og->n_in; i++)
		ok = ok && ds_omap_set(&im->reserved, og->in[i].name, im);
	for (size_t i = 0; i < og->n_out; i++)
		ok = ok && ds_omap_set(&im->reserved, og->out[i].name, im);
	for (size_t i = 0; i < og->n_init; i++)
		ok = ok && ds_omap_set(&im->reserved, og->init[i].name, im);
	return ok ? DS_OK : ds_fail_nomem(err, 64);
}

ds_status ds_onnx_build(ds_oimport *im, ds_err *err)
{
	const ds_ograph *og = &im->om.graph;
	ds_oscope sc = { .prefix = "", .g = im->m->graph, .set = im->om.set, .n_set = im->om.n_set };
	ds_status rc = reserve(im, og, err);

	if (rc == DS_OK)
		rc = graph_into(im, &sc, og, err);
	scope_done(&sc);
	return rc;
}
