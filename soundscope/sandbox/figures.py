"""Published summary figures that shape the synthetic sound: quantiles per genre, correlations, key and mode rates.

Only summary figures live here, never a row of anybody's data. They were computed from two public tables:
pop, rock, rap, r&b, edm and latin from the TidyTuesday table of 2020-01-21 (`spotify_songs`, one row per track id),
country, soul, metal and jazz from the TidyTuesday table of 2021-09-14 (Hot 100 songs whose artist genres name the word);
correlations (Spearman) and key rates from the first. What is built from the figures is invented and synthetic.
"""

from __future__ import annotations

FEATURES = (
    "tempo",
    "danceability",
    "energy",
    "valence",
    "loudness",
    "acousticness",
    "instrumentalness",
    "speechiness",
    "liveness",
)
"""The nine numeric audio features, in the order of every feature matrix here (tempo in BPM, loudness in dB)."""

QUANTILE_LEVELS = (0.002, 0.05, 0.25, 0.5, 0.75, 0.95, 0.998)

# fmt: off
QUANTILES: dict[str, dict[str, tuple[float, ...]]] = {
    "pop": {  # n = 5132
        "tempo": (65.3, 84.9, 103.0, 120.0, 131.0, 171.8, 203.1),
        "danceability": (0.218, 0.4, 0.562, 0.65, 0.726, 0.833, 0.945),
        "energy": (0.093, 0.38, 0.594, 0.727, 0.832, 0.935, 0.994),
        "valence": (0.039, 0.144, 0.336, 0.499, 0.67, 0.876, 0.969),
        "loudness": (-18.2, -11.5, -7.6, -5.9, -4.6, -3.1, -1.4),
        "acousticness": (0.0, 0.001, 0.017, 0.076, 0.233, 0.696, 0.962),
        "instrumentalness": (0.0, 0.0, 0.0, 0.0, 0.003, 0.607, 0.948),
        "speechiness": (0.024, 0.029, 0.037, 0.049, 0.079, 0.219, 0.462),
        "liveness": (0.027, 0.057, 0.093, 0.123, 0.221, 0.434, 0.901),
        "duration_s": (105.7, 159.1, 189.8, 211.1, 237.2, 303.3, 465.2),
    },
    "rock": {  # n = 4305
        "tempo": (64.1, 80.9, 104.0, 124.0, 142.2, 175.1, 205.6),
        "danceability": (0.162, 0.279, 0.426, 0.522, 0.613, 0.749, 0.916),
        "energy": (0.087, 0.349, 0.604, 0.779, 0.898, 0.97, 0.993),
        "valence": (0.04, 0.162, 0.354, 0.526, 0.712, 0.917, 0.974),
        "loudness": (-21.6, -13.8, -9.7, -7.0, -4.9, -3.2, -1.8),
        "acousticness": (0.0, 0.0, 0.002, 0.037, 0.215, 0.652, 0.955),
        "instrumentalness": (0.0, 0.0, 0.0, 0.0, 0.012, 0.536, 0.952),
        "speechiness": (0.024, 0.027, 0.033, 0.042, 0.064, 0.14, 0.406),
        "liveness": (0.025, 0.054, 0.092, 0.137, 0.275, 0.578, 0.986),
        "duration_s": (74.9, 163.5, 206.0, 236.9, 277.8, 373.7, 511.3),
    },
    "rap": {  # n = 5401
        "tempo": (63.1, 78.7, 92.4, 120.0, 145.0, 174.2, 204.0),
        "danceability": (0.253, 0.462, 0.632, 0.734, 0.817, 0.906, 0.966),
        "energy": (0.075, 0.336, 0.545, 0.666, 0.776, 0.9, 0.984),
        "valence": (0.038, 0.13, 0.332, 0.517, 0.681, 0.864, 0.965),
        "loudness": (-21.2, -12.9, -8.4, -6.5, -5.1, -3.1, -0.9),
        "acousticness": (0.0, 0.002, 0.03, 0.112, 0.287, 0.706, 0.97),
        "instrumentalness": (0.0, 0.0, 0.0, 0.0, 0.0, 0.834, 0.96),
        "speechiness": (0.026, 0.039, 0.078, 0.177, 0.29, 0.428, 0.76),
        "liveness": (0.027, 0.061, 0.097, 0.128, 0.247, 0.5, 0.901),
        "duration_s": (66.4, 121.2, 172.2, 210.0, 250.2, 316.1, 449.6),
    },
    "r&b": {  # n = 4504
        "tempo": (60.5, 77.5, 92.4, 108.1, 129.8, 172.6, 204.5),
        "danceability": (0.208, 0.41, 0.582, 0.687, 0.768, 0.865, 0.944),
        "energy": (0.065, 0.28, 0.464, 0.594, 0.721, 0.877, 0.977),
        "valence": (0.039, 0.155, 0.362, 0.548, 0.717, 0.89, 0.969),
        "loudness": (-20.4, -13.3, -9.6, -7.6, -6.0, -4.2, -2.2),
        "acousticness": (0.0, 0.005, 0.049, 0.17, 0.42, 0.803, 0.967),
        "instrumentalness": (0.0, 0.0, 0.0, 0.0, 0.001, 0.138, 0.906),
        "speechiness": (0.024, 0.03, 0.042, 0.067, 0.157, 0.346, 0.562),
        "liveness": (0.023, 0.052, 0.09, 0.12, 0.22, 0.458, 0.943),
        "duration_s": (79.2, 155.3, 201.0, 235.9, 274.3, 344.1, 480.5),
    },
    "edm": {  # n = 4877
        "tempo": (75.0, 100.0, 124.0, 127.9, 128.0, 150.0, 200.1),
        "danceability": (0.264, 0.445, 0.578, 0.66, 0.744, 0.853, 0.963),
        "energy": (0.294, 0.545, 0.73, 0.838, 0.917, 0.974, 0.995),
        "valence": (0.033, 0.073, 0.212, 0.365, 0.557, 0.818, 0.966),
        "loudness": (-16.2, -10.2, -6.7, -5.0, -3.8, -2.3, -0.6),
        "acousticness": (0.0, 0.0, 0.003, 0.017, 0.076, 0.382, 0.86),
        "instrumentalness": (0.0, 0.0, 0.0, 0.011, 0.528, 0.892, 0.956),
        "speechiness": (0.027, 0.033, 0.045, 0.061, 0.1, 0.247, 0.484),
        "liveness": (0.023, 0.052, 0.091, 0.139, 0.305, 0.604, 0.955),
        "duration_s": (63.1, 148.8, 179.7, 204.9, 247.5, 387.7, 503.7),
    },
    "latin": {  # n = 4137
        "tempo": (68.0, 85.9, 96.0, 112.0, 128.0, 178.3, 203.0),
        "danceability": (0.186, 0.49, 0.653, 0.727, 0.791, 0.871, 0.953),
        "energy": (0.165, 0.419, 0.62, 0.733, 0.827, 0.923, 0.993),
        "valence": (0.018, 0.202, 0.441, 0.632, 0.793, 0.931, 0.972),
        "loudness": (-22.2, -11.9, -7.6, -5.9, -4.6, -3.1, -1.3),
        "acousticness": (0.0, 0.003, 0.043, 0.138, 0.312, 0.688, 0.948),
        "instrumentalness": (0.0, 0.0, 0.0, 0.0, 0.001, 0.491, 0.954),
        "speechiness": (0.025, 0.031, 0.043, 0.065, 0.124, 0.294, 0.508),
        "liveness": (0.021, 0.055, 0.089, 0.121, 0.229, 0.488, 0.967),
        "duration_s": (80.4, 153.1, 186.6, 211.3, 239.4, 304.8, 474.3),
    },
    "country": {  # n = 3068
        "tempo": (62.7, 78.1, 99.6, 121.1, 142.0, 174.5, 206.2),
        "danceability": (0.203, 0.351, 0.49, 0.568, 0.642, 0.744, 0.879),
        "energy": (0.064, 0.26, 0.464, 0.632, 0.789, 0.904, 0.974),
        "valence": (0.087, 0.196, 0.387, 0.591, 0.772, 0.939, 0.975),
        "loudness": (-24.1, -15.3, -11.0, -7.6, -5.4, -3.5, -1.8),
        "acousticness": (0.0, 0.008, 0.066, 0.226, 0.481, 0.825, 0.961),
        "instrumentalness": (0.0, 0.0, 0.0, 0.0, 0.0, 0.028, 0.787),
        "speechiness": (0.023, 0.026, 0.029, 0.034, 0.044, 0.088, 0.352),
        "liveness": (0.027, 0.056, 0.095, 0.125, 0.222, 0.434, 0.975),
        "duration_s": (107.5, 146.0, 185.1, 212.1, 239.1, 294.5, 536.1),
    },
    "soul": {  # n = 3729
        "tempo": (62.9, 77.9, 97.6, 114.2, 131.0, 175.2, 206.5),
        "danceability": (0.198, 0.334, 0.508, 0.628, 0.718, 0.835, 0.933),
        "energy": (0.055, 0.252, 0.425, 0.558, 0.695, 0.858, 0.974),
        "valence": (0.07, 0.255, 0.526, 0.711, 0.86, 0.962, 0.978),
        "loudness": (-22.8, -15.7, -11.9, -9.5, -7.4, -4.8, -1.8),
        "acousticness": (0.0, 0.02, 0.148, 0.365, 0.627, 0.851, 0.969),
        "instrumentalness": (0.0, 0.0, 0.0, 0.0, 0.001, 0.218, 0.907),
        "speechiness": (0.024, 0.028, 0.033, 0.042, 0.062, 0.155, 0.389),
        "liveness": (0.025, 0.049, 0.086, 0.134, 0.26, 0.576, 0.945),
        "duration_s": (109.1, 137.1, 164.0, 200.2, 258.4, 354.6, 561.6),
    },
    "metal": {  # n = 799
        "tempo": (66.9, 81.3, 104.2, 125.0, 142.8, 177.4, 206.5),
        "danceability": (0.165, 0.289, 0.43, 0.508, 0.577, 0.683, 0.836),
        "energy": (0.225, 0.449, 0.678, 0.811, 0.906, 0.967, 0.995),
        "valence": (0.061, 0.161, 0.323, 0.472, 0.647, 0.881, 0.972),
        "loudness": (-16.1, -13.2, -9.2, -6.2, -4.5, -3.0, -1.2),
        "acousticness": (0.0, 0.0, 0.001, 0.014, 0.083, 0.415, 0.744),
        "instrumentalness": (0.0, 0.0, 0.0, 0.0, 0.002, 0.113, 0.831),
        "speechiness": (0.024, 0.027, 0.033, 0.04, 0.059, 0.12, 0.372),
        "liveness": (0.03, 0.054, 0.092, 0.133, 0.242, 0.481, 0.968),
        "duration_s": (130.1, 176.5, 216.9, 247.6, 280.8, 349.0, 500.4),
    },
    "jazz": {  # n = 966
        "tempo": (58.5, 75.5, 94.6, 112.4, 130.6, 174.6, 206.1),
        "danceability": (0.146, 0.25, 0.437, 0.577, 0.693, 0.803, 0.92),
        "energy": (0.022, 0.179, 0.328, 0.493, 0.658, 0.848, 0.949),
        "valence": (0.055, 0.164, 0.402, 0.643, 0.824, 0.96, 0.974),
        "loudness": (-25.0, -17.3, -13.3, -10.9, -8.7, -6.1, -1.9),
        "acousticness": (0.0, 0.032, 0.214, 0.535, 0.756, 0.926, 0.975),
        "instrumentalness": (0.0, 0.0, 0.0, 0.0, 0.009, 0.766, 0.942),
        "speechiness": (0.024, 0.028, 0.032, 0.039, 0.056, 0.144, 0.413),
        "liveness": (0.024, 0.049, 0.088, 0.13, 0.259, 0.653, 0.962),
        "duration_s": (105.5, 134.1, 166.4, 201.8, 266.1, 387.4, 692.1),
    },
              }
"""Quantiles of each feature per genre at `QUANTILE_LEVELS`; `duration_s` in seconds."""

# Spearman correlations, rows and columns in the order of FEATURES.
CORRELATION = (
    (1.00, -0.17, 0.18, -0.06, 0.12, -0.17, 0.07, 0.02, 0.03),
    (-0.17, 1.00, -0.14, 0.33, -0.04, 0.10, -0.04, 0.26, -0.14),
    (0.18, -0.14, 1.00, 0.12, 0.66, -0.50, 0.10, 0.07, 0.14),
    (-0.06, 0.33, 0.12, 1.00, 0.03, 0.09, -0.15, 0.08, -0.05),
    (0.12, -0.04, 0.66, 0.03, 1.00, -0.30, -0.16, 0.10, 0.09),
    (-0.17, 0.10, -0.50, 0.09, -0.30, 1.00, -0.20, 0.02, -0.06),
    (0.07, -0.04, 0.10, -0.15, -0.16, -0.20, 1.00, -0.19, -0.04),
    (0.02, 0.26, 0.07, 0.08, 0.10, 0.02, -0.19, 1.00, 0.06),
    (0.03, -0.14, 0.14, -0.05, 0.09, -0.06, -0.04, 0.06, 1.00),
)
# fmt: on

MAJOR_SHARE = {
    "pop": 0.59,
    "rock": 0.69,
    "rap": 0.52,
    "r&b": 0.52,
    "edm": 0.52,
    "latin": 0.56,
    "country": 0.88,
    "soul": 0.70,
    "metal": 0.71,
    "jazz": 0.76,
}
"""Share of tracks in a major mode per genre."""

KEY_SHARE = (0.106, 0.121, 0.087, 0.028, 0.068, 0.081, 0.080, 0.103, 0.073, 0.093, 0.070, 0.091)
"""Share of tracks per key, C to B."""

METRE_SHARE = {4: 0.924, 3: 0.064, 5: 0.008, 1: 0.004}
"""Share of tracks per time signature (Hot 100 songs)."""

GENRES = tuple(QUANTILES)

GENRE_WEIGHT = {
    "pop": 0.16,
    "rock": 0.12,
    "rap": 0.15,
    "r&b": 0.10,
    "edm": 0.10,
    "latin": 0.10,
    "country": 0.09,
    "soul": 0.07,
    "metal": 0.06,
    "jazz": 0.05,
}
"""Share of artists per genre in the synthetic world (a choice of this project, not a published figure)."""

SUBGENRES = {
    "pop": ("dance pop", "indie pop", "electropop", "bedroom pop", "art pop"),
    "rock": ("album rock", "classic rock", "alternative rock", "garage rock", "permanent wave"),
    "rap": ("trap", "southern hip hop", "gangster rap", "hip hop", "melodic rap"),
    "r&b": ("urban contemporary", "neo soul", "contemporary r&b", "new jack swing"),
    "edm": ("electro house", "progressive house", "big room", "pop edm", "dubstep"),
    "latin": ("reggaeton", "latin pop", "trap latino", "tropical", "corrido"),
    "country": ("contemporary country", "country road", "outlaw country", "country pop"),
    "soul": ("classic soul", "motown", "southern soul", "disco"),
    "metal": ("alternative metal", "glam metal", "nu metal", "groove metal"),
    "jazz": ("vocal jazz", "smooth jazz", "bebop", "jazz fusion"),
}
"""Finer labels that an artist of the genre may carry (Spotify's `artist.genres` style)."""
