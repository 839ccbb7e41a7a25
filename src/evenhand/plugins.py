"""Finds tasks, methods, measures and scorers that other installed packages declare as entry points.

A package names them in the groups `evenhand.tasks`, `evenhand.methods`, `evenhand.measures` and `evenhand.scorers` of
its metadata; see docs/extending.md. Each process reads the names once from the metadata of all installed packages. An
object is imported when it is first used. Because every process reads the same metadata, nothing has to be sent to other
processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, TypeVar

from evenhand.errors import InputError, first_line

Group = Literal["tasks", "methods", "measures", "scorers"]

T = TypeVar("T")


@dataclass(frozen=True)
class Plugin:
    """A task, method, measure or scorer that an installed package declares.

    Attributes:
        name: name of the entry point, which is the name of the task, method, measure or scorer.
        package, version: the package that declares it, and its version.
        entry: the entry point.
    """

    name: str
    package: str
    version: str
    entry: EntryPoint

    def __str__(self) -> str:
        of = f"of {self.entry.group} in the package {self.package} {self.version}"
        return f'the entry point {self.name} = "{self.entry.value}" {of}'


class Registry(Mapping[str, T]):
    """The built-in tasks, methods, measures or scorers, followed by those of installed packages, by name.

    Listing names reads only the packages' metadata. An object of a package is imported when it is looked up, and kept.

    Raises:
        InputError: on any use, if two packages, or a package and Evenhand, declare the same name; on a lookup, if the
            object cannot be imported or `fault` finds something wrong with it.
    """

    def __init__(self, group: Group, built_in: Mapping[str, T], fault: Callable[[str, Any], str | None]) -> None:
        """Combine both kinds of entries.

        Args:
            group: group of entry points.
            built_in: the package's own entries by name.
            fault: takes the name and the object of an entry point, and returns what is wrong with the object, as the
                end of a sentence about it; None if nothing is.
        """
        self._group: Group = group
        self._built_in = built_in
        self._fault = fault
        self._loaded: dict[str, T] = {}

    @cached_property
    def _declared(self) -> Mapping[str, Plugin]:
        plugins = declared(self._group)
        for name in self._built_in:
            if name in plugins:
                raise _clash(self._group, name, "evenhand", plugins[name].package)
        return plugins

    def __getitem__(self, name: str) -> T:
        plugin = self._declared.get(name)
        if plugin is None:
            return self._built_in[name]
        if name not in self._loaded:
            self._loaded[name] = self._load(plugin)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._declared or name in self._built_in

    def __iter__(self) -> Iterator[str]:
        plugins = self._declared
        yield from self._built_in
        yield from plugins

    def __len__(self) -> int:
        return len(self._built_in) + len(self._declared)

    def _load(self, plugin: Plugin) -> T:
        try:
            value = plugin.entry.load()
            fault = self._fault(plugin.name, value)
        except Exception as error:  # somebody else's module may raise any exception
            reason = f"{type(error).__name__}: {first_line(error)}"
            raise InputError(f"{plugin} cannot be imported ({reason})") from error
        if fault is not None:
            raise InputError(f"{plugin} {fault}")
        return value


@cache
def declared(group: Group) -> Mapping[str, Plugin]:
    """The declarations of installed packages in a group, by name, without importing them.

    Raises:
        InputError: two packages declare the same name.
    """
    plugins: dict[str, Plugin] = {}
    found = map(_plugin, entry_points(group=f"evenhand.{group}"))
    for plugin in sorted(found, key=lambda plugin: (plugin.name, plugin.package)):
        if plugin.name in plugins:
            raise _clash(group, plugin.name, plugins[plugin.name].package, plugin.package)
        plugins[plugin.name] = plugin
    return plugins


def versions(*groups: Group) -> dict[str, str]:
    """The versions of the packages that declare something in these groups, by package."""
    return {plugin.package: plugin.version for group in groups for plugin in declared(group).values()}


def _plugin(entry: EntryPoint) -> Plugin:
    assert entry.dist is not None  # `entry_points` sets it
    return Plugin(entry.name, entry.dist.name, entry.dist.version, entry)


def _clash(group: Group, name: str, *packages: str) -> InputError:
    first, second = packages
    remedy = "rename it there" if first == "evenhand" else "uninstall one of them"
    return InputError(
        f'the packages {first} and {second} both bring a {group.removesuffix("s")} "{name}"; '
        f"names have to be unique, so {remedy}"
    )
