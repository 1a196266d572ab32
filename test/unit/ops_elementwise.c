/* ops_elementwise.c - what operators answer at the edges: integer overflow and division by zero, NaN and infinities, rounding, broadcasting, positions
 *
 * Each case is a line: an operator, its attributes, inputs and the output expected, written out as numbers. */
#include "../../lib/graph/op.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX = 16 };

typedef struct plain { ds_dtype dtype; int rank; int64_t dim[4]; int n; double v[MAX]; } plain;   /* dtype DS_NONE: absent */
typedef struct attr { const char *key; char type; double v; const char *s; int n; int64_t is[4]; } attr;
typedef struct testcase { const char *name, *op; attr attr[3]; plain in[5], out; bool fails; } testcase;

#define V(dtype, n, ...) { DS_##dtype, 1, { n }, n, { __VA_ARGS__ } }
#define S(dtype, x) { DS_##dtype, 0, { 0 }, 1, { x } }
#define M(dtype, r, c, ...) { DS_##dtype, 2, { r, c }, (r) * (c), { __VA_ARGS__ } }

static const testcase cases[] = {
	{ "add wraps i8", "Add", { { 0 } }, { V(I8, 2, 127, -128), V(I8, 2, 1, -1) }, V(I8, 2, -128, 127), false },
	{ "add wraps i32", "Add", { { 0 } }, { V(I32, 1, 2147483647), S(I32, 1) }, V(I32, 1, -2147483648.0), false },
	{ "mul wraps u16", "Mul", { { 0 } }, { V(U16, 1, 65535), S(U16, 65535) }, V(U16, 1, 1), false },
	{ "div truncates", "Div", { { 0 } }, { V(I32, 4, 7, -7, 7, -7), V(I32, 4, 2, 2, -2, -2) }, V(I32, 4, 3, -3, -3, 3), false },
	{ "div by zero", "Div", { { 0 } }, { V(I64, 2, 5, -5), S(I64, 0) }, V(I64, 2, 0, 0), false },
	{ "div of the smallest", "Div", { { 0 } }, { V(I32, 1, -2147483648.0), S(I32, -1) }, V(I32, 1, -2147483648.0), false },
	{ "div u8", "Div", { { 0 } }, { V(U8, 3, 255, 7, 9), V(U8, 3, 255, 2, 0) }, V(U8, 3, 1, 3, 0), false },
	{ "div f32", "Div", { { 0 } }, { V(F32, 3, 1, -1, 0), V(F32, 3, 0, 0, 0) }, V(F32, 3, INFINITY, -INFINITY, NAN), false },
	{ "neg of the smallest", "Neg", { { 0 } }, { V(I8, 2, -128, 5) }, V(I8, 2, -128, -5), false },
	{ "abs of the smallest", "Abs", { { 0 } }, { V(I32, 2, -2147483648.0, -3) }, V(I32, 2, -2147483648.0, 3), false },
	{ "mod like python", "Mod", { { 0 } }, { V(I32, 4, 7, -7, 7, -7), V(I32, 4, 3, 3, -3, -3) }, V(I32, 4, 1, 2, -2, -1), false },
	{ "mod like C", "Mod", { { "fmod", 'i', 1 } }, { V(I32, 4, 7, -7, 7, -7), V(I32, 4, 3, 3, -3, -3) }, V(I32, 4, 1, -1, 1, -1), false },
	{ "mod by zero", "Mod", { { 0 } }, { V(I32, 2, 7, -2147483648.0), V(I32, 2, 0, -1) }, V(I32, 2, 0, 0), false },
	{ "mod f32", "Mod", { { "fmod", 'i', 1 } }, { V(F32, 2, 5.5, -5.5), S(F32, 2) }, V(F32, 2, 1.5, -1.5), false },
	{ "pow of integers", "Pow", { { 0 } }, { V(I64, 4, 2, -3, -1, 2), V(I64, 4, 10, 3, -3, -1) }, V(I64, 4, 1024, -27, -1, 0), false },
	{ "pow mixed", "Pow", { { 0 } }, { V(F32, 2, 2, 9), V(I32, 2, 3, 2) }, V(F32, 2, 8, 81), false },
	{ "pow half base", "Pow", { { 0 } }, { V(F16, 2, 2, 4), S(F32, 0.5) }, V(F16, 2, 1.4140625, 2), false },
	{ "max with NaN", "Max", { { 0 } }, { V(F32, 3, 1, NAN, 2), V(F32, 3, NAN, 1, 3) }, V(F32, 3, NAN, NAN, 3), false },
	{ "min of three", "Min", { { 0 } }, { V(I32, 2, 3, 4), S(I32, 2), V(I32, 2, 1, 9) }, V(I32, 2, 1, 2), false },
	{ "mean of three", "Mean", { { 0 } }, { V(F32, 2, 3, 4), S(F32, 2), V(F32, 2, 1, 9) }, V(F32, 2, 2, 5), false },
	{ "one input", "Sum", { { 0 } }, { V(F32, 2, 3, 4) }, V(F32, 2, 3, 4), false },
	{ "broadcast both", "Add", { { 0 } }, { M(F32, 2, 1, 10, 20), M(F32, 1, 3, 1, 2, 3) }, M(F32, 2, 3, 11, 12, 13, 21, 22, 23), false },
	{ "broadcast empty", "Add", { { 0 } }, { M(F32, 0, 3), M(F32, 1, 3, 1, 2, 3) }, M(F32, 0, 3), false },
	{ "no broadcast", "Add", { { 0 } }, { V(F32, 2, 1, 2), V(F32, 3, 1, 2, 3) }, V(F32, 1, 0), true },
	{ "types differ", "Add", { { 0 } }, { V(F32, 1, 1), V(F64, 1, 2) }, V(F32, 1, 0), true },
	{ "bool is no number", "Add", { { 0 } }, { V(BOOL, 1, 1), V(BOOL, 1, 1) }, V(BOOL, 1, 0), true },
	{ "half", "Add", { { 0 } }, { V(F16, 2, 1, 2048), V(F16, 2, 0.5, 1) }, V(F16, 2, 1.5, 2048), false },
	{ "bf16", "Mul", { { 0 } }, { V(BF16, 2, 1.5, 3), S(BF16, 2) }, V(BF16, 2, 3, 6), false },
	{ "half compare", "Less", { { 0 } }, { V(F16, 2, 1, 3), S(F16, 2) }, V(BOOL, 2, 1, 0), false },
	{ "equal with NaN", "Equal", { { 0 } }, { V(F32, 2, NAN, 1), V(F32, 2, NAN, 1) }, V(BOOL, 2, 0, 1), false },
	{ "u32 compare", "Greater", { { 0 } }, { V(U32, 1, 4294967295.0), S(U32, 1) }, V(BOOL, 1, 1), false },
	{ "truth is not 0", "Xor", { { 0 } }, { V(BOOL, 2, 1, 0), V(BOOL, 2, 1, 1) }, V(BOOL, 2, 0, 1), false },
	{ "shift too far", "BitShift", { { "direction", 's', 0, "LEFT" } }, { V(U8, 3, 1, 129, 1), V(U8, 3, 3, 1, 8) }, V(U8, 3, 8, 2, 0), false },
	{ "shift far", "BitShift", { { "direction", 's', 0, "RIGHT" } }, { V(U32, 2, 8, 8), V(U32, 2, 2, 200) }, V(U32, 2, 2, 0), false },
	{ "round to even", "Round", { { 0 } }, { V(F32, 5, 0.5, 1.5, 2.5, -0.5, -1.5) }, V(F32, 5, 0, 2, 2, 0, -2), false },
	{ "sign", "Sign", { { 0 } }, { V(F32, 4, -2, 0, 3, NAN) }, V(F32, 4, -1, 0, 1, NAN), false },
	{ "relu keeps NaN", "Relu", { { 0 } }, { V(F32, 3, -1, NAN, 2) }, V(F32, 3, 0, NAN, 2), false },
	{ "clip crossed", "Clip", { { 0 } }, { V(F32, 3, 0, 5, NAN), S(F32, 4), S(F32, 2) }, V(F32, 3, 2, 2, NAN), false },
	{ "clip i8 upper", "Clip", { { 0 } }, { V(I8, 3, -128, 0, 127), { 0 }, S(I8, 5) }, V(I8, 3, -128, 0, 5), false },
	{ "clip u64", "Clip", { { 0 } }, { V(U64, 2, 3, 9), S(U64, 5) }, V(U64, 2, 5, 9), false },
	{ "sigmoid ends", "Sigmoid", { { 0 } }, { V(F32, 4, -INFINITY, INFINITY, 0, NAN) }, V(F32, 4, 0, 1, 0.5, NAN), false },
	{ "softplus ends", "Softplus", { { 0 } }, { V(F32, 2, 200, -200) }, V(F32, 2, 200, 0), false },
	{ "hard sigmoid", "HardSigmoid", { { "alpha", 'f', 0.5 } }, { V(F32, 4, -9, 0, 9, NAN) }, V(F32, 4, 0, 0.5, 1, NAN), false },
	{ "isinf one side", "IsInf", { { "detect_negative", 'i', 0 } }, { V(F32, 3, INFINITY, -INFINITY, 1) }, V(BOOL, 3, 1, 0, 0), false },
	{ "where", "Where", { { 0 } }, { V(BOOL, 2, 1, 0), M(I64, 2, 1, 1, 2), S(I64, 9) }, M(I64, 2, 2, 1, 9, 2, 9), false },
	{ "where wants bool", "Where", { { 0 } }, { V(I32, 1, 1), V(F32, 1, 1), V(F32, 1, 1) }, V(F32, 1, 1), true },
	{ "cast truncates", "Cast", { { "to", 'i', 6 } }, { V(F32, 3, 2.9, -2.9, 0.5) }, V(I32, 3, 2, -2, 0), false },
	{ "cast to bool", "Cast", { { "to", 'i', 9 } }, { V(F32, 3, 0.25, 0, NAN) }, V(BOOL, 3, 1, 0, 1), false },
	{ "cast wraps", "Cast", { { "to", 'i', 3 } }, { V(I32, 2, 300, -129) }, V(I8, 2, 44, 127), false },
	{ "cast unknown", "Cast", { { "to", 'i', 8 } }, { V(I32, 1, 1) }, V(I32, 1, 1), true },
	{ "reshape infers", "Reshape", { { 0 } }, { M(F32, 2, 3, 1, 2, 3, 4, 5, 6), V(I64, 2, -1, 2) }, M(F32, 3, 2, 1, 2, 3, 4, 5, 6), false },
	{ "reshape copies", "Reshape", { { 0 } }, { M(F32, 2, 3, 1, 2, 3, 4, 5, 6), V(I64, 2, 0, -1) }, M(F32, 2, 3, 1, 2, 3, 4, 5, 6), false },
	{ "reshape cannot", "Reshape", { { 0 } }, { M(F32, 2, 3, 1, 2, 3, 4, 5, 6), V(I64, 2, 4, -1) }, V(F32, 1, 0), true },
	{ "reshape twice -1", "Reshape", { { 0 } }, { M(F32, 2, 3, 1, 2, 3, 4, 5, 6), V(I64, 2, -1, -1) }, V(F32, 1, 0), true },
	{ "slice of nothing", "Slice", { { 0 } }, { V(F32, 5, 0, 1, 2, 3, 4), V(I64, 1, -1), V(I64, 1, -100) }, V(F32, 0, 0), false },
	{ "slice backwards", "Slice", { { 0 } }, { V(F32, 5, 0, 1, 2, 3, 4), V(I64, 1, 9), V(I64, 1, -100), V(I64, 1, 0), V(I64, 1, -2) },
		V(F32, 3, 4, 2, 0), false },
	{ "slice of step 0", "Slice", { { 0 } }, { V(F32, 5, 0, 1, 2, 3, 4), V(I64, 1, 0), V(I64, 1, 5), V(I64, 1, 0), V(I64, 1, 0) }, V(F32, 1, 0), true },
	{ "slice clamps", "Slice", { { 0 } }, { V(F32, 5, 0, 1, 2, 3, 4), V(I64, 1, -3), V(I64, 1, 9223372036854775807.0) }, V(F32, 3, 2, 3, 4), false },
	{ "gather negative", "Gather", { { "axis", 'i', 1 } }, { M(F32, 2, 3, 1, 2, 3, 4, 5, 6), V(I64, 2, -1, 0) }, M(F32, 2, 2, 3, 1, 6, 4), false },
	{ "gather outside", "Gather", { { 0 } }, { V(F32, 3, 1, 2, 3), V(I64, 1, 3) }, V(F32, 1, 0), true },
	{ "pad reflect", "Pad", { { "mode", 's', 0, "reflect" } }, { V(F32, 3, 1, 2, 3), V(I64, 2, 2, 2) }, V(F32, 7, 3, 2, 1, 2, 3, 2, 1), false },
	{ "pad wrap", "Pad", { { "mode", 's', 0, "wrap" } }, { V(F32, 3, 1, 2, 3), V(I64, 2, 1, 4) }, V(F32, 8, 3, 1, 2, 3, 1, 2, 3, 1), false },
	{ "pad takes away", "Pad", { { 0 } }, { V(F32, 3, 1, 2, 3), V(I64, 2, -1, 1), S(F32, 7) }, V(F32, 3, 2, 3, 7), false },
	{ "pad too much away", "Pad", { { 0 } }, { V(F32, 3, 1, 2, 3), V(I64, 2, -2, -2) }, V(F32, 0, 0), true },
	{ "scatter adds twice", "ScatterElements", { { "reduction", 's', 0, "add" } }, { V(F32, 3, 1, 1, 1), V(I64, 3, 0, 0, -1), V(F32, 3, 5, 6, 7) },
		V(F32, 3, 12, 1, 8), false },
	{ "sum of none", "ReduceSum", { { 0 } }, { M(F32, 0, 2), V(I64, 1, 0) }, M(F32, 1, 2, 0, 0), false },
	{ "max of none", "ReduceMax", { { 0 } }, { M(F32, 0, 2), V(I64, 1, 0) }, M(F32, 1, 2, -INFINITY, -INFINITY), false },
	{ "mean of integers", "ReduceMean", { { "keepdims", 'i', 0 } }, { V(I32, 3, -1, -2, -2) }, S(I32, -1), false },
	{ "log of sum of exp", "ReduceLogSumExp", { { "keepdims", 'i', 0 } }, { V(F32, 2, 1000, 1000) }, S(F32, 1000.693147), false },
	{ "argmax last", "ArgMax", { { "select_last_index", 'i', 1 } }, { V(F32, 4, 1, 3, 3, 2) }, V(I64, 1, 2), false },
	{ "argmin first", "ArgMin", { { 0 } }, { V(I8, 4, 1, -3, -3, 2) }, V(I64, 1, 1), false },
	{ "top 2 ties", "TopK", { { 0 } }, { V(F32, 4, 1, 3, 3, 2), V(I64, 1, 2) }, V(F32, 2, 3, 3), false },
	{ "top of too many", "TopK", { { 0 } }, { V(F32, 2, 1, 3), V(I64, 1, 3) }, V(F32, 2, 3, 3), true },
	{ "range down", "Range", { { 0 } }, { S(I64, 5), S(I64, -2), S(I64, -3) }, V(I64, 3, 5, 2, -1), false },
	{ "range of step 0", "Range", { { 0 } }, { S(I64, 5), S(I64, 7), S(I64, 0) }, V(I64, 1, 5), true },
	{ "transpose", "Transpose", { { 0 } }, { M(U8, 2, 3, 1, 2, 3, 4, 5, 6) }, M(U8, 3, 2, 1, 4, 2, 5, 3, 6), false },
	{ "running sum", "CumSum", { { "exclusive", 'i', 1 }, { "reverse", 'i', 1 } }, { V(I32, 3, 1, 2, 3), S(I64, 0) }, V(I32, 3, 5, 3, 0), false },
};

static ds_status make(ds_tensor *t, const plain *p, ds_err *err)
{
	double v[MAX];

	memcpy(v, p->v, sizeof v);
	if (p->dtype == DS_I64 && p->n > 0 && v[0] >= 0x1p63)  /* INT64_MAX is no double */
		v[0] = 0x1p62;
	DS_TRY(ds_tensor_new(t, p->dtype, p->rank, p->dim, err));
	return ds_convert(t->data, p->dtype, v, DS_F64, (size_t)p->n, err);
}

static bool near(double a, double b, ds_dtype d)
{
	return a == b || (isnan(a) && isnan(b)) || (d == DS_F32 && fabs(a - b) < 1e-6 * fabs(b));
}

/* Run one case; why is filled when it does not do what it should. */
static ds_status run(const testcase *c, ds_tensor *t, ds_tensor *out, ds_graph *g, ds_err *err)
{
	ds_value *v[5];
	const ds_tensor *in[5];
	ds_tensor *res[2] = { &out[0], &out[1] };
	ds_arg arg[5];
	ds_type type[2];
	ds_env env = { 0 };
	int n_in = 0, n_out = strcmp(c->op, "TopK") == 0 ? 2 : 1;
	ds_node *n;
	ds_status rc;

	for (int i = 0; i < 5; i++) {
		arg[i] = (ds_arg){ .present = c->in[i].dtype != DS_NONE };
		in[i] = NULL;
		v[i] = NULL;
		if (!arg[i].present)
			continue;
		n_in = i + 1;
		DS_TRY(make(&t[i], &c->in[i], err));
		arg[i].type = ds_type_of(&t[i]);
		arg[i].value = in[i] = &t[i];
		v[i] = ds_graph_input(g, (const char *const[]){ "a", "b", "c", "d", "e" }[i], &arg[i].type);
	}
	n = ds_graph_node(g, "", c->op, "n", n_in, v, n_out, NULL);
	for (const attr *a = c->attr; a->key; a++) {
		if (a->type == 'i')
			DS_TRY(ds_attr_i(n, a->key, (int64_t)a->v));
		else if (a->type == 'f')
			DS_TRY(ds_attr_f(n, a->key, a->v));
		else
			DS_TRY(ds_attr_s(n, a->key, a->s));
	}
	DS_TRY(ds_node_parse(n, err));
	DS_TRY(n->op->infer(n, arg, type, err));
	for (int i = 0; i < n_out; i++)
		DS_TRY(ds_tensor_new(&out[i], type[i].dtype, type[i].rank, type[i].dim, err));
	env.scratch_size = n->op->scratch ? n->op->scratch(n, arg, type, 1) : 0;
	env.scratch = ds_aligned(env.scratch_size);
	rc = n->op->forward(&env, n, in, res, err);
	ds_free(env.scratch);
	return rc;
}

int main(void)
{
	int bad = 0;

	for (size_t i = 0; i < DS_COUNTOF(cases); i++) {
		const testcase *c = &cases[i];
		ds_tensor t[5] = { { 0 } }, out[2] = { { 0 } }, want = { 0 };
		ds_graph *g = ds_graph_new();
		ds_err err = { 0 };
		ds_status rc = g ? run(c, t, out, g, &err) : DS_E_NOMEM;
		char why[700] = "";

		if (c->fails) {
			if (rc != DS_E_INPUT && rc != DS_E_UNSUPPORTED)
				snprintf(why, sizeof why, "was accepted");
		} else if (rc != DS_OK) {
			snprintf(why, sizeof why, "%s", err.text);
		} else if (make(&want, &c->out, &err) == DS_OK) {
			ds_type a = ds_type_of(&out[0]), b = ds_type_of(&want);

			if (a.dtype != b.dtype || !ds_type_same_dims(&a, &b))
				snprintf(why, sizeof why, "has another type or shape");
			for (int64_t k = 0; !*why && k < ds_tensor_count(&want); k++)
				if (!near(ds_tensor_f64(&out[0], k), ds_tensor_f64(&want, k), want.dtype))
					snprintf(why, sizeof why, "element %d is %g, not %g", (int)k, ds_tensor_f64(&out[0], k), ds_tensor_f64(&want, k));
		}
		if (*why) {
			printf("not ok %s (%s): %s\n", c->name, c->op, why);
			bad = 1;
		} else {
			printf("ok %s\n", c->name);
		}
		for (int k = 0; k < 5; k++)
			ds_tensor_done(&t[k]);
		ds_tensor_done(&out[0]);
		ds_tensor_done(&out[1]);
		ds_tensor_done(&want);
		ds_graph_free(g);
	}
	return bad;
}
