#!/usr/bin/env bats
# docs.bats - every example runs: --help, the EXAMPLES of the manual pages, the README (B56)

load common

# A folder with everything that examples speak of: model.onnx, model.dsm, photo.png, photos/, pictures/, calib/, train/, test/, heldout/ (a directory per class), labels.txt, network.spec, net.spec,
# detector.dsm and meeting.wav, forecaster.dsm and load.csv, stages.tsv
setup_file()
{
	load common
	S=$ROOT/test/sample
	mkdir -p "$D/docs"
	command -v ds-convert > /dev/null || return 0
	cd "$D/docs"
	cp "$S/labels.txt" .
	cp "$S/digits.dsm" model.dsm
	ds-quantize --bits w8 model.dsm -o small.dsm
	for m in teacher student cut; do cp model.dsm $m.dsm; done
	cp "$ROOT/test/corpus/onnx/rgb224.onnx" model.onnx
	printf 'param width = 8\ninput x [N, 4]\nGemm width | Relu\nGemm 3\noutput scores values=logits\n' > network.spec
	cp "$S"/pictures/a-*.png photo.png
	for d in photos pictures calib; do cp -r "$S/pictures" $d; done
	for p in "$S"/pictures/*.png; do
		class=$(sed -n "$((${p: -5:1} + 1))p" labels.txt)
		mkdir -p "test/$class"
		cp "$p" "test/$class"
	done
	cp -r test train
	cp -r test heldout
	printf 'input x [N, 1, 16] kind=sound window=16 hop=16 rate=8000\nReduceMean 2 keepdims=0 | Sigmoid\noutput y values=probabilities\n' | ds-convert > detector.dsm
	cp "$ROOT/test/corpus/sound/pcm16.wav" meeting.wav
	printf 'input x [N, 96, 1] kind=table columns=["load"]\nFlatten | Gemm 24\noutput y values=numbers columns=["load"] horizon=24\n' | ds-convert > forecaster.dsm
	ds-quantize --bits w8 model.dsm > int8.dsm
	ds-quantize --bits w4 model.dsm > int4.dsm
	cp -r photos day1
	cp -r photos day2
	printf 'epochs\tlr\n1\t0.05\n1\t0.01\n' > stages.tsv
	{ echo hour,load; seq 900 | sed 's/.*/&,&/'; } > load.csv
	printf 'input image [N, 1, 28, 28] scale=1/255 mean=0.5 std=0.5\nconv = Conv 8 strides=2 | Relu\nFlatten | Gemm 10\noutput scores values=logits\n' > net.spec
}

setup()
{
	command -v ds-convert > /dev/null || skip 'ds-convert is not there'
}

# Is RC what the example LINE may give?
fine()
{
	if [ "$1" -eq 0 ]; then return 0; fi
	if [ "$1" -eq 6 ] && [[ $2 == *--max-drop* || $2 == *--max-drift* || $2 == *--assert* || $2 == *--diff* || $2 == *--target-latency* ]]; then return 0; fi
	return 1
}

# Run each line of standard input in a fresh copy of the folder; 0 and 6 (a check that says no) are both what an example may give.
run_lines()
{
	local line n=0 rc
	while IFS= read -r line; do
		cp -r "$D/docs/." "$BATS_TEST_TMPDIR/"
		echo "\$ $line"
		rc=0
		(cd "$BATS_TEST_TMPDIR" && bash -o pipefail -c "$line" > /dev/null < /dev/null) || rc=$?
		fine $rc "$line"
		n=$((n + 1))
	done
	echo "$n examples"
	[ $n -gt 0 ]
}

@test "examples of --help" {
	for f in $FILTERS; do
		[ $f != ds-skeleton ] || continue
		run_lines < <($f --docs=help | sed -n '/^Examples:/,/^$/s/^  \$ //p')
	done
}

# Examples of pages; those of one page may build on each other: one folder for all of them.
run_pages()
{
	for page; do
		sed -n 's/^\(\.Dl \)\{0,1\}\$ //p' "$page" > "$BATS_TEST_TMPDIR/lines"
		sed -i 's/\\-/-/g' "$BATS_TEST_TMPDIR/lines"
		cp -r "$D/docs/." "$BATS_TEST_TMPDIR/"
		while IFS= read -r line; do
			echo "${page##*/}: $line"
			rc=0
			(cd "$BATS_TEST_TMPDIR" && bash -o pipefail -c "$line" > /dev/null < /dev/null) || rc=$?
			fine $rc "$line"
		done < "$BATS_TEST_TMPDIR/lines"
		[ -s "$BATS_TEST_TMPDIR/lines" ]
	done
}

@test "examples of the manual pages: ds-convert to ds-info" {
	run_pages "$ROOT"/man/ds-[a-i]*.1
}

@test "examples of the manual pages: ds-profile" {
	run_pages "$ROOT"/man/ds-profile.1
}

@test "examples of the manual pages: the others" {
	run_pages "$ROOT"/man/ds-prune.1 "$ROOT"/man/ds-[q-z]*.1
}

@test "the README's lines run in test/sample, in their order" {
	cp -r "$ROOT/test/sample/." "$BATS_TEST_TMPDIR/"
	cd "$BATS_TEST_TMPDIR"
	sed -n '/^```console/,/^```/s/^\$ //p' "$ROOT/README.md" > lines
	[ "$(wc -l < lines)" -ge 7 ]
	while IFS= read -r line; do
		echo "$line"
		bash -o pipefail -c "$line" > out < /dev/null
		[[ $line != ds-info* ]] || grep -q '^history.*ds-convert.*ds-train.*ds-prune.*ds-distill.*ds-quantize' out
	done < lines
	grep -q '^ds-info' lines
}

@test "the table of the demo in the README is what the demo prints" {
	[ -z "$SAN" ] || skip 'too slow under sanitizers'
	B=$B sh "$ROOT/test/sample/demo.sh" "$BATS_TEST_TMPDIR/demo" "$ROOT/test/sample/digits.dsm" > "$BATS_TEST_TMPDIR/out"
	sed -n 's/^    \(.* bytes .* top-1 .*\)/\1/p' "$ROOT/README.md" > "$BATS_TEST_TMPDIR/want"
	grep ' bytes .* top-1 ' "$BATS_TEST_TMPDIR/out" > "$BATS_TEST_TMPDIR/have"
	[ "$(wc -l < "$BATS_TEST_TMPDIR/want")" -eq 6 ]
	diff "$BATS_TEST_TMPDIR/want" "$BATS_TEST_TMPDIR/have"
}

@test "the sample's pictures and its model are what draw.c and ds-train make" {
	[ -z "$SAN" ] || skip 'too slow under sanitizers'
	S=$ROOT/test/sample
	cd "$BATS_TEST_TMPDIR"
	for set in calib test train pictures; do
		"$B/test/sample/draw" $set .
	done
	for f in calib-images-idx3 calib-labels-idx1 test-images-idx3 test-labels-idx1; do
		gzip -dc $f-ubyte.gz | cmp - <(gzip -dc "$S/$f-ubyte.gz")
	done
	for p in "$S"/pictures/*.png; do
		[ "$(ds-run -m "$S/digits.dsm" --json "${p##*/}" | sed 's/^{"input":"[^"]*"//')" = "$(ds-run -m "$S/digits.dsm" --json "$p" | sed 's/^{"input":"[^"]*"//')" ]
	done
	ds-convert --seed 1 --labels "$S/labels.txt" "$S/digits.spec" | ds-train -d train-images-idx3-ubyte -b 50 --epochs 8 --lr .1 --schedule onecycle -o digits.dsm
	# other architectures may round otherwise; what was done with which samples is the same everywhere
	cmp digits.dsm "$S/digits.dsm" || [ "$(uname -m)" != x86_64 ]
	cmp <(ds-info --history digits.dsm) <(ds-info --history "$S/digits.dsm")
}
