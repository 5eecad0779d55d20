"""The champions of a run: resolved once, used to the end, and looked at again before anything is published."""

from collections.abc import Iterable, Iterator, Mapping

from features.errors import ModelError
from flows.registry import Version, versions
from flows.score_rows import LoadedModel
from flows.sealed_models import DIGEST
from flows.tracking import CHAMPION, Champion

__all__ = ["load_champions", "overtaken", "require_registered"]


def load_champions(champions: Mapping[str, Champion], contract_hash: str) -> dict[str, LoadedModel]:
    """Load the versions that an alias stood for when the run began.

    Parameters
    ----------
    champions : mapping of str to Champion
        By outcome.
    contract_hash : str
        Of the features of the rows to be scored.

    Returns
    -------
    dict of str to LoadedModel

    Raises
    ------
    ModelError
        A version was fitted on other features, or is registered no longer.
    """
    require_registered(champions)
    loaded = {}
    for outcome, one in champions.items():
        try:
            loaded[outcome] = LoadedModel(one.version, one.load(contract_hash))
        except ModelError:
            raise
        except Exception:  # (each kind of registry fails in its own way)
            require_registered(champions)
            raise
    return loaded


def require_registered(champions: Mapping[str, Champion]) -> None:
    """Refuse to go on with a version that has been withdrawn since the run began, also where its number lives on.

    Parameters
    ----------
    champions : mapping of str to Champion
        By outcome.

    Raises
    ------
    ModelError
        Names the version.
    """
    for one, known in _listed(champions):
        if (one.version, one.tags.get(DIGEST, "")) not in {(version.version, version.sealed) for version in known}:
            raise ModelError(
                f"{one.name} version {one.version}, the champion when this run began, has been withdrawn since. A "
                "version that stays registered was expected. Nothing was published with it: run journeylift score "
                "again for the champion of now."
            )


def overtaken(champions: Mapping[str, Champion]) -> list[str]:
    """Say which champions are others by now.

    Parameters
    ----------
    champions : mapping of str to Champion
        By outcome, as they were when the run began.

    Returns
    -------
    list of str
        A sentence each, with what to run.
    """
    found = []
    for one, known in _listed(champions):
        now = next((version for version in known if CHAMPION in version.aliases.split(", ")), None)
        if now is None or (now.version, now.sealed) != (one.version, one.tags.get(DIGEST, "")):
            since = f"version {now.version} is champion" if now is not None else "there is no champion"
            found.append(
                f"note: {one.name}: {since} since this run began; these scores are by version {one.version}. "
                "For scores by the champion of now: journeylift score"
            )
    return found


def _listed(champions: Mapping[str, Champion]) -> Iterator[tuple[Champion, Iterable[Version]]]:
    for outcome, one in champions.items():
        yield one, versions(one.tracker, outcome)
