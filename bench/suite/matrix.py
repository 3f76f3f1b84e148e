"""The matrix: which runs of which variants are asked for.

`exclude` lists tables; a run that matches all of one table's keys is left out.  `include` lists
tables too, and adds, after the exclusions, the runs of the `variant` it names, with further
settings where it has any.  Their keys are `variant` (as declared, or as swept), `seed`, `device`
and any dotted key; a list matches each of its members:

    exclude = [{ variant = "wgan", seed = [3, 4] }, { "training.batch_size" = 256, device = "cpu" }]
    include = [{ variant = "wgan", "variant.wgan.clip" = 0.5, seed = 0 }]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.errors import suggestion
from bench.suite.base import Fault, Key, Layer, Origin, Problem, always, dotted, refuse, spread
from bench.suite.checks import check
from bench.suite.models import Cell
from bench.suite.sweeps import Draft, Sweep, target_of
from bench.suite.tables import Matrix, Rule

_RULE_KEYS = ("variant", "seed", "device")


@dataclass(frozen=True)
class _Match:
    """A rule as read: what it matches, and the settings it names."""

    rule: Rule
    settings: dict[str, Any]

    def holds(self, draft: Draft, seed: int, device: str) -> bool:
        """Whether a run matches every key of the rule."""
        rule = self.rule
        return (
            (not rule.variant or draft.name in rule.variant or draft.declared in rule.variant)
            and (not rule.seed or seed in rule.seed)
            and (not rule.device or device in rule.device)
            and all(
                key in draft.swept
                and (draft.swept[key] == value or draft.swept[key] in _each(value))
                for key, value in self.settings.items()
            )
        )


def cells(found: Sequence[Draft], matrix: Matrix, layer: Layer) -> tuple[list[Draft], list[Cell]]:
    """The runs asked for, and the variants they are of; included ones come last.

    `layer` has the positions of the matrix's own keys.  Raises `SuiteError` for a rule that names
    what is not there, and if no run is left.
    """
    known = sorted({key for draft in found for key in draft.swept})
    excluded = [
        _match(rule, found, ("exclude", index), layer, known)
        for index, rule in enumerate(matrix.exclude)
    ]
    asked = [
        Cell(draft.name, seed, device)
        for draft in found
        for seed in matrix.seeds
        for device in matrix.devices
        if not any(match.holds(draft, seed, device) for match in excluded)
    ]
    drafts = {draft.name: draft for draft in found}
    for index, rule in enumerate(matrix.include):
        match = _match(rule, found, ("include", index), layer, None)
        for draft in _included(match, found, _origin(layer, ("include", index))):
            drafts.setdefault(draft.name, draft)
            seeds, devices = match.rule.seed or matrix.seeds, match.rule.device or matrix.devices
            asked += [Cell(draft.name, seed, device) for seed in seeds for device in devices]
    if not asked:
        refuse([Problem(_origin(layer, ("exclude",)), "this leaves no run at all")])
    return list(drafts.values()), list(dict.fromkeys(asked))


def _match(
    table: dict[str, Any], found: Sequence[Draft], key: Key, layer: Layer, known: list[str] | None
) -> _Match:
    """One table of `exclude` (which knows the swept keys alone) or of `include` (any key)."""
    origin = _origin(layer, key)
    flat = {
        ".".join(map(str, at)): leaf.value for at, leaf in spread(table, always(origin)).items()
    }
    heads = {name: _each(flat[name]) for name in _RULE_KEYS if name in flat}
    settings = {name: value for name, value in flat.items() if name not in heads}
    rule, faults = check(Rule, heads)
    if known is not None:
        names = [*_RULE_KEYS, *known]
        faults += [
            Fault((k,), f"unknown key{suggestion(k, names)}") for k in settings if k not in known
        ]
    variants = {name for draft in found for name in (draft.name, draft.declared)}
    for name in rule.variant if rule else ():
        if name not in variants:
            faults.append(
                Fault(("variant",), f"{name!r} is not a variant{suggestion(name, variants)}")
            )
    if known is None and not heads.get("variant"):
        faults.append(Fault(("variant",), "is missing; expected the name of a variant"))
    refuse(Problem(_origin(layer, (*key, *fault.key)), fault.text) for fault in faults)
    assert rule is not None  # there were no faults
    return _Match(rule, settings)


def _included(match: _Match, found: Sequence[Draft], origin: Origin) -> Iterator[Draft]:
    """The variants a rule of `include` names, each with the rule's settings."""
    declared = sorted({draft.declared for draft in found})
    chosen = []
    for text, value in match.settings.items():
        target = target_of(text, declared, _RULE_KEYS)
        if isinstance(target, str):
            refuse([Problem(origin, f"{text}: {target}")])
        else:
            chosen.append((Sweep(text, *target, [value], origin), value))
    for draft in found:
        if draft.name in match.rule.variant or draft.declared in match.rule.variant:
            kept = [one for one in draft.chosen if one[0].text not in match.settings]
            yield Draft(draft.declared, (*kept, *chosen))


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _origin(layer: Layer, key: Key) -> Origin:
    """Where `matrix.KEY` stands, or the whole list it is in."""
    origin = layer[key[:1]].origin if key[:1] in layer else Origin("matrix", 0, "matrix")
    return replace(origin, key=dotted(("matrix", *key)))
