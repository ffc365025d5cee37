"""The search for secrets that the image step does: detect-secrets, and the findings that policy accepts."""

from dataclasses import replace

from pipeline.image.secrets import Search, detector
from pipeline.steps.accepted import load_accepted_secrets
from pipeline.steps.job import Job


def secret_search(job: Job) -> Search:
    """Raises CannotEvaluate (``tool.missing``, ``image.accepted``); what it gives raises as ``detector`` does."""
    detect = detector(job.python("checks"))
    today = job.now.date()
    accepted = {(item.file, item.id) for item in load_accepted_secrets(job.root) if item.holds(today)}
    return lambda texts: [replace(found, accepted=(found.path, found.form) in accepted) for found in detect(texts)]
