# symbols.sh - does libds.so export what lib/ds.h declares with DS_API, and nothing else?
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
grep -v '^#' lib/ds.h | tr '\n' ' ' | grep -o 'DS_API[^;]*;' | grep -o 'ds_[a-z0-9_]* *(' | grep -v 'DS_' | tr -d ' (' | sort -u > "$tmp/declared"
nm -D --defined-only "$B/libds.so" | awk '{ print $3 }' | grep -v -e '^__asan' -e '^__odr_asan' -e '^_init$' -e '^_fini$' | sort -u > "$tmp/exported"
extra=$(comm -13 "$tmp/declared" "$tmp/exported" | tr '\n' ' ')
lacking=$(comm -23 "$tmp/declared" "$tmp/exported" | tr '\n' ' ')
rc=0
[ -z "$extra" ] && echo 'ok symbols exported are declared' || { echo "not ok symbols: exported but not in ds.h: $extra"; rc=1; }
[ -z "$lacking" ] && echo 'ok symbols declared are exported' || { echo "not ok symbols: in ds.h but not exported: $lacking"; rc=1; }
# names that cross files start with ds_ (filters' main apart)
foreign=$(nm -A --defined-only "$B"/libds.a "$B"/cli.a 2>/dev/null | awk '$2 ~ /^[TDBRC]$/ && $3 !~ /^ds[a-z]*_/ && $3 !~ /^__/ { print $3 }' | sort -u | tr '\n' ' ')
[ -z "$foreign" ] && echo 'ok symbols have the prefix' || { echo "not ok symbols: global names without ds_: $foreign"; rc=1; }
exit $rc
