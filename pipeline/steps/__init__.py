"""One module a step: ``run(job) -> Outcome``, plain Python, callable without Nox."""
