{# The numeric features of the notebook, in its order. #}
{% macro numeric_features() -%}
    {{ return([
        'tempo', 'danceability', 'energy', 'valence', 'loudness', 'acousticness', 'instrumentalness', 'speechiness',
        'liveness', 'popularity',
    ]) }}
{%- endmacro %}

{# The same without popularity, which changes with time: the sound. #}
{% macro sound_features() -%}
    {{ return(numeric_features() | reject('equalto', 'popularity') | list) }}
{%- endmacro %}

{# The names as rows of one column. #}
{% macro rows_of(values, column) -%}
    {% for value in values -%}
        select {{ "'" ~ value ~ "'" if value is string else value }} as {{ column }}{{ ' union all ' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# A list with one item per name: `@` in the pattern stands for it. #}
{% macro each(names, pattern) -%}
    {% for name in names %}{{ pattern | replace('@', name) }}{{ ', ' if not loop.last }}{% endfor %}
{%- endmacro %}

{# The value of the column whose name another column holds. #}
{% macro value_of(names, relation, chosen) -%}
    case {{ chosen }}{% for name in names %} when '{{ name }}' then {{ relation }}.{{ name }}{% endfor %} end
{%- endmacro %}

{# Mood from valence and energy at 0.5 (the four quadrants of the circumplex model: Russell 1980). #}
{% macro mood_of(valence, energy) -%}
    case
        when {{ valence }} is null or {{ energy }} is null then null
        when {{ valence }} >= 0.5 and {{ energy }} >= 0.5 then 'Happy'
        when {{ energy }} >= 0.5 then 'Energetic'
        when {{ valence }} < 0.5 then 'Sad'
        else 'Calm'
    end
{%- endmacro %}

{# A date's decade as 2010s. #}
{% macro decade(date) -%}
    cast(cast(floor(extract(year from {{ date }}) / 10) * 10 as int) as string) || 's'
{%- endmacro %}

{# Windows of chart_trends, in weeks. #}
{% macro trend_windows() -%}{{ return([4, 12, 52]) }}{%- endmacro %}

{# Condition of a weekly model: every week, or in an incremental run those from `start_week` on and some weeks before. #}
{% macro changed_weeks(column, weeks_before=0) -%}
    {%- if is_incremental() and var('start_week', none) -%}
    {{ column }} >= {{ days_after("cast('" ~ var('start_week') ~ "' as date)", -7 * weeks_before) }}
    {%- else -%}
    true
    {%- endif -%}
{%- endmacro %}
