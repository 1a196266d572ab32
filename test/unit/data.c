/* data.c - unit tests of lib/data: pictures, resizing, preprocessing, arrays, labels, lists, the iterator, figures */
#include "data/local.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed;
#define CHECK(name, cond) do { if (cond) printf("ok %s\n", name); else { printf("not ok %s: line %d\n", name, __LINE__); failed = 1; } } while (0)

static uint8_t *slurp(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	uint8_t *p = malloc(1 << 20);
	*n = f && p ? fread(p, 1, 1 << 20, f) : 0;
	if (f)
		fclose(f);
	return p;
}

static void spit(const char *path, const void *p, size_t n)
{
	n = n ? n : strlen(p);          /* 0: text */
	FILE *f = fopen(path, "wb");
	if (!f || fwrite(p, 1, n, f) != n || fclose(f))
		printf("not ok write %s\n", path);
}

/* ---- pictures ----------------------------------------------------------------------------------------------------------------- */

static ds_status decode(ds_image *im, const char *path, ds_err *err)
{
	size_t n;
	uint8_t *p = slurp(path, &n);
	ds_status rc = ds_image_decode(im, p, n, 0, err);
	free(p);
	return rc;
}

/* The seeds hold one picture in many forms: gray g(x, y) = 20 y + 7 x, colours (g, 255 - g, 3 g). */
static bool is_picture(const ds_image *im, int channels, int bits)
{
	bool ok = im->w == 13 && im->h == 9 && im->channels == channels;
	for (int y = 0; ok && y < 9; y++) {
		for (int x = 0; x < 13; x++) {
			int g = (20 * y + 7 * x) & 255, want[3] = { g, 255 - g, (3 * g) & 255 };
			if (bits < 8)
				want[0] = (g >> (8 - bits)) * 255 / ((1 << bits) - 1);
			for (int c = 0; c < channels; c++)
				ok = ok && im->px[(y * 13 + x) * channels + c] == want[c];
		}
	}
	return ok;
}

static void pictures(void)
{
	static const struct { const char *name; int channels, bits; } form[] = {
		{ "gray8", 1, 8 }, { "graya8", 1, 8 }, { "gray16", 1, 8 }, { "gray4", 1, 4 }, { "rgb8", 3, 8 }, { "rgba8", 3, 8 }, { "rgb16", 3, 8 },
		{ "interlaced", 3, 8 }, { "key", 3, 8 },
	};
	char path[128];
	ds_image im;
	ds_err err;
	for (size_t i = 0; i < DS_COUNTOF(form); i++) {
		snprintf(path, sizeof path, "test/corpus/png/%s.png", form[i].name);
		CHECK(form[i].name, decode(&im, path, NULL) == DS_OK && is_picture(&im, form[i].channels, form[i].bits));
		ds_image_done(&im);
	}
	CHECK("palette", decode(&im, "test/corpus/png/palette.png", NULL) == DS_OK && im.channels == 3 && im.px[0] == 0 && im.px[1] == 2 && im.px[2] == 4);
	ds_image_done(&im);
	CHECK("exif in png", decode(&im, "test/corpus/png/exif6.png", NULL) == DS_OK && im.w == 9 && im.h == 13 && im.px[0] == (20 * 8 & 255));
	ds_image_done(&im);
	CHECK("huge is refused", decode(&im, "test/corpus/png/huge.png", &err) != DS_OK && !im.px);
}

/* Every cut of a PNG and every change of a byte in its chunks is a failed picture: the checksum sees to it. */
static void broken_png(void)
{
	size_t n;
	uint8_t *p = slurp("test/corpus/png/rgb8.png", &n);
	ds_image im;
	bool cut = n > 100, flip = cut, named = true;
	for (size_t i = 0; i < n; i++) {
		ds_err err = { 0 };
		cut = cut && ds_image_decode(&im, p, i, 0, &err) != DS_OK && !im.px;
		named = named && (i < 8 || strstr(err.text, "PNG"));
		p[i] ^= 0x10;
		flip = flip && (ds_image_decode(&im, p, n, 0, NULL) != DS_OK || (i >= n - 12 && i < n - 8));
		ds_image_done(&im);
		p[i] ^= 0x10;
	}
	CHECK("every truncation of a png", cut && named);
	CHECK("every flipped byte of a png", flip);
	free(p);
}

static void orientation(void)
{
	/* 2 x 3 pixels a..f; the upright picture for each EXIF orientation */
	static const char *const want[9] = { NULL, "abcdef", "badcfe", "fedcba", "efcdab", "acebdf", "ecafdb", "fdbeca", "bdface" };
	bool ok = true;
	for (int o = 1; o <= 8; o++) {
		ds_image im = { 2, 3, 1, ds_malloc(6) };
		memcpy(im.px, "abcdef", 6);
		ok = ok && ds_image_orient(&im, o, NULL) == DS_OK && !memcmp(im.px, want[o], 6) && im.w == (o < 5 ? 2 : 3);
		ds_image_done(&im);
	}
	CHECK("orientations", ok);
	CHECK("exif", ds_exif_orientation((const uint8_t *)"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0", 22) == 6 &&
		ds_exif_orientation((const uint8_t *)"II*\0\xff\xff\xff\xff", 8) == 1 && ds_exif_orientation((const uint8_t *)"", 0) == 1);
}

static void jpeg(void)
{
#ifdef HAVE_JPEG
	ds_image im;
	size_t n;
	char path[128];
	static const struct { const char *name; int w, h, channels; } form[] = {
		{ "rgb", 13, 9, 3 }, { "gray", 13, 9, 1 }, { "progressive", 13, 9, 3 }, { "cmyk", 13, 9, 3 }, { "s444", 13, 9, 3 }, { "exif8", 9, 13, 3 },
	};
	for (size_t i = 0; i < DS_COUNTOF(form); i++) {
		snprintf(path, sizeof path, "test/corpus/jpeg/%s.jpg", form[i].name);
		CHECK(form[i].name, decode(&im, path, NULL) == DS_OK && im.w == form[i].w && im.h == form[i].h && im.channels == form[i].channels);
		ds_image_done(&im);
	}
	uint8_t *p = slurp("test/corpus/jpeg/rgb.jpg", &n);
	bool cut = n > 100;
	for (size_t i = 0; i + 2 < n; i++)
		cut = cut && ds_image_decode(&im, p, i, 0, NULL) != DS_OK && !im.px;
	CHECK("every truncation of a jpeg", cut);
	free(p);
#else
	printf("skip jpeg: built without\n");
#endif
}

/* Expected pixels come from Pillow 13's Image.resize. */
static void resizing(void)
{
	static uint8_t px[15] = { 0, 100, 200, 50, 7, 255, 3, 90, 90, 1, 10, 20, 30, 40, 250 };
	static const uint8_t bilinear[4] = { 96, 67, 53, 87 }, down[6] = { 85, 124, 24, 65, 35, 121 };
	static const uint8_t up[28] = { 0, 46, 143, 206, 92, 19, 4, 177, 93, 53, 135, 102, 34, 0, 181, 77, 3, 60, 71, 84, 95, 0, 10, 24, 27, 19, 137, 255 };
	static const uint8_t near[10] = { 100, 50, 100, 50, 3, 90, 20, 40, 20, 40 };
	static const struct { const char *name; int w, h, rule; const uint8_t *want; } t[] = {
		{ "bilinear-antialias", 2, 2, DS_INTERP_BILINEAR_AA, bilinear }, { "bicubic up", 7, 4, DS_INTERP_BICUBIC_AA, up },
		{ "bicubic down", 3, 2, DS_INTERP_BICUBIC_AA, down }, { "nearest", 2, 5, DS_INTERP_NEAREST, near },
	};
	ds_image in = { 5, 3, 1, px }, out;
	for (size_t i = 0; i < DS_COUNTOF(t); i++) {
		bool ok = ds_image_resize(&out, &in, t[i].w, t[i].h, t[i].rule, NULL) == DS_OK && !memcmp(out.px, t[i].want, (size_t)t[i].w * t[i].h);
		CHECK(t[i].name, ok);
		ds_image_done(&out);
	}
}

static void preprocessing(void)
{
	uint8_t px[6 * 4 * 3];
	float out[3 * 4 * 4];
	ds_meta m = { 0 };
	bool present, same = true;
	int n;
	const ds_preset *all = ds_presets(&n);
	for (int i = 0; i < n; i++) {
		ds_prep_spec s;
		same = same && ds_prep_to_meta(&all[i].spec, &m, 0) == DS_OK && ds_prep_from_meta(&s, &m, 0, &present, NULL) == DS_OK && present &&
			!memcmp(&s, &all[i].spec, sizeof s) && ds_prep_check(&s, NULL) == DS_OK && ds_preset_find(all[i].name) == &all[i];
	}
	CHECK("presets through metadata", same && n >= 8);
	CHECK("bad metadata", ds_meta_set_str(&m, "input.0.resize", "sideways") == DS_OK && ds_prep_from_meta(&(ds_prep_spec){ 0 }, &m, 0, &present, NULL) ==
		DS_E_UNSUPPORTED);
	ds_meta_done(&m);
	for (size_t i = 0; i < sizeof px; i++)
		px[i] = (uint8_t)i;
	ds_image im = { 6, 4, 3, px };
	ds_prep_spec s = { .h = 2, .w = 2, .crop = DS_CROP_CENTER, .scale = 2, .mean = { 1, 2, 3 }, .std = { 2, 2, 2 }, .color = DS_COLOR_BGR };
	bool ok = ds_prep_image(&s, &im, out, NULL) == DS_OK;
	/* pixel (2, 1) has bytes 24 25 26 */
	CHECK("crop, BGR, mean", ok && out[0] == (26 * 2 - 1) / 2.f && out[4] == (25 * 2 - 2) / 2.f && out[8] == (24 * 2 - 3) / 2.f);
	s.layout = DS_NHWC;
	ok = ds_prep_image(&s, &im, out, NULL) == DS_OK;
	CHECK("channels last", ok && out[0] == (26 * 2 - 1) / 2.f && out[1] == (25 * 2 - 2) / 2.f && out[3] == (29 * 2 - 1) / 2.f);
	ds_prep_spec box = { .h = 4, .w = 4, .resize = DS_RESIZE_LETTERBOX, .interpolation = DS_INTERP_BILINEAR, .fill = { 9, 9, 9 }, .scale = 1, .std = { 1, 1, 1 } };
	ok = ds_prep_image(&box, &im, out, NULL) == DS_OK;
	CHECK("letterbox", ok && out[15] == 9 && out[0] != 9 && out[8] == 9);
	ds_prep_spec none = { .h = 5, .w = 5, .scale = 1, .std = { 1, 1, 1 } };
	CHECK("no rule fits", ds_prep_image(&none, &im, out, NULL) == DS_E_INPUT);
}

/* ---- arrays ------------------------------------------------------------------------------------------------------------------- */

static ds_status read_file(ds_tensor *t, const char *path, bool idx)
{
	ds_source *s;
	*t = (ds_tensor){ 0 };
	DS_TRY(ds_source_open(&s, path, NULL, NULL));
	ds_status rc = idx ? ds_idx_read(t, s, 1 << 20, NULL) : ds_npy_read(t, s, 1 << 20, NULL);
	ds_source_close(s);
	return rc;
}

static void arrays(void)
{
	ds_tensor t;
	CHECK("npy f32", read_file(&t, "test/corpus/npy/f4.npy", false) == DS_OK && t.dtype == DS_F32 && t.rank == 2 && ds_tensor_f64(&t, 5) == 5);
	ds_tensor_done(&t);
	CHECK("npy big-endian", read_file(&t, "test/corpus/npy/f8be.npy", false) == DS_OK && t.dtype == DS_F64 && ds_tensor_f64(&t, 2) == 2);
	ds_tensor_done(&t);
	bool ok = read_file(&t, "test/corpus/npy/fortran.npy", false) == DS_OK && t.rank == 3;
	for (int i = 0; ok && i < 24; i++)
		ok = ds_tensor_i64(&t, i) == i;
	CHECK("npy column-major", ok);
	ds_tensor_done(&t);
	CHECK("npy version 2", read_file(&t, "test/corpus/npy/v2.npy", false) == DS_OK && t.dtype == DS_U16 && ds_tensor_i64(&t, 4) == 4);
	ds_tensor_done(&t);
	CHECK("npy version 3", read_file(&t, "test/corpus/npy/v3.npy", false) == DS_OK && t.dim[0] == 5);
	ds_tensor_done(&t);
	CHECK("idx f32", read_file(&t, "test/corpus/idx/f32.idx", true) == DS_OK && t.dtype == DS_F32 && t.rank == 2 && ds_tensor_f64(&t, 5) == 1);
	ds_tensor_done(&t);
	CHECK("idx gzipped", read_file(&t, "test/corpus/idx/u8.idx.gz", true) == DS_OK && t.dim[0] == 9 && t.dim[1] == 13 && ds_tensor_i64(&t, 14) == 27);
	ds_tensor_done(&t);
	static const char *const file[] = { "test/corpus/npy/f4.npy", "test/corpus/idx/f32.idx", "test/corpus/idx/u8.idx.gz" };
	ok = true;
	for (int f = 0; f < 3; f++) {
		size_t n;
		uint8_t *p = slurp(file[f], &n);
		for (size_t i = 0; i <= n; i++) {
			ds_source *s;
			ds_err err = { 0 };
			uint8_t more = p[n - 1];
			/* every cut, and one byte too many */
			uint8_t *q = malloc(n + 1);
			memcpy(q, p, n);
			q[n] = more;
			size_t len = i == n ? n + 1 : i;
			if (ds_source_memory(&s, q, len, "x", NULL) == DS_OK) {
				ds_status rc = f ? ds_idx_read(&t, s, 1 << 20, &err) : ds_npy_read(&t, s, 1 << 20, &err);
				ok = ok && rc != DS_OK && err.text[0];
				ds_source_close(s);
			}
			free(q);
		}
		free(p);
	}
	CHECK("every truncation of an array", ok);
}

static void labels(void)
{
	static const char text[] = "n01440764 tench, Tinca tinca\nn01443537 goldfish\r\nn01484850 white_shark\n";
	ds_labels l;
	bool ok = ds_labels_parse(&l, text, sizeof text - 1, NULL) == DS_OK && l.n == 3 && l.id;
	CHECK("labels with ids", ok && !strcmp(l.name[0], "tench, Tinca tinca") && !strcmp(l.id[2], "n01484850") && !strcmp(l.name[1], "goldfish"));
	CHECK("finding labels", ok && ds_labels_find(&l, "Tinca tinca") == 0 && ds_labels_find(&l, "n01443537") == 1 && ds_labels_find(&l, "white shark") == 2 &&
		ds_labels_find(&l, "Tinca") == -1);
	ds_labels_done(&l);
	ok = ds_labels_parse(&l, "a\nn01440764 b\n", 14, NULL) == DS_OK && !l.id && l.n == 2 && !strcmp(l.name[1], "n01440764 b");
	CHECK("labels without ids", ok);
	ds_labels_done(&l);
	CHECK("bad labels", ds_labels_parse(&l, "a\n\xff\n", 4, NULL) == DS_E_INPUT && ds_labels_parse(&l, "", 0, NULL) == DS_E_INPUT);
}

/* ---- the iterator ------------------------------------------------------------------------------------------------------------- */

/* A model with one input [N, 1, 3, 4] and nothing else, which takes gray pictures of 4 x 3 as they are. */
static ds_model *model(bool prep)
{
	ds_model *m = ds_model_new();
	ds_type t = ds_type_make(DS_F32, 4, (int64_t[]){ -1, 1, 3, 4 });
	ds_graph_symbol(m->graph, "N");
	ds_value *in = ds_graph_input(m->graph, "x", &t);
	ds_node *n = ds_graph_node(m->graph, "", "Identity", "id", 1, &in, 1, (const char *const[]){ "y" });
	ds_prep_spec s = { .h = 3, .w = 4, .resize = DS_RESIZE_STRETCH, .interpolation = DS_INTERP_BILINEAR_AA, .scale = 1, .std = { 1, 1, 1 },
		.color = DS_COLOR_GRAY };
	if (ds_graph_output(m->graph, n->out[0]) != DS_OK || (prep && ds_prep_to_meta(&s, &m->meta, 0) != DS_OK))
		printf("not ok model\n");
	return m;
}

static char dir[64];

static const char *in_dir(const char *name)
{
	static char path[4][256];
	static int turn;
	char *p = path[turn++ & 3];
	snprintf(p, sizeof path[0], "%s/%s", dir, name);
	return p;
}

/* All items as text: "name:label:first value," or "name:bad,". */
static void read_all(ds_buf *b, ds_samples *s)
{
	ds_item it;
	ds_err err = { 0 };
	bool bad;
	ds_status rc;
	ds_buf_reset(b);
	while ((rc = s->next(s, &it, &bad, &err)) == DS_OK || bad) {
		const char *slash = strrchr(it.name, '/');
		ds_buf_str(b, slash ? slash + 1 : it.name);
		if (bad)
			ds_buf_str(b, ":bad,");
		else
			ds_buf_printf(b, ":%d:%g,", (int)it.label, ds_tensor_f64(&it.in[0], 0));
	}
	if (rc != DS_END)
		ds_buf_printf(b, "failed %d %s", rc, err.text);
}

static bool items_are(const ds_data_opts *o, const char *want)
{
	ds_samples *s;
	ds_buf b = { 0 };
	ds_err err = { 0 };
	bool ok = true;
	for (int threads = 1; threads <= 4; threads += 3) {
		ds_data_opts with = *o;
		with.threads = threads;
		if (ds_data_open(&s, &with, &err) != DS_OK) {
			printf("# open: %s\n", err.text);
			ok = !strcmp(want, "failed");
			continue;
		}
		for (int pass = 0; pass < 2; pass++) {
			read_all(&b, s);
			if (!b.data || strcmp(b.data, want)) {
				printf("# %s\n", b.data ? b.data : "");
				ok = false;
			}
			ok = s->rewind(s, &err) == DS_OK && ok;
		}
		s->free(s);
	}
	ds_buf_done(&b);
	return ok;
}

static void make_files(void)
{
	uint8_t idx[4 + 12 + 24] = { 0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 40 }, lab[4 + 4 + 2] = { 0, 0, 8, 1, 0, 0, 0, 2, 7, 5 };
	size_t n;
	idx[16 + 12] = 50;
	snprintf(dir, sizeof dir, "/tmp/ds-unit-data-%ld", (long)getpid());
	static const char *const sub[] = { "", "c", "c/bird", "c/ant", "c/ant/deep" };
	for (size_t i = 0; i < DS_COUNTOF(sub); i++)
		mkdir(in_dir(sub[i]), 0777);
	uint8_t *p = slurp("test/corpus/png/gray8.png", &n);
	spit(in_dir("c/bird/z.png"), p, n);
	spit(in_dir("c/ant/b.png"), p, n);
	spit(in_dir("c/ant/deep/a.png"), p, n);
	spit(in_dir("c/ant/.hidden"), p, n);
	spit(in_dir("c/ant/notes.txt"), "text", 0);
	spit(in_dir("c/bird/cut.png"), p, n - 20);
	free(p);
	spit(in_dir("images-idx3-ubyte"), idx, sizeof idx);
	spit(in_dir("labels-idx1-ubyte"), lab, sizeof lab);
	spit(in_dir("list.tsv"), "file\tclass\nc/ant/b.png\tbird\nc/bird/z.png\t0\textra\n", 0);
	spit(in_dir("names"), "nosuch.png\nc\n", 0);
}

static void iterator(void)
{
	ds_model *m = model(true), *bare = model(false);
	ds_labels names = { .name = (char *[]){ (char *)(uintptr_t)"bird", (char *)(uintptr_t)"cat", (char *)(uintptr_t)"ant" }, .n = 3 };
	const char *path[2] = { in_dir("c") };
	ds_data_opts o = { .model = m, .n_path = 1, .path = path, .recursive = true };
	char images[256], list[256], pair[300];
	snprintf(images, sizeof images, "%s", in_dir("images-idx3-ubyte"));
	snprintf(list, sizeof list, "%s", in_dir("list.tsv"));
	/* 13 x 9 becomes 4 x 3, whose first pixel is 35 (as Pillow has it) */
	CHECK("directory", items_are(&o, "b.png:-1:35,a.png:-1:35,cut.png:bad,z.png:-1:35,"));
	o.want_labels = true;
	CHECK("directory per class", items_are(&o, "b.png:0:35,a.png:0:35,cut.png:bad,z.png:1:35,"));
	o.names = &names;
	CHECK("classes by name", items_are(&o, "b.png:2:35,a.png:2:35,cut.png:bad,z.png:0:35,"));
	path[0] = list;
	CHECK("list of labels", items_are(&o, "b.png:0:35,z.png:0:35,"));
	path[0] = images;
	CHECK("idx with labels", items_are(&o, "images-idx3-ubyte[0]:7:40,images-idx3-ubyte[1]:5:50,"));
	o.model = bare;
	CHECK("array without preprocessing", items_are(&o, "images-idx3-ubyte[0]:7:40,images-idx3-ubyte[1]:5:50,"));
	path[0] = "test/corpus/png/gray8.png";
	ds_samples *s;
	ds_item it;
	bool bad;
	ds_err err = { 0 };
	CHECK("picture without preprocessing", ds_data_open(&s, &o, NULL) == DS_OK && s->next(s, &it, &bad, &err) == DS_E_USAGE && !bad &&
		strstr(err.text, "--input-preset"));
	s->free(s);
	path[0] = "test/corpus/npy/f4.npy";
	CHECK("wrong shape", items_are(&o, "f4.npy:bad,"));
	o = (ds_data_opts){ .model = bare, .n_named = 1, .named = (const char *const[]){ pair } };
	snprintf(pair, sizeof pair, "x=%s", images);
	CHECK("named input", items_are(&o, "images-idx3-ubyte[0]:-1:40,images-idx3-ubyte[1]:-1:50,"));
	snprintf(pair, sizeof pair, "y=%s", images);
	CHECK("unknown input", items_are(&o, "failed"));
	o = (ds_data_opts){ .model = m, .files_from = in_dir("names") };
	CHECK("names from a file", items_are(&o, "nosuch.png:bad,c:bad,"));
	ds_model_free(m);
	ds_model_free(bare);
}

/* ---- figures ------------------------------------------------------------------------------------------------------------------ */

static bool near(double a, double b)
{
	return fabs(a - b) < 1e-6;
}

static void figures(void)
{
	double lo, hi;
	ds_wilson(63, 100, &lo, &hi);
	CHECK("wilson", near(lo, 0.5322053) && near(hi, 0.7181763));
	ds_wilson(0, 10, &lo, &hi);
	CHECK("wilson 0", lo == 0 && near(hi, 0.2775328));
	CHECK("mcnemar", near(ds_mcnemar(10, 2), 0.03857422) && near(ds_mcnemar(2, 10), 0.03857422) && ds_mcnemar(3, 3) == 1 && ds_mcnemar(0, 0) == 1 &&
		near(ds_mcnemar(0, 5), 0.0625));
	ds_paired_diff(0, 0, 100, &lo, &hi);
	CHECK("paired difference", lo < 0 && hi > 0 && near(lo, -hi) && hi < 0.03);
	const float v[6] = { 1, NAN, 5, 5, -INFINITY, 2 };
	int64_t top[6];
	ds_top_k(v, 6, 6, top);
	CHECK("top k", top[0] == 2 && top[1] == 3 && top[2] == 5 && top[3] == 0 && top[4] == 4 && top[5] == 1);
	float p[3] = { 1000, 1000, 0 };
	ds_softmax(p, 3, p);
	CHECK("softmax", p[0] == 0.5f && p[1] == 0.5f && p[2] == 0);
}

int main(void)
{
	pictures();
	broken_png();
	orientation();
	jpeg();
	resizing();
	preprocessing();
	arrays();
	labels();
	figures();
	make_files();
	iterator();
	char cmd[128];
	snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
	return system(cmd) || failed;
}
