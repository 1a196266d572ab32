# run.sh - make bench: the kernel table, then whole networks in turns with ONNX Runtime, and training steps with PyTorch, where PYTHON (python3) has them
set -e
"$B/test/bench/kernels"
PYTHON=${PYTHON:-python3}
if "$PYTHON" -c 'import numpy, onnx, onnxruntime' 2>/dev/null; then
	"$PYTHON" test/bench/versus_onnxruntime.py "$B" "${BENCH_DIR:-$B/bench}" --threads "${BENCH_THREADS:-2}"
else
	echo "bench: $PYTHON has no onnxruntime to compare with (numpy, onnx and onnxruntime are needed; set PYTHON)"
fi
if "$PYTHON" -c 'import torch' 2>/dev/null; then
	"$PYTHON" test/bench/versus_pytorch.py "$B" "${BENCH_DIR:-$B/bench}" --threads "${BENCH_THREADS:-2}"
else
	echo "bench: $PYTHON has no torch to compare training with"
fi
