/* machine.c - what can be known about the machine: processor, frequency rules, throttling, load, memory of the process */
#include "machine.h"
#include "../base/str.h"
#include "../base/thread.h"
#include "../cpu/cpu.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The start of a small file of the system, without what follows its first line if `line`; false: not readable. */
static bool slurp(const char *path, char *buf, size_t n, bool line)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t k = fd >= 0 ? read(fd, buf, n - 1) : -1;
	if (fd >= 0)
		close(fd);
	if (k < 0)
		return false;
	buf[k] = 0;
	if (line)
		buf[strcspn(buf, "\n")] = 0;
	return true;
}

static void say(ds_fact *f, const char *name, const char *text)
{
	f->name = name;
	snprintf(f->text, sizeof f->text, "%s", text);
}

/* Times that any core was slowed down because of heat, added up; the files are there on real machines only. */
static void throttling(char *text, size_t n)
{
	static const char *const file[] = { "core_throttle_count", "package_throttle_count" };
	long long sum = 0;
	bool any = false;
	for (int cpu = 0; cpu < 1024; cpu++)
		for (size_t i = 0; i < DS_COUNTOF(file); i++) {
			char path[128], value[32];
			int64_t v;
			snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/thermal_throttle/%s", cpu, file[i]);
			if (!slurp(path, value, sizeof value, true)) {
				if (!i && cpu >= ds_cpu_count())
					cpu = 1024;
				continue;
			}
			any = true;
			sum += ds_parse_i64(value, &v) ? v : 0;
		}
	if (any)
		snprintf(text, n, "%lld times since the start of the machine", sum);
	else
		snprintf(text, n, "not readable");
}

int ds_machine_facts(ds_fact fact[DS_FACTS_MAX])
{
	char text[160], isa[64], part[3][16];
	struct utsname u;
	int n = 0;
	ds_cpu_model(text, sizeof text);
	say(&fact[n++], "processor", *text ? text : "not readable");
	say(&fact[n++], "instructions", ds_cpu_text(ds_cpu_allowed(), isa));
	if (ds_cpu_allowed() != ds_cpu_found())
		say(&fact[n++], "found", ds_cpu_text(ds_cpu_found(), isa));
	snprintf(text, sizeof text, "%d", ds_cpu_count());
	say(&fact[n++], "cores", text);
	double size[3];
	ds_machine_caches(size);
	for (int i = 0; i < 3; i++)
		ds_fmt_size(part[i], (uint64_t)size[i]);
	snprintf(text, sizeof text, "L1 %s, L2 %s, L3 %s", part[0], part[1], part[2]);
	say(&fact[n++], "caches", text);
	say(&fact[n++], "governor", slurp("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", text, sizeof text, true) ? text : "not readable");
	throttling(text, sizeof text);
	say(&fact[n++], "throttled", text);
	if (slurp("/proc/loadavg", text, sizeof text, true)) {
		char *at = text;
		for (int i = 0; i < 3 && at; i++)
			at = strchr(at + (i > 0), ' ');
		if (at)
			*at = 0;
	} else {
		snprintf(text, sizeof text, "not readable");
	}
	say(&fact[n++], "load", text);
	if (uname(&u) == 0)
		snprintf(text, sizeof text, "%.60s %.60s", u.sysname, u.release);
	say(&fact[n++], "system", text);
	return n;
}

#if defined(_SC_LEVEL1_DCACHE_SIZE)
static double level(int name)
{
	long v = sysconf(name);
	return v > 0 ? (double)v : 0;
}
#endif

void ds_machine_caches(double size[3])
{
	size[0] = size[1] = size[2] = 0;
#if defined(_SC_LEVEL1_DCACHE_SIZE)
	size[0] = level(_SC_LEVEL1_DCACHE_SIZE);
	size[1] = level(_SC_LEVEL2_CACHE_SIZE);
	size[2] = level(_SC_LEVEL3_CACHE_SIZE);
#endif
}

/* "VmHWM:     1234 kB" of /proc/self/status, bytes. */
static double status_line(const char *text, const char *name)
{
	const char *at = strstr(text, name);
	return at ? 1024 * (double)strtoll(at + strlen(name), NULL, 10) : 0;
}

void ds_machine_memory(ds_process_memory *m)
{
	char text[4096];
	struct rusage u;
	*m = (ds_process_memory){ 0 };
	if (slurp("/proc/self/status", text, sizeof text, false)) {
		m->resident = status_line(text, "\nVmRSS:");
		m->high_water = status_line(text, "\nVmHWM:");
	}
	if (getrusage(RUSAGE_SELF, &u) == 0)
		m->peak = 1024 * (double)u.ru_maxrss;
}

bool ds_machine_forget_peak(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, "5", 1) == 1;
	if (fd >= 0)
		close(fd);
	return ok;
}
