# run.sh - each fuzz target for a while on each processor: run.sh SECONDS NAME ...   Findings stay in $B/findings.
seconds=$1
shift
mkdir -p "$B/findings"
rc=0
for name in "$@"; do
	mkdir -p "$B/corpus/$name" "test/corpus/$name"
	echo "fuzz_$name: $seconds s"
	"$B/test/fuzz/fuzz_$name" -max_total_time="$seconds" ${FUZZ_RUNS:+-runs=$FUZZ_RUNS} -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		${FUZZ_FLAGS-} -artifact_prefix="$B/findings/$name-" "$B/corpus/$name" "test/corpus/$name" > "$B/findings/$name.log" 2>&1 || { rc=1; echo "fuzz_$name: FINDING, see $B/findings/$name.log"; }
	grep -E 'number_of_executed_units|cov:' "$B/findings/$name.log" | tail -n 2
done
exit $rc
