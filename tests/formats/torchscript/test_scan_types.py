"""Values that code narrows the type of: behind a question that is enough, and without one it is an attack."""

# ruff: noqa: UP006, UP007, UP035, UP045  (types as torch.jit has them)

from __future__ import annotations

import io
import zipfile
from typing import Any, Dict, List, Optional, Tuple, Union

import pytest
import torch
from torch import nn

from kmr_cli.formats.torchscript.scan import casts
from kmr_cli.formats.torchscript.scan.classes import types_of
from kmr_cli.formats.torchscript.scan.code import parsed
from kmr_cli.scan.scan import scan


@torch.jit.script
class First:
    def __init__(self, v: int):
        self.v = v


@torch.jit.script
class Second:
    def __init__(self, w: int):
        self.w = w


class Questions(nn.Module):
    """What is asked in all the ways that torch takes for an answer."""

    def forward(
        self, x: torch.Tensor, a: Optional[First], b: Union[First, int], c: Any, d: Union[First, Second],
        e: Optional[List[First]], f: Optional[Tuple[int, int]], g: Dict[str, Optional[Tuple[int, int]]],
    ) -> torch.Tensor:  # fmt: skip
        if a is not None and a.v > 0:
            x = x + a.v
        if isinstance(b, First):
            x = x + b.v
        x = x + (d.v if isinstance(d, First) else d.w)
        if isinstance(c, First):
            x = x + c.v
        if isinstance(c, List[int]):
            x = x + len(c)
        if e is None or len(e) == 0:
            return x
        x = x + e[0].v
        last: Optional[Tuple[int, int]] = None
        for key in g:
            found = g[key]
            if found is not None:
                if last is not None and found[0] > 1:
                    x = x + last[1]
                last = found
        assert f is not None
        return x + f[1]


class Layers(nn.Module):
    """Layers of torch that ask themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.gru = nn.LSTM(4, 4), nn.GRU(4, 4)
        self.attention = nn.MultiheadAttention(4, 2)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 2)

    def forward(self, x: torch.Tensor, state: Optional[Tuple[torch.Tensor, torch.Tensor]] = None) -> torch.Tensor:
        x = self.lstm(x, state)[0] if state is not None and state[0].size(0) > 0 else self.lstm(x)[0]
        x = self.gru(x)[0]
        return self.encoder(self.attention(x, x, x)[0])


@pytest.mark.parametrize("kind", [Questions, Layers])
@pytest.mark.filterwarnings("ignore")
def test_what_is_asked_first_passes(kind, tmp_path):
    path = tmp_path / "model.pt"
    torch.jit.save(torch.jit.script(kind()), str(path))
    with zipfile.ZipFile(path) as archive:
        code = b"".join(archive.read(name) for name in archive.namelist() if name.endswith(".py"))
    assert code.count(b"unchecked_cast") > 5
    assert scan(path).verdict == "pass"


CODE = """
class A(Module):
  __parameters__ = []
  k : int
class B(Module):
  __parameters__ = []
  a : __torch__.A
  t : Tuple[int, int]
  o : Optional[__torch__.A]
  def forward(self: __torch__.B,
    x: Tensor,
    any: Any,
    maybe: Optional[Tuple[int, int]]) -> Tensor:
{}
    return x
"""
ASKED = {
    "a declared attribute": "y = unchecked_cast(Tuple[int, int], self.t)",
    "an optional one": "o = self.o\nif torch.__isnot__(o, None):\n  y = unchecked_cast(__torch__.A, o)\nelse:\n  pass",
    "the other branch": "if torch.__is__(maybe, None):\n  pass\nelse:\n  y = unchecked_cast(Tuple[int, int], maybe)",
    "any, asked": "if isinstance(any, __torch__.A):\n  y = unchecked_cast(__torch__.A, any)\nelse:\n  pass",
    "what torch looks at": "y = unchecked_cast(Tensor, any)",
}
NOT_ASKED = {
    "any": "y = unchecked_cast(__torch__.A, any)",
    "another class": "y = unchecked_cast(__torch__.B, self.a)",
    "more elements": "y = unchecked_cast(Tuple[int, int, int], self.t)",
    "in a list": "y = unchecked_cast(List[__torch__.A], any)",
    "asked for another": "if isinstance(any, __torch__.B):\n  y = unchecked_cast(__torch__.A, any)\nelse:\n  pass",
    "the wrong branch": "if isinstance(any, __torch__.A):\n  pass\nelse:\n  y = unchecked_cast(__torch__.A, any)",
    "behind the question": "if isinstance(any, __torch__.A):\n  pass\nelse:\n  pass\n"
    "y = unchecked_cast(__torch__.A, any)",
    "changed meanwhile": "if isinstance(any, __torch__.A):\n  any = annotate(Any, 1)\n"
    "  y = unchecked_cast(__torch__.A, any)\nelse:\n  pass",
    "changed in a loop": "if isinstance(any, __torch__.A):\n  for i in range(2):\n"
    "    y = unchecked_cast(__torch__.A, any)\n    any = annotate(Any, 1)\nelse:\n  pass",
    "a list's element": "l = annotate(List[Any], [any])\ny = unchecked_cast(__torch__.A, l[0])",
    "not none": "if torch.__isnot__(any, None):\n  y = unchecked_cast(__torch__.A, any)\nelse:\n  pass",
    "an answer that says nothing": "if torch.gt(1, 0):\n  q, w = True, any\nelse:\n  q, w = False, any\n"
    "if q:\n  y = unchecked_cast(__torch__.A, w)\nelse:\n  pass",
    "an unknown call": "y = unchecked_cast(__torch__.A, (self).nothing(x, ))",
    "three arguments": "y = unchecked_cast(__torch__.A, any, 1)",
}


def told(statements):
    text = CODE.format("\n".join(f"    {line}" for line in statements.splitlines()))
    trees = {}
    assert list(parsed({"m/code/__torch__.py": text}, trees)) == []
    return [hazard.kind for hazard in casts.scan(trees, types_of(trees))]


@pytest.mark.parametrize("case", ASKED)
def test_a_type_that_was_asked_for_may_be_taken(case):
    assert told(ASKED[case]) == []


@pytest.mark.parametrize("case", NOT_ASKED)
def test_a_type_that_nobody_asked_for_may_not(case):
    assert told(NOT_ASKED[case]) == ["code"]


@pytest.mark.parametrize("holder", ["value", "listed", "pair"])
def test_objects_are_what_the_code_declares(holder, tmp_path):
    """And tuples as long, in lists, too."""

    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.value = First(1)
            self.listed = [First(2), First(3)]
            self.pair = (5, 6)
            self.other = Second(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.value.v + self.listed[0].v + self.pair[1] + self.other.w

    whole = io.BytesIO()
    torch.jit.save(torch.jit.script(Holder()), whole)
    path = tmp_path / "model.pt"
    path.write_bytes(whole.getvalue())
    assert scan(path).verdict == "pass"
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("/data.pkl") and holder == "pair":
                assert data.count(b"K\x05K\x06\x86") == 1
                data = data.replace(b"K\x05K\x06\x86", b"K\x05K\x05K\x06\x87")
            elif name.endswith(".py") and holder != "pair":
                lines = data.decode().splitlines(keepends=True)
                declared = [
                    line.replace("First", "Second") if line.startswith(f"  {holder} :") else line for line in lines
                ]
                data = "".join(declared).encode()
            new.writestr(name, data)
    assert [one.rule for one in scan(path).findings if f".{holder} is another thing" in one.message] == ["KMR501"]
