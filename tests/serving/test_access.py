"""Who may ask: anybody on this machine, or whoever has the key."""

from pathlib import Path

import pytest

from sem_lightning.errors import UserError
from sem_lightning.serving.access import Access, read_key
from sem_lightning.serving.refusal import RefusedError

KEY = "0123456789abcdef-key"


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer ", KEY, f"Basic {KEY}", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}",
                                   "Bearer \udcff", f"Bearer {KEY.upper()}"])  # fmt: skip
def test_another_key_is_refused(given: str) -> None:
    with pytest.raises(RefusedError) as refused:
        Access("0.0.0.0", KEY).check(given, "any", "10.0.0.9")
    assert refused.value.status == 401 and KEY not in refused.value.reason


def test_the_key_is_enough_from_anywhere() -> None:
    for given in (f"Bearer {KEY}", f"bearer {KEY}"):
        Access("0.0.0.0", KEY).check(given, "service.example:8000", "10.0.0.9")


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:80", "127.9.9.9", "[::1]:80", "LOCALHOST"])
def test_without_a_key_this_machine_may_ask(host: str) -> None:
    Access("127.0.0.1", None).check("", host, "127.0.0.1")


@pytest.mark.parametrize("host", ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.io", "[::2]"])
def test_without_a_key_a_foreign_name_is_refused(host: str) -> None:
    with pytest.raises(RefusedError) as refused:
        Access("127.0.0.1", None).check("", host, "127.0.0.1")
    assert refused.value.status == 403


@pytest.mark.parametrize("client", ["10.0.0.9", "::ffff:10.0.0.9", "2001:db8::1", ""])
def test_without_a_key_another_machine_is_refused_whatever_name_it_uses(client: str) -> None:
    with pytest.raises(RefusedError, match="only this machine is answered") as refused:
        Access("127.0.0.1", None).check("", "localhost", client)
    assert refused.value.status == 403


@pytest.mark.parametrize("key", ["short", "with a space in the middle", "\u00e9" * 20, "a\nline-break-in-the-key"])
def test_a_key_that_is_none_is_one_line(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("SEM_SERVE_KEY", key)
    with pytest.raises(UserError, match=r"^SEM_SERVE_KEY: found a key of") as error:
        read_key()
    assert key not in str(error.value)


def test_a_key_may_come_from_a_file_as_containers_give_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    monkeypatch.delenv("SEM_SERVE_KEY", raising=False)
    monkeypatch.setenv("SEM_SERVE_KEY_FILE", str(file))
    assert read_key() == KEY
    monkeypatch.setenv("SEM_SERVE_KEY", KEY)
    with pytest.raises(UserError, match=r"^SEM_SERVE_KEY_FILE: found a file, and a key in SEM_SERVE_KEY"):
        read_key()
    monkeypatch.delenv("SEM_SERVE_KEY")
    for content in (b"", b"\n", b"short\n", b"\xff" * 20):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"^SEM_SERVE_KEY_FILE: .*key: (found a key of|is no text)"):
            read_key()
    file.unlink()
    with pytest.raises(UserError, match=r"^SEM_SERVE_KEY_FILE: .*key: No such file"):
        read_key()
