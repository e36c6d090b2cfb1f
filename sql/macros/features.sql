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

{# What a chart's trend is told of: the numeric features, and how long its songs are. #}
{% macro trend_features() -%}
    {{ return(numeric_features() + ['duration_ms']) }}
{%- endmacro %}

{# What alignment is made from: the sound, and how long a song is. #}
{% macro aligned_features() -%}
    {{ return(sound_features() + ['duration_ms']) }}
{%- endmacro %}

{# The names as rows of one column. #}
{% macro rows_of(values, column) -%}
    select {{ column }}
    from (values {% for value in values %}({{ "'" ~ value ~ "'" if value is string else value }}){{ ', ' if not loop.last }}{% endfor %})
        as given ({{ column }})
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

{# Quantiles of chart_trends: name, share of the chart points below it. #}
{% macro trend_quantiles() -%}
    {{ return([['q10', 0.1], ['q25', 0.25], ['median', 0.5], ['q75', 0.75], ['q90', 0.9]]) }}
{%- endmacro %}

{# The range of each feature that quantiles are told apart in, cut into forty bins; what lies outside counts into the outermost. #}
{% macro quantile_ranges() -%}
    {% set ranges = {'tempo': [40, 240], 'loudness': [-30, 0], 'popularity': [0, 100], 'duration_ms': [60000, 420000]} %}
    select feature, cast(low as double) as low, cast(high as double) as high
    from (values
        {% for feature in trend_features() %}
            ('{{ feature }}', {{ ranges.get(feature, [0, 1]) | join(', ') }}){{ ', ' if not loop.last }}
        {% endfor %}
    ) as given (feature, low, high)
{%- endmacro %}

{# Where a share of all points is reached, in bins, from points up to the end of each bin; a straight line within the bin. #}
{% macro place_in_bins(relation, bins, share) -%}
    {% set wanted = 'cast(' ~ share ~ ' as double) * ' ~ relation ~ '.upto_' ~ bins[-1] %}
    case
        {% for bin in bins %}
            {% set below = relation ~ '.upto_' ~ bins[loop.index0 - 1] if loop.index0 else '0' %}
            when {{ relation }}.upto_{{ bin }} >= {{ wanted }}
                then {{ bin }} + ({{ wanted }} - {{ below }}) / nullif({{ relation }}.upto_{{ bin }} - {{ below }}, 0)
        {% endfor %}
    end
{%- endmacro %}

{# Pairs of dates a span apart, at most three days off, the exact distance preferred. One join per distance, so that each is on
   equal dates: engines compare all dates with all otherwise. #}
{% macro dates_before(dates, spans) -%}
    {% for span, days in spans.items() %}
        {% set is_last_span = loop.last %}
        {% for days_off in [0, -1, 1, -2, 2, -3, 3] %}
            select
                '{{ span }}' as span, {{ loop.index }} as preference, later.chart, later.chart_date,
                earlier.chart_date as earlier_date
            from {{ dates }} as later
            inner join {{ dates }} as earlier
                on
                    later.chart = earlier.chart
                    and {{ days_after('later.chart_date', days_off - days) }} = earlier.chart_date
            where {{ changed_weeks('later.chart_date') }}
            {{ 'union all' if not (loop.last and is_last_span) }}
        {% endfor %}
    {% endfor %}
{%- endmacro %}

{# Two relations agree in a list of columns. #}
{% macro same(left, right, columns) -%}
    {% for column in columns %}{{ left }}.{{ column }} = {{ right }}.{{ column }}{{ ' and ' if not loop.last }}{% endfor %}
{%- endmacro %}

{# Condition of a weekly model: every week, or in an incremental run those from `start_week` on and some weeks before. #}
{% macro changed_weeks(column, weeks_before=0) -%}
    {%- if is_incremental() and var('start_week', none) -%}
    {{ column }} >= {{ days_after("cast('" ~ var('start_week') ~ "' as date)", -7 * weeks_before) }}
    {%- else -%}
    true
    {%- endif -%}
{%- endmacro %}

{#
CTEs `steps` and `running` (chart, trend_stretch_no, window_weeks, event_date, features): what the changes in `events` have added up to at
each date of an event and at each of `dates`, a CTE too.
#}
{% macro sums_along_time(features) -%}
steps as (
    select
        chart, trend_stretch_no, window_weeks, event_date,
        {{ each(features, 'sum(@) as @') }}
    from (
        select chart, trend_stretch_no, window_weeks, event_date, {{ each(features, '@') }} from events
        union all
        select
            dates.chart, dates.trend_stretch_no, windows.window_weeks, dates.chart_date as event_date,
            {{ each(features, '0 as @') }}
        from dates
        cross join windows
    ) as changes
    group by chart, trend_stretch_no, window_weeks, event_date
),

running as (
    select
        chart, trend_stretch_no, window_weeks, event_date,
        {{ each(features, 'sum(@) over along_time as @') }}
    from steps
    window along_time as (
        partition by chart, trend_stretch_no, window_weeks order by event_date asc nulls last
        rows between unbounded preceding and current row
    )
)
{%- endmacro %}
