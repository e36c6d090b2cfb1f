"""Configuration: the file, the environment over it, and what a wrong value is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from soundscope.errors import BadInput
from soundscope.settings import load_settings, spotify_credentials


def test_environment_wins_over_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "soundscope.toml").write_text('profile = "live"\n[providers.spotify]\ndaily_budget = 5\nrate = 3\n')
    monkeypatch.setenv("SOUNDSCOPE_PROVIDERS__SPOTIFY__DAILY_BUDGET", "7")
    monkeypatch.setenv("SOUNDSCOPE_PROVIDERS__BILLBOARD_HOT_100__URL", "http://127.0.0.1:1/x")
    settings = load_settings()
    assert settings.profile == "live"
    assert (settings.provider("spotify").daily_budget, settings.provider("spotify").rate) == (7, 3)
    assert settings.provider("billboard_hot_100").url == "http://127.0.0.1:1/x"
    assert settings.home == home.resolve()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("profile = ", "soundscope.toml"),
        ('profile = "elsewhere"', "profile"),
        ("colour = 1", "colour"),
        ("[engine]\nthreads = 0", "engine.threads"),
        ("[providers.napster]\nenabled = true", "napster"),
        ("[sandbox]\ntracks = 'many'", "sandbox.tracks"),
    ],
)
def test_a_wrong_file_is_named_with_the_setting(home: Path, text: str, names: str) -> None:
    (home / "soundscope.toml").write_text(text)
    with pytest.raises(BadInput) as caught:
        load_settings()
    assert names in str(caught.value)
    assert "Next:" in str(caught.value)
    assert caught.value.exit_status == 2


def test_credentials_come_from_the_environment_or_dotenv_and_never_from_settings(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert spotify_credentials(home) is None
    (home / ".env").write_text("SPOTIPY_CLIENT_ID=abc\nSPOTIPY_CLIENT_SECRET=from-the-file\n")
    assert spotify_credentials(home) == ("abc", "from-the-file")
    monkeypatch.setenv("SPOTIPY_CLIENT_SECRET", "from-the-environment")
    assert spotify_credentials(home) == ("abc", "from-the-environment")
    assert "from-the" not in repr(load_settings())


def test_private_folders_are_for_the_owner_alone(home: Path) -> None:
    settings = load_settings()
    settings.paths.create()
    assert settings.paths.private.stat().st_mode & 0o077 == 0
