#!/usr/bin/env bats
# profile_error.bats - ds-profile: where error goes - statistics, comparison with a reference, sensitivity and plans

load common

setup_file()
{
	load common
	fixtures
	export DS_THREADS=1
}

setup()
{
	command -v ds-profile > /dev/null || skip 'ds-profile is not there'
	cd "$BATS_TEST_TMPDIR"
	S=$ROOT/test/sample
	M=$S/digits.dsm
	C=$S/calib-images-idx3-ubyte.gz
}

# ---- statistics ---------------------------------------------------------------------------------------------------------------------
@test "--stats: ds-quantize makes of them what it makes of the samples, byte by byte" {
	ds-profile --stats -m "$M" "$C" -o st.dsm
	for words in '--bits w8a8' '--bits w4a4 --keep block1*=f32 --range kl' '--bits w2a8 --no-bias-correction' '--qat --bits w4a4'; do
		ds-quantize $words -c "$C" "$M" -o a.dsm
		ds-quantize $words -c st.dsm "$M" -o b.dsm
		cmp a.dsm b.dsm
	done
	# pairs of inputs and outputs around a plan
	ds-quantize --bits w4a8 --dry-run "$M" > plan
	ds-quantize --plan plan -c st.dsm "$M" -o b.dsm
	ds-quantize --plan plan -c "$C" "$M" -o a.dsm
	cmp a.dsm b.dsm
}

@test "--stats: the same bytes for any threads, order and division of the samples" {
	ds-profile --stats -m "$M" "$C" -o all.dsm
	ds-profile --stats -j 3 -m "$M" "$C" | cmp - all.dsm
	for part in 0:100 100:101 101:; do
		ds-profile --stats -m "$M" "$C[$part]" -o "part${part%:*}.dsm"
	done
	ds-profile --stats --merge part100.dsm part0.dsm part101.dsm -o sum.dsm
	cmp all.dsm sum.dsm
	# a file alone is copied as it is
	ds-profile --stats --merge sum.dsm | cmp - all.dsm
	ds-info all.dsm > info
	grep -q '^statistics.samples *500$' info
	# memory does not grow with the number of samples
	[ "$(stat -c %s all.dsm)" -le $(($(stat -c %s part0.dsm) * 5 / 4)) ]
}

@test "--stats: equalisation is looked behind; what cannot be merged is said" {
	ds-convert "$ROOT/test/corpus/onnx/cnn.onnx" --input-preset unit -o c.dsm
	mkdir p
	cp "$ROOT"/test/corpus/png/{rgb8,rgba8,gray8}.png p
	ds-profile --stats --equalize yes -m c.dsm p -o even.dsm
	ds-quantize --bits w8a8 --equalize yes -c even.dsm c.dsm -o a.dsm
	ds-quantize --bits w8a8 --equalize yes -c p c.dsm -o b.dsm
	cmp a.dsm b.dsm
	ds-quantize --bits w8a8 --equalize no -c even.dsm c.dsm -o a.dsm
	ds-quantize --bits w8a8 --equalize no -c p c.dsm -o b.dsm
	cmp a.dsm b.dsm
	run --separate-stderr ds-profile --stats --merge even.dsm even.dsm -o two.dsm
	[ "$status" -eq 0 ]
	[[ $stderr == *'cannot be added up'* ]]
	run -3 ds-quantize --bits w8a8 --equalize yes -c two.dsm c.dsm -o x.dsm
	[[ $output == *'without equalisation'* ]]
	ds-quantize --bits w8a8 -c two.dsm c.dsm -o x.dsm
}

@test "--stats: another model's, damaged or other files are refused" {
	ds-profile --stats -m "$M" "$C[:20]" -o st.dsm
	ds-quantize --bits w8 "$M" -o other.dsm
	run -3 ds-quantize --bits w8a8 -c st.dsm other.dsm -o x.dsm
	[[ $output == *'statistics of another model'* ]]
	ds-profile --stats -m other.dsm "$C[:20]" -o st2.dsm
	run -3 ds-profile --stats --merge st.dsm st2.dsm -o x.dsm
	[[ $output == *'st2.dsm'*'another model'* ]]
	head -c 5000 st.dsm > cut.dsm
	run -3 ds-profile --stats --merge cut.dsm -o x.dsm
	run -3 ds-quantize --bits w8a8 -c cut.dsm "$M" -o x.dsm
	run -3 ds-profile --stats --merge "$M" -o x.dsm
	[[ $output == *"kind 'model'"* ]]
	run -2 ds-quantize --bits w8a8 -c st.dsm --max-samples 5 "$M" -o x.dsm
	run -2 ds-profile --stats -m "$M" -o x.dsm
	run -2 ds-profile --stats --time -m never never
	run -2 ds-profile --merge st.dsm
	run -2 ds-profile --stats --merge -m never st.dsm
	run -2 ds-profile --stats --merge
	run -2 ds-profile --equalize no -m never never
	run -2 ds-profile --stats --fake-stdout-is-tty -m "$M" "$C[:2]"
	[ ! -e x.dsm ]
}

@test "--stats: a bad sample is told of, the others count" {
	mkdir p
	cp "$S"/pictures/*.png p
	echo 'no picture' > p/a.png
	run -5 ds-profile --stats -m "$M" p -o st.dsm
	[[ $output == *'a.png'* ]]
	ds-quantize --bits w8a8 -c st.dsm "$M" -o q.dsm
}

# ---- against a reference ------------------------------------------------------------------------------------------------------------
# Doubles the scales of every layer's weight in turn: how often is it named first?
planted()
{
	local ref=$1 own=$2 samples=$3 n=0 hit=0 name rc first
	while :; do
		rc=0
		name=$("$B/test/sample/plant" "$own" planted.dsm "${4:-weight}" $n) || rc=$?
		[ $rc -eq 0 ] || break
		n=$((n + 1))
		first=$(ds-profile --against "$ref" --max-samples 4 --top 1 -m planted.dsm "$samples" | awk -F'\t' '$1 == "error" { print $2; exit }')
		if [ "$first" = "$name" ]; then
			hit=$((hit + 1))
		else
			echo "# fault in $name, named first: $first" >&3
		fi
	done
	[ $rc -eq 9 ]
	echo "# $hit of $n planted faults are named first" >&3
	[ "$n" -gt 5 ]
	[ "$hit" -eq "$n" ]
}

@test "--against: a planted fault in any layer is named first (w8a8 and w4a4 of the sample's net)" {
	for bits in w8a8 w4a4; do
		ds-quantize --bits $bits -c "$C" "$M" -o q.dsm
		planted "$M" q.dsm "$C"
	done
}

@test "--against: a planted fault in any layer of a real residual net is named first" {
	asset models/cifar10_resnet20/model.onnx
	ds-convert "$ASSET" --input-preset cifar10 -o r.dsm
	asset data/photos/crops224
	mkdir p
	cp "$ASSET"/*.png p
	ds-quantize --bits w8a8 -c p --max-samples 16 r.dsm -o q.dsm
	planted r.dsm q.dsm p
}

@test "--against: columns, the model against itself, what arrives grows along the net" {
	ds-profile --against "$M" --tsv --max-samples 20 -m "$M" "$C" > same
	head -n 1 same | grep -q "^section	layer	operator	value	local_sqnr_db	local_cosine	sqnr_db	cosine	"
	[ "$(awk -F'\t' '$1 == "error" && $5 != "inf"' same | wc -l)" -eq 0 ]
	awk -F'\t' '$1 == "output" { exit !($2 == 20 && $3 == 0 && $4 == 1 && $6 == "inf") }' same
	ds-quantize --bits w2 "$M" -o q.dsm
	ds-profile --against "$M" --max-samples 20 -m q.dsm "$C" > rows
	# worst first
	awk -F'\t' '$1 == "error" && $5 != "" { if (n++ && $5 < last) exit 1; last = $5 }' rows
	# a layer alone never looks worse than what all of them do to the scores
	awk -F'\t' '$2 == "fc" { exit !($5 > $7 + 3) }' rows
	awk -F'\t' '$1 == "output" { exit !($3 > .1 && $4 < 1) }' rows
	ds-profile --against "$M" --json --max-samples 5 -d "$S/test-images-idx3-ubyte.gz" -m q.dsm > rows
	tail -n 1 rows | grep -q '"section":"output".*"right":[0-9.]'
	# threads and pipes change nothing
	ds-profile --against "$M" --max-samples 9 -j 3 -m q.dsm "$C" > a
	ds-profile --against "$M" --max-samples 9 -j 1 "$C" < q.dsm > b
	cmp a b
}

@test "--against: channels that equalisation made larger are compared as they are meant" {
	printf 'input x [N, 3, 16, 16] scale=1/255\nConv 8 | Relu\nConv 8 group=8 | Relu\nConv 16 kernel_shape=1 | Relu\nGlobalAveragePool | Flatten | Gemm 5\noutput s values=logits\n' |
		ds-convert --seed 3 > dw.dsm
	mkdir p
	cp "$ROOT"/test/corpus/png/{rgb8,rgba8,gray8}.png p
	ds-quantize --bits w8a8 -c p -v dw.dsm -o q.dsm 2> log
	grep -q 'equalize: 2 sets' log
	ds-profile --against dw.dsm -m q.dsm p > rows
	awk -F'\t' '$1 == "error" { n++; if ($5 < 35) exit 1 } END { exit n < 4 }' rows
}

@test "--against: of a pruned model the channels that are left are compared" {
	ds-prune --ratio .3 "$M" -o cut.dsm
	ds-profile --against "$M" --max-samples 10 -m cut.dsm "$C" > rows
	# the first layer lost channels and nothing else; what reads fewer channels is another sum
	awk -F'\t' '$4 == "stem.conv1" { exit !($5 == "inf" && $7 == "inf" && $9 == "12/16" && $10 == "") }' rows
	awk -F'\t' '$4 == "block1.conv1" { exit !($5 > 5 && $5 < 40 && $9 == "12/16") }' rows
	[ -z "$(awk -F'\t' '$1 == "error" && $10 != ""' rows)" ]
	# recalibration changes batch normalisation and not which channels there are
	ds-prune --ratio .3 -c "$C" "$M" -o cut.dsm
	ds-profile --against "$M" --max-samples 10 -m cut.dsm "$C" > rows
	awk -F'\t' '$4 == "stem.conv1" { exit !($5 == "inf" && $9 == "12/16") }' rows
	# folded into the weights nothing tells which they are: said, and the rest compared
	ds-quantize --bits w8a8 -c "$C" cut.dsm -o q.dsm
	ds-profile --against "$M" --max-samples 10 -m q.dsm "$C" > rows
	grep -q 'channels were cut, and which are left is not clear' rows
	awk -F'\t' '$1 == "output" { exit !($3 > 0) }' rows
	ds-profile --against cut.dsm --max-samples 10 -m q.dsm "$C" > rows
	awk -F'\t' '$1 == "error" && $5 < 30 { exit 1 }' rows
}

@test "--against: models that are not before and after are refused" {
	ds-convert "$ROOT/test/corpus/onnx/cnn.onnx" --input-preset unit -o c.dsm
	run -3 ds-profile --against c.dsm -m "$M" "$C[:2]"
	[ "${#lines[@]}" -eq 1 ]
	run -2 ds-profile --against "$M" -m "$M"
	run -2 ds-profile --against - "$C" < "$M"
	run ! ds-profile --against nothing -m "$M" "$C[:2]"
	run -3 ds-profile --against "$C" -m "$M" "$C[:2]"
}

# ---- sensitivity --------------------------------------------------------------------------------------------------------------------
@test "--sensitivity quantize: every layer and width, more bits do less" {
	ds-profile --sensitivity quantize --bits w8,w4,w2 --max-samples 60 -m "$M" "$C" > rows
	head -n 1 rows | grep -qx "section	layer	operator	weight	bits	bytes	kl	same	right"
	[ "$(grep -c '^sensitivity' rows)" -eq 30 ]
	awk -F'\t' '$1 == "sensitivity" { sum[$5] += $7 } END { exit !(sum["w8"] < sum["w4"] / 10 && sum["w4"] < sum["w2"] / 4) }' rows
	ds-profile --sensitivity quantize --bits w8,w4,w2 --max-samples 60 -j 3 -m "$M" "$C" | cmp - rows
	ds-profile --sensitivity quantize --bits w4a4,f32 --max-samples 40 --json -d "$S/test-images-idx3-ubyte.gz" -m "$M" > rows
	[ "$(grep -c '"bits":"f32".*"kl":0,"same":1,"right":0[.]9' rows)" -eq 10 ]
	[ "$(grep -c '"bits":"w4a4".*"kl":[0-9.e-]*,' rows)" -eq 10 ]
}

@test "--sensitivity, --against: answers that are no classes are compared by noise" {
	printf 'input x [N, 12]\nGemm 4 | Relu | Gemm 12\noutput y\n' | ds-convert --seed 1 > auto.dsm
	{ printf '\223NUMPY\1\0v\0%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 12), }"; head -c 192 /dev/zero | tr '\0' '?'; } > x.npy
	ds-profile --sensitivity quantize --bits w8,w2 -m auto.dsm x.npy > rows
	head -n 1 rows | grep -q '	noise	'
	awk -F'\t' '$1 == "sensitivity" && $5 == "w2" { exit !($7 > 0 && $8 == "" && $9 == "") }' rows
	ds-profile --against auto.dsm -m auto.dsm x.npy | awk -F'\t' '$1 == "output" { exit !($3 == "" && $6 == "inf") }'
}

@test "--budget: the plan fits, is obeyed, and does better than one width for all at the same bytes" {
	ds-quantize --bits w3 "$M" -o w3.dsm
	bytes=$(stat -c %s w3.dsm)
	ds-profile --sensitivity quantize --budget "$bytes" --max-samples 200 -m "$M" "$C" > plan
	ds-quantize --plan plan "$M" -o mixed.dsm
	[ "$(stat -c %s mixed.dsm)" -le "$bytes" ]
	[ "$(cut -f 4 plan | sort -u | grep -c '^w')" -gt 1 ]
	# pictures by hands that the plan has not seen
	T=$S/test-images-idx3-ubyte.gz
	a=$(ds-run -m mixed.dsm --eval -d "$T" | awk '$1 == "top1" { print $2 }')
	b=$(ds-run -m w3.dsm --eval -d "$T" | awk '$1 == "top1" { print $2 }')
	echo "# mixed $a in $(stat -c %s mixed.dsm) bytes, w3 $b in $bytes bytes"
	awk -v a="$a" -v b="$b" 'BEGIN { exit !(a > b) }'
	# the same with activations: w4a4 with the bytes of all layers, the edges too
	ds-quantize --bits w4a4 --keep 'stem*=w4a4' --keep 'fc*=w4a4' -c "$C" "$M" -o w4a4.dsm
	bytes=$(stat -c %s w4a4.dsm)
	ds-profile --sensitivity quantize --bits w8a8,w4a8,w4a4,w3a4,w2a8 --budget "$bytes" --max-samples 100 -m "$M" "$C" > plan
	ds-quantize --plan plan -c "$C" "$M" -o mixed.dsm
	[ "$(stat -c %s mixed.dsm)" -le "$bytes" ]
}

@test "--budget: bits per weight and percentages; what cannot be is said" {
	for b in 4bpw 2.5bpw 20% 60K; do
		ds-profile --sensitivity quantize --budget $b --bits w8,w4,w2 --max-samples 30 -m "$M" "$C" > plan
		ds-quantize --plan plan "$M" -o q.dsm
		case $b in
		*bpw) awk -F'\t' -v b="${b%bpw}" 'NR > 3 { n += $8 / 4; w += $9 * 8 } END { exit !(w / n <= b && w / n > b * .8) }' plan ;;
		20%) [ "$(stat -c %s q.dsm)" -le $((245760 / 5)) ] ;;
		60K) [ "$(stat -c %s q.dsm)" -le 61440 ] && [ "$(stat -c %s q.dsm)" -gt 55000 ] ;;
		esac
	done
	run -6 ds-profile --sensitivity quantize --budget 1bpw --bits w4,w2 --max-samples 5 -m "$M" "$C"
	run -6 ds-profile --sensitivity quantize --budget 2K --bits w4,w2 --max-samples 5 -m "$M" "$C"
	for words in '--budget 3' '--bits w4' '--sensitivity quantize --budget x' '--sensitivity quantize --budget 0bpw' '--sensitivity quantize --budget 101%' \
		'--sensitivity quantize --bits w9' '--sensitivity quantize --bits w4,w4a4' '--sensitivity quantize --bits w4,w4' '--sensitivity quantize --bits w4,' \
		'--sensitivity quantize --group 20' '--sensitivity quantize --bits w4a4 --group 32' '--sensitivity quantize --range kl' '--sensitivity cut' \
		'--sensitivity quantize --budget 3bpw --json' '--sensitivity quantize --range most'; do
		run -2 timeout 5 ds-profile $words -m never never
	done
}

@test "--sensitivity prune: every group and ratio; the plan fits, is obeyed, and does better than one ratio for all" {
	ds-profile --sensitivity prune --ratio .25,.5 --max-samples 60 -m "$M" "$C" > rows
	head -n 1 rows | grep -qx "section	group	layers	channels	keep	bytes	kl	same	right"
	[ "$(grep -c '^sensitivity' rows)" -eq 12 ]
	awk -F'\t' '$1 == "sensitivity" { if ($4 == $5 * 2) half += $7; else quarter += $7 } END { exit !(quarter > 0 && quarter < half) }' rows
	ds-profile --sensitivity prune --ratio .25,.5 --max-samples 60 -j 3 -m "$M" "$C" | cmp - rows
	ds-prune --ratio .4 -c "$C" "$M" -o even.dsm
	bytes=$(stat -c %s even.dsm)
	ds-profile --sensitivity prune --budget "$bytes" --max-samples 200 -m "$M" "$C" > plan
	ds-prune --plan plan -c "$C" "$M" -o cut.dsm
	[ "$(stat -c %s cut.dsm)" -le "$bytes" ]
	T=$S/test-images-idx3-ubyte.gz
	a=$(ds-run -m cut.dsm --eval -d "$T" | awk '$1 == "top1" { print $2 }')
	b=$(ds-run -m even.dsm --eval -d "$T" | awk '$1 == "top1" { print $2 }')
	echo "# by the plan $a in $(stat -c %s cut.dsm) bytes, ratio .4 $b in $bytes bytes"
	awk -v a="$a" -v b="$b" 'BEGIN { exit !(a > b) }'
	run -6 ds-profile --sensitivity prune --budget 10% --max-samples 10 --ratio .25 -m "$M" "$C"
	for words in '--sensitivity prune --bits w4' '--sensitivity prune --ratio 1' '--sensitivity prune --ratio .2,.2' '--sensitivity prune --budget 3bpw' \
		'--sensitivity prune --criterion taylor' '--sensitivity prune --group 32' '--ratio .5' '--sensitivity quantize --ratio .5' '--sensitivity prune --ratio x'; do
		run -2 timeout 5 ds-profile $words -m never never
	done
}
