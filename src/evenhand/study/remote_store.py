"""Keeps a study on any file system that fsspec knows (`s3://`, `gs://`), with a copy on this machine."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from evenhand.atomic_files import replacing
from evenhand.errors import InputError, first_line
from evenhand.study.claims import Claims
from evenhand.study.expansion import Trial
from evenhand.study.store import Store

_URL = re.compile(r"[a-z][a-z0-9+.-]*://")

_FACTS = "trial.json"
"""The file that makes a trial exist: sent last."""

_DESIGN = "design.json"
"""The file that makes tables results: removed first, sent last."""

_LOOK_AGAIN = 0.5
"""Seconds between two attempts to get the lock."""


def is_url(out: str | Path) -> bool:
    """Return whether a study's folder is on another file system than this machine's."""
    return bool(_URL.match(str(out))) and not str(out).startswith(("file://", "local://"))


def open_store(out: str | Path, run: str | None = None) -> Store:
    """Return the store of a study: of a folder, or of a URL.

    Args:
        out: a path, or a URL that fsspec knows; `file:///PATH` is the path.
        run: the run on whose behalf this process works; None: a new one.

    Raises:
        InputError: there is no such file system, a package for it is missing, or it does not answer.
    """
    run = run or uuid.uuid4().hex
    if not is_url(out):
        return Store(Path(re.sub(r"^(file|local)://", "", str(out))), run)
    store = RemoteStore(copy_of(str(out)), run, str(out).rstrip("/"))
    try:
        store.files.exists(store.root)
    except Exception as error:  # whatever the libraries of file systems raise: no credentials, no bucket, no network
        raise InputError(f"--out {out} cannot be reached: {first_line(error)}") from None
    return store


def copy_of(url: str) -> Path:
    """Return the folder of this machine that copies a URL, below `XDG_CACHE_HOME` or `~/.cache`."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.blake2b(url.rstrip("/").encode(), digest_size=8).hexdigest()
    return cache / "evenhand" / "studies" / f"{Path(url).name}-{name}"


@contextmanager
def folder_of(where: str, *, changes: bool = False) -> Iterator[Path]:
    """Context manager that yields the folder of a finished study, or the copy of one that a URL names.

    Args:
        where: a path or a URL.
        changes: whether the block may change the study's own files, which are then sent.

    Raises:
        InputError: see `open_store`.
    """
    store = open_store(where)
    if not isinstance(store, RemoteStore):
        yield Path(where)
        return
    with store.lock() if changes else nullcontext():
        store.fetch()
        yield store.out


@dataclass(frozen=True)
class RemoteStore(Store):
    """A study on another file system. What is complete there is complete; `out` is a copy.

    A trial is sent when it is complete, its `trial.json` last; tables are sent with `design.json` last, which is
    removed there first. So others see a trial or an audit whole or not at all.

    Attributes:
        out: the copy on this machine.
        url: of the study.
    """

    url: str = ""

    @cached_property
    def files(self) -> Any:
        """The file system of the URL."""
        from fsspec.core import url_to_fs

        try:
            files, _ = url_to_fs(self.url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise InputError(f"--out {self.url}: {first_line(error)}") from None
        return files

    @cached_property
    def root(self) -> str:
        """The path of the study on its file system."""
        return self.files._strip_protocol(self.url)

    @property
    def address(self) -> str:
        """The URL, by which other machines find the study."""
        return self.url

    @cached_property
    def claims(self) -> Claims:
        """The claims of this study's runs and trials."""
        return Claims(self.files, f"{self.root}/claims", self.run)

    @contextmanager
    def lock(self, say: Callable[[str], None] = lambda text: None) -> Iterator[None]:
        """Context manager that holds the lock of the study on all machines; it fetches and sends what has changed."""
        locks = Claims(self.files, f"{self.root}/lock", self.run, lock=True)
        waiting = False
        while True:
            with locks.claimed(["lock"]) as claim:
                if claim.names:
                    with super().lock(say):
                        self._fetch_study()
                        before = self._stamps()
                        yield
                        self._send_study(before)
                    return
            if not waiting:
                say(f"Waiting for another process, which is writing to {self.url}")
            waiting = True
            time.sleep(_LOOK_AGAIN)

    @contextmanager
    def writing(self, trial: str) -> Iterator[Path]:
        """Yield a folder to write a trial into; it is sent when it has its final name."""
        with super().writing(trial) as folder:
            yield folder
        self.completed(trial)

    def completed(self, trial: str) -> None:
        """Send a trial."""
        folder, there = self.folder(trial), f"{self.root}/trials/{trial}"
        if self.files.exists(f"{there}/{_FACTS}"):
            self.files.rm_file(f"{there}/{_FACTS}")
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        for path in sorted(paths, key=lambda path: path.name == _FACTS):
            self.files.put_file(str(path), f"{there}/{path.relative_to(folder).as_posix()}")

    def complete(self, trial: Trial) -> bool:
        """Return whether a trial has all its records, fetched from the study if they are there."""
        return super().complete(trial) or (self._fetch_trial(trial.hash) and super().complete(trial))

    def read(self, trial: str) -> dict[str, Any] | None:
        """Return `trial.json` of a trial, fetched if it is there."""
        found = super().read(trial)
        return super().read(trial) if found is None and self._fetch_trial(trial) else found

    def set_aside(self, trial: str) -> Path:
        """Move a trial's folder to those that are set aside, and remove the trial from the study."""
        aside = super().set_aside(trial)
        if self.files.exists(f"{self.root}/trials/{trial}"):
            self.files.rm(f"{self.root}/trials/{trial}", recursive=True)
        return aside

    def fetch(self) -> None:
        """Fetch the whole study."""
        self.out.mkdir(parents=True, exist_ok=True)
        self._fetch_study()
        for path in self._found(f"{self.root}/trials"):
            if path.endswith(f"/{_FACTS}"):
                self._fetch_trial(Path(path).parent.name)

    def _fetch_trial(self, trial: str) -> bool:
        """Fetch a trial that is complete in the study, weights included; return whether anything is new."""
        there, folder = f"{self.root}/trials/{trial}", self.folder(trial)
        try:
            facts = self.files.cat_file(f"{there}/{_FACTS}")
            paths = self.files.find(there)
        except FileNotFoundError:
            return False
        if (folder / _FACTS).is_file() and (folder / _FACTS).read_bytes() == facts and self._same_size(folder, there):
            return False
        with Store.writing(self, trial) as aside:
            for path in paths:
                local = aside / path.removeprefix(f"{there}/")
                local.parent.mkdir(parents=True, exist_ok=True)
                self.files.get_file(path, str(local))
        return True

    def _same_size(self, folder: Path, there: str) -> bool:
        """Return whether a trial's files have the sizes of those in the study."""
        sizes = {path.removeprefix(f"{there}/"): info["size"] for path, info in self._found(there).items()}
        return sizes == {
            path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()
        }

    def _found(self, there: str) -> dict[str, dict[str, Any]]:
        return self.files.find(there, detail=True)

    def _fetch_study(self) -> None:
        """Make the files of the study itself here those that are there; where nothing is there, trials go, too."""
        there = [path.removeprefix(f"{self.root}/") for path in self._listed()]
        for name in self._stamps().keys() - set(there):
            (self.out / name).unlink()
        if not there:
            shutil.rmtree(self.out / "trials", ignore_errors=True)
            (self.out / "trials").mkdir(parents=True)
        for name in there:
            with replacing(self.out / name) as aside:
                self.files.get_file(f"{self.root}/{name}", str(aside))

    def _listed(self) -> dict[str, dict[str, Any]]:
        """Return the files of the study itself: those that belong to no trial and are no claims."""
        found: dict[str, dict[str, Any]] = {}
        try:
            entries = self.files.ls(self.root, detail=True, refresh=True)
        except FileNotFoundError:
            return found
        for entry in entries:
            name = entry["name"].removeprefix(f"{self.root}/")
            if entry["type"] == "file":
                found[entry["name"]] = entry
            elif name == "figures":
                found |= self._found(entry["name"])
        return found

    def _stamps(self) -> dict[str, tuple[int, int]]:
        """Return when the study's own files of the copy were changed, by path."""
        figures = self.out / "figures"
        paths = [*self.out.iterdir(), *(figures.rglob("*") if figures.is_dir() else ())]
        return {
            path.relative_to(self.out).as_posix(): (path.stat().st_mtime_ns, path.stat().st_ino)
            for path in paths
            if path.is_file() and not path.name.startswith(".")
        }

    def _send_study(self, before: dict[str, tuple[int, int]]) -> None:
        """Send the study's own files that have changed, those that make them results last."""
        now = self._stamps()
        changed = sorted((name for name, stamp in now.items() if before.get(name) != stamp), key=_DESIGN.__eq__)
        if _DESIGN in changed and self.files.exists(f"{self.root}/{_DESIGN}"):
            self.files.rm_file(f"{self.root}/{_DESIGN}")
        for name in changed:
            self.files.put_file(str(self.out / name), f"{self.root}/{name}")
        for name in before.keys() - now.keys():
            if self.files.exists(f"{self.root}/{name}"):
                self.files.rm_file(f"{self.root}/{name}")
