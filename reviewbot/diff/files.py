"""Chooses the files that are worth a model's reading, and says of every other one why it is left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import msgspec
from pathspec import GitIgnoreSpec

from reviewbot.diff.model import FileDiff, Line

_MARKER_LINES = 40  # a generator says so at the top
_MINIFIED_AVERAGE = 500  # characters a line
_MINIFIED_SUFFIXES = (".js", ".mjs", ".cjs", ".css", ".html", ".json", ".svg", ".xml")


class LeftOut(msgspec.Struct, frozen=True):
    """A file, or a part of one, that no model reads, and why, in words that go on after "it"."""

    path: str
    reason: str


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Every file of the diff once: in `reviewed`, or in `left_out` with the reason."""

    reviewed: tuple[FileDiff, ...]
    left_out: tuple[LeftOut, ...]


def _patterns(words: str) -> GitIgnoreSpec:
    """Patterns of .gitignore, between blanks; a later one may take back an earlier one with "!"."""
    return GitIgnoreSpec.from_lines(words.split())


# In lower case: nobody's .ENV is less secret.
_SECRET = _patterns(
    """
    .env .env.* *.env .envrc !.env.example !.env.sample !.env.template !.env.dist !example.env !sample.env
    *.pem *.key *.p12 *.pfx *.jks *.keystore *.ppk *.kdbx *.asc *.gpg *.ovpn
    id_rsa* id_dsa* id_ecdsa* id_ed25519* !*.pub .ssh/ .gnupg/
    **/.aws/credentials .netrc _netrc .npmrc .pypirc .pgpass .my.cnf .htpasswd .git-credentials
    .dockercfg **/.docker/config.json kubeconfig **/.kube/config *.tfvars *.tfstate *.tfstate.backup
    credentials.json service-account*.json service_account*.json secrets.yml secrets.yaml secrets.json secrets.toml
    """
)
_LOCK = _patterns(
    """
    package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock bun.lockb deno.lock
    poetry.lock Pipfile.lock uv.lock pdm.lock pixi.lock pylock.toml pylock.*.toml conda-lock.yml requirements.lock
    Cargo.lock Gemfile.lock composer.lock symfony.lock mix.lock rebar.lock pubspec.lock Podfile.lock
    Cartfile.resolved Package.resolved Gopkg.lock go.sum go.work.sum glide.lock
    gradle.lockfile *.gradle.lockfile packages.lock.json paket.lock project.assets.json
    flake.lock Chart.lock MODULE.bazel.lock buf.lock .terraform.lock.hcl stack.yaml.lock cabal.project.freeze
    """
)
_VENDORED = _patterns(
    """
    vendor/ vendored/ _vendor/ node_modules/ bower_components/ jspm_packages/ third_party/ third-party/ thirdparty/
    Pods/ Carthage/ site-packages/ .venv/ **/.yarn/releases/ **/.yarn/plugins/ .pnp.cjs .pnp.loader.mjs
    gradlew gradlew.bat mvnw mvnw.cmd
    """
)
_GENERATED = _patterns(
    """
    *.pb.go *.pb.gw.go *.pb.cc *.pb.h *.pb.swift *_pb2.py *_pb2.pyi *_pb2_grpc.py *_pb.js *_pb.ts *_pb.d.ts
    *.pbobjc.h *.pbobjc.m *.g.dart *.freezed.dart *.mocks.dart *.g.cs *.g.i.cs *.Designer.cs
    *.generated.* *_generated.* *.gen.go *.gen.ts zz_generated.* bindata.go __generated__/ __snapshots__/ *.snap dist/
    *.min.js *.min.mjs *.min.css *.bundle.js *.js.map *.mjs.map *.css.map
    """
)
_NO_SOURCE = _patterns(
    """
    *.md *.mdx *.rst *.txt *.adoc *.json *.jsonl *.yaml *.yml *.toml *.ini *.cfg *.csv *.tsv *.xml *.svg *.po *.ipynb
    LICENSE* docs/
    """
)
# Go's rule (go.dev/s/generatedcode), Meta's and Bazel's tag, .NET's element, and the usual sentences.
_MARKER = re.compile(
    r"code generated .{0,200}do not edit|@generated\b|<auto-?generated\b|generated code.{0,20}do not (?:edit|modify)"
    r"|(?:auto-?|automatically |this file (?:was|is) )generated.{0,200}(?:do not|don't) (?:edit|modify)",
    re.IGNORECASE,
)


def _nothing(path: str) -> str | None:
    return None


def select(
    files: Iterable[FileDiff], *, max_files: int = 50, unwanted: Callable[[str], str | None] = _nothing
) -> Selection:
    """Sorts the files into those to read and those not to, with the reason for each.

    `unwanted` gives the reason why somebody does not want a path read, None when there is none.

    The order is the diff's own. Only beyond `max_files` does it change: source files before prose and data, the most
    changed first, and the rest is left out.
    """
    reviewed: list[FileDiff] = []
    left_out: list[LeftOut] = []
    for file in files:
        reason = _why_not(file) or unwanted(file.path)
        if reason is None:
            reviewed.append(file)
        else:
            left_out.append(LeftOut(file.path, reason))
    if len(reviewed) > max_files:
        total = len(reviewed)
        reviewed.sort(key=_weight, reverse=True)
        reason = f"is beyond the limit of {max_files} files, and among the least changed of {total}"
        left_out += [LeftOut(file.path, reason) for file in reviewed[max_files:]]
        del reviewed[max_files:]
    return Selection(reviewed=tuple(reviewed), left_out=tuple(left_out))


def _why_not(file: FileDiff) -> str | None:
    return next((reason for check in _CHECKS if (reason := check(file)) is not None), None)


def _secret(file: FileDiff) -> str | None:
    # The old name counts too: the removed lines of a renamed .env are secrets still.
    if any(matches(_SECRET, path.lower()) for path in (file.old_path, file.new_path) if path is not None):
        return "may hold secrets, by its name, and is never sent to a model"
    return None


def _no_lines(file: FileDiff) -> str | None:
    if file.submodule:
        return "is a submodule: its code is in another repository"
    if file.binary:
        return "is binary"
    if file.status == "removed":
        return "was deleted: deleted files are not reviewed"
    if file.patch_missing:
        return "came from GitHub without a patch (too large, binary, or without a changed line)"
    return None if file.hunks else _unchanged(file)


def _unchanged(file: FileDiff) -> str:
    if file.status in ("renamed", "copied"):
        return f"was only {file.status}"
    if file.status == "added":
        return "is empty"
    if file.old_mode != file.new_mode:
        return f"changed only its mode, from {file.old_mode} to {file.new_mode}"
    return "has no changed lines"


def _by_name(file: FileDiff) -> str | None:
    kinds = (
        (_LOCK, "is a lock file, written by a package manager"),
        (_VENDORED, "is vendored: other people's code"),
        (_GENERATED, "is generated, by its name"),
    )
    return next((reason for spec, reason in kinds if matches(spec, file.path)), None)


def _by_marker(file: FileDiff) -> str | None:
    return "is generated: it says so at its top" if any(map(_is_marker, _evidence(file))) else None


def _evidence(file: FileDiff) -> Iterator[Line]:
    """The lines at the top that may call a file generated: of a file that was there before, only its old ones.

    Otherwise a pull request could exempt any file from review by adding a comment to it.
    """
    for hunk in file.hunks[:_MARKER_LINES]:
        for line in hunk.lines[: 2 * _MARKER_LINES]:
            number = line.new if file.status == "added" else line.old
            if number is not None and number <= _MARKER_LINES:
                yield line


def _is_marker(line: Line) -> bool:
    return _MARKER.search(line.text[:1_000]) is not None


def _minified(file: FileDiff) -> str | None:
    if not file.path.lower().endswith(_MINIFIED_SUFFIXES):
        return None
    sizes = [len(line.text) for hunk in file.hunks for line in hunk.lines]
    average = sum(sizes) // len(sizes)
    if average < _MINIFIED_AVERAGE:
        return None
    return f"is minified: its lines have {average:,} characters on average"


_CHECKS: tuple[Callable[[FileDiff], str | None], ...] = (_secret, _no_lines, _by_name, _by_marker, _minified)


def _weight(file: FileDiff) -> tuple[bool, int]:
    return not matches(_NO_SOURCE, file.path), file.additions + file.deletions


def matches(spec: GitIgnoreSpec, path: str) -> bool:
    """Whether the patterns of a .gitignore mean a path."""
    # A pattern's "any folder" stops at a line end, and a path may have one.
    return spec.match_file(path.replace("\n", " "))
