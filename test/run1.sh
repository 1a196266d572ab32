# run1.sh - one item of run.sh: run it, keep its output, print what failed and a line with the counts
item=$1
name=$(echo "$item" | sed "s,^.*test/,,; s,/,-,g; s,\.\(sh\|bats\)\$,,")
log=$DS_TEST_LOG/$name
limit=${DS_TEST_LIMIT:-1200}
start=$(date +%s)
# a script that serves a program is given its name: test/op/conformance.sh gets build/test/op/conformance
case $item in
*.bats)
	if command -v bats >/dev/null; then
		timeout "$limit" bats --formatter tap "$item" > "$log.out" 2>&1 < /dev/null 3>&-
	else
		echo "skip $name: bats is not installed" > "$log.out"
	fi ;;
*.sh) timeout "$limit" sh "$item" "$B/${item%.sh}" > "$log.out" 2>&1 < /dev/null ;;
*) timeout "$limit" "$item" > "$log.out" 2>&1 < /dev/null ;;
esac
rc=$?
took=$(($(date +%s) - start))
awk -v name="$name" -v rc=$rc -v took=$took -v count="$log.count" '
	/^ok .*# skip/ || /^skip / { s++; next }
	/^ok / { p++; next }
	/^not ok / { f++ }
	END {
		if (rc != 0 && !f) { f++; printf "not ok %s: exit status %d%s\n", name, rc, rc == 124 ? " (time limit)" : "" }
		if (rc == 0 && !p && !s && !f) p++
		print p + 0, f + 0, s + 0 > count
		printf "%-28s %4d passed %3d failed %3d skipped %4d s\n", name, p, f, s, took
	}' "$log.out" > "$log.line"
if [ $rc -ne 0 ] || grep -q '^not ok ' "$log.out"; then
	# a failing bats test is followed by its "# ..." lines; a program'"'"'s other output may explain a crash
	awk -v rc=$rc '/^not ok /{ show = 1; print; next } /^#/ { if (show) print; next } { show = 0 }' "$log.out" | head -n 60
	grep -v '^\(ok\|not ok\|skip\|#\) ' "$log.out" | grep -v '^1\.\.' | tail -n 15
fi
cat "$log.line"
exit 0
