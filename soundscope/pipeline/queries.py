"""SQL that commands ask of a release."""

MATCH_STATUS = """
select cast(floor(year(first_date) / 10) * 10 as integer) || 's' as decade, count(*) as chart_keys,
    count(*) filter (status in ('matched', 'overridden')) as matched, count(*) filter (status = 'review') as review,
    count(*) filter (status = 'unmatched') as unmatched,
    round(count(*) filter (status in ('matched', 'overridden')) / count(*), 3) as match_rate
from (
    select m.status, min(e.chart_date) as first_date
    from core.track_matches m
    join core.chart_entries e on e.title = m.title and e.artist = m.artist
    group by m.title, m.artist, m.run_no, m.status
)
group by 1 order by 1
"""
MODELS = """
select r.model_id, r.trained_at, r.target, r.algorithm, r.is_champion, r.verdict, r.n_train, r.n_classes,
    max(m.value) filter (m.metric = 'accuracy') as accuracy, max(m.value) filter (m.metric = 'macro_f1') as macro_f1,
    max(m.value) filter (m.metric = 'log_loss') as log_loss, r.reason
from ml.model_runs r
left join ml.model_metrics m on m.model_id = r.model_id and m.class = 'all' and m.split = 'recording'
group by all order by r.trained_at desc, r.model_id
"""
