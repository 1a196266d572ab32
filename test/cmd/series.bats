#!/usr/bin/env bats
# series.bats - forecasters of a series: what was cut is what was asked for, and integers foretell what floats do

load common

setup()
{
	for f in ds-convert ds-train ds-prune ds-quantize ds-run; do
		command -v $f > /dev/null || skip "$f is not there"
	done
	cd "$BATS_TEST_TMPDIR"
	awk 'BEGIN { print "a,b"; for (t = 0; t < 500; t++) print sin(t / 5) + t % 7 / 20 "," cos(t / 9) }' > series.csv
	ds-convert --columns a,b --target a,b -D features=2 -D window=24 -D horizon=4 -D units=16 -D layers=2 "$ROOT/cmd/specs/lstm.spec" -o new.dsm
}

elements()
{
	ds-info "$1" | awk '$1 == "tensors" { print $3 }'
}

# mean squared error on the last fifth
error()
{
	ds-run -m "$1" --eval -d 'series.csv[80%:]' | awk -F'\t' '$1 == "mse" { print $2 }'
}

@test "units of recurrent layers leave with all their gates" {
	[ "$(elements new.dsm)" -eq $((4 * 16 * (2 + 16 + 2) + 4 * 16 * (16 + 16 + 2) + 8 * 17)) ]
	ds-prune --ratio .25 new.dsm -o cut.dsm
	[ "$(elements cut.dsm)" -eq $((4 * 12 * (2 + 12 + 2) + 4 * 12 * (12 + 12 + 2) + 8 * 13)) ]
	ds-train -d 'series.csv[:80%]' --optimizer adamw --lr .003 --epochs 1 --batch 32 -q cut.dsm -o tuned.dsm
	ds-run -m tuned.dsm series.csv > out
	[ "$(wc -l < out)" -eq $((1 + 500 - 24 + 1)) ]          # a heading, and every window, those that foretell what the table does not know too
}

@test "an LSTM of codes: the error of the LSTM, and the same bytes for any batch and threads" {
	ds-train -d 'series.csv[:80%]' --optimizer adamw --lr .005 --epochs 4 --batch 32 -q new.dsm -o net.dsm
	ds-quantize --bits w8a8 -c 'series.csv[:80%]' -q net.dsm -o small.dsm
	ds-info small.dsm | grep 'QLSTM 2'
	awk -v a="$(error net.dsm)" -v b="$(error small.dsm)" 'BEGIN { print a, b; exit !(b < a * 1.05) }'
	ds-run -m small.dsm -b 1 -j 1 'series.csv[300:]' > a
	ds-run -m small.dsm -b 37 -j 2 'series.csv[300:]' > b
	DS_CPU=c ds-run -m small.dsm -b 37 -j 2 'series.csv[300:]' > c
	same a b
	same a c
	ds-quantize --bits w8a8 --keep 'lstm1*=f32' -c 'series.csv[:80%]' -q net.dsm -o mixed.dsm
	ds-info mixed.dsm | grep 'QLSTM 1'
}
