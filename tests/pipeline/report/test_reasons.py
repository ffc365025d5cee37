from pipeline.report.reasons import group, reasons
from pipeline.report.run import Refusal


def refusal(message, code="signer.unset", fix="name one"):
    return Refusal(code=code, message=message, fix=fix)


def test_a_refusal_of_several_environments_is_told_once(run):
    told = reasons(run)
    assert [reason.code for reason in told] == ["signers.untrusted", "evidence.missing"]
    assert told[0].environments == ["staging", "production"]
    assert told[1].got == "skipped: no container engine answered"


def test_what_differs_in_its_subject_alone_is_one_cause():
    (reason,) = group(
        [
            (refusal("tests: nobody may sign (got none, expected one)"), "staging"),
            (refusal("sbom: nobody may sign (got none, expected one)"), "staging"),
            (refusal("sbom: nobody may sign (got none, expected one)"), "production"),
        ]
    )
    assert reason.message == "tests, sbom: nobody may sign (got none, expected one)"
    assert reason.environments == ["staging", "production"]


def test_another_fix_code_or_finding_is_another_cause():
    different = [
        refusal("tests: no (got 1, expected 2)"),
        refusal("tests: no (got 0, expected 2)"),
        refusal("tests: no (got 1, expected 2)", fix="other"),
        refusal("tests: no (got 1, expected 2)", code="a.b"),
    ]
    assert len(group((one, "staging") for one in different)) == 4


def test_a_message_without_a_subject_stays_as_it_is():
    (reason,) = group([(refusal("no"), "staging")])
    assert reason.message == "no"
    assert reason.subjects == []
