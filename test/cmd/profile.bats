#!/usr/bin/env bats
# profile.bats - ds-profile: time, memory, arithmetic

load common

setup_file()
{
	load common
	fixtures
	export DS_THREADS=1 XDG_CACHE_HOME="$BATS_FILE_TMPDIR/cache"
	asset_or_none models/mnist_cntk/model.onnx && ds-convert "$ASSET" -o "$D/mnist.dsm"
	true
}

asset_or_none()
{
	ASSET=${DS_ASSETS:-$ROOT/../shared/assets}/$1
	[ -e "$ASSET" ]
}

setup()
{
	cd "$BATS_TEST_TMPDIR"
}

mnist()
{
	[ -e "$D/mnist.dsm" ] || skip 'no asset models/mnist_cntk'
}

@test "time: nodes, overhead and variation sum to the wall time" {
	mnist
	ds-profile -m "$D/mnist.dsm" --tsv > t
	awk -F'\t' '$1 == "node" && $2 != "node" { sum += $7 } $1 == "run" && $2 == "wall" { wall = $4 }
		END { print sum, wall; exit !(wall > 0 && sum / wall > .98 && sum / wall < 1.02) }' t
}

@test "without a terminal the report is TSV, with --json objects with a section" {
	mnist
	ds-profile -m "$D/mnist.dsm" > t
	grep -q $'^section\twhat\tvalue$' t
	ds-profile -m "$D/mnist.dsm" --json > j
	run ! grep -v '^{"section":"[a-z]*",' j
}

@test "wrong words are status 2" {
	for x in '--runs -1' '--runs x' '--warmup -2' '--top 1.5' '--trace=' '--trace -' '--time=3' 'a - -'; do
		run -2 ds-profile $x < /dev/null
	done
}
