/* ds-distill.c - train a model to do what a teacher does */
#include "base/str.h"
#include "fitting.h"
#include "format/dsm.h"
#include "format/logits.h"
#include "train/distill.h"

typedef struct settings {
	ds_common    c;
	ds_fit_words fit;
	const char  *teacher, *logits, *method;
	double       temperature, alpha, beta, match_weight;
	ds_strs      match;
} settings;

#define AT(member) offsetof(settings, member)
#define FIT(member) offsetof(settings, fit.member)
static const ds_opt opts[] = {
	{ .name = "", .type = DS_T_GROUP, .help = "The teacher" },
	{ .name = "teacher", .letter = 't', .type = DS_T_STR, .flags = DS_OPT_NO_HIST, .offset = AT(teacher), .metavar = "MODEL",
		.help = "the model whose outputs are learned; it sees the same samples" },
	{ .name = "logits", .type = DS_T_STR, .flags = DS_OPT_NO_HIST, .offset = AT(logits), .metavar = "FILE",
		.help = "instead, what it answered to the samples of --data, as ds-run --logits wrote it (- is standard input)" },
	{ .name = "method", .type = DS_T_STR, .offset = AT(method), .metavar = "NAME", .def = "kd",
		.help = "how logits are compared: kd, kd-ls, dkd, dist, reverse-kl or mse; none: only what --match says" },
	{ .name = "alpha", .type = DS_T_FLOAT, .offset = AT(alpha), .metavar = "A", .def = "0.9", .min = 0, .max = 1,
		.help = "share of the teacher in the loss, the labels have the rest; 1: no labels are needed" },
	{ .name = "temperature", .type = DS_T_FLOAT, .offset = AT(temperature), .metavar = "T", .def = "4", .min = 0.01, .max = 1000,
		.help = "logits are divided by T before they are compared" },
	{ .name = "beta", .type = DS_T_FLOAT, .offset = AT(beta), .metavar = "B", .def = "8", .min = 0, .max = 1000,
		.help = "dkd: weight of what the teacher says about the other classes" },
	{ .name = "match", .type = DS_T_LIST, .offset = AT(match), .metavar = "WHAT",
		.help = "compare inner values too: hidden:GLOB (values of these names in both models), hidden:NAME=NAME (student's and teacher's), attention (maps of "
			"where activations are large); may be given again" },
	{ .name = "match-weight", .type = DS_T_FLOAT, .offset = AT(match_weight), .metavar = "W", .def = "1", .min = 0, .max = 1e6,
		.help = "weight of each of these in the loss" },
#include "fit/options.def"
	{ 0 }
};

static bool wants_labels(const settings *s) { return s->alpha < 1 || (ds_distill_find(s->method) && ds_distill_find(s->method)->labels); }

static ds_status check(void *p, ds_err *err)
{
	settings *s = p;
	if (!s->c.data && !s->fit.stage)
		return ds_fail(err, DS_E_USAGE, "--data is missing: what are teacher and student to look at?");
	if (!s->teacher && !s->logits)
		return ds_fail(err, DS_E_USAGE, "neither --teacher nor --logits is there: from whom is the model to learn?");
	if (s->teacher && s->logits)
		return ds_fail(err, DS_E_USAGE, "--teacher and --logits exclude each other");
	bool stdin_taken = !strcmp(s->logits ? s->logits : s->teacher, "-");
	if (stdin_taken && (s->c.model ? !strcmp(s->c.model, "-") : !s->c.operand.n || !strcmp(s->c.operand.v[0], "-")))
		return ds_fail(err, DS_E_USAGE, "standard input cannot be both the student and what it learns from: name one of them");
	if (s->logits && s->match.n)
		return ds_fail(err, DS_E_USAGE, "--match needs --teacher: logits say nothing of inner values");
	if (s->logits && strcmp(s->method, "none") == 0)
		return ds_fail(err, DS_E_USAGE, "--logits with --method none: nothing of them would be learned");
	if (strcmp(s->method, "none") != 0 && !ds_distill_find(s->method))
		return ds_fail(err, DS_E_USAGE, "--method '%s' is none of kd, kd-ls, dkd, dist, reverse-kl, mse, none", s->method);
	if (strcmp(s->method, "none") == 0 && !s->match.n && s->alpha == 1)
		return ds_fail(err, DS_E_USAGE, "--method none with --alpha 1 and without --match leaves nothing to learn");
	for (int i = 0; i < s->match.n; i++)
		if (strncmp(s->match.v[i], "hidden:", 7) != 0 && strcmp(s->match.v[i], "attention") != 0)
			return ds_fail(err, DS_E_USAGE, "--match '%s' is neither hidden:GLOB nor attention", s->match.v[i]);
	return ds_fit_check(&s->fit, err);
}

/* ---- the teacher --------------------------------------------------------------------------------------------------------------------- */
enum { MATCHES = 256 };

typedef struct lesson {
	voice            v;             /* first: the hooks of fitting.h get the lesson */
	settings        *s;
	ds_logits       *logits;        /* what the teacher answered, or */
	ds_model        *teacher;       /* the teacher */
	ds_graph        *g;             /* the teacher's graph, with what is compared as outputs */
	ds_session      *session;
	ds_tensor       *out;
	const ds_graph  *student;
	ds_distill_opts  o;
	ds_match         match[MATCHES];
	ds_value        *theirs[MATCHES];
} lesson;

static ds_value *find(const ds_graph *g, const char *name)
{
	for (int i = 0; i < g->n_node; i++)
		for (int k = 0; k < g->node[i]->n_out; k++)
			if (g->node[i]->out[k]->name[0] && strcmp(g->node[i]->out[k]->name, name) == 0)
				return g->node[i]->out[k];
	return NULL;
}

static ds_status add(lesson *l, const char *student, ds_value *theirs, ds_match_how how, ds_err *err)
{
	if (l->o.n_match == MATCHES)
		return ds_fail(err, DS_E_USAGE, "--match finds more than %d values", MATCHES);
	l->theirs[l->o.n_match] = theirs;
	l->match[l->o.n_match++] = (ds_match){ .student = student, .how = how, .weight = l->s->match_weight };
	return DS_OK;
}

static ds_match_how how_of(const ds_value *a, const ds_value *b)
{
	return ds_type_same_dims(&a->type, &b->type) ? DS_MATCH_VALUES : DS_MATCH_SIMILARITY;
}

static ds_status match_hidden(lesson *l, const char *what, ds_err *err)
{
	const char *eq = strchr(what, '=');
	int before = l->o.n_match;
	for (int i = 0; i < l->student->n_node; i++)
		for (int k = 0; k < l->student->node[i]->n_out; k++) {
			ds_value *v = l->student->node[i]->out[k], *t = NULL;
			if (eq && strlen(v->name) == (size_t)(eq - what) && memcmp(v->name, what, (size_t)(eq - what)) == 0) {
				if (!(t = find(l->g, eq + 1)))
					return ds_fail(err, DS_E_USAGE, "--match: the teacher has no value '%s'", eq + 1);
			} else if (!eq && v->name[0] && ds_glob(what, v->name)) {
				t = find(l->g, v->name);
			}
			if (t)
				DS_TRY(add(l, v->name, t, how_of(v, t), err));
		}
	return l->o.n_match > before ? DS_OK : ds_fail(err, DS_E_USAGE, "--match 'hidden:%s' matches no value that student and teacher have", what);
}

/* The last map of every size, in both models. */
static ds_status match_attention(lesson *l, ds_err *err)
{
	int before = l->o.n_match;
	for (int i = 0; i < l->student->n_node; i++) {
		ds_value *v = l->student->node[i]->out[0], *t = NULL;
		bool last = v->type.rank == 4 && v->type.dim[2] > 1 && v->name[0];
		for (int k = i + 1; last && k < l->student->n_node; k++) {
			const ds_type *later = &l->student->node[k]->out[0]->type;
			last = !(later->rank == 4 && later->dim[2] == v->type.dim[2] && later->dim[3] == v->type.dim[3]);
		}
		for (int k = 0; last && k < l->g->n_node; k++) {
			ds_value *u = l->g->node[k]->out[0];
			if (u->type.rank == 4 && u->type.dim[2] == v->type.dim[2] && u->type.dim[3] == v->type.dim[3])
				t = u;
		}
		if (t)
			DS_TRY(add(l, v->name, t, DS_MATCH_ATTENTION, err));
	}
	return l->o.n_match > before ? DS_OK : ds_fail(err, DS_E_USAGE, "--match attention: student and teacher have no maps of the same size");
}

/* A copy of the teacher's graph: its outputs will be what is compared. */
static ds_status take_graph(lesson *l, ds_err *err)
{
	ds_graph_free(l->g);
	l->g = ds_graph_clone(l->teacher->graph);
	return l->g ? DS_OK : ds_fail_nomem(err, 0);
}

/* Open the teacher once the shapes of a batch are known. */
static ds_status enrol(lesson *l, const ds_minibatch *b, ds_type *extra, ds_err *err)
{
	ds_type in[64];
	ds_graph *student = NULL;
	ds_status rc = DS_OK;
	int n = 0;
	if (b->n_in > (int)DS_COUNTOF(in))
		return ds_fail(err, DS_E_UNSUPPORTED, "a model with %d inputs", b->n_in);
	for (int i = 0; i < b->n_in; i++)
		in[i] = ds_type_of(&b->in[i]);
	DS_TRY(take_graph(l, err));
	rc = ds_graph_bind(l->g, in, b->n_in, NULL, err);
	if (rc != DS_OK) {
		ds_err_prefix(err, "the teacher does not take the student's inputs");
		return rc;
	}
	student = ds_graph_clone(l->student);
	if (!student)
		return ds_fail_nomem(err, 0);
	const ds_graph *keep = l->student;
	l->student = student;           /* for its types at these shapes */
	DS_GOTO(ds_graph_bind(student, in, b->n_in, NULL, err));
	l->o.n_match = 0;
	for (int i = 0; i < l->s->match.n; i++) {
		const char *what = l->s->match.v[i];
		DS_GOTO(what[0] == 'h' ? match_hidden(l, what + 7, err) : match_attention(l, err));
	}
	ds_value *first = l->g->n_output ? ds_train_logits(l->g->output[0]) : NULL;
	l->g->n_output = 0;
	if (l->o.method)
		extra[n++] = first->type;
	if (l->o.method && ds_graph_output(l->g, first) != DS_OK)
		rc = ds_fail_nomem(err, 0);
	for (int i = 0; rc == DS_OK && i < l->o.n_match; i++) {
		l->match[i].teacher = extra[n++] = l->theirs[i]->type;
		l->match[i].student = find(keep, l->match[i].student)->name;    /* the clone goes */
		if (ds_graph_output(l->g, l->theirs[i]) != DS_OK)
			rc = ds_fail_nomem(err, 0);
	}
	if (rc != DS_OK)
		goto out;
	l->out = ds_calloc((size_t)n + 1, sizeof *l->out);
	if (!l->out)
		rc = ds_fail_nomem(err, 0);
	else
		rc = ds_session_new_opts(&l->session, l->g, &(ds_session_opts){ .threads = (int)l->s->c.threads }, err);
out:
	l->student = keep;
	ds_graph_free(student);
	return rc;
}

/* ---- its answers, made once -------------------------------------------------------------------------------------------------------- */
/* The data of every stage have to be those that the answers were made from: as many, at least. */
static ds_status opened(void *arg, const ds_trainset *set, ds_err *err)
{
	const lesson *l = arg;
	int64_t n = ds_trainset_items(set) + ds_trainset_held(set) + ds_trainset_bad(set);
	if (!l->logits || n == l->logits->items)
		return DS_OK;
	return ds_fail(err, DS_E_INPUT, "%s has the answers to %lld samples, --data has %lld: make them from the same data", l->s->logits,
		(long long)l->logits->items, (long long)n);
}

/* The type of the student's logits: the answers have to be of its dims. */
static ds_status answers_type(const lesson *l, const ds_minibatch *b, ds_type *t, ds_err *err)
{
	ds_type in[64];
	ds_graph *g;
	ds_status rc = DS_OK;
	if (b->n_in > (int)DS_COUNTOF(in))
		return ds_fail(err, DS_E_UNSUPPORTED, "a model with %d inputs", b->n_in);
	for (int i = 0; i < b->n_in; i++)
		in[i] = ds_type_of(&b->in[i]);
	if (!(g = ds_graph_clone(l->student)))
		return ds_fail_nomem(err, 0);
	DS_GOTO(ds_graph_bind(g, in, b->n_in, NULL, err));
	*t = ds_train_logits(g->output[0])->type;
	t->dtype = DS_F32;
	int axis = t->rank <= 3 ? t->rank - 1 : 1;
	int64_t classes = t->rank > 0 ? t->dim[axis] : 0, n = ds_type_count(t);
	for (int i = axis + 1; i < t->rank; i++) {
		if (t->dim[i] != 1)
			DS_GOTO(ds_fail(err, DS_E_UNSUPPORTED, "--logits for a student with classes of every place of a map: use --teacher"));
	}
	if (classes != l->logits->classes)
		rc = ds_fail(err, DS_E_INPUT, "%s is about %lld classes, the student has %lld", l->s->logits, (long long)l->logits->classes, (long long)classes);
	else if (n != b->n * l->logits->positions * classes)
		rc = ds_fail(err, DS_E_INPUT, "%s has %lld answers to each sample, the student gives %lld", l->s->logits, (long long)l->logits->positions,
			(long long)(n / (b->n * classes)));
out:
	ds_graph_free(g);
	return rc;
}

static ds_status look_up(const lesson *l, const ds_minibatch *b, ds_tensor *t, ds_err *err)
{
	int64_t per = l->logits->positions * l->logits->classes;
	for (int64_t i = 0; i < b->n; i++) {
		ds_status rc = ds_logits_get(l->logits, b->number[i], (float *)t->data + i * per, err);
		if (rc != DS_OK) {
			ds_err_in(err, l->s->logits);
			return rc;
		}
	}
	return DS_OK;
}

/* ---- what a batch brings ------------------------------------------------------------------------------------------------------------- */
static void forget(lesson *l)
{
	ds_session_free(l->session);
	l->session = NULL;
	if (l->logits && l->out)
		ds_tensor_done(l->out);
	ds_free(l->out);
	l->out = NULL;
}

static ds_status extra_types(void *arg, const ds_minibatch *b, ds_type *extra, ds_err *err)
{
	lesson *l = arg;
	forget(l);                      /* a stage before may have had other shapes */
	if (!l->logits)
		return enrol(l, b, extra, err);
	DS_TRY(answers_type(l, b, extra, err));
	if (!(l->out = ds_calloc(1, sizeof *l->out)))
		return ds_fail_nomem(err, sizeof *l->out);
	return ds_tensor_new(l->out, DS_F32, extra->rank, extra->dim, err);
}

static ds_status extra(void *arg, const ds_minibatch *b, ds_tensor *extra, ds_err *err)
{
	lesson *l = arg;
	if (l->logits) {
		DS_TRY(look_up(l, b, l->out, err));
		*extra = *l->out;
		return DS_OK;
	}
	DS_TRY(ds_session_run_view(l->session, b->in, b->n_in, l->out, l->g->n_output, err));
	memcpy(extra, l->out, sizeof *extra * (size_t)l->g->n_output);
	return DS_OK;
}

static ds_status head(void *arg, const ds_head *h, ds_value **loss, ds_err *err)
{
	lesson *l = arg;
	return ds_distill_head(&l->o, h, loss, err);
}

/* How many values of the teacher the loss reads: as many as enrol will find. */
static ds_status count_extra(lesson *l, int *n, ds_err *err)
{
	ds_graph *student = ds_graph_clone(l->student);
	ds_status rc = student ? DS_OK : ds_fail_nomem(err, 0);
	const ds_graph *keep = l->student;
	if (rc == DS_OK)
		rc = take_graph(l, err);
	if (rc == DS_OK) {
		l->student = student;
		rc = ds_graph_infer(student, err);
	}
	if (rc == DS_OK)
		rc = ds_graph_infer(l->g, err);
	for (int i = 0; rc == DS_OK && i < l->s->match.n; i++)
		rc = l->s->match.v[i][0] == 'h' ? match_hidden(l, l->s->match.v[i] + 7, err) : match_attention(l, err);
	*n = l->o.n_match + (l->o.method != NULL);
	l->student = keep;
	ds_graph_free(student);
	return rc;
}

/* ---- the work ------------------------------------------------------------------------------------------------------------------------ */
static ds_status read_model(ds_model **m, settings *s, ds_source *in, ds_err *err)
{
	return ds_model_load(m, in, &(ds_dsm_opts){ .memory_limit = s->c.memory_limit, .no_verify = s->c.no_verify }, err);
}

/* The teacher by its identity. */
static void who(const lesson *l, char *text, size_t n)
{
	uint32_t crc = l->logits ? l->logits->id_crc : l->teacher->id_crc;
	uint64_t len = l->logits ? l->logits->id_len : l->teacher->id_len;
	snprintf(text, n, "%s %08x:%llu", l->logits ? "logits" : "teacher", (unsigned)crc, (unsigned long long)len);
}

static ds_status run(void *p, ds_err *err)
{
	settings *s = p;
	lesson l = { .v = { .c = &s->c, .total = -1 }, .s = s, .o = { .method = ds_distill_find(s->method), .temperature = s->temperature, .alpha = s->alpha, .beta = s->beta } };
	ds_source *in = NULL;
	ds_sink *out = NULL;
	ds_model *m = NULL;
	ds_fit_result r = { 0 };
	ds_status rc;
	int n_extra = 0;
	stages t = { 0 };
	ds_buf settled = { 0 };         /* the settings that a checkpoint goes with, the teacher among them */
	char name[80];
	const ds_loss *labels = wants_labels(s) ? ds_loss_find(s->fit.loss ? s->fit.loss : "cross-entropy") : NULL;
	l.o.match = l.match;
	l.o.loss = s->alpha < 1 ? labels : NULL;
	l.o.loss_opts = (ds_loss_opts){ .smoothing = s->fit.smoothing, .delta = s->fit.delta, .temperature = 1 };
	DS_GOTO(ds_open_output(&out, &s->c, true, err));
	DS_GOTO(plan_stages(&s->c, &s->fit, opts, offsetof(settings, fit), &t, err));
	DS_GOTO(ds_open_input(&in, &s->c, err));
	rc = read_model(&m, s, in, err);
	in = NULL;
	if (rc != DS_OK)
		goto out;
	DS_GOTO(ds_open_file(&in, &s->c, s->logits ? s->logits : s->teacher, err));
	rc = s->logits ? ds_logits_load(&l.logits, in, &(ds_dsm_opts){ .memory_limit = s->c.memory_limit / 4, .no_verify = s->c.no_verify }, err) :
		read_model(&l.teacher, s, in, err);
	in = NULL;
	if (rc != DS_OK) {
		ds_err_in(err, s->logits ? s->logits : s->teacher);
		goto out;
	}
	l.student = m->graph;
	who(&l, name, sizeof name);
	ds_buf_printf(&settled, "%s%s\n", t.effective.data, name);
	if (settled.oom)
		DS_GOTO(ds_fail_nomem(err, settled.len));
	n_extra = 1;
	if (l.teacher)
		DS_GOTO(count_extra(&l, &n_extra, err));
	ds_fit_opts o = { .stage = t.stage, .n_stage = t.n, .report = s->c.report, .filter = s->c.filter->name, .label = s->c.output,
		.effective = settled.data, .seed = (uint64_t)s->c.seed, .threads = (int)s->c.threads,
		.memory_limit = s->c.memory_limit, .hook = { .arg = &l, .bad = say_bad, .note = say_note, .warn = say_warn, .progress = say_progress, .head = head,
		.head_target = labels ? labels->target : DS_TARGET_NONE, .opened = opened, .n_extra = n_extra, .extra_types = extra_types, .extra = extra } };
	DS_GOTO(ds_fit_run(m, &o, &r, err));
	say_result(&r);
	DS_GOTO(write_trained(&s->c, m, name, &r, stages_text(&t, &s->c), out, err));
	rc = ds_sink_commit(out, err);
	out = NULL;
	if (r.bad)
		ds_items_failed(r.bad, r.items);
out:
	ds_progress_free(l.v.bar);
	say_bad_sum(&l.v);
	stages_done(&t);
	ds_buf_done(&settled);
	forget(&l);
	ds_graph_free(l.g);
	ds_logits_free(l.logits);
	ds_fit_result_done(&r);
	ds_sink_abort(out);
	ds_source_close(in);
	ds_model_free(l.teacher);
	ds_model_free(m);
	return rc;
}

static const ds_filter filter = {
	.name = "ds-distill",
	.summary = "train a model to do what a teacher does",
	.usage = "[option ...] -t MODEL -d PATH [MODEL]",
	.examples = "$ ds-distill -t teacher.dsm -d train/ --epochs 20 student.dsm -o taught.dsm\n"
		"$ ds-distill -t teacher.dsm -d photos/ --alpha 1 < cut.dsm > healed.dsm\n",
	.opts = opts,
	.common = DS_C_MODEL | DS_C_OUTPUT | DS_C_FORCE | DS_C_MEMORY | DS_C_MAP | DS_C_THREADS | DS_C_SEED | DS_C_HISTORY | DS_C_DATA | DS_C_REPORT | DS_C_COMPRESS,
	.settings_size = sizeof(settings),
	.check = check,
	.run = run,
	.libraries = "libpng zstd",
};

int main(int argc, char **argv)
{
	return ds_main(&filter, argc, argv);
}
