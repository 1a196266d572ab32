#!/usr/bin/env bats
# recipes.bats - each recipe carries its flow on a small sample

load common

setup()
{
	for f in ds-convert ds-train ds-distill ds-prune ds-quantize ds-run; do
		command -v $f > /dev/null || skip "$f is not there"
	done
	need make
	cd "$BATS_TEST_TMPDIR"
	R=$ROOT/cmd/recipes
	S=$ROOT/test/sample
	unset MAKEFLAGS MAKELEVEL
}

digits()
{
	cp "$S/digits.dsm" model.dsm
	DATA="TRAIN=$S/calib-images-idx3-ubyte.gz TEST=$S/test-images-idx3-ubyte.gz"
}

# Figure NAME of the report's row of MODEL.
figure()
{
	awk -F'\t' -v m="$2" '$1 == m { print $3 }' "$1" | tr ' ' '\n' | sed -n "s/^$3=//p"
}

at_least()
{
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a != "" && a >= b) }'
}

@test "qat.mk: integers that were trained are no worse than rounded ones" {
	digits
	make -f "$R/qat.mk" MODEL=model.dsm $DATA BITS=w2a2 EPOCHS=4 BATCH=25 OUT=q
	at_least "$(figure q/report.tsv q/small.dsm top1)" "$(figure q/report.tsv q/rounded.dsm top1)"
	[ "$(wc -c < q/small.dsm)" -lt "$(($(wc -c < model.dsm) / 4))" ]
}

@test "dpf.mk: stages of pruning, healing and trained integers; nothing is made twice" {
	digits
	make -f "$R/dpf.mk" MODEL=model.dsm $DATA RATIO=.3 HEAL=2 QAT=1 SAMPLES=64 OUT=d
	[ "$(wc -c < d/small.dsm)" -lt "$(($(wc -c < model.dsm) / 5))" ]
	at_least "$(figure d/report.tsv d/small.dsm top1)" .5
	make -q -f "$R/dpf.mk" MODEL=model.dsm $DATA RATIO=.3 HEAL=2 QAT=1 SAMPLES=64 OUT=d
}

@test "distill.mk: a student from a description, with its control" {
	digits
	printf 'input image [N, 1, 28, 28] scale=1/255 mean=0.5 std=0.5\nConv 8 strides=2 | BatchNormalization | Relu\nFlatten | Gemm 10\noutput scores values=logits\n' > s.spec
	# the pictures of the calibration set are few and by other hands than the test's: it learns them
	make -f "$R/distill.mk" TEACHER=model.dsm STUDENT=s.spec $DATA TEST="$S/calib-images-idx3-ubyte.gz" EPOCHS=10 LR=.005 BATCH=16 OUT=s
	at_least "$(figure s/report.tsv s/taught.dsm top1)" .5
	[ "$(wc -l < s/report.tsv)" -eq 5 ]
}

@test "forecast.mk: a sine that goes on is foretold better than by its last value" {
	awk 'BEGIN { print "t,a,b"; for (i = 0; i < 1500; i++) printf "%d,%.4f,%.4f\n", i, sin(i / 6), cos(i / 9) }' > t.csv
	make -f "$R/forecast.mk" TABLE=t.csv COLUMNS=a,b WINDOW=24 HORIZON=6 EPOCHS=12 LR=.01 OUT=f
	at_least "$(figure f/report.tsv f/forecaster.dsm naive_mse)" "$(figure f/report.tsv f/forecaster.dsm mse)"
}

@test "anomaly.mk: the planted fault has the largest error" {
	awk 'BEGIN { srand(1); print "t,a"; for (i = 0; i < 1500; i++) printf "%d,%.4f\n", i, (i >= 1200 && i < 1216) ? 3 * rand() - 1.5 : sin(i / 6) }' > t.csv
	make -f "$R/anomaly.mk" TABLE=t.csv COLUMNS=a NORMAL=:60% WINDOW=32 EPOCHS=4 OUT=a > log
	worst=$(tail -n +2 a/scores.tsv | sort -t"$(printf '\t')" -k3,3gr | head -1 | cut -f2)
	echo "worst window: $worst"
	[ "$worst" -gt 1168 ]
	[ "$worst" -lt 1216 ]
}

@test "keyword.mk: tones told apart" {
	need perl
	perl -e 'srand(1); mkdir "snd"; for my $c (0..2) { mkdir "snd/w$c"; for my $k (0..7) { my ($n, $d) = (2000, "");
		for my $i (0..$n-1) { $d .= pack("s<", 8000 * sin(6.2831853 * 200 * ($c + 1) * (1 + .02 * $k) * $i / 8000) + 500 * (rand() - .5)); }
		open F, ">snd/w$c/$k.wav"; binmode F;
		print F "RIFF", pack("V", 36 + 2 * $n), "WAVEfmt ", pack("VvvVVvv", 16, 1, 1, 8000, 16000, 2, 16), "data", pack("V", 2 * $n), $d; close F; } }'
	ds-run --version | grep -qi sndfile || skip 'built without libsndfile'
	make -f "$R/keyword.mk" TRAIN=snd TEST=snd CLASSES=3 SAMPLES=2000 EPOCHS=10 BATCH=8 OUT=k
	at_least "$(figure k/report.tsv k/words.dsm top1)" .8
}
