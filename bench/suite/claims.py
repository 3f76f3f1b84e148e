"""The tables `[[claim]]`, held against the variants and what is measured of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench.errors import suggestion
from bench.hypotheses import Claim
from bench.suite.asking import Asking
from bench.suite.base import Fault, Problem, refuse, shown
from bench.suite.checks import check
from bench.suite.measured import unmeasured

_FORMS = ("better", "higher", "lower")
_BOUNDS = ("above", "below")
_RATES = ("collapse",)
_CORRELATIONS = ("correlation", "trend")
_OWN_TO: Mapping[str, tuple[str, ...]] = {
    "target": ("time_to_target", "collapse"),
    "axis": ("time_to_target",),
    "consecutive": ("time_to_target",),
    "against": ("correlation",),
    "across": ("correlation",),
}
"""Key → the ways of reading a number that have it."""


def read_claims(asking: Asking) -> tuple[Claim, ...]:
    """The claims of a suite, in the order of the file.

    One about a variant that `--variant` leaves out of this call stays a claim of the suite.  Raises
    `SuiteError`, one line for the first thing that is wrong, by position.
    """
    source = asking.source
    listed = source.tree.get("claim", [])
    if not isinstance(listed, list):
        text = f"expected [[claim]] tables, found {shown(listed)}"
        refuse([Problem(source.origin(("claim",)), text)])
    claims: list[Claim] = []
    problems: list[Problem] = []
    for index, one in enumerate(listed):
        claim, faults = check(Claim, one)
        if claim is not None:
            faults += _faults(asking, claim, one)
            if claim in claims:
                faults.append(Fault((), "this is claimed already"))
            claims.append(claim)
        # what is missing may be there under a wrong key, which is then told
        faults = [fault for fault in faults if not fault.missing] or faults
        problems += [Problem(source.origin(("claim", index, *f.key)), f.text) for f in faults]
    refuse(problems)
    return tuple(claims)


def _faults(asking: Asking, claim: Claim, table: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with a claim; what it measures is looked at once its form is right."""
    return (
        [*_form(claim, table)]
        or [*_keys(claim, table)]
        or [*_sizes(claim)]
        or [*_names(asking, claim)]
        or [*unmeasured(asking, claim)]
    )


def _form(claim: Claim, table: Mapping[str, Any]) -> Iterator[Fault]:
    """One comparison, or bounds."""
    said = [form for form in _FORMS if form in table]
    bounds = [bound for bound in _BOUNDS if bound in table]
    if len(said) > 1 or (said and bounds):
        both = " and ".join([*said, *bounds][:2])
        yield Fault(([*said, *bounds][1],), f"found both {both}; expected one form of claim")
    elif not said and not bounds:
        if claim.than is not None:
            yield Fault(("than",), "is missing who is better, higher or lower than this")
        else:
            forms = "better, higher or lower (with `than`), or a bound: above or below"
            yield Fault((), f"claims nothing; expected one of {forms}")
    elif said and claim.than is None:
        yield Fault((said[0],), "is missing `than`, the other variant")
    elif bounds and claim.than is not None:
        yield Fault(("than",), "belongs to better, higher or lower; a bound has `variant`")
    elif said and claim.variant is not None:
        yield Fault(("variant",), f"belongs to a bound; {said[0]!r} names the variant")
    elif said and getattr(claim, said[0]) == claim.than:
        yield Fault(("than",), f"{claim.than!r} is compared with itself; expected two variants")


def _keys(claim: Claim, table: Mapping[str, Any]) -> Iterator[Fault]:
    """Keys that this way of reading a number needs, or has no use for."""
    for key, readings in _OWN_TO.items():
        if key in table and claim.of not in readings:
            mend = " or ".join(f"of = {name!r}" for name in readings)
            yield Fault((key,), f"has no meaning for of = {claim.of!r}; expected {mend}")
    if claim.target is None and claim.of in _OWN_TO["target"]:
        yield Fault((), f"target: is missing; of = {claim.of!r} needs one")
    if claim.against is None and claim.of == "correlation":
        yield Fault((), "against: is missing; expected what `metric` is correlated with")
    if claim.against is not None and "." in claim.against and not claim.across:
        text = f"{claim.against!r} is one number a run; set across = true, or name a metric"
        yield Fault(("against",), text)
    if claim.against == claim.metric:
        yield Fault(("against",), f"{claim.metric!r} is correlated with itself; expected another")
    if claim.at is not None and claim.probe is None:
        yield Fault(("at",), "is a place along a probe's axis; expected `probe` too")
    if "margin" in table and claim.than is None:
        yield Fault(("margin",), "belongs to a comparison; put it into the bound")


def _sizes(claim: Claim) -> Iterator[Fault]:
    """Numbers that no claim can be about."""
    if claim.above is not None and claim.below is not None and claim.above >= claim.below:
        text = f"nothing lies above {claim.above:g} and below {claim.below:g}"
        yield Fault(("above",), text)
    ends = {_RATES: (0.0, 1.0), _CORRELATIONS: (-1.0, 1.0)}
    for readings, (least, most) in ends.items():
        if claim.of not in readings:
            continue
        noun = "rate" if claim.of in _RATES else "correlation"
        for key in _BOUNDS:
            bound = getattr(claim, key)
            if bound is not None and not least <= bound <= most:
                text = f"{bound:g} is no {noun}; expected {least:g} to {most:g}"
                yield Fault((key,), text)
        if claim.margin >= most - least:
            text = f"{claim.margin:g} is out of range; two {noun}s differ by less"
            yield Fault(("margin",), text)


def _names(asking: Asking, claim: Claim) -> Iterator[Fault]:
    """Variants of the file; of a probe's series `unmeasured` knows."""
    if claim.probe is not None:
        return
    for key in (*_FORMS, "than", "variant"):
        name = getattr(claim, key)
        if name is None or name in asking.names:
            continue
        made = [each for each, declared in asking.names.items() if declared == name]
        if made:
            text = f"{name!r} is swept; expected one of: {', '.join(made)}"
        elif name in asking.written:
            text = f"{name!r} has no run in this suite"
        else:
            text = f"{name!r} is not a variant{suggestion(name, asking.names)}"
        yield Fault((key,), text)
