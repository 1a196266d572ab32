/* model.h - what a DSM file of kind `model` holds: metadata, graph, assets, history */
#ifndef DS_MODEL_H
#define DS_MODEL_H

#include "graph.h"

/* Typed key/values of META and hISt (ds-model(5)), sorted by key, no duplicates. */
typedef enum ds_kv_type { DS_KV_STR = 1, DS_KV_I64 = 2, DS_KV_F64 = 3, DS_KV_LIST = 4 } ds_kv_type;
typedef struct ds_kv {
	char      *key;
	ds_kv_type type;
	int        n;                   /* items of I64, F64, LIST */
	union { char *s; int64_t *i; double *f; char **l; } u;
} ds_kv;
typedef struct ds_meta { ds_kv *kv; int n; size_t cap; } ds_meta;

void         ds_meta_done(ds_meta *m);
ds_status    ds_meta_copy(ds_meta *to, const ds_meta *from);
const ds_kv *ds_meta_find(const ds_meta *m, const char *key);
const char  *ds_meta_str(const ds_meta *m, const char *key);   /* NULL: absent or another type */
/* Set or replace, keeping the order.  DS_E_NOMEM; DS_E_INPUT when key or text break the text rule. */
ds_status    ds_meta_set_str(ds_meta *m, const char *key, const char *v);
ds_status    ds_meta_set_i64(ds_meta *m, const char *key, int n, const int64_t *v);
ds_status    ds_meta_set_f64(ds_meta *m, const char *key, int n, const double *v);
ds_status    ds_meta_set_list(ds_meta *m, const char *key, int n, const char *const *v);
void         ds_meta_del(ds_meta *m, const char *key);

typedef struct ds_asset { char *name, *media; ds_buffer *data; } ds_asset;

struct ds_model {
	ds_graph  *graph;
	ds_meta    meta;
	ds_asset  *asset;   int n_asset;   size_t cap_asset;    /* sorted by name */
	ds_meta   *history; int n_history; size_t cap_history;  /* oldest first */
	uint32_t   id_crc;                                      /* DONE's head_crc and the length of the stream it was read from */
	uint64_t   id_len;                                      /* (0, 0: not read from a stream) - hISt's `input` */
};

ds_model       *ds_model_new(void);                             /* empty graph, kind=model */
/* Takes the reference to data; replaces an asset of the same name. */
ds_status       ds_model_asset_set(ds_model *m, const char *name, const char *media, ds_buffer *data);
const ds_asset *ds_model_asset(const ds_model *m, const char *name);
ds_status       ds_model_history_add(ds_model *m, ds_meta *entry);     /* takes entry's content */

#endif
