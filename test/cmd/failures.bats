# failures.bats - ds-run --failures: what was answered wrongly, as a table that --files-from reads; FILE[N]
load common

setup_file()
{
	fixtures
	cp "$ROOT/test/sample/digits.dsm" "$D/m.dsm"
	cp "$ROOT"/test/sample/test-*-ubyte.gz "$D/"
}

@test "failures are those that --eval counts, and --files-from takes their items out of the file" {
	cd "$D"
	ds-run -m m.dsm --eval -d test-images-idx3-ubyte.gz --failures wrong.tsv > figures
	n=$(awk -F'\t' '$1 == "top1" { print $6 - $5 }' figures)
	[ "$n" -gt 0 ]
	[ "$(($(wc -l < wrong.tsv) - 1))" = "$n" ]
	[ "$(head -1 wrong.tsv)" = "$(printf 'path\tlabel\tprediction\tprobability\tlabel_name\tprediction_name')" ]
	awk -F'\t' 'NF != 6 { exit 1 } NR > 1 && ($2 == $3 || $1 !~ /^test-images-idx3-ubyte.gz\[[0-9]+\]$/) { exit 1 }' wrong.tsv
	# the same items, the same answers
	ds-run -m m.dsm --files-from wrong.tsv | cut -f 1,3 | tail -n +2 > again
	tail -n +2 wrong.tsv | cut -f 1,3 | cmp - again
	# their labels come along
	ds-run -m m.dsm --eval --files-from wrong.tsv | grep -q "^top1	0	.*	0	$n	"
}

@test "one pipe: standard output has the failures alone, the figures go where -o says" {
	cd "$D"
	ds-run -m m.dsm --eval -d test-images-idx3-ubyte.gz --failures wrong.tsv > figures
	bash -c 'set -o pipefail; ds-run -m m.dsm --eval -d test-images-idx3-ubyte.gz --failures - | tee piped | ds-run -m m.dsm --files-from - > rows'
	cmp piped wrong.tsv
	[ "$(wc -l < rows)" = "$(wc -l < wrong.tsv)" ]
	ds-run -m m.dsm --eval -d test-images-idx3-ubyte.gz --failures - -o out > piped
	cmp piped wrong.tsv
	cmp out figures
	# nothing wrong is a heading, and an empty batch
	awk -F'\t' 'NR == 1 || $1 ~ /never/' wrong.tsv > none
	run --separate-stderr ds-run -m m.dsm --files-from none
	show
	[ "$status" = 0 ]
	[ "${#lines[@]}" = 1 ]
}

@test "FILE[N] is one item; one that is not there is a failed item; a file that is called so wins" {
	cd "$D"
	ds-run -m m.dsm test-images-idx3-ubyte.gz > all
	ds-run -m m.dsm 'test-images-idx3-ubyte.gz[7]' | tail -1 > one
	sed -n 9p all | cmp - one
	run --separate-stderr -5 ds-run -m m.dsm 'test-images-idx3-ubyte.gz[7]' 'test-images-idx3-ubyte.gz[7000]'
	[[ $stderr == *'[7000]: there is no such item: the file has '* ]]
	gzip -dc test-images-idx3-ubyte.gz > 'plain[1]'
	ds-run -m m.dsm 'plain[1]' > named
	[ "$(wc -l < named)" = "$(wc -l < all)" ]
}

@test "hostile names go through the table unharmed" {
	cd "$D"
	right=$(ds-run -m m.dsm 'test-images-idx3-ubyte.gz[0]' | awk -F'\t' 'NR == 2 { print $3 }')
	mkdir -p "h/$(((right + 1) % 10))"          # a class that it is not: every answer is wrong
	{ printf '\0\0\x08\x03\0\0\0\x01\0\0\0\x1c\0\0\0\x1c'; gzip -dc test-images-idx3-ubyte.gz | tail -c +17 | head -c 784; } > one.idx
	for name in $'tab\there' $'new\nline' 'back\slash' 'back\tslash' $'esc\e[31m' $'byte\xff' ' lead' 'x[3]'; do
		cp one.idx "h/$(((right + 1) % 10))/$name"
	done
	ds-run -m m.dsm --eval -d h --failures wrong.tsv > /dev/null
	[ "$(wc -l < wrong.tsv)" = 9 ]
	! grep -q $'\e' wrong.tsv
	ds-run -m m.dsm --files-from wrong.tsv | cut -f1 | tail -n +2 > back
	cut -f1 wrong.tsv | tail -n +2 | cmp - back
}

@test "words that make no sense together" {
	cd "$D"
	run -2 ds-run -m m.dsm --failures w test-images-idx3-ubyte.gz
	run -2 ds-run -m m.dsm --eval --failures - -o - -d test-images-idx3-ubyte.gz
	run -2 ds-run -m m.dsm --eval --failures '' -d test-images-idx3-ubyte.gz
	run -1 ds-run -m m.dsm --eval --failures missing/w -d test-images-idx3-ubyte.gz
	run -1 bash -c 'ds-run -m m.dsm --eval --failures - -d test-images-idx3-ubyte.gz > /dev/full'
}
