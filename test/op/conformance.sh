#!/bin/sh
# conformance.sh - unpack ONNX's backend tests into a scratch directory and run them, then the whole models
#
# conformance.sh [SUITE-OPTION ...]   B is the build directory.  Cases come from $DS_ASSETS (default ../shared/assets beside the repository);
# without them the script says skip and succeeds.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
runner=${B:-$root/build}/test/op/conformance
assets=${DS_ASSETS:-$root/../shared/assets}
suite=$assets/models/conformance/onnx-1.17.0-tests-dev.tar.gz
if [ ! -f "$suite" ]; then
	echo "skip conformance: $suite is not there"
	exit 0
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM HUP
tar xzf "$suite" -C "$scratch"
status=0
"$runner" "$@" "$scratch" || status=1
# Whole models: a relative and an absolute part, as the references were computed by another program.
if [ $# -eq 0 ]; then
	for model in "$assets"/models/*/model.onnx; do
		case $model in
		*int8_qdq/*) set -- --rtol 1e-3 --atol-rel 4e-3 ;;     # the last quantisation step of the probabilities is 1/256
		*) set -- --rtol 1e-3 --atol-rel 1e-4 ;;
		esac
		"$runner" "$@" "$(dirname "$model")" || status=1
	done
fi
exit $status
