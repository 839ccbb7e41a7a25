"""Matches columns of probabilities with classes by name, and refuses names that fit several classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from evenhand.audit.ingest.columns import TRUTH, listed
from evenhand.errors import InputError

Form = Callable[[str], str]


def match(
    source: str, classes: tuple[str, ...], probability: Sequence[str], truthful: bool, notes: list[str]
) -> tuple[tuple[str, ...], list[str]]:
    """The classes, and the column of each.

    Exact names go first (`high` is of the class high), then one prefix and suffix that all columns share (`p_high`,
    `p_low`), then the numbers from 0 as scikit-learn has them in the sorted order of the classes (`p0`, `p1`), which is
    noted. Capital letters may differ if that leaves one reading. With three classes or more there may be further
    columns, of classes that no example has.

    Args:
        source: the name of the table, for messages.
        classes: names [C]; of two, the second is the positive one.
        probability: the columns, in any order.
        truthful: whether the classes are truth values: `p_true` is then of the class 1.
        notes: for the report; the numbered order is appended.

    Raises:
        InputError: a column that is named twice, another number of columns than of classes, names that fit no class or
            fit the classes in more than one way.

    Example:
        >>> from evenhand.audit.ingest.class_columns import match
        >>> match("t.csv", ("not_hired", "hired"), ["hired", "not_hired"], False, [])
        (('not_hired', 'hired'), ['not_hired', 'hired'])
    """
    if len(set(probability)) < len(probability):
        raise InputError(f"{source}: a column of probabilities is named twice; name one per class")
    if len(probability) < len(classes) or (len(classes) == 2 and len(probability) > 2):
        raise InputError(
            f"{source} has {len(classes)} classes ({listed(classes)}) and {len(probability)} columns of "
            "probabilities are named; name one per class"
            + (", or that of the positive class alone" if len(classes) == 2 else "")
        )
    spellings = [{name: name for name in classes}]
    if truthful:
        words = {code: word for word, code in TRUTH.items()}
        spellings.append({words.get(name, name): name for name in classes})
    readings = _readings(spellings, probability) or _readings(spellings, probability, str.casefold)
    if not readings and (numbered := _numbered(classes, probability)):
        readings = [numbered]
        shown = ", ".join(f"{column} of {name}" for name, column in numbered.items())
        notes.append(f"columns of probabilities were taken in the sorted order of the classes: {shown}")
    if len(readings) != 1:
        raise InputError(
            f"{source}: the names of the columns of probabilities ({listed(probability)}) do not settle which is of "
            f'which class ({listed(classes)}); name each after its class, such as "{classes[0]}" or "p_{classes[0]}"'
        )
    columns = readings[0]
    if len(columns) > len(classes):
        classes = tuple(sorted(columns, key=order(columns)))
    return classes, [columns[name] for name in classes]


def order(words: Iterable[str]) -> type[int] | type[str]:
    """The sorting key of classes: those that are all whole numbers are sorted as such."""
    return int if all(word.removeprefix("-").isdecimal() for word in words) else str


def _readings(
    spellings: Sequence[Mapping[str, str]], probability: Sequence[str], form: Form = str
) -> list[dict[str, str]]:
    """The distinct assignments of columns to classes, exact names alone where they serve.

    Args:
        spellings: class by the word that stands for it in names of columns.
        probability: the columns.
        form: the form in which names are compared.
    """
    exact: list[dict[str, str]] = []
    affixed: list[dict[str, str]] = []
    for spelling in spellings:
        for prefix, suffix in _affixes(next(iter(spelling)), probability, form):
            reading = _reading(spelling, probability, prefix, suffix, form)
            known = affixed if prefix or suffix else exact
            if reading is not None and reading not in known:
                known.append(reading)
    return exact or affixed


def _affixes(word: str, probability: Sequence[str], form: Form) -> set[tuple[str, str]]:
    """What may stand before and after a class's word: all that stands so in some column."""
    word = form(word)
    found = set()
    for column in map(form, probability):
        start = column.find(word)
        while start >= 0:
            found.add((column[:start], column[start + len(word) :]))
            start = column.find(word, start + 1)
    return found


def _reading(
    spelling: Mapping[str, str], probability: Sequence[str], prefix: str, suffix: str, form: Form
) -> dict[str, str] | None:
    """The column of each class when all columns have this prefix and suffix; None where a class has not exactly one."""
    named = {form(word): name for word, name in spelling.items()}
    if len(named) < len(spelling):
        return None
    columns: dict[str, str] = {}
    for column in probability:
        written = form(column)
        middle = written[len(prefix) : len(written) - len(suffix)]
        if not middle or written != prefix + middle + suffix:
            return None
        name = named.get(middle, column[len(prefix) : len(column) - len(suffix)])
        if name in columns:
            return None
        columns[name] = column
    return columns if set(spelling.values()) <= set(columns) else None


def _numbered(classes: Sequence[str], probability: Sequence[str]) -> dict[str, str] | None:
    """The columns numbered from 0 in the sorted order of the classes; None where they are not, or classes are numbers
    themselves, which could be meant."""
    if len(probability) != len(classes) or all(name.removeprefix("-").isdecimal() for name in classes):
        return None
    numbers = {str(number): str(number) for number in range(len(classes))}
    readings = _readings([numbers], probability)
    if len(readings) != 1:
        return None
    return {name: readings[0][str(number)] for number, name in enumerate(sorted(classes, key=order(classes)))}
