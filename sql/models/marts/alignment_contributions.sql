{{ config(tags=['alignment']) }}

with contributions as (
    select * from {{ source('raw', 'alignment_contributions') }}
),

batches as (
    select * from {{ ref('alignment_newest') }}
),

aligned as (
    select track_id, chart, as_of from {{ ref('popularity_alignment') }}
)

select
    contributions.track_id,
    contributions.chart,
    contributions.as_of,
    contributions.feature,
    contributions.z,
    contributions.contribution
from contributions
inner join batches on contributions.batch_id = batches.batch_id
inner join aligned
    on
        contributions.track_id = aligned.track_id
        and contributions.chart = aligned.chart
        and contributions.as_of = aligned.as_of
qualify
    row_number() over (
        partition by contributions.track_id, contributions.chart, contributions.as_of, contributions.feature
        order by
            batches.kind asc nulls last, contributions.fetched_at desc nulls last,
            contributions.landing_file desc nulls last, contributions.row_no desc nulls last
    ) = 1
