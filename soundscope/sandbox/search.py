"""Text search over the synthetic catalogue, as the providers' search pages rank: words found, then popularity.

Returns track numbers; other people's versions (karaoke, live, sped up) come along, as they do in reality.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from soundscope.sandbox import words
from soundscope.sandbox.draws import Ints
from soundscope.sandbox.world import World

_TOKEN = re.compile(r"[^\W_]+")
_FIELD = re.compile(r'\b(track|artist|album|isrc|year|recording|artistname|title):\s*("[^"]*"|[^\s"]+(?:\s+(?!\w+:)[^\s"]+)*)')
_STOP = {"the", "of", "a", "and", "feat", "featuring", "with", "my", "in"}
MAX_CANDIDATES = 500


def tokens(text: str) -> list[str]:
    """Folded words of a text."""
    return _TOKEN.findall(words.fold(text).replace("'", "").replace("\u2019", ""))


def _tokens_with_alias(name: str) -> list[str]:
    """Words of a name and of its romanised form: a search finds both, the answer shows the catalogue's."""
    return tokens(name) + tokens(words.ROMANISED.get(name, ""))


@dataclass
class Query:
    """A parsed search: free words and named fields."""

    free: list[str] = field(default_factory=list)
    title: list[str] = field(default_factory=list)
    artist: list[str] = field(default_factory=list)
    album: list[str] = field(default_factory=list)
    isrc: str = ""
    years: tuple[int, int] | None = None


def parse_query(text: str) -> Query:
    """Read `track:`, `artist:`, `album:`, `isrc:` and `year:` filters; what remains is free text."""
    query = Query()
    for name, value in _FIELD.findall(text):
        value = value.strip('"')
        if name in ("track", "recording", "title"):
            query.title += tokens(value)
        elif name in ("artist", "artistname"):
            query.artist += tokens(value)
        elif name == "album":
            query.album += tokens(value)
        elif name == "isrc":
            query.isrc = value.replace("-", "").upper()
        elif years := re.fullmatch(r"(\d{4})(?:-(\d{4}))?", value):
            query.years = int(years[1]), int(years[2] or years[1])
    query.free = [t for t in tokens(_FIELD.sub(" ", text)) if t not in ("and", "or")]
    return query


def _coverage(wanted: list[str], have: frozenset[str]) -> float:
    """Share of the wanted words that are there; a word that begins alike counts for 0.7 (misspellings)."""
    if not wanted:
        return 1.0
    stems = {h[:4] for h in have if len(h) >= 4}
    score = sum(1.0 if w in have else 0.7 if len(w) >= 4 and w[:4] in stems else 0.0 for w in wanted)
    return score / len(wanted)


class TextIndex:
    """Postings over the words that titles and artist names are made of; rebuilt when the world has grown."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._size = -1
        self._words = defaultdict(list)
        for i, word in enumerate(words.TITLE_WORDS):
            self._words[words.fold(word)].append(i)
        self.song_tokens = lru_cache(maxsize=50_000)(self._song_tokens)

    def _refresh(self) -> None:
        w = self.world
        if self._size == len(w.songs.day):
            return
        songs = w.songs
        self._by_noun, self._by_adjective = np.argsort(songs.word_n, kind="stable"), np.argsort(songs.word_a, kind="stable")
        self._nouns, self._adjectives = songs.word_n[self._by_noun], songs.word_a[self._by_adjective]
        self._odd: dict[str, list[int]] = defaultdict(list)
        odd = np.isin(songs.template, [words.NATIVE_TEMPLATE, words.NUMBER_TEMPLATE])
        for song in np.flatnonzero(odd):
            for token in set(_tokens_with_alias(w.names.base_title(int(song)))):
                self._odd[token].append(int(song))
        self._artists: dict[str, list[int]] = defaultdict(list)
        for artist in range(len(w.artists.fame)):
            for token in set(_tokens_with_alias(w.names.artist(artist))):
                self._artists[token].append(artist)
        self._size = len(songs.day)

    def _song_tokens(self, song: int) -> tuple[frozenset[str], frozenset[str]]:
        names = self.world.names
        acts = [t for a in names.song_artists(song) for t in _tokens_with_alias(names.artist(a))]
        title = tokens(names.song(song)) + _tokens_with_alias(names.base_title(song))
        return frozenset(title), frozenset(acts)

    def _title_hits(self, token: str) -> Ints:
        parts = [np.array(self._odd.get(token, []), dtype=np.int64)]
        for word in self._words.get(token, []):
            for order, values in ((self._by_noun, self._nouns), (self._by_adjective, self._adjectives)):
                low, high = np.searchsorted(values, [word, word + 1])
                parts.append(order[low:high])
        return np.unique(np.concatenate(parts))

    def _artist_hits(self, token: str) -> Ints:
        parts = [np.array(self.world.songs_of_artist(a), dtype=np.int64) for a in self._artists.get(token, [])[:400]]
        return np.unique(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.int64)

    def _candidates(self, query: Query) -> Ints:
        found = [self._title_hits(t) for t in {*query.title, *query.free} - _STOP]
        found += [self._artist_hits(t) for t in {*query.artist, *query.free} - _STOP]
        every = np.concatenate([*found, np.zeros(0, dtype=np.int64)])
        songs, hits = np.unique(every, return_counts=True)
        order = np.lexsort((-self.world.songs.hit[songs], -hits))
        return songs[order[:MAX_CANDIDATES]]

    def _score(self, query: Query, song: int) -> float | None:
        title, artist = self.song_tokens(song)
        named_title, named_artist = _coverage(query.title, title), _coverage(query.artist, artist)
        if (query.title and named_title < 0.5) or (query.artist and named_artist < 0.6):
            return None
        free = _coverage(query.free, title | artist)
        if query.free and free < 0.5:
            return None
        wanted = {*query.title, *query.free}
        extra = len(title - wanted) if query.title or query.free else 0
        return 2 * named_title + 1.5 * named_artist + 3 * free - 0.08 * extra

    def find(self, query: Query, most: int = 1000) -> list[int]:
        """Track numbers that answer a query, best first."""
        w = self.world
        if query.isrc:
            return w.tracks_of_isrc(query.isrc)
        self._refresh()
        scored: list[tuple[float, int]] = []
        for song in self._candidates(query):
            score = self._score(query, int(song))
            if score is not None:
                scored += [(score, t) for t in w.tracks_of_song(int(song))]
        if query.years:
            low, high = query.years
            scored = [(s, t) for s, t in scored if low <= int(w.names.release_date(int(w.tracks.album[t]))[0][:4]) <= high]
        if query.album:
            scored = [
                (s, t)
                for s, t in scored
                if _coverage(query.album, frozenset(tokens(w.names.album(int(w.tracks.album[t]))))) >= 0.6
            ]
        if not scored:
            return []
        popularity = w.popularity(np.array([t for _, t in scored]))
        ranked = sorted(zip(scored, popularity, strict=True), key=lambda r: (-(r[0][0] + 0.006 * r[1]), r[0][1]))
        return [track for (_, track), _ in ranked[:most]]
