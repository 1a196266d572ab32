/* page.c - the page: every node is in it, hostile names stay text, nothing is loaded, tags are closed, odd figures do no harm */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "profile/page.h"

static int failed;
#define CHECK(name, cond, ...) do { if (cond) printf("ok %s\n", name); else { printf("not ok %s: ", name); printf(__VA_ARGS__); printf("\n"); failed = 1; } } while (0)

enum { NODES = 60 };
static ds_page_node node[NODES];
static ds_page_edge edge[2 * NODES];
static ds_page_block block[NODES];
static char name[NODES][64];

static const ds_page_ceiling compute[] = { { "f32", 1.2e11 }, { "i8", 4e11 } }, memory[] = { { "L1", 3e11 }, { "L2", 1.2e11 }, { "DRAM", 1.5e10 } };
static const ds_page_fact facts[] = { { "processor", "<b>A & B</b>" }, { "load", "0.1" } }, tiles[] = { { "time of a run", "12.3 ms" }, { "planned memory", "3 MiB" } };

/* Residual blocks of four nodes. */
static ds_page sample(void)
{
	static const char *const op[] = { "Conv", "Relu", "Conv", "Add", "MaxPool", "Gemm" };
	ds_rng r = ds_rng_init(4, 4);
	int e = 0;
	double sum = 0;
	for (int i = 0; i < NODES; i++) {
		snprintf(name[i], sizeof name[i], "/layer%d/block%d/node_%d", i / 12, i / 4, i);
		double s = 1e-4 * (1 + 10 * ds_rng_f64(&r)) * (i % 4 == 0 ? 6 : 1);
		node[i] = (ds_page_node){ .kind = DS_PAGE_STEP, .name = name[i], .op = op[i % 4 + (i == 30)], .kernel = "conv.f32.igemm", .out = "f32[1, 64, 56, 56]", .bound = "f32",
			.seconds = s, .q1 = s * 0.98, .q3 = s * 1.05, .ops = s * 4e10 * ds_rng_f64(&r), .bytes = s * 1e10, .least = s * 0.4, .live = 1e6 * (1 + i % 7) };
		sum += s;
		if (i)
			edge[e++] = (ds_page_edge){ i - 1, i };
		if (i >= 4 && i % 4 == 3)
			edge[e++] = (ds_page_edge){ i - 4, i };
		block[i] = (ds_page_block){ name[i], i, i + 1 + i % 4, 4e5 * (i % 5), 4e5 };
	}
	node[0] = (ds_page_node){ .kind = DS_PAGE_INPUT, .name = "input", .op = "input", .out = "f32[1, 3, 224, 224]", .seconds = NAN, .q1 = NAN, .q3 = NAN, .ops = NAN, .bytes = NAN, .least = NAN, .live = NAN };
	return (ds_page){ .title = "sample.dsm", .fact = facts, .n_fact = 2, .tile = tiles, .n_tile = 2, .node = node, .n_node = NODES, .edge = edge, .n_edge = e, .wall = sum * 1.01,
		.overhead = sum * 0.01, .compute = compute, .n_compute = 2, .memory = memory, .n_memory = 3, .planned = 7.2e6, .naive = 4e7, .block = block, .n_block = NODES };
}

/* Are tags closed in order?  Good enough for a page that is XML: comments, CDATA and the doctype are skipped. */
static const char *unbalanced(const char *s)
{
	static char why[100];
	char stack[64][24];
	int n = 0;
	while ((s = strchr(s, '<')) != NULL) {
		if (strncmp(s, "<![CDATA[", 9) == 0) {
			s = strstr(s, "]]>");
			if (!s)
				return "an open CDATA";
			continue;
		}
		const char *end = s + 1;
		for (bool in = false; *end && (in || *end != '>'); end++)
			in ^= *end == '"';
		if (!*end)
			return "an open tag";
		bool close = s[1] == '/', self = end[-1] == '/', declaration = s[1] == '!';
		char tag[24];
		snprintf(tag, sizeof tag, "%.*s", (int)DS_MIN(strcspn(s + 1 + close, " />\n"), sizeof tag - 1), s + 1 + close);
		if (close) {
			if (n == 0 || strcmp(stack[--n], tag) != 0) {
				snprintf(why, sizeof why, "</%s> closes %s", tag, n >= 0 && n < 64 ? stack[n] : "nothing");
				return why;
			}
		} else if (!self && !declaration) {
			if (n == 64)
				return "too deep";
			memcpy(stack[n++], tag, sizeof tag);
		}
		s = end;
	}
	return n ? "a tag that is not closed" : NULL;
}

static int occurrences(const char *s, const char *what)
{
	int n = 0;
	for (; (s = strstr(s, what)) != NULL; s++)
		n++;
	return n;
}

static void whole(const char *path)
{
	ds_page p = sample();
	ds_buf b = { 0 };
	ds_err err = { 0 };
	ds_status rc = ds_page_write(&p, &b, &err);
	CHECK("a page", rc == DS_OK && b.len > 20000, "%s", err.text);
	if (rc != DS_OK)
		return;
	const char *why = unbalanced(b.data);
	CHECK("tags are closed", !why, "%s", why);
	int missing = 0;
	for (int i = 1; i < NODES; i++) {
		char cell[100];
		snprintf(cell, sizeof cell, "<td>%s</td>", name[i]);
		missing += !strstr(b.data, cell);
	}
	CHECK("every node has its row", missing == 0, "%d are missing", missing);
	CHECK("every node has its box", occurrences(b.data, "<g class=\"n ") == NODES, "%d", occurrences(b.data, "<g class=\"n "));
	CHECK("every edge is drawn", occurrences(b.data, "<path data-e=") == p.n_edge, "%d", occurrences(b.data, "<path data-e="));
	CHECK("every step is a dot", occurrences(b.data, "<circle class=\"d ") == NODES - 1, "%d", occurrences(b.data, "<circle class=\"d "));
	CHECK("nothing is loaded", !strstr(b.data, "http:") && !strstr(b.data, "https:") && !strstr(b.data, "src=") && !strstr(b.data, "@import"), "an address");
	CHECK("the policy forbids it, too", strstr(b.data, "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'") != NULL, "none");
	CHECK("facts are text", strstr(b.data, "&lt;b&gt;A &amp; B&lt;/b&gt;") && !strstr(b.data, "<b>A"), "markup");
	ds_buf again = { 0 };
	rc = ds_page_write(&p, &again, &err);
	CHECK("the same twice", rc == DS_OK && again.len == b.len && memcmp(again.data, b.data, b.len) == 0, "differs");
	FILE *f = path ? fopen(path, "w") : NULL;
	if (f) {
		fwrite(b.data, 1, b.len, f);
		fclose(f);
	}
	ds_buf_done(&again);
	ds_buf_done(&b);
}

static void hostile(void)
{
	static const char *const names[] = {
		"</script><script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)", "]]><!--", "\xff\xfe\x01\x1b[31m", "a\nb\tc", "&amp;", "", ("\xe2\x80\xae" "gnp"),
	};
	ds_page p = sample();
	ds_err err = { 0 };
	for (size_t i = 0; i < DS_COUNTOF(names); i++) {
		node[i + 1].name = node[i + 1].op = node[i + 1].kernel = node[i + 1].out = node[i + 1].bound = names[i];
		block[i].name = names[i];
	}
	ds_page_fact f[] = { { names[0], names[1] } };
	ds_page_ceiling c[] = { { names[0], 1e11 } };
	p.title = names[0];
	p.fact = p.tile = f;
	p.n_fact = p.n_tile = 1;
	p.compute = p.memory = c;
	p.n_compute = p.n_memory = 1;
	ds_buf b = { 0 };
	ds_status rc = ds_page_write(&p, &b, &err);
	const char *why = rc == DS_OK ? unbalanced(b.data) : err.text;
	CHECK("hostile names: tags", !why, "%s", why);
	bool control = false;
	for (size_t i = 0; rc == DS_OK && i < b.len; i++)
		control |= (unsigned char)b.data[i] < 32 && b.data[i] != '\n';
	CHECK("hostile names: bytes", rc == DS_OK && !control && !strchr(b.data, '\xff') && !strstr(b.data, "\xe2\x80\xae"), "control bytes");
	CHECK("hostile names: script", rc == DS_OK && occurrences(b.data, "<script>") == 1 && !strstr(b.data, "<img") && !strstr(b.data, "' onmouseover='"), "%d scripts",
		rc == DS_OK ? occurrences(b.data, "<script>") : -1);
	ds_buf_done(&b);
}

static void odd(void)
{
	static const double v[] = { NAN, 0, INFINITY, 1e-300, 1e300 };
	ds_err err = { 0 };
	const char *why = NULL;
	for (size_t i = 0; i < DS_COUNTOF(v) && !why; i++) {
		ds_page p = sample();
		ds_buf b = { 0 };
		for (int k = 0; k < NODES; k++)
			node[k].seconds = node[k].q1 = node[k].q3 = node[k].ops = node[k].bytes = node[k].least = node[k].live = v[i];
		p.wall = v[i];
		why = ds_page_write(&p, &b, &err) == DS_OK ? unbalanced(b.data) : err.text;
		ds_buf_done(&b);
	}
	CHECK("odd figures", !why, "%s", why);
	ds_page p = { .title = "", .planned = NAN, .naive = NAN };
	ds_buf b = { 0 };
	ds_status rc = ds_page_write(&p, &b, &err);
	why = rc == DS_OK ? unbalanced(b.data) : err.text;
	CHECK("an empty graph", !why, "%s", why);
	ds_buf_done(&b);
}

int main(int argc, char **argv)
{
	whole(argc > 1 ? argv[1] : NULL);
	hostile();
	odd();
	return failed;
}
