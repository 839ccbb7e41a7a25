"""The command `evenhand view`: serves a folder until Ctrl-C."""

from __future__ import annotations

import json
import signal
import webbrowser
from pathlib import Path

from evenhand.cli_errors import Stopped
from evenhand.errors import InputError
from evenhand.viewing.folder_state import check_folder, has_begun
from evenhand.viewing.server import ViewServer


def view(folder: Path, data: Path | None, port: int, browser: bool, as_json: bool) -> int:
    """Serve the report of a folder, print its address, and return the exit status once a signal ends it.

    Args:
        folder: that a run or an audit writes to, or will write to.
        data: the folder of `--data` of an unfinished study.
        port: 0: a free one.
        browser: whether to open the address in the browser.
        as_json: print the address as one JSON object.

    Raises:
        InputError: the folder holds neither a study nor results, `data` is no folder, or the port cannot be used.
    """
    check_folder(folder)
    if data is not None and not data.is_dir():
        raise InputError(f"--data {data} is not a folder; it should hold one folder per data set")
    try:
        with ViewServer(folder, data, port) as server:
            if as_json:
                print(json.dumps({"url": server.url, "port": server.server_port}), flush=True)
            else:
                waiting = (
                    "" if has_begun(folder) else f"There is no study in {folder} yet; it is shown when it begins.\n"
                )
                print(f"{waiting}The report of {folder}: {server.url}\nCtrl-C ends this.", flush=True)
            if browser:
                webbrowser.open(server.url)
            server.serve_forever()
    except Stopped as stopped:
        # Ctrl-C is how this command ends; a SIGTERM is told as usual.
        return 0 if stopped.number == signal.SIGINT else 128 + stopped.number
    return 0
