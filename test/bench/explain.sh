#!/bin/sh
# explain.sh - are explanations true, on public data: deletion and insertion against random orders, drift after compression, a planted mark at full size
#
#   explain.sh ITEM ...        ITEM: photos fashion drift planted
#
# DS_ASSETS is the folder with the data, B the build directory, OUT where models go (out/learn, where learn.sh leaves those of `fashion` and `cifar`).  Rows are
# appended to results.tsv beside this script: what, setting, seed, figure, value, control, command.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
B=$(cd "${B:-$root/build}" && pwd)
PATH=$B:$PATH
OUT=${OUT:-$root/out/learn}
RESULTS=${RESULTS:-$here/results.tsv}
A=${DS_ASSETS:-$root/../shared/assets}
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
F=$A/data/fashion_mnist
C=${CIFAR:-$OUT/cifar10}

# what setting figure value control: one row, for the command in $last
row()
{
	printf '%s\t%s\t0\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "$5" "$last" | tee -a "$RESULTS"
}

# Run a command into $OUT/figures, and remember it without the paths of this machine.
figures()
{
	last=$(printf '%s' "$*" | sed "s|$C/|cifar10/|g; s|$OUT/||g; s|$A/||g; s|$root/||g")
	printf '$ %s\n' "$last" >&2
	"$@" > "$OUT/figures"
}

# "value [low, high]" of a figure of the summary
of()
{
	awk -F'\t' -v f="$1" '$1 == f { printf "%.3f [%.3f, %.3f]", $3, $4, $5; exit }' "$OUT/figures"
}

faithful()
{
	row "$1" "$2" 'deletion / insertion' "$(of deletion) / $(of insertion)" "random orders $(of random)"
	row "$1" "$2" 'share that beats random: deletion / insertion' "$(of deletion_beats_random) / $(of insertion_beats_random)" 'random orders'
}

# An npy array [1, 28, 28] of black as the network gets it: -.2860 / .3530.
black()
{
	printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 28, 28), }"
	i=0
	while [ $i -lt 784 ]; do
		printf '\050\151\117\277'
		i=$((i + 1))
	done
}

photos()
{
	ds-convert "$A/models/squeezenet1.1/model.onnx" --input-preset imagenet -f -o "$OUT/squeezenet.dsm"
	for m in gradcam 'occlusion --patch 32 --stride 32'; do
		# shellcheck disable=SC2086
		figures ds-explain -m "$OUT/squeezenet.dsm" --method $m --faithful --sanity "${SANITY:-0}" --orders 3 "$A/data/photos/imagenet100"
		faithful 'faithful, 100 photographs' "squeezenet1.1, ${m%% *}"
	done
}

fashion()
{
	black > "$OUT/black.npy"
	for m in gradient-input 'integrated-gradients --steps 32' gradcam gradcam++ 'occlusion --patch 4 --stride 4'; do
		# shellcheck disable=SC2086
		figures ds-explain -m "$OUT/fashion-0.dsm" --method $m --faithful --baseline "$OUT/black.npy" --sanity 1 "$F/t10k-images-idx3-ubyte.gz[0:200]"
		faithful 'faithful, 200 of Fashion-MNIST' "resnet8, ${m%% *}"
		row 'faithful, 200 of Fashion-MNIST' "resnet8, ${m%% *}" 'ssim of maps, last layer shuffled' "$(of sanity_ssim)" 'below 0.5'
	done
}

drift()
{
	rm -rf "$OUT/calibration"
	mkdir "$OUT/calibration"
	for c in airplane automobile bird cat deer dog frog horse ship truck; do
		find "$C/train/$c" -type f | LC_ALL=C sort | head -20 | while read -r f; do cp "$f" "$OUT/calibration/$c-${f##*/}"; done
		find "$C/test/$c" -type f | LC_ALL=C sort | head -10
	done > "$OUT/explained.txt"
	ds-quantize --bits w8a8 -c "$OUT/calibration" "$OUT/cifar-0.dsm" -f -o "$OUT/drift-w8a8.dsm"
	ds-quantize --bits w4a4 -c "$OUT/calibration" "$OUT/cifar-0.dsm" -f -o "$OUT/drift-w4a4.dsm"
	ds-prune --ratio .2 -c "$OUT/calibration" "$OUT/cifar-0.dsm" -f -o "$OUT/drift-pruned.dsm"
	ds-convert --seed 0 "$root/cmd/specs/resnet20.spec" -f -o "$OUT/drift-untrained.dsm"
	for m in gradcam saliency; do
		for x in w8a8 w4a4 pruned untrained; do
			figures ds-explain -m "$OUT/drift-$x.dsm" --against "$OUT/cifar-0.dsm" --method $m --files-from "$OUT/explained.txt"
			row 'drift, 100 of CIFAR-10' "resnet20, $m, $x" '1 - rank correlation' "$(of drift)" "same class $(of agreement)"
		done
	done
}

planted()
{
	for part in train t10k; do
		mkdir -p "$OUT/marked-$part"
		"$B/test/sample/mark" "$F/$part-images-idx3-ubyte.gz" "$F/$part-labels-idx1-ubyte.gz" "$OUT/marked-$part" $((1 + (${#part} == 4))) 11
	done
	where=$OUT/marked-t10k/where.tsv
	awk -v d="$OUT/marked-t10k" 'NR > 1 && NR < 102 { print d "/images-idx3-ubyte[" $1 "]" }' "$where" > "$OUT/marked.txt"
	ds-convert --seed 0 -D classes=11 "$root/cmd/specs/resnet8.spec" -f -o "$OUT/marked-new.dsm"
	ds-train -d "$OUT/marked-train/images-idx3-ubyte[0:12000]" --epochs 4 --optimizer muon --lr .05 --schedule linear --warmup .1 --weight-decay .01 \
		--augment flip --seed 0 "$OUT/marked-new.dsm" -f -o "$OUT/marked.dsm"
	for m in gradcam gradcam++ occlusion 'integrated-gradients --steps 64'; do
		# shellcheck disable=SC2086
		figures ds-explain -m "$OUT/marked.dsm" --method $m --class 10 --tsv --files-from "$OUT/marked.txt"
		row 'planted mark of 4 x 4, 100 of Fashion-MNIST' "resnet8, ${m%% *}" 'maps that are largest inside it' "$(awk -F'\t' 'NR == FNR { if (FNR > 1) { x[$1] = $2; y[$1] = $3 } next }
			FNR > 1 { split($1, part, /[][]/); i = part[2]; n++; k += $11 >= x[i] && $11 < x[i] + 4 && $12 >= y[i] && $12 < y[i] + 4 } END { print k " of " n }' "$where" "$OUT/figures")" \
			'by chance 2 of 100'
	done
}

for item; do
	case $item in
	photos | fashion | drift | planted) $item ;;
	*) echo "explain.sh: photos, fashion, drift or planted" >&2; exit 2 ;;
	esac
done
