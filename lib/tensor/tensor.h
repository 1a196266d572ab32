/* tensor.h - element types, shapes, data buffers, quantised planes */
#ifndef DS_TENSOR_H
#define DS_TENSOR_H

#include "../base/mem.h"

/* ---- element types: one row each --------------------------------------------------------------------------------------------- */
typedef struct ds_dtype_row {
	ds_dtype    dtype;
	const char *name;               /* "f32", "i8", "bool" as the filters print them */
	int8_t      onnx;               /* TensorProto.DataType, 0: none */
	uint8_t     bits;
	bool        is_float, is_signed;
	/* n elements to and from f32 (rounded to nearest even, saturated); NULL for packed codes */
	void      (*to_f32)(float *dst, const void *src, size_t n);
	void      (*from_f32)(void *dst, const float *src, size_t n);
} ds_dtype_row;

const ds_dtype_row *ds_dtype_of(ds_dtype d);            /* NULL: not a type */
const ds_dtype_row *ds_dtype_by_name(const char *name);
const ds_dtype_row *ds_dtype_by_onnx(int onnx);
size_t      ds_dtype_size(ds_dtype d);                  /* bytes of one element of a plain type; 0 for packed codes */
const char *ds_dtype_name(ds_dtype d);                  /* "?" when unknown */
/* Convert n elements between plain types with ONNX Cast's rules (float to int truncates, to bool: != 0). */
ds_status   ds_convert(void *dst, ds_dtype to, const void *src, ds_dtype from, size_t n, ds_err *err);

/* ---- types: dtype and shape, possibly symbolic ------------------------------------------------------------------------------- */
/* A dim is >= 0, or -1-k = symbol k of the graph, or DS_DIM_UNKNOWN. */
#define DS_DIM_UNKNOWN  INT64_MIN
typedef struct ds_type {
	ds_dtype dtype;                 /* DS_NONE: not known */
	int8_t   rank;                  /* -1: not known */
	int64_t  dim[DS_MAX_RANK];
} ds_type;

bool    ds_type_concrete(const ds_type *t);             /* dtype, rank and every dim known */
int64_t ds_type_count(const ds_type *t);                /* product of concrete dims */
bool    ds_type_same_dims(const ds_type *a, const ds_type *b);
ds_type ds_type_of(const ds_tensor *t);
ds_type ds_type_make(ds_dtype dtype, int rank, const int64_t *dim);
/* Arithmetic on dims: exact on numbers, identity-preserving on symbols where that is exact (n*1, n+0), else DS_DIM_UNKNOWN. */
int64_t ds_dim_add(int64_t a, int64_t b);
int64_t ds_dim_mul(int64_t a, int64_t b);
int64_t ds_dim_div(int64_t a, int64_t b);               /* floor */
/* "[N, 3, 224, 224]"; symbols print as names[k] or "?" when names is NULL. */
void    ds_type_print(ds_buf *b, const ds_type *t, const char *const *names);

/* ---- data -------------------------------------------------------------------------------------------------------------------- */
/* Reference-counted memory, 64-byte aligned.  `release` (may be NULL) is called once with `owner` when the last reference goes. */
typedef struct ds_buffer ds_buffer;
ds_buffer *ds_buffer_new(size_t bytes);                                         /* zeroed, owned */
ds_buffer *ds_buffer_wrap(void *data, size_t bytes, void (*release)(void *owner), void *owner);
ds_buffer *ds_buffer_ref(ds_buffer *b);
void       ds_buffer_unref(ds_buffer *b);                                       /* NULL allowed */
void      *ds_buffer_data(ds_buffer *b);
size_t     ds_buffer_size(const ds_buffer *b);

/* Strides in elements of logical dim i of a plain tensor, as its layout says. */
void ds_tensor_strides(const ds_tensor *t, int64_t stride[DS_MAX_RANK]);
/* A plain f32 row-major copy of any tensor (dequantised, converted, layout undone). */
ds_status ds_tensor_to_f32(const ds_tensor *t, ds_tensor *out, ds_err *err);
/* Copy between layouts of the same dtype and dims. */
ds_status ds_tensor_relayout(const ds_tensor *in, ds_tensor *out, ds_err *err);
/* Small integer tensors (shapes, axes): element i as int64.  Integer dtypes only. */
int64_t ds_tensor_i64(const ds_tensor *t, int64_t i);
/* Element i of any plain tensor as double. */
double  ds_tensor_f64(const ds_tensor *t, int64_t i);

/* ---- quantised planes (ds-model(5), TNSR) ------------------------------------------------------------------------------------- */
typedef enum ds_scheme { DS_Q_PLAIN = 0, DS_Q_SYM = 1, DS_Q_ASYM = 2, DS_Q_CODEBOOK = 3, DS_Q_MINIMA = 4 } ds_scheme;
typedef enum ds_gran { DS_Q_TENSOR = 0, DS_Q_ROW = 1, DS_Q_GROUP = 2 } ds_gran;

/* How the values of a tensor are coded.  Rows are the product of the first row_dims dims, columns the product of the rest.
 * Sizes: G = ceil(C/group) or 1, S = 1 | R | R*G scales; planes in the order codes, scales, zeros/minima, codebook, each padded to 64. */
typedef struct ds_qform {
	ds_dtype  code;                 /* DS_I8 or DS_U2..DS_U6; for scheme 0 the plain dtype */
	ds_scheme scheme;
	ds_gran   gran;
	uint8_t   row_dims, joined;     /* joined: layout 1 of the container, rows run together */
	ds_dtype  scale_dtype, zero_dtype;
	uint32_t  group;
} ds_qform;

/* Everything that follows from (form, dims): computed in one place, all products checked. */
typedef struct ds_qsize {
	int64_t  rows, cols, groups, scales;
	uint64_t code_stride;           /* bytes from row to row (joined: of the whole plane) */
	uint64_t code_bytes, scale_off, scale_bytes, zero_off, zero_bytes, book_off, book_bytes, total;
} ds_qsize;
ds_status ds_qform_size(const ds_qform *q, int rank, const int64_t *dim, ds_qsize *out, ds_err *err);
/* Decode rows [row0, row0+n) into f32, n*cols values.  `data` points to the planes. */
ds_status ds_q_decode_rows(const ds_qform *q, const ds_qsize *s, const void *data, int64_t row0, int64_t n, float *dst);
/* Pack / unpack n codes (one byte each) of `bits` bits, n <= 32*blocks; unused bits are zero (ds-model(5), Packing). */
void ds_q_pack(int bits, const uint8_t *code, int64_t n, uint8_t *dst, uint64_t stride);
void ds_q_unpack(int bits, const uint8_t *src, uint64_t stride, int64_t n, uint8_t *code);

#endif
