#!/bin/sh
# demo.sh [OUT [MODEL]] - the whole way on the shipped sample: pictures are drawn, a network is trained on them (or MODEL is taken), made smaller in several ways,
# healed; sizes, accuracy before and after, where the results lie (out/demo).  B is the build directory.
set -eu
sample=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$sample/../.." && pwd)
build=$(cd "${B:-$root/build}" && pwd)
out=${1:-$root/out/demo}
mkdir -p "$out"
out=$(cd "$out" && pwd)
PATH=$build:$build/test/sample:$PATH
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
		$1 == "top1" { printf "%-26s %8d bytes %6.1f %%   top-1 %.2f %% (%.2f to %.2f)\n", name, bytes, 100 * bytes / full, 100 * $2, 100 * $3, 100 * $4 }'
}

[ $# -lt 2 ] || cp "$2" "$out/digits.dsm"
cd "$sample"
if [ $# -lt 2 ]; then
	step "draw train $out"
	step "ds-convert --seed 1 --labels labels.txt digits.spec |
	ds-train -d $out/train-images-idx3-ubyte -b 50 --epochs 8 --lr .1 --schedule onecycle -o $out/digits.dsm"
	if cmp -s digits.dsm "$out/digits.dsm"; then
		echo 'This is, byte for byte, the digits.dsm that lies beside the sample.'
	else
		echo 'This is not the digits.dsm that lies beside the sample: a compiler or processor that rounds otherwise.'
	fi
fi
step "ds-prune --ratio .3 -c $calib $out/digits.dsm -o $out/pruned.dsm"
step "ds-distill -t $out/digits.dsm -d $calib --alpha 1 --epochs 20 -b 25 --lr .02 $out/pruned.dsm -o $out/taught.dsm"
step "ds-quantize --bits w8a8 -c $calib $out/digits.dsm -o $out/int8.dsm"
step "ds-quantize --bits w4 --group 32 $out/digits.dsm -o $out/w4.dsm"
step "ds-quantize --bits w8a8 -c $calib $out/taught.dsm -o $out/small.dsm"
echo
row 'as trained' "$out/digits.dsm"
row '30 % pruned' "$out/pruned.dsm"
row '30 % pruned, taught' "$out/taught.dsm"
row '8 bit' "$out/int8.dsm"
row '4 bit weights' "$out/w4.dsm"
row '30 % pruned, taught, 8 bit' "$out/small.dsm"
echo
step "ds-run -m $out/small.dsm pictures/a-*.png pictures/b-*.png pictures/c-*.png"
echo
echo "The models are in $out."
