"""An ONNX file as the neutral graph that the proof works on.

Sizes and shape arithmetic are carried along by rules of our own, symbolically. May import neither onnx nor onnxruntime,
and nothing of ``run/``.
"""
