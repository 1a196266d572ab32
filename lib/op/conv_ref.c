/* conv_ref.c - plain convolution loops: the reference of every convolution operator */
#include "conv_ref.h"

#include <math.h>

typedef struct job {
	const ds_conv_geo  *g;
	const void         *x, *w, *b;
	const ds_conv_ints *ints;
	void               *y;
} job;

/* Offset of input position (output o, tap k) in one channel plane, -1 in the padding. */
static int64_t at(const ds_conv_geo *g, const int64_t o[3], const int64_t k[3])
{
	int64_t off = 0;
	for (int i = 0; i < 3; i++) {
		int64_t p = o[i] * g->stride[i] + k[i] * g->dil[i] - g->pad[i];
		if (p < 0 || p >= g->in[i])
			return -1;
		off = off * g->in[i] + p;
	}
	return off;
}

/* Body of one task: every output position of one channel of one image.  START is the first value of the sum, TERM adds one product. */
#define CONV_TASK(T, S, START, TERM) \
	const ds_conv_geo *g = j->g; \
	const int64_t icg = g->ic / g->groups, ocg = g->oc / g->groups, img = task / g->oc, oc = task % g->oc; \
	const int64_t plane = g->in[0] * g->in[1] * g->in[2], taps = g->k[0] * g->k[1] * g->k[2]; \
	const int64_t xbase = (img * g->ic + oc / ocg * icg) * plane; \
	S *y = (S *)j->y + (int64_t)task * g->out[0] * g->out[1] * g->out[2]; \
	int64_t o[3], k[3]; \
	for (o[0] = 0; o[0] < g->out[0]; o[0]++) \
		for (o[1] = 0; o[1] < g->out[1]; o[1]++) \
			for (o[2] = 0; o[2] < g->out[2]; o[2]++) { \
				S s = START; \
				int64_t tap = 0; \
				for (k[0] = 0; k[0] < g->k[0]; k[0]++) \
					for (k[1] = 0; k[1] < g->k[1]; k[1]++) \
						for (k[2] = 0; k[2] < g->k[2]; k[2]++, tap++) { \
							int64_t p = at(g, o, k); \
							for (int64_t c = 0; c < icg; c++) { \
								const int64_t xi = xbase + c * plane + p, wi = c * taps + tap; \
								TERM; \
							} \
						} \
				*y++ = s; \
			}

static void task_f32(void *arg, int task, int worker)
{
	const job *j = arg;
	const float *w = (const float *)j->w + (int64_t)(task % j->g->oc) * (j->g->ic / j->g->groups) * j->g->k[0] * j->g->k[1] * j->g->k[2];
	CONV_TASK(float, float, j->b ? ((const float *)j->b)[oc] : 0.0f, s = fmaf(p < 0 ? 0.0f : ((const float *)j->x)[xi], w[wi], s))
}

static void task_f64(void *arg, int task, int worker)
{
	const job *j = arg;
	const double *w = (const double *)j->w + (int64_t)(task % j->g->oc) * (j->g->ic / j->g->groups) * j->g->k[0] * j->g->k[1] * j->g->k[2];
	CONV_TASK(double, double, j->b ? ((const double *)j->b)[oc] : 0.0, s = fma(p < 0 ? 0.0 : ((const double *)j->x)[xi], w[wi], s))
}

static inline int32_t code(const void *p, int64_t i, bool sign) { return sign ? ((const int8_t *)p)[i] : ((const uint8_t *)p)[i]; }

/* Padding is the value zero, that is the code x_zp: no term. */
static void task_int(void *arg, int task, int worker)
{
	const job *j = arg;
	const ds_conv_ints *q = j->ints;
	int64_t stride = q->w_stride ? q->w_stride : j->g->ic / j->g->groups * j->g->k[0] * j->g->k[1] * j->g->k[2];
	const int8_t *w = (const int8_t *)q->w + (int64_t)(task % j->g->oc) * stride;
	const int32_t wz = q->w_zp ? q->w_zp[task % j->g->oc] : 0;
	CONV_TASK(uint8_t, int32_t, q->b ? q->b[oc] : 0,
		s = p < 0 ? s : (int32_t)((uint32_t)s + (uint32_t)((code(q->x, xi, q->x_signed) - q->x_zp) * (code(w, wi, q->w_signed) - wz))))
}

static void run(ds_pool *pool, const job *j, void (*fn)(void *, int, int))
{
	ds_pool_run(pool, (int)(j->g->n * j->g->oc), fn, (void *)j);
}

void ds_conv_ref_f32(ds_pool *pool, const ds_conv_geo *g, const float *x, const float *w, const float *b, float *y)
{
	run(pool, &(job){ .g = g, .x = x, .w = w, .b = b, .y = y }, task_f32);
}

void ds_conv_ref_f64(ds_pool *pool, const ds_conv_geo *g, const double *x, const double *w, const double *b, double *y)
{
	run(pool, &(job){ .g = g, .x = x, .w = w, .b = b, .y = y }, task_f64);
}

void ds_conv_ref_int(ds_pool *pool, const ds_conv_geo *g, const ds_conv_ints *p, int32_t *y)
{
	run(pool, &(job){ .g = g, .ints = p, .y = y }, task_int);
}
