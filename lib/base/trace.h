/* trace.h - DS_TRACE=room:level[,room:level] writes what a room does to stderr; off costs one load and compare.
 * The only place below cli/ that may write to stderr, and only when the user asked for it. */
#ifndef DS_BASE_TRACE_H
#define DS_BASE_TRACE_H

#include "../ds.h"

int  ds_trace_level(const char *room);          /* 0: off */
void ds_trace_line(const char *room, const char *fmt, ...) DS_PRINTF(2, 3);
#define DS_TRACE(room, level, ...) do { if (ds_trace_level(room) >= (level)) ds_trace_line(room, __VA_ARGS__); } while (0)

#endif
