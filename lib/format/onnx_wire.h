/* onnx_wire.h - a pull parser for the protobuf wire format over bytes in memory
 *
 * Nothing is allocated and nothing is copied: a message is a span of the input, a field is a number, a wire type and either a value or a span.  Every length is
 * compared with the bytes that are left before it is used.  Groups (wire types 3 and 4, given up in 2008) are refused. */
#ifndef DS_ONNX_WIRE_H
#define DS_ONNX_WIRE_H

#include "../base/status.h"

typedef struct ds_span { const uint8_t *p; size_t n; } ds_span;

/* A message that is being read; `base` is where the file starts, so that errors can name an offset. */
typedef struct ds_pb { const uint8_t *p, *end, *base; } ds_pb;

typedef struct ds_field {
	uint32_t num;
	uint8_t  wire;          /* 0 varint, 1 eight bytes, 2 a span, 5 four bytes */
	uint64_t v;             /* wire 0, 1, 5 */
	ds_span  s;             /* wire 2 */
} ds_field;

enum { DS_WIRE_VARINT = 0, DS_WIRE_64 = 1, DS_WIRE_SPAN = 2, DS_WIRE_32 = 5 };

static inline ds_pb ds_pb_of(ds_span s, const uint8_t *base) { return (ds_pb){ s.p, s.n ? s.p + s.n : s.p, base }; }

/* The next field; DS_END at the end of the message; DS_E_INPUT with the offset where the bytes make no sense. */
ds_status ds_pb_next(ds_pb *b, ds_field *f, ds_err *err);
/* A varint at *p, which moves on; false when it is cut or longer than ten bytes. */
bool      ds_pb_varint(const uint8_t **p, const uint8_t *end, uint64_t *v);
/* How many fields of number `num` the message holds. */
ds_status ds_pb_count(ds_pb b, uint32_t num, size_t *n, ds_err *err);

/* Numbers of a repeated field, packed or not: call with each field of that number in order; `each` gets one raw value (the varint, or the bits of the four or eight
 * bytes) and answers false to stop.  wire is the type of one unpacked item. */
ds_status ds_pb_numbers(const ds_pb *b, const ds_field *f, uint8_t wire, bool (*each)(void *arg, uint64_t v), void *arg, ds_err *err);

/* A field was expected with this wire type. */
ds_status ds_pb_want(const ds_pb *b, const ds_field *f, uint8_t wire, ds_err *err);

#endif
