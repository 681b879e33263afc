"""What the names of inputs tell."""

import pytest

from kmr_cli.config.names import names_of


@pytest.mark.parametrize(
    ("mask", "inputs", "shared"),
    [
        ("memory_key_padding_mask", ["memory", "tgt"], {"memory"}),
        ("tgt_key_padding_mask", ["memory", "tgt"], {"tgt"}),
        ("decoder_attention_mask", ["decoder_input_ids", "encoder.states"], {"decoder_input_ids"}),
        ("attention_mask", ["input_ids", "token_type_ids"], set()),
        ("mask", ["masked_words", "x"], set()),
        ("src_mask", ["x", "y"], set()),
    ],
)
def test_a_mask_shares_a_name_with_what_it_masks(mask, inputs, shared):
    assert {name for name in inputs if names_of(mask) & names_of(name)} == shared
