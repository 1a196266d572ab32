/* host.h - what the machine says of itself in /proc and /sys: energy (RAPL), temperatures, frequencies, load
 *
 * Every function takes the directory that holds proc/ and sys/ ("" for the machine itself), so that tests can bring a machine of their own.  What a machine does not tell, or
 * not to this user, is left out: nothing here fails because of it. */
#ifndef DS_PROFILE_HOST_H
#define DS_PROFILE_HOST_H

#include "../io/metrics.h"

/* Counters of energy: the top zones of /sys/class/powercap/intel-rapl:N (processor packages; AMD's are called so, too).  They wrap, some within a minute: read them at
 * least that often. */
enum { DS_ENERGY_ZONES = 16 };
typedef struct ds_energy {
	int      n;                     /* zones that can be read; 0: energy is not measured here */
	struct { char file[300], name[64]; uint64_t last, range; } zone[DS_ENERGY_ZONES];
	double   joules;                /* since ds_energy_open, up to the last ds_energy_read */
} ds_energy;
void      ds_energy_open(ds_energy *e, const char *root);
void      ds_energy_read(ds_energy *e);

/* Load, memory, frequencies, temperatures and energy counters as metrics. */
void      ds_host_metrics(ds_metrics *m, const char *root);

#endif
