"""A run that was killed goes on from its last checkpoint, and ends as if it had not been."""

from __future__ import annotations

import json
import math
import multiprocessing
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from checkpoint_work import be_killed
from safetensors import safe_open
from test_recorder import spec, without_clocks
from test_training import pictures, recipe

from bench import recorder
from bench.errors import CheckpointError
from bench.networks.mlp import MLP
from bench.objectives.gan import NonSaturating
from bench.objectives.wgan import WGAN, WGANGP
from bench.optimizers import SGD, Adam, RMSprop
from bench.records import Amount, Checkpoints, CurveRow, Evaluation, Group, Placement
from bench.schedules import Linear
from bench.training import checkpoint
from bench.training.account import Account
from bench.training.checkpoint import Checkpoint
from bench.training.loop import Block
from bench.training.stacked import Stacked
from bench.training.tally import Totals
from bench.training.textbook import Textbook

SMALL = {"name": "mlp", **asdict(MLP(generator_widths=(16,), critic_widths=(16,)))}
EVERY = Amount("generator_steps", 40)
"""Blocks end at 50, 60, 100, 120 and 130: checkpoints at 50, 100 and 120."""
CLOCKS = {
    "train_seconds", "eval_seconds", "wall_seconds", "images_per_second", "solo_step_ms",
    "started_at", "finished_at", "compile_seconds", "peak_memory_bytes", "matmul_rate",
    "utilisation",
}  # fmt: skip


def group(folder: Path, seeds=(0,), **changes) -> Group:
    fields = {
        "network": SMALL, "budget": Amount("generator_steps", 130),
        "evaluation": Evaluation(Amount("generator_steps", 60), 100, ("modes_any",), (), "digits"),
    }  # fmt: skip
    specs = tuple(spec(seed=seed, group=seeds, **fields | changes) for seed in seeds)
    kept = Checkpoints(str(folder / ".run.partial"), EVERY)
    return Group("suite", specs, solo=True, checkpoints=kept)


def uninterrupted(group: Group):
    return recorder.execute(replace(group, checkpoints=None), Placement(), lambda said: None)


def interrupted(group: Group, step: int) -> None:
    """Ends the group in this process, as Ctrl-C does, when the block that reaches `step` ends."""

    def emit(said):
        if said.phase == "training" and said.step >= step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recorder.execute(group, Placement(), emit)


@pytest.fixture(scope="module")
def halted(tmp_path_factory) -> Path:
    """The folder of a group of one that was ended at step 100."""
    folder = tmp_path_factory.mktemp("halted")
    interrupted(group(folder), 100)
    return folder


@pytest.fixture
def stopped(tmp_path, halted) -> Group:
    """A group that was ended at step 100, with a checkpoint of its own."""
    shutil.copytree(halted, tmp_path, dirs_exist_ok=True)
    return group(tmp_path)


def gone_on(group: Group):
    """The results of another try, and what it told."""
    told: list[str] = []
    results = recorder.execute(group, Placement(), lambda said: told.append(said.note))
    return results, [note for note in told if note]


def columns(result):
    """All of a result but clocks, each part under its name."""
    tables = ("curves", "metrics", "timings")
    known = {k: v for k, v in asdict(result.run).items() if k not in CLOCKS}
    return known | {t: without_clocks(getattr(result, t)) for t in tables} | dict(result.files)


def assert_equal(results, expected):
    for one, other in zip(map(columns, results), map(columns, expected), strict=True):
        assert one.keys() == other.keys()
        assert [name for name in one if one[name] != other[name]] == []


@pytest.mark.parametrize(("engine", "seeds"), [("eager", (0, 1)), ("textbook", (0,))])
def test_a_killed_group_ends_with_the_tables_of_an_uninterrupted_one(tmp_path, engine, seeds):
    asked = group(tmp_path, seeds, engine=engine)
    worker = multiprocessing.get_context("spawn").Process(target=be_killed, args=(asked, 120))
    worker.start()
    worker.join()
    assert worker.exitcode == -9
    results, told = gone_on(asked)
    assert told == ["goes on from generator step 100"]
    assert_equal(results, uninterrupted(asked))
    assert [row.phase for row in results[0].timings] == ["warmup", *["solo"] * 3, "train"]


@pytest.mark.parametrize(
    ("optimizer", "objective"),
    [
        (Adam(), WGANGP()),
        (RMSprop(), WGAN()),
        (SGD(momentum=0.9), WGAN()),
        (SGD(), NonSaturating()),
    ],
)
@pytest.mark.parametrize("engine", [lambda *a: Stacked(*a, compiled=False), Textbook])
@pytest.mark.parametrize("step", [0, 6, 7])
def test_an_engine_goes_on_as_if_nothing_had_been(engine, optimizer, objective, step):
    """An epoch of 10 images has 2 batches of 4: step 7 of 3 critic batches is within one."""
    made = recipe(optimizer=optimizer, objective=objective, critic_steps=3, schedule=Linear(to=0.0))
    first, second = engine(made, pictures()), engine(made, pictures())
    if step:
        first.advance(0, step, 10)
    kept = {name: value.clone() for name, value in first.state().items()}
    second.restore(kept, step)
    losses = [each.advance(step, 10, 10) for each in (first, second)]
    assert losses[0].keys() == losses[1].keys()
    assert all(torch.equal(losses[0][name], losses[1][name]) for name in losses[0])
    one, other = first.state(), second.state()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_textbook_epoch_is_entered_again_in_the_middle():
    """Three batches of 4 of 12 images an epoch, every image once, though it was left between."""
    images = torch.arange(12, dtype=torch.uint8)[:, None, None, None].expand(12, 1, 6, 6).clone()
    whole, later = (Textbook(recipe(critic_steps=1), images) for _ in range(2))
    shown = [next(whole._batches) for _ in range(6)]
    later.restore(whole.state(), 4)
    assert torch.equal(next(later._batches), shown[4])
    orders = [torch.cat(shown[k : k + 3])[:, 0, 0, 0].tolist() for k in (0, 3)]
    assert len({*orders[0]}) == len({*orders[1]}) == 12
    assert orders[0] != orders[1]


def test_a_member_that_diverged_stays_as_it_was(tmp_path, monkeypatch):
    made = Stacked.__init__

    def hurt(self, *arguments, **options):
        made(self, *arguments, **options)
        next(iter(self.critic_parameters.values()))[0].fill_(float("nan"))

    monkeypatch.setattr(Stacked, "__init__", hurt)
    asked = group(tmp_path, (0, 1))
    interrupted(asked, 120)
    results, told = gone_on(asked)
    assert told == ["goes on from generator step 100"]
    assert [result.run.status for result in results] == ["diverged", "completed"]
    assert len(results[0].curves) == 1
    assert_equal(results, uninterrupted(asked))


def test_what_a_checkpoint_costs_is_off_the_training_clock_and_counted_once(tmp_path):
    asked = group(tmp_path)
    interrupted(asked, 120)
    (result,), _ = gone_on(asked)
    blocks = sum(row.seconds for row in result.timings)
    assert result.run.train_seconds == pytest.approx(blocks, rel=1e-9)
    assert result.run.wall_seconds > result.run.train_seconds + result.run.eval_seconds


@pytest.fixture(scope="module")
def undisturbed():
    """What a group of one is when nothing happens to it."""
    return uninterrupted(group(Path("nowhere")))


@pytest.mark.parametrize("left", [0, 7, 5000, -1])
def test_a_checkpoint_that_was_cut_short_is_one_line_and_a_new_start(stopped, left, undisturbed):
    file = stopped.checkpoints.file
    file.write_bytes(file.read_bytes()[:left])
    results, (told,) = gone_on(stopped)
    assert told.startswith(f"{file}: not a whole checkpoint (")
    assert told.endswith("; starts anew")
    assert "\n" not in told
    assert_equal(results, undisturbed)


def rewritten(file: Path, **changes) -> None:
    """The checkpoint with other notes."""
    with safe_open(file, framework="pt") as opened:
        notes = json.loads(opened.metadata()["checkpoint"])
    safetensors.torch.save_file(
        safetensors.torch.load_file(file), file, {"checkpoint": json.dumps(notes | changes)}
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format": 99}, "format 99, expected 1"),
        ({"specs": ["{}"], "run_ids": ["abc"]}, "a checkpoint of other runs (abc), expected {id}"),
        ({"step": None}, None),
        ({"totals": {}}, None),
    ],
)  # fmt: skip
def test_a_checkpoint_of_something_else_is_one_line_and_a_new_start(stopped, changes, told):
    rewritten(stopped.checkpoints.file, **changes)
    (result,), (note,) = gone_on(stopped)
    assert result.run.status == "completed"
    assert len(result.curves) == 5
    expected = (told or "not a whole checkpoint (").replace("{id}", stopped.leader)
    assert note.startswith(f"{stopped.checkpoints.file}: {expected}")
    assert note.endswith("; starts anew")


def test_a_checkpoint_of_another_network_is_not_loaded(stopped):
    state = Stacked(recipe(), pictures(), compiled=False).state()
    with pytest.raises(CheckpointError, match=r"tensor generator/\S+ has shape .*, expected shape"):
        checkpoint.read(stopped.checkpoints.file, stopped.specs, state)


def test_what_made_a_checkpoint_is_said_where_another_goes_on(stopped):
    with safe_open(stopped.checkpoints.file, framework="pt") as opened:
        totals = json.loads(opened.metadata()["checkpoint"])["totals"]
    older = totals | {"made_with": totals["made_with"] | {"torch": "2.0"}}
    rewritten(stopped.checkpoints.file, totals=older)
    _, (told,) = gone_on(stopped)
    assert told == f"goes on from generator step 50; torch was 2.0, is {torch.__version__}"


def test_a_disk_that_refuses_ends_no_run(tmp_path):
    asked = group(tmp_path)
    asked.checkpoints.file.parent.write_text("a file in the way")
    (result,), told = gone_on(asked)
    assert result.run.status == "completed"
    assert len(told) == 3
    assert "cannot be written (" in told[0]


def test_floats_come_back_as_they_were(tmp_path):
    odd = [math.nan, math.inf, -math.inf, -0.0, 0.1, 5e-324, 1e308]
    one = spec()
    rows = [CurveRow(one.run_id, 1, 1, 1, value, critic_loss=value) for value in odd]
    written = Account(
        spec=one, curves=rows, files={"samples/9.png": b"\x00png", "samples/10.png": b"x"}
    )
    totals = Totals("2024", math.inf, 0.1, math.nan, {"x": -math.inf}, {"fid": 0.1}, {})
    state = {
        "generator/a": torch.tensor([math.nan, -0.0]),
        "draw": torch.arange(3, dtype=torch.uint8),
    }
    one_group, file = Group("suite", (one,)), tmp_path / "new" / "checkpoint.safetensors"
    checkpoint.write(file, one_group, 9, Checkpoint(3, True, totals, [written], state))
    found = checkpoint.read(file, one_group.specs, state)
    (account,) = found.accounts
    assert repr(account) == repr(written)
    assert list(account.files) == list(written.files)
    assert repr(found.totals) == repr(totals)
    assert repr(found.state["generator/a"].tolist()) == "[nan, -0.0]"
    assert (found.step, found.solo) == (3, True)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_checkpoints_are_due_at_the_first_block_end_at_or_after_each_multiple():
    ends = [(0, 50), (50, 60), (60, 100), (100, 120), (120, 130)]
    made = [Block(k, *each, "train", 1.0, {}) for k, each in enumerate(ends)]
    assert [block.stop for block in made if checkpoint.due(block, 40)] == [50, 100, 120]
    assert [block.stop for block in made if checkpoint.due(block, 60)] == [60, 120]
    assert [block.stop for block in made if checkpoint.due(block, 7)] == [50, 60, 100, 120, 130]
    assert [block.stop for block in made if checkpoint.due(block, 131)] == []
