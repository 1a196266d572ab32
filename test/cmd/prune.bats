#!/usr/bin/env bats
# prune.bats - ds-prune: what is cut, plans, recalibration, refusals

load common

setup_file()
{
	load common
	mkdir -p "$D"
	S=$ROOT/test/sample
	[ -f "$S/digits.dsm" ] && command -v ds-convert > /dev/null || return 0
	cp "$S/digits.dsm" "$D/m.dsm"
}

setup()
{
	[ -f "$D/m.dsm" ] || skip 'the sample is not there'
	S=$ROOT/test/sample
	cd "$BATS_TEST_TMPDIR"
}

top1()
{
	ds-run -m "$1" --eval -d "$S/test-images-idx3-ubyte.gz" | awk -F'\t' '$1 == "top1" { print $2 }'
}

@test "a pruned model is smaller, runs, and keeps inputs and outputs" {
	ds-prune --ratio .3 "$D/m.dsm" -o p.dsm
	[ "$(wc -c < p.dsm)" -lt $(($(wc -c < "$D/m.dsm") * 7 / 10)) ]
	ds-run -m p.dsm "$S/pictures/"a-*.png | awk -F'\t' 'NR == 2 && NF == 5 { ok = 1 } END { exit !ok }'
}

@test "stdin and file, pipe and -o give the same bytes, for any -j" {
	ds-prune --ratio .2 -c "$S/calib-images-idx3-ubyte.gz" -j 1 "$D/m.dsm" -o a.dsm
	bash -c "cat '$D/m.dsm' | ds-prune --ratio .2 -c '$S/calib-images-idx3-ubyte.gz' -j 3 > b.dsm"
	cmp a.dsm b.dsm
}

@test "recalibration gives back most of what was lost; l1 is ahead of random" {
	local full raw l1 random
	ds-prune --ratio .2 "$D/m.dsm" -o raw.dsm
	ds-prune --ratio .2 -c "$S/calib-images-idx3-ubyte.gz" "$D/m.dsm" -o l1.dsm
	ds-prune --ratio .2 --criterion random --seed 3 -c "$S/calib-images-idx3-ubyte.gz" "$D/m.dsm" -o random.dsm
	full=$(top1 "$D/m.dsm") raw=$(top1 raw.dsm) l1=$(top1 l1.dsm) random=$(top1 random.dsm)
	echo "as trained $full, 20 % less $raw, recalibrated $l1, random channels $random"
	awk "BEGIN { exit !($l1 > $raw && $l1 > $random && $l1 < $full + .005) }"
}

@test "channels by gradient: better than random, the same for any -j, labels are wanted" {
	local c random
	random=$(for i in 1 2 3; do
		ds-prune --ratio .3 --criterion random --seed $i -c "$S/calib-images-idx3-ubyte.gz" "$D/m.dsm" -o random.dsm
		top1 random.dsm
	done | sort -n | sed -n 3p)
	for c in taylor fisher snip; do
		ds-prune --ratio .3 --criterion $c -d "$S/calib-images-idx3-ubyte.gz" --samples 256 -c "$S/calib-images-idx3-ubyte.gz" -j 1 "$D/m.dsm" -o $c.dsm
		echo "$c $(top1 $c.dsm), the best of three random ones $random"
		awk "BEGIN { exit !($(top1 $c.dsm) > $random) }"
	done
	ds-prune --ratio .3 --criterion snip -d "$S/calib-images-idx3-ubyte.gz" --samples 256 -c "$S/calib-images-idx3-ubyte.gz" -j 3 "$D/m.dsm" -o again.dsm
	cmp snip.dsm again.dsm
	run -2 ds-prune --criterion fisher "$D/m.dsm" -o x.dsm
	[[ $output == *'--data'* ]]
	run -3 ds-prune --criterion fisher -d "$S/pictures" "$D/m.dsm" -o x.dsm
	[[ $output == *'label'* ]]
	[ ! -e x.dsm ]
}

@test "a plan is printed, edited and obeyed; another model's plan is refused" {
	ds-prune --ratio .25 --dry-run "$D/m.dsm" > plan
	[ "$(grep -v '^#' plan | head -n 1)" = $'group\tlayers\tchannels\tkeep' ]
	ds-prune --ratio .25 --no-history "$D/m.dsm" -o a.dsm
	ds-prune --plan plan --no-history "$D/m.dsm" -o b.dsm
	cmp a.dsm b.dsm
	awk -F'\t' -v OFS='\t' '/^#/ || $1 == "group" { print; next } { $4 = $3 } 1' plan > whole
	ds-prune --plan whole --no-history "$D/m.dsm" -o c.dsm
	ds-convert --no-history "$D/m.dsm" -o d.dsm
	cmp c.dsm d.dsm
	run -3 ds-prune --plan plan a.dsm -o e.dsm
	[[ $output == *'another model'* ]]
	[ ! -e e.dsm ]
	sed 's/\t[0-9]*$/\t99999/' plan > bad
	run -3 ds-prune --plan bad "$D/m.dsm" -o e.dsm
	[[ $output == *'line '*'keep'* ]]
	run -3 ds-prune --plan "$S/labels.txt" "$D/m.dsm" -o e.dsm
	[[ $output == *'not a plan'* ]]
}

@test "round, min-keep, only and except" {
	ds-prune --ratio .4 --round 8 --dry-run "$D/m.dsm" | awk -F'\t' '/^#/ || $1 == "group" { next } $4 % 8 { exit 1 }'
	ds-prune --ratio .9 --min-keep 10 --dry-run "$D/m.dsm" | awk -F'\t' '/^#/ || $1 == "group" { next } $4 < 10 { exit 1 }'
	ds-prune --ratio .5 --only '*block2*conv1*' --dry-run "$D/m.dsm" | awk -F'\t' '/^#/ || $1 == "group" { next } ($4 < $3) != ($1 ~ /block2.*conv1/) { exit 1 } { n++ } END { exit !n }'
	run -2 ds-prune --only 'nothing*' "$D/m.dsm" -o x.dsm
	[[ $output == *'nothing*'* ]]
	[ ! -e x.dsm ]
}

@test "the report adds up" {
	ds-prune --ratio .3 --report r.jsonl "$D/m.dsm" -o p.dsm
	grep -q '"layer":.*"macs_after":' r.jsonl
	[ "$(grep -c '"out_before"' r.jsonl)" -ge 8 ]
}

@test "bad words: exit 2 before anything is read" {
	mkfifo never
	for words in '--criterion l9' '--ratio 1' '--ratio nan' '--plan x --ratio .2' '--plan x --dry-run' '--criterion taylor' '-d x' '--criterion fisher -d x --loss l9' '--samples 5' '--min-keep 0'; do
		run -2 timeout 5 ds-prune $words -m never
	done
}

@test "a failing first stage makes the last one fail" {
	run -3 bash -c 'ds-convert /dev/null 2>/dev/null | ds-prune --ratio .2 > x.dsm'
	[[ $output == *'empty input'* ]]
}

@test "calibration samples that are of no use are told of" {
	ds-convert "$ROOT/test/corpus/onnx/rgb224.onnx" -o nobn.dsm
	run -0 --separate-stderr ds-prune -c "$S/calib-images-idx3-ubyte.gz" nobn.dsm -o p.dsm
	[[ $stderr == *'nothing to recalibrate'* ]]
}
