/* status.h - filling a ds_err; the checked arithmetic that every size from a file goes through */
#ifndef DS_BASE_STATUS_H
#define DS_BASE_STATUS_H

#include "../ds.h"

/* Fill err (may be NULL) and return code, so that `return ds_fail(err, DS_E_INPUT, "...", ...)` reads well.  Offset is set to -1, where
 * is kept empty.  Call it once, at the deepest place that knows; callers pass the status on. */
ds_status ds_fail(ds_err *err, ds_status code, const char *fmt, ...) DS_PRINTF(3, 4);
/* The same with a byte offset into the input. */
ds_status ds_fail_at(ds_err *err, ds_status code, int64_t offset, const char *fmt, ...) DS_PRINTF(4, 5);
/* DS_E_SYS with errno and its text: "open: No such file or directory". */
ds_status ds_fail_sys(ds_err *err, int sys, const char *what);
ds_status ds_fail_nomem(ds_err *err, size_t bytes);
/* Name the file or stream, if no deeper function did. */
void ds_err_in(ds_err *err, const char *where);
/* Put "prefix: " before the text (a node's or record's name added on the way up).  Cuts at the end of the field. */
void ds_err_prefix(ds_err *err, const char *fmt, ...) DS_PRINTF(2, 3);

#define DS_TRY(expr) do { ds_status try_ = (expr); if (try_ != DS_OK) return try_; } while (0)
/* The same with clean-up: the function has `ds_status rc` and a label `out`. */
#define DS_GOTO(expr) do { rc = (expr); if (rc != DS_OK) goto out; } while (0)

#define ds_mul_over(a, b, r) __builtin_mul_overflow((a), (b), (r))
#define ds_add_over(a, b, r) __builtin_add_overflow((a), (b), (r))
#define DS_COUNTOF(a) (sizeof(a) / sizeof((a)[0]))
#define DS_MIN(a, b) ((a) < (b) ? (a) : (b))
#define DS_MAX(a, b) ((a) > (b) ? (a) : (b))
static inline uint64_t ds_pad64(uint64_t n) { return (n + 63) & ~(uint64_t)63; }

#endif
