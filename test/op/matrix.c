/* matrix.c - prints the matrix operator x column; fails when the table is out of order or a row lacks what every operator must have */
#include "../../lib/graph/op.h"
#include <stdio.h>
#include <string.h>

/* Operators that have no gradient: what they give is no float, a choice, or made before training (windows and spectra of sounds).  GridSample and RoiAlign are not
 * trained through.  Every other operator of ONNX's must have the column. */
static const char *const no_gradient[] = {
	"And", "ArgMax", "ArgMin", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "BlackmanWindow", "ConstantOfShape", "ConvInteger", "DFT",
	"DequantizeLinear", "DynamicQuantizeLinear", "Equal", "EyeLike", "Greater", "GreaterOrEqual", "GridSample", "HammingWindow", "HannWindow", "Hardmax", "IsInf",
	"IsNaN", "Less", "LessOrEqual", "MatMulInteger", "MelWeightMatrix", "NonMaxSuppression", "NonZero", "Not", "OneHot", "Or", "QLinearConv", "QLinearMatMul",
	"QuantizeLinear", "Range", "RoiAlign", "STFT", "Shape", "Size", "Xor",
};

static bool needs_gradient(const ds_op *o)
{
	for (size_t i = 0; i < DS_COUNTOF(no_gradient); i++)
		if (strcmp(no_gradient[i], o->name) == 0)
			return false;
	return !*o->domain;
}

static char mark(bool have)
{
	return have ? '+' : '-';
}

static const char *fault(const ds_op *const *op, int i)
{
	const ds_op *o = op[i];

	if (i > 0 && strcmp(op[i - 1]->name, o->name) >= 0)
		return "not in ASCII order in ops.def, or there twice";
	if (ds_op_find(o->domain, o->name) != o)
		return "ds_op_find does not find it";
	if (!o->infer || !o->forward)
		return "infer or forward is missing";
	if ((o->attr_size == 0) != (o->attrs == NULL))
		return "attr_size and attrs disagree";
	if (o->max_in != -1 && o->min_in > o->max_in)
		return "arity";
	if (needs_gradient(o) != (o->gradient && !*o->domain))
		return o->gradient ? "has a gradient, but is listed as having none" : "no gradient";
	for (const ds_opt *a = o->attrs; a && a->name; a++)
		if (a->offset >= o->attr_size)
			return "attribute outside its struct";
	return NULL;
}

int main(void)
{
	int n, bad = 0;
	const ds_op *const *op = ds_op_all(&n);

	printf("# %-28s infer forward variants gradient cost channels recut sample\n", "operator");
	for (int i = 0; i < n; i++) {
		const ds_op *o = op[i];
		const char *why = fault(op, i);
		char name[80];

		snprintf(name, sizeof name, "%s%s%s", o->domain, *o->domain ? "::" : "", o->name);
		printf("# %-28s %c     %c       %c        %c        %c    %c        %c     %c\n", name, mark(o->infer), mark(o->forward),
			mark(o->variants), mark(o->gradient), mark(o->cost), mark(o->channels || o->flags & DS_OP_ANY_LAYOUT),
			mark(o->recut), mark(o->sample));
		if (why) {
			printf("not ok %s: %s\n", name, why);
			bad = 1;
		}
	}
	if (ds_op_find("", "NoSuchOperator") || ds_op_find("nowhere", n ? op[0]->name : "")) {
		printf("not ok find: finds what is not there\n");
		bad = 1;
	}
	if (!bad)
		printf("ok matrix of %d operators\n", n);
	return bad;
}
