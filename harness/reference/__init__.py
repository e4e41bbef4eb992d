"""What an input should give: values of the ONNX graph in float32 and float64."""
