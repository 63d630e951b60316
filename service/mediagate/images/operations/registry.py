"""The operations of an installation, by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mediagate.errors import ConfigError
from mediagate.images.operations.operation import Engine, Extra, Operation
from mediagate.images.operations.recipe import SAVE

MEGAPIXEL = 1_000_000
NAME = "[a-z0-9_]{1,64}"


class Operations(Mapping[str, Operation[Any]]):
    """Operations by name; a plugin adds its own with ``add`` before the image processes start."""

    def __init__(self, operations: Iterable[Operation[Any]] = ()) -> None:
        self._by_name: dict[str, Operation[Any]] = {}
        for operation in operations:
            self.add(operation)

    def __getitem__(self, name: str) -> Operation[Any]:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def add(self, operation: Operation[Any]) -> None:
        """Add an operation; raises ``ConfigError`` if its name is taken or cannot be used, or if it makes a file."""
        if not re.fullmatch(NAME, operation.name):
            raise ConfigError(f"operation {operation.name!r:.80}: name it with a-z, 0-9 and _, at most 64")
        if operation.gives == "file" and operation.name != SAVE:
            raise ConfigError(f'operation {operation.name!r}: only {SAVE} makes files; set gives="picture" or "data"')
        if operation.name in self._by_name:
            raise ConfigError(f"two operations are named {operation.name!r}; rename one")
        self._by_name[operation.name] = operation

    def replace(self, operation: Operation[Any]) -> None:
        """Set another operation of the same name; raises ``ConfigError`` if there is none."""
        if operation.name not in self._by_name:
            raise ConfigError(f"there is no operation {operation.name!r} to replace; add it")
        self._by_name[operation.name] = operation

    def describe(self) -> list[dict[str, Any]]:
        """Return each operation for clients: its JSON Schema, whether it is available, and what a megapixel costs.

        ``cost`` is ``None`` where it depends on the parameters.
        """
        return [_described(operation) for operation in self.values()]


def _described(operation: Operation[Any]) -> dict[str, Any]:
    schema = operation.params.model_json_schema(by_alias=True)
    rate = operation.cost if not callable(operation.cost) else None
    return {
        "op": operation.name,
        "family": operation.family,
        "description": schema.pop("description", ""),
        "takes": operation.takes,
        "gives": operation.gives,
        "inputs": list(operation.inputs),
        "needs": _extra(operation.needs),
        "optionsNeed": {name: _extra(extra) for name, extra in operation.options_need.items()},
        "engines": [_engine(engine) for engine in operation.engines],
        "available": operation.available,
        "cost": None if rate is None else rate.cost(MEGAPIXEL)._asdict(),
        "schema": schema,
    }


def _engine(engine: Engine) -> dict[str, Any]:
    return {
        "name": engine.name,
        "available": engine.available,
        "install": engine.needs.pip,
        "languages": list(engine.languages()),
    }


def _extra(extra: Extra | None) -> dict[str, Any] | None:
    return None if extra is None else {"extra": extra.name, "available": extra.available, "install": extra.pip}
