/* dsm_tnsr.c - the descriptor of a tensor record, the order of tensors in a stream, and the bits that must be zero */
#include "dsm_int.h"

/* ---- what forms are allowed ---------------------------------------------------------------------------------------------------------- */
static ds_status check_plain(const ds_tnsr *t, ds_err *err)
{
	const ds_qform *q = &t->form;
	if (!ds_dtype_size(q->code))
		return ds_fail(err, DS_E_INPUT, "packed codes without a scheme");
	if (q->row_dims || q->joined || q->gran || q->scale_dtype || q->zero_dtype || q->group)
		return ds_fail(err, DS_E_INPUT, "plain tensor with fields of a quantised one");
	return DS_OK;
}

static ds_status check_quantised(const ds_tnsr *t, ds_err *err)
{
	const ds_qform *q = &t->form;
	bool packed = q->code >= DS_U2 && q->code <= DS_U6;
	if (q->code != DS_I8 && !packed)
		return ds_fail(err, DS_E_INPUT, "codes of type 0x%02x", (unsigned)q->code);
	if (q->gran > DS_Q_GROUP || q->joined > 1)
		return ds_fail(err, DS_E_INPUT, "granularity %d, layout %d", (int)q->gran, q->joined);
	if (q->joined && q->code != DS_I8 && q->code != DS_U4 && q->code != DS_U2)
		return ds_fail(err, DS_E_INPUT, "joined rows of codes that are not 2, 4 or 8 bits wide");
	if (q->gran == DS_Q_GROUP ? q->group < 16 || q->group > 1024 || (q->group & (q->group - 1)) : q->group != 0)
		return ds_fail(err, DS_E_INPUT, "group size %u", q->group);
	if (q->scale_dtype != DS_F32 && q->scale_dtype != DS_F16 && q->scale_dtype != DS_BF16)
		return ds_fail(err, DS_E_INPUT, "scales of type %u", (unsigned)q->scale_dtype);
	ds_dtype zero = q->scheme == DS_Q_ASYM ? DS_U8 : q->scheme == DS_Q_MINIMA ? q->scale_dtype : DS_NONE;
	if (q->zero_dtype != zero)
		return ds_fail(err, DS_E_INPUT, "zero points of type %u", (unsigned)q->zero_dtype);
	return DS_OK;
}

ds_status dsm_tnsr_check(ds_tnsr *t, ds_qsize *size, ds_err *err)
{
	if (t->rank < 0 || t->rank > DS_MAX_RANK || t->form.row_dims > t->rank)
		return ds_fail(err, DS_E_INPUT, "rank %d with %d row dimensions", t->rank, t->form.row_dims);
	DS_TRY(t->form.scheme == DS_Q_PLAIN ? check_plain(t, err) : check_quantised(t, err));
	DS_TRY(ds_qform_size(&t->form, t->rank, t->dim, size, err));
	if (size->total > DSM_MAX_DATA)
		return ds_fail(err, DS_E_INPUT, "payload is over the limits");
	t->raw_len = size->total;
	return DS_OK;
}

/* ---- item names: any bytes, escaped to the text rule ----------------------------------------------------------------------------------- */
/* Length of the character at p that the text rule allows; 0: an unfit byte. */
static size_t fit_char(const char *p, size_t n)
{
	unsigned char c = (unsigned char)*p;
	size_t len = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
	return len <= n && ds_text_ok(p, len, false) ? len : 0;
}

static bool item_escape(const char *s, size_t n, char *out, size_t cap, size_t *out_n)
{
	static const char digit[] = "0123456789abcdef";
	size_t k = 0;
	for (size_t i = 0; i < n;) {
		size_t len = fit_char(s + i, n - i);
		if (k + 4 > cap)
			return false;
		if (s[i] == '\\') {
			out[k++] = '\\';
			out[k++] = '\\';
			i++;
		} else if (len) {
			memcpy(out + k, s + i, len);
			k += len;
			i += len;
		} else {
			unsigned char c = (unsigned char)s[i++];
			out[k++] = '\\';
			out[k++] = 'x';
			out[k++] = digit[c >> 4];
			out[k++] = digit[c & 15];
		}
	}
	*out_n = k;
	return true;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* out holds n + 1 bytes.  One name has one spelling: what was escaped without need is refused. */
static bool item_unescape(const char *s, size_t n, char *out, size_t *out_n)
{
	size_t k = 0;
	for (size_t i = 0; i < n;) {
		if (s[i] != '\\') {
			out[k++] = s[i++];
		} else if (i + 1 < n && s[i + 1] == '\\') {
			out[k++] = '\\';
			i += 2;
		} else if (i + 3 < n && s[i + 1] == 'x' && hex(s[i + 2]) >= 0 && hex(s[i + 3]) >= 0) {
			out[k++] = (char)(hex(s[i + 2]) << 4 | hex(s[i + 3]));
			i += 4;
		} else {
			return false;
		}
	}
	out[k] = 0;
	*out_n = k;
	char again[DSM_MAX_ITEM + 4];
	size_t m;
	return item_escape(out, k, again, sizeof again, &m) && m == n && memcmp(again, s, n) == 0;
}

/* ---- bytes ------------------------------------------------------------------------------------------------------------------------------ */
/* Values that this version of the format keeps for later. */
static ds_status check_reserved(const uint8_t *d, ds_err *err)
{
	bool known = (d[0] >= DS_F32 && d[0] <= DS_BOOL) || (d[0] >= DS_U2 && d[0] <= DS_U6);
	if (d[0] >= 0x20 && d[0] <= 0x23)
		return ds_fail(err, DS_E_UNSUPPORTED, "element type 0x%02x needs a newer version", d[0]);
	if (!known)
		return ds_fail(err, DS_E_INPUT, "element type 0x%02x does not exist", d[0]);
	if (d[3] > 1)
		return d[3] <= 15 ? ds_fail(err, DS_E_UNSUPPORTED, "layout %d needs a newer version", d[3]) :
			ds_fail(err, DS_E_INPUT, "layout %d does not exist", d[3]);
	if (d[4] > DS_Q_MINIMA)
		return d[4] <= 8 ? ds_fail(err, DS_E_UNSUPPORTED, "scheme %d needs a newer version", d[4]) :
			ds_fail(err, DS_E_INPUT, "scheme %d does not exist", d[4]);
	if (d[8])
		return d[8] <= 2 ? ds_fail(err, DS_E_UNSUPPORTED, "sparse storage %d needs a newer version", d[8]) :
			ds_fail(err, DS_E_INPUT, "sparse storage %d does not exist", d[8]);
	return DS_OK;
}

ds_status dsm_tnsr_decode(const uint8_t *d, size_t n, ds_tnsr *t, ds_qsize *size, char *text, ds_err *err)
{
	*t = (ds_tnsr){ 0 };
	if (n < 32 || d[1] > DS_MAX_RANK)
		return ds_fail(err, DS_E_INPUT, "descriptor of %zu bytes, rank %d", n, n < 32 ? 0 : d[1]);
	size_t name_len = dsm_get16(d + 10), item_len = dsm_get16(d + 24);
	if (name_len > DSM_MAX_NAME || item_len > DSM_MAX_ITEM || n != 32 + 8 * (size_t)d[1] + name_len + item_len)
		return ds_fail(err, DS_E_INPUT, "descriptor of %zu bytes with a name of %zu and an item name of %zu", n, name_len, item_len);
	if (d[9] || !dsm_zero(d + 26, 6))
		return ds_fail(err, DS_E_INPUT, "descriptor has a field that is not zero");
	DS_TRY(check_reserved(d, err));
	t->form = (ds_qform){ .code = (ds_dtype)d[0], .scheme = (ds_scheme)d[4], .gran = (ds_gran)d[5], .row_dims = d[2], .joined = d[3],
		.scale_dtype = (ds_dtype)d[6], .zero_dtype = (ds_dtype)d[7], .group = dsm_get32(d + 12) };
	t->rank = d[1];
	t->value = dsm_get32(d + 16);
	t->item = dsm_get32(d + 20);
	const uint8_t *p = d + 32;
	for (int i = 0; i < t->rank; i++, p += 8) {
		uint64_t v = dsm_get64(p);
		if (v > 0x7FFFFFFF)
			return ds_fail(err, DS_E_INPUT, "dimension %d is over the limits", i);
		t->dim[i] = (int64_t)v;
	}
	if (!ds_text_ok((const char *)p, name_len, false) || !ds_text_ok((const char *)p + name_len, item_len, false))
		return ds_fail(err, DS_E_INPUT, "name is not clean UTF-8 text");
	memcpy(text, p, name_len);
	text[name_len] = 0;
	t->name = text;
	if (item_len) {
		t->item_name = text + DSM_MAX_NAME + 1;
		if (!item_unescape((const char *)p + name_len, item_len, t->item_name, &t->item_len))
			return ds_fail(err, DS_E_INPUT, "item name is not escaped as it should be");
	}
	return dsm_tnsr_check(t, size, err);
}

ds_status dsm_tnsr_encode(const ds_tnsr *t, uint8_t *d, size_t *n, ds_err *err)
{
	size_t name_len = t->name ? strlen(t->name) : 0, item_len = 0;
	if (name_len > DSM_MAX_NAME || !ds_text_ok(t->name ? t->name : "", name_len, false))
		return ds_fail(err, DS_E_INPUT, "tensor name \"%.100s\" is longer than %d bytes or not clean UTF-8 text", t->name, DSM_MAX_NAME);
	memset(d, 0, 32);
	d[0] = (uint8_t)t->form.code;
	d[1] = (uint8_t)t->rank;
	d[2] = t->form.row_dims;
	d[3] = t->form.joined;
	d[4] = (uint8_t)t->form.scheme;
	d[5] = (uint8_t)t->form.gran;
	d[6] = (uint8_t)t->form.scale_dtype;
	d[7] = (uint8_t)t->form.zero_dtype;
	dsm_put16(d + 10, (uint16_t)name_len);
	dsm_put32(d + 12, t->form.group);
	dsm_put32(d + 16, t->value);
	dsm_put32(d + 20, t->item);
	uint8_t *p = d + 32;
	for (int i = 0; i < t->rank; i++, p += 8)
		dsm_put64(p, (uint64_t)t->dim[i]);
	memcpy(p, t->name ? t->name : "", name_len);
	p += name_len;
	if (t->item_name && (!item_escape(t->item_name, t->item_len, (char *)p, DSM_MAX_ITEM + 4, &item_len) || item_len > DSM_MAX_ITEM))
		return ds_fail(err, DS_E_INPUT, "item name is longer than %d bytes", DSM_MAX_ITEM);
	dsm_put16(d + 24, (uint16_t)item_len);
	*n = (size_t)(p - d) + item_len;
	return DS_OK;
}

/* ---- order of tensors ------------------------------------------------------------------------------------------------------------------- */
ds_status dsm_order_params(dsm_order *o, ds_value *const *param, int n, int n_input, ds_err *err)
{
	o->param = ds_calloc((size_t)n, sizeof *o->param);
	if (!o->param)
		return ds_fail_nomem(err, (size_t)n * sizeof *o->param);
	for (int i = 0; i < n; i++) {
		dsm_param *p = &o->param[i];
		const ds_type *type = &param[i]->type;
		p->name = ds_strdup(param[i]->name);
		o->n_param = (uint32_t)i + 1;
		if (!p->name)
			return ds_fail_nomem(err, 0);
		p->dtype = type->dtype;
		p->rank = type->rank;
		memcpy(p->dim, type->dim, sizeof p->dim);
		p->value = (uint32_t)(n_input + i);
	}
	return DS_OK;
}

static ds_status match_param(const dsm_param *p, const ds_tnsr *t, ds_err *err)
{
	if (t->value != p->value || strcmp(t->name ? t->name : "", p->name) != 0)
		return ds_fail(err, DS_E_INPUT, "the graph has parameter \"%.100s\" here", p->name);
	if (t->rank != p->rank || memcmp(t->dim, p->dim, sizeof *t->dim * (size_t)t->rank) != 0)
		return ds_fail(err, DS_E_INPUT, "dimensions differ from those of the graph's parameter");
	bool fits = t->form.scheme == DS_Q_PLAIN ? t->form.code == p->dtype : p->dtype == DS_F32 || p->dtype == DS_F16 || p->dtype == DS_BF16;
	return fits ? DS_OK : ds_fail(err, DS_E_INPUT, "element type differs from that of the graph's parameter");
}

ds_status dsm_order_tensor(dsm_order *o, const ds_tnsr *t, ds_err *err)
{
	const char *name = t->name ? t->name : "";
	uint32_t k = o->n_tensor++;
	if (dsm_has_items(o->kind)) {
		if (t->value != DSM_NONE)
			return ds_fail(err, DS_E_INPUT, "names a parameter in a stream without a graph");
		if (k == 0 ? t->item != 0 : t->item != o->item && t->item != o->item + 1)
			return ds_fail(err, DS_E_INPUT, "item %u after item %u", t->item, o->item);
		o->item = t->item;
		return DS_OK;
	}
	if (k >= DSM_MAX_TNSR)
		return ds_fail(err, DS_E_INPUT, "more than %u tensors", DSM_MAX_TNSR);
	if (t->item != DSM_NONE || t->item_name)
		return ds_fail(err, DS_E_INPUT, "an item in a stream that has none");
	if (k < o->n_param)
		return match_param(&o->param[k], t, err);
	if (o->kind == DSM_MODEL)
		return ds_fail(err, DS_E_INPUT, "the graph has only %u parameters", o->n_param);
	if (t->value != DSM_NONE || !*name || strcmp(name, o->last) <= 0)
		return ds_fail(err, DS_E_INPUT, "names must rise");
	memcpy(o->last, name, strlen(name) + 1);
	return DS_OK;
}

ds_status dsm_order_end(const dsm_order *o, ds_err *err)
{
	return o->n_tensor >= o->n_param ? DS_OK :
		ds_fail(err, DS_E_INPUT, "the tensor of parameter \"%.100s\" is missing", o->param[o->n_tensor].name);
}

void dsm_order_done(dsm_order *o)
{
	for (uint32_t i = 0; i < o->n_param; i++)
		ds_free(o->param[i].name);
	ds_free(o->param);
}

/* ---- bits that nothing owns -------------------------------------------------------------------------------------------------------------- */
/* A plane of width w over n codes that starts `from` bytes into the row: where its last block has holes. */
static void add_hole(dsm_fill *f, uint64_t from, int w, uint64_t n)
{
	unsigned rest = (unsigned)(n % 32), bytes = 4 * (unsigned)w;
	if (rest == 0)
		return;
	f->hole[f->n_hole].from = from + n / 32 * bytes;
	f->hole[f->n_hole].n = bytes;
	uint8_t *m = f->hole[f->n_hole++].mask;
	memset(m, 0xff, bytes);
	for (unsigned i = 0; i < rest; i++)
		m[i % bytes] &= (uint8_t)~(((1u << w) - 1) << ((unsigned)w * (i / bytes)));
}

static void add_gap(dsm_fill *f, uint64_t from, uint64_t to)
{
	if (from < to) {
		f->gap[f->n_gap].from = from;
		f->gap[f->n_gap++].to = to;
	}
}

void dsm_fill_init(dsm_fill *f, const ds_tnsr *t, const ds_qsize *s)
{
	*f = (dsm_fill){ 0 };
	if (t->form.scheme == DS_Q_PLAIN)
		return;
	f->active = true;
	int b = t->form.code == DS_I8 ? 8 : (int)t->form.code - 0x40, low = b == 3 ? 2 : b == 5 || b == 6 ? 4 : b;
	uint64_t n = (uint64_t)(t->form.joined ? s->rows * s->cols : s->cols), blocks = (n + 31) / 32;
	f->stride = s->code_stride;
	f->code_end = s->code_bytes;
	f->row_end = blocks * 4 * (unsigned)b;
	add_hole(f, 0, low, n);
	if (low < b)
		add_hole(f, blocks * 4 * (unsigned)low, b - low, n);
	uint64_t scales = (uint64_t)s->scales;
	add_gap(f, s->scale_off + scales * ds_dtype_size(t->form.scale_dtype), s->zero_off);
	if (s->zero_bytes)
		add_gap(f, s->zero_off + scales * ds_dtype_size(t->form.zero_dtype), s->book_off);
	if (s->book_bytes)
		add_gap(f, s->book_off + ((uint64_t)1 << b) * ds_dtype_size(t->form.scale_dtype), s->total);
}

/* Part of [from, to) that lies in the piece [at, at+n): is it zero, under the mask if there is one? */
static bool clear(const uint8_t *p, uint64_t at, size_t n, uint64_t from, uint64_t to, const uint8_t *mask)
{
	uint64_t a = DS_MAX(from, at), b = DS_MIN(to, at + n);
	for (; a < b; a++)
		if (p[a - at] & (mask ? mask[a - from] : 0xff))
			return false;
	return true;
}

bool dsm_fill_check(dsm_fill *f, const uint8_t *p, size_t n)
{
	uint64_t at = f->at;
	f->at += n;
	if (!f->active || !n)
		return true;
	for (int i = 0; i < f->n_gap; i++)
		if (!clear(p, at, n, f->gap[i].from, f->gap[i].to, NULL))
			return false;
	if (at >= f->code_end || !f->stride || (!f->n_hole && f->row_end == f->stride))
		return true;
	for (uint64_t row = at / f->stride * f->stride; row < DS_MIN(at + n, f->code_end); row += f->stride) {
		for (int i = 0; i < f->n_hole; i++)
			if (!clear(p, at, n, row + f->hole[i].from, row + f->hole[i].from + f->hole[i].n, f->hole[i].mask))
				return false;
		if (!clear(p, at, n, row + f->row_end, row + f->stride, NULL))
			return false;
	}
	return true;
}
