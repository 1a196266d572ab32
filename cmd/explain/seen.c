/* seen.c - the explained input as the network saw it, as RGB */
#include "job.h"

#include <math.h>

static uint8_t byte(double v)
{
	return v >= 255 ? 255 : v > 0 ? (uint8_t)(v + 0.5) : 0;
}

/* Preprocessing undone: x = (pixel * scale - mean) / std. */
static void restore(const ds_prep_spec *s, const ds_plane *p, const float *v, uint8_t *rgb)
{
	for (int64_t y = 0; y < p->h; y++)
		for (int64_t x = 0; x < p->w; x++, rgb += 3)
			for (int c = 0; c < 3; c++) {
				int from = s->color == DS_COLOR_GRAY ? 0 : s->color == DS_COLOR_BGR ? 2 - c : c;
				double u = (double)v[from * p->sc + y * p->sy + x * p->sx] * s->std[from] + s->mean[from];
				rgb[c] = byte(s->scale != 0 ? u / s->scale : u);
			}
}

/* Numbers of unknown meaning: smallest to largest as black to white; the mean of other than 3 channels. */
static void stretch(const ds_plane *p, const float *v, uint8_t *rgb)
{
	double lo = HUGE_VAL, hi = -HUGE_VAL;
	int64_t n = p->channels * p->h * p->w;
	for (int64_t i = 0; i < n; i++)
		if (isfinite(v[i])) {
			lo = fmin(lo, (double)v[i]);
			hi = fmax(hi, (double)v[i]);
		}
	double k = hi > lo ? 255 / (hi - lo) : 0;
	for (int64_t y = 0; y < p->h; y++)
		for (int64_t x = 0; x < p->w; x++, rgb += 3)
			for (int c = 0; c < 3; c++) {
				double sum = 0;
				if (p->channels == 3)
					sum = (double)v[c * p->sc + y * p->sy + x * p->sx];
				for (int64_t i = 0; p->channels != 3 && i < p->channels; i++)
					sum += (double)v[i * p->sc + y * p->sy + x * p->sx] / (double)p->channels;
				rgb[c] = byte((sum - lo) * k);
			}
}

ds_status ex_seen(const job *j, const ex_result *r, const ds_plane *p, uint8_t **rgb, ds_err *err)
{
	ds_tensor f;
	*rgb = NULL;
	DS_TRY(ds_tensor_to_f32(&r->it.in[ds_explainer_input(j->x)], &f, err));
	*rgb = ds_malloc((size_t)(p->h * p->w) * 3);
	if (!*rgb) {
		ds_tensor_done(&f);
		return ds_fail_nomem(err, (size_t)(p->h * p->w) * 3);
	}
	if (j->picture && p->channels >= (j->prep.color == DS_COLOR_GRAY ? 1 : 3))
		restore(&j->prep, p, f.data, *rgb);
	else
		stretch(p, f.data, *rgb);
	ds_tensor_done(&f);
	return DS_OK;
}
