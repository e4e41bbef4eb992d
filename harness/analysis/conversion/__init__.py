"""Whether the ncnn files are the ONNX model, which blob holds what, and where they differ."""
