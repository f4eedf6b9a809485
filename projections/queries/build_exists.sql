-- Whether a build stands in a schema. $1 schema.
select to_regclass(format('%I.checkpoint', $1::text)) is not null
