-- Writes folded rows: $1 subjects as a JSON array; marks as $2 facets, $3 values, $4 blocks; names as $5 names,
-- $6 repository ids.
with subjects as (
    insert into trail_subjects
    select * from json_populate_recordset(null::trail_subjects, $1::json)
    on conflict (stream) do update
    set repository_id = excluded.repository_id, pull_request = excluded.pull_request, head_sha = excluded.head_sha,
        job = excluded.job
),
names as (
    insert into trail_names
    select * from unnest($5::text[], $6::bigint[])
    on conflict do nothing
)
insert into trail
select * from unnest($2::text[], $3::text[], $4::bigint[])
on conflict do nothing
