"""What one writes to see the layers of a .pt2 file: load it, print the program."""

import sys

import torch

print(torch.export.load(sys.argv[1]))
