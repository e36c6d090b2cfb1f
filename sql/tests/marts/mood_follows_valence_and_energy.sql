{{ config(description='A derived mood is the quadrant of valence and energy.') }}

select *
from {{ ref('track_features') }}
where
    mood_source = 'derived'
    and (
        (mood in ('Happy', 'Calm')) <> (valence >= 0.5)
        or (mood in ('Happy', 'Energetic')) <> (energy >= 0.5)
    )
