/* layout.c - drawings of graphs: nothing overlaps, edges go down and keep clear of boxes, chains are straight, trees have no crossings */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "profile/layout.h"

static int failed;
#define CHECK(name, cond, ...) do { if (cond) printf("ok %s\n", name); else { printf("not ok %s: ", name); printf(__VA_ARGS__); printf("\n"); failed = 1; } } while (0)

enum { NODES = 300, EDGES = 900 };
static ds_layout_node node[NODES];
static ds_layout_edge edge[EDGES];

static ds_layout_graph make(int n, int e, ds_status *rc)
{
	ds_layout_graph g = { .node = node, .n_node = n, .edge = edge, .n_edge = e, .gap_x = 10, .gap_y = 20 };
	ds_err err = { 0 };
	for (int i = 0; i < n; i++)
		node[i] = (ds_layout_node){ .w = 100, .h = 40 };
	*rc = ds_layout_make(&g, &err);
	return g;
}

/* What is wrong with a drawing; NULL: nothing. */
static const char *wrong(const ds_layout_graph *g)
{
	for (int i = 0; i < g->n_node; i++) {
		const ds_layout_node *a = &g->node[i];
		if (a->x - a->w / 2 < -1e-6 || a->x + a->w / 2 > g->width + 1e-6 || a->y - a->h / 2 < -1e-6 || a->y + a->h / 2 > g->height + 1e-6)
			return "a box outside";
		for (int k = 0; k < i; k++)
			if (g->node[k].layer == a->layer && fabs(g->node[k].x - a->x) < a->w + g->gap_x - 1e-6)
				return "boxes overlap";
	}
	for (int i = 0; i < g->n_edge; i++) {
		const ds_layout_edge *e = &g->edge[i];
		double y = g->node[e->from].y;
		if (e->n_bend != g->node[e->to].layer - g->node[e->from].layer - 1)
			return "a wrong number of bends";
		for (int b = 0; b < e->n_bend; b++) {
			if (e->bend[b].y <= y)
				return "an edge goes up";
			y = e->bend[b].y;
			for (int k = 0; k < g->n_node; k++)
				if (g->node[k].layer == g->node[e->from].layer + b + 1 && fabs(g->node[k].x - e->bend[b].x) < g->node[k].w / 2)
					return "an edge through a box";
		}
		if (g->node[e->to].y <= y)
			return "an edge goes up";
	}
	return NULL;
}

static void shapes(void)
{
	ds_status rc;
	for (int i = 0; i < 9; i++)
		edge[i] = (ds_layout_edge){ .from = i, .to = i + 1 };
	ds_layout_graph g = make(10, 9, &rc);
	bool straight = rc == DS_OK && g.width == 100 && g.height == 10 * 40 + 9 * 20;
	for (int i = 0; i < 10; i++)
		straight = straight && node[i].x == 50 && node[i].layer == i;
	CHECK("a chain is straight", straight, "%g x %g", g.width, g.height);
	ds_layout_done(&g);

	/* residual blocks: 0 -> 1 -> 2 -> 3, 0 -> 3: the skip beside the chain */
	edge[0] = (ds_layout_edge){ .from = 0, .to = 1 };
	edge[1] = (ds_layout_edge){ .from = 1, .to = 2 };
	edge[2] = (ds_layout_edge){ .from = 0, .to = 3 };
	edge[3] = (ds_layout_edge){ .from = 2, .to = 3 };
	g = make(4, 4, &rc);
	CHECK("a skip goes round", rc == DS_OK && !wrong(&g) && edge[2].n_bend == 2 && edge[2].bend[0].x == edge[2].bend[1].x, "%s", wrong(&g));
	ds_layout_done(&g);

	/* a tree, its edges given in an order that crosses */
	static const int parent[] = { 0, 0, 0, 1, 3, 2, 1, 3, 2 };
	int n = 0;
	for (int i = 8; i >= 1; i--)
		edge[n++] = (ds_layout_edge){ .from = parent[i] < i ? parent[i] : 0, .to = i };
	g = make(9, n, &rc);
	int cross = 0;
	for (int a = 0; a < n; a++)
		for (int b = 0; b < a; b++)
			cross += node[edge[a].from].layer == node[edge[b].from].layer
				&& (node[edge[a].from].x - node[edge[b].from].x) * (node[edge[a].to].x - node[edge[b].to].x) < 0;
	CHECK("a tree has no crossings", rc == DS_OK && !wrong(&g) && cross == 0, "%d crossings", cross);
	ds_layout_done(&g);

	g = make(0, 0, &rc);
	CHECK("nothing", rc == DS_OK && g.width == 0, "%d", (int)rc);
	ds_layout_done(&g);
	edge[0] = (ds_layout_edge){ .from = 2, .to = 1 };
	g = make(3, 1, &rc);
	CHECK("an edge backwards", rc == DS_E_INTERNAL, "%d", (int)rc);
	ds_layout_done(&g);
}

static void random_graphs(void)
{
	const char *why = NULL;
	double first = 0;
	for (int seed = 0; seed < 40 && !why; seed++) {
		ds_rng r = ds_rng_init((uint64_t)seed, 1);
		int n = 2 + (int)ds_rng_below(&r, NODES - 2), e = 0;
		for (int i = 1; i < n; i++)
			for (int k = (int)ds_rng_below(&r, 4); k > 0 && e < EDGES; k--)
				edge[e++] = (ds_layout_edge){ .from = i - 1 - (int)ds_rng_below(&r, (uint64_t)DS_MIN(i, seed % 2 ? 5 : 40)), .to = i };
		ds_status rc;
		ds_layout_graph g = make(n, e, &rc);
		why = rc == DS_OK ? wrong(&g) : "no drawing";
		double width = g.width;
		ds_layout_done(&g);
		g = make(n, e, &rc);
		if (!why && g.width != width)
			why = "twice is not the same";
		first += width;
		ds_layout_done(&g);
	}
	CHECK("random graphs", !why && first > 0, "%s", why);
}

int main(void)
{
	shapes();
	random_graphs();
	return failed;
}
