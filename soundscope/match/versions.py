"""Version words: what a bracket or a ` - ` suffix says about the recording. Titles are taken apart in `titles.py`.

A *neutral* note (remaster, mono, from a film, radio edit) leaves the recording what it is; every other kind names another recording.
"""

from __future__ import annotations

import re
from functools import lru_cache

# Kinds are tried in order and may add up; patterns see folded text. Words come in the languages of large catalogues.
_KINDS: tuple[tuple[str, str], ...] = (
(
        "karaoke",
        r"karaoke|in the style of|backing (track|version)|performance track|sing[- ]?along|lullaby|8[- ]?bit|chiptune|music box|ringtone|"
        r"カラオケ|オルゴール|노래방",
    ),
    ("cover", r"made famous|made popular|originally (performed|recorded|by)|tribute|as performed by|\bcovers?\b|glee cast|(?<!original )\bcast version|workout (mix|remix)"),
    ("speed", r"\bsped[- ]?up|speed(ed)?[- ]?up|slowed|reverb|nightcore|daycore|chopped|8d audio|hardstyle|lo-?fi|bootleg|mash-?up|jersey club|phonk"),
    (
        "live",
        r"^live$|^live[ ,/:@-]+(at|in|from|on|version|session|sessions|recording|performance|acoustic|medley|edit|album|with|[0-9a-z' ]*[0-9]{4})\b|(?<!\bto )(?<!\bwe )(?<!\bi )(?<!\byou )(?<!\blong )(?<!\blet )\blive$"
        r"|\brecorded (live|at)|\blive (at|from|version|recording|performance|session|im|aus|in der|i)\b|unplugged|in concert|concert (version|experience)|"
        r"ao vivo|en vivo|en directo|en concierto|dal vivo|en public|canli|na zywo|tour final|bbc session|peel session|spotify (session|studios)"
        r"|^session$|sessions?$|ライブ|라이브|концерт|живьем|武道館",
    ),
    ("remix", r"\b(re-?)?mix(es)?\b|remixed|\bmixed\b|\bmix cut\b|\brmx\b|\bdub\b|\bvip\b|\brework(ed)?|\bre-?edit\b|\bflip\b|megamix|ремикс|リミックス|리믹스|ремікс"),
    ("extended", r"\bextended\b|\b12 ?(\"|''|”|inch)|\blong version|\bclub (version|edit)|\bdance version"),
    ("acoustic", r"acoustic|acustic[oa]|akustik|stripped|piano (version|solo)|solo piano|orchestra|symphonic|string (version|quartet)|campfire|アコースティック"),
    ("instrumental", r"instrumental|off vocal|without vocals|インスト|inst\.?$"),
    ("a cappella", r"a ?cap+el+a|vocals only"),
    ("demo", r"\bdemo\b|\bdemos\b|outtake|\btake [0-9]|rough mix|early version|alternate|alternative (version|take|mix)|first version|rehearsal|home recording"),
    ("re-recorded", r"re-?record|taylor.?s version|new (version|recording)|(?!(us|this)\b)\b[a-z']+s version$|\bversion ?20[0-9]{2}\b|\b20[0-9]{2} (?!re-?mast)([a-z]+ )?version|^ver(sion|\.)? ?'?[0-9]{2}$|neuaufnahme|\brecreated\b|\bre-?do\b|\breplayed\b"),
    (
        "language",
        r"\b(english|spanish|french|german|italian|portuguese|japanese|korean|chinese|mandarin|russian|arabic|turkish|dutch|swedish|spanglish|hindi|"
        r"tamil|telugu|punjabi)( language)?[ -]*(version|ver\b|mix|edit|lyrics)|version (en|in|espanol|francaise|inglesa)|en espanol|"
        r"in (spanish|english|french|german|italian)|versao em|(japanese|korean|english|chinese) ver\b|日本語",
    ),
    ("part of a work", r"\breprise\b|\binterlude\b|\bskit\b|\bintro\b|\boutro\b|\bexcerpts?\b|\bcommentary\b|\bmedley\b|\bpreview\b|\bsnippet\b|\bspoken\b"),
)  # fmt: skip
_PATTERNS = tuple((kind, re.compile(pattern)) for kind, pattern in _KINDS)

_NEUTRAL = re.compile(
    r"remaster|remasteriz|^(the )?(us|uk|45|7) version$|^aka\b|digital(ly)? master|\bmono\b|\bstereo\b|\b(radio|single|album|original|video|main|full|short|promo|us|uk|hit|7 ?(\"|''|”|inch)) "
    r"?(edit|mix|version|ver\.?|cut|recording|album|soundtrack|cast|score|motion)|^(edit|edited|original|original mix|radio|single|version|explicit|clean|main|studio)\b"
    r"|explicit version|clean version|bonus|deluxe|anniversary|expanded|reissue|re-?release|^from |^(love )?theme (from|of|to)|^music from|soundtrack|"
    r"^(19|20)[0-9]{2}($|[ /])|^digital|\bost\b|from the (film|movie|motion|album|vault|musical|original|netflix|tv|"
    r"television|broadway|series|show)|motion picture|\bpt\.? ?version|as heard|the voice performance|american idol|featured in|theme( song)?$|version originale|radio mix|studio version|"
    r"versao original|オリジナル|주제가|主題歌|主题歌|主題曲|主题曲|挿入歌|插曲|片尾曲|片头曲|片頭曲|テーマ(ソング)?$|саундтрек|^(the )?official .*(song|anthem|theme|version)|\b(dirty|uncensored|censored|amended|street|full[- ]length|longer|long|shorter|short|ep|lp|cd|dj|mp3|"
    r"vocal|78 ?rpm|45 ?rpm|streaming|video|tv|international|world|new york|complete|regular|normal|standard|final|true|digital|"
    r"non-?stop|re-?eq'?d|collection|anthology( [0-9])?|crossfade|edit) (edit|version|ver\.?|cut)$|^(uncut|dirty|encore)$"
)
# Whatever else calls itself a version or an edit is one: `Country Version`, `Film Version`, `Someone Edit`.
_NAMED = re.compile(r"(?<!\ban )(?<!\bmy )(?<!\bthe )\b(version|vers?\.|edit|mixcut|mastercut)$")
# Styles in which Latin hits are recorded again; as a note they name the recording.
_STYLE = re.compile(
    r"^(en )?(bachata|salsa|merengue|banda|norten[oa]|cumbia|ranchera|duranguense|reggaeton|balada|spanish|spanglish|ingles)$"
)
_CREDIT = re.compile(
    r"^(feat|ft|featuring|with|w/|f/|duet with|duet|prod|produced by|avec|con|mit|und|starring|introducing)\b[.:]? ?"
)
_RADIO = re.compile(
    r"\b(radio|single|original|album|us|mono|stereo|main|7 ?(\"|''|”|inch)) (edit|mix|version|remix)|^original mix$|^[0-9 ]*(digital )?remaster"
)
_SINGLE = re.compile(r"\b(radio|single) (edit|version|mix)")


@lru_cache(maxsize=32_768)
def read_note(note: str) -> tuple[str, frozenset[str], str]:
    """What a note says.

    Args:
        note: the folded text inside a bracket or after ` - `.

    Returns:
        `("credit", {}, names)` for featured artists, `("version", kinds, note)` for version words (kinds empty if neutral), else
        `("text", {}, note)`: a part of the title.
    """
    note = note.strip()
    credit = _CREDIT.match(note)
    if credit:
        return "credit", frozenset(), note[credit.end() :]
    kinds = {kind for kind, pattern in _PATTERNS if pattern.search(note)}
    if kinds and _RADIO.search(note):
        # `Someone Remix/Radio Edit` stays a remix; `Radio Mix` is none.
        rest = _RADIO.sub(" ", note)
        kinds = {
            kind for kind, pattern in _PATTERNS if kind in kinds and (kind not in ("remix", "extended") or pattern.search(rest))
        }
        if "remix" in kinds and _SINGLE.search(note):
            kinds = kinds - {"remix"} | {"radio remix"}  # of dance records often the one that charted
        if not kinds:
            return "version", frozenset(), note
    if kinds:
        return "version", frozenset(kinds), note
    if _NEUTRAL.search(note):
        return "version", frozenset(), note
    if (" " in note and _NAMED.search(note)) or _STYLE.match(note):
        return "version", frozenset({"named version"}), note
    return "text", frozenset(), note


def kinds_in_album(album: str) -> frozenset[str]:
    """Kinds that an album's (folded) name gives to all its tracks: karaoke, cover, speed or live; nothing else is safe to infer."""
    return frozenset(kind for kind, pattern in _PATTERNS[:4] if pattern.search(album))
