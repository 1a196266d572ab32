/* metrics.c - --metrics: model, latency, process and machine as Prometheus text */
#include <math.h>

#include "profile/host.h"
#include "profile.h"

static ds_status model(job *j, ds_metrics *m, ds_err *err)
{
	static const ds_metric params = { "ds_model_parameters", DS_METRIC_GAUGE, "Parameters of the model." },
		macs = { "ds_model_macs", DS_METRIC_GAUGE, "Multiply-adds for one sample." },
		size = { "ds_model_size_bytes", DS_METRIC_GAUGE, "Size of the model as a file." },
		peak = { "ds_model_planned_peak_bytes", DS_METRIC_GAUGE, "Memory that is planned for intermediate values of a run." },
		packed = { "ds_model_packed_weights_bytes", DS_METRIC_GAUGE, "Weights in the form that kernels read." };
	ds_session *s;
	ds_plan_info info;
	double n_params, n_macs;
	DS_TRY(job_session(j, &s, err));
	DS_TRY(job_counts(j, &n_params, &n_macs, err));
	ds_session_info(s, &info);
	ds_metrics_add(m, &params, NULL, NULL, n_params);
	ds_metrics_add(m, &macs, NULL, NULL, n_macs);
	ds_metrics_add(m, &size, NULL, NULL, j->m->id_len ? (double)j->m->id_len : NAN);
	ds_metrics_add(m, &peak, NULL, NULL, (double)info.arena_bytes);
	ds_metrics_add(m, &packed, NULL, NULL, (double)info.prep_bytes);
	return DS_OK;
}

static ds_status load(job *j, ds_metrics *m, ds_err *err)
{
	static const ds_metric latency = { "ds_request_duration_seconds", DS_METRIC_SUMMARY, "Latency of requests, from the time they were to arrive." },
		rate = { "ds_requests_per_second", DS_METRIC_GAUGE, "Requests that were done per second." },
		offered = { "ds_requests_offered_per_second", DS_METRIC_GAUGE, "Requests that arrived per second." },
		failed = { "ds_requests_failed", DS_METRIC_GAUGE, "Requests of the run that failed." },
		left = { "ds_requests_left", DS_METRIC_GAUGE, "Requests of the run that were not served before its end." },
		busy = { "ds_busy_ratio", DS_METRIC_GAUGE, "Share of the time in which the model computed." },
		queue = { "ds_queue_length_max", DS_METRIC_GAUGE, "Most requests that waited at one time." },
		joules = { "ds_request_energy_joules", DS_METRIC_GAUGE, "Energy of all processor packages per request." };
	static const double p[] = { 0.5, 0.9, 0.99, 0.999 };
	const ds_load_result *r;
	ds_quantile q[DS_COUNTOF(p)];
	double v[DS_COUNTOF(p)];
	DS_TRY(job_load(j, &r, err));
	for (size_t i = 0; i < DS_COUNTOF(p); i++)
		q[i] = (ds_quantile){ .p = p[i] };
	DS_TRY(ds_dist_quantiles(&r->latency, q, (int)DS_COUNTOF(p), err));
	for (size_t i = 0; i < DS_COUNTOF(p); i++)
		v[i] = q[i].value;
	ds_metrics_summary(m, &latency, (int)DS_COUNTOF(p), p, v, r->latency.sum, r->latency.n);
	ds_metrics_add(m, &rate, NULL, NULL, r->rate);
	ds_metrics_add(m, &offered, NULL, NULL, j->load_kind == DS_LOAD_CLOSED ? NAN : r->offered);
	ds_metrics_add(m, &failed, NULL, NULL, (double)r->failed);
	ds_metrics_add(m, &left, NULL, NULL, (double)r->left);
	ds_metrics_add(m, &busy, NULL, NULL, r->busy);
	ds_metrics_add(m, &queue, NULL, NULL, (double)r->queue_max);
	ds_metrics_add(m, &joules, NULL, NULL, r->done ? j->joules / (double)r->done : NAN);
	return DS_OK;
}

ds_status mode_metrics(job *j, ds_err *err)
{
	ds_metrics m;
	ds_metrics_begin(&m, "ds-profile", job_model_name(j));
	ds_status rc = model(j, &m, err);
	if (rc == DS_OK)
		rc = load(j, &m, err);
	if (rc == DS_OK) {
		ds_metrics_process(&m);
		ds_host_metrics(&m, "");
		rc = ds_metrics_end(&m, j->s->metrics, err);
	}
	ds_metrics_done(&m);
	return rc;
}
