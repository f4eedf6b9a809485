-- Installations whose counters differ from their jobs. The right answer is 0.
select count(*)
from installations i
left join (
    select installation, count(*) filter (where state = 'queued') as queued,
           count(*) filter (where state = 'running') as running
    from jobs where state in ('queued', 'running') group by installation
) j using (installation)
where (i.queued, i.running) <> (coalesce(j.queued, 0), coalesce(j.running, 0))
