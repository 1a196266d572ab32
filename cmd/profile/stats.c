/* stats.c - --stats: what calibration would see of the samples, as a file that ds-quantize -c takes; --merge: such files added up */
#include <inttypes.h>
#include <string.h>

#include "../feed.h"
#include "profile.h"

ds_status mode_stats(job *j, ds_err *err)
{
	const settings *s = j->s;
	ds_statistics st = { .crc = j->m->id_crc, .len = j->m->id_len };
	feed f = { .from = j->samples, .limit = INT64_MAX };
	bool equalize = feed_equalize(s->equalize, j->m->graph);
	if (!j->samples)
		return ds_fail(err, DS_E_USAGE, "--stats looks at samples: name some");
	f.progress = ds_progress_new(&s->c, "samples", f.from->count(f.from));
	ds_status rc = ds_q_observe(&st.q, j->m->graph, equalize, (int)s->c.threads, &(ds_qsamples){ feed_next, feed_rewind, &f }, err);
	ds_progress_free(f.progress);
	st.of = f.of;
	if (rc == DS_OK)
		rc = ds_statistics_write(&st, j->out, &(ds_dsm_wopts){ .compress = s->c.compress, .memory_limit = s->c.memory_limit }, err);
	ds_note("%" PRId64 " samples, %d values%s", st.q.samples, st.q.set[DS_QSET_PLAIN].n, equalize ? ", once more after equalisation" : "");
	j->failed += (uint64_t)f.bad;
	j->read += (uint64_t)(f.bad + st.q.samples);
	ds_statistics_done(&st);
	return rc;
}

static ds_status read_one(const settings *s, const char *path, ds_statistics *st, ds_err *err)
{
	ds_source *src;
	DS_TRY(ds_open_file(&src, &s->c, path, err));
	ds_status rc = ds_statistics_read(st, src, &(ds_dsm_opts){ .memory_limit = s->c.memory_limit, .no_verify = s->c.no_verify }, err);
	if (rc != DS_OK)
		ds_err_in(err, path);
	return rc;
}

ds_status merge_stats(job *j, ds_err *err)
{
	const settings *s = j->s;
	ds_statistics sum = { 0 }, one = { 0 };
	bool even = false;
	ds_status rc = DS_OK;
	for (int i = 0; i < s->c.operand.n && rc == DS_OK; i++) {
		const char *path = s->c.operand.v[i];
		if ((rc = read_one(s, path, i ? &one : &sum, err)) != DS_OK)
			break;
		even |= s->c.operand.n > 1 && (i ? &one : &sum)->q.set[DS_QSET_EVEN].n;
		if (i && (rc = ds_statistics_merge(&sum, &one, err)) != DS_OK)
			ds_err_in(err, path);
		ds_statistics_done(&one);
	}
	if (rc == DS_OK && even)
		ds_warn("what was seen behind equalisation cannot be added up and is left out: ds-quantize takes the result with --equalize no");
	if (rc == DS_OK)
		rc = ds_statistics_write(&sum, j->out, &(ds_dsm_wopts){ .compress = s->c.compress, .memory_limit = s->c.memory_limit }, err);
	ds_statistics_done(&sum);
	return rc;
}
