/* qmul.c - ds.QMul: product of two quantised tensors (fused_q.h) */
#include "elementwise.h"
#include "fused_q.h"
#include "nnsample.h"
#include "qdq.h"
#include "qtwo.h"

enum { BLOCK = 32 };

static void row(void *out, const void *const *in, const int64_t *stride, int64_t n, const void *arg)
{
	const ds_q2_attr *q = arg;
	const uint8_t *a = in[0], *b = in[1];
	const float m = (float)(q->a_scale * q->b_scale / q->y_scale);
	const float lo = (float)(q->q_min - q->y_zp), hi = (float)(q->q_max - q->y_zp);
	const int32_t za = (int32_t)q->a_zp, zb = (int32_t)q->b_zp, zy = (int32_t)q->y_zp;
	const int64_t sa = stride[0], sb = stride[1];
	uint8_t *y = out, block[BLOCK];
	int64_t i = 0;

#define PRODUCT(p, r) \
	float v = (float)((int32_t)(p) - za) * (float)((int32_t)(r) - zb) * m; \
	v = v > lo ? v : lo; \
	v = v < hi ? v : hi
	for (; sa == 1 && sb <= 1 && i + BLOCK <= n; i += BLOCK) {
		for (int k = 0; k < BLOCK; k++) {
			PRODUCT(a[i + k], b[sb ? i + k : 0]);
			block[k] = (uint8_t)((int32_t)ds_rint_small(v) + zy);
		}
		memcpy(y + i, block, BLOCK);
	}
	for (; i < n; i++) {
		PRODUCT(a[i * sa], b[i * sb]);
		y[i] = (uint8_t)((int32_t)ds_rint_small(v) + zy);
	}
#undef PRODUCT
}

DS_Q2_OP(QMul)
