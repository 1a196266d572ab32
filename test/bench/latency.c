/* latency.c - time a DSM model at a fixed batch: a co-process for interleaved comparisons
 *
 * latency MODEL.dsm THREADS BATCH: plans, warms up, answers "ready", then for each line "N" on standard input runs N times and prints the milliseconds of each run on one
 * line.  Without input lines of its own choosing nothing is measured, so another program can take turns with it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "ds.h"

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int fail(const ds_err *err)
{
	char line[1024];
	ds_err_line(err, line, sizeof line);
	fprintf(stderr, "latency: %s\n", line);
	return 1;
}

static double once(ds_session *s, const ds_tensor *in, int n_in, ds_err *err)
{
	ds_tensor out[1];
	double t = now_ms();
	if (ds_session_run(s, in, n_in, out, 1, err) != DS_OK)
		return -1;
	t = now_ms() - t;
	ds_tensor_done(&out[0]);
	return t;
}

int main(int argc, char **argv)
{
	ds_err err = { 0 };
	ds_model *m;
	ds_session *s;
	ds_tensor in[1];
	if (argc != 4) {
		fprintf(stderr, "usage: latency MODEL.dsm THREADS BATCH\n");
		return 2;
	}
	if (ds_model_read(&m, argv[1], &err) != DS_OK || ds_session_new(&s, m, (int)strtol(argv[2], NULL, 10), &err) != DS_OK)
		return fail(&err);
	ds_dtype type;
	int64_t dim[DS_MAX_RANK];
	int rank = ds_model_input_type(m, 0, &type, dim);
	for (int i = 0; i < rank; i++)
		dim[i] = dim[i] < 0 ? (i ? 224 : strtol(argv[3], NULL, 10)) : dim[i];
	if (ds_model_inputs(m) != 1 || type != DS_F32 || ds_tensor_new(&in[0], type, rank, dim, &err) != DS_OK) {
		fprintf(stderr, "latency: one f32 input is wanted\n");
		return 2;
	}
	ds_rng r = ds_rng_init(1, 1);
	for (int64_t i = 0; i < ds_tensor_count(&in[0]); i++)
		((float *)in[0].data)[i] = (float)ds_rng_normal(&r);
	for (int i = 0; i < 5; i++)
		if (once(s, in, 1, &err) < 0)
			return fail(&err);
	printf("ready\n");
	fflush(stdout);
	char line[64];
	while (fgets(line, sizeof line, stdin)) {
		for (long n = strtol(line, NULL, 10); n > 0; n--)
			printf("%.4f%c", once(s, in, 1, &err), n == 1 ? '\n' : ' ');
		fflush(stdout);
	}
	ds_tensor_done(&in[0]);
	ds_session_free(s);
	ds_model_free(m);
	return 0;
}
