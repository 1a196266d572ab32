# docs.sh - what is made from the option tables and committed: docs.sh write | check
#
#   man/ds-x.1          blocks between '.\" BEGIN name' and '.\" END name' (options, environment, exit-status)
#   completions/        bash/ds-x, zsh/_ds-x, fish/ds-x.fish
#   test/cmd/interface.txt   every option of every filter: lines are added, never dropped, by `write`
#   test/cmd/manifest.txt    what `make install` installs
# `check` prints test lines.  B is the build directory.
mode=$1
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
rc=0
: > "$tmp/options"

settle()
{       # settle NEW FILE: is the committed file fresh, or make it so
	if [ "$mode" = write ]; then
		cmp -s "$1" "$2" || { mkdir -p "$(dirname "$2")"; cp "$1" "$2"; chmod 644 "$2"; echo "wrote $2"; }
	elif cmp -s "$1" "$2"; then
		echo "ok fresh $2"
	else
		echo "not ok fresh $2: differs from the option table; run make docs"
		rc=1
	fi
}

# a page to begin with, where there is none yet
page()
{
	name=$1
	summary=$("$B/$name" --help | sed -n "2s/^$name - //p")
	cat <<-END
	.\\" $name.1 - the blocks between BEGIN and END are made by make docs
	.Dd November 22, 2026
	.Dt $(echo "$name" | tr a-z A-Z) 1
	.Os
	.Sh NAME
	.Nm $name
	.Nd $summary
	.Sh SYNOPSIS
	.Nm
	.Op Ar option ...
	.Op Ar operand ...
	.Sh DESCRIPTION
	.Nm
	is described by its options.
	.Sh OPTIONS
	.\\" BEGIN options
	.\\" END options
	.Sh ENVIRONMENT
	.\\" BEGIN environment
	.\\" END environment
	.Sh FILES
	Files that were not named are neither read nor written.
	.Sh EXIT STATUS
	.\\" BEGIN exit-status
	.\\" END exit-status
	.Sh EXAMPLES
	.Bd -literal
	$("$B/$name" --help | sed -n '/^Examples:/,/^$/{ s/^  //p; }')
	.Ed
	.Sh DIAGNOSTICS
	One line on standard error for each problem:
	the name of the filter, the file, the byte in it where that helps, and what is wrong.
	.Sh SEE ALSO
	.Xr ds-model 5 ,
	.Xr ds 7
	END
}

for path in "$B"/ds-*; do
	[ -x "$path" ] && [ -f "$path" ] || continue
	x=$(basename "$path")
	if [ ! -e "man/$x.1" ] && [ "$mode" = write ]; then page "$x" > "man/$x.1"; fi
	if [ -e "man/$x.1" ]; then
		"$path" --docs=man > "$tmp/blocks"
		awk -v blocks="$tmp/blocks" '
			BEGIN { while ((getline line < blocks) > 0) {
				if (line ~ /^\.\\" BEGIN /) { split(line, w, " "); name = w[3] }
				text[name] = text[name] line "\n" } }
			/^\.\\" BEGIN / { split($0, w, " "); if (w[3] in text) { printf "%s", text[w[3]]; skip = 1 } }
			!skip { print }
			/^\.\\" END / { skip = 0 }' "man/$x.1" > "$tmp/page"
		settle "$tmp/page" "man/$x.1"
	else
		echo "not ok fresh man/$x.1: there is none; make docs begins one"
		rc=1
	fi
	for shell in bash zsh fish; do
		"$path" --docs=$shell > "$tmp/out"
		case $shell in bash) to=$x ;; zsh) to=_$x ;; fish) to=$x.fish ;; esac
		settle "$tmp/out" "completions/$shell/$to"
	done
	"$path" --docs=help | grep -o '^ *\(-., \)\?--[a-z0-9-]*' | sed 's/.*--//' | sed "s/^/$x --/" >> "$tmp/options"
done

# the interface only grows: a name that was here must stay
cat test/cmd/interface.txt 2>/dev/null | grep '^ds-[a-z]* --' | sort > "$tmp/old"
sort "$tmp/options" > "$tmp/new"
gone=$(comm -23 "$tmp/old" "$tmp/new" | tr '\n' ';')
if [ "$mode" = write ]; then
	{ grep '^#' test/cmd/interface.txt 2>/dev/null || echo '# Names that users rely on: they may be added to, never dropped or changed.'
	  cat test/cmd/interface.txt 2>/dev/null | grep -v -e '^#' -e '^ds-[a-z]* --'; sort -u "$tmp/old" "$tmp/new"; } > "$tmp/interface"
	settle "$tmp/interface" test/cmd/interface.txt
elif [ -n "$gone" ]; then
	echo "not ok interface: no longer there: $gone"
	rc=1
else
	echo 'ok interface'
fi

# installed files, with the version left out
rm -rf "$tmp/root"
if make -s B="${B#"$PWD/"}" install DESTDIR="$tmp/root" PREFIX=/usr > "$tmp/log" 2>&1; then
	(cd "$tmp/root" && find . ! -type d | sed "s/$(cat VERSION 2>/dev/null || echo x)/VERSION/" | sort) | sed "s/\.so\.[0-9]*\.[0-9]*\.[0-9]*$/.so.VERSION/" > "$tmp/manifest"
	settle "$tmp/manifest" test/cmd/manifest.txt
else
	echo "not ok manifest: make install: $(tail -n 1 "$tmp/log")"
	rc=1
fi
exit $rc
