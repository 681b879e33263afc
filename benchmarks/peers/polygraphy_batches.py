"""What one writes to feed Polygraphy a file of samples: batches of 8 of them."""

from pathlib import Path

import numpy as np

_DATA = Path(__file__).parents[1] / "cache" / "small_images.npy"


def load_data():
    """The batches, by the name of the input."""
    samples = np.load(_DATA, mmap_mode="r")
    for start in range(0, len(samples), 8):
        yield {"input": np.ascontiguousarray(samples[start : start + 8])}
