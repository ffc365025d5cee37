"""Health and readiness."""


def test_a_service_that_runs_is_healthy_and_ready(run):
    async def test(app):
        assert await app.api("/healthz") == (200, {"status": "ok"})
        assert await app.api("/readyz") == (200, {"status": "ready"})

    run(test)


def test_a_service_that_stops_is_healthy_but_not_ready(run):
    async def test(app):
        app.service.draining = True
        assert await app.api("/healthz") == (200, {"status": "ok"})
        assert await app.api("/readyz") == (503, {"status": "not ready"})

    run(test)


def test_a_service_whose_store_does_not_answer_is_not_ready(run, monkeypatch):
    async def test(app):
        async def no() -> bool:
            return False

        monkeypatch.setattr(app.service.board, "ready", no)
        assert await app.api("/readyz") == (503, {"status": "not ready"})

    run(test)
