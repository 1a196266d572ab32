/* hammingwindow.c - HammingWindow: a raised cosine that does not reach 0 (25/46, as ONNX has it) */
#include "taper.h"

DS_TAPER_OP(HammingWindow, 25.0 / 46, 21.0 / 46, 0)
