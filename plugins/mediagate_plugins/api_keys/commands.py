"""``mediagate keys``: create, list and revoke the API keys of a gate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Annotated

import typer

from mediagate import Action
from mediagate.cli import STANDALONE, Gate, load_gate, run_async
from mediagate.errors import ConfigError, InvalidParameter, PluginError
from mediagate_plugins.api_keys import API_KEYS, ApiKeys

commands = typer.Typer(no_args_is_help=True, help="API keys of a gate that registers the plugin api_keys.")


@commands.command()
def create(
    owner: Annotated[str, typer.Option(help="Owner of the uploads with this key.")],
    gate: Gate = STANDALONE,
    scope: Annotated[
        list[Action] | None,
        typer.Option(
            help="Allowed action; repeatable. Unset: upload and read. admin allows all actions on all owners' uploads."
        ),
    ] = None,
    expires_days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Days until the key expires; unset: never.")
    ] = None,
) -> None:
    """Create a key and print it. It cannot be shown again, because only its hash is stored."""
    expires_in = timedelta(days=expires_days) if expires_days else None

    async def run() -> None:
        async with _keys_of(gate) as keys:
            new = await keys.create(owner=owner, scopes=scope or [Action.UPLOAD, Action.READ], expires_in=expires_in)
        typer.echo(f"key {new.key.id} for {owner}; store it now, because it is not shown again:", err=True)
        typer.echo(new.text)

    run_async(run())


@commands.command("list")
def list_keys(
    gate: Gate = STANDALONE,
    owner: Annotated[str | None, typer.Option(help="Only the keys of this owner.")] = None,
) -> None:
    """List the keys without their secrets, oldest first."""

    async def run() -> None:
        async with _keys_of(gate) as keys:
            found, now = await keys.list(owner=owner), await keys.now()
        for key in found:
            scopes = ",".join(action for action in Action if action in key.scopes)
            typer.echo(
                f"{key.id}  {key.state(now):<7}  {scopes:<24}  created {_day(key.created_at)}  "
                f"expires {_day(key.expires_at)}  used {_day(key.last_used_at)}  {key.owner}"
            )

    run_async(run())


@commands.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="Id of the key, see `list`.")],
    gate: Gate = STANDALONE,
) -> None:
    """Revoke a key permanently; running processes refuse it within a few seconds (the plugin's cache_s)."""

    async def run() -> None:
        async with _keys_of(gate) as keys:
            if not await keys.revoke(key_id):
                raise InvalidParameter("API key not found or already revoked; `mediagate keys list` lists all keys")
        typer.echo(f"revoked {key_id}")

    run_async(run())


@asynccontextmanager
async def _keys_of(path: str) -> AsyncIterator[ApiKeys]:
    gate = load_gate(path)
    async with gate.assembled() as parts:
        try:
            keys = gate[API_KEYS]
        except PluginError:
            raise ConfigError(
                f"the gate {path!r} has no API keys; add gate.register(api_keys), or pass another gate"
            ) from None
        await parts.records.open()
        try:
            await keys.ready(gate)
            yield keys
        finally:
            await parts.records.close()


def _day(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d") if moment else "never"
