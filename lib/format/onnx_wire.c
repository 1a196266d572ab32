/* onnx_wire.c - the pull parser for the protobuf wire format */
#include "onnx_wire.h"

static ds_status bad(const ds_pb *b, const uint8_t *at, const char *what, ds_err *err)
{
	return ds_fail_at(err, DS_E_INPUT, (int64_t)(at - b->base), "not a valid ONNX file: %s", what);
}

bool ds_pb_varint(const uint8_t **p, const uint8_t *end, uint64_t *v)
{
	uint64_t r = 0;

	for (int shift = 0; shift < 70; shift += 7) {
		if (*p == end)
			return false;
		uint8_t c = *(*p)++;
		if (shift == 63 && c > 1)
			return false;           /* more than 64 bits */
		r |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*v = r;
			return true;
		}
	}
	return false;
}

static uint64_t little(const uint8_t *p, int n)
{
	uint64_t v = 0;

	for (int i = n - 1; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

ds_status ds_pb_next(ds_pb *b, ds_field *f, ds_err *err)
{
	const uint8_t *at = b->p;
	uint64_t key, len;

	if (b->p == b->end)
		return DS_END;
	if (!ds_pb_varint(&b->p, b->end, &key) || key >> 3 == 0 || key >> 3 > 0x1fffffff)
		return bad(b, at, "broken field number", err);
	*f = (ds_field){ .num = (uint32_t)(key >> 3), .wire = (uint8_t)(key & 7) };
	switch (f->wire) {
	case DS_WIRE_VARINT:
		if (!ds_pb_varint(&b->p, b->end, &f->v))
			return bad(b, at, "broken number", err);
		return DS_OK;
	case DS_WIRE_64:
	case DS_WIRE_32: {
		int n = f->wire == DS_WIRE_64 ? 8 : 4;
		if (b->end - b->p < n)
			return bad(b, at, "a number runs over the end", err);
		f->v = little(b->p, n);
		b->p += n;
		return DS_OK;
	}
	case DS_WIRE_SPAN:
		if (!ds_pb_varint(&b->p, b->end, &len))
			return bad(b, at, "broken length", err);
		if (len > (uint64_t)(b->end - b->p))
			return bad(b, at, "a field runs over the end of its message (truncated?)", err);
		f->s = (ds_span){ b->p, (size_t)len };
		b->p += len;
		return DS_OK;
	default:
		return bad(b, at, "unknown kind of field", err);
	}
}

ds_status ds_pb_count(ds_pb b, uint32_t num, size_t *n, ds_err *err)
{
	ds_field f;
	ds_status rc;

	*n = 0;
	while ((rc = ds_pb_next(&b, &f, err)) == DS_OK)
		if (f.num == num)
			++*n;
	return rc == DS_END ? DS_OK : rc;
}

ds_status ds_pb_want(const ds_pb *b, const ds_field *f, uint8_t wire, ds_err *err)
{
	if (f->wire != wire)
		return bad(b, b->p, "a field has the wrong kind", err);
	return DS_OK;
}

ds_status ds_pb_numbers(const ds_pb *b, const ds_field *f, uint8_t wire, bool (*each)(void *arg, uint64_t v), void *arg, ds_err *err)
{
	if (f->wire == wire) {
		each(arg, f->v);
		return DS_OK;
	}
	DS_TRY(ds_pb_want(b, f, DS_WIRE_SPAN, err));
	const uint8_t *p = f->s.p, *end = p + f->s.n;
	int size = wire == DS_WIRE_64 ? 8 : 4;
	while (p < end) {
		uint64_t v;
		if (wire == DS_WIRE_VARINT) {
			if (!ds_pb_varint(&p, end, &v))
				return bad(b, p, "broken number in a list", err);
		} else {
			if (end - p < size)
				return bad(b, p, "a list of numbers is cut", err);
			v = little(p, size);
			p += size;
		}
		if (!each(arg, v))
			break;
	}
	return DS_OK;
}
