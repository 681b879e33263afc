"""Owners from the inputs of a graph to its outputs, one operator after the other."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kmr_cli.proof.aliases import Aliases
from kmr_cli.proof.call import Call, Rule, generic_free
from kmr_cli.proof.graph import Body, Graph, Operator, Ref, Value, references
from kmr_cli.proof.owners import (
    Each,
    Free,
    Meet,
    MeetError,
    NoRuleError,
    Operand,
    Own,
    Owner,
    Routed,
    RoutedError,
    Unknown,
    Unowned,
    counted,
    varies,
)
from kmr_cli.proof.sizes import Shape, UndecidedError, any_of_batch


@dataclass(frozen=True)
class Entry:
    """What a vocabulary knows of an operator.

    Attributes:
        rule: from its operands to the owners of its results.
        view: the argument whose memory its results share.
        certain: whether they always do; a reshape may have to copy.
        writes: the argument that it overwrites, whose memory its first result is.
        blind: arguments whose content it does not look at, only at their shape and dtype.
        ignored: it makes nothing, and changes nothing.
        each: its rule knows what to do with the value of one sample in a loop over all of them.
    """

    rule: Rule
    view: str | None = None
    certain: bool = True
    writes: str | None = None
    blind: frozenset[str] = frozenset()
    ignored: bool = False
    each: bool = False


Lookup = Callable[[str], "Entry | None"]


@dataclass
class Owners:
    """What the engine found.

    Attributes:
        graph: that was judged.
        of: owner of every value at the end of the pass.
        made: owner of every value at the time it was made.
        unknown: operators without a rule, with how often they stand in the graph.
        written: values that the graph starts from, and that it overwrites.
        given: operator that no rule covers, or not in this use -> owners of what it takes, before it ran.
    """

    graph: Graph
    of: dict[str, Owner]
    made: dict[str, Owner] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    written: dict[str, Owner] = field(default_factory=dict)
    given: dict[str, dict[str, Owner]] = field(default_factory=dict)


def owners(graph: Graph, lookup: Lookup) -> Owners:
    """Give every value of a graph its owner.

    Args:
        graph: of a model.
        lookup: the vocabulary: the entry of an operator, None for one that it does not know.
    """
    return _Engine(graph, lookup).run()


class _Engine:
    def __init__(self, graph: Graph, lookup: Lookup) -> None:
        self._graph, self._lookup = graph, lookup
        self._values: Mapping[str, Value] = graph.values
        self._owners: dict[str, Owner] = {name: self._start(name, kind) for name, kind in graph.inputs}
        self._found = Owners(graph, self._owners)
        self._found.made.update(self._owners)
        self._aliases = Aliases(self._owners, self._shape, graph.batch)
        self._starts = dict(graph.inputs)

    def _shape(self, name: str) -> Shape | None:
        value = self._values.get(name)
        return None if value is None else value.shape

    def _start(self, name: str, kind: str) -> Owner:
        shape = self._shape(name)
        if kind == "samples":
            if shape and shape[0] == self._graph.batch:
                return Own(0)
            return Unknown("an input that does not hold one row per sample")
        if kind == "other":
            return Unknown("an input that is neither a batch nor a weight")
        return Free()

    def run(self) -> Owners:
        for operator in self._graph.operators:
            self._step(operator)
        return self._found

    def _step(self, operator: Operator) -> None:
        entry = self._lookup(operator.kind)
        if entry is None:
            self._unruled(operator)
            self._set(operator, (_unknown(operator, f"no rule for {operator.kind}"),) * len(operator.outputs))
            for name in () if self._graph.functional else operator.reads:  # it may write to whatever it is given
                if name in self._owners:
                    self._aliases.poison(name, f"{operator.kind} may have written to it")
            return
        if entry.ignored:
            return
        results = self._judge(operator, entry)
        if entry.writes is not None:
            self._write(operator, entry.writes, results[0] if results else None)
        self._set(operator, results)
        if entry.view is not None:
            self._note_views(operator, entry)

    def _body(self, body: Body, given: Sequence[Owner]) -> list[Owner]:
        """The owners of what a body returns."""
        if len(body.inputs) != len(given):
            raise NoRuleError("its graph takes a different number of values")
        self._owners.update(zip(body.inputs, given, strict=True))
        for operator in body.operators:
            self._step(operator)
        made: list[Owner] = []
        for argument in body.outputs:
            names = list(references(argument))
            made += [self._owners[name] for name in names] if names else [Free()]
        return made

    def _judge(self, operator: Operator, entry: Entry) -> tuple[Owner, ...]:
        """The owners of what an operator makes, from the owners as they are now."""
        results = self._ruled(operator, entry)
        return tuple(
            self._fitting(operator, owner, name) for owner, name in zip(results, operator.outputs, strict=True)
        )

    def _ruled(self, operator: Operator, entry: Entry) -> tuple[Owner, ...]:
        places = max(len(operator.outputs), 1 if entry.writes else 0)
        taken = [
            self._owners.get(name, Unknown(f"no operator produces {name!r}"))
            for key, argument in operator.arguments
            for name in references(argument)
            if key not in entry.blind or self._shape(name) is None
        ]
        meets = [one for one in taken if isinstance(one, Meet)]
        unknown = [one for one in taken if isinstance(one, Unknown)]
        if meets or unknown:
            first: Owner = (meets or unknown)[0]
            if isinstance(first, Unknown) and not first.operator:
                first = _unknown(operator, first.reason)
            return (first,) * places
        call = Call(operator, self._owners, self._values, self._graph.batch, self._graph.ranges, self._body)
        free = not any(isinstance(one, (Own, Each)) for one in taken)
        if any(isinstance(one, Each) for one in taken) and not entry.each:
            found = self._of_one_sample(operator, entry, call, taken)
        else:
            found = self._by_rule(operator, entry, call, free=free)
        results = found if isinstance(found, tuple) else (found,) * places
        if len(results) != places:
            results = (_unknown(operator, "it makes a different number of values than its rule says"),) * places
        clear = [one for one in taken if isinstance(one, (Own, Free, Each))]
        came = _CameIn(
            count=call.tells_count or any(one.count for one in clear),
            place=any(not isinstance(one, Free) and one.place for one in clear),
            rounds=call.rounds.union(*(one.rounds for one in clear if isinstance(one, Free))),
            each=any(isinstance(one, Each) for one in clear),
            free=free,
        )
        return tuple(_with_what_came_in(operator, one, came) for one in results)

    def _by_rule(self, operator: Operator, entry: Entry, call: Call, *, free: bool) -> Owner | tuple[Owner, ...]:
        noted = _Noted(call.owners)
        try:
            found = entry.rule(replace(call, owners=noted))
        except MeetError as exc:
            return Meet(str(exc), operator.name, operator.kind, operator.layer, operator.call)
        except (NoRuleError, UndecidedError) as exc:
            return self._fallen_back(operator, call, str(exc), free=free, routed=isinstance(exc, RoutedError))
        except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError):  # a file may hold anything
            return self._fallen_back(operator, call, "its arguments and shapes do not fit together", free=free)
        overlooked = self._overlooked(operator, entry, noted)
        if overlooked is None:
            return found
        reason = f"it does not cover its argument {overlooked!r}"
        instead = self._fallen_back(operator, call, reason, free=free)
        if isinstance(found, tuple):
            return tuple(one if isinstance(one, Unowned) else instead for one in found)
        return found if isinstance(found, Unowned) else instead

    def _overlooked(self, operator: Operator, entry: Entry, noted: _Noted) -> str | None:
        """The argument that a rule never looked at, so that it can't know what that brings in; None for none."""
        for key, argument in () if operator.graphs else operator.arguments:  # bodies take it from around them
            for name in () if key in entry.blind else references(argument):
                shape = self._shape(name)
                if name in noted.read or not shape:
                    continue
                whole = Operand(owner, shape) if isinstance(owner := noted[name], Free) else None
                if whole is None or any(varies(whole, axis) for axis in range(whole.rank)):
                    return key
        return None

    def _of_one_sample(
        self, operator: Operator, entry: Entry, call: Call, taken: Sequence[Owner]
    ) -> Owner | tuple[Owner, ...]:
        """What comes of one sample's value in a loop over all of them, together with what belongs to none."""
        mine = [one for one in taken if isinstance(one, Each)]
        if any(isinstance(one, Own) for one in taken) or any(one.pattern != mine[0].pattern for one in mine):
            reason = "the value of one sample meets those of others"
            return Meet(reason, operator.name, operator.kind, operator.layer, operator.call)
        hidden: dict[str, Owner] = {
            name: Free(count=one.count) for name in operator.reads if isinstance(one := call.owners[name], Each)
        }
        found = self._by_rule(operator, entry, replace(call, owners=ChainMap(hidden, dict(call.owners))), free=True)
        results = found if isinstance(found, tuple) else (found,) * max(len(operator.outputs), 1)
        return tuple(
            replace(mine[0], count=mine[0].count or one.count) if isinstance(one, Free) else one for one in results
        )

    def _fallen_back(self, operator: Operator, call: Call, reason: str, *, free: bool, routed: bool = False) -> Owner:
        """Without a rule for this use: what holds no sample's content before holds none after."""
        if free:
            try:
                return generic_free(call)
            except NoRuleError:
                return Free(count=True)
        self._unruled(operator)
        unknown = Routed if routed else Unknown
        why = f"no rule for this use of {operator.kind}: {reason}"
        return unknown(why, operator.name, operator.kind, operator.layer, operator.call)

    def _fitting(self, operator: Operator, owner: Owner, name: str | None) -> Owner:
        """The owner, if the sizes that the file declares leave room for it."""
        if not isinstance(owner, Own) or name is None:
            return owner
        shape = self._shape(name)
        if shape is None:
            return _unknown(operator, "the file does not declare the shape of its result")
        if owner.axis >= len(shape) or shape[owner.axis] != owner.outer * self._graph.batch * owner.inner:
            self._unruled(operator)
            return _unknown(operator, "the sizes in the file do not fit together")
        others = any_of_batch(size for axis, size in enumerate(shape) if axis != owner.axis)
        return counted(owner, others)  # what stands where along such an axis depends on how long it is

    def _set(self, operator: Operator, results: tuple[Owner, ...]) -> None:
        for name, owner in zip(operator.outputs, results, strict=False):
            if name is not None:
                self._owners[name] = self._found.made[name] = owner

    def _unruled(self, operator: Operator) -> None:
        self._found.unknown[operator.kind] = self._found.unknown.get(operator.kind, 0) + 1
        self._found.given[operator.name] = {name: self._owners[name] for name in operator.reads if name in self._owners}

    # -- memory that is shared

    def _write(self, operator: Operator, argument: str, owner: Owner | None) -> None:
        target = next((one for key, one in operator.arguments if key == argument), None)
        if not isinstance(target, Ref) or owner is None:
            for name in operator.reads:
                self._aliases.poison(name, f"{operator.kind} may have written to it")
            return
        if isinstance(owner, Own):
            owner = self._fitting(operator, owner, target.name)
        root = self._aliases.root(target.name)
        self._aliases.write(target.name, owner)
        if root in self._starts:
            self._found.written[root] = self._owners[root]
        for made in operator.outputs[:1]:
            if made is not None:
                self._aliases.add(made, target.name, _same, certain=True)

    def _note_views(self, operator: Operator, entry: Entry) -> None:
        source = next((one for key, one in operator.arguments if key == entry.view), None)
        sources = source if isinstance(source, tuple) else (source,) * len(operator.outputs)
        for place, (name, looked_at) in enumerate(zip(operator.outputs, sources, strict=False)):
            if name is not None and isinstance(looked_at, Ref):
                again = self._again(operator, entry, place, looked_at.name)
                self._aliases.add(name, looked_at.name, again, certain=entry.certain)

    def _again(self, operator: Operator, entry: Entry, place: int, source: str) -> Callable[[Owner], Owner]:
        """The rule of a view, for when what it looks at was overwritten."""

        def make(owner: Owner) -> Owner:
            kept = self._owners[source]
            self._owners[source] = owner
            unknown = dict(self._found.unknown)
            try:
                return self._judge(operator, entry)[place]
            finally:
                self._owners[source] = kept
                self._found.unknown = unknown

        return make


class _Noted(Mapping[str, Owner]):
    """Owners by name, and which of them a rule looked at.

    Attributes:
        read: names that were asked for.
    """

    def __init__(self, of: Mapping[str, Owner]) -> None:
        self._of = of
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Owner:
        self.read.add(name)
        return self._of[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)


@dataclass(frozen=True)
class _CameIn:
    """What the operands of an operator depend on.

    Attributes:
        count, place: as those of owners.
        rounds: the loops from round to round of which one of them changes.
        each: whether one of them is the value of one sample in a loop over all.
        free: whether none of them holds a sample's content.
    """

    count: bool
    place: bool
    rounds: frozenset[str]
    each: bool
    free: bool


def _with_what_came_in(operator: Operator, owner: Owner, came: _CameIn) -> Owner:
    """A result depends on whatever its operands depend on, also where its rule forgets to say so."""
    if isinstance(owner, Free):
        if not came.free:
            return _unknown(operator, "its rule does not say what becomes of the samples in this result")
        owner = replace(owner, rounds=owner.rounds | came.rounds) if came.rounds else owner
    elif isinstance(owner, Own):
        owner = replace(owner, place=owner.place or came.place)
    elif isinstance(owner, Each):
        by_place = came.each and owner.loop in came.rounds  # the round that picks the sample isn't part of its content
        owner = replace(owner, place=owner.place or came.place or by_place)
    else:
        return owner
    return counted(owner, came.count)


def _same(owner: Owner) -> Owner:
    return owner


def _unknown(operator: Operator, reason: str) -> Unknown:
    return Unknown(reason, operator.name, operator.kind, operator.layer, operator.call)
