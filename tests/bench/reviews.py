"""The whole service, idle, one pull request at a time: from the webhook to ReviewStarted and to the posted review."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

from reviewbot.demo.standin import Standin
from schema import events as e
from schema.log import Log
from tests.bench.figures import percentile
from tests.bench.ground import Ground
from tests.journeys.repository import make_repository
from tests.journeys.rig import make_rig

WARM_UP = 2


async def measure(ground: Ground) -> None:
    """start_latency_ms and review_ms, from the moment a webhook is sent, with an instant model."""
    starts, posts = [], []
    repository = make_repository(ground.folder / "repository")
    async with ground.database() as url, make_rig(url, repository) as rig:
        await rig.serve()
        log = Log(rig.pool)
        for number in range(ground.sizes.reviews + WARM_UP):
            place = await rig.new_place()  # of its own: GitHub lets an installation write 80 times a minute
            await place.open()
            job = (await place.ends("completed"))[0].job
            began = _sent_at(rig.standin, place.id)
            by_topic = {event.topic: event.recorded_at for event in await log.read_stream(job)}
            if number >= WARM_UP:
                starts.append(_ms(began, by_topic[e.ReviewStarted.TOPIC]))
                posts.append(_ms(began, by_topic[e.ReviewPosted.TOPIC]))
            await asyncio.sleep(0.2)  # idle again
    ground.figures.add("start_latency_p50_ms", "ms", [percentile(starts, 50)])
    ground.figures.add("start_latency_p99_ms", "ms", [percentile(starts, 99)])
    ground.figures.add("review_p50_ms", "ms", [percentile(posts, 50)])
    ground.figures.add("review_p99_ms", "ms", [percentile(posts, 99)])


def _sent_at(standin: Standin, repository: int) -> float:
    """When the stand-in sent the pull request's first webhook, in epoch seconds; its own clock is put forward."""
    ahead = standin.world.now() - time.time()
    about = (each for each in standin.deliveries if each.message.repository_id == repository)
    return min(each.delivered_at for each in about if each.message.event == "pull_request") - ahead


def _ms(began: float, moment: datetime) -> float:
    return (moment.timestamp() - began) * 1000
