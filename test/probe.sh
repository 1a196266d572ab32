# probe.sh - what the compiler and the system have, as make variables: hardening flags one by one, optional libraries
try()
{
	for flag in "$@"; do
		if echo 'int main(void) { return 0; }' | $CC -Werror -O2 $flag -x c - -o "$tmp/a" 2>/dev/null; then printf ' %s' "$flag"; fi
	done
}
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT

fortify=$(try '-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3')
printf 'HARDEN =%s%s\n' "${fortify:- -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2}" "$(try -fstack-protector-strong -fstack-clash-protection \
	-fcf-protection=full -mbranch-protection=standard -fno-delete-null-pointer-checks -fno-strict-overflow -ftrivial-auto-var-init=zero)"
# clang tells of each loop that it did not vectorise because a sanitizer forbade it
printf 'QUIET =%s\n' "$(try -Wpass-failed | sed 's/-W/-Wno-/')"
printf 'HARDEN_LD =%s\n' "$(try -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,nodlopen)"
if printf '#include <stdio.h>\n#include <jpeglib.h>\nint main(void) { return jpeg_std_error == 0; }\n' |
	$CC -x c - -ljpeg -o "$tmp/a" 2>/dev/null; then echo 'HAVE_JPEG = 1'; fi
if printf '#include <sndfile.h>\nint main(void) { return sf_version_string() == 0; }\n' |
	$CC -x c - -lsndfile -o "$tmp/a" 2>/dev/null; then
	echo "HAVE_SNDFILE = $(pkg-config --modversion sndfile 2>/dev/null || echo 1)"; fi
