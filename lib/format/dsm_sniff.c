/* dsm_sniff.c - what input looks like that is not a DSM stream: the message names the cure */
#include "dsm_int.h"

static const struct { const char *start; uint8_t n; const char *text; } looks_like[] = {
	{ "\x89" "DSM\n", 5, "a DSM stream whose CR LF became LF: was it copied in text mode?" },
	{ "\x89" "DSM\r\r\n", 7, "a DSM stream whose LF became CR LF: did it go through a terminal (ssh -t)?" },
	{ "\x28\xb5\x2f\xfd", 4, "zstd data: decompress first (zstd -dc)" },
	{ "\x1f\x8b", 2, "gzip data: decompress first (gzip -dc)" },
	{ "\xfd" "7zXZ", 5, "xz data: decompress first (xz -dc)" },
	{ "PK\3\4", 4, "a zip archive" },
	{ "GGUF", 4, "a GGUF model, which is not a DSM stream" },
	{ "\x89PNG", 4, "a PNG picture, which is not a DSM stream" },
	{ "\xff\xd8\xff", 3, "a JPEG picture, which is not a DSM stream" },
	{ "\x93NUMPY", 6, "a NumPy array, which is not a DSM stream" },
};

ds_status dsm_not_ours(const uint8_t *p, size_t n, ds_err *err)
{
	if (n == 0)
		return ds_fail(err, DS_E_INPUT, "empty input - did the previous command fail?");
	for (size_t i = 0; i < DS_COUNTOF(looks_like); i++)
		if (n >= looks_like[i].n && memcmp(p, looks_like[i].start, looks_like[i].n) == 0)
			return ds_fail_at(err, DS_E_INPUT, 0, "looks like %s", looks_like[i].text);
	size_t k = 0;
	while (k < n && (p[k] == ' ' || p[k] == '\t' || p[k] == '\r' || p[k] == '\n'))
		k++;
	if (n - k >= 5 && p[k] == '<' && (p[k + 1] == '!' || p[k + 1] == 'h' || p[k + 1] == 'H' || p[k + 1] == '?'))
		return ds_fail_at(err, DS_E_INPUT, 0, "looks like HTML: did curl get an error page?");
	if (n >= 9 && p[8] == '{' && dsm_zero(p + 4, 4))
		return ds_fail_at(err, DS_E_INPUT, 0, "looks like safetensors: convert it first (ds-convert)");
	if (n >= 3 && p[0] == 8 && p[1] >= 3 && p[1] < 32 && (p[2] & 7) == 2)
		return ds_fail_at(err, DS_E_INPUT, 0, "looks like an ONNX model: convert it first (ds-convert)");
	return ds_fail_at(err, DS_E_INPUT, 0, "not a DSM stream");
}
