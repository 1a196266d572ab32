/* panels.h - panels of a page: texts, grids of attention, sounds; each is a canvas that the page (picture.c) puts beside others */
#ifndef DS_CMD_EXPLAIN_PANELS_H
#define DS_CMD_EXPLAIN_PANELS_H

#include "job.h"

enum { EX_GAP = 8 };
extern const ds_rgb ex_paper, ex_ink, ex_pale;

/* Text cut to `width` pixels. */
ds_status ex_line(ds_canvas *c, int x, int y, int size, int width, ds_rgb color, const ds_buf *text, ds_err *err);
/* Three lines at the top: the file, the class and its probability, `what`. */
ds_status ex_heading(const job *j, const ex_result *r, const ds_map *m, const char *what, ds_canvas *c, int size, ds_err *err);
int       ex_heading_height(int size);

/* Fresh canvases; nothing is left on failure. */
ds_status ex_panel_tokens(const job *j, const ex_result *r, const ds_map *m, ds_canvas *c, ds_err *err);
/* Maps of attention m[0 .. n): a row for each layer, a column for each head. */
ds_status ex_panel_grid(const job *j, const ex_result *r, const ds_map *m, size_t n, ds_canvas *c, ds_err *err);
/* A map about samples of a sound, or about its spectrogram. */
ds_status ex_panel_sound(const job *j, const ex_result *r, const ds_map *m, ds_canvas *c, ds_err *err);

#endif
