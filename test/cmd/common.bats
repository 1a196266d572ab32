#!/usr/bin/env bats
# common.bats - the rules of the command line that hold for every filter (B-numbers: the project's list of conventions)

load common

setup_file()
{
	load common
	fixtures
}

@test "B03: binary data are refused to a terminal, naming -o and --force" {
	cd "$D"
	run -2 --separate-stderr ds-skeleton --fake-stdout-is-tty toy.bin
	[ -z "$output" ]
	[[ $stderr == *"-o "* && $stderr == *--force* ]]
	run -0 ds-skeleton --fake-stdout-is-tty --force toy.bin
	run faketty bash -c 'ds-skeleton toy.bin; echo rc=$?'
	[[ $output == *rc=2* ]]
}

@test "B04 B50: a terminal as input means a short usage at once" {
	need script
	for f in $FILTERS; do
		run timeout 5 script -qec "bash -c '$f; echo rc=\$?'" /dev/null
		echo "$f: $output"
		[[ $output == *rc=2* && $output == *"Usage: $f"* ]]
	done
}

@test "B05: the target is never truncated, and fsync comes before the name" {
	need_strace
	cd "$BATS_TEST_TMPDIR"
	echo old > out
	strace -f -o trace -e trace=openat,fsync,linkat,rename,renameat,renameat2 ds-skeleton "$D/toy.bin" -o out
	same "$D/toy.bin" out
	run ! grep 'O_TRUNC' trace
	[ "$(grep -nE 'fsync' trace | head -n 1 | cut -d: -f1)" -lt "$(grep -nE 'rename|linkat' trace | tail -n 1 | cut -d: -f1)" ]
}

@test "B05: a failing run leaves the old file" {
	cd "$BATS_TEST_TMPDIR"
	for f in $FILTERS; do
		has_option $f output || continue
		echo old > out
		run -3 bash -c ": | $f -o out $(minimal $f)"
		[ "$(cat out)" = old ]
		[ "$(ls -A | wc -l)" -eq 1 ]
	done
}

@test "B01 B02: - is standard input and output, ./- is a file" {
	cd "$BATS_TEST_TMPDIR"
	ds-skeleton - < "$D/toy.bin" > a
	ds-skeleton -m - -o - < "$D/toy.bin" > b
	cp "$D/toy.bin" ./-
	ds-skeleton ./- > c
	same a b
	same a c
	same a "$D/toy.bin"
}

@test "B06: output over input" {
	cd "$BATS_TEST_TMPDIR"
	cp "$D/big.bin" x
	ds-skeleton -n 2 -m x -o x
	cat "$D/big.bin" "$D/big.bin" | cmp - x
}

@test "B07: the same file as input and output is noticed" {
	cd "$BATS_TEST_TMPDIR"
	cp "$D/toy.bin" x
	run -3 bash -c 'ds-skeleton < x > x'
	[[ $output == *same\ file* || $output == *empty* ]]
	cp "$D/toy.bin" x
	run -3 bash -c 'ds-skeleton < x >> x'
	[[ $output == *same\ file* ]]
}

@test "B08: mode of the result, symbolic links" {
	cd "$BATS_TEST_TMPDIR"
	umask 027
	ds-skeleton "$D/toy.bin" -o new
	[ "$(stat -c %a new)" = 640 ]
	echo old > kept
	chmod 600 kept
	ds-skeleton "$D/toy.bin" -o kept
	[ "$(stat -c %a kept)" = 600 ]
	ln -s kept link
	ds-skeleton -n 2 "$D/toy.bin" -o link
	[ -L link ]
	[ "$(stat -c %s kept)" -eq $((2 * $(stat -c %s "$D/toy.bin"))) ]
}

@test "B09: what is not a regular file is written directly" {
	cd "$BATS_TEST_TMPDIR"
	mkfifo p
	cat p > got 3>&- &
	ds-skeleton "$D/toy.bin" -o p
	wait $!
	same "$D/toy.bin" got
	[ -p p ]
	ds-skeleton "$D/toy.bin" -o /dev/null
	[ -c /dev/null ]
}

@test "B10: empty input is status 3 with a hint" {
	for f in $FILTERS; do
		run -3 bash -c ": | $f $(minimal $f)"
		echo "$f: $output"
		[[ $output == *"empty input"* && $output == *"previous command"* ]]
	done
}

@test "B12: standard input is left alone when it is not needed" {
	run bash -c "printf 'a\nb\n' | { ds-skeleton '$D/toy.bin' > /dev/null; wc -l; }"
	[ "$output" -eq 2 ]
}

@test "B13: a missing file and a directory are one line each" {
	for f in $FILTERS; do
		run --separate-stderr $f $(minimal $f) -m /nonexistent/x
		echo "$f: $status $stderr"
		[ $status -eq 1 ]
		[ "${#stderr_lines[@]}" -eq 1 ]
		[[ $stderr == "$f: /nonexistent/x: "* ]]
		run --separate-stderr $f $(minimal $f) -m /
		[ $status -eq 3 ]
		[ "${#stderr_lines[@]}" -eq 1 ]
	done
}

@test "B17: progress is for terminals" {
	run --separate-stderr ds-skeleton -n 1000 "$D/big.bin" -o "$BATS_TEST_TMPDIR/x"
	[ -z "$stderr" ]
	run --separate-stderr ds-skeleton -n 1000 --progress=always "$D/big.bin" -o "$BATS_TEST_TMPDIR/x"
	[[ $stderr == *$'\r'* ]]
	run --separate-stderr ds-skeleton -n 1000 --progress=always -q "$D/big.bin" -o "$BATS_TEST_TMPDIR/x"
	[ -z "$stderr" ]
}

@test "B18: colour" {
	need script
	esc=$'\033'
	run faketty env TERM=xterm ds-skeleton --bogus
	[[ $output == *$esc* ]]
	run faketty env TERM=dumb ds-skeleton --bogus
	[[ $output != *$esc* ]]
	run faketty env TERM=xterm ds-skeleton /nonexistent --color=never
	[[ $output != *$esc* ]]
	run faketty env TERM=xterm NO_COLOR=1 ds-skeleton /nonexistent
	[[ $output != *$esc* ]]
	run ds-skeleton /nonexistent --color=always
	[[ $output == *$esc* ]]
}

@test "B19: success is quiet" {
	run --separate-stderr ds-skeleton "$D/toy.bin" -o "$BATS_TEST_TMPDIR/x"
	[ -z "$stderr" ]
	[ -z "$output" ]
}

@test "B20: hostile names are quoted" {
	cd "$BATS_TEST_TMPDIR"
	name=$'\e[31mx\n\t\xff\xe2\x80\xae.png'
	cp "$D/toy.bin" "$name"
	for f in $FILTERS; do
		run $f $(minimal $f) -m "./missing$name"
		echo "$f: $output"
		[ "${#lines[@]}" -eq 1 ]
		[[ $output != *$'\e'* && $output != *$'\xe2\x80\xae'* && $output == *'\n\t'* ]]
		run -2 $f --"$name"
		[ "${#lines[@]}" -eq 1 ]
		[[ $output != *$'\e'* ]]
	done
	ds-skeleton --count "./$name" > rows
	awk -F'\t' 'NF != 3 { exit 1 }' rows
	[ "$(wc -l < rows)" -eq 2 ]
	run ! grep -q $'\e' rows
}

@test "B21 B38: a signal ends the run at once, by that signal, and nothing stays behind" {
	cd "$BATS_TEST_TMPDIR"
	mkfifo in
	for sig in INT TERM HUP; do
		# background jobs of a shell without job control ignore INT: a helper restores it
		env --default-signal=INT ds-skeleton -o out < in 3>&- &
		pid=$!
		exec 9> in
		echo some >&9
		sleep 0.1
		kill -$sig $pid
		rc=0
		wait $pid || rc=$?
		exec 9>&-
		[ $rc -eq $((128 + $(kill -l $sig))) ]
		[ "$(ls -A)" = in ]
	done
}

@test "B22 B23: rows as JSON Lines and as TSV" {
	run -0 ds-skeleton --count --json -n 3 "$D/toy.bin"
	[ "${#lines[@]}" -eq 3 ]
	[[ ${lines[0]} == '{"name":"'*'","repeat":1,"count":7}' ]]
	if command -v jq > /dev/null; then
		ds-skeleton --count --json "$D/toy.bin" | jq -e . > /dev/null
	fi
	run -0 ds-skeleton --count "$D/toy.bin"
	[ "${lines[0]}" = $'name\trepeat\tcount' ]
}

@test "B24: the same text on a terminal" {
	ds-skeleton --count "$D/toy.bin" > "$BATS_TEST_TMPDIR/a"
	faketty ds-skeleton --count "$D/toy.bin" | tr -d '\r' > "$BATS_TEST_TMPDIR/b"
	same "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
}

@test "B26: numbers that are none name option, value and range" {
	for v in 0,5 0.5x nan inf 1e999 -1 '' ' 1' 0x1 2; do
		run -2 ds-skeleton --ratio "$v" "$D/toy.bin"
		[[ $output == *"--ratio: '$v'"*"from 0 to 1"* ]]
	done
	for v in 1.5 0 1001 99999999999999999999 -3 '' 1k; do
		run -2 ds-skeleton -n "$v" "$D/toy.bin"
		[[ $output == *"-n: '$v'"*"from 1 to 1000"* ]]
	done
	for f in $FILTERS; do
		has_option $f threads || continue
		run -2 $f --threads=-1
		[[ $output == *"--threads: '-1'"*"from 0 to 1024"* ]]
	done
}

@test "B27: each row is one write" {
	need_strace
	strace -e trace=write -e write=1 -o "$BATS_TEST_TMPDIR/trace" ds-skeleton --count -n 5 "$D/toy.bin" > /dev/null
	[ "$(grep -c '^write(1,' "$BATS_TEST_TMPDIR/trace")" -eq 6 ]
}

@test "B28: a full device is an error, also for --help and --version" {
	for f in $FILTERS; do
		for o in --help --version; do
			run -1 bash -c "$f $o > /dev/full"
			[[ $output == *"write error: No space left on device"* ]]
		done
	done
	run -1 bash -c "ds-skeleton '$D/toy.bin' > /dev/full"
	[[ $output == *"write error: No space left on device"* ]]
}

@test "B29: a closed pipe ends the filter silently" {
	run bash -c "ds-skeleton -n 1000 --ratio 1 '$D/big.bin' 2> '$BATS_TEST_TMPDIR/err' | head -c 1 > /dev/null; echo \${PIPESTATUS[0]}"
	[ "$output" -eq 141 ] || [ "$output" -eq 0 ]
	[ ! -s "$BATS_TEST_TMPDIR/err" ]
}

@test "B30: with SIGPIPE ignored by the parent it is an error of writing" {
	run bash -c "trap '' PIPE; timeout 5 ds-skeleton -n 1000 '$D/big.bin' 2>&1 >&9 9>&- | cat" 9> >(exit 0)
	run bash -c "trap '' PIPE; { timeout 5 ds-skeleton -n 1000 '$D/big.bin'; echo rc=\$? >&2; } | true"
	[[ $output == *rc=1* ]]
}

@test "B31: closed descriptors never become data files" {
	cd "$BATS_TEST_TMPDIR"
	ds-skeleton "$D/toy.bin" -o out 0<&-
	same "$D/toy.bin" out
	rm out
	ds-skeleton "$D/toy.bin" -o out >&-
	same "$D/toy.bin" out
	rm out
	ds-skeleton "$D/toy.bin" -o out 2>&-
	same "$D/toy.bin" out
	for f in $FILTERS; do
		run -1 bash -c "$f --version >&-"
		run -1 bash -c "$f $(minimal $f) <&-"
	done
}

@test "B32: a full file system leaves no file" {
	need unshare
	unshare -rm true 2> /dev/null || skip 'no user namespaces here'
	mkdir "$BATS_TEST_TMPDIR/mnt"
	unshare -rm bash -c "mount -t tmpfs -o size=64k none '$BATS_TEST_TMPDIR/mnt'" 2> /dev/null || skip 'no mounts here'
	run -1 unshare -rm bash -c "mount -t tmpfs -o size=64k none '$BATS_TEST_TMPDIR/mnt' && cd '$BATS_TEST_TMPDIR/mnt' &&
		{ ds-skeleton -n 50 '$D/big.bin' -o out; rc=\$?; ls -A; exit \$rc; }"
	[[ $output == *"No space left"* ]]
	[ "${#lines[@]}" -eq 1 ]
}

@test "B33: a file size limit is an error, not a signal" {
	cd "$BATS_TEST_TMPDIR"
	run -1 bash -c "ulimit -f 8; ds-skeleton -n 10 '$D/big.bin' -o out"
	[[ $output == *"File too large"* ]]
	[ ! -e out ]
}

@test "B35: every failing write fails the run and leaves no file" {
	need_strace
	cd "$BATS_TEST_TMPDIR"
	n=$(strace -f -e trace=write ds-skeleton -n 60 "$D/big.bin" -o out 2>&1 | grep -c '^write(')
	[ "$n" -ge 2 ]
	rm out
	for i in $(seq 1 "$n"); do
		run strace -f -o /dev/null -e "inject=write:error=ENOSPC:when=$i" ds-skeleton -n 60 "$D/big.bin" -o out
		[ $status -eq 1 ]
		[ -z "$(ls -A)" ]
	done
}

@test "B34: EINTR and short reads change nothing" {
	need_strace
	cd "$BATS_TEST_TMPDIR"
	# the first reads are those of the loader
	head -c 3000000 /dev/zero > zeros
	cat zeros | strace -o /dev/null -e inject=read:error=EINTR:when=12+3 ds-skeleton > out
	same zeros out
	bash -c "for i in 1 2 3 4 5; do head -c 4000; sleep 0.01; done < '$D/big.bin' | ds-skeleton > out2"
	same "$D/big.bin" out2
}

@test "B36: descriptors that somebody left non-blocking" {
	need perl
	cd "$BATS_TEST_TMPDIR"
	cat > nonblock <<-'END'
		use Fcntl; for my $fd (*STDIN, *STDOUT) { fcntl($fd, F_SETFL, fcntl($fd, F_GETFL, 0) | O_NONBLOCK) or die; } exec @ARGV;
	END
	bash -c "{ sleep 0.2; cat '$D/big.bin'; } | perl nonblock ds-skeleton -n 30 | { sleep 0.3; cat > out; }"
	for i in $(seq 30); do
		cat "$D/big.bin"
	done | cmp - out
	bash -c "perl nonblock ds-skeleton --help < /dev/null | { sleep 0.1; cat; }" | cmp - <(ds-skeleton --help)
}

@test "under make -j the jobserver's tokens are taken and given back" {
	need make
	cd "$BATS_TEST_TMPDIR"
	printf 'all:\n\t+@ds-skeleton "%s" -o a\n\t+@ds-skeleton a -o b\n\t@cmp a b\n' "$D/toy.bin" > Makefile
	# make complains where a token is missing at its end
	run -0 --separate-stderr make -s -j4
	[ -z "$stderr" ]
	# descriptors that are no pipes any more are left alone
	printf 'untouched\n' > data
	MAKEFLAGS=' -j4 --jobserver-auth=7,8' ds-skeleton a -o c 7< data 8> other
	[ ! -s other ]
}

@test "B63: a mapped file that shrinks is an ordinary error" {
	cd "$BATS_TEST_TMPDIR"
	head -c 400000 /dev/zero > m.bin
	ds-skeleton --hold -m m.bin -o out 2> err 3>&- &
	pid=$!
	for i in $(seq 50); do
		grep -q 'State:.T' /proc/$pid/status && break
		sleep 0.05
	done
	truncate -s 4096 m.bin
	kill -CONT $pid
	rc=0
	wait $pid || rc=$?
	cat err
	[ $rc -eq 1 ]
	grep -q 'm.bin: changed while in use' err
	[ ! -e out ]
}

@test "B40 B42: no TMPDIR, no environment, no terminal, a directory without write permission" {
	cd "$BATS_TEST_TMPDIR"
	TMPDIR=/nonexistent ds-skeleton "$D/toy.bin" -o out
	same "$D/toy.bin" out
	cd /
	for f in $FILTERS; do
		setsid env -i PATH="$PATH" $f --version < /dev/null > /dev/null
	done
	setsid env -i PATH="$PATH" ds-skeleton "$D/toy.bin" < /dev/null | cmp - "$D/toy.bin"
}

@test "B43: -- ends the options, options may follow operands" {
	cd "$BATS_TEST_TMPDIR"
	cp "$D/toy.bin" ./-q
	ds-skeleton -- -q > a
	same a "$D/toy.bin"
	ds-skeleton ./-q -o b
	same b "$D/toy.bin"
	POSIXLY_CORRECT=1 run -2 ds-skeleton ./-q -o c
	POSIXLY_CORRECT=1 ds-skeleton -o c ./-q
	same c "$D/toy.bin"
}

@test "B44: clusters and the forms of a value are equal, the last one wins" {
	want=$(ds-skeleton --count -n 4 --unit=line --json "$D/toy.bin" | tail -n 1)
	[[ $want == *'"repeat":4,"count":2'* ]]
	for form in '-n4 -u line' '-n 4 -uline' '--repeat=4 --unit line' '--repeat 4 -u line' '-fqn4 -uline' '-n9 -n4 -u byte -u line'; do
		[ "$(ds-skeleton --count --json $form "$D/toy.bin" | tail -n 1)" = "$want" ]
	done
	run -2 ds-skeleton --repeat= "$D/toy.bin"
	run -2 ds-skeleton --count=3 "$D/toy.bin"
	[[ $output == *"takes no value"* ]]
	run -2 ds-skeleton "$D/toy.bin" -n
	[[ $output == *"needs a value"* ]]
	run -2 ds-skeleton --output= "$D/toy.bin"
}

@test "B45: a missing letter gets the right suggestion" {
	for f in $FILTERS; do
		names=$($f --docs=help | grep -o '^ *\(-., \)\?--[a-z0-9-]*' | sed 's/.*--//')
		for n in $names; do
			[ ${#n} -ge 4 ] || continue
			word=${n:0:2}${n:3}
			echo "$names" | grep -qx -- "$word" && continue
			run -2 $f "--$word"
			[ "${#lines[@]}" -eq 1 ]
			echo "$f --$word: $output"
			[[ $output == "$f: unknown option '--$word' (did you mean '--"*"'?); try '$f --help'" ]]
			# another name may be just as near ("--to" and "--top")
			[[ $output == *"'--$n'"* ]] || [[ ${#n} -le 5 ]]
		done
	done
	run -2 ds-skeleton --completely-different
	[[ $output != *"did you mean"* ]]
}

@test "B46: no abbreviations" {
	for f in $FILTERS; do
		run -2 $f --versio
		[[ $output == *"'--version'"* ]]
		run -2 $f --verb
		[ $status -eq 2 ]
	done
}

@test "B47: wrong combinations fail before anything is read" {
	mkfifo "$BATS_TEST_TMPDIR/p"
	exec 9<> "$BATS_TEST_TMPDIR/p"
	run -2 timeout 5 ds-skeleton --json --tsv < "$BATS_TEST_TMPDIR/p"
	run -2 timeout 5 ds-skeleton --unit=line < "$BATS_TEST_TMPDIR/p"
	run -2 timeout 5 ds-skeleton -m a b < "$BATS_TEST_TMPDIR/p"
	run -2 timeout 5 ds-skeleton a b < "$BATS_TEST_TMPDIR/p"
	for f in $FILTERS; do
		has_option $f json || continue
		run -2 timeout 5 $f --json --tsv < "$BATS_TEST_TMPDIR/p"
	done
	exec 9>&-
}

@test "B48: --help is narrow, has examples first and every option, and says where bugs go" {
	for f in $FILTERS; do
		run -0 --separate-stderr $f --help
		[ -z "$stderr" ]
		$f --help | awk -v f=$f 'length($0) > 80 { print f ": " $0; bad = 1 } END { exit bad }'
		[[ ${lines[0]} == "Usage: $f "* ]]
		[[ $output == *Examples:* && $output == *'  $ '* && $output == *--version* && $output == *bugs* ]]
		ex=$($f --help | grep -n '^Examples:' | cut -d: -f1)
		op=$($f --help | grep -n '^  *\(-., \)\?--' | head -n 1 | cut -d: -f1)
		[ "$ex" -lt "$op" ]
	done
}

@test "B49: --version" {
	for f in $FILTERS; do
		run -0 $f --version
		[ "${lines[0]}" = "$f $(cat "$ROOT/VERSION")" ]
		[[ $output == *"format 1"* && $output == *MIT* ]]
		[ "$($f -V)" = "$output" ]
	done
}

@test "B51: -h anywhere wins" {
	for f in $FILTERS; do
		run -0 $f --bogus -h
		[[ $output == "Usage:"* ]]
		run -0 $f x y z --help --alsobogus
		# but not behind --
		run $f -- -h
		[ $status -ne 0 ]
	done
}

@test "B52: defaults are visible, -v prints the effective settings" {
	[[ $(ds-skeleton --help) == *"default: 1"* ]]
	run --separate-stderr ds-skeleton -v -n2 --ratio .5 --threads 3 "$D/toy.bin" -o "$BATS_TEST_TMPDIR/x"
	[[ $stderr == *"--repeat=2"* && $stderr == *"--ratio=0.5"* && $stderr != *"--threads"* && $stderr != *"$BATS_TEST_TMPDIR"* ]]
}

@test "B53: option beats environment beats default" {
	for f in $FILTERS; do
		if has_option $f threads; then
			DS_THREADS=bogus run -2 $f -m /nonexistent
			[[ $output == *"DS_THREADS: 'bogus'"* ]]
			DS_THREADS=bogus run -1 $f $(minimal $f) -j 1 -m /nonexistent
			DS_THREADS=2 run -1 $f $(minimal $f) -m /nonexistent
			OMP_NUM_THREADS=junk run -1 $f $(minimal $f) -m /nonexistent
		fi
		if has_option $f memory-limit; then
			DS_MEMORY_LIMIT=lots run -2 $f -m /nonexistent
			[[ $output == *DS_MEMORY_LIMIT* ]]
		fi
	done
	DS_MEMORY_LIMIT=1M run -0 ds-skeleton "$D/toy.bin"
	head -c 2000000 /dev/zero > "$BATS_TEST_TMPDIR/two"
	DS_MEMORY_LIMIT=1M run -1 ds-skeleton --no-mmap "$BATS_TEST_TMPDIR/two" -o "$BATS_TEST_TMPDIR/x"
	DS_MEMORY_LIMIT=1M run -0 ds-skeleton --no-mmap --memory-limit=4M "$BATS_TEST_TMPDIR/two" -o "$BATS_TEST_TMPDIR/x"
}

@test "B53: no network, and only files that were named" {
	need_strace
	cd "$BATS_TEST_TMPDIR"
	for f in $FILTERS; do
		strace -f -o trace -e trace=network,openat $f -m "$D/toy.bin" > /dev/null 2>&1 < /dev/null || true
		run ! grep -E 'socket|connect' trace
		run ! grep -E 'openat.*(/etc/|HOME|\.config)' <(grep -v -e ld.so -e ENOENT -e libjpeg trace)
	done
}

@test "B54: a hostile environment changes nothing" {
	want=$(ds-skeleton -n 3 "$D/big.bin" | cksum)
	for e in OPENBLAS_NUM_THREADS=8 OMP_NUM_THREADS=3 MALLOC_PERTURB_=165 TZ=Asia/Kolkata IFS=x LC_ALL=tr_TR.UTF-8 COLUMNS=-3; do
		[ "$(env "$e" ds-skeleton -n 3 "$D/big.bin" | cksum)" = "$want" ]
	done
}

@test "usage faults beat everything, and only one model may come from standard input" {
	run -2 ds-skeleton /nonexistent --bogus
	run -2 ds-skeleton ''
	for f in $FILTERS; do
		if has_option $f files-from; then
			run -2 bash -c "$f --files-from - < /dev/null"
			[[ $output == *"standard input"* ]]
		fi
	done
}

@test "the option tables are sound" {
	for f in $FILTERS; do
		run -0 $f --docs=check
		[ -z "$output" ]
	done
}
