/* memory.c - --memory */
#include "profile.h"

ds_status mode_memory(job *j, ds_err *err)
{
	(void)j;
	return ds_fail(err, DS_E_UNSUPPORTED, "--memory is not there yet");
}
