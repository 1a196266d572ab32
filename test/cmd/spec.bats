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
	for f in "$S"/*.spec; do
		ds-convert --seed 5 "$f" > a.dsm
		bash -c 'ds-convert --from spec --seed 5 < "$1"' - "$f" > b.dsm
		cmp a.dsm b.dsm
		ds-convert --seed 6 "$f" > c.dsm
		! cmp -s a.dsm c.dsm
		ds-convert a.dsm | cmp - a.dsm
	done
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
