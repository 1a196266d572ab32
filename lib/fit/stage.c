/* stage.c - stages of a run: a TSV whose header names options, a row for each stage */
#include "fit.h"
#include "../base/str.h"

#include <string.h>

void ds_stages_done(ds_stages *s)
{
	ds_free(s->cell);
	ds_free(s->text);
	*s = (ds_stages){ 0 };
}

/* Cells of one line into s->cell from `at` on; the text is cut in place.  Returns how many there are. */
static int cut_line(ds_stages *s, char *line, size_t at, int most)
{
	int n = 0;
	for (char *p = line; p; n++) {
		char *tab = strchr(p, '\t');
		if (tab)
			*tab++ = 0;
		if (n < most)
			s->cell[at + (size_t)n] = p;
		p = tab;
	}
	return n;
}

static ds_status parse(ds_stages *s, ds_err *err)
{
	int line = 0, n_line = 1;
	size_t most = 1;
	for (const char *p = s->text; *p; p++) {
		n_line += *p == '\n';
		most += *p == '\t' || *p == '\n';
	}
	if (n_line > DS_STAGES_MAX + 100 || most > 100000)
		return ds_fail(err, DS_E_INPUT, "more than %d stages", DS_STAGES_MAX);
	if (!(s->cell = ds_calloc(most + (size_t)n_line, sizeof *s->cell)))
		return ds_fail_nomem(err, most * sizeof *s->cell);
	for (char *p = s->text; p && *p;) {
		char *end = strchr(p, '\n');
		if (end)
			*end++ = 0;
		size_t len = strlen(p);
		if (len && p[len - 1] == '\r')
			p[len - 1] = 0;
		line++;
		if (*p && *p != '#') {
			int n = cut_line(s, p, (size_t)s->n_col * (size_t)(s->n_row + (s->n_col > 0)), s->n_col ? s->n_col : (int)most);
			if (!s->n_col)
				s->n_col = n;
			else if (n != s->n_col)
				return ds_fail(err, DS_E_INPUT, "line %d has %d cells, the header has %d", line, n, s->n_col);
			else
				s->n_row++;
		}
		p = end;
	}
	for (int i = 0; i < s->n_col; i++) {
		if (!*s->cell[i])
			return ds_fail(err, DS_E_INPUT, "column %d of the header is empty", i + 1);
	}
	return s->n_row ? DS_OK : ds_fail(err, DS_E_INPUT, "a header with names of options and a row for each stage are wanted");
}

ds_status ds_stages_parse(ds_stages *s, const char *text, size_t n, ds_err *err)
{
	*s = (ds_stages){ 0 };
	for (size_t i = 0; i < n; i++) {
		if (!text[i])
			return ds_fail_at(err, DS_E_INPUT, (int64_t)i, "a zero byte: not a text");
	}
	if (!(s->text = ds_malloc(n + 1)))
		return ds_fail_nomem(err, n);
	memcpy(s->text, text, n);
	s->text[n] = 0;
	ds_status rc = parse(s, err);
	if (rc != DS_OK)
		ds_stages_done(s);
	return rc;
}
