"""Which ncnn blob holds which ONNX value, and how far it is from it."""
