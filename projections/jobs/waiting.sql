-- What a waiting job waits for. $1 job, $2 seconds without a beat after which a worker is dead.
select now() as now, i.state, i.changed_at, i.paused_until, i.pause_reason, i.running, i.max_running,
       (select count(*) from jobs o
        where o.installation = j.installation and o.state = 'queued' and (o.run_at, o.job) < (j.run_at, j.job)) as before,
       (select count(*) from installations o
        where o.queued > 0 and o.state = 'active' and o.turn < i.turn and o.next_run_at <= now()) as turns_before,
       (select max(p.paused_until) from providers p where p.paused_until > now()) as provider_paused_until,
       (select count(*) from worker w where w.beat_at > now() - make_interval(secs => $2)) as workers
from jobs j
join installations i using (installation)
where j.job = $1
