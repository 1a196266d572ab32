/* spec_sound.c - lines that become several operators: features of a sound */
#include "spec.h"

#include "../graph/op.h"

#include <stdio.h>

/* A key that is a frequency or another number. */
static ds_status key_real(spec *s, spec_call *c, const char *key, double def, double *out, ds_err *err)
{
	const spec_val *v = ds_spec_key(c, key);
	*out = v ? v->number : def;
	return v && v->kind != SPEC_NUMBER ? ds_spec_fail(s, err, DS_E_INPUT, "%s must be a number", key) : DS_OK;
}

/* The rate that the metadata of an input states; 0: none does. */
static int64_t stated_rate(const spec *s)
{
	for (int i = 0; i < s->g->n_input; i++) {
		char key[48];
		snprintf(key, sizeof key, "input.%d.rate", i);
		const ds_kv *kv = ds_meta_find(&s->m->meta, key);
		if (kv && kv->type == DS_KV_I64 && kv->n == 1)
			return kv->u.i[0];
	}
	return 0;
}

typedef struct mel { int64_t bands, frame, step, rate; double low, high, least; } mel;

static ds_status read_mel(spec *s, spec_call *c, mel *m, ds_err *err)
{
	DS_TRY(ds_spec_size(s, c, 0, "the number of bands", -1, &m->bands, err));
	DS_TRY(ds_spec_key_whole(s, c, "rate", 1, SPEC_MAX_SIZE, stated_rate(s), &m->rate, err));
	if (!m->rate)
		return ds_spec_fail(s, err, DS_E_INPUT, "%s: neither it nor an input says a rate=", c->op);
	DS_TRY(ds_spec_key_whole(s, c, "frame", 2, SPEC_MAX_SIZE, DS_MAX(m->rate / 32, 2), &m->frame, err));
	DS_TRY(ds_spec_key_whole(s, c, "step", 1, SPEC_MAX_SIZE, DS_MAX(m->frame / 2, 1), &m->step, err));
	DS_TRY(key_real(s, c, "low", 20, &m->low, err));
	DS_TRY(key_real(s, c, "high", (double)m->rate / 2, &m->high, err));
	DS_TRY(key_real(s, c, "least", 1e-6, &m->least, err));
	if (!(m->low >= 0 && m->low < m->high && m->high <= (double)m->rate / 2))
		return ds_spec_fail(s, err, DS_E_INPUT, "%s: low= and high= must be frequencies from 0 to half the rate", c->op);
	return DS_OK;
}

/* [bins, bands] */
static ds_status mel_matrix(spec *s, const char *layer, const mel *m, ds_value **out, ds_err *err)
{
	ds_value *in[5];
	DS_TRY(ds_spec_ints(s, &m->bands, -1, &in[0], err));
	DS_TRY(ds_spec_ints(s, &m->frame, -1, &in[1], err));
	DS_TRY(ds_spec_ints(s, &m->rate, -1, &in[2], err));
	DS_TRY(ds_spec_number(s, m->low, DS_F32, &in[3], err));
	DS_TRY(ds_spec_number(s, m->high, DS_F32, &in[4], err));
	return ds_spec_simple(s, "MelWeightMatrix", layer, "bands", 5, in, out, err);
}

/* The power of each bin of each frame: [N, T] becomes [N, frames, bins]. */
static ds_status power(spec *s, const char *layer, const mel *m, ds_value *x, ds_value **out, ds_err *err)
{
	ds_value *frame, *step, *window, *axis;
	ds_node *n;
	const char *name = ds_arena_printf(&s->arena, "%s.power", layer);
	DS_TRY(ds_spec_ints(s, &m->frame, -1, &frame, err));
	DS_TRY(ds_spec_ints(s, &m->step, -1, &step, err));
	DS_TRY(ds_spec_simple(s, "HannWindow", layer, "window", 1, &frame, &window, err));
	DS_TRY(ds_spec_simple(s, "STFT", layer, "spectrum", 3, (ds_value *[]){ x, step, window }, &x, err));
	DS_TRY(ds_spec_ints(s, (int64_t[]){ 3 }, 1, &axis, err));
	if (!name)
		return ds_fail_nomem(err, 64);
	DS_TRY(ds_spec_node(s, "ReduceSumSquare", name, 2, (ds_value *[]){ x, axis }, 1, &n, err));
	if (ds_attr_i(n, "keepdims", 0) != DS_OK)
		return ds_fail_nomem(err, 64);
	*out = n->out[0];
	return ds_spec_done(s, n, err);
}

/* LogMel BANDS: a sound [N, T] or [N, 1, T] becomes [N, BANDS, frames], logarithms of the power in bands of the mel scale. */
static ds_status emit_mel(spec *s, const spec_layer *l, spec_call *c, ds_value **out, ds_err *err)
{
	mel m;
	ds_value *x = c->in[0], *bands, *least, *axis;
	ds_node *n;
	(void)l;
	DS_TRY(ds_spec_rank(s, c, 2, 3, ": [N, samples] or [N, 1, samples]", err));
	DS_TRY(read_mel(s, c, &m, err));
	if (x->type.rank == 3) {
		DS_TRY(ds_spec_ints(s, (int64_t[]){ 1 }, 1, &axis, err));
		DS_TRY(ds_spec_simple(s, "Squeeze", c->name, "mono", 2, (ds_value *[]){ x, axis }, &x, err));
	}
	DS_TRY(power(s, c->name, &m, x, &x, err));
	DS_TRY(mel_matrix(s, c->name, &m, &bands, err));
	DS_TRY(ds_spec_simple(s, "MatMul", c->name, "mel", 2, (ds_value *[]){ x, bands }, &x, err));
	DS_TRY(ds_spec_number(s, m.least, DS_F32, &least, err));
	DS_TRY(ds_spec_simple(s, "Add", c->name, "least", 2, (ds_value *[]){ x, least }, &x, err));
	DS_TRY(ds_spec_simple(s, "Log", c->name, "log", 1, &x, &x, err));
	DS_TRY(ds_spec_node(s, "Transpose", c->name, 1, &x, 1, &n, err));
	if (ds_attr_is(n, "perm", 3, (int64_t[]){ 0, 2, 1 }) != DS_OK)
		return ds_fail_nomem(err, 64);
	*out = n->out[0];
	return ds_spec_done(s, n, err);
}

const spec_layer ds_spec_sound_layers[] = {
	{ "LogMel", "mel", NULL, "frame step rate low high least", 1, 1, emit_mel },
	{ NULL }
};
