with track_features as (
    select * from {{ ref('track_features') }}
),

fields as (
    {{ rows_of(['genre', 'mood', 'era'], 'field') }}
),

labelled as (
    select
        fields.field,
        {{ value_of(['genre', 'mood', 'era'], 'track_features', 'fields.field') }} as value
    from track_features
    cross join fields
)

select
    field,
    value,
    count(*) as n
from labelled
where value is not null
group by field, value
