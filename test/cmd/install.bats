#!/usr/bin/env bats
# install.bats - installed files, pkg-config, hardening, manual pages, completions

load common

setup_file()
{
	load common
	fixtures
	export R="$BATS_FILE_TMPDIR/root"
	cd "$ROOT"
	(umask 077 && make -s B="${B#"$ROOT/"}" install DESTDIR="$R" PREFIX=/usr) > "$BATS_FILE_TMPDIR/log" 2>&1
}

@test "B58: modes are 755 and 644 whatever the umask" {
	[ -z "$(find "$R/usr" -type d ! -perm 755)" ]
	[ -z "$(find "$R/usr/bin" -type f ! -perm 755 2>/dev/null)" ]
	[ -z "$(find "$R/usr/lib" "$R/usr/share" "$R/usr/include" -type f ! -perm 644)" ]
	[ "$(ls "$R")" = usr ]
}

@test "B58: the directory variables are honoured" {
	cd "$ROOT"
	r=$BATS_TEST_TMPDIR/r
	make -s B="${B#"$ROOT/"}" install DESTDIR="$r" PREFIX=/p BINDIR=/b LIBDIR=/l INCLUDEDIR=/i MANDIR=/m DATADIR=/d
	[ "$(ls "$r" | grep -vx b | tr '\n' ' ')" = "d i l m " ] || [ "$(ls "$r" | grep -vx b | tr '\n' ' ')" = "i l m " ]
	[ -e "$r/l/libds.a" ]
	grep -qx 'libdir=/l' "$r/l/pkgconfig/ds.pc"
}

@test "B58: a source tree that cannot be written" {
	need unshare
	unshare -rm true 2> /dev/null || skip 'no user namespaces here'
	cd "$ROOT"
	run unshare -rm bash -c "mount --bind -o ro '$ROOT' '$ROOT' 2> /dev/null && mount -o remount,bind,ro '$ROOT' 2> /dev/null || exit 77
		cd '$ROOT' && make -s B='${B#"$ROOT/"}' install DESTDIR='$BATS_TEST_TMPDIR/r' PREFIX=/usr"
	[ $status -ne 77 ] || skip 'no mounts here'
	show
	[ $status -eq 0 ]
}

@test "B59: uninstall removes what was installed and keeps foreign files" {
	cp -a "$R" "$BATS_TEST_TMPDIR/r"
	mkdir -p "$BATS_TEST_TMPDIR/r/usr/bin"
	touch "$BATS_TEST_TMPDIR/r/usr/bin/foreign"
	cd "$ROOT"
	make -s B="${B#"$ROOT/"}" uninstall DESTDIR="$BATS_TEST_TMPDIR/r" PREFIX=/usr
	cd "$BATS_TEST_TMPDIR/r"
	find . ! -type d
	[ "$(find . ! -type d)" = ./usr/bin/foreign ]
}

@test "B60: pkg-config compiles and links, shared and static, and moves with the tree" {
	need pkg-config
	cd "$BATS_TEST_TMPDIR"
	cp -a "$R/usr" moved
	export PKG_CONFIG_PATH=$PWD/moved/lib/pkgconfig
	[ "$(pkg-config --modversion ds)" = "$(cat "$ROOT/VERSION")" ]
	cat > a.c <<-END
		#include <stdio.h>
		#include <ds.h>
		int main(void) { ds_err e; ds_model *m; ds_status rc = ds_model_read(&m, "/nonexistent", &e);
			printf("%s %d\n", ds_version(), ds_exit_code(rc)); return 0; }
	END
	san=${SAN:+-fsanitize=address,undefined}
	${CC:-cc} $san a.c $(pkg-config --cflags --libs ds) -o shared
	[ "$(LD_LIBRARY_PATH=moved/lib ./shared)" = "$(cat "$ROOT/VERSION") 1" ]
	${CC:-cc} $san a.c $(pkg-config --cflags ds) moved/lib/libds.a $(pkg-config --static --libs-only-l ds | sed 's/-lds//') -o static
	[ "$(./static)" = "$(cat "$ROOT/VERSION") 1" ]
	run ! grep -F "$ROOT" moved/lib/pkgconfig/ds.pc
	readelf -d moved/lib/libds.so | grep -q 'SONAME.*libds.so.0'
}

@test "no build path in what is installed" {
	[ -z "$SAN" ] || skip 'sanitizers keep paths'
	run grep -rlF "$ROOT" "$R"
	show
	[ -z "$output" ]
}

@test "F25: binaries are hardened" {
	[ -z "$SAN" ] || skip 'a build with sanitizers'
	for f in "$R"/usr/bin/* "$R"/usr/lib/libds.so "$B/test/ds-skeleton"; do
		[ -e "$f" ] || continue
		echo "$f"
		readelf -hW "$f" | grep -q 'Type:.*DYN'
		readelf -lW "$f" | grep -q GNU_RELRO
		readelf -dW "$f" | grep -q 'BIND_NOW\|FLAGS.*NOW'
		readelf -lW "$f" | grep GNU_STACK | grep -qv RWE
		readelf -dW "$f" | grep -q 'RPATH\|RUNPATH\|TEXTREL' && return 1
		readelf -sW "$f" | grep -q '__stack_chk_fail'
	done
	readelf -sW "$B/test/ds-skeleton" | grep -q '_chk'
}

@test "heavy libraries are not loaded" {
	for f in $FILTERS; do
		run bash -c "ldd \"\$(command -v $f)\" | grep -iE 'blas|sndfile|omp'"
		[ -z "$output" ]
	done
}

@test "B55: manual pages have their sections and mandoc is silent" {
	cd "$ROOT/man"
	for f in *.[157]; do
		[ -e "$f" ] || continue
		for s in NAME DESCRIPTION 'SEE ALSO'; do
			grep -qx ".Sh $s" "$f" || { echo "$f lacks $s"; return 1; }
		done
		case $f in *.1)
			for s in SYNOPSIS OPTIONS ENVIRONMENT FILES 'EXIT STATUS' EXAMPLES DIAGNOSTICS; do
				grep -qx ".Sh $s" "$f" || { echo "$f lacks $s"; return 1; }
			done ;;
		esac
	done
	need mandoc
	for f in *.[157]; do
		run mandoc -Tlint -Wwarning "$f"
		show
		[ -z "$output" ]
	done
}

@test "B48: options of help, manual page and completions are the same" {
	cd "$ROOT"
	for path in "$B"/ds-*; do
		f=$(basename "$path")
		want=$($f --docs=help | grep -o '^ *\(-., \)\?--[a-z0-9-]*' | sed 's/.*--//' | sort)
		[ -n "$want" ] || continue
		[ "$(sed -n 's/^\.It .*Fl \\-\([a-z0-9-]*\).*/\1/p' man/$f.1 | sort)" = "$want" ]
		[ "$(grep -o ' -l [a-z0-9-]*' completions/fish/$f.fish | sed 's/ -l //' | sort)" = "$want" ]
		for o in $want; do
			grep -q -- "--$o" completions/bash/$f
			grep -q -- "--$o" completions/zsh/_$f
		done
	done
}

@test "B57: completions are sound, and bash offers what it should" {
	for f in $FILTERS; do
		$f --docs=bash > "$BATS_TEST_TMPDIR/c"
		bash -n "$BATS_TEST_TMPDIR/c"
		(
			source "$BATS_TEST_TMPDIR/c"
			COMP_WORDS=($f --vers)
			COMP_CWORD=1
			_${f//-/_}
			[ "${COMPREPLY[*]}" = --version ]
			COMP_WORDS=($f --color = al)
			COMP_CWORD=3
			_${f//-/_}
			[ "${COMPREPLY[*]}" = always ]
		)
		! command -v zsh > /dev/null || $f --docs=zsh | zsh -n
		! command -v fish > /dev/null || $f --docs=fish | fish -n
	done
}

@test "F24: two builds in different directories are equal" {
	[ -z "$SAN" ] || skip 'a build with sanitizers'
	cd "$ROOT"
	for d in a bb/cc; do
		mkdir -p "$BATS_TEST_TMPDIR/$d"
		(umask 0$((RANDOM % 3))7; TZ=Asia/Tokyo make -s B="$BATS_TEST_TMPDIR/$d" "$BATS_TEST_TMPDIR/$d/cli.a" CC="${CC:-cc}")
	done
	same "$BATS_TEST_TMPDIR/a/cli.a" "$BATS_TEST_TMPDIR/bb/cc/cli.a"
}
