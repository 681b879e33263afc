"""What one writes to keep what every layer gives for a file of samples, with TorchLens.

Usage: torchlens_data_set.py SAMPLES FOLDER bundles|dataset BATCH
"""

import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
import torchlens

sys.path.insert(0, str(Path(__file__).parents[1]))
from torch_models import resnet18

warnings.simplefilter("ignore")
samples, folder = np.load(sys.argv[1], mmap_mode="r"), Path(sys.argv[2])
kind, size = sys.argv[3], int(sys.argv[4])
shutil.rmtree(folder, ignore_errors=True)
torch.manual_seed(0)
model = resnet18()
with torch.no_grad():
    if kind == "bundles":
        folder.mkdir()
        for start in range(0, len(samples), size):
            batch = torch.from_numpy(np.array(samples[start : start + size]))
            to = torchlens.to_disk(str(folder / str(start)), include_buffer_values=False)
            torchlens.trace(model, batch, storage=to)
    else:
        names = [layer.layer_label for layer in torchlens.trace(model, torch.from_numpy(samples[:size].copy())).layers]
        computed = [name for name in names if name.split("_")[0] not in ("input", "buffer", "output")]
        stimuli = torch.from_numpy(np.array(samples))
        torchlens.extract_dataset(model, stimuli, computed, batch_size=size, output_dir=folder, progress=False)
