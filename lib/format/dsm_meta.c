/* dsm_meta.c - typed key/values of META and hISt as bytes */
#include "dsm_int.h"

#include <math.h>

bool dsm_kind_parse(const ds_meta *m, dsm_kind *k)
{
	static const char *const name[DSM_N_KIND] = { "model", "tensors", "statistics", "logits", "checkpoint" };
	const char *s = ds_meta_str(m, "kind");
	for (int i = 0; s && i < DSM_N_KIND; i++)
		if (strcmp(s, name[i]) == 0) {
			*k = (dsm_kind)i;
			return true;
		}
	return false;
}

static uint64_t value_len(const ds_kv *k)
{
	uint64_t n = 0;
	switch (k->type) {
	case DS_KV_STR:
		return strlen(k->u.s);
	case DS_KV_I64:
	case DS_KV_F64:
		return 8 * (uint64_t)k->n;
	case DS_KV_LIST:
		for (int i = 0; i < k->n; i++)
			n += 4 + strlen(k->u.l[i]);
	}
	return n;
}

ds_status dsm_meta_encode(const ds_meta *m, ds_buf *out, ds_err *err)
{
	if (m->n > DSM_MAX_KV)
		return ds_fail(err, DS_E_INPUT, "more than %d metadata entries", DSM_MAX_KV);
	for (int i = 0; i < m->n; i++) {
		const ds_kv *k = &m->kv[i];
		size_t key_len = strlen(k->key);
		uint64_t len = value_len(k);
		if (len > DSM_MAX_VALUE)
			return ds_fail(err, DS_E_INPUT, "metadata \"%s\" has more than 16 MiB", k->key);
		dsm_add16(out, (uint16_t)key_len);
		ds_buf_add(out, (uint8_t[2]){ (uint8_t)k->type, 0 }, 2);
		dsm_add32(out, (uint32_t)len);
		ds_buf_add(out, k->key, key_len);
		if (k->type == DS_KV_STR)
			ds_buf_add(out, k->u.s, len);
		else if (k->type != DS_KV_LIST)
			ds_buf_add(out, k->u.i, len);
		else
			for (int j = 0; j < k->n; j++) {
				dsm_add32(out, (uint32_t)strlen(k->u.l[j]));
				ds_buf_str(out, k->u.l[j]);
			}
		dsm_pad8(out);
	}
	if (out->oom)
		return ds_fail_nomem(err, out->len);
	return out->len <= DSM_MAX_META ? DS_OK : ds_fail(err, DS_E_INPUT, "metadata of more than 64 MiB");
}

/* A zero-terminated copy of n bytes. */
static char *copy_text(const uint8_t *p, size_t n)
{
	char *s = ds_malloc(n + 1);
	if (s) {
		memcpy(s, p, n);
		s[n] = 0;
	}
	return s;
}

static ds_status decode_list(const uint8_t *p, size_t len, const char *key, ds_meta *m, ds_err *err)
{
	size_t n = 0, cap = 0;
	char **list = NULL;
	ds_status rc = DS_OK;
	for (size_t at = 0; at < len; n++) {
		if (len - at < 4 || dsm_get32(p + at) > len - at - 4)
			DS_GOTO(ds_fail(err, DS_E_INPUT, "metadata \"%s\": list item is longer than the value", key));
		size_t k = dsm_get32(p + at);
		if (!ds_text_ok((const char *)p + at + 4, k, false))
			DS_GOTO(ds_fail(err, DS_E_INPUT, "metadata \"%s\" is not clean UTF-8 text", key));
		if (!ds_grow((void **)&list, n, &cap, sizeof *list) || !(list[n] = copy_text(p + at + 4, k)))
			DS_GOTO(ds_fail_nomem(err, k));
		at += 4 + k;
	}
	rc = ds_meta_set_list(m, key, (int)n, (const char *const *)list);
	if (rc != DS_OK)
		rc = ds_fail(err, rc, "metadata \"%s\" cannot be kept", key);
out:
	for (size_t i = 0; i < n; i++)
		ds_free(list[i]);
	ds_free(list);
	return rc;
}

static ds_status decode_value(int type, const uint8_t *p, size_t len, const char *key, ds_meta *m, ds_err *err)
{
	ds_status rc;
	if (type == DS_KV_LIST)
		return decode_list(p, len, key, m, err);
	if (type == DS_KV_STR && !ds_text_ok((const char *)p, len, true))
		return ds_fail(err, DS_E_INPUT, "metadata \"%s\" is not clean UTF-8 text", key);
	if (type < DS_KV_STR || type > DS_KV_LIST || (type != DS_KV_STR && len % 8))
		return ds_fail(err, DS_E_INPUT, "metadata \"%s\": %zu bytes of type %d", key, len, type);
	char *v = copy_text(p, len);                    /* also aligns the numbers */
	if (!v)
		return ds_fail_nomem(err, len);
	if (type == DS_KV_STR)
		rc = ds_meta_set_str(m, key, v);
	else if (type == DS_KV_I64)
		rc = ds_meta_set_i64(m, key, (int)(len / 8), (const int64_t *)v);
	else
		rc = ds_meta_set_f64(m, key, (int)(len / 8), (const double *)v);
	ds_free(v);
	return rc == DS_OK ? DS_OK : ds_fail(err, rc, "metadata \"%s\" holds what it may not", key);
}

ds_status dsm_meta_decode(const uint8_t *p, size_t n, uint32_t count, ds_meta *m, ds_err *err)
{
	size_t at = 0;
	char last[DSM_MAX_KEY + 1] = "";
	if (count > DSM_MAX_KV || n > DSM_MAX_META)
		return ds_fail(err, DS_E_INPUT, "%u metadata entries in %zu bytes", count, n);
	for (uint32_t i = 0; i < count; i++) {
		if (n - at < 8)
			return ds_fail(err, DS_E_INPUT, "metadata ends after %u of %u entries", i, count);
		size_t key_len = dsm_get16(p + at), len = dsm_get32(p + at + 4);
		int type = p[at + 2];
		if (key_len < 1 || key_len > DSM_MAX_KEY || len > DSM_MAX_VALUE || p[at + 3] || n - at - 8 < key_len + len)
			return ds_fail(err, DS_E_INPUT, "metadata entry %u: key of %zu bytes, value of %zu", i, key_len, len);
		const uint8_t *key = p + at + 8;
		char text[DSM_MAX_KEY + 1];
		memcpy(text, key, key_len);
		text[key_len] = 0;
		if (!ds_text_ok(text, key_len, false) || strcmp(text, last) <= 0)
			return ds_fail(err, DS_E_INPUT, "metadata entry %u: keys must be clean UTF-8 text and rise", i);
		DS_TRY(decode_value(type, key + key_len, len, text, m, err));
		memcpy(last, text, key_len + 1);
		at += 8 + key_len + len;
		size_t pad = -at & 7;
		if (n - at < pad || !dsm_zero(p + at, pad))
			return ds_fail(err, DS_E_INPUT, "metadata entry %u is not padded with zeros", i);
		at += pad;
	}
	return at == n ? DS_OK : ds_fail(err, DS_E_INPUT, "%zu bytes after the last metadata entry", n - at);
}
