/* onnx_tensor.c - TensorProto into tensors: bytes of the model, typed lists, or a file beside the model
 *
 * External data follow three rules that published attacks on other readers have written: the location is a plain file name (no directory part), the
 * file is opened without following a link and must be a regular one, and offset and length are compared with its size before it is touched. */
#include "onnx.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- where data come from -------------------------------------------------------------------------------------------------------- */
void ds_odata_init(ds_odata *d, ds_buffer *file, const char *path)
{
	*d = (ds_odata){ .file = file, .dir = -1 };
	if (!path)
		return;
	const char *slash = strrchr(path, '/');
	char *dir = ds_strdup(path);
	if (!dir)
		return;
	if (slash)
		dir[slash - path + 1] = 0;
	d->dir = open(slash ? dir : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ds_free(dir);
}

void ds_odata_done(ds_odata *d)
{
	for (size_t i = 0; i < d->n_ext; i++) {
		ds_free(d->ext[i].name);
		ds_buffer_unref(d->ext[i].map);
	}
	ds_free(d->ext);
	if (d->dir >= 0)
		close(d->dir);
	*d = (ds_odata){ .dir = -1 };
}

typedef struct mapping { void *p; size_t n; } mapping;

static void unmap(void *owner)
{
	mapping *m = owner;

	if (m->n)
		munmap(m->p, m->n);
	ds_free(m);
}

static bool plain_name(const char *s)
{
	return s && *s && !strchr(s, '/') && !strchr(s, '\\') && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

/* Map the file `name` of the model's directory; *out is borrowed from d. */
static ds_status external_file(ds_odata *d, const char *tensor, const char *name, ds_buffer **out, ds_err *err)
{
	struct stat st;
	mapping *m = NULL;
	ds_status rc = DS_OK;

	for (size_t i = 0; i < d->n_ext; i++)
		if (strcmp(d->ext[i].name, name) == 0) {
			*out = d->ext[i].map;
			return DS_OK;
		}
	if (!plain_name(name))
		return ds_fail(err, DS_E_UNSUPPORTED, "tensor '%s': external data must lie beside the model under a plain file name", tensor);
	if (d->dir < 0)
		return ds_fail(err, DS_E_UNSUPPORTED, "tensor '%s': its data are in the file '%s'; give the model as a file, not as a stream", tensor, name);
	int fd = openat(d->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ELOOP)
		return ds_fail(err, DS_E_UNSUPPORTED, "tensor '%s': external data '%s' is a symbolic link", tensor, name);
	if (fd < 0 || fstat(fd, &st) != 0) {
		int sys = errno;
		if (fd >= 0)
			close(fd);
		rc = ds_fail_sys(err, sys, name);
		ds_err_prefix(err, "tensor '%s': external data", tensor);
		return rc;
	}
	if (!S_ISREG(st.st_mode)) {
		close(fd);
		return ds_fail(err, DS_E_UNSUPPORTED, "tensor '%s': external data '%s' is not a regular file", tensor, name);
	}
	size_t n = (size_t)st.st_size;
	m = ds_calloc(1, sizeof *m);
	void *p = n ? mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
	int sys = errno;
	close(fd);
	if (!m || p == MAP_FAILED) {
		if (p != MAP_FAILED && n)
			munmap(p, n);
		ds_free(m);
		return m ? ds_fail_sys(err, sys, "mmap") : ds_fail_nomem(err, sizeof *m);
	}
	*m = (mapping){ p, n };
	ds_buffer *map = ds_buffer_wrap(p, n, unmap, m);
	if (!map) {
		unmap(m);
		return ds_fail_nomem(err, 64);
	}
	char *copy = ds_strdup(name);
	if (!copy || !ds_grow((void **)&d->ext, d->n_ext, &d->cap_ext, sizeof *d->ext)) {
		ds_free(copy);
		ds_buffer_unref(map);
		return ds_fail_nomem(err, 64);
	}
	d->ext[d->n_ext++] = (ds_ofile){ copy, map };
	*out = map;
	return DS_OK;
}

/* ---- element types ---------------------------------------------------------------------------------------------------------------- */
static const char *const type_names[] = { "undefined", "float", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16", "double", "uint32",
	"uint64", "complex64", "complex128", "bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4", "int4", "float4e2m1", "float8e8m0",
	"uint2", "int2" };

const char *ds_onnx_type_name(int type)
{
	return type >= 0 && (size_t)type < DS_COUNTOF(type_names) ? type_names[type] : "?";
}

/* ---- making tensors --------------------------------------------------------------------------------------------------------------- */
static void drop_ref(void *owner)
{
	ds_buffer_unref(owner);
}

/* The bytes p[0, n) inside `whole` as tensor data: a view where they are aligned, else a copy. */
static ds_status from_bytes(ds_tensor *out, const ds_type *ty, ds_buffer *whole, const uint8_t *p, size_t n, ds_err *err)
{
	if (whole && n > 0 && (uintptr_t)p % 64 == 0) {
		ds_buffer *view = ds_buffer_wrap((void *)(uintptr_t)p, n, drop_ref, ds_buffer_ref(whole));
		if (!view) {
			ds_buffer_unref(whole);
			return ds_fail_nomem(err, 64);
		}
		ds_tensor_borrow(out, ty->dtype, ty->rank, ty->dim, (void *)(uintptr_t)p);
		out->buf = view;
		return DS_OK;
	}
	DS_TRY(ds_tensor_new(out, ty->dtype, ty->rank, ty->dim, err));
	if (n)
		memcpy(out->data, p, n);
	return DS_OK;
}

/* Which typed field holds which dtype, and the wire type of its items. */
static const struct { uint8_t dtype, field, wire; } typed[] = {
	{ DS_F32, 4, DS_WIRE_32 },
	{ DS_I32, 5, DS_WIRE_VARINT }, { DS_I16, 5, DS_WIRE_VARINT }, { DS_I8, 5, DS_WIRE_VARINT }, { DS_U16, 5, DS_WIRE_VARINT },
	{ DS_U8, 5, DS_WIRE_VARINT }, { DS_BOOL, 5, DS_WIRE_VARINT }, { DS_F16, 5, DS_WIRE_VARINT }, { DS_BF16, 5, DS_WIRE_VARINT },
	{ DS_I64, 7, DS_WIRE_VARINT },
	{ DS_F64, 10, DS_WIRE_64 },
	{ DS_U64, 11, DS_WIRE_VARINT }, { DS_U32, 11, DS_WIRE_VARINT },
};

typedef struct fill { uint8_t *p; size_t size; uint64_t n, want; } fill;

static bool fill_one(void *arg, uint64_t v)
{
	fill *f = arg;

	if (f->n < f->want)
		memcpy(f->p + f->n * f->size, &v, f->size);     /* little-endian: the low bytes of the number are the element */
	f->n++;
	return f->n <= f->want;
}

static ds_status from_typed(ds_tensor *out, const ds_type *ty, const ds_otensor *t, uint64_t count, const uint8_t *base, ds_err *err)
{
	ds_pb b = ds_pb_of(t->msg, base);
	ds_field f;
	size_t k = 0;
	ds_status rc;

	while (k < DS_COUNTOF(typed) && typed[k].dtype != ty->dtype)
		k++;
	if (k == DS_COUNTOF(typed))
		return ds_fail(err, DS_E_INTERNAL, "tensor '%s': no field for its type", t->name);
	if (count > t->msg.n)           /* each element takes a byte at least: no memory for what cannot be there */
		return ds_fail(err, DS_E_INPUT, "tensor '%s': fewer values than its dims say", t->name);
	DS_TRY(ds_tensor_new(out, ty->dtype, ty->rank, ty->dim, err));
	fill fi = { out->data, ds_dtype_size(ty->dtype), 0, count };
	while ((rc = ds_pb_next(&b, &f, err)) == DS_OK)
		if (f.num == typed[k].field && (rc = ds_pb_numbers(&b, &f, typed[k].wire, fill_one, &fi, err)) != DS_OK)
			break;
	if (rc == DS_END)
		rc = fi.n == count ? DS_OK : ds_fail(err, DS_E_INPUT, "tensor '%s': %s values than its dims say", t->name, fi.n < count ? "fewer" : "more");
	if (rc != DS_OK)
		ds_tensor_done(out);
	return rc;
}

static ds_status from_external(ds_tensor *out, const ds_type *ty, ds_odata *d, const ds_otensor *t, uint64_t bytes, ds_err *err)
{
	ds_buffer *file = NULL;

	DS_TRY(external_file(d, t->name, t->location ? t->location : "", &file, err));
	uint64_t size = ds_buffer_size(file), off = (uint64_t)t->ext_offset;
	if (t->ext_length >= 0 && (uint64_t)t->ext_length != bytes)
		return ds_fail(err, DS_E_INPUT, "tensor '%s': its external data have a length of %lld, its dims ask for %llu", t->name, (long long)t->ext_length,
			(unsigned long long)bytes);
	if (off > size || bytes > size - off)
		return ds_fail(err, DS_E_INPUT, "tensor '%s': its external data run over the end of '%s'", t->name, t->location);
	return from_bytes(out, ty, file, (const uint8_t *)ds_buffer_data(file) + off, (size_t)bytes, err);
}

ds_status ds_onnx_tensor(ds_tensor *out, ds_odata *d, const ds_otensor *t, ds_err *err)
{
	const ds_dtype_row *row = t->type > 0 && t->type < 127 ? ds_dtype_by_onnx(t->type) : NULL;
	uint64_t count = 1, cap = 1, bytes;

	*out = (ds_tensor){ 0 };
	if (!row || row->bits % 8)
		return ds_fail(err, DS_E_UNSUPPORTED, "tensor '%s': elements of type %s (ONNX's %d) are not supported", t->name,
			ds_onnx_type_name(t->type), t->type);
	for (int i = 0; i < t->rank; i++)
		if (ds_mul_over(count, (uint64_t)t->dim[i], &count) || ds_mul_over(cap, (uint64_t)DS_MAX(t->dim[i], 1), &cap) || cap > (uint64_t)1 << 40)
			return ds_fail(err, DS_E_INPUT, "tensor '%s': too many elements", t->name);
	bytes = count * ds_dtype_size(row->dtype);
	ds_type ty = ds_type_make(row->dtype, t->rank, t->dim);
	if (t->external)
		return from_external(out, &ty, d, t, bytes, err);
	if (t->has_raw) {
		if (t->raw.n != bytes)
			return ds_fail(err, DS_E_INPUT, "tensor '%s': %zu bytes of data, its dims ask for %llu", t->name, t->raw.n, (unsigned long long)bytes);
		return from_bytes(out, &ty, d->file, t->raw.p, t->raw.n, err);
	}
	return from_typed(out, &ty, t, count, d->file ? ds_buffer_data(d->file) : t->msg.p, err);
}

ds_status ds_onnx_tensor_file(ds_tensor *out, char **name, const void *p, size_t n, ds_err *err)
{
	ds_span msg = { p, n };
	ds_arena a;
	ds_otensor t;
	ds_odata d;
	ds_status rc;

	*out = (ds_tensor){ 0 };
	ds_arena_init(&a);
	ds_odata_init(&d, NULL, NULL);
	DS_GOTO(ds_onnx_tensor_parse(&t, &a, msg, p, err));
	DS_GOTO(ds_onnx_tensor(out, &d, &t, err));
	if (name && !(*name = ds_strdup(t.name))) {
		ds_tensor_done(out);
		rc = ds_fail_nomem(err, 1);
	}
out:
	ds_odata_done(&d);
	ds_arena_done(&a);
	return rc;
}
