/* fuzz_options.c - any words as a command line: the parser answers settings or a usage fault, and settings survive a round trip
 *
 * The input is split at newlines into words. */
#include <stdlib.h>
#include <string.h>

#include "cli/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct settings {
	ds_common   c;
	int64_t     n;
	double      r;
	const char *s;
	int         pick;
	bool        flag;
	uint64_t    size;
	ds_strs     list;
} settings;

static const char *const picks[] = { "l1", "l2", "random", NULL };
#define AT(m) offsetof(settings, m)
static const ds_opt opts[] = {
	{ .name = "number", .letter = 'n', .type = DS_T_INT, .offset = AT(n), .def = "7", .min = -5, .max = 10, .help = "a number" },
	{ .name = "ratio", .letter = 'r', .type = DS_T_FLOAT, .offset = AT(r), .help = "a ratio" },
	{ .name = "string", .letter = 's', .type = DS_T_STR, .offset = AT(s), .metavar = "[TEXT]", .help = "any text" },
	{ .name = "pick", .type = DS_T_CHOICE, .offset = AT(pick), .def = "l2", .choices = picks, .help = "one of several" },
	{ .name = "flag", .letter = 'x', .type = DS_T_FLAG, .offset = AT(flag), .help = "yes" },
	{ .name = "size", .type = DS_T_SIZE, .offset = AT(size), .help = "bytes" },
	{ .name = "list", .letter = 'l', .type = DS_T_LIST, .offset = AT(list), .help = "several" },
	{ 0 }
};
static const ds_filter filter = {
	.name = "ds-fuzz", .summary = "test", .usage = "[option ...] [INPUT ...]", .examples = "", .opts = opts, .settings_size = sizeof(settings),
	.common = 0xfffff,
};

#define MAX_WORDS 64

static settings *parse(int argc, char **argv, ds_status *rc)
{
	ds_err err = { 0 };
	settings *s = calloc(1, sizeof *s);
	if (!s)
		exit(0);
	ds_cli_rows(&filter);
	ds_cli.c = &s->c;
	s->c.filter = &filter;
	*rc = ds_cli_defaults(s, &err);
	if (*rc != DS_OK)
		abort();
	*rc = ds_cli_parse(s, argc, argv, &err);
	if (*rc == DS_OK)
		*rc = ds_cli_combinations(&s->c, &err);
	if (*rc != DS_OK && (*rc != DS_E_USAGE || !err.text[0] || memchr(err.text, 0, sizeof err.text) == NULL))
		abort();
	return s;
}

/* The effective settings, given as options again, are the effective settings. */
static void round_trip(const settings *s)
{
	char *text = ds_cli_effective(s), *argv[MAX_WORDS + 32] = { (char *)"ds-fuzz", (char *)"-m", (char *)"x" };
	int argc = 3;
	ds_status rc;
	if (!text)
		return;
	char *copy = ds_strdup(text);
	for (char *p = copy; p && *p && argc < MAX_WORDS + 31; p = strchr(p, 0) + 1) {
		argv[argc++] = p;
		*strchr(p, '\n') = 0;
	}
	settings *t = parse(argc, argv, &rc);
	char *again = rc == DS_OK ? ds_cli_effective(t) : NULL;
	/* quoting makes a backslash two: only texts without one come back as they were */
	if (!strchr(text, '\\') && (!again || strcmp(again, text) != 0))
		abort();
	ds_free(again);
	ds_cli_done(t);
	ds_free(copy);
	ds_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *argv[MAX_WORDS] = { (char *)"ds-fuzz" };
	int argc = 1;
	ds_status rc;
	if (!text || size > 4096) {
		free(text);
		return 0;
	}
	memcpy(text, data, size);
	text[size] = 0;
	for (char *p = text; argc < MAX_WORDS && p < text + size; p = strchr(p, 0) + 1) {
		argv[argc++] = p;
		char *end = strchr(p, '\n');
		if (end)
			*end = 0;
	}
	settings *s = parse(argc, argv, &rc);
	if (rc == DS_OK)
		round_trip(s);
	ds_cli_done(s);
	free(text);
	return 0;
}
