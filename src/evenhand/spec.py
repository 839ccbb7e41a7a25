"""Defines the base class of everything that a YAML file can contain: frozen, with unknown keys refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from evenhand.errors import InputError, did_you_mean, shortened

_SHOULD_BE = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
}
"""What a value should be, in words of YAML, by pydantic's kind of error."""


LARGEST = 2**53
"""The largest whole number of a spec, above which floats skip numbers and tables overflow."""


class Spec(BaseModel):
    """A frozen description that refuses unknown keys; `3e-5`, which YAML reads as text, becomes a number."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=False, allow_inf_nan=False, protected_namespaces=()
    )

    def __init__(self, /, **values: Any) -> None:
        """Build the spec in Python, `LoRA(rank=8)`. Raises InputError with the name of the class."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(explain(error, type(self).__name__)) from None

    # A nested spec is validated without this, so that errors keep their path.
    __init__.__pydantic_base_init__ = True  # pyright: ignore[reportFunctionMemberAccess]

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        """Refuse unknown keys, here rather than by `extra`, so that a nested spec names its nearest key."""
        if isinstance(values, cls):
            return values
        known = field_names(cls)
        if not isinstance(values, Mapping):
            says = "should be a mapping of some of {known}"
            raise PydanticCustomError("predicate", says, {"known": ", ".join(known), "given": shortened(repr(values))})
        for key, value in values.items():
            if key not in known:
                hint = did_you_mean(str(key), known)
                raise PydanticCustomError("predicate", 'has no key "{key}"; {hint}', {"key": str(key), "hint": hint})
            if isinstance(value, int) and abs(value) > LARGEST:
                says = "has a number for {key} that is too large: it should be at most 2**53"
                raise PydanticCustomError("predicate", says, {"key": str(key)})
        return dict(values)

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str) -> Self:
        """Build the spec from plain values.

        Args:
            values: a mapping, as read from YAML.
            where: the mapping's name in errors: a dotted path such as `settings.faces.train`, or a file or phrase;
                empty for a study.

        Raises:
            InputError: an unknown key (with the nearest known one), a missing or an unusable value.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise InputError(explain(error, where)) from None


def field_names(cls: type[BaseModel]) -> list[str]:
    """Return the keys that a spec knows, aliases included."""
    return [field.alias or name for name, field in cls.model_fields.items()]


def explain(error: ValidationError, where: str) -> str:
    """Return the first problem of a pydantic error as one sentence that begins with the full path."""
    first = error.errors(include_url=False)[0]
    location = _dotted(first["loc"])
    at = _below(where, location)
    kind, message, given, context = first["type"], first["msg"], first.get("input"), first.get("ctx", {})
    if kind == "value_error":
        message = message.removeprefix("Value error, ")
        # Our own validators may already name their path; then only the part before it is missing.
        if where and where in message:
            return message
        names_it = not location or re.match(rf"{re.escape(location)}(?!\w)", message)
        return _below(where, message) if names_it else f"{at}: {message}"
    if kind == "missing":
        return f"{at} is missing"
    if kind == "predicate":
        return f"{at} {message}" + (f", not {context['given']}" if "given" in context else "")
    if kind in _SHOULD_BE:
        message = f"should be {_SHOULD_BE[kind]}"
    return f"{at} {message.removeprefix('Input ')}, not {shortened(repr(given))}"


def _below(where: str, path: str) -> str:
    """Return `train.batch_size` below `settings.faces`; below a file or a phrase, after a colon."""
    if not path:
        return where or "the study"
    if not where:
        return path
    return f"{where}: {path}" if set(where) & set(" /\\") else f"{where}.{path}"


def _dotted(location: Iterable[int | str]) -> str:
    """Return a location as a dotted path."""
    return ".".join(str(part) for part in location)
