"""Events that Prefect's automations can react to."""

from collections.abc import Mapping
from typing import Any, Final

from flows import console
from flows.settings import turn_telemetry_off

turn_telemetry_off()

from prefect.events import emit_event  # noqa: E402 (Prefect reads the environment on import)
from prefect.settings import PREFECT_API_URL  # noqa: E402

__all__ = ["announce"]

_PREFIX: Final = "journeylift."


def announce(event: str, resource: str, payload: Mapping[str, Any], *, is_told: bool = False) -> bool:
    """Send an event to a Prefect server, if there is one; a run never fails for it.

    Parameters
    ----------
    event : str
        Without the leading ``journeylift.``, such as ``monitor.act``.
    resource : str
        What it is about, without the leading ``journeylift.``: such as ``study.northline``.
    payload : mapping
        Plain values.
    is_told : bool
        Say what became of it.

    Returns
    -------
    bool
        Whether it was handed over.
    """
    name = f"{_PREFIX}{event}"
    if not PREFECT_API_URL.value():
        if is_told:
            console.say(f"event {name}: not sent, for there is no Prefect server (PREFECT_API_URL is not set).")
        return False
    try:
        sent = emit_event(event=name, resource={"prefect.resource.id": f"{_PREFIX}{resource}"}, payload=dict(payload))
    except Exception as error:  # noqa: BLE001 (a server that does not answer must not undo what was found)
        console.say(f"event {name}: not sent, {type(error).__name__}: {str(error)[:200]}")
        return False
    if is_told:
        console.say(f"event {name}: {'sent' if sent is not None else 'not sent, Prefect takes no events here'}.")
    return sent is not None
