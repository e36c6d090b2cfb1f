{{ config(tags=['alignment']) }}

-- Landed with two columns per feature, told with one row per feature.
with contributions as (
    select * from {{ source('raw', 'alignment_contributions') }}
),

batches as (
    select * from {{ ref('alignment_newest') }}
),

aligned as (
    select track_id, chart, as_of from {{ ref('popularity_alignment') }}
),

kept as (
    select
        contributions.*,
        batches.chart,
        batches.as_of
    from contributions
    inner join batches on contributions.batch_id = batches.batch_id
    inner join aligned
        on
            contributions.track_id = aligned.track_id
            and batches.chart = aligned.chart
            and batches.as_of = aligned.as_of
    qualify
        row_number() over (
            partition by contributions.track_id, batches.chart, batches.as_of
            order by
                batches.kind asc nulls last, contributions.fetched_at desc nulls last,
                contributions.landing_file desc nulls last, contributions.row_no desc nulls last
        ) = 1
)

{% for feature in aligned_features() %}
select
    track_id,
    chart,
    as_of,
    '{{ feature }}' as feature,
    z_{{ feature }} as z,
    adds_{{ feature }} as contribution
from kept
{{ "union all" if not loop.last }}
{% endfor %}
