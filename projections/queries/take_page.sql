-- Reads the next page of a projection and moves its checkpoint behind it; the caller folds the page and commits both.
-- Nothing comes back while another projector is at it, or when the tables are of another version: that one's fold is not
-- ours. The commit need not wait for the disk: rows and checkpoint would be lost together and be folded again.
-- $1 projection, $2 version, $3 rows, $4 only positions below, $5 why it stands still.
with mine as materialized (
    select projection, position, set_config('synchronous_commit', 'off', true)
    from checkpoint where projection = $1 and version = $2 for update skip locked
),
page as materialized (
    select e.*
    from mine
    cross join lateral (
        select position, stream, version, topic, data, installation, delivery, actor, correlation, causation, recorded_at
        from event
        where event.position > mine.position and ($4::bigint is null or event.position < $4)
        order by position
        limit $3
    ) e
),
moved as (
    update checkpoint c
    set position = coalesce((select max(position) from page), c.position), fault = $5
    from mine
    where c.projection = mine.projection and (exists (select from page) or c.fault is distinct from $5)
    returning pg_notify('projected', current_setting('reviewbot.process', true)) -- at the commit, for the other nodes
)
select * from page order by position
