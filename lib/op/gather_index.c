/* gather_index.c - what the operators that pick or place elements by index share (gather.h) */
#include "gather.h"

#include <string.h>

ds_status ds_index_check(const ds_tensor *index, int64_t extent, ds_err *err)
{
	int64_t n = ds_tensor_count(index);

	for (int64_t i = 0; i < n; i++) {
		int64_t v = ds_tensor_i64(index, i);

		if (v < -extent || v >= extent)
			return ds_fail(err, DS_E_INPUT, "index %lld is outside an axis of %lld", (long long)v, (long long)extent);
	}
	return DS_OK;
}

ds_status ds_index_type(const ds_node *n, const ds_arg *in, int i, ds_err *err)
{
	ds_dtype d = in[i].type.dtype;

	return d == DS_I64 || d == DS_I32 ? DS_OK : ds_fail(err, DS_E_INPUT, "%s takes indices of i32 or i64, not %s", n->op_name, ds_dtype_name(d));
}

const char *const ds_scatter_kinds[] = { "none", "add", "mul", "max", "min", NULL };

#define SCATTER(T, name, sfx, expr) \
	static void name##_##sfx(void *dst, const void *src, int64_t n) \
	{ \
		T *d = dst; \
		const T *s = src; \
		for (int64_t i = 0; i < n; i++) { const T x = d[i], y = s[i]; d[i] = (T)(expr); } \
	}
/* one element at a time through f32; src and dst never overlap */
#define SCATTER_HALF(row, name, sfx) \
	static void name##_##sfx(void *dst, const void *src, int64_t n) \
	{ \
		for (int64_t i = 0; i < n; i++) { \
			float x, y; \
			ds_dtype_of(row)->to_f32(&x, (uint16_t *)dst + i, 1); \
			ds_dtype_of(row)->to_f32(&y, (const uint16_t *)src + i, 1); \
			name##_f32(&x, &y, 1); \
			ds_dtype_of(row)->from_f32((uint16_t *)dst + i, &x, 1); \
		} \
	}
#define SCATTERS(name, real, whole) \
	SCATTER(float, name, f32, real) SCATTER(double, name, f64, real) SCATTER_HALF(DS_F16, name, f16) SCATTER_HALF(DS_BF16, name, bf16) \
	SCATTER(int8_t, name, i8, whole) SCATTER(uint8_t, name, u8, whole) SCATTER(int16_t, name, i16, whole) SCATTER(uint16_t, name, u16, whole) \
	SCATTER(int32_t, name, i32, whole) SCATTER(uint32_t, name, u32, whole) SCATTER(int64_t, name, i64, whole) SCATTER(uint64_t, name, u64, whole) \
	SCATTER(uint8_t, name, bool, (whole) != 0)
#define SCATTER_FN(name) { \
		[DS_F32] = name##_f32, [DS_F64] = name##_f64, [DS_F16] = name##_f16, [DS_BF16] = name##_bf16, [DS_I8] = name##_i8, [DS_U8] = name##_u8, \
		[DS_I16] = name##_i16, [DS_U16] = name##_u16, [DS_I32] = name##_i32, [DS_U32] = name##_u32, [DS_I64] = name##_i64, [DS_U64] = name##_u64, \
		[DS_BOOL] = name##_bool, \
	}
SCATTERS(none, ((void)x, y), ((void)x, y))
SCATTERS(add, x + y, (uint64_t)x + (uint64_t)y)
SCATTERS(mul, x * y, (uint64_t)x * (uint64_t)y)
SCATTERS(max, x > y || x != x ? x : y, x > y ? x : y)
SCATTERS(min, x < y || x != x ? x : y, x < y ? x : y)

ds_scatter_fn ds_scatter_of(int kind, ds_dtype dtype)
{
	static const ds_scatter_fn fn[][DS_BOOL + 1] = { SCATTER_FN(none), SCATTER_FN(add), SCATTER_FN(mul), SCATTER_FN(max), SCATTER_FN(min) };

	return dtype > DS_NONE && dtype <= DS_BOOL ? fn[kind][dtype] : NULL;
}
