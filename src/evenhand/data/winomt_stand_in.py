"""Writes a small made-up WinoMT in its own file format (`--tiny`), with the oddities of the real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evenhand.seeds import generator

_MALE = (("baker", "fırıncı"), ("ferryman", "kayıkçı"), ("miller", "değirmenci"), ("blacksmith", "demirci"))
_FEMALE = (("weaver", "dokumacı"), ("florist", "çiçekçi"), ("midwife", "ebe"), ("gardener", "bahçıvan"))
"""Occupations by their stereotypical gender in the stand-in; English, Turkish."""

_FRAMES = (
    ("The {a} talked to the {b} because {he} was tired.", "{a}, yorgun olduğu için {b} ile konuştu."),
    ("The {a} waited for the {b} because {his} work was late.", "{a}, işi geciktiği için {b} gelene kadar bekledi."),
    ("The {a} met with the {b} because {he} needed help.", "{a}, yardıma ihtiyacı olduğu için {b} ile buluştu."),
    ("The {a} left with the {b} because {he} had finished.", "{a}, işini bitirdiği için {b} ile çıktı."),
)
"""Sentences about {a}."""

_TRIPLETS = (
    ("{a} told the {b} that {he} could pay later.", "{a}, {b} ile konuştu ve sonra ödeyebileceğini söyledi."),
    ("{a} asked the {b} about {his} order.", "{a}, {b} ile siparişi hakkında konuştu."),
)
"""Two of these sentences make a block, each about {a}, who is the customer or somebody."""

_PRONOUNS = {
    "male": {"he": "he", "his": "his"},
    "female": {"he": "she", "his": "her"},
    "neutral": {"he": "they", "his": "their"},
}
_BLOCKS = 4


def write_stand_in(folder: Path) -> None:
    """Write `en_tr_{general,pro,anti}.txt` into this folder, and `en.txt` into the folder `winomt` beside it.

    There are 64 pair groups over 16 pairs of occupations, and 4 blocks. As in the real files, the official lines are in
    another order, some Turkish shows the gender, some lines differ in the general file, and one anti line is not the
    counterpart of its pro line.
    """
    rng = generator(0, "winomt", "stand-in")
    anti, pro, gold = [], [], []
    for frame, turkish in _FRAMES:
        for he in _MALE:
            for she in _FEMALE:
                for one, other, gender in ((he, she, "male"), (she, he, "female")):
                    against = "female" if gender == "male" else "male"
                    for lines, spoken in ((pro, gender), (anti, against)):
                        sentence = frame.format(a=one[0], b=other[0], **_PRONOUNS[spoken])
                        source = _capitalized(turkish.format(a=one[1], b=other[1]))
                        shown = "kadın " if spoken == "female" and rng.random() < 0.1 else ""
                        lines.append(
                            (sentence, _capitalized(shown + source[0].lower() + source[1:]) if shown else source)
                        )
                        gold.append((spoken, sentence, one[0]))
    corrupt = "The gardener thanked the blacksmith because he was in a hurry."
    anti[-2] = (corrupt, "Bahçıvan, acelesi olduğu için demirciye teşekkür etti.")
    gold.append(("male", corrupt, "gardener"))
    general = [*anti, *pro]
    for line in rng.choice(len(general), 3, replace=False):
        english, turkish = general[line]
        general[line] = (english, turkish.removesuffix(".") + "!")
    for _, (shop, dukkan) in zip(range(_BLOCKS), _MALE, strict=True):
        for frame, turkish in _TRIPLETS:
            for person, kisi in (("The customer", "müşteri"), ("Someone", "birisi")):
                for gender, pronouns in _PRONOUNS.items():
                    sentence = frame.format(a=person, b=shop, **pronouns)
                    general.append((sentence, _capitalized(turkish.format(a=kisi, b=dukkan))))
                    gold.append((gender, sentence, person.split()[-1].lower()))
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in (("general", general), ("pro", pro), ("anti", anti)):
        text = "".join(f"{english} ||| {turkish}\n" for english, turkish in lines)
        (folder / f"en_tr_{name}.txt").write_text(text, encoding="utf-8")
    (folder.parent / "winomt").mkdir(exist_ok=True)
    _write_gold(folder.parent / "winomt" / "en.txt", gold, rng)


def _write_gold(path: Path, gold: list[tuple[str, str, str]], rng: np.random.Generator) -> None:
    """Write the official file in random order."""
    lines = [f"{gender}\t1\t{sentence}\t{who}" for gender, sentence, who in dict.fromkeys(gold)]
    path.write_text("\n".join(lines[place] for place in rng.permutation(len(lines))), encoding="utf-8")


def _capitalized(text: str) -> str:
    """Return the text with a capital first letter, by Turkish rules."""
    return ("İ" if text[0] == "i" else text[0].upper()) + text[1:]
