"""Whatever is claimed has one owner, who keeps it while it lives and loses it when it is gone."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import pytest
from fsspec.implementations.local import LocalFileSystem

from evenhand.study import claims
from evenhand.study.claims import Claims


@pytest.fixture
def of_run(tmp_path):
    return lambda run: Claims(LocalFileSystem(), str(tmp_path / "claims"), run)


def files(tmp_path) -> set[str]:
    return {path.name for path in (tmp_path / "claims").iterdir()}


def test_what_is_claimed_is_free_for_others_only_after_its_release(of_run, tmp_path):
    with of_run("first").claimed(["a", "b"]) as first, of_run("second").claimed(["b", "c"], of="ours") as second:
        assert (first.names, second.names) == (("a", "b"), ("c",))
        assert files(tmp_path) == {"a.0.json", "b.0.json", "c.0.json"}
        held = of_run("third").held()
        assert {name: one.facts["run"] for name, one in held.items()} == {"a": "first", "b": "first", "c": "second"}
        assert held["c"].facts["of"] == "ours"
    assert files(tmp_path) == set()
    with of_run("second").claimed(["b"]) as second:
        assert second.names == ("b",)


def test_a_claim_is_released_on_an_error(of_run, tmp_path):
    with pytest.raises(RuntimeError), of_run("first").claimed(["a"]):
        raise RuntimeError
    assert files(tmp_path) == set()


def test_an_owner_shows_signs_of_life_and_how_far_it_is(of_run, tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "BEAT", 0.01)
    with of_run("first").claimed(["a"]) as first:
        first.share = 0.25
        until = time.monotonic() + 30
        while time.monotonic() < until and of_run("second").shares() != {"a": 0.25}:
            time.sleep(0.01)
        held = of_run("second").held()["a"]
        assert held.share == 0.25 and held.facts["beat"] >= 1


def test_the_claim_of_a_dead_process_of_this_machine_has_expired(of_run, tmp_path):
    code = (
        "import os, sys\nfrom fsspec.implementations.local import LocalFileSystem\n"
        "from evenhand.study.claims import Claims\n"
        "held = Claims(LocalFileSystem(), sys.argv[1], 'dead').claimed(['a'])\nheld.__enter__()\nos._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "claims")]).returncode == 9
    assert files(tmp_path) == {"a.0.json"}
    assert of_run("second").held() == {}
    with of_run("second").claimed(["a"]) as second:
        assert second.names == ("a",) and files(tmp_path) == {"a.0.json", "a.1.json"}
        assert of_run("third").held()["a"].generation == 1
    assert files(tmp_path) == set()


def of_another_machine(tmp_path, name: str, beat: int) -> None:
    known = {"machine": "elsewhere", "host": "elsewhere", "process": 7, "run": "theirs", "beat": beat}
    (tmp_path / "claims").mkdir(exist_ok=True)
    (tmp_path / "claims" / f"{name}.0.json").write_text(json.dumps(known))


def test_a_claim_of_another_machine_expires_when_its_file_stops_changing(of_run, tmp_path, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(claims.time, "monotonic", lambda: now)
    ours = of_run("ours")
    for beat in range(5):
        of_another_machine(tmp_path, "a", beat)
        assert ours.held().keys() == {"a"}
        now += 0.9 * claims.PATIENCE
    assert ours.held().keys() == {"a"}
    now += 0.2 * claims.PATIENCE
    assert ours.held() == {}
    with ours.claimed(["a"]) as claim:
        assert claim.names == ("a",)
        of_another_machine(tmp_path, "a", 9)  # that machine had only been asleep
        assert of_run("third").held()["a"].facts["run"] == "ours"
    assert files(tmp_path) == set()


def test_a_claim_that_is_being_written_is_held(of_run, tmp_path):
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "a.0.json").write_text("")
    with of_run("first").claimed(["a"]) as claim:
        assert claim.names == ()


def test_a_run_takes_what_its_dead_attempt_elsewhere_had_claimed(of_run, tmp_path):
    of_another_machine(tmp_path, "a", 3)
    with of_run("theirs").claimed(["a"]) as claim:
        assert claim.names == ("a",)


def test_of_many_that_claim_at_the_same_time_one_succeeds(of_run):
    names = [f"trial{number}" for number in range(40)]
    together, released = threading.Barrier(8), threading.Barrier(8)
    taken: list[str] = []

    def claim(run: str) -> None:
        together.wait()
        with of_run(run).claimed(names) as claim:
            taken.extend(claim.names)
            released.wait()

    threads = [threading.Thread(target=claim, args=(f"run{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(names)


def test_other_files_are_no_claims(of_run, tmp_path):
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "audited").write_text("")
    assert of_run("first").held() == {}


@pytest.fixture
def lock_of_run(tmp_path):
    return lambda run: Claims(LocalFileSystem(), str(tmp_path / "claims"), run, lock=True)


def another_process(tmp_path, run: str) -> tuple[str, ...]:
    """What another process of this machine gets of the lock, which it releases at once."""
    code = (
        "import json, sys\nfrom fsspec.implementations.local import LocalFileSystem\n"
        "from evenhand.study.claims import Claims\n"
        "with Claims(LocalFileSystem(), sys.argv[1], sys.argv[2], lock=True).claimed(['lock']) as claim:\n"
        "    print(json.dumps(claim.names))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "claims"), run]
    return tuple(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def test_a_lock_excludes_processes_of_the_same_run_and_outlives_their_attempts(lock_of_run, tmp_path):
    with lock_of_run("first").claimed(["lock"]) as claim:
        assert claim.names == ("lock",)
        assert another_process(tmp_path, "first") == ()
        assert another_process(tmp_path, "second") == (), "the attempt before has not broken it"
        assert files(tmp_path) == {"lock.0.json"}
    assert files(tmp_path) == set()
    assert another_process(tmp_path, "first") == ("lock",)


def test_a_lock_that_expired_is_taken_over_even_by_the_same_run(lock_of_run, tmp_path, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(claims.time, "monotonic", lambda: now)
    of_another_machine(tmp_path, "lock", 0)
    ours = lock_of_run("theirs")
    with ours.claimed(["lock"]) as claim:
        assert claim.names == ()
    now += 1.1 * claims.PATIENCE
    with ours.claimed(["lock"]) as claim:
        assert claim.names == ("lock",) and files(tmp_path) == {"lock.0.json", "lock.1.json"}
    assert files(tmp_path) == set()


def test_who_loses_a_lock_neither_removes_nor_overwrites_the_next_ones_file(lock_of_run, tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "BEAT", 0.01)
    with lock_of_run("first").claimed(["lock"]):
        (tmp_path / "claims" / "lock.0.json").unlink()  # by one who saw no sign of life
        of_another_machine(tmp_path, "lock", 5)
        time.sleep(0.2)
        assert json.loads((tmp_path / "claims" / "lock.0.json").read_text())["machine"] == "elsewhere"
    assert files(tmp_path) == {"lock.0.json"}
