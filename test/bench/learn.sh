#!/bin/sh
# learn.sh - what training, distillation, quantisation-aware training and the whole way reach on public data, with their controls
#
#   learn.sh ITEM [SEED ...]        ITEM: fashion cifar gpt speech distill qat dpf
#
# DS_ASSETS is the folder with the data, B the build directory, OUT where models go (out/learn).  One row for each model is appended to results.tsv beside this script:
# what, setting, seed, figure, value, control (here: bytes of the file), command.  Accuracies are of the test set, which nothing is chosen by; models of the last step are measured.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
B=$(cd "${B:-$root/build}" && pwd)
PATH=$B:$PATH
OUT=${OUT:-$root/out/learn}
RESULTS=${RESULTS:-$here/results.tsv}
A=${DS_ASSETS:-$root/../shared/assets}
specs=$root/cmd/specs
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
item=$1
shift
[ $# -gt 0 ] || set -- 0 1 2
[ -s "$RESULTS" ] || printf 'what\tsetting\tseed\tfigure\tvalue\tcontrol\tcommand\n' > "$RESULTS"

F=$A/data/fashion_mnist/train-images-idx3-ubyte.gz
FT=$A/data/fashion_mnist/t10k-images-idx3-ubyte.gz
C=${CIFAR:-$OUT/cifar10}
SHAKE=$A/data/text/tinyshakespeare.txt

# the optimiser that converges fastest, with what it wants
MUON='--optimizer muon --lr .05 --schedule linear --warmup .1 --ema .99 --weight-decay .01'

# Run a command, and remember it without the paths of this machine.
say()
{
	last=$(printf '%s' "$*" | sed "s|$C/|cifar10/|g; s|$OUT/||g; s|$A/||g; s|$specs/||g; s|$root/||g")
	printf '$ %s\n' "$last" >&2
	"$@"
}

# what setting seed figure model test: measure and append
row()
{
	value=$(ds-run -m "$5" --eval -d "$6" | awk -F'\t' -v f="$4" '$1 == f { print $2; exit }')
	printf '%s\t%s\t%s\t%s\t%s\t%s bytes\t%s\n' "$1" "$2" "$3" "$4" "$value" "$(wc -c < "$5")" "$last" | tee -a "$RESULTS"
}

have() { [ -s "$1" ]; }

# The network that others begin with: trained once for each seed.
base()
{
	have "$OUT/fashion-$1.dsm" && return
	ds-convert --seed "$1" "$specs/resnet8.spec" -f -o "$OUT/resnet8-$1.dsm"
	say ds-train -d "$F" --epochs "${EPOCHS:-16}" $MUON --augment flip,crop:2 --seed "$1" \
		"$OUT/resnet8-$1.dsm" -f -o "$OUT/fashion-$1.dsm"
}

for seed; do
	case $item in
	fashion)
		rm -f "$OUT/fashion-$seed.dsm"
		base "$seed"
		row fashion-mnist resnet8 "$seed" top1 "$OUT/fashion-$seed.dsm" "$FT"
		;;
	cifar)
		have "$C/train" || [ -d "$C/train" ] || { mkdir -p "$OUT"; for p in train test; do tar xzf "$A/data/cifar10_jpg/$p.tar.gz" -C "$OUT"; done; }
		ds-convert --seed "$seed" "$specs/resnet20.spec" -f -o "$OUT/resnet20-$seed.dsm"
		say ds-train -d "$C/train" --epochs "${EPOCHS:-32}" $MUON --augment flip,crop:4 --seed "$seed" \
			"$OUT/resnet20-$seed.dsm" -f -o "$OUT/cifar-$seed.dsm"
		row cifar10-jpeg resnet20 "$seed" top1 "$OUT/cifar-$seed.dsm" "$C/test"
		;;
	gpt)
		ds-convert --seed "$seed" --vocabulary "$SHAKE" "$specs/chargpt.spec" -f -o "$OUT/chargpt-$seed.dsm"
		say ds-train -d "$SHAKE[0:1003854]" --steps 2000 --batch 12 --optimizer adamw --lr .002 --final-lr .05 --warmup 100 --beta2 .99 --weight-decay .1 --clip 1 \
			--seed "$seed" "$OUT/chargpt-$seed.dsm" -f -o "$OUT/gpt-$seed.dsm"
		row shakespeare chargpt "$seed" nll "$OUT/gpt-$seed.dsm" "$SHAKE[1003854:]"
		;;
	speech)
		[ -d "$OUT/fsdd" ] || {
			mkdir -p "$OUT/fsdd" && tar xzf "$A/data/audio/fsdd.tar.gz" -C "$OUT/fsdd"
			find "$OUT/fsdd" -name '[0-9]_*_*.wav' | while read -r f; do
				n=${f##*_}
				n=${n%.wav}
				part=train
				[ "$n" -ge 5 ] || part=test
				w=$(basename "$f")
				mkdir -p "$OUT/fsdd/$part/${w%%_*}"
				mv "$f" "$OUT/fsdd/$part/${w%%_*}/"
			done
		}
		ds-convert --seed "$seed" "$specs/speech.spec" -f -o "$OUT/speech-new-$seed.dsm"
		say ds-train -d "$OUT/fsdd/train" --epochs 8 --batch 32 --optimizer adamw --lr .002 --augment shift:800,gain:.3 --seed "$seed" "$OUT/speech-new-$seed.dsm" \
			-f -o "$OUT/speech-$seed.dsm"
		row spoken-digits speech "$seed" top1 "$OUT/speech-$seed.dsm" "$OUT/fsdd/test"
		;;
	distill)
		base 0
		ds-convert --seed "$seed" -D width=8 "$specs/resnet8.spec" -f -o "$OUT/student-$seed.dsm"
		words="--epochs 4 $MUON --augment flip,crop:2 --seed $seed"
		say ds-train -d "$F" $words "$OUT/student-$seed.dsm" -f -o "$OUT/alone-$seed.dsm"
		row distillation labels "$seed" top1 "$OUT/alone-$seed.dsm" "$FT"
		say ds-distill -t "$OUT/fashion-0.dsm" -d "$F" $words "$OUT/student-$seed.dsm" -f -o "$OUT/taught-$seed.dsm"
		row distillation teacher "$seed" top1 "$OUT/taught-$seed.dsm" "$FT"
		;;
	qat)
		base "$seed"
		for bits in w4a4 w2a2; do
			say ds-quantize --bits $bits -c "$F" "$OUT/fashion-$seed.dsm" -f -o "$OUT/rounded-$bits-$seed.dsm"
			row qat "$bits rounded" "$seed" top1 "$OUT/rounded-$bits-$seed.dsm" "$FT"
			ds-quantize --qat --bits $bits -c "$F" "$OUT/fashion-$seed.dsm" -f -o "$OUT/fake-$bits-$seed.dsm"
			say ds-train -d "$F" --epochs "${QAT:-2}" --lr "${QAT_LR:-.05}" --schedule cosine --weight-decay 5e-4 --augment flip,crop:2 --seed "$seed" \
				"$OUT/fake-$bits-$seed.dsm" -f -o "$OUT/qat-$bits-$seed.dsm"
			ds-quantize --bits trained "$OUT/qat-$bits-$seed.dsm" -f -o "$OUT/int-$bits-$seed.dsm"
			row qat "$bits trained" "$seed" top1 "$OUT/int-$bits-$seed.dsm" "$FT"
		done
		;;
	dpf)
		# the network, the way to 1/8 and 1/16, and at equal bytes and equal epochs the controls
		have "$OUT/cnn-$seed.dsm" || {
			ds-convert --seed "$seed" "$specs/cnn.spec" -f -o "$OUT/cnn-new-$seed.dsm"
			say ds-train -d "$F" --epochs "${EPOCHS:-6}" $MUON --augment flip,crop:2 --seed "$seed" \
				"$OUT/cnn-new-$seed.dsm" -f -o "$OUT/cnn-$seed.dsm"
		}
		last=
		row dpf 'as trained' "$seed" top1 "$OUT/cnn-$seed.dsm" "$FT"
		# size, share of the channels, criterion, stages, bits; four further epochs for each
		for way in ${WAYS:-eighth:.12:taylor:2:w4a8 eighth:0:none:0:w4a8 sixteenth:.40:taylor:2:w4a8 sixteenth:.40:taylor:1:w4a8 sixteenth:.40:l1:2:w4a8 \
			sixteenth:.40:random:2:w4a8 sixteenth:0:none:0:w2a8}; do
			IFS=: read -r size ratio criterion stages bits <<-END
			$way
			END
			d=$OUT/dpf-$size-$criterion-$stages-$seed
			rm -rf "$d"
			say make -s -f "$root/cmd/recipes/dpf.mk" MODEL="$OUT/cnn-$seed.dsm" TRAIN="$F" TEST="$FT" RATIO="$ratio" CRITERION="$criterion" STAGES="$stages" \
				HEAL="$((stages ? 2 / stages : 0))" QAT="$((stages ? 2 : 4))" BITS="$bits" AUGMENT=flip,crop:2 SEED="$seed" OUT="$d" > /dev/null
			row dpf "$size: $criterion, $stages stages, $bits" "$seed" top1 "$d/small.dsm" "$FT"
		done
		say ds-train -d "$F" --epochs 4 --lr .05 --schedule cosine --weight-decay 5e-4 --augment flip,crop:2 --seed "$seed" "$OUT/cnn-$seed.dsm" -f -o "$OUT/cnn-more-$seed.dsm"
		row dpf 'dense, the same further epochs' "$seed" top1 "$OUT/cnn-more-$seed.dsm" "$FT"
		;;
	*)
		echo "learn.sh: no item '$item'" >&2
		exit 2
		;;
	esac
done
