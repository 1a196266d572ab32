/* check.c - is an option table sound?  The tests ask every filter. */
#include <string.h>

#include "internal.h"

static size_t width_of(const ds_opt *o)
{
	switch ((ds_opt_type)o->type) {
	case DS_T_INT:    return sizeof(int64_t);
	case DS_T_FLOAT:  return sizeof(double);
	case DS_T_STR:    return sizeof(char *);
	case DS_T_CHOICE: return sizeof(int);
	case DS_T_FLAG:   return sizeof(bool);
	case DS_T_SIZE:   return sizeof(uint64_t);
	case DS_T_LIST:   return sizeof(ds_strs);
	default:          return 0;
	}
}

static bool good_name(const char *s)
{
	for (const char *p = s; *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || (*p == '-' && p > s)))
			return false;
	return *s && strlen(s) < 40;
}

static void check_row(const ds_opt *o, ds_buf *why)
{
	const size_t size = width_of(o);
	if (!good_name(o->name))
		ds_buf_printf(why, "--%s: not a name in small letters\n", o->name);
	if (o->type > DS_T_GROUP)
		ds_buf_printf(why, "--%s: a type for attributes\n", o->name);
	if (!o->help || !*o->help || o->help[strlen(o->help) - 1] == '.')
		ds_buf_printf(why, "--%s: help is missing or ends in a full stop\n", o->name);
	for (const char *p = o->help; p && *p; p++)
		if (*p < ' ' || *p > '~')
			ds_buf_printf(why, "--%s: help is not plain ASCII\n", o->name);
	if (o->type == DS_T_CHOICE && (!o->choices || !o->choices[0]))
		ds_buf_printf(why, "--%s: no choices\n", o->name);
	if (ds_cli_optional(o) && o->type != DS_T_STR && o->type != DS_T_LIST)
		ds_buf_printf(why, "--%s: an optional value of this type\n", o->name);
	if (o->min > o->max)
		ds_buf_printf(why, "--%s: an empty range\n", o->name);
	if (size > 0 && (o->offset + size > ds_cli.f->settings_size || o->offset % DS_MIN(size, sizeof(void *))))
		ds_buf_printf(why, "--%s: its member lies outside the settings\n", o->name);
}

static void check_default(const ds_opt *o, ds_buf *why)
{
	union { int64_t i; double d; const char *s; int c; bool b; uint64_t u; ds_strs l; } at;
	ds_opt copy = *o;
	ds_err err;
	memset(&at, 0, sizeof at);
	copy.offset = 0;
	if (o->def && (!ds_cli_takes_value(o) || o->type == DS_T_LIST))
		ds_buf_printf(why, "--%s: a default for what has no single value\n", o->name);
	else if (o->def && ds_cli_set(&at, &copy, o->def, o->name, &err) != DS_OK)
		ds_buf_printf(why, "--%s: the default: %s\n", o->name, err.text);
}

bool ds_opts_check(const ds_filter *f, ds_buf *why)
{
	const size_t before = why->len;
	int n_group = 0;
	ds_cli_rows(f);
	if (ds_cli.n_row >= DS_MAX_OPTS)
		ds_buf_printf(why, "more than %d options\n", DS_MAX_OPTS - 1);
	if (f->settings_size < sizeof(ds_common))
		ds_buf_str(why, "settings_size is smaller than ds_common\n");
	for (const char *s = f->examples, *e; *s; s = *e ? e + 1 : e) {
		e = s + strcspn(s, "\n");
		if (e - s > 77)
			ds_buf_printf(why, "example too wide: %.*s\n", (int)(e - s), s);
	}
	if (strlen(f->usage) + strlen(f->name) > 70 || strlen(f->summary) + strlen(f->name) > 76)
		ds_buf_str(why, "usage or summary too wide\n");
	for (int i = 0; i < ds_cli.n_row; i++) {
		const ds_opt *o = ds_cli.row[i];
		if (o->type == DS_T_GROUP) {
			n_group++;
			continue;
		}
		check_row(o, why);
		if (o->type <= DS_T_GROUP && (o->type != DS_T_CHOICE || o->choices))
			check_default(o, why);
		for (int k = 0; k < i; k++) {
			const ds_opt *p = ds_cli.row[k];
			if (p->type != DS_T_GROUP && strcmp(p->name, o->name) == 0)
				ds_buf_printf(why, "--%s: twice\n", o->name);
			if (p->type != DS_T_GROUP && o->letter && p->letter == o->letter)
				ds_buf_printf(why, "-%c: of --%s and --%s\n", o->letter, p->name, o->name);
		}
	}
	return why->len == before && !why->oom;
}
