{{ config(materialized=by_track()) }}

with tracks as (
    select * from {{ ref('tracks') }}
),

sound as (
    select * from {{ ref('track_sound') }}
),

popularity as (
    select * from {{ ref('track_popularity') }}
),

genres as (
    select * from {{ ref('track_genre') }}
),

derived as (
    select
        *,
        {{ mood_of('valence', 'energy') }} as derived_mood
    from sound
)

select
    tracks.track_id,
    tracks.title,
    tracks.artist,
    derived.tempo,
    derived.danceability,
    derived.energy,
    derived.valence,
    derived.loudness,
    derived.acousticness,
    derived.instrumentalness,
    derived.speechiness,
    derived.liveness,
    popularity.popularity,
    derived.key,
    derived.mode,
    derived.time_signature,
    coalesce(tracks.duration_ms, derived.duration_ms) as duration_ms,
    genres.genre,
    coalesce(tracks.imported_mood, derived.derived_mood) as mood,
    tracks.era,
    derived.feature_provider,
    popularity.popularity_provider,
    case
        when tracks.imported_mood is not null then 'imported'
        when derived.derived_mood is not null then 'derived'
    end as mood_source,
    coalesce(derived.train_ok, false) as train_ok,
    genres.family,
    tracks.recording_id,
    derived.feature_track_id,
    genres.genre_train_ok,
    popularity.popularity_train_ok
from tracks
left join derived on tracks.track_id = derived.track_id
left join popularity on tracks.track_id = popularity.track_id
left join genres on tracks.track_id = genres.track_id
