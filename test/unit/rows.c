/* rows.c - unit tests of lib/data for what comes in rows: CSV, tables, series, text; ranges, targets, fitting, seeking */
#include "data/sound.h"
#include "data/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed;
#define CHECK(name, cond) do { if (cond) printf("ok %s\n", name); else { printf("not ok %s: line %d\n", name, __LINE__); failed = 1; } } while (0)

static char dir[64];

static const char *file(const char *name, const char *text)
{
	static char path[8][256];
	static int turn;
	char *p = path[turn++ & 7];
	snprintf(p, sizeof path[0], "%s/%s", dir, name);
	FILE *f = text ? fopen(p, "wb") : NULL;
	if (text && (!f || fwrite(text, 1, strlen(text), f) != strlen(text) || fclose(f)))
		printf("not ok write %s\n", p);
	return p;
}

/* ---- CSV ----------------------------------------------------------------------------------------------------------------------- */

/* All fields: "a|b/c|d/", "!" for a failure. */
static bool csv_is(const char *text, const char *want)
{
	ds_csv c;
	ds_buf b = { 0 };
	ds_status rc;
	ds_csv_open(&c, text, strlen(text));
	while ((rc = ds_csv_next(&c, NULL)) == DS_OK) {
		for (size_t i = 0; i < c.n; i++) {
			ds_csv_text(&c.field[i], &b);
			ds_buf_str(&b, i + 1 < c.n ? "|" : "/");
		}
	}
	if (rc != DS_END)
		ds_buf_str(&b, "!");
	bool ok = !strcmp(b.data ? b.data : "", want);
	if (!ok)
		printf("# %s\n", b.data ? b.data : "");
	ds_buf_done(&b);
	ds_csv_close(&c);
	return ok;
}

static void csv(void)
{
	CHECK("fields", csv_is("a,b\n1,2\n", "a|b/1|2/"));
	CHECK("last line without end", csv_is("a,b\n1,", "a|b/1|/"));
	CHECK("crlf, spaces, empty lines", csv_is("a, b \r\n\r\n 1,2\r\n  \n", "a|b/1|2/"));
	CHECK("semicolons", csv_is("a;b\n1,5;2\n", "a|b/1,5|2/"));
	CHECK("tabs", csv_is("a\tb,c\td\n", "a|b,c|d/"));
	CHECK("byte order mark", csv_is("\xEF\xBB\xBF" "a,b\n", "a|b/"));
	CHECK("quotes", csv_is("\"a,b\",\"c\"\"d\"\"\"\r\n\"x\ny\",\"\"\n", "a,b|c\"d\"/x\ny|/"));
	CHECK("quote that stays open", csv_is("a,b\n\"c,d\n", "a|b/!"));
	CHECK("text behind a quote", csv_is("\"a\"b,c\n", "!"));
	CHECK("nothing", csv_is("", ""));
	double v;
	CHECK("numbers", ds_csv_number(&(ds_csv_field){ " -1.5e3 ", 8, false }, &v) && v == -1500 && !ds_csv_number(&(ds_csv_field){ "", 0, false }, &v) &&
		!ds_csv_number(&(ds_csv_field){ "nan", 3, false }, &v) && !ds_csv_number(&(ds_csv_field){ "1,5", 3, false }, &v));
}

static bool range_is(const char *path, int64_t n, int64_t from, int64_t to)
{
	ds_range r;
	int64_t a, b;
	size_t len = ds_range_parse(&r, path);
	ds_range_apply(&r, n, &a, &b);
	return len == 1 && a == from && b == to;
}

static void ranges(void)
{
	ds_range r;
	CHECK("rows", range_is("f[2:5]", 10, 2, 5) && range_is("f[:5]", 10, 0, 5) && range_is("f[7:]", 10, 7, 10) && range_is("f[:]", 10, 0, 10));
	CHECK("from the end", range_is("f[-3:]", 10, 7, 10) && range_is("f[:-3]", 10, 0, 7) && range_is("f[-3:-1]", 10, 7, 9));
	CHECK("percent", range_is("f[:90%]", 1115394, 0, 1003854) && range_is("f[90%:]", 1115394, 1003854, 1115394) && range_is("f[25%:75%]", 4, 1, 3));
	CHECK("beyond", range_is("f[5:99]", 10, 5, 10) && range_is("f[99:]", 10, 10, 10) && range_is("f[5:3]", 10, 5, 5));
	CHECK("no ranges", !ds_range_parse(&r, "f[5]") && !ds_range_parse(&r, "f[a:5]") && !ds_range_parse(&r, "[1:2]") && !ds_range_parse(&r, "f[1:2].csv") &&
		!ds_range_parse(&r, "f[1.5:2]") && !ds_range_parse(&r, "f[:200%]"));
}

/* ---- models that only say what they take ---------------------------------------------------------------------------------------- */

static ds_model *model(ds_dtype dtype, int rank, const int64_t *dim)
{
	ds_model *m = ds_model_new();
	ds_type t = ds_type_make(dtype, rank, dim);
	for (int i = 0; i < rank; i++) {
		if (t.dim[i] < 0)
			t.dim[i] = -1 - ds_graph_symbol(m->graph, i ? "T" : "N");
	}
	ds_value *x = ds_graph_input(m->graph, "x", &t);
	static const char *const out[] = { "y" };
	ds_node *n = ds_graph_node(m->graph, "", "Identity", "", 1, &x, 1, out);
	if (ds_node_parse(n, NULL) != DS_OK || ds_graph_output(m->graph, n->out[0]) != DS_OK)
		printf("not ok model\n");
	return m;
}

static void words(ds_model *m, const char *key, int n, const char *const *v)
{
	if ((n ? ds_meta_set_list(&m->meta, key, n, v) : ds_meta_set_str(&m->meta, key, v[0])) != DS_OK)
		printf("not ok meta\n");
}

static void word(ds_model *m, const char *key, const char *v)
{
	words(m, key, 0, &v);
}

static void number(ds_model *m, const char *key, int64_t v)
{
	if (ds_meta_set_i64(&m->meta, key, 1, &v) != DS_OK)
		printf("not ok meta\n");
}

static void tensor_text(ds_buf *b, const ds_tensor *t)
{
	for (int64_t i = 0; i < ds_tensor_count(t); i++)
		ds_buf_printf(b, "%s%g", i ? " " : "", ds_tensor_f64(t, i));
}

/* "name:input>target:label," and * before windows that follow. */
static void read_all(ds_buf *b, ds_samples *s)
{
	ds_item it;
	ds_err err = { 0 };
	bool bad;
	ds_status rc;
	ds_buf_reset(b);
	while ((rc = s->next(s, &it, &bad, &err)) == DS_OK || bad) {
		const char *slash = strrchr(it.name, '/');
		ds_buf_printf(b, "%s%s:", it.follows ? "*" : "", slash ? slash + 1 : it.name);
		if (bad)
			ds_buf_str(b, err.text);
		else
			tensor_text(b, it.in);
		if (!bad && it.has_target) {
			ds_buf_str(b, ">");
			tensor_text(b, &it.target);
		}
		if (!bad && it.label >= 0)
			ds_buf_printf(b, "=%d", (int)it.label);
		ds_buf_str(b, ",");
	}
	if (rc != DS_END)
		ds_buf_printf(b, "failed %d %s", rc, err.text);
}

static bool items_are(const ds_data_opts *o, const char *want)
{
	ds_samples *s;
	ds_buf b = { 0 };
	ds_err err = { 0 };
	if (ds_data_open(&s, o, &err) != DS_OK) {
		printf("# open: %s\n", err.text);
		return strstr(err.text, want) != NULL;
	}
	read_all(&b, s);
	bool ok = b.data && !strcmp(b.data, want);
	if (!ok)
		printf("# %s\n", b.data ? b.data : "");
	s->free(s);
	ds_buf_done(&b);
	return ok;
}

static bool fit(ds_model *m, const char *path, const char *complaint)
{
	ds_err err = { 0 };
	ds_data_opts o = { .model = m, .n_path = 1, .path = &path, .want_labels = true };
	ds_status rc = ds_data_fit(m, &o, &err);
	if (rc != DS_OK && (!complaint || !strstr(err.text, complaint)))
		printf("# fit: %s\n", err.text);
	return complaint ? rc != DS_OK && strstr(err.text, complaint) : rc == DS_OK;
}

/* ---- tables -------------------------------------------------------------------------------------------------------------------- */

static void tables(void)
{
	static const char *const ab[] = { "a", "b" }, *const kind[] = { "kind" }, *const c[] = { "c" };
	ds_model *m = model(DS_F32, 2, (const int64_t[]){ -1, 2 });
	const char *path = file("t.csv", "a,b,c,kind\n1,10,100,no\n2,20,200,yes\n3,oops,300,no\n4,40,400,yes\n5,50,500,maybe\n");
	ds_labels names = { .name = (char *[]){ (char *)(uintptr_t)"yes", (char *)(uintptr_t)"no" }, .n = 2 };
	ds_data_opts o = { .model = m, .n_path = 1, .path = &path };
	word(m, "input.0.kind", "table");
	CHECK("no columns", items_are(&o, "failed -5 a table, and the model does not say which columns it takes; ds-convert --columns puts that into the model"));
	words(m, "input.0.columns", 2, ab);
	CHECK("rows", items_are(&o, "t.csv[0]:1 10,*t.csv[1]:2 20,*t.csv[2]:line 4: column 'b' holds 'oops', no number,*t.csv[3]:4 40,*t.csv[4]:5 50,"));
	char part[300];
	snprintf(part, sizeof part, "%s[3:]", path);
	const char *whole = path;
	path = part;
	CHECK("a range of rows", items_are(&o, "t.csv[3]:4 40,*t.csv[4]:5 50,"));
	path = whole;
	words(m, "output.0.columns", 1, kind);
	o.want_labels = true;
	o.names = &names;
	CHECK("classes by name", items_are(&o, "t.csv[0]:1 10=1,*t.csv[1]:2 20=0,*t.csv[2]:line 4: column 'b' holds 'oops', no number,*t.csv[3]:4 40=0,"
		"*t.csv[4]:line 6: column 'kind' holds 'maybe', no class of the model,"));
	words(m, "output.0.columns", 1, (const char *const[]){ "nosuch" });
	CHECK("no such column", items_are(&o, "t.csv:no column 'nosuch' in the table; the first of its 4 is 'a',"));
	words(m, "output.0.columns", 2, (const char *const[]){ "c", "a" });
	word(m, "output.0.values", "numbers");
	CHECK("values", items_are(&o, "t.csv[0]:1 10>100 1,*t.csv[1]:2 20>200 2,*t.csv[2]:line 4: column 'b' holds 'oops', no number,*t.csv[3]:4 40>400 4,"
		"*t.csv[4]:5 50>500 5,"));
	words(m, "output.0.columns", 1, c);
	ds_err err = { 0 };
	CHECK("values that do not fit", ds_data_check(m, &err) == DS_E_INPUT && strstr(err.text, "output.0.columns"));
	word(m, "output.0.values", "input");
	CHECK("the input itself, with a class", items_are(&o, "t.csv[0]:1 10>1 10=100,*t.csv[1]:2 20>2 20=200,*t.csv[2]:line 4: column 'b' holds 'oops', no number,"
		"*t.csv[3]:4 40>4 40=400,*t.csv[4]:5 50>5 50=500,"));
	ds_model_free(m);
}

static void fitting(void)
{
	ds_model *m = model(DS_F32, 2, (const int64_t[]){ -1, 2 });
	const char *path = file("plain.csv", "1,3,R\n3,3,M\n5,3,R\n");
	ds_data_opts o = { .model = m, .n_path = 1, .path = &path, .want_labels = true };
	word(m, "input.0.kind", "table");
	words(m, "output.0.columns", 1, (const char *const[]){ "3" });
	CHECK("fit a table without a header", fit(m, path, NULL));
	const ds_kv *col = ds_meta_find(&m->meta, "input.0.columns"), *mean = ds_meta_find(&m->meta, "input.0.mean"), *std = ds_meta_find(&m->meta, "input.0.std");
	CHECK("columns", col && col->n == 2 && !strcmp(col->u.l[0], "1") && !strcmp(col->u.l[1], "2"));
	CHECK("mean and deviation", mean && mean->n == 2 && mean->u.f[0] == 3 && mean->u.f[1] == 3 && std && fabs(std->u.f[0] - sqrt(8.0 / 3)) < 1e-12 &&
		std->u.f[1] == 1);
	const ds_asset *labels = ds_model_asset(m, "labels");
	CHECK("names of classes", labels && ds_buffer_size(labels->data) == 4 && !memcmp(ds_buffer_data(labels->data), "M\nR\n", 4));
	ds_labels names;
	CHECK("names", labels && ds_labels_parse(&names, ds_buffer_data(labels->data), ds_buffer_size(labels->data), NULL) == DS_OK);
	o.names = &names;
	CHECK("standardised", items_are(&o, "plain.csv[0]:-1.22474 0=1,*plain.csv[1]:0 0=0,*plain.csv[2]:1.22474 0=1,"));
	ds_labels_done(&names);
	ds_model_free(m);
	m = model(DS_F32, 2, (const int64_t[]){ -1, 7 });
	word(m, "input.0.kind", "table");
	CHECK("columns that do not fit", fit(m, path, "does not take rows of 2 columns"));
	ds_model_free(m);
}

/* ---- series -------------------------------------------------------------------------------------------------------------------- */

static void series(void)
{
	static const char *const ab[] = { "a", "b" }, *const b[] = { "b" };
	const char *path = file("s.csv", "when,a,b\nmon,1,10\ntue,2,20\nwed,3,30\nthu,4,40\nfri,5,50\nsat,6,60\n");
	ds_model *m = model(DS_F32, 3, (const int64_t[]){ -1, 2, 2 });
	ds_data_opts o = { .model = m, .n_path = 1, .path = &path };
	word(m, "input.0.kind", "table");
	words(m, "input.0.columns", 2, ab);
	number(m, "input.0.window", 2);
	CHECK("windows", items_are(&o, "s.csv[0]:1 10 2 20,s.csv[1]:2 20 3 30,s.csv[2]:3 30 4 40,s.csv[3]:4 40 5 50,s.csv[4]:5 50 6 60,"));
	word(m, "input.0.layout", "NCT");
	o.hop = 2;
	CHECK("columns before rows, every second", items_are(&o, "s.csv[0]:1 2 10 20,*s.csv[2]:3 4 30 40,*s.csv[4]:5 6 50 60,"));
	word(m, "input.0.layout", "TNC");
	CHECK("rows first do not fit", items_are(&o, "does not take 2 rows of 2 columns"));
	ds_model_free(m);
	o.hop = 0;
	o.model = m = model(DS_F32, 2, (const int64_t[]){ -1, 2 });
	word(m, "input.0.kind", "table");
	words(m, "input.0.columns", 1, b);
	words(m, "output.0.columns", 1, b);
	word(m, "output.0.values", "numbers");
	number(m, "output.0.horizon", 2);
	CHECK("window from the shape", items_are(&o, "s.csv[0]:10 20,s.csv[1]:20 30,s.csv[2]:30 40,s.csv[3]:40 50,s.csv[4]:50 60,"));
	o.want_labels = true;
	CHECK("what follows", items_are(&o, "s.csv[0]:10 20>30 40,s.csv[1]:20 30>40 50,s.csv[2]:30 40>50 60,"));
	char part[300];
	const char *whole = path;
	snprintf(part, sizeof part, "%s[:4]", path);
	path = part;
	CHECK("no row beyond the range", items_are(&o, "s.csv[0]:10 20>30 40,"));
	CHECK("fit to the range", fit(m, part, NULL) && ds_meta_find(&m->meta, "input.0.mean")->u.f[0] == 25 && ds_meta_find(&m->meta, "output.0.mean")->u.f[0] == 25);
	snprintf(part, sizeof part, "%s[:3]", whole);
	CHECK("too short", items_are(&o, "s.csv:3 rows where a window takes 4 with what follows it,"));
	ds_model_free(m);
	o.model = m = model(DS_F32, 2, (const int64_t[]){ -1, 3 });
	word(m, "input.0.kind", "table");
	words(m, "input.0.columns", 1, b);
	words(m, "output.0.columns", 1, (const char *const[]){ "a" });
	number(m, "input.0.window", 2);
	number(m, "input.0.context", 1);
	number(m, "input.0.hop", 2);
	path = whole;
	CHECK("context and the class of the last row", items_are(&o, "s.csv[1]:10 20 30=3,*s.csv[3]:30 40 50=5,"));
	ds_model_free(m);
}

/* An array [rows, columns] is a table without names. */
static void arrays(void)
{
	const uint8_t idx[] = { 0, 0, 8, 2, 0, 0, 0, 4, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8 };
	const char *path = file("rows.idx", "");
	FILE *f = fopen(path, "wb");
	if (!f || fwrite(idx, 1, sizeof idx, f) != sizeof idx || fclose(f))
		printf("not ok write\n");
	ds_model *m = model(DS_F32, 2, (const int64_t[]){ -1, 4 });
	ds_data_opts o = { .model = m, .n_path = 1, .path = &path };
	word(m, "input.0.kind", "table");
	CHECK("an array as a table", items_are(&o, "rows.idx[0]:1 2 3 4,rows.idx[1]:3 4 5 6,rows.idx[2]:5 6 7 8,"));
	number(m, "input.0.hop", 2);
	word(m, "output.0.values", "input");
	char part[300];
	snprintf(part, sizeof part, "%s[2:]", path);
	path = part;
	CHECK("rows of an array", items_are(&o, "rows.idx[2]:5 6 7 8>5 6 7 8,"));
	words(m, "input.0.columns", 1, (const char *const[]){ "a" });
	CHECK("another number of columns", items_are(&o, "rows.idx:an array of 2 columns where the model takes 1,"));
	ds_model_free(m);
	o.model = m = model(DS_F32, 2, (const int64_t[]){ -1, 2 });
	word(m, "input.0.kind", "table");
	CHECK("rows that are samples", items_are(&o, "rows.idx[2]:5 6,rows.idx[3]:7 8,"));
	ds_model_free(m);
}

/* A bad cell spoils the windows that hold it, and no others. */
static void flaws(void)
{
	const char *path = file("f.csv", "v\n1\n2\n3\nNA\n\n5\n6\n,\n8\n");
	ds_model *m = model(DS_F32, 2, (const int64_t[]){ -1, 2 });
	ds_data_opts o = { .model = m, .n_path = 1, .path = &path };
	word(m, "input.0.kind", "table");
	words(m, "input.0.columns", 1, (const char *const[]){ "v" });
	CHECK("bad cells", items_are(&o, "f.csv[0]:1 2,f.csv[1]:2 3,f.csv[2]:line 5: column 'v' holds 'NA', no number,f.csv[3]:line 5: column 'v' holds 'NA', no number,"
		"f.csv[4]:5 6,f.csv[5]:line 9: column 'v' holds '', no number,f.csv[6]:line 9: column 'v' holds '', no number,"));
	path = file("g.csv", "u,v\n1,2\n3\n5,6\n7,8\n");
	CHECK("missing cells", items_are(&o, "g.csv[0]:line 3: 1 cells, the first line has 2,g.csv[1]:line 3: 1 cells, the first line has 2,g.csv[2]:6 8,"));
	ds_model_free(m);
}

/* ---- text ---------------------------------------------------------------------------------------------------------------------- */

static void vocab(void)
{
	ds_buf b = { 0 };
	ds_vocab v;
	CHECK("build", ds_vocab_build(&b, "ba\xC3\xA9\nab\xF0\x9F\x99\x82", 11, NULL) == DS_OK && b.len == 9 && !memcmp(b.data, "\nab\xC3\xA9\xF0\x9F\x99\x82", 9));
	CHECK("parse", ds_vocab_parse(&v, b.data, b.len, NULL) == DS_OK && v.n == 5 && ds_vocab_find(&v, '\n') == 0 && ds_vocab_find(&v, 0xE9) == 3 &&
		ds_vocab_find(&v, 0x1F642) == 4 && ds_vocab_find(&v, 'c') == -1 && ds_vocab_find(&v, 0x10FFFF) == -1);
	ds_vocab_done(&v);
	CHECK("order of one's own", ds_vocab_parse(&v, "zay", 3, NULL) == DS_OK && ds_vocab_find(&v, 'z') == 0 && ds_vocab_find(&v, 'a') == 1 &&
		ds_vocab_find(&v, 'y') == 2);
	ds_vocab_done(&v);
	CHECK("twice", ds_vocab_parse(&v, "aba", 3, NULL) == DS_E_INPUT && !v.code);
	static const char *const bad[] = { "\xFF", "\xC3", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "a\x80" };
	bool refused = true;
	for (size_t i = 0; i < DS_COUNTOF(bad); i++) {
		ds_buf_reset(&b);
		refused = refused && ds_vocab_parse(&v, bad[i], strlen(bad[i]), NULL) == DS_E_INPUT && ds_vocab_build(&b, bad[i], strlen(bad[i]), NULL) == DS_E_INPUT;
	}
	CHECK("not utf-8", refused);
	ds_buf_done(&b);
}

static void text(void)
{
	const char *path = file("x.txt", "abcabcab");
	ds_model *m = model(DS_I64, 2, (const int64_t[]){ -1, -1 });
	ds_data_opts o = { .model = m, .n_path = 1, .path = &path };
	word(m, "input.0.kind", "text");
	number(m, "input.0.window", 3);
	CHECK("no characters", items_are(&o, "failed -5 a text, and the model holds no characters; ds-convert --vocabulary puts them into the model"));
	char part[300];
	snprintf(part, sizeof part, "%s[:2]", path);
	CHECK("characters of the whole file", fit(m, part, NULL) && ds_buffer_size(ds_model_asset(m, "vocabulary")->data) == 3);
	CHECK("next tokens", items_are(&o, "x.txt[0]:0 1 2>1 2 0,*x.txt[3]:0 1 2>1 2 0,"));
	o.hop = 1;
	snprintf(part, sizeof part, "%s[25%%:75%%]", path);
	path = part;
	CHECK("a range of text", items_are(&o, "x.txt[2]:2 0 1>0 1 2,"));
	o.hop = 0;
	path = file("y.txt", "abcdbc\nabc");
	CHECK("unknown characters", items_are(&o, "y.txt[0]:the character U+0064 at byte 3 is none of the model's,"
		"*y.txt[3]:the character U+0064 at byte 3 is none of the model's,*y.txt[6]:the character U+000A at byte 6 is none of the model's,"));
	word(m, "input.0.tokens", "bytes");
	CHECK("bytes", items_are(&o, "y.txt[0]:97 98 99>98 99 100,*y.txt[3]:100 98 99>98 99 10,*y.txt[6]:10 97 98>97 98 99,"));
	word(m, "input.0.layout", "TN");
	CHECK("rows first", items_are(&o, "y.txt[0]:97 98 99>98 99 100,*y.txt[3]:100 98 99>98 99 10,*y.txt[6]:10 97 98>97 98 99,"));
	ds_model_free(m);
	o.model = m = model(DS_I64, 2, (const int64_t[]){ -1, 3 });
	word(m, "input.0.kind", "text");
	word(m, "input.0.tokens", "bytes");
	word(m, "input.0.items", "lines");
	o.want_labels = true;
	path = file("lines.tsv", "AB\t1\n\nABCD\tno\r\nA\t0\n");
	CHECK("lines", items_are(&o, "lines.tsv[0]:65 66 0=1,lines.tsv[1]:line 3: behind the tab stands no class of the model,lines.tsv[2]:65 0 0=0,"));
	ds_model_free(m);
}

/* ---- sound --------------------------------------------------------------------------------------------------------------------- */

static bool built_with_flac(void)
{
	ds_tensor t;
	int64_t rate;
	return ds_sound_decode(&t, &rate, (const uint8_t *)"fLaC", 4, 1 << 20, NULL) != DS_E_UNSUPPORTED;
}

/* The seeds hold one wave, 12000 sin(i / 3) of 32768, to the precision that their coding has; 40 frames. */
static bool is_wave(const char *path, double precision)
{
	ds_tensor t;
	ds_source *s;
	const void *p;
	size_t n;
	void *owner;
	int64_t rate = 0;
	ds_err err = { 0 };
	if (ds_source_open(&s, path, NULL, NULL) != DS_OK || ds_source_all(s, 1 << 20, &p, &n, &owner, NULL) != DS_OK)
		return false;
	bool ok = ds_sound_decode(&t, &rate, p, n, 1 << 20, &err) == DS_OK && t.dim[0] == 40 && rate == 8000;
	for (int i = 0; ok && i < 40; i++)
		ok = fabs(ds_tensor_f64(&t, i) - round(12000 * sin(i / 3.0)) / 32768) <= precision;
	if (*err.text)
		printf("# %s: %s\n", path, err.text);
	ds_tensor_done(&t);
	ds_source_drop(owner);
	ds_source_close(s);
	return ok;
}

static void decoding(void)
{
	static const struct { const char *name; double precision; } seed[] = { { "pcm16.wav", 0 }, { "pcm8.wav", 1.0 / 128 }, { "pcm24.wav", 0 }, { "pcm32.wav", 0 },
		{ "f32.wav", 1e-8 }, { "f64.wav", 1e-8 }, { "s16.flac", 0 }, { "pipe.wav", 0 } };
	static const struct { const char *name, *say; } bad[] = { { "adpcm.wav", "coding 0x0002" }, { "cut.wav", "truncated WAV: 80 bytes of samples, 70 are there" } };
	char path[128];
	ds_tensor t;
	int64_t rate;
	for (size_t i = 0; i < DS_COUNTOF(seed); i++) {
		snprintf(path, sizeof path, "test/corpus/sound/%s", seed[i].name);
		if (strstr(path, "flac") && !built_with_flac()) {
			printf("skip %s: built without libsndfile\n", seed[i].name);
			continue;
		}
		CHECK(seed[i].name, is_wave(path, seed[i].precision));
	}
	for (size_t i = 0; i < DS_COUNTOF(bad); i++) {
		ds_err err = { 0 };
		uint8_t buf[512];
		snprintf(path, sizeof path, "test/corpus/sound/%s", bad[i].name);
		FILE *f = fopen(path, "rb");
		size_t n = f ? fread(buf, 1, sizeof buf, f) : 0;
		if (f)
			fclose(f);
		CHECK(bad[i].name, ds_sound_decode(&t, &rate, buf, n, 1 << 20, &err) != DS_OK && strstr(err.text, bad[i].say) && !t.data);
	}
}

/* A ramp of 16 bit as a WAV file: frame i is i / 32768. */
static const char *ramp(const char *name, int frames)
{
	uint8_t w[44 + 2 * 256] = "RIFF....WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data";
	w[40] = (uint8_t)(2 * frames);
	w[41] = (uint8_t)(2 * frames >> 8);
	for (int i = 0; i < frames; i++)
		w[44 + 2 * i] = (uint8_t)i;
	const char *path = file(name, "");
	FILE *f = fopen(path, "wb");
	if (!f || fwrite(w, 1, (size_t)(44 + 2 * frames), f) != (size_t)(44 + 2 * frames) || fclose(f))
		printf("not ok write %s\n", path);
	return path;
}

static void sounds(void)
{
	const char *path = ramp("r.wav", 7);
	ds_model *m = model(DS_F32, 2, (const int64_t[]){ -1, -1 });
	ds_data_opts o = { .model = m, .n_path = 1, .path = &path };
	ds_samples *s;
	ds_item it;
	bool bad;
	CHECK("no rule for sounds", items_are(&o, "failed -5 a sound, and the model does not say how sounds become its input 'x'; "
		"ds-convert --input-kind sound puts that into the model"));
	word(m, "input.0.kind", "sound");
	number(m, "input.0.rate", 8000);
	CHECK("a whole sound", ds_data_open(&s, &o, NULL) == DS_OK && s->next(s, &it, &bad, NULL) == DS_OK && it.in[0].dim[1] == 7 && it.row == -1 &&
		ds_tensor_f64(&it.in[0], 6) == 6.0 / 32768);
	s->free(s);
	static const struct { int window, hop, context; const char *say; double sum[5]; int n; } row[] = {
		{ 4, 0, 0, "cut", { 0 + 1 + 2 + 3 }, 1 }, { 9, 0, 0, "filled up", { 21 }, 1 }, { 3, 3, 0, "windows", { 3, 12, 6 }, 3 },
		{ 2, 2, 1, "windows with context", { 1, 1 + 2 + 3, 3 + 4 + 5, 5 + 6 }, 4 }, { 4, 2, 0, "windows that overlap", { 6, 14, 15 }, 3 },
	};
	for (size_t i = 0; i < DS_COUNTOF(row); i++) {
		int n = 0;
		number(m, "input.0.window", row[i].window);
		number(m, "input.0.hop", row[i].hop);
		number(m, "input.0.context", row[i].context);
		bool ok = ds_data_open(&s, &o, NULL) == DS_OK;
		for (; ok && s->next(s, &it, &bad, NULL) == DS_OK; n++) {
			double sum = 0;
			for (int k = 0; k < it.in[0].dim[1]; k++)
				sum += ds_tensor_f64(&it.in[0], k) * 32768;
			ok = n < row[i].n && sum == row[i].sum[n] && it.in[0].dim[1] == row[i].window + row[i].context && it.row == (row[i].hop ? n * row[i].hop : -1) &&
				it.follows == (n > 0 && row[i].hop == row[i].window);
		}
		CHECK(row[i].say, ok && n == row[i].n);
		s->free(s);
	}
	number(m, "input.0.rate", 16000);
	CHECK("another rate", items_are(&o, "r.wav:a sound of 8000 frames a second where the model takes 16000,"));
	ds_model_free(m);
}

/* ---- seeking ------------------------------------------------------------------------------------------------------------------- */

static void seeking(void)
{
	const char *path[] = { file("a.csv", "v\n1\n2\n3\n"), file("nosuch.csv", NULL), file("b.csv", "v\n4\n5\n") };
	ds_model *m = model(DS_F32, 2, (const int64_t[]){ -1, 1 });
	ds_data_opts o = { .model = m, .n_path = 3, .path = path, .threads = 2 };
	ds_samples *s;
	ds_item it;
	bool bad, ok;
	word(m, "input.0.kind", "table");
	words(m, "input.0.columns", 1, (const char *const[]){ "v" });
	if (ds_data_open(&s, &o, NULL) != DS_OK) {
		CHECK("open", false);
		return;
	}
	CHECK("no such item", s->seek(s, 6, NULL) == DS_E_INPUT && s->seek(s, -1, NULL) == DS_E_INPUT && s->count(s) == 6);
	ok = true;
	static const double want[] = { 1, 2, 3, -1, 4, 5 };
	for (int i = 0; i < 30; i++) {
		int at = i * 7 % 6;
		ok = ok && s->seek(s, at, NULL) == DS_OK;
		ds_status rc = s->next(s, &it, &bad, NULL);
		ok = ok && it.index == (uint64_t)at && (at == 3 ? rc != DS_OK && bad : rc == DS_OK && !bad && ds_tensor_f64(&it.in[0], 0) == want[at]);
	}
	CHECK("any order", ok);
	ok = s->seek(s, 4, NULL) == DS_OK && s->next(s, &it, &bad, NULL) == DS_OK && s->next(s, &it, &bad, NULL) == DS_OK && it.follows;
	CHECK("goes on from there", ok && ds_tensor_f64(&it.in[0], 0) == 5 && s->next(s, &it, &bad, NULL) == DS_END);
	CHECK("rewind", s->rewind(s, NULL) == DS_OK && s->next(s, &it, &bad, NULL) == DS_OK && it.index == 0 && !it.follows && s->count(s) == 6);
	s->free(s);
	ds_model_free(m);
}

int main(void)
{
	snprintf(dir, sizeof dir, "/tmp/ds-unit-rows-%ld", (long)getpid());
	mkdir(dir, 0777);
	csv();
	ranges();
	tables();
	fitting();
	series();
	arrays();
	flaws();
	vocab();
	text();
	decoding();
	sounds();
	seeking();
	char cmd[100];
	snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
	if (system(cmd))
		printf("# %s stays\n", dir);
	return failed;
}
