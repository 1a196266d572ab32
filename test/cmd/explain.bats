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

@test "a picture comes out; not on a terminal" {
	ds-explain -m $S/digits.dsm $S/pictures/a-is-9.png > why.png
	ds-explain -m $S/digits.dsm $S/pictures/a-is-9.png -o why2.png
	same why.png why2.png
	[ "$(head -c 8 why.png | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ]
	run -2 ds-explain -m $S/digits.dsm --fake-stdout-is-tty $S/pictures/a-is-9.png
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
