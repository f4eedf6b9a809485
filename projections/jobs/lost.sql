-- Running jobs whose worker is dead, unknown or past the deadline. $1 seconds without a beat, $2 rows.
select j.*, w.id is not null and w.beat_at >= now() - make_interval(secs => $1) as late
from jobs j
left join worker w on w.id = j.worker
where j.state = 'running'
  and (w.id is null or w.beat_at < now() - make_interval(secs => $1) or j.deadline < now())
order by j.job
limit $2
