with genre_labels as (
    select * from {{ source('raw', 'genre_labels') }}
),

identified as (
    select
        seen.*,
        case when seen.subject = 'track' then {{ track_id() }} end as track_id,
        {{ squeeze('seen.label') }} as genre
    from genre_labels as seen
    {{ identity_joins() }}
),

-- What a source says of a track or artist is the set of labels of its newest run: a label may be withdrawn.
newest as (
    select *
    from identified
    where genre <> '' and (track_id is not null or artist_id is not null)
    qualify
        run_id is not distinct from first_value(run_id) over (
            partition by provider, source, subject, track_id, artist_id
            order by fetched_at desc nulls last, landing_file desc nulls last, row_no desc nulls last
        )
)

select
    provider,
    source,
    subject,
    track_id,
    case when subject = 'artist' then artist_id end as artist_id,
    genre,
    min(label) as raw_label,
    max(fetched_at) as fetched_at
from newest
group by provider, source, subject, track_id, case when subject = 'artist' then artist_id end, genre
