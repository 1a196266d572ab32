#!/usr/bin/env bats
# explain_attention.bats - ds-explain on transformers, texts and sounds

load common

X=$ROOT/test/sample/explain

setup_file()
{
	cd "$BATS_FILE_TMPDIR"
	command -v ds-explain > /dev/null || return 0
	ds-convert $X/vit.onnx -o vit.dsm
	ds-convert --input-preset imagenet --set input.0.size=16,16 $X/vit.onnx -o vit-photo.dsm 2> /dev/null || true
	ds-convert $X/words.onnx -o words.dsm
	printf 'the quick brown fox jumps over the lazy dog and runs away from us all\n' > poem.txt
	head -c 33 poem.txt > line.txt
	ds-convert --set width=16 --set layers=2 --set heads=2 --set context=32 $ROOT/cmd/specs/chargpt.spec | ds-train -q -d poem.txt --steps 5 --batch 2 -o writer.dsm
	ds-convert --set width=8 --set samples=2000 --set classes=3 $ROOT/cmd/specs/speech.spec -o listener.dsm
}

setup()
{
	command -v ds-explain > /dev/null || skip 'ds-explain is not there'
	cd "$BATS_TEST_TMPDIR"
	ln -sf "$BATS_FILE_TMPDIR"/* .
}

# Numbers of an npy file of f32, one on a line.
numbers()
{
	local skip=$(($(od -An -tu2 -j8 -N2 "$1") + 10))
	od -An -v -w4 -tf4 -j$skip "$1" | tr -d ' '
}

# near A B LIMIT: the largest difference of two npy files.
near()
{
	[ "$(numbers "$1" | wc -l)" -eq "$(numbers "$2" | wc -l)" ]
	paste <(numbers "$1") <(numbers "$2") | awk -v limit="$3" '{ d = $1 - $2; d = d < 0 ? -d : d; m = d > m ? d : m } END { print "largest difference", m; exit !(NR && m <= limit) }'
}

@test "attention of an exported model is that of the reference, and rows sum to one" {
	ds-explain -m vit.dsm --method attention --raw npy $X/vit_input.npy > a.npy
	near a.npy $X/vit_attention.npy 1e-5
	ds-explain -m words.dsm --method attention --raw npy --input ids=$X/words_input.npy > b.npy
	near b.npy $X/words_attention.npy 1e-5
	numbers b.npy | awk '{ s += $1 } NR % 7 == 0 { if (s < .99999 || s > 1.00001) exit 1; s = 0 }'
}

@test "attention of real transformers: vit_mnist, stories260K" {
	asset models/vit_mnist/attn8.npy
	local A=${ASSET%/models/*}
	ds-convert --input-preset mnist-norm $A/models/vit_mnist/model.onnx -o vit_mnist.dsm
	ds-explain -m vit_mnist.dsm --method attention --raw npy "$A/data/mnist/t10k-images-idx3-ubyte.gz[0:8]" > a.npy
	near a.npy $A/models/vit_mnist/attn8.npy 1e-4
	numbers a.npy | awk '{ s += $1 } NR % 17 == 0 { if (s < .9999 || s > 1.0001) exit 1; s = 0 }'
	ds-convert $A/models/stories260K/model.onnx -o stories.dsm
	awk -F'\t' '/^[0-9]/ { print $2 }' $A/models/stories260K/ref/attn_prompt.tokens.tsv > ids
	{ printf '\223NUMPY\1\0\166\0'; printf '%-117s\n' "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 26), }"
		while read -r n; do printf "\\x$(printf %02x $((n % 256)))\\x$(printf %02x $((n / 256)))\0\0\0\0\0\0"; done < ids; } > ids.npy
	ds-explain -m stories.dsm --method attention --raw npy --input input_ids=ids.npy > b.npy
	near b.npy $A/models/stories260K/ref/attn_prompt.npy 1e-4
	ds-explain -m stories.dsm --method lrp --input input_ids=ids.npy | grep -q '#403'
}

@test "a layer by number, name and glob, a head; none of them: exit 2" {
	ds-explain -m vit.dsm --method attention --raw npy --layer 1 --head 0 $X/vit_input.npy > a.npy
	name=$(ds-explain -m vit.dsm --method attention --tsv --layer 1 --head 0 $X/vit_input.npy | tail -n 1 | cut -f 7)
	ds-explain -m vit.dsm --method attention --raw npy --layer "$name" --head 0 $X/vit_input.npy > b.npy
	same a.npy b.npy
	numbers a.npy > one
	numbers $X/vit_attention.npy | tail -n +$((2 * 289 + 1)) | head -n 289 > two
	paste one two | awk '{ d = $1 - $2; if (d < -1e-5 || d > 1e-5) exit 1 }'
	run -2 ds-explain -m vit.dsm --method attention --tsv --layer 2 $X/vit_input.npy
	run -2 ds-explain -m vit.dsm --method attention --tsv --layer nothing $X/vit_input.npy
	run -2 ds-explain -m vit.dsm --method attention --tsv --head 2 $X/vit_input.npy
	run -4 ds-explain -m $ROOT/test/sample/digits.dsm --method rollout --tsv $ROOT/test/sample/pictures/a-is-9.png
}

@test "rollout and attention-gradient over the places of the picture; rollout is a distribution over tokens" {
	ds-explain -m vit.dsm --method rollout --raw npy $X/vit_input.npy > r.npy
	ds-explain -m vit.dsm --method attention-gradient --class 3 --raw npy $X/vit_input.npy > g.npy
	[ "$(numbers r.npy | wc -l)" -eq 256 ]
	[ "$(numbers g.npy | wc -l)" -eq 256 ]
	numbers g.npy | awk '$1 < 0 { exit 1 }'
	numbers r.npy | awk '$1 <= 0 || $1 >= 1 { exit 1 }'
	ds-explain -m words.dsm --method rollout --raw npy --input ids=$X/words_input.npy > w.npy
	numbers w.npy | awk '{ s += $1 } END { exit !(NR == 7 && s > .99999 && s < 1.00001) }'
}

@test "relevance is that of the reference, and what is lost is less than 1 %" {
	ds-explain -m vit.dsm --method lrp --gamma 0 --class 3 --raw npy $X/vit_input.npy > r.npy
	ds-explain -m vit.dsm --method lrp --gamma .25 --class 3 --raw npy $X/vit_input.npy > g.npy
	paste <({ numbers r.npy; numbers g.npy; }) <(numbers $X/vit_relevance.npy) | awk '{ d = $1 - $2; if (d < -1e-6 || d > 1e-6) exit 1 } END { exit NR != 1536 }'
	ds-explain -m words.dsm --method lrp --class 6 --raw npy --input ids=$X/words_input.npy > w.npy
	near w.npy $X/words_relevance.npy 1e-5
	for m in vit.dsm writer.dsm; do
		ds-explain -m $m --method lrp --tsv $([ $m = vit.dsm ] && echo $X/vit_input.npy || echo poem.txt) | awk -F'\t' 'NR > 1 && !($9 < .01) { exit 1 } END { exit NR < 2 }'
	done
}

@test "gradients of tokens are about the vectors that they are looked up as" {
	for m in gradient-input saliency 'integrated-gradients --steps 8' 'smoothgrad --samples 3' occlusion lrp rollout attention-gradient; do
		ds-explain -m words.dsm --method $m --raw npy --input ids=$X/words_input.npy > m.npy
		[ "$(numbers m.npy | wc -l)" -eq 7 ]
		numbers m.npy | awk '$1 != 0 { n++ } END { exit n < 1 }'
	done
	run -4 ds-explain -m words.dsm --method saliency --about input --tsv --input ids=$X/words_input.npy
	run -2 ds-explain -m words.dsm --method saliency --about nothing --tsv --input ids=$X/words_input.npy
}

@test "a text: the same words with digits under them, with colours, as a page" {
	ds-explain -m writer.dsm --method lrp line.txt > t
	grep -q '^line.txt.*: .*, lrp, gap [0-9.e-]* %, 9 is ' t
	grep -q '^the quick brown fox jumps over t$' t
	sed -n 3p t | grep -q '[1-9a-i]'
	ds-explain -m writer.dsm --method lrp --color always line.txt | grep -q "$(printf '\033\[38;')"
	[ "$(ds-explain -m writer.dsm --method lrp --color always line.txt | sed "s/$(printf '\033')\[[0-9;]*m//g" | sed -n 2p)" = 'the quick brown fox jumps over t' ]
	NO_COLOR=1 ds-explain -m writer.dsm --method lrp line.txt | same - t
	ds-explain -m writer.dsm --method lrp --to html line.txt > t.html
	grep -q '<span style="background:#[0-9a-f]*" title="token 0 (#[0-9]*): [-0-9.e]*">t</span>' t.html
	! grep -q 'http\|<script\|src=' t.html
	ds-explain -m writer.dsm --method lrp --to png line.txt -o t.png
	[ "$(head -c 8 t.png | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ]
}

@test "--top-tokens: as many rows, the largest first; --position: the answer that is explained" {
	ds-explain -m writer.dsm --method occlusion --top-tokens 3 line.txt > rows
	head -n 1 rows | grep -q '^input	class	label	method	layer	head	rank	position	token	text	score$'
	[ "$(wc -l < rows)" -eq 4 ]
	awk -F'\t' 'NR > 1 { s = $11 < 0 ? -$11 : $11; if (NR > 2 && s > last) exit 1; last = s }' rows
	ds-explain -m writer.dsm --method occlusion --top-tokens 2 --json line.txt | head -n 1 | grep -q '"rank":1,"position":[0-9]*,"token":[0-9]*,"text":"'
	ds-explain -m writer.dsm --method occlusion --position 4 --raw npy line.txt > p.npy
	numbers p.npy | awk 'NR > 5 && $1 != 0 { exit 1 }'
	run -2 ds-explain -m writer.dsm --position 32 line.txt
	run -2 ds-explain -m writer.dsm --position=-33 line.txt
}

@test "tokens without text are numbers; --words names them" {
	ds-explain -m words.dsm --method lrp --input ids=$X/words_input.npy | grep -q '#[0-9]'
	printf 'zero\none\ntwo\nthree\nfour\nfive\nsix\nse\\nven\neight\nnine\nten\n' > names
	ds-explain -m words.dsm --method lrp --words names --class six --input ids=$X/words_input.npy > t
	grep -q 'six.*, lrp' t
	! grep -q '#[0-9]' t
	run -2 ds-explain -m vit.dsm --method lrp --words names --tsv $X/vit_input.npy
	run -1 ds-explain -m words.dsm --words nothing --input ids=$X/words_input.npy
}

@test "a grid of layers and heads, as a picture" {
	ds-explain -m vit.dsm --method attention $X/vit_input.npy -o grid.png
	ds-explain -m vit.dsm --method attention --view matrix $X/vit_input.npy -o matrix.png
	ds-explain -m writer.dsm --method attention --to png line.txt -o text.png
	for f in grid matrix text; do
		[ "$(head -c 8 $f.png | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ]
	done
	ds-explain -m writer.dsm --method attention --layer 1 --head 1 line.txt | grep -q 'attention of layer 1 (.*) head 1'
}

@test "a sound: maps are about the spectrogram, or the waveform" {
	ds-explain -m listener.dsm --method gradient-input $ROOT/test/corpus/sound/pcm16.wav -o s.png
	[ "$(head -c 8 s.png | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ]
	ds-explain -m listener.dsm --method gradient-input --raw npy $ROOT/test/corpus/sound/pcm16.wav > s.npy
	[ "$(numbers s.npy | wc -l)" -eq $((40 * 22)) ]
	ds-explain -m listener.dsm --method occlusion --about input --raw npy $ROOT/test/corpus/sound/pcm16.wav > w.npy
	[ "$(numbers w.npy | wc -l)" -eq 2000 ]
}

@test "the same bytes for any number of threads" {
	for m in attention rollout attention-gradient lrp; do
		ds-explain -j 1 -m vit.dsm --method $m --raw npy $X/vit_input.npy > a.npy
		ds-explain -j 3 -b 4 -m vit.dsm --method $m --raw npy $X/vit_input.npy > b.npy
		same a.npy b.npy
	done
}

@test "what does not go together: exit 2; what cannot be shown: exit 4" {
	for args in '--to html --tsv' '--to png --raw npy' '--top-tokens 3 --raw npy' '--to text --top-tokens 2' '--gamma=-2' '--epsilon nan' '--top-tokens=-1' '--to gif'; do
		run -2 ds-explain -m vit.dsm $args $X/vit_input.npy
	done
	run -4 ds-explain -m vit.dsm --method attention --to text $X/vit_input.npy
	run -4 ds-explain -m vit.dsm --method lrp --to html $X/vit_input.npy
	run -4 ds-explain -m vit.dsm --method lrp --top-tokens 3 $X/vit_input.npy
}

# planted FILE WHERE: of the pictures with a mark that a map's rows speak of, how many maps are largest within a pixel of it.
planted()
{
	awk -F'\t' 'FNR == NR { x[$1] = $2; y[$1] = $3; next }
		FNR > 1 { i = FNR - 2; if (i in x && $4 > .5) { n++; hit += $11 >= x[i] - 1 && $11 <= x[i] + 4 && $12 >= y[i] - 1 && $12 <= y[i] + 4 } }
		END { print hit " of " n; exit !(n > 10 && hit >= .9 * n) }' "$2" "$1"
}

@test "a planted mark that decides the class is found in at least 90 % of the pictures" {
	[ -x "$B/test/sample/mark" ] || skip 'the program that plants marks is not there'
	mkdir train test
	"$B/test/sample/mark" $ROOT/test/sample/test-images-idx3-ubyte.gz - train 4 2
	"$B/test/sample/mark" $ROOT/test/sample/calib-images-idx3-ubyte.gz - test 3 2
	ds-convert --seed 1 --input-preset mnist-unit $X/patches.spec | ds-train -q -d train/images-idx3-ubyte --optimizer adamw --lr .004 --batch 20 --epochs 6 -o found.dsm
	for m in lrp 'integrated-gradients --steps 8'; do
		ds-explain -m found.dsm --method $m --class 1 --tsv 'test/images-idx3-ubyte[0:60]' > rows
		planted rows test/where.tsv
	done
}

@test "a planted letter that decides the class is found in at least 90 % of the texts" {
	awk 'BEGIN { srand(7); for (i = 0; i < 600; i++) { s = ""; for (k = 0; k < 24; k++) s = s substr("abcdefgh", 1 + int(rand() * 8), 1)
		if (i % 2) { p = int(rand() * 24); s = substr(s, 1, p) "Z" substr(s, p + 2) } print s "\t" i % 2 } }' > all.txt
	head -n 500 all.txt > train.txt
	tail -n 100 all.txt | grep Z > test.txt
	ds-convert --seed 1 $X/marker.spec | ds-train -q -d train.txt --optimizer adamw --lr .005 --batch 20 --epochs 12 -o found.dsm
	for m in lrp integrated-gradients occlusion; do
		ds-explain -m found.dsm --method $m --class 1 --top-tokens 1 test.txt | awk -F'\t' -v m=$m 'NR > 1 { n++; hit += $10 == "Z" } END { print m, hit " of " n; exit !(n == 50 && hit >= .9 * n) }'
	done
}
