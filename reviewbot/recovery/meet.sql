-- A repository is about to be swept. $1 its id, $2 when the App was installed, $3 GitHub's window.
-- At the first meeting it is settled since when its heads are ReviewBot's business: not before the App was installed, nor
-- before the last sweep, which did not see it, nor longer ago than GitHub keeps deliveries.
insert into swept_repository as s (repository_id, since)
select $1, greatest($2::timestamptz, now() - $3::interval, r.swept_at) from recovery r
on conflict (repository_id) do update set since = s.since
returning s.since, s.swept_until, now() as now
