{{ config(materialized=by_track()) }}

with audio_features as (
    select * from {{ ref('stg_audio_features') }}
),

providers as (
    select * from {{ ref('stg_providers') }}
)

select
    audio_features.track_id,
    audio_features.provider,
    coalesce(providers.licence, 'unknown') as licence,
    coalesce(providers.train_ok, false) as train_ok,
    audio_features.fetched_at,
    audio_features.tempo,
    audio_features.danceability,
    audio_features.energy,
    audio_features.valence,
    audio_features.loudness,
    audio_features.acousticness,
    audio_features.instrumentalness,
    audio_features.speechiness,
    audio_features.liveness,
    audio_features.key,
    audio_features.mode,
    audio_features.time_signature,
    audio_features.duration_ms
from audio_features
left join providers on audio_features.provider = providers.provider
