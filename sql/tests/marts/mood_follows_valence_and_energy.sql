{{ config(description='A derived mood is the quadrant of valence and energy.') }}

select *
from {{ ref('track_features') }}
where
    mood_source = 'derived'
    and mood <> case
        when valence >= 0.5 then case when energy >= 0.5 then 'Happy' else 'Calm' end
        else case when energy >= 0.5 then 'Energetic' else 'Sad' end
    end
