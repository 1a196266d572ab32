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

# ---- load ---------------------------------------------------------------------------------------------------------------------------
value()
{       # value SECTION WHAT COLUMN FILE
	awk -F'\t' -v s="$1" -v w="$2" -v c="$3" '$1 == s && $2 == w { print $c }' "$4"
}

@test "--load: as many requests as asked for, at the rate asked for" {
	ds-profile --load constant:100 --requests 50 -m "$M" "$C" > t
	[ "$(value load requests 3 t)" = 50 ]
	[ "$(value load failed 3 t)" = 0 ]
	awk -v s="$(value load seconds 3 t)" 'BEGIN { exit !(s > 0.48 && s < 5) }'
	ds-profile --load poisson:300 --seconds 0.5 -m "$M" > t
	awk -v n="$(value load requests 3 t)" 'BEGIN { exit !(n > 80 && n < 240) }'
	# the seed decides when they arrive, hence how many
	n=$(value load requests 3 t)
	ds-profile --load poisson:300 --seconds 0.5 -m "$M" > t
	[ "$(value load requests 3 t)" = "$n" ]
	ds-profile --load poisson:300 --seconds 0.5 --seed 5 -m "$M" > t
	[ "$(value load requests 3 t)" != "$n" ]
}

@test "--load: percentiles rise, few requests have no upper bound, and what cannot be served is said" {
	ds-profile --load closed --requests 40 -m "$M" > t
	awk -v a="$(value load p50 3 t)" -v b="$(value load p90 3 t)" -v c="$(value load p99 3 t)" -v m="$(value load max 3 t)" 'BEGIN { exit !(a <= b && b <= c && c <= m) }'
	[ "$(value load p99 5 t)" = inf ]
	value load p99 6 t | grep -q 'at least 368'
	ds-profile --load closed --requests 40 --json -m "$M" | grep '"what":"p99"' | grep -q '"high":null'
	ds-profile --load poisson:200000 --seconds 0.2 -m "$M" > t 2> e
	grep -q 'does not keep up' e
	awk -v n="$(value load left 3 t)" -v q="$(value load queue_max 3 t)" 'BEGIN { exit !(n > 0 && q > 100) }'
}

@test "--load: requests that wait are computed together, up to -b" {
	ds-profile --load constant:50000 --requests 2000 -b 16 -m "$M" "$C" > t 2> e
	value load service 6 t | grep -q '16 together'
	[ "$(value load requests 3 t)" = 2000 ]
}

# ---- conditions ---------------------------------------------------------------------------------------------------------------------
@test "--assert: conditions that hold are status 0, others 6, all are listed" {
	ds-profile --assert params=56826 --assert 'macs < 1G' --assert size=1M --assert rss=1G --assert p50=10s -m "$M" > t
	[ "$(grep -c $'\tmet$' t)" = 5 ]
	run -6 --separate-stderr ds-profile --assert params=56825 --assert 'qps>1e9' --assert peak=1G -m "$M"
	[ "$(grep -c $'\tnot met$' <<< "$output")" = 2 ]
	[ "$(grep -c $'\tmet$' <<< "$output")" = 1 ]
	[[ "$stderr" == *'params is 56.83 K, not <= 56.83 K; qps is '* ]]
	[ "$(wc -l <<< "$stderr")" = 1 ]
}

@test "--assert: too few values are never good enough; the end of the interval decides" {
	run -6 --separate-stderr ds-profile --load closed --requests 20 --assert p99=1000s -m "$M"
	[[ "$stderr" == *'too few values'* ]]
	ds-profile --load closed --requests 2000 --assert p90=1000s -m "$M"
	ds-profile --load closed --requests 2000 -m "$M" > t
	awk -v v="$(value load p50 3 t)" -v h="$(value load p50 5 t)" 'BEGIN { exit !(v <= h) }'
}

@test "--assert drop and agreement: what ds-run --compare says, against the model of --against" {
	ds-quantize --bits w2 "$M" -o small.dsm
	T=$ROOT/test/sample/test-images-idx3-ubyte.gz
	run -6 ds-profile --against "$M" -m small.dsm -d "$T" --max-samples 100000 --assert drop=1% --assert agreement=1%
	grep '^assert' <<< "$output" > t
	ds-run --compare "$M" -m small.dsm -d "$T" > r
	[ "$(awk -F'\t' '$2 == "drop" { print $5, $6, $7, $8 }' t)" = "$(awk -F'\t' '$1 == "drop" { print $2, $3, $4, "not met" }' r)" ]
	[ "$(awk -F'\t' '$2 == "agreement" { print $5, $6, $7, $8 }' t)" = "$(awk -F'\t' '$1 == "agreement" { print $2, $3, $4, "met" }' r)" ]
	run -2 ds-profile --against "$M" -m small.dsm "$T" --assert drop=1%
	run -2 ds-profile -m small.dsm -d "$T" --assert drop=1%
}

@test "--assert without a report file still writes what it has, and others go on" {
	run -6 ds-profile --assert params=1 --macs --trace t.json -m "$M" -o out
	grep -q '^assert' out
	[ -s t.json ]
}

@test "--assert, --load, --cost, --metrics: wrong words are status 2 before anything is read" {
	while IFS= read -r words; do
		eval "run -2 --separate-stderr timeout 5 ds-profile $words -m \"$M\""
		[ "$(wc -l <<< "$stderr")" -le 2 ]
	done <<-'END'
		--assert ''
		--assert p99
		--assert p99=20
		--assert p99=20hours
		--assert p98=20ms
		--assert 'p99==20ms'
		--assert 'p99<>20ms'
		--assert qps=5%
		--assert rss=-5
		--assert macs=nan
		--assert drop=1%
		--assert price=1
		--load poisson
		--load poisson:0
		--load poisson:-5
		--load poisson:1e9
		--load burst:5
		--load ''
		--load closed --requests -1
		--load closed --requests 1.5
		--load closed --seconds nan
		--seconds 5
		--requests 5
		--cost -1
		--cost x
		--metrics -
		--metrics ''
	END
	run -2 --separate-stderr ds-profile --assert p98=20ms -m "$M"
	[[ "$stderr" == *'did you mean'*'there are p50, p90, p95, p99, p99.9, qps'* ]]
}

# ---- cost and metrics ---------------------------------------------------------------------------------------------------------------
@test "--cost: the price of a thousand is that of the time they take; joules or why not" {
	ds-profile --cost 3.6 --load closed --seconds 0.3 -m "$M" > t
	awk -v p="$(value cost price_per_1000 3 t)" -v r="$(value load throughput 3 t)" 'BEGIN { x = p * r; exit !(x > 0.999 && x < 1.001) }'
	[ -n "$(value cost joules_per_request 3 t)" ] || value cost joules_per_request 6 t | grep -q 'not measured'
	run -6 ds-profile --cost 1000 --assert price=1e-9 --seconds 0.3 -m "$M"
	ds-profile --cost 0 --assert price=0 --seconds 0.3 -m "$M"
}

@test "--metrics: promtool accepts them, hostile names are escaped, the file appears whole" {
	cp "$M" 'a "b\'$'\n''c.dsm'
	ds-profile --metrics x.prom --seconds 0.2 -m 'a "b\'$'\n''c.dsm'
	grep -qF 'model="a \"b\\\nc.dsm"' x.prom
	grep -q '^ds_build_info{filter="ds-profile",' x.prom
	grep -q '^ds_model_parameters{.*} 56826$' x.prom
	grep -q '^ds_request_duration_seconds{.*quantile="0.99"} [0-9]' x.prom
	# a head for every metric, before its samples, once
	awk '/^# TYPE/ { if (seen[$3]++) exit 1; now = $3 } /^ds_/ { n = $1; sub(/\{.*/, "", n); sub(/_(sum|count)$/, "", n); if (n != now) exit 1 }' x.prom
	before=$(cat x.prom)
	run -3 ds-profile --metrics x.prom -m "$D/toy.bin"
	[ "$before" = "$(cat x.prom)" ]
	run -1 ds-profile --metrics missing/x.prom --seconds 0.1 -m "$M"
	need promtool
	promtool check metrics < x.prom
}
