# explain_planted.bats - maps where the truth is known: a mark of 4 x 4 pixels makes a class; nine of ten maps are largest inside it
load common

# Pictures with and without the mark, and a net that tells them apart; $1 name, $2 spec on standard input, the rest: how it is trained.
teach()
{
	local name=$1
	shift
	cat > "$D/$name.spec"
	ds-convert --seed 1 "$D/$name.spec" | ds-train -d "$D/learn-$name/images-idx3-ubyte" --batch 50 --optimizer adamw --seed 1 -j 1 "$@" > "$D/$name.dsm"
}

setup_file()
{
	fixtures
	local S=$ROOT/test/sample
	mkdir -p "$D/learn-cnn" "$D/cnn" "$D/learn-vit" "$D/vit"
	"$B/test/sample/mark" "$S/test-images-idx3-ubyte.gz" - "$D/learn-cnn" 1 2
	"$B/test/sample/mark" "$S/calib-images-idx3-ubyte.gz" - "$D/cnn" 2 8
	"$B/test/sample/mark" "$S/test-images-idx3-ubyte.gz" - "$D/learn-vit" 1 2 4
	"$B/test/sample/mark" "$S/calib-images-idx3-ubyte.gz" - "$D/vit" 2 8 4
	teach cnn --epochs 10 --lr .01 <<- END
		name planted
		input image [N, 1, 28, 28] scale=1/255 mean=0.5 std=0.5
		Conv 8 | BatchNormalization | Relu
		Conv 8 | BatchNormalization | Relu
		GlobalAveragePool | Flatten
		Gemm 2
		output scores values=logits
	END
	teach vit --epochs 10 --lr .003 <<- END
		name planted-vit
		input image [N, 1, 28, 28] scale=1/255 mean=0.5 std=0.5
		Conv 32 4 strides=4 pads=valid
		Reshape [0, 32, 49] | Transpose [0, 2, 1]
		Position 49
		repeat 2 {
			x = .
			LayerNormalization
			SelfAttention 4
			Add x
			x = .
			LayerNormalization
			MatMul 64 | Gelu
			MatMul 32
			Add x
		}
		LayerNormalization
		ReduceMean 1 keepdims=0
		Gemm 2
		output scores values=logits
	END
}

# Of the maps of method $2 for the pictures of $1 that have the mark, how many in a hundred are largest inside it?
found()
{
	local which=$1 method=$2
	shift 2
	awk -v OFS= 'NR > 1 && NR < 42 { print "images-idx3-ubyte[", $1, "]" }' "$D/$which/where.tsv" > "$D/$which/names"
	(cd "$D/$which" && ds-explain -m "../$which.dsm" --method "$method" --class 1 --tsv --files-from names "$@") > "$D/$which.$method"
	awk -F'\t' 'NR == FNR { if (FNR > 1) { x[$1] = $2; y[$1] = $3 } next }
		FNR > 1 { split($1, part, /[][]/); i = part[2]; n++; k += $11 >= x[i] && $11 < x[i] + 4 && $12 >= y[i] && $12 < y[i] + 4 }
		END { if (n != 40) exit 1; print int(100 * k / n) }' "$D/$which/where.tsv" "$D/$which.$method"
}

@test "the nets have learned what the mark is" {
	for net in cnn vit; do
		ds-run -m "$D/$net.dsm" --eval -d "$D/$net/images-idx3-ubyte" | awk -F'\t' '$1 == "top1" { exit !($2 > .94) }'
	done
}

@test "a net of convolutions: Grad-CAM, integrated gradients, occlusion find the mark" {
	for method in gradcam gradcam++ integrated-gradients occlusion; do
		hits=$(found cnn $method)
		echo "$method $hits"
		[ "$hits" -ge 90 ]
	done
}

@test "a transformer: relevance, attention times gradient, integrated gradients, occlusion find the mark" {
	for method in lrp attention-gradient integrated-gradients 'occlusion --patch 4 --stride 2'; do
		hits=$(found vit $method)
		echo "$method $hits"
		[ "$hits" -ge 90 ]
	done
}

@test "a model with random weights finds nothing: the test can fail" {
	ds-convert --seed 3 "$D/cnn.spec" -f -o "$D/cnn.dsm.new"
	mv "$D/cnn.dsm" "$D/cnn.dsm.old"
	mv "$D/cnn.dsm.new" "$D/cnn.dsm"
	hits=$(found cnn occlusion)
	mv "$D/cnn.dsm.old" "$D/cnn.dsm"
	echo "$hits"
	[ "$hits" -lt 70 ]
}

@test "taking the mark away is what counts: insertion and deletion beat random orders" {
	cd "$D/cnn"
	awk -v OFS= 'NR > 1 && NR < 12 { print "images-idx3-ubyte[", $1, "]" }' where.tsv > some
	ds-explain -m ../cnn.dsm --method occlusion --class 1 --faithful --sanity 0 --baseline mean --files-from some > out
	awk -F'\t' '$1 == "deletion_gain" { exit !($4 > 0) }' out
	awk -F'\t' '$1 == "insertion_gain" { exit !($4 > 0) }' out
}
