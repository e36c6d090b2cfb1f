{{ config(materialized=step()) }}

with track_features as (
    select * from {{ ref('track_features') }}
),

features as (
    {{ rows_of(numeric_features(), 'feature') }}
)

select
    track_features.track_id,
    track_features.genre,
    track_features.era,
    features.feature,
    {{ value_of(numeric_features(), 'track_features', 'features.feature') }} as feature_value
from track_features
cross join features
