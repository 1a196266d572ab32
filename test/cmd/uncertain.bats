#!/usr/bin/env bats
# uncertain.bats - ds-run: how sure a prediction is, what is fitted for it, and when that holds no more

load common

setup_file()
{
	load common
	mkdir -p "$D"
	command -v ds-convert > /dev/null || return 0
	S=$ROOT/test/sample
	ds-run -m "$S/digits.dsm" --fit-uncertainty -d "$S/calib-images-idx3-ubyte.gz" -o "$D/fit.dsm"
	printf 'input image [N, 1, 28, 28] scale=1/255 mean=0.5 std=0.5\nFlatten | Gemm 24 | Relu | Dropout 0.4 | Gemm 10\noutput scores values=logits\n' |
		ds-convert --seed 1 | ds-train -j 1 -d "$S/calib-images-idx3-ubyte.gz" --epochs 8 -o "$D/drop.dsm"
}

setup()
{
	command -v ds-convert > /dev/null || skip 'ds-convert is not there'
	cd "$BATS_TEST_TMPDIR"
	S=$ROOT/test/sample
	TEST=$S/test-images-idx3-ubyte.gz
}

# The value of a metric in the table on standard input.
value()
{
	awk -F'\t' -v m="$1" '$1 == m { print $2; found = 1 } END { exit !found }'
}

@test "columns of each kind, empty list included" {
	local line how want
	while IFS='|' read -r how want; do
		ds-run -m "$D/fit.dsm" --uncertainty "$how" "$S"/pictures/a-*.png > rows
		echo "$how"
		[ "$(head -n 1 rows | tr '\t' ' ')" = "input rank index label probability $want" ]
		awk -F'\t' -v n="$(head -n 1 rows | awk -F'\t' '{ print NF }')" 'NF != n { exit 1 }' rows
		ds-run -m "$D/fit.dsm" --uncertainty "$how" --json "$S"/pictures/a-*.png | grep -q '"confidence":0\.[0-9]*,"entropy":[0-9.e-]*,"'
		printf '' | ds-run -m "$D/fit.dsm" --uncertainty "$how" --files-from - > empty
		[ "$(head -n 1 rows)" = "$(cat empty)" ]
	done <<- EOF
	softmax|confidence entropy energy
	temperature|confidence entropy energy
	ensemble:$S/digits.dsm|confidence entropy mutual_information spread
	conformal:.1|confidence entropy set set_size
	EOF
}

@test "a temperature changes probabilities and never the class" {
	ds-run -m "$D/fit.dsm" -u softmax "$TEST" > a
	ds-run -m "$D/fit.dsm" -u temperature "$TEST" > b
	cut -f 1-4 a > a4
	cut -f 1-4 b > b4
	same a4 b4
	run ! cmp -s a b
	ds-run -m "$D/fit.dsm" "$TEST" | cut -f 5 > plain
	cut -f 5 a > soft
	same plain soft
}

@test "the same bytes for any -j and -b" {
	local o how
	for how in temperature conformal:.05:aps mc:3 "ensemble:$D/fit.dsm"; do
		m=$D/fit.dsm
		[[ $how != mc* ]] || m=$D/drop.dsm
		ds-run -m "$m" -u "$how" -j 1 -b 1 "$S/pictures" > want
		for o in '-j 2' '-b 3' '-j 2 -b 100'; do
			ds-run -m "$m" -u "$how" $o "$S/pictures" > got
			same want got
		done
	done
}

@test "Monte-Carlo dropout: passes differ, the seed decides, a model without Dropout is refused" {
	ds-run -m "$D/drop.dsm" -u mc:6 "$S/pictures" > a
	ds-run -m "$D/drop.dsm" -u mc:6 --seed 1 "$S/pictures" > b
	run ! cmp -s a b
	awk -F'\t' 'NR > 1 && !($8 > 0 && $9 > 0) { exit 1 }' a
	ds-run -m "$D/drop.dsm" -u mc:1 "$S/pictures" | awk -F'\t' 'NR > 1 && !($8 < 1e-6 && $9 < 1e-6) { exit 1 }'
	run -4 --separate-stderr ds-run -m "$D/fit.dsm" -u mc:6 "$S/pictures"
	[[ $stderr == *'without Dropout'* ]]
	ds-run -m "$D/drop.dsm" -u mc:10 --eval -d "$TEST" > rows
	value nll < rows
	value mc_nll < rows
	ds-quantize --bits w8a8 -c "$S/calib-images-idx3-ubyte.gz" "$D/drop.dsm" -o q.dsm
	ds-run -m q.dsm -u mc:6 "$S/pictures" | awk -F'\t' 'NR > 1 && !($8 > 0) { exit 1 }'
}

@test "Dropout of ONNX models stays, and does nothing unless asked" {
	for v in 7 13; do
		ds-convert "$ROOT/test/corpus/onnx/dropout$v.onnx" -o d.dsm
		ds-info d.dsm | grep -q 'Dropout 1'
		printf "\\223NUMPY\\1\\0\\166\\0%-117s\\n" "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 4), }" > x.npy
		printf 'abcdefghijkl' >> x.npy
		ds-run -m d.dsm x.npy > a
		ds-run -m d.dsm -j 2 -b 2 x.npy > b
		same a b
		ds-run -m d.dsm -u mc:8 x.npy | awk -F'\t' 'NR > 1 && $8 + $9 > 0 { n++ } END { exit !n }'
	done
}

@test "a bad sample among passes and members is one failed sample" {
	cp -r "$S/pictures" p
	echo nothing > p/a-0.png
	for how in mc:4 "ensemble:$D/drop.dsm" softmax; do
		run -5 --separate-stderr ds-run -m "$D/drop.dsm" -u "$how" p
		[ "$(wc -l <<< "$output")" -eq $(($(ls p | wc -l))) ]
		[ "$(wc -l <<< "$stderr")" -eq 1 ]
	done
}

@test "an ensemble is the mean of its members" {
	ds-run -m "$D/fit.dsm" --top 10 -u softmax "$S/pictures" > a
	ds-run -m "$D/drop.dsm" --top 10 -u softmax "$S/pictures" > b
	ds-run -m "$D/fit.dsm" --top 10 -u "ensemble:$D/drop.dsm" "$S/pictures" > c
	awk -F'\t' 'FNR == 1 { f++; next } { k = $1 FS $3 } f < 3 { sum[k] += $5; next } (d = sum[k] / 2 - $5) > 1e-6 || d < -1e-6 { exit 1 }' a b c
	printf 'input image [N, 1, 28, 28] scale=1/255\nFlatten | Gemm 9\noutput scores values=logits\n' | ds-convert > nine.dsm
	run -3 --separate-stderr ds-run -m "$D/fit.dsm" -u ensemble:nine.dsm "$S/pictures"
	[[ $stderr == *'nine.dsm'* ]]
	run -1 ds-run -m "$D/fit.dsm" -u ensemble:nosuch.dsm "$S/pictures"
}

@test "coverage is what was asked for, and sets grow with it" {
	local last=0 a
	for a in .2 .1 .05 .01; do
		for score in lac aps raps; do
			ds-run -m "$D/fit.dsm" -u conformal:$a:$score --eval -d "$TEST" > rows
			# within the range for 500 samples fitted and 1500 measured, half as wide again on each side
			awk -F'\t' '$1 == "nominal_coverage" { m = ($3 + $4) / 2; h = .75 * ($4 - $3) } $1 == "coverage" { exit !(h > 0 && $2 > m - h && $2 < m + h) }' rows
		done
		ds-run -m "$D/fit.dsm" -u conformal:$a --eval -d "$TEST" > rows
		size=$(value set_size < rows)
		awk -v a="$last" -v b="$size" 'BEGIN { exit !(b > a) }'
		last=$size
	done
	[ "$(value nominal_coverage < rows)" = 0.99 ]
	ds-run -m "$D/fit.dsm" -u conformal:.0001 "$S"/pictures/a-*.png 2> /dev/null | awk -F'\t' 'NR > 1 && $9 != 10 { exit 1 }'
	ds-run -m "$D/fit.dsm" -u conformal:.02 "$TEST" | awk -F'\t' 'NR > 1 && split($8, x, "|") != $9 { exit 1 }'
}

@test "fitting lowers the likelihood's loss and does not change the model otherwise" {
	ds-run -m "$D/fit.dsm" --eval -d "$S/calib-images-idx3-ubyte.gz" > rows
	awk -F'\t' '{ v[$1] = $2 } END { exit !(v["temperature_nll"] < v["nll"]) }' rows
	ds-run -m "$D/fit.dsm" --compare "$S/digits.dsm" "$TEST" | grep -q '^max_difference	0	'
	ds-info --history "$D/fit.dsm" | grep -q fit-uncertainty
	ds-run -m "$S/digits.dsm" --fit-uncertainty -d "$S/calib-images-idx3-ubyte.gz" --no-history -j 2 -b 7 > again.dsm
	[ "$(ds-info again.dsm | grep temperature)" = "$(ds-info "$D/fit.dsm" | grep temperature)" ]
	ds-run -m again.dsm --fit-uncertainty -d "$S/calib-images-idx3-ubyte.gz" --no-history -o twice.dsm
	same again.dsm twice.dsm
}

@test "what was fitted for another function is warned of, whichever filter made it" {
	run --separate-stderr -0 ds-run -m "$D/fit.dsm" --eval -d "$TEST"
	[ -z "$stderr" ]
	ds-convert "$D/fit.dsm" -o same.dsm
	ds-quantize --bits w8 "$D/fit.dsm" -o w8.dsm
	ds-quantize --bits w8a8 -c "$S/calib-images-idx3-ubyte.gz" "$D/fit.dsm" -o w8a8.dsm
	ds-prune --ratio .1 "$D/fit.dsm" -o pruned.dsm
	ds-train -j 1 -d "$S/calib-images-idx3-ubyte.gz" --steps 1 "$D/fit.dsm" -o trained.dsm
	for m in w8 w8a8 pruned trained; do
		for how in temperature conformal:.1; do
			run --separate-stderr -0 ds-run -m $m.dsm -u $how "$S"/pictures/a-*.png
			[[ $stderr == *'fit them again'* ]]
		done
		run --separate-stderr -0 ds-run -m $m.dsm -u softmax "$S"/pictures/a-*.png
		[ -z "$stderr" ]
	done
	run --separate-stderr -0 ds-run -m same.dsm -u temperature "$S"/pictures/a-*.png
	[ -z "$stderr" ]
	ds-run -m w8a8.dsm --fit-uncertainty -d "$S/calib-images-idx3-ubyte.gz" -o refit.dsm
	run --separate-stderr -0 ds-run -m refit.dsm -u temperature "$S"/pictures/a-*.png
	[ -z "$stderr" ]
}

@test "values: intervals that hold, spread of an ensemble" {
	awk 'BEGIN { srand(4); print "a,b,y"; for (i = 0; i < 900; i++) { a = rand(); b = rand(); printf "%.4f,%.4f,%.4f\n", a, b, 3 * a + b + (rand() - .5) * (.5 + a) } }' > t.csv
	for seed in 1 2; do
		printf 'input x [N, 2] kind=table columns=["a", "b"]\nGemm 8 | Relu | Gemm 1\noutput y values=numbers columns=["y"]\n' | ds-convert --seed $seed |
			ds-train -j 1 --seed $seed --loss mse --optimizer adamw --lr .02 --epochs 10 -d 't.csv[:300]' > m$seed.dsm
	done
	ds-run -m m1.dsm --fit-uncertainty -d 't.csv[300:600]' -o f.dsm
	ds-run -m f.dsm -u conformal:.1 --eval -d 't.csv[600:]' > rows
	awk -F'\t' '$1 == "coverage" { exit !($2 > .82 && $2 < .97 && $6 == 300) }' rows
	awk -F'\t' '$1 == "column_coverage" { exit !($2 > .82 && $7 == "y") }' rows
	ds-run -m f.dsm -u conformal:.1 't.csv[600:]' > rows
	[ "$(head -n 1 rows)" = $'input\ty\ty_low\ty_high' ] || [ "$(head -n 1 rows)" = $'input\trow\ty\ty_low\ty_high' ]
	awk -F'\t' 'NR > 1 && !($(NF - 1) < $(NF - 2) && $(NF - 2) < $NF) { exit 1 }' rows
	ds-run -m m1.dsm -u ensemble:m2.dsm 't.csv[600:]' > rows
	[[ $(head -n 1 rows) == *$'y\ty_spread' ]]
	awk -F'\t' 'NR > 1 && !($NF >= 0) { exit 1 }' rows
	run -4 ds-run -m m1.dsm -u softmax 't.csv[600:]'
	ds-run -m f.dsm --eval -d 't.csv[600:]' | grep -q '^coverage'
}

@test "the table of bins adds up to the error" {
	ds-run -m "$D/fit.dsm" --eval -d "$TEST" --reliability bins.tsv > rows
	for kind in ece:width adaptive_ece:mass; do
		awk -F'\t' -v b="${kind#*:}" '$1 == "raw" && $2 == b && $5 > 0 { n += $5; d = $6 - $7; sum += $5 * (d < 0 ? -d : d) } END { printf "%.9f\n", sum / n }' bins.tsv > got
		value "${kind%:*}" < rows | awk '{ printf "%.9f\n", $1 }' > want
		same want got
	done
	[ "$(awk -F'\t' '$1 == "temperature"' bins.tsv | wc -l)" -eq 30 ]
	ds-run -m "$S/digits.dsm" --eval -d "$TEST" --reliability bins.tsv > rows
	value ece < rows
}

@test "garbage in words and keys" {
	local o
	for o in '' soft mc: mc:0 mc:x mc:99999 mc:-1 ensemble: ensemble:a,,b conformal: conformal:0 conformal:1 conformal:x conformal:nan conformal:.1:abc conformal:.1: temperature:2; do
		echo "$o"
		run -2 --separate-stderr ds-run -m "$D/fit.dsm" "--uncertainty=$o" "$S/pictures"
		[ "$(wc -l <<< "$stderr")" -eq 1 ]
	done
	for o in '--fit-uncertainty --eval' '--fit-uncertainty -u softmax' '-u softmax --tensors' '-u softmax --logits' '-u softmax --summary' "-u softmax --compare $D/fit.dsm" \
		'--reliability x' '--seed 3' '-u softmax --seed 3'; do
		echo "$o"
		run -2 ds-run -m "$D/fit.dsm" $o "$S/pictures"
	done
	for o in temperature conformal:.1; do
		run -3 --separate-stderr ds-run -m "$S/digits.dsm" -u $o "$S/pictures"
		[[ $stderr == *'--fit-uncertainty'* ]]
	done
	run -3 ds-run -m "$S/digits.dsm" --fit-uncertainty "$S/pictures" -o none.dsm
	[ ! -e none.dsm ]
	run -2 ds-run -m "$D/fit.dsm" --uncertainty conformal:.1 -d "$TEST" --eval --reliability ''
}

@test "score reconstruction: pictures, arrays, tables column by column, whatever the model says of its output" {
	printf 'input image [N, 1, 28, 28] scale=1/255\nClip 0 0.5\noutput y\n' | ds-convert > half.dsm
	run -0 ds-run -m half.dsm --score reconstruction "$S"/pictures/a-*.png
	[ "${lines[0]}" = $'input\terror' ]
	awk -F'\t' '!($2 > 0 && $2 < .25) { exit 1 }' <<< "${lines[1]}"
	ds-run -m half.dsm --score reconstruction "$TEST" | awk -F'\t' 'NR > 1 { n++; sum += $2 } END { printf "%.9f\n", sum / n }' > want
	ds-run -m half.dsm --score reconstruction --eval -d "$TEST" > rows
	value mse < rows | awk '{ printf "%.9f\n", $1 }' > got
	same want got
	# class 0 against all others, the area by counting pairs
	gzip -dc "$S/test-labels-idx1-ubyte.gz" | tail -c +9 | od -An -v -tu1 -w1 > labels
	ds-run -m half.dsm --score reconstruction "$TEST" | tail -n +2 | cut -f 2 | paste - labels |
		awk '{ if ($2 > 0) y[++p] = $1; else x[++n] = $1 } END { for (i = 1; i <= n; i++) for (k = 1; k <= p; k++) a += y[k] > x[i] ? 1 : y[k] == x[i] ? .5 : 0; printf "%.9f\n", a / n / p }' > want
	value auc < rows | awk '{ printf "%.9f\n", $1 }' > got
	same want got
	awk -F'\t' '$1 == "auc" { exit !($3 < $2 && $2 < $4 && $5 > 1000 && $6 == 1500) }' rows
	printf 'a,b\n1,2\n3,-4\n-2,0\n' > t.csv
	printf 'input x [N, 2] kind=table columns=["a", "b"]\nRelu\noutput y\n' | ds-convert > t.dsm
	ds-run -m t.dsm --score reconstruction t.csv > rows
	[ "$(head -n 1 rows | rev | cut -f 1-3 | rev)" = $'error\terror_a\terror_b' ]
	[ "$(sed -n 3p rows | rev | cut -f 1-3 | rev)" = $'8\t0\t16' ]
	for axes in 'NTC:' 'NCT:Transpose [0, 2, 1] | '; do
		printf 'input x [N, %s] kind=table columns=["a", "b"] layout=%s window=3\nRelu\noutput y\n' "$([ ${axes%%:*} = NTC ] && echo '3, 2' || echo '2, 3')" ${axes%%:*} | ds-convert > w.dsm
		ds-run -m w.dsm --score reconstruction t.csv | sed -n 2p | rev | cut -f 1-2 | rev > got
		awk '{ exit !($1 > 1.33333 && $1 < 1.33334 && $2 > 5.33333 && $2 < 5.33334) }' got
	done
	run -4 ds-run -m "$D/fit.dsm" --score reconstruction "$TEST"
}

@test "score by what is said of the class: odd pictures are odder" {
	mkdir odd
	cp "$S"/pictures/*.png odd
	for p in rgb8 gray8 palette interlaced; do cp "$ROOT/test/corpus/png/$p.png" odd; done
	for p in odd/*.png; do
		case $p in */a-*|*/b-*|*-[0-9].png) printf '%s\t0\n' "${p##*/}" ;; *) printf '%s\t1\n' "${p##*/}" ;; esac
	done > truth
	ds-run -m "$D/fit.dsm" -u softmax odd > said
	for how in confidence:6 entropy:7 energy:8; do
		c=${how#*:} how=${how%:*}
		ds-run -m "$D/fit.dsm" --score $how odd > rows
		[ "$(head -n 1 rows)" = $'input\tscore' ]
		paste said rows | awk -F'\t' -v c=$c 'NR > 1 { v = c == 6 ? 1 - $c : $c; d = v - $10; if (d > 1e-5 || d < -1e-5) exit 1 }'
		ds-run -m "$D/fit.dsm" --score $how --eval --truth truth odd > rows
		awk -F'\t' '$1 == "auc" { found = $2 >= 0 && $2 <= 1 && $5 == 4 } END { exit !(found && NR == 2) }' rows
	done
	ds-run -m "$D/fit.dsm" --score entropy -u temperature odd | cut -f 2 > a
	ds-run -m "$D/fit.dsm" --score entropy odd | cut -f 2 > b
	run ! cmp -s a b
	ds-run -m "$D/drop.dsm" --score mutual-information -u mc:4 odd | awk -F'\t' 'NR > 1 && !($2 >= 0) { exit 1 }'
	for o in '--score mutual-information' '--score energy -u mc:3' '--score reconstruction -u softmax' '--score entropy --summary' '--score entropy --confusion --eval' '--score x'; do
		run -2 ds-run -m "$D/fit.dsm" $o odd
	done
}

@test "the anomaly score of a recording of a toy car is the published one" {
	asset models/toycar_autoencoder/model.onnx
	ds-convert "$ASSET" -o toy.dsm
	asset data/audio/toycar_normal_id_01_00000000_logmel.f32
	h="{'descr': '<f4', 'fortran_order': False, 'shape': (196, 640), }"
	{
		printf '\x93NUMPY\1\0\166\0%-117s\n' "$h"
		for i in $(seq 0 195); do dd if="$ASSET" bs=512 skip=$i count=5 status=none; done
	} > toy.npy
	ds-run -m toy.dsm --score reconstruction toy.npy | awk -F'\t' 'NR > 1 { n++; sum += $2 } END { exit !(n == 196 && sum / n > 9.706 && sum / n < 9.708) }'
}

@test "a real model: the calibration error falls and the coverage holds, before and after int8" {
	asset models/cifar10_resnet20/model.onnx
	ds-convert "$ASSET" --input-preset cifar10 -o f32.dsm
	asset data/cifar10_jpg/test.tar.gz
	tar xzf "$ASSET" --wildcards '*/00[0-9][0-9].jpg'
	mkdir fit test
	for d in cifar10/test/*; do
		mkdir -p "fit/${d##*/}" "test/${d##*/}"
		mv "$d"/*[02468].jpg "fit/${d##*/}"
		mv "$d"/*[13579].jpg "test/${d##*/}"
	done
	ds-quantize --bits w8a8 -c fit f32.dsm -o int8.dsm
	for m in f32 int8; do
		ds-run -m $m.dsm --fit-uncertainty -d fit -o s.dsm
		ds-run -m s.dsm --eval -d test > rows
		awk -F'\t' '{ v[$1] = $2; lo[$1] = $3; hi[$1] = $4 } END {
			exit !(v["temperature_ece"] < v["ece"] / 2 && v["temperature_nll"] < v["nll"] && v["coverage"] > lo["nominal_coverage"] - .02 &&
				v["coverage"] < hi["nominal_coverage"] + .02) }' rows
	done
}
