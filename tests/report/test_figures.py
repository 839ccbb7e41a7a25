"""Charts as files: one per chart, attribute and setting, whole, with names that every file system takes."""

from __future__ import annotations

from pathlib import Path

from evenhand.report.figures import write


def names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


def test_every_attribute_gets_its_pictures(simulate, tmp_path):
    results = simulate(groups=(("shape", ("circle", "square")), ("skin tone", ("dark", "light"))))
    written = write(results, tmp_path / "figures")
    assert names(written) == [
        *("verdicts-shape", "verdicts-skin-tone", "accuracy-shape", "accuracy-skin-tone"),
        *(
            f"{chart}-{attribute}"
            for attribute in ("shape", "skin-tone")
            for chart in ("demographic-parity", "equalized-odds")
        ),
        *(
            f"plane-{chart}-{attribute}"
            for attribute in ("shape", "skin-tone")
            for chart in ("demographic-parity", "equalized-odds")
        ),
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == sorted(path.name for path in written)


def test_pictures_of_several_settings_name_theirs(simulate, tmp_path):
    written = write(simulate(settings=("faces", "posts")), tmp_path, "svg")
    assert names(written)[0] == "across-settings-lora-full"
    assert {name.partition("-")[0] for name in names(written)[1:]} == {"faces", "posts"}
    assert all("<svg" in path.read_text()[:200] for path in written)


def test_the_gaps_of_one_method_have_a_picture_and_without_groups_there_is_none(simulate, tmp_path):
    written = write(simulate(methods=("full",), references=()), tmp_path / "gaps")
    assert names(written)[:2] == ["verdicts-shape", "accuracy-shape"]
    assert not any("verdicts" in name for name in names(write(simulate(groups=()), tmp_path / "whole")))


def test_with_several_classes_the_measures_of_all_classes_are_drawn(simulate, tmp_path):
    assert names(write(simulate(classes=3), tmp_path)) == ["verdicts-shape", "accuracy-shape"]
