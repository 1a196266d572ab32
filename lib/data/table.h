/* table.h - the cells of a table as numbers, columns found by name */
#ifndef DS_DATA_TABLE_H
#define DS_DATA_TABLE_H

#include "local.h"

typedef struct ds_table_want {
	const char       *name;         /* of the column; "3" is the third where no column is called so */
	bool              is_class;     /* a class: a name of `names`, or a number */
} ds_table_want;

typedef struct ds_grid {
	int       cols;
	int64_t   rows;
	double   *v;                    /* [rows, cols]; classes as their number; 0 in rows with a flaw */
	size_t    cap;
	ds_flaws  flaws;
	char    **name;                 /* of the columns that were wanted, as the header has them */
} ds_grid;

/* want: n columns; NULL: all whose first cell is a number, except those of `but` (n_but names). */
typedef struct ds_table_opts {
	const ds_table_want *want;
	int                  n;
	const char *const   *but;
	int                  n_but;
	const ds_labels     *names;
} ds_table_opts;
ds_status ds_grid_read(ds_grid *g, const void *p, size_t n, const ds_table_opts *o, ds_err *err);
void      ds_grid_done(ds_grid *g);
/* The different texts of one column, sorted; *numeric: all of them are numbers from 0 on. */
ds_status ds_table_classes(const void *p, size_t n, const char *column, char ***name, int *count, bool *numeric, ds_err *err);
/* Every row of a flawed table: is one of [from, to) bad?  NULL: no. */
const ds_flaw *ds_flaw_in(const ds_flaws *f, int64_t from, int64_t to);
ds_status ds_flaw_add(ds_flaws *f, int64_t row, int64_t line, const char *what, ds_err *err);
void      ds_flaws_done(ds_flaws *f);

#endif
