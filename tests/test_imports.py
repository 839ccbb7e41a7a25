"""No file of the package imports itself through others, so that each can be read after the files that it imports.

Every import counts, also one for types only and one inside a function, since a reader has to follow it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import evenhand

PACKAGE = Path(str(evenhand.__file__)).parent


@pytest.mark.always
def test_no_file_imports_itself_through_others():
    found = list(circles(imports(PACKAGE)))
    assert not found, "files that import each other:\n" + "\n".join(map(", ".join, found))


@pytest.mark.parametrize(
    "lower",
    [
        "from house.upper import Upper",
        "from house import upper",
        "import house.upper",
        "if TYPE_CHECKING:\n    from house.upper import Upper",
        "def method():\n    from house.upper import Upper",
        "UPPER = 'house.upper:Upper'",
        "from house.middle import Middle",
    ],
)
def test_every_way_to_import_closes_a_circle(tmp_path, lower):
    upper, middle = "from house.lower import Lower", "from house.upper import Upper"
    (circle,) = circles(imports(house(tmp_path, upper=upper, middle=middle, lower=lower)))
    assert set(circle) - {"house.middle"} == {"house.upper", "house.lower"}


def test_importing_the_package_is_importing_what_its_public_names_import(tmp_path):
    package = house(tmp_path, "HOMES = {'Upper': 'house.upper'}", upper="from house import Upper")
    assert circles(imports(package)) == [("house", "house.upper")]


def test_files_one_above_the_other_are_no_circle(tmp_path):
    upper, middle = "from house import lower, middle", "from house.lower import Lower"
    package = house(tmp_path, '"""The package of house.upper."""', upper=upper, middle=middle, lower="import json")
    assert circles(imports(package)) == []


def house(folder: Path, package: str = "", **files: str) -> Path:
    """A package `house` with these files."""
    (folder / "house").mkdir()
    for name, text in {"__init__": package, **files}.items():
        (folder / "house" / f"{name}.py").write_text(text)
    return folder / "house"


def imports(package: Path) -> dict[str, set[str]]:
    """By module of a package, the modules of the package that it imports."""
    files = {_name(path, package): path for path in sorted(package.rglob("*.py"))}
    return {
        module: {one for node in ast.walk(ast.parse(path.read_text("utf-8"))) for one in _imported(node, files)}
        for module, path in files.items()
    }


def circles(imports: Mapping[str, set[str]]) -> list[tuple[str, ...]]:
    """The modules that import each other, directly or through others. Each circle is named once."""
    behind = {module: _reached(module, imports) for module in imports}
    return sorted(
        {
            tuple(sorted(other for other in behind[module] if module in behind[other]))
            for module in imports
            if module in behind[module]
        }
    )


def _name(path: Path, package: Path) -> str:
    """The module of a file; of an `__init__.py`, the package."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(node: ast.AST, known: Mapping[str, Path]) -> Iterator[str]:
    """The known modules that one node of a file imports.

    An import of `a.b` is not an import of `a`. Python runs `a/__init__.py` first, but takes nothing from it. If it
    counted, every package whose `__init__.py` imports one of its own files would be a circle.

    A string that names a module (`"a.b"` or `"a.b:Class"`) counts as an import, since it is imported later. The tasks
    and the public names in `evenhand/__init__.py` are named so. The public names make `evenhand` import what is at the
    top of the package, so a file that imports `evenhand` itself closes a circle if one of them needs that file.
    """
    if isinstance(node, ast.Import):
        named = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0 and node.module, f"a relative import of {node.names[0].name}; write it in full"
        submodules = [f"{node.module}.{alias.name}" for alias in node.names]
        named = [one if one in known else node.module for one in submodules]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        named = [node.value.partition(":")[0]] if "." in node.value else []
    else:
        named = []
    yield from (one for one in named if one in known)


def _reached(module: str, imports: Mapping[str, set[str]]) -> set[str]:
    """Every module that a module imports, directly or through others."""
    found: set[str] = set()
    left = [module]
    while left:
        new = imports[left.pop()] - found
        found |= new
        left += new
    return found
