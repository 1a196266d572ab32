/* dir.c - --out-dir: a file for each input, class, layer and head, by the output that would serve otherwise; rows of what was written with --tsv or --json */
#include <string.h>

#include "job.h"

typedef struct state {
	ds_outdir       *dir;
	const ex_output *inner;
	ds_rows         *rows;          /* NULL: none */
	const char      *columns[24];   /* of the rows, which keep the pointer */
	bool             classes;       /* names say which class */
} state;

static bool chosen(const job *j)
{
	return j->s->out_dir != NULL;
}

/* What a file of this output ends in. */
static const char *extension(const job *j, const ex_output *o)
{
	static const struct { const char *output, *ending; } table[] = { { "picture", "png" }, { "html", "html" }, { "text", "txt" } };
	for (size_t i = 0; i < DS_COUNTOF(table); i++)
		if (!strcmp(o->name, table[i].output))
			return table[i].ending;
	if (o == &ex_output_raw)
		return j->s->raw ? "dsm" : "npy";
	return j->s->c.json ? "json" : "tsv";
}

static ds_status open_rows(job *j, state *st, ds_err *err)
{
	int n = 0;
	while (ex_columns[n] && n < (int)DS_COUNTOF(st->columns) - 2) {
		st->columns[n] = ex_columns[n];
		n++;
	}
	st->columns[n] = "file";
	return ds_rows_open(&st->rows, j->out, j->s->c.json, st->columns, err);
}

static ds_status start(job *j, ds_err *err)
{
	state *st = j->state = ds_calloc(1, sizeof *st);
	if (!st)
		return ds_fail_nomem(err, sizeof *st);
	st->classes = j->s->top > 1 || j->s->classes.n > 1;
	st->inner = ex_choose(j, &ex_output_dir);
	if (st->inner == &ex_output_rows)       /* these go to standard output */
		st->inner = ex_choose(j, st->inner);
	DS_TRY(ds_outdir_new(&st->dir, j->s->out_dir, j->s->c.force, err));
	DS_TRY(ds_data_names(j->samples, ds_outdir_expect, st->dir, err));
	DS_TRY(ds_outdir_ready(st->dir, err));
	return j->s->c.tsv || j->s->c.json ? open_rows(j, st, err) : DS_OK;
}

/* ".class-3.layer-0.head-2.png": what there is one of is not said. */
static void rest_of_name(const job *j, const state *st, const ds_map *m, ds_buf *b)
{
	if (st->classes)
		ds_buf_printf(b, ".class-%lld", (long long)ex_class(j, m));
	if (m->layer_index >= 0)
		ds_buf_printf(b, ".layer-%d", m->layer_index);
	if (m->head >= 0)
		ds_buf_printf(b, ".head-%d", m->head);
	ds_buf_printf(b, ".%s", extension(j, st->inner));
}

/* One map by the inner output, as if it were all that was asked for. */
static ds_status write_map(const job *j, const state *st, const ex_result *r, ds_map *m, ds_sink *out, ds_err *err)
{
	job one = *j;
	ex_result alone = *r;
	one.out = out;
	one.state = NULL;
	one.output = st->inner;
	alone.maps = (ds_maps){ .m = m, .n = 1, .cap = 1 };
	ds_status rc = st->inner->start(&one, err);
	if (rc == DS_OK)
		rc = st->inner->item(&one, &alone, err);
	if (rc == DS_OK && st->inner->end)
		rc = st->inner->end(&one, err);
	st->inner->drop(&one);
	return rc;
}

static ds_status item(job *j, const ex_result *r, ds_err *err)
{
	state *st = j->state;
	for (size_t i = 0; i < r->maps.n; i++) {
		ds_map *m = &r->maps.m[i];
		ds_buf rest = { 0 };
		ds_sink *out = NULL;
		const char *path = "";
		rest_of_name(j, st, m, &rest);
		ds_status rc = rest.oom ? ds_fail_nomem(err, 64) : ds_outdir_open(st->dir, r->item->name, r->item->name_len, r->item->path_len, rest.data, &out, &path, err);
		ds_buf_done(&rest);
		if (rc == DS_OK) {
			rc = write_map(j, st, r, m, out, err);
			if (rc == DS_OK)
				rc = ds_sink_commit(out, err);
			else
				ds_sink_abort(out);
		}
		if (rc == DS_OK && st->rows) {
			ex_put_cells(j, st->rows, r, m);
			ds_rows_str(st->rows, path, strlen(path));
			rc = ds_rows_end(st->rows, err);
		}
		DS_TRY(rc);
	}
	return DS_OK;
}

static void drop(job *j)
{
	state *st = j->state;
	if (!st)
		return;
	ds_rows_close(st->rows);
	ds_outdir_free(st->dir);
	ds_free(st);
	j->state = NULL;
}

const ex_output ex_output_dir = { "dir", false, chosen, start, item, NULL, drop };
