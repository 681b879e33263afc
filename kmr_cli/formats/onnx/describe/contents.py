"""Where what an input's steps hold begins in a graph: the vectors of its ids, or itself with masked steps made zero."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from kmr_cli.formats.onnx.describe.graph import Graph

_SAME = frozenset({"Identity", "Cast"})
_PRODUCTS = frozenset({"Mul", "Where"})


def steps_of(graph: Graph, inputs: Collection[str]) -> Iterator[str]:
    """The values that have what stands in the steps of some inputs, where what masks them is known by then.

    Args:
        graph: of the file.
        inputs: their names.
    """
    waiting, seen = list(inputs), set(inputs)
    while waiting:
        current = waiting.pop()
        for user in graph.users.get(current, ()):
            reads = list(user.message.input)
            made = user.outputs[0] if user.outputs else ""
            if current not in reads or not made or made in seen:
                continue
            from_table = user.op == "Gather" and len(reads) == 2 and reads[1] == current
            masked = user.op in _PRODUCTS and any(one != current and _comes_from(graph, one, current) for one in reads)
            if from_table or masked:
                yield made
            elif user.op in _SAME:
                seen.add(made)
                waiting.append(made)


def _comes_from(graph: Graph, name: str, source: str) -> bool:
    waiting, seen = [name], {name}
    while waiting:
        one = waiting.pop()
        if one == source:
            return True
        maker = graph.maker.get(one)
        new = [read for read in (maker.reads if maker is not None else ()) if read not in seen]
        seen.update(new)
        waiting += new
    return False
