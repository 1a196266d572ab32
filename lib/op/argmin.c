/* argmin.c - ArgMin: position of the smallest element along an axis; the first of equals, or the last when asked for */
#include "argpick.h"

DS_ARG_OP(ArgMin, false)
