/* argmax.c - ArgMax: position of the largest element along an axis; the first of equals, or the last when asked for */
#include "argpick.h"

DS_ARG_OP(ArgMax, true)
