# model5.bats - the filter in ds-model(5): taken out of the page, compiled with the C library alone, run on streams
load common

setup_file()
{
	mkdir -p "$BATS_FILE_TMPDIR/m"
	cd "$BATS_FILE_TMPDIR/m" || return 1
	# the one literal display of EXAMPLES, without the escapes of the manual's language
	awk '/^\.Sh EXAMPLES/ { ex = 1 } ex && /^\.Bd -literal/ { on = 1; next } /^\.Ed/ { on = 0 } ex && on' "$ROOT/man/ds-model.5" |
		sed 's/\\e/\\/g; s/^\\&//' > scale.c
	${CC:-cc} -std=c11 -Wall -Wextra -Werror -O2 -o scale scale.c
	"$B/test/fault/corrupt" --write .
}

setup()
{
	cd "$BATS_FILE_TMPDIR/m" || return 1
}

@test "the filter passes every stream on as it was" {
	for f in model quantised items zstd statistics checkpoint; do
		./scale 1 < $f.dsm > same.dsm
		cmp $f.dsm same.dsm
	done
}

@test "what it changed is a sound stream with the values scaled" {
	./scale 2 < statistics.dsm > twice.dsm
	ds-info --verify twice.dsm
	run -6 ds-info --diff twice.dsm --tsv statistics.dsm
	[[ "$output" == *a.max* ]]
	[[ "$output" != *a.min* ]]
	./scale 0.5 < twice.dsm | cmp - statistics.dsm
}

@test "it refuses a stream that is cut, and so does what reads from it" {
	head -c 700 model.dsm > cut.dsm
	run -3 ./scale 2 < cut.dsm
	run -3 bash -c './scale 2 < cut.dsm 2>/dev/null | ds-info --verify'
}
