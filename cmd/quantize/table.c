/* table.c - the one table of bits per layer: options, or an edited plan, fill it before anything is rounded */
#include <inttypes.h>
#include <string.h>

#include "format/history.h"
#include "parts.h"

/* GLOB=BITS -> GLOB in memory of its own and BITS. */
ds_status table_words(settings *s, ds_err *err)
{
	s->keep_glob = ds_calloc((size_t)s->keep.n + 1, sizeof(*s->keep_glob));
	s->keep_bits = ds_calloc((size_t)s->keep.n + 1, sizeof(*s->keep_bits));
	s->keep_used = ds_calloc((size_t)s->keep.n + 1, sizeof(*s->keep_used));
	if (!s->keep_glob || !s->keep_bits || !s->keep_used)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < s->keep.n; i++) {
		const char *eq = strrchr(s->keep.v[i], '=');
		ds_qbits *b = &s->keep_bits[i];
		if (!eq || eq == s->keep.v[i] || !ds_qbits_parse(eq + 1, b) || (b->w && !b->a != !s->activations))
			return ds_fail(err, DS_E_USAGE, "--keep '%s' is not GLOB=f32 or GLOB=%s", s->keep.v[i], s->activations ? "w8a8, w4a8, w4a4, ..." : "w8, w6, w4, ...");
		char *glob = ds_strdup(s->keep.v[i]);
		if (!glob)
			return ds_fail_nomem(err, 0);
		glob[eq - s->keep.v[i]] = 0;
		s->keep_glob[i] = glob;
	}
	return DS_OK;
}

ds_status table_read(settings *s, ds_err *err)
{
	const void *text;
	size_t n;
	DS_TRY(ds_only_init(&s->only, &s->c, err));
	if (!s->c.plan)
		return DS_OK;
	DS_TRY(ds_open_file(&s->plan_src, &s->c, s->c.plan, err));
	DS_TRY(ds_source_all(s->plan_src, s->c.memory_limit, &text, &n, &s->plan_owner, err));
	DS_TRY(ds_qplan_read(&s->plan, s->c.plan, text, n, err));
	s->activations = ds_qplan_activations(&s->plan);
	for (int i = s->plan.n - 1; i >= 0; i--)        /* of what no layer reads, but sums and pooling do: as in the first row */
		if (s->plan.row[i].bits.w)
			s->rule = s->plan.row[i].range;
	ds_buf_add(&s->plan_text, text, n);
	if (s->plan_text.oom)
		return ds_fail_nomem(err, n);
	if (s->activations && !s->c.calibrate)
		return ds_fail(err, DS_E_USAGE, "the plan rounds activations: it needs samples to calibrate with: -c PATH");
	if (!s->activations && s->c.calibrate)
		return ds_fail(err, DS_E_USAGE, "the plan rounds weights only and takes no samples (-c)");
	if (!s->activations && s->qat)
		return ds_fail(err, DS_E_USAGE, "--qat is for bits of weights and activations, the plan rounds weights only");
	return DS_OK;
}

/* What the first and the last layer have where --keep does not name them: rounding costs most there. */
static const ds_qbits edge_bits = { 8, 8 };

ds_status table_decide(settings *s, ds_qrow *row, const char **why, ds_err *err)
{
	bool a = ds_only_match(&s->only, row->node), b = ds_only_match(&s->only, row->weight), kept = false;
	bool chosen = s->c.only.n ? a || b : a && b;
	*why = NULL;
	if (s->c.plan) {
		DS_TRY(ds_qplan_obey(&s->plan, row, err));
		*why = row->bits.w ? NULL : "f32 in the plan";
		return DS_OK;
	}
	row->bits = s->activations && row->edge ? edge_bits : s->base;
	row->group = (int)s->group;
	for (int i = 0; i < s->keep.n; i++)
		if (ds_glob(s->keep_glob[i], row->weight) || ds_glob(s->keep_glob[i], row->node)) {
			kept = s->keep_used[i] = true;
			row->bits = s->keep_bits[i];
		}
	if (!chosen)
		row->bits = (ds_qbits){ 0, 0 };
	*why = !chosen ? "not chosen" : kept && !row->bits.w ? "kept" : NULL;
	row->range = s->rule;
	if (!s->range && !s->activations)
		row->range.range = row->bits.w < 6 ? DS_RANGE_MSE : DS_RANGE_MINMAX;
	return DS_OK;
}

ds_status table_check(settings *s, uint32_t crc, uint64_t len, ds_err *err)
{
	DS_TRY(ds_only_done(&s->only, err));
	for (int i = 0; i < s->keep.n; i++)
		if (!s->keep_used[i])
			return ds_fail(err, DS_E_USAGE, "--keep: '%s' matches no layer and no weight", s->keep_glob[i]);
	return s->c.plan ? ds_qplan_obeyed(&s->plan, crc, len, s->c.force, err) : DS_OK;
}

/* Settings that the plan stands for are not said: with them nobody could do the same again. */
ds_status table_history(settings *s, const char **effective, char **external, ds_err *err)
{
	static const char *const words[] = { "--bits=", "--group=", "--range=", "--keep=", "--only=", "--except=" };
	*effective = s->c.effective;
	*external = NULL;
	if (!s->c.plan)
		return DS_OK;
	for (const char *line = s->c.effective, *next; line && *line; line = next) {
		const char *nl = strchr(line, '\n');
		next = nl ? nl + 1 : line + strlen(line);
		bool said = false;
		for (size_t i = 0; i < DS_COUNTOF(words); i++)
			said |= strncmp(line, words[i], strlen(words[i])) == 0;
		if (!said)
			ds_buf_add(&s->effective, line, (size_t)(next - line));
	}
	ds_buf_str(&s->effective, "");
	*external = ds_history_external("plan", s->plan_text.data ? s->plan_text.data : "", s->plan_text.len);
	*effective = s->effective.data ? s->effective.data : "";
	return s->effective.oom || !*external ? ds_fail_nomem(err, 0) : DS_OK;
}

ds_status table_print(ds_qplan *p, uint32_t crc, uint64_t len, ds_sink *out, ds_err *err)
{
	ds_buf b = { 0 };
	p->crc = crc;
	p->len = len;
	ds_status rc = ds_qplan_write(p, &b, err);
	if (rc == DS_OK)
		rc = ds_sink_write(out, b.data, b.len, err);
	ds_buf_done(&b);
	return rc;
}

void table_done(settings *s)
{
	if (s->only.used)
		ds_only_done(&s->only, NULL);
	for (int i = 0; i < s->keep.n && s->keep_glob; i++)
		ds_free((char *)(uintptr_t)s->keep_glob[i]);
	ds_free((void *)s->keep_glob);
	ds_free(s->keep_bits);
	ds_free(s->keep_used);
	s->keep_glob = NULL;
	s->keep_bits = NULL;
	s->keep_used = NULL;
	ds_qplan_done(&s->plan);
	ds_buf_done(&s->plan_text);
	ds_buf_done(&s->effective);
	ds_source_drop(s->plan_owner);
	ds_source_close(s->plan_src);
	s->plan_owner = NULL;
	s->plan_src = NULL;
}
