#!/usr/bin/env bats
# profile_error.bats - ds-profile: where error goes - statistics, comparison with a reference, sensitivity and plans

load common

setup_file()
{
	load common
	fixtures
	export DS_THREADS=1
}

setup()
{
	command -v ds-profile > /dev/null || skip 'ds-profile is not there'
	cd "$BATS_TEST_TMPDIR"
	S=$ROOT/test/sample
	M=$S/digits.dsm
	C=$S/calib-images-idx3-ubyte.gz
}

# ---- statistics ---------------------------------------------------------------------------------------------------------------------
@test "--stats: ds-quantize makes of them what it makes of the samples, byte by byte" {
	ds-profile --stats -m "$M" "$C" -o st.dsm
	for words in '--bits w8a8' '--bits w4a4 --keep block1*=f32 --range kl' '--bits w2a8 --no-bias-correction' '--qat --bits w4a4'; do
		ds-quantize $words -c "$C" "$M" -o a.dsm
		ds-quantize $words -c st.dsm "$M" -o b.dsm
		cmp a.dsm b.dsm
	done
	# pairs of inputs and outputs around a plan
	ds-quantize --bits w4a8 --dry-run "$M" > plan
	ds-quantize --plan plan -c st.dsm "$M" -o b.dsm
	ds-quantize --plan plan -c "$C" "$M" -o a.dsm
	cmp a.dsm b.dsm
}

@test "--stats: the same bytes for any threads, order and division of the samples" {
	ds-profile --stats -m "$M" "$C" -o all.dsm
	ds-profile --stats -j 3 -m "$M" "$C" | cmp - all.dsm
	for part in 0:100 100:101 101:; do
		ds-profile --stats -m "$M" "$C[$part]" -o "part${part%:*}.dsm"
	done
	ds-profile --stats --merge part100.dsm part0.dsm part101.dsm -o sum.dsm
	cmp all.dsm sum.dsm
	# a file alone is copied as it is
	ds-profile --stats --merge sum.dsm | cmp - all.dsm
	ds-info all.dsm | grep -q '^statistics.samples *500$'
	# memory does not grow with the number of samples
	[ "$(stat -c %s all.dsm)" -le $(($(stat -c %s part0.dsm) * 5 / 4)) ]
}

@test "--stats: equalisation is looked behind; what cannot be merged is said" {
	ds-convert "$ROOT/test/corpus/onnx/cnn.onnx" --input-preset unit -o c.dsm
	mkdir p
	cp "$ROOT"/test/corpus/png/{rgb8,rgba8,gray8}.png p
	ds-profile --stats --equalize yes -m c.dsm p -o even.dsm
	ds-quantize --bits w8a8 --equalize yes -c even.dsm c.dsm -o a.dsm
	ds-quantize --bits w8a8 --equalize yes -c p c.dsm -o b.dsm
	cmp a.dsm b.dsm
	ds-quantize --bits w8a8 --equalize no -c even.dsm c.dsm -o a.dsm
	ds-quantize --bits w8a8 --equalize no -c p c.dsm -o b.dsm
	cmp a.dsm b.dsm
	run --separate-stderr ds-profile --stats --merge even.dsm even.dsm -o two.dsm
	[ "$status" -eq 0 ]
	[[ $stderr == *'cannot be added up'* ]]
	run -3 ds-quantize --bits w8a8 --equalize yes -c two.dsm c.dsm -o x.dsm
	[[ $output == *'without equalisation'* ]]
	ds-quantize --bits w8a8 -c two.dsm c.dsm -o x.dsm
}

@test "--stats: another model's, damaged or other files are refused" {
	ds-profile --stats -m "$M" "$C[:20]" -o st.dsm
	ds-quantize --bits w8 "$M" -o other.dsm
	run -3 ds-quantize --bits w8a8 -c st.dsm other.dsm -o x.dsm
	[[ $output == *'statistics of another model'* ]]
	ds-profile --stats -m other.dsm "$C[:20]" -o st2.dsm
	run -3 ds-profile --stats --merge st.dsm st2.dsm -o x.dsm
	[[ $output == *'st2.dsm'*'another model'* ]]
	head -c 5000 st.dsm > cut.dsm
	run -3 ds-profile --stats --merge cut.dsm -o x.dsm
	run -3 ds-quantize --bits w8a8 -c cut.dsm "$M" -o x.dsm
	run -3 ds-profile --stats --merge "$M" -o x.dsm
	[[ $output == *"kind 'model'"* ]]
	run -2 ds-quantize --bits w8a8 -c st.dsm --max-samples 5 "$M" -o x.dsm
	run -2 ds-profile --stats -m "$M" -o x.dsm
	run -2 ds-profile --stats --time -m never never
	run -2 ds-profile --merge st.dsm
	run -2 ds-profile --stats --merge -m never st.dsm
	run -2 ds-profile --stats --merge
	run -2 ds-profile --equalize no -m never never
	run -2 ds-profile --stats --fake-stdout-is-tty -m "$M" "$C[:2]"
	[ ! -e x.dsm ]
}

@test "--stats: a bad sample is told of, the others count" {
	mkdir p
	cp "$S"/pictures/*.png p
	echo 'no picture' > p/a.png
	run -5 ds-profile --stats -m "$M" p -o st.dsm
	[[ $output == *'a.png'* ]]
	ds-quantize --bits w8a8 -c st.dsm "$M" -o q.dsm
}
