from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageChops, PngImagePlugin
from report_fixture import declaration, outlines, result, written

from bench.reporting.frames import Frames, select
from bench.reporting.gallery import gallery
from bench.reporting.page import render_html
from bench.reporting.summary import Declaration, summarize
from bench.store import Results
from bench.training.scatter import draw


def films(root: Path) -> tuple[Frames, Results]:
    runs = [result(name, seed) for name in ("gan", "wgan") for seed in (0, 1)]
    runs.append(result("wgan_gp", 0, status="diverged"))
    found = written(root, runs)
    return select(found, declaration(seeds=(0, 1))), found


def outlined(results: Results, declared: Declaration) -> str:
    with outlines():
        return render_html(summarize(results, declared), results)


def test_every_grid_is_shown_at_its_share_of_training(tmp_path: Path) -> None:
    shown = gallery(*films(tmp_path))
    assert shown.seeds == (0, 1)
    assert shown.stops == (17, 33, 50, 67, 83, 100)
    assert [len(film.pictures) for film in shown.films] == [6, 6, 6, 6, 2]
    assert shown.left_out == ""


def test_grey_grids_get_smaller_and_stay_the_same(tmp_path: Path) -> None:
    frames, results = films(tmp_path)
    run_id = frames.of("gan")["run_id"].iloc[0]
    path = results.files(run_id)["samples/18750.png"]
    with Image.open(path) as grid:
        before = grid.convert("RGB")
    before.save(path)
    picture = gallery(frames, results).films[0].pictures[-1]
    assert len(picture.png) < path.stat().st_size
    after = Image.open(io.BytesIO(picture.png)).convert("RGB")
    assert ImageChops.difference(before, after).getbbox() is None


def test_small_budget_keeps_the_last_grids_and_says_so(tmp_path: Path) -> None:
    frames, results = films(tmp_path)
    on_disk = sum(path.stat().st_size for path in results.root.glob("*/samples/*.png"))
    half = gallery(frames, results, budget=on_disk // 2)
    assert half.size <= on_disk // 2
    assert half.seeds == (0, 1)
    assert [len(film.pictures) for film in half.films] == [3, 3, 3, 3, 1]
    assert all(film.pictures[-1].percent == 100 for film in half.films if film.status != "diverged")
    assert half.left_out.startswith(f"{sum(len(f.pictures) for f in half.films)} of 26 grids")


def test_tiny_budget_keeps_the_first_seed(tmp_path: Path) -> None:
    shown = gallery(*films(tmp_path), budget=1)
    assert shown.seeds == (0,)
    assert [len(film.pictures) for film in shown.films] == [1, 1, 1]


def test_only_the_grids_that_are_kept_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, results = films(tmp_path)
    read: list[Path] = []
    whole_file = Path.read_bytes

    def counted(path: Path) -> bytes:
        read.append(path)
        return whole_file(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    gallery(frames, results, budget=1)
    assert len(read) == 3


@pytest.mark.parametrize("cut", [0, 20, 60, -400])
def test_damaged_grid_is_left_out_and_said(tmp_path: Path, cut: int) -> None:
    frames, results = films(tmp_path)
    run_id = frames.of("gan")["run_id"].iloc[0]
    path = results.files(run_id)["samples/3125.png"]
    path.write_bytes(path.read_bytes()[:cut])
    shown = gallery(frames, results)
    assert [len(film.pictures) for film in shown.films] == [5, 6, 6, 6, 2]
    assert shown.left_out == (
        "Left out, since its file is damaged: 1 grid (gan, seed 0, step 3,125)."
    )


def test_page_says_which_grid_is_damaged(tmp_path: Path) -> None:
    results = written(tmp_path, [result("gan", 0)])
    next(results.root.glob("*/samples/3125.png")).write_bytes(b"no picture")
    page = outlined(results, declaration(("gan",), seeds=(0,)))
    assert "Left out, since its file is damaged: 1 grid (gan, seed 0, step 3,125)." in page
    assert page.count("<img") == 5


def test_page_says_that_every_grid_is_damaged(tmp_path: Path) -> None:
    results = written(tmp_path, [result("gan", 0)])
    for path in results.root.glob("*/samples/*.png"):
        path.write_bytes(b"no picture")
    page = outlined(results, declaration(("gan",), seeds=(0,)))
    assert "6 grids (gan, seed 0, step 3,125, gan, seed 0, step 6,250 and 4 more)." in page
    assert "<img" not in page


def test_runs_without_grids_make_an_empty_gallery(tmp_path: Path) -> None:
    found = written(tmp_path, [result("gan", 0, samples=False)])
    shown = gallery(select(found, declaration(("gan",))), found)
    assert (shown.films, shown.seeds, shown.left_out) == ((), (), "")


def test_pictures_of_points_get_room_and_say_what_they_show(tmp_path: Path) -> None:
    results = written(tmp_path, [result("gan", 0), result("wgan", 0)])
    plain = gallery(select(results, declaration(seeds=(0,))), results)
    assert (plain.wide, plain.descriptions) == (False, ())
    picture = draw(torch.zeros(2, 2), torch.eye(2))
    for path in results.root.glob("*/samples/*.png"):
        path.write_bytes(picture)
    shown = gallery(select(results, declaration(seeds=(0,))), results)
    assert (shown.wide, len(shown.descriptions)) == (True, 1)
    page = outlined(results, declaration(seeds=(0,)))
    assert page.count("Left, 2 generated points (blue) over real ones (grey)") == 1
    assert "minmax(min(330px, 100%), 1fr)" in page


def test_what_a_picture_says_of_itself_runs_nothing(tmp_path: Path) -> None:
    results = written(tmp_path, [result("gan", 0)])
    said = PngImagePlugin.PngInfo()
    said.add_text("Description", "<script>hit()</script>")
    for path in results.root.glob("*/samples/*.png"):
        Image.new("L", (4, 4)).save(path, pnginfo=said)
    page = outlined(results, declaration(("gan",), seeds=(0,)))
    assert "&lt;script&gt;hit()" in page
    assert "<script>hit()" not in page
