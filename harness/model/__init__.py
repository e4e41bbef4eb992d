"""Models: ncnn's `.param` and `.bin` files, the converter from ONNX, the built-in recogniser."""
