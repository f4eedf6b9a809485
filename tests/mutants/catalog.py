"""The mutants: small faults, each with the tests that must notice it when it is put into ReviewBot."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """One fault. `old` stands exactly once in `file` and is replaced by `new`; one of `tests` fails then."""

    name: str
    file: str  # path in the repository
    old: str
    new: str
    tests: tuple[str, ...]  # as pytest takes them


MUTANTS = (
    # --- what is written ---
    Mutant(
        "acknowledges before the commit",
        "schema/log.py",
        "        return await stored\n",
        "        return 0\n",
        (
            "tests/journeys/test_intake.py::test_nothing_acknowledged_is_lost_when_sessions_are_killed",
            "tests/schema/test_log_faults.py::test_killed_backends_lose_nothing_that_was_acknowledged",
        ),
    ),
    Mutant(
        "answers a duplicate as stored",
        "schema/log.py",
        "            if number in conflicts or number in duplicates:\n",
        "            if number in conflicts:\n",
        (
            "tests/schema/test_append.py::test_a_known_delivery_refuses_its_whole_unit_and_no_other_of_the_batch",
            "tests/journeys/test_intake.py::test_a_redelivery_of_anything_else_is_known_too",
        ),
    ),
    Mutant(
        "does not recognise its own events after a lost reply",
        "schema/log.py",
        "                failure, again = error, True\n",
        "                failure = error\n",
        ("tests/schema/test_log_faults.py::test_after_a_lost_reply_the_retry_recognises_its_own_events_and_no_others",),
    ),
    Mutant(
        "takes NOTIFY for the only wake-up: follower",
        "schema/log.py",
        "                    await wait(woken, poll_seconds)\n",
        "                    await woken.wait()\n",
        ("tests/schema/test_positions.py::test_a_follower_that_hears_nothing_finds_what_others_append_all_the_same",),
    ),
    Mutant(
        "numbers events without taking the head",
        "schema/queries/append.sql",
        "    update log_head set position = position + (select count(*) from fresh)\n"
        "    returning position - (select count(*) from fresh) as base\n",
        "    select coalesce(max(position), 0) as base from event\n",
        ("tests/schema/test_positions.py::test_on_the_log_the_quick_writer_waits_for_the_slow_one",),
    ),
    Mutant(
        "binds a sealed text to no place",
        "schema/keys.py",
        "        return msgspec.json.encode((place.table, self.installation, place.row.hex(), place.kind, self.id))\n",
        '        return b""\n',
        (
            "tests/schema/test_keys.py::test_a_sealed_text_opens_in_its_own_place_only",
            "tests/schema/test_vault.py::test_a_row_in_another_ones_place_does_not_open",
        ),
    ),
    Mutant(
        "binds a wrapped key to no installation",
        "schema/keys.py",
        '    return msgspec.json.encode(("data_key", installation, key))\n',
        '    return b""\n',
        ("tests/schema/test_keys.py::test_a_wrapped_key_opens_for_its_own_installation_and_id_only",),
    ),
    Mutant(
        "erases without destroying the key",
        "schema/queries/destroy_key.sql",
        "delete from data_key where id = $1 returning id",
        "select id from data_key where id = $1",
        ("tests/test_erasure.py::test_after_an_erasure_reads_say_when_and_others_read_on",),
    ),
    Mutant(
        "destroys the key before it is written down outside",
        "schema/erasures.py",
        "    await asyncio.to_thread(erasures.append, installation, key)\n"
        "    await _destroy(connection, installation, key, actor)\n",
        "    await _destroy(connection, installation, key, actor)\n"
        "    await asyncio.to_thread(erasures.append, installation, key)\n",
        ("tests/test_erasure.py::test_what_cannot_be_written_down_is_not_erased",),
    ),
    Mutant(
        "verifies nothing that is not sealed yet",
        "schema/verify.py",
        "            if event.position != self.growth.size + 1:\n",
        "            if self._sealed >= event.position != self.growth.size + 1:\n",
        (
            "tests/schema/test_tampering.py::"
            "test_a_hole_in_what_is_not_sealed_yet_is_found_which_one_who_stops_at_the_seal_overlooks",
        ),
    ),
    Mutant(
        "seals inside before outside",
        "schema/seal.py",
        "        await asyncio.to_thread(self._copies.append, note)\n"
        '        logger.info("sealed", size=checkpoint.size, note=note)\n'
        "        await _save(connection, checkpoint, note, tiles)\n",
        "        await _save(connection, checkpoint, note, tiles)\n"
        '        logger.info("sealed", size=checkpoint.size, note=note)\n'
        "        await asyncio.to_thread(self._copies.append, note)\n",
        ("tests/schema/test_seal.py::test_a_copy_that_cannot_be_written_leaves_the_database_unsealed",),
    ),
    Mutant(
        "seals on though its memory outside says otherwise",
        "schema/seal.py",
        '        _expect(growth, checkpoint, "the newest checkpoint outside the database")\n',
        "",
        ("tests/schema/test_seal.py::test_a_sealer_that_starts_refuses_what_its_memory_outside_does_not_fit",),
    ),
    Mutant(
        "verifies a log that was cut without its end",
        "schema/verify.py",
        "        if beyond:\n",
        "        if beyond and self._restored:\n",
        (
            "tests/schema/test_tampering.py::test_a_log_rolled_back_to_a_backup_is_caught_and_without_the_copies_it_is_not",
        ),
    ),
    Mutant(
        "leaves an erased key that a backup brought back",
        "reviewbot/keyrings.py",
        '            await erase_again(connection, Erasures(settings.erasure_file), "operator")\n',
        "            Erasures(settings.erasure_file).read()\n",
        ("tests/test_erasure.py::test_a_key_that_came_back_is_destroyed_before_anything_is_read",),
    ),
    # --- what is read ---
    Mutant(
        "moves the checkpoint past what it has not read",
        "projections/queries/take_page.sql",
        "    set position = coalesce((select max(position) from page), c.position), fault = $5\n",
        "    set position = greatest((select h.position from log_head h where exists (select from page)), c.position),"
        " fault = $5\n",
        ("tests/projections/test_jobs_table.py::test_two_projectors_take_turns_and_fold_each_event_once",),
    ),
    Mutant(
        "takes NOTIFY for the only wake-up: projector",
        "projections/projector.py",
        "                await wait(self._woken, self._poll_seconds)\n",
        "                await self._woken.wait()\n",
        ("tests/projections/test_projector.py::test_a_projector_that_hears_nothing_folds_what_comes_all_the_same",),
    ),
    Mutant(
        "swaps tables in before they have caught up",
        "projections/swap.py",
        "            await _fold_rest(build)\n",
        "            await build.look_at_home()\n",
        (
            "tests/projections/test_rebuild.py::"
            "test_a_job_claimed_while_the_tables_are_about_to_change_is_claimed_in_the_new_ones",
        ),
    ),
    Mutant(
        "claims beyond the limit of an installation",
        "projections/jobs/claim.sql",
        " and running < coalesce(max_running, $5::int) and ",
        " and running <= coalesce(max_running, $5::int) and ",
        (
            "tests/projections/test_jobs_table.py::"
            "test_an_installation_at_its_limit_hands_out_nothing_however_many_ask_at_once",
            "tests/projections/test_jobs_table.py::"
            "test_many_claimers_never_pass_the_limit_of_an_installation_and_never_share_a_job",
        ),
    ),
    Mutant(
        "hands out jobs of suspended and deleted installations",
        "projections/jobs/claim.sql",
        "where queued > 0 and state = 'active' and running",
        "where queued > 0 and running",
        (
            "tests/projections/test_jobs_table.py::test_a_deleted_installation_hands_out_nothing_and_its_jobs_wait_for_their_ending",
        ),
    ),
    Mutant(
        "forgets the deadline of a review",
        "projections/jobs/lost.sql",
        " or j.deadline < now())",
        ")",
        ("tests/projections/test_jobs_table.py::test_a_job_of_a_dead_or_unknown_or_late_worker_is_found_lost",),
    ),
    # --- what comes in ---
    Mutant(
        "compares signatures as text",
        "reviewbot/github/signature.py",
        '        match = _SIGNATURE.fullmatch(header_values[0].encode("ascii", "replace"))\n'
        "        if match is None:\n"
        "            return False\n"
        "        claimed = match.group(1)\n"
        "        # Every secret is tried, so that the time taken does not tell which of them fits.\n"
        "        fits = [hmac.compare_digest(_hex_digest(secret, body), claimed) for secret in self._secrets]\n",
        '        claimed = header_values[0].removeprefix("sha256=")\n'
        "        digests = [_hex_digest(secret, body).decode() for secret in self._secrets]\n"
        "        fits = [hmac.compare_digest(digest, claimed) for digest in digests]\n",
        (
            "tests/github/test_signature.py::test_a_header_that_is_anything_else_is_refused_without_an_exception",
            "tests/test_intake.py::test_a_delivery_that_is_not_signed_properly_is_refused",
        ),
    ),
    Mutant(
        "holds any number of bytes of bodies",
        "reviewbot/intake.py",
        "        if self._budget.held + size > self._budget.limit:\n",
        "        if size > self._budget.limit:\n",
        ("tests/test_intake.py::test_bodies_beyond_the_budget_are_refused_and_those_within_go_on",),
    ),
    Mutant(
        "opens the API with an expired token",
        "reviewbot/api/tokens.py",
        '    if row["expired"]:\n',
        '    if row["expired"] is None:\n',
        ("tests/api/test_tokens.py::test_an_expired_token_is_refused_and_not_counted_as_used",),
    ),
    Mutant(
        "unpacks bodies before it knows whose they are",
        "reviewbot/server.py",
        '            "auto_decompress": False,\n',
        '            "auto_decompress": True,\n',
        ("tests/faults/test_siege.py::test_bodies_and_bombs_without_a_signature_cost_no_memory_and_real_work_goes_on",),
    ),
    Mutant(
        "compares no delivery twice that may have come late",
        "reviewbot/recovery/deliveries.py",
        "        return max(covered - OVERLAP, oldest)\n",
        "        return max(covered, oldest)\n",
        ("tests/recovery/test_deliveries.py::test_a_delivery_that_the_list_showed_late_is_recovered_all_the_same",),
    ),
    # --- what a worker does ---
    Mutant(
        "has no fence",
        "reviewbot/story.py",
        '        if self.job.state != "running" or self.job.claim_no != self.row.claim_no:\n',
        '        if self.job.state != "running":\n',
        ("tests/test_story.py::test_a_story_whose_job_was_claimed_again_writes_nothing",),
    ),
    Mutant(
        "takes NOTIFY for the only wake-up: worker",
        "reviewbot/worker.py",
        "                await wait(self._woken, self._settings.poll)\n",
        "                await self._woken.wait()\n",
        ("tests/test_worker.py::test_a_worker_that_hears_nothing_finds_its_job_all_the_same",),
    ),
    Mutant(
        "counts an attempt that a stop cut short",
        "reviewbot/review.py",
        "        refunded = self.releases < policy.max_releases\n",
        "        refunded = pause is not None and self.releases < policy.max_releases\n",
        ("tests/test_worker.py::test_stopping_hands_back_what_does_not_finish_and_refunds_the_attempt",),
    ),
    Mutant(
        "works on after its lease has ended",
        "reviewbot/worker.py",
        "            if self._is_silent():\n                self._drop_all()\n            raise\n",
        "            raise\n",
        ("tests/test_worker.py::test_a_worker_that_cannot_beat_drops_its_reviews_before_its_lease_ends",),
    ),
    Mutant(
        "makes a completed review again",
        "reviewbot/review.py",
        '(self.state == "completed" or request.asked_at',
        "(request.asked_at",
        ("tests/test_review.py::test_a_completed_review_is_not_made_again_however_new_the_request",),
    ),
    Mutant(
        "tries once more often than it may",
        "reviewbot/review.py",
        "        again = retryable and self.attempt < policy.max_attempts\n",
        "        again = retryable and self.attempt <= policy.max_attempts\n",
        ("tests/test_review.py::test_the_last_attempt_fails_for_good",),
    ),
    Mutant(
        "obeys anybody who comments",
        "reviewbot/steps.py",
        "        if not permission.may_write:\n",
        "        if permission is None:\n",
        ("tests/test_steps.py::test_who_may_not_write_may_not_ask_and_the_model_is_not_asked_either",),
    ),
    Mutant(
        "takes the settings from the head",
        "reviewbot/steps.py",
        "read_standing(client, story, self._vault, pull.base.sha",
        "read_standing(client, story, self._vault, pull.head.sha",
        ("tests/journeys/test_settings.py::test_the_settings_of_the_head_change_nothing",),
    ),
    Mutant(
        "lets a repository raise what the operator allows",
        "reviewbot/policy.py",
        "    return operators if repositorys is None else min(operators, repositorys)\n",
        "    return operators if repositorys is None else repositorys\n",
        ("tests/test_policy.py::test_a_repository_lowers_a_limit_and_never_raises_it",),
    ),
    # --- what goes out ---
    Mutant(
        "does not look for its marker",
        "reviewbot/publisher.py",
        "                mine = await self._look(plan, known, patient=attempt > 1) or await self._create(plan)\n",
        "                mine = await self._create(plan)\n",
        ("tests/test_publisher.py::test_publishing_again_finds_the_review_and_posts_nothing",),
    ),
    Mutant(
        "believes anybody's marker",
        "reviewbot/publisher.py",
        "        return review.user is not None and review.user.login == self._bot_login\n",
        "        return review.user is not None\n",
        ("tests/test_publisher.py::test_a_forged_marker_is_not_believed",),
    ),
    Mutant(
        "posts anchors of an older head",
        "reviewbot/steps.py",
        "        if story.job.head_sha in (None, pull.head.sha):\n",
        "        if story.job.head_sha in (None, pull.head.sha) or story.job.prepared:\n",
        ("tests/test_steps.py::test_a_head_that_moves_while_the_model_thinks_gets_no_review_of_the_old_one",),
    ),
    Mutant(
        "follows GitHub to another host with the token",
        "reviewbot/github/transport.py",
        "                allow_redirects=False,\n",
        "                allow_redirects=True,\n",
        ("tests/github/test_wire.py::test_no_other_host_is_ever_asked_let_alone_given_the_token",),
    ),
    Mutant(
        "follows a model to another host with the key",
        "reviewbot/llm/wire.py",
        "follow_redirects=False, timeout=None",
        "follow_redirects=True, timeout=None",
        ("tests/llm/test_providers.py::test_a_redirect_is_final_and_the_second_host_never_hears_of_it",),
    ),
    Mutant(
        "sends the key wherever a request goes",
        "reviewbot/llm/wire.py",
        "        if _origin(request.url) != self._origin:\n",
        "        if not request.url.host:\n",
        ("tests/llm/test_wire.py::test_a_request_to_another_origin_is_refused_before_it_leaves",),
    ),
    Mutant(
        "sends a write again whose answer was lost",
        "reviewbot/github/transport.py",
        '        waits = _RETRY_SECONDS if request.method == "GET" else ()\n',
        "        waits = _RETRY_SECONDS\n",
        ("tests/github/test_wire.py::test_a_write_whose_answer_is_lost_is_never_sent_again",),
    ),
    Mutant(
        "posts our secrets when they are encoded",
        "reviewbot/leaks.py",
        "    needles = {needle for secret in secrets for needle in _needles(secret)}\n",
        "    needles = set(secrets)\n",
        ("tests/test_leaks.py::test_a_secret_is_found_however_it_is_written",),
    ),
    Mutant(
        "shows a review without a last look at the head",
        "reviewbot/publisher.py",
        "                await self._guard()\n                shown = await",
        "                shown = await",
        ("tests/test_publisher.py::test_a_push_between_creation_and_submission_leaves_nothing_visible",),
    ),
    Mutant(
        "is green where the review failed",
        "reviewbot/check_runs.py",
        '                return "failure", check_failure(',
        '                return "success", check_failure(',
        ("tests/test_check_runs.py::test_any_other_ending_concludes_with_its_reason",),
    ),
    Mutant(
        "overlooks a secret that is spread over several findings",
        "reviewbot/planning.py",
        "    if any(leaks(text, secrets) for text in (rest, *_columns(kept))):\n",
        "    if leaks(rest[:0], secrets):\n",
        ("tests/test_planning.py::test_a_credential_that_is_spread_over_several_findings_withholds_them_all",),
    ),
    Mutant(
        "sends credentials with the prompt",
        "reviewbot/prompts/render.py",
        "    shown = redact(show_invisible(text)).strip()\n",
        "    shown = show_invisible(text).strip()\n",
        ("tests/prompts/test_render.py::test_credentials_do_not_leave_with_the_prompt",),
    ),
    Mutant(
        "lets the author close the section that holds his text",
        "reviewbot/prompts/render.py",
        "    return next(word for word in words if word not in content)\n",
        "    return next(words)\n",
        ("tests/prompts/test_render.py::test_a_delimiter_that_the_content_foresaw_is_passed_over",),
    ),
    Mutant(
        "reads an answer of any size",
        "reviewbot/llm/wire.py",
        "            if size > MAX_ANSWER_BYTES:\n",
        "            if size < 0:\n",
        ("tests/llm/test_providers.py::test_a_body_without_end_is_left_after_eight_mebibytes",),
    ),
    Mutant(
        "unpacks whatever GitHub sends",
        "reviewbot/github/transport.py",
        "        if len(body) > limit:\n",
        "        if len(body) < 0:\n",
        ("tests/github/test_wire.py::test_a_compressed_bomb_stops_at_the_limit",),
    ),
)
