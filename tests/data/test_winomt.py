"""Claims about WinoMT in Turkish: the real files where they are, else the stand-in in their format."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from evenhand.data.splits import SplitSpec
from evenhand.data.winomt import WinoMT, load_winomt
from evenhand.data.winomt_stand_in import write_stand_in
from evenhand.errors import InputError


@pytest.fixture(scope="module")
def folder(shared_data) -> Path:
    found = shared_data / "winomt_turkish"
    if not found.is_dir():
        pytest.skip(f"WinoMT in Turkish is not at {found}")
    return found


@pytest.fixture(scope="module")
def real(folder) -> WinoMT:
    return load_winomt(folder)


@pytest.fixture(scope="module")
def made_up(tmp_path_factory) -> WinoMT:
    folder = tmp_path_factory.mktemp("data") / "winomt_turkish"
    write_stand_in(folder)
    return load_winomt(folder)


def test_the_files_hold_what_their_authors_count(real):
    assert len(real) == 3888 and Counter(real.part) == {"anti": 1584, "pro": 1584, None: 720}
    assert Counter(real.gold) == {"male": 1826, "female": 1822, "neutral": 240}
    assert len(set(real.occupation[real.block < 0])) == 40
    assert real.sentence[0] == "The developer argued with the designer because she did not like the design."
    assert real.source[0] == "Geliştirici, tasarımı beğenmediği için tasarımcıyla tartıştı."


def test_he_is_pro_stereotypical_in_even_lines_but_for_the_two_corrupt_ones(real):
    even = np.arange(0, 3168, 2)
    assert np.flatnonzero(real.corrupt).tolist() == [1568, 1570]
    assert even[real.stereotype[even] != "male"].tolist() == [1568, 1570]
    assert (real.stereotype[even + 1] == "female").all()
    assert set(real.stereotype[3168:]) == {None}


def test_an_occupation_has_one_stereotype_throughout(real):
    pairs = set(zip(real.occupation[:3168], real.stereotype[:3168], strict=True))
    assert len(pairs) == 40 and Counter(gender for _, gender in pairs) == {"male": 20, "female": 20}


def test_a_pair_group_is_four_lines_about_two_occupations_with_both_pronouns(real):
    for number in range(792):
        lines = np.flatnonzero(real.unit == f"pair-{number}")
        assert lines.tolist() == [2 * number, 2 * number + 1, 2 * number + 1584, 2 * number + 1585]
        assert len(set(real.occupation[lines])) == 2
        if number not in (784, 785):  # those of the corrupt lines
            assert sorted(real.gold[lines]) == ["female", "female", "male", "male"]


def test_the_other_lines_are_sixty_blocks_of_twelve_in_he_she_and_they(real):
    for number in range(60):
        lines = np.flatnonzero(real.block == number)
        assert lines.tolist() == list(range(3168 + 12 * number, 3180 + 12 * number))
        assert Counter(real.gold[lines]) == {"male": 4, "female": 4, "neutral": 4}
        assert set(real.unit[lines]) == {f"block-{number}"}


def test_by_occupations_units_are_393_pairs_and_no_sentence_is_in_two(folder, real):
    """Counted from the anti half alone it would be 395: both lines of a corrupt pair name the same referent there."""
    found = load_winomt(folder, units="occupations")
    pairs = set(found.unit[found.block < 0])
    assert len(pairs) == 393 and all(name.count(", ") == 1 for name in pairs)
    anti = real.occupation[:1584].reshape(-1, 2)
    assert len({frozenset(pair) for pair in anti}) == 395
    units = {}
    for sentence, unit in zip(found.sentence, found.unit, strict=True):
        assert units.setdefault(sentence, unit) == unit


def test_the_notes_count_what_a_reader_must_know(real):
    assert "1,584 anti- and 1,584 pro-stereotypical sentences in 792 units, 720 others in 60 blocks" in real.notes[0]
    assert "of 452 of 1,584 pairs differs between the pro and the anti file (447 in the general file)" in real.notes[1]
    assert "20 anti and 22 pro lines" in real.notes[2]
    assert real.notes[3].endswith("1568, 1570") and real.notes[4].endswith("training and test: 6")


def test_lines_whose_turkish_may_show_the_gender_are_known(real):
    varying = real.varying_source()
    assert varying.sum() == 2 * 452 and not varying[3168:].any()
    assert (varying[:1584] == varying[1584:3168]).all()


@pytest.fixture(params=["real", "made_up"])
def either(request) -> WinoMT:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("seed", [13, 1337])
def test_no_unit_is_split_and_each_part_has_its_share_of_pairs_and_blocks(either, seed):
    found = either.split(SplitSpec(test=0.25, validation=0.1), seed)
    parts = [found.train, found.validation, found.test]
    units = [set(either.unit[part]) for part in parts]
    assert not (units[0] & units[1] or units[0] & units[2] or units[1] & units[2])
    assert sorted(np.concatenate(parts)) == list(range(len(either)))
    for kind in (either.block < 0, either.block >= 0):
        assert kind[found.test].sum() == pytest.approx(0.25 * kind.sum(), abs=12)


def test_what_is_tested_is_balanced_and_each_question_is_asked_once(either):
    held_out = either.split(SplitSpec(), 42).test
    tested = either.tested(held_out)
    assert set(tested) <= set(held_out) and not either.corrupt[tested].any()
    counts = Counter(either.stereotype[tested])
    assert abs(counts["male"] - counts["female"]) <= either.corrupt.sum()
    assert len(tested) == pytest.approx(len(either.lines("anti")) * 0.2, abs=6)


def test_what_is_trained_on_is_a_parts_lines_of_the_training_split_with_that_files_turkish(either):
    train = either.split(SplitSpec(), 42).train
    half = len(either.lines("pro"))
    pro = either.examples("pro", train)
    lines = [line for line in train if half <= line < 2 * half]
    assert pro == [(either.part_source[line], either.sentence[line]) for line in lines]
    assert len(either.examples("general", train)) == len(train)
    everything = np.arange(len(either))
    assert len(either.examples("anti", everything)) == half
    assert dict(either.examples("pro", everything)) != dict(either.examples("general", either.lines("pro")))


def test_the_referents_stereotype_is_an_attribute_of_the_examples(either):
    data = either.dataset()
    groups = data.attributes["stereotype"]
    assert groups.groups == ("female", "male")
    assert (groups.masks.sum(axis=1) == (either.block < 0)).all()
    assert len(set(data.example)) == len(data) == len(either)


def test_the_stand_in_has_the_oddities_of_the_real_files(made_up):
    assert len(made_up) == 304 and np.flatnonzero(made_up.corrupt).tolist() == [126]
    assert made_up.stereotype[126] == "female" and (made_up.stereotype[0:126:2] == "male").all()
    assert len(set(made_up.unit)) == 64 + 4
    assert any(one != other for one, other in zip(made_up.source, made_up.part_source, strict=True))
    assert set(made_up.gold) == {"male", "female", "neutral"}


def test_the_stand_in_is_the_same_every_time_and_its_gold_stands_in_another_order(tmp_path):
    folders = [tmp_path / name / "winomt_turkish" for name in ("one", "two")]
    for folder in folders:
        write_stand_in(folder)
    for name in ("winomt_turkish/en_tr_general.txt", "winomt_turkish/en_tr_pro.txt", "winomt/en.txt"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    general = [line.split(" ||| ")[0] for line in (folders[0] / "en_tr_general.txt").read_text().splitlines()]
    assert [line.split("\t")[2] for line in (tmp_path / "one/winomt/en.txt").read_text().splitlines()] != general
    assert not (tmp_path / "one/winomt/en.txt").read_text().endswith("\n"), "as in the official file"


def test_by_occupations_the_stand_in_has_sixteen_pairs(tmp_path):
    folder = tmp_path / "winomt_turkish"
    write_stand_in(folder)
    found = load_winomt(folder, units="occupations")
    assert len(set(found.unit[found.block < 0])) == 16


def test_a_gold_folder_elsewhere_can_be_named(tmp_path):
    write_stand_in(tmp_path / "a" / "winomt_turkish")
    (tmp_path / "a" / "winomt").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"winomt/en\.txt is missing"):
        load_winomt(tmp_path / "a" / "winomt_turkish")
    assert len(load_winomt(tmp_path / "a" / "winomt_turkish", gold=tmp_path / "elsewhere")) == 304


GENERAL, PRO, ANTI, EN = (
    "winomt_turkish/en_tr_general.txt",
    "winomt_turkish/en_tr_pro.txt",
    "winomt_turkish/en_tr_anti.txt",
    "winomt/en.txt",
)


def without_last(lines: list[str]) -> list[str]:
    return lines[:-1]


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        (GENERAL, lambda lines: [], "en_tr_general.txt has no lines"),
        (GENERAL, without_last, "has 303 lines; it should have 256 and blocks of 12"),
        (GENERAL, lambda lines: [lines[1], lines[0], *lines[2:]], "should be the sentence in line 1 of en_tr_anti"),
        (GENERAL, lambda lines: ["no Turkish", *lines[1:]], r"line 1 of .* should be English \|\|\| Turkish"),
        (GENERAL, lambda lines: [*lines[:-1], "A ||| B ||| C"], r"line 304 of .* should be English \|\|\| Turkish"),
        (GENERAL, lambda lines: [*lines[:-1], "It left. ||| O gitti."], "sentence in line 304 .* is not in winomt/en"),
        (PRO, without_last, "has 128 lines and en_tr_pro.txt 127; both should have the same even number"),
        (EN, lambda lines: ["male\t1\tA sentence.", *lines], r"line 1 of .*en.txt should be gender"),
        (EN, lambda lines: ["man\t1\tA sentence.\tcook", *lines], r"gender \(male, female, neutral\), index"),
        (EN, lambda lines: [*lines, lines[0].replace("\t1\t", "\t5\t") + "s"], "a sentence of an earlier line"),
        (EN, lambda lines: [line.replace("female\t", "neutral\t") for line in lines], "but gender-neutral"),
    ],
)  # fmt: skip
def test_files_that_read_otherwise_are_refused(tmp_path, name, change, sentence):
    write_stand_in(tmp_path / "winomt_turkish")
    path = tmp_path / name
    path.write_text("\n".join(change(path.read_text(encoding="utf-8").splitlines())), encoding="utf-8")
    with pytest.raises(InputError, match=sentence):
        load_winomt(tmp_path / "winomt_turkish")


def test_what_is_not_there_or_not_known_is_refused(tmp_path, made_up):
    for missing in (None, tmp_path / "winomt_turkish"):
        with pytest.raises(InputError, match="--data DIR must name a folder that holds winomt_turkish/"):
            load_winomt(missing)
    with pytest.raises(InputError, match='no part "prro"; did you mean "pro"'):
        made_up.lines("prro")
    with pytest.raises(InputError, match='units are "occupation"; did you mean "occupations"'):
        load_winomt(tmp_path, units="occupation")
