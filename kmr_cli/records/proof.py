"""What the graph of a model allows at all, for every input: the structural proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Answer: TypeAlias = Literal["proven", "constant", "meet", "place", "count", "layout", "state", "unknown"]

UNMIXED: tuple[Answer, ...] = ("proven", "constant")
SEPARATE: tuple[Answer, ...] = (*UNMIXED, "layout")
"""Answers by which no sample's content can reach another's part, and neither place nor number shows."""
_WORDS = {
    "proven": "proven",
    "constant": "holds none of the samples",
    "meet": "samples can mix",
    "place": "depends on a sample's place in the batch",
    "count": "depends on the number of samples",
    "layout": "samples are kept apart, in a different layout",
    "state": "depends on earlier calls",
    "unknown": "not decided",
}


@dataclass(frozen=True)
class OutputClaim:
    """What the graph says of one output.

    Attributes:
        output: its name.
        answer: ``proven``: each row is one sample's, and depends on neither its place in the batch nor the number of
            samples. ``constant``: it holds nothing of any sample. ``meet``: on the way, samples can mix. ``place``,
            ``count``: samples are kept apart, but those show. ``layout``: samples are kept apart, but not as one row a
            sample on axis 0. ``state``: an earlier call can show. ``unknown``: the graph does not decide it.
        reason: why it is not proven, empty where it is.
        operator: of the graph, where the reason lies.
        layer: that it runs in; empty for the model's own code.
        kind: what the operator does: ``onnx.Softmax``.
    """

    output: str
    answer: Answer
    reason: str = ""
    operator: str = ""
    layer: str = ""
    kind: str = ""

    @property
    def separate(self) -> bool:
        """Whether no sample's content can reach another's part of it, and neither place nor number shows."""
        return self.answer in SEPARATE

    def __str__(self) -> str:
        told = f"output {self.output!r}: {_WORDS[self.answer]}"
        layer = f"layer {self.layer!r}, " if self.layer else ""
        place = f" ({layer}operator {self.operator!r})" if self.operator else ""
        return f"{told}: {self.reason}{place}" if self.reason else told


ProbeOutcome: TypeAlias = Literal["apart", "met", "shape", "still", "chance", "failed"]
_OUTCOMES: dict[ProbeOutcome, str] = {
    "apart": "rows stayed apart in {trials}, which is no proof",
    "met": "rows met in trial {number}",
    "shape": "the shape of what it makes depends on what its rows hold",
    "still": "nothing that it makes reacted in {trials}",
    "chance": "it gives different values for the same operands",
    "failed": "it fails on random operands",
}


@dataclass(frozen=True)
class ProbedOperator:
    """An operator that no rule covers, run by itself on random operands: what was seen, which proves nothing.

    Attributes:
        operator: of the graph.
        kind: what it does: ``my.company.Mix``.
        layer: that it runs in; empty for the model's own code.
        outcome: ``apart``: no sample's part of what it makes moved with another's operands. ``met``: one did.
            ``shape``: the shape of what it makes depends on what its operands hold. ``still``: nothing reacted.
            ``chance``: it is random. ``failed``: it does not run on random operands.
        trials: how many were run; the last one is that in which rows met.
    """

    operator: str
    kind: str
    layer: str
    outcome: ProbeOutcome
    trials: int

    @property
    def seen(self) -> str:
        """What was seen, in words."""
        trials = "1 trial" if self.trials == 1 else f"{self.trials} trials"
        return f"run alone on random operands, {_OUTCOMES[self.outcome].format(trials=trials, number=self.trials)}"

    def __str__(self) -> str:
        layer = f", layer {self.layer!r}" if self.layer else ""
        return f"operator {self.operator!r} ({self.kind}{layer}): {self.seen}"


@dataclass(frozen=True)
class StructuralProof:
    """What the graph of a model says of its outputs, for every input: no data was run.

    Attributes:
        outputs: one claim each.
        fixed: the only batch size that it holds for; None where the file leaves the size open.
        least, most: the batch sizes that the file takes; ``most`` is None where it sets no limit.
        undecided: operators, or uses of them, that no rule covers, each once.
        operators: how many the graph has.
        vocabulary: whose operators these are: ``aten``, ``onnx``.
        table: digest of the rules by which they were judged.
        shapes: of the only inputs that it holds for, ``x (batch, 28, 28)``; empty for all that the model takes.
        probed: operators that no rule covers, as a check saw them run alone; none where nothing was run.
    """

    outputs: tuple[OutputClaim, ...]
    fixed: int | None
    least: int
    most: int | None
    undecided: tuple[str, ...] = ()
    operators: int = 0
    vocabulary: str = ""
    table: str = ""
    shapes: tuple[str, ...] = ()
    probed: tuple[ProbedOperator, ...] = ()

    @property
    def proven(self) -> bool:
        """Whether every output is proven, or holds none of the samples."""
        return bool(self.outputs) and all(claim.answer in UNMIXED for claim in self.outputs)

    @property
    def separate(self) -> bool:
        """Whether no sample can reach another's part of any output; its layout may be another than one row a sample."""
        return bool(self.outputs) and all(claim.separate for claim in self.outputs)

    @property
    def inputs(self) -> str:
        """The inputs that it holds for, in words."""
        return f"for every input of shape {', '.join(self.shapes)}" if self.shapes else "for every input"

    @property
    def sizes(self) -> str:
        """The batch sizes that it holds for, in words."""
        if self.fixed is not None:
            return f"at batch size {self.fixed}"
        if self.most is not None:
            return f"at batch sizes from {self.least} to {self.most}"
        return "at every batch size" if self.least < 2 else f"at batch sizes from {self.least} on"

    def __str__(self) -> str:
        if self.proven:
            return f"proven: samples never mix, {self.inputs}, {self.sizes}"
        return "\n".join([f"not proven, {self.sizes}:", *map(str, self.outputs)])


@dataclass(frozen=True)
class RecordedPath:
    """What the operators say that ran in a few recorded passes, of a model whose graph nobody knows.

    A remark beside a pass. A condition on the number of samples, or on what they hold, may lead elsewhere.

    Attributes:
        outputs: one claim each.
        sizes: batch sizes that were recorded.
        undecided: operators, or uses of them, that no rule covers, each once.
        operators: how many ran.
    """

    outputs: tuple[OutputClaim, ...]
    sizes: tuple[int, ...]
    undecided: tuple[str, ...] = ()
    operators: int = 0

    @property
    def separate(self) -> bool:
        """Whether no sample can reach another's part of any output on this path."""
        return bool(self.outputs) and all(claim.separate for claim in self.outputs)

    def __str__(self) -> str:
        ran = f"{self.operators} operators that ran on batches of {', '.join(map(str, self.sizes))}"
        if self.separate:
            return f"proven on the recorded path ({ran}), which no other path is covered by"
        first = next(claim for claim in self.outputs if not claim.separate) if self.outputs else "it has no outputs"
        return f"not proven on the recorded path ({ran}): {first}"
