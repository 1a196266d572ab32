# run.sh - run test items two at a time or more and count: run.sh ITEM ...
#
# An item is a program, a *.sh or a *.bats file.  Programs and scripts print "ok NAME", "not ok NAME: why", "skip NAME: why"; a program that fails
# without saying so counts as one failure.  The last line is "N passed, N failed, N skipped".  Environment: B the build directory, CC, SAN.
export B CC SAN
export PATH="$B:$B/test:$PATH"
export DS_TEST_LOG="$B/test/log"
# the time limit of bats ends what a test started, for which it needs pkill or ps
if command -v pkill >/dev/null || command -v ps >/dev/null; then export BATS_TEST_TIMEOUT=${BATS_TEST_TIMEOUT:-300}; else unset BATS_TEST_TIMEOUT; fi
if [ -n "$SAN" ]; then
	export ASAN_OPTIONS=abort_on_error=0:allocator_may_return_null=1:handle_sigbus=0 UBSAN_OPTIONS=print_stacktrace=1
fi
rm -rf "$DS_TEST_LOG"
mkdir -p "$DS_TEST_LOG"

if [ $# -eq 0 ]; then
	echo 'no such tests' >&2
	echo '0 passed, 0 failed, 0 skipped'
	exit 1
fi
jobs=$(nproc 2>/dev/null || echo 2)
printf '%s\n' "$@" | awk '!seen[$0]++' | xargs -P "$jobs" -n 1 sh test/run1.sh

cat "$DS_TEST_LOG"/*.count | awk '{ p += $1; f += $2; s += $3 } END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 || p == 0 }'
