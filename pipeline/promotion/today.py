"""Ask today's advisories about an image, sign what they say where this machine may, and say what the rules refuse."""

from pipeline.gate.environments import Environment
from pipeline.gate.evidence import Evidence, ImageFacts
from pipeline.gate.identity import Identity
from pipeline.gate.judgement import Finding
from pipeline.model.predicates import context_of, parse_predicate
from pipeline.promotion.auditing import contents_of, todays_findings
from pipeline.promotion.recording import Gate
from pipeline.promotion.rolling_back import Today
from pipeline.steps.attaching import Subject, attach_listed
from pipeline.steps.audit import Sources, audit, sources
from pipeline.steps.job import Job
from pipeline.store.interface import Descriptor


def today_of(job: Job, asked: Sources | None = None, *, sign: bool | None = None) -> Today:
    """What ``roll_back`` asks with; ``asked`` are the feeds, by default those that every audit asks.

    The audit is signed and attached where the clone's own instance signs. In CI another workflow signs audits than
    the one that promotes: there its result only refuses, and ``sign`` says that this is that other workflow.
    """

    def ask(
        gate: Gate, image: Descriptor, facts: ImageFacts, evidence: tuple[Evidence, ...], here: Environment
    ) -> list[Finding]:
        locked, context = contents_of(evidence, gate.policy, here)
        job.say(f"asking today's advisories about the packages of {facts.digest.short} ({len(locked.pins)})")
        (made,) = audit(job, asked or sources(job), locked, context).evidence
        signer = gate.signer()
        if signer.instance == "local" if sign is None else sign:
            own = context_of(parse_predicate(made.kind, made.predicate)) or context
            subject = Subject(name=gate.name, image=image, platforms=dict(facts.platforms))
            attach_listed(job, gate.store, signer, subject, [made], absent=None, context=own)
        identity = Identity(issuer=signer.issuer, san=signer.identity)
        return todays_findings(made, facts, identity, gate.policy, here, gate.now)

    return ask
