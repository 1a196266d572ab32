/* driver.c - runs a fuzz target without an engine: fuzz_NAME [-n MUTANTS] [FILE|DIRECTORY ...]
 *
 * Without operands it replays test/corpus/NAME, found from the working directory.  Each seed is also cut, flipped and spliced a few times, always the
 * same way, so that `make check` exercises the error paths too. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int n_run, n_mutants = 60;

/* An exact copy on the heap, so that a sanitizer sees reads past its end. */
static void one(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		return;
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	n_run++;
}

static void mutants(uint8_t *data, size_t size, uint64_t seed)
{
	ds_rng r = ds_rng_init(seed, size);
	for (int i = 0; i < n_mutants && size > 0; i++) {
		uint8_t keep[4];
		size_t at[4];
		const int n = 1 + (int)ds_rng_below(&r, 4);
		if (i % 4 == 0) {
			one(data, (size_t)ds_rng_below(&r, size));
			continue;
		}
		for (int k = 0; k < n; k++) {
			static const uint8_t odd[] = { 0, 1, 0x7f, 0x80, 0xff, '-', '9', '\n' };
			at[k] = (size_t)ds_rng_below(&r, size);
			keep[k] = data[at[k]];
			data[at[k]] = i % 2 ? (uint8_t)(keep[k] ^ (1u << ds_rng_below(&r, 8))) : odd[ds_rng_below(&r, sizeof odd)];
		}
		one(data, size);
		for (int k = n; k-- > 0;)
			data[at[k]] = keep[k];
	}
}

static int file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	if (!f || fstat(fileno(f), &st) != 0) {
		printf("not ok %s: cannot be opened\n", path);
		return 1;
	}
	uint8_t *p = malloc((size_t)st.st_size + 1);
	size_t n = p ? fread(p, 1, (size_t)st.st_size, f) : 0;
	fclose(f);
	if (!p)
		return 1;
	one(p, n);
	mutants(p, n, ds_hash64(p, n, 1));
	free(p);
	return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int directory(const char *path)
{
	struct dirent **e;
	int n = scandir(path, &e, NULL, by_name), bad = 0;
	for (int i = 0; i < n; i++) {
		char full[2048];
		snprintf(full, sizeof full, "%s/%s", path, e[i]->d_name);
		if (e[i]->d_name[0] != '.')
			bad |= file(full);
		free(e[i]);
	}
	if (n >= 0)
		free(e);
	return bad;
}

int main(int argc, char **argv)
{
	char corpus[1024];
	const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	struct stat st;
	int bad = 0, first = 1;
	if (argc > 2 && strcmp(argv[1], "-n") == 0) {
		n_mutants = (int)strtol(argv[2], NULL, 10);
		first = 3;
	}
	name = strncmp(name, "fuzz_", 5) == 0 ? name + 5 : name;
	snprintf(corpus, sizeof corpus, "test/corpus/%s", name);
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = first; i < argc || i == first; i++) {
		const char *path = i < argc ? argv[i] : corpus;
		if (stat(path, &st) == 0)
			bad |= S_ISDIR(st.st_mode) ? directory(path) : file(path);
		else if (i < argc)
			bad = 1;
	}
	if (n_run == 0)
		printf("skip corpus/%s: no seeds\n", name);
	else
		printf("%s corpus/%s: %d inputs\n", bad ? "not ok" : "ok", name, n_run);
	return bad;
}
