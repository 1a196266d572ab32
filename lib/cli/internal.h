/* internal.h - what the files of cli/ share among themselves */
#ifndef DS_CLI_INTERNAL_H
#define DS_CLI_INTERNAL_H

#include "cli.h"

#define DS_MAX_OPTS 128         /* rows of one filter, common ones included; ds_opts_check refuses more */

/* The one process-wide state of a filter: the room that may print and exit also knows what was said so far. */
typedef struct cli_state {
	const ds_filter *f;
	const char      *name;                  /* of the filter, for messages before anything is parsed */
	ds_common       *c;                     /* NULL before the settings exist */
	const ds_opt    *row[DS_MAX_OPTS];      /* the filter's rows, then the common ones it has */
	bool             given[DS_MAX_OPTS];
	int              n_row;
	bool             want_help, want_version;
	bool             usage_hint;            /* the failure is that there was nothing to read: show the usage lines */
	bool             progress_shown;        /* a progress line stands on the terminal */
	uint64_t         failed, total;         /* of ds_items_failed */
} cli_state;
extern cli_state ds_cli;

/* rows of the table */
void          ds_cli_rows(const ds_filter *f);                  /* fills ds_cli.row */
const ds_opt *ds_cli_find(const char *name, size_t n, int *at); /* NULL: none */
bool          ds_cli_optional(const ds_opt *o);                 /* value may be left out */
bool          ds_cli_takes_value(const ds_opt *o);
bool          ds_cli_is_path(const ds_opt *o);                  /* the value names a file */
bool          ds_cli_has_operand(const ds_filter *f);
/* "FILE", "auto|always|never", "" for flags; into buf */
void          ds_cli_metavar(const ds_opt *o, ds_buf *b);
void          ds_cli_range(const ds_opt *o, ds_buf *b);         /* "from 0 to 1024", empty: no range */

/* parsing */
ds_status     ds_cli_defaults(void *settings, ds_err *err);
ds_status     ds_cli_parse(void *settings, int argc, char **argv, ds_err *err);
ds_status     ds_cli_environment(void *settings, ds_err *err);
ds_status     ds_cli_combinations(const ds_common *c, ds_err *err);     /* those of the common options */
ds_status     ds_cli_set(void *settings, const ds_opt *o, const char *value, const char *spelt, ds_err *err);
char         *ds_cli_effective(const void *settings);           /* NULL: no memory */
void          ds_cli_done(void *settings);                      /* frees what parsing allocated */

/* texts made from the table */
void          ds_cli_usage(ds_buf *b);
void          ds_cli_help(ds_buf *b);
void          ds_cli_version(ds_buf *b);
void          ds_cli_man(ds_buf *b);
void          ds_cli_bash(ds_buf *b);
void          ds_cli_zsh(ds_buf *b);
void          ds_cli_fish(ds_buf *b);
extern const char *const ds_cli_docs_names[];
ds_status     ds_cli_print(const ds_buf *b, ds_err *err);       /* to stdout, all of it */

/* process */
void          ds_cli_guard_fds(void);
void          ds_cli_signals(void);
bool          ds_cli_write(int fd, const void *p, size_t n);    /* all of it; false: errno says why */
void          ds_cli_wipe(void);                                /* the progress line, before other text on stderr */
void          ds_cli_jobserver(ds_common *c);
void          ds_cli_jobserver_done(void);

#endif
