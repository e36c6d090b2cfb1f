{{ config(materialized=step()) }}

-- One provider's whole vector per track: its own, else one of its recording; never a mixture of providers.
{% set features = sound_features() %}
with vectors as (
    select * from {{ ref('audio_features') }}
    where coalesce({{ features | join(', ') }}) is not null
),

providers as (
    select * from {{ ref('stg_providers') }}
),

tracks as (
    select track_id, recording_id from {{ ref('tracks') }}
),

shared as (
    select distinct recording_id
    from tracks
    where track_id <> recording_id
),

editions as (
    select tracks.track_id, tracks.recording_id
    from tracks
    inner join shared on tracks.recording_id = shared.recording_id
),

without_own as (
    select editions.track_id, editions.recording_id
    from editions
    left join vectors on editions.track_id = vectors.track_id
    where vectors.track_id is null
),

of_recording as (
    select without_own.track_id as for_track_id, vectors.*
    from without_own
    inner join editions on without_own.recording_id = editions.recording_id
    inner join vectors on editions.track_id = vectors.track_id
),

candidates as (
    select track_id as for_track_id, * from vectors
    union all
    select * from of_recording
)

select
    candidates.for_track_id as track_id,
    {{ each(features, 'candidates.@') }},
    candidates.key,
    candidates.mode,
    candidates.time_signature,
    candidates.duration_ms,
    candidates.provider as feature_provider,
    candidates.train_ok,
    candidates.track_id as feature_track_id
from candidates
left join providers on candidates.provider = providers.provider
qualify
    row_number() over (
        partition by candidates.for_track_id
        order by
            providers.feature_priority asc nulls last, candidates.provider asc nulls last,
            candidates.track_id asc nulls last
    ) = 1
