-- Makes replayed tables ready for use: the indexes that only questions need.
create index model_calls_position on model_calls (position);
create index model_calls_installation on model_calls (installation, asked_at);
