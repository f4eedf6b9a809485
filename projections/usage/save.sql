-- Writes folded calls. $1 calls as a JSON array.
insert into model_calls
select * from json_populate_recordset(null::model_calls, $1::json)
on conflict (job, position) do update
set model = excluded.model, prompt = excluded.prompt, outcome = excluded.outcome, input_tokens = excluded.input_tokens,
    output_tokens = excluded.output_tokens, cached_input_tokens = excluded.cached_input_tokens,
    cost_usd = excluded.cost_usd, price_table = excluded.price_table, read = excluded.read, use = excluded.use
