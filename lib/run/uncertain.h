/* uncertain.h - how sure a prediction is: calibration of probabilities, prediction sets and intervals with a guarantee, Monte-Carlo dropout
 *
 * Everything is f64 summed in item order, and random numbers are drawn by counters, so that figures do not depend on threads or batches.  Probabilities are f32
 * [classes], items are independent.  Functions without a status cannot fail; those with one say DS_E_NOMEM, and DS_E_INPUT for labels that are no class. */
#ifndef DS_UNCERTAIN_H
#define DS_UNCERTAIN_H

#include "run.h"

/* ---- one item ----------------------------------------------------------------------------------------------------------------- */
double    ds_entropy(const float *p, int64_t classes);                  /* -sum p log p, nats */
/* -log sum exp(z): low where the logits say much of some class (Liu et al. 2020, arXiv:2010.03759, T = 1). */
double    ds_energy(const float *z, int64_t classes);
/* Sum over classes of (p - [class is the label])^2, 0 to 2 (Brier 1950). */
double    ds_brier(const float *p, int64_t classes, int64_t label);
double    ds_nll(const float *p, int64_t classes, int64_t label);       /* -log p[label] in nats, p not below 2^-126 */
/* Probabilities to numbers that a softmax makes them of again: log p, not below log 2^-126. */
void      ds_log_p(const float *p, int64_t classes, float *z);
/* p = softmax(z / t); p may be z. */
void      ds_softmax_at(const float *z, int64_t classes, double t, float *p);

/* ---- many items --------------------------------------------------------------------------------------------------------------- */
/* The temperature t with the least mean NLL of softmax(z / t) over n items z [n, classes] (Guo et al. 2017, arXiv:1706.04599): Newton's method on 1 / t, in
 * which the NLL is convex, kept inside a bracket.  t stays within DS_TEMPERATURE_MIN and MAX, where it ends when all items are right or the numbers are noise.
 * The order of the classes of an item is the same at every t. */
#define DS_TEMPERATURE_MIN 0.01
#define DS_TEMPERATURE_MAX 100
ds_status ds_temperature_fit(const float *z, const int64_t *label, int64_t n, int64_t classes, double *t, ds_err *err);

/* Expected calibration error: the mean, weighted by items, of |share that is right - mean confidence| over bins.  conf[i] in [0, 1]: the probability of the class
 * that was named, hit[i]: was it right?  `bin` (may be NULL) gets `bins` rows. */
#define DS_ECE_BINS 15
typedef struct ds_ece_bin { double low, high, conf; int64_t n, hits; } ds_ece_bin;      /* (low, high]; conf: sum over the bin's items */
double    ds_ece(const double *conf, const bool *hit, int64_t n, int bins, ds_ece_bin *bin);
/* The same with bins of equally many items by rising confidence (Nguyen & O'Connor 2015); low and high: of the items in it.  NaN: no memory. */
double    ds_ece_adaptive(const double *conf, const bool *hit, int64_t n, int bins, ds_ece_bin *bin);
/* 95 % interval of either by the bootstrap: `rounds` resamples of n items by (seed, round), reflected at the estimate (Davison & Hinkley 1997, 5.2), because a
 * resample's error is larger than the sample's as the sample's is larger than the truth; not below 0, and never without the estimate. */
ds_status ds_ece_interval(const double *conf, const bool *hit, int64_t n, int bins, bool adaptive, int rounds, uint64_t seed, double *lo, double *hi, ds_err *err);
/* The mean of n values and its 95 % interval, mean -+ 1.96 s / sqrt(n); NaN where n says nothing. */
double    ds_normal_interval(const double *v, int64_t n, double *lo, double *hi);

/* ---- split conformal prediction (Vovk et al. 2005; Lei et al. 2018, arXiv:1604.04173) -------------------------------------------------------------- */
/* A score says how odd a label is for an item; the sets hold every class whose score is not above a quantile of the scores of n held-out items.  Then the true class
 * is inside with probability 1 - alpha, or somewhat more, over the drawing of held-out and new items together; given the held-out items the coverage follows
 * Beta(n + 1 - l, l), l = floor((n + 1) alpha). */
typedef enum ds_set_score {
	DS_SET_LAC,     /* 1 - p[y] (Sadinle et al. 2019, arXiv:1609.00451): the smallest sets on average */
	DS_SET_APS,     /* mass of the classes more probable than y, and u p[y] (Romano et al. 2020, arXiv:2006.02544): sets that follow the difficulty */
	DS_SET_RAPS,    /* APS + lambda max(0, rank of y - k) (Angelopoulos et al. 2021, arXiv:2009.14193): without their long tails */
	DS_SET_SCORES
} ds_set_score;
extern const char *const ds_set_names[];        /* "lac", "aps", "raps", NULL */
typedef struct ds_set_rule { ds_set_score score; double lambda; int64_t k; } ds_set_rule;
/* The rule for that many classes: lambda 0.1, k 1 to 5. */
ds_set_rule ds_set_rule_for(ds_set_score score, int64_t classes);
/* Scores of all classes of an item (f64 [classes]).  order (int64 [classes]) is scratch, afterwards the classes by falling probability.  The u in [0, 1) of APS and RAPS
 * is a hash of the item's own probabilities: the sets are the randomised ones, and the same item has the same set everywhere. */
void      ds_set_scores(const ds_set_rule *r, const float *p, int64_t classes, int64_t *order, double *score);
/* The ceil((n + 1)(1 - alpha))-th smallest of n rising scores, infinite where there is none. */
double    ds_conformal_quantile(const double *rising, int64_t n, double alpha);

/* Where the coverage of m new items lies with 95 % probability when n were held out and the scores differ: mean and variance of the beta law and the draw of the m. */
void      ds_coverage_range(int64_t n, int64_t m, double alpha, double *lo, double *hi);

/* Quantiles are kept for these alphas; another one takes the next smaller, so that coverage is not less than asked for. */
#define DS_ALPHAS 102
double    ds_alpha_at(int i);                   /* rising: 0.001, 0.002, 0.005, 0.01, 0.02 ... 0.99 */
int       ds_alpha_index(double alpha);         /* of the largest one that is not above alpha; -1: none */
/* The quantiles of n scores (any order, sorted in place) at every alpha. */
void      ds_conformal_table(double *score, int64_t n, double q[DS_ALPHAS]);

/* ---- what a model keeps of it: META uncertainty.* (ds-model(5)) ------------------------------------------------------------------------------------ */
typedef struct ds_certainty {
	bool    classes, values;        /* has what belongs to a classifier; to a model of values */
	double  temperature;
	int64_t n;                      /* held-out items */
	double  set[DS_SET_SCORES][DS_ALPHAS];
	double  lambda;                 /* of RAPS */
	int64_t k;
	int64_t n_value;                /* values of output 0 */
	double *residual;               /* [n_value, DS_ALPHAS]: quantiles of |value - target| */
	bool    stale;                  /* fitted for other weights, another graph or other preparation than the model has now */
} ds_certainty;
/* What META says; DS_E_INPUT where it contradicts itself, and all members 0 where there is nothing. */
ds_status ds_certainty_from_meta(ds_certainty *c, const ds_model *m, ds_err *err);
ds_status ds_certainty_to_meta(const ds_certainty *c, ds_model *m, ds_err *err);
void      ds_certainty_done(ds_certainty *c);
/* What decides a model's function: 16 hexadecimal digits over graph, weights and the META of inputs and outputs, not over anything else of the stream. */
ds_status ds_function_identity(const ds_model *m, char out[17], ds_err *err);

/* ---- Monte-Carlo dropout (Gal & Ghahramani 2016, arXiv:1506.02142) ------------------------------------------------------------------------------------ */
/* A copy of the graph whose Dropout nodes drop, by (seed, node, item, pass, element), with one more input that says item and pass.  DS_E_UNSUPPORTED: there is no
 * Dropout with a ratio above 0. */
ds_status ds_mc_graph(const ds_graph *g, uint64_t seed, ds_graph **out, ds_err *err);
/* Samples that hand out each item of `inner` n times, with that input; bad ones too.  `inner` is freed with it. */
ds_status ds_mc_samples(ds_samples *inner, const ds_graph *mc, int64_t n, ds_samples **out, ds_err *err);

#endif
