/* host.c - reading /proc and /sys: energy, temperatures, frequencies, load */
#include "host.h"
#include "../base/str.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_MOST = 300 };

/* First line of a small file without its newline; false when there is none. */
static bool line_of(const char *root, const char *path, char *buf, size_t size)
{
	char full[PATH_MOST];
	int n = snprintf(full, sizeof full, "%s%s", root, path);
	FILE *f = n < (int)sizeof full ? fopen(full, "re") : NULL;
	if (!f)
		return false;
	bool got = fgets(buf, (int)size, f) != NULL;
	fclose(f);
	if (got)
		buf[strcspn(buf, "\n")] = 0;
	return got;
}

/* A file that holds one number; NaN when it does not. */
static double number_in(const char *root, const char *path)
{
	char buf[64];
	double v;
	return line_of(root, path, buf, sizeof buf) && ds_parse_f64(buf, &v) ? v : NAN;
}

static int rising(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;
	return (x > y) - (x < y);
}

/* The numbers of directory entries that are called `prefix` and a number, rising; at most `most`. */
static int entries(const char *root, const char *dir, const char *prefix, int *id, int most)
{
	char full[PATH_MOST];
	int n = 0;
	size_t skip = strlen(prefix);
	DIR *d = snprintf(full, sizeof full, "%s%s", root, dir) < (int)sizeof full ? opendir(full) : NULL;
	if (!d)
		return 0;
	for (struct dirent *e; n < most && (e = readdir(d)) != NULL; ) {
		size_t digits = strncmp(e->d_name, prefix, skip) == 0 ? strspn(e->d_name + skip, "0123456789") : 0;
		int64_t v;
		if (digits && digits < 7 && !e->d_name[skip + digits] && ds_parse_i64(e->d_name + skip, &v))
			id[n++] = (int)v;
	}
	closedir(d);
	qsort(id, (size_t)n, sizeof *id, rising);
	return n;
}

/* ---- energy ---------------------------------------------------------------------------------------------------------------------------- */

static bool counter(const char *file, uint64_t *v)
{
	double x = number_in("", file);
	*v = x >= 0 && x < 9e15 ? (uint64_t)x : 0;
	return x >= 0 && x < 9e15;
}

void ds_energy_open(ds_energy *e, const char *root)
{
	static const char dir[] = "/sys/class/powercap";
	int zone[DS_ENERGY_ZONES];
	char path[PATH_MOST];
	int n = entries(root, dir, "intel-rapl:", zone, DS_ENERGY_ZONES);
	*e = (ds_energy){ 0 };
	for (int i = 0; i < n; i++) {
		uint64_t v;
		snprintf(path, sizeof path, "%s/intel-rapl:%d/name", dir, zone[i]);
		if (!line_of(root, path, e->zone[e->n].name, sizeof e->zone[0].name) || strcmp(e->zone[e->n].name, "psys") == 0)        /* the whole board: the packages are part of it */
			continue;
		snprintf(path, sizeof path, "%s/intel-rapl:%d/max_energy_range_uj", dir, zone[i]);
		double range = number_in(root, path);
		int len = snprintf(e->zone[e->n].file, sizeof e->zone[0].file, "%s%s/intel-rapl:%d/energy_uj", root, dir, zone[i]);
		if (len >= (int)sizeof e->zone[0].file || !counter(e->zone[e->n].file, &v))
			continue;
		e->zone[e->n].last = v;
		e->zone[e->n].range = range > 0 && range < 9e15 ? (uint64_t)range : 0;
		e->n++;
	}
}

void ds_energy_read(ds_energy *e)
{
	for (int i = 0; i < e->n; i++) {
		uint64_t v;
		if (!counter(e->zone[i].file, &v))
			continue;
		uint64_t last = e->zone[i].last, more = v >= last ? v - last : e->zone[i].range >= last ? e->zone[i].range - last + v : 0;
		e->joules += (double)more * 1e-6;
		e->zone[i].last = v;
	}
}

/* ---- metrics --------------------------------------------------------------------------------------------------------------------------- */

enum { MOST = 256 };

static void frequencies(ds_metrics *m, const char *root)
{
	static const ds_metric row = { "ds_host_cpu_frequency_hertz", DS_METRIC_GAUGE, "Frequency of each processor core." };
	int cpu[MOST];
	char path[PATH_MOST], name[16];
	int n = entries(root, "/sys/devices/system/cpu", "cpu", cpu, MOST);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq", cpu[i]);
		snprintf(name, sizeof name, "%d", cpu[i]);
		ds_metrics_add(m, &row, "cpu", name, number_in(root, path) * 1000);
	}
}

static void temperatures(ds_metrics *m, const char *root)
{
	static const ds_metric row = { "ds_host_temperature_celsius", DS_METRIC_GAUGE, "Temperature of each thermal zone." };
	int zone[MOST];
	char path[PATH_MOST], type[64], name[100];
	int n = entries(root, "/sys/class/thermal", "thermal_zone", zone, MOST);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof path, "/sys/class/thermal/thermal_zone%d/type", zone[i]);
		bool typed = line_of(root, path, type, sizeof type);
		snprintf(name, sizeof name, "%d%s%s", zone[i], typed ? " " : "", typed ? type : "");
		snprintf(path, sizeof path, "/sys/class/thermal/thermal_zone%d/temp", zone[i]);
		ds_metrics_add(m, &row, "zone", name, number_in(root, path) / 1000);
	}
}

/* A line "Key:   123 kB" of /proc/meminfo in bytes. */
static double memory(const char *root, const char *key)
{
	char full[PATH_MOST], line[128];
	double kib = NAN;
	FILE *f = snprintf(full, sizeof full, "%s/proc/meminfo", root) < (int)sizeof full ? fopen(full, "re") : NULL;
	while (f && isnan(kib) && fgets(line, sizeof line, f)) {
		size_t n = strlen(key);
		if (strncmp(line, key, n) != 0 || line[n] != ':')
			continue;
		char *p = line + n + 1;
		p += strspn(p, " ");
		p[strcspn(p, " \n")] = 0;
		if (!ds_parse_f64(p, &kib))
			break;
	}
	if (f)
		fclose(f);
	return kib * 1024;
}

void ds_host_metrics(ds_metrics *m, const char *root)
{
	static const ds_metric load = { "ds_host_load1", DS_METRIC_GAUGE, "Load average of the last minute." },
		cpus = { "ds_host_cpus", DS_METRIC_GAUGE, "Processor cores of the machine." },
		total = { "ds_host_memory_bytes", DS_METRIC_GAUGE, "Memory of the machine." },
		free_ = { "ds_host_memory_available_bytes", DS_METRIC_GAUGE, "Memory that could be had without swapping." },
		energy = { "ds_host_energy_joules_total", DS_METRIC_COUNTER, "Energy counter of each processor package." };
	char line[128], label[80];
	int cpu[MOST];
	double v;
	ds_energy e;
	int n = entries(root, "/sys/devices/system/cpu", "cpu", cpu, MOST);
	ds_metrics_add(m, &cpus, NULL, NULL, n ? n : NAN);
	if (line_of(root, "/proc/loadavg", line, sizeof line)) {
		line[strcspn(line, " ")] = 0;
		ds_metrics_add(m, &load, NULL, NULL, ds_parse_f64(line, &v) ? v : NAN);
	}
	ds_metrics_add(m, &total, NULL, NULL, memory(root, "MemTotal"));
	ds_metrics_add(m, &free_, NULL, NULL, memory(root, "MemAvailable"));
	frequencies(m, root);
	temperatures(m, root);
	ds_energy_open(&e, root);
	for (int i = 0; i < e.n; i++) {
		snprintf(label, sizeof label, "%d %s", i, e.zone[i].name);
		ds_metrics_add(m, &energy, "zone", label, (double)e.zone[i].last * 1e-6);
	}
}
