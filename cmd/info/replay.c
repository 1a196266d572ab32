/* replay.c - ds-info --replay: a Makefile that does the commands of the history again
 *
 * History holds effective options and what the bytes that went in were, not where they lay.  So every file that a command read is a variable that whoever replays
 * sets; it is compared with its sum where that is of the file's own bytes (a model of another format, labels, a vocabulary) or with its identity (a teacher).  Samples are
 * summed as tensors, which no other program can do: they are judged by the result, as everything is, for each step must make the stream that the next one read. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "info.h"

enum { OF_BYTES, OF_IDENTITY, OF_SAMPLES };

static const struct role {
	const char *name, *option, *what;       /* option "": the operand */
	int         sum;
} roles[] = {
	{ "model", "", "the model that was converted", OF_BYTES },
	{ "labels", "--labels", "names of the classes", OF_BYTES },
	{ "vocabulary", "--vocabulary", "the text with the characters", OF_BYTES },
	{ "plan", "--plan", "the plan that was obeyed", OF_BYTES },
	{ "calibration", "--calibrate", "samples to calibrate with", OF_SAMPLES },
	{ "training", "--data", "samples to train with", OF_SAMPLES },
	{ "validation", "--validate", "samples to measure with", OF_SAMPLES },
	{ "teacher", "--teacher", "the teacher", OF_IDENTITY },
	{ "logits", "--logits", "what the teacher answered", OF_IDENTITY },
};

struct step { ds_meta m; };
struct replay { struct step *step; int n; size_t cap; };

ds_status info_replay_new(replay **r, ds_err *err)
{
	*r = ds_calloc(1, sizeof **r);
	return *r ? DS_OK : ds_fail_nomem(err, sizeof **r);
}

void info_replay_free(replay *r)
{
	for (int i = 0; r && i < r->n; i++)
		ds_meta_done(&r->step[i].m);
	if (r)
		ds_free(r->step);
	ds_free(r);
}

ds_status info_replay_add(replay *r, const ds_meta *entry, ds_err *err)
{
	if (!ds_grow((void **)&r->step, (size_t)r->n, &r->cap, sizeof *r->step))
		return ds_fail_nomem(err, sizeof *r->step);
	ds_meta *m = &r->step[r->n].m;
	*m = (ds_meta){ 0 };
	ds_status rc = ds_meta_copy(m, entry);
	if (rc != DS_OK)
		return ds_fail_nomem(err, 0);
	r->n++;
	return DS_OK;
}

/* ---- text for make and the shell -------------------------------------------------------------------------------------------------- */
/* In single quotes for the shell, with make's dollars doubled. */
static void put_word(ds_buf *b, const char *s)
{
	ds_buf_str(b, "'");
	for (; *s; s++) {
		if (*s == '\'')
			ds_buf_str(b, "'\\''");
		else if (*s == '$')
			ds_buf_str(b, "$$");
		else
			ds_buf_add(b, s, 1);
	}
	ds_buf_str(b, "'");
}

/* What a comment may hold: one line, without the backslash that would join the next one to it. */
static void put_comment(ds_buf *b, const char *s)
{
	for (; *s; s++)
		ds_buf_add(b, (unsigned char)*s < ' ' || *s == '\\' ? " " : s, 1);
}

static const struct role *role_of(const char *line, size_t *n)
{
	*n = strcspn(line, " ");
	for (size_t i = 0; i < DS_COUNTOF(roles); i++)
		if (strlen(roles[i].name) == *n && strncmp(roles[i].name, line, *n) == 0)
			return &roles[i];
	return NULL;
}

/* TEACHER_3 */
static void put_variable(ds_buf *b, const char *role, size_t n, int step)
{
	for (size_t i = 0; i < n; i++) {
		char c = role[i] >= 'a' && role[i] <= 'z' ? (char)(role[i] - 'a' + 'A') : role[i] >= '0' && role[i] <= '9' ? role[i] : '_';
		ds_buf_add(b, &c, 1);
	}
	ds_buf_printf(b, "_%d", step);
}

static void put_value(ds_buf *b, const char *role, size_t n, int step)
{
	ds_buf_str(b, "'$(");
	put_variable(b, role, n, step);
	ds_buf_str(b, ")'");
}

/* "8 hex:decimal" and nothing else, so that it can stand in a recipe. */
static bool is_identity(const char *s)
{
	return s && strlen(s) > 9 && strspn(s, "0123456789abcdef") == 8 && s[8] == ':' && strspn(s + 9, "0123456789") == strlen(s + 9);
}

static bool is_sha256(const char *s)
{
	return strspn(s, "0123456789abcdef") == 64 && s[64] == ' ';
}

/* The program's name without the version; NULL: nothing that may be run. */
static const char *tool_of(const ds_meta *m, char *name, size_t cap)
{
	const char *s = ds_meta_str(m, "tool");
	size_t n = s ? strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") : 0;
	if (!n || n >= cap || strncmp(s, "ds-", 3) != 0 || (s[n] && s[n] != ' '))
		return NULL;
	memcpy(name, s, n);
	name[n] = 0;
	return name;
}

/* ---- parts of the Makefile ------------------------------------------------------------------------------------------------------------ */
/* A step before that read the same bytes in the same role; -1: none. */
static int same_before(const replay *r, int i, const char *line)
{
	for (int j = 0; j < i; j++) {
		const ds_kv *ext = ds_meta_find(&r->step[j].m, "external");
		for (int k = 0; ext && ext->type == DS_KV_LIST && k < ext->n; k++)
			if (strcmp(ext->u.l[k], line) == 0)
				return j;
	}
	return -1;
}

/* The variables of step i (from 0), with what is known of each. */
static void put_variables(ds_buf *b, const replay *r, int i)
{
	const ds_kv *ext = ds_meta_find(&r->step[i].m, "external");
	for (int k = 0; ext && ext->type == DS_KV_LIST && k < ext->n; k++) {
		size_t n;
		const struct role *role = role_of(ext->u.l[k], &n);
		ds_buf_str(b, "# ");
		put_comment(b, ext->u.l[k]);
		ds_buf_printf(b, "%s%s\n", role ? ": " : ": not known here, the command below lacks it", role ? role->what : "");
		put_variable(b, ext->u.l[k], n, i + 1);
		int j = same_before(r, i, ext->u.l[k]);
		ds_buf_str(b, " ?=");
		if (j >= 0) {
			ds_buf_str(b, " $(");
			put_variable(b, ext->u.l[k], n, j + 1);
			ds_buf_str(b, ")");
		}
		ds_buf_str(b, "\n");
	}
}

/* Stop where a variable is empty or its file is another one. */
static void put_checks(ds_buf *b, const ds_meta *m, int i)
{
	const ds_kv *ext = ds_meta_find(m, "external");
	for (int k = 0; ext && ext->type == DS_KV_LIST && k < ext->n; k++) {
		size_t n;
		const char *line = ext->u.l[k];
		const struct role *role = role_of(line, &n);
		if (!role)
			continue;
		ds_buf_str(b, "\t@test -n ");
		put_value(b, line, n, i);
		ds_buf_str(b, " || { echo \"replay: say where '");
		ds_buf_printf(b, "%s", role->what);
		ds_buf_str(b, "' lies: ");
		put_variable(b, line, n, i);
		ds_buf_str(b, "=FILE\" >&2; exit 2; }\n");
		const char *sum = line + n + (line[n] == ' ');
		if (role->sum == OF_BYTES && is_sha256(sum)) {
			ds_buf_printf(b, "\t@printf '%%s  %%s\\n' %.64s ", sum);
			put_value(b, line, n, i);
			ds_buf_str(b, " | sha256sum -c --quiet -\n");
		} else if (role->sum == OF_IDENTITY && is_identity(sum)) {
			ds_buf_str(b, "\t@$(call same,$(");
			put_variable(b, line, n, i);
			ds_buf_printf(b, "),%s)\n", sum);
		}
	}
}

static void put_command(ds_buf *b, const ds_meta *m, const char *tool, int i, const char *input)
{
	const ds_kv *args = ds_meta_find(m, "args"), *ext = ds_meta_find(m, "external");
	ds_buf_printf(b, "\t%s --recorded", tool);
	for (int k = 0; args && args->type == DS_KV_LIST && k < args->n; k++) {
		ds_buf_str(b, " ");
		put_word(b, args->u.l[k]);
	}
	bool operand = false;
	for (int k = 0; ext && ext->type == DS_KV_LIST && k < ext->n; k++) {
		size_t n;
		const struct role *role = role_of(ext->u.l[k], &n);
		if (!role || !*role->option)
			continue;
		ds_buf_printf(b, " %s ", role->option);
		put_value(b, ext->u.l[k], n, i);
	}
	for (int k = 0; ext && ext->type == DS_KV_LIST && k < ext->n; k++) {
		size_t n;
		const struct role *role = role_of(ext->u.l[k], &n);
		if (role && !*role->option) {
			ds_buf_str(b, " ");
			put_value(b, ext->u.l[k], n, i);
			operand = true;
		}
	}
	if (!operand)
		ds_buf_printf(b, " %s", input);
	ds_buf_str(b, " -f -o $@\n");
}

static void put_head(ds_buf *b, int n, const char *whole)
{
	ds_buf_printf(b, "# Rebuilds the model %s in %d step%s (ds-info --replay):\n"
		"#\n"
		"#   make -f THIS_FILE VARIABLE=FILE ...\n"
		"#\n"
		"# Each step is compared with what it made before; where it makes another stream, make stops.\n"
		"OUT ?= replay\n"
		"identity = ds-info --tsv '$(1)' | sed -n 's/^identity[[:space:]]*//p'\n"
		"same = is=$$($(call identity,$(1))) && test \"$$is\" = '$(2)' || { echo \"replay: $(1) is $$is, not $(2)\" >&2; exit 6; }\n\n", whole, n, n == 1 ? "" : "s");
}

ds_status info_replay_write(const replay *r, uint32_t crc, uint64_t len, ds_sink *sink, ds_err *err)
{
	ds_buf b = { 0 };
	char whole[40], tool[64];
	ds_status rc = DS_OK;
	snprintf(whole, sizeof whole, "%08" PRIx32 ":%" PRIu64, crc, len);
	if (!r->n)
		return ds_fail(err, DS_E_INPUT, "the stream has no history to replay");
	put_head(&b, r->n, whole);
	const char *first = ds_meta_str(&r->step[0].m, "input");
	if (is_identity(first))
		ds_buf_printf(&b, "# input %s: the stream that the first command read\nINPUT ?=\n", first);
	for (int i = 0; i < r->n; i++)
		put_variables(&b, r, i);
	ds_buf_printf(&b, "\nall: $(OUT)/%d.dsm\n\t@echo 'replay: $< is the same stream, %s'\n", r->n, whole);
	for (int i = 0; i < r->n && rc == DS_OK; i++) {
		const ds_meta *m = &r->step[i].m;
		const char *version = ds_meta_str(m, "tool"), *next = i + 1 < r->n ? ds_meta_str(&r->step[i + 1].m, "input") : whole;
		if (!tool_of(m, tool, sizeof tool)) {
			rc = ds_fail(err, DS_E_INPUT, "record %d of the history names no program of ours", i + 1);
			break;
		}
		ds_buf_str(&b, "\n# ");
		put_comment(&b, version);
		if (i)
			ds_buf_printf(&b, "\n$(OUT)/%d.dsm: $(OUT)/%d.dsm\n\t@mkdir -p '$(OUT)'\n", i + 1, i);
		else
			ds_buf_str(&b, "\n$(OUT)/1.dsm:\n\t@mkdir -p '$(OUT)'\n");
		if (!i && is_identity(first))
			ds_buf_printf(&b, "\t@test -n '$(INPUT)' || { echo 'replay: say where the stream %s lies: INPUT=FILE' >&2; exit 2; }\n\t@$(call same,$(INPUT),%s)\n", first, first);
		put_checks(&b, m, i + 1);
		put_command(&b, m, tool, i + 1, i ? "$<" : is_identity(first) ? "'$(INPUT)'" : "< /dev/null");
		if (is_identity(next))
			ds_buf_printf(&b, "\t@$(call same,$@,%s)\n", next);
	}
	ds_buf_str(&b, "\n.DELETE_ON_ERROR:\n");
	if (rc == DS_OK)
		rc = b.oom ? ds_fail_nomem(err, b.len) : ds_sink_write(sink, b.data, b.len, err);
	ds_buf_done(&b);
	return rc;
}
