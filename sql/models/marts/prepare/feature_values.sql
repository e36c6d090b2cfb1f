{{ config(materialized='view') }}

with track_features as (
    select * from {{ ref('track_features') }}
),

features as (
    {{ feature_rows(numeric_features()) }}
)

select
    track_features.track_id,
    track_features.genre,
    track_features.era,
    features.feature,
    case features.feature
        {% for feature in numeric_features() -%}
        when '{{ feature }}' then track_features.{{ feature }}
        {% endfor %}
    end as feature_value
from track_features
cross join features
