"""Running an ONNX model with onnxruntime. The only part of this format that imports it."""
