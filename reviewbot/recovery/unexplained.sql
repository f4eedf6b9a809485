-- Which of the given open pull requests have a head with neither a review nor a recorded reason, and whether the log knows
-- the pull request at all. $1 repository, $2 numbers, $3 heads, $4 whether drafts now, $5 actions that ask for a review.
-- A review that was superseded or cancelled does not count: its head would not be the open one's then. A reason of being
-- a draft counts for drafts only.
select p.number, exists (select from jobs j where j.repository_id = $1 and j.pull_request = p.number) as known
from unnest($2::int[], $3::text[], $4::boolean[]) as p (number, head, draft)
where not exists (
        select
        from jobs j
        where j.repository_id = $1 and j.pull_request = p.number
          and (j.head_sha = p.head and j.state not in ('superseded', 'cancelled')
               or j.head_sha is null and j.state in ('queued', 'ending', 'running'))
    )
    and not exists (
        select
        from event e
        where e.topic in ('DeliveryIgnored', 'HeadLeftOut', 'PullRequestDrafted') and e.data ->> 'head_sha' = p.head
          and (e.data ->> 'repository_id')::bigint = $1 and (e.data ->> 'pull_request')::int = p.number
          and case e.topic
                  when 'DeliveryIgnored' then e.data ->> 'event' = 'pull_request' and e.data ->> 'action' = any ($5)
                  when 'HeadLeftOut' then p.draft or e.data ->> 'reason' <> 'draft'
                  else p.draft
              end
    )
