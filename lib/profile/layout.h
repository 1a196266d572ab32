/* layout.h - where the nodes of a graph stand on paper: in layers, from top to bottom, few crossings, long edges straight
 *
 * K. Sugiyama, S. Tagawa and M. Toda, "Methods for visual understanding of hierarchical system structures", 1981: layers by the longest path, edges over several layers are
 * cut by dummies, the order in layers by barycentres, positions by least squares under the given order. */
#ifndef DS_PROFILE_LAYOUT_H
#define DS_PROFILE_LAYOUT_H

#include "../base/mem.h"

typedef struct ds_layout_node { double w, h; double x, y; int layer; } ds_layout_node;         /* w, h: given; x, y: middle of the box */
typedef struct ds_layout_point { double x, y; } ds_layout_point;
typedef struct ds_layout_edge {
	int              from, to;      /* given: from < to, nodes being in execution order */
	ds_layout_point *bend;          /* the points between the two boxes that the edge goes through, one per layer in between */
	int              n_bend;
} ds_layout_edge;

typedef struct ds_layout_graph {
	ds_layout_node *node;  int n_node;      /* the caller's */
	ds_layout_edge *edge;  int n_edge;
	double          gap_x, gap_y;           /* given: free space between boxes and between layers */
	double          width, height;          /* of all; boxes begin at 0 */
	ds_arena        arena;                  /* the bends */
} ds_layout_graph;

/* DS_E_INTERNAL when an edge does not go forward.  DS_E_LIMIT: so many long edges that the drawing would have more than a million points.  The same graph gives the same
 * drawing everywhere. */
ds_status ds_layout_make(ds_layout_graph *g, ds_err *err);
void      ds_layout_done(ds_layout_graph *g);

#endif
