#!/usr/bin/env bats
# spec.bats - descriptions of networks become models (ds-spec(5))

load common

S=$ROOT/cmd/specs

setup()
{
	cd "$BATS_TEST_TMPDIR"
}

# elements of all tensors of a model
elements()
{
	ds-info "$1" | awk '$1 == "tensors" { print $3 }'
}

@test "parameter counts are those of the closed form" {
	ds-convert "$S/resnet8.spec" -o a.dsm
	[ "$(elements a.dsm)" -eq $((77754 + 2 * 336)) ]        # and two running statistics for each of 336 channels
	ds-convert -D width=8 "$S/resnet8.spec" -o a.dsm
	[ "$(elements a.dsm)" -eq $((19810 + 2 * 168)) ]
	ds-convert "$S/mlp.spec" -o a.dsm
	[ "$(elements a.dsm)" -eq $((16 * 64 + 64 + 64 * 64 + 64 + 64 * 2 + 2)) ]
	ds-convert "$S/chargpt.spec" -o a.dsm                   # a scalar-free graph: tables, four blocks, ten scales
	[ "$(elements a.dsm)" -eq $(((65 + 64) * 128 + 4 * 12 * 128 * 128 + 9 * 128)) ]
	ds-convert "$S/lstm.spec" -o a.dsm
	n=$(elements a.dsm)
	[ "$n" -ge $((4 * 64 * (7 + 64 + 2) + 168 * 65)) ]
}

@test "the same seed gives the same bytes, another seed others" {
	for f in resnet8 chargpt lstm autoencoder tcn; do
		ds-convert --seed 5 "$S/$f.spec" > a.dsm
		bash -c 'ds-convert --from spec --seed 5 < "$1"' - "$S/$f.spec" > b.dsm
		cmp a.dsm b.dsm
		ds-convert --seed 6 "$S/$f.spec" > c.dsm
		! cmp -s a.dsm c.dsm
		ds-convert a.dsm | cmp - a.dsm
	done
	ds-info --history c.dsm | grep -q -e '--seed=6'
}

@test "wrong lines are told with their number" {
	try()
	{       # try LINE TEXT-OF-THE-ERROR
		printf 'input x [N, 3, 8, 8]\n# comment\n%s\n' "$1" > net.spec
		run -3 --separate-stderr ds-convert net.spec -o out.dsm
		echo "$1: $stderr"
		[ "$(wc -l <<< "$stderr")" -eq 1 ]
		[[ $stderr == *"net.spec:3: "*"$2"* ]]
		[ ! -e out.dsm ]
	}
	try 'Cnv 16' "did you mean 'Conv'"
	try 'Conv 16 stride=2' "did you mean 'strides'"
	try 'Conv' 'number of channels is not given'
	try 'Conv 16.5' 'not a whole number'
	try 'Conv nobody' "nothing is called 'nobody'"
	try 'Gemm 10' 'Flatten'
	try 'Conv 16 init=hee' 'one of he'
	try 'Reshape [0, 3, 5, -1]' 'Reshape'
	try 'repeat 3 {' "'}' is missing"
	try '}' "'}' without"
	try 'Relu 1 2 3)' "')'"
	try 'x = ' 'missing'
	try 'def f() { f }; f' 'deep'
	try 'output x' 'another layer'
}

@test "--set overrides a param and only a param" {
	run -2 --separate-stderr ds-convert --set widht=8 "$S/resnet8.spec"
	[[ $stderr == *widht* ]]
	run -2 --separate-stderr ds-convert --set width=big "$S/resnet8.spec"
	[[ $stderr == *'not a number'* ]]
	ds-convert -D layers=1 -D vocab=30 "$S/chargpt.spec" | ds-info | grep -q 'logits:f32\[N, 64, 30\]'
}

# the literal displays of the manual page, each in a file of its own, without the escapes of the page's language
displays()
{
	awk '/^\.Bd -literal/ { on = 1; n++; next } /^\.Ed/ { on = 0 } on { print > ("display" n) }' "$ROOT/man/ds-spec.5"
	sed -i 's/\\e/\\/g; s/^\\&//' display*
}

@test "the descriptions and the commands of the manual page work" {
	displays
	cp display1 small.spec
	n=0 commands=0
	for f in display*; do
		if grep -q '^input ' "$f"; then
			ds-convert "$f" | ds-run --model - --help > /dev/null
			ds-convert "$f" -o out.dsm
			n=$((n + 1))
		fi
		while read -r line; do
			bash -c "$line" > /dev/null
			commands=$((commands + 1))
		done < <(sed -n 's/^\$ //p' "$f")
	done
	[ $n -eq 3 ]
	[ $commands -eq 4 ]
	ds-info narrow.dsm > narrow
	grep -q 'operators .*Conv 2' narrow
}

@test "the manual page names every layer, key, rule and file" {
	page=$ROOT/man/ds-spec.5
	for w in $(sed -n 's/^\t{ "\([A-Z][A-Za-z]*\)", "[a-z]*", .*emit_.*/\1/p' "$ROOT"/lib/format/spec_*.c); do
		echo "layer $w"
		grep -qE "^\.(It )?Ic.* $w( |$)|^\.It Ic $w|^\.It .*[ ,]$w( |$)" "$page"
	done
	for w in $(sed -n 's/^\t{ "[A-Z][A-Za-z]*", "[a-z]*", [^"]*\("[A-Za-z]*"\)*, "\([a-z_ ]*\)", .*emit_.*/\2/p' "$ROOT"/lib/format/spec_*.c | tr ' ' '\n' | sort -u); do
		echo "key $w"
		grep -qw "$w" "$page"
	done
	for w in $(sed -n '/} rules\[\]/,/^};/p' "$ROOT/lib/format/spec_init.c" | grep -o '{ "[a-z_]*"' | tr -d '{ "'); do
		echo "rule $w"
		grep -qE "^\.It Cm .*$w" "$page"
	done
	for f in "$S"/*.spec; do
		echo "file $f"
		grep -qE "^\.It Pa .*${f##*/}" "$page"
	done
}

@test "shipped descriptions say what they are; their params can be set" {
	for f in "$S"/*.spec; do
		echo "$f"
		head -n 1 "$f" | grep -q "^# ${f##*/} - ."
		set=()
		while read -r name value; do
			set+=(-D "$name=$value")
		done < <(sed -n 's/^param \([a-z]*\) *= *\([^ #]*\).*/\1 \2/p' "$f")
		[ ${#set[@]} -ge 4 ]
		[[ $f == */gpt.spec || $f == */resnet18.spec ]] || ds-convert --no-history "${set[@]}" "$f" | cmp - <(ds-convert --no-history "$f")
	done
}

@test "pictures, rows and text reach described models" {
	ds-convert "$S/resnet8.spec" -o m.dsm
	run -0 ds-run -m m.dsm "$ROOT/test/sample/test-images-idx3-ubyte.gz"
	[ "$(wc -l <<< "$output")" -gt 100 ]
	ds-convert --input-preset mnist "$S/resnet8.spec" | ds-info | grep -q 'input.0.scale 1$'
	printf 'input x [N, 3, H, W] preset=imagenet mean=.5\nConv 4 | GlobalAveragePool | Flatten\n' > p.spec
	ds-convert p.spec | ds-info > p
	grep -q 'input.0.resize short-side' p
	grep -q 'input.0.mean 0.5' p
	sed -i 's/imagenet/imgenet/' p.spec
	run -3 --separate-stderr ds-convert p.spec
	[[ $stderr == *'p.spec:1: preset=imgenet'* ]]
}
