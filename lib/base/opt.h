/* opt.h - the row that describes one named setting: a command's option or an operator's attribute */
#ifndef DS_BASE_OPT_H
#define DS_BASE_OPT_H

#include <stddef.h>
#include <stdint.h>

typedef enum ds_opt_type {
	/* options and attributes */
	DS_T_INT,       /* int64_t */
	DS_T_FLOAT,     /* double */
	DS_T_STR,       /* const char *, NULL when not given and without default */
	DS_T_CHOICE,    /* int: index into choices; on import of an attribute the string must be one of them */
	/* options only */
	DS_T_FLAG,      /* bool */
	DS_T_SIZE,      /* uint64_t, "64M" */
	DS_T_LIST,      /* ds_strs: may be given again and again */
	DS_T_ACTION,    /* no storage: --help, --version */
	DS_T_GROUP,     /* no storage: a heading in --help; only `help` is used */
	/* attributes only */
	DS_T_INTS,      /* ds_ints */
	DS_T_FLOATS,    /* ds_floats */
	DS_T_STRS,      /* ds_strs */
	DS_T_TENSOR,    /* const ds_tensor * */
	DS_T_GRAPH,     /* struct ds_graph * */
} ds_opt_type;

typedef struct ds_ints   { const int64_t *v; int n; } ds_ints;
typedef struct ds_floats { const double *v; int n; } ds_floats;
typedef struct ds_strs   { const char **v; int n; } ds_strs;

#define DS_OPT_REQUIRED 1u      /* attribute that must be given */
#define DS_OPT_HIDDEN   2u      /* not in --help (test hooks) */
#define DS_OPT_NO_HIST  4u      /* never part of the history record: threads, paths, progress */

typedef struct ds_opt {
	const char        *name;        /* long name without dashes; NULL ends a table */
	char               letter;      /* short option, 0: none */
	uint8_t            type;        /* ds_opt_type */
	uint8_t            flags;
	size_t             offset;      /* of the member in the settings struct */
	const char        *metavar;     /* "N", "FILE", ...; also how completions know what to offer */
	const char        *def;         /* default as the user would write it, NULL: none */
	double             min, max;    /* inclusive range for INT, FLOAT; both 0: no check */
	const char *const *choices;     /* CHOICE: NULL-terminated */
	const char        *help;        /* one sentence, no full stop */
} ds_opt;

#endif
