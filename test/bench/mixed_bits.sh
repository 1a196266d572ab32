#!/bin/sh
# mixed_bits.sh - a sensitivity plan against one width for all layers, at equal bytes: cifar10_resnet20, weights only
#
# The plan is made with training pictures (ds-profile --sensitivity quantize --budget), the models are measured on the 10,000 test pictures, which nothing was chosen by, and
# compared picture by picture (ds-run --compare).  DS_ASSETS is the folder with the data, B the build directory, OUT where models go (out/mixed), CIFAR a folder with train/ and
# test/ if they are unpacked already.  Rows are appended to results.tsv beside this script: what, setting, seed, figure, value, control, command.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
B=$(cd "${B:-$root/build}" && pwd)
PATH=$B:$PATH
A=${DS_ASSETS:-$root/../shared/assets}
OUT=${OUT:-$root/out/mixed}
RESULTS=${RESULTS:-$here/results.tsv}
mkdir -p "$OUT"
C=${CIFAR:-$OUT/cifar10}
[ -d "$C/train" ] || for p in train test; do tar xzf "$A/data/cifar10_jpg/$p.tar.gz" -C "$OUT"; done
N=${SAMPLES:-512}
M=$OUT/resnet20.dsm
[ -s "$M" ] || ds-convert "$A/models/cifar10_resnet20/model.onnx" --input-preset cifar10 -o "$M"

top1()
{
	ds-run -m "$1" --eval -d "$C/test" --tsv | awk '$1 == "top1" { printf "%.2f [%.2f, %.2f]", 100 * $2, 100 * $3, 100 * $4 }'
}

full=$(top1 "$M")
for w in ${BITS:-w4 w3}; do
	ds-quantize --bits $w "$M" -f -o "$OUT/$w.dsm"
	# the same bytes, or fewer: the plan's file holds its plan
	ds-profile --sensitivity quantize --budget "$(stat -c %s "$OUT/$w.dsm")" --max-samples "$N" -m "$M" "$C/train" -v > "$OUT/$w.plan" 2> "$OUT/$w.log"
	ds-quantize --plan "$OUT/$w.plan" "$M" -f -o "$OUT/$w-plan.dsm"
	uniform=$(top1 "$OUT/$w.dsm")
	plan=$(top1 "$OUT/$w-plan.dsm")
	ds-run -m "$OUT/$w-plan.dsm" --compare "$OUT/$w.dsm" --tsv -d "$C/test" > "$OUT/$w.compare"
	diff=$(awk '$1 == "drop" { printf "%+.2f [%+.2f, %+.2f]", -100 * $2, -100 * $4, -100 * $3 }' "$OUT/$w.compare")
	printf 'mixed bits, weights only\tcifar10_resnet20, bytes of uniform %s\t-\ttop1 of 10,000 test pictures (JPEG)\t%s, %s bytes\tuniform %s: %s, %s bytes; paired difference %s points; f32 %s\t%s\n' \
		"$w" "$plan" "$(stat -c %s "$OUT/$w-plan.dsm")" "$w" "$uniform" "$(stat -c %s "$OUT/$w.dsm")" "$diff" "$full" "mixed_bits.sh (SAMPLES=$N)" >> "$RESULTS"
	tail -n 1 "$RESULTS"
done
