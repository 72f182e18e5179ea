import pytest

from common.settings import SettingError, read_number, read_text


def test_setting_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts and numbers come from the environment."""
    monkeypatch.setenv("SOME_SETTING", "42")
    assert (read_text("SOME_SETTING"), read_number("SOME_SETTING")) == ("42", 42)


@pytest.mark.parametrize("value", [None, ""])
def test_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    """A missing or empty setting fails with its name, unless there is a default."""
    monkeypatch.delenv("SOME_SETTING", raising=False)
    if value is not None:
        monkeypatch.setenv("SOME_SETTING", value)
    with pytest.raises(SettingError, match="SOME_SETTING"):
        read_text("SOME_SETTING")
    assert read_number("SOME_SETTING", 7) == 7


def test_malformed_number_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the setting and keeps its value to itself: it could be a secret in the wrong place."""
    monkeypatch.setenv("SOME_SETTING", "hunter2")
    with pytest.raises(SettingError, match="SOME_SETTING must be a whole number") as caught:
        read_number("SOME_SETTING")
    assert "hunter2" not in str(caught.value)
