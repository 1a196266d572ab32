# headers.sh - does each header compile by itself, and the public one as C++ too?
CC=${CC:-cc}
rc=0
for h in $(find lib -name "*.h" | sort); do
	# templates and macros of kernels are made for being included with others set
	case $h in *_t.h|*_tmpl.h|lib/kernel/x86/*) continue ;; esac
	if ! printf '#include "%s"\n' "$h" | $CC -std=c11 -D_GNU_SOURCE -I. -Ilib -Wall -fsyntax-only -x c - 2> "$B/test/header.err"; then
		echo "not ok headers: $h: $(grep -m 1 error "$B/test/header.err")"
		rc=1
	fi
done
[ $rc -ne 0 ] || echo 'ok headers alone'
cxx=
for c in g++ clang++; do
	[ -n "$cxx" ] || { command -v $c >/dev/null && cxx=$c; }
done
if [ -z "$cxx" ]; then
	echo 'skip headers from C++: no compiler'
elif printf '#include "ds.h"\nint main() { return ds_version() == nullptr; }\n' | $cxx -std=c++11 -Wall -Wextra -pedantic -Ilib -fsyntax-only -x c++ -; then
	echo 'ok headers from C++'
else
	echo 'not ok headers: ds.h from C++'
	rc=1
fi
exit $rc
