/* lower_fake_quantize.c - FakeQuantize becomes what it stands for: codes of weights, QuantizeLinear and DequantizeLinear of activations
 *
 * A weight becomes a quantised parameter of the narrowest codes that hold its grid.  An activation becomes Clip, QuantizeLinear to u8 and
 * DequantizeLinear; the Clip, which is left out where u8 saturates at the same codes, takes the place of a Relu or Clip before it.  Values stay what
 * they were, bit for bit: codes are made by the functions of op/fakequant.h.  A model that is run and the integer model that is written go through
 * this one rewrite, so both end in the same operators (fuse_qdq.c).  A FakeQuantize with a scale that is not constant, or a grid that fits no codes,
 * stays as it is. */
#include "help.h"
#include "../op/fakequant.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const char name[] = "lower-fake-quantize";

/* The parts of one FakeQuantize. */
typedef struct fake { ds_node *n; ds_value *x, *scale; int64_t lo, hi; int axis; } fake;

static bool match(ds_node *n, fake *f)
{
	if (!ds_rw_is(n, "ds", "FakeQuantize") || !n->a || !ds_rw_constant(n->in[1]))
		return false;
	const ds_tensor *s = &n->in[1]->data;
	if (s->q || s->dtype != DS_F32 || ds_tensor_count(s) < 1)
		return false;
	const ds_fq_attr *a = n->a;
	*f = (fake){ n, n->in[0], n->in[1], a->q_min, a->q_max, (int)a->grid.axis };
	return true;
}

/* ---- weights -------------------------------------------------------------------------------------------------------------------- */
/* The narrowest width of the container's signed codes; 0: none. */
static int width(const fake *f)
{
	static const int all[] = { 2, 3, 4, 5, 6, 8 };
	for (size_t i = 0; i < DS_COUNTOF(all); i++)
		if (f->lo >= -(INT64_C(1) << (all[i] - 1)) && f->hi < INT64_C(1) << (all[i] - 1))
			return all[i];
	return 0;
}

/* One scale per index of axis 0, or one for all. */
static bool weight_form(const fake *f, const ds_tensor *x, ds_qform *q, ds_qsize *size, ds_err *err)
{
	int bits = width(f);
	int64_t scales = ds_tensor_count(&f->scale->data);
	bool rows = scales > 1;
	if (!bits || x->rank < 1 || ds_tensor_count(x) == 0 || (rows && (f->axis != 0 || scales != x->dim[0])))
		return false;
	*q = (ds_qform){ .code = bits == 8 ? DS_I8 : (ds_dtype)(0x40 + bits), .scheme = DS_Q_SYM, .gran = rows ? DS_Q_ROW : DS_Q_TENSOR, .row_dims = 1,
		.scale_dtype = DS_F32 };
	return ds_q_join(q, x->rank, x->dim, err) == DS_OK && ds_qform_size(q, x->rank, x->dim, size, err) == DS_OK;
}

static ds_status codes_of(const fake *f, const ds_tensor *x, const ds_qsize *size, uint8_t *code, float *step, ds_err *err)
{
	const float *v = x->data, *scale = f->scale->data.data;
	int bits = width(f), offset = bits == 8 ? 0 : 1 << (bits - 1);
	for (int64_t i = 0; i < size->scales; i++)
		step[i] = ds_fq_step(scale[i]);
	for (int64_t i = 0; i < size->rows * size->cols; i++) {
		float c = ds_fq_code(v[i], step[size->scales > 1 ? i / size->cols : 0], (float)f->lo, (float)f->hi);
		if (!isfinite(c))
			return ds_fail(err, DS_E_INPUT, "weight \"%.100s\": element %" PRId64 " or its scale is not finite", f->x->name, i);
		code[i] = (uint8_t)((int)c + offset);
	}
	return DS_OK;
}

static ds_status planes(const fake *f, const ds_tensor *x, const ds_qform *q, const ds_qsize *size, ds_tensor *out, ds_err *err)
{
	ds_buffer *buf = ds_buffer_new((size_t)size->total);
	uint8_t *code = ds_malloc((size_t)(size->rows * size->cols));
	ds_status rc;
	if (!buf || !code) {
		rc = ds_fail_nomem(err, (size_t)size->total);
		goto out;
	}
	uint8_t *p = ds_buffer_data(buf);
	DS_GOTO(codes_of(f, x, size, code, (float *)(void *)(p + size->scale_off), err));
	if (q->joined)
		ds_q_pack(width(f), code, size->rows * size->cols, p, size->code_stride);
	for (int64_t r = 0; !q->joined && r < size->rows; r++)
		ds_q_pack(width(f), code + r * size->cols, size->cols, p + (uint64_t)r * size->code_stride, size->code_stride);
	ds_tensor_borrow(out, DS_F32, x->rank, x->dim, p);
	out->buf = buf;
	buf = NULL;
out:
	ds_free(code);
	ds_buffer_unref(buf);
	return rc;
}

static ds_status weight(ds_graph *g, const fake *f, int *applied, ds_buf *log, ds_err *err)
{
	ds_qsize size;
	ds_tensor x = { 0 }, t = { 0 };
	ds_qform form, *q = ds_arena_alloc(&ds_graph_root(g)->arena, 1, sizeof *q);
	ds_status rc;
	if (!q)
		return ds_fail_nomem(err, sizeof *q);
	if (f->x->data.q || !weight_form(f, &f->x->data, &form, &size, err)) {
		ds_rw_log(log, name, f->n, "kept: codes %" PRId64 " to %" PRId64 " along axis %d have no form in the container", f->lo, f->hi, f->axis);
		return DS_OK;
	}
	*q = form;
	DS_GOTO(ds_tensor_to_f32(&f->x->data, &x, err));
	DS_GOTO(planes(f, &x, q, &size, &t, err));
	t.q = q;
	/* the codes go on under the name of the weight when nobody else reads that */
	const char *label = f->x->name[0] ? f->x->name : f->n->name;
	if (ds_value_uses(g, f->x) == 1)
		f->x->name = "";
	ds_value *v = ds_rw_param(g, label, &t);
	if (!v) {
		rc = ds_fail_nomem(err, 0);
		goto out;
	}
	ds_graph_replace(g, f->n->out[0], v);
	ds_rw_log(log, name, f->n, "weight in codes of %d bits", width(f));
	++*applied;
out:
	ds_tensor_done(&x);
	ds_tensor_done(&t);
	return rc;
}

/* ---- activations ---------------------------------------------------------------------------------------------------------------- */
static ds_value *zero_point(ds_graph *g, int64_t zero)
{
	ds_tensor t;
	if (ds_tensor_new(&t, DS_U8, 0, NULL, NULL) != DS_OK)
		return NULL;
	*(uint8_t *)t.data = (uint8_t)zero;
	ds_value *v = ds_graph_weight(g, DS_V_CONST, "", &t);
	ds_tensor_done(&t);
	return v;
}

static int position(const ds_graph *g, const ds_node *n)
{
	int at = 0;
	while (g->node[at] != n)
		at++;
	return at;
}

/* What the Clip of a grid reads: x, or what a Relu or Clip whose only reader this is reads; lo and hi are narrowed to its bounds. */
static ds_value *before(const ds_graph *g, const fake *f, double *lo, double *hi)
{
	ds_node *n = f->x->kind == DS_V_NODE ? f->x->node : NULL;
	double a = 0, b = HUGE_VAL;
	if (!n || n->n_in < 1 || ds_rw_is_output(g, f->x) || ds_value_uses(g, f->x) != 1)
		return f->x;
	if (ds_rw_is(n, "", "Clip")) {
		if (!ds_rw_scalar(n->n_in > 1 ? n->in[1] : NULL, -HUGE_VAL, &a) || !ds_rw_scalar(n->n_in > 2 ? n->in[2] : NULL, HUGE_VAL, &b))
			return f->x;
	} else if (!ds_rw_is(n, "", "Relu")) {
		return f->x;
	}
	if (a > *hi || b < *lo || a > b)
		return f->x;
	*lo = fmax(*lo, a);
	*hi = fmin(*hi, b);
	return n->in[0];
}

/* A DequantizeLinear that others read too is repeated for this reader, so that a function from codes to codes is seen as one. */
static ds_status own_codes(ds_graph *g, ds_value **x, int *at, ds_err *err)
{
	ds_node *dq = (*x)->kind == DS_V_NODE ? (*x)->node : NULL;
	if (!ds_rw_is(dq, "", "DequantizeLinear") || ds_value_uses(g, *x) < 2)
		return DS_OK;
	ds_node *n = ds_graph_insert(g, *at, "", "DequantizeLinear", "", dq->n_in, dq->in, 1, NULL);
	if (!n)
		return ds_fail_nomem(err, 0);
	++*at;
	*x = n->out[0];
	return ds_node_parse(n, err);
}

static ds_status activation(ds_graph *g, const fake *f, int *applied, ds_buf *log, ds_err *err)
{
	float step = ds_fq_step(((const float *)f->scale->data.data)[0]);
	double lo = (double)((float)f->lo * step), hi = (double)((float)f->hi * step);
	if (ds_tensor_count(&f->scale->data) != 1 || f->hi - f->lo > 255 || !isfinite(step)) {
		ds_rw_log(log, name, f->n, "kept: codes %" PRId64 " to %" PRId64 ", or several scales, are not those of u8", f->lo, f->hi);
		return DS_OK;
	}
	int at = position(g, f->n);
	ds_value *x = f->x, *in[3] = { NULL, ds_graph_const_f32(g, step), zero_point(g, -f->lo) };
	if (f->hi - f->lo < 255) {
		x = before(g, f, &lo, &hi);
		DS_TRY(own_codes(g, &x, &at, err));
		ds_value *clip[3] = { x, ds_graph_const_f32(g, (float)lo), ds_graph_const_f32(g, (float)hi) };
		ds_node *c = clip[1] && clip[2] ? ds_graph_insert(g, at++, "", "Clip", "", 3, clip, 1, NULL) : NULL;
		if (!c)
			return ds_fail_nomem(err, 0);
		DS_TRY(ds_node_parse(c, err));
		x = c->out[0];
	} else {
		DS_TRY(own_codes(g, &x, &at, err));
	}
	in[0] = x;
	ds_node *q = in[1] && in[2] ? ds_graph_insert(g, at++, "", "QuantizeLinear", "", 3, in, 1, NULL) : NULL;
	if (!q)
		return ds_fail_nomem(err, 0);
	DS_TRY(ds_node_parse(q, err));
	in[0] = q->out[0];
	ds_node *d = ds_graph_insert(g, at, "", "DequantizeLinear", "", 3, in, 1, NULL);
	if (!d)
		return ds_fail_nomem(err, 0);
	DS_TRY(ds_node_parse(d, err));
	d->out[0]->name = f->n->out[0]->name;
	f->n->out[0]->name = "";
	ds_graph_replace(g, f->n->out[0], d->out[0]);
	ds_rw_log(log, name, f->n, "codes of u8 from %d to %" PRId64, 0, f->hi - f->lo);
	++*applied;
	return DS_OK;
}

static ds_status apply(ds_graph *g, int *applied, ds_buf *log, ds_err *err)
{
	for (int i = 0; i < g->n_node; i++) {
		ds_node *n = g->node[i];
		int count = *applied;
		fake f;
		if (!match(n, &f) || !ds_value_uses(g, n->out[0]))
			continue;
		DS_TRY(ds_rw_constant(f.x) ? weight(g, &f, applied, log, err) : activation(g, &f, applied, log, err));
		if (*applied != count)
			ds_graph_prune_dead(g);         /* readers are counted: what went must not count */
		i = *applied == count ? i : DS_MAX(i - 2, -1);
	}
	return DS_OK;
}

const ds_rewrite ds_rewrite_lower_fake_quantize = { name, true, apply, "codes of integers in place of fake quantisation" };
