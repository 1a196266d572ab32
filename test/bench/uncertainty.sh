#!/bin/sh
# uncertainty.sh - how well calibrated models are before and after fitting, before and after quantisation; do prediction sets hold; do ensembles know what they do not know
#
#   uncertainty.sh ITEM ...         ITEM: cifar overfit ensemble nab
#
# DS_ASSETS is the folder with the data, B the build directory, OUT where models go (out/uncertainty).  Rows are appended to results.tsv beside this script.  Each test set
# is cut into halves at random, once: one to fit to, one to measure on.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
B=$(cd "${B:-$root/build}" && pwd)
PATH=$B:$PATH
OUT=${OUT:-$root/out/uncertainty}
RESULTS=${RESULTS:-$here/results.tsv}
A=${DS_ASSETS:-$root/../shared/assets}
specs=$root/cmd/specs
mkdir -p "$OUT"
cd "$OUT"
[ -s "$RESULTS" ] || printf 'what\tsetting\tseed\tfigure\tvalue\tcontrol\tcommand\n' > "$RESULTS"
F=$A/data/fashion_mnist
M=$A/data/mnist

# what setting seed figure value control command
row() { printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$@" | tee -a "$RESULTS"; }
have() { [ -s "$1" ]; }
# metric file: value, value [low, high]
of() { awk -F'\t' -v m="$1" '$1 == m { printf "%.4f", $2; exit }' "$2"; }
span() { awk -F'\t' -v m="$1" '$1 == m { printf "%.4f [%.4f, %.4f]", $2, $3, $4; exit }' "$2"; }

# Lists of paths and labels, every sample of a shuffled one in one of two halves: halves NAME < list
halves()
{
	awk -v seed=1 'BEGIN { srand(seed) } { print rand() "\t" $0 }' | sort -g | cut -f 2- > all.tsv
	n=$(wc -l < all.tsv)
	head -n $((n / 2)) all.tsv | sort > "$1-fit.tsv"
	tail -n +$((n / 2 + 1)) all.tsv | sort > "$1-test.tsv"
}

# Calibration and coverage of a model that keeps its fit: figures WHAT SETTING SEED MODEL DATA
figures()
{
	ds-run -m "$4" -u temperature --eval -d "$5" > t.tsv 2> /dev/null
	cmd="ds-run -m MODEL -u temperature --eval -d TEST"
	row "$1" "$2" "$3" 'ece at temperature T' "$(span temperature_ece t.tsv) T=$(ds-info "$4" | awk '$1 == "uncertainty.temperature" { printf "%.3f", $2 }')" \
		"without: $(span ece t.tsv)" "$cmd"
	row "$1" "$2" "$3" 'adaptive ece, nll, brier at T' "$(of temperature_adaptive_ece t.tsv) $(of temperature_nll t.tsv) $(of temperature_brier t.tsv)" \
		"without: $(of adaptive_ece t.tsv) $(of nll t.tsv) $(of brier t.tsv); top1 $(of top1 t.tsv)" "$cmd"
	for set in 0.1:lac 0.1:aps 0.1:raps 0.05:lac 0.01:lac; do
		ds-run -m "$4" -u conformal:$set --eval -d "$5" > c.tsv 2> /dev/null
		row "$1" "$2" "$3" "coverage, $set" "$(span coverage c.tsv)" "size $(of set_size c.tsv)" "ds-run -m MODEL -u conformal:$set --eval -d TEST"
	done
}

# A model before and after int8, with the fit of the former kept and with one of its own: both WHAT SEED MODEL CALIBRATION FIT TEST
both()
{
	ds-run -m "$3" --fit-uncertainty -d "$5" -f -o fit.dsm
	figures "$1" f32 "$2" fit.dsm "$6"
	ds-quantize --bits w8a8 -c "$4" fit.dsm -f -o kept.dsm
	figures "$1" 'int8, fit of f32 kept' "$2" kept.dsm "$6"
	ds-run -m kept.dsm --fit-uncertainty -d "$5" -f -o fit8.dsm
	figures "$1" 'int8, fitted again' "$2" fit8.dsm "$6"
}


cifar()
{
	[ -d cifar10/test ] || tar xzf "$A/data/cifar10_jpg/test.tar.gz"
	find "$PWD/cifar10/test" -name '*.jpg' | awk -F/ '{ print $0 "\t" $(NF - 1) }' | LC_ALL=C sort |
		awk -F'\t' '!($2 in n) { n[$2] = k++ } { print $1 "\t" n[$2] }' | halves cifar
	for net in cifar10_resnet20 cifar10_resnet56; do
		ds-convert "$A/models/$net/model.onnx" --input-preset cifar10 -f -o $net.dsm
		cut -f 1 cifar-fit.tsv | awk 'NR % 10 == 1' > calib.txt
		mkdir -p calib && while read -r f; do ln -sf "$f" "calib/$(echo "$f" | tr / _)"; done < calib.txt
		both "uncertainty $net, CIFAR-10 (JPEG)" - $net.dsm calib cifar-fit.tsv cifar-test.tsv
	done
}

# The first half of the test set to fit to, the second to measure on: its order is random already.
T1="$F/t10k-images-idx3-ubyte.gz[:5000]" T2="$F/t10k-images-idx3-ubyte.gz[5000:]"

overfit()
{
	for seed in 0 1 2; do
		have over-$seed.dsm || ds-convert --seed $seed "$specs/resnet8.spec" | ds-train -d "$F/train-images-idx3-ubyte.gz[0:10000]" --epochs 16 --batch 128 --lr .1 --seed $seed -f -o over-$seed.dsm
		both "uncertainty resnet8 overfitted, Fashion-MNIST" $seed over-$seed.dsm "$F/train-images-idx3-ubyte.gz[0:512]" "$T1" "$T2"
	done
}

# Five small nets with dropout that differ in their seed only: one of them, its passes, all five.  The odd pictures are MNIST's digits.
ensemble()
{
	printf 'name small\ninput image [N, 1, 28, 28] scale=1/255 mean=0.2860 std=0.3530\nConv 16 strides=2 | BatchNormalization | Relu\nConv 32 strides=2 | BatchNormalization | Relu\n'\
'Flatten | Dropout 0.25 | Gemm 64 | Relu | Dropout 0.25 | Gemm 10\noutput scores values=logits\n' > small.spec
	all=
	for seed in 0 1 2 3 4; do
		have small-$seed.dsm || ds-convert --seed $seed small.spec | ds-train -d "$F/train-images-idx3-ubyte.gz[0:10000]" --epochs 12 --batch 128 --lr .05 --seed $seed -f -o small-$seed.dsm
		all=$all,small-$seed.dsm
	done
	{
		printf "\\223NUMPY\\1\\0\\166\\0%-117s\\n" "{'descr': '|u1', 'fortran_order': False, 'shape': (20000,), }"
		head -c 10000 /dev/zero
		head -c 10000 /dev/zero | tr '\0' '\1'
	} > odd.npy
	for seed in 0 1 2 3 4; do
		know one $seed small-$seed.dsm softmax nll
		know 'mc:20' $seed small-$seed.dsm mc:20 mc_nll
	done
	know 'ensemble of 5' 0-4 small-0.dsm "ensemble:${all#,small-0.dsm,}" ensemble_nll
}

# know SETTING SEED MODEL HOW METRIC: likelihood on the test set, and how well entropy tells its pictures from digits
know()
{
	what='uncertainty small CNN, Fashion-MNIST'
	ds-run -m "$3" -u "$4" --eval -d "$F/t10k-images-idx3-ubyte.gz" > k.tsv
	row "$what" "$1" "$2" "$5" "$(span "$5" k.tsv)" "top1 $(of top1 k.tsv), ece $(of "${5%nll}ece" k.tsv)" "ds-run -m MODEL -u $4 --eval -d TEST"
	other=mutual-information
	[ "$4" != softmax ] || other=energy
	for score in entropy $other; do
		ds-run -m "$3" -u "$4" --score $score --eval --truth odd.npy "$F/t10k-images-idx3-ubyte.gz" "$M/t10k-images-idx3-ubyte.gz" > k.tsv
		row "$what" "$1" "$2" "auc of $score, digits among clothes" "$(span auc k.tsv)" - "ds-run -m MODEL -u $4 --score $score --eval --truth odd.npy CLOTHES DIGITS"
	done
}

# The error of an autoencoder that has seen the beginning of a series; a window is odd if its last row lies in a labelled span.
nab()
{
	for name in ambient_temperature_system_failure machine_temperature_system_failure; do
		spans=$(awk -v n="/$name.csv\"" 'index($0, n) { on = 1; next } on && /": \[/ { exit }
			on && match($0, /"[-0-9: ]+/) { printf "%s%s", sep, substr($0, RSTART + 1, 19); sep = ";" }' "$A/data/series/nab/combined_windows.json")
		awk -F, -v spans="$spans" 'BEGIN { n = split(spans, t, ";"); print "value,anomaly" }
			NR > 1 { hit = 0; for (i = 1; i < n; i += 2) hit = hit || ($1 >= t[i] && $1 <= t[i + 1]); print $2 "," hit }' "$A/data/series/nab/$name.csv" > nab.csv
		ds-convert --columns value --target anomaly --seed 0 "$specs/conv-autoencoder.spec" |
			ds-train -d 'nab.csv[:30%]' --target input --optimizer adamw --lr .002 --epochs 3 --batch 64 --seed 0 -f -o nab.dsm
		ds-run -m nab.dsm --score reconstruction --eval -d 'nab.csv[30%:]' > k.tsv
		row "anomalies $name" conv-autoencoder 0 auc "$(span auc k.tsv)" 'chance: 0.5' \
			"ds-train -d 'nab.csv[:30%]' --target input --epochs 3 ...; ds-run --score reconstruction --eval -d 'nab.csv[30%:]'"
	done
}

for item; do
	$item
done
