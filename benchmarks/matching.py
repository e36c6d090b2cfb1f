"""Measures matching on real charts against a real catalogue. Reads the folder SOUNDSCOPE_REALDATA; prints what docs/matching.md reports.

    python benchmarks/matching.py                     recall, confirmed share, calibration, by method and decade
    python benchmarks/matching.py --fit               the weights of soundscope/match/confidence.py, fitted on one half of the truth
    python benchmarks/matching.py --speed             time and memory, up to a million tracks
    python benchmarks/matching.py --scripts           titles in other scripts, printed back as a chart might
    python benchmarks/matching.py --sample-golden 400 > sample.csv    keys to be read by people, without the matcher's answer

Nothing here is used by the product. The normalisation below is frozen: it judges links and must not follow the matcher's.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from soundscope.match import confidence, match_keys
from soundscope.match.candidates import find
from soundscope.match.evidence import parse_name
from soundscope.match.ranking import rank
from soundscope.settings import PROJECT

SAME_MS = 3_000
# What one would guess each piece of evidence takes from the logit, before seeing data.
JUDGEMENT = {
    "subtitle on one side": -0.3,
    "one of two titles": -1.0,
    "second of two titles": -2.5,
    "close title": -0.5,
    "foreign words": -4.0,
    "words replaced": -12.0,
    "other subtitle": -2.0,
    "further guests": -0.3,
    "guests missing": -0.5,
    "other guests": -0.6,
    "a guest alone": -4.0,
    "named, not first": -1.0,
    "one name shared": -1.5,
    "close artist": -1.5,
    "artist shortfall": -0.08,
    "longer name": -1.2,
    "plain for version": -0.5,
    "other version": -1.5,
    "other take": -1.5,
    "imitation": -4.5,
    "other numbers": -3.5,
    "other part": -1.0,
    "other work": -4.0,
    "short title": -0.2,
    "rivals": -0.3,
    "released after the run": -0.8,
    "decades before 2000": -0.3,
}


def frozen_title(title: str) -> str:
    """The judge's key of a title: folded, `&` to `and`, featured parts, ` - suffix` and brackets cut, letters and digits only."""
    text = _plain(title).replace("&", "and")
    text = re.sub(r"[\s(\[]+(feat|ft|featuring)\b.*$", "", text)
    text = re.sub(r" - .*$", "", text)
    cut = re.sub(r"[(\[].*?[)\]]", "", text)
    text = cut if re.search(r"\w", cut) else text
    return re.sub(r"[^\w]|_", "", re.sub(r"in' ?\b|in'$", "ing", text))


def frozen_artist(artist: str) -> str:
    """The judge's key of an artist: folded, cut at the first joiner, no leading `the`."""
    text = re.split(r"\s(?:featuring|feat\.?|ft\.?|with|duet with|and|x|or)\s|[,;&/+]", _plain(artist).strip())[0]
    return re.sub(r"[^\w]|_", "", re.sub(r"^the ", "", text))


def _plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).lower()


def load(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Chart keys, catalogue and truth; the truth of a key is a set of ids, frozen keys and durations."""
    weeks = json.loads(gzip.decompress((folder / "billboard_hot_100_all.json.gz").read_bytes()))
    rows = [(week["date"], e["song"], e["artist"], e["this_week"]) for week in weeks for e in week["data"]]
    entries = pd.DataFrame(rows, columns=["date", "title", "artist", "rank"])
    keys = entries.groupby(["title", "artist"], sort=False).agg(
        first_date=("date", "min"), last_date=("date", "max"), n_weeks=("date", "nunique"), best_rank=("rank", "min")
    )
    keys = keys.reset_index().assign(run_no=1)
    raw = pd.read_parquet(folder / "catalogue_200k.parquet")
    tracks = pd.DataFrame(
        {
            "track_id": "spotify:" + raw["id"],
            "title": raw["name"],
            "artist": raw["artists"].str.split(";").str[0],
            "artists": raw["artists"].str.replace(";", "; "),
            "duration_ms": raw["duration_ms"],
        }
    )
    return keys, tracks, load_truth(folder, keys, tracks)


def load_dated(folder: Path) -> pd.DataFrame:
    """A second, smaller catalogue that has albums, release dates and popularity."""
    raw = (
        pd.read_csv(folder / "spotify_songs.csv.gz")
        .drop_duplicates("track_id")
        .dropna(subset=["track_name"])
        .reset_index(drop=True)
    )
    return pd.DataFrame(
        {
            "track_id": "spotify:" + raw["track_id"],
            "title": raw["track_name"],
            "artist": raw["track_artist"],
            "artists": raw["track_artist"],
            "album": raw["track_album_name"],
            "release_date": raw["track_album_release_date"].astype("str"),
            "duration_ms": raw["duration_ms"],
            "popularity": raw["track_popularity"],
        }
    )


def load_truth(folder: Path, keys: pd.DataFrame, tracks: pd.DataFrame) -> pd.DataFrame:
    """One row per key with truth: ids (set), in_catalogue, agree (the two people gave ids of one recording), durations."""
    truth = pd.read_csv(folder / "chart_to_track_truth_half.csv").rename(columns={"performer": "artist"})
    truth = truth.drop_duplicates(["title", "artist"])
    features = pd.read_parquet(
        folder / "hot_100_audio_features.parquet", columns=["song", "performer", "spotify_track_duration_ms"]
    )
    features = features.rename(columns={"song": "title", "performer": "artist", "spotify_track_duration_ms": "truth_ms"})
    features = features.dropna(subset=["truth_ms"]).drop_duplicates(["title", "artist"])
    frame = keys[["title", "artist"]].merge(truth, on=["title", "artist"]).merge(features, on=["title", "artist"], how="left")
    known = tracks.set_index("track_id")
    frame["ids"] = [
        {f"spotify:{x}" for x in pair if isinstance(x, str)}
        for pair in zip(frame["spotify_id_a"], frame["spotify_id_b"], strict=True)
    ]
    held = [[known.loc[i] for i in sorted(ids) if i in known.index] for ids in frame["ids"]]
    frame["in_catalogue"] = [bool(rows) for rows in held]
    frame["names"] = [{(frozen_title(r["title"]), frozen_artist(r["artist"])) for r in rows} for rows in held]
    frame["durations"] = [
        [*(r["duration_ms"] for r in rows if r["duration_ms"] == r["duration_ms"]), *([ms] if ms == ms else [])]
        for rows, ms in zip(held, frame["truth_ms"], strict=True)
    ]
    # Without a duration, and with every id outside the catalogue, a right link cannot be told from a wrong one.
    frame["verifiable"] = frame["in_catalogue"] | frame["durations"].map(len).gt(0)
    frame["agree"] = frame["spotify_id_a"].notna() & (frame["spotify_id_a"] == frame["spotify_id_b"])
    return frame[["title", "artist", "ids", "names", "durations", "in_catalogue", "verifiable", "agree"]]


def judge(links: pd.DataFrame, tracks: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Links with truth beside them; `confirmed` is empty where nothing was proposed."""
    frame = links.merge(truth, on=["title", "artist"], how="inner")
    known = tracks.set_index("track_id")[["title", "artist", "duration_ms"]]
    found = known.reindex(frame["track_id"]).reset_index()
    confirmed: list[bool | None] = []
    for row, link_title, link_artist, ms in zip(
        frame.itertuples(), found["title"], found["artist"], found["duration_ms"], strict=True
    ):
        if not isinstance(row.track_id, str):
            confirmed.append(None)
            continue
        same_name = (frozen_title(link_title), frozen_artist(link_artist)) in row.names
        same_length = any(abs(ms - other) <= SAME_MS for other in row.durations)
        confirmed.append(row.track_id in row.ids or same_name or same_length)
    frame["confirmed"] = pd.Series(confirmed, dtype="boolean")
    return frame


def half(title: str, artist: str) -> int:
    """Which half of the truth a key belongs to: 0 for fitting, 1 for testing."""
    return int(hashlib.sha256(f"match-1|{title}|{artist}".encode()).hexdigest()[:8], 16) % 2


def calibration_error(score: np.ndarray, right: np.ndarray, *, equal_count: bool = False) -> float:
    """Expected calibration error over ten bins: of equal width, or of (nearly) equal count with ties kept together."""
    if equal_count:
        bins = np.minimum((pd.Series(score).rank(method="average", pct=True) * 10).astype(int), 9).to_numpy()
    else:
        bins = np.minimum((score * 10).astype(int), 9)
    parts = [np.flatnonzero(bins == b) for b in np.unique(bins)]
    return float(sum(len(p) * abs(score[p].mean() - right[p].mean()) for p in parts) / len(score))


def report(links: pd.DataFrame, tracks: pd.DataFrame, truth: pd.DataFrame, keys: pd.DataFrame) -> pd.DataFrame:
    frame = judge(links, tracks, truth)
    frame["half"] = [half(t, a) for t, a in zip(frame["title"], frame["artist"], strict=True)]
    findable = frame[frame["in_catalogue"]]
    print(
        f"keys {len(links):,}; with truth {len(frame):,}; findable {len(findable):,}; linked {int((links.status == 'matched').sum()):,}"
    )
    for label, statuses in (("matched", ["matched"]), ("matched or proposed for review", ["matched", "review"])):
        linked = frame[frame["status"].isin(statuses)]
        recall = findable["status"].isin(statuses).mean()
        checked = linked[linked["verifiable"]]
        print(f"{label}: raw recall {recall:.4f}, confirmed {checked['confirmed'].mean():.4f} of {len(checked):,} verifiable "
              f"({linked['confirmed'].mean():.4f} of all {len(linked):,} with truth), "
              f"where both people agree {linked.loc[linked['agree'], 'confirmed'].mean():.4f}")  # fmt: skip
    held_out = frame[frame["half"] == 1]
    for label, part in (
        ("verifiable keys", frame[frame["verifiable"]]),
        ("verifiable keys of the held-out half", held_out[held_out["verifiable"]]),
        ("held-out half where both people agree", held_out[held_out["agree"]]),
    ):
        scored = part[part["confirmed"].notna()]
        score, right = scored["score"].to_numpy(), scored["confirmed"].to_numpy(dtype=float)
        print(
            f"calibration error, {label}: {calibration_error(score, right):.4f} "
            f"(equal counts {calibration_error(score, right, equal_count=True):.4f}; mean score {score.mean():.4f}, confirmed {right.mean():.4f})"
        )
        bands = pd.cut(score, [0, 0.3, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 1.0])
        print(
            pd.DataFrame({"score": score, "confirmed": right})
            .groupby(bands, observed=True)
            .agg(["mean", "count"])
            .round(3)
            .to_string()
        )
    table = frame[frame["confirmed"].notna()].groupby(["method", "status"])["confirmed"].agg(["mean", "count"]).round(3)
    print(table.to_string())
    decade = keys["first_date"].str[:3] + "0s"
    print(
        links.assign(decade=decade.to_numpy())
        .groupby("decade")["status"]
        .value_counts(normalize=True)
        .unstack()
        .round(3)
        .to_string()
    )
    print(f"other version among matched: {links.loc[links['status'] == 'matched', 'is_other_version'].mean():.4f}")
    return frame


def fit(keys: pd.DataFrame, catalogues: list[tuple[pd.DataFrame, pd.DataFrame]], strength: float = 4.0) -> None:
    """Print weights fitted on the first half of the keys with agreeing people; `strength` pulls them to judgement."""
    use = pd.concat([fitting_rows(keys, tracks, truth) for tracks, truth in catalogues])
    x = np.column_stack([np.ones(len(use)), use[list(confidence.FEATURES)].to_numpy(dtype=float)])
    y = use["confirmed"].to_numpy(dtype=float)
    start = np.array([3.5, *(JUDGEMENT[name] for name in confidence.FEATURES)])
    free = strength * np.abs(x).max(axis=0, initial=1.0) ** 2
    free[0] = 0.0

    def loss(w: np.ndarray) -> float:
        z = x @ w
        return float(np.sum(np.logaddexp(0.0, z) - y * z) + 0.5 * np.sum(free * (w - start) ** 2))

    found = minimize(loss, start, method="L-BFGS-B").x
    print(f"fitted on {len(use):,} links, confirmed {y.mean():.4f}\nINTERCEPT = {found[0]:.2f}")
    for name, weight, count in zip(confidence.FEATURES, found[1:], (x[:, 1:] > 0).sum(axis=0), strict=True):
        print(f'    "{name}": {weight:.2f},  # {count:,} links')


def fitting_rows(keys: pd.DataFrame, tracks: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """The best candidate of each key of the fitting half on which the two people agree, judged."""
    unique = truth[["title", "artist"]]
    names = [parse_name(title, artist) for title, artist in unique.itertuples(index=False)]
    dates = unique.merge(keys, on=["title", "artist"])[["first_date", "last_date"]].apply(pd.to_datetime)
    top = rank(find(names, tracks), names, tracks, dates).groupby("key").first()
    judged = judge(top[["track_id", *confidence.FEATURES]].join(unique), tracks, truth)
    mine = np.array([half(t, a) == 0 for t, a in zip(judged["title"], judged["artist"], strict=True)])
    return judged[mine & judged["agree"]]


SPEEDS = ("all 200000", "100 1000000", "all 1000000")


def speed(keys: pd.DataFrame, tracks: pd.DataFrame, case: str) -> None:
    """Time one case; the caller starts a process for each, so that memory and caches are those of one run."""
    n_keys, n_tracks = case.split()
    catalogue = enlarge(tracks, int(n_tracks)) if int(n_tracks) > len(tracks) else tracks
    some = keys if n_keys == "all" else keys.sort_values(["last_date", "title"]).tail(int(n_keys))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, cpu = time.perf_counter(), time.process_time()
    match_keys(some, catalogue)
    seconds, used = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(some):,} keys against {len(catalogue):,} tracks: {seconds:.1f} s, CPU {used:.1f} s, peak {peak:.0f} MB "
        f"({before:.0f} MB before matching), load average {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def enlarge(tracks: pd.DataFrame, n: int) -> pd.DataFrame:
    """The catalogue repeated to `n` rows: in each copy three of ten tracks keep their artist with another title, the others get new artists."""
    rng = np.random.default_rng(1)
    parts, size = [tracks], len(tracks)
    while size < n:
        copy, order = tracks.copy(), rng.permutation(len(tracks))
        number = f" {len(parts)}"
        copy["track_id"] = tracks["track_id"] + number.strip().rjust(3, "x")
        copy["title"] = (tracks["title"].str.split(" ").str[0].to_numpy()[order] + " " + tracks["title"]).to_numpy()
        new = rng.random(len(tracks)) < 0.7
        for column in ("artist", "artists"):
            copy[column] = np.where(new, tracks[column] + number, tracks[column])
        copy["duration_ms"] = tracks["duration_ms"].to_numpy()[order]
        parts.append(copy)
        size += len(copy)
    return pd.concat(parts, ignore_index=True).iloc[:n]


def scripts(tracks: pd.DataFrame, most: int = 400) -> None:
    """Print catalogue titles back as a chart might (upper case, no suffix, joined credits) and count what is found again, by script."""

    def script(text: str) -> str:
        letters = (unicodedata.name(char, "?").split()[0] for char in text if ord(char) > 0x24F and char.isalpha())
        return next(letters, "ASCII" if text.isascii() else "LATIN, ACCENTED")

    picked = tracks.assign(script=tracks["title"].map(script)).sample(frac=1, random_state=1).groupby("script").head(most)
    picked = picked[~picked["artists"].str.contains("karaoke", case=False)]
    charted = pd.DataFrame(
        {
            "title": [re.sub(r"\s[-(\[].*", "", title).upper() or title for title in picked["title"]],
            "artist": picked["artists"].str.replace("; ", " X ").str.replace(", ", " feat. ", n=1).to_numpy(),
            "script": picked["script"].to_numpy(),
            "printed": picked["title"].to_numpy(),
        }
    )
    charted = charted.drop_duplicates(["title", "artist"], ignore_index=True).assign(run_no=1)
    links = match_keys(charted[["title", "artist", "run_no"]], tracks)
    found = tracks.set_index("track_id")["title"].reindex(links["track_id"]).fillna("").to_numpy()
    same = [frozen_title(a) == frozen_title(b) for a, b in zip(found, charted["printed"], strict=True)]
    charted["found_again"] = np.array(same) & (links["status"] == "matched").to_numpy()
    print(charted.groupby("script")["found_again"].agg(["mean", "count"]).round(3).to_string())


def sample_golden(keys: pd.DataFrame, links: pd.DataFrame, n: int) -> pd.DataFrame:
    """Keys for people to read, spread over decades and methods (unmatched ones too), in an order that tells nothing of the answer."""
    strata = pd.DataFrame({"decade": keys["first_date"].str[:3], "method": links["method"], "status": links["status"]})
    order = pd.Series(np.random.default_rng(7).permutation(len(keys)), index=keys.index)
    # One from each stratum, then a second one, and so on: rare methods are read as closely as common ones.
    turn = order.groupby([strata[column] for column in strata]).rank(method="first")
    picked = pd.DataFrame({"turn": turn, "order": order}).sort_values(["turn", "order"]).index[:n]
    sample = keys.loc[picked].sample(frac=1, random_state=7)
    columns = {"expected_title": "", "expected_artists": "", "version_note": "", "reader": "", "remark": ""}
    sample = sample.rename(columns={"title": "chart_title", "artist": "chart_artist"})
    return sample[["chart_title", "chart_artist", "first_date", "last_date"]].assign(**columns)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--speed", nargs="?", const="each", choices=("each", *SPEEDS))
    parser.add_argument("--scripts", action="store_true")
    parser.add_argument("--sample-golden", type=int, metavar="N")
    parser.add_argument("--save", type=Path, help="where to write the judged links (outside the project)")
    options = parser.parse_args()
    folder = Path(os.environ.get("SOUNDSCOPE_REALDATA", PROJECT.parent / "shared" / "data"))
    if not folder.exists():
        print(f"no real data in {folder}; set SOUNDSCOPE_REALDATA", file=sys.stderr)
        return 2
    if options.speed == "each":
        for case in SPEEDS:
            subprocess.run([sys.executable, __file__, "--speed", case], check=True)
        return 0
    keys, tracks, truth = load(folder)
    dated = load_dated(folder)
    if options.fit:
        fit(keys, [(tracks, truth), (dated, load_truth(folder, keys, dated))])
        return 0
    if options.speed:
        speed(keys, tracks, options.speed)
        return 0
    if options.scripts:
        scripts(tracks)
        return 0
    if options.sample_golden:
        sample_golden(keys, match_keys(keys, tracks), options.sample_golden).to_csv(sys.stdout, index=False)
        return 0
    start = time.perf_counter()
    links = match_keys(keys, tracks)
    print(
        f"matched in {time.perf_counter() - start:.1f} s, peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
    )
    frame = report(links, tracks, truth, keys)
    print("\nThe second catalogue, which has release dates:")
    report(match_keys(keys, dated), dated, load_truth(folder, keys, dated), keys)
    if options.save:
        frame.to_pickle(options.save)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
