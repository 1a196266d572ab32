/* attention_sample.c - random graphs of Attention: rank 3 and 4, grouped heads, masks, caches, every output */
#include "attention.h"
#include "draw.h"

ds_status ds_attention_sample(ds_graph *g, uint64_t seed, ds_err *err)
{
	static const ds_dtype types[] = { DS_F32, DS_F32, DS_F32, DS_F16 };
	ds_draw s = ds_draw_begin(g, seed);
	ds_dtype t = ds_draw_dtype(&s, types, 4);
	int64_t batch = ds_draw_in(&s, 1, 2), kv = ds_draw_in(&s, 1, 3), heads = kv * ds_draw_in(&s, 1, 3), qs = ds_draw_in(&s, 1, 20);
	int64_t ks = ds_draw_in(&s, 1, 40), d = ds_draw_in(&s, 1, 24), dv = ds_draw_in(&s, 1, 20), past = seed % 5 == 2 ? ds_draw_in(&s, 1, 9) : 0;
	bool wide = seed % 2 == 0;
	int64_t qd[4] = { batch, wide ? heads : qs, wide ? qs : heads * d, d }, kd[4] = { batch, wide ? kv : ks, wide ? ks : kv * d, d };
	int64_t vd[4] = { batch, wide ? kv : ks, wide ? ks : kv * dv, dv }, pk[4] = { batch, kv, past, d }, pv[4] = { batch, kv, past, dv };
	int64_t mask[4] = { seed % 4 ? batch : 1, seed % 8 < 4 ? heads : 1, qs, ks + past };
	ds_value *in[6] = { NULL, NULL, NULL, NULL, NULL, NULL };
	ds_node *n;

	in[0] = ds_draw_input(&s, t, wide ? 4 : 3, qd);
	in[1] = ds_draw_input(&s, t, wide ? 4 : 3, kd);
	in[2] = ds_draw_input(&s, t, wide ? 4 : 3, vd);
	if (seed % 3)
		in[3] = ds_draw_input(&s, seed % 3 == 1 ? DS_BOOL : t, seed % 7 == 3 ? 2 : 4, seed % 7 == 3 ? mask + 2 : mask);
	if (past) {
		in[4] = ds_draw_input(&s, t, 4, pk);
		in[5] = ds_draw_input(&s, t, 4, pv);
	}
	n = ds_draw_node(&s, "Attention", 6, in, 1 + (int)(seed % 4));
	if (!wide) {
		ds_draw_i(&s, n, "q_num_heads", heads);
		ds_draw_i(&s, n, "kv_num_heads", kv);
	}
	ds_draw_i(&s, n, "is_causal", (int64_t)(seed / 2 % 2));
	ds_draw_i(&s, n, "qk_matmul_output_mode", (int64_t)(seed / 4 % 4));
	if (seed % 6 == 1)
		ds_draw_f(&s, n, "softcap", 2);
	if (seed % 9 == 4) {
		ds_draw_i(&s, n, "left_window_size", 3);
		ds_draw_i(&s, n, "right_window_size", 2);
	}
	if (seed % 5 == 0)
		ds_draw_f(&s, n, "scale", 0.3);
	return ds_draw_end(&s, n, err);
}
