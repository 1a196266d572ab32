/* caption.c - what is written above a map */
#include "job.h"

#include <math.h>
#include <string.h>

void ex_caption_file(const ex_result *r, ds_buf *b)
{
	const char *file = r->item->name;
	size_t n = r->item->name_len;
	for (size_t i = 0; i + 1 < r->item->name_len && i < r->item->path_len; i++)             /* the last part of the path */
		if (r->item->name[i] == '/') {
			file = r->item->name + i + 1;
			n = r->item->name_len - i - 1;
		}
	ds_text_quote(b, file, n);
}

void ex_caption_class(const job *j, const ds_map *m, ds_buf *b)
{
	char num[24];
	int64_t class_ = ex_class(j, m);
	const char *name = ex_label(j, class_);
	if (name)
		ds_text_quote(b, name, strlen(name));
	else
		ds_buf_printf(b, "class %lld", (long long)class_);
	if (isfinite(m->probability))
		ds_buf_printf(b, " %s", ds_draw_number(num, m->probability));
}

void ex_caption_method(const job *j, const ds_map *m, ds_buf *b)
{
	ds_buf_str(b, j->method->name);
	if (m->layer) {
		ds_buf_str(b, " of ");
		ds_text_quote(b, m->layer, strlen(m->layer));
	}
	if (m->head >= 0)
		ds_buf_printf(b, " head %d", m->head);
	if (isfinite(m->gap))
		ds_buf_printf(b, ", gap %.2g %%", 100 * m->gap);
}
