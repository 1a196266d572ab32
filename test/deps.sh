# deps.sh - install what is missing to build and test; says what it does, does nothing when all is there
packages='gcc libc6-dev make pkg-config libpng-dev libjpeg-dev libsndfile1-dev libzstd-dev zlib1g-dev bats procps mandoc file'

if ! command -v apt-get >/dev/null; then
	missing=
	for tool in cc make pkg-config bats ps mandoc; do
		command -v $tool >/dev/null || missing="$missing $tool"
	done
	for lib in png zstd z; do
		echo 'int main(void) { return 0; }' | cc -x c - -l$lib -o /dev/null 2>/dev/null || missing="$missing lib$lib"
	done
	[ -z "$missing" ] && { echo 'deps: all is there'; exit 0; }
	echo "deps: no apt-get here; please install:$missing (and libjpeg and libsndfile, which are optional)" >&2
	exit 1
fi

missing=
for p in $packages; do
	# libjpeg-dev is provided under several names
	case $p in libjpeg-dev) set -- libjpeg-dev libjpeg62-turbo-dev libjpeg-turbo8-dev ;; *) set -- "$p" ;; esac
	dpkg-query -W -f '${Status}\n' "$@" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $p"
done
[ -z "$missing" ] && { echo 'deps: all is there'; exit 0; }

root=
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || { echo "deps: as root, please: apt-get install$missing" >&2; exit 1; }
	root=sudo
fi
set -e
if ! ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1; then
	echo 'deps: apt-get update'
	$root apt-get -q update
fi
echo "deps: apt-get install$missing"
DEBIAN_FRONTEND=noninteractive $root apt-get -q -y --no-install-recommends install $missing
