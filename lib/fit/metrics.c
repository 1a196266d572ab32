/* metrics.c - a run under way as Prometheus text: where it stands and how it goes */
#include "run.h"
#include "../io/metrics.h"

#include <math.h>

#define EVERY 5.0               /* seconds between two pages, at least: scrapers come about every 15 */

ds_status ds_fit_page(ds_fitting *f, double loss, bool now, ds_err *err)
{
	static const ds_metric rows[] = {
		{ "ds_train_step", DS_METRIC_GAUGE, "Steps made in the stage." },
		{ "ds_train_steps", DS_METRIC_GAUGE, "Steps that the stage will have." },
		{ "ds_train_stage", DS_METRIC_GAUGE, "Number of the stage, from 1." },
		{ "ds_train_epoch", DS_METRIC_GAUGE, "Epochs gone through." },
		{ "ds_train_loss", DS_METRIC_GAUGE, "Loss of the last step." },
		{ "ds_train_learning_rate", DS_METRIC_GAUGE, "Learning rate of the last step." },
		{ "ds_train_gradient_norm", DS_METRIC_GAUGE, "Norm of the gradient of the last step." },
		{ "ds_train_samples_per_second", DS_METRIC_GAUGE, "Samples per second, measuring left out." },
		{ "ds_train_validation_loss", DS_METRIC_GAUGE, "Loss of the last measurement." },
		{ "ds_train_validation_accuracy_ratio", DS_METRIC_GAUGE, "Accuracy of the last measurement." },
		{ "ds_train_best_loss", DS_METRIC_GAUGE, "Loss of the best model measured." },
		{ "ds_train_best_accuracy_ratio", DS_METRIC_GAUGE, "Accuracy of the best model measured." },
	};
	const ds_fit_state *s = &f->s;
	ds_metrics m;
	double t = ds_fit_now();
	if (!f->w->metrics || (!now && t - f->told < EVERY))
		return DS_OK;
	f->told = t;
	const double v[] = {
		(double)s->count[AT_STEP], (double)f->rate.steps, f->stage + 1, (double)s->count[AT_EPOCH], loss, f->lr, f->norm, t > f->clock ? (double)f->stretch / (t - f->clock) : NAN,
		s->has & HAS_LAST_LOSS ? s->figure[LAST_LOSS] : NAN, s->has & HAS_LAST_ACCURACY ? s->figure[LAST_ACCURACY] : NAN,
		s->has & HAS_BEST_LOSS ? s->figure[BEST_LOSS] : NAN, s->has & HAS_BEST_ACCURACY ? s->figure[BEST_ACCURACY] : NAN,
	};
	ds_metrics_begin(&m, f->o->filter ? f->o->filter : "fit", f->o->label);
	for (size_t i = 0; i < DS_COUNTOF(rows); i++)
		ds_metrics_add(&m, &rows[i], NULL, NULL, v[i]);
	ds_metrics_process(&m);
	return ds_metrics_end(&m, f->w->metrics, err);
}
