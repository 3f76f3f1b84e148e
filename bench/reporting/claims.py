"""A suite's claims in words: what was done, what came out, and what that makes of the claim."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from bench.claims.base import Judged
from bench.claims.judging import judge
from bench.claims.tables import Tables
from bench.hypotheses import Claim
from bench.reporting.base import Declaration
from bench.reporting.findings import VERDICTS, sentence
from bench.reporting.frames import Frames, called
from bench.reporting.numbers import plural
from bench.store import Results

LEVELS = (
    "Each claim is judged on its own, by intervals at 95 %: a wrong verdict of either kind has a "
    "probability of 2.5 %, of a claim between two bounds 5 % at most, and nothing corrects for how "
    "many claims there are."
)

COLUMNS_OF = ("Claim", "Verdict", "What was found")
"""The columns of `rows`."""


def judged(results: Results, frames: Frames, declaration: Declaration) -> tuple[Judged, ...]:
    """Every claim with its verdict, on each device that the claim's variants ran on."""
    tables = tables_of(results, frames)
    names = called(results.runs, declaration)
    after = (*declaration.claimed_after, *[0] * len(declaration.claims))
    return tuple(
        _judged(claim, tables, names, device, late)
        for claim, late in zip(declaration.claims, after, strict=False)
        for device in _devices(claim, names)
    )


def tables_of(results: Results, frames: Frames) -> Tables:
    """What claims are judged by."""
    return Tables(frames.runs, frames.curves, frames.metrics, results.probes, frames.variants)


def headline(found: Sequence[Judged]) -> str:
    """`3 claims: 1 supported, 1 refuted, 1 not decided`."""
    verdicts = [each.verdict for each in found]
    counts = [verdicts.count(verdict) for verdict in VERDICTS]
    words = ("supported", "refuted", "not decided")
    told = ", ".join(f"{n} {word}" for n, word in zip(counts, words, strict=True))
    return f"{plural(len(found), 'claim')}: {told}"


def lines(found: Sequence[Judged]) -> Iterator[str]:
    """The claims as plain text, a line each below their headline; none without any."""
    if found:
        yield f"{headline(found)}."
    for each in found:
        stop = "" if each.text.endswith((".", "!", "?", "…")) else "."
        yield f"- {each.text}{stop} {' '.join(filter(None, (each.sentence, late(each))))}"


def rows(found: Sequence[Judged]) -> list[tuple[str, str, str]]:
    """A row a claim."""
    found_out = [f"{told(each)} {late(each)}".rstrip() for each in found]
    verdicts = [VERDICTS[each.verdict] for each in found]
    return [*zip((each.text for each in found), verdicts, found_out, strict=True)]


def told(each: Judged) -> str:
    """The sentence without its verdict, for a place that shows that by itself."""
    rest = each.sentence.partition(": ")[2]
    return rest[:1].upper() + rest[1:]


def late(each: Judged) -> str:
    """What must be known of a claim that was not made beforehand."""
    if not each.declared_after:
        return ""
    return f"Declared after {plural(each.declared_after, 'run')} had finished."


def _devices(claim: Claim, names: Mapping[tuple[str, str], str]) -> list[str]:
    """The devices on which all that a claim is about ran; "" where there is but one."""
    every = dict.fromkeys(device for _, device in names if device)
    if claim.probe is not None or len(every) < 2:
        return [""]
    about = [*filter(None, (claim.better, claim.higher, claim.lower, claim.than, claim.variant))]
    held = [device for device in every if all((name, device) in names for name in about)]
    return held or [""]


def _judged(
    claim: Claim,
    tables: Tables,
    names: Mapping[tuple[str, str], str],
    device: str,
    declared_after: int,
) -> Judged:
    if device:
        own = {name: shown for (name, where), shown in names.items() if where == device}
        tables = replace(tables, variants=tuple(own.values()))
        keys = ("better", "higher", "lower", "than", "variant")
        known = {key: own.get(getattr(claim, key)) for key in keys}
        found = judge(replace(claim, **known), tables)  # type: ignore[arg-type] # by name
    else:
        found = judge(claim, tables)
    return Judged(
        claim=claim,
        verdict=found.verdict,
        sentence=sentence(found, tables),
        judgement=found,
        device=device,
        declared_after=declared_after,
    )
