/* skeleton.c - the file to copy for a new filter: `cp cmd/skeleton.c cmd/ds-NAME.c` and go through it from top to bottom
 *
 * As it stands it copies its input and counts bytes; the tests build it as ds-skeleton and hold it to every rule of the command line. */
#include <string.h>

#include "cli/cli.h"

/* What the options set.  ds_common comes first; the members are zero until defaults, environment and options have spoken. */
typedef struct settings {
	ds_common   c;
	int64_t     repeat;
	double      ratio;
	int         unit;
	const char *match;
	bool        count;
} settings;

static const char *const units[] = { "byte", "line", NULL };
static const char *const columns[] = { "name", "repeat", "count", NULL };

#define AT(member) offsetof(settings, member)

/* One row per option, in the order of --help.  Parsing, --help, the manual page's OPTIONS, the completions and the history come from here. */
static const ds_opt opts[] = {
	{ .name = "", .type = DS_T_GROUP, .help = "Copying" },
	{ .name = "repeat", .letter = 'n', .type = DS_T_INT, .offset = AT(repeat), .metavar = "N", .def = "1", .min = 1, .max = 1000,
		.help = "write the input N times" },
	{ .name = "ratio", .type = DS_T_FLOAT, .offset = AT(ratio), .metavar = "R", .def = "1", .min = 0, .max = 1,
		.help = "write this share of the input" },
	{ .name = "match", .type = DS_T_STR, .offset = AT(match), .metavar = "[GLOB]", .help = "copy only if the input's name matches" },
	{ .name = "", .type = DS_T_GROUP, .help = "Counting" },
	{ .name = "count", .type = DS_T_FLAG, .offset = AT(count), .help = "print how much there is instead of copying it" },
	{ .name = "unit", .letter = 'u', .type = DS_T_CHOICE, .offset = AT(unit), .def = "byte", .choices = units, .help = "what is counted" },
	{ 0 }
};

/* Combinations that make no sense, found before anything is read. */
static ds_status check(void *p, ds_err *err)
{
	settings *s = p;
	if (!s->count && ds_given("unit"))
		return ds_fail(err, DS_E_USAGE, "--unit has a meaning with --count only");
	return DS_OK;
}

static ds_status print_count(settings *s, const char *name, const void *data, size_t n, ds_sink *sink, ds_err *err)
{
	ds_rows *rows;
	int64_t k = (int64_t)n;
	if (s->unit == 1) {
		k = 0;
		for (size_t i = 0; i < n; i++)
			k += ((const char *)data)[i] == '\n';
	}
	DS_TRY(ds_rows_open(&rows, sink, s->c.json, columns, err));
	ds_status rc = DS_OK;
	for (int64_t i = 1; i <= s->repeat && rc == DS_OK; i++) {
		ds_rows_str(rows, name, strlen(name));
		ds_rows_i64(rows, i);
		ds_rows_i64(rows, k);
		rc = ds_rows_end(rows, err);
	}
	ds_rows_close(rows);
	return rc;
}

/* The work.  Errors go up as a status; whoever knows more adds the name.  One `out` for cleaning up; the output is committed last. */
static ds_status run(void *p, ds_err *err)
{
	settings *s = p;
	ds_source *in = NULL;
	ds_sink *out = NULL;
	ds_progress *progress = NULL;
	const void *data;
	void *owner = NULL;
	size_t n = 0;
	ds_status rc;
	DS_GOTO(ds_open_output(&out, &s->c, !s->count, err));
	DS_GOTO(ds_open_input(&in, &s->c, err));
	DS_GOTO(ds_source_all(in, s->c.memory_limit, &data, &n, &owner, err));
	ds_note("%zu bytes read", n);
	if (s->count) {
		DS_GOTO(print_count(s, ds_source_name(in), data, n, out, err));
	} else if (!s->match || ds_glob(s->match, ds_source_name(in))) {
		progress = ds_progress_new(&s->c, "copies", s->repeat);
		for (int64_t i = 0; i < s->repeat; i++) {
			DS_GOTO(ds_sink_write(out, data, (size_t)((double)n * s->ratio), err));
			ds_progress_at(progress, i + 1, NULL);
		}
	}
	rc = ds_sink_commit(out, err);
	out = NULL;
out:
	ds_progress_free(progress);
	ds_sink_abort(out);
	ds_source_drop(owner);
	ds_source_close(in);
	return rc;
}

static const ds_filter filter = {
	.name = "ds-skeleton",
	.summary = "copy a file, to show how a filter is made",
	.usage = "[option ...] [MODEL]",
	.examples = "$ ds-skeleton --count toy.bin\n"
		"$ ds-skeleton -n 2 < toy.bin > twice.bin\n",
	.opts = opts,
	.common = DS_C_MODEL | DS_C_OUTPUT | DS_C_FORCE | DS_C_FORMAT | DS_C_MEMORY | DS_C_MAP | DS_C_THREADS | DS_C_SEED | DS_C_ONLY | DS_C_HISTORY,
	.settings_size = sizeof(settings),
	.check = check,
	.run = run,
	.libraries = "zstd",
};

int main(int argc, char **argv)
{
	return ds_main(&filter, argc, argv);
}
