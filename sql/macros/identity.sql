{# Our id of a track: what a row says itself first, then what else is known of its source id, ISRC or name.

   The model joins `stg_known_sources` as `known`, `stg_known_isrcs` as `by_isrc`, `stg_known_names` as `by_name`
   with `identity_joins`, and its own rows as `seen`. #}
{% macro track_id(duration='cast(null as bigint)') -%}
    coalesce(
        'spotify:' || coalesce(seen.spotify_id, known.spotify_id, by_isrc.spotify_id),
        'isrc:' || coalesce(seen.isrc, known.isrc),
        seen.provider || ':' || seen.source_id,
        {{ name_id('seen.title', 'seen.artist', duration, 'by_name.track_id') }}
    )
{%- endmacro %}

{# Last resort: the name. Rows that carry no length follow the shortest track of that name, if there is one. #}
{% macro name_id(title, artist, duration, fallback) -%}
    case
        when {{ title }} is null or {{ artist }} is null then null
        when {{ duration }} is null and {{ fallback }} is not null then {{ fallback }}
        else 'name:' || md5(
            {{ squeeze(title) }} || '|' || {{ squeeze(artist) }} || '|'
            || coalesce(cast({{ duration }} as string), '')
        )
    end
{%- endmacro %}

{# A name to look a row up by; none where an id says who it is, as names take long to compare. #}
{% macro name_key(name) -%}
    case when coalesce(seen.spotify_id, seen.isrc, seen.provider || seen.source_id) is null then {{ squeeze(name) }} end
{%- endmacro %}

{% macro identity_joins() -%}
    left join {{ ref('stg_known_sources') }} as known
        on seen.provider = known.provider and seen.source_id = known.source_id
    left join {{ ref('stg_known_isrcs') }} as by_isrc
        on coalesce(seen.isrc, known.isrc) = by_isrc.isrc
    left join {{ ref('stg_known_names') }} as by_name
        on
            seen.provider = by_name.provider
            and {{ name_key('seen.title') }} = by_name.title_key
            and {{ name_key('seen.artist') }} = by_name.artist_key
{%- endmacro %}

{# The first value that is known, in the order of a unique column. #}
{% macro first_known(column, preference='preference', known_if=none) -%}
    min_by({{ column }}, {{ preference }}) filter (where {{ known_if or column }} is not null)
{%- endmacro %}
