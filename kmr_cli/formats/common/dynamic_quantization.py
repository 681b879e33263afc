"""Quantization whose scale is found at run time, from a whole tensor: the commonest way in which samples mix."""

from __future__ import annotations


def one_scale(operator: str) -> str:
    """Why samples change each other in a layer, and what to do: for :attr:`kmr_cli.records.LayerInfo.mixes`."""
    return f"{operator} takes one scale for the whole batch: quantize statically, or with a scale for every row"
