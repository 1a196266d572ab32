#!/usr/bin/env bats
# profile_load.bats - ds-profile: the page, conditions on figures, load, cost, metrics

load common

setup_file()
{
	load common
	fixtures
	export DS_THREADS=1 XDG_CACHE_HOME="$BATS_FILE_TMPDIR/cache"
}

setup()
{
	command -v ds-profile > /dev/null || skip 'ds-profile is not there'
	cd "$BATS_TEST_TMPDIR"
	M=$ROOT/test/sample/digits.dsm
	C=$ROOT/test/sample/calib-images-idx3-ubyte.gz
}

# ---- the page -----------------------------------------------------------------------------------------------------------------------
@test "--html: every node of the report is in the page, which is well-formed and loads nothing" {
	ds-profile --html page.html --time --runs 3 -m "$M" > t
	awk -F'\t' '$1 == "node" && $2 != "node" && $2 !~ /^\(/ { print $2 }' t > names
	[ "$(wc -l < names)" -gt 5 ]
	while read -r name; do
		grep -qF ">$name<" page.html
		grep -q "data-t=\"$name&#10;" page.html
	done < names
	run ! grep -E 'https?:|src=|@import|url\([^#]' page.html
	grep -q "Content-Security-Policy" page.html
	for id in graph time roofline memory; do grep -q "id=\"$id\"" page.html; done
	! command -v xmllint > /dev/null || xmllint --noout page.html
}

@test "--html: names that look like markup stay text" {
	LC_ALL=C sed 's,/block3/conv1/Conv,<script>x</script>,g; s,/block2/conv1/Conv,"&'"'"'=\x01\x1b\xff\xe2\x80\xae<b>x,g' "$ROOT/test/corpus/onnx/digits.onnx" > evil.onnx
	ds-convert evil.onnx -o evil.dsm 2> /dev/null || LC_ALL=C sed 's,/block3/conv1/Conv,<script>x</script>,g' "$ROOT/test/corpus/onnx/digits.onnx" | ds-convert -o evil.dsm
	ds-profile --html page.html --runs 2 -m evil.dsm
	grep -qF '&lt;script&gt;x&lt;/script&gt;' page.html
	run ! grep -F -e '<script>x' -e '<b>x' page.html
	[ "$(grep -c '<script>' page.html)" = 1 ]
	! command -v xmllint > /dev/null || xmllint --noout page.html
}

@test "--html: the browser opens it without a message or a request" {
	need chromium
	[ -z "$SAN" ] || skip 'sanitizers do not matter to a browser'
	ds-profile --html page.html --runs 3 -m "$M"
	mkdir home
	HOME=$PWD/home timeout 60 chromium --headless=new --no-sandbox --disable-gpu --enable-logging=stderr --v=0 --virtual-time-budget=2000 \
		--log-net-log="$PWD/net.json" --dump-dom "file://$PWD/page.html" > dom 2> log || skip 'chromium does not run here'
	grep -q 'class="n h' dom
	grep -q 'style="width: ' dom                    # the script has run: the drawing has a size
	run ! grep -E 'CONSOLE|Refused|Uncaught' log
	run ! grep -oE '"url":"https?://[^"]*digits[^"]*"' net.json
}

@test "--html wants a file" {
	run -2 ds-profile --html - -m "$M"
	run -2 ds-profile --html= -m "$M"
	run -1 ds-profile --html missing/page.html --runs 2 -m "$M"
	[ ! -e missing ]
}
