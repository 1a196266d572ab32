#!/usr/bin/env bats
# convert.bats - ds-convert: what it reads, what it refuses, what it adds to a model

load common

S=$ROOT/test/corpus/onnx

setup()
{
	cd "$BATS_TEST_TMPDIR"
}

# An ONNX file that is convertible with the operators of this build.
@test "file, standard input and -m give the same bytes" {
	ds-convert "$S/cnn.onnx" > a.dsm
	ds-convert < "$S/cnn.onnx" > b.dsm
	bash -c "cat '$S/cnn.onnx' | ds-convert -" > c.dsm
	ds-convert -m "$S/cnn.onnx" -o d.dsm
	cmp a.dsm b.dsm
	cmp a.dsm c.dsm
	cmp a.dsm d.dsm
}

@test "DSM in, DSM out is the identity and adds no history" {
	for f in cnn functions qdq types old softmax11 names; do
		ds-convert "$S/$f.onnx" > a.dsm
		ds-convert a.dsm > b.dsm
		cmp a.dsm b.dsm
		bash -c 'cat a.dsm | ds-convert | ds-convert --no-mmap -' > c.dsm
		cmp a.dsm c.dsm
	done
}

@test "--no-history leaves the content alone" {
	ds-convert --no-history "$S/cnn.onnx" > a.dsm
	ds-convert "$S/cnn.onnx" | ds-convert --no-history > b.dsm
	cmp a.dsm b.dsm
	ds-convert "$S/cnn.onnx" > c.dsm
	! cmp -s a.dsm c.dsm
}

@test "--check lists every operator at once and exits 4 if one is missing" {
	run -0 ds-convert --check "$S/cnn.onnx"
	[ "${lines[0]}" = $'operator\tdomain\tnodes\tsupported' ]
	[ "${#lines[@]}" -eq 8 ]
	run -4 --separate-stderr ds-convert --check "$S/unknown.onnx"
	[[ $output == *$'Frobnicate\tai.onnx\t2\tno'* ]]
	[[ $output == *$'Widget\tcom.example\t1\tno'* ]]
	[[ $output == *$'Relu\tai.onnx\t1\tyes'* ]]
	[[ $stderr == *'2 operators are not supported'* ]]
	run -0 ds-convert --check --json "$S/cnn.onnx"
	[ "${lines[0]}" = '{"operator":"Conv","domain":"ai.onnx","nodes":1,"supported":"yes"}' ]
}

@test "missing operators: exit 4, all of them named, no output file" {
	run -4 --separate-stderr ds-convert "$S/unknown.onnx" -o x.dsm
	[ ! -e x.dsm ]
	[[ $stderr == *'Frobnicate (ai.onnx, 2 nodes, first: f1)'* ]]
	[[ $stderr == *'Widget (com.example, 1 node, first: w1)'* ]]
}

@test "what is no valid model is refused with the reason and exit 3 or 4" {
	run -3 --separate-stderr ds-convert "$S/undefined.onnx"
	[[ $stderr == *"'nothing' is used"* ]]
	run -3 --separate-stderr ds-convert "$S/no_output.onnx"
	[[ $stderr == *'the graph has no output'* ]]
	run -3 --separate-stderr ds-convert "$S/misfit.onnx"
	[[ $stderr == *'node "y" (Reshape)'* ]]         # a nameless node goes by what it makes
	run -4 --separate-stderr ds-convert "$S/strings.onnx"
	[[ $stderr == *"'x'"* ]]
	run -4 --separate-stderr ds-convert "$S/opset5.onnx"
	[[ $stderr == *'operator set 5'* ]]
	head -c 300 "$S/cnn.onnx" > cut.onnx
	run -3 --separate-stderr ds-convert cut.onnx
	[[ $stderr == *cut.onnx* ]]
	echo hello > text
	run -3 ds-convert text
	: > empty
	run -3 --separate-stderr ds-convert empty
	[[ $stderr == *'empty input'* ]]
}

@test "every truncation of an ONNX file is refused or still a model, never a crash" {
	size=$(stat -c %s "$S/functions.onnx")
	for n in $(seq 1 7 $((size - 1))); do
		head -c "$n" "$S/functions.onnx" > cut.onnx
		status=0
		ds-convert cut.onnx > out.dsm 2> err || status=$?
		[ $status -eq 0 ] || [ $status -eq 3 ] || [ $status -eq 4 ]
	done
}

@test "external data: beside the model, plain name, no link, within the file" {
	cp "$S"/external*.onnx .
	run -1 --separate-stderr ds-convert external.onnx
	[[ $stderr == *external.bin* ]]
	printf '\0\0\200\77\0\0\0\100\0\0\100\100\0\0\200\100' > external.bin
	run -0 --separate-stderr bash -c 'ds-convert external.onnx > a.dsm'
	mkdir sub
	cp external.onnx external.bin sub
	ds-convert --no-history sub/external.onnx > b.dsm
	ds-convert --no-history a.dsm | cmp - <(ds-convert --no-history external.onnx)
	ds-convert --no-history external.onnx | cmp - b.dsm
	run -3 --separate-stderr ds-convert external_long.onnx
	[[ $stderr == *'over the end'* ]]
	run -4 --separate-stderr ds-convert external_up.onnx
	[[ $stderr == *'plain file name'* ]]
	ln -s external.bin link.bin
	run -4 --separate-stderr ds-convert external_link.onnx
	[[ $stderr == *'symbolic link'* ]]
	rm link.bin
	mkfifo link.bin
	run -4 --separate-stderr timeout 5 ds-convert external_link.onnx
	[[ $stderr == *'not a regular file'* ]]
	run -4 --separate-stderr ds-convert < external.onnx
	[[ $stderr == *'not as a stream'* ]]
}

@test "preprocessing and labels live in the model, and are in its history" {
	printf 'ant\nbee\ncat\ndog\neel\n' > labels.txt
	run -0 --separate-stderr bash -c "ds-convert --input-scale 1/255 --input-mean .5 --input-std 1,2,3 --labels labels.txt -o a.dsm '$S/cnn.onnx'"
	[ -z "$stderr" ]
	for word in input.0.kind input.0.mean output.0.labels output.0.values probabilities --input-scale=1/255 text/plain eel; do
		grep -aq -e "$word" a.dsm
	done
	grep -aq "labels $(sha256sum < labels.txt | cut -d' ' -f1) 20" a.dsm
	grep -aq "model $(sha256sum < "$S/cnn.onnx" | cut -d' ' -f1) $(stat -c %s "$S/cnn.onnx")" a.dsm
	# given later it is the same content
	ds-convert "$S/cnn.onnx" | ds-convert --input-scale 1/255 --input-mean .5 --input-std 1,2,3 --labels labels.txt > b.dsm
	ds-convert --no-history a.dsm > a0.dsm
	ds-convert --no-history b.dsm | cmp - a0.dsm
	printf 'ant\nbee\n' > two.txt
	run -0 --separate-stderr bash -c "ds-convert --labels two.txt '$S/cnn.onnx' > c.dsm"
	[[ $stderr == *'2 labels for an output of 5 classes'* ]]
}

@test "wrong values are usage errors before anything is read" {
	for o in --input-size=8 --input-size=0x8 --input-mean=1,2 --input-mean=1,,2 --input-std=x --input-scale=1/0 --resize=crop --resize=short-side: \
		--resize=stretch:9 --input-preset=nobody --from=npz --to=onnx; do
		echo "$o"
		run -2 --separate-stderr timeout 5 ds-convert "$o" nothing-there
		[ -n "$stderr" ]
	done
	run -2 --separate-stderr ds-convert --check --labels x nothing-there
	run -2 --separate-stderr ds-convert --json nothing-there
	run -2 --separate-stderr ds-convert --input-size 9x9 "$S/cnn.onnx"
	[[ $stderr == *8x8* ]]
	run -3 --separate-stderr ds-convert --input-mean 1 "$S/types.onnx"
	[[ $stderr == *'no picture'* ]]
}

@test "safetensors becomes a bag of tensors, through a pipe too" {
	header='{"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"I8","shape":[4],"data_offsets":[8,12]}}'
	{ printf "\\x$(printf %x ${#header})\\0\\0\\0\\0\\0\\0\\0%s" "$header"; printf '\0\0\200\77\0\0\0\100\1\2\3\4'; } > t.safetensors
	ds-convert t.safetensors > a.dsm
	bash -c 'cat t.safetensors | ds-convert' > b.dsm
	cmp a.dsm b.dsm
	ds-convert a.dsm | cmp - a.dsm
	grep -aq "model $(sha256sum < t.safetensors | cut -d' ' -f1)" a.dsm
	run -3 ds-convert --check t.safetensors
	run -3 ds-convert --input-mean 1 t.safetensors
}

@test "all models of the assets convert, and convert to themselves" {
	asset models/squeezenet1.1/model.onnx
	for m in "${ASSET%/squeezenet1.1/model.onnx}"/*/model.onnx; do
		echo "$m"
		ds-convert "$m" > a.dsm
		ds-convert a.dsm | cmp - a.dsm
	done
}

@test "--input-preset=help prints a table and reads nothing" {
	run -0 ds-convert --input-preset=help
	[[ $output == *imagenet*'224 x 224'* ]]
	[ "$(wc -l <<< "$output")" -ge 9 ]
	run -2 ds-convert --input-preset=nosuch x.onnx
	[[ $output == *'the names are imagenet'* ]]
}
