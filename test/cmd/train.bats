#!/usr/bin/env bats
# train.bats - ds-train: it learns, the same bytes every time, checkpoints, stages, reports, refusals

load common

# train.idx and test.idx: 28 x 28 pictures of one of four stripes in noise; net.dsm: a small network for them.
setup_file()
{
	load common
	mkdir -p "$D"
	command -v ds-train > /dev/null || return 0
	stripes 900 1 "$D/train"
	stripes 200 2 "$D/test"
	cat > "$D/net.spec" <<- 'EOF'
		input image [N, 1, 28, 28] scale=1/255 mean=0.5 std=0.5
		conv1 = Conv 4 strides=2
		BatchNormalization | Relu
		conv2 = Conv 8 strides=2
		BatchNormalization | Relu
		Flatten
		fc = Gemm 4
		output scores values=logits
	EOF
	ds-convert --from spec "$D/net.spec" -o "$D/net.dsm"
}

# stripes N SEED NAME: NAME-images-idx3-ubyte and NAME-labels-idx1-ubyte; class k has a bright band from row 7k on
stripes()
{
	LC_ALL=C awk -v n="$1" -v seed="$2" -v images="$3-images-idx3-ubyte" -v labels="$3-labels-idx1-ubyte" '
		function u32(v) { return sprintf("%c%c%c%c", v / 16777216, v / 65536 % 256, v / 256 % 256, v % 256) }
		function byte(v) { return sprintf("\\%03o", v) }
		BEGIN {
			srand(seed)
			cmd = "xargs -0 printf"
			printf "%s", byte(0) byte(0) byte(8) byte(3) byte(0) byte(0) byte(int(n / 256)) byte(n % 256) byte(0) byte(0) byte(0) byte(28) byte(0) byte(0) byte(0) byte(28) > (images ".txt")
			printf "%s", byte(0) byte(0) byte(8) byte(1) byte(0) byte(0) byte(int(n / 256)) byte(n % 256) > (labels ".txt")
			for (i = 0; i < n; i++) {
				k = int(rand() * 4)
				printf "%s", byte(k) > (labels ".txt")
				for (y = 0; y < 28; y++)
					for (x = 0; x < 28; x++)
						printf "%s", byte(int(rand() * 160) + (y >= 7 * k && y < 7 * k + 3 ? 60 : 0)) > (images ".txt")
			}
		}'
	printf '%b' "$(sed 's/\\/\\0/g' "$3-images-idx3-ubyte.txt")" > "$3-images-idx3-ubyte"
	printf '%b' "$(sed 's/\\/\\0/g' "$3-labels-idx1-ubyte.txt")" > "$3-labels-idx1-ubyte"
	rm -f "$3"-*.txt
}

setup()
{
	command -v ds-train > /dev/null || skip 'ds-train is not there'
	cd "$BATS_TEST_TMPDIR"
	TRAIN=$D/train-images-idx3-ubyte TEST=$D/test-images-idx3-ubyte
}

top1()
{
	ds-run -m "$1" --eval -d "$TEST" | awk -F'\t' '$1 == "top1" { print $2 }'
}

last()
{       # last EVENT KEY REPORT
	grep "\"event\":\"$1\"" "$3" | tail -n 1 | sed "s/.*\"$2\":\([^,}]*\).*/\1/"
}

# A random while, longer with each try, so that a slow machine comes to the end too.
moment()
{
	sleep "$(awk "BEGIN { print 0.02 * $1 + $RANDOM / 150000 }")"
}

@test "a network learns, and ds-run agrees with what the report says" {
	ds-train -d "$TRAIN" --validate "$TEST" --epochs 4 -b 32 --lr .05 --report r.jsonl "$D/net.dsm" -o t.dsm
	awk "BEGIN { exit !($(top1 t.dsm) > .9 && $(top1 "$D/net.dsm") < .6) }"
	[ "$(last validation accuracy r.jsonl)" = "$(top1 t.dsm)" ]
	ds-info --history t.dsm | grep -q 'external *training '
	ds-info --history t.dsm | grep -q 'args *--lr=0.05'
}

@test "every optimiser and schedule lowers the loss" {
	for o in sgd adamw muon; do
		for s in constant cosine onecycle step linear wsd; do
			ds-train -d "$TRAIN" --epochs 3 -b 32 --optimizer $o --schedule $s --warmup .1 --clip 1 --report $o.$s "$D/net.dsm" -o t.dsm
			echo "$o $s $(head -n 2 $o.$s | last step loss /dev/stdin) $(last end loss $o.$s)"
			awk "BEGIN { exit !($(last end loss $o.$s) < 1.2) }"
		done
	done
}

@test "the same bytes for -j 1 and -j 2, from a file and a pipe; another seed gives others" {
	words="-d $TRAIN --epochs 2 -b 32 --augment crop:2,cutout:4,mixup:.2 --ema .9 --label-smoothing .1 --holdout .2 --keep best"
	ds-train $words -j 1 "$D/net.dsm" -o a.dsm
	bash -c "ds-train $words -j 2 < '$D/net.dsm' > b.dsm"
	cmp a.dsm b.dsm
	ds-train $words --seed 1 "$D/net.dsm" -o c.dsm
	! cmp -s a.dsm c.dsm
}

@test "a set larger than the memory limit is shuffled through a window, the same for any -j" {
	for j in 1 2; do
		ds-train -v -d "$TRAIN" --epochs 2 -b 16 --lr .02 --memory-limit 1M --holdout .1 -j $j "$D/net.dsm" -o $j.dsm 2> log || { cat log; false; }
	done
	grep -q 'through a window' log
	cmp 1.dsm 2.dsm
	awk "BEGIN { exit !($(top1 1.dsm) > .6) }"
}

@test "accumulated gradients are those of the large batch where nothing looks across it" {
	printf 'input image [N, 1, 28, 28] scale=1/255 mean=0.5 std=0.5\nConv 4 strides=2 | Relu | Flatten | Gemm 4\noutput scores values=logits\n' > plain.spec
	ds-convert --from spec plain.spec -o plain.dsm
	ds-train -d "$TRAIN" --steps 1 -b 64 --lr .1 plain.dsm -o large.dsm
	ds-train -d "$TRAIN" --steps 1 -b 16 --accumulate 4 --lr .1 plain.dsm -o small.dsm
	ds-run -m small.dsm --compare large.dsm "$TEST" > diff || { cat diff; false; }
	awk -F'\t' '$1 == "max_difference" || $1 == "max-difference" { found = 1; if ($2 > 1e-4) exit 1 }' diff
	ds-train -d "$TRAIN" --steps 1 -b 16 --lr .1 plain.dsm -o other.dsm
	! cmp -s small.dsm other.dsm
}

@test "killed at any time and resumed: the bytes of an unbroken run" {
	words="-d $TRAIN --epochs 6 -b 32 --lr .05 --augment crop:2,mixup:.2 --ema .9 --holdout .2 --keep best --optimizer adamw --accumulate 2"
	ds-train $words -j 1 "$D/net.dsm" -o want.dsm
	for j in 1 2; do
		rm -f c.dsm out.dsm
		n=0
		until [ -e out.dsm ]; do
			ds-train $words -j $j --checkpoint c.dsm --checkpoint-every 4 --resume --report r.jsonl "$D/net.dsm" -o out.dsm 3>&- &
			moment $n
			kill -9 $! 2> /dev/null || true
			wait $! 2> /dev/null || true
			n=$((n + 1))
			[ $n -lt 200 ]
		done
		echo "-j $j: $n runs"
		cmp want.dsm out.dsm
		ds-info --verify c.dsm > /dev/null
	done
	# every step stands in the report once
	[ -z "$(grep '"event":"epoch"' r.jsonl | sed 's/.*"step":\([0-9]*\).*/\1/' | sort | uniq -d)" ]
	[ "$(grep -c '"event":"epoch"' r.jsonl)" -eq 6 ]
}

@test "a checkpoint of another model, of other settings, or of nothing is refused" {
	ds-train -d "$TRAIN" --epochs 1 --checkpoint c.dsm "$D/net.dsm" -o t.dsm
	run -2 ds-train -d "$TRAIN" --epochs 1 --lr .2 --checkpoint c.dsm --resume "$D/net.dsm" -o x.dsm
	[[ $output == *'--lr=0.2'* ]]
	run -2 ds-train -d "$TRAIN" --epochs 1 --checkpoint c.dsm --resume t.dsm -o x.dsm
	[[ $output == *'another model'* ]]
	run -3 ds-train -d "$TRAIN" --epochs 1 --checkpoint t.dsm --resume "$D/net.dsm" -o x.dsm
	[[ $output == *'not a checkpoint'* ]]
	head -c 5000 c.dsm > half.dsm
	run -3 ds-train -d "$TRAIN" --epochs 1 --checkpoint half.dsm --resume "$D/net.dsm" -o x.dsm
	[[ $output == *half.dsm*truncated* ]]
	[ ! -e x.dsm ]
	run -3 ds-run -m c.dsm "$TEST"
}

@test "a run that is over is over: resuming writes the same model at once" {
	ds-train -d "$TRAIN" --epochs 2 --ema .9 --checkpoint c.dsm "$D/net.dsm" -o a.dsm
	ds-train -d "$TRAIN" --epochs 2 --ema .9 --checkpoint c.dsm --resume -v "$D/net.dsm" -o b.dsm 2> log
	cmp a.dsm b.dsm
	! grep -q '^ds-train: epoch' log
}

@test "stages: settings of their own, the same bytes when broken between and within" {
	printf 'epochs\tlr\tfreeze\taugment\tdata\n2\t.05\t\tcrop:2\t\n# nothing\n1\t.01\tconv1*\t-\t%s\n' "$TEST" > plan.tsv
	words="-d $TRAIN -b 32 --stage plan.tsv --holdout .2"
	ds-train $words -v "$D/net.dsm" -o want.dsm 2> log
	grep -q 'stage 2 of 2' log
	n=0
	rm -f c.dsm
	until [ -e out.dsm ]; do
		ds-train $words --checkpoint c.dsm --checkpoint-every 2 --resume "$D/net.dsm" -o out.dsm 3>&- &
		moment $n
		kill -9 $! 2> /dev/null || true
		wait $! 2> /dev/null || true
		n=$((n + 1))
		[ $n -lt 200 ]
	done
	cmp want.dsm out.dsm
	for bad in 'epochs\n' 'epocs\n2\n' 'epochs\tlr\n1\n' 'epochs\nx\n' 'resume\nyes\n' 'freeze-norm\nperhaps\n' '\n'; do
		printf "$bad" > bad.tsv
		run -3 ds-train -d "$TRAIN" --stage bad.tsv "$D/net.dsm" -o x.dsm
		[[ $output == *bad.tsv* ]]
	done
}

@test "weights that are frozen stay, patterns that match nothing are told" {
	ds-train -d "$TRAIN" --epochs 1 --freeze 'conv*' --freeze-norm "$D/net.dsm" -o t.dsm
	ds-info --diff t.dsm "$D/net.dsm" > diff || true
	cat diff
	grep -q 'tensor.*fc' diff
	! grep -q 'tensor.*conv' diff
	run -2 ds-train -d "$TRAIN" --epochs 1 --freeze 'nothing*' "$D/net.dsm" -o x.dsm
	[[ $output == *"'nothing*'"* ]]
}

@test "early stop, and the best model is the one that is kept" {
	ds-train -d "$TRAIN" --validate "$TEST" --epochs 30 -b 32 --lr .1 --early-stop 2 --keep best --report r.jsonl "$D/net.dsm" -o t.dsm
	[ "$(grep -c '"event":"epoch"' r.jsonl)" -lt 30 ]
	[ "$(last end best_accuracy r.jsonl)" = "$(top1 t.dsm)" ]
}

@test "an autoencoder and a loss over numbers" {
	printf 'input image [N, 1, 28, 28] scale=1/255 mean=0.5 std=0.5\nFlatten | Gemm 16 | Relu | Gemm 784\nReshape [0, 1, 28, 28]\noutput image2\n' > ae.spec
	ds-convert --from spec ae.spec -o ae.dsm
	ds-train -d "$TRAIN" --target input --augment noise:.3 --epochs 4 --optimizer adamw --validate "$TEST" --report r.jsonl ae.dsm -o t.dsm
	first=$(grep '"event":"validation"' r.jsonl | head -n 1 | sed 's/.*"loss":\([^,}]*\).*/\1/')
	awk "BEGIN { exit !($(last validation loss r.jsonl) < $first) }"
	run -2 ds-train -d "$TRAIN" --target input --loss cross-entropy ae.dsm -o x.dsm
	ds-train -d "$TRAIN" --loss bce --epochs 2 --validate "$TEST" --report b.jsonl "$D/net.dsm" -o t.dsm
	awk "BEGIN { exit !($(last validation accuracy b.jsonl) > .7) }"
}

@test "a Softmax or Sigmoid at the end changes neither training nor what is measured" {
	for end in Softmax Sigmoid; do
		sed "s/fc = Gemm 4/&\n$end/; s/logits/probabilities/" "$D/net.spec" | ds-convert --from spec > $end.dsm
		loss=$([ $end = Softmax ] && echo cross-entropy || echo bce)
		ds-train -d "$TRAIN" --validate "$TEST" --loss $loss --epochs 1 --report a.jsonl "$D/net.dsm" -o t.dsm
		ds-train -d "$TRAIN" --validate "$TEST" --loss $loss --epochs 1 --report b.jsonl $end.dsm -o p.dsm
		[ "$(last epoch loss a.jsonl)" = "$(last epoch loss b.jsonl)" ]
		[ "$(last validation accuracy a.jsonl)" = "$(last validation accuracy b.jsonl)" ]
		awk "BEGIN { d = $(last validation loss a.jsonl) - $(last validation loss b.jsonl); exit !(d < 1e-4 && d > -1e-4) }"
		ds-info --graph p.dsm | grep -q $end
	done
}

@test "a loss that is not finite stops with one line, and the checkpoint before it stays" {
	run -1 --separate-stderr ds-train -d "$TRAIN" --epochs 9 -b 32 --loss mse --lr 1e6 --schedule constant --checkpoint c.dsm --checkpoint-every 1 "$D/net.dsm" -o x.dsm
	show
	[[ $stderr == *'step '*' not finite (the checkpoint c.dsm of step '* ]]
	[ "$(wc -l <<< "$stderr")" -eq 1 ]
	[ ! -e x.dsm ]
	ds-info --verify c.dsm > /dev/null
	run -1 --separate-stderr ds-train -d "$TRAIN" --epochs 9 -b 32 --loss mse --lr 1e6 --schedule constant "$D/net.dsm" -o x.dsm
	[[ $stderr == *'no --checkpoint was asked for'* ]]
}

@test "samples that cannot be used: a line each, the rest is learned, exit 5; none is left: exit 3" {
	mkdir -p dir/a dir/b
	for i in 0 1 2 3 4 5 6 7; do
		{ printf 'P5 28 28 255\n'; tail -c +$((17 + 784 * i)) "$TRAIN" | head -c 784; } > one.pgm
		cp "$ROOT/test/sample/pictures/a-is-9.png" dir/a/$i.png
		cp "$ROOT/test/sample/pictures/a-is-9.png" dir/b/$i.png
	done
	echo junk > dir/b/bad.png
	run -5 --separate-stderr ds-train -d dir --epochs 1 "$D/net.dsm" -o t.dsm
	show
	[ "$(grep -c 'bad.png' <<< "$stderr")" -eq 1 ]
	grep -q 'no sample of 2 of the 4 classes' <<< "$stderr"
	[ -e t.dsm ]
	sed 's/Gemm 4/Gemm 3/' "$D/net.spec" > three.spec
	ds-convert --from spec three.spec -o three.dsm
	run -5 --separate-stderr ds-train -d "$TRAIN" --epochs 1 three.dsm -o t.dsm
	grep -q 'label 3 where the model has classes 0 to 2' <<< "$stderr"
	rm -r dir/a
	mkdir dir/c
	rm dir/b/?.png
	run -3 ds-train -d dir --epochs 1 "$D/net.dsm" -o x.dsm
	[ ! -e x.dsm ]
}

@test "a full disk: one line, the old checkpoint stays" {
	need unshare
	unshare -rm true 2> /dev/null || skip 'no namespaces here'
	size=$(ds-train -d "$TRAIN" --epochs 1 --checkpoint c.dsm "$D/net.dsm" -o t.dsm && wc -c < c.dsm)
	mkdir mnt
	run unshare -rm bash -c "mount -t tmpfs -o size=$((size * 3 / 2 / 4096 * 4096)) none mnt &&
		ds-train -d '$TRAIN' --epochs 1 -b 32 --checkpoint mnt/c.dsm --checkpoint-every 3 '$D/net.dsm' -o x.dsm 2> log; echo rc=\$?; cat log; ds-info --verify mnt/c.dsm > /dev/null && echo sound"
	show
	[[ $output == *rc=1* ]]
	[[ $output == *'mnt/c.dsm'*'No space left'*'stays'* ]]
	[[ $output == *sound* ]]
	[ "$(grep -c . log)" -eq 1 ]
}

@test "the report is JSON, tells of the machine, and the live line stands on a terminal" {
	ds-train -d "$TRAIN" --holdout .1 --epochs 1 --report r.jsonl "$D/net.dsm" -o t.dsm
	head -n 1 r.jsonl | grep -q '"event":"start".*"processor":.*"flags":.*"governor":.*"threads":.*"load":'
	grep -q '"event":"step".*"loss":.*"gradient_norm":.*"learning_rate":.*"samples_per_second":' r.jsonl
	! grep -q -i nan r.jsonl
	! command -v jq > /dev/null || jq -e . r.jsonl > /dev/null
	run faketty ds-train -d "$TRAIN" --epochs 1 --progress always "$D/net.dsm" -o t.dsm
	[[ $output == *'step '*'loss '*'accuracy '*'/s'* ]]
	run --separate-stderr ds-train -d "$TRAIN" --epochs 1 "$D/net.dsm" -o t.dsm
	[ -z "$stderr$output" ]
}

@test "bad words: exit 2 before anything is read" {
	mkfifo never
	for words in '' '-d x --loss l9' '-d x --optimizer adam' '-d x --schedule cos' '-d x --augment flop' '-d x --augment crop' '-d x --augment crop:1.5' '-d x --augment flip:2' \
		'-d x --augment crop:2:wrap' '-d x --validate y --holdout .1' '-d x --keep best' '-d x --early-stop 2' '-d x --resume' '-d x --metrics -' '-d x --checkpoint-every 5' \
		'-d x --epochs 0' '-d x --loss mse --label-smoothing .1' '-d x --loss ctc --target input' '-d x --loss mse --metric accuracy' '-d x --loss ctc --holdout .1'; do
		run -2 timeout 5 ds-train $words -m never
		[ "$(wc -l <<< "$output")" -eq 1 ]
	done
	# an augmentation that does not fit the model
	printf 'input x [N, 784]\nGemm 4\noutput y\n' | ds-convert --from spec > flat.dsm
	run -2 ds-train -d "$TRAIN" --augment flip flat.dsm -o x.dsm
	[[ $output == *'flip is for pictures'* ]]
}

@test "--metrics: the state of the run as Prometheus text, changing nothing of the result" {
	ds-train -d "$TRAIN" --epochs 1 "$D/net.dsm" -o plain.dsm
	ds-train -d "$TRAIN" --epochs 1 --metrics t.prom "$D/net.dsm" -o m.dsm
	cmp plain.dsm m.dsm
	grep -q '^ds_train_step{filter="ds-train",model="m.dsm"} [0-9]*$' t.prom
	awk '/^ds_train_step\{/ { a = $2 } /^ds_train_steps\{/ { b = $2 } END { exit !(a > 1 && a == b) }' t.prom
	grep -q '^ds_train_loss{.*} [0-9]' t.prom
	run ! grep -q validation t.prom                 # nothing was held out
	run -1 ds-train -d "$TRAIN" --epochs 1 --metrics missing/t.prom "$D/net.dsm" -o x.dsm
	[ ! -e x.dsm ]
	need promtool
	promtool check metrics < t.prom
}
