"""What --layer-class names: a module and a class, or what is meant instead."""

import pytest

from kmr_cli.errors import LayerError
from kmr_cli.formats.layer_class.target import find


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("fractions:fraction", "did you mean fractions:Fraction?"),
        ("fractions:Frction", "did you mean fractions:Fraction?"),
        ("fractions:Attention", "it defines Fraction"),
        ("colorsys:Attention", "it defines no class: name the module in which the class stands"),
        ("fractions.Fraction", "write fractions:Fraction"),
        ("./my/layers.py", "give the module and the class: my.layers:CLASS"),
        ("fractions", "for example my_layers:Attention"),
    ],
)
def test_what_is_meant_is_said(target, hint):
    with pytest.raises(LayerError) as caught:
        find(target)
    assert caught.value.hint == hint
