{{ config(description='Contributions of the tracks of one chart and date differ from their scores by the same mean.') }}

select
    contributions.chart,
    contributions.as_of
from (
    select track_id, chart, as_of, sum(contribution) as total
    from {{ ref('alignment_contributions') }}
    group by track_id, chart, as_of
) as contributions
inner join {{ ref('popularity_alignment') }} as aligned
    on
        contributions.track_id = aligned.track_id
        and contributions.chart = aligned.chart
        and contributions.as_of = aligned.as_of
group by contributions.chart, contributions.as_of, aligned.is_current
having max(aligned.score - contributions.total) - min(aligned.score - contributions.total) > 0.000001
