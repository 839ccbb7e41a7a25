"""What makes the page one file that works offline: the drawing library, its own scripts, and a policy for both."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from evenhand.atomic_files import write_text
from evenhand.report.charts import vega_lite_version


@cache
def bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script from vl-convert, which defines `vegaEmbed` for the page.

    Making it takes two seconds, so it is kept in the user's cache folder (`XDG_CACHE_HOME`, else `~/.cache`) by the
    versions that it depends on.
    """
    import vl_convert

    versions = f"{metadata.version('vl-convert-python')}-{vega_lite_version()}"
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = cache_home / "evenhand" / f"vega-embed-{versions}.js"
    # Where the folder cannot be read or written, the script is made each time.
    with contextlib.suppress(OSError):
        return kept.read_text(encoding="utf-8")
    script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=vega_lite_version())
    with contextlib.suppress(OSError):
        write_text(kept, script)
    return script


def embedded_json(value: Any) -> Any:
    """JSON that is safe inside a script element whatever its strings: `<`, `>` and `&` are written as escapes."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return markup(text)


def policy(*scripts: str) -> str:
    """A content security policy that allows these scripts, by their hashes, and no request at all."""
    allowed = " ".join(map(policy_hash, scripts))
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"


def policy_hash(text: str) -> str:
    """The hash by which a content security policy names a script or a style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def own_file(name: str) -> str:
    """The text of one of the templates' files."""
    return resources.files("evenhand.report").joinpath("templates", name).read_text(encoding="utf-8")


_SCRIPTS = ("data", "charts", "tables", "explain", "explore", "start")
"""The page's own scripts, in the order in which one uses another."""


def own_scripts() -> str:
    """The page's own scripts as one, in a scope of their own; no bundler is needed for that."""
    parts = [own_file(f"scripts/{name}.js") for name in _SCRIPTS]
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"


def markup(text: str) -> Any:
    """Text that the template takes as it is, without escaping it."""
    import markupsafe

    return markupsafe.Markup(text)
