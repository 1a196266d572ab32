/* weights.c - one tensor's weights, in pieces of any size, to the planes of the container
 *
 * Elements are gathered into batches of whole rows, or of whole groups of one row when rows are long.  A batch is quantised unit by unit (a unit has one
 * scale), shared out over the pool by the shape alone; its codes are packed and emitted at once, its scales kept for the end.  A row's low plane of codes streams; its
 * plane of high bits (widths 3, 5, 6) is kept until the row ends, because it follows the low plane. */
#include "quantize.h"
#include "../op/qdq.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { BATCH = 1 << 18, TASK = 1 << 14, PACK = 4096 };

struct ds_qw {
	ds_qw_opts          o;
	ds_qform            form;
	ds_qsize            size;
	const ds_dtype_row *type;
	size_t              esize;
	ds_qw_emit          emit;
	void               *arg;
	/* gathering */
	int64_t             unit;           /* elements that share a scale (the last of a row may be shorter) */
	int64_t             batch;          /* elements in a full batch */
	int64_t             filled, col, done;  /* done: elements of finished batches; col: where the next code of the row goes */
	int64_t             batch_rows, units_per_row;
	float              *x;
	uint8_t            *code;
	uint8_t             part[8];        /* an element cut by the end of a piece */
	size_t              n_part;
	ds_qunit           *result;
	/* packing */
	int                 lo, hi;         /* widths of the two planes, hi 0: one plane */
	uint8_t             carry[32];
	int                 n_carry;
	uint8_t            *high;           /* packed high bits of the row so far */
	size_t              n_high;
	uint64_t            row_bytes;      /* emitted of the row's stride */
	/* scales */
	uint8_t            *scale;
	size_t              n_scale, cap_scale;
	ds_qw_stat          stat;
};

double ds_qw_sqnr(const ds_qw_stat *s)
{
	return s->err_sq > 0 ? 10 * log10(s->sum_sq / s->err_sq) : HUGE_VAL;
}

ds_status ds_qw_form(const ds_qw_opts *o, int rank, const int64_t *dim, ds_qform *form, ds_qsize *size, ds_err *err)
{
	if (o->bits < 2 || o->bits > 8 || o->bits == 7)
		return ds_fail(err, DS_E_USAGE, "%d bits per weight are not supported (2 3 4 5 6 8)", o->bits);
	if (o->group && (o->group < 16 || o->group > 1024 || (o->group & (o->group - 1))))
		return ds_fail(err, DS_E_USAGE, "group size %d is not a power of two from 16 to 1024", o->group);
	if (rank < 1)
		return ds_fail(err, DS_E_INPUT, "a scalar has no rows to quantise");
	*form = (ds_qform){ .code = o->bits == 8 ? DS_I8 : (ds_dtype)(0x40 + o->bits), .scheme = DS_Q_SYM, .gran = DS_Q_ROW, .row_dims = 1,
		.scale_dtype = DS_F32 };
	DS_TRY(ds_qform_size(form, rank, dim, size, err));
	if (size->rows == 0 || size->cols == 0)
		return ds_fail(err, DS_E_INPUT, "an empty tensor has nothing to quantise");
	if (o->group && size->cols > o->group)
		form->group = (uint32_t)o->group;
	else if (size->cols > DS_QW_LONG_ROW)
		form->group = 1024;
	int64_t scales = size->rows * (form->group ? (size->cols + form->group - 1) / form->group : 1);
	if (scales * 4 > DS_QW_MAX_SCALES && (scales > size->rows || size->cols < 256)) {
		form->row_dims = 0;
		form->group = 1024;
	}
	if (form->group) {
		form->gran = DS_Q_GROUP;
		form->scale_dtype = DS_BF16;
	}
	DS_TRY(ds_q_join(form, rank, dim, err));
	return ds_qform_size(form, rank, dim, size, err);
}

ds_status ds_qw_new(ds_qw **out, const ds_qw_opts *o, ds_dtype dtype, int rank, const int64_t *dim, ds_qw_emit emit, void *arg, ds_err *err)
{
	*out = NULL;
	if (dtype != DS_F32 && dtype != DS_F16 && dtype != DS_BF16)
		return ds_fail(err, DS_E_INPUT, "weights of type %s cannot be quantised", ds_dtype_name(dtype));
	ds_qw *q = ds_calloc(1, sizeof(*q));
	if (!q)
		return ds_fail_nomem(err, sizeof(*q));
	ds_status rc = ds_qw_form(o, rank, dim, &q->form, &q->size, err);
	if (rc != DS_OK) {
		ds_qw_free(q);
		return rc;
	}
	q->o = *o;
	q->type = ds_dtype_of(dtype);
	q->esize = ds_dtype_size(dtype);
	q->emit = emit;
	q->arg = arg;
	q->unit = q->form.group ? (int64_t)q->form.group : q->size.cols;
	q->units_per_row = (q->size.cols + q->unit - 1) / q->unit;
	if (q->size.cols <= BATCH || !q->form.group) {
		q->batch_rows = DS_MIN(DS_MAX(BATCH / q->size.cols, 1), q->size.rows);
		q->batch = q->batch_rows * q->size.cols;
	} else {
		q->batch = BATCH;
	}
	int64_t units = q->batch_rows ? q->batch_rows * q->units_per_row : q->batch / q->unit;
	q->lo = o->bits == 3 ? 2 : o->bits == 5 || o->bits == 6 ? 4 : o->bits;
	q->hi = o->bits - q->lo;
	q->x = ds_aligned((size_t)q->batch * sizeof(float));
	q->code = ds_aligned((size_t)q->batch);
	q->result = ds_calloc((size_t)units, sizeof(*q->result));
	q->high = q->hi ? ds_malloc((size_t)((q->size.cols + 31) / 32) * 4 * (size_t)q->hi) : NULL;
	if (!q->x || !q->code || !q->result || (q->hi && !q->high)) {
		const size_t wanted = (size_t)q->batch * 5;
		ds_qw_free(q);
		return ds_fail_nomem(err, wanted);
	}
	*out = q;
	return DS_OK;
}

void ds_qw_free(ds_qw *q)
{
	if (!q)
		return;
	ds_free(q->x);
	ds_free(q->code);
	ds_free(q->result);
	ds_free(q->high);
	ds_free(q->scale);
	ds_free(q);
}

/* ---- packing ------------------------------------------------------------------------------------------------------------------- */
/* n codes, whole blocks of 32 except at the end of a row. */
static ds_status pack(ds_qw *q, const uint8_t *code, int64_t n, ds_err *err)
{
	uint8_t out[PACK], top[PACK], low[PACK];
	while (n > 0) {
		int64_t some = DS_MIN(n, PACK);
		size_t blocks = (size_t)((some + 31) / 32), bytes = blocks * 4 * (size_t)q->lo;
		const uint8_t *from = code;
		if (q->hi) {
			for (int64_t i = 0; i < some; i++) {
				low[i] = (uint8_t)(code[i] & ((1u << q->lo) - 1));
				top[i] = (uint8_t)(code[i] >> q->lo);
			}
			ds_q_pack(q->hi, top, some, q->high + q->n_high, blocks * 4 * (size_t)q->hi);
			q->n_high += blocks * 4 * (size_t)q->hi;
			from = low;
		}
		if (q->lo == 8 && some % 32 == 0) {
			DS_TRY(q->emit(q->arg, from, bytes, err));
		} else {
			ds_q_pack(q->lo, from, some, out, bytes);
			DS_TRY(q->emit(q->arg, out, bytes, err));
		}
		q->row_bytes += bytes;
		code += some;
		n -= some;
	}
	return DS_OK;
}

static ds_status zeros(ds_qw *q, uint64_t n, ds_err *err)
{
	static const uint8_t zero[64];
	for (; n; n -= DS_MIN(n, sizeof(zero)))
		DS_TRY(q->emit(q->arg, zero, (size_t)DS_MIN(n, sizeof(zero)), err));
	return DS_OK;
}

static ds_status push_codes(ds_qw *q, const uint8_t *code, int64_t n, ds_err *err)
{
	if (q->n_carry) {
		int64_t some = DS_MIN(n, 32 - q->n_carry);
		memcpy(q->carry + q->n_carry, code, (size_t)some);
		q->n_carry += (int)some;
		code += some;
		n -= some;
		if (q->n_carry < 32)
			return DS_OK;
		q->n_carry = 0;
		DS_TRY(pack(q, q->carry, 32, err));
	}
	int64_t whole = n & ~(int64_t)31;
	DS_TRY(pack(q, code, whole, err));
	q->n_carry = (int)(n - whole);
	memcpy(q->carry, code + whole, (size_t)q->n_carry);
	return DS_OK;
}

/* End of a row (joined: of the tensor): the rest of the last block, the plane of high bits, zeros up to the stride. */
static ds_status end_row(ds_qw *q, ds_err *err)
{
	int rest = q->n_carry;
	q->n_carry = 0;
	DS_TRY(pack(q, q->carry, rest, err));
	if (q->n_high)
		DS_TRY(q->emit(q->arg, q->high, q->n_high, err));
	uint64_t have = q->row_bytes + q->n_high;
	q->row_bytes = 0;
	q->n_high = 0;
	return zeros(q, q->size.code_stride - have, err);
}

/* ---- batches ------------------------------------------------------------------------------------------------------------------- */
/* Where unit u of the batch starts and how long it is. */
static int64_t unit_at(const ds_qw *q, int64_t u, int64_t *len)
{
	if (!q->batch_rows) {
		*len = DS_MIN(q->unit, q->filled - u * q->unit);
		return u * q->unit;
	}
	int64_t r = u / q->units_per_row, g = u % q->units_per_row;
	*len = DS_MIN(q->unit, q->size.cols - g * q->unit);
	return r * q->size.cols + g * q->unit;
}

static int64_t batch_units(const ds_qw *q)
{
	return q->batch_rows ? q->filled / q->size.cols * q->units_per_row : (q->filled + q->unit - 1) / q->unit;
}

static int64_t units_per_task(const ds_qw *q)
{
	return DS_MAX(TASK / q->unit, 1);
}

static void quantise_task(void *arg, int task, int worker)
{
	ds_qw *q = arg;
	(void)worker;
	int64_t per = units_per_task(q), end = DS_MIN((task + 1) * per, batch_units(q)), bad, len;
	for (int64_t u = task * per; u < end; u++) {
		int64_t at = unit_at(q, u, &len);
		if (!ds_q_unit(q->x + at, len, q->o.bits, q->o.range, q->form.scale_dtype == DS_BF16, q->code + at, &q->result[u], &bad))
			q->result[u] = (ds_qunit){ .scale = -1, .clipped = bad };
	}
}

static ds_status keep_scale(ds_qw *q, float s, ds_err *err)
{
	size_t size = ds_dtype_size(q->form.scale_dtype);
	if (q->n_scale + size > q->cap_scale) {
		size_t cap = q->cap_scale ? q->cap_scale * 2 : 1024;
		uint8_t *p = ds_realloc(q->scale, cap, 1);
		if (!p)
			return ds_fail_nomem(err, cap);
		q->scale = p;
		q->cap_scale = cap;
	}
	ds_dtype_of(q->form.scale_dtype)->from_f32(q->scale + q->n_scale, &s, 1);
	q->n_scale += size;
	q->stat.scales++;
	return DS_OK;
}

static ds_status flush(ds_qw *q, ds_err *err)
{
	int64_t units = batch_units(q), per = units_per_task(q), len;
	ds_pool_run(q->o.pool, (int)((units + per - 1) / per), quantise_task, q);
	for (int64_t u = 0; u < units; u++) {
		const ds_qunit *r = &q->result[u];
		if (r->scale < 0)
			return ds_fail(err, DS_E_INPUT, "element %" PRId64 " is not finite", q->done + unit_at(q, u, &len) + r->clipped);
		q->stat.clipped += r->clipped;
		q->stat.sum_sq += r->sum_sq;
		q->stat.err_sq += r->err_sq;
		DS_TRY(keep_scale(q, r->scale, err));
	}
	q->done += q->filled;
	for (int64_t at = 0; at < q->filled; ) {
		int64_t n = DS_MIN(q->filled - at, q->size.cols - q->col);
		DS_TRY(push_codes(q, q->code + at, n, err));
		at += n;
		q->col += n;
		if (q->col == q->size.cols) {
			q->col = 0;
			if (!q->form.joined)
				DS_TRY(end_row(q, err));
		}
	}
	q->filled = 0;
	return DS_OK;
}

/* Elements still missing from the batch that is being gathered: never across the end of a row unless it holds whole rows. */
static int64_t batch_room(const ds_qw *q)
{
	int64_t cap = q->batch_rows ? q->batch : DS_MIN(q->batch, q->size.cols - q->col);
	return DS_MIN(cap, q->size.rows * q->size.cols - q->done) - q->filled;
}

static ds_status add_elements(ds_qw *q, const uint8_t *p, int64_t n, ds_err *err)
{
	while (n > 0) {
		int64_t some = DS_MIN(n, batch_room(q));
		if (some == 0)
			return ds_fail(err, DS_E_INPUT, "more elements than the dimensions say");
		q->type->to_f32(q->x + q->filled, p, (size_t)some);
		q->filled += some;
		p += (size_t)some * q->esize;
		n -= some;
		if (batch_room(q) == 0)
			DS_TRY(flush(q, err));
	}
	return DS_OK;
}

ds_status ds_qw_push(ds_qw *q, const void *data, size_t n, ds_err *err)
{
	const uint8_t *p = data;
	q->stat.bytes_in += n;
	if (q->n_part) {
		size_t some = DS_MIN(n, q->esize - q->n_part);
		memcpy(q->part + q->n_part, p, some);
		q->n_part += some;
		p += some;
		n -= some;
		if (q->n_part < q->esize)
			return DS_OK;
		q->n_part = 0;
		DS_TRY(add_elements(q, q->part, 1, err));
	}
	DS_TRY(add_elements(q, p, (int64_t)(n / q->esize), err));
	q->n_part = n % q->esize;
	memcpy(q->part, p + n - q->n_part, q->n_part);
	return DS_OK;
}

ds_status ds_qw_end(ds_qw *q, ds_qw_stat *stat, ds_err *err)
{
	int64_t all = q->size.rows * q->size.cols;
	if (q->done != all || q->n_part)
		return ds_fail(err, DS_E_INTERNAL, "%" PRId64 " of %" PRId64 " elements arrived", q->done, all);
	if (q->form.joined)
		DS_TRY(end_row(q, err));
	DS_TRY(q->emit(q->arg, q->scale, q->n_scale, err));
	DS_TRY(zeros(q, q->size.scale_bytes - q->n_scale, err));
	q->stat.count = all;
	q->stat.bytes = q->size.total;
	if (stat)
		*stat = q->stat;
	return DS_OK;
}

/* ---- a tensor in memory -------------------------------------------------------------------------------------------------------- */
typedef struct cursor { uint8_t *p; } cursor;

static ds_status to_memory(void *arg, const void *p, size_t n, ds_err *err)
{
	cursor *c = arg;
	(void)err;
	memcpy(c->p, p, n);
	c->p += n;
	return DS_OK;
}

ds_status ds_qw_tensor(const ds_tensor *in, const ds_qw_opts *o, ds_tensor *out, ds_qform *form, ds_qw_stat *stat, ds_err *err)
{
	ds_qw *q = NULL;
	ds_buffer *buf = NULL;
	ds_status rc;
	ds_qsize size;
	cursor c;
	*out = (ds_tensor){ 0 };
	DS_GOTO(ds_qw_form(o, in->rank, in->dim, form, &size, err));
	if (!(buf = ds_buffer_new((size_t)size.total))) {
		rc = ds_fail_nomem(err, (size_t)size.total);
		goto out;
	}
	c.p = ds_buffer_data(buf);
	DS_GOTO(ds_qw_new(&q, o, in->dtype, in->rank, in->dim, to_memory, &c, err));
	DS_GOTO(ds_qw_push(q, in->data, ds_tensor_bytes(in), err));
	DS_GOTO(ds_qw_end(q, stat, err));
	*out = *in;
	out->data = ds_buffer_data(buf);
	out->buf = buf;
	out->q = form;
	out->layout = DS_PLAIN;
	buf = NULL;
out:
	ds_qw_free(q);
	ds_buffer_unref(buf);
	return rc;
}
