with track_features as (
    select * from {{ ref('track_features') }}
),

categories as (
    {% for field in ['genre', 'mood', 'era'] -%}
    select '{{ field }}' as field, {{ field }} as value from track_features
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    field,
    value,
    count(*) as n
from categories
where value is not null
group by field, value
