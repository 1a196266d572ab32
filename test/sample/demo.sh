#!/bin/sh
# demo.sh [OUT] - the pipeline on the shipped sample: sizes, accuracy before and after, where the results lie (out/demo).  B is the build directory.
set -eu
sample=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$sample/../.." && pwd)
build=$(cd "${B:-$root/build}" && pwd)
out=${1:-$root/out/demo}
mkdir -p "$out"
out=$(cd "$out" && pwd)
PATH=$build:$PATH
export PATH
calib=calib-images-idx3-ubyte.gz
test=$sample/test-images-idx3-ubyte.gz

step()
{
	printf '$ %s\n' "$*"
	sh -c "$*"
}

# name, file: bytes and top-1 accuracy with its interval
row()
{
	eval_tsv=$(ds-run -m "$2" --eval -d "$test")
	printf '%s\n' "$eval_tsv" | awk -F'\t' -v name="$1" -v bytes="$(wc -c < "$2")" -v full="$(wc -c < "$out/digits.dsm")" '
		$1 == "top1" { printf "%-24s %8d bytes %6.1f %%   top-1 %.2f %% (%.2f to %.2f)\n", name, bytes, 100 * bytes / full, 100 * $2, 100 * $3, 100 * $4 }'
}

cd "$sample"
step "ds-convert digits.onnx --input-color gray --input-scale 1/255 --input-mean .5 --input-std .5 --labels labels.txt -o $out/digits.dsm"
step "ds-prune --ratio .1 -c $calib $out/digits.dsm | ds-quantize --bits w8a8 -c $calib -o $out/small.dsm"
step "ds-prune --ratio .1 -c $calib $out/digits.dsm -o $out/pruned.dsm"
step "ds-quantize --bits w8a8 -c $calib $out/digits.dsm -o $out/int8.dsm"
step "ds-quantize --bits w4 --group 32 $out/digits.dsm -o $out/w4.dsm"
echo
row 'as trained' "$out/digits.dsm"
row '10 % pruned' "$out/pruned.dsm"
row '8 bit' "$out/int8.dsm"
row '4 bit weights' "$out/w4.dsm"
row '10 % pruned and 8 bit' "$out/small.dsm"
echo
step "ds-run -m $out/small.dsm pictures/a-*.png pictures/b-*.png pictures/c-*.png"
echo
echo "The models are in $out."
