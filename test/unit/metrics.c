/* metrics.c - Prometheus text: escaping, one head per metric, numbers; energy and sensors of a machine made of files */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "profile/host.h"

static int failed;
#define CHECK(name, cond, ...) do { if (cond) printf("ok %s\n", name); else { printf("not ok %s: ", name); printf(__VA_ARGS__); printf("\n"); failed = 1; } } while (0)

static const ds_metric gauge = { "ds_a_bytes", DS_METRIC_GAUGE, "A." }, counter = { "ds_b_total", DS_METRIC_COUNTER, "B." }, summary = { "ds_c_seconds", DS_METRIC_SUMMARY, "C." };

static void text(void)
{
	ds_metrics m;
	const double p[] = { 0.5, 0.99 }, v[] = { 0.25, INFINITY };
	ds_metrics_begin(&m, "ds-test", "a \"b\\\nc");
	ds_metrics_add(&m, &gauge, NULL, NULL, 1536);
	ds_metrics_add(&m, &gauge, "k", "\xff" "x", 0.1);
	ds_metrics_add(&m, &counter, NULL, NULL, NAN);
	ds_metrics_summary(&m, &summary, 2, p, v, 2.5, 10);
	const char *want = "# HELP ds_build_info The ds tools that wrote this page.\n# TYPE ds_build_info gauge\n"
		"ds_build_info{filter=\"ds-test\",model=\"a \\\"b\\\\\\nc\",version=\"" DS_VERSION "\"} 1\n"
		"# HELP ds_a_bytes A.\n# TYPE ds_a_bytes gauge\nds_a_bytes{filter=\"ds-test\",model=\"a \\\"b\\\\\\nc\"} 1536\n"
		"ds_a_bytes{filter=\"ds-test\",model=\"a \\\"b\\\\\\nc\",k=\"\\\\xffx\"} 0.1\n"
		"# HELP ds_c_seconds C.\n# TYPE ds_c_seconds summary\nds_c_seconds{filter=\"ds-test\",model=\"a \\\"b\\\\\\nc\",quantile=\"0.5\"} 0.25\n"
		"ds_c_seconds{filter=\"ds-test\",model=\"a \\\"b\\\\\\nc\",quantile=\"0.99\"} +Inf\nds_c_seconds_sum{filter=\"ds-test\",model=\"a \\\"b\\\\\\nc\"} 2.5\n"
		"ds_c_seconds_count{filter=\"ds-test\",model=\"a \\\"b\\\\\\nc\"} 10\n";
	CHECK("text", m.body.data && strcmp(m.body.data, want) == 0, "%s", m.body.data ? m.body.data : "nothing");
	ds_metrics_done(&m);
	ds_metrics_begin(&m, "ds-test", NULL);
	ds_metrics_process(&m);
	CHECK("this process", strstr(m.body.data, "ds_process_cpu_seconds_total{filter=\"ds-test\"} ") && strstr(m.body.data, "ds_process_resident_memory_max_bytes"), "%s", m.body.data);
	ds_err err = { 0 };
	CHECK("no directory", ds_metrics_end(&m, "/nowhere/at/all.prom", &err) == DS_E_SYS, "%s", err.text);
}

static char root[64];

static void put(const char *path, const char *content)
{
	char full[300];
	snprintf(full, sizeof full, "%s%s", root, path);
	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = 0;
		mkdir(full, 0777);
		*p = '/';
	}
	FILE *f = fopen(full, "w");
	if (f) {
		fputs(content, f);
		fclose(f);
	}
}

static void machine(void)
{
	snprintf(root, sizeof root, "/tmp/ds-host-%ld", (long)getpid());
	if (mkdir(root, 0777) != 0) {
		printf("skip a machine of files: no directory\n");
		return;
	}
	ds_energy e;
	ds_energy_open(&e, root);
	ds_energy_read(&e);
	CHECK("no energy counters", e.n == 0 && e.joules == 0, "%d", e.n);
	put("/proc/loadavg", "0.52 0.58 0.59 1/467 12345\n");
	put("/proc/meminfo", "MemTotal:       1024 kB\nMemFree:  1 kB\nMemAvailable:    512 kB\n");
	for (int i = 0; i < 12; i++) {
		char path[100];
		snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq", i);
		put(path, "2400000\n");
	}
	put("/sys/devices/system/cpu/cpuidle/x", "");
	put("/sys/class/thermal/thermal_zone0/type", "x86_pkg_temp\n");
	put("/sys/class/thermal/thermal_zone0/temp", "48500\n");
	put("/sys/class/thermal/thermal_zone1/temp", "nonsense\n");
	put("/sys/class/powercap/intel-rapl:0/name", "package-0\n");
	put("/sys/class/powercap/intel-rapl:0/energy_uj", "900000\n");
	put("/sys/class/powercap/intel-rapl:0/max_energy_range_uj", "1000000\n");
	put("/sys/class/powercap/intel-rapl:0:0/name", "core\n");
	put("/sys/class/powercap/intel-rapl:0:0/energy_uj", "5\n");
	put("/sys/class/powercap/intel-rapl:1/name", "psys\n");
	put("/sys/class/powercap/intel-rapl:1/energy_uj", "5\n");
	ds_energy_open(&e, root);
	CHECK("packages alone are counted", e.n == 1 && strcmp(e.zone[0].name, "package-0") == 0, "%d zones", e.n);
	put("/sys/class/powercap/intel-rapl:0/energy_uj", "950000\n");
	ds_energy_read(&e);
	CHECK("energy", fabs(e.joules - 0.05) < 1e-12, "%g", e.joules);
	put("/sys/class/powercap/intel-rapl:0/energy_uj", "20000\n");
	ds_energy_read(&e);
	CHECK("a counter that wraps", fabs(e.joules - 0.12) < 1e-12, "%g", e.joules);
	ds_metrics m;
	ds_metrics_begin(&m, "ds-test", NULL);
	ds_host_metrics(&m, root);
	const char *t = m.body.data, *c9 = strstr(t, "cpu=\"9\"} 2.4e+09\n"), *c10 = strstr(t, "cpu=\"10\"} 2.4e+09\n");
	CHECK("cores in their order", c9 && c10 && c9 < c10 && strstr(t, "ds_host_cpus{filter=\"ds-test\"} 12\n"), "%s", t);
	CHECK("sensors", strstr(t, "zone=\"0 x86_pkg_temp\"} 48.5\n") && !strstr(t, "zone=\"1\"") && strstr(t, "ds_host_load1{filter=\"ds-test\"} 0.52\n")
		&& strstr(t, "ds_host_memory_available_bytes{filter=\"ds-test\"} 524288\n") && strstr(t, "zone=\"0 package-0\"} 0.02\n"), "%s", t);
	ds_metrics_done(&m);
	char command[100];
	snprintf(command, sizeof command, "rm -rf '%s'", root);
	if (system(command) != 0)
		printf("# %s stays\n", root);
}

int main(void)
{
	text();
	machine();
	return failed;
}
