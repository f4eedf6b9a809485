-- Every call to a model: what it cost, and whether its answer was of use. Follows from the log alone.

create table model_calls (
    job                 uuid not null,   -- the stream
    position            bigint not null, -- of the event that says it was asked
    installation        bigint,
    asked_at            timestamptz not null,
    provider            text not null,
    model               text not null,   -- as the provider reported it, else as it was asked for
    prompt              text not null,   -- artifact digest
    outcome             text not null check (outcome in ('asked', 'answered', 'failed')),
    input_tokens        bigint not null, -- with the cached ones
    output_tokens       bigint not null,
    cached_input_tokens bigint not null,
    cost_usd            numeric,         -- null: not answered, no price was known, or nobody recorded one
    price_table         text,            -- by which it was priced; null: not answered, or nobody recorded a price
    read                boolean not null, -- a review was made from its answer
    use                 text not null check (use in ('open', 'used', 'unused')), -- used: that review was posted
    primary key (job, position)
);

grant select, insert, update, delete on model_calls to reviewbot_app;
grant select on model_calls to reviewbot_reader;
