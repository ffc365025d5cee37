"""For orchestrators: alive, and ready for traffic."""

from sample_app.handlers.base import Handler


class ProbeHandler(Handler):
    """Asked by the orchestrator, again and again, from one address."""

    def take_token(self) -> None:
        """Costs nothing: it does next to nothing, and an orchestrator that is refused kills the process."""


class HealthHandler(ProbeHandler):
    """``/healthz``: 200 as long as the loop turns."""

    def get(self) -> None:
        self.finish({"status": "ok"})


class ReadyHandler(ProbeHandler):
    """``/readyz``: 503 while the store does not answer or the service is stopping."""

    async def get(self) -> None:
        if self.service.draining or not await self.service.board.ready():
            self.set_status(503)
            await self.finish({"status": "not ready"})
        else:
            await self.finish({"status": "ready"})
