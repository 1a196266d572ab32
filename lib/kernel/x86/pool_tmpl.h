/* pool_tmpl.h - template of the pool rows: F, FL, FLOAD, FSTORE, FADD, FMAX, FSET for floats, U, UL, ULOAD, USTORE, UMAX for bytes; NAME(x) */

/* n columns that fill four vectors, or one. */
#define SPAN(nv) \
	for (; i + (nv) * FL <= n; i += (nv) * FL) { \
		F v[nv]; \
		for (int k = 0; k < (nv); k++) \
			v[k] = FSET(sum ? 0.0f : -INFINITY); \
		if (sum) { \
			for (int t = 0; t < taps; t++) \
				for (int k = 0; k < (nv); k++) \
					v[k] = FADD(v[k], FLOAD(a[t] + i + (size_t)k * FL)); \
		} else { \
			for (int t = 0; t < taps; t++) \
				for (int k = 0; k < (nv); k++) \
					v[k] = FMAX(FLOAD(a[t] + i + (size_t)k * FL), v[k]); \
		} \
		for (int k = 0; k < (nv); k++) \
			FSTORE(y + i + (size_t)k * FL, v[k]); \
	}

void NAME(pool_f32)(float *y, const float *const *a, int taps, size_t n, int sum)
{
	size_t i = 0;

	SPAN(4)
	SPAN(1)
	for (; i < n; i++) {
		float v = sum ? 0.0f : -INFINITY;

		for (int t = 0; t < taps; t++)
			v = sum ? v + a[t][i] : a[t][i] > v ? a[t][i] : v;
		y[i] = v;
	}
}

void NAME(pool_u8)(uint8_t *y, const uint8_t *const *a, int taps, size_t n)
{
	size_t i = 0;

	for (; i + UL <= n; i += UL) {
		U v = UZERO;

		for (int t = 0; t < taps; t++)
			v = UMAX(v, ULOAD(a[t] + i));
		USTORE(y + i, v);
	}
	for (; i < n; i++) {
		uint8_t v = 0;

		for (int t = 0; t < taps; t++)
			v = a[t][i] > v ? a[t][i] : v;
		y[i] = v;
	}
}
