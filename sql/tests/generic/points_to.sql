{# One failure per value that is not NULL and not found in the other table. #}
{% test points_to(model, column, to, field) %}
    select distinct pointing.{{ column }}
    from {{ model }} as pointing
    left join {{ to }} as target_rows on pointing.{{ column }} = target_rows.{{ field }}
    where pointing.{{ column }} is not null and target_rows.{{ field }} is null
{% endtest %}
