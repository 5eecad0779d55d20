"""A planted password comes out of no message, whatever the driver says."""

import stat
from pathlib import Path

import pytest

from features.errors import ModelError
from flows import cli
from flows.redaction import environment_secrets, redacted
from flows.tracking import Tracker

SECRET = "pl4nted-s3cret"  # noqa: S105


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"http://someone:{SECRET}@host:9/x", "http://host:9/x"),
        (f"mysql+pymysql://u:{SECRET}/with@signs@h/d failed", "mysql+pymysql://h/d failed"),
        (f"'postgresql://{SECRET}@h/d'", "'postgresql://h/d'"),
        (f"s3://b/k?a=1&X=2&token={SECRET}&b=2", "s3://b/k?a=1&X=2&token=***&b=2"),
        (f"host=h password={SECRET} user=u", "host=h password=*** user=u"),
        ("http://host/a?mail=me@home.example", "http://home.example"),
        ("write to me@home.example", "write to me@home.example"),
    ],
)
def test_addresses_keep_their_place_and_lose_their_secret(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize("form", [SECRET, "p%40ss%2Fw0rd", "p@ss/w0rd"])
def test_a_known_secret_goes_wherever_it_stands_and_in_both_spellings(form: str) -> None:
    address = f"postgresql://app:{form}@h/d"
    for spelled in {form, form.replace("%40", "@").replace("%2F", "/")}:
        assert redacted(f"FATAL: {spelled} is wrong", [address]) == "FATAL: *** is wrong"


def test_secrets_of_the_environment_are_known_by_name_or_form_and_nothing_else() -> None:
    assert environment_secrets(
        {"MLFLOW_TRACKING_PASSWORD": "a" * 8, "AWS_SECRET_ACCESS_KEY": "b" * 8, "X_TOKEN": "abc", "SSH_AUTH": "c" * 9,
         "U": f"http://a:{SECRET}@h", "V": f"q?token={SECRET}", "HOME": "/root", "PWD": "/work"}
    ) == ("a" * 8, "b" * 8, f"http://a:{SECRET}@h", f"q?token={SECRET}")  # fmt: skip


@pytest.mark.parametrize(
    "uri",
    [
        f"http://someone:{SECRET}@127.0.0.1:9",
        f"postgresql://someone:{SECRET}@127.0.0.1:9/none",
        f"postgresql://someone:{SECRET}%40%2F@127.0.0.1:9/none?sslpassword={SECRET}",
        f"nothing://someone:{SECRET}@h",
        f"mysql+pymysql://someone:{SECRET}@127.0.0.1:9/none",
    ],
)
def test_a_registry_that_does_not_answer_tells_no_password(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", "1")
    with pytest.raises(ModelError, match="does not answer") as caught:
        Tracker(uri, "any", None).require()
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_an_unexpected_error_shows_no_secret_and_its_file_is_its_owners(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_URL", f"postgresql://app:{SECRET}@h/d")

    def boom() -> None:
        try:
            raise OSError(f"password {SECRET} refused by postgresql://app:{SECRET}@h/d")  # noqa: TRY301
        except OSError as error:
            raise ZeroDivisionError(f"with {SECRET}") from error

    cli.app.command(boom)
    try:
        assert cli.main(["boom"]) == cli.UNEXPECTED
    finally:
        del cli.app["boom"]
    told = capsys.readouterr().err
    log = Path(told.strip().rsplit(" ", 1)[-1])
    kept = log.read_text(encoding="utf-8")
    assert SECRET not in told + kept
    assert "refused by postgresql://h/d" in kept
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    log.unlink()
