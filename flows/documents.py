"""Files that people write, read as text and never further than the largest that is accepted."""

from pathlib import Path

from features.document_limits import MOST_BYTES
from features.errors import StudyError

__all__ = ["read_document"]


def read_document(path: Path) -> str:
    r"""Read a study, an initiatives file or a scenario.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        Its text, with line ends as ``\n``.

    Raises
    ------
    StudyError
        It is longer than `MOST_BYTES`.
    OSError, UnicodeDecodeError
        It cannot be read, or is not UTF-8.

    Notes
    -----
    A file that has no end, such as ``/dev/zero``, is refused like any other that is too long.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "study.yaml"
    ...     _ = path.write_bytes(b"study: a\r\n")
    ...     read_document(path)
    'study: a\n'
    """
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise StudyError(
            f"'{path.name}' is longer than {MOST_BYTES:,} bytes. A YAML file written by hand was expected. Check the "
            "path, or leave out what is not needed."
        )
    return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
