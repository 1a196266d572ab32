/* page.h - one page of HTML that shows where time and memory of a run go: the graph, bars, the roofline, memory over time
 *
 * The page holds everything it needs: styles, drawings (SVG) and a little script for tooltips, sorting and zoom; its Content-Security-Policy forbids it to load anything.
 * It is well-formed XML, too.  All texts may hold any bytes: they are quoted (ds_text_quote) and escaped.  Light or dark as the reader's system says. */
#ifndef DS_PROFILE_PAGE_H
#define DS_PROFILE_PAGE_H

#include "../base/mem.h"

typedef enum ds_page_kind { DS_PAGE_STEP, DS_PAGE_INPUT, DS_PAGE_OUTPUT } ds_page_kind;

typedef struct ds_page_node {
	ds_page_kind kind;
	const char  *name, *op, *kernel, *out;          /* out: type and shape; NULL: nothing to say */
	const char  *bound;             /* which ceiling limits it, NULL or "": not known */
	/* of steps; NaN: not measured, not known */
	double       seconds, q1, q3;   /* quartiles of its time over the runs */
	double       ops, bytes;        /* operations (a multiply-add is two) and bytes touched */
	double       least;             /* seconds that the ceilings ask for */
	double       live;              /* bytes of intermediate values while it runs */
} ds_page_node;

typedef struct ds_page_edge { int from, to; } ds_page_edge;             /* from < to */
typedef struct ds_page_ceiling { const char *name; double rate; } ds_page_ceiling;
typedef struct ds_page_block { const char *name; int first, last; double offset, bytes; } ds_page_block;        /* steps counted without inputs and outputs */
typedef struct ds_page_fact { const char *key, *value; } ds_page_fact;

typedef struct ds_page {
	const char            *title;
	const ds_page_fact    *fact;     int n_fact;            /* the machine, versions */
	const ds_page_fact    *tile;     int n_tile;            /* what the page says in large letters */
	const ds_page_node    *node;     int n_node;            /* in execution order */
	const ds_page_edge    *edge;     int n_edge;
	double                 wall, overhead;                  /* seconds of a run; what the steps leave of it */
	double                 variation;                       /* what medians of the parts lack to the median of the whole; NaN: nothing */
	const ds_page_ceiling *compute;  int n_compute;         /* operations per second */
	const ds_page_ceiling *memory;   int n_memory;          /* bytes per second */
	double                 planned, naive;                  /* bytes of the plan's arena, and without reuse; NaN: not known */
	const ds_page_block   *block;    int n_block;           /* what lies in the arena when */
} ds_page;

/* Append the page to out.  DS_E_NOMEM, and what ds_layout_make says. */
ds_status ds_page_write(const ds_page *p, ds_buf *out, ds_err *err);

#endif
