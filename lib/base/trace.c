/* trace.c - DS_TRACE=room:level[,room:level] */
#include "trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ds_trace_level(const char *room)
{
	const char *s = getenv("DS_TRACE");
	size_t n = strlen(room);
	while (s && *s) {
		if (strncmp(s, room, n) == 0 && (s[n] == ':' || s[n] == ',' || !s[n]))
			return s[n] == ':' ? s[n + 1] - '0' : 1;
		s = strchr(s, ',');
		s = s ? s + 1 : NULL;
	}
	return 0;
}

void ds_trace_line(const char *room, const char *fmt, ...)
{
	va_list ap;
	fprintf(stderr, "[%s] ", room);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}
