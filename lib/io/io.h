/* io.h - byte streams in and out
 *
 * A source is read forward with a peek window; a regular file (also as standard input) can be mapped, so that blocks are borrowed without a copy.
 * A sink writes forward; a named file appears under its name only when ds_sink_commit succeeds (unnamed temporary + link, or hidden name + rename). */
#ifndef DS_IO_H
#define DS_IO_H

#include "../base/mem.h"

typedef struct ds_source ds_source;

typedef struct ds_source_opts {
	bool     no_map;                /* read even what could be mapped */
} ds_source_opts;

/* path "-" or NULL: standard input.  DS_E_SYS names the file; a directory is DS_E_INPUT. */
ds_status   ds_source_open(ds_source **s, const char *path, const ds_source_opts *o, ds_err *err);
/* Bytes of the caller, who keeps them until everything borrowed from the source is gone.  Counts as mapped when `data` is 64-byte aligned. */
ds_status   ds_source_memory(ds_source **s, const void *data, size_t size, const char *name, ds_err *err);
/* Own reader (gzip, tests): read() answers bytes read, 0 at the end, < 0 with err filled. */
ds_status   ds_source_custom(ds_source **s, int64_t (*read)(void *arg, void *buf, size_t n, ds_err *err), void (*done)(void *arg), void *arg,
	const char *name, ds_err *err);
void        ds_source_close(ds_source *s);
const char *ds_source_name(const ds_source *s);
int64_t     ds_source_offset(const ds_source *s);       /* bytes consumed so far */
int64_t     ds_source_size(const ds_source *s);         /* of a regular file or memory, from the start of the stream; -1: not known */
bool        ds_source_mapped(const ds_source *s);
/* Look at the next n <= 64 KiB bytes; *got < n at end of file. */
ds_status   ds_source_peek(ds_source *s, size_t n, const void **p, size_t *got, ds_err *err);
/* Read exactly n bytes; at end of file before the first byte DS_END, later DS_E_INPUT "truncated". */
ds_status   ds_source_read(ds_source *s, void *buf, size_t n, ds_err *err);
/* Up to n bytes, *got == 0 at the end. */
ds_status   ds_source_some(ds_source *s, void *buf, size_t n, size_t *got, ds_err *err);
/* Borrow n bytes of a mapped source without copying and move past them; valid until the source is closed (keep it alive with ds_source_keep).
 * DS_E_INTERNAL if not mapped, DS_E_INPUT when fewer bytes are left. */
ds_status   ds_source_borrow(ds_source *s, uint64_t n, const void **p, ds_err *err);
ds_status   ds_source_skip(ds_source *s, uint64_t n, ds_err *err);
/* The mapping outlives the source: reference counted.  Returns an owner to pass to ds_source_drop (NULL if not mapped). */
void       *ds_source_keep(ds_source *s);
void        ds_source_drop(void *owner);
/* Everything that is left, in memory (borrowed when mapped).  limit: DS_E_LIMIT above it.  *owner as in ds_source_keep, or a heap block: free with
 * ds_source_drop in both cases. */
ds_status   ds_source_all(ds_source *s, uint64_t limit, const void **p, size_t *n, void **owner, ds_err *err);

typedef struct ds_sink ds_sink;
/* path "-" or NULL: standard output.  FIFO, device: written directly.  Regular or new: atomically, mode 0666 & ~umask or that of the file replaced,
 * symbolic links followed. */
ds_status   ds_sink_open(ds_sink **s, const char *path, ds_err *err);
/* A log that others read while it grows: written in place, no temporary.  Of a file that exists the first `keep` bytes stay and the rest goes; DS_E_INPUT when it is
 * shorter.  Rows reach the file with ds_sink_flush; aborting leaves what was written. */
ds_status   ds_sink_log(ds_sink **s, const char *path, uint64_t keep, ds_err *err);
ds_status   ds_sink_memory(ds_sink **s, ds_buf *out, ds_err *err);
ds_status   ds_sink_write(ds_sink *s, const void *p, size_t n, ds_err *err);
uint64_t    ds_sink_offset(const ds_sink *s);
ds_status   ds_sink_flush(ds_sink *s, ds_err *err);
/* Flush, fsync and give the file its name (files), flush (streams).  The sink is closed and freed in every case. */
ds_status   ds_sink_commit(ds_sink *s, ds_err *err);
/* Close and leave no trace (files); what went to a stream has gone.  Safe on NULL. */
void        ds_sink_abort(ds_sink *s);
/* Remove temporaries of all open sinks; async-signal-safe, for the handlers of cli/. */
void        ds_sink_cleanup_signal(void);

/* CRC-32C (Castagnoli): start with crc = 0 and go on with the result; ds_crc32c_combine joins crc(A) and crc(B) into crc(AB). */
uint32_t    ds_crc32c(uint32_t crc, const void *p, size_t n);
uint32_t    ds_crc32c_combine(uint32_t a, uint32_t b, uint64_t len_b);
uint32_t    ds_crc32c_table(uint32_t crc, const void *p, size_t n);    /* the portable form, for the tests */
/* zstd, as the container uses it: one frame that states its content size; no dictionary, no checksum, window <= 2^27.
 * Compress n bytes into a new block *out of *out_n bytes (free with ds_free). */
ds_status   ds_zstd_compress(const void *p, size_t n, void **out, size_t *out_n, ds_err *err);
typedef struct ds_unzstd ds_unzstd;
/* Decode one frame whose content has exactly raw_len bytes. */
ds_status   ds_unzstd_new(ds_unzstd **z, uint64_t raw_len, ds_err *err);
void        ds_unzstd_free(ds_unzstd *z);
/* Take from in[0..*in_n), give to out[0..*out_n); both counts come back as what was used.  *done: the frame is complete (its length was right). */
ds_status   ds_unzstd_step(ds_unzstd *z, const void *in, size_t *in_n, void *out, size_t *out_n, bool *done, ds_err *err);
const char *ds_zstd_version(void);      /* of the headers we were built with */

/* SHA-256 for history's external inputs. */
typedef struct ds_sha256 { uint32_t h[8]; uint64_t n; uint8_t buf[64]; } ds_sha256;
void        ds_sha256_init(ds_sha256 *s);
void        ds_sha256_add(ds_sha256 *s, const void *p, size_t n);
void        ds_sha256_hex(ds_sha256 *s, char out[65]);

#endif
