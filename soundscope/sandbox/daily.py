"""Daily top lists per country, which today's shops and streaming services publish; only the day of the world is known."""

from __future__ import annotations

import numpy as np

from soundscope.sandbox.draws import normal
from soundscope.sandbox.world import World


def daily_top(world: World, country: str, size: int) -> list[int]:
    """Track numbers (main ids) of the day's most played songs in a country, best first."""
    day, week = world.day, world.chart_weeks()
    heat = world.hot_100.heat[week - 1]
    song = world.hot_100.pool.item[: len(heat)]
    age = np.maximum(day - world.songs.day[song], 0)
    local = normal(world.seed, f"daily.taste.{country}", world.songs.genre[song]) * 0.25
    score = 2.5 * heat + 0.25 * world.songs.hit[song] + 0.9 * np.exp(-age / 21) + local
    score = score + 0.12 * normal(world.seed, f"daily.{country}", song, day)
    score[(world.songs.day[song] > day) | (world.songs.listed[song] == 0) | (world.songs.holiday[song] == 1)] = -np.inf
    order = np.argsort(-score, kind="stable")
    out = []
    for row in order[: 2 * size + 20]:
        tracks = world.tracks_of_song(int(song[row])) if np.isfinite(score[row]) else []
        if tracks:
            out.append(tracks[0])
    return out[:size]
