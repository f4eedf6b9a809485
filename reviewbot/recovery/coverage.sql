-- Every head that the log knows, by what became of it. $1 actions of pull_request deliveries that ask for a review,
-- $2 how many unexplained heads to name. A head that was only ever mentioned, say by a label, is explained by nothing.
with told as (
    select e.position, (e.data ->> 'repository_id')::bigint as repository_id, e.data ->> 'repository' as repository,
           (e.data ->> 'pull_request')::int as pull_request, e.data ->> 'head_sha' as head_sha, '' as state,
           case
               when e.topic = 'PullRequestDrafted' then 'draft'
               when e.topic = 'HeadLeftOut' then e.data ->> 'reason'
               when e.data ->> 'event' = 'pull_request' and e.data ->> 'action' = any ($1) then e.data ->> 'reason'
           end as reason
    from event e
    where e.topic in ('DeliveryIgnored', 'HeadLeftOut', 'PullRequestDrafted')
      and e.data ->> 'head_sha' is not null and e.data ->> 'pull_request' is not null
      and e.data ->> 'repository_id' is not null
    union all
    select position, repository_id, repository, pull_request, head_sha, state,
           case state
               when 'skipped' then coalesce(reason, 'not reviewed on purpose')
               when 'superseded' then 'a newer request took its place'
               when 'cancelled' then coalesce(reason, 'no longer wanted')
           end
    from jobs
    where head_sha is not null
),
head as (
    select repository_id, pull_request, head_sha, max(position) as position,
           (array_agg(repository order by position desc))[1] as repository,
           bool_or(state = 'completed') as reviewed,
           bool_or(state in ('queued', 'ending', 'running')) as waiting,
           bool_or(state = 'failed') as failed,
           (array_agg(reason order by position desc) filter (where reason is not null))[1] as reason
    from told
    group by repository_id, pull_request, head_sha
),
placed as (
    select h.*, p.stop_reason,
           p.stop_reason in ('closed', 'merged') and (p.asked_at is null or p.stopped_at >= p.asked_at) as closed,
           h.position < max(h.position) over (partition by h.repository_id, h.pull_request) as followed
    from head h
    left join pull_requests p using (repository_id, pull_request)
),
fated as (
    select position, repository || '#' || pull_request || ' at ' || head_sha as name,
           case
               when reviewed then 'reviewed'
               when waiting then 'waiting'
               when failed then 'failed'
               when reason is not null or closed or followed then 'left out'
               else 'unexplained'
           end as fate,
           case
               when reviewed or waiting or failed then ''
               when reason is not null then reason
               when closed then stop_reason || ' before anybody asked'
               when followed then 'pushed to again before anybody asked'
               else ''
           end as reason
    from placed
)
select fate, reason, count(*) as heads,
       (array_agg(name order by position) filter (where fate = 'unexplained'))[1:$2] as names
from fated
group by fate, reason
order by fate, heads desc, reason
