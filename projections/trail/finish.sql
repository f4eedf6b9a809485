-- Makes replayed tables ready for use: the indexes that only questions need.
create index trail_subjects_pull_request on trail_subjects (repository_id, pull_request);
create index trail_subjects_head on trail_subjects (head_sha text_pattern_ops) where head_sha is not null;
create index trail_subjects_job on trail_subjects (job) where job is not null;
