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

# Figures of the last line of -v.
parameters() { awk '/parameters .* > .* MACs/ { print $4 }' log; }
macs_share() { awk -F'[(%]' '/parameters .* > .* MACs/ { print $(NF - 1) }' log; }

@test "targets: parameters, multiply-adds, bytes; one that cannot be reached" {
	ds-prune -v --target-params 20k "$D/m.dsm" -o a.dsm 2> log
	[ "$(ds-info --tensors --tsv a.dsm | awk -F'\t' 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "shape") c = i; next } { n = split($c, d, /[^0-9]+/); p = 1; for (i = 1; i <= n; i++) if (d[i] != "") p *= d[i]; s += p } END { print (s <= 20100 && s > 17000) }')" = 1 ]
	ds-prune -v --target-macs 40% --round 4 --front f.tsv "$D/m.dsm" -o b.dsm 2> log
	cat log
	awk "BEGIN { exit !($(macs_share) <= 40 && $(macs_share) > 30) }"
	awk -F'\t' 'NR == 1 { if ($1 != "plan" || $2 != "macs" || $4 != "lost") exit 1; next } $2 > c && NR > 2 || $4 < l { exit 1 } { c = $2; l = $4 } END { exit NR < 5 }' f.tsv
	ds-prune --target-size 100K "$D/m.dsm" -o c.dsm
	[ "$(wc -c < c.dsm)" -le 102400 ]
	[ "$(wc -c < c.dsm)" -gt 92000 ]
	run -6 ds-prune --target-size 1K "$D/m.dsm" -o d.dsm
	[[ $output == *'cannot be reached'* ]]
	[ ! -e d.dsm ]
}

@test "a target in time: layers are measured, the same table gives the same model" {
	ds-prune -v --target-latency 70% --round 4 --latency-table t.tsv -j 1 "$D/m.dsm" -o a.dsm 2> log
	grep -q 'measured latency' log
	[ "$(head -n 1 t.tsv)" = '# ds-prune latency 1' ]
	awk -F'\t' '/^#/ || $1 == "node" { next } NF != 4 || $4 < 0 { exit 1 } { n++ } END { exit n < 30 }' t.tsv
	ds-prune --target-latency 70% --round 4 --latency-table t.tsv -j 2 "$D/m.dsm" -o b.dsm
	cmp a.dsm b.dsm
	run -3 ds-prune --target-latency 70% --latency-table t.tsv a.dsm -o c.dsm
	[[ $output == *'another model'* ]]
	sed 's/\t[0-9]*$/\tlong/' t.tsv > bad.tsv
	run -3 ds-prune --target-latency 70% --latency-table bad.tsv "$D/m.dsm" -o c.dsm
	[[ $output == *'line '*'nanoseconds'* ]]
	[ ! -e c.dsm ]
}

@test "the smallest model that holds the accuracy" {
	local before after
	ds-prune -v --max-drop 5 --criterion taylor -d "$S/test-images-idx3-ubyte.gz" --holdout .5 --samples 256 "$D/m.dsm" -o a.dsm 2> log
	cat log
	read -r before after < <(awk '/accuracy .* > .* after/ { print $3, $5 }' log)
	awk "BEGIN { exit !($after >= $before - 5) }"
	[ "$(wc -c < a.dsm)" -lt "$(wc -c < "$D/m.dsm")" ]
	run -2 ds-prune --max-drop 1 "$D/m.dsm" -o b.dsm
	[[ $output == *'--data'* ]]
}

@test "stages with training between, and the control at the same numbers" {
	ds-prune -v --ratio .4 --steps 2 --schedule linear --criterion taylor --finetune 'epochs=2,lr=0.01 batch=64' --control random -d "$S/calib-images-idx3-ubyte.gz" \
		--report r.jsonl "$D/m.dsm" -o a.dsm 2> log
	grep 'control random' log
	[ "$(grep -c '"run":"run".*"stage":' r.jsonl)" -eq 2 ]
	[ "$(grep -c '"run":"control".*"trained_accuracy":0' r.jsonl)" -eq 2 ]
	# the numbers are those of one cut, the channels and weights are not
	ds-prune --ratio .4 --criterion taylor -d "$S/calib-images-idx3-ubyte.gz" "$D/m.dsm" -o b.dsm
	[ "$(ds-info --tensors --tsv a.dsm | cut -f 1-3 | sum)" = "$(ds-info --tensors --tsv b.dsm | cut -f 1-3 | sum)" ]
	! cmp -s a.dsm b.dsm
	awk "BEGIN { exit !($(top1 a.dsm) > $(top1 b.dsm)) }"
	ds-prune --ratio .4 --steps 2 --schedule linear --criterion taylor --finetune 'epochs=2,lr=0.01 batch=64' --control random -d "$S/calib-images-idx3-ubyte.gz" -j 1 \
		"$D/m.dsm" -o c.dsm
	cmp a.dsm c.dsm
}

@test "the report adds up" {
	ds-prune --ratio .3 --report r.jsonl "$D/m.dsm" -o p.dsm
	grep -q '"layer":.*"macs_after":' r.jsonl
	[ "$(grep -c '"out_before"' r.jsonl)" -ge 8 ]
}

@test "bad words: exit 2 before anything is read" {
	mkfifo never
	for words in '--criterion l9' '--ratio 1' '--ratio nan' '--plan x --ratio .2' '--plan x --dry-run' '--criterion taylor' '--criterion fisher -d x --loss l9' '--target-macs 0' '--target-macs 50% --target-params 50%' '--target-macs 50% --ratio .2' '--max-drop 1' '--finetune epochs=1' '--finetune epochs=x -d x' '--finetune stage=x -d x' '--control random' '--control l9 -d x' '--schedule linear' '--front x' '--latency-table x' '--samples 5' '--min-keep 0'; do
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
