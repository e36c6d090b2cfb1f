"""Charts of other countries: names in other scripts are found however they are spelled there, and never taken for their neighbours."""

from __future__ import annotations

import pytest

from soundscope.match import match_keys

FOUND = [
    # Hangul: a name in two scripts on either side, spaces, an alias
    (("좋은 날", "아이유(IU)"), ("좋은날", "IU")),
    (("봄날 (Spring Day)", "방탄소년단"), ("봄날", "BTS")),
    (("LOVE DIVE", "IVE (아이브)"), ("LOVE DIVE", "IVE")),
    (("사랑했지만 (Live)", "김광석"), ("사랑했지만 - Live", "김광석")),
    # Kana and Kanji: half-width letters, brackets of their own, joiners
    (("ドライフラワー", "優里"), ("ﾄﾞﾗｲﾌﾗﾜｰ", "優里")),
    (("残響散歌", "Aimer"), ("残響散歌（アニメ「物語」主題歌）", "Aimer")),
    (("点描の唄", "歌手A feat.歌手B"), ("点描の唄 (feat. 歌手B)", "歌手A; 歌手B")),
    # both names side by side, which Chinese and Korean charts print
    (("江南", "林俊傑 JJ Lin"), ("江南", "林俊傑")),
    (("江南", "林俊傑"), ("江南", "林俊傑 JJ Lin")),
    (("稻香", "周杰倫 Jay Chou feat. 楊瑞代"), ("稻香 (feat. 楊瑞代)", "Jay Chou; 楊瑞代")),
    # Cyrillic and Greek: cases, ё, the other script, guests
    (("Группа крови", "КИНО"), ("Gruppa Krovi", "Kino")),
    (("Ёлка", "Певец & Певица"), ("Елка (feat. Певица)", "Певец")),
    (("Μαλαματένια Λόγια", "Γιάννης"), ("ΜΑΛΑΜΑΤΕΝΙΑ ΛΟΓΙΑ", "ΓΙΑΝΝΗΣ")),
    # Arabic: vowel signs, hamza, the letters with two spellings, stretched words, digits
    (("أَنَا لِحَبِيبِي", "فيروز"), ("انا لحبيبى", "فيروز")),
    (("حبيبـــي", "عمرو دياب"), ("حبيبي", "عمرو دياب")),
    (("أغنية ١٠٠", "محمد عبد الوهاب"), ("اغنيه 100", "محمد عبدالوهاب")),
    # Hebrew: points, geresh and apostrophe, `and` as a prefix
    (("ירושלים של זהב", "עפרה חזה"), ("יְרוּשָׁלַיִם שֶׁל זָהָב", "עפרה חזה")),
    (("צ׳יקיטיטה", "להקה"), ("צ'יקיטיטה", "להקה")),
    # Thai, Devanagari, Vietnamese, Georgian
    (("คิดถึง", "บิว"), ("คิดถึง Feat. แอ๊ด", "บิว")),
    (("ज़िन्दगी", "गायक सिंह"), ("जिंदगी", "गायक सिंह")),
    (("Đường Một Chiều", "Huỳnh Tú"), ("Duong Mot Chieu", "Huynh Tu")),
    (("გაზაფხული", "ჯგუფი"), ("გაზაფხული", "ჯგუფი")),
]  # fmt: skip


@pytest.mark.parametrize(("charted", "track"), FOUND, ids=[" - ".join(key) for key, _ in FOUND])
def test_found_in_its_own_spelling(charted: tuple[str, str], track: tuple[str, str], keys, tracks) -> None:
    found = match_keys(keys(charted), tracks(("t:1", *track))).iloc[0]
    assert (found["status"], found["is_other_version"]) == ("matched", False), (found["score"], found["reason"])


# In these scripts one letter more or less is another word, however long the title.
NEIGHBOURS = [
    ("カール", "ガール"), ("ビール", "ビル"), ("はな", "はた"), ("病院", "美容院"), ("愛", "愛人"), ("夜曲", "夜的曲"), ("青花", "青花瓷"),
    ("봄", "봄날"), ("사랑해요", "사랑해"), ("너의 의미", "너의 이름"), ("Песня", "Песни"), ("حب", "حبيبي"), ("شيري", "شيرين"),
    ("שיר", "שירה"), ("รัก", "รักเธอ"), ("ไม่รัก", "รัก"), ("दिल", "दिला"), ("दिल", "दिल से"),
]  # fmt: skip


@pytest.mark.parametrize(("charted", "other"), NEIGHBOURS)
@pytest.mark.parametrize("turned", [False, True])
def test_a_neighbour_is_not_linked(charted: str, other: str, turned: bool, keys, tracks) -> None:
    title, printed = (other, charted) if turned else (charted, other)
    found = match_keys(keys((title, "歌手")), tracks(("t:1", printed, "歌手"))).iloc[0]
    assert found["status"] != "matched", (found["score"], found["reason"])


@pytest.mark.parametrize(
    ("charted", "other"), [("山本太郎左", "山本次郎左"), ("김광석", "김광진"), ("محمد", "محمود"), ("邓丽君", "邓丽欣")]
)
def test_another_artist_with_the_same_title_is_not_linked(charted: str, other: str, keys, tracks) -> None:
    assert match_keys(keys(("春の歌", charted)), tracks(("t:1", "春の歌", other)))["status"].tolist() != ["matched"]


ROMANISED = [
    (("Yoru ni Kakeru", "YOASOBI"), ["群青", "アイドル", "夜に駆ける"]),
    (("Good Day", "IU"), ["좋은 날", "밤편지", "Palette"]),
    (("Tum Hi Ho", "Arijit Singh"), ["तुम ही हो", "गेरुआ"]),
    (("Habibi", "عمرو دياب"), ["حبيبي", "نور العين"]),
]


@pytest.mark.parametrize(("charted", "songs"), ROMANISED, ids=[key[0] for key, _ in ROMANISED])
def test_a_romanised_title_waits_for_a_person(charted: tuple[str, str], songs: list[str], keys, tracks) -> None:
    """It cannot be found among native titles; what must not happen is another song of the artist instead."""
    rows = tracks(*[(f"t:{number}", song, charted[1]) for number, song in enumerate(songs)])
    assert match_keys(keys(charted), rows)["status"].iloc[0] in {"unmatched", "review"}


@pytest.mark.parametrize(
    "note",
    ["カラオケ", "オルゴール", "ライブ", "リミックス", "라이브", "노래방", "ремикс", "концерт", "Ao Vivo", "En Vivo", "Canlı"],
)
def test_versions_are_read_in_other_languages_too(note: str, keys, tracks) -> None:
    found = match_keys(
        keys(("歌のない曲", "歌手")), tracks(("t:1", f"歌のない曲 ({note})", "歌手"), ("t:2", "歌のない曲", "歌手"))
    ).iloc[0]
    assert (found["track_id"], found["is_other_version"]) == ("t:2", False)
    alone = match_keys(keys(("歌のない曲", "歌手")), tracks(("t:1", f"歌のない曲 ({note})", "歌手"))).iloc[0]
    assert alone["is_other_version"] or alone["status"] == "unmatched"


def test_a_week_of_few_keys_finds_what_all_keys_find(keys, tracks) -> None:
    """Few keys take a short way past the catalogue; it must lead to the same links, whatever the script."""
    pairs = [*FOUND, *[((title, "歌手"), (title, "歌手")) for title, _ in NEIGHBOURS]]
    rows = tracks(*[(f"t:{number:03d}", *track) for number, (_, track) in enumerate(pairs)])
    charted = keys(*dict.fromkeys(key for key, _ in pairs))
    crowd = keys(*dict.fromkeys(key for key, _ in pairs), *[(f"Song {number}", f"Nobody {number}") for number in range(1600)])
    few, many = match_keys(charted, rows), match_keys(crowd, rows).head(len(charted))
    assert few["track_id"].tolist() == many["track_id"].tolist()
    assert (few["status"] == "matched").all()
