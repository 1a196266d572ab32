/* cli.c - the option parser and the text made from tables, without a process around them */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/internal.h"

static int failures;

static void expect(bool good, const char *name, const char *why)
{
	if (good) {
		printf("ok cli %s\n", name);
	} else {
		printf("not ok cli %s: %s\n", name, why ? why : "");
		failures++;
	}
}

typedef struct settings {
	ds_common   c;
	int64_t     n;
	double      r;
	const char *s, *opt;
	int         pick, none;
	bool        flag;
	uint64_t    size;
	ds_strs     list;
} settings;

static const char *const picks[] = { "l1", "l2", "random", NULL };
#define AT(m) offsetof(settings, m)
static const ds_opt opts[] = {
	{ .name = "", .type = DS_T_GROUP, .help = "Own" },
	{ .name = "number", .letter = 'n', .type = DS_T_INT, .offset = AT(n), .def = "7", .min = -5, .max = 10, .help = "a number" },
	{ .name = "ratio", .letter = 'r', .type = DS_T_FLOAT, .offset = AT(r), .min = 0, .max = 0.95, .help = "a ratio" },
	{ .name = "string", .letter = 's', .type = DS_T_STR, .offset = AT(s), .help = "any text" },
	{ .name = "opt", .type = DS_T_STR, .offset = AT(opt), .metavar = "[GLOB]", .help = "an optional value" },
	{ .name = "pick", .type = DS_T_CHOICE, .offset = AT(pick), .def = "l2", .choices = picks, .help = "one of several" },
	{ .name = "none", .type = DS_T_CHOICE, .offset = AT(none), .metavar = "KIND", .choices = picks, .help = "one of several, or not" },
	{ .name = "flag", .letter = 'x', .type = DS_T_FLAG, .offset = AT(flag), .help = "yes" },
	{ .name = "size", .type = DS_T_SIZE, .offset = AT(size), .help = "bytes" },
	{ .name = "list", .letter = 'l', .type = DS_T_LIST, .offset = AT(list), .help = "several" },
	{ 0 }
};
static ds_filter filter = {
	.name = "ds-test", .summary = "test", .usage = "[option ...] [INPUT ...]", .examples = "$ ds-test\n", .opts = opts, .settings_size = sizeof(settings),
	.common = DS_C_INPUTS | DS_C_MODEL | DS_C_OUTPUT | DS_C_THREADS | DS_C_BATCH | DS_C_FORMAT | DS_C_MEMORY | DS_C_SEED | DS_C_FILES | DS_C_ONLY |
		DS_C_PLAN | DS_C_DUMP,
};

/* Parse a line split at spaces ("_" stands for an empty word). */
static settings *parse(char *line, ds_status *rc, ds_err *err)
{
	char *argv[32] = { (char *)"ds-test" };
	int argc = 1;
	settings *s = ds_calloc(1, sizeof *s);
	ds_cli_rows(&filter);
	ds_cli.c = &s->c;
	s->c.filter = &filter;
	for (char *p = line; *p && argc < 31;) {
		size_t n = strcspn(p, " ");
		argv[argc++] = p;
		p += n;
		if (*p)
			*p++ = 0;
	}
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "_") == 0)
			argv[i][0] = 0;
	memset(err, 0, sizeof *err);
	*rc = ds_cli_defaults(s, err);
	if (*rc == DS_OK)
		*rc = ds_cli_parse(s, argc, argv, err);
	if (*rc == DS_OK)
		*rc = ds_cli_environment(s, err);
	if (*rc == DS_OK)
		*rc = ds_cli_combinations(&s->c, err);
	return s;
}

static void test_values(void)
{
	static const struct { const char *line, *effective; } table[] = {
		{ "-m m", "--number=7\n--pick=l2\n--seed=0\n" },
		{ "-m m -n3 -xr .5", "--number=3\n--ratio=0.5\n--pick=l2\n--flag\n--seed=0\n" },
		{ "-m m -n -5 --ratio=0", "--number=-5\n--ratio=0\n--pick=l2\n--seed=0\n" },
		{ "a -m m b --opt c --string=", "--number=7\n--string=\n--opt=\n--pick=l2\n--seed=0\n" },
		{ "-m m --opt=x* --pick=random --none l1", "--number=7\n--opt=x*\n--pick=random\n--none=l1\n--seed=0\n" },
		{ "-m m -l a -lb --list=c --size 1.5K", "--number=7\n--pick=l2\n--size=1536\n--list=a\n--list=b\n--list=c\n--seed=0\n" },
		{ "-m m -j 3 -b8 --memory-limit 1G --seed 9 --only a --only b", "--number=7\n--pick=l2\n--only=a\n--only=b\n--seed=9\n" },
		{ "-m m -n1 -n2 -n 4 -- -n 5", "--number=4\n--pick=l2\n--seed=0\n" },
	};
	for (size_t i = 0; i < DS_COUNTOF(table); i++) {
		char line[200];
		ds_status rc;
		ds_err err;
		snprintf(line, sizeof line, "%s", table[i].line);
		settings *s = parse(line, &rc, &err);
		char *e = rc == DS_OK ? ds_cli_effective(s) : NULL;
		expect(e && strcmp(e, table[i].effective) == 0, table[i].line, e ? e : err.text);
		ds_free(e);
		ds_cli_done(s);
	}
}

static void test_faults(void)
{
	static const struct { const char *line, *text; } table[] = {
		{ "--rati .5", "unknown option '--rati' (did you mean '--ratio'?)" },
		{ "--numbre=5", "unknown option '--numbre' (did you mean '--number'?)" },
		{ "-n 11", "-n: '11' is not a whole number from -5 to 10" },
		{ "--number=-6", "--number: '-6' is not a whole number from -5 to 10" },
		{ "--ratio 0,5", "--ratio: '0,5' is not a number from 0 to 0.95" },
		{ "--ratio 1", "--ratio: '1' is not a number from 0 to 0.95" },
		{ "--pick L1", "--pick: 'L1' is not one of l1, l2, random (did you mean 'l1'?)" },
		{ "--flag=1", "--flag takes no value" },
		{ "-xn", "-n needs a value" },
		{ "--string", "--string needs a value" },
		{ "-xyz", "unknown option '-y'" },
		{ "--model=", "--model: the name is empty" },
		{ "--size 5X", "--size: '5X' is not a size such as 512M or 2G" },
		{ "-m m --json --tsv", "--json and --tsv exclude each other" },
		{ "-m - -", "--model and operand - cannot both be read from standard input" },
		{ "-", "operand - and the model cannot both be read from standard input" },
		{ "--files-from=- --plan - -m m", "--files-from and --plan cannot both be read from standard input" },
		{ "-m m -0", "--null has a meaning with --files-from only" },
		{ "-m m _", "operand 1 is an empty name" },
	};
	for (size_t i = 0; i < DS_COUNTOF(table); i++) {
		char line[200];
		ds_status rc;
		ds_err err;
		snprintf(line, sizeof line, "%s", table[i].line);
		settings *s = parse(line, &rc, &err);
		expect(rc == DS_E_USAGE && strcmp(err.text, table[i].text) == 0, table[i].line, err.text);
		ds_cli_done(s);
	}
}

static void test_environment(void)
{
	static const struct { const char *line, *ds, *omp, *batch; int64_t threads, items; } table[] = {
		{ "-m m", NULL, NULL, NULL, 0, 0 },
		{ "-m m", "3", "5", "16", 3, 16 },
		{ "-m m", NULL, "5,2", NULL, 5, 0 },
		{ "-m m", "", "rubbish", NULL, 0, 0 },
		{ "-m m -j 2 -b 4", "3", "5", "16", 2, 4 },
		{ "-m m -j 0", "3", "5", NULL, 0, 0 },
	};
	for (size_t i = 0; i < DS_COUNTOF(table); i++) {
		char line[200], name[64];
		ds_status rc;
		ds_err err;
		const char *v[] = { table[i].ds, table[i].omp, table[i].batch }, *k[] = { "DS_THREADS", "OMP_NUM_THREADS", "BATCH_SIZE" };
		for (int j = 0; j < 3; j++)
			if (v[j])
				setenv(k[j], v[j], 1);
			else
				unsetenv(k[j]);
		snprintf(line, sizeof line, "%s", table[i].line);
		snprintf(name, sizeof name, "environment %zu", i);
		settings *s = parse(line, &rc, &err);
		expect(rc == DS_OK && s->c.threads == table[i].threads && s->c.batch == table[i].items, name, err.text);
		ds_cli_done(s);
	}
	for (int j = 0; j < 3; j++)
		unsetenv(j == 0 ? "DS_THREADS" : j == 1 ? "OMP_NUM_THREADS" : "BATCH_SIZE");
}

static void test_check(void)
{
	ds_buf why = { 0 };
	expect(ds_opts_check(&filter, &why), "a sound table", why.data);
	static const ds_opt bad[] = {
		{ .name = "seed", .type = DS_T_INT, .offset = AT(n), .help = "twice" },
		{ .name = "Upper", .type = DS_T_FLAG, .offset = AT(flag), .help = "x" },
		{ .name = "stop", .type = DS_T_FLAG, .offset = AT(flag), .help = "ends in a full stop." },
		{ .name = "range", .letter = 'j', .type = DS_T_INT, .offset = AT(n), .def = "9", .min = 0, .max = 3, .help = "default out of range" },
		{ .name = "away", .type = DS_T_STR, .offset = sizeof(settings), .help = "outside" },
		{ .name = "empty", .type = DS_T_CHOICE, .offset = AT(pick), .help = "no choices" },
		{ 0 }
	};
	ds_filter f = filter;
	f.opts = bad;
	ds_buf_reset(&why);
	ds_opts_check(&f, &why);
	static const char *const words[] = { "--seed: twice", "--Upper", "--stop", "--range: the default", "-j: of", "--away", "--empty" };
	for (size_t i = 0; i < DS_COUNTOF(words); i++)
		expect(why.data && strstr(why.data, words[i]), words[i], why.data);
	ds_buf_done(&why);
}

static void test_rows(void)
{
	static const char *const columns[] = { "name", "x", "y", "z", NULL };
	static const char *const want[] = {
		"name\tx\ty\tz\na\\tb\\\\\\n\t-3\t0.1\t\n", "{\"name\":\"a\\tb\\\\\\n\",\"x\":-3,\"y\":0.1,\"z\":null}\n"
	};
	for (int json = 0; json < 2; json++) {
		ds_buf out = { 0 };
		ds_sink *sink;
		ds_rows *rows = NULL;
		ds_err err = { 0 };
		ds_status rc = ds_sink_memory(&sink, &out, &err);
		if (rc == DS_OK)
			rc = ds_rows_open(&rows, sink, json, columns, &err);
		if (rc == DS_OK) {
			ds_rows_str(rows, "a\tb\\\n", 5);
			ds_rows_i64(rows, -3);
			ds_rows_f32(rows, 0.1f);
			ds_rows_null(rows);
			rc = ds_rows_end(rows, &err);
			ds_rows_i64(rows, 1);
			expect(ds_rows_end(rows, &err) == DS_E_INTERNAL, "a short row is our mistake", NULL);
			ds_rows_close(rows);
		}
		expect(rc == DS_OK && out.data && strcmp(out.data, want[json]) == 0, json ? "row as JSON" : "row as TSV", out.data);
		ds_sink_abort(sink);
		ds_buf_done(&out);
	}
}

static void test_table(void)
{
	static const char *const columns[] = { "layer", ">size", "note", NULL };
	ds_buf out = { 0 };
	ds_sink *sink;
	ds_err err = { 0 };
	ds_table t;
	ds_table_init(&t, columns);
	for (int i = 0; i < 2; i++) {
		ds_table_cell(&t, "%s", i ? "\xc3\xa4" : "conv1");
		ds_table_cell(&t, "%d", i ? 12345 : 1);
		ds_table_cell(&t, "%s", "x");
	}
	ds_status rc = ds_sink_memory(&sink, &out, &err);
	if (rc == DS_OK)
		rc = ds_table_write(&t, sink, &err);
	expect(rc == DS_OK && out.data && strcmp(out.data, "layer   size  note\nconv1      1  x\n\xc3\xa4      12345  x\n") == 0, "table", out.data);
	ds_sink_abort(sink);
	ds_buf_done(&out);
}

static void test_only(void)
{
	ds_common c = { 0 };
	const char *only[] = { "conv*", "fc" }, *except[] = { "*9", "nothing" };
	ds_filterset f;
	ds_err err;
	c.only = (ds_strs){ only, 2 };
	c.except = (ds_strs){ except, 1 };
	bool good = ds_only_init(&f, &c, &err) == DS_OK && ds_only_match(&f, "conv1") && !ds_only_match(&f, "conv9") && !ds_only_match(&f, "x") &&
		ds_only_match(&f, "fc");
	expect(good && ds_only_done(&f, &err) == DS_OK, "--only and --except", NULL);
	c.except.n = 2;
	good = ds_only_init(&f, &c, &err) == DS_OK && ds_only_match(&f, "conv1") && ds_only_match(&f, "fc") && !ds_only_match(&f, "conv9");
	expect(good && ds_only_done(&f, &err) == DS_E_USAGE && strstr(err.text, "'nothing' matches no layer"), "a pattern without a layer", err.text);
	memset(&c, 0, sizeof c);
	good = ds_only_init(&f, &c, &err) == DS_OK && ds_only_match(&f, "anything");
	expect(good && ds_only_done(&f, &err) == DS_OK, "no patterns", NULL);
}

static void test_texts(void)
{
	static const struct { void (*make)(ds_buf *); const char *name, *word[3]; } table[] = {
		{ ds_cli_help, "help", { "  -n, --number=N ", "--opt[=GLOB]", "from 0 to 0.95" } },
		{ ds_cli_man, "man", { ".It Fl n , Fl \\-number Ns = Ns Ar \"N\"", "Ev BATCH_SIZE", "Oo Ns = Ns Ar GLOB Oc" } },
		{ ds_cli_bash, "bash", { "compgen -W 'l1 l2 random'", "-m|--model", "complete -o filenames -F _ds_test ds-test" } },
		{ ds_cli_zsh, "zsh", { "#compdef ds-test", "'(-n --number)'{-n+,--number=}", "(l1 l2 random)" } },
		{ ds_cli_fish, "fish", { "complete -c ds-test -s n -l number -x", "-l model -r -F", "-x -a 'l1 l2 random'" } },
	};
	ds_cli_rows(&filter);
	for (size_t i = 0; i < DS_COUNTOF(table); i++) {
		ds_buf b = { 0 };
		table[i].make(&b);
		for (int k = 0; k < 3; k++)
			expect(b.data && strstr(b.data, table[i].word[k]), table[i].word[k], table[i].name);
		expect(!strstr(b.data, "fake-stdout") && !strstr(b.data, "hold"), "hidden options stay hidden", table[i].name);
		ds_buf_done(&b);
	}
}

int main(void)
{
	test_values();
	test_faults();
	test_environment();
	test_check();
	test_rows();
	test_table();
	test_only();
	test_texts();
	return failures > 0;
}
