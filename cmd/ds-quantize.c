/* ds-quantize.c - quantise the weights of a model in one pass, or a whole network with calibration, before training or after it */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "data/data.h"
#include "exec/exec.h"
#include "format/dsm.h"
#include "format/history.h"
#include "quantize/quantize.h"

typedef struct settings {
	ds_common   c;
	int         bits;               /* index into bit_names */
	int64_t     group;
	const char *range;
	ds_strs     keep;
	int         equalize;           /* auto yes no */
	bool        no_bias;
	int64_t     max_samples;
	bool        qat;
	/* derived */
	ds_qrule    rule;
	const char **keep_glob;         /* the GLOB of each GLOB=BITS */
	int        *keep_bits;          /* index into bit_names, KEEP_F32 */
	bool       *keep_used;          /* has it matched anything? */
} settings;

/* a 0: activations stay f32; both 0: what training with --qat has found */
static const char *const bit_names[] = { "w8a8", "w4a8", "w4a4", "w3a3", "w2a8", "w2a2", "w8", "w6", "w5", "w4", "w3", "w2", "trained", NULL };
static const ds_qbits bit_count[] = { { 8, 8 }, { 4, 8 }, { 4, 4 }, { 3, 3 }, { 2, 8 }, { 2, 2 }, { 8, 0 }, { 6, 0 }, { 5, 0 }, { 4, 0 }, { 3, 0 }, { 2, 0 },
	{ 0, 0 } };
enum { W8A8 = 0, KEEP_F32 = -1 };

static bool calibrated(const settings *s) { return bit_count[s->bits].a != 0; }
static bool trained(const settings *s) { return bit_count[s->bits].w == 0; }
static const char *const equalize_names[] = { "auto", "yes", "no", NULL };

#define AT(member) offsetof(settings, member)

static const ds_opt opts[] = {
	{ .name = "", .type = DS_T_GROUP, .help = "Quantisation" },
	{ .name = "bits", .letter = 'B', .type = DS_T_CHOICE, .offset = AT(bits), .def = "w8", .choices = bit_names,
		.help = "w8, w6, ...: weights only; w8a8, w4a4, ...: activations too, needs -c; trained: integers of a model that was trained after --qat" },
	{ .name = "qat", .type = DS_T_FLAG, .offset = AT(qat), .help = "fake quantisation that ds-train can train, in place of integers" },
	{ .name = "group", .letter = 'g', .type = DS_T_INT, .offset = AT(group), .metavar = "N", .min = 16, .max = 1024,
		.help = "one scale for N columns (a power of two) instead of one for a row" },
	{ .name = "range", .letter = 'r', .type = DS_T_STR, .offset = AT(range), .metavar = "RULE",
		.help = "minmax, mse, percentile:P or kl; default mse for activations and for weights of less than 6 bits" },
	{ .name = "keep", .letter = 'k', .type = DS_T_LIST, .offset = AT(keep), .metavar = "GLOB=BITS",
		.help = "f32: leave layers or weights of this name as they are; w8a8, w4a4, ...: give them these bits (with activations)" },
	{ .name = "", .type = DS_T_GROUP, .help = "Activations (w8a8, w4a8, ...)" },
	{ .name = "equalize", .type = DS_T_CHOICE, .offset = AT(equalize), .def = "auto", .choices = equalize_names,
		.help = "even out the channels of activations first; auto: depthwise models" },
	{ .name = "no-bias-correction", .type = DS_T_FLAG, .offset = AT(no_bias), .help = "do not move biases against the mean error of rounding" },
	{ .name = "max-samples", .type = DS_T_INT, .offset = AT(max_samples), .metavar = "N", .def = "1024", .min = 1, .max = 1e9,
		.help = "calibrate on N samples, evenly spaced" },
	{ 0 }
};

static void drop_keep(settings *s)
{
	for (int i = 0; i < s->keep.n && s->keep_glob; i++)
		ds_free((char *)(uintptr_t)s->keep_glob[i]);
	ds_free((void *)s->keep_glob);
	ds_free(s->keep_bits);
	ds_free(s->keep_used);
	s->keep_glob = NULL;
	s->keep_bits = NULL;
	s->keep_used = NULL;
}

/* GLOB=BITS -> GLOB in memory of its own and BITS; drop_keep() frees it, after a failure too. */
static ds_status split_keep(settings *s, ds_err *err)
{
	s->keep_glob = ds_calloc((size_t)s->keep.n + 1, sizeof(*s->keep_glob));
	s->keep_bits = ds_calloc((size_t)s->keep.n + 1, sizeof(*s->keep_bits));
	s->keep_used = ds_calloc((size_t)s->keep.n + 1, sizeof(*s->keep_used));
	if (!s->keep_glob || !s->keep_bits || !s->keep_used)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < s->keep.n; i++) {
		const char *eq = strrchr(s->keep.v[i], '=');
		int bits = KEEP_F32;
		for (int b = 0; eq && calibrated(s) && bits < 0 && bit_names[b]; b++)
			if (bit_count[b].a && strcmp(eq + 1, bit_names[b]) == 0)
				bits = b;
		if (!eq || eq == s->keep.v[i] || (bits < 0 && strcmp(eq, "=f32") != 0))
			return ds_fail(err, DS_E_USAGE, "--keep '%s' is not GLOB=f32%s", s->keep.v[i], calibrated(s) ? " or GLOB=w8a8, w4a8, w4a4, ..." : "");
		char *glob = ds_strdup(s->keep.v[i]);
		if (!glob)
			return ds_fail_nomem(err, 0);
		glob[eq - s->keep.v[i]] = 0;
		s->keep_glob[i] = glob;
		s->keep_bits[i] = bits;
	}
	return DS_OK;
}

static ds_status check(void *p, ds_err *err)
{
	settings *s = p;
	const char *bits = bit_names[s->bits];
	if (s->group & (s->group - 1))
		return ds_fail(err, DS_E_USAGE, "--group %" PRId64 " is not a power of two", s->group);
	s->rule = (ds_qrule){ calibrated(s) || bit_count[s->bits].w < 6 ? DS_RANGE_MSE : DS_RANGE_MINMAX, 100, 0 };
	if (s->range)
		DS_TRY(ds_qrule_parse(s->range, &s->rule, err));
	if (s->qat && !calibrated(s))
		return ds_fail(err, DS_E_USAGE, "--qat is for bits of weights and activations (--bits w4a4), not for --bits %s", bits);
	if (trained(s) && (s->c.calibrate || s->group || s->range || s->keep.n || s->c.only.n || s->c.except.n || ds_given("equalize") || s->no_bias ||
			   ds_given("max-samples")))
		return ds_fail(err, DS_E_USAGE, "--bits trained takes everything from the model: no samples, ranges or choice of layers");
	if (calibrated(s)) {
		if (!s->c.calibrate)
			return ds_fail(err, DS_E_USAGE, "--bits %s needs samples to calibrate with: -c PATH", bits);
		if (s->group)
			return ds_fail(err, DS_E_USAGE, "--group is for weights only; %s has one scale per output channel", bits);
		if (s->qat && (s->no_bias || s->equalize == 1))
			return ds_fail(err, DS_E_USAGE, "--qat leaves biases and channels to training: no --no-bias-correction, no --equalize");
	} else if (!trained(s)) {
		if (s->rule.range != DS_RANGE_MINMAX && s->rule.range != DS_RANGE_MSE)
			return ds_fail(err, DS_E_USAGE, "--range %s is for activations (w8a8); weights take minmax or mse", s->range);
		if (s->c.calibrate || ds_given("equalize") || s->no_bias || ds_given("max-samples"))
			return ds_fail(err, DS_E_USAGE, "--bits %s rounds weights only and takes no samples; calibration is for --bits w8a8", bits);
	}
	ds_status rc = split_keep(s, err);
	if (rc != DS_OK)                        /* run(), which frees it otherwise, is not called */
		drop_keep(s);
	return rc;
}

/* Has a pattern named it?  *bits is that of the last one. */
static bool kept(const settings *s, const char *name, int *bits)
{
	bool hit = false;
	for (int i = 0; i < s->keep.n; i++)
		if (ds_glob(s->keep_glob[i], name)) {
			hit = s->keep_used[i] = true;
			*bits = s->keep_bits[i];
		}
	return hit;
}

/* A pattern that names nothing is a mistake. */
static ds_status keep_done(const settings *s, ds_err *err)
{
	for (int i = 0; i < s->keep.n; i++)
		if (!s->keep_used[i])
			return ds_fail(err, DS_E_USAGE, "--keep: '%s' matches no layer and no weight", s->keep_glob[i]);
	return DS_OK;
}

/* ---- the account ---------------------------------------------------------------------------------------------------------------- */
typedef struct account {
	ds_sink  *report;               /* --report, NULL: none */
	double    weights, weight_bits; /* quantised tensors: elements, bits with every plane */
	int       tensors, quantised;
} account;

static void json_number(ds_buf *b, double v)
{
	char num[40];
	ds_buf_str(b, isfinite(v) ? ds_fmt_f64(num, v) : "null");
}

static ds_status report_line(account *a, ds_buf *b, ds_err *err)
{
	ds_status rc = b->oom ? ds_fail_nomem(err, 0) : ds_sink_write(a->report, b->data, b->len, err);
	ds_buf_done(b);
	return rc;
}

static void weight_keys(ds_buf *b, const char *name, const char *bits, const ds_tnsr *t, const ds_qw_stat *st)
{
	static const char *const gran[] = { "tensor", "row", "group" };
	ds_buf_str(b, "\"tensor\":");
	ds_text_json(b, name, strlen(name));
	ds_buf_printf(b, ",\"bits\":\"%s\",\"granularity\":\"%s\",\"group\":", bits, gran[t->form.gran]);
	ds_buf_printf(b, t->form.group ? "%u" : "null", t->form.group);
	ds_buf_printf(b, ",\"elements\":%" PRId64 ",\"bytes_before\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"bits_per_weight\":", st->count, st->bytes_in, st->bytes);
	json_number(b, 8.0 * (double)st->bytes / (double)st->count);
	ds_buf_str(b, ",\"mse\":");
	json_number(b, st->err_sq / (double)st->count);
	ds_buf_str(b, ",\"sqnr_db\":");
	json_number(b, ds_qw_sqnr(st));
	ds_buf_str(b, ",\"clipped\":");
	json_number(b, (double)st->clipped / (double)st->count);
}

static ds_status tell_tensor(account *a, const settings *s, const char *name, const ds_tnsr *t, const ds_qw_stat *st, ds_err *err)
{
	char bits[8], sqnr[32] = "";
	snprintf(bits, sizeof bits, "w%d", t->form.code == DS_I8 ? 8 : (int)(t->form.code - DS_U2 + 2));
	if (!trained(s))
		snprintf(sqnr, sizeof sqnr, ", SQNR %.1f dB", ds_qw_sqnr(st));
	a->quantised++;
	a->weights += (double)st->count;
	a->weight_bits += 8.0 * (double)st->bytes;
	ds_note("%s: %s, %s %u, %.2f bits per weight%s", name, bits, t->form.group ? "groups of" : "rows", t->form.group ? t->form.group :
		(unsigned)st->scales, 8.0 * (double)st->bytes / (double)st->count, sqnr);
	if (!a->report)
		return DS_OK;
	ds_buf b = { 0 };
	ds_buf_str(&b, "{\"event\":\"tensor\",");
	weight_keys(&b, name, bits, t, st);
	ds_buf_str(&b, "}\n");
	return report_line(a, &b, err);
}

static ds_status tell_end(account *a, uint64_t before, uint64_t after, ds_err *err)
{
	char x[16], y[16];
	double bpw = a->weights > 0 ? a->weight_bits / a->weights : 0;
	ds_note("%d of %d tensors quantised, %.3f bits per weight with scales and padding; %s -> %s (%.3f)", a->quantised, a->tensors, bpw,
		ds_fmt_size(x, before), ds_fmt_size(y, after), before ? (double)after / (double)before : 0);
	if (!a->report)
		return DS_OK;
	ds_buf b = { 0 };
	ds_buf_printf(&b, "{\"event\":\"end\",\"tensors\":%d,\"quantised\":%d,\"bits_per_weight\":", a->tensors, a->quantised);
	json_number(&b, bpw);
	ds_buf_printf(&b, ",\"file_bytes_before\":%" PRIu64 ",\"file_bytes\":%" PRIu64 "}\n", before, after);
	return report_line(a, &b, err);
}

/* ---- weights only: one pass ----------------------------------------------------------------------------------------------------- */
enum { PIECE = 1 << 20 };

typedef struct pass {
	settings      *s;
	ds_dsm_reader *r;
	ds_dsm_writer *w;
	ds_pool       *pool;
	ds_filterset   only;
	account        a;
	ds_graph      *g;               /* NULL: a bag of tensors */
	ds_value     **param;
	int            n_param, at_param;
	uint8_t       *weight;          /* by value id */
	uint8_t       *piece;
} pass;

static ds_status to_writer(void *arg, const void *p, size_t n, ds_err *err)
{
	return ds_dsm_tensor_data(arg, p, n, err);
}

/* Why a tensor stays as it is; NULL: it is quantised. */
static const char *why_not(pass *p, const ds_tnsr *t, bool is_weight)
{
	int bits;
	bool chosen = ds_only_match(&p->only, t->name), keep = kept(p->s, t->name, &bits);
	if (!chosen)
		return "not chosen";
	if (keep)
		return "kept";
	if (t->form.scheme != DS_Q_PLAIN || t->sparsity)
		return "quantised already";
	if (t->form.code != DS_F32 && t->form.code != DS_F16 && t->form.code != DS_BF16)
		return "not f32, f16 or bf16";
	if (t->rank < 2)
		return "rank below 2";
	if (!is_weight)
		return "not the weight of a linear operator";
	for (int i = 0; i < t->rank; i++)
		if (t->dim[i] == 0)
			return "empty";
	return NULL;
}

static ds_status copy_tensor(pass *p, const ds_tnsr *t, ds_err *err)
{
	size_t got;
	DS_TRY(ds_dsm_tensor_begin(p->w, t, err));
	for (;;) {
		DS_TRY(ds_dsm_payload(p->r, p->piece, PIECE, &got, err));
		if (!got)
			return ds_dsm_tensor_end(p->w, err);
		DS_TRY(ds_dsm_tensor_data(p->w, p->piece, got, err));
	}
}

static ds_status round_tensor(pass *p, const ds_tnsr *t, ds_err *err)
{
	ds_qw_opts o = { .bits = bit_count[p->s->bits].w, .group = (int)p->s->group, .range = p->s->rule.range, .pool = p->pool };
	ds_tnsr out = *t;
	ds_qsize size;
	ds_qw_stat st;
	ds_qw *q = NULL;
	size_t got;
	ds_status rc;
	DS_GOTO(ds_qw_form(&o, t->rank, t->dim, &out.form, &size, err));
	out.raw_len = size.total;
	DS_GOTO(ds_qw_new(&q, &o, t->form.code, t->rank, t->dim, to_writer, p->w, err));
	/* A quantised tensor stands for f32, f16 or bf16; the container has a field for the codes alone, the graph keeps the type. */
	DS_GOTO(ds_dsm_tensor_begin(p->w, &out, err));
	for (;;) {
		DS_GOTO(ds_dsm_payload(p->r, p->piece, PIECE, &got, err));
		if (!got)
			break;
		DS_GOTO(ds_qw_push(q, p->piece, got, err));
	}
	DS_GOTO(ds_qw_end(q, &st, err));
	DS_GOTO(ds_dsm_tensor_end(p->w, err));
	rc = tell_tensor(&p->a, p->s, t->name, &out, &st, err);
out:
	if (rc != DS_OK)
		ds_err_prefix(err, "tensor \"%.100s\"", t->name);
	ds_qw_free(q);
	return rc;
}

static ds_status on_tensor(pass *p, const ds_rec *rec, ds_err *err)
{
	const ds_tnsr *t = &rec->tensor;
	bool weight = true;
	if (p->g) {
		if (p->at_param >= p->n_param)
			return ds_fail(err, DS_E_INPUT, "more tensors than parameters");
		weight = p->weight[p->param[p->at_param++]->id];
	}
	p->a.tensors++;
	const char *why = why_not(p, t, weight);
	if (!why)
		return round_tensor(p, t, err);
	ds_note("%s: as it is (%s)", t->name, why);
	return copy_tensor(p, t, err);
}

static ds_status on_record(pass *p, const ds_rec *rec, ds_err *err)
{
	ds_meta meta = { 0 };
	ds_buffer *buf = NULL;
	ds_status rc = DS_OK;
	switch (rec->type) {
	case DS_REC_META:
		rc = ds_dsm_meta(p->r, &meta, err);
		if (rc == DS_OK)
			rc = ds_dsm_put_meta(p->w, &meta, err);
		break;
	case DS_REC_GRPH:
		DS_GOTO(ds_dsm_graph(p->r, &p->g, &p->param, &p->n_param, err));
		DS_GOTO(ds_dsm_put_graph(p->w, p->g, NULL, NULL, err));
		rc = ds_q_weights(p->g, &p->weight, err);
		break;
	case DS_REC_ASSET:
		DS_GOTO(ds_dsm_payload_all(p->r, &buf, err));
		rc = ds_dsm_put_asset(p->w, &(ds_asset){ (char *)(uintptr_t)rec->asset_name, (char *)(uintptr_t)rec->asset_media, buf }, err);
		break;
	case DS_REC_TENSOR:
		rc = on_tensor(p, rec, err);
		break;
	case DS_REC_HIST:
		rc = ds_dsm_meta(p->r, &meta, err);
		if (rc == DS_OK)
			rc = ds_dsm_put_history(p->w, &meta, err);
		break;
	case DS_REC_OTHER:
		break;          /* unknown ancillary records describe tensors that are changed here */
	}
out:
	ds_buffer_unref(buf);
	ds_meta_done(&meta);
	return rc;
}

static ds_status put_own_history(settings *s, ds_dsm_writer *w, uint32_t crc, uint64_t len, ds_err *err)
{
	ds_meta h = { 0 };
	if (s->c.no_history)
		return DS_OK;
	ds_status rc = ds_history_make(&h, s->c.filter->name, s->c.effective, crc, len, NULL, 0, NULL, err);
	if (rc == DS_OK)
		rc = ds_dsm_put_history(w, &h, err);
	ds_meta_done(&h);
	return rc;
}

static ds_status run_weights(settings *s, ds_source **src, ds_sink *sink, ds_sink *report, ds_err *err)
{
	pass p = { .s = s, .a.report = report };
	ds_dsm_opts ro = { .memory_limit = s->c.memory_limit, .no_verify = s->c.no_verify };
	ds_dsm_wopts wo = { .compress = s->c.compress, .memory_limit = s->c.memory_limit };
	ds_rec rec;
	uint32_t crc;
	uint64_t len;
	ds_source *in = *src;
	*src = NULL;                            /* the reader takes it */
	ds_status rc = ds_dsm_open(&p.r, in, &ro, err);
	if (rc != DS_OK)
		return rc;
	DS_GOTO(ds_only_init(&p.only, &s->c, err));
	p.piece = ds_malloc(PIECE);
	p.pool = ds_pool_new((int)s->c.threads);
	if (!p.piece || !p.pool) {
		rc = ds_fail_nomem(err, PIECE);
		goto out;
	}
	DS_GOTO(ds_dsm_create(&p.w, sink, &wo, err));
	while ((rc = ds_dsm_next(p.r, &rec, err)) == DS_OK)
		DS_GOTO(on_record(&p, &rec, err));
	if (rc != DS_END)
		goto out;
	DS_GOTO(ds_only_done(&p.only, err));
	DS_GOTO(keep_done(s, err));
	ds_dsm_identity(p.r, &crc, &len);
	DS_GOTO(put_own_history(s, p.w, crc, len, err));
	DS_GOTO(ds_dsm_finish(p.w, err));
	rc = tell_end(&p.a, len, ds_sink_offset(sink), err);
out:
	ds_only_done(&p.only, NULL);
	ds_dsm_writer_free(p.w);
	ds_dsm_close(p.r);
	ds_pool_free(p.pool);
	ds_graph_free(p.g);
	ds_free(p.param);
	ds_free(p.weight);
	ds_free(p.piece);
	return rc;
}

/* ---- weights and activations: the whole model in memory ------------------------------------------------------------------------- */
/* Samples for the methods: bad items are told and left out; the content of all others is summed for the history. */
typedef struct feed {
	ds_samples *from;
	ds_progress *progress;
	int64_t     limit, given, bad;
	bool        summing;
	ds_sha256   sum;
	uint64_t    summed;
} feed;

static ds_status feed_next(void *arg, const ds_tensor **in, int *n_in, ds_err *err)
{
	feed *f = arg;
	ds_item item;
	while (f->given < f->limit) {
		bool bad = false;
		ds_status rc = f->from->next(f->from, &item, &bad, err);
		if (rc != DS_OK && !bad)
			return rc;
		if (bad) {
			if (f->summing) {
				ds_complain(err);
				f->bad++;
			}
			continue;
		}
		for (int i = 0; i < item.n_in && f->summing; i++) {
			ds_sha256_add(&f->sum, item.in[i].data, ds_tensor_bytes(&item.in[i]));
			f->summed += ds_tensor_bytes(&item.in[i]);
		}
		ds_progress_at(f->progress, ++f->given, NULL);
		*in = item.in;
		*n_in = item.n_in;
		return DS_OK;
	}
	return DS_END;
}

/* The first pass is the one that is summed and complains. */
static ds_status feed_rewind(void *arg, ds_err *err)
{
	feed *f = arg;
	f->summing = f->summed == 0;
	f->given = 0;
	return f->summing ? DS_OK : f->from->rewind(f->from, err);
}

/* --only and --except choose layers by the name of the node or of its weight. */
typedef struct chooser { settings *s; ds_filterset only; bool asked; } chooser;

/* What --keep says, else the first and the last layer have 8 bits. */
static ds_qbits layer_bits(void *arg, const char *node, const char *weight, bool edge)
{
	chooser *c = arg;
	bool a = ds_only_match(&c->only, node), b = ds_only_match(&c->only, weight);
	bool chosen = c->s->c.only.n ? a || b : a && b;
	int bits = KEEP_F32;
	c->asked = true;
	bool by_weight = kept(c->s, weight, &bits), by_node = kept(c->s, node, &bits);
	if (!by_weight && !by_node)
		bits = edge ? W8A8 : c->s->bits;
	return chosen && bits != KEEP_F32 ? bit_count[bits] : (ds_qbits){ 0, 0 };
}

static double decibel(double signal, double noise)
{
	return noise > 0 ? 10 * log10(signal / noise) : HUGE_VAL;
}

static ds_status tell_layer(account *a, const ds_qlayer *l, ds_err *err)
{
	a->quantised++;
	a->weights += (double)l->stat.count;
	a->weight_bits += 8.0 * (double)l->stat.bytes;
	char bits[16], alone[48] = "";
	snprintf(bits, sizeof bits, "w%da%d", l->bits, l->in.bits ? l->in.bits : 8);
	if (l->out_sq > 0)
		snprintf(alone, sizeof alone, " output SQNR %.1f dB alone,", decibel(l->out_sq, l->out_err));
	if (l->in.scale > 0)
		ds_note("%s: %s, weight SQNR %.1f dB,%s input scale %.6g zero %d, %.4f %% clipped", l->node, bits, ds_qw_sqnr(&l->stat), alone,
			(double)l->in.scale, l->in.zero, 100 * l->clipped);
	else
		ds_note("%s: %s, weight SQNR %.1f dB, each row of the input with its own scale", l->node, bits, ds_qw_sqnr(&l->stat));
	if (!a->report)
		return DS_OK;
	ds_buf b = { 0 };
	ds_tnsr t = { .form.gran = DS_Q_ROW };
	ds_buf_str(&b, "{\"event\":\"layer\",\"layer\":");
	ds_text_json(&b, l->node, strlen(l->node));
	ds_buf_printf(&b, ",\"operator\":\"%s\",", l->op);
	weight_keys(&b, l->weight, bits, &t, &l->stat);
	ds_buf_str(&b, ",\"input_scale\":");
	json_number(&b, l->in.scale > 0 ? (double)l->in.scale : NAN);
	ds_buf_printf(&b, ",\"input_zero\":%d,\"input_clipped\":", l->in.zero);
	json_number(&b, l->clipped);
	ds_buf_str(&b, ",\"output_scale\":");
	json_number(&b, l->out.scale > 0 ? (double)l->out.scale : NAN);
	ds_buf_str(&b, ",\"output_mse_ratio\":");
	json_number(&b, l->out_sq > 0 ? l->out_err / l->out_sq : NAN);
	ds_buf_str(&b, ",\"output_sqnr_db\":");
	json_number(&b, decibel(l->out_sq, l->out_err));
	ds_buf_str(&b, "}\n");
	return report_line(a, &b, err);
}

/* The library's log under -v: lines `rewrite TAB node TAB what was done`. */
static void tell_log(ds_buf *log)
{
	for (char *s = log->data, *e; s && *s; s = e + 1) {
		if (!(e = strchr(s, '\n')))
			break;
		*e = 0;
		char *node = strchr(s, '\t'), *what = node ? strchr(node + 1, '\t') : NULL;
		if (what) {
			*node = *what = 0;
			ds_note("%s: %s: %s", node + 1, s, what + 1);
			continue;
		}
		if (node)
			*node = 0;
		ds_note("%s%s%s", s, node ? ": " : "", node ? node + 1 : "");
	}
	ds_buf_done(log);
}

/* auto: where depthwise convolutions are, whose channels differ most. */
static bool wants_equalizing(const settings *s, const ds_graph *g)
{
	for (int i = 0; i < g->n_node && s->equalize == 0; i++) {
		const ds_attr *group = ds_attr_find(g->node[i], "group");
		if (strcmp(g->node[i]->op_name, "Conv") == 0 && group && group->u.i > 1 && g->node[i]->in[1]->type.dim[1] == 1)
			return true;
	}
	return s->equalize == 1;
}

static ds_status calibrate(settings *s, ds_model *m, account *a, ds_sha256 *sum, uint64_t *summed, ds_err *err)
{
	ds_data_opts d = { .model = m, .n_path = 1, .path = &s->c.calibrate, .recursive = true, .threads = 1, .max_pixels = (uint64_t)1 << 27,
		.spread = s->max_samples };
	feed f = { .limit = s->max_samples };
	chooser ch = { .s = s };
	ds_buf log = { 0 };
	ds_qlayer *layer = NULL;
	int n = 0;
	ds_status rc;
	ds_sha256_init(&f.sum);
	DS_GOTO(ds_only_init(&ch.only, &s->c, err));
	DS_GOTO(ds_data_open(&f.from, &d, err));
	f.progress = ds_progress_new(&s->c, "calibration", f.from->count(f.from));
	ds_q8_opts o = { .range = s->rule, .weight_range = DS_RANGE_MINMAX, .equalize = wants_equalizing(s, m->graph), .bias_correct = !s->no_bias,
		.bits = layer_bits, .bits_arg = &ch, .fake = s->qat, .threads = (int)s->c.threads, .log = s->c.verbose ? &log : NULL,
		.local_error = s->c.verbose || s->c.report };
	ds_status done = ds_q_calibrated(m->graph, &o, &(ds_qsamples){ feed_next, feed_rewind, &f }, &layer, &n, err);
	/* patterns that choose nothing are told of first: they may be why there is nothing to do */
	if (ch.asked && (done == DS_OK || done == DS_E_INPUT)) {
		DS_GOTO(ds_only_done(&ch.only, err));
		DS_GOTO(keep_done(s, err));
	}
	DS_GOTO(done);
	tell_log(&log);
	for (int i = 0; i < n; i++)
		DS_GOTO(tell_layer(a, &layer[i], err));
	if (f.bad)
		ds_items_failed((uint64_t)f.bad, (uint64_t)(f.bad + f.given));
	a->tensors = m->graph->n_weight;
	*sum = f.sum;
	*summed = f.summed;
out:
	ds_only_done(&ch.only, NULL);
	ds_progress_free(f.progress);
	if (f.from)
		f.from->free(f.from);
	ds_buf_done(&log);
	ds_free(layer);
	return rc;
}

/* Fake quantisation to integers; each quantised weight is told of. */
static ds_status make_integers(settings *s, ds_model *m, account *a, ds_err *err)
{
	ds_buf log = { 0 };
	const ds_graph *g = m->graph;
	int lowered;
	ds_status rc = ds_q_export(m->graph, &lowered, s->c.verbose ? &log : NULL, err);
	tell_log(&log);
	for (int i = 0; rc == DS_OK && i < g->n_weight; i++) {
		const ds_value *v = g->weight[i];
		ds_qsize size;
		if (v->kind != DS_V_PARAM || !v->data.q)
			continue;
		rc = ds_qform_size(v->data.q, v->data.rank, v->data.dim, &size, err);
		ds_tnsr t = { .form = *v->data.q };
		ds_qw_stat st = { .count = ds_tensor_count(&v->data), .scales = size.scales, .bytes = size.total };
		st.bytes_in = (uint64_t)st.count * sizeof(float);
		if (rc == DS_OK)
			rc = tell_tensor(a, s, v->name, &t, &st, err);
	}
	for (int i = 0; rc == DS_OK && i < g->n_node; i++)
		if (strcmp(g->node[i]->op_name, "FakeQuantize") == 0)
			ds_warn("%s: its codes have no integer form; it stays", g->node[i]->name);
	a->tensors = g->n_weight;
	return rc;
}

static ds_status run_model(settings *s, ds_source **src, ds_sink *sink, ds_sink *report, ds_err *err)
{
	account a = { .report = report };
	ds_dsm_opts ro = { .memory_limit = s->c.memory_limit, .no_verify = s->c.no_verify };
	ds_dsm_wopts wo = { .compress = s->c.compress, .memory_limit = s->c.memory_limit };
	ds_source *in = *src;
	ds_model *m = NULL;
	ds_sha256 sum;
	uint64_t summed = 0;
	char hex[65], *external = NULL;
	*src = NULL;
	ds_status rc = ds_model_load(&m, in, &ro, err);
	if (rc != DS_OK)
		return rc;
	uint64_t before = m->id_len;
	DS_GOTO(trained(s) ? make_integers(s, m, &a, err) : calibrate(s, m, &a, &sum, &summed, err));
	if (!s->c.no_history && trained(s)) {
		DS_GOTO(ds_history_add(m, s->c.filter->name, s->c.effective, NULL, 0, NULL, err));
	} else if (!s->c.no_history) {
		ds_sha256_hex(&sum, hex);
		if (!(external = ds_history_external_sum("calibration", hex, summed))) {
			rc = ds_fail_nomem(err, 0);
			goto out;
		}
		const char *ext[1] = { external };
		DS_GOTO(ds_history_add(m, s->c.filter->name, s->c.effective, ext, 1, NULL, err));
	}
	DS_GOTO(ds_model_save(m, sink, &wo, err));
	rc = tell_end(&a, before, ds_sink_offset(sink), err);
out:
	ds_free(external);
	ds_model_free(m);
	return rc;
}

static ds_status run(void *v, ds_err *err)
{
	settings *s = v;
	ds_source *in = NULL;
	ds_sink *out = NULL, *report = NULL;
	ds_status rc;
	DS_GOTO(ds_open_output(&out, &s->c, true, err));
	DS_GOTO(ds_open_input(&in, &s->c, err));
	if (s->c.report)
		DS_GOTO(ds_sink_open(&report, s->c.report, err));
	DS_GOTO((calibrated(s) || trained(s) ? run_model : run_weights)(s, &in, out, report, err));
	rc = ds_sink_commit(out, err);
	out = NULL;
	if (rc == DS_OK && report) {
		rc = ds_sink_commit(report, err);
		report = NULL;
	}
out:
	ds_sink_abort(out);
	ds_sink_abort(report);
	ds_source_close(in);
	drop_keep(s);
	return rc;
}

static const ds_filter filter = {
	.name = "ds-quantize",
	.summary = "quantise the weights of a model, or weights and activations",
	.usage = "[option ...] [MODEL]",
	.examples = "$ ds-quantize --bits w8 < model.dsm > small.dsm\n"
		"$ ds-quantize --bits w4 --group 32 -v model.dsm -o small.dsm\n"
		"$ ds-quantize --bits w8a8 -c pictures/ model.dsm -o int8.dsm\n"
		"$ ds-quantize --qat --bits w4a4 -c pictures/ model.dsm -o qat.dsm\n"
		"$ ds-quantize --bits trained qat.dsm -o int4.dsm\n",
	.opts = opts,
	.common = DS_C_MODEL | DS_C_OUTPUT | DS_C_FORCE | DS_C_MEMORY | DS_C_MAP | DS_C_THREADS | DS_C_ONLY | DS_C_HISTORY | DS_C_COMPRESS | DS_C_CALIBRATE |
		DS_C_REPORT,
	.settings_size = sizeof(settings),
	.check = check,
	.run = run,
	.libraries = "zstd",
};

int main(int argc, char **argv)
{
	return ds_main(&filter, argc, argv);
}
