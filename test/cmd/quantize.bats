#!/usr/bin/env bats
# quantize.bats - ds-quantize: weights in one pass, calibrated activations, what stays and what is reported

load common

setup_file()
{
	load common
	mkdir -p "$D"
	command -v ds-convert > /dev/null || return 0
	ds-convert "$ROOT/test/corpus/onnx/cnn.onnx" --input-preset unit -o "$D/m.dsm"
	mkdir -p "$D/c"
	cp "$ROOT"/test/corpus/png/{rgb8,rgba8,gray8,palette,interlaced}.png "$D/c"
}

setup()
{
	command -v ds-convert > /dev/null || skip 'ds-convert is not there'
	cd "$BATS_TEST_TMPDIR"
}

@test "w8: pipe, file, threads and instruction sets give the same bytes" {
	ds-quantize --bits w8 "$D/m.dsm" > want
	for j in 1 2 3; do
		bash -c "cat '$D/m.dsm' | ds-quantize --bits w8 -j $j > got"
		cmp want got
	done
	DS_CPU=c ds-quantize --bits w8 -m "$D/m.dsm" -o got
	cmp want got
	ds-quantize --bits w8 --no-mmap < "$D/m.dsm" > got
	cmp want got
}

@test "every width makes the file that the report says, and it runs" {
	for bits in w8 w6 w5 w4 w3 w2; do
		ds-quantize --bits $bits --report r "$D/m.dsm" -o q.dsm
		grep -q "\"event\":\"end\".*\"file_bytes\":$(stat -c %s q.dsm)}" r
		grep -q "\"event\":\"tensor\".*\"bits\":\"$bits\",\"granularity\":\"row\"" r
		ds-run -m q.dsm "$D/c/rgb8.png" | awk -F'\t' 'END { exit NF != 5 }'
	done
}

@test "w8 hardly moves the outputs, w2 does" {
	ds-quantize --bits w8 "$D/m.dsm" -o q8.dsm
	ds-quantize --bits w2 "$D/m.dsm" -o q2.dsm
	d8=$(ds-run -m q8.dsm --compare "$D/m.dsm" "$D/c" | awk '$1 == "mean_difference" { print $2; exit }')
	d2=$(ds-run -m q2.dsm --compare "$D/m.dsm" "$D/c" | awk '$1 == "mean_difference" { print $2; exit }')
	awk -v a="$d8" -v b="$d2" 'BEGIN { exit !(a > 0 && a < b / 4) }'
}

@test "the graph and tensors that are kept stay as they are" {
	ds-quantize --bits w8 --keep '*=f32' --no-history "$D/m.dsm" -o q.dsm
	ds-quantize --bits w8 --except '*' --no-history "$D/m.dsm" -o p.dsm
	cmp q.dsm p.dsm
	run -2 ds-quantize --bits w8 --only 'no such layer' "$D/m.dsm" -o x.dsm
	[[ $output == *'no such layer'* ]]
	[ ! -e x.dsm ]
	run -2 ds-quantize --bits w8 --keep 'no such layer=f32' "$D/m.dsm" -o x.dsm
	[[ $output == *"--keep: 'no such layer'"* ]]
	[ ! -e x.dsm ]
}

@test "quantising twice changes nothing more" {
	ds-quantize --bits w8 --no-history "$D/m.dsm" -o a.dsm
	ds-quantize --bits w4 --no-history a.dsm -o b.dsm
	cmp a.dsm b.dsm
}

@test "a damaged or cut model is refused, and nothing is left behind" {
	head -c 2000 "$D/m.dsm" > cut.dsm
	run -3 ds-quantize --bits w8 cut.dsm -o x.dsm
	[ ! -e x.dsm ]
	run -3 bash -c "head -c 3000 '$D/m.dsm' | ds-quantize --bits w8 > y.dsm"
	run -3 bash -c "ds-run -m y.dsm '$D/c/rgb8.png'"
	run -3 bash -c ': | ds-quantize --bits w8'
}

@test "combinations without sense are refused before anything is read" {
	mkfifo never
	for words in '--bits w8a8' '--bits w8 --range kl' '--bits w4 --group 24' '--bits w4 --group 8' '--bits w9' '--bits w8 -c .' \
		'--bits w8a8 -c . --group 32' '--qat --bits w4' '--qat --bits w4a4' '--qat --bits w4a4 -c . --equalize yes' '--bits trained -c .' \
		'--bits trained --keep x=f32' '--bits w4a4' '--keep x=w4a4' '--keep conv' '--keep x=i8' '--bits w8 --range percentile:99' '--range mode'; do
		run -2 timeout 5 ds-quantize $words never
	done
}

@test "w8a8: calibrated on pictures, the same bytes for any threads, and the outputs stay near" {
	ds-quantize --bits w8a8 -c "$D/c" -j 1 "$D/m.dsm" -o a.dsm
	ds-quantize --bits w8a8 -c "$D/c" -j 2 - < "$D/m.dsm" > b.dsm
	cmp a.dsm b.dsm
	ds-run -m a.dsm --compare "$D/m.dsm" "$D/c" > rows
	awk '$1 == "agreement" { exit !($2 >= 0.8) }' rows
	ds-run -m a.dsm --dump=kernels "$D/c/rgb8.png" | grep -q QConv
}

@test "w8a8: every rule for ranges, --keep, the report" {
	for range in minmax mse percentile:99.9 kl; do
		ds-quantize --bits w8a8 -c "$D/c" --range $range "$D/m.dsm" -o q.dsm
		ds-run -m q.dsm "$D/c/rgb8.png" > /dev/null
	done
	ds-quantize --bits w8a8 -c "$D/c" --report r "$D/m.dsm" -o q.dsm
	grep -q '"event":"layer".*"output_sqnr_db":[0-9]' r
	n=$(grep -c '"event":"layer"' r)
	first=$(sed -n 's/.*"layer":"\([^"]*\)".*/\1/p' r | head -n 1)
	ds-quantize --bits w8a8 -c "$D/c" --report r2 --keep "$first=f32" "$D/m.dsm" -o q.dsm
	[ "$(grep -c '"event":"layer"' r2)" -eq $((n - 1)) ]
}

@test "w8a8: no samples, and samples that cannot be read" {
	mkdir empty bad
	run ! ds-quantize --bits w8a8 -c empty "$D/m.dsm" -o x.dsm
	echo 'not a picture' > bad/a.png
	cp "$D/c/rgb8.png" bad
	run -5 ds-quantize --bits w8a8 -c bad "$D/m.dsm" -o y.dsm
	[ -e y.dsm ]
	[ ! -e x.dsm ]
}

# A residual network and samples of it.
sample_net()
{
	S=$ROOT/test/sample
	cp "$S/digits.dsm" d.dsm
	C=$S/calib-images-idx3-ubyte.gz
}

# Logits of a model with every set of instructions that the machine has.
logits()
{
	for cpu in c c,avx2 native; do
		DS_CPU=${cpu#native} ds-run --tensors -m "$1" "$S/pictures" > "$2.$cpu"
	done
}

@test "fewer bits than 8: the first and the last layer keep 8, --keep says otherwise" {
	sample_net
	for bits in w4a8 w4a4 w3a3 w2a8 w2a2; do
		ds-quantize --bits $bits -c "$C" --max-samples 50 --report r d.dsm -o q.dsm
		[ "$(grep -c "\"bits\":\"$bits\"" r)" -eq 8 ]
		sed -n '1p' r | grep -q '"stem.conv1".*"bits":"w8a8"'
		grep -q '"fc".*"bits":"w8a8"' r
		ds-run --dump=kernels -m q.dsm "$S/pictures/a-is-9.png" > kernels
		[ "$(grep -c 'QConv' kernels)" -eq 9 ]
		run ! grep -q ConvAct kernels
	done
	ds-quantize --bits w4a4 -c "$C" --max-samples 50 --keep 'fc*=w4a4' --keep 'block1.*=w2a8' --keep 'block2.x.conv1=f32' --report r d.dsm -o q.dsm
	grep -q '"fc".*"bits":"w4a4"' r
	[ "$(grep -c '"block1[.].*"bits":"w2a8"' r)" -eq 2 ]
	run ! grep -q '"block2.x.conv1"' r
	run -2 ds-quantize --bits w4a4 -c "$C" --keep 'fc*=w4' d.dsm -o x.dsm
	[ ! -e x.dsm ]
}

@test "4 bits of everything lose little where 2 bits lose much" {
	sample_net
	for bits in w4a4 w2a2; do
		ds-quantize --bits $bits -c "$C" d.dsm -o $bits.dsm
		ds-run -m $bits.dsm --eval -d "$S/test-images-idx3-ubyte.gz" | awk '$1 == "top1" { print $2 }' > $bits
	done
	awk -v a="$(cat w4a4)" -v b="$(cat w2a2)" 'BEGIN { exit !(a > .9 && b > .5 && b < a) }'
}

@test "--qat: the same bytes for any threads, scales as parameters, batch normalisation kept" {
	sample_net
	ds-quantize --qat --bits w4a4 -c "$C" -j 1 d.dsm -o a.dsm
	ds-quantize --qat --bits w4a4 -c "$C" -j 2 - < d.dsm > b.dsm
	cmp a.dsm b.dsm
	ds-info --tensors a.dsm > t
	grep -q '^block1.conv1.weight.step .*16' t
	grep -q '^image.step ' t
	grep -q '^stem.bn1.mean ' t
	[ "$(ds-info --graph a.dsm | awk '$3 == "BatchNormalization"' | wc -l)" -eq 9 ]
}

@test "--bits trained: integers that give the bits of the model they came from, on every instruction set" {
	sample_net
	for bits in w8a8 w4a8 w4a4 w3a3 w2a2; do
		ds-quantize --qat --bits $bits -c "$C" --max-samples 50 d.dsm -o qat.dsm
		ds-quantize --bits trained --report r qat.dsm -o int.dsm
		[ "$(grep -c '"event":"tensor"' r)" -eq 10 ]
		[ -z "$(ds-info --graph int.dsm | awk '$3 == "BatchNormalization" || $3 == "ds.FakeQuantize"')" ]
		logits qat.dsm a
		logits int.dsm b
		for cpu in c c,avx2 native; do
			cmp a.c b.$cpu
			cmp a.c a.$cpu
		done
	done
	# 2 bits of weights are an eighth of the bytes, but for the first layer, the last, scales and biases
	[ "$(stat -c %s int.dsm)" -lt $(($(stat -c %s d.dsm) / 6)) ]
	run -3 ds-quantize --bits trained d.dsm -o x.dsm
	[[ $output == *'no fake quantisation'* ]]
	[ ! -e x.dsm ]
}

@test "fake quantisation, training, integers: what ds-train gives is what the integers give" {
	command -v ds-train > /dev/null || skip 'ds-train is not there'
	sample_net
	ds-quantize --qat --bits w2a2 -c "$C" d.dsm -o qat.dsm
	# the samples' labels lie beside them
	ds-train -d "$C" --epochs 2 --lr .02 --batch 50 -j 1 qat.dsm -o t.dsm
	ds-train -d "$C" --epochs 2 --lr .02 --batch 50 -j 2 < qat.dsm > t2.dsm
	cmp t.dsm t2.dsm
	ds-quantize --bits trained < t.dsm > int.dsm
	logits t.dsm a
	logits int.dsm b
	for cpu in c c,avx2 native; do
		cmp a.c b.$cpu
	done
	for m in qat int; do
		ds-run -m $m.dsm --eval -d "$S/test-images-idx3-ubyte.gz" | awk '$1 == "top1" { print $2 }' > $m
	done
	awk -v a="$(cat qat)" -v b="$(cat int)" 'BEGIN { print a, b; exit !(b > a) }'
}

@test "training an 8-bit net does not lose what it had: its grids stay" {
	command -v ds-train > /dev/null || skip 'ds-train is not there'
	sample_net
	ds-quantize --qat --bits w8a8 -c "$C" d.dsm -o qat.dsm
	for how in 'sgd --lr .02' 'adamw --lr .001'; do
		ds-train -d "$C" --epochs 2 --optimizer $how --batch 50 qat.dsm -o t.dsm
		ds-run -m t.dsm --eval -d "$S/test-images-idx3-ubyte.gz" | awk '$1 == "top1" { print; exit !($2 > .9) }'
	done
}

@test "--dry-run prints one table, --plan obeys it: the same bytes as the options that made it" {
	sample_net
	for words in '--bits w8' '--bits w4 --group 32 --keep fc*=f32' '--bits w3 --keep fc*=w8 --except stem*' '--bits w4 --range minmax'; do
		ds-quantize $words --dry-run d.dsm > plan
		sed -n 1p plan | grep -qx '# ds-quantize plan 1'
		ds-quantize $words --no-history d.dsm -o a.dsm
		ds-quantize --plan plan --no-history < d.dsm > b.dsm
		cmp a.dsm b.dsm
	done
	for words in '--bits w8a8' '--bits w4a4 --keep block1*=w2a8 --range kl' '--bits w4a8 --keep fc=f32 --range percentile:99.9' '--qat --bits w4a4'; do
		ds-quantize $words --dry-run d.dsm > plan
		ds-quantize $words --no-history -c "$C" --max-samples 20 d.dsm -o a.dsm
		[[ $words == --qat* ]] && qat=--qat || qat=
		ds-quantize --plan plan $qat -c "$C" --max-samples 20 --no-history d.dsm -o b.dsm
		cmp a.dsm b.dsm
	done
	# the bytes of the table are those of the report
	ds-quantize --bits w4 --keep 'fc*=w8' --dry-run d.dsm > plan
	ds-quantize --plan plan --report r d.dsm -o q.dsm
	diff <(awk -F'\t' 'NR > 3 { print $3, $4, $8, $9 }' plan) \
		<(sed -n 's/.*"tensor":"\([^"]*\)","bits":"\([^"]*\)".*"bytes_before":\([0-9]*\),"bytes":\([0-9]*\).*/\1 \2 \3 \4/p' r)
	# the plan is part of what the model remembers
	ds-info --history q.dsm | grep -q 'plan.*# ds-quantize plan 1'
}

@test "--plan: an edited plan is obeyed layer by layer" {
	sample_net
	ds-quantize --bits w4 --dry-run d.dsm | sed '/^block1/s/w4/w2/; /^fc/s/w4/f32/; /^block3/s/w4\t-/w4\t64/' > plan
	ds-quantize --plan plan --report r d.dsm -o q.dsm
	[ "$(grep -c '"tensor":"block1.*"bits":"w2"' r)" -eq 2 ]
	[ "$(grep -c '"tensor":"block3.*"group":64' r)" -eq 2 ]
	run ! grep -q '"tensor":"fc' r
	ds-quantize --bits w8a8 --dry-run d.dsm | sed '/^block1/s/w8a8/w3a4/; /^fc/s/mse/kl/; /^stem/s/w8a8/f32/' > plan
	ds-quantize --plan plan -c "$C" --max-samples 20 --report r d.dsm -o q.dsm
	[ "$(grep -c '"layer":"block1.*"bits":"w3a4"' r)" -eq 2 ]
	run ! grep -q '"layer":"stem' r
	# a bag of tensors has no nodes, but weights
	ds-quantize --bits w8 --dry-run "$ROOT/test/corpus/dsm/items.dsm" > plan
	sed -n 4p plan | grep -q "$(printf '^\t\t[^\t]*\tw8\t')"
}

@test "--plan: what is wrong is said with file and line, and nothing is written" {
	sample_net
	ds-quantize --bits w4 --dry-run d.dsm > plan
	ds-quantize --bits w4a4 --dry-run d.dsm > both
	refused()
	{
		run -3 ds-quantize --plan bad d.dsm -o x.dsm
		show
		[ "${#lines[@]}" -eq 1 ]
		[[ $output == *"$1"* ]]
		[ ! -e x.dsm ]
	}
	sed '5s/w4/w9/' plan > bad;                     refused 'bad:5: bits "w9"'
	sed '5s/w4\t-/w4\t33/' plan > bad;              refused 'bad:5: group "33"'
	sed '5s/mse/most/' plan > bad;                  refused 'bad:5: range "most"'
	sed '5s/mse/kl/' plan > bad;                    refused 'bad:5: range kl is for activations'
	sed '5s/\tmse//' plan > bad;                    refused 'bad:5: 8 fields'
	sed 6d plan > bad;                              refused 'bad: the plan has no row for layer "block1.y.conv1"'
	sed '6{p;}' plan > bad;                         refused 'bad:7: layer "block1.y.conv1"'
	sed '6s/block1/block9/' plan > bad;             refused 'no row for layer "block1.y.conv1"'
	(cat plan; sed -n '6s/block1/block9/gp' plan) > bad; refused 'bad:14: the model has no layer "block9.y.conv1"'
	(cat plan; sed -n '6s/block1/block9/gp' both) > bad; refused 'bad:14: bits of weights only beside'
	sed 1d plan > bad;                              refused 'bad:1: not a plan'
	sed 3d plan > bad;                              refused 'bad:3: the columns'
	head -n 2 plan > bad;                           refused 'bad:3: the plan ends before its columns'
	: > bad;                                        refused 'bad'
	sed '2s/:.*/:1/' plan > bad;                    refused 'made for another model'
	ds-quantize --force --plan bad --no-history d.dsm -o f.dsm
	ds-quantize --plan plan --no-history d.dsm | cmp - f.dsm
	# two layers that read one activation with one scale
	sed '7s/mse/kl/' both > bad
	run -3 ds-quantize --plan bad -c "$C" d.dsm -o x.dsm
	[[ $output == *'share a scale'* ]]
	run -2 ds-quantize --plan both d.dsm -o x.dsm
	run -2 ds-quantize --plan plan -c "$C" d.dsm -o x.dsm
	run -2 ds-quantize --plan plan --bits w4 never
	run -2 ds-quantize --plan plan --keep 'x=f32' never
	run -2 ds-quantize --plan plan --dry-run never
	run -2 ds-quantize --bits trained --dry-run never
	[ ! -e x.dsm ]
}
