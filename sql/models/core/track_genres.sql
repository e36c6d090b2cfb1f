with labels as (
    select * from {{ ref('stg_genre_labels') }}
),

tracks as (
    select * from {{ ref('stg_tracks') }}
),

families as (
    select * from {{ ref('genre_families') }}
),

providers as (
    select * from {{ ref('stg_providers') }}
),

credited as (
    select
        track_id,
        {{ explode_items('artist_ids', ';') }} as artist_id
    from tracks
    where artist_ids is not null
),

-- What is said of an artist is said of every track that credits them.
labelled as (
    select track_id, provider, source, genre, raw_label
    from labels
    where subject = 'track'
    union all
    select credited.track_id, labels.provider, labels.source, labels.genre, labels.raw_label
    from labels
    inner join credited on labels.artist_id = trim(credited.artist_id)
    where labels.subject = 'artist'
)

select
    labelled.track_id,
    labelled.genre,
    min(families.family) as family,
    labelled.source,
    min(labelled.raw_label) as raw_label,
    min(labelled.provider) as provider,
    max(case when providers.train_ok then 1 else 0 end) = 1 as train_ok
from labelled
left join families on labelled.genre = families.genre
left join providers on labelled.provider = providers.provider
group by labelled.track_id, labelled.genre, labelled.source
