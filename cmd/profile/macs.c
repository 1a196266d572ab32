/* macs.c - --macs */
#include "profile.h"

ds_status mode_macs(job *j, ds_err *err)
{
	(void)j;
	return ds_fail(err, DS_E_UNSUPPORTED, "--macs is not there yet");
}
