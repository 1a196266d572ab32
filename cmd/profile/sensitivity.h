/* sensitivity.h - inside ds-profile: what the two kinds of --sensitivity share */
#ifndef DS_CMD_PROFILE_SENSITIVITY_H
#define DS_CMD_PROFILE_SENSITIVITY_H

#include "profile.h"
#include "profile/sensitivity.h"

enum { QUANTIZE, PRUNE };               /* settings.sensitivity */
enum { MAX_CHOICES = 16, BATCH = 16 };

/* --bits or --ratio, as the mode is. */
typedef struct choices { ds_qbits bits[MAX_CHOICES]; double ratio[MAX_CHOICES]; int n; } choices;
ds_status sensitivity_choices(const settings *s, choices *c, ds_err *err);
/* "3.5bpw", "300K", "40%" */
typedef struct budget { enum { BPW, BYTES, SHARE } kind; double v; } budget;
ds_status parse_budget(const char *text, budget *b, ds_err *err);

/* All samples in memory, labels with -d. */
ds_status sensitivity_samples(job *j, ds_answers *a, ds_err *err);
/* The reference's answers to them. */
ds_status sensitivity_ask(job *j, ds_answers *a, ds_shift *s, ds_err *err);
/* ds_probe_progress, arg a ds_progress */
void      sensitivity_hear(void *arg, int done, int all);
ds_status sensitivity_prune(job *j, ds_err *err);

#endif
