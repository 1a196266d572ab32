/* metrics.h - figures as Prometheus text (exposition format 0.0.4), for the textfile collector of node_exporter
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/ ; names follow https://prometheus.io/docs/practices/naming/ : prefix ds_, base units (seconds, bytes) as suffix,
 * counters end in _total.  Every sample carries the labels that the page was begun with.  A figure of NaN was not measured and leaves no line. */
#ifndef DS_IO_METRICS_H
#define DS_IO_METRICS_H

#include "../base/mem.h"

typedef struct ds_metrics {
	ds_buf      body, label;
	const char *last;               /* the metric whose samples are being written */
} ds_metrics;

typedef enum ds_metric_type { DS_METRIC_GAUGE, DS_METRIC_COUNTER, DS_METRIC_SUMMARY } ds_metric_type;
typedef struct ds_metric {              /* rows of tables; name and help live as long as the page */
	const char    *name;
	ds_metric_type type;
	const char    *help;
} ds_metric;

/* Begin a page: common labels filter and model (the last part of this path, any bytes; NULL: none), and ds_build_info. */
void      ds_metrics_begin(ds_metrics *m, const char *filter, const char *model);
/* One sample; key NULL: no label of its own.  Samples of one metric follow each other. */
void      ds_metrics_add(ds_metrics *m, const ds_metric *d, const char *key, const char *value, double v);
/* A summary: n quantiles p[i] of value v[i], sum and number of observations. */
void      ds_metrics_summary(ds_metrics *m, const ds_metric *d, int n, const double *p, const double *v, double sum, uint64_t count);
/* This process: memory, processor time, when it ran. */
void      ds_metrics_process(ds_metrics *m);
/* Write the page as `path`, which appears complete or not at all; frees the page in every case. */
ds_status ds_metrics_end(ds_metrics *m, const char *path, ds_err *err);
void      ds_metrics_done(ds_metrics *m);

#endif
