/* read.h - reading memory as fast as the allowed instructions can, for bandwidth ceilings */
#ifndef DS_PROFILE_READ_H
#define DS_PROFILE_READ_H

#include <stddef.h>

/* Load n bytes (whole blocks of 512 of them) at p, 64-byte aligned. */
void ds_read_memory(const void *p, size_t n);

#endif
