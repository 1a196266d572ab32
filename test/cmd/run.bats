#!/usr/bin/env bats
# run.bats - ds-run: what goes in, what comes out, what happens when some of it is bad

load common

setup_file()
{
	load common
	mkdir -p "$D"
	command -v ds-convert > /dev/null || return 0
	printf 'ant\nbee\ncat\ndog\nemu\n' > "$D/names"
	ds-convert "$ROOT/test/corpus/onnx/cnn.onnx" --input-preset unit --labels "$D/names" -o "$D/m.dsm"
	ds-convert "$ROOT/test/corpus/onnx/cnn.onnx" -o "$D/bare.dsm"
	mkdir -p "$D/c/ant" "$D/c/cat"
	cp "$ROOT"/test/corpus/png/{rgb8,rgba8,gray8}.png "$D/c/ant"
	cp "$ROOT"/test/corpus/png/{palette,interlaced}.png "$D/c/cat"
}

setup()
{
	command -v ds-convert > /dev/null || skip 'ds-convert is not there'
	cd "$BATS_TEST_TMPDIR"
	P=$ROOT/test/corpus/png
}

@test "rows: header, one row per sample, label names, the columns of JSON" {
	ds-run -m "$D/m.dsm" "$P/rgb8.png" "$P/gray16.png" > rows
	[ "$(head -n 1 rows)" = $'input\trank\tindex\tlabel\tprobability' ]
	[ "$(wc -l < rows)" -eq 3 ]
	awk -F'\t' 'NF != 5 { exit 1 } NR > 1 && ($2 != 1 || !($5 > 0.2 && $5 <= 1)) { exit 1 }' rows
	grep -q "rgb8.png"$'\t'"1"$'\t[0-4]\t\(ant\|bee\|cat\|dog\|emu\)\t' rows
	ds-run -m "$D/m.dsm" --json "$P/rgb8.png" | grep -q '^{"input":".*rgb8.png","rank":1,"index":[0-4],"label":"[a-z]*","probability":0[.0-9]*}$'
}

@test "top K: ranks in falling probability that sum to one" {
	ds-run -m "$D/m.dsm" --top 9 "$P/rgb8.png" > rows
	[ "$(wc -l < rows)" -eq 6 ]
	awk -F'\t' 'NR == 1 { next } $2 != NR - 1 || (NR > 2 && $5 > last) { exit 1 } { last = $5; sum += $5 } END { exit !(sum > .9999 && sum < 1.0001) }' rows
}

@test "labels from a file stand in for those of the model" {
	printf '%s\n' v w x y z > names
	ds-run -m "$D/m.dsm" --labels names "$P/rgb8.png" | cut -f4 | tail -n 1 | grep -q '^[v-z]$'
	printf '%s\n' v w > names
	run -0 --separate-stderr ds-run -m "$D/m.dsm" --labels names "$P/rgb8.png"
	[[ $stderr == *'2 labels for 5 classes'* ]]
}

@test "the same bytes for any -j, -b, pipe or file, and in input order" {
	ds-run -m "$D/m.dsm" --top 5 -j 1 -b 1 "$P"/[g-r]*.png "$D/c" > want 2> /dev/null || [ $? -eq 5 ]
	for o in '-j 4' '-b 3' '-j 3 -b 100' '--no-mmap'; do
		ds-run -m "$D/m.dsm" --top 5 $o "$P"/[g-r]*.png "$D/c" > got 2> /dev/null || [ $? -eq 5 ]
		same want got
	done
	ds-run --top 5 "$P"/[g-r]*.png "$D/c" < "$D/m.dsm" > got 2> /dev/null || [ $? -eq 5 ]
	same want got
	cat "$D/m.dsm" | ds-run --top 5 "$P"/[g-r]*.png "$D/c" > got 2> /dev/null || [ $? -eq 5 ]
	same want got
}

@test "a tensor stream as samples gives what the same array gives, also when freed memory is overwritten" {
	local idx="$ROOT/test/sample/calib-images-idx3-ubyte.gz" head='{"input":{"dtype":"U8","shape":[500,28,28],"data_offsets":[0,392000]}}'
	cp "$ROOT/test/sample/digits.dsm" .
	{
		printf "\\x$(printf %02x ${#head})\\0\\0\\0\\0\\0\\0\\0%s" "$head"
		gzip -dc "$idx" | tail -c +17
	} > s.safetensors
	ds-convert s.safetensors -o s.dsm
	ds-run -m digits.dsm "$idx" | cut -f2- > want
	MALLOC_PERTURB_=165 ds-run -m digits.dsm s.dsm | cut -f2- > got
	same want got
	MALLOC_PERTURB_=165 ds-run -m digits.dsm --compare digits.dsm s.dsm > rows
	grep -q '^agreement	1	' rows
	grep -q '^max_difference	0	' rows
}

@test "what a sample gets does not depend on -b where dim 0 is no batch" {
	for net in centred recurrent; do
		ds-convert "$ROOT/test/corpus/onnx/$net.onnx" -o m.dsm
		ds-run -m m.dsm -b 1 "$ROOT/test/sample/calib-images-idx3-ubyte.gz" > want
		for b in 0 2 7; do
			ds-run -m m.dsm -b $b "$ROOT/test/sample/calib-images-idx3-ubyte.gz" > got
			same want got
		done
	done
}

@test "directories: recursive, sorted by bytes, dot files and texts passed over" {
	mkdir -p d/b d/B
	cp "$P/rgb8.png" d/b/x.png
	cp "$P/rgb8.png" d/B/x.png
	cp "$P/rgb8.png" d/a.png
	cp "$P/rgb8.png" d/.hidden.png
	echo text > d/README.txt
	ds-run -m "$D/m.dsm" d | cut -f1 | tail -n +2 > got
	printf '%s\n' d/B/x.png d/a.png d/b/x.png > want
	same want got
}

@test "names from a list, also with newline, tab and a dash in front" {
	cp "$P/rgb8.png" $'a\nb.png'
	cp "$P/rgb8.png" $'c\td.png'
	cp "$P/rgb8.png" ./-q.png
	cp "$P/rgb8.png" $'\e[31mx.png'
	find . -name '*.png' -print0 | LC_ALL=C sort -z > list
	ds-run -m "$D/m.dsm" -0 --files-from list > rows
	[ "$(wc -l < rows)" -eq 5 ]
	awk -F'\t' 'NF != 5 { exit 1 }' rows
	grep -qF './a\nb.png' rows
	grep -qF './c\td.png' rows
	run ! grep -q $'\e' rows
	ds-run -m "$D/m.dsm" -- -q.png > one
	[ "$(wc -l < one)" -eq 2 ]
}

@test "an empty list is success and a header" {
	run -0 bash -c 'ds-run -m "$1" --files-from - < /dev/null' . "$D/m.dsm"
	[ "$output" = $'input\trank\tindex\tlabel\tprobability' ]
}

@test "bad files: one line each, the others as if scored alone, exit 5" {
	mkdir many
	for i in $(seq 100 159); do
		cp "$P/rgb8.png" many/$i.png
	done
	ds-run -m "$D/m.dsm" many > want
	: > many/100-empty.png
	head -c 100 "$P/rgb8.png" > many/110-cut.png
	cp "$P/rgb8.png" many/120-crc.png
	printf 'X' | dd of=many/120-crc.png bs=1 seek=60 conv=notrunc status=none
	head -c 300 /dev/zero > many/130-type.png
	cp "$P/huge.png" many/140-huge.png
	ln -s nowhere many/150-link.png
	mkfifo many/155-fifo.png
	cp "$D/m.dsm" many/156-model.dsm
	run -5 --separate-stderr ds-run -m "$D/m.dsm" -o got many nosuch.png
	same want got
	[ "${#stderr_lines[@]}" -eq 9 ]
	for n in 100-empty 110-cut 120-crc 130-type 140-huge 150-link 155-fifo 156-model nosuch; do
		[ "$(grep -c "$n" <<< "$stderr")" -eq 1 ]
	done
}

@test "all bad: exit 3; the number of failures can be limited" {
	run -3 ds-run -m "$D/m.dsm" nosuch.png "$ROOT/LICENSE"
	run -5 --separate-stderr ds-run -m "$D/m.dsm" --max-errors 1 "$P/rgb8.png" x1 x2 x3 "$P/rgb8.png"
	[ "$(wc -l <<< "$output")" -eq 2 ]
	[[ $stderr == *'stopped after 2 failed samples'* ]]
}

@test "a picture for a model without preprocessing: exit 2, and what to do" {
	run -2 --separate-stderr ds-run -m "$D/bare.dsm" "$P/rgb8.png"
	[[ $stderr == *--input-preset* ]]
}

@test "usage: found before anything is read" {
	run -2 ds-run -m "$D/m.dsm"
	run -2 ds-run -m "$D/m.dsm" --confusion x.png
	run -2 ds-run -m "$D/m.dsm" --max-drop .1 x.png
	run -2 ds-run -m "$D/m.dsm" --tensors --eval x.png
	run -2 ds-run -m "$D/m.dsm" --input nosuch=x.npy
	run -2 ds-run - < "$D/m.dsm"
	run -2 ds-run -m "$D/m.dsm" --top 0 x.png
}

@test "failure of an earlier stage arrives at the end" {
	run -3 bash -c ': | ds-run "$1"' . "$P/rgb8.png"
	run -3 bash -c 'head -c 700 "$2" | ds-run "$1"' . "$P/rgb8.png" "$D/m.dsm"
}

@test "tensor streams: same bytes for any batch, read back as samples, inner values by name" {
	ds-run -m "$D/m.dsm" --tensors -b 1 "$D/c" > a.dsm
	ds-run -m "$D/m.dsm" --tensors -b 4 -j 3 "$D/c" > b.dsm
	same a.dsm b.dsm
	ds-run -m "$D/m.dsm" --tensors=y "$D/c" > b.dsm
	same a.dsm b.dsm
	ds-run -m "$D/m.dsm" '--tensors=*' "$P/rgb8.png" > all.dsm
	ds-run -m "$D/m.dsm" --tensors "$P/rgb8.png" > one.dsm
	[ "$(stat -c %s all.dsm)" -gt "$(stat -c %s one.dsm)" ]
	run -2 ds-run -m "$D/m.dsm" --tensors=nosuch "$P/rgb8.png"
	run -2 ds-run -m "$D/m.dsm" --tensors --fake-stdout-is-tty "$P/rgb8.png"
	run -3 --separate-stderr ds-run -m "$D/m.dsm" all.dsm
	[[ $stderr == *'wants [?, 3, 8, 8]'* ]]
}

@test "arrays: raw floats by name and as operand give the same" {
	head -c 1536 /dev/zero > z.raw
	ds-run -m "$D/bare.dsm" z.raw > a
	[ "$(cut -f1 a | tail -n +2 | tr '\n' ' ')" = 'z.raw[0] z.raw[1] ' ]
	ds-run -m "$D/bare.dsm" --input x=z.raw > b
	same a b
	ds-run -m "$D/bare.dsm" - < /dev/null > b 2> err || [ $? -eq 3 ]
	grep -q 'empty file' err
}

@test "accuracy: directory per class, list, labels file; confusion sums to the items" {
	ds-run -m "$D/m.dsm" "$D/c" | tail -n +2 > rows
	want=$(awk -F'\t' '($1 ~ /\/ant\// && $4 == "ant") || ($1 ~ /\/cat\// && $4 == "cat") { n++ } END { print n + 0 }' rows)
	ds-run -m "$D/m.dsm" --eval -d "$D/c" > eval
	[ "$(head -n 1 eval)" = $'metric\tvalue\tlow\thigh\tcount\ttotal\toutput\tinput' ]
	[ "$(awk -F'\t' '$1 == "top1" { print $5, $6 }' eval)" = "$want 5" ]
	[ "$(awk -F'\t' '$1 == "top5" { print $5 }' eval)" = 5 ]
	awk -F'\t' '$1 == "top1" { exit !($3 <= $2 && $2 <= $4) }' eval
	(cd "$D/c" && ls ant/* cat/*) | awk '{ split($1, p, "/"); print $1 "\t" p[1] }' > "$D/c/list.tsv"
	ds-run -m "$D/m.dsm" --eval -d "$D/c/list.tsv" > list
	same eval list
	ds-run -m "$D/m.dsm" --eval --truth "$D/c/list.tsv" "$D"/c/ant/* "$D"/c/cat/* > truth
	same eval truth
	run -3 ds-run -m "$D/m.dsm" --eval "$P/rgb8.png"
	ds-run -m "$D/m.dsm" --eval --confusion -d "$D/c" > conf
	[ "$(sed '1,/^$/d' conf | awk -F'\t' 'NR > 1 { n += $5 } END { print n }')" = 5 ]
}

@test "comparison: a model agrees with itself; the bound of the interval fails a small sample" {
	ds-run -m "$D/m.dsm" --compare "$D/m.dsm" -d "$D/c" > cmp
	[ "$(awk -F'\t' '$1 == "agreement" { print $2, $5, $6 }' cmp)" = '1 5 5' ]
	[ "$(awk -F'\t' '$1 == "max_difference" { print $2, $7 }' cmp)" = '0 y' ]
	[ "$(awk -F'\t' '$1 == "mcnemar_p" { print $2 }' cmp)" = 1 ]
	run -6 --separate-stderr ds-run -m "$D/m.dsm" --compare "$D/m.dsm" -o out --max-drop 0.01 "$D/c"
	[ -s out ]
	ds-run -m "$D/m.dsm" --compare "$D/m.dsm" --max-drop 0.9 "$D/c" > cmp
	run ! grep -q mcnemar cmp
}

@test "the report has a line for every sample and one at the end" {
	run -5 ds-run -m "$D/m.dsm" --report rep -d "$D/c" nosuch.png
	[ "$(grep -c '"event":"item"' rep)" -eq 5 ]
	[ "$(grep -c '"event":"error"' rep)" -eq 1 ]
	tail -n 1 rep | grep -q '"event":"end","items":6,"failed":1'
}

@test "progress on request, nothing on stderr otherwise" {
	run -0 --separate-stderr ds-run -m "$D/m.dsm" "$P/rgb8.png"
	[ -z "$stderr" ]
	ds-run -m "$D/m.dsm" --progress=always "$D/c" > /dev/null 2> err
	grep -q $'\r' err
}

@test "squeezenet on photographs: the accuracy and the best five that are on record" {
	asset data/photos/imagenet100
	photos=$ASSET
	asset models/squeezenet1.1/model.onnx
	ds-convert "$ASSET" --input-preset imagenet > sq.dsm
	ds-run -m sq.dsm --eval -d "$photos/reference.tsv" > eval
	[ "$(awk -F'\t' '{ print $5 }' eval | tr '\n' ' ')" = 'count 63 86 ' ]
	ds-run -m sq.dsm --top 5 "$photos" | awk -F'\t' 'NR > 1 { sub(/.*\//, "", $1); if ($1 != f) { if (f) print f "\t" v; f = $1; v = $3 } else v = v " " $3 }
		END { print f "\t" v }' > got
	tail -n +2 "$photos/reference.tsv" | cut -f1,7 | LC_ALL=C sort > want
	LC_ALL=C sort got -o got
	same want got
}
