/* overlay.h - a map over what it is about, as pixels */
#ifndef DS_CMD_EXPLAIN_OVERLAY_H
#define DS_CMD_EXPLAIN_OVERLAY_H

#include "job.h"


typedef struct ex_overlay {
	ds_plane  p;                    /* of the map */
	int       w, h;                 /* of the pixels: places of the plane, or of the original picture (scaled down where it is large) */
	uint8_t  *seen, *rgb;           /* w * h: what the map is about, and both together as --view says */
	float    *v;                    /* w * h numbers; NaN: out of the network's sight */
	double    top;                  /* end of the scale, which begins at 0, or at -top for maps with a sign */
	double    blur;                 /* by which v was smoothed, in places: standard deviation */
	bool      has_sign;
	ds_colors colors;
} ex_overlay;
/* DS_E_UNSUPPORTED: no map over places. */
ds_status ex_overlay_make(const job *j, const ex_result *r, const ds_map *m, ex_overlay *o, ds_err *err);
void      ex_overlay_done(ex_overlay *o);

#endif
