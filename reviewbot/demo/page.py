"""The pages a person looks at: a list of the pull requests, and each of them with its diff and what was said."""

from __future__ import annotations

import jinja2
from aiohttp import web

from reviewbot.demo.answers import ApiError
from reviewbot.demo.changes import changes_of
from reviewbot.demo.endpoints.pulls import diff_answer
from reviewbot.demo.state import PullRequest, Repository, World
from reviewbot.demo.view import pull_view, when

REFRESH_SECONDS = 2
# Nothing is loaded from anywhere and no script runs, whatever a comment says.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Pages:
    """Server-rendered HTML, escaped by jinja2."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("reviewbot.demo", "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["when"] = when

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Route the pages."""
        router.add_get("/", self._index)
        router.add_get(r"/{owner}/{repo}/pull/{number:\d{1,9}}", self._pull)
        router.add_get(r"/{owner}/{repo}/pull/{number:\d{1,9}}.diff", self._diff)

    async def _index(self, _request: web.Request) -> web.Response:
        return self._page("index.html", repositories=list(self._world.repositories.values()))

    async def _pull(self, request: web.Request) -> web.Response:
        repo, pull = self._named(request)
        view = await pull_view(repo, pull)
        return self._page("pull.html", view=view, refresh_seconds=REFRESH_SECONDS)

    async def _diff(self, request: web.Request) -> web.Response:
        repo, pull = self._named(request)
        try:
            answer = await diff_answer(repo, await changes_of(repo, pull))
        except ApiError as error:
            return web.Response(status=error.status, text=error.message)
        return web.Response(body=answer.encoded(), headers={**_HEADERS, "Content-Type": "text/plain; charset=utf-8"})

    def _named(self, request: web.Request) -> tuple[Repository, PullRequest]:
        name = f"{request.match_info['owner']}/{request.match_info['repo']}"
        repo = self._world.repository(name) or self._world.renamed(name)
        pull = repo.pulls.get(int(request.match_info["number"])) if repo else None
        if repo is None or pull is None:
            raise web.HTTPNotFound(text="There is no such pull request. The list of them is at /.")
        return repo, pull

    def _page(self, template: str, **values: object) -> web.Response:
        html = self._templates.get_template(template).render(values)
        return web.Response(text=html, content_type="text/html", headers=_HEADERS)
