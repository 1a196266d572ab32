/* blackmanwindow.c - BlackmanWindow: three terms */
#include "taper.h"

DS_TAPER_OP(BlackmanWindow, 0.42, 0.5, 0.08)
