#!/usr/bin/env bats
# profile.bats - ds-profile: time, memory, arithmetic

load common

setup_file()
{
	load common
	fixtures
	export DS_THREADS=1 XDG_CACHE_HOME="$BATS_FILE_TMPDIR/cache"    # common.bash unsets the first again
	ds-profile -m "$ROOT/test/sample/digits.dsm" --runs 5 > /dev/null       # measures the ceilings
}

setup()
{
	cd "$BATS_TEST_TMPDIR"
	M=$ROOT/test/sample/digits.dsm
	export DS_THREADS=1
}

# A column of a section of TSV on standard input: column SECTION NAME
column()
{
	awk -F'\t' -v s="$1" -v c="$2" '$1 == "section" { k = 0; for (i = 2; i <= NF; i++) if ($i == c) k = i } $1 == s { print $k }'
}

@test "time: the rows sum to the wall time" {
	ds-profile -m "$M" --tsv > t
	wall=$(awk -F'\t' '$1 == "run" && $2 == "wall" { print $4 }' t)
	column node median < t | awk -v wall="$wall" '{ sum += $1 } END { print sum, wall; exit !(wall > 0 && sum / wall > .98 && sum / wall < 1.02) }'
	# ... and --top only joins rows
	ds-profile -m "$M" --tsv --top 2 > u
	[ "$(column node node < u | wc -l)" -eq 5 ]
	wall=$(awk -F'\t' '$1 == "run" && $2 == "wall" { print $4 }' u)
	column node median < u | awk -v wall="$wall" '{ sum += $1 } END { exit !(sum / wall > .98 && sum / wall < 1.02) }'
}

@test "time: most expensive first, shares of the wall time, the head" {
	ds-profile -m "$M" --tsv > t
	column operator median < t | sort -grc
	column node median < t | head -n -2 | sort -grc
	column operator share < t | awk '$1 < 0 || $1 > 1.5 { bad = 1 } END { exit bad }'
	for what in processor instructions governor throttled load ceilings model threads version date; do
		grep -q "^machine	$what	." t
	done
	grep -q '^machine	model	digits.dsm$' t
	for what in steps overhead sum variation wall plain profiling; do
		grep -q "^run	$what	" t
	done
}

@test "a much larger layer is named first" {
	printf 'input x [N, 1, 16, 16]\nConv 4 | Relu\nbig = Conv 512 kernel_shape=7 | Relu\nConv 4 | Relu\nGlobalAveragePool | Flatten\nGemm 3\noutput y values=logits\n' | ds-convert > net.dsm
	ds-profile -m net.dsm --tsv --runs 5 --warmup 1 > t
	run column node node < t
	[[ ${lines[0]} == *big* ]]
}

@test "TSV in a pipe, JSON Lines with a section, a table with bars on a terminal" {
	ds-profile -m "$M" --time --memory --macs > t
	awk -F'\t' '$1 == "section" { n = NF } NF && NF != n { print; bad = 1 } END { exit bad }' t
	ds-profile -m "$M" --time --memory --macs --json > j
	run ! grep -v '^{"section":"[a-z]*",.*}$' j
	[ "$(grep -c . t)" -eq "$(($(wc -l < j) + 9))" ]        # the header lines
	run ! grep -iE '[:,](nan|inf)' j
	run faketty env LC_ALL=C.UTF-8 TERM=dumb ds-profile -m "$M" --macs
	[[ $output == *█* && $output == *conv* ]]
	run faketty env LC_ALL=C TERM=dumb ds-profile -m "$M" --macs
	[[ $output == *'####'* && $output != *█* ]]
	run faketty env LC_ALL=C.UTF-8 ds-profile -m "$M" --macs --tsv
	[[ $output != *█* ]]
}

@test "the same figures on a terminal and in a pipe" {
	faketty env LC_ALL=C TERM=dumb ds-profile -m "$M" --macs | tr -d '\r' > tty
	ds-profile -m "$M" --macs > t
	[ "$(column layer node < t | wc -l)" -eq "$(sed -n '2,/^$/p' tty | grep -c .)" ]
	column layer node < t | cut -d' ' -f1 > names
	sed -n '2,/^$/p' tty | grep . | cut -d' ' -f1 | diff names -
}

@test "memory: the planned peak is what painting finds, and less than the naive sum" {
	ds-profile -m "$M" --memory --tsv > t
	value() { awk -F'\t' -v w="$1" '$1 == "memory" && $2 == w { print $3 }' t; }
	[ "$(value planned)" -eq "$(value painted)" ]
	[ "$(value planned)" -le "$(value arena)" ]
	[ "$(value arena)" -lt "$(value naive)" ]
	[ "$(value alive)" -le "$(value planned)" ]
	[ "$(value resident)" -le "$(value high_water)" ]
	[ "$(value resident)" -gt 500000 ]
	# who holds the peak holds what is alive
	column step live < t | sort -gr | head -n 1 > most
	[ "$(cat most)" = "$(value alive)" ]
	column peak share < t | awk '{ sum += $1 } END { exit !(sum > .999 && sum < 1.001) }'
}

@test "macs: a network counted by hand" {
	printf 'input x [N, 3, 32, 32]\na = Conv 16 bias=0 | Relu\nb = Conv 32 kernel_shape=1 strides=2 bias=0\nGlobalAveragePool | Flatten\nfc = Gemm 10\noutput y values=logits\n' | ds-convert > net.dsm
	ds-profile -m net.dsm --macs --tsv > t
	cat t
	[ "$(column layer macs < t | tr '\n' ' ')" = "$((3 * 9 * 16 * 1024)) $((16 * 32 * 256)) 320 0 " ]
	[ "$(column layer params < t | tr '\n' ' ')" = "$((3 * 9 * 16)) $((16 * 32)) 330 0 " ]
	[ "$(column model bits < t)" = 32 ]
	ds-profile -m net.dsm --macs --tsv -b 4 > u
	[ "$(column model macs < u)" -eq $((4 * $(column model macs < t))) ]
}

@test "macs: quantised and pruned" {
	printf 'input x [N, 64]\na = Gemm 256 | Relu\nfc = Gemm 64\noutput y values=logits\n' | ds-convert --seed 1 > net.dsm
	ds-quantize --bits w4 --group 32 net.dsm > w4.dsm
	ds-profile -m w4.dsm --macs --tsv > t
	ds-profile -m net.dsm --macs --tsv > u
	[ "$(column model params < t)" = "$(column model params < u)" ]
	[ "$(column model macs < t)" = "$(column model macs < u)" ]
	column model bits < t | awk '{ print; exit !($1 > 4 && $1 < 5.5) }'
	ds-prune --ratio .5 net.dsm > cut.dsm
	ds-profile -m cut.dsm --macs --tsv > v
	[ "$(column model macs < v)" -eq $((64 * 128 + 128 * 64)) ]
}

@test "macs: resnet20 has 40.55 million" {
	asset models/cifar10_resnet20/model.onnx
	ds-convert "$ASSET" | ds-profile --macs --tsv > t
	[ "$(column model macs < t)" = 40551040 ]
	[ "$(column model params < t)" = 271098 ]
}

@test "trace: valid events, in order" {
	ds-profile -m "$M" --trace run.json > t
	[ ! -s t ]
	need python3
	python3 - run.json <<-'END'
		import json, sys
		t = json.load(open(sys.argv[1]))
		e = t["traceEvents"]
		names = {x["name"] for x in e if x["ph"] == "M"}
		assert names == {"process_name", "thread_name"}, names
		steps = [x for x in e if x["ph"] == "X" and x["tid"] == 1]
		end = 0
		for x in steps:
		    assert x["ts"] >= end - 1e-6 and x["dur"] >= 0 and x["args"]["kernel"], x
		    end = x["ts"] + x["dur"]
		run = [x for x in e if x["ph"] == "X" and x["tid"] == 2]
		assert len(run) == 1 and end <= run[0]["dur"] + 1e-3 and len(steps) > 3
		live = [x["args"]["bytes"] for x in e if x["ph"] == "C"]
		assert len(live) == len(steps) + 1 and max(live) > 0 and live[-1] == 0
		assert all(x["ph"] in "MXC" and x["pid"] == 1 for x in e)
	END
}

@test "ceilings: kept, believed only when whole, measured again on demand" {
	export XDG_CACHE_HOME=$PWD/cache
	ds-profile -m "$M" --runs 3 > t
	f=$(echo cache/ds/ceilings-*)
	[ -f "$f" ]
	[ "$(ls cache/ds | wc -l)" -eq 1 ]
	[ "$(stat -c %a cache/ds)" = 700 ]
	cp "$f" kept
	ds-profile -m "$M" --runs 3 > t
	same kept "$f"
	head -c 100 kept > "$f"
	ds-profile -m "$M" --runs 3 > t
	[ "$(head -n 2 "$f")" = "$(head -n 2 kept)" ]
	[ "$(wc -c < "$f")" -gt 150 ]
	sed 's/^f32.*/f32	1/' kept > "$f"
	ds-profile -m "$M" --runs 3 | grep '^machine	ceilings' > c
	run ! grep 'f32 0.00' c
	touch -d '1 hour ago' "$f"
	ds-profile -m "$M" --runs 3 --ceilings > t
	[ "$f" -nt kept ]
	# other threads, other instruction sets: other ceilings
	DS_CPU=c ds-profile -m "$M" --runs 3 > t
	ds-profile -m "$M" --runs 3 -j 2 > t
	[ "$(ls cache/ds | wc -l)" -eq 3 ]
}

@test "ceilings: a cache that cannot be written is no failure" {
	run -0 --separate-stderr env XDG_CACHE_HOME=/dev/null/no ds-profile -m "$M" --runs 3
	[ -z "$stderr" ]
	run -0 --separate-stderr env -u XDG_CACHE_HOME -u HOME ds-profile -m "$M" --runs 3
	[ -z "$stderr" ]
	# a relative path is none
	run -0 env XDG_CACHE_HOME=rel HOME="$PWD/home" ds-profile -m "$M" --runs 3
	[ ! -e rel ]
	[ -d home/.cache/ds ]
}

@test "inputs: pictures, what cannot be read, none at all" {
	ds-profile -m "$M" --runs 3 "$ROOT"/test/sample/pictures > t
	grep -q '^machine	runs	.*as named' t
	ds-profile -m "$M" --runs 3 -b 4 "$ROOT"/test/sample/pictures > t
	grep -q '^machine	runs	.* 4 samples each' t
	echo no > bad.png
	run -5 --separate-stderr ds-profile -m "$M" --runs 3 "$ROOT"/test/sample/pictures bad.png
	run -3 --separate-stderr ds-profile -m "$M" --runs 3 bad.png
	[ "${#stderr_lines[@]}" -eq 1 ]
	run -3 --separate-stderr ds-profile -m "$M" missing.png
	[ "${#stderr_lines[@]}" -eq 1 ]
	ds-profile -m "$M" --runs 3 > t
	grep -q 'made up' t
}

@test "wrong words are status 2" {
	for x in '--runs -1' '--runs x' '--warmup -2' '--top 1.5' '--trace=' '--trace -' '--time=3' 'a - -' '--json --tsv'; do
		echo "$x"
		run -2 ds-profile $x < /dev/null
	done
	run -1 ds-profile -m "$M" --runs 3 --trace /nonexistent/x
	run -1 ds-profile -m "$M" --runs 1000000 --memory-limit 1M
	[[ $output == *--memory-limit* ]]
}
