"""Prints ONNX's own operators, as kmr_cli/formats/onnx/run/operators.txt keeps them.

Run it with the newest onnx:
    python scripts/list_onnx_operators.py > kmr_cli/formats/onnx/run/operators.txt
"""

from collections.abc import Iterator

from onnx import defs

DOMAINS = ("", "ai.onnx.ml")


def lines() -> Iterator[str]:
    """``Upsample 7 10``, ``ai.onnx.ml:Scaler 1``: the version of its domain that brought it, and that took it away."""
    schemas = sorted(defs.get_all_schemas_with_history(), key=lambda one: (one.domain, one.name, one.since_version))
    for domain in DOMAINS:
        mine = [one for one in schemas if one.domain == domain]
        for name in dict.fromkeys(one.name for one in mine):
            versions = [one for one in mine if one.name == name]
            words = [f"{domain}:{name}" if domain else name, str(versions[0].since_version)]
            if versions[-1].deprecated:
                words.append(str(versions[-1].since_version))
            yield " ".join(words)


if __name__ == "__main__":
    for line in lines():
        print(line)
