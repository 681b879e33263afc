"""What one writes to see the nodes of an ONNX file: load it, walk through it."""

import sys

import onnx

graph = onnx.load(sys.argv[1]).graph
for node in graph.node:
    print(node.name, node.op_type, list(node.input), list(node.output))
for weight in graph.initializer:
    print(weight.name, list(weight.dims))
