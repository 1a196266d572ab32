/* fuzz_assert.c - any text as a condition on a figure and as a load; what was read is judged and said in words */
#include <math.h>
#include <string.h>

#include "../../lib/profile/assert.h"
#include "../../lib/profile/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const ds_assert_key keys[] = {
		{ "p99", DS_UNIT_SECONDS, false, 0, "" }, { "qps", DS_UNIT_RATE, true, 0, "" }, { "rss", DS_UNIT_BYTES, false, 0, "" }, { "drop", DS_UNIT_SHARE, false, 0, "" },
		{ "macs", DS_UNIT_COUNT, false, 0, "" }, { "mse", DS_UNIT_PLAIN, false, 0, "" }, { 0 }
	};
	ds_buf text = { 0 }, out = { 0 };
	ds_assertion a;
	ds_load_kind kind;
	double rate;
	ds_err err = { 0 };
	ds_buf_add(&text, data, size);
	ds_buf_add(&text, "", 0);
	if (text.data && ds_assert_parse(&a, text.data, keys, &err) == DS_OK) {
		if (!isfinite(a.want))
			__builtin_trap();
		ds_assert_judge(&a, a.want, a.want, a.want);
		if (a.met != (a.op[1] == '='))
			__builtin_trap();
		ds_assert_say(&a, &out);
	} else if (text.data && err.code != DS_E_USAGE) {
		__builtin_trap();
	}
	if (text.data && ds_load_parse(text.data, &kind, &rate, NULL) == DS_OK && kind != DS_LOAD_CLOSED && !(rate > 0))
		__builtin_trap();
	ds_buf_done(&out);
	ds_buf_done(&text);
	return 0;
}
