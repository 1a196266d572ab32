# common.bash - what the bats files share: `load common`
#
# PATH has the build directory (test/run.sh puts it there; by hand: B=build PATH=$PWD/build:$PWD/build/test:$PATH bats test/cmd).
# $D        a directory of fixtures, made once for each bats file; see fixtures()
# $FILTERS  the filters that exist, ds-skeleton among them

bats_require_minimum_version 1.5.0
ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
B=${B:-$ROOT/build}
case $B in /*) ;; *) B=$ROOT/$B ;; esac
export PATH="$B:$B/test:$PATH"
D=$BATS_FILE_TMPDIR/d
export XDG_CACHE_HOME=$B/test/cache     # the ceilings of this machine are measured once for all tests, and nobody's home is touched
unset DS_THREADS DS_MEMORY_LIMIT OMP_NUM_THREADS BATCH_SIZE NO_COLOR POSIXLY_CORRECT DS_TRACE MAKEFLAGS

filters()
{
	(cd "$B" && ls -d ds-* test/ds-skeleton 2>/dev/null | sed 's,.*/,,')
}
FILTERS=$(filters)

# Does the filter have this long option?
has_option()
{
	"$1" --docs=help | grep -q -- "--$2\(=\|\[=\| \|$\)"
}

# Words without which a filter stops at once (--dry-run and the like apart): what the generic tests add to reach the input.
minimal()
{
	case $1 in
	ds-run | ds-explain) echo "$D/picture.pgm" ;;
	ds-prune) echo '--ratio .5' ;;
	ds-quantize) echo '--bits w8' ;;
	ds-train) echo "-d $D/toy.bin" ;;
	ds-distill) echo "-d $D/toy.bin --teacher $D/toy.bin" ;;
	esac
}

# A command on a terminal of its own.
faketty()
{
	command -v script >/dev/null || skip 'script is not there'
	script -qec "$(printf '%q ' "$@")" /dev/null < /dev/null
}

need()
{
	local tool
	for tool in "$@"; do
		command -v "$tool" >/dev/null || skip "$tool is not there"
	done
}

# strace may be there and forbidden
need_strace()
{
	need strace
	[ -z "$SAN" ] || skip 'sanitizers do not work under strace'
	strace -o /dev/null true 2>/dev/null || skip 'strace may not trace here'
}

# Real models and data: asset models/mnist-8/model.onnx sets $ASSET, or the test is skipped.
asset()
{
	ASSET=${DS_ASSETS:-$ROOT/../shared/assets}/$1
	[ -e "$ASSET" ] || skip "no asset $1"
}

# Fixtures that every file may use.  Models are made by tests that have a filter for it.
fixtures()
{
	mkdir -p "$D"
	printf 'abc\nde\n' > "$D/toy.bin"
	printf 'P5 1 1 255\n0' > "$D/picture.pgm"
	head -c 20000 "$B/libds.a" > "$D/big.bin"
}

# Same bytes, said in words when not.
same()
{
	cmp "$1" "$2"
}

# For the debugging of a failing test: bats shows it only then.
show()
{
	echo "status $status"
	echo "output: $output"
	[ -z "$stderr" ] || echo "stderr: $stderr"
}
