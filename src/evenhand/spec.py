"""The base of everything that a YAML file can say: frozen, strict about keys, plain about errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from evenhand.errors import InputError, did_you_mean


class Spec(BaseModel):
    """A frozen description. Unknown keys are refused; `3e-5`, which YAML reads as text, becomes a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=False, protected_namespaces=())

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str) -> Self:
        """Build the spec from plain values.

        Args:
            values: a mapping as YAML gives it.
            where: what the mapping is, for the error: `methods.lora of study.yaml`.

        Raises:
            InputError: an unknown key (with the nearest known one), a missing or an unusable value.
        """
        unknown = [key for key in values if key not in field_names(cls)]
        if unknown:
            raise InputError(f'{where} has no key "{unknown[0]}"; {did_you_mean(str(unknown[0]), field_names(cls))}')
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise InputError(explain(error, where)) from None


def field_names(cls: type[BaseModel]) -> list[str]:
    """The keys that a spec knows, aliases included."""
    return [field.alias or name for name, field in cls.model_fields.items()]


def explain(error: ValidationError, where: str) -> str:
    """The first problem of a pydantic error as one sentence."""
    first = error.errors(include_url=False)[0]
    location = _dotted(first["loc"])
    message = str(first["msg"]).removeprefix("Value error, ")
    at = f"{where}: {location}" if location else where
    if first["type"] == "value_error":
        return message if location == "" or where in message else f"{at}: {message}"
    if first["type"] == "extra_forbidden":
        return f"{at} is not a known key"
    if first["type"] == "missing":
        return f"{at} is missing"
    given = first.get("input")
    shown = "" if isinstance(given, Mapping) else f", not {given!r}"
    return f"{at}: {message[0].lower()}{message[1:]}{shown}"


def _dotted(location: Iterable[int | str]) -> str:
    return ".".join(str(part) for part in location)
