/* conv_variants.c - fast f32 rows of Conv and ConvAct */
#include "conv_fast.h"

static const ds_arg *opt(const ds_node *n, const ds_arg *in, int i) { return i < n->n_in && in[i].present ? &in[i] : NULL; }

static bool match(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	ds_conv_how how;
	const ds_arg *b = opt(n, in, 2);
	if (in[0].type.dtype != DS_F32 || !in[1].value || (b && !b->value) || ds_type_count(out) == 0)
		return false;
	ds_conv_geo g = ds_conv_geometry(n->a, &in[0].type, &in[1].type, out);
	if (!ds_conv_fast_how(&g, false, &how))
		return false;
	want[0] = how == DS_CONV_STAGED ? DS_PLAIN : DS_CHANNELS_LAST;
	if (opt(n, in, 3))
		want[3] = DS_CHANNELS_LAST;
	*out_layout = DS_CHANNELS_LAST;
	return true;
}

static ds_status prepare(const ds_node *n, const ds_arg *in, const ds_type *out, void **prep, size_t *bytes, ds_err *err)
{
	ds_status rc = DS_OK;
	ds_tensor w = { 0 }, b = { 0 };
	ds_conv_geo g = ds_conv_geometry(n->a, &in[0].type, &in[1].type, out);
	ds_conv_fast *f = ds_calloc(1, sizeof *f);
	if (!f)
		return ds_fail_nomem(err, sizeof *f);
	DS_GOTO(ds_tensor_to_f32(in[1].value, &w, err));
	DS_GOTO(ds_conv_fast_new(f, &g, false, w.data, 0, err));
	if (opt(n, in, 2)) {
		DS_GOTO(ds_tensor_to_f32(in[2].value, &b, err));
		for (int64_t o = 0; o < g.oc && o < ds_tensor_count(&b); o++)
			f->mm.bias[o / f->mm.n * f->mm.n_pad + o % f->mm.n] = ((const float *)b.data)[o];
	}
	ds_igemm_act(&f->mm, &DS_A(ds_conv_full, n)->act);
	*bytes = f->bytes;
	*prep = f;
	f = NULL;
out:
	ds_tensor_done(&w);
	ds_tensor_done(&b);
	if (f) {
		ds_conv_fast_done(f);
		ds_free(f);
	}
	return rc;
}

static void free_prep(void *prep)
{
	if (prep)
		ds_conv_fast_done(prep);
	ds_free(prep);
}

static size_t scratch(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	ds_conv_geo g = ds_conv_geometry(n->a, &in[0].type, &in[1].type, out);
	return ds_conv_fast_scratch(&g, false, threads);
}

static ds_status forward(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_type x = ds_type_of(in[0]), w = ds_type_of(in[1]), y = ds_type_of(out[0]);
	ds_conv_geo g = ds_conv_geometry(n->a, &x, &w, &y);
	ds_conv_fast_go(env, env->prep, &g, in[0], n->n_in > 3 && in[3] ? in[3]->data : NULL, out[0]->data);
	return DS_OK;
}

/* ---- weights that are computed or given with each run: they are packed into scratch ------------------------------------------------------ */
static bool match_train(const ds_node *n, const ds_arg *in, const ds_type *out, ds_layout *want, ds_layout *out_layout)
{
	ds_conv_how how;
	if (in[0].type.dtype != DS_F32 || ds_type_count(out) == 0 || (in[1].value && in[1].value->q))
		return false;
	ds_conv_geo g = ds_conv_geometry(n->a, &in[0].type, &in[1].type, out);
	if (!ds_conv_fast_how(&g, false, &how) || g.k[0] * g.k[1] * g.k[2] > DS_CONV_TAPS_MAX)
		return false;
	if (how != DS_CONV_STAGED)      /* staging takes both */
		want[0] = DS_CHANNELS_LAST;
	want[1] = DS_PLAIN;
	if (opt(n, in, 3))
		want[3] = DS_CHANNELS_LAST;
	*out_layout = DS_CHANNELS_LAST;
	return true;
}

static size_t scratch_train(const ds_node *n, const ds_arg *in, const ds_type *out, int threads)
{
	ds_conv_fast f;
	ds_conv_geo g = ds_conv_geometry(n->a, &in[0].type, &in[1].type, out);
	size_t own = ds_conv_fast_place(&f, &g, DS_A(ds_conv_full, n)->bf16 != 0, NULL);
	return own + ds_conv_fast_run_scratch(&f, &g, threads);
}

static ds_status forward_train(const ds_env *env, const ds_node *n, const ds_tensor *const *in, ds_tensor *const *out, ds_err *err)
{
	ds_conv_fast f;
	ds_type x = ds_type_of(in[0]), w = ds_type_of(in[1]), y = ds_type_of(out[0]);
	ds_conv_geo g = ds_conv_geometry(n->a, &x, &w, &y);
	ds_env rest = *env;
	size_t used = ds_conv_fast_place(&f, &g, DS_A(ds_conv_full, n)->bf16 != 0, env->scratch);
	rest.scratch = (char *)env->scratch + used;
	ds_conv_fast_weights(env->pool, &f, &g, in[1]->data, n->n_in > 2 && in[2] ? in[2]->data : NULL);
	ds_igemm_act(&f.mm, &DS_A(ds_conv_full, n)->act);
	ds_conv_fast_go(&rest, &f, &g, in[0], n->n_in > 3 && in[3] ? in[3]->data : NULL, out[0]->data);
	return DS_OK;
}

const ds_variant ds_conv_variants[] = {
	{ "conv.f32.igemm", match, prepare, free_prep, scratch, forward },
	{ "conv.f32.train", match_train, NULL, NULL, scratch_train, forward_train },
	{ 0 },
};
