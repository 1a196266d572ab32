/* check.h - what --faithful and --against share: numbers of many samples and their summary */
#ifndef DS_CMD_EXPLAIN_CHECK_H
#define DS_CMD_EXPLAIN_CHECK_H

#include "explain/faithful.h"
#include "job.h"

/* One figure of every map. */
typedef struct ex_figures { double *v; size_t n, cap; } ex_figures;
ds_status ex_figures_add(ex_figures *f, double v, ds_err *err);

/* ---- rows ------------------------------------------------------------------------------------------------------------------------ */
void      ex_cell_f64(ds_rows *rows, double v);         /* NaN: empty */
void      ex_cell_i64(ds_rows *rows, int64_t v);        /* negative: empty */
void      ex_cell_str(ds_rows *rows, const char *v);    /* NULL: empty */
/* The columns input, class, label, probability of a map. */
void      ex_cells_map(const job *j, ds_rows *rows, const ex_result *r, const ds_map *m);

/* The summary is a second table after an empty line (of objects with other keys, as JSON): figure, layer, value, low, high, count, total. */
ds_status ex_summary_open(job *j, ds_rows **rows, ds_err *err);
/* The mean of the figures with its 95 % interval; also for who asks in mean[3] (may be NULL).  layer may be NULL. */
ds_status ex_summary_mean(const job *j, ds_rows *rows, const char *figure, const char *layer, const ex_figures *f, double *mean, ds_err *err);
/* A share k of n with its 95 % interval. */
ds_status ex_summary_share(ds_rows *rows, const char *figure, uint64_t k, uint64_t n, ds_err *err);

/* The map as one number for each place of the explained input, or as it is where it is no picture: *h, *w.  Fresh (ds_free). */
ds_status ex_places(const job *j, const ex_result *r, const ds_map *m, float **v, int64_t *h, int64_t *w, ds_err *err);

/* ---- the picture of --curves ------------------------------------------------------------------------------------------------------- */
typedef struct ex_curves { double *p; uint64_t n, chance; } ex_curves;  /* sums of n curves: deletion, insertion, and of `chance` random ones, forward and backward */
ds_status ex_curves_add(ex_curves *c, const ds_faith *f, ds_err *err);
ds_status ex_curves_draw(const job *j, const ex_curves *c, ds_err *err);
void      ex_curves_done(ex_curves *c);

#endif
