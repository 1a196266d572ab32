/* status.c - filling and printing a ds_err */
#include "status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 5, 0)))
static ds_status fill(ds_err *err, ds_status code, int sys, int64_t offset, const char *fmt, va_list ap)
{
	if (err) {
		err->code = code;
		err->sys = sys;
		err->offset = offset;
		err->where[0] = 0;
		vsnprintf(err->text, sizeof err->text, fmt, ap);
	}
	return code;
}

ds_status ds_fail(ds_err *err, ds_status code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fill(err, code, 0, -1, fmt, ap);
	va_end(ap);
	return code;
}

ds_status ds_fail_at(ds_err *err, ds_status code, int64_t offset, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fill(err, code, 0, offset, fmt, ap);
	va_end(ap);
	return code;
}

ds_status ds_fail_sys(ds_err *err, int sys, const char *what)
{
	ds_fail(err, DS_E_SYS, "%s: %s", what, strerror(sys));
	if (err)
		err->sys = sys;
	return DS_E_SYS;
}

ds_status ds_fail_nomem(ds_err *err, size_t bytes)
{
	ds_fail(err, DS_E_NOMEM, "out of memory (%zu bytes wanted)", bytes);
	if (err)
		err->sys = ENOMEM;
	return DS_E_NOMEM;
}

void ds_err_in(ds_err *err, const char *where)
{
	if (err && !err->where[0] && where)
		snprintf(err->where, sizeof err->where, "%s", where);
}

void ds_err_prefix(ds_err *err, const char *fmt, ...)
{
	if (!err)
		return;
	char old[sizeof err->text];
	memcpy(old, err->text, sizeof old);
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(err->text, sizeof err->text, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof err->text)
		snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", old);
}

void ds_err_line(const ds_err *err, char *buf, size_t size)
{
	if (!size)
		return;
	const char *text = err->text[0] ? err->text : "failed";
	if (err->where[0] && err->offset >= 0)
		snprintf(buf, size, "%s:@%lld: %s", err->where, (long long)err->offset, text);
	else if (err->where[0])
		snprintf(buf, size, "%s: %s", err->where, text);
	else if (err->offset >= 0)
		snprintf(buf, size, "@%lld: %s", (long long)err->offset, text);
	else
		snprintf(buf, size, "%s", text);
}

int ds_exit_code(ds_status code)
{
	static const struct { ds_status code; int exit; } row[] = {
		{ DS_OK, 0 }, { DS_END, 0 }, { DS_E_USAGE, 2 }, { DS_E_INPUT, 3 }, { DS_E_UNSUPPORTED, 4 }, { DS_E_CHECK, 6 },
	};
	for (size_t i = 0; i < DS_COUNTOF(row); i++)
		if (row[i].code == code)
			return row[i].exit;
	return 1;
}

const char *ds_version(void)
{
	return DS_VERSION;
}
