"""What saved adapters say of the machine that they were trained on: nothing."""

from __future__ import annotations

import shutil

import pytest

from evenhand import LoRA
from evenhand.models.find import ASSETS, find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import load_classifier


@pytest.mark.parametrize(("folder", "loader"), [("tiny-bert", load_classifier), ("tiny-llama", load_language_model)])
@pytest.mark.parametrize("copied", [False, True])
def test_no_file_of_an_adapter_names_a_folder_of_the_machine(tmp_path, folder, loader, copied):
    name = str(shutil.copytree(ASSETS / folder, tmp_path / "base")) if copied else folder
    base = find_model(name)
    model = loader(base, ("no", "yes"), 0) if loader is load_classifier else loader(base)
    adapted = LoRA(rank=2).apply(model, 0)
    LoRA(rank=2).save(adapted, tmp_path / "trial")
    files = [path for path in (tmp_path / "trial").rglob("*") if path.is_file()]
    assert any(path.name == "README.md" for path in files)
    for path in files:
        assert str(tmp_path).encode() not in path.read_bytes() and str(ASSETS).encode() not in path.read_bytes(), path
    assert f"base_model: {'base' if copied else folder}" in (tmp_path / "trial/adapter/README.md").read_text()
