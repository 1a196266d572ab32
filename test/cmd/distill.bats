#!/usr/bin/env bats
# distill.bats - ds-distill: from a teacher and from its logits, the same bytes every time, refusals; ds-run --logits

load common

# The sample's model teaches a small net on the calibration pictures.  full.dsm, top.dsm: what it answers to them.
setup_file()
{
	load common
	mkdir -p "$D"
	command -v ds-distill > /dev/null || return 0
	S=$ROOT/test/sample
	cp "$S/digits.dsm" "$D/teacher.dsm"
	cat > "$D/net.spec" <<- 'EOF2'
		param classes = 10
		input image [N, 1, 28, 28] scale=1/255 mean=0.5 std=0.5
		conv1 = Conv 8 strides=2
		BatchNormalization | Relu
		conv2 = Conv 16 strides=2
		BatchNormalization | Relu
		Flatten
		fc = Gemm classes
		output scores values=logits
	EOF2
	ds-convert --from spec "$D/net.spec" -o "$D/net.dsm"
	ds-run -m "$D/teacher.dsm" --logits -d "$S/calib-images-idx3-ubyte.gz" -o "$D/full.dsm"
	ds-run -m "$D/teacher.dsm" --logits --top 3 -d "$S/calib-images-idx3-ubyte.gz" -o "$D/top.dsm"
}

setup()
{
	command -v ds-distill > /dev/null || skip 'ds-distill is not there'
	cd "$BATS_TEST_TMPDIR"
	TRAIN=$ROOT/test/sample/calib-images-idx3-ubyte.gz TEST=$ROOT/test/sample/test-images-idx3-ubyte.gz
}

# figure METRIC MODEL [REFERENCE]: a figure on the test pictures
figure()
{
	ds-run -m "$2" --eval ${3:+--compare "$3"} -d "$TEST" | awk -F'\t' -v m="$1" '$1 == m { print $2; exit }'
}

@test "ds-run --logits: a tensor for each sample, the same bytes for any batch and threads, from a pipe" {
	ds-run -m "$D/teacher.dsm" --logits -b 1 -j 1 -d "$TRAIN" | cmp - "$D/full.dsm"
	bash -c "ds-run --logits --top 3 -b 7 -j 2 -d '$TRAIN' < '$D/teacher.dsm'" | cmp - "$D/top.dsm"
	ds-info --tsv "$D/full.dsm" > info
	grep -q $'^kind\tlogits$' info
	grep -q $'^logits.classes\t10$' info
	grep -q $'^items\t500$' info
	grep -q "^logits.model.$(ds-info --tsv "$D/teacher.dsm" | awk -F'\t' '$1 == "identity" { print $2 }')\$" info
	run ! grep -q '^logits.top' info
	[ "$(ds-info --tsv "$D/top.dsm" | awk -F'\t' '$1 == "logits.top" { print $2 }')" = 3 ]
	[ "$(ds-info --tensors --tsv "$D/top.dsm" | sed -n '2,4p' | cut -f 3-5 | tr '\t\n' '  ')" = 'classes i32 [3] logits f32 [3] rest f32 [] ' ]
	# as many best ones as there are classes: that is all of them
	ds-run -m "$D/teacher.dsm" --logits --top 10 -d "$TRAIN" | cmp - "$D/full.dsm"
}

@test "the best ones and their share of the rest are what the whole logits say" {
	printf 'input x [N, 5]\nIdentity\noutput y values=logits\n' > id.spec
	ds-convert --from spec id.spec -o id.dsm
	# 1 5 2 5 -3 and five zeros
	printf '\223NUMPY\1\0\166\0%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 5), }" > x.npy
	printf '\0\0\200\77\0\0\240\100\0\0\0\100\0\0\240\100\0\0\100\300\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' >> x.npy
	ds-run -m id.dsm --logits --top 2 x.npy -o l.dsm
	od -A n -v -w8 -t d4 l.dsm | tr -s ' ' > ints
	grep -qx ' 1 3' ints
	grep -qx ' 0 1' ints
	od -A n -v -w8 -t f4 l.dsm | grep -qE '^ +5 +5$'
	od -A n -v -w4 -t f4 l.dsm | awk 'BEGIN { want = log((exp(1) + exp(2) + exp(-3)) / 3) } $1 > want - 1e-6 && $1 < want + 1e-6 { found = 1 } END { exit !found }'
}

@test "the logits of a model with a softmax are those before it; failed samples keep their place" {
	printf 'input image [N, 1, 28, 28] scale=1/255 mean=0.5 std=0.5\nFlatten\nfc = Gemm 4\noutput s values=logits\n' > a.spec
	sed 's/^output.*/Softmax\noutput s values=probabilities/' a.spec > b.spec
	for m in a b; do
		ds-convert --from spec $m.spec -o $m.dsm
	done
	mkdir dir
	cp "$ROOT"/test/sample/pictures/[a-d]-*.png dir
	echo junk > dir/a.png
	echo junk > dir/c.png
	for m in a b; do
		run -5 --separate-stderr ds-run -m $m.dsm --logits dir -o $m.out
		[ "${#stderr_lines[@]}" -eq 2 ]
	done
	# the model's identity apart
	same <(ds-info --tensors --tsv a.out) <(ds-info --tensors --tsv b.out)
	run ds-info --diff a.out b.out
	show
	[[ $output != *tensor* ]]
	[ "$(ds-info --tensors --tsv a.out | tail -n +2 | cut -f 5 | tr '\n' ' ')" = '[4] [0] [4] [4] [0] [4] ' ]
	rm dir/[b-d]-* dir/a-*
	run -3 ds-run -m a.dsm --logits dir -o c.out
	[[ $output == *'no logits'* ]]
	[ ! -e c.out ]
}

@test "from a teacher and from all its logits: the same bytes; -j 1 and -j 2 the same" {
	words="-d $TRAIN --epochs 2 -b 32 --lr .05 --holdout .1 --no-history"
	ds-distill -t "$D/teacher.dsm" $words -j 1 "$D/net.dsm" -o a.dsm
	ds-distill --logits "$D/full.dsm" $words -j 2 "$D/net.dsm" -o b.dsm
	cmp a.dsm b.dsm
	ds-distill -t "$D/teacher.dsm" $words -j 2 --alpha 1 --method dist --match 'attention' "$D/net.dsm" -o c.dsm
	ds-distill -t "$D/teacher.dsm" $words -j 1 --alpha 1 --method dist --match 'attention' "$D/net.dsm" -o d.dsm
	cmp c.dsm d.dsm
	run -1 cmp -s a.dsm c.dsm
	# a pipe, and the history names what was learned from
	cat "$D/full.dsm" | ds-distill --logits - -d "$TRAIN" --epochs 1 -m "$D/net.dsm" -o e.dsm
	ds-info --history e.dsm | grep -q "external *logits $(ds-info --tsv "$D/full.dsm" | awk -F'\t' '$1 == "identity" { print $2 }')"
}

@test "a student of a teacher, or of its three best classes, is more like it than one of labels" {
	words="-d $TRAIN --epochs 12 -b 32 --lr .05"
	ds-train $words "$D/net.dsm" -o labels.dsm
	ds-distill -t "$D/teacher.dsm" $words --alpha 1 "$D/net.dsm" -o taught.dsm
	ds-distill --logits "$D/top.dsm" $words --alpha 1 "$D/net.dsm" -o top.dsm
	for m in labels taught top; do
		echo "$m $(figure agreement $m.dsm "$D/teacher.dsm") $(figure top1 $m.dsm) $(figure mean_difference $m.dsm "$D/teacher.dsm")"
	done
	awk "BEGIN { l = $(figure agreement labels.dsm "$D/teacher.dsm"); t = $(figure agreement taught.dsm "$D/teacher.dsm"); k = $(figure agreement top.dsm "$D/teacher.dsm")
		exit !(t > l && k > l && t - k < .05 && k - t < .05) }"
}

@test "no labels are needed with --alpha 1: a plain directory of pictures teaches" {
	ds-distill -t "$D/teacher.dsm" -d "$ROOT/test/sample/pictures" --alpha 1 --epochs 2 "$D/net.dsm" -o a.dsm
	run -0 --separate-stderr ds-distill -t "$D/teacher.dsm" -d "$ROOT/test/sample/pictures" --alpha 1 --epochs 2 "$D/net.dsm" -o b.dsm
	[ -z "$stderr$output" ]
	cmp a.dsm b.dsm
	run -1 cmp -s a.dsm "$D/net.dsm"
	# with labels in the loss each picture without one is left out: some by name, the rest counted
	run -3 ds-distill -t "$D/teacher.dsm" -d "$ROOT/test/sample/pictures" --epochs 2 "$D/net.dsm" -o x.dsm
	show
	[ "$(grep -c 'png: no label' <<< "$output")" -eq 5 ]
	[[ $output == *'7 more samples left out (-v names them): no label'* ]]
	run -3 ds-distill -v -t "$D/teacher.dsm" -d "$ROOT/test/sample/pictures" --epochs 2 "$D/net.dsm" -o x.dsm
	[ "$(grep -c 'png: no label' <<< "$output")" -eq 12 ]
	[ ! -e x.dsm ]
}

@test "every method, and inner values, are learned" {
	ds-convert --from spec -D classes=10 --seed 5 "$D/net.spec" -o other.dsm
	for words in '--method kd' '--method kd-ls' '--method dkd' '--method dist' '--method reverse-kl' '--method mse' '--method none --match attention' \
		'--method none --match hidden:conv1=conv1 --alpha 1' '--match hidden:conv*'; do
		ds-distill -t other.dsm -d "$TRAIN" --epochs 2 -b 50 --lr .01 $words --report r.jsonl "$D/net.dsm" -o t.dsm
		first=$(grep -m 1 '"event":"step"' r.jsonl | sed 's/.*"loss":\([^,}]*\).*/\1/')
		final=$(grep '"event":"end"' r.jsonl | sed 's/.*"loss":\([^,}]*\).*/\1/')
		echo "$words $first $final"
		awk "BEGIN { exit !($final < $first) }"
	done
}

@test "stages; a checkpoint goes with the teacher it was made with" {
	printf 'epochs\tbatch\tlr\n1\t32\t.05\n1\t16\t.01\n' > plan.tsv
	ds-distill -t "$D/teacher.dsm" -d "$TRAIN" --stage plan.tsv --no-history "$D/net.dsm" -o a.dsm
	ds-distill --logits "$D/full.dsm" -d "$TRAIN" --stage plan.tsv --no-history --checkpoint c.dsm "$D/net.dsm" -o b.dsm
	cmp a.dsm b.dsm
	run -2 ds-distill --logits "$D/top.dsm" -d "$TRAIN" --stage plan.tsv --no-history --checkpoint c.dsm --resume "$D/net.dsm" -o x.dsm
	[[ $output == *'made with logits '*' now it is logits '* ]]
	ds-distill --logits "$D/full.dsm" -d "$TRAIN" --stage plan.tsv --no-history --checkpoint c.dsm --resume "$D/net.dsm" -o d.dsm
	cmp a.dsm d.dsm
}

@test "what cannot be learned from is one line" {
	cases()
	{
		cat <<- END
			1|/nowhere:|--teacher /nowhere
			1|/nowhere:|--logits /nowhere
			2|neither --teacher nor --logits|--alpha 1
			2|exclude each other|--teacher $D/teacher.dsm --logits $D/full.dsm
			2|--match needs --teacher|--logits $D/full.dsm --match attention
			2|nothing of them would be learned|--logits $D/full.dsm --method none
			2|'kl' is none of|--teacher $D/teacher.dsm --method kl
			2|leaves nothing to learn|--teacher $D/teacher.dsm --method none --alpha 1
			2|neither hidden:GLOB nor attention|--teacher $D/teacher.dsm --match maps
			2|matches no value|--teacher $D/teacher.dsm --match hidden:nothing*
			2|the teacher has no value 'z'|--teacher $D/teacher.dsm --match hidden:conv1=z
			3|different dims|--teacher four.dsm
			3|about 4 classes, the student has 10|--logits four.out
			3|answers to 12 samples, --data has 500|--logits twelve.out
			3|of kind 'model'|--logits $D/teacher.dsm
			3|does not take the student's inputs|--teacher flat.dsm
			3|junk:|--logits junk
			3|junk:|--teacher junk
			3|half:|--logits half
			3|flipped:|--logits flipped
			3|of kind "logits", not a model|--teacher $D/full.dsm
		END
	}
	ds-convert --from spec -D classes=4 "$D/net.spec" -o four.dsm
	ds-run -m four.dsm --logits "$TRAIN" -o four.out
	ds-run -m "$D/teacher.dsm" --logits "$ROOT/test/sample/pictures" -o twelve.out
	printf 'input x [N, 784]\nGemm 10\noutput y\n' | ds-convert --from spec > flat.dsm
	head -c 3000 /dev/urandom > junk
	head -c 20000 "$D/full.dsm" > half
	{ head -c 20100 "$D/full.dsm"; printf '\377\376\375\374'; tail -c +20105 "$D/full.dsm"; } > flipped
	while IFS='|' read -r rc text words; do
		echo "== $rc '$text' $words"
		run --separate-stderr ds-distill -d "$TRAIN" --epochs 1 $words "$D/net.dsm" -o x.dsm < /dev/null
		show
		[ "$status" -eq "$rc" ]
		[ "${#stderr_lines[@]}" -eq 1 ]
		[[ $stderr == *"$text"* ]]
		[ ! -e x.dsm ]
	done < <(cases)
	run -2 ds-distill -d "$TRAIN" --teacher - < "$D/net.dsm"
	[[ $output == *'standard input cannot be both'* ]]
	run -2 ds-distill -d "$TRAIN" --logits - -m - < "$D/net.dsm"
	[[ $output == *'standard input cannot be both'* ]]
}

@test "a sample that the teacher could not answer to is named" {
	mkdir dir
	cp "$ROOT"/test/sample/pictures/[a-d]-*.png dir
	mv dir/b-is-1.png good.png
	echo junk > dir/b-is-1.png
	ds-run -m "$D/teacher.dsm" --logits dir -o l.dsm || [ $? -eq 5 ]
	run -5 ds-distill --logits l.dsm -d dir --alpha 1 --epochs 1 "$D/net.dsm" -o t.dsm
	mv good.png dir/b-is-1.png
	run -3 ds-distill --logits l.dsm -d dir --alpha 1 --epochs 1 "$D/net.dsm" -o x.dsm
	[[ $output == *'l.dsm: the logits have no answer to sample 1'* ]]
}
