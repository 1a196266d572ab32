# explain_faithful.bats - ds-explain --faithful, --against: rows, summaries, the picture, the check; the same bytes whatever the batch
load common

setup_file()
{
	fixtures
	cp "$ROOT/test/sample/digits.dsm" "$D/m.dsm"
	gzip -dc "$ROOT/test/sample/test-images-idx3-ubyte.gz" > "$D/x.idx"
	ds-quantize -m "$D/m.dsm" --bits w8 -o "$D/w8.dsm"
	ds-quantize -m "$D/m.dsm" --bits w2 -o "$D/w2.dsm"
}

# figure FILE NAME COLUMN: a number of the summary
figure()
{
	awk -F'\t' -v f="$2" -v c="$3" '$1 == f { print $c; exit }' "$1"
}

@test "faithful: a row for each map and a summary; gains are differences of the columns" {
	cd "$D"
	ds-explain -m m.dsm --method saliency --faithful --sanity 2 'x.idx[0:20]' > out
	[ "$(head -1 out)" = "$(printf 'input\tclass\tlabel\tprobability\tblank\tdeletion\tinsertion\trandom\tdeletion_gain\tinsertion_gain')" ]
	awk -F'\t' 'function off(a, b) { return a - b > 1e-9 || b - a > 1e-9 }
		/^$/ { exit } NR > 1 { if (NF != 10 || off($8 - $6, $9) || off($7 - $8, $10)) bad = 1; n++; d += $6 } END { exit bad || n != 20 }' out
	[ "$(figure out deletion 7)" = 20 ]
	[ "$(grep -c '^sanity_ssim	' out)" = 2 ]
	[ "$(grep -c '^sanity_rank	' out)" = 2 ]
	awk -F'\t' 'f && NF != 7 { exit 1 } /^figure/ { f = 1 }' out
	# the mean of the column is the figure
	mean=$(awk -F'\t' '/^$/ { exit } NR > 1 { d += $6; n++ } END { printf "%.12g", d / n }' out)
	awk -v a="$mean" -v b="$(figure out deletion 3)" 'BEGIN { exit a - b > 1e-9 || b - a > 1e-9 }'
	# what lies below has forgotten more, and the top layer is enough to change the map
	awk -v a="$(grep '^sanity_ssim' out | head -1 | cut -f3)" 'BEGIN { exit !(a < .5) }'
}

@test "faithful: the same bytes for any batch and threads; another seed has other orders" {
	cd "$D"
	ds-explain -m m.dsm --method saliency --faithful --sanity 1 -b 1 -j 1 'x.idx[0:4]' > one
	ds-explain -m m.dsm --method saliency --faithful --sanity 1 -b 7 -j 2 'x.idx[0:4]' > seven
	cmp one seven
	ds-explain -m m.dsm --method saliency --faithful --sanity 1 --seed 5 'x.idx[0:4]' > other
	! cmp -s one other
	[ "$(sed -n 2p one | cut -f6)" = "$(sed -n 2p other | cut -f6)" ]
}

@test "faithful: JSON has the same numbers; without random orders there is nothing to beat" {
	cd "$D"
	ds-explain -m m.dsm --method saliency --faithful --json --sanity 1 'x.idx[0:3]' > out.json
	[ "$(grep -c '"insertion_gain":' out.json)" = 3 ]
	[ "$(grep -c '"figure":' out.json)" = 10 ]
	if command -v jq > /dev/null; then
		jq -e . out.json > /dev/null
	fi
	ds-explain -m m.dsm --method saliency --faithful --orders 0 --sanity 0 'x.idx[0:3]' > out
	[ "$(sed -n 2p out | cut -f8-10)" = "$(printf '\t\t')" ]
	! grep -q beat out
	grep -q '^insertion	' out
}

@test "faithful: the picture of the curves is a PNG of its own, written at the end or not at all" {
	cd "$D"
	ds-explain -m m.dsm --method saliency --faithful --sanity 0 --curves c.png 'x.idx[0:3]' > /dev/null
	[ "$(head -c 8 c.png | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ]
	run -1 ds-explain -m m.dsm --method saliency --faithful --sanity 0 --curves missing/c.png 'x.idx[0:3]'
}

@test "against: a model has the reasons it has; a coarser copy drifts more; the check is exit 6 and all is printed" {
	cd "$D"
	ds-explain -m m.dsm --method saliency --against m.dsm --max-drift 0 'x.idx[0:20]' > self
	[ "$(figure self rank 3)" = 1 ]
	[ "$(figure self drift 5)" = 0 ]
	[ "$(figure self agreement 3)" = 1 ]
	ds-explain -m w8.dsm --method saliency --against m.dsm 'x.idx[0:20]' > w8
	ds-explain -m w2.dsm --method saliency --against m.dsm 'x.idx[0:20]' > w2
	awk -v a="$(figure w8 drift 3)" -v b="$(figure w2 drift 3)" 'BEGIN { exit !(0 < a && a < b) }'
	[ "$(head -1 w8)" = "$(printf 'input\tclass\tlabel\tprobability\tprediction\tagainst_prediction\tagainst_probability\trank\toverlap\tssim')" ]
	awk -F'\t' '/^$/ { exit } NF != 10 { exit 1 }' w8
	run --separate-stderr -6 ds-explain -m w2.dsm --method saliency --against m.dsm --max-drift 0.0001 'x.idx[0:20]'
	[[ $stderr == *'may have drifted by'*'more than 0.0001'* ]]
	[[ $output == "$(cat w2)" ]]
	# judged by the end of the interval, not by the mean
	high=$(figure w2 drift 5) mean=$(figure w2 drift 3)
	ds-explain -m w2.dsm --method saliency --against m.dsm --max-drift "$(awk -v h="$high" 'BEGIN { print h + 1e-4 }')" 'x.idx[0:20]' > /dev/null
	run -6 ds-explain -m w2.dsm --method saliency --against m.dsm --max-drift "$(awk -v h="$high" -v m="$mean" 'BEGIN { print (h + m) / 2 }')" 'x.idx[0:20]'
}

@test "against: another model than a copy is an input that does not fit; the rest of the line is checked first" {
	cd "$D"
	run -3 ds-explain -m m.dsm --method saliency --against x.idx 'x.idx[0:2]'
	run -1 ds-explain -m m.dsm --method saliency --against missing.dsm 'x.idx[0:2]'
	run -2 ds-explain -m m.dsm --against m.dsm --faithful 'x.idx[0:2]'
	run -2 ds-explain -m m.dsm --max-drift .1 'x.idx[0:2]'
	run -2 ds-explain -m m.dsm --against m.dsm --max-drift 3 'x.idx[0:2]'
	run -2 ds-explain -m m.dsm --against - --files-from - 'x.idx[0:2]'
	run -2 ds-explain -m m.dsm --curves c.png 'x.idx[0:2]'
	run -2 ds-explain -m m.dsm --grid 3 'x.idx[0:2]'
	run -2 ds-explain -m m.dsm --faithful --raw npy 'x.idx[0:2]'
	run -2 ds-explain -m m.dsm --faithful --orders -1 'x.idx[0:2]'
	run -3 ds-explain -m m.dsm --method saliency --faithful --grid 1 'x.idx[0:2]'
}

@test "one pipe: the failures of an evaluation are explained" {
	cd "$D"
	cp "$ROOT/test/sample/test-images-idx3-ubyte.gz" "$ROOT/test/sample/test-labels-idx1-ubyte.gz" .
	bash -c 'set -o pipefail; ds-run -m w2.dsm --eval --failures - -d test-images-idx3-ubyte.gz | tee wrong.tsv |
		ds-explain -m w2.dsm --method saliency --tsv --class top --class true --files-from - > rows'
	n=$(($(wc -l < wrong.tsv) - 1))
	[ "$n" -gt 5 ]
	[ "$(($(wc -l < rows) - 1))" = $((2 * n)) ]
	# the first class of each is what the model says, the second is the label
	awk -F'\t' 'NR == FNR { if (FNR > 1) { says[$1] = $3; is[$1] = $2 } next } FNR > 1 { k = seen[$1]++; if ($2 != (k ? is[$1] : says[$1])) exit 1 }' wrong.tsv rows
}
