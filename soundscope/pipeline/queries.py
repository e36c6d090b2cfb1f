"""SQL that commands ask of a release."""

MODELS = """
select r.model_id, r.trained_at, r.target, r.algorithm, r.is_champion, r.verdict, r.n_train, r.n_classes,
    max(m.value) filter (m.metric = 'accuracy') as accuracy, max(m.value) filter (m.metric = 'macro_f1') as macro_f1,
    max(m.value) filter (m.metric = 'log_loss') as log_loss, r.reason
from ml.model_runs r
left join ml.model_metrics m on m.model_id = r.model_id and m.class = 'all' and m.split = 'recording'
group by all order by r.trained_at desc, r.model_id
"""
