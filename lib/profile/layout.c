/* layout.c - drawing a graph in layers: ranks, dummies, order, positions */
#include "layout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SWEEPS = 12, ALIGNS = 16, POINTS_MOST = 1000000 };
#define DUMMY_W 14.0            /* of the place that an edge takes in a layer it crosses */

/* A point of a layer: a node of the graph, or the dummy of an edge. */
typedef struct point { int layer, at; double w, x, key; int node; } point;
typedef struct link { int from, to; } link_;
typedef struct key { double key; int at, k; } key_;

typedef struct work {
	ds_layout_graph *g;
	point *p;       int n;
	link_ *link;    int n_link;
	int   *up, *up_of;              /* neighbours above: up[up_of[i] .. up_of[i + 1]) */
	int   *down, *down_of;
	int  **layer, *size, *cell;     /* points of each layer from left to right */
	int    n_layer;
	int   *count;                   /* scratch: numbers of points */
	double *pos, *weight;           /* scratch of position(): blocks */
	int   *block, *best;
	key_  *key;
} work;

/* ---- layers and dummies ---------------------------------------------------------------------------------------------------------------- */

/* Longest path from the top; then nodes without predecessors move down next to their first reader. */
static ds_status rank(ds_layout_graph *g, ds_err *err)
{
	for (int i = 0; i < g->n_node; i++)
		g->node[i].layer = 0;
	for (int i = 0; i < g->n_edge; i++)
		if (g->edge[i].from < 0 || g->edge[i].from >= g->edge[i].to || g->edge[i].to >= g->n_node)
			return ds_fail(err, DS_E_INTERNAL, "an edge from node %d to node %d", g->edge[i].from, g->edge[i].to);
	/* edges come grouped by reader when they are made; repeat until nothing changes in any order, at most once per layer */
	for (bool changed = true; changed; ) {
		changed = false;
		for (int i = 0; i < g->n_edge; i++) {
			ds_layout_node *a = &g->node[g->edge[i].from], *b = &g->node[g->edge[i].to];
			if (b->layer <= a->layer) {
				b->layer = a->layer + 1;
				changed = true;
			}
		}
	}
	int *first = ds_malloc(sizeof *first * (size_t)DS_MAX(g->n_node, 1));
	if (!first)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < g->n_node; i++)
		first[i] = -1;
	for (int i = 0; i < g->n_edge; i++) {
		int to = g->node[g->edge[i].to].layer, *f = &first[g->edge[i].from];
		*f = *f < 0 ? to : DS_MIN(*f, to);
	}
	for (int i = 0; i < g->n_edge; i++)
		first[g->edge[i].to] = -2;              /* has predecessors: stays */
	for (int i = 0; i < g->n_node; i++)
		if (first[i] > 0)
			g->node[i].layer = first[i] - 1;
	ds_free(first);
	return DS_OK;
}

static void *get(ds_layout_graph *g, int n, size_t size)
{
	return ds_arena_alloc(&g->arena, (size_t)DS_MAX(n, 1), size);
}

/* Points and links between neighbouring layers; an edge's dummies follow each other, which is how its bends are found again. */
static ds_status points(work *w, ds_err *err)
{
	ds_layout_graph *g = w->g;
	int64_t n = g->n_node, links = 0;
	for (int i = 0; i < g->n_edge; i++) {
		int span = g->node[g->edge[i].to].layer - g->node[g->edge[i].from].layer;
		n += span - 1;
		links += span;
	}
	if (n > POINTS_MOST)
		return ds_fail(err, DS_E_LIMIT, "the drawing of the graph would have %lld points", (long long)n);
	w->p = get(g, (int)n, sizeof *w->p);
	w->link = get(g, (int)links, sizeof *w->link);
	if (!w->p || !w->link)
		return ds_fail_nomem(err, (size_t)n);
	for (int i = 0; i < g->n_node; i++) {
		w->p[w->n++] = (point){ .layer = g->node[i].layer, .w = g->node[i].w, .node = i };
		w->n_layer = DS_MAX(w->n_layer, g->node[i].layer + 1);
	}
	for (int i = 0; i < g->n_edge; i++) {
		int last = g->edge[i].from;
		for (int l = g->node[last].layer + 1; l < g->node[g->edge[i].to].layer; l++) {
			w->p[w->n] = (point){ .layer = l, .w = DUMMY_W, .node = -1 };
			w->link[w->n_link++] = (link_){ last, w->n };
			last = w->n++;
		}
		w->link[w->n_link++] = (link_){ last, g->edge[i].to };
	}
	return DS_OK;
}

/* Neighbour lists by counting. */
static ds_status neighbours(work *w, bool above, int **list, int **of, ds_err *err)
{
	*list = get(w->g, w->n_link, sizeof **list);
	*of = get(w->g, w->n + 2, sizeof **of);
	if (!*list || !*of)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < w->n_link; i++)
		(*of)[(above ? w->link[i].to : w->link[i].from) + 2]++;
	for (int i = 2; i < w->n + 2; i++)
		(*of)[i] += (*of)[i - 1];
	for (int i = 0; i < w->n_link; i++)
		(*list)[(*of)[(above ? w->link[i].to : w->link[i].from) + 1]++] = above ? w->link[i].from : w->link[i].to;
	return DS_OK;
}

/* First order in the layers: depth first from the top, so that what belongs together stands together. */
static ds_status fill(work *w, ds_err *err)
{
	ds_layout_graph *g = w->g;
	w->layer = get(g, w->n_layer, sizeof *w->layer);
	w->size = get(g, w->n_layer + 1, sizeof *w->size);
	w->cell = get(g, w->n, sizeof *w->cell);
	w->count = get(g, w->n + 1, sizeof *w->count);
	w->best = get(g, w->n, sizeof *w->best);
	w->pos = get(g, w->n, sizeof *w->pos);
	w->weight = get(g, w->n, sizeof *w->weight);
	w->block = get(g, w->n, sizeof *w->block);
	w->key = get(g, w->n, sizeof *w->key);
	int *stack = get(g, w->n + w->n_link, sizeof *stack);
	char *seen = get(g, w->n, 1);
	if (!w->layer || !w->size || !w->cell || !w->count || !w->best || !w->pos || !w->weight || !w->block || !w->key || !stack || !seen)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < w->n; i++)
		w->size[w->p[i].layer]++;
	for (int l = 0, at = 0; l < w->n_layer; l++) {
		w->layer[l] = w->cell + at;
		at += w->size[l];
		w->size[l] = 0;
	}
	for (int i = 0; i < w->n; i++) {
		int top = 0;
		if (w->up_of[i] != w->up_of[i + 1])
			continue;                       /* begin at points without predecessors */
		stack[top++] = i;
		while (top) {
			int k = stack[--top];
			if (seen[k])
				continue;
			seen[k] = 1;
			w->p[k].at = w->size[w->p[k].layer];
			w->layer[w->p[k].layer][w->size[w->p[k].layer]++] = k;
			for (int j = w->down_of[k + 1] - 1; j >= w->down_of[k]; j--)
				stack[top++] = w->down[j];
		}
	}
	return DS_OK;
}

/* ---- order ----------------------------------------------------------------------------------------------------------------------------- */

/* Crossings between a layer and the one below (Barth, Juenger and Mutzel 2002: inversions counted by a tree of sums). */
static int64_t crossings(work *w, int l)
{
	int64_t sum = 0;
	int n = w->size[l + 1], *tree = w->count;
	memset(tree, 0, sizeof *tree * (size_t)(n + 1));
	for (int i = w->size[l] - 1; i >= 0; i--) {
		int k = w->layer[l][i];
		/* what is right of this point's edge and ends left of its end crosses it: count first, enter afterwards */
		for (int j = w->down_of[k]; j < w->down_of[k + 1]; j++)
			for (int t = w->p[w->down[j]].at; t > 0; t -= t & -t)
				sum += tree[t];
		for (int j = w->down_of[k]; j < w->down_of[k + 1]; j++)
			for (int t = w->p[w->down[j]].at + 1; t <= n; t += t & -t)
				tree[t]++;
	}
	return sum;
}

static int64_t all_crossings(work *w)
{
	int64_t sum = 0;
	for (int l = 0; l + 1 < w->n_layer; l++)
		sum += crossings(w, l);
	return sum;
}

static int by_key(const void *a, const void *b)
{
	const key_ *x = a, *y = b;
	return x->key != y->key ? (x->key > y->key) - (x->key < y->key) : x->at - y->at;
}

static void sort_layer(work *w, int l)
{
	int *c = w->layer[l];
	for (int i = 0; i < w->size[l]; i++)
		w->key[i] = (key_){ w->p[c[i]].key, i, c[i] };
	qsort(w->key, (size_t)w->size[l], sizeof *w->key, by_key);
	for (int i = 0; i < w->size[l]; i++) {
		c[i] = w->key[i].k;
		w->p[c[i]].at = i;
	}
}

static void sweep_layer(work *w, int l, bool down)
{
	const int *list = down ? w->up : w->down, *of = down ? w->up_of : w->down_of;
	for (int i = 0; i < w->size[l]; i++) {
		int k = w->layer[l][i];
		double sum = 0;
		for (int j = of[k]; j < of[k + 1]; j++)
			sum += w->p[list[j]].at;
		w->p[k].key = of[k] < of[k + 1] ? sum / (of[k + 1] - of[k]) : i;
	}
	sort_layer(w, l);
}

static void order(work *w)
{
	int64_t best = all_crossings(w);
	memcpy(w->best, w->cell, sizeof *w->cell * (size_t)w->n);
	for (int s = 0; s < SWEEPS && best > 0; s++) {
		for (int l = 1; s % 2 == 0 && l < w->n_layer; l++)
			sweep_layer(w, l, true);
		for (int l = w->n_layer - 2; s % 2 == 1 && l >= 0; l--)
			sweep_layer(w, l, false);
		int64_t c = all_crossings(w);
		if (c < best) {
			best = c;
			memcpy(w->best, w->cell, sizeof *w->cell * (size_t)w->n);
		}
	}
	memcpy(w->cell, w->best, sizeof *w->cell * (size_t)w->n);
	for (int l = 0; l < w->n_layer; l++)
		for (int i = 0; i < w->size[l]; i++)
			w->p[w->layer[l][i]].at = i;
}

/* ---- positions ------------------------------------------------------------------------------------------------------------------------- */

static double apart(const work *w, int a, int b)
{
	return (w->p[a].w + w->p[b].w) / 2 + w->g->gap_x;
}

/* x of a layer: as near as possible (least squares) to where the neighbours want each point, without changing order or falling short of the gaps.  With
 * y = x - (sum of the gaps before), order is all that is left of the constraints: isotonic regression, by pooling neighbours that are out of order. */
static void position(work *w, int l, bool down)
{
	const int *list = down ? w->up : w->down, *of = down ? w->up_of : w->down_of;
	double before = 0;
	int n = 0;
	for (int i = 0; i < w->size[l]; i++) {
		int k = w->layer[l][i], many = of[k + 1] - of[k];
		double want = 0, weight = 2;
		before += i ? apart(w, w->layer[l][i - 1], k) : 0;
		/* boxes follow boxes, so that a chain with edges beside it stays straight */
		int boxes = 0;
		for (int j = of[k]; j < of[k + 1]; j++)
			boxes += w->p[list[j]].node >= 0;
		bool all = w->p[k].node < 0 || !boxes;
		if (w->p[k].node < 0)
			weight = boxes ? 0.05 : 0.2;      /* long edges are straight, and give way at their ends */
		for (int j = of[k]; j < of[k + 1]; j++)
			want += all ? w->p[list[j]].x / many : w->p[list[j]].node >= 0 ? w->p[list[j]].x / boxes : 0;
		if (!many) {
			want = w->p[k].x;
			weight = 0.1;
		}
		w->pos[n] = want - before;
		w->weight[n] = weight;
		w->block[n++] = 1;
		while (n > 1 && w->pos[n - 2] > w->pos[n - 1]) {
			double sum = w->weight[n - 2] + w->weight[n - 1];
			w->pos[n - 2] = (w->pos[n - 2] * w->weight[n - 2] + w->pos[n - 1] * w->weight[n - 1]) / sum;
			w->weight[n - 2] = sum;
			w->block[n - 2] += w->block[n - 1];
			n--;
		}
	}
	before = 0;
	for (int b = 0, i = 0; b < n; b++)
		for (int e = i + w->block[b]; i < e; i++) {
			before += i ? apart(w, w->layer[l][i - 1], w->layer[l][i]) : 0;
			w->p[w->layer[l][i]].x = w->pos[b] + before;
		}
}

static void positions(work *w)
{
	for (int l = 0; l < w->n_layer; l++) {
		double x = 0;
		for (int i = 0; i < w->size[l]; i++) {
			x += i ? apart(w, w->layer[l][i - 1], w->layer[l][i]) : 0;
			w->p[w->layer[l][i]].x = x;
		}
	}
	for (int r = 0; r < ALIGNS; r++) {
		for (int l = 1; r % 2 == 0 && l < w->n_layer; l++)
			position(w, l, true);
		for (int l = w->n_layer - 2; r % 2 == 1 && l >= 0; l--)
			position(w, l, false);
	}
}

/* ---- all together ---------------------------------------------------------------------------------------------------------------------- */

static ds_status finish(work *w, ds_err *err)
{
	ds_layout_graph *g = w->g;
	double left = INFINITY, y = 0;
	double *middle = get(g, w->n_layer, sizeof *middle);
	if (!middle)
		return ds_fail_nomem(err, 0);
	for (int i = 0; i < w->n; i++)
		left = fmin(left, w->p[i].x - w->p[i].w / 2);
	for (int l = 0; l < w->n_layer; l++) {
		double h = 0;
		for (int i = 0; i < w->size[l]; i++)
			h = fmax(h, w->p[w->layer[l][i]].node >= 0 ? g->node[w->p[w->layer[l][i]].node].h : 0);
		middle[l] = y + h / 2;
		y += h + (l + 1 < w->n_layer ? g->gap_y : 0);
	}
	g->height = y;
	g->width = 0;
	for (int i = 0; i < w->n; i++) {
		w->p[i].x -= left;
		g->width = fmax(g->width, w->p[i].x + w->p[i].w / 2);
	}
	for (int i = 0; i < g->n_node; i++) {
		g->node[i].x = w->p[i].x;
		g->node[i].y = middle[g->node[i].layer];
	}
	for (int i = 0, next = g->n_node; i < g->n_edge; i++) {
		ds_layout_edge *e = &g->edge[i];
		e->n_bend = g->node[e->to].layer - g->node[e->from].layer - 1;
		e->bend = get(g, e->n_bend, sizeof *e->bend);
		if (!e->bend)
			return ds_fail_nomem(err, 0);
		for (int k = 0; k < e->n_bend; k++, next++)
			e->bend[k] = (ds_layout_point){ w->p[next].x, middle[w->p[next].layer] };
	}
	return DS_OK;
}

ds_status ds_layout_make(ds_layout_graph *g, ds_err *err)
{
	work w = { .g = g };
	ds_arena_init(&g->arena);
	g->width = g->height = 0;
	if (!g->n_node)
		return DS_OK;
	ds_status rc;
	DS_GOTO(rank(g, err));
	DS_GOTO(points(&w, err));
	DS_GOTO(neighbours(&w, true, &w.up, &w.up_of, err));
	DS_GOTO(neighbours(&w, false, &w.down, &w.down_of, err));
	DS_GOTO(fill(&w, err));
	order(&w);
	positions(&w);
	rc = finish(&w, err);
out:
	if (rc != DS_OK)
		ds_layout_done(g);
	return rc;
}

void ds_layout_done(ds_layout_graph *g)
{
	ds_arena_done(&g->arena);
}
