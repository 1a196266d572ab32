/* docs.c - the parts of manual pages and completions that follow from the option table (`make docs` puts them in place) */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

static bool visible(const ds_opt *o)
{
	return o->type != DS_T_GROUP && !(o->flags & DS_OPT_HIDDEN);
}

/* ---- mdoc ------------------------------------------------------------------------------------------------------------------------ */

/* Text for mdoc: backslashes escaped, never a control line by accident, lines of moderate length. */
static void mdoc_text(ds_buf *b, const char *s)
{
	int col = 0;
	for (bool start = true; *s; s++, start = false) {
		if (*s == ' ' && col > 65) {
			ds_buf_str(b, "\n");
			col = 0;
			start = true;
			while (s[1] == ' ')
				s++;
			if (s[1] == '.' || s[1] == '\'')
				ds_buf_str(b, "\\&");
			continue;
		}
		if (start && (*s == '.' || *s == '\''))
			ds_buf_str(b, "\\&");
		if (*s == '\\')
			ds_buf_str(b, "\\e");
		else if (*s == '-' && s[1] == '-')
			ds_buf_str(b, "\\-");
		else
			ds_buf_add(b, s, 1);
		col++;
	}
}

static void mdoc_sentence(ds_buf *b, const char *s)
{
	ds_buf t = { 0 };
	size_t word = strspn(s, "abcdefghijklmnopqrstuvwxyz");
	bool value = word && (s[word] == ',' || (s[word] >= '0' && s[word] <= '9'));    /* "minmax, mse ...", "w8: ...": as they are typed */
	ds_buf_printf(&t, "%c%s.", value ? s[0] : toupper((unsigned char)s[0]), s + 1);
	mdoc_text(b, t.data ? t.data : "");
	ds_buf_str(b, "\n");
	ds_buf_done(&t);
}

static void mdoc_option(ds_buf *b, const ds_opt *o)
{
	ds_buf v = { 0 };
	ds_cli_metavar(o, &v);
	ds_buf_str(b, ".It ");
	if (o->letter)
		ds_buf_printf(b, "Fl %c , ", o->letter);
	ds_buf_printf(b, "Fl \\-%s", o->name);
	if (v.len && ds_cli_optional(o))
		ds_buf_printf(b, " Ns Oo Ns = Ns Ar %.*s Oc", (int)v.len - 2, v.data + 1);
	else if (v.len)
		ds_buf_printf(b, " Ns = Ns %s \"%s\"", o->type == DS_T_CHOICE && !o->metavar ? "Cm" : "Ar", v.data);
	ds_buf_str(b, "\n");
	mdoc_sentence(b, o->help);
	if (o->type == DS_T_CHOICE && o->metavar) {
		ds_buf_str(b, "One of");
		for (int i = 0; o->choices[i]; i++)
			ds_buf_printf(b, "\n.Cm %s%s", o->choices[i], o->choices[i + 1] ? " ," : " .");
		ds_buf_str(b, "\n");
	}
	ds_buf_reset(&v);
	ds_cli_range(o, &v);
	if (v.len)
		ds_buf_printf(b, "The value is %s.\n", v.data);
	if (o->def)
		ds_buf_printf(b, "The default is\n.Cm %s .\n", o->def);
	ds_buf_done(&v);
}

static void mdoc_options(ds_buf *b)
{
	bool open = false;
	for (int i = 0; i < ds_cli.n_row; i++) {
		const ds_opt *o = ds_cli.row[i];
		if (o->type == DS_T_GROUP) {
			if (open)
				ds_buf_str(b, ".El\n");
			ds_buf_printf(b, ".Ss %s\n", o->help);
			open = false;
		} else if (visible(o)) {
			if (!open)
				ds_buf_str(b, ".Bl -tag -width Ds\n");
			open = true;
			mdoc_option(b, o);
		}
	}
	if (open)
		ds_buf_str(b, ".El\n");
}

static const struct { const char *name, *option, *text; bool data_filter; } variables[] = {
	{ "DS_THREADS", "threads", "Threads, where\n.Fl \\-threads\nis not given.", false },
	{ "OMP_NUM_THREADS", "threads", "The same, where\n.Ev DS_THREADS\nis not set either.", true },
	{ "BATCH_SIZE", "batch", "Items computed together, where\n.Fl \\-batch\nis not given.", true },
	{ "DS_MEMORY_LIMIT", "memory-limit", "Limit of memory, where\n.Fl \\-memory-limit\nis not given.", false },
	{ "DS_CPU", "threads", "Instruction sets that may be used, for example\n.Dq c,avx2 .", false },
	{ "DS_TRACE", NULL, "What the parts of the library tell on standard error, as\n.Dq room:level .", false },
	{ "NO_COLOR", NULL, "No colour if not empty.", false },
	{ "TERM", NULL, "No colour if\n.Dq dumb .", false },
	{ "COLUMNS", NULL, "Width of the progress line.", false },
	{ "POSIXLY_CORRECT", NULL, "Options end at the first operand.", false },
};

static void mdoc_environment(ds_buf *b)
{
	ds_buf_str(b, ".Bl -tag -width Ds\n");
	for (size_t i = 0; i < DS_COUNTOF(variables); i++) {
		if (variables[i].option && !ds_cli_find(variables[i].option, strlen(variables[i].option), NULL))
			continue;
		if (variables[i].data_filter && !(ds_cli.f->common & DS_C_INPUTS))
			continue;
		ds_buf_printf(b, ".It Ev %s\n%s\n", variables[i].name, variables[i].text);
	}
	ds_buf_str(b, ".El\n");
}

static void mdoc_exit(ds_buf *b)
{
	static const char *const text[] = {
		"All was done.", "Run-time failure: input or output, memory or a limit, an internal fault.", "Usage: a wrong option or combination.",
		"The input is not acceptable: of the wrong type, corrupt or truncated.",
		"The input is valid but not supported, for example an operator that is not implemented.",
		"The batch is complete, but at least one item failed.", "A check that was asked for failed.",
	};
	ds_buf_str(b, ".Bl -tag -width Ds -compact\n");
	for (size_t i = 0; i < DS_COUNTOF(text); i++)
		ds_buf_printf(b, ".It %zu\n%s\n", i, text[i]);
	ds_buf_str(b, ".It 128+n\nEnded by signal n.\n.El\nWhere several apply, the order is 2, 1, 4, 3, 5, 6.\n");
}

/* Blocks between BEGIN and END lines, which a page holds at the places where it wants them. */
void ds_cli_man(ds_buf *b)
{
	static const struct { const char *name; void (*text)(ds_buf *); } block[] = {
		{ "options", mdoc_options }, { "environment", mdoc_environment }, { "exit-status", mdoc_exit },
	};
	for (size_t i = 0; i < DS_COUNTOF(block); i++) {
		ds_buf_printf(b, ".\\\" BEGIN %s (generated from the option table by make docs)\n", block[i].name);
		block[i].text(b);
		ds_buf_printf(b, ".\\\" END %s\n", block[i].name);
	}
}

/* ---- completions ----------------------------------------------------------------------------------------------------------------- */

static void joined(ds_buf *b, const char *const *list, const char *sep)
{
	for (int i = 0; list[i]; i++)
		ds_buf_printf(b, "%s%s", i ? sep : "", list[i]);
}

static void spelt(ds_buf *b, const ds_opt *o, const char *sep)
{
	if (o->letter)
		ds_buf_printf(b, "-%c%s", o->letter, sep);
	ds_buf_printf(b, "--%s", o->name);
}

/* ds-prune -> ds_prune */
static void function_name(ds_buf *b, const char *s)
{
	for (; *s; s++)
		ds_buf_add(b, isalnum((unsigned char)*s) ? s : "_", 1);
}

void ds_cli_bash(ds_buf *b)
{
	ds_buf fn = { 0 }, files = { 0 }, any = { 0 };
	function_name(&fn, ds_cli.f->name);
	ds_buf_printf(b, "# bash completion for %s, generated from its option table by make docs\n_%s()\n{\n", ds_cli.f->name, fn.data);
	ds_buf_str(b, "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
		"\t[[ $cur == = ]] && cur=\n"
		"\t[[ $prev == = && COMP_CWORD -ge 2 ]] && prev=${COMP_WORDS[COMP_CWORD-2]}\n\tCOMPREPLY=()\n\tcase $prev in\n");
	for (int i = 0; i < ds_cli.n_row; i++) {
		const ds_opt *o = ds_cli.row[i];
		if (!visible(o) || !ds_cli_takes_value(o) || ds_cli_optional(o))
			continue;
		if (o->type == DS_T_CHOICE) {
			ds_buf_str(b, "\t");
			spelt(b, o, "|");
			ds_buf_str(b, ")\n\t\tCOMPREPLY=($(compgen -W '");
			joined(b, o->choices, " ");
			ds_buf_str(b, "' -- \"$cur\"))\n\t\treturn ;;\n");
		} else {
			ds_buf *to = ds_cli_is_path(o) ? &files : &any;
			ds_buf_str(to, to->len ? "|" : "");
			spelt(to, o, "|");
		}
	}
	if (files.len)
		ds_buf_printf(b, "\t%s)\n\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n\t\treturn ;;\n", files.data);
	if (any.len)
		ds_buf_printf(b, "\t%s)\n\t\treturn ;;\n", any.data);
	ds_buf_str(b, "\tesac\n\tif [[ $cur == -* ]]; then\n\t\tCOMPREPLY=($(compgen -W '");
	bool first = true;
	for (int i = 0; i < ds_cli.n_row; i++)
		if (visible(ds_cli.row[i])) {
			ds_buf_str(b, first ? "" : "\n\t\t\t");
			spelt(b, ds_cli.row[i], " ");
			first = false;
		}
	ds_buf_printf(b, "' -- \"$cur\"))\n\telse\n\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n\tfi\n}\ncomplete -o filenames -F _%s %s\n", fn.data ? fn.data : "",
		ds_cli.f->name);
	ds_buf_done(&fn);
	ds_buf_done(&files);
	ds_buf_done(&any);
}

/* Help inside '...[...]...': quotes, brackets and colons are escaped. */
static void zsh_text(ds_buf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '\'')
			ds_buf_str(b, "'\\'");
		else if (*s == '[' || *s == ']' || *s == ':' || *s == '\\')
			ds_buf_str(b, "\\");
		ds_buf_add(b, s, 1);
	}
}

static void zsh_value(ds_buf *b, const ds_opt *o)
{
	ds_buf v = { 0 };
	if (!ds_cli_takes_value(o))
		return;
	ds_cli_metavar(o, &v);
	ds_buf_str(b, ds_cli_optional(o) ? "::" : ":");
	zsh_text(b, o->type == DS_T_CHOICE ? o->name : v.data ? v.data : "");
	ds_buf_str(b, ":");
	if (o->type == DS_T_CHOICE) {
		ds_buf_str(b, "(");
		joined(b, o->choices, " ");
		ds_buf_str(b, ")");
	} else if (ds_cli_is_path(o)) {
		ds_buf_str(b, "_files");
	}
	ds_buf_done(&v);
}

void ds_cli_zsh(ds_buf *b)
{
	ds_buf_printf(b, "#compdef %s\n# zsh completion, generated from the option table by make docs\n_arguments -s -S \\\n", ds_cli.f->name);
	for (int i = 0; i < ds_cli.n_row; i++) {
		const ds_opt *o = ds_cli.row[i];
		if (!visible(o))
			continue;
		const char *value = ds_cli_optional(o) ? "=-" : ds_cli_takes_value(o) ? "=" : "";
		ds_buf_str(b, "\t");
		if (o->type == DS_T_LIST)
			ds_buf_str(b, "'*'");
		else if (o->letter)
			ds_buf_printf(b, "'(-%c --%s)'", o->letter, o->name);
		if (o->letter)
			ds_buf_printf(b, "{-%c%s,--%s%s}", o->letter, ds_cli_takes_value(o) ? "+" : "", o->name, value);
		else
			ds_buf_printf(b, "--%s%s", o->name, value);
		ds_buf_str(b, "'[");
		zsh_text(b, o->help);
		ds_buf_str(b, "]");
		zsh_value(b, o);
		ds_buf_str(b, "' \\\n");
	}
	ds_buf_str(b, "\t'*:file:_files'\n");
}

void ds_cli_fish(ds_buf *b)
{
	ds_buf_printf(b, "# fish completion for %s, generated from its option table by make docs\n", ds_cli.f->name);
	for (int i = 0; i < ds_cli.n_row; i++) {
		const ds_opt *o = ds_cli.row[i];
		if (!visible(o))
			continue;
		ds_buf_printf(b, "complete -c %s", ds_cli.f->name);
		if (o->letter)
			ds_buf_printf(b, " -s %c", o->letter);
		ds_buf_printf(b, " -l %s", o->name);
		if (o->type == DS_T_CHOICE) {
			ds_buf_str(b, " -x -a '");
			joined(b, o->choices, " ");
			ds_buf_str(b, "'");
		} else if (ds_cli_takes_value(o) && !ds_cli_optional(o)) {
			ds_buf_str(b, ds_cli_is_path(o) ? " -r -F" : " -x");
		}
		ds_buf_str(b, " -d '");
		for (const char *s = o->help; *s; s++) {
			if (*s == '\'' || *s == '\\')
				ds_buf_str(b, "\\");
			ds_buf_add(b, s, 1);
		}
		ds_buf_str(b, "'\n");
	}
}
