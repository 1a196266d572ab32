/* cli.h - what every filter shares: options, help, messages, progress, exit codes.  The only room that may print or exit. */
#ifndef DS_CLI_H
#define DS_CLI_H

#include "../base/opt.h"
#include "../base/str.h"
#include "../io/io.h"

/* One filter: its words, its options, its work.  cmd/ds-NAME.c defines exactly one and `int main` calls ds_main. */
typedef struct ds_filter {
	const char   *name;             /* "ds-prune" */
	const char   *summary;          /* one line, as in the man page's NAME */
	const char   *usage;            /* "[option ...] [MODEL]"; no operand in it: operands are refused */
	const char   *examples;         /* shown first by --help, lines <= 78 columns; each line starting with '$' is a command that the tests run */
	const ds_opt *opts;             /* the filter's own (may be NULL); the common ones are added by `common` */
	unsigned      common;           /* DS_C_* bits: which common options it has */
	size_t        settings_size;    /* struct that starts with ds_common; zeroed, then defaults, environment, options */
	/* After parsing: check combinations and derive settings (no input has been read yet).  DS_E_USAGE.  May be NULL. */
	ds_status   (*check)(void *settings, ds_err *err);
	ds_status   (*run)(void *settings, ds_err *err);
	const char   *libraries;        /* for --version: which libraries it uses, e.g. "libpng zstd" */
} ds_filter;

/* How the rows of `opts` are read (see base/opt.h).  In addition: a metavar in brackets ("[GLOB]", types STR and LIST) makes the value optional:
 * `--tensors` gives "", `--tensors=GLOB` the glob.  Metavars FILE, PATH, DIR, MODEL complete to files and refuse the empty text.  A CHOICE without
 * default is -1 until given.  The last of repeated options wins (LIST: all count). */

enum {                                  /* common options; -h -V -q -v --color --progress are always there */
	DS_C_OUTPUT = 1, DS_C_MODEL = 2, DS_C_THREADS = 4, DS_C_FORCE = 8, DS_C_FORMAT = 16 /* --json --tsv */, DS_C_MEMORY = 32,
	DS_C_SEED = 64, DS_C_FILES = 128 /* --files-from -0 */, DS_C_MAP = 256 /* --no-mmap --no-verify */, DS_C_BATCH = 512,
	DS_C_CALIBRATE = 1024 /* -c */, DS_C_PLAN = 2048 /* --plan --dry-run */, DS_C_ONLY = 4096 /* --only --except */,
	DS_C_REPORT = 8192, DS_C_HISTORY = 16384 /* --no-history */, DS_C_COMPRESS = 32768, DS_C_DATA = 65536 /* -d */,
	DS_C_SPOOL = 131072, DS_C_DUMP = 262144 /* --dump=graph|plan|alloc|rewrite|kernels */,
	/* No option: a data filter.  Operands are inputs, the model comes by -m or stdin; BATCH_SIZE and OMP_NUM_THREADS are honoured.  Without it the
	 * filter is a model filter: at most one operand, which is the model. */
	DS_C_INPUTS = 524288,
};
typedef struct ds_common {
	const char *output, *model, *files_from, *calibrate, *plan, *report, *data;
	int64_t     threads, batch, seed;       /* threads 0: all (pass it to ds_pool_new); batch 0: choose */
	uint64_t    memory_limit;               /* bytes; default 2 GiB */
	bool        force, quiet, verbose, json, tsv, null_sep, no_mmap, no_verify, dry_run, no_history, compress;
	bool        fake_tty;           /* hidden test hook --fake-stdout-is-tty */
	bool        recorded;           /* hidden --recorded: options that say what the default says do not count as given (ds-info --replay) */
	bool        hold;               /* hidden test hook --hold: ds_open_input stops the process (SIGSTOP) once the input is open */
	int         color, progress;    /* 0 auto, 1 always, 2 never; ask ds_color, ds_progress_new */
	int         spool;              /* 0 auto, 1 never */
	int         dump;               /* -1 none, 0 graph, 1 plan, 2 alloc, 3 rewrite, 4 kernels */
	int         docs;               /* hidden --docs */
	ds_strs     only, except;
	ds_strs     operand;            /* what is left after the options */
	const ds_filter *filter;
	const char *effective;          /* effective settings in canonical spelling, one per line (hISt, -v) */
} ds_common;

/* The whole life of a filter: guard fds 0-2, signals, parse, check, run, map the status to the exit code. */
int ds_main(const ds_filter *f, int argc, char **argv);
/* Was the option given on the command line (not by default or environment)?  For combinations such as --group without --bits. */
bool ds_given(const char *long_name);
/* Set what row `o` of the filter's table sets, as `--name=value` would (a list gets one more).  For settings that come from elsewhere, such as a table of stages. */
ds_status ds_set_option(void *settings, const ds_opt *o, const char *value, ds_err *err);

/* "ds-run: file:@offset: text" to stderr, quoted.  ds_warn the same without changing the exit code. */
void ds_complain(const ds_err *err);
void ds_warn(const char *fmt, ...) DS_PRINTF(1, 2);    /* not with -q */
void ds_note(const char *fmt, ...) DS_PRINTF(1, 2);    /* only with -v */
/* A batch went on after n of `total` items failed: exit 5 (some) or 3 (all), by the rules of precedence. */
void ds_items_failed(uint64_t n, uint64_t total);

/* Where data come from and go to, with the guards of the command line: refuses to read a model from or write binary to a terminal (exit 2), notices that
 * standard input and output are the same file, says "empty input - did the previous command fail?". */
ds_status ds_open_input(ds_source **s, const ds_common *c, ds_err *err);       /* -m, the one operand (model filters) or stdin */
ds_status ds_open_output(ds_sink **s, const ds_common *c, bool binary, ds_err *err);    /* -o or stdout; text (binary false) may go to a terminal */
/* The same guards for another file that the filter reads ("-": stdin), such as the other model of --diff. */
ds_status ds_open_file(ds_source **s, const ds_common *c, const char *path, ds_err *err);
/* May text on this descriptor (1 or 2) be coloured?  --color, NO_COLOR, TERM. */
bool      ds_color(const ds_common *c, int fd);

/* --out-dir: a file for each input.  A name is the input's path with `_` for slashes, without what does not name anything (leading slashes, `.`), `..` and bytes other
 * than letters, digits, "._-+=,@~" and text beyond ASCII as %xx, a `_` before a leading dot or dash; of a path that long its end with a number before it; then the
 * number of the item inside the file, if it has one, and what the filter adds: "photos_cat.jpg.png", "digits.idx.17.class-3.png". */
typedef struct ds_outdir ds_outdir;
ds_status ds_outdir_new(ds_outdir **d, const char *dir, bool force, ds_err *err);       /* dir stays the caller's */
/* Before the work: every input, item -1 where all of a file are meant (the form suits ds_data_names).  DS_E_USAGE: it would be called as another. */
ds_status ds_outdir_expect(void *outdir, const char *path, int64_t item, ds_err *err);
/* DS_E_USAGE: the directory has a file of such an input, and --force was not given.  Makes the directory where there is none. */
ds_status ds_outdir_ready(ds_outdir *d, ds_err *err);
/* The file for an item by its name (path_len: without the number in brackets) and what is added, ".class-3.png".  *path is valid until the next call. */
ds_status ds_outdir_open(ds_outdir *d, const char *name, size_t n, size_t path_len, const char *rest, ds_sink **s, const char **path, ds_err *err);
void      ds_outdir_free(ds_outdir *d);
void      ds_outdir_name(ds_buf *b, const char *path, size_t n);                        /* appended */

/* Text output: rows go out with one write each.  TSV escapes, JSON Lines have the same keys as the TSV columns. */
typedef struct ds_rows ds_rows;         /* a lack of memory in a cell is reported by ds_rows_end */
ds_status ds_rows_open(ds_rows **r, ds_sink *sink, bool json, const char *const *columns, ds_err *err);        /* NULL-terminated; TSV header at once */
void      ds_rows_str(ds_rows *r, const char *s, size_t n);
void      ds_rows_i64(ds_rows *r, int64_t v);
void      ds_rows_f32(ds_rows *r, float v);
void      ds_rows_f64(ds_rows *r, double v);
void      ds_rows_null(ds_rows *r);                                              /* JSON null, TSV empty; NaN and infinities are written like this in JSON */
ds_status ds_rows_end(ds_rows *r, ds_err *err);                                 /* writes the row */
void      ds_rows_close(ds_rows *r);
/* A table for people, aligned, on a sink; columns whose name starts with '>' are right-aligned. */
typedef struct ds_table { ds_buf cells; int n_col, n_cell; bool bold; const char *const *columns; } ds_table; /* bold: the heading, if ds_color says so */
void      ds_table_init(ds_table *t, const char *const *columns);
void      ds_table_cell(ds_table *t, const char *fmt, ...) DS_PRINTF(2, 3);
ds_status ds_table_write(ds_table *t, ds_sink *s, ds_err *err);                 /* and frees */

/* Progress on stderr: only on a terminal, after a second, only in the tool that ends the pipe; --progress=always|never. */
typedef struct ds_progress ds_progress;
ds_progress *ds_progress_new(const ds_common *c, const char *what, int64_t total);     /* total -1: unknown */
void         ds_progress_at(ds_progress *p, int64_t done, const char *note);           /* note may be NULL; cheap to call often */
void         ds_progress_free(ds_progress *p);                                         /* wipes the line */

/* Does a tensor name pass --only/--except?  And: was there a pattern that never matched (DS_E_USAGE names it)? */
typedef struct ds_filterset { const ds_common *c; bool *used; } ds_filterset;
ds_status ds_only_init(ds_filterset *f, const ds_common *c, ds_err *err);
bool      ds_only_match(ds_filterset *f, const char *name);
ds_status ds_only_done(ds_filterset *f, ds_err *err);

/* Documentation from the tables: `ds-x --docs=help|man|bash|zsh|fish` (hidden) prints the generated part; `make docs` puts it in its place. */
/* ds_opts_check: is a table sound (unique names and letters, defaults in range, offsets within size)?  `why` gets one line per fault.  For the tests:
 * every filter answers `--docs=check` with it (exit 1 on faults). */
bool ds_opts_check(const ds_filter *f, ds_buf *why);

#endif
