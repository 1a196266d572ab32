/* inside.c - what maps are about when it is not the input itself: the vectors of tokens, the spectrogram of a sound; and what tokens are called */
#include "job.h"

#include <stdio.h>
#include <string.h>

static const char *meta(const job *j, int input, const char *key)
{
	char name[64];
	snprintf(name, sizeof name, "input.%d.%s", input, key);
	return ds_meta_str(&j->m->meta, name);
}

static bool says(const job *j, int input, const char *key, const char *value)
{
	const char *v = meta(j, input, key);
	return v && !strcmp(v, value);
}

/* ---- what tokens are called ------------------------------------------------------------------------------------------------------ */
static ds_status read_all(const job *j, const char *path, ds_buf *out, ds_err *err)
{
	ds_source *src;
	const void *p;
	size_t n;
	void *owner;
	DS_TRY(ds_open_file(&src, &j->s->c, path, err));
	ds_status rc = ds_source_all(src, 64 << 20, &p, &n, &owner, err);
	ds_source_close(src);
	DS_TRY(rc);
	ds_buf_add(out, p, n);
	ds_source_drop(owner);
	return out->oom ? ds_fail_nomem(err, n) : DS_OK;
}

/* A line of --words: \n \t \\ stand for those characters, \xHH for a byte. */
static void unescape(char *s)
{
	static const char digits[] = "0123456789abcdef";
	char *to = s;
	for (; *s; s++) {
		const char *hi = s[0] == '\\' && s[1] == 'x' && s[2] ? strchr(digits, s[2] | 32) : NULL, *lo = hi && s[3] ? strchr(digits, s[3] | 32) : NULL;
		if (lo) {
			*to++ = (char)((hi - digits) * 16 + (lo - digits));
			s += 3;
		} else if (s[0] == '\\' && s[1]) {
			s++;
			*to++ = *s == 'n' ? '\n' : *s == 't' ? '\t' : *s;
		} else {
			*to++ = *s;
		}
	}
	*to = 0;
}

static ds_status load_words(job *j, ds_err *err)
{
	ds_buf b = { 0 };
	ds_status rc = read_all(j, j->s->words, &b, err);
	if (rc == DS_OK)
		rc = ds_labels_parse(&j->token.words, b.data ? b.data : "", b.len, err);
	ds_buf_done(&b);
	if (rc != DS_OK)
		ds_err_in(err, j->s->words);
	for (int i = 0; rc == DS_OK && i < j->token.words.n; i++)
		unescape(j->token.words.name[i]);
	return rc;
}

static ds_status load_characters(job *j, ds_err *err)
{
	const char *name = meta(j, j->token.input, "tokenizer");
	const ds_asset *a = ds_model_asset(j->m, name ? name : "vocabulary");
	j->token.bytes = says(j, j->token.input, "tokens", "bytes");
	return a && says(j, j->token.input, "tokens", "chars") ? ds_vocab_parse(&j->token.vocab, ds_buffer_data(a->data), ds_buffer_size(a->data), err) : DS_OK;
}

static void put_utf8(ds_buf *b, uint32_t c)
{
	char s[4] = { (char)c };
	int n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (int i = n - 1; n > 1 && i > 0; i--, c >>= 6)
		s[i] = (char)(0x80 | (c & 0x3F));
	if (n > 1)
		s[0] = (char)((0xF00 >> n & 0xFF) | c);
	ds_buf_add(b, s, (size_t)n);
}

void ex_token_text(const job *j, int64_t id, ds_buf *b)
{
	const ex_tokens *t = &j->token;
	if (id >= 0 && id < t->words.n)
		ds_buf_str(b, t->words.name[id]);
	else if (id >= 0 && id < t->vocab.n)
		put_utf8(b, t->vocab.code[id]);
	else if (t->bytes && id >= 0 && id < 128)
		put_utf8(b, (uint32_t)id);
	else if (t->bytes && id >= 0 && id < 256)
		ds_buf_printf(b, "\\x%02x", (unsigned)id);
	else
		ds_buf_printf(b, "#%lld", (long long)id);
}

bool ex_tokens_join(const job *j)
{
	return j->token.words.n || j->token.vocab.n || j->token.bytes;
}

/* A model that says which token is next has the tokens as its classes. */
static ds_status name_classes(job *j, ds_err *err)
{
	const ds_type *t = &(j->cut ? ds_cut_model(j->cut) : j->m)->graph->output[0]->type;
	int n = j->token.words.n ? j->token.words.n : j->token.vocab.n;
	ds_buf b = { 0 };
	if (j->names.n || !n || t->rank < 2 || t->dim[t->rank - 1] != n)
		return DS_OK;
	j->names.name = ds_calloc((size_t)n, sizeof *j->names.name);
	ds_status rc = j->names.name ? DS_OK : ds_fail_nomem(err, 0);
	for (int i = 0; rc == DS_OK && i < n; i++) {
		ds_buf_reset(&b);
		ex_token_text(j, i, &b);
		if (b.oom || !(j->names.name[i] = ds_strdup(b.data ? b.data : "")))
			rc = ds_fail_nomem(err, 0);
		j->names.n = i + 1;
	}
	ds_buf_done(&b);
	return rc;
}

/* ---- where to cut ------------------------------------------------------------------------------------------------------------------ */
static bool whole(ds_dtype d)
{
	const ds_dtype_row *r = ds_dtype_of(d);
	return r && !r->is_float && d != DS_BOOL;
}

/* The input that maps are about: the one that META says is a text or a sound, the first of floats, else the first. */
static int explained(const job *j, const ds_explain_opts *o)
{
	const ds_graph *g = j->m->graph;
	if (o->input >= 0)
		return o->input;
	for (int i = 0; i < g->n_input; i++)
		if (says(j, i, "kind", "text") || says(j, i, "kind", "sound"))
			return i;
	for (int i = 0; i < g->n_input; i++)
		if (ds_dtype_of(g->input[i]->type.dtype) && ds_dtype_of(g->input[i]->type.dtype)->is_float)
			return i;
	return 0;
}

/* "Nothing there" of a spectrogram is what silence gives, and not zeros, which are loud. */
static ds_status silence(job *j, ds_explain_opts *o, ds_err *err)
{
	const ds_graph *g = j->m->graph;
	ds_tensor *in = ds_calloc((size_t)g->n_input, sizeof *in);
	const ds_tensor *v;
	ds_status rc = in ? DS_OK : ds_fail_nomem(err, 0);
	int n;
	bool fixed = true;
	for (int i = 0; i < g->n_input; i++)
		for (int k = 0; k < g->input[i]->type.rank; k++)
			fixed &= k == 0 || g->input[i]->type.dim[k] > 0;
	for (int i = 0; fixed && rc == DS_OK && i < g->n_input; i++) {
		ds_type t = g->input[i]->type;
		t.dim[0] = DS_MAX(t.dim[0], 1);
		rc = ds_tensor_new(&in[i], t.dtype, t.rank, t.dim, err);
	}
	if (fixed && rc == DS_OK)
		rc = ds_cut_item(j->cut, in, g->n_input, &v, &n, err);
	if (fixed && rc == DS_OK)
		rc = ds_tensor_to_f32(&v[n - 1], &j->baseline, err);
	if (fixed && rc == DS_OK) {
		o->base = DS_BASE_TENSOR;
		o->base_tensor = j->baseline;
	}
	for (int i = 0; in && i < g->n_input; i++)
		ds_tensor_done(&in[i]);
	ds_free(in);
	return rc;
}

ds_status ex_inside_open(job *j, ds_explain_opts *o, ds_err *err)
{
	const char *about = j->s->about;
	int input = explained(j, o);
	const ds_graph *g = j->m->graph;
	if (g->n_input < 1)
		return DS_OK;
	j->source = input;
	j->sound = says(j, input, "kind", "sound");
	if (whole(g->input[input]->type.dtype)) {
		j->token.on = true;
		j->token.input = input;
		DS_TRY(j->s->words ? load_words(j, err) : load_characters(j, err));
	} else if (j->s->words) {
		return ds_fail(err, DS_E_USAGE, "--words: the model reads no tokens");
	}
	o->input = input;
	if (j->sound) {
		char key[32];
		snprintf(key, sizeof key, "input.%d.rate", input);
		const ds_kv *rate = ds_meta_find(&j->m->meta, key);
		j->rate = rate && rate->type == DS_KV_I64 && rate->n ? rate->u.i[0] : 0;
	}
	if (about && !strcmp(about, "input"))
		return name_classes(j, err);
	if (!about && j->token.on)
		about = ds_cut_tokens(j->m, input);
	if (j->sound) {
		const char *spectrum = ds_cut_spectrum(j->m, input, &j->frames, err);
		about = about ? about : spectrum;
		if (!spectrum || strcmp(spectrum, about))
			j->frames = 0;
	}
	if (!about)
		return name_classes(j, err);
	DS_TRY(ds_cut_new(&j->cut, j->m, about, (int)j->s->c.threads, err));
	DS_TRY(name_classes(j, err));           /* the half behind has its types inferred */
	o->input = ds_cut_input(j->cut);
	o->axes = j->token.on ? DS_AXES_TC : DS_AXES_GUESS;
	return j->sound && o->base == DS_BASE_ZERO ? silence(j, o, err) : DS_OK;
}

ds_status ex_inside_item(job *j, const ds_item *item, ds_explain_item *it, ds_err *err)
{
	*it = (ds_explain_item){ item->in, item->n_in };
	return j->cut ? ds_cut_item(j->cut, item->in, item->n_in, &it->in, &it->n_in, err) : DS_OK;
}

void ex_inside_done(job *j)
{
	ds_cut_free(j->cut);
	ds_vocab_done(&j->token.vocab);
	ds_labels_done(&j->token.words);
}
