"""Every format, on calls that are clean, have findings, checked nothing, or are full of hostile names.

``KMR_GOLDEN=write pytest tests/render/test_golden.py`` writes what is produced now into ``tests/golden/``, to be looked
at in the diff and committed. Without it a difference fails, and where ``CI`` is set it writes nothing.
"""

import os
from pathlib import Path

import pytest
from zoo.outcomes import CASES

from kmr_cli import __version__
from kmr_cli.render.outputs import formats_of

GOLDEN = Path(__file__).parents[2] / "golden"
# A page is mostly its style sheet and script: test_html.py reads what it says; and these reports name no tensors.
SUFFIXES = {"terminal": "txt", "json": "json", "junit": "xml", "sarif": "sarif", "github": "github.txt"}
WRITE = os.environ.get("KMR_GOLDEN") == "write"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("format_", SUFFIXES)
def test_output_is_as_agreed(produce, format_, case):
    text = produce(case, format_)[0].replace(f'"{__version__}"', '"0.0.0"')
    place = GOLDEN / f"{case}.{SUFFIXES[format_]}"
    if WRITE:
        assert not os.environ.get("CI"), "golden outputs are written by people who look at them"
        place.write_bytes(text.encode())
    assert text == place.read_bytes().decode()


def test_every_other_format_is_agreed():
    assert set(formats_of("check-batch-axis")) - set(SUFFIXES) == {"html", "model-explorer"}


def test_no_golden_output_is_left_over():
    others = ("compare_", "snapshot_")  # of test_comparison.py and test_snapshot_file.py
    assert {path.name for path in GOLDEN.iterdir() if not path.name.startswith(others)} == {
        f"{case}.{suffix}" for case in CASES for suffix in SUFFIXES.values()
    }
