"""What an ONNX file says of itself, from its bytes alone. May import neither onnx, onnxruntime nor ``run/``."""
