/* dsm_int.h - what the files of the container share: byte order, record layout, limits, the codecs of the record types */
#ifndef DS_DSM_INT_H
#define DS_DSM_INT_H

#include "dsm.h"
#include "../base/str.h"

#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "payloads are used as they lie in the file: a big-endian machine needs copy-and-swap in dsm_read.c and dsm_write.c"
#endif

#define DSM_NONE        0xFFFFFFFFu
#define DSM_SIGNATURE   "\x89" "DSM\r\n\x1a\n"
#define DSM_VERSION     1

/* ---- limits of the format (ds-model(5), LIMITS) --------------------------------------------------------------------------------- */
#define DSM_MAX_DESC    32768u
#define DSM_MAX_DATA    (UINT64_C(1) << 40)
#define DSM_MAX_TNSR    (1u << 20)      /* per stream, item streams excepted */
#define DSM_MAX_HIST    256
#define DSM_MAX_ASSET   64
#define DSM_MAX_KV      4096
#define DSM_MAX_META    (UINT64_C(64) << 20)
#define DSM_MAX_VALUE   (UINT32_C(16) << 20)    /* one META value */
#define DSM_MAX_GRPH    (UINT64_C(256) << 20)
#define DSM_MAX_ABYTES  (UINT64_C(1) << 30)     /* an asset */
#define DSM_MAX_NAME    255
#define DSM_MAX_KEY     127
#define DSM_MAX_ITEM    16384
#define DSM_MAX_CONST   64              /* bytes of one constant */
#define DSM_LIMIT       (UINT64_C(2) << 30)     /* default of --memory-limit */

/* ---- unaligned little-endian fields ---------------------------------------------------------------------------------------------- */
static inline uint16_t dsm_get16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return v; }
static inline uint32_t dsm_get32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static inline uint64_t dsm_get64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return v; }
static inline void dsm_put16(uint8_t *p, uint16_t v) { memcpy(p, &v, 2); }
static inline void dsm_put32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }
static inline void dsm_put64(uint8_t *p, uint64_t v) { memcpy(p, &v, 8); }
static inline void dsm_add16(ds_buf *b, uint16_t v) { ds_buf_add(b, &v, 2); }
static inline void dsm_add32(ds_buf *b, uint32_t v) { ds_buf_add(b, &v, 4); }
static inline void dsm_add64(ds_buf *b, uint64_t v) { ds_buf_add(b, &v, 8); }
static inline void dsm_pad8(ds_buf *b) { ds_buf_add(b, "\0\0\0\0\0\0\0", -b->len & 7); }

static inline bool dsm_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* Checksums are not compared in fuzzing builds, so that mutations reach the structure behind them. */
static inline bool dsm_crc_ok(uint32_t a, uint32_t b)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	(void)a, (void)b;
	return true;
#else
	return a == b;
#endif
}

/* ---- kinds of stream -------------------------------------------------------------------------------------------------------------- */
typedef enum dsm_kind { DSM_MODEL, DSM_TENSORS, DSM_STATISTICS, DSM_LOGITS, DSM_CHECKPOINT, DSM_N_KIND } dsm_kind;
bool dsm_kind_parse(const ds_meta *m, dsm_kind *k);     /* META's `kind` */
static inline bool dsm_has_graph(dsm_kind k) { return k == DSM_MODEL || k == DSM_CHECKPOINT; }
static inline bool dsm_has_items(dsm_kind k) { return k == DSM_TENSORS || k == DSM_LOGITS; }

/* A parameter as the graph promises it: the k-th TNSR must match the k-th of these. */
typedef struct dsm_param { char *name; ds_dtype dtype; int rank; int64_t dim[DS_MAX_RANK]; uint32_t value; } dsm_param;

/* Rules on the sequence of TNSR records, the same for reader and writer. */
typedef struct dsm_order {
	dsm_kind   kind;
	dsm_param *param;
	uint32_t   n_param, n_tensor;
	char       last[DSM_MAX_NAME + 1];
	uint32_t   item;
} dsm_order;
ds_status dsm_order_params(dsm_order *o, ds_value *const *param, int n, int n_input, ds_err *err);
ds_status dsm_order_tensor(dsm_order *o, const ds_tnsr *t, ds_err *err);
ds_status dsm_order_end(const dsm_order *o, ds_err *err);      /* all parameters seen? */
void      dsm_order_done(dsm_order *o);

/* ---- TNSR descriptor ---------------------------------------------------------------------------------------------------------------- */
/* Is the form allowed?  Fills *size and t->raw_len.  DS_E_INPUT, DS_E_UNSUPPORTED for reserved values. */
ds_status dsm_tnsr_check(ds_tnsr *t, ds_qsize *size, ds_err *err);
/* `text` holds n + DSM_MAX_NAME + 4 bytes; name and item_name point into it.  The form is checked. */
ds_status dsm_tnsr_decode(const uint8_t *desc, size_t n, ds_tnsr *t, ds_qsize *size, char *text, ds_err *err);
/* desc holds DSM_MAX_DESC bytes. */
ds_status dsm_tnsr_encode(const ds_tnsr *t, uint8_t *desc, size_t *n, ds_err *err);

/* Bits of code planes that no element owns, and pads between planes, must be zero: watched while the payload passes in pieces of any size. */
typedef struct dsm_fill {
	uint64_t at, stride, code_end;
	struct { uint64_t from; uint32_t n; uint8_t mask[32]; } hole[2];        /* per row: bits that are not owned in the last block of a plane */
	uint64_t row_end;               /* from here to the stride: zero */
	int      n_hole, n_gap;
	struct { uint64_t from, to; } gap[3];
	bool     active;
} dsm_fill;
void dsm_fill_init(dsm_fill *f, const ds_tnsr *t, const ds_qsize *s);
bool dsm_fill_check(dsm_fill *f, const uint8_t *p, size_t n);

/* Input that does not start as a stream does: always DS_E_INPUT, with what it seems to be. */
ds_status dsm_not_ours(const uint8_t *p, size_t n, ds_err *err);

/* ---- META, hISt, GRPH payloads ------------------------------------------------------------------------------------------------------ */
ds_status dsm_meta_encode(const ds_meta *m, ds_buf *out, ds_err *err);
ds_status dsm_meta_decode(const uint8_t *p, size_t n, uint32_t count, ds_meta *m, ds_err *err);
/* desc: 64 bytes.  See ds_dsm_graph and ds_dsm_put_graph. */
ds_status dsm_graph_decode(const uint8_t *desc, const uint8_t *p, size_t n, ds_graph **g, ds_value ***param, int *n_param, ds_err *err);
ds_status dsm_graph_encode(ds_graph *g, uint8_t *desc, ds_buf *out, ds_value ***param, int *n_param, ds_err *err);

/* A record whose payload passes in pieces (assets, unknown types, tensors): the writer's inside, for ds_dsm_copy. */
ds_status dsm_rec_begin(ds_dsm_writer *w, const char letters[4], const uint8_t *desc, size_t desc_len, uint64_t raw_len, ds_err *err);
ds_status dsm_rec_data(ds_dsm_writer *w, const void *p, size_t n, ds_err *err);
ds_status dsm_rec_end(ds_dsm_writer *w, ds_err *err);

#endif
