/* tokens.c - numbers for each token: which tokens a map speaks of, the colours of their heat, rows of the tokens that count most */
#include "job.h"

#include <math.h>
#include <string.h>

/* ---- a map, token by token ---------------------------------------------------------------------------------------------------------- */
/* Whose attention: --position's, that of the token that the class was answered for, else the first. */
static int64_t row_of(const job *j, const ds_map *m)
{
	ds_classes c = ds_explainer_classes(j->x);
	int64_t rows = m->t.dim[0];
	if (ds_given("position")) {
		int64_t at = j->s->position + (j->s->position < 0 ? rows : 0);
		return at >= 0 && at < rows ? at : rows - 1;
	}
	return c.n && c.stride == 1 && c.elements / c.n == rows ? m->target / c.n : 0;
}

bool ex_token_scores(const job *j, const ds_map *m, const float **v, int64_t *n)
{
	const float *p = m->t.data;
	if (m->kind == DS_MAP_TOKENS) {
		*v = p;
		*n = ds_tensor_count(&m->t);
		return true;
	}
	if (m->kind != DS_MAP_ATTENTION || !m->t.dim[0])
		return false;
	*n = m->t.dim[1];
	*v = p + row_of(j, m) * *n;
	return true;
}

int64_t ex_token_id(const job *j, const ex_result *r, int64_t i)
{
	const ds_tensor *t = &r->item->in[j->token.input];
	return j->token.on && i < ds_tensor_count(t) ? ds_tensor_i64(t, i) : -1;
}

void ex_token_shown(const job *j, int64_t id, ds_buf *b)
{
	ds_buf raw = { 0 };
	ex_token_text(j, id, &raw);
	for (size_t i = 0, from = 0; i <= raw.len && raw.data; i++) {
		bool line = i < raw.len && raw.data[i] == '\n';
		if (!line && i < raw.len)
			continue;
		ds_text_quote(b, raw.data + from, i - from);
		if (line)
			ds_buf_str(b, "\xe2\x86\xb5");          /* an arrow down and left */
		from = i + 1;
	}
	b->oom |= raw.oom;
	ds_buf_done(&raw);
}

void ex_class_text(const job *j, int64_t class_, ds_buf *b)
{
	const char *name = ex_label(j, class_);
	size_t n = name ? strlen(name) : 0;
	bool blank = n && (name[0] == ' ' || name[n - 1] == ' ');       /* a token, such as a space or " the" */
	if (!n) {
		ds_buf_printf(b, "class %lld", (long long)class_);
		return;
	}
	ds_buf_str(b, blank ? "\"" : "");
	ds_text_quote(b, name, n);
	ds_buf_str(b, blank ? "\"" : "");
}

/* ---- colours ------------------------------------------------------------------------------------------------------------------------- */
/* On paper: white for nothing, orange for what speaks for the class, blue for what speaks against it; steps of equal difference, hues that stay apart without red and
 * green. */
ds_rgb ex_heat(double t)
{
	double s = fmin(fabs(isfinite(t) ? t : 0), 1), hue = t < 0 ? 4.35 : 0.98, chroma = (t < 0 ? 0.13 : 0.15) * s;
	return ds_oklab(1 - 0.36 * s, chroma * cos(hue), chroma * sin(hue));
}

/* ---- rows ----------------------------------------------------------------------------------------------------------------------------- */
static const char *const columns[] = { "input", "class", "label", "method", "layer", "head", "rank", "position", "token", "text", "score", NULL };

static bool chosen(const job *j)
{
	return j->s->top_tokens > 0;
}

static ds_status start(job *j, ds_err *err)
{
	ds_rows *rows;
	DS_TRY(ds_rows_open(&rows, j->out, j->s->c.json, columns, err));
	j->state = rows;
	return DS_OK;
}

/* The k tokens of largest size, largest first; ties in the order of the text. */
static void largest(const float *v, int64_t n, int64_t k, int64_t *best)
{
	for (int64_t i = 0; i < k; i++) {
		int64_t at = -1;
		for (int64_t t = 0; t < n; t++) {
			bool taken = false;
			for (int64_t p = 0; p < i && !taken; p++)
				taken = best[p] == t;
			if (!taken && (at < 0 || fabsf(v[t]) > fabsf(v[at])))
				at = t;
		}
		best[i] = at;
	}
}

static void put_text(ds_rows *rows, const char *v)
{
	if (v)
		ds_rows_str(rows, v, strlen(v));
	else
		ds_rows_null(rows);
}

static ds_status map_rows(job *j, const ex_result *r, const ds_map *m, ds_err *err)
{
	ds_rows *rows = j->state;
	const float *v;
	int64_t n, c = ex_class(j, m);
	if (!ex_token_scores(j, m, &v, &n))
		return ds_fail(err, DS_E_UNSUPPORTED, "--top-tokens: a map of %s is not about tokens", j->method->name);
	int64_t k = DS_MIN(j->s->top_tokens, n), *best = ds_calloc((size_t)k + 1, sizeof *best);
	ds_buf b = { 0 };
	ds_status rc = best ? DS_OK : ds_fail_nomem(err, 0);
	if (best)
		largest(v, n, k, best);
	for (int64_t i = 0; i < k && rc == DS_OK; i++) {
		int64_t id = ex_token_id(j, r, best[i]);
		ds_buf_reset(&b);
		if (id >= 0)
			ex_token_text(j, id, &b);
		ds_rows_str(rows, r->item->name, r->item->name_len);
		ds_rows_i64(rows, c);
		put_text(rows, ex_label(j, c));
		put_text(rows, j->method->name);
		put_text(rows, m->layer);
		if (m->head >= 0)
			ds_rows_i64(rows, m->head);
		else
			ds_rows_null(rows);
		ds_rows_i64(rows, i + 1);
		ds_rows_i64(rows, best[i]);
		if (id >= 0)
			ds_rows_i64(rows, id);
		else
			ds_rows_null(rows);
		if (id >= 0 && b.data)
			ds_rows_str(rows, b.data, b.len);
		else
			ds_rows_null(rows);
		ds_rows_f32(rows, v[best[i]]);
		rc = b.oom ? ds_fail_nomem(err, b.len) : ds_rows_end(rows, err);
	}
	ds_buf_done(&b);
	ds_free(best);
	return rc;
}

static ds_status item(job *j, const ex_result *r, ds_err *err)
{
	for (size_t i = 0; i < r->maps.n; i++)
		DS_TRY(map_rows(j, r, &r->maps.m[i], err));
	return DS_OK;
}

static void drop(job *j)
{
	ds_rows_close(j->state);
	j->state = NULL;
}

const ex_output ex_output_tokens = { "tokens", false, chosen, start, item, NULL, drop };
