/* ds.h - the public interface of libds: read a model, bind a session, run it.
 *
 * Thread safety.  A ds_model is immutable once read: any number of sessions, in any threads, may share it.
 * A ds_session is used by one thread at a time; it owns its worker threads and all memory that running needs.
 * A ds_err belongs to its caller; nothing in the library keeps a pointer to it.
 *
 * Ownership.  What a *_new or *_read function gives is freed by the matching *_free.  A tensor's data are reference
 * counted (ds_tensor_ref, ds_tensor_done).  A `const T *` argument is borrowed for the call.  On failure an output
 * argument is left NULL or empty and nothing is owned by the caller.
 *
 * Errors.  Functions return a ds_status and fill the ds_err they were given (which may be NULL).  The library never prints,
 * never exits, never aborts on data.
 */
#ifndef DS_H
#define DS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define DS_API       __attribute__((visibility("default")))
#define DS_MUST_USE  __attribute__((warn_unused_result))
#define DS_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define DS_API
#define DS_MUST_USE
#define DS_PRINTF(f, a)
#endif

#define DS_VERSION "0.1.0" /* of the library and the filters; the file VERSION is generated from it */

/* What a function answers.  0 is success, positive is an orderly end, negative a failure; the comment names the exit code that
 * the filters make of it. */
typedef enum ds_status {
	DS_OK = 0,
	DS_END = 1,             /* no more items or records: not an error */
	DS_E_SYS = -1,          /* system call failed, ds_err.sys is errno (1) */
	DS_E_NOMEM = -2,        /* allocation failed (1) */
	DS_E_LIMIT = -3,        /* a limit set by the user was reached (1) */
	DS_E_INTERNAL = -4,     /* our own mistake (1) */
	DS_E_USAGE = -5,        /* bad option or combination (2) */
	DS_E_INPUT = -6,        /* input not acceptable: wrong type, corrupt, truncated (3) */
	DS_E_UNSUPPORTED = -7,  /* valid, but not supported by this version (4) */
	DS_E_CHECK = -8,        /* a check that the user asked for failed (6) */
} ds_status;

/* One failure, described where it was found.  `where` is the file or stream, `offset` the byte in it (-1: does not apply), `text` one
 * sentence without a full stop.  Texts may hold bytes of the input; who prints them quotes them. */
typedef struct ds_err {
	ds_status code;
	int       sys;
	int64_t   offset;
	char      where[256];
	char      text[512];
} ds_err;

/* Element types; the numbers are those of the container (ds-model(5)). */
typedef enum ds_dtype {
	DS_NONE = 0,
	DS_F32 = 1, DS_F16 = 2, DS_BF16 = 3, DS_F64 = 4,
	DS_I8 = 5, DS_U8 = 6, DS_I16 = 7, DS_U16 = 8, DS_I32 = 9, DS_U32 = 10, DS_I64 = 11, DS_U64 = 12,
	DS_BOOL = 13,                                   /* one byte, non-zero is true */
	DS_U2 = 0x42, DS_U3 = 0x43, DS_U4 = 0x44, DS_U5 = 0x45, DS_U6 = 0x46, /* packed codes */
} ds_dtype;

#define DS_MAX_RANK 8

/* How a logical [N, C, spatial...] tensor lies in memory. */
typedef enum ds_layout {
	DS_PLAIN = 0,           /* row-major in the order of the dims */
	DS_CHANNELS_LAST = 1,   /* rank >= 3: row-major in the order N, spatial..., C */
} ds_layout;

struct ds_buffer;
struct ds_qform;

/* A tensor: a header by value and a reference to its data.
 * Plain tensors: product(dim) elements of dtype at `data`, laid out as `layout` says, 64-byte aligned when the library made them.
 * Quantised parameters (q != NULL): dtype is the type that the values stand for (f32, f16, bf16), `data` the planes that q describes. */
typedef struct ds_tensor {
	ds_dtype                dtype;
	int                     rank;
	int64_t                 dim[DS_MAX_RANK];
	void                   *data;
	struct ds_buffer       *buf;    /* NULL: data are borrowed */
	const struct ds_qform  *q;
	ds_layout               layout;
} ds_tensor;

/* Make *t a new tensor of the given type with zeroed data.  DS_E_NOMEM, DS_E_INPUT (size over the limits of the container). */
DS_API DS_MUST_USE ds_status ds_tensor_new(ds_tensor *t, ds_dtype dtype, int rank, const int64_t *dim, ds_err *err);
/* Make *t a header over memory of the caller, who keeps it alive while t is in use. */
DS_API void ds_tensor_borrow(ds_tensor *t, ds_dtype dtype, int rank, const int64_t *dim, void *data);
/* Another reference to the same data. */
DS_API ds_tensor ds_tensor_ref(const ds_tensor *t);
/* Give the reference up; *t becomes empty.  Harmless on an empty tensor. */
DS_API void ds_tensor_done(ds_tensor *t);
/* Elements of a tensor; bytes of a plain tensor's data. */
DS_API int64_t ds_tensor_count(const ds_tensor *t);
DS_API size_t  ds_tensor_bytes(const ds_tensor *t);

typedef struct ds_model   ds_model;
typedef struct ds_session ds_session;

/* Read a DSM model from a file ("-": standard input).  A regular file is mapped, anything else is read forward only.
 * DS_E_SYS, DS_E_NOMEM, DS_E_LIMIT, DS_E_INPUT, DS_E_UNSUPPORTED. */
DS_API DS_MUST_USE ds_status ds_model_read(ds_model **m, const char *path, ds_err *err);
DS_API void ds_model_free(ds_model *m);

/* Inputs and outputs of the model, in graph order; names live as long as the model. */
DS_API int         ds_model_inputs(const ds_model *m);
DS_API int         ds_model_outputs(const ds_model *m);
DS_API const char *ds_model_input_name(const ds_model *m, int i);
DS_API const char *ds_model_output_name(const ds_model *m, int i);
/* Type of an input: dims that are free (batch, length) are given as -1.  Returns the rank, or -1 where it is not stated. */
DS_API int         ds_model_input_type(const ds_model *m, int i, ds_dtype *dtype, int64_t dim[DS_MAX_RANK]);

/* A session runs one model.  threads 0: as many as the process may use.  The result of a run never depends on it. */
DS_API DS_MUST_USE ds_status ds_session_new(ds_session **s, const ds_model *m, int threads, ds_err *err);
DS_API void ds_session_free(ds_session *s);
/* Run with in[0..n_in) in graph order (plain tensors).  out[0..n_out) are filled with new tensors owned by the caller.
 * The first run with new shapes plans memory; later runs with the same shapes allocate the outputs only. */
DS_API DS_MUST_USE ds_status ds_session_run(ds_session *s, const ds_tensor *in, int n_in, ds_tensor *out, int n_out, ds_err *err);

/* "0.1.0"; the text of a failure as one line ("file:@offset: text"), always terminated; the exit code that the filters use. */
DS_API const char *ds_version(void);
DS_API void        ds_err_line(const ds_err *err, char *buf, size_t size);
DS_API int         ds_exit_code(ds_status code);

#ifdef __cplusplus
}
#endif
#endif
