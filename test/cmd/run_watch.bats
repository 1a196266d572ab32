#!/usr/bin/env bats
# run_watch.bats - ds-run: conditions on figures, metrics for Prometheus

load common

setup_file()
{
	load common
	fixtures
	export DS_THREADS=1
}

setup()
{
	cd "$BATS_TEST_TMPDIR"
	S=$ROOT/test/sample
	EVAL="ds-run -m $S/digits.dsm $S/test-images-idx3-ubyte.gz --truth $S/test-labels-idx1-ubyte.gz --eval"
}

@test "--assert: the end of the interval decides, all conditions are listed, the figures come out" {
	$EVAL > plain
	low=$(awk '$1 == "top1" { print $3 }' plain)
	value=$(awk '$1 == "top1" { print $2 }' plain)
	$EVAL --assert "top1>=$low" --assert failed=0 > t
	[ "$(grep -c $'\tmet$' t)" = 2 ]
	head -n "$(wc -l < plain)" t | cmp - plain
	run -6 --separate-stderr $EVAL --assert "top1>=$value" --assert top5=.5
	[[ "$output" == *$'top1\t>=\t'*$'\tnot met'* ]]
	[[ "$output" == *$'top5\t>=\t0.5\t'*$'\tmet'* ]]
	[[ "$stderr" == 'ds-run: top1 is '*' %), not >= '* ]]
	[ "$(wc -l <<< "$stderr")" = 1 ]
}

@test "--assert drop is --max-drop by another name" {
	ds-quantize --bits w2 "$S/digits.dsm" -o small.dsm
	run -6 ds-run -m small.dsm --compare "$S/digits.dsm" "$S/test-images-idx3-ubyte.gz" --truth "$S/test-labels-idx1-ubyte.gz" --assert drop=0%
	ds-run -m small.dsm --compare "$S/digits.dsm" "$S/test-images-idx3-ubyte.gz" --truth "$S/test-labels-idx1-ubyte.gz" > t
	high=$(awk '$1 == "drop" { print $4 }' t)
	ds-run -m small.dsm --compare "$S/digits.dsm" "$S/test-images-idx3-ubyte.gz" --truth "$S/test-labels-idx1-ubyte.gz" --assert "drop=$high" --max-drop "$high" > /dev/null
}

@test "--assert: a figure that was not measured is not met; with --json objects" {
	run -6 --separate-stderr $EVAL --assert 'auc>1%'
	[[ "$stderr" == *'auc was not measured'* ]]
	$EVAL --assert top1=10% --json | tail -n 1 | grep -q '^{"figure":"top1","must_be":">=","bound":0.1,.*"verdict":"met"}$'
}

@test "--assert, --metrics: wrong words are status 2" {
	for words in '--assert top1' '--assert tpo1=1' '--assert top1=5ms' '--assert top1==1' '--assert p99=20ms' '--metrics -' '--metrics='; do
		run -2 timeout 10 $EVAL $words
	done
	run -2 ds-run -m "$S/digits.dsm" "$S/pictures" --assert top1=1
}

@test "--metrics: counts and figures, in a file that appears whole, accepted by promtool" {
	$EVAL --metrics x.prom > t
	[ "$(awk '/^ds_run_samples/ { print $2 }' x.prom)" = 1500 ]
	[ "$(awk '/^ds_run_figure\{.*"top1"/ { print $2 }' x.prom)" = "$(awk '$1 == "top1" { print $2 }' t)" ]
	before=$(cat x.prom)
	run -3 ds-run -m "$D/toy.bin" "$S/pictures" --metrics x.prom
	[ "$before" = "$(cat x.prom)" ]
	ds-run -m "$S/digits.dsm" "$S/pictures" --metrics y.prom > /dev/null
	grep -q '^ds_run_failed_samples{.*} 0$' y.prom
	need promtool
	promtool check metrics < x.prom
	promtool check metrics < y.prom
}
