/* dtype.c - the table of element types and conversions between them */
#include "tensor.h"

#include <math.h>
#include <string.h>

/* ---- half floats: round to nearest even, overflow to infinity (f16) ------------------------------------------------------------ */
static float f16_up(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = (h >> 10) & 31, man = h & 1023, bits;
	if (exp == 31) {
		bits = sign | 0x7F800000u | man << 13;
	} else if (exp) {
		bits = sign | (exp + 112) << 23 | man << 13;
	} else {
		float f = (float)man * 0x1p-24f;        /* exact: subnormal halves are normal floats */
		memcpy(&bits, &f, 4);
		bits |= sign;
	}
	float f;
	memcpy(&f, &bits, 4);
	return f;
}

static uint16_t f16_down(float f)
{
	uint32_t x;
	memcpy(&x, &f, 4);
	uint16_t sign = (uint16_t)(x >> 16 & 0x8000);
	x &= 0x7FFFFFFF;
	if (x > 0x7F800000)
		return (uint16_t)(sign | 0x7E00);
	if (x >= 0x477FF000)                            /* 65520 and above round to infinity */
		return (uint16_t)(sign | 0x7C00);
	if (x < 0x38800000) {                           /* below 2^-14: subnormal; the addition rounds to nearest even */
		float a;
		memcpy(&a, &x, 4);
		a += 0.5f;
		memcpy(&x, &a, 4);
		return (uint16_t)(sign | (x - 0x3F000000));
	}
	return (uint16_t)(sign | ((x - 0x38000000 + 0xFFF + (x >> 13 & 1)) >> 13));
}

static float bf16_up(uint16_t h)
{
	uint32_t x = (uint32_t)h << 16;
	float f;
	memcpy(&f, &x, 4);
	return f;
}

static uint16_t bf16_down(float f)
{
	uint32_t x;
	memcpy(&x, &f, 4);
	if ((x & 0x7FFFFFFF) > 0x7F800000)
		return (uint16_t)(x >> 16 | 0x40);
	return (uint16_t)((x + 0x7FFF + (x >> 16 & 1)) >> 16);
}

/* ---- to and from f32, one pair per type ---------------------------------------------------------------------------------------- */
#define PAIR(name, T, UP, DOWN) \
	static void name##_to(float *d, const void *s, size_t n) \
	{ \
		const T *p = s; \
		for (size_t i = 0; i < n; i++) \
			d[i] = UP(p[i]); \
	} \
	static void name##_from(void *d, const float *s, size_t n) \
	{ \
		T *p = d; \
		for (size_t i = 0; i < n; i++) \
			p[i] = DOWN(s[i]); \
	}
#define SAME(x) (x)
#define TO_F(x) ((float)(x))
#define TO_D(x) ((double)(x))
/* Integers: nearest even, saturated; NaN becomes 0. */
static inline double clamp_round(double x, double lo, double hi)
{
	if (!(x == x))
		return 0;
	x = nearbyint(x);
	return x < lo ? lo : x > hi ? hi : x;
}
#define I8_DOWN(x)  ((int8_t)clamp_round((double)(x), -128, 127))
#define U8_DOWN(x)  ((uint8_t)clamp_round((double)(x), 0, 255))
#define I16_DOWN(x) ((int16_t)clamp_round((double)(x), -32768, 32767))
#define U16_DOWN(x) ((uint16_t)clamp_round((double)(x), 0, 65535))
#define I32_DOWN(x) ((int32_t)clamp_round((double)(x), -2147483648.0, 2147483647.0))
#define U32_DOWN(x) ((uint32_t)clamp_round((double)(x), 0, 4294967295.0))
#define I64_DOWN(x) ((x) >= 0x1p63f ? INT64_MAX : (int64_t)clamp_round((double)(x), -0x1p63, 0x1p63 - 1024))
#define U64_DOWN(x) ((x) >= 0x1p64f ? UINT64_MAX : (uint64_t)clamp_round((double)(x), 0, 0x1p64 - 2048))
#define BOOL_UP(x)  ((x) ? 1.0f : 0.0f)
#define BOOL_DOWN(x) ((uint8_t)((x) != 0))
PAIR(f32, float, SAME, SAME)
PAIR(f16, uint16_t, f16_up, f16_down)
PAIR(bf16, uint16_t, bf16_up, bf16_down)
PAIR(f64, double, TO_F, TO_D)
PAIR(i8, int8_t, TO_F, I8_DOWN)
PAIR(u8, uint8_t, TO_F, U8_DOWN)
PAIR(i16, int16_t, TO_F, I16_DOWN)
PAIR(u16, uint16_t, TO_F, U16_DOWN)
PAIR(i32, int32_t, TO_F, I32_DOWN)
PAIR(u32, uint32_t, TO_F, U32_DOWN)
PAIR(i64, int64_t, TO_F, I64_DOWN)
PAIR(u64, uint64_t, TO_F, U64_DOWN)
PAIR(bool, uint8_t, BOOL_UP, BOOL_DOWN)

/*      dtype    name    ONNX bits float signed */
static const ds_dtype_row table[] = {
	{ DS_F32,  "f32",  1,  32, true,  true,  f32_to,  f32_from },
	{ DS_F16,  "f16",  10, 16, true,  true,  f16_to,  f16_from },
	{ DS_BF16, "bf16", 16, 16, true,  true,  bf16_to, bf16_from },
	{ DS_F64,  "f64",  11, 64, true,  true,  f64_to,  f64_from },
	{ DS_I8,   "i8",   3,  8,  false, true,  i8_to,   i8_from },
	{ DS_U8,   "u8",   2,  8,  false, false, u8_to,   u8_from },
	{ DS_I16,  "i16",  5,  16, false, true,  i16_to,  i16_from },
	{ DS_U16,  "u16",  4,  16, false, false, u16_to,  u16_from },
	{ DS_I32,  "i32",  6,  32, false, true,  i32_to,  i32_from },
	{ DS_U32,  "u32",  12, 32, false, false, u32_to,  u32_from },
	{ DS_I64,  "i64",  7,  64, false, true,  i64_to,  i64_from },
	{ DS_U64,  "u64",  13, 64, false, false, u64_to,  u64_from },
	{ DS_BOOL, "bool", 9,  8,  false, false, bool_to, bool_from },
	{ DS_U2,   "u2",   0,  2,  false, false, NULL, NULL },
	{ DS_U3,   "u3",   0,  3,  false, false, NULL, NULL },
	{ DS_U4,   "u4",   0,  4,  false, false, NULL, NULL },
	{ DS_U5,   "u5",   0,  5,  false, false, NULL, NULL },
	{ DS_U6,   "u6",   0,  6,  false, false, NULL, NULL },
};

const ds_dtype_row *ds_dtype_of(ds_dtype d)
{
	for (size_t i = 0; i < DS_COUNTOF(table); i++)
		if (table[i].dtype == d)
			return &table[i];
	return NULL;
}

const ds_dtype_row *ds_dtype_by_name(const char *name)
{
	for (size_t i = 0; i < DS_COUNTOF(table); i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

const ds_dtype_row *ds_dtype_by_onnx(int onnx)
{
	for (size_t i = 0; i < DS_COUNTOF(table); i++)
		if (onnx && table[i].onnx == onnx)
			return &table[i];
	return NULL;
}

size_t ds_dtype_size(ds_dtype d)
{
	const ds_dtype_row *r = ds_dtype_of(d);
	return r && r->to_f32 ? r->bits / 8u : 0;
}

const char *ds_dtype_name(ds_dtype d)
{
	const ds_dtype_row *r = ds_dtype_of(d);
	return r ? r->name : "?";
}

/* ---- Cast ---------------------------------------------------------------------------------------------------------------------- */
/* Float to integer truncates; what does not fit wraps as two's complement where the value is an integer, NaN and out of range become the
 * smallest value of int64 first, as the x86 conversion does. */
static inline int64_t trunc_i64(double x)
{
	return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : INT64_MIN;
}

static inline uint64_t trunc_u64(double x)
{
	return x >= 0x1p63 && x < 0x1p64 ? (uint64_t)x : (uint64_t)trunc_i64(x);
}

static double get_f(const void *s, ds_dtype d, size_t i)
{
	switch (d) {
	case DS_F32: return ((const float *)s)[i];
	case DS_F64: return ((const double *)s)[i];
	case DS_F16: return f16_up(((const uint16_t *)s)[i]);
	default:     return bf16_up(((const uint16_t *)s)[i]);
	}
}

static int64_t get_i(const void *s, ds_dtype d, size_t i)
{
	switch (d) {
	case DS_I8:   return ((const int8_t *)s)[i];
	case DS_U8:   return ((const uint8_t *)s)[i];
	case DS_I16:  return ((const int16_t *)s)[i];
	case DS_U16:  return ((const uint16_t *)s)[i];
	case DS_I32:  return ((const int32_t *)s)[i];
	case DS_U32:  return ((const uint32_t *)s)[i];
	case DS_BOOL: return ((const uint8_t *)s)[i] != 0;
	default:      return ((const int64_t *)s)[i];
	}
}

static void put_i(void *d, ds_dtype t, size_t i, int64_t v)
{
	switch (t) {
	case DS_I8:  ((int8_t *)d)[i] = (int8_t)v; break;
	case DS_U8:  ((uint8_t *)d)[i] = (uint8_t)v; break;
	case DS_I16: ((int16_t *)d)[i] = (int16_t)v; break;
	case DS_U16: ((uint16_t *)d)[i] = (uint16_t)v; break;
	case DS_I32: ((int32_t *)d)[i] = (int32_t)v; break;
	case DS_U32: ((uint32_t *)d)[i] = (uint32_t)v; break;
	default:     ((int64_t *)d)[i] = v; break;
	}
}

static void put_f(void *d, ds_dtype t, size_t i, double v, float f)
{
	switch (t) {
	case DS_F32: ((float *)d)[i] = f; break;
	case DS_F64: ((double *)d)[i] = v; break;
	case DS_F16: ((uint16_t *)d)[i] = f16_down(f); break;
	default:     ((uint16_t *)d)[i] = bf16_down(f); break;
	}
}

ds_status ds_convert(void *dst, ds_dtype to, const void *src, ds_dtype from, size_t n, ds_err *err)
{
	const ds_dtype_row *a = ds_dtype_of(from), *b = ds_dtype_of(to);
	if (!a || !b || !a->to_f32 || !b->to_f32)
		return ds_fail(err, DS_E_UNSUPPORTED, "no conversion from %s to %s", ds_dtype_name(from), ds_dtype_name(to));
	if (from == to) {
		memcpy(dst, src, n * (a->bits / 8u));
		return DS_OK;
	}
	if (to == DS_F32) {
		a->to_f32(dst, src, n);
		return DS_OK;
	}
	for (size_t i = 0; i < n; i++) {
		if (to == DS_BOOL) {
			((uint8_t *)dst)[i] = a->is_float ? get_f(src, from, i) != 0 : get_i(src, from, i) != 0;
		} else if (a->is_float) {
			double v = get_f(src, from, i);
			if (b->is_float)
				put_f(dst, to, i, v, (float)v);
			else
				put_i(dst, to, i, to == DS_U64 ? (int64_t)trunc_u64(v) : trunc_i64(v));
		} else {
			int64_t v = get_i(src, from, i);
			if (b->is_float)
				put_f(dst, to, i, from == DS_U64 ? (double)(uint64_t)v : (double)v, from == DS_U64 ? (float)(uint64_t)v : (float)v);
			else
				put_i(dst, to, i, v);
		}
	}
	return DS_OK;
}

int64_t ds_tensor_i64(const ds_tensor *t, int64_t i)
{
	const ds_dtype_row *r = ds_dtype_of(t->dtype);
	return r && r->is_float ? trunc_i64(get_f(t->data, t->dtype, (size_t)i)) : get_i(t->data, t->dtype, (size_t)i);
}

double ds_tensor_f64(const ds_tensor *t, int64_t i)
{
	const ds_dtype_row *r = ds_dtype_of(t->dtype);
	if (r && r->is_float)
		return get_f(t->data, t->dtype, (size_t)i);
	int64_t v = get_i(t->data, t->dtype, (size_t)i);
	return t->dtype == DS_U64 ? (double)(uint64_t)v : (double)v;
}
