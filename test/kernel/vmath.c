/* vmath.c - measures the vector mathematics against double over a stride through all floats */
#include "../../lib/kernel/vmath.h"
#include <stdio.h>

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

/* Size of a unit in the last place of a float near r. */
static double unit(double r)
{
	int e;

	frexp(r, &e);
	return ldexp(1, (e < -125 ? -125 : e) - 24);
}

struct row {
	const char *name;
	float     (*fn)(float);
	double    (*ref)(double);
	float       lo, hi;
	double      ulp;        /* allowed */
};
static const struct row rows[] = {
	{ "exp", ds_vm_exp, exp, -200, 88.72f, 1.1 },
	{ "log", ds_vm_log, log, 1e-45f, 3.4e38f, 1.0 },
	{ "sigmoid", ds_vm_sigmoid, sigmoid, -87, 1e30f, 3.0 },
	{ "tanh", ds_vm_tanh, tanh, -1e30f, 1e30f, 3.0 },
	{ "erf", ds_vm_erf, erf, -1e30f, 1e30f, 2.0 },
};

/* fn(+inf), fn(-inf) and fn(NaN) */
static int edges(const struct row *r)
{
	float up = r->fn(INFINITY), down = r->fn(-INFINITY), nan = r->fn(NAN);

	return up == (float)r->ref(INFINITY) && (down == (float)r->ref(-INFINITY) || (down != down && isnan(r->ref(-INFINITY)))) && nan != nan;
}

int main(void)
{
	int bad = 0;

	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct row *r = &rows[i];
		double worst = 0;
		float at = 0;

		for (uint64_t u = 0; u < (uint64_t)1 << 32; u += 2503) {
			float x = ds_vm_float((uint32_t)u);
			double want, e;

			if (!(x >= r->lo && x <= r->hi))
				continue;
			want = r->ref(x);
			e = fabs(r->fn(x) - want) / unit(want);
			if (!(e <= worst)) {
				worst = e;
				at = x;
			}
		}
		if (worst <= r->ulp && edges(r)) {
			printf("ok %s (%.2f ulp)\n", r->name, worst);
		} else {
			printf("not ok %s: %.2f ulp at %a, edges %s\n", r->name, worst, at, edges(r) ? "right" : "wrong");
			bad = 1;
		}
	}
	return bad;
}
