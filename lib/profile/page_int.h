/* page_int.h - inside the page: texts, numbers and colours that its parts share */
#ifndef DS_PROFILE_PAGE_INT_H
#define DS_PROFILE_PAGE_INT_H

#include "page.h"

/* Any bytes as text of HTML (and of attributes in double quotes). */
void  ds_page_text(ds_buf *b, const char *s);
/* The same, at most `most` characters: the middle gives way to an ellipsis. */
void  ds_page_short(ds_buf *b, const char *s, int most);
/* "12.3 ms", "4.5 MiB", "1.2 G": buf of 32 bytes. */
char *ds_page_seconds(char *buf, double v);
char *ds_page_bytes(char *buf, double v);
char *ds_page_count(char *buf, double v);
/* A coordinate: one decimal, no exponent. */
void  ds_page_xy(ds_buf *b, double x, double y);
/* Colour class of an operator type: 0 .. 7 by its rank in time, 7 for the rest. */
enum { DS_PAGE_COLORS = 8 };
typedef struct ds_page_op { const char *op; int n; double seconds, ops, bytes; } ds_page_op;
typedef struct ds_page_view {           /* the page and what was derived from it once */
	const ds_page *p;
	ds_page_op    *op;      int n_op;       /* by time, largest first */
	int           *color;           /* by node */
	double         most;            /* seconds of the slowest step */
} ds_page_view;
/* Attributes of everything that stands for node i: highlighted together, its figures as tooltip. */
void  ds_page_mark(ds_buf *b, const ds_page_view *v, int i);

/* The sections. */
ds_status ds_page_graph(ds_buf *b, const ds_page_view *v, ds_err *err);
void      ds_page_roofline(ds_buf *b, const ds_page_view *v);
void      ds_page_memory(ds_buf *b, const ds_page_view *v);
/* Style and script. */
extern const char *const ds_page_style, *const ds_page_script;

#endif
