# run.sh - make bench: the kernel table, then whole networks in turns with ONNX Runtime where PYTHON (python3) has it
set -e
"$B/test/bench/kernels"
PYTHON=${PYTHON:-python3}
if "$PYTHON" -c 'import numpy, onnx, onnxruntime' 2>/dev/null; then
	"$PYTHON" test/bench/versus_onnxruntime.py "$B" "${BENCH_DIR:-$B/bench}" --threads "${BENCH_THREADS:-2}"
else
	echo "bench: $PYTHON has no onnxruntime to compare with (numpy, onnx and onnxruntime are needed; set PYTHON)"
fi
