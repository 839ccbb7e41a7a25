"""A study on a real S3 server: sent whole or not at all, the same to every machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml

from evenhand import InputError, Study
from evenhand.audit.results import Results
from evenhand.study.remote_store import RemoteStore, copy_of, is_url, open_store
from evenhand.study.store import Store
from faults.same_results import assert_same_results

pytest.importorskip("s3fs")
pytest.importorskip("moto")


@pytest.fixture
def bucket(monkeypatch, tmp_path):
    """The URL of an empty bucket on a server of this machine, and a cache of this machine's own."""
    from fsspec import AbstractFileSystem
    from moto.server import ThreadedMotoServer
    from s3fs import S3FileSystem

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    known = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}
    for name, value in {**known, "AWS_DEFAULT_REGION": "us-east-1", "XDG_CACHE_HOME": str(tmp_path / "one")}.items():
        monkeypatch.setenv(name, value)
    urllib.request.urlopen(urllib.request.Request(f"{known['AWS_ENDPOINT_URL']}/moto-api/reset", method="POST"))
    S3FileSystem.clear_instance_cache()
    files: AbstractFileSystem = S3FileSystem(use_listings_cache=False)
    files.mkdir("bucket")
    yield "s3://bucket"
    server.stop()


def another_machine(monkeypatch, tmp_path) -> None:
    """From now on, this process has the cache of another machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))


def test_only_urls_of_other_file_systems_are_remote(tmp_path):
    assert is_url("s3://bucket/study") and is_url("gs://bucket/study") and is_url("memory://study")
    assert not is_url("runs/study") and not is_url(tmp_path) and not is_url("C:/study") and not is_url("file:///a")
    assert open_store(f"file://{tmp_path}/study").out == tmp_path / "study"
    assert type(open_store(tmp_path)) is Store


def test_two_urls_have_two_copies(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert copy_of("s3://one/study") != copy_of("s3://two/study") == copy_of("s3://two/study/")


@pytest.mark.parametrize(
    ("url", "said"),
    [("s5://bucket/study", "Protocol not known: s5"), ("s3://nowhere/study", None), ("gs://bucket/study", "gcsfs")],
)
def test_a_file_system_that_cannot_be_used_is_refused_in_a_sentence(bucket, url, said):
    store = None
    try:
        store = open_store(url)
    except InputError as error:
        assert url in str(error) and (said or "") in str(error)
        return
    with pytest.raises((InputError, OSError)), store.lock():
        pass


def test_claims_are_exclusive_on_a_server(bucket):
    first, second = open_store(f"{bucket}/study"), open_store(f"{bucket}/study")
    with first.claims.claimed(["a", "b"]) as ours, second.claims.claimed(["b", "c"]) as theirs:
        assert (ours.names, theirs.names) == (("a", "b"), ("c",))
    assert first.claims.held() == {}


def test_the_lock_is_one_for_all_machines(bucket, monkeypatch, tmp_path):
    first = open_store(f"{bucket}/study")
    another_machine(monkeypatch, tmp_path)
    second = open_store(f"{bucket}/study")
    assert first.out != second.out
    with first.lock():
        (first.out / "threads.json").write_text('{"a": 1}')
        (first.out / "study.yaml").write_text("settings: {}")
        second.claims.clear()
        assert second.files.exists("bucket/study/lock/lock.0.json")
    with second.lock():
        assert second.chosen("threads") == {"a": 1}
        (second.out / "threads.json").unlink()
    with first.lock():
        assert first.chosen("threads") == {} and first.study_file.is_file()


def test_the_lock_excludes_a_worker_of_the_same_run_on_another_machine(bucket, monkeypatch, tmp_path):
    store = open_store(f"{bucket}/study", "a run")
    another_machine(monkeypatch, tmp_path)
    code = (
        "import sys\nfrom evenhand.study.remote_store import open_store\n"
        "with open_store(sys.argv[1], 'a run').lock(lambda text: print(text, flush=True)):\n    print('locked')"
    )
    with store.lock():
        worker = subprocess.Popen([sys.executable, "-c", code, f"{bucket}/study"], stdout=subprocess.PIPE, text=True)
        assert worker.stdout is not None
        assert worker.stdout.readline() == f"Waiting for another process, which is writing to {bucket}/study\n"
    assert worker.communicate(timeout=60) == ("locked\n", None)


def test_a_trial_that_was_half_sent_is_no_trial(bucket, monkeypatch, tmp_path):
    store = open_store(f"{bucket}/study")
    assert isinstance(store, RemoteStore)
    send = store.files.put_file

    def fails(local: str, there: str) -> None:
        if there.endswith("trial.json"):
            raise OSError(28, "No space left on device")
        send(local, there)

    facts = json.dumps({"identity": {}, "environment": {}, "status": "done", "reason": None})
    monkeypatch.setattr(store.files, "put_file", fails)
    with pytest.raises(OSError, match="No space left"), store.writing("abc") as folder:
        (folder / "trial.json").write_text(facts)
        (folder / "predictions.parquet").write_text("rows")
    monkeypatch.setattr(store.files, "put_file", send)
    another_machine(monkeypatch, tmp_path)
    other = open_store(f"{bucket}/study")
    assert other.files.exists("bucket/study/trials/abc/predictions.parquet") and other.read("abc") is None
    store.completed("abc")
    assert other.read("abc") == json.loads(facts)
    assert {path.name for path in other.folder("abc").iterdir()} == {"trial.json", "predictions.parquet"}
    store.set_aside("abc")
    assert open_store(f"{bucket}/study").read("abc") is not None, "it is in that machine's copy"
    assert not other.files.exists("bucket/study/trials/abc")


@pytest.mark.slow
def test_a_study_on_a_server_is_the_study_of_a_folder_and_other_machines_continue_it(
    bucket, small_study, monkeypatch, tmp_path
):
    Study(**small_study).run(tmp_path / "folder")
    out = f"{bucket}/deep/study"
    Study(**small_study).run(out)
    assert_same_results(tmp_path / "folder", copy_of(out))
    another_machine(monkeypatch, tmp_path)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({**small_study, "seeds": 3}))
    command = [sys.executable, "-m", "evenhand", "run", str(tmp_path / "study.yaml"), "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert "4 of 6 trials are complete" in done.stderr and f"The report: {out}/report.html" in done.stdout
    store = open_store(out)
    assert store.files.find("bucket/deep/study/claims") == []
    names = {Path(path).name for path in store.files.find("bucket/deep/study")}
    assert {"design.json", "verdicts.parquet", "report.html", "study.yaml"} < names
    Study(**{**small_study, "seeds": 3}).run(tmp_path / "folder")
    assert_same_results(tmp_path / "folder", copy_of(out))
    for arguments in (["check", out], ["verify", out], ["report", out, "--format", "md"]):
        done = subprocess.run([sys.executable, "-m", "evenhand", *arguments], capture_output=True, text=True)
        assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stderr
    assert store.files.exists("bucket/deep/study/report.md")
    assert Results.load(copy_of(out)).trials["status"].to_list() == ["done"] * 6
