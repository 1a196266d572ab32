# info.bats - ds-info: every kind of stream, from files and pipes, sound and damaged
load common

setup_file()
{
	mkdir -p "$BATS_FILE_TMPDIR/i"
	"$B/test/fault/corrupt" --write "$BATS_FILE_TMPDIR/i"
}

setup()
{
	cd "$BATS_FILE_TMPDIR/i" || return 1
}

@test "the summary of every kind, the same from a file and from a pipe" {
	for f in *.dsm; do
		ds-info "$f" | grep -v '^payload' > a
		cat "$f" | ds-info | grep -v '^payload' > b
		cmp a b
		grep -q '^kind ' a
		grep -q '^identity ' a
	done
}

@test "payloads are said to be verified only when they were" {
	ds-info model.dsm | grep -q '^payload *not verified'
	ds-info --verify model.dsm | grep -q '^payload *verified'
	cat model.dsm | ds-info | grep -q '^payload *verified'
}

@test "a damaged payload: the walk does not see it in a mapping, --verify does" {
	cp model.dsm bad.dsm
	off=$(grep -abo TRLR model.dsm | tail -n 2 | head -n 1 | cut -d: -f1)
	printf '\377' | dd of=bad.dsm bs=1 seek=$((off - 60)) conv=notrunc status=none
	ds-info bad.dsm > /dev/null
	run -3 ds-info --verify bad.dsm
	[[ "$output" == *"bad.dsm:@"*"record "*"TNSR"*"checksum mismatch"* ]]
	run -3 bash -c 'cat bad.dsm | ds-info'
	rm bad.dsm
}

@test "of a stream that is cut, what came before the cut is shown" {
	run -3 --separate-stderr bash -c 'head -c 3000 model.dsm | ds-info'
	[[ "$output" == *"Gemm 1"* ]]
	[[ "$stderr" == *truncated* ]]
}

@test "--tensors, --graph and --history as TSV and JSON Lines" {
	[ "$(ds-info --tensors --tsv quantised.dsm | awk -F'\t' 'NF != 5 { exit 1 } END { print NR }')" = 7 ]
	ds-info --tensors --tsv quantised.dsm | grep -q '^w0	i8 symmetric row	\[3, 40\]	256'
	[ "$(ds-info --graph --json model.dsm | grep -c '^{"depth":')" = 11 ]
	ds-info --history --tsv statistics.dsm | grep -q '^1	tool	ds-profile 0.1.0$'
}

@test "--diff: nothing to say about the same content, exit 6 about another" {
	run -0 --separate-stderr ds-info --diff model.dsm model-zstd.dsm
	[ -z "$output" ]
	run -6 ds-info --diff statistics.dsm checkpoint.dsm
	[[ "$output" == *"statistics -> checkpoint"* || "$output" == *"checkpoint -> statistics"* ]]
}

@test "--at names record, part and element, counting as cmp does or as messages do" {
	[[ "$(ds-info --at 1 model.dsm)" == *signature* ]]
	[[ "$(ds-info --at @64 model.dsm)" == 'record 0 (META): header, byte 0' ]]
	cp statistics.dsm other.dsm
	off=$(LC_ALL=C grep -abo a.min statistics.dsm | cut -d: -f1)
	at=$(( (off / 64 + 1) * 64 + 9 ))
	printf '\001' | dd of=other.dsm bs=1 seek=$at conv=notrunc status=none
	n=$(cmp statistics.dsm other.dsm | sed 's/.* \(byte\|char\) \([0-9]*\),.*/\2/')     # the word depends on the locale
	[[ "$(ds-info --at "$n" statistics.dsm)" == *'"a.min"'*'payload, byte 9, element 1 [1], its byte 1' ]]
	run -3 ds-info --at 99999999 model.dsm
	run -2 ds-info --at x model.dsm
}

@test "what is not a stream is named" {
	run -3 bash -c ': | ds-info'
	[[ "$output" == *"empty input - did the previous command fail?"* ]]
	run -3 bash -c 'echo "<!DOCTYPE html>" | ds-info'
	[[ "$output" == *HTML* ]]
	run -3 bash -c 'sed "s/\r$//" model.dsm | ds-info'
	[[ "$output" == *"text mode"* ]]
	run -3 bash -c 'gzip -c model.dsm | ds-info'
	[[ "$output" == *"gzip -dc"* ]]
	run -3 bash -c 'cat model.dsm model.dsm | ds-info'
	[[ "$output" == *"after the end"* ]]
}

@test "split and cat give the stream back; a missing piece is refused" {
	split -b 1000 model.dsm p.
	cat p.?? | ds-info --verify > /dev/null
	rm p.ab
	run -3 bash -c 'cat p.?? | ds-info --verify'
	rm p.??
}

@test "file(1) knows a stream and a damaged one" {
	command -v file > /dev/null || skip 'file is not there'
	[[ "$(file -m "$ROOT/man/magic" model.dsm)" == *'DSM neural-network tensor stream, version 1'* ]]
	sed 's/\r$//' model.dsm > lf.dsm
	[[ "$(file -m "$ROOT/man/magic" lf.dsm)" == *DAMAGED* ]]
	rm lf.dsm
}

# a model that a description, pruning by a plan and rounding made, and its Makefile
replayed()
{
	cd "$BATS_TEST_TMPDIR"
	S=$ROOT/test/sample C=$ROOT/test/sample/calib-images-idx3-ubyte.gz
	ds-convert --seed 3 --labels "$S/labels.txt" "$S/digits.spec" -o new.dsm
	ds-prune --ratio .3 --dry-run new.dsm > plan.tsv
	ds-prune --plan plan.tsv -c "$C" --samples 40 new.dsm | ds-quantize --bits w8 -o small.dsm
	ds-info --replay small.dsm > replay.mk
}

@test "--replay: a Makefile that makes the same bytes again" {
	replayed
	make -s -f replay.mk LABELS_1="$S/labels.txt" MODEL_1="$S/digits.spec" PLAN_2=plan.tsv CALIBRATION_2="$C"
	cmp replay/3.dsm small.dsm
}

@test "--replay: a file that is missing, another one, other samples" {
	replayed
	run -2 make -s -f replay.mk MODEL_1="$S/digits.spec"
	[[ "$output" == *"LABELS_1=FILE"* ]]
	run -2 make -s -f replay.mk MODEL_1="$S/labels.txt" LABELS_1="$S/labels.txt"
	[[ "$output" == *FAILED* ]]
	run -2 make -s -f replay.mk LABELS_1="$S/labels.txt" MODEL_1="$S/digits.spec" PLAN_2=plan.tsv CALIBRATION_2="$S/test-images-idx3-ubyte.gz"
	[[ "$output" == *"replay/2.dsm is "*", not "* ]]
	[ ! -e replay/2.dsm ]
}

@test "--replay: what stands in a record is text for make and the shell" {
	cd "$BATS_TEST_TMPDIR"
	ds-convert --seed 3 "$ROOT/test/sample/digits.spec" | ds-prune --only "[b'\$(touch pwned)\`touch pwned\`]lock1*" -o small.dsm
	ds-info --replay small.dsm > replay.mk
	make -s -f replay.mk MODEL_1="$ROOT/test/sample/digits.spec"
	cmp replay/2.dsm small.dsm
	[ ! -e pwned ]
	ds-convert --no-history --seed 3 "$ROOT/test/sample/digits.spec" | ds-quantize --bits w8 -o rest.dsm
	ds-info --replay rest.dsm > rest.mk
	ds-convert --no-history --seed 3 "$ROOT/test/sample/digits.spec" -o in.dsm
	make -s -f rest.mk OUT=rest INPUT=in.dsm
	cmp rest/1.dsm rest.dsm
	run -3 bash -c 'ds-info --replay in.dsm'
	[[ "$output" == *"no history"* ]]
	run -2 bash -c 'ds-info --replay --history in.dsm'
}

@test "--diff sees numbers inside the graph" {
	cd "$BATS_TEST_TMPDIR"
	S=$ROOT/test/sample
	for n in 40 60; do
		ds-quantize --bits w8a8 --no-history --no-bias-correction --max-samples "$n" -c "$S/calib-images-idx3-ubyte.gz" --range minmax "$S/digits.dsm" -o "$n.dsm"
	done
	run -6 ds-info --diff 60.dsm --tsv 40.dsm
	[[ "$output" == *"constant "*"f32"* ]]
}
