/* machine.h - what can be known about the machine that figures come from */
#ifndef DS_PROFILE_MACHINE_H
#define DS_PROFILE_MACHINE_H

#include "../base/mem.h"

/* Facts for the head of a report, each with its words: processor, instruction sets, governor, throttling, load.  What cannot be found out says "not readable". */
typedef struct ds_fact { const char *name; char text[160]; } ds_fact;
enum { DS_FACTS_MAX = 12 };
int  ds_machine_facts(ds_fact fact[DS_FACTS_MAX]);
/* Sizes of the data caches of one core (L1, L2) and of the processor (L3), bytes; 0: none or not known. */
void ds_machine_caches(double size[3]);

/* Memory of this process now, bytes; 0: not readable. */
typedef struct ds_process_memory {
	double resident, high_water;    /* since the start, or since ds_machine_forget_peak; peak: as getrusage has it, which is never forgotten */
	double peak;
} ds_process_memory;
void ds_machine_memory(ds_process_memory *m);
/* Let the high-water mark begin anew at what is resident now.  False: the system does not allow it. */
bool ds_machine_forget_peak(void);

#endif
