/* stage.c - stages of a run: a TSV whose header names options, a row for each stage; the settings that follow from it */
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

/* ---- settings --------------------------------------------------------------------------------------------------------------------------- */
void ds_fit_stages_done(ds_fit_stage *stage, int n)
{
	for (int i = 0; stage && i < n; i++)
		ds_free((void *)stage[i].w.freeze.v);
	ds_free(stage);
}

/* "a,b": the list anew; the text is cut in place. */
static ds_status set_list(ds_strs *l, char *text, ds_err *err)
{
	int n = 1;
	for (const char *s = text; *s; s++)
		n += *s == ',';
	const char **v = ds_calloc((size_t)n, sizeof *v);
	if (!v)
		return ds_fail_nomem(err, 0);
	*l = (ds_strs){ v, 0 };
	for (char *s = text; s;) {
		char *comma = strchr(s, ',');
		if (comma)
			*comma++ = 0;
		if (*s)
			v[l->n++] = s;
		s = comma;
	}
	return DS_OK;
}

/* The row of an option that a stage may set. */
static const ds_opt *row_of(const ds_opt *rows, size_t at, const char *name)
{
	static const char *const not[] = { "", "stage", "checkpoint", "checkpoint-every", "resume", "metrics" };
	for (size_t i = 0; i < DS_COUNTOF(not); i++) {
		if (!strcmp(name, not[i]))
			return NULL;
	}
	for (const ds_opt *o = rows; o->name; o++) {
		if (!strcmp(o->name, name))
			return o->offset >= at && o->offset < at + sizeof(ds_fit_words) ? o : NULL;
	}
	return NULL;
}

/* What an option without default is when it was not given. */
static void unset(void *at, const ds_opt *o)
{
	if (o->type == DS_T_STR)
		*(const char **)at = NULL;
	else if (o->type == DS_T_INT)
		*(int64_t *)at = 0;
	else
		*(double *)at = 0;
}

typedef ds_status (*setter)(void *settings, const ds_opt *o, const char *value, ds_err *err);

/* One cell: empty changes nothing, "-" is the option's default. */
static ds_status set_cell(ds_fit_stage *s, const ds_opt *rows, size_t at, setter set, const char *name, char *value, ds_err *err)
{
	const ds_opt *row = row_of(rows, at, name);
	if (!*value)
		return DS_OK;
	if (!strcmp(name, "data")) {
		s->data = value;
		return DS_OK;
	}
	if (!row)
		return ds_fail(err, DS_E_INPUT, "no stage can set '%.80s'", name);
	ds_opt o = *row;                /* the settings are these words alone */
	o.offset -= at;
	void *member = (char *)&s->w + o.offset;
	bool reset = !strcmp(value, "-");
	if (!strcmp(name, "epochs"))
		s->w.steps = 0;
	if (o.type == DS_T_FLAG) {
		if (strcmp(value, "yes") && strcmp(value, "no") && !reset)
			return ds_fail(err, DS_E_INPUT, "%s: '%.80s' is not yes or no", name, value);
		*(bool *)member = !strcmp(value, "yes");
		return DS_OK;
	}
	if (o.type == DS_T_LIST) {
		ds_strs *l = member;
		ds_free((void *)l->v);
		*l = (ds_strs){ 0 };
		return reset ? DS_OK : set_list(l, value, err);
	}
	if (!reset || o.def)
		return set(&s->w, &o, reset ? o.def : value, err);
	unset(member, &o);
	return DS_OK;
}

/* `first` with a list of its own. */
static ds_status copy(ds_fit_stage *to, const ds_fit_stage *first, ds_err *err)
{
	const ds_strs *l = &first->w.freeze;
	const char **v = ds_calloc((size_t)l->n + 1, sizeof *v);
	*to = *first;
	to->w.freeze.v = v;
	if (!v)
		return ds_fail_nomem(err, 0);
	if (l->n)
		memcpy((void *)v, (const void *)l->v, (size_t)l->n * sizeof *v);
	return DS_OK;
}

ds_status ds_fit_stages(ds_fit_stage **out, int *n, const ds_stages *table, const ds_fit_stage *first, const ds_opt *rows, size_t at, setter set, ds_err *err)
{
	int count = table ? table->n_row : 1;
	*out = ds_calloc((size_t)count, sizeof **out);
	*n = *out ? count : 0;
	if (!*out)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < count; i++) {
		ds_fit_stage *s = &(*out)[i];
		ds_status rc = copy(s, first, err);
		for (int k = 0; rc == DS_OK && table && k < table->n_col; k++)
			rc = set_cell(s, rows, at, set, table->cell[k], table->cell[(i + 1) * table->n_col + k], err);
		if (rc == DS_OK && !s->data)
			rc = ds_fail(err, DS_E_INPUT, "neither a column 'data' nor --data says what to train with");
		if (rc == DS_OK && table)
			rc = ds_fit_check(&s->w, err);
		if (rc != DS_OK) {
			ds_err_prefix(err, "stage %d", i + 1);
			return rc == DS_E_USAGE ? DS_E_INPUT : rc;
		}
	}
	return DS_OK;
}
