# explain_dir.bats - ds-explain --out-dir: names, collisions, what is there already, hostile paths; one pipe from the failures
load common

setup_file()
{
	fixtures
	cp "$ROOT/test/sample/digits.dsm" "$D/m.dsm"
	cp "$ROOT"/test/sample/test-*-ubyte.gz "$D/"
}

setup()
{
	cd "$BATS_TEST_TMPDIR"
	mkdir -p p
	cp "$ROOT/test/sample/pictures/a-is-9.png" p/a.png
	cp "$ROOT/test/sample/pictures/a-is-9.png" p/b.png
}

is_png()
{
	[ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ]
}

@test "one file for each input, called after its path; the picture is that of a run by itself" {
	ds-explain -m "$D/m.dsm" --out-dir maps p
	[ "$(ls maps | tr '\n' ' ')" = 'p_a.png.png p_b.png.png ' ]
	ds-explain -m "$D/m.dsm" p/a.png > alone.png
	same alone.png maps/p_a.png.png
	ds-explain -m "$D/m.dsm" --out-dir other "$PWD/p/./a.png" > out
	[ ! -s out ]
	[ "$(ls other)" = "$(echo "${PWD#/}/p/a.png.png" | tr / _)" ]
}

@test "several classes are in the name, items of a file by their number, numbers instead of pictures with --raw" {
	ds-explain -m "$D/m.dsm" --out-dir maps --top 2 p/a.png
	[ "$(ls maps | wc -l)" = 2 ]
	[ -e maps/p_a.png.class-9.png ]
	cp "$D/test-images-idx3-ubyte.gz" x.gz
	ds-explain -m "$D/m.dsm" --method saliency --raw npy --out-dir raw 'x.gz[3:5]'
	[ "$(ls raw | tr '\n' ' ')" = 'x.gz.3.npy x.gz.4.npy ' ]
	ds-explain -m "$D/m.dsm" --method saliency --raw npy 'x.gz[4]' | cmp - raw/x.gz.4.npy
}

@test "--tsv lists what was written" {
	ds-explain -m "$D/m.dsm" --out-dir maps --tsv p > rows
	[ "$(head -1 rows | awk -F'\t' '{ print $NF }')" = file ]
	[ "$(tail -n +2 rows | awk -F'\t' '{ print $NF }' | tr '\n' ' ')" = 'maps/p_a.png.png maps/p_b.png.png ' ]
	ds-explain -m "$D/m.dsm" -f --out-dir maps --json p | grep -c '"file":"maps/p_[ab].png.png"' | grep -qx 2
	is_png maps/p_a.png.png
}

@test "inputs that would be called the same are refused before anything is made" {
	mkdir -p q/r q_r
	cp p/a.png q/r/x.png
	cp p/a.png q_r/x.png
	run --separate-stderr -2 ds-explain -m "$D/m.dsm" --out-dir maps q/r/x.png q_r/x.png
	[[ $stderr == *'q_r_x.png'* ]]
	[ ! -e maps ]
	run -2 ds-explain -m "$D/m.dsm" --out-dir maps p/a.png p/../p/a.png p/./a.png
	run -2 ds-explain -m "$D/m.dsm" --out-dir maps p/a.png p/a.png
	[ ! -e maps ]
	# the same file through two names that do differ is fine
	ds-explain -m "$D/m.dsm" --out-dir maps p/a.png p/../p/a.png
	[ "$(ls maps | wc -l)" = 2 ]
}

@test "files that are there are refused without --force, and kept" {
	mkdir maps
	echo mine > maps/p_b.png.png
	run --separate-stderr -2 ds-explain -m "$D/m.dsm" --out-dir maps p
	[[ $stderr == *'p_b.png.png'*'--force'* ]]
	[ "$(ls maps)" = p_b.png.png ]
	[ "$(cat maps/p_b.png.png)" = mine ]
	ds-explain -m "$D/m.dsm" --out-dir maps -f p
	is_png maps/p_b.png.png
	# other files do not matter
	echo mine > maps/q.png.png
	rm maps/p_*
	ds-explain -m "$D/m.dsm" --out-dir maps p
	[ "$(cat maps/q.png.png)" = mine ]
}

@test "hostile names become harmless ones" {
	mkdir h
	for name in $'tab\there.png' $'new\nline.png' '-q.png' 'a b;rm.png' $'esc\e[31m.png' $'byte\xff.png' 'ä.png' '100%.png' "$(printf 'x%.0s' $(seq 240)).png"; do
		cp p/a.png "h/$name"
	done
	cd h
	printf '%s\0' * .hidden > ../list
	cp -- -q.png .hidden
	ds-explain -m "$D/m.dsm" --out-dir ../maps --files-from ../list -0
	cd ../maps
	[ "$(find . -type f | wc -l)" = 10 ]
	for name in 'tab%09here.png' 'new%0aline.png' '_-q.png' 'a%20b%3brm.png' 'esc%1b%5b31m.png' 'byte%ff.png' 'ä.png' '100%25.png' '_.hidden'; do
		is_png "$name.png"
	done
	[ "$(find . -type f -name '*xxxx.png.png' | wc -c)" -lt 180 ]
}

@test "the failures of an evaluation become a directory of pictures: one pipe" {
	cp "$D"/test-*-ubyte.gz .
	bash -c 'set -o pipefail; ds-run -m "$1" --eval --failures - -d "test-images-idx3-ubyte.gz[0:400]" | tee wrong.tsv |
		ds-explain -m "$1" --method saliency --view overlay --out-dir maps --files-from -' - "$D/m.dsm" || show
	n=$(($(wc -l < wrong.tsv) - 1))
	[ "$n" -gt 0 ]
	[ "$(ls maps | wc -l)" = "$n" ]
	i=$(sed -n '2s/.*\[\([0-9]*\)\].*/\1/p' wrong.tsv)
	is_png "maps/test-images-idx3-ubyte.gz.$i.png"
}

@test "an input that fails leaves no file; what makes no sense is said first" {
	echo nothing > p/c.png
	run -5 ds-explain -m "$D/m.dsm" --out-dir maps p
	[ "$(ls maps | wc -l)" = 2 ]
	run -2 ds-explain -m "$D/m.dsm" --out-dir maps2 -o x p
	run -2 ds-explain -m "$D/m.dsm" --out-dir maps2 --faithful p
	run -2 ds-explain -m "$D/m.dsm" --out-dir '' p
	run -1 ds-explain -m "$D/m.dsm" --out-dir missing/maps p
	run -1 ds-explain -m "$D/m.dsm" --out-dir p/a.png p/b.png
	[ ! -e maps2 ]
}
