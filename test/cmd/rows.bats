#!/usr/bin/env bats
# rows.bats - tables, series, texts and sounds: what ds-convert says of them, what ds-run makes of them

load common

setup()
{
	command -v ds-convert > /dev/null && command -v ds-run > /dev/null || skip 'the filters are not there'
	cd "$BATS_TEST_TMPDIR"
}

# The last row of column b of a window of three rows of a and b.
last_value()
{
	printf 'input x [N, 3, 2]\nSlice [2] [3] [1] | Slice [1] [2] [2] | Flatten\noutput y\n' > last.spec
	ds-convert last.spec --input-kind table --columns a,b "$@" -o last.dsm
}

series()
{
	printf 'when,a,b\n'
	for i in 1 2 3 4 5 6 7 8; do printf 'day %d,%d,%d\n' $i $i $((i * i)); done
}

# WAV, 16 bit, 8000 Hz, COUNT frames of 1/4
wav()
{
	local n=$(printf '\\x%02x\\x%02x\\0\\0' $(($1 * 2 % 256)) $(($1 * 2 / 256)))
	printf 'RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data'"$n"
	for ((i = 0; i < $1; i++)); do printf '\0\x20'; done
}

@test "a forecast: one row for each window, in columns of their names" {
	series > s.csv
	last_value --target b --horizon 1
	ds-run -m last.dsm s.csv > rows
	[ "$(head -n 1 rows)" = $'input\trow\tb' ]
	[ "$(cut -f 2,3 rows | tail -n +2 | tr '\t\n' ': ')" = '0:9 1:16 2:25 3:36 4:49 5:64 ' ]
	ds-run -m last.dsm --json s.csv | head -n 1 | grep -qx '{"input":"s.csv","row":0,"b":9}'
}

@test "a forecast is measured against what came, and beside the last row" {
	series > s.csv
	last_value --target b --horizon 1
	ds-run -m last.dsm --eval s.csv > rows
	# differences 7 9 11 13 15
	awk -F'\t' '$1 == "mse" { a = $2 } $1 == "naive_mse" { b = $2 } $1 == "mae" { c = $2 } $1 == "column_rmse" { d = $2; e = $7 }
		END { exit !(a == 129 && b == 129 && c == 11 && e == "b" && d * d > 128.99 && d * d < 129.01) }' rows
	# the range keeps later rows out: two windows are left, 9 -> 16 and 16 -> 25
	ds-run -m last.dsm --eval 's.csv[:5]' > rows
	awk -F'\t' '$1 == "mse" { exit !($2 == (49 + 81) / 2 && $6 == 2) }' rows
	run -3 ds-run -m last.dsm --eval 's.csv[:3]'
	[[ $output == *'3 rows where a window takes 4 with what follows it'* ]]
}

@test "two forecasts compared: the error grows, --max-drop says when it is too much" {
	series > s.csv
	last_value --target b --horizon 1
	sed 's/Slice \[2\] \[3\]/Slice [1] [2]/' last.spec > early.spec
	ds-convert early.spec --input-kind table --columns a,b --target b --horizon 1 -o early.dsm
	# the value before the last one: differences 12 16 20 24 28
	ds-run -m early.dsm --compare last.dsm --eval s.csv > rows
	awk -F'\t' '$1 == "drop" { a = $2 } $1 == "reference_mse" { b = $2 } $1 == "agreement" { c = 1 } END { exit !(b == 129 && !c && a > 2.34 && a < 2.35) }' rows
	run -6 ds-run -m early.dsm --compare last.dsm --eval s.csv --max-drop .5
	[[ $output == *'the error has grown by 2.34'* ]]
	ds-run -m last.dsm --compare early.dsm --eval s.csv --max-drop .5 > rows
}

@test "ranges: shares meet without a row in common; a file of that name wins" {
	series > s.csv
	last_value
	ds-run -m last.dsm 's.csv[:50%]' | tail -n +2 > a
	ds-run -m last.dsm 's.csv[50%:]' | tail -n +2 > b
	[ "$(cut -f 2 a | tr '\n' ' ')" = '0 1 ' ]
	[ "$(cut -f 2 b | tr '\n' ' ')" = '4 5 ' ]
	[ "$(ds-run -m last.dsm 's.csv[-3:]' | tail -n 1 | cut -f 2)" = 5 ]
	head -n 4 s.csv > 's.csv[:50%]'
	[ "$(ds-run -m last.dsm 's.csv[:50%]' | wc -l)" -eq 2 ]
}

@test "a cell that is no number costs the windows that hold it, and is told once for each" {
	series | sed 's/^day 4,4,/day 4,n.a.,/' > s.csv
	last_value
	run -5 --separate-stderr ds-run -m last.dsm s.csv
	[ "$(grep -c 's.csv\[[1-3]\]' <<< "$stderr")" -eq 3 ]
	[[ $stderr == *"line 5: column 'a' holds 'n.a.', no number"* ]]
	[ "${#lines[@]}" -eq 4 ]
}

@test "a table: classes by name, accuracy, and a file that lacks a column" {
	printf 'size;weight;kind\n1;2;cat\n3;1;dog\n5;6;cat\n' > t.csv
	printf 'cat\ndog\n' > names
	printf 'input x [N, 2]\noutput y values=logits\n' > t.spec
	sed -i '2i Identity' t.spec
	ds-convert t.spec --input-kind table --columns weight,size --target kind --labels names -o t.dsm
	ds-run -m t.dsm t.csv | cut -f 2,5 > rows
	[ "$(tr '\t\n' ': ' < rows)" = 'row:label 0:cat 1:dog 2:cat ' ]
	ds-run -m t.dsm --eval -d t.csv | grep -q '^top1	1	'
	printf 'size\n1\n' > u.csv
	run -3 ds-run -m t.dsm u.csv
	[[ $output == *"u.csv: no column 'weight' in the table"* ]]
	printf 'size;weight;kind\n1;2;cow\n3;1;dog\n' > v.csv
	run -5 ds-run -m t.dsm --eval -d v.csv
	[[ $output == *"column 'kind' holds 'cow', no class of the model"* ]]
}

@test "the same bytes for any -j and -b, from a pipe and from gzip" {
	for ((i = 0; i < 300; i++)); do echo "$((i * 7 % 50)),$((i % 9))"; done > s.csv
	printf 'input x [N, 3, 2]\nFlatten | Gemm 4\noutput y values=numbers\n' > g.spec
	ds-convert g.spec --input-kind table --columns 1,2 -o g.dsm
	ds-run -m g.dsm s.csv > want
	[ "$(wc -l < want)" -eq 299 ]
	for o in '-j 1' '-j 3 -b 7' '-b 1'; do
		ds-run -m g.dsm $o s.csv > got
		same want got
	done
	gzip -k s.csv
	ds-run -m g.dsm s.csv.gz | sed 's/^s.csv.gz/s.csv/' > got
	same want got
	ds-run -m g.dsm - < s.csv | sed 's/^-/s.csv/' > got
	same want got
}

@test "an autoencoder: the error of each sample, and how well it tells the odd ones" {
	printf 'a,b,odd\n1,1,0\n2,2,0\n1,9,1\n3,3,0\n' > t.csv
	# gives the mean of both columns for each
	printf 'input x [N, 2]\nReduceMean 1 | Expand [1, 2]\noutput y values=input\n' > a.spec
	ds-convert a.spec --input-kind table --columns a,b --target odd -o a.dsm
	[ "$(ds-run -m a.dsm t.csv | cut -f 2,3 | tr '\t\n' ': ')" = 'row:error 0:0 1:0 2:16 3:0 ' ]
	ds-run -m a.dsm --eval -d t.csv > rows
	grep -q '^mse	4	' rows
	grep -q '^auc	1	.*	1	4	' rows
}

@test "text: tokens, their loss, bits, and a model of another text" {
	printf 'abcabcabcabc' > x.txt
	printf 'input t i64 [N, 4]\nGather 3 3 init=zeros\noutput y values=logits\n' > t.spec
	ds-convert t.spec --input-kind text --vocabulary x.txt -o t.dsm
	ds-info t.dsm | grep -q '^assets *vocabulary'
	ds-run -m t.dsm x.txt > rows
	[ "$(head -n 1 rows)" = $'input\trow\ttokens\tnll\tbits' ]
	# every character is as likely as any other: log 3
	awk -F'\t' 'NR > 1 && ($2 != (NR - 2) * 4 || $3 != 4 || $4 < 1.0986122 || $4 > 1.0986124 || $5 < 1.584962 || $5 > 1.584963) { exit 1 } END { exit NR != 3 }' rows
	ds-run -m t.dsm --eval x.txt > rows
	awk -F'\t' '$1 == "perplexity" { exit !($2 > 2.99999 && $2 < 3.00001 && $6 == 8) }' rows
	printf 'abcd' > y.txt
	run -3 ds-run -m t.dsm y.txt
	[[ $output == *'4 tokens where a window with the one that follows takes 5'* ]]
	printf 'abcdabcab' > y.txt
	run -5 ds-run -m t.dsm y.txt
	[[ $output == *'the character U+0064 at byte 3 is none of the model'* ]]
	printf 'abcdefgh' > more.txt
	run -3 ds-convert t.spec --input-kind text --vocabulary more.txt -o u.dsm
	[[ $output == *'8 tokens for a model whose output has 3 classes'* ]]
}

@test "lines of text with a class behind a tab" {
	printf 'a\tyes\nb\tno\n' > l.tsv
	printf 'no\nyes\n' > names
	printf 'input t i64 [N, 1]\nCast to=f32 | Sub 97.5 | Gemm 2 init=zeros\noutput y values=logits\n' > t.spec
	ds-convert t.spec --input-kind text --tokens bytes --items lines --labels names -o t.dsm
	[ "$(ds-run -m t.dsm l.tsv | wc -l)" -eq 3 ]
	ds-run -m t.dsm --eval -d l.tsv | grep '^top1' | cut -f 6 | grep -qx 2
}

@test "sound: windows with their time, and a state that goes from one to the next" {
	wav 10 > a.wav
	cp a.wav b.wav
	printf 'input x [1, 4]\ninput s [1, 1]\nsum = ReduceSum(x) 1\nt = Add(sum, s)\noutput t values=numbers\noutput u(t)\n' > s.spec
	sed -i 's/^output u(t)/u = Identity(t)\noutput u/' s.spec
	ds-convert s.spec --input-kind sound --rate 8000 --window 4 --hop 4 --state u=s -o s.dsm
	ds-run -m s.dsm a.wav b.wav > rows
	[ "$(head -n 1 rows)" = $'input\ttime\tt' ]
	[ "$(cut -f 3 rows | tail -n +2 | tr '\n' ' ')" = '1 2 2.5 1 2 2.5 ' ]
	[ "$(cut -f 2 rows | tail -n +2 | head -n 3 | tr '\n' ' ')" = '0 0.0005 0.001 ' ]
	# windows with a gap between them begin anew
	ds-convert s.dsm --hop 5 --input-kind sound --window 4 -o gap.dsm
	[ "$(ds-run -m gap.dsm a.wav | cut -f 2,3 | tail -n +2 | tr '\t\n' ': ')" = '0:1 0.000625:1 ' ]
}

@test "sound from a pipe: the same rows, each as soon as its window is there" {
	printf 'input x [N, 4]\nReduceSum 1\noutput y values=numbers\n' > s.spec
	local o
	for o in '--window 4 --hop 4' '--window 4 --hop 2' '--window 3 --hop 3 --context 1' '--window 3 --hop 5 --context 1' '--window 2 --hop 7 --context 2'; do
		ds-convert s.spec --input-kind sound --rate 8000 $o -o s.dsm
		for seed in pcm16 pcm8 pcm24 pcm32 f32 f64 pipe stereo empty; do
			cp "$ROOT/test/corpus/sound/$seed.wav" ./-
			ds-run -m s.dsm ./- 2> /dev/null | sed 's,^\./-,-,' > want
			cat ./- | ds-run -m s.dsm - > got 2> /dev/null || [ $seed = empty ]
			cut -f 2- got | cmp - <(cut -f 2- want)
		done
	done
	ds-convert s.spec --input-kind sound --rate 8000 --hop 4 -o s.dsm
	! ds-run --version | grep -q '^libsndfile [0-9]' || [ "$(ds-run -m s.dsm - < "$ROOT/test/corpus/sound/s16.flac" | wc -l)" -eq 11 ]
	wav 12 > a.wav
	mkfifo in
	ds-run -m s.dsm - < in > rows 3>&- &
	local reader=$!
	exec 9> in
	head -c 60 a.wav >&9
	for _ in $(seq 100); do [ "$(wc -l < rows)" -ge 3 ] && break; sleep .05; done
	[ "$(wc -l < rows)" -eq 3 ]
	tail -c +61 a.wav >&9
	exec 9>&-
	wait $reader
	[ "$(wc -l < rows)" -eq 4 ]
	head -c 60 a.wav > cut.wav
	run -5 bash -c 'cat cut.wav | ds-run -m s.dsm -'
	[[ $output == *'truncated WAV: 8 bytes of samples are missing'* ]]
}

@test "sound: what cannot be read is one clear line" {
	printf 'input x [N, 8]\nIdentity\noutput y\n' > s.spec
	ds-convert s.spec --input-kind sound --rate 16000 -o s.dsm
	wav 8 > a.wav
	run -3 ds-run -m s.dsm a.wav
	[[ $output == *'a.wav: a sound of 8000 frames a second where the model takes 16000'* ]]
	run -3 ds-run -m s.dsm "$ROOT/test/corpus/sound/cut.wav"
	[[ $output == *'truncated WAV: 80 bytes of samples, 70 are there'* ]]
	run -3 ds-run -m s.dsm "$ROOT/test/corpus/sound/adpcm.wav"
	[[ $output == *'coding 0x0002; PCM and IEEE float are read'* ]]
	ds-convert s.spec -o bare.dsm
	run -2 ds-run -m bare.dsm a.wav
	[[ $output == *'ds-convert --input-kind sound'* ]]
}

@test "the voice detector gives the reference's probabilities" {
	asset models/silero_vad_16k/model.onnx
	local model=$ASSET
	asset data/audio/silero_test.wav
	ds-convert "$model" --input-kind sound --rate 16000 --window 512 --hop 512 --context 64 --state stateN=state --output-values probabilities -o v.dsm
	ds-run -m v.dsm "$ASSET" > rows
	[ "$(head -n 1 rows)" = $'input\ttime\tprobability' ]
	paste <(cut -f 3 rows) <(cut -f 2 "$(dirname "$model")/speech_prob.tsv") |
		awk -F'\t' 'NR > 1 && $2 != "" { d = $1 - $2; n++; if (d > 1e-4 || d < -1e-4) exit 1 } END { exit n != 937 }'
}

@test "the autoencoder of machines gives the reference's error, from an array of rows" {
	asset models/toycar_autoencoder/model.onnx
	local model=$ASSET
	asset data/audio/toycar_normal_id_01_00000000_logmel.f32
	{
		printf '\x93NUMPY\1\0\x76\0%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (200, 128), }"
		cat "$ASSET"
	} > toy.npy
	ds-convert "$model" --input-kind table --output-values input -o toy.dsm
	ds-run -m toy.dsm --eval toy.npy > rows
	awk -F'\t' '$1 == "mse" { exit !($2 > 9.7065 && $2 < 9.7075 && $6 == 196 * 640) }' rows
}

@test "the character model gives the reference's bits" {
	asset models/charrnn_shakespeare/model.onnx
	local model=$ASSET
	need python3
	asset data/text/tinyshakespeare.txt
	python3 -c 'import json, sys; sys.stdout.write("".join(json.load(open(sys.argv[1]))))' "$(dirname "$model")/vocab.json" > vocab
	ds-convert "$model" --input-kind text --vocabulary vocab --window 100 --layout TN --state hn=h0 --state cn=c0 -o c.dsm
	ds-run -m c.dsm --eval "$ASSET[-20001:]" > rows
	awk -F'\t' '$1 == "bits_per_token" { exit !($2 > 1.97097 && $2 < 1.97098) }' rows
}

@test "options about rows are checked" {
	printf 'input x [N, 3, 2]\nIdentity\noutput y\n' > s.spec
	run -2 ds-convert s.spec --input-kind text --columns a,b
	[[ $output == *'--columns has no meaning with --input-kind text'* ]]
	run -2 ds-convert s.spec --input-kind table --columns a,,b
	run -2 ds-convert s.spec --input-kind table --input-size 3x2
	[[ $output == *'cannot be combined'* ]]
	run -3 ds-convert s.spec --input-kind table --columns a,b,c,d
	[[ $output == *"the model's input 'x' [?, 3, 2] does not take"*'rows of 4 columns'* ]]
	run -2 ds-convert s.spec --state y=nosuch
	run -3 ds-convert s.spec --input-kind table --columns a,b --target a --horizon 5
	[[ $output == *'output.0.columns and .horizon'* ]]
}
