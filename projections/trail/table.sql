-- Where in the log something is found. An index of `event` for each thing that people ask by would cost every append;
-- this is written behind it, and says only in which block of 256 positions a value occurs.

create table trail (
    facet text not null,   -- repository, installation, topic, actor, story
    value text not null,   -- of that facet, as text
    block bigint not null, -- position / 256, rounded down
    primary key (facet, value, block)
);

-- What a stream is about. Streams that concern no repository have no row.
create table trail_subjects (
    stream        uuid primary key,
    repository_id bigint not null,
    pull_request  integer,
    head_sha      text,
    job           uuid         -- whose life, Check Run or duplicate request it tells
);

-- Every name that a repository ever had, in lower case; a name may have passed from one repository to another.
create table trail_names (
    repository    text not null,
    repository_id bigint not null,
    primary key (repository, repository_id)
);

grant select, insert, update, delete on trail, trail_subjects, trail_names to reviewbot_app;
grant select on trail, trail_subjects, trail_names to reviewbot_reader;
