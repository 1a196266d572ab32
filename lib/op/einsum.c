/* einsum.c - Einsum (ONNX 12): sums of products over named axes; "..." stands for axes that are broadcast */
#include "draw.h"
#include "grad.h"
#include "nn.h"

#include <string.h>

struct attr { const char *equation; };

enum { MAX_TERMS = 8, MAX_LABELS = 32, DOTS = 52 };     /* labels: 52 letters, then the axes of "..." from the right */

/* What an equation says about inputs of given ranks. */
struct plan {
	int     terms, labels, out_labels;
	int     term_rank[MAX_TERMS], term[MAX_TERMS][DS_MAX_RANK];    /* label (index into the lists below) of each axis */
	int     out[DS_MAX_RANK];
	int     name[MAX_LABELS];
	int64_t dim[MAX_LABELS];
};

static int letter(char c) { return c >= 'a' && c <= 'z' ? c - 'a' : c >= 'A' && c <= 'Z' ? c - 'A' + 26 : -1; }

static int label(struct plan *p, int name)
{
	for (int i = 0; i < p->labels; i++)
		if (p->name[i] == name)
			return i;
	if (p->labels == MAX_LABELS)
		return -1;
	p->name[p->labels] = name;
	p->dim[p->labels] = 1;
	return p->labels++;
}

/* One term [s, e) into axes; `rank` -1: the output, whose dots stand for all axes that they stand for in the inputs. */
static ds_status term(const ds_node *n, struct plan *p, const char *s, const char *e, int rank, int dots, int *axis, int *count, ds_err *err)
{
	int letters = 0, k = 0;

	for (const char *c = s; c < e; c++)
		letters += letter(*c) >= 0;
	for (const char *c = s; c < e; c++) {
		int first = letter(*c), many = 1;

		if (*c == ' ')
			continue;
		if (first < 0) {
			if (e - c < 3 || memcmp(c, "...", 3) != 0)
				return ds_fail(err, DS_E_INPUT, "%s: equation \"%s\"", n->op_name, DS_A(struct attr, n)->equation);
			c += 2;
			many = rank < 0 ? dots : rank - letters;
			first = DOTS + many - 1;
		}
		for (int i = 0; i < many; i++) {
			if (k == DS_MAX_RANK || (axis[k++] = label(p, first - i)) < 0)
				return ds_fail(err, DS_E_UNSUPPORTED, "%s: too many axes", n->op_name);
		}
	}
	if (rank >= 0 && k != rank)
		return ds_fail(err, DS_E_INPUT, "%s: \"%s\" for an input of rank %d", n->op_name, DS_A(struct attr, n)->equation, rank);
	*count = k;
	return DS_OK;
}

static int by_name(const struct plan *p, int from, int *out)
{
	int n = 0;

	/* without "->": the dots, then every letter that stands once, in alphabetical order (capitals first) */
	for (int name = DOTS + DS_MAX_RANK; name-- > DOTS;)
		for (int i = 0; i < from; i++)
			if (p->name[i] == name && n < DS_MAX_RANK)
				out[n++] = i;
	for (int k = 0; k < 52; k++) {
		int name = k < 26 ? 26 + k : k - 26, seen = 0, at = -1;

		for (int t = 0; t < p->terms; t++)
			for (int d = 0; d < p->term_rank[t]; d++)
				if (p->name[p->term[t][d]] == name) {
					seen++;
					at = p->term[t][d];
				}
		if (seen == 1 && n < DS_MAX_RANK)
			out[n++] = at;
	}
	return n;
}

static ds_status read_equation(const ds_node *n, const ds_type *in, struct plan *p, ds_err *err)
{
	const char *s = DS_A(struct attr, n)->equation, *arrow = strstr(s, "->"), *end = arrow ? arrow : s + strlen(s);
	int dots = 0;

	memset(p, 0, sizeof *p);
	while (p->terms < n->n_in && p->terms < MAX_TERMS) {
		const char *e = memchr(s, ',', (size_t)(end - s));
		int t = p->terms++;

		e = e ? e : end;
		DS_TRY(term(n, p, s, e, in[t].rank, 0, p->term[t], &p->term_rank[t], err));
		for (int d = 0; d < in[t].rank; d++) {
			int64_t *dim = &p->dim[p->term[t][d]], v = in[t].dim[d];

			if (p->name[p->term[t][d]] >= DOTS)
				dots = DS_MAX(dots, p->name[p->term[t][d]] - DOTS + 1);
			if (*dim == 1 || *dim == v)
				*dim = v;
			else if (v < 0 || *dim < 0)
				*dim = v > 1 ? v : *dim;
			else if (v != 1)
				return ds_fail(err, DS_E_INPUT, "%s: an axis has %lld and %lld", n->op_name, (long long)*dim, (long long)v);
		}
		if (e == end) {
			s = end;
			break;
		}
		s = e + 1;
	}
	if (p->terms != n->n_in || s != end)
		return ds_fail(err, n->n_in > MAX_TERMS ? DS_E_UNSUPPORTED : DS_E_INPUT, "%s: \"%s\" for %d inputs", n->op_name,
			DS_A(struct attr, n)->equation, n->n_in);
	if (!arrow) {
		p->out_labels = by_name(p, p->labels, p->out);
		return DS_OK;
	}
	int known = p->labels;

	DS_TRY(term(n, p, arrow + 2, arrow + strlen(arrow), -1, dots, p->out, &p->out_labels, err));
	return p->labels == known ? DS_OK : ds_fail(err, DS_E_INPUT, "%s: the result has an axis that no input has", n->op_name);
}

struct job {
	const ds_node *n;
	const struct plan *p;
	int64_t stride[MAX_TERMS][MAX_LABELS], inner;
	int     order[MAX_LABELS];      /* labels: those of the result, then those that are summed over */
	const ds_tensor *const *in;
	ds_tensor *out;
};

/* Elements [i0, i1) of the result; sums run over the other labels in the order in which the equation names them. */
static void run(void *arg, int64_t i0, int64_t i1, int worker)
{
	const struct job *j = arg;
	const struct plan *p = j->p;
	bool f32 = j->out->dtype == DS_F32;

	(void)worker;
	for (int64_t o = i0; o < i1; o++) {
		int64_t base[MAX_TERMS] = { 0 }, rest = o;
		double sum = 0;

		for (int k = p->out_labels - 1; k >= 0; k--) {
			int64_t d = p->dim[j->order[k]], at = rest % d;

			rest /= d;
			for (int t = 0; t < p->terms; t++)
				base[t] += at * j->stride[t][j->order[k]];
		}
		for (int64_t i = 0; i < j->inner; i++) {
			int64_t off[MAX_TERMS];
			double v = 1;

			memcpy(off, base, sizeof off);
			rest = i;
			for (int k = p->labels - 1; k >= p->out_labels; k--) {
				int64_t d = p->dim[j->order[k]], at = rest % d;

				rest /= d;
				for (int t = 0; t < p->terms; t++)
					off[t] += at * j->stride[t][j->order[k]];
			}
			for (int t = 0; t < p->terms; t++)
				v *= f32 ? (double)((const float *)j->in[t]->data)[off[t]] : ds_tensor_f64(j->in[t], off[t]);
			sum += v;
		}
		if (f32)
			((float *)j->out->data)[o] = (float)sum;
		else if (j->out->dtype == DS_F64)
			((double *)j->out->data)[o] = sum;
		else
			ds_convert((char *)j->out->data + (size_t)o * ds_dtype_size(j->out->dtype), j->out->dtype, &sum, DS_F64, 1, NULL);
	}
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_type type[MAX_TERMS];
	struct plan p;
	struct job j = { .n = n, .p = &p, .inner = 1, .in = in, .out = out[0] };
	int64_t count = ds_tensor_count(out[0]);
	int k;

	for (int t = 0; t < n->n_in && t < MAX_TERMS; t++)
		type[t] = ds_type_of(in[t]);
	DS_TRY(read_equation(n, type, &p, err));
	for (int t = 0; t < p.terms; t++) {
		int64_t step = 1;

		/* an axis of extent 1 is broadcast; a label that stands twice walks the diagonal */
		for (int d = p.term_rank[t] - 1; d >= 0; d--) {
			j.stride[t][p.term[t][d]] += in[t]->dim[d] == 1 ? 0 : step;
			step *= in[t]->dim[d];
		}
	}
	for (k = 0; k < p.out_labels; k++)
		j.order[k] = p.out[k];
	for (int l = 0; l < p.labels; l++) {
		bool used = false;

		for (int i = 0; i < p.out_labels; i++)
			used |= p.out[i] == l;
		if (!used) {
			j.order[k++] = l;
			if (ds_mul_over(j.inner, p.dim[l], &j.inner))
				return ds_fail(err, DS_E_UNSUPPORTED, "%s: too many products", n->op_name);
		}
	}
	ds_nn_for(env->pool, count, ds_nn_grain(count, 8 * (double)j.inner), run, &j);
	return DS_OK;
}

static ds_status infer(const ds_node *n, const ds_arg *in, ds_type *out, ds_err *err)
{
	ds_type type[MAX_TERMS];
	struct plan p;

	out[0] = (ds_type){ in[0].type.dtype, -1, { 0 } };
	for (int t = 0; t < n->n_in && t < MAX_TERMS; t++) {
		type[t] = in[t].type;
		if (type[t].rank < 0)
			return DS_OK;
		if (type[t].dtype != out[0].dtype || type[t].dtype > DS_BOOL)
			return ds_fail(err, DS_E_INPUT, "%s: element types differ", n->op_name);
	}
	DS_TRY(read_equation(n, type, &p, err));
	out[0].rank = (int8_t)p.out_labels;
	for (int i = 0; i < p.out_labels; i++)
		out[0].dim[i] = p.dim[p.out[i]];
	return DS_OK;
}

static void cost(const ds_node *n, const ds_arg *in, const ds_type *out, ds_cost *c)
{
	ds_type type[MAX_TERMS];
	struct plan p;
	double count = 1, bytes = (double)ds_type_count(&out[0]);

	for (int t = 0; t < n->n_in && t < MAX_TERMS; t++) {
		type[t] = in[t].type;
		bytes += (double)ds_type_count(&in[t].type);
	}
	if (read_equation(n, type, &p, NULL) == DS_OK)
		for (int l = 0; l < p.labels; l++)
			count *= (double)p.dim[l];
	*c = (ds_cost){ .macs = n->n_in > 1 ? count : 0, .flops = n->n_in > 1 ? 0 : count, .act_bytes = bytes * (double)ds_dtype_size(out[0].dtype) };
}

/* ---- gradient: every input's is an Einsum of dout and the other inputs --------------------------------------------------------------- */

static char name_of(int label) { return (char)(label < 26 ? 'a' + label : 'A' + label - 26); }

static int spell(char *to, const int *label, int n)
{
	for (int i = 0; i < n; i++)
		to[i] = name_of(label[i]);
	return n;
}

static bool has(const int *label, int n, int l)
{
	for (int i = 0; i < n; i++)
		if (label[i] == l)
			return true;
	return false;
}

/* A mask of ones where the indices of axes a and b of a tensor of type t agree. */
static ds_value *diagonal(ds_emit *e, ds_value *v, const ds_type *t, int a, int b)
{
	ds_value *side[2];

	for (int k = 0; k < 2; k++) {
		ds_type line = { .dtype = DS_I64, .rank = t->rank };

		for (int i = 0; i < t->rank; i++)
			line.dim[i] = i == (k ? b : a) ? t->dim[a] : 1;
		side[k] = ds_emit3(e, "Range", ds_emit_i64(e, 0), ds_emit_i64(e, t->dim[a]), ds_emit_i64(e, 1));
		side[k] = ds_emit_reshape(e, side[k], &line);
	}
	return ds_emit3(e, "Where", ds_emit2(e, "Equal", side[0], side[1]), v, ds_emit_scalar(e, t->dtype, 0));
}

/* What Einsum gives for the labels of term t that others have; the others get extent 1 and are repeated, and where a label stands twice only the diagonal stays. */
static ds_value *term_gradient(ds_emit *e, const ds_node *n, const struct plan *p, int t, ds_value *dout)
{
	ds_value *in[MAX_TERMS + 1], *v;
	int known[MAX_LABELS], kept[DS_MAX_RANK], first[MAX_LABELS], terms = 0, n_known = 0, n_kept = 0, at = 0;
	char equation[(MAX_TERMS + 2) * (DS_MAX_RANK + 2)];
	ds_type wide = n->in[t]->type, thin = wide;

	memset(first, -1, sizeof first);
	at += spell(equation + at, p->out, p->out_labels);
	for (int k = 0; k < p->out_labels; k++)
		known[n_known++] = p->out[k];
	in[terms++] = dout;
	for (int o = 0; o < p->terms; o++) {
		if (o == t)
			continue;
		equation[at++] = ',';
		at += spell(equation + at, p->term[o], p->term_rank[o]);
		for (int d = 0; d < p->term_rank[o]; d++)
			if (!has(known, n_known, p->term[o][d]))
				known[n_known++] = p->term[o][d];
		in[terms++] = n->in[o];
	}
	for (int d = 0; d < p->term_rank[t]; d++) {
		int l = p->term[t][d];
		bool again = first[l] >= 0;

		wide.dim[d] = p->dim[l];
		thin.dim[d] = 1;
		if (!again) {
			first[l] = d;
			if (has(known, n_known, l)) {
				kept[n_kept++] = l;
				thin.dim[d] = p->dim[l];
			}
		}
	}
	equation[at++] = '-';
	equation[at++] = '>';
	at += spell(equation + at, kept, n_kept);
	equation[at] = 0;
	v = ds_emit_op(e, "Einsum", terms, in);
	ds_emit_s(e, v, "equation", equation);
	v = ds_emit_expand(e, ds_emit_reshape(e, v, &thin), &wide);
	for (int d = 0; d < p->term_rank[t]; d++)
		if (first[p->term[t][d]] != d)
			v = diagonal(e, v, &wide, first[p->term[t][d]], d);
	return ds_emit_reduce_to(e, v, &wide, &n->in[t]->type);
}

static ds_status gradient(ds_graph *g, const ds_node *n, ds_value *const *dout, ds_value **din, ds_err *err)
{
	ds_emit e = ds_emit_begin(g, err);
	ds_type type[MAX_TERMS];
	struct plan p;

	for (int t = 0; t < n->n_in && t < MAX_TERMS; t++)
		type[t] = n->in[t]->type;
	DS_TRY(read_equation(n, type, &p, err));
	for (int t = 0; t < p.terms; t++)
		din[t] = term_gradient(&e, n, &p, t, dout[0]);
	return ds_emit_end(&e);
}

static ds_status sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const struct { const char *equation; int n, rank[2]; int64_t dim[2][4]; } rows[] = {
		{ "bij,bjk->bik", 2, { 3, 3 }, { { 2, 3, 4 }, { 2, 4, 5 } } },
		{ "...ii->...i", 1, { 3 }, { { 3, 5, 5 } } },
		{ "ij->ji", 1, { 2 }, { { 3, 4 } } },
		{ "i,i", 2, { 1, 1 }, { { 7 }, { 7 } } },
		{ "bhqd,bhkd->bhqk", 2, { 4, 4 }, { { 2, 3, 4, 5 }, { 2, 3, 6, 5 } } },
		{ "...ij,jk", 2, { 4, 2 }, { { 2, 1, 3, 4 }, { 4, 2 } } },
	};
	static const ds_dtype types[] = { DS_F32, DS_F64, DS_I32, DS_F16 };
	size_t k = seed % DS_COUNTOF(rows);
	ds_draw s = ds_draw_begin(g, seed);
	ds_value *in[2] = { NULL, NULL };
	ds_node *n;

	for (int i = 0; i < rows[k].n; i++)
		in[i] = ds_draw_input(&s, types[seed / 6 % 4], rows[k].rank[i], rows[k].dim[i]);
	n = ds_draw_node(&s, "Einsum", rows[k].n, in, 1);
	ds_draw_s(&s, n, "equation", rows[k].equation);
	return ds_draw_end(&s, n, err);
}

static const ds_opt attrs[] = {
	{ .name = "equation", .type = DS_T_STR, .flags = DS_OPT_REQUIRED, .offset = offsetof(struct attr, equation), .help = "Axes of the inputs and of the result" },
	{ 0 }
};

const ds_op ds_op_Einsum = {
	.name = "Einsum", .domain = "", .min_in = 1, .max_in = -1, .min_out = 1, .max_out = 1, .attr_size = sizeof(struct attr), .attrs = attrs,
	.infer = infer, .forward = forward, .cost = cost, .gradient = gradient, .sample = sample,
};
