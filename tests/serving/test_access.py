"""Who may ask: anybody on this machine, or whoever has the key."""

import pytest

from sem_lightning.errors import UserError
from sem_lightning.serving.access import Access, read_key
from sem_lightning.serving.refusal import RefusedError

KEY = "0123456789abcdef-key"


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer ", KEY, f"Basic {KEY}", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}",
                                   "Bearer \udcff", f"Bearer {KEY.upper()}"])  # fmt: skip
def test_another_key_is_refused(given: str) -> None:
    with pytest.raises(RefusedError) as refused:
        Access("0.0.0.0", KEY).check(given, "any")
    assert refused.value.status == 401 and KEY not in refused.value.reason


def test_the_key_is_enough_from_anywhere() -> None:
    for given in (f"Bearer {KEY}", f"bearer {KEY}"):
        Access("0.0.0.0", KEY).check(given, "service.example:8000")


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:80", "127.9.9.9", "[::1]:80", "LOCALHOST"])
def test_without_a_key_this_machine_may_ask(host: str) -> None:
    Access("127.0.0.1", None).check("", host)


@pytest.mark.parametrize("host", ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.io", "[::2]"])
def test_without_a_key_a_foreign_name_is_refused(host: str) -> None:
    with pytest.raises(RefusedError) as refused:
        Access("127.0.0.1", None).check("", host)
    assert refused.value.status == 403


@pytest.mark.parametrize("key", ["short", "with a space in the middle", "\u00e9" * 20, "a\nline-break-in-the-key"])
def test_a_key_that_is_none_is_one_line(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("SEM_SERVE_KEY", key)
    with pytest.raises(UserError, match=r"^SEM_SERVE_KEY: found a key of") as error:
        read_key()
    assert key not in str(error.value)
