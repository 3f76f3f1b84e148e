from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageChops
from report_fixture import declaration, result, written

from bench.reporting.frames import Frames, select
from bench.reporting.gallery import gallery
from bench.store import Results


def films(root: Path) -> tuple[Frames, Results]:
    runs = [result(name, seed) for name in ("gan", "wgan") for seed in (0, 1)]
    runs.append(result("wgan_gp", 0, status="diverged"))
    found = written(root, runs)
    return select(found, declaration(seeds=(0, 1))), found


def test_every_grid_is_shown_at_its_share_of_training(tmp_path: Path) -> None:
    shown = gallery(*films(tmp_path))
    assert shown.seeds == (0, 1)
    assert shown.stops == (17, 33, 50, 67, 83, 100)
    assert [len(film.pictures) for film in shown.films] == [6, 6, 6, 6, 2]
    assert shown.left_out == ""


def test_grey_grids_get_smaller_and_stay_the_same(tmp_path: Path) -> None:
    frames, results = films(tmp_path)
    picture = gallery(frames, results).films[0].pictures[-1]
    run_id = frames.of("gan")["run_id"].iloc[0]
    original = results.files(run_id)[f"samples/{picture.step}.png"].read_bytes()
    assert len(picture.png) < len(original)
    before, after = (Image.open(io.BytesIO(png)).convert("RGB") for png in (original, picture.png))
    assert ImageChops.difference(before, after).getbbox() is None


def test_small_budget_keeps_the_last_grids_and_says_so(tmp_path: Path) -> None:
    frames, results = films(tmp_path)
    whole = gallery(frames, results).size
    half = gallery(frames, results, budget=whole // 2)
    assert half.size <= whole // 2
    assert all(film.pictures[-1].percent == 100 for film in half.films if film.status != "diverged")
    assert half.left_out.startswith(f"{sum(len(f.pictures) for f in half.films)} of 26 grids")


def test_tiny_budget_keeps_the_first_seed(tmp_path: Path) -> None:
    shown = gallery(*films(tmp_path), budget=1)
    assert shown.seeds == (0,)
    assert [len(film.pictures) for film in shown.films] == [1, 1, 1]


def test_runs_without_grids_make_an_empty_gallery(tmp_path: Path) -> None:
    found = written(tmp_path, [result("gan", 0, samples=False)])
    shown = gallery(select(found, declaration(("gan",))), found)
    assert (shown.films, shown.seeds, shown.left_out) == ((), (), "")
