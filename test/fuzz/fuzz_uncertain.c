/* fuzz_uncertain.c - any META under uncertainty.*: lines of a key, a type (s i f) and values; what is accepted can be used and written again */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "run/uncertain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VALUES = 1024 };

static void put_line(ds_meta *m, char *line)
{
	static double f[VALUES];
	int64_t i[VALUES];
	char *rest = NULL, *key = strtok_r(line, " ", &rest), *type = key ? strtok_r(NULL, " ", &rest) : NULL;
	int n = 0;
	if (!type)
		return;
	if (*type == 's') {
		(void)!ds_meta_set_str(m, key, rest ? rest : "");
		return;
	}
	for (char *v; n < VALUES && (v = strtok_r(NULL, " ", &rest)); n++) {
		f[n] = !strcmp(v, "inf") ? INFINITY : strtod(v, NULL);
		if (isnan(f[n]))        /* the container has none */
			f[n] = 0;
		i[n] = fabs(f[n]) < 1e18 ? (int64_t)f[n] : 0;
	}
	(void)!(*type == 'i' ? ds_meta_set_i64(m, key, n, i) : ds_meta_set_f64(m, key, n, f));
}

static void use(const ds_certainty *c)
{
	const float p[] = { 0.5f, 0.25f, 0.125f, 0.125f };
	int64_t order[4];
	double score[4];
	if (c->classes && !(c->temperature >= DS_TEMPERATURE_MIN && c->temperature <= DS_TEMPERATURE_MAX))
		__builtin_trap();
	for (int s = 0; c->classes && s < DS_SET_SCORES; s++) {
		ds_set_rule rule = { (ds_set_score)s, c->lambda, c->k };
		int last = 5;
		ds_set_scores(&rule, p, 4, order, score);
		for (int a = 0; a < DS_ALPHAS; a++) {   /* sets do not grow with alpha */
			int n = 0;
			for (int y = 0; y < 4; y++)
				n += score[y] <= c->set[s][a];
			if (n > last)
				__builtin_trap();
			last = n;
		}
	}
	for (int64_t i = 0; c->values && i < c->n_value * DS_ALPHAS; i++)
		if (isnan(c->residual[i]))
			__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ds_model *m = ds_model_new();
	char *text = ds_malloc(size + 1), *rest = NULL;
	ds_certainty c = { 0 }, again = { 0 };
	if (!m || !text)
		abort();
	memcpy(text, data, size);
	text[size] = 0;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		put_line(&m->meta, line);
	ds_err err = { 0 };
	ds_status rc = ds_certainty_from_meta(&c, m, &err);
	if (rc != DS_OK && rc != DS_E_INPUT)
		__builtin_trap();
	if (rc == DS_OK) {
		use(&c);
		if (ds_certainty_to_meta(&c, m, NULL) == DS_OK && (c.classes || c.values)) {
			if (ds_certainty_from_meta(&again, m, NULL) != DS_OK || again.stale || again.n_value != c.n_value || memcmp(again.set, c.set, sizeof c.set))
				__builtin_trap();
			ds_certainty_done(&again);
		}
	}
	ds_certainty_done(&c);
	ds_free(text);
	ds_model_free(m);
	return 0;
}
