"""Claims trials for one process, so that any number of machines can run one study in one folder."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evenhand.processes import identity, process_runs

BEAT = 4.0
"""Seconds between two signs of life of a claim's owner."""

PATIENCE = 60.0
"""Seconds without a sign of life after which a claim has expired."""

_CLAIM = re.compile(r"(.+)\.(\d+)\.json")


@dataclass(frozen=True)
class Held:
    """A claim that some process holds, as its file says.

    Attributes:
        name: what is claimed, such as a trial's hash.
        generation: how many expired claims it follows.
        facts: the run, the machine and the process of the owner, how often it has shown a sign of life (`beat`), the
            share of the work that is done, and what else it says of itself.
    """

    name: str
    generation: int
    facts: Mapping[str, Any]

    @property
    def owner(self) -> str:
        """The owner in words."""
        return f"process {self.facts.get('process')} on {self.facts.get('host')}"

    @property
    def here(self) -> bool:
        """Whether the owner is a process of this machine."""
        return self.facts.get("machine") == identity()["machine"]

    @property
    def share(self) -> float:
        """The share of the work that is done."""
        return float(self.facts.get("share", 0.0))


@dataclass(eq=False)
class Claim:
    """Claims of this process, which are kept alive until they are released.

    Attributes:
        names: what could be claimed.
        share: the share of the work that is done, which others may show.
    """

    names: tuple[str, ...]
    share: float = 0.0


@dataclass(eq=False)
class Claims:
    """A folder of claims: a file for each, which its owner changes every few seconds as a sign of life.

    A claim whose file has stopped changing has expired; the next one gets the next number, which only one process can
    create. No clock is compared with that of another machine.

    Attributes:
        files: the file system of the folder, an `fsspec.AbstractFileSystem`.
        folder: its path there; made with the first claim.
        run: the run on whose behalf this process works. What another process of the same run has claimed can be
            claimed: an executor starts work again only where the earlier attempt is dead.
        lock: whether processes of the same run exclude each other, too. Only what has expired can then be claimed, and
            a process shows signs of life for, and removes, no file but its own and expired ones.
    """

    files: Any
    folder: str
    run: str
    lock: bool = False
    _seen: dict[tuple[str, int], tuple[Any, float]] = field(default_factory=dict, repr=False)

    @contextmanager
    def claimed(self, names: Iterable[str], **facts: Any) -> Iterator[Claim]:
        """Claim what is free, keep the claims alive within the block, and release them at its end.

        Args:
            names: what to claim.
            facts: what else the claims say.

        Yields:
            The claim; what others hold is not among its names.
        """
        taken: dict[str, int] = {}
        claim = Claim(())
        known = {**identity(), "run": self.run, **facts}
        ended = threading.Event()
        beating = threading.Thread(target=self._beat, args=(taken, claim, known, ended), daemon=True)
        try:
            held = self._latest()
            for name in names:
                before = held.get(name)
                if before is None or self._can_be_taken_over(before):
                    generation = 0 if before is None else before.generation + 1
                    if self._create(name, generation, {**known, "beat": 0}):
                        taken[name] = generation
            claim.names = tuple(taken)
            if taken:
                beating.start()
            yield claim
        finally:
            ended.set()
            if beating.is_alive():
                beating.join()
            self._release(taken)

    def held(self) -> dict[str, Held]:
        """Return the claims that have not expired, by name, those of this process included."""
        return {name: held for name, held in self._latest().items() if not self._expired(held)}

    def shares(self) -> dict[str, float]:
        """Return the share that is done of each claimed thing, by name, expired claims included."""
        return {name: held.share for name, held in self._latest().items()}

    def forget(self, name: str) -> None:
        """Remove a note, if there is one."""
        with suppress(FileNotFoundError):
            self.files.rm_file(f"{self.folder}/{name}")

    def note(self, name: str) -> str | None:
        """Return a note that some process left; None if there is none."""
        try:
            return self.files.cat_file(f"{self.folder}/{name}").decode()
        except FileNotFoundError:
            return None

    def leave_note(self, name: str, text: str) -> None:
        """Leave a note for the other processes."""
        self.files.pipe_file(f"{self.folder}/{name}", text.encode())

    def clear(self) -> None:
        """Remove the folder, with expired claims and notes."""
        with suppress(FileNotFoundError):
            self.files.rm(self.folder, recursive=True)

    def _beat(self, taken: Mapping[str, int], claim: Claim, known: Mapping[str, Any], ended: threading.Event) -> None:
        """Show a sign of life until the claims are released."""
        beat = 0
        while not ended.wait(BEAT):
            beat += 1
            text = json.dumps({**known, "beat": beat, "share": round(claim.share, 4)})
            for name, generation in taken.items():
                try:
                    if not self.lock or self._is_own(name, generation):
                        self.files.pipe_file(self._path(name, generation), text.encode())
                except OSError:
                    # The next beat tries again. If none succeeds, the claim expires, and another process may do the
                    # same work a second time.
                    continue

    def _create(self, name: str, generation: int, facts: Mapping[str, Any]) -> bool:
        """Create the file of a claim, unless it exists."""
        path, contents = self._path(name, generation), json.dumps(facts).encode()
        try:
            if self.files.protocol[0] == "file":  # whose pipe_file looks first and writes later
                self.files.makedirs(self.folder, exist_ok=True)
                with self.files.open(path, "xb") as file:
                    file.write(contents)
            else:
                self.files.pipe_file(path, contents, mode="create")
        except FileExistsError:
            return False
        return True

    def _release(self, taken: Mapping[str, int]) -> None:
        """Remove the claims, and the expired ones that they followed."""
        for held in [one for one in self._all() if one.generation <= taken.get(one.name, -1)]:
            try:
                if not self.lock or _names_this_process(held.facts) or self._expired(held):
                    self.files.rm_file(self._path(held.name, held.generation))
            except OSError:
                continue  # gone already, or it expires

    def _latest(self) -> dict[str, Held]:
        """Return the claim with the highest number of each name."""
        return {held.name: held for held in sorted(self._all(), key=lambda held: held.generation)}

    def _all(self) -> list[Held]:
        """Return all claims in the folder, expired ones included."""
        try:
            paths = self.files.ls(self.folder, detail=False, refresh=True)
        except FileNotFoundError:
            return []
        found = []
        for path in paths:
            named = _CLAIM.fullmatch(Path(path).name)
            if named is None:
                continue
            try:
                facts = json.loads(self.files.cat_file(path))
            except FileNotFoundError:
                continue
            except (OSError, ValueError):
                facts = {}  # is being written
            found.append(Held(named[1], int(named[2]), facts if isinstance(facts, dict) else {}))
        return found

    def _is_of_this_run(self, held: Held) -> bool:
        """Return whether another process of the same run made a claim."""
        return held.facts.get("run") == self.run and not _names_this_process(held.facts)

    def _can_be_taken_over(self, held: Held) -> bool:
        """Return whether this process may claim what another one has claimed."""
        return (not self.lock and self._is_of_this_run(held)) or self._expired(held)

    def _is_own(self, name: str, generation: int) -> bool:
        """Return whether the file of a claim is there and names this process."""
        try:
            facts = json.loads(self.files.cat_file(self._path(name, generation)))
        except (FileNotFoundError, ValueError):
            return False
        return isinstance(facts, dict) and _names_this_process(facts)

    def _expired(self, held: Held) -> bool:
        """Return whether a claim's owner is gone: known to be, or without a sign of life for long."""
        facts = held.facts
        own = identity()
        process = facts.get("process")
        if facts.get("machine") == own["machine"] and isinstance(process, int) and not process_runs(process):
            return True
        key, now = (held.name, held.generation), time.monotonic()
        before, since = self._seen.get(key, (None, now))
        if before != facts:
            since = now
        self._seen[key] = facts, since
        return now - since > PATIENCE

    def _path(self, name: str, generation: int) -> str:
        return f"{self.folder}/{name}.{generation}.json"


def _names_this_process(facts: Mapping[str, Any]) -> bool:
    """Return whether the facts of a claim name this process as its owner."""
    own = identity()
    return (facts.get("machine"), facts.get("process")) == (own["machine"], own["process"])
