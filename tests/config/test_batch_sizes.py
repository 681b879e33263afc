"""The batch sizes to try, as a user writes them."""

import numpy as np
import pytest

from kmr_cli.config.batch_sizes import LARGEST_BATCH, checked_sizes, parse_batch_sizes
from kmr_cli.errors import KmrError


def test_every_size_once_and_the_smallest_first():
    assert parse_batch_sizes("64,1, 8,32,8") == (1, 8, 32, 64)
    assert checked_sizes([np.int64(8), 1]) == (1, 8)
    assert checked_sizes("2,1") == (1, 2)
    assert checked_sizes(LARGEST_BATCH for _ in range(1)) == (LARGEST_BATCH,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a list of batch sizes: ''"),
        ("8;16", "not a list of batch sizes: '8;16'"),
        ("1,8.5", "not a list of batch sizes: '1,8.5'"),
        ("1,0", "at least 1, not 0"),
        ("-8", "at least 1, not -8"),
        ("65537", "at most 65536, not 65537"),
    ],
)
def test_anything_else_is_refused_in_one_line(text, said):
    with pytest.raises(KmrError) as raised:
        parse_batch_sizes(text)
    assert said in raised.value.message
    assert "1,8,32,64" in raised.value.hint


@pytest.mark.parametrize("given", [[True], ["8"], [None], [8.0], 8.5])
def test_other_types_are_refused(given):
    with pytest.raises(KmrError, match="must be a whole number"):
        checked_sizes(given)
