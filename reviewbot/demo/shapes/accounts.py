"""People, repositories, the App and its installations, as GitHub's JSON."""

from __future__ import annotations

import base64

from reviewbot.demo.answers import Json
from reviewbot.demo.state import Account, Fork, Installation, Repository, World, iso

_ACCOUNT_LINKS = (
    ("followers_url", "/followers"), ("following_url", "/following{/other_user}"), ("gists_url", "/gists{/gist_id}"),
    ("starred_url", "/starred{/owner}{/repo}"), ("subscriptions_url", "/subscriptions"),
    ("organizations_url", "/orgs"), ("repos_url", "/repos"), ("events_url", "/events{/privacy}"),
    ("received_events_url", "/received_events"),
)  # fmt: skip
_REPOSITORY_LINKS = (
    ("forks_url", "/forks"), ("keys_url", "/keys{/key_id}"), ("collaborators_url", "/collaborators{/collaborator}"),
    ("teams_url", "/teams"), ("hooks_url", "/hooks"), ("issue_events_url", "/issues/events{/number}"),
    ("events_url", "/events"), ("assignees_url", "/assignees{/user}"), ("branches_url", "/branches{/branch}"),
    ("tags_url", "/tags"), ("blobs_url", "/git/blobs{/sha}"), ("git_tags_url", "/git/tags{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"), ("trees_url", "/git/trees{/sha}"), ("statuses_url", "/statuses/{sha}"),
    ("languages_url", "/languages"), ("stargazers_url", "/stargazers"), ("contributors_url", "/contributors"),
    ("subscribers_url", "/subscribers"), ("subscription_url", "/subscription"), ("commits_url", "/commits{/sha}"),
    ("git_commits_url", "/git/commits{/sha}"), ("comments_url", "/comments{/number}"),
    ("issue_comment_url", "/issues/comments{/number}"), ("contents_url", "/contents/{+path}"),
    ("compare_url", "/compare/{base}...{head}"), ("merges_url", "/merges"),
    ("archive_url", "/{archive_format}{/ref}"), ("downloads_url", "/downloads"), ("issues_url", "/issues{/number}"),
    ("pulls_url", "/pulls{/number}"), ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"), ("labels_url", "/labels{/name}"),
    ("releases_url", "/releases{/id}"), ("deployments_url", "/deployments"),
)  # fmt: skip

_PLAIN_REPOSITORY: Json = {
    "size": 0,
    "stargazers_count": 0,
    "watchers_count": 0,
    "language": None,
    "has_issues": True,
    "has_projects": True,
    "has_downloads": True,
    "has_wiki": True,
    "has_pages": False,
    "has_discussions": False,
    "forks_count": 0,
    "mirror_url": None,
    "archived": False,
    "disabled": False,
    "license": None,
    "allow_forking": True,
    "is_template": False,
    "web_commit_signoff_required": False,
    "forks": 0,
    "watchers": 0,
    "homepage": None,
    "description": None,
}


def node_id(prefix: str, number: int) -> str:
    """GitHub's opaque id for GraphQL, e.g. PRRT_…; the same thing always has the same one."""
    packed = base64.urlsafe_b64encode(number.to_bytes(8, "big")).decode().rstrip("=")
    return f"{prefix}_kwDO{packed}"


def account(world: World, who: Account) -> Json:
    """`simple-user`."""
    url = f"{world.api_url}/users/{who.login}"
    return {
        "login": who.login,
        "id": who.id,
        "node_id": node_id({"User": "U", "Organization": "O", "Bot": "BOT"}[who.type], who.id),
        "avatar_url": f"{world.html_url}/avatars/{who.id}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{world.html_url}/{who.login}",
        **{name: url + path for name, path in _ACCOUNT_LINKS},
        "type": who.type,
        "site_admin": False,
        "user_view_type": "public",
    }


def minimal_repository(repo: Repository) -> Json:
    """What installation events tell of a repository."""
    return {
        "id": repo.id,
        "node_id": node_id("R", repo.id),
        "name": repo.name,
        "full_name": repo.full_name,
        "private": repo.private,
    }


def repository(world: World, repo: Repository, fork: Fork | None = None) -> Json:
    """`repository`: of `repo` itself, or of the `fork` that a pull request on it comes from."""
    place = fork or repo
    api, html = f"{world.api_url}/repos/{place.full_name}", f"{world.html_url}/{place.full_name}"
    host = html.split("://", 1)[-1]
    open_pulls = sum(pull.closed_at is None for pull in repo.pulls.values())
    return {
        "id": place.id,
        "node_id": node_id("R", place.id),
        "name": place.name,
        "full_name": place.full_name,
        "private": repo.private,
        "owner": account(world, place.owner),
        **_PLAIN_REPOSITORY,
        "html_url": html,
        "fork": fork is not None,
        "url": api,
        **{name: api + path for name, path in _REPOSITORY_LINKS},
        "created_at": iso(repo.created_at),
        "updated_at": iso(repo.created_at),
        "pushed_at": iso(repo.created_at),
        "git_url": f"git://{host}.git",
        "ssh_url": f"git@{host}.git",
        "clone_url": f"{html}.git",
        "svn_url": html,
        "open_issues_count": open_pulls,
        "topics": [],
        "visibility": "private" if repo.private else "public",
        "open_issues": open_pulls,
        "default_branch": repo.default_branch,
    }


def pulled_repository(world: World, repo: Repository, fork: Fork | None = None) -> Json:
    """`repository` as it stands inside a pull request, with the ways to merge."""
    return repository(world, repo, fork) | {
        "allow_squash_merge": True,
        "allow_merge_commit": True,
        "allow_rebase_merge": True,
        "allow_auto_merge": False,
        "allow_update_branch": False,
        "delete_branch_on_merge": False,
        "use_squash_pr_title_as_default": False,
        "merge_commit_message": "PR_TITLE",
        "merge_commit_title": "MERGE_MESSAGE",
        "squash_merge_commit_message": "COMMIT_MESSAGES",
        "squash_merge_commit_title": "COMMIT_OR_PR_TITLE",
        "custom_properties": {},
    }


def hooked_repository(world: World, repo: Repository) -> Json:
    """`repository` as it stands at the top of a delivery."""
    return repository(world, repo) | {"custom_properties": {}}


def full_repository(world: World, repo: Repository) -> Json:
    """`full-repository`."""
    return repository(world, repo) | {
        "permissions": {"admin": False, "maintain": False, "push": False, "triage": False, "pull": True},
        "temp_clone_token": "",
        "allow_squash_merge": True,
        "allow_merge_commit": True,
        "allow_rebase_merge": True,
        "subscribers_count": 0,
        "network_count": 0,
        "custom_properties": {},
    }


def organization(world: World, who: Account) -> Json:
    """`organization` at the top of a delivery from an organization's repository."""
    url = f"{world.api_url}/orgs/{who.login}"
    return {
        "login": who.login,
        "id": who.id,
        "node_id": node_id("O", who.id),
        "url": url,
        "repos_url": f"{url}/repos",
        "events_url": f"{url}/events",
        "hooks_url": f"{url}/hooks",
        "issues_url": f"{url}/issues",
        "members_url": f"{url}/members{{/member}}",
        "public_members_url": f"{url}/public_members{{/member}}",
        "avatar_url": f"{world.html_url}/avatars/{who.id}",
        "description": "",
    }


def app(world: World) -> Json:
    """`integration`: the App itself."""
    return {
        "id": world.app_id,
        "slug": world.app_slug,
        "node_id": node_id("A", world.app_id),
        "client_id": f"Iv23li{world.app_id:014d}",
        "owner": account(world, world.app_owner),
        "name": world.app_slug,
        "description": "Reviews pull requests.",
        "external_url": f"{world.html_url}/apps/{world.app_slug}",
        "html_url": f"{world.html_url}/apps/{world.app_slug}",
        "created_at": iso(world.started_at),
        "updated_at": iso(world.started_at),
        "permissions": dict(world.permissions),
        "events": list(world.events),
    }


def installation(world: World, item: Installation) -> Json:
    """`installation`."""
    suspended = item.suspended_at
    return {
        "id": item.id,
        "client_id": f"Iv23li{world.app_id:014d}",
        "account": account(world, item.account),
        "repository_selection": "selected",
        "access_tokens_url": f"{world.api_url}/app/installations/{item.id}/access_tokens",
        "repositories_url": f"{world.api_url}/installation/repositories",
        "html_url": f"{world.html_url}/settings/installations/{item.id}",
        "app_id": world.app_id,
        "app_slug": world.app_slug,
        "target_id": item.account.id,
        "target_type": item.account.type,
        "permissions": dict(item.permissions),
        "events": list(world.events),
        "created_at": iso(item.created_at),
        "updated_at": iso(suspended or item.created_at),
        "single_file_name": None,
        "has_multiple_single_files": False,
        "single_file_paths": [],
        "suspended_by": account(world, item.account) if suspended else None,
        "suspended_at": iso(suspended) if suspended else None,
    }


def association(repo: Repository, who: Account) -> str:
    """`author_association`."""
    role = repo.role_of(who)
    if role == "admin":
        return "OWNER"
    return "COLLABORATOR" if role in ("maintain", "write", "triage") else "NONE"


def permission(world: World, repo: Repository, who: Account) -> Json:
    """`repository-collaborator-permission`: `permission` knows four words only, `role_name` knows them all."""
    role = repo.role_of(who)
    plain = {"maintain": "write", "triage": "read"}.get(role, role)
    ranks = ("none", "read", "triage", "write", "maintain", "admin")
    rank = ranks.index(role)
    flags = {"pull": rank > 0, "triage": rank > 1, "push": rank > 2, "maintain": rank > 3, "admin": rank > 4}
    user = account(world, who) | {"permissions": flags, "role_name": role}
    return {"permission": plain, "role_name": role, "user": user}
