"""The sound of each recording: correlated features per genre, an artist's own style, slow drift, version effects.

Latent values are standard normal with the published correlations; each is mapped to its genre's published quantiles
(Gaussian copula). Charts and providers do not belong here.
"""

from __future__ import annotations

import numpy as np

from soundscope.sandbox import figures
from soundscope.sandbox.draws import Floats, Ints, choose, normal, uniform

STYLE_SHARE = 0.35
"""Share of the latent variance that an artist's recordings have in common."""

# Latent drift per year (standard deviations) before and after 2012, zero in 2012; signs follow what is widely reported of
# pop music: louder and more electronic until about 2010, sadder throughout, softer and more acoustic since.
_DRIFT_YEAR = 2012.0
_DRIFT_BEFORE = np.array([0.0, 0.010, 0.012, -0.012, 0.020, -0.020, -0.004, 0.010, -0.002])
_DRIFT_AFTER = np.array([0.01, 0.018, -0.022, -0.020, -0.010, 0.028, 0.004, 0.012, 0.0])
# What the public likes turns slowly in this plane of the latent space (period in years).
_TASTE_A = np.array([0.10, 0.55, 0.50, 0.45, 0.35, -0.25, -0.40, 0.05, -0.10])
_TASTE_B = np.array([-0.15, 0.35, -0.45, -0.30, -0.10, 0.50, -0.20, 0.45, -0.05])
_TASTE_PERIOD_YEARS = 20.0

_CHOLESKY = np.linalg.cholesky(np.array(figures.CORRELATION))
LIVE, KARAOKE, TRIBUTE, SPED_UP, REMIX, TWIN = 1, 2, 3, 4, 5, 6


def year_of(day: Ints | Floats) -> Floats:
    """Decimal year of a day number (days since 1970-01-01)."""
    return 1970.0 + np.asarray(day, dtype=np.float64) / 365.2425


def latent(seed: int, song: Ints, artist: Ints, day: Ints) -> Floats:
    """Latent feature vectors, shape (n, 9): correlated, partly shared within an artist, drifting over the years."""
    columns = range(len(figures.FEATURES))
    own = np.stack([normal(seed, f"sound.song.{j}", song) for j in columns], axis=1)
    style = np.stack([normal(seed, f"sound.artist.{j}", artist) for j in columns], axis=1)
    z = (np.sqrt(1 - STYLE_SHARE) * own + np.sqrt(STYLE_SHARE) * style) @ _CHOLESKY.T
    years = (year_of(day) - _DRIFT_YEAR)[:, None]
    return np.asarray(z + np.minimum(years, 0) * _DRIFT_BEFORE + np.maximum(years, 0) * _DRIFT_AFTER)


def taste_match(z: Floats, day: Ints) -> Floats:
    """How well latent vectors fit the taste of their day, about standard normal."""
    angle = 2 * np.pi * (year_of(day) - 2015.0) / _TASTE_PERIOD_YEARS
    direction = np.cos(angle)[:, None] * _TASTE_A + np.sin(angle)[:, None] * _TASTE_B
    return np.asarray((z * direction).sum(axis=1) / 1.1)


def features(z: Floats, genre: Ints) -> Floats:
    """Feature matrix, shape (n, 9), columns as `figures.FEATURES`, from latent vectors and genre numbers."""
    from scipy.special import ndtr

    u = ndtr(z)
    out = np.empty_like(u)
    for g, name in enumerate(figures.GENRES):
        rows = genre == g
        for j, feature in enumerate(figures.FEATURES):
            quantiles = figures.QUANTILES[name][feature]
            out[rows, j] = np.interp(u[rows, j], figures.QUANTILE_LEVELS, quantiles)
    return out


def durations_ms(seed: int, song: Ints, genre: Ints) -> Ints:
    """Track lengths in milliseconds."""
    u = uniform(seed, "sound.duration", song)
    out = np.zeros(len(song))
    for g, name in enumerate(figures.GENRES):
        rows = genre == g
        out[rows] = np.interp(u[rows], figures.QUANTILE_LEVELS, figures.QUANTILES[name]["duration_s"])
    return np.asarray(out * 1000 + 997 * uniform(seed, "sound.ms", song), dtype=np.int64)


def key_mode_metre(seed: int, song: Ints, genre: Ints) -> tuple[Ints, Ints, Ints]:
    """(key 0..11, mode 0/1, time signature) of each recording."""
    key = choose(uniform(seed, "sound.key", song), figures.KEY_SHARE)
    major = np.array([figures.MAJOR_SHARE[g] for g in figures.GENRES])[genre]
    mode = (uniform(seed, "sound.mode", song) < major).astype(np.int64)
    metres = np.array(list(figures.METRE_SHARE), dtype=np.int64)
    metre = metres[choose(uniform(seed, "sound.metre", song), list(figures.METRE_SHARE.values()))]
    return key, mode, metre


def apply_version(sound: Floats, duration_ms: Ints, kind: Ints) -> None:
    """Change sound and length, in place, of recordings that are versions of another one."""
    tempo, energy, accept, instrumental, speech, live = (
        figures.FEATURES.index(f) for f in ("tempo", "energy", "acousticness", "instrumentalness", "speechiness", "liveness")
    )
    rows = kind == LIVE
    sound[rows, live] = 0.65 + 0.33 * sound[rows, live]
    sound[rows, energy] = np.minimum(sound[rows, energy] * 1.1, 0.99)
    duration_ms[rows] = duration_ms[rows] * 23 // 20
    rows = kind == KARAOKE
    sound[rows, instrumental] = 0.6 + 0.35 * sound[rows, accept]
    sound[rows, speech] = 0.03
    rows = kind == SPED_UP
    sound[rows, tempo] = np.minimum(sound[rows, tempo] * 1.25, 240)
    duration_ms[rows] = duration_ms[rows] * 4 // 5
    rows = kind == REMIX
    sound[rows, tempo] = 120 + 10 * sound[rows, live]
    sound[rows, energy] = np.minimum(0.5 + 0.5 * sound[rows, energy], 0.99)
    rows = kind == TWIN
    duration_ms[rows] += 11_000
