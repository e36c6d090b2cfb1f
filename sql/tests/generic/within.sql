{# One failure per row with a value outside its range. `ranges`: column -> [lowest, highest], null for open. #}
{% test within(model, ranges) %}
    select *
    from {{ model }}
    where
        false
        {% for column, bounds in ranges.items() %}
            {% if bounds[0] is not none %}or {{ column }} < {{ bounds[0] }}{% endif %}
            {% if bounds[1] is not none %}or {{ column }} > {{ bounds[1] }}{% endif %}
        {% endfor %}
{% endtest %}
