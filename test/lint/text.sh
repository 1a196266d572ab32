# text.sh - banned functions, sizes, spaces, first lines, tables, version: what can be seen in the sources
rc=0
say()
{       # say NAME FINDINGS
	if [ -z "$2" ]; then echo "ok $1"; else echo "$2" | head -n 20 | sed "s/^/not ok $1: /"; rc=1; fi
}
sources=$(find lib cmd test -name '*.[ch]' | sort)
own=$(find lib cmd -name '*.[ch]' | sort)
texts=$(find lib cmd test man completions .ci -type f \( -name '*.[ch]' -o -name '*.def' -o -name '*.sh' -o -name '*.bats' -o -name '*.bash' -o -name '*.[157]' \
	-o -name ROOMS \) | sort; ls Makefile INSTALL VERSION LICENSE ./*.md 2>/dev/null)

# comments and strings removed, line numbers kept
code()
{
	awk '{ s = $0; gsub(/\\./, "", s); gsub(/"[^"]*"/, "\"\"", s)
		while (1) {
			if (inside) { e = index(s, "*/"); if (!e) { s = ""; break } s = substr(s, e + 2); inside = 0 }
			b = index(s, "/*"); if (!b) break
			e = index(substr(s, b + 2), "*/")
			if (e) s = substr(s, 1, b - 1) " " substr(s, b + 2 + e + 1); else { s = substr(s, 1, b - 1); inside = 1; break }
		}
		sub(/\/\/.*/, "", s); print FILENAME ":" FNR ": " s }' "$1"
}
for f in $own; do code "$f"; done > "$B/test/lint.code"
say 'banned functions' "$(grep -E '[^a-zA-Z0-9_.>](strcpy|strcat|stpcpy|sprintf|vsprintf|gets|atoi|atol|atoll|atof|strtok|alloca|tmpnam|mktemp|rand|srand|setlocale)[ ]*\(' "$B/test/lint.code")"
say 'allocation through base/mem.h' "$(grep -v '^lib/base/' "$B/test/lint.code" | grep -E '[^a-zA-Z0-9_.>](malloc|calloc|realloc|strdup|strndup|asprintf)[ ]*\(')"
say 'only cli prints or exits' "$(grep '^lib/' "$B/test/lint.code" | grep -v -e '^lib/cli/' -e '^lib/base/trace.c' |
	grep -E '[^a-zA-Z0-9_.>](printf|fprintf|puts|perror|exit|_exit|abort)[ ]*\(')"
say 'trailing spaces' "$(grep -nE '[[:space:]]+$' $texts | cut -c 1-100)"
say 'final newline' "$(for f in $texts; do [ -z "$(tail -c 1 "$f")" ] || echo "$f"; done)"
say 'first line says what the file is for' "$(for f in $sources; do
	head -n 1 "$f" | grep -q "^/\* $(basename "$f") - ." || echo "$f"; done)"
say 'VERSION and ds.h' "$(grep -q "^#define DS_VERSION \"$(cat VERSION)\"" lib/ds.h || echo 'differ')"

# every file that defines a row stands in its table
say 'operators are listed' "$(grep -ho '^const ds_op ds_op_[A-Za-z0-9_]*' lib/op/*.c 2>/dev/null | sed 's/.*ds_op_//' | sort -u |
	while read -r n; do grep -q "($n)" lib/op/ops.def || echo "$n is not in ops.def"; done)"
say 'formats are listed' "$(grep -ho '^const ds_format ds_[a-z]*_[a-z0-9_]*' lib/format/*.c 2>/dev/null | sed 's/.*[^a-z0-9]ds_[a-z]*_//' | sort -u |
	while read -r n; do grep -qw "$n" lib/format/formats.def || echo "$n is not in formats.def"; done)"
say 'rewrites are listed' "$(grep -ho '^const ds_rewrite ds_[a-z]*_[a-z0-9_]*' lib/rewrite/*.c 2>/dev/null | sed 's/.*[^a-z0-9]ds_[a-z]*_//' | sort -u |
	while read -r n; do cat lib/rewrite/*.def | grep -qw "$n" || echo "$n is in no table"; done)"

# sizes are advice, not law
for f in $own; do
	awk -v f="$f" '/^{/ { start = NR } /^}/ { if (start && NR - start > 100) print "# " f ":" start ": a function of " NR - start " lines"; start = 0 }
		END { if (NR > 600) print "# " f ": " NR " lines" }' "$f"
done
exit $rc
