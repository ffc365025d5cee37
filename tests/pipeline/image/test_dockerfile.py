import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.image.dockerfile import Copy, parse, read
from pipeline.model.errors import GatehouseError, Misuse, Refused

HEAD = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n"
WHOLE = """\
# The service
ARG BASE_IMAGE
ARG PORT=1 EXTRA="a b"
FROM ${BASE_IMAGE}
ARG PORT=8888
ENV A=1 B="two words" \\
    # in between
    C='three $A'
ENV D="${A}:$B"
LABEL org.example.name=thing org.example.text="a: b"
WORKDIR /app
COPY --chown=65532:65532 . /app/service/
COPY ["settings.toml", "etc/"]
USER 65532
EXPOSE ${PORT} 9000/udp
STOPSIGNAL SIGTERM
HEALTHCHECK NONE
ENTRYPOINT ["/usr/bin/python3", "-I", "/app/service/__main__.py"]
CMD []
"""


def recipe(body, **arguments):
    return read(HEAD + body, {"BASE_IMAGE": "base", **arguments})


def refusal(text):
    with pytest.raises(Refused) as refused:
        read(text, {"BASE_IMAGE": "base"})
    return refused.value


def test_a_whole_dockerfile_is_carried_out():
    found = read(WHOLE, {"BASE_IMAGE": "base"})
    assert found.base == "base"
    assert found.environment == {"A": "1", "B": "two words", "C": "three $A", "D": "1:two words"}
    assert found.labels == {"org.example.name": "thing", "org.example.text": "a: b"}
    assert found.copies == (
        Copy(12, (".",), "/app/service", into=True, owner=65532),
        Copy(13, ("settings.toml",), "/app/etc", into=True, owner=0),
    )
    assert (found.user, found.directory, found.ports) == ("65532:65532", "/app", ("8888/tcp", "9000/udp"))
    assert (found.stop_signal, found.command) == ("SIGTERM", ())
    assert found.entrypoint == ("/usr/bin/python3", "-I", "/app/service/__main__.py")


def test_the_repositorys_own_dockerfile_is_read(root):
    found = read((root / "sample_app" / "Dockerfile").read_text(), {"BASE_IMAGE": "base"})
    assert found.entrypoint == ("/usr/bin/python3", "-I", "/app/sample_app/__main__.py")
    assert found.user == "65532:65532"


def test_a_build_argument_replaces_its_default():
    assert recipe("ARG PORT=1\nEXPOSE ${PORT}\n", PORT="2").ports == ("2/tcp",)


def test_run_names_the_setting_that_builds_with_an_engine():
    with pytest.raises(Misuse) as refused:
        read(HEAD + "RUN pip install tornado\n", {"BASE_IMAGE": "base"})
    assert refused.value.code == "dockerfile.needs-engine"
    assert refused.value.message.startswith("Dockerfile:3: RUN needs a container engine")
    assert '`[image] builder = "engine"`' in refused.value.fix


@pytest.mark.parametrize("line", ["ADD a /a", "VOLUME /v", 'SHELL ["x"]', "ONBUILD COPY a /a", "FRON x", "copyy a b"])
def test_an_unknown_instruction_is_refused_by_name(line):
    error = refusal(HEAD + line + "\n")
    assert error.code == "dockerfile.unknown-instruction"
    assert f"got {line.split()[0].upper()}, expected one of ARG, CMD," in error.message


@pytest.mark.parametrize(
    "line",
    [
        "ENTRYPOINT python3 -m x",
        "CMD run",
        'CMD ["a", b]',
        'CMD ["a"',
        'ENTRYPOINT ["a", 1]',
        "ENV A 1",
        'ENV A="open',
        "ENV A=a\\ b",
        "ENV 1A=1",
        "LABEL name",
        "LABEL dev.gatehouse.build=x",
        "USER root",
        "USER 0",
        "USER 65532:0",
        "WORKDIR app",
        "WORKDIR /a/../b",
        "USER 1\nWORKDIR /a",
        "EXPOSE 80-90",
        "EXPOSE 0",
        "EXPOSE 65536",
        "STOPSIGNAL TERM",
        "STOPSIGNAL SIGNONE",
        "STOPSIGNAL 65",
        'CMD ["\\ud800"]',
        'CMD ["a\\u0000b"]',
        "CMD " + "[" * 100_000,
        "WORKDIR /srv/.wh.etc",
        "COPY a /.wh.etc",
        "COPY a /srv/.wh..wh..opq/",
        "HEALTHCHECK CMD true",
        "HEALTHCHECK --interval=1s NONE",
        "COPY a",
        "COPY *.py /app/",
        "COPY --from=other a /a",
        "COPY --chmod=755 a /a",
        "COPY --link a /a",
        "COPY --chown=app a /a",
        "COPY --chown=1:2 a /a",
        "COPY a /../b",
        "COPY <<EOF /a",
        "EXPOSE",
        "USER 1 \\\n\n",
        "USER 1 \\",
        "# syntax=docker/dockerfile:1",
        "# escape=`",
    ],
)
def test_a_form_that_the_composer_does_not_know_is_refused_with_its_line(line):
    error = refusal(HEAD + line + "\n")
    assert error.code == "dockerfile.unsupported"
    assert error.message.startswith(("Dockerfile:3: ", "Dockerfile:4: "))


@pytest.mark.parametrize("line", ["EXPOSE ${NONE}", "EXPOSE $NONE", "ENV A=${B:-x}", "ENV A=$", "COPY $5 /a"])
def test_a_variable_without_a_value_is_refused(line):
    assert refusal(HEAD + line + "\n").code == "dockerfile.undefined-variable"


def test_an_argument_is_not_seen_by_another_one_of_its_instruction():
    assert refusal(f"{HEAD}ARG A=1 B=$A\n").code == "dockerfile.undefined-variable"


@pytest.mark.parametrize(
    ("lines", "target", "into"),
    [
        ("COPY a .", "/", True),
        ("COPY a ./sub/", "/sub", True),
        ("COPY a ./sub", "/sub", False),
        ("WORKDIR /app\nCOPY a ./sub/", "/app/sub", True),
        ("WORKDIR /app\nCOPY a .", "/app", True),
        ("COPY a //srv/.//x", "/srv/x", False),
        ("COPY a /srv/.", "/srv", True),
    ],
)
def test_a_target_is_one_path_however_it_is_written(lines, target, into):
    (copy,) = recipe(lines + "\n").copies
    assert (copy.target, copy.into) == (target, into)


def test_an_argument_before_from_is_froms_alone():
    assert refusal(f"ARG PORT=1\n{HEAD}EXPOSE $PORT\n").code == "dockerfile.undefined-variable"


@pytest.mark.parametrize(
    "text",
    ["", "ARG A=1\n", "ENV A=1\nFROM x\n", "FROM x\nFROM y\n", "FROM x AS y\n", "FROM --platform=linux/arm64 x\n"],
)
def test_other_than_one_stage_is_refused(text):
    assert refusal(text).code == "dockerfile.unsupported"


def as_buildkit(item):
    """Our reading in the form of BuildKit's, which splits pairs and keeps their quotes."""
    words = item.words
    if item.keyword in {"ENV", "LABEL"}:
        words = tuple(part for word in words for part in word.split("=", 1))
    return item.keyword, item.line, item.is_array, item.flags, words


def by_buildkit(text):
    dockerfile = pytest.importorskip("dockerfile", reason="BuildKit's parser has a wheel for x86_64 only")
    return [
        (command.cmd.upper(), command.start_line, command.json, command.flags, command.value)
        for command in dockerfile.parse_string(text)
    ]


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        "FROM x\n\n\nUSER 1\n",
        "from x\nuser 1\nCmd [ ]\n",
        "FROM x\nCOPY a \\\n  b \\\n  /c/\n",
        "FROM x\nCOPY --chown=1:1  a   /b\n",
        'FROM x\nCOPY [ "a b" , "/c/" ]\n',
        'FROM x\nENV A="#" B=\'"\' C=\n',
        "FROM x\n  # comment\n\tUSER 1\n",
        "FROM x\r\nUSER 1\r\n",
    ],
)
def test_our_reading_is_buildkits(text):
    assert [as_buildkit(item) for item in parse(text)] == by_buildkit(text)


words = st.text(st.sampled_from("ab1./=$-"), min_size=1, max_size=6)
lines = st.builds(
    lambda keyword, rest: f"{keyword} {' '.join(rest)}",
    st.sampled_from(["USER", "WORKDIR", "EXPOSE", "COPY", "STOPSIGNAL"]),
    st.lists(words, min_size=1, max_size=3),
)


@given(st.lists(lines, min_size=1, max_size=4))
def test_whatever_we_read_buildkit_reads_alike(found):
    text = "FROM x\n" + "\n".join(found) + "\n"
    try:
        ours = parse(text)
    except GatehouseError:
        return
    assert [as_buildkit(item) for item in ours] == by_buildkit(text)


@given(st.text(max_size=120))
def test_any_text_is_read_or_refused(text):
    try:
        read(HEAD + text, {"BASE_IMAGE": "base"})
    except GatehouseError as error:
        code = error.code
    else:
        code = "dockerfile.read"
    assert code.startswith("dockerfile.")


class TestForAnEngine:
    def test_run_is_read_in_both_forms(self):
        found = read(
            HEAD + 'RUN ["/usr/bin/python3", "-c", "1"]\nRUN cc -o \\\n  # all of it\n  x x.c\n',
            {"BASE_IMAGE": "b"},
            engine=True,
        )
        assert [run.words for run in found.runs] == [("/usr/bin/python3", "-c", "1"), ("cc -o   x x.c",)]
        assert [(run.line, run.is_array) for run in found.runs] == [(3, True), (4, False)]

    @pytest.mark.parametrize(
        ("line", "got"),
        [
            ("RUN", "no arguments"),
            ("RUN --network=host true", "--network=host true"),
            ("RUN --mount=type=cache,target=/x true", "--mount=type=cache,target=/x true"),
            ("RUN cat <<EOF", "a here-document"),
            ('RUN ["a", "<<EOF"]', "a here-document"),
            ("RUN ['a']", "['a']"),
        ],
    )
    def test_what_reaches_further_than_the_base_and_the_context_is_refused(self, line, got):
        with pytest.raises(Refused) as refused:
            read(f"{HEAD}{line}\n", {"BASE_IMAGE": "b"}, engine=True)
        assert refused.value.code == "dockerfile.unsupported"
        assert refused.value.message.startswith(f"Dockerfile:3: not of the known subset (got {got}, expected ")

    @pytest.mark.parametrize("end", ["\\\\", "\\\u00a0", "\\\x0c", "\\\u2028# x"])
    def test_no_line_end_hides_from_us_what_an_engine_would_see(self, end):
        with pytest.raises(Refused) as refused:
            read(f"{HEAD}RUN true {end}\nFROM other\n", {"BASE_IMAGE": "b"}, engine=True)
        assert refused.value.code == "dockerfile.unsupported"
        assert refused.value.message.startswith("Dockerfile:3:")
