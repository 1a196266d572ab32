/* options.c - the table of common options and the questions that one asks of a row */
#include <stdio.h>
#include <string.h>

#include "internal.h"

cli_state ds_cli;

static const char *const when[] = { "auto", "always", "never", NULL };
static const char *const spool[] = { "auto", "never", NULL };
static const char *const dump[] = { "graph", "plan", "alloc", "rewrite", "kernels", NULL };
const char *const ds_cli_docs_names[] = { "help", "man", "bash", "zsh", "fish", "check", NULL };

#define ALWAYS 0u
#define AT(member) offsetof(ds_common, member)
#define LOCAL DS_OPT_NO_HIST

/* One row per common option, in the order of --help; `bit` says which filters have it. */
static const struct common_row {
	unsigned bit;
	ds_opt   opt;
} common_rows[] = {
	{ DS_C_MODEL, { .name = "model", .letter = 'm', .type = DS_T_STR, .flags = LOCAL, .offset = AT(model), .metavar = "FILE",
		.help = "read the model from FILE (- is standard input)" } },
	{ DS_C_OUTPUT, { .name = "output", .letter = 'o', .type = DS_T_STR, .flags = LOCAL, .offset = AT(output), .metavar = "FILE",
		.help = "write the result to FILE, which appears complete or not at all (- is standard output)" } },
	{ DS_C_FORCE, { .name = "force", .letter = 'f', .type = DS_T_FLAG, .flags = LOCAL, .offset = AT(force),
		.help = "write binary data even to a terminal" } },
	{ DS_C_DATA, { .name = "data", .letter = 'd', .type = DS_T_STR, .flags = LOCAL, .offset = AT(data), .metavar = "PATH",
		.help = "samples with labels: a directory per class, a TSV list, npy or IDX" } },
	{ DS_C_CALIBRATE, { .name = "calibrate", .letter = 'c', .type = DS_T_STR, .flags = LOCAL, .offset = AT(calibrate), .metavar = "PATH",
		.help = "samples without labels, to measure what flows through the model" } },
	{ DS_C_ONLY, { .name = "only", .type = DS_T_LIST, .offset = AT(only), .metavar = "GLOB",
		.help = "treat only layers whose name matches; may be given again" } },
	{ DS_C_ONLY, { .name = "except", .type = DS_T_LIST, .offset = AT(except), .metavar = "GLOB",
		.help = "leave layers alone whose name matches; may be given again" } },
	{ DS_C_PLAN, { .name = "dry-run", .type = DS_T_FLAG, .flags = LOCAL, .offset = AT(dry_run),
		.help = "print the plan (TSV) and write no model" } },
	{ DS_C_PLAN, { .name = "plan", .type = DS_T_STR, .flags = LOCAL, .offset = AT(plan), .metavar = "FILE",
		.help = "obey a plan as --dry-run prints it, edited or not" } },
	{ DS_C_SEED, { .name = "seed", .type = DS_T_INT, .offset = AT(seed), .metavar = "N", .def = "0", .min = 0, .max = 9007199254740992.0,
		.help = "start of the random numbers; the same seed gives the same bytes" } },
	{ DS_C_FILES, { .name = "files-from", .type = DS_T_STR, .flags = LOCAL, .offset = AT(files_from), .metavar = "FILE",
		.help = "read further input names from FILE, one on each line (- is standard input)" } },
	{ DS_C_FILES, { .name = "null", .letter = '0', .type = DS_T_FLAG, .flags = LOCAL, .offset = AT(null_sep),
		.help = "names in --files-from end in a zero byte, as find -print0 writes them" } },
	{ DS_C_FORMAT, { .name = "json", .type = DS_T_FLAG, .flags = LOCAL, .offset = AT(json), .help = "print JSON Lines, one object for each row" } },
	{ DS_C_FORMAT, { .name = "tsv", .type = DS_T_FLAG, .flags = LOCAL, .offset = AT(tsv), .help = "print a header line and tab-separated rows" } },
	{ DS_C_REPORT, { .name = "report", .type = DS_T_STR, .flags = LOCAL, .offset = AT(report), .metavar = "FILE",
		.help = "write what was done to FILE as JSON Lines" } },
	{ DS_C_THREADS, { .name = "threads", .letter = 'j', .type = DS_T_INT, .flags = LOCAL, .offset = AT(threads), .metavar = "N", .def = "0", .min = 0,
		.max = 1024, .help = "threads; 0 means all that the process may use; never changes a byte of the result" } },
	{ DS_C_BATCH, { .name = "batch", .letter = 'b', .type = DS_T_INT, .flags = LOCAL, .offset = AT(batch), .metavar = "N", .def = "0", .min = 0,
		.max = 65536, .help = "items computed together; 0 chooses; never changes a byte of the result" } },
	{ DS_C_MEMORY, { .name = "memory-limit", .type = DS_T_SIZE, .flags = LOCAL, .offset = AT(memory_limit), .metavar = "SIZE", .def = "2G",
		.min = 1048576, .max = 9e18, .help = "stop with an error before more memory than this is taken" } },
	{ DS_C_SPOOL, { .name = "spool", .type = DS_T_CHOICE, .flags = LOCAL, .offset = AT(spool), .def = "auto", .choices = spool,
		.help = "whether a model larger than the memory limit may be kept in an unlinked temporary file" } },
	{ DS_C_COMPRESS, { .name = "compress", .type = DS_T_FLAG, .flags = LOCAL, .offset = AT(compress),
		.help = "compress the records of the output with zstd" } },
	{ DS_C_HISTORY, { .name = "no-history", .type = DS_T_FLAG, .flags = LOCAL, .offset = AT(no_history),
		.help = "add no history record and drop those of the input" } },
	{ DS_C_MAP, { .name = "no-mmap", .type = DS_T_FLAG, .flags = LOCAL, .offset = AT(no_mmap), .help = "read files instead of mapping them" } },
	{ DS_C_MAP, { .name = "no-verify", .type = DS_T_FLAG, .flags = LOCAL, .offset = AT(no_verify),
		.help = "skip the checksums of mapped weights" } },
	{ DS_C_DUMP, { .name = "dump", .type = DS_T_CHOICE, .flags = LOCAL, .offset = AT(dump), .choices = dump,
		.help = "print how the model will be run instead of running it" } },
	{ ALWAYS, { .name = "quiet", .letter = 'q', .type = DS_T_FLAG, .flags = LOCAL, .offset = AT(quiet), .help = "no warnings and no progress" } },
	{ ALWAYS, { .name = "verbose", .letter = 'v', .type = DS_T_FLAG, .flags = LOCAL, .offset = AT(verbose),
		.help = "say on standard error what is done, the effective settings first" } },
	{ ALWAYS, { .name = "color", .type = DS_T_CHOICE, .flags = LOCAL, .offset = AT(color), .def = "auto", .choices = when, .help = "colour on terminals" } },
	{ ALWAYS, { .name = "progress", .type = DS_T_CHOICE, .flags = LOCAL, .offset = AT(progress), .def = "auto", .choices = when,
		.help = "progress on standard error; auto: on a terminal, after a second, at the end of a pipe" } },
	{ ALWAYS, { .name = "help", .letter = 'h', .type = DS_T_ACTION, .flags = LOCAL, .help = "print this help" } },
	{ ALWAYS, { .name = "version", .letter = 'V', .type = DS_T_ACTION, .flags = LOCAL, .help = "print versions and the licence" } },
	{ ALWAYS, { .name = "fake-stdout-is-tty", .type = DS_T_FLAG, .flags = LOCAL | DS_OPT_HIDDEN, .offset = AT(fake_tty), .help = "test hook" } },
	{ DS_C_MODEL, { .name = "hold", .type = DS_T_FLAG, .flags = LOCAL | DS_OPT_HIDDEN, .offset = AT(hold), .help = "test hook" } },
	{ ALWAYS, { .name = "recorded", .type = DS_T_FLAG, .flags = LOCAL | DS_OPT_HIDDEN, .offset = AT(recorded),
		.help = "the options that follow are those of a history record: what says no more than the default does not count as given" } },
	{ ALWAYS, { .name = "docs", .type = DS_T_CHOICE, .flags = LOCAL | DS_OPT_HIDDEN, .offset = AT(docs), .choices = ds_cli_docs_names,
		.help = "print the generated part of the documentation" } },
};

static const ds_opt common_heading = { .name = "", .type = DS_T_GROUP, .help = "Common options" };

void ds_cli_rows(const ds_filter *f)
{
	memset(&ds_cli, 0, sizeof ds_cli);
	ds_cli.f = f;
	ds_cli.name = f->name;
	for (const ds_opt *o = f->opts; o && o->name && ds_cli.n_row < DS_MAX_OPTS; o++)
		ds_cli.row[ds_cli.n_row++] = o;
	if (ds_cli.n_row > 0 && ds_cli.n_row < DS_MAX_OPTS)
		ds_cli.row[ds_cli.n_row++] = &common_heading;
	for (size_t i = 0; i < DS_COUNTOF(common_rows) && ds_cli.n_row < DS_MAX_OPTS; i++)
		if (common_rows[i].bit == ALWAYS || (common_rows[i].bit & f->common))
			ds_cli.row[ds_cli.n_row++] = &common_rows[i].opt;
}

const ds_opt *ds_cli_find(const char *name, size_t n, int *at)
{
	for (int i = 0; i < ds_cli.n_row; i++) {
		const ds_opt *o = ds_cli.row[i];
		if (o->type != DS_T_GROUP && strlen(o->name) == n && memcmp(o->name, name, n) == 0) {
			if (at)
				*at = i;
			return o;
		}
	}
	return NULL;
}

bool ds_given(const char *long_name)
{
	int i;
	return ds_cli_find(long_name, strlen(long_name), &i) && ds_cli.given[i];
}

bool ds_cli_takes_value(const ds_opt *o)
{
	return o->type != DS_T_FLAG && o->type != DS_T_ACTION && o->type != DS_T_GROUP;
}

bool ds_cli_optional(const ds_opt *o)
{
	return o->metavar && o->metavar[0] == '[';
}

bool ds_cli_is_path(const ds_opt *o)
{
	static const char *const word[] = { "FILE", "PATH", "DIR", "MODEL" };
	for (size_t i = 0; o->metavar && i < DS_COUNTOF(word); i++)
		if (strcmp(o->metavar, word[i]) == 0)
			return true;
	return false;
}

/* An operand is a word in capitals in the usage line that no option precedes: "[option ...] [MODEL]". */
bool ds_cli_has_operand(const ds_filter *f)
{
	for (const char *s = f->usage; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			return true;
	return false;
}

void ds_cli_metavar(const ds_opt *o, ds_buf *b)
{
	if (!ds_cli_takes_value(o))
		return;
	if (o->metavar) {
		ds_buf_str(b, o->metavar);
	} else if (o->type == DS_T_CHOICE) {
		for (int i = 0; o->choices[i]; i++)
			ds_buf_printf(b, "%s%s", i ? "|" : "", o->choices[i]);
	} else {
		ds_buf_str(b, o->type == DS_T_STR || o->type == DS_T_LIST ? "TEXT" : o->type == DS_T_SIZE ? "SIZE" : "N");
	}
}

void ds_cli_range(const ds_opt *o, ds_buf *b)
{
	char lo[32], hi[32];
	const bool whole = o->type == DS_T_INT;
	if (o->min == 0 && o->max == 0)
		return;
	if (o->type == DS_T_SIZE)
		ds_fmt_size(lo, (uint64_t)o->min);
	else if (whole)
		snprintf(lo, sizeof lo, "%.0f", o->min);
	else
		ds_fmt_f64(lo, o->min);
	if (whole)
		snprintf(hi, sizeof hi, "%.0f", o->max);
	else
		ds_fmt_f64(hi, o->max);
	if (o->type == DS_T_SIZE || o->max >= 1e15)     /* an upper end that nobody will meet */
		ds_buf_printf(b, "at least %s", lo);
	else
		ds_buf_printf(b, "from %s to %s", lo, hi);
}
