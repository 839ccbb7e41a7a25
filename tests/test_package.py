"""The package as it is built, installed and described: what its archives hold, and what its command does elsewhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
import yaml

import evenhand as package
from installed_command import assert_a_model_is_audited_and_gated, call

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
VERSION = PROJECT["version"]
HERE = Path(sys.executable).with_name("evenhand")
DATA = {
    "py.typed",
    "assets/tiny-vit/model.safetensors",
    "presets/demo.yaml",
    "report/templates/page.html.j2",
    "tasks/prompts/built_in.yaml",
}
"""Files that are no code, one of each folder that has any."""


def test_the_version_is_that_of_the_project(evenhand):
    assert package.__version__ == VERSION
    assert evenhand("--version").stdout == f"evenhand {VERSION}\n"
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"] == VERSION


def test_the_changelog_has_the_version_and_what_comes_after_it():
    titles = re.findall(r"^## \[(.+?)\](?: - \d{4}-\d\d-\d\d)?$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert titles[:2] == ["Unreleased", VERSION]


def test_hooks_before_a_commit_have_the_versions_of_the_constraints():
    pinned = dict(line.split("==") for line in lines_of("constraints.txt") if "==" in line)
    hooks = dict(re.findall(r"\b([a-z-]+)==([\w.]+)", "\n".join(lines_of(".pre-commit-config.yaml"))))
    assert "ruff" in hooks
    assert {name: version for name, version in hooks.items() if pinned.get(name, version) != version} == {}


def test_the_command_audits_and_gates_a_table_in_a_folder_of_the_user(tmp_path):
    assert_a_model_is_audited_and_gated(HERE, tmp_path)


def lines_of(name: str) -> list[str]:
    return (ROOT / name).read_text("utf-8").splitlines()


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The source archive, the wheel built from it, and the wheel built from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    for options in ([], ["--wheel", "--outdir", str(folder / "direct")]):
        outdir = [] if options else ["--outdir", str(folder)]
        subprocess.run([sys.executable, "-m", "build", *options, *outdir, str(ROOT)], check=True, capture_output=True)
    (source,), (wheel,), (direct,) = (folder.glob(name) for name in ("*.tar.gz", "*.whl", "direct/*.whl"))
    return source, wheel, direct


@pytest.fixture(scope="module")
def installed(archives: tuple[Path, Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of a fresh environment, outside of the checkout, that has the wheel and its base."""
    folder = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    wheel, pins = archives[1], ROOT / "constraints.txt"
    install(folder, "--constraint", str(pins), str(wheel))
    return folder / "bin"


def install(environment: Path, *what: str) -> None:
    """Install packages into an environment with its own pip; say what pip said if it fails."""
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", *what]
    done = subprocess.run(pip, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def files_of(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def description_of(wheel: Path) -> Message:
    (name,) = (name for name in files_of(wheel) if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(zipfile.ZipFile(wheel).read(name).decode("utf-8"))


def files_of_the_checkout() -> set[str]:
    """The package's files that git tracks or would track, as a wheel names them."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "src/evenhand"]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("this is no checkout of git")
    return {name.removeprefix("src/") for name in listed.stdout.splitlines()}


@pytest.mark.slow
def test_the_source_archive_gives_the_wheel_that_the_checkout_gives(archives):
    _, wheel, direct = archives
    assert files_of(wheel) == files_of(direct)
    assert {f"evenhand/{name}" for name in DATA} <= files_of(wheel)
    code = {name for name in files_of(wheel) if not name.startswith(f"evenhand-{VERSION}.dist-info/")}
    assert code == files_of_the_checkout()


@pytest.mark.slow
def test_the_source_archive_has_what_its_tests_need_and_nothing_that_was_built(archives):
    with tarfile.open(archives[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"Makefile", "constraints.txt", "CHANGELOG.md", "tests/conftest.py", "docs/audit.md"} <= names
    assert {"src/evenhand/py.typed", "examples/hatexplain.yaml", "benchmarks/audit.py"} <= names
    built = re.compile(
        r"^(build|dist|runs|\.venv|\.tools|\.versions)/|(^|/)(__pycache__|\.[a-z]+_cache)/|\.pyc$|\.egg-info"
    )
    assert [name for name in names if built.search(name)] == []


@pytest.mark.slow
def test_the_description_has_its_links_in_full_and_the_urls_of_the_project(archives):
    description = description_of(archives[1])
    text = description.get_payload()
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 20
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert pictures and all("raw.githubusercontent.com" in picture for picture in pictures)
    for link in links:
        if found := re.fullmatch(rf"https://[a-z.]+/evenhand/evenhand/(?:blob/)?v{VERSION}/([^#]+)(?:#.*)?", link):
            assert (ROOT / found[1]).exists(), link
    urls = {url.partition(", ")[0] for url in description.get_all("Project-URL") or []}
    assert urls == {"Homepage", "Documentation", "Source", "Issues", "Changelog"}


@pytest.mark.slow
def test_the_wheel_audits_without_torch_in_a_fresh_environment(installed, tmp_path):
    assert call(installed / "evenhand", tmp_path, "--version").stdout == f"evenhand {VERSION}\n"
    assert_a_model_is_audited_and_gated(installed / "evenhand", tmp_path)
    code = (
        "import evenhand, importlib.util, json, pathlib; folder = pathlib.Path(evenhand.__file__).parent;"
        "print(json.dumps([str(folder), importlib.util.find_spec('torch') is not None, evenhand.__version__,"
        f" [name for name in {sorted(DATA)} if not (folder / name).is_file()]]))"
    )
    folder, torch, version, absent = json.loads(call(installed / "python", tmp_path, "-c", code).stdout)
    assert Path(folder).is_relative_to(installed.parent)
    assert (torch, version, absent) == (False, VERSION, [])


@pytest.mark.slow
def test_training_without_the_extra_says_what_to_install(installed, tmp_path):
    refused = call(installed / "evenhand", tmp_path, "demo", "--out", "demo")
    assert refused.returncode == 2
    assert "pip install 'evenhand[train]'" in refused.stderr.splitlines()[-1]
    assert "Traceback" not in refused.stderr and not (tmp_path / "demo").exists()


@pytest.mark.slow
def test_the_wheel_with_the_training_wing_runs_the_demo_in_a_fresh_environment(archives, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "fresh")], check=True)
    install(tmp_path / "fresh", "--constraint", str(ROOT / "constraints.txt"), f"{archives[1]}[train]")
    done = call(tmp_path / "fresh" / "bin" / "evenhand", tmp_path, "demo", "--out", "demo", "--json")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "demo" / "report.html").is_file()
    assert call(tmp_path / "fresh" / "bin" / "evenhand", tmp_path, "check", "demo").returncode == 1
