{{ config(severity='warn', description='Tracks without a title or an artist.') }}

select *
from {{ ref('tracks') }}
where title is null or artist is null
