/* dsm.c - the container: the worked example of ds-model(5) byte for byte, round trips of every record type, refusals */
#include "../fault/streams.h"

static int failed;
static ds_err err;
#define OK(cond, name) do { if (cond) printf("ok %s\n", name); \
	else { char l_[700]; ds_err_line(&err, l_, sizeof l_); printf("not ok %s: %s:%d (%s)\n", name, __FILE__, __LINE__, l_); failed = 1; } } while (0)

/* ---- the worked example ------------------------------------------------------------------------------------------------------------------------ */
/* offset, bytes; all others of the 1,024 are zero */
static const struct { unsigned at; const char *hex; } example[] = {
	{ 0x000, "8944534d0d0a1a0a01000000" }, { 0x03c, "e058429a" },
	{ 0x040, "4d455441000000000400000000000000" "30000000000000003000000000000000" "0000000000000000466800f7e058429a" }, { 0x07c, "82f96a06" },
	{ 0x080, "02000000" }, { 0x0c0, "04000100070000006b696e6474656e736f727300000000000a000100030000006d6f64656c2e6e616d65746f79" },
	{ 0x100, "54524c5200000000ed5520daed5520da82f96a06" }, { 0x13c, "497e1b5d" },
	{ 0x140, "544e5352010000003a00000000000000" "18000000000000001800000000000000" "0000000000000000efed8737497e1b5d" }, { 0x17c, "d9e02059" },
	{ 0x180, "01020000000000000000050000000000" "ffffffff000000000500000000000000" "02000000000000000300000000000000" "70726f6273612e706e67" },
	{ 0x1c0, "0000803f000000c00000003f0000000000004040000080bf" },
	{ 0x200, "54524c520100000084e271c284e271c2d9e02059" }, { 0x23c, "bd0c06c9" },
	{ 0x240, "544e5352020000003900000000000000" "c000000000000000c000000000000000" "000000000000000059b4a3d7bd0c06c9" }, { 0x27c, "94aa7ea0" },
	{ 0x280, "44020100010202000000090010000000" "ffffffff010000000000000000000000" "02000000000000001400000000000000" "66632e776569676874" },
	{ 0x2c0, "001122330405060708090a0b0c0d0e0f" }, { 0x300, "ffeeddcc0b0a09080706050403020100" }, { 0x340, "003400380" "03c0040" },
	{ 0x380, "54524c520200000074cde06d74cde06d94aa7ea0" }, { 0x3bc, "ac501896" },
	{ 0x3c0, "444f4e4503000000" }, { 0x3ec, "ac501896" }, { 0x3fc, "582df92f" },
};

static void worked_example(void)
{
	uint8_t want[1024] = { 0 }, planes[192] = { 0 }, code[40];
	for (size_t i = 0; i < DS_COUNTOF(example); i++)
		for (size_t k = 0; example[i].hex[k]; k += 2) {
			unsigned v;
			sscanf(example[i].hex + k, "%2x", &v);
			want[example[i].at + k / 2] = (uint8_t)v;
		}
	float f[6] = { 1, -2, 0.5f, 0, 3, -1 };
	uint16_t scale[4] = { 0x3400, 0x3800, 0x3c00, 0x4000 };
	for (int i = 0; i < 20; i++) {
		code[i] = (uint8_t)(i % 16);
		code[20 + i] = (uint8_t)(15 - i % 16);
	}
	ds_q_pack(4, code, 20, planes, 64);
	ds_q_pack(4, code + 20, 20, planes + 64, 64);
	memcpy(planes + 128, scale, sizeof scale);
	ds_buf out = { 0 };
	ds_sink *s;
	ds_dsm_writer *w;
	ds_meta m = { 0 };
	ds_tensor a, b;
	ds_qform q = { .code = DS_U4, .scheme = DS_Q_SYM, .gran = DS_Q_GROUP, .row_dims = 1, .scale_dtype = DS_F16, .group = 16 };
	ds_tensor_borrow(&a, DS_F32, 2, (int64_t[]){ 2, 3 }, f);
	ds_tensor_borrow(&b, DS_F32, 2, (int64_t[]){ 2, 20 }, planes);
	b.q = &q;
	bool good = ds_meta_set_str(&m, "kind", "tensors") == DS_OK && ds_meta_set_str(&m, "model.name", "toy") == DS_OK &&
		ds_sink_memory(&s, &out, &err) == DS_OK && ds_dsm_create(&w, s, NULL, &err) == DS_OK && ds_dsm_put_meta(w, &m, &err) == DS_OK &&
		ds_dsm_put_tensor(w, &a, "probs", 0, "a.png", 5, &err) == DS_OK && ds_dsm_put_tensor(w, &b, "fc.weight", 1, NULL, 0, &err) == DS_OK &&
		ds_dsm_finish(w, &err) == DS_OK;
	ds_dsm_writer_free(w);
	ds_sink_abort(s);
	ds_meta_done(&m);
	OK(good && out.len == 1024 && memcmp(out.data, want, 1024) == 0, "worked example, byte for byte");
	for (size_t i = 0; i < 1024 && i < out.len; i++)
		if ((uint8_t)out.data[i] != want[i]) {
			printf("# first difference at 0x%zx: %02x, want %02x\n", i, (uint8_t)out.data[i], want[i]);
			break;
		}
	ds_buf_done(&out);
}

/* ---- a model with everything (streams.h) ---------------------------------------------------------------------------------------------------------- */
static bool save(const ds_model *m, ds_buf *out, bool compress)
{
	ds_sink *s;
	ds_buf_reset(out);
	bool good = ds_sink_memory(&s, out, &err) == DS_OK && ds_model_save(m, s, &(ds_dsm_wopts){ .compress = compress }, &err) == DS_OK;
	ds_sink_abort(s);
	return good;
}

/* 64-byte aligned copies count as mapped, others are read. */
static ds_model *load(const ds_buf *b, bool mapped, uint8_t **keep)
{
	ds_source *src;
	ds_model *m = NULL;
	uint8_t *p = ds_aligned(b->len + 64);
	memcpy(p + !mapped, b->data, b->len);
	*keep = p;
	if (ds_source_memory(&src, p + !mapped, b->len, "memory", &err) != DS_OK || ds_model_load(&m, src, &(ds_dsm_opts){ .any_op = true }, &err) != DS_OK)
		return NULL;
	return m;
}

static void round_trips(void)
{
	ds_model *m = everything();
	ds_buf a = { 0 }, b = { 0 }, z = { 0 };
	OK(save(m, &a, false) && a.len % 64 == 0, "save");
	for (int mapped = 0; mapped < 2; mapped++) {
		uint8_t *keep;
		ds_model *back = load(&a, mapped, &keep);
		OK(back && save(back, &b, false) && a.len == b.len && memcmp(a.data, b.data, a.len) == 0, mapped ? "mapped: the same bytes again" :
			"read: the same bytes again");
		if (back) {
			const ds_value *v = back->graph->weight[0];
			bool inside = (uint8_t *)v->data.data >= keep && (uint8_t *)v->data.data < keep + a.len;
			OK(inside == mapped, mapped ? "mapped weights are borrowed" : "read weights are copies");
			OK(((uintptr_t)v->data.data & 63) == 0, "weights are aligned");
			OK(back->graph->n_state == 1 && back->graph->state[0].capacity == 100 && back->graph->state[0].axis == 1, "state pair");
			OK(back->n_asset == 2 && strcmp(back->asset[1].name, "labels.txt") == 0 && ds_buffer_size(back->asset[1].data) == 5, "assets");
			OK(back->n_history == 1 && strcmp(ds_meta_str(&back->history[0], "plan"), "a\tb\nc") == 0, "history");
			OK(back->id_len == a.len && memcmp(&back->id_crc, a.data + a.len - 4, 4) == 0, "identity");
			int weights = back->graph->n_weight;
			OK(weights == 4, "unused weights are left out");
		}
		ds_model_free(back);
		ds_free(keep);
	}
	OK(save(m, &z, true), "save compressed");
	for (int mapped = 0; mapped < 2; mapped++) {
		uint8_t *keep;
		ds_model *back = load(&z, mapped, &keep);
		OK(back && save(back, &b, false) && a.len == b.len && memcmp(a.data, b.data, a.len) == 0, "compressed comes back as the canonical bytes");
		ds_model_free(back);
		ds_free(keep);
	}
	ds_buf_done(&a);
	ds_buf_done(&b);
	ds_buf_done(&z);
	ds_model_free(m);
}

/* ---- what input looks like ------------------------------------------------------------------------------------------------------------------------- */
static void refusals(void)
{
	static const struct { const char *bytes; size_t n; const char *word; } row[] = {
		{ "", 0, "empty input" }, { "<!DOCTYPE html><html>", 21, "HTML" }, { "\x28\xb5\x2f\xfd....", 8, "zstd -dc" }, { "\x1f\x8b\x08\x00", 4, "gzip" },
		{ "PK\3\4", 4, "zip" }, { "\x89" "DSM\n\x1a\n\1\0\0\0", 11, "text mode" }, { "\x89" "DSM\r\r\n\x1a\r\n", 10, "ssh -t" },
		{ "\x08\x07\x12\x07pytorch", 11, "ONNX" }, { "\x40\0\0\0\0\0\0\0{\"a\":", 13, "safetensors" }, { "hello, world", 12, "not a DSM stream" },
		{ "\x89" "DSM\r\n", 6, "truncated" },
	};
	for (size_t i = 0; i < DS_COUNTOF(row); i++) {
		ds_source *src;
		ds_dsm_reader *r;
		char name[100];
		snprintf(name, sizeof name, "recognised: %s", row[i].word);
		bool good = ds_source_memory(&src, row[i].bytes, row[i].n, "x", &err) == DS_OK && ds_dsm_open(&r, src, NULL, &err) == DS_E_INPUT;
		OK(good && strstr(err.text, row[i].word) && strcmp(err.where, "x") == 0, name);
	}
}

/* Names of items are bytes; in the file they are escaped. */
static void item_names(void)
{
	static const char *const name[] = { "plain.png", "back\\slash", "new\nline", "\xff\xfe", "\xc2\x85", "\xc3\xa4", "a\x1b[31m" };
	ds_buf out = { 0 };
	ds_sink *s;
	ds_dsm_writer *w;
	ds_meta m = { 0 };
	ds_tensor t;
	float f = 1;
	ds_tensor_borrow(&t, DS_F32, 0, NULL, &f);
	bool good = ds_meta_set_str(&m, "kind", "logits") == DS_OK && ds_sink_memory(&s, &out, &err) == DS_OK && ds_dsm_create(&w, s, NULL, &err) == DS_OK &&
		ds_dsm_put_meta(w, &m, &err) == DS_OK;
	for (size_t i = 0; good && i < DS_COUNTOF(name); i++)
		good = ds_dsm_put_tensor(w, &t, "", (uint32_t)i, name[i], strlen(name[i]), &err) == DS_OK;
	OK(good && ds_dsm_put_tensor(w, &t, "", 99, NULL, 0, NULL) == DS_E_INPUT, "items count up by one");
	good = good && ds_dsm_finish(w, &err) == DS_OK;
	ds_dsm_writer_free(w);
	ds_sink_abort(s);
	ds_meta_done(&m);
	ds_source *src;
	ds_dsm_reader *r;
	ds_rec rec;
	OK(good && ds_source_memory(&src, out.data, out.len, "x", &err) == DS_OK && ds_dsm_open(&r, src, NULL, &err) == DS_OK &&
		ds_dsm_next(r, &rec, &err) == DS_OK, "stream of items");
	for (size_t i = 0; good && i < DS_COUNTOF(name); i++)
		good = ds_dsm_next(r, &rec, &err) == DS_OK && rec.tensor.item == i && rec.tensor.item_len == strlen(name[i]) &&
			memcmp(rec.tensor.item_name, name[i], rec.tensor.item_len) == 0;
	OK(good && ds_dsm_next(r, &rec, &err) == DS_END, "item names come back");
	ds_dsm_close(r);
	ds_buf_done(&out);
}

int main(void)
{
	worked_example();
	round_trips();
	refusals();
	item_names();
	return failed;
}
