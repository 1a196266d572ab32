/* hannwindow.c - HannWindow: sin^2 */
#include "taper.h"

DS_TAPER_OP(HannWindow, 0.5, 0.5, 0)
