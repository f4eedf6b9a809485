"""Forty-four classes of bad input: what each is, and the tests that send it."""

from __future__ import annotations

SIGNED = "test_intake.py::test_a_delivery_that_is_not_signed_properly_is_refused"
PARKED = "test_intake.py::test_a_signed_delivery_that_cannot_be_understood_is_kept_and_parked"
ODD = "test_intake.py::test_oddities_in_what_nobody_needs_do_not_stop_a_review"
HTTP = "test_intake.py::test_a_request_that_is_no_proper_http_is_refused_without_naming_a_version"
DOOR = "bad_input/test_door.py"
CONTENT = "bad_input/test_content.py"

# what it is: where it is sent, and with which id of the test's cases
CLASSES: dict[int, tuple[str, tuple[str, ...]]] = {
    # signatures
    1: ("none", (f"{SIGNED}[missing]",)),
    2: ("an empty one", (f"{SIGNED}[empty]",)),
    3: ("SHA-1", (f"{SIGNED}[sha1]", "test_intake.py::test_a_sha1_signature_is_not_even_looked_at")),
    4: ("not ASCII", (f"{SIGNED}[not ASCII]",)),
    5: ("in upper case", (f"{SIGNED}[upper case]",)),
    6: ("of another length", (f"{SIGNED}[short]", f"{SIGNED}[long]")),
    7: ("given twice", (f"{SIGNED}[twice]",)),
    8: ("of another body", (f"{SIGNED}[of another body]",)),
    9: ("of a secret that was replaced", (f"{SIGNED}[of a secret no longer valid]",)),
    # HTTP
    10: ("no id of a delivery", ("test_intake.py::test_a_delivery_without_a_proper_id_is_refused",)),
    11: ("two framings", (f"{HTTP}[two framings]",)),
    12: (
        "compressed bombs",
        (
            "test_intake.py::test_an_encoded_body_is_refused_and_never_unpacked",
            "faults/test_siege.py::test_bodies_and_bombs_without_a_signature_cost_no_memory_and_real_work_goes_on",
        ),
    ),
    13: ("chunks without end", ("test_intake.py::test_a_chunked_body_without_end_is_cut_off_at_the_limit",)),
    14: (
        "slow headers and bodies",
        (
            "test_server.py::test_a_connection_that_does_not_get_to_the_point_is_closed",
            "test_intake.py::test_a_body_that_does_not_arrive_in_time_is_given_up",
            "faults/test_siege.py::test_five_hundred_slow_senders_do_not_keep_real_work_out",
        ),
    ),
    15: ("over 25 MB", ("test_intake.py::test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent",)),
    16: (
        "a form",
        ("test_intake.py::test_another_content_type_is_refused_with_what_to_do[application/x-www-form-urlencoded]",),
    ),
    17: ("another content type", ("test_intake.py::test_another_content_type_is_refused_with_what_to_do",)),
    18: ("a flood of headers", (f"{HTTP}[flood of headers]", f"{HTTP}[endless header]")),
    # JSON
    19: ("NUL", (f"{ODD}[NUL]", f"{ODD}[NUL needed]")),
    20: ("half a surrogate pair", (f"{ODD}[lone surrogate]", f"{ODD}[lone surrogate needed]")),
    21: ("not UTF-8", (f"{PARKED}[not UTF-8]",)),
    22: ("a number of 5,000 digits", (f"{PARKED}[5,000 digits]", f"{ODD}[5,000 digits]")),
    23: ("1e400 and NaN", (f"{PARKED}[1e400]", f"{PARKED}[NaN]", f"{ODD}[1e400]")),
    24: ("keys given twice", (f"{ODD}[key twice]", f"{DOOR}::test_of_a_key_that_is_given_twice_the_last_one_counts")),
    25: ("100,000 levels", (f"{PARKED}[deep lists]", f"{PARKED}[deep objects]")),
    26: ("a byte order mark", (f"{PARKED}[byte order mark]",)),
    27: ("null where something is needed", (f"{PARKED}[no pull request]", f"{PARKED}[no head]")),
    28: (
        "an unknown event or action",
        ("test_intake.py::test_an_unknown_event_and_an_unknown_action_are_ignored_by_name",),
    ),
    29: (
        "no installation",
        (f"{PARKED}[no installation]", f"{DOOR}::test_a_delivery_without_a_part_asks_for_nothing[installation]"),
    ),
    # replay
    30: (
        "the same under another id, another body under the same id, as another event, and after a close",
        (
            "journeys/test_intake.py::test_a_body_replayed_under_a_new_id_is_known_by_its_meaning",
            "journeys/test_intake.py::test_a_known_id_with_another_body_changes_nothing",
            "journeys/test_intake.py::test_a_body_replayed_as_another_event_asks_for_nothing",
            "journeys/test_intake.py::test_a_replayed_push_does_not_open_a_pull_request_that_was_closed_since",
        ),
    ),
    # content
    31: (
        "hostile titles, branches, names",
        (
            f"{DOOR}::test_hostile_names_stay_text_wherever_they_are_shown",
            "prompts/test_render.py::test_no_text_closes_its_own_section",
            "prompts/test_render.py::test_a_delimiter_repeated_by_the_author_is_not_used_again",
        ),
    ),
    32: (
        "characters that nobody sees",
        (
            f"{ODD}[bidi and tags]",
            "test_invisible.py::test_every_control_and_format_character_is_shown_by_its_code_point",
            "prompts/test_render.py::test_invisible_characters_are_shown",
        ),
    ),
    33: (
        "huge diffs, lines, numbers of files",
        (
            "test_steps.py::test_a_change_beyond_githubs_limits_is_read_file_by_file",
            "diff/test_budget.py::test_a_huge_line_is_cut_and_says_how_much_is_left",
            "diff/test_files.py::test_beyond_the_limit_the_most_changed_source_files_come_first_and_the_rest_is_named",
        ),
    ),
    34: (
        "binary, renamed, empty, submodule, link, a fork that is gone",
        (
            "diff/test_parse.py::test_every_odd_file_is_read_as_git_itself_counts_it",
            "diff/test_files.py::test_what_has_no_lines_to_read_is_left_out_with_its_own_reason",
            f"{DOOR}::test_the_push_of_a_fork_that_is_gone_is_reviewed",
        ),
    ),
    35: (
        "odd paths",
        (
            "diff/test_parse.py::test_paths_are_read_the_same_when_git_does_not_quote_bytes_above_127",
            "github/test_wire.py::test_no_path_changes_the_address_it_is_put_into",
            "test_findings.py::test_a_file_that_is_not_part_of_the_change_leaves_a_note",
        ),
    ),
    # settings of a repository
    36: (
        "bombs of YAML",
        (
            "test_policy.py::test_a_bomb_costs_little_memory_and_is_told_in_a_few_lines",
            f"{CONTENT}::test_a_bomb_of_yaml_in_an_answer_costs_its_own_finding_alone",
        ),
    ),
    37: ("unknown keys, wrong types, keys given twice", ("test_policy.py::test_each_fault_has_its_line_and_a_reason",)),
    38: (
        "patterns that never end",
        ("test_globs.py::test_a_pattern_and_a_path_made_for_each_other_are_decided_at_once",),
    ),
    39: (
        "another address, model or key, and settings that the author brings along",
        (
            "test_policy.py::test_a_repository_cannot_choose_model_address_or_key",
            "journeys/test_settings.py::test_the_settings_of_the_head_change_nothing",
        ),
    ),
    # what a model says
    40: (
        "text with an effect",
        (
            "test_markdown.py::test_hostile_text_has_no_effect",
            "journeys/test_trouble.py::test_whatever_an_obeying_model_writes_is_one_harmless_review",
        ),
    ),
    41: (
        "our secrets, encoded, spread or led away",
        (
            "test_leaks.py::test_a_secret_is_found_however_it_is_written",
            "test_planning.py::test_a_credential_that_is_spread_over_several_findings_withholds_them_all",
            "test_steps.py::test_credentials_that_a_model_repeats_are_not_posted",
        ),
    ),
    42: (
        "places that do not exist, and far too much",
        (
            f"{CONTENT}::test_whatever_a_model_says_one_review_within_the_limits_is_posted",
            "test_answers.py::test_the_number_of_findings_is_bounded_and_the_rest_is_named",
            "diff/test_positions.py::test_every_anchor_lies_on_its_side_of_one_hunk",
        ),
    ),
    # tenants
    43: (
        "ids that are forged, texts that are swapped, an installation that is gone",
        (
            f"{DOOR}::test_an_id_that_cannot_be_one_is_parked",
            f"{DOOR}::test_one_repository_under_two_installations_has_two_jobs_and_two_keys",
            "webhooks/test_decisions.py::test_a_job_of_another_repository_cannot_be_rerun",
            "schema/test_vault.py::test_a_row_in_another_ones_place_does_not_open",
            "test_steps.py::test_an_installation_that_is_gone_ends_the_attempt_for_good",
        ),
    ),
    # the pages about the service
    44: (
        "requests in somebody's name, guessed tokens and ids, scripts in names",
        (
            f"{DOOR}::test_no_page_sets_a_cookie_or_lets_another_site_read_it",
            f"{DOOR}::test_guessing_tokens_tells_nothing_and_keeps_nobody_out",
            f"{DOOR}::test_hostile_names_stay_text_wherever_they_are_shown",
            "api/test_door.py::test_there_is_no_way_to_change_anything",
            "api/test_door.py::test_a_job_that_nobody_asked_for_is_not_found",
        ),
    ),
}
