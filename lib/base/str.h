/* str.h - text: the text rule of the container, quoting, globs, numbers independent of the locale */
#ifndef DS_BASE_STR_H
#define DS_BASE_STR_H

#include "mem.h"

/* The text rule of ds-model(5): valid UTF-8 in shortest form, no surrogates, no U+0000-001F, 007F-009F; `loose` allows tab and newline. */
bool   ds_text_ok(const char *s, size_t n, bool loose);
/* Append s so that it can be shown in a terminal and in TSV: `\` -> `\\`, tab -> `\t`, newline -> `\n`, unfit bytes -> `\xhh`; also
 * bidirectional controls are escaped. */
void   ds_text_quote(ds_buf *b, const char *s, size_t n);
/* Append s as a JSON string with its quotes; bytes that are not UTF-8 become \ufffd. */
void   ds_text_json(ds_buf *b, const char *s, size_t n);
/* Shell globs on names: * ? [a-z] and \ escapes; * also matches '/' and '.'. */
bool   ds_glob(const char *pattern, const char *name);
/* Whole-string conversions: false for anything but one number (no spaces, no inf/nan, no locale, no overflow). */
bool   ds_parse_i64(const char *s, int64_t *v);
bool   ds_parse_f64(const char *s, double *v);
/* "512", "64K", "1.5GiB", "2G": powers of 1024. */
bool   ds_parse_size(const char *s, uint64_t *v);
/* Shortest decimal that reads back as the same float / double; "nan" and "inf" as such.  buf of 32 bytes or more. */
char  *ds_fmt_f32(char *buf, float v);
char  *ds_fmt_f64(char *buf, double v);
/* "4.7 MiB"; buf of 16 bytes or more. */
char  *ds_fmt_size(char *buf, uint64_t bytes);
/* Edit distance (insert, delete, replace, swap of neighbours); stops counting above `cap`. */
int    ds_edit_distance(const char *a, const char *b, int cap);

#endif
