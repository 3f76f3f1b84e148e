import io
from dataclasses import replace

import pytest
from executor_work import group, row, spec
from rich.console import Console

from bench.cli.progress import Bars, Lines
from bench.records import MetricRow, Progress, RunResult

GROUPS = [group("gan", 0), group("wgan", 0, 1)]
TRAINING = Progress(
    "gan/0", "training", 50, 100, images_per_second=12345.6,
    metrics={"fid": 9.876}, floors={"fid": 2.00524},
)  # fmt: skip


def shown(kind, *events, terminal: bool = False, inside=lambda display: None) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100, color_system=None)
    with kind(console, GROUPS, "fid", "FID") as display:
        for event in events:
            tell = display.progress if isinstance(event, Progress) else display.result
            tell(event)
        inside(display)
    return stream.getvalue()


def ended(variant: str, seed: int, members: tuple[int, ...], **columns) -> RunResult:
    each = spec(variant, seed, group=members)
    metric = MetricRow(each.run_id, 1, 1, 1, 1.0, "fid", 7.5, "", "lower", 9, "d", "r", 1.25, 0.1)
    return RunResult(row(each, **columns), metrics=[metric])


def test_lines_tell_starts_evaluations_and_ends():
    events = [
        Progress("gan/0", "starting"),
        Progress("gan/0", "starting"),
        replace(TRAINING, step=10, metrics={}),
        TRAINING,
        replace(TRAINING, step=60),
        Progress("gan/0", "note", note="no C++ compiler: running eager"),
        ended("gan", 0, (0,), wall_seconds=41.4),
    ]
    assert shown(Lines, *events).splitlines() == [
        "gan/0: started",
        "gan/0: step 50 of 100, 12,346 images/s, FID 9.876 (real data 2.005)",
        "gan/0: no C++ compiler: running eager",
        "gan/0: completed, FID 7.5 (real data 1.25), 41 s [1/3]",
    ]


def test_floor_that_is_not_known_is_a_dash():
    lines = Lines(Console(), GROUPS, "fid", "FID")
    assert lines.latest(replace(TRAINING, floors={})) == "FID 9.876 (real data –)"


def test_step_time_is_told_with_its_unit():
    lines = Lines(Console(), GROUPS, "step_ms", "step time")
    assert lines.value(10.5) == "step time 10.5 ms"


@pytest.mark.parametrize("kind", [Lines, Bars])
def test_failure_is_told_with_its_reason_as_it_is(kind):
    lost = RunResult.without_rows("suite", GROUPS[0].specs[0], "lost", "[bold]killed[/bold]")
    assert "gan/0: lost, [bold]killed[/bold] [1/3]" in shown(kind, lost)


def test_bars_show_speed_value_and_what_is_left():
    out = shown(Bars, TRAINING, terminal=True, inside=lambda bars: bars._display.refresh())
    frame = out.rpartition("all")[2]
    assert "gan/0" in frame
    assert "50 %" in frame
    assert "12,346 images/s  FID 9.876 (real data 2.005)" in frame
    assert "0 of 3 runs, about" in frame


def test_bar_goes_with_the_last_run_of_its_group():
    first = Progress("wgan/0-1", "training", 1, 2)
    kept = shown(Bars, first, ended("wgan", 0, (0, 1)), inside=_labels(["all", "wgan/0-1"]))
    gone = shown(
        Bars, first, ended("wgan", 0, (0, 1)), ended("wgan", 1, (0, 1)), inside=_labels(["all"])
    )
    assert "[1/3]" in kept
    assert "[2/3]" in gone


def _labels(expected: list[str]):
    def check(bars: Bars) -> None:
        assert [task.description for task in bars._display.tasks] == expected

    return check
