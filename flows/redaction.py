"""Take secrets out of what is shown: passwords in addresses, and values of the environment that are secret by name."""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import unquote

__all__ = ["environment_secrets", "redacted"]

_HIDDEN: Final = "***"
_SHORTEST: Final = 4
"""Characters; what is shorter occurs in words by chance."""

# User and password end at the last @ before a blank or a quote: passwords hold @ and / where nobody has escaped them.
_IN_ADDRESS: Final = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<who>[^\s'\"<>]*)@", re.IGNORECASE)
_IN_QUERY: Final = re.compile(
    r"(?P<name>[?&; ](?:password|passwd|pwd|sslpassword|token|access_token|secret|signature|sig|api_?key)=)[^&;\s'\"]+",
    re.IGNORECASE,
)
_SECRET_NAME: Final = re.compile(r"PASSWORD|PASSWD|PWD$|TOKEN|SECRET|CREDENTIAL|API_?KEY|ACCESS_KEY|AUTH_STRING")


def redacted(text: str, known: Iterable[str] = ()) -> str:
    """Take user, password and secret parameters out of addresses in a text, and secrets that are known.

    Parameters
    ----------
    text : str
        Such as the message of a driver.
    known : iterable of str
        Secrets, or addresses that hold them, to be taken out wherever they stand.

    Returns
    -------
    str
        The text without them.

    Examples
    --------
    >>> redacted("cannot reach postgresql://app:s3cr3t@db/shop?sslmode=require&password=s3cr3t")
    'cannot reach postgresql://db/shop?sslmode=require&password=***'
    >>> redacted("FATAL: wrong password s3cr3t", ["postgresql://app:s3cr3t@db/shop"])
    'FATAL: wrong password ***'
    """
    found = {part for one in known for part in _secrets_of(one)}
    text = _IN_ADDRESS.sub(lambda match: match["scheme"], text)
    for one in sorted(found, key=lambda secret: (-len(secret), secret)):
        text = text.replace(one, _HIDDEN)
    return _IN_QUERY.sub(lambda match: match["name"] + _HIDDEN, text)


def environment_secrets(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Give the secrets that the environment holds: addresses with a password, and what is called a secret.

    Parameters
    ----------
    environment : mapping, optional
        The process's own when left out.

    Examples
    --------
    >>> environment_secrets({"SHOP_URL": "postgresql://a:b4ck@h/d", "DB_PASSWORD": "hunter22", "HOME": "/home/a"})
    ('postgresql://a:b4ck@h/d', 'hunter22')
    """
    given = os.environ if environment is None else environment
    return tuple(
        value
        for name, value in given.items()
        if (_SECRET_NAME.search(name.upper()) and len(value) >= _SHORTEST and not value.startswith("/"))
        or _IN_ADDRESS.search(value)
        or _IN_QUERY.search(value)
    )


def _secrets_of(known: str) -> Iterable[str]:
    """Give what is secret in an address: password and parameters, as they stand and decoded; or all of it."""
    address = _IN_ADDRESS.search(known)
    parameters = [match[0].partition("=")[2] for match in _IN_QUERY.finditer(known)]
    given = [address["who"].partition(":")[2], *parameters] if address else parameters or [known]
    return {form for one in given for form in (one, unquote(one)) if len(form) >= _SHORTEST}
