#!/usr/bin/env bats
# explain.bats - ds-explain: methods, classes, pictures, numbers, what it refuses

load common

S=$ROOT/test/sample

setup()
{
	cd "$BATS_TEST_TMPDIR"
	command -v ds-explain > /dev/null || skip 'ds-explain is not there'
}

@test "rows: columns, classes by number, name and rank, the same with json" {
	ds-explain -m $S/digits.dsm --tsv $S/pictures/a-*.png > rows
	head -n 1 rows | grep -q "^input	class	label	probability	score	method	layer	head	gap	runs	x	y$"
	[ "$(awk -F'\t' 'NR == 2 { print $2, $3 }' rows)" = "9 nine" ]
	[ "$(ds-explain -m $S/digits.dsm --tsv --class 3 --class nine --class 9 $S/pictures/a-*.png | tail -n +2 | cut -f 2 | tr '\n' ' ')" = "3 9 " ]
	[ "$(ds-explain -m $S/digits.dsm --tsv --top 3 $S/pictures/a-*.png | wc -l)" -eq 4 ]
	ds-explain -m $S/digits.dsm --json $S/pictures/a-*.png | grep -q '^{"input":".*a-is-9.png","class":9,"label":"nine",'
}

@test "classes that there are none of, methods that there are none of: exit 2" {
	for args in '--class 10' '--class=-1' '--class eleven' '--method nothing' '--colors none' '--raw npy --tsv' '--view pair --raw npy' '--steps=-1'; do
		echo "$args"
		run -2 ds-explain -m $S/digits.dsm $args $S/pictures/a-is-9.png
	done
	run -2 ds-explain -m $S/digits.dsm
	[[ $output == *'nothing to explain'* ]]
	ds-explain --method=help | grep -q '^saliency '
}

@test "a picture comes out; a terminal gets characters, or refuses what is forced on it" {
	ds-explain -m $S/digits.dsm $S/pictures/a-is-9.png > why.png
	ds-explain -m $S/digits.dsm $S/pictures/a-is-9.png -o why2.png
	same why.png why2.png
	[ "$(head -c 8 why.png | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ]
	run -2 ds-explain -m $S/digits.dsm --to png --fake-stdout-is-tty $S/pictures/a-is-9.png
	ds-explain -m $S/digits.dsm --fake-stdout-is-tty $S/pictures/a-is-9.png > shown
	ds-explain -m $S/digits.dsm --to text $S/pictures/a-is-9.png > text
	same shown text
	[ "$(wc -l < text)" -eq 29 ]
	head -n 1 text | grep -q '^a-is-9.png: nine 1, gradcam of '
	ds-explain -m $S/digits.dsm --to text --color=always $S/pictures/a-is-9.png | grep -q $'^\e\\[38;2;[0-9;]*m\xe2\x96\x80'
	! ds-explain -m $S/digits.dsm --to text --method integrated-gradients $S/pictures/a-is-9.png | grep -q $'\e'
}

@test "the same bytes for any threads, batch and path of the model" {
	for m in gradcam gradcam++ 'integrated-gradients --steps 20' 'occlusion --patch 4' 'smoothgrad --samples 9' saliency gradient-input; do
		ds-explain -m $S/digits.dsm -j 1 -b 1 --method $m --raw npy $S/pictures > a.npy
		ds-explain -j 2 -b 7 --method $m --raw npy $S/pictures < $S/digits.dsm > b.npy
		same a.npy b.npy
	done
}

@test "a bad picture among good ones is one line and exit 5; alone 3, and no file" {
	printf 'nonsense' > bad.png
	run -5 --separate-stderr ds-explain -m $S/digits.dsm --tsv bad.png $S/pictures/a-is-9.png
	[ "${#lines[@]}" -eq 2 ]
	[ "$(wc -l <<< "$stderr")" -eq 1 ]
	run -3 ds-explain -m $S/digits.dsm bad.png -o none.png
	[ ! -e none.png ]
	run -5 ds-explain -m $S/digits.dsm bad.png $S/pictures/a-is-9.png -o one.png
	[ -s one.png ]
}

@test "--class=true takes labels" {
	[ "$(ds-explain -m $S/digits.dsm --tsv --class true -d $S/test-images-idx3-ubyte.gz | sed -n '2,4p' | cut -f 2 | tr '\n' ' ')" = \
		"$(gzip -dc $S/test-labels-idx1-ubyte.gz | od -An -tu1 -j 8 -N 3 | tr -s ' ' | sed 's/^ //') " ]
	run -3 ds-explain -m $S/digits.dsm --tsv --class true $S/pictures/a-is-9.png
}

# Width and height of a PNG file.
size()
{
	od -An -tu1 -j16 -N8 "$1" | awk '{ print $3 * 256 + $4, $7 * 256 + $8 }'
}

@test "views, zoom, columns, the original picture" {
	[ "$(ds-explain -m $S/digits.dsm $S/pictures/a-is-9.png --view heat --zoom 1 > a.png; size a.png)" = "44 $((28 + 52 + 8 + 12 + 2 + 10 + 8))" ]
	ds-explain -m $S/digits.dsm $S/pictures/a-is-9.png > pair.png
	[ "$(size pair.png | cut -d' ' -f 1)" -eq $((2 * 224 + 24)) ]
	ds-explain -m $S/digits.dsm $S/pictures/*-is-1.png --columns 3 > page.png
	[ "$(size page.png | cut -d' ' -f 1)" -eq $((3 * (2 * 224 + 24))) ]
	# 84 x 84 pixels, of which the network sees all
	printf 'input x [N, 3, 16, 16] scale=1/255 resize="short-side" resize_to=16 crop="center"\nConv 4 | Relu\nGlobalAveragePool | Flatten | Gemm 3\noutput y values=logits\n' | ds-convert > net.dsm
	ds-explain -m net.dsm $S/pictures/a-is-9.png --view overlay --on original --zoom 1 > o.png
	[ "$(size o.png | cut -d' ' -f 1)" -eq $((84 + 16)) ]
	run -3 ds-explain -m $S/digits.dsm --on original "$S/test-images-idx3-ubyte.gz[0]" -o none.png
	[ ! -e none.png ]
}

@test "numbers: shapes, several maps, a stream" {
	shape() { head -c 128 "$1" | grep -ao "'shape': ([0-9, ]*)"; }
	ds-explain -m $S/digits.dsm --method saliency --raw npy $S/pictures/a-is-9.png > a.npy
	[ "$(shape a.npy)" = "'shape': (28, 28,)" ]
	ds-explain -m $S/digits.dsm --method integrated-gradients --top 3 --raw npy $S/pictures/a-is-9.png > b.npy
	[ "$(shape b.npy)" = "'shape': (3, 1, 28, 28,)" ]
	ds-explain -m $S/digits.dsm --method gradcam --raw dsm $S/pictures/[ab]-*.png > m.dsm
	[ "$(grep -ao 'gradcam/[0-9]' m.dsm | sort -u | tr '\n' ' ')" = "gradcam/1 gradcam/9 " ]
}

@test "integrated gradients: the gap is what was asked for, and printed; steps are obeyed" {
	ds-explain -m $S/digits.dsm --method integrated-gradients --tsv $S/pictures > rows
	awk -F'\t' 'NR > 1 && !($9 <= .01) { exit 1 }' rows
	[ "$(ds-explain -m $S/digits.dsm --method integrated-gradients --steps 5 --tsv $S/pictures/a-is-9.png | tail -n 1 | cut -f 10)" -eq 7 ]
}

@test "baselines: words, a file, what is none" {
	for b in zero mean blur; do
		ds-explain -m $S/digits.dsm --method occlusion --patch 7 --stride 7 --baseline $b --raw npy $S/pictures/a-is-9.png > $b.npy
	done
	! cmp -s zero.npy mean.npy
	! cmp -s mean.npy blur.npy
	# the map of zeros: the same as the word zero
	{ printf '\223NUMPY\1\0\166\0'; printf '%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 28, 28), }"; head -c 3136 /dev/zero; } > base.npy
	ds-explain -m $S/digits.dsm --method occlusion --patch 7 --stride 7 --baseline base.npy --raw npy $S/pictures/a-is-9.png > file.npy
	same zero.npy file.npy
	ds-explain -m $S/digits.dsm --method occlusion --patch 7 --raw npy --top 2 $S/pictures/a-is-9.png > two.npy
	run -2 ds-explain -m $S/digits.dsm --method occlusion --baseline two.npy --raw npy $S/pictures/a-is-9.png
	run -1 ds-explain -m $S/digits.dsm --method occlusion --baseline nowhere --raw npy $S/pictures/a-is-9.png
	printf 'junk' > junk.npy
	run -3 ds-explain -m $S/digits.dsm --method occlusion --baseline junk.npy --raw npy $S/pictures/a-is-9.png
}

@test "compressed models: pruned, weights in 8 bits, integer kernels" {
	ds-prune --ratio .3 $S/digits.dsm > pruned.dsm
	ds-quantize --bits w8 $S/digits.dsm > w8.dsm
	ds-quantize --bits w8a8 -c $S/calib-images-idx3-ubyte.gz $S/digits.dsm > w8a8.dsm
	for m in gradcam 'integrated-gradients --steps 16' 'occlusion --patch 7' saliency; do
		for f in pruned w8 w8a8; do
			echo "$f $m"
			ds-explain -m $f.dsm --method $m --tsv $S/pictures/[ab]-*.png > rows
			[ "$(wc -l < rows)" -eq 3 ]
			ds-explain -m $f.dsm --method $m --raw npy $S/pictures/a-is-9.png | tail -c +129 | od -An -v -tf4 | grep -q '[1-9]'
		done
	done
	# the map of the 8-bit model is that of the model it was made of, nearly: its largest place is the same or near
	a=$(ds-explain -m $S/digits.dsm --method gradcam --raw npy $S/pictures/a-is-9.png | tail -c +129 | od -An -v -w4 -tf4)
	b=$(ds-explain -m w8a8.dsm --method gradcam --raw npy $S/pictures/a-is-9.png | tail -c +129 | od -An -v -w4 -tf4)
	paste <(printf '%s\n' "$a") <(printf '%s\n' "$b") | awk '{ n++; x += $1; y += $2; xx += $1 * $1; yy += $2 * $2; xy += $1 * $2 }
		END { r = (xy - x * y / n) / sqrt((xx - x * x / n) * (yy - y * y / n)); print r; exit !(r > .95) }'
}

@test "real classifiers: photographs of the assets" {
	asset data/photos/crops224
	local A=${ASSET%/data/*}
	ds-convert $A/models/squeezenet1.1/model.onnx --input-preset imagenet --labels $A/data/photos/synset_words.txt -o sq.dsm
	ds-explain -m sq.dsm --tsv $ASSET/n02417914_ibex.png > rows
	grep -q 'ibex' rows
	ds-explain -m sq.dsm --method integrated-gradients --max-gap .02 --tsv $ASSET/n02417914_ibex.png | awk -F'\t' 'NR == 2 && !($9 <= .02) { exit 1 }'
	asset models/resnet8_cifar10_int8_qdq/model.onnx
	ds-convert $ASSET --input-preset raw -o q.dsm
	ds-explain -m q.dsm --method saliency --raw npy $A/data/photos/crops224/n02417914_ibex.png | tail -c +129 | od -An -v -tf4 | grep -q '[1-9]'
}
