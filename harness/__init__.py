"""Build many variants of ncnn, run one model on each, and find what costs precision."""

import os

# Before NumPy is imported: sums must not depend on the number of cores, and sharing a vector that
# fits into a cache among threads takes longer than adding it up, much longer on a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Before ONNX Runtime is imported: its wheels keep a device ID and a database in `~/.cache`, start
# threads, and tell Microsoft over the network what they are used for.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
