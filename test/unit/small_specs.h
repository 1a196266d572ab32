/* small_specs.h - the shipped descriptions at sizes that a test can afford */
#ifndef TEST_SMALL_SPECS_H
#define TEST_SMALL_SPECS_H

#include <stdio.h>
#include <string.h>

#include "format/format.h"

extern const ds_format ds_format_spec;

static const struct { const char *file; const char *set[4]; int n; } small[] = {
	{ "resnet8.spec", { "width=4", "size=12" }, 2 }, { "resnet20.spec", { "width=4", "size=12", "blocks=2" }, 3 }, { "resnet18.spec", { "width=4", "size=12" }, 2 },
	{ "chargpt.spec", { "width=16", "context=8", "layers=2", "vocab=9" }, 4 }, { "gpt.spec", { "width=24", "context=8", "layers=2", "vocab=9" }, 4 },
	{ "lstm.spec", { "window=8", "horizon=2", "units=6", "layers=2" }, 4 }, { "tcn.spec", { "window=16", "width=6", "levels=2", "dropout=0" }, 4 },
	{ "tcn-forecast.spec", { "window=16", "width=6", "horizon=2", "dropout=0" }, 4 }, { "conv-autoencoder.spec", { "window=16", "width=4", "depth=2" }, 3 },
	{ "speech.spec", { "samples=2048", "width=4" }, 2 },
};

static ds_status load(const char *folder, const char *name, ds_model **m, ds_err *err)
{
	char path[512];
	ds_import o = { .seed = 3 };
	ds_source *src;
	for (size_t i = 0; i < DS_COUNTOF(small); i++)
		if (strcmp(small[i].file, name) == 0) {
			o.set = small[i].set;
			o.n_set = small[i].n;
		}
	snprintf(path, sizeof path, "%s/%s", folder, name);
	DS_TRY(ds_source_open(&src, path, NULL, err));
	return ds_format_spec.read(m, src, &o, err);
}

#endif
