#!/usr/bin/env bats
# examples.bats - every example of --help runs (B56); where it needs a model, the shipped sample serves

load common

# Commands of --help of one filter, one on each line.
commands()
{
	$1 --docs=help | sed -n '/^Examples:/,/^$/s/^  \$ //p'
}

@test "examples of ds-skeleton run" {
	cd "$BATS_TEST_TMPDIR"
	printf 'abc\n' > toy.bin
	n=0
	while read -r line; do
		bash -c "$line"
		n=$((n + 1))
	done < <(commands ds-skeleton)
	[ $n -eq 2 ]
}

@test "every filter has examples, and each names the filter" {
	for f in $FILTERS; do
		[ -n "$(commands $f)" ]
		while read -r line; do
			echo "$f: $line"
			[[ $line == *"$f"* ]]
			bash -n <<< "$line"
		done < <(commands $f)
	done
}

@test "options in examples exist" {
	for f in $FILTERS; do
		while read -r line; do
			# each command of a pipe is asked about its own options
			while read -r part; do
				read -r cmd _ <<< "$part"
				command -v "$cmd" > /dev/null && [[ " $FILTERS " == *"$cmd"* ]] || continue
				for o in $(grep -o -- ' --[a-z][a-z0-9-]*' <<< "$part"); do
					echo "$f: $part: $o"
					has_option "$cmd" "${o#--}"
				done
			done < <(tr '|' '\n' <<< "$line")
		done < <(commands $f)
	done
}
