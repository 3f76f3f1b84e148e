"""What was found of a claim, as one sentence: what was done, what came out, what it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import exp, inf, log

from bench.claims.base import Judgement, Side
from bench.claims.judging import named
from bench.claims.tables import Tables
from bench.costs import RUN_COSTS
from bench.hypotheses import Claim
from bench.reporting.numbers import (
    count,
    exact_percent,
    listed,
    number,
    p_value,
    percent,
    plural,
)
from bench.reporting.readings import axis, exact, what
from bench.stats import Claimed, Finding, wilson
from bench.stats.correlation import LEAST

VERDICTS: dict[Claimed, str] = {
    "supported": "Supported",
    "refuted": "Refuted",
    "not_enough_evidence": "Not enough evidence",
}


def sentence(found: Judgement, tables: Tables) -> str:
    """The verdict and what it rests on."""
    names = named(found.claim, tables)
    if not names:
        return f"{VERDICTS[found.verdict]}: there is nothing to judge it by."
    read = what(found.claim, tables)
    if found.claim.than is not None:
        told = _compared(found, read)
    elif found.claim.across:
        told = _across(found, read)
    else:
        told = _bounds(found, read)
    return f"{VERDICTS[found.verdict]}: {told}."


def _compared(found: Judgement, read: str) -> str:
    (one,), (a, b) = found.findings, found.sides
    seeds = f"({len(a.values)} against {_runs(found.claim, len(b.values))}{_lost(a, b)})"
    if one.effect is None or one.low is None or one.high is None:
        return f"{read} of {a.name} and {b.name}: {_nothing(one, found)} {seeds}"
    low, high = one.low, one.high
    place = f"{_place(one, found)}{_held(one)}"
    if found.claim.of == "time_to_target":
        ratio = f"{number(one.effect)} times the {axis(found.claim)} of {b.name}"
        told = f"{read}, {a.name} takes {ratio} [{number(low)}, {number(high)}]"
    elif found.claim.of == "collapse":
        rates = f"{_rate(a)} of {a.name} against {_rate(b)} of {b.name}"
        told = f"{read}: {rates}, a share {_apart(one.effect, low, high, '')}"
    elif one.scale == "log":
        ratio = f"{number(one.effect)} times that of {b.name}"
        told = f"{read} of {a.name} is {ratio} [{number(low)}, {number(high)}]"
    else:
        apart = _apart(one.effect, low, high, f" that of {b.name}")
        told = f"{read} of {a.name} is {apart}"
    return "; ".join([f"{told}, {place} {seeds}", *_details(found), *_more(one, found.claim)])


def _apart(effect: float, low: float, high: float, other: str) -> str:
    """`4.80 above that of gan [3.10, 6.50]`: how far to that side, and so its interval."""
    if effect >= 0:
        return f"{number(effect)} above{other} [{number(low)}, {number(high)}]"
    return f"{number(-effect)} below{other} [{number(-high)}, {number(-low)}]"


def _place(one: Finding, found: Judgement) -> str:
    """Where the interval lies, whatever the verdict makes of it."""
    assert found.edge is not None
    assert one.low is not None
    assert one.high is not None
    if one.scale == "log":
        margin = f"the margin of {exact_percent(found.claim.margin)} ({number(found.edge)} times)"
    else:
        margin = f"the margin of {exact(found.claim.margin)}"
    of = margin if found.claim.margin else "no difference"
    upwards = found.toward == "higher"
    beyond = one.low > found.edge if upwards else one.high < found.edge
    short = one.high <= found.edge if upwards else one.low >= found.edge
    if beyond:
        return f"beyond {of}" if found.claim.margin else "clear of no difference"
    return f"not beyond {of}" if short else f"not clear of {of}"


def _held(one: Finding) -> str:
    """What holds a verdict back, or lets it rest on numbers of seeds alone."""
    if one.verdict != "not_enough_evidence":
        alone = "; no seed differs from another, so their number alone counts"
        return alone if one.basis == "no_spread" else ""
    return {
        "no_spread": "; but no seed differs from another, and an exact test needs more of them",
        "diverged": "; but diverged runs, which have no value, hold a verdict back",
        "missed": "; but runs that never got there hold a verdict back",
        "grid": "; but too few evaluations to tell, since a run is at its target before it is seen",
        "exact": "; but an exact test needs more runs",
    }.get(one.basis, "")


def _nothing(one: Finding, found: Judgement) -> str:
    """Why there is no interval."""
    if one.basis == "diverged":
        return f"decided by diverged runs alone, Fisher’s exact {p_value(one.p_value)}"
    if one.basis == "unreached":
        return "no run of either got there"
    if one.basis == "not_positive":
        return "a value has no logarithm, so no ratio"
    if found.claim.across:
        return _uncorrelated(found)
    if not any(side.values for side in found.sides):
        where = " there" if found.claim.at is not None else ""
        return f"no {'run' if found.claim.probe is None else 'seed'} has a value{where}"
    return "no interval, since a side has fewer than 2 runs with a value"


def _uncorrelated(found: Judgement) -> str:
    """Why there is no correlation across runs, or no interval of one."""
    counts = [len(side.values) for side in found.sides]
    if len(counts) > 1 and found.claim.than is None:
        known = sum(count > 0 for count in counts)
        if known < LEAST:
            return f"no interval, since fewer than {LEAST} recipes have both numbers"
        return "no correlation, since one of the two numbers is the same for every recipe"
    if min(counts) < LEAST:
        return f"no interval, since a side has fewer than {LEAST} runs with both numbers"
    where = "" if found.claim.than is None else " of a side"
    return f"no correlation, since one of the two numbers is the same in every run{where}"


def _lost(*sides: Side) -> str:
    """Runs that a number does not count."""
    diverged = [f"{side.diverged} of {side.name}" for side in sides if side.diverged]
    without = [f"{side.without} of {side.name}" for side in sides if side.without]
    told = f"; diverged: {listed(diverged)}" if diverged else ""
    return f"{told}; without a value: {listed(without)}" if without else told


def _runs(claim: Claim, amount: int) -> str:
    if claim.metric in RUN_COSTS:
        return plural(amount, "timing")
    return plural(amount, "run" if claim.of == "collapse" or claim.across else "seed")


def _details(found: Judgement) -> Iterator[str]:
    """What stands behind a time and a difference of rates."""
    claim, (one, *_) = found.claim, found.findings
    if claim.of == "collapse" and one.p_value is not None:
        yield f"Fisher’s exact {p_value(one.p_value)}"
    if claim.of != "time_to_target" or found.limit is None:
        return
    yield f"reached by {listed([_success(side) for side in found.sides])}"
    means = " against ".join(_amount(claim, _geometric(side.numbers)) for side in found.sides)
    unit = axis(claim)
    yield (
        f"restricted geometric means {means} {unit}, each run counted up to the "
        f"{_amount(claim, found.limit)} that all have trained for"
    )
    if found.resolution is not None:
        yield f"known to {_amount(claim, found.resolution)} {unit}, between evaluations"


def _geometric(values: Sequence[float]) -> float:
    return exp(sum(map(log, values)) / len(values)) if values and min(values) > 0 else 0.0


def _amount(claim: Claim, value: float) -> str:
    return number(value) if claim.axis == "cost" else count(value)


def _rate(side: Side) -> str:
    n, runs = int(sum(side.numbers)), len(side.values)
    return f"{n} of {runs} {_wilson(n, runs)}"


def _success(side: Side) -> str:
    n = len(side.values) - side.missed
    return f"{n} of {plural(len(side.values), 'run')} of {side.name} {_wilson(n, len(side.values))}"


def _wilson(n: int, runs: int) -> str:
    found = wilson(n, runs)
    return f"[{percent(found.low)}, {percent(found.high)}]"


def _more(one: Finding, claim: Claim) -> Iterator[str]:
    """How many seeds would do."""
    if one.seeds_needed is not None:
        each = "" if claim.than is None else " each"
        yield f"about {_runs(claim, one.seeds_needed)}{each} would probably decide"


def _across(found: Judgement, read: str) -> str:
    (one,) = found.findings
    who = listed([side.name for side in found.sides])
    runs = plural(sum(len(side.values) for side in found.sides), "run")
    if len(found.sides) > 1:
        runs = f"the means of {plural(len(found.sides), 'recipe')}, {runs}"
    runs = f"({runs}{_lost(*found.sides)})"
    if one.effect is None or one.low is None:
        return f"{read} of {who}: {_nothing(one, found)} {runs}"
    value = f"{number(one.effect)} [{number(one.low)}, {number(one.high)}]"
    told = f"{read} of {who} is {value}, {_against(one, found.claim)} {runs}"
    return "; ".join([told, *_more(one, found.claim)])


def _bounds(found: Judgement, read: str) -> str:
    """Each variant against the bounds."""
    claim = found.claim
    told = [
        _bounded(one, side, found) for one, side in zip(found.findings, found.sides, strict=True)
    ]
    of = {"time_to_target": ", ", "collapse": ": "}.get(claim.of, " of ")
    if len(told) == 1:
        return "; ".join([f"{read}{of}{told[0]}", *_details(found)])
    level = percent(found.findings[0].level, 1)
    every = f";{of.lstrip(',:')}".join(told)
    end = "; a run counts up to what all of its variant have trained for"
    limit = end if claim.of == "time_to_target" else ""
    return f"{read}{of}{every}{limit}; intervals at {level}, since there are {len(told)}"


def _bounded(one: Finding, side: Side, found: Judgement) -> str:
    """`gan is 3.10 [2.95, 3.25], above 3 (5 seeds)`."""
    claim = found.claim
    runs = f"({_runs(claim, len(side.values))}{_lost(side)})"
    if one.effect is None or one.low is None or one.high is None:
        return f"{side.name}: {_nothing(one, found)} {runs}"
    shown = _shown(claim)
    value = f"{shown(one.effect)} [{shown(one.low)}, {shown(one.high)}]"
    if claim.of == "time_to_target":
        value = f"takes {value} {axis(claim)}"
    elif claim.of == "collapse":
        n, runs = (
            int(sum(side.numbers)),
            f"({_lost(side).removeprefix('; ')})" if _lost(side) else "",
        )
        value = f"{n} of {plural(len(side.values), 'run')}, a share of {value}"
    else:
        value = f"is {value}"
    told = f"{side.name} {value}, {_against(one, claim)}{_held(one)} {runs}".rstrip()
    # of one alone `_details` says so
    several = claim.of == "time_to_target" and len(found.sides) > 1
    reached = [f"reached by {_success(side)}"] if several else []
    return "; ".join([told, *reached, *_more(one, claim)])


def _shown(claim: Claim) -> Callable[[float], str]:
    if claim.of == "time_to_target":
        return lambda value: _amount(claim, value)
    return number


def _against(one: Finding, claim: Claim) -> str:
    """`above 0.5`, `not between 1 and 3`, `not clear of 0.5`: where the interval lies."""
    assert one.low is not None
    assert one.high is not None
    least = -inf if claim.above is None else claim.above
    most = inf if claim.below is None else claim.below
    bounds = [exact(bound) for bound in (claim.above, claim.below) if bound is not None]
    word = "above" if claim.above is not None else "below"
    bound = f"between {' and '.join(bounds)}" if len(bounds) == 2 else f"{word} {bounds[0]}"
    if one.low > least and one.high < most:
        return bound
    outside = one.high <= least or one.low >= most
    return f"not {bound}" if outside else f"not clear of {' and '.join(bounds)}"
