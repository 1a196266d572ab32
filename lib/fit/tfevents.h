/* tfevents.h - event files as TensorBoard reads them: scalars and histograms by step
 *
 * A file is a row of records (u64 length, masked CRC-32C of it, bytes, masked CRC-32C of them, little-endian), each an Event of TensorFlow's event.proto in protobuf's
 * wire form: 1 wall_time double, 2 step varint, 3 file_version string, 5 summary { 1 value { 1 tag string, 2 simple_value float, 5 histo } }. */
#ifndef DS_TFEVENTS_H
#define DS_TFEVENTS_H

#include "../io/io.h"

/* The record that every file begins with. */
ds_status ds_tfevents_begin(ds_sink *s, ds_err *err);
/* Append a value to a summary (a lack of memory shows in b->oom). */
void      ds_tfevents_scalar(ds_buf *b, const char *tag, float v);
/* Of n values; those that are not finite are left out. */
void      ds_tfevents_histogram(ds_buf *b, const char *tag, const float *v, int64_t n);
/* The summary as an event of this moment. */
ds_status ds_tfevents_put(ds_sink *s, int64_t step, const ds_buf *summary, ds_err *err);

#endif
