-- Makes replayed tables ready for use: indexes, counters, and the triggers that keep the counters from here on.

create index jobs_first_position on jobs (first_position);
create index jobs_installation on jobs (installation, first_position);
create index jobs_queued on jobs (installation, run_at, job) where state = 'queued';
create index jobs_running on jobs (worker, deadline) where state = 'running';
create index jobs_ending on jobs (job) where state = 'ending';
create index jobs_failed on jobs (finished_at) where state = 'failed';
create index jobs_unchecked on jobs (request_position)
    where head_sha is not null
      and (check_version is null or check_version <> request_version
           or (not check_concluded and state in ('completed', 'failed', 'superseded', 'cancelled', 'skipped')));
create index installations_turn on installations (turn, installation) where queued > 0 and state = 'active';
create index installations_held on installations (paused_until) where budget is not null;

insert into installations (installation, queued, running, turn, next_run_at)
select installation, count(*) filter (where state = 'queued'), count(*) filter (where state = 'running'),
       max(started_position), min(run_at) filter (where state = 'queued')
from jobs
group by installation
on conflict (installation) do update
set queued = excluded.queued, running = excluded.running, turn = excluded.turn, next_run_at = excluded.next_run_at;

-- The counters follow the rows within the same statement, whoever writes them. An installation whose numbers stay as
-- they are is not written: most facts of a review change neither its state nor its turn.
create function jobs_count_inserted() returns trigger language plpgsql as $$
begin
    if not exists (select from fresh) then
        return null; -- "on conflict do update" fires both triggers
    end if;
    insert into installations (installation) select distinct installation from fresh on conflict do nothing;
    -- Held before anything is counted: what a claim is doing to them at this moment is known then.
    perform from installations where installation in (select installation from fresh) order by installation for update;
    update installations i
    set queued = i.queued + d.queued,
        running = i.running + d.running,
        turn = greatest(i.turn, d.turn),
        next_run_at = (select run_at from jobs j where j.installation = i.installation and j.state = 'queued'
                       order by run_at, job limit 1)
    from (
        select installation, count(*) filter (where state = 'queued') as queued,
               count(*) filter (where state = 'running') as running, max(started_position) as turn
        from fresh
        group by installation
    ) d
    where i.installation = d.installation;
    return null;
end
$$;
create trigger jobs_count_inserted after insert on jobs
    referencing new table as fresh for each statement execute function jobs_count_inserted();

create function jobs_count_updated() returns trigger language plpgsql as $$
begin
    perform from installations -- held before anything is counted, as above
    where installation in (
        select installation
        from (
            select job, installation, state, run_at, started_position from fresh
            except
            select job, installation, state, run_at, started_position from stale
        ) changed
    )
    order by installation
    for update;
    if not found then
        return null;
    end if;
    update installations i
    set queued = i.queued + d.queued,
        running = i.running + d.running,
        turn = greatest(i.turn, d.turn),
        next_run_at = d.next_run_at
    from (
        select installation, sum(queued) as queued, sum(running) as running, max(turn) as turn,
               (select run_at from jobs j where j.installation = change.installation and j.state = 'queued'
                order by run_at, job limit 1) as next_run_at
        from (
            select installation, (state = 'queued')::int as queued, (state = 'running')::int as running,
                   started_position as turn
            from fresh
            union all
            select installation, -(state = 'queued')::int, -(state = 'running')::int, 0 from stale
        ) change
        group by installation
    ) d
    where i.installation = d.installation
      and (d.queued <> 0 or d.running <> 0 or d.turn > i.turn or d.next_run_at is distinct from i.next_run_at);
    return null;
end
$$;
create trigger jobs_count_updated after update on jobs
    referencing old table as stale new table as fresh for each statement execute function jobs_count_updated();
