#!/bin/sh
# nab_auc.sh - how well errors of windows tell labelled anomalies of the Numenta benchmark: the area under the curve, 0.5 for chance
#
#   nab_auc.sh SCORES.tsv SERIES.csv combined_windows.json [WINDOW=64 [FROM=0]]
#
# SCORES.tsv is what anomaly.mk (or ds-run with a model that gives its input again) prints: a heading, then input, first row of the window, error.  A window is positive if
# one of its WINDOW rows lies in a labelled span of the series.  Windows before row FROM were trained on and do not count.  Prints auc, windows, positive ones.
set -eu
[ $# -ge 3 ] || { sed -n '2,6s/^# *//p' "$0" >&2; exit 2; }
name=$(basename "$2")
spans=$(awk -v n="/$name\"" '
	index($0, n) { on = 1; next }
	on && /": \[/ { exit }
	on && match($0, /"[-0-9: ]+/) { printf "%s%s", sep, substr($0, RSTART + 1, 19); sep = ";" }' "$3")
[ -n "$spans" ] || { echo "nab_auc.sh: no labels for $name" >&2; exit 1; }
awk -F, -v spans="$spans" 'BEGIN { n = split(spans, t, ";") }
	NR > 1 { hit = 0; for (i = 1; i < n; i += 2) hit = hit || ($1 >= t[i] && $1 <= t[i + 1]); print hit }' "$2" |
	awk -F'\t' -v w="${4:-64}" -v from="${5:-0}" '
		NR == FNR { sum[FNR] = sum[FNR - 1] + $1; rows = FNR; next }
		FNR > 1 && $2 >= from { last = $2 + w < rows ? $2 + w : rows; print $3 "\t" (sum[last] - sum[$2 + 0] > 0) }' - "$1" |
	sort -g | awk -F'\t' '
		# ranks, those of equal errors their mean
		function close_run(   i) { for (i = 1; i <= run; i++) if (hit[i]) ranks += first + (run - 1) / 2; first += run; run = 0 }
		BEGIN { first = 1 }
		{ if (run && $1 != at) close_run(); at = $1; hit[++run] = $2; pos += $2; n++ }
		END { close_run(); if (!pos || pos == n) exit 1
			printf "auc\t%.4f\nwindows\t%d\npositive\t%d\n", (ranks - pos * (pos + 1) / 2) / (pos * (n - pos)), n, pos }'
