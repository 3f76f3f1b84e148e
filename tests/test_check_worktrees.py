"""What a check asks of git: revisions by any name, clean checkouts that go away, one-line refusals.

No worker is started here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from check_repository import NOTHING, Place, left_of, repository, without_git

from bench.errors import RequestError
from bench.gate import worktrees
from bench.gate.worktrees import Repository, undisturbed


@pytest.fixture
def place(tmp_path, monkeypatch) -> Place:
    """Two commits; `temporary` beside them holds what is checked out."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    place = repository(tmp_path / "repository", {"src/mine/__init__.py": "one = 1\n"})
    place.commit("Second commit", {"src/mine/__init__.py": "two = 2\n", "data/list.txt": "\n"})
    return place


def out_of(place: Place, **names: str):
    """Worktrees of revisions, by name."""
    of = Repository(place.folder)
    return of.checked_out({side: of.revision(name, side) for side, name in names.items()})


def left(place: Place) -> dict[str, list[str]]:
    return left_of(place, place.folder.parent / "temporary")


def test_each_side_is_checked_out_clean_in_paths_of_one_length(place):
    (place.folder / "src/mine/__init__.py").write_text("dirty = True\n")
    with out_of(place, base="first", head="HEAD") as trees:
        texts = [(trees[s].folder / "src/mine/__init__.py").read_text() for s in ("base", "head")]
        assert texts == ["one = 1\n", "two = 2\n"]
        assert len(str(trees["base"].folder)) == len(str(trees["head"].folder))
        assert left(place)["folders"] != []
    assert left(place) == NOTHING


def test_one_revision_can_stand_on_both_sides(place):
    with out_of(place, base="HEAD", head="HEAD") as trees:
        assert trees["base"].folder != trees["head"].folder
        assert trees["base"].revision.commit == trees["head"].revision.commit


def test_roots_are_where_the_check_was_started_then_the_whole(place):
    of = Repository(place.folder / "data")
    with of.checked_out({"head": of.revision("HEAD", "--head")}) as trees:
        tree = trees["head"]
        told = [str(root.relative_to(tree.folder)) for root in tree.roots]
    assert told == ["data", "src", "."]


@pytest.mark.parametrize("name", ["HEAD", "main", "v1", "HEAD~0", "HEAD^{/Second}"])
def test_any_name_of_a_commit_will_do(place, name):
    place.git("tag", "--annotate", "v1", "--message", "A tag of its own")
    found = Repository(place.folder).revision(name, "--head")
    assert (found.commit, found.subject) == (place.git("rev-parse", "HEAD"), "Second commit")
    assert found.committed_at == place.git("show", "--no-patch", "--format=%cI", "HEAD")


def test_label_has_the_commit_where_the_name_has_not(place):
    commit = place.git("rev-parse", "HEAD")
    found = [Repository(place.folder).revision(name, "--head").label for name in ("main", commit)]
    assert found[0] == f"main ({commit[:9]})"
    assert commit.startswith(found[1])


@pytest.mark.parametrize("name", ["gone", "main..first", "HEAD:data", "--all", "", "0" * 40])
def test_revision_that_does_not_exist_is_refused(place, name):
    with pytest.raises(RequestError) as caught:
        Repository(place.folder).revision(name, "--against")
    assert str(caught.value) == (
        f"--against {name}: {place.folder} has no such revision; expected a commit, branch or tag "
        "that is here (git fetch, if it is elsewhere)"
    )


def test_shallow_clone_is_told_to_fetch_more(place, tmp_path):
    shallow = Place(tmp_path / "shallow")
    place.git("clone", "--quiet", "--depth", "1", f"file://{place.folder}", str(shallow.folder))
    with pytest.raises(RequestError, match=r"this clone is shallow: git fetch --unshallow"):
        Repository(shallow.folder).revision("HEAD~1", "--against")


def test_commit_whose_message_is_not_utf8_is_checked_like_any(place):
    tree = place.git("rev-parse", "HEAD^{tree}")
    who = b"N <n@example.com> 1700000000 +0000"
    text = b"tree %s\nauthor %s\ncommitter %s\n\ncaf\xe9 \xff\n" % (tree.encode(), who, who)
    command = ["git", "hash-object", "-t", "commit", "-w", "--stdin"]
    made = subprocess.run(command, input=text, cwd=place.folder, capture_output=True, check=True)
    found = Repository(place.folder).revision(made.stdout.decode().strip(), "--head")
    assert found.subject.startswith("caf")


def test_changes_that_are_not_committed_are_refused_untracked_files_are_not(place):
    of = Repository(place.folder)
    (place.folder / "notes.txt").write_text("mine\n")
    of.require_clean()
    (place.folder / "data/list.txt").write_text("changed\n")
    (place.folder / "src/mine/__init__.py").write_text("changed\n")
    with pytest.raises(RequestError, match=r"uncommitted changes in data/list.txt and 1 more; "):
        of.require_clean()


def test_folder_outside_of_any_repository_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(RequestError, match=r"not in a git repository \(not a git repository"):
        Repository(tmp_path)


def test_bare_repository_is_refused(place, tmp_path):
    place.git("clone", "--quiet", "--bare", str(place.folder), str(tmp_path / "bare"))
    with pytest.raises(RequestError, match="must be run in a work tree"):
        Repository(tmp_path / "bare")


def test_machine_without_git_is_refused(place, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", without_git(tmp_path / "bin"))
    with pytest.raises(RequestError, match="there is no git on this machine's path"):
        Repository(place.folder)


def test_call_from_a_hook_finds_the_repository_it_stands_in(place, tmp_path, monkeypatch):
    other = repository(tmp_path / "other", {"file": ""})
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.folder / ".git/index"))
    assert Repository(place.folder).folder == place.folder


def test_hooks_of_the_repository_do_not_run(place):
    hook = place.folder / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch hooked\n")
    hook.chmod(0o755)
    with out_of(place, head="HEAD") as trees:
        assert not (trees["head"].folder / "hooked").exists()


@pytest.mark.parametrize("lock", ["index.lock", "HEAD.lock", "refs/heads/main.lock"])
def test_locks_of_a_git_at_work_are_not_in_the_way(place, lock):
    (place.folder / ".git" / lock).touch()
    Repository(place.folder).require_clean()
    with out_of(place, base="first", head="HEAD") as trees:
        assert len(trees) == 2
    assert left(place) == NOTHING


def test_reading_the_status_takes_no_lock(place):
    index = place.folder / ".git/index"
    os.utime(place.folder / "data/list.txt", (0, 0))  # git would note that it has looked
    before = index.read_bytes()
    Repository(place.folder).require_clean()
    assert index.read_bytes() == before


def test_worktrees_are_gone_when_the_second_cannot_be_made(place, monkeypatch):
    add, calls = Repository._add, []

    def failing(self, folder, revision):
        calls.append(folder)
        if len(calls) == 2:
            raise KeyboardInterrupt
        add(self, folder, revision)

    monkeypatch.setattr(Repository, "_add", failing)
    with pytest.raises(KeyboardInterrupt), out_of(place, base="first", head="HEAD"):
        pass
    assert left(place) == NOTHING


def test_worktrees_are_gone_whatever_was_done_in_them(place):
    with out_of(place, base="first", head="HEAD") as trees:
        (trees["base"].folder / ".git").unlink()
        (trees["head"].folder / "written.txt").write_text("by the code\n")
        closed = trees["head"].folder / "closed"
        closed.mkdir()
        (closed / "file").touch()
        closed.chmod(0o500)
    assert left(place) == NOTHING


@pytest.mark.parametrize("seconds", [0.004, 0.012, 0.02, 0.03, 0.045])
def test_interrupted_at_any_moment_nothing_is_left(place, seconds):
    """Git is let finish what it is at: killed half way, it leaves what it does not find again."""

    pressed = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))

    def again_and_again():
        pressed.start()
        while True:
            with out_of(place, base="first", head="HEAD"):
                pass

    with pytest.raises(KeyboardInterrupt):
        again_and_again()
    pressed.join()
    assert left(place) == NOTHING


def test_other_peoples_worktrees_stay_also_those_on_a_disk_that_is_away(place, tmp_path):
    for name in ("here", "away"):
        place.git("worktree", "add", "--quiet", "--detach", str(tmp_path / name))
    (tmp_path / "away").rename(tmp_path / "unplugged")
    before = left(place)
    with out_of(place, base="first", head="HEAD") as trees:
        (trees["base"].folder / ".git").unlink()
    assert left(place) == before
    assert len(before["worktrees"]) == 4


def test_check_can_be_started_in_a_worktree_of_the_users(place, tmp_path):
    place.git("worktree", "add", "--quiet", "-b", "feature", str(tmp_path / "my feature"))
    before = left(place)
    with out_of(
        replace(place, folder=tmp_path / "my feature"), base="first", head="feature"
    ) as trees:
        assert trees["head"].revision.commit == place.git("rev-parse", "feature")
        (trees["base"].folder / ".git").unlink()
    assert left(place) == before


def test_many_at_once_do_not_hurt_each_other(place):
    failures: list[BaseException] = []

    def one():
        try:
            for _ in range(3):
                with out_of(place, base="first", head="HEAD") as trees:
                    texts = {tree.folder.joinpath("src/mine/__init__.py").read_text()
                             for tree in trees.values()}  # fmt: skip
                    assert texts == {"one = 1\n", "two = 2\n"}
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert left(place) == NOTHING


def test_second_ctrl_c_does_not_stop_the_tidying_up(place, monkeypatch):
    remove = Repository._remove

    def pressed(self, folder: Path) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        remove(self, folder)

    monkeypatch.setattr(Repository, "_remove", pressed)
    with pytest.raises(KeyboardInterrupt), out_of(place, base="first", head="HEAD"):
        raise KeyboardInterrupt
    assert left(place) == NOTHING


def test_signal_that_waited_is_heard_afterwards():
    done, before = [], signal.getsignal(signal.SIGINT)

    def tidy():
        with undisturbed():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        tidy()
    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGINT) is before


def test_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with undisturbed():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_file_is_read_at_a_revision(place, tmp_path):
    of = Repository(place.folder)
    first, file = of.revision("first", "--against"), place.folder / "src/mine/__init__.py"
    assert of.file(first, file) == "one = 1\n"
    assert of.file(first, place.folder / "data/list.txt") is None
    assert of.file(first, tmp_path / "elsewhere.toml") is None


def test_reason_is_what_git_said_last():
    done = subprocess.CompletedProcess([], 128, "", "Preparing\nfatal: it is full\n")
    assert worktrees._reason(done) == "it is full"
    assert worktrees._reason(subprocess.CompletedProcess([], 3, "", "")) == "exit code 3"
