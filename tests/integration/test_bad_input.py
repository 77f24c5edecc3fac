"""Bad input to every command: an exit code, a message that helps, and nothing half-written."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import SHUT_RDWR, create_connection, socket
from typing import Any

import pytest

from recsys.records import BatchStatus
from recsys.settings import Settings
from recsys.store import FeedbackStore, migrate
from tests.integration.command_line import LEDGER, Finished, copy_home, quick, recsys, state
from tests.integration.conftest import Champion, find_free_port
from tests.integration.small_stream import FAMILY, FIRST_AS_OF, START, write_stream

FAILED, WRONG_INPUT, TRY_AGAIN = 1, 2, 75
TIMES = {"as_of": "2024-03-10T00:00:00Z", "now": "2024-03-10T00:00:00Z"}
DATABASE, MLFLOW = "RECSYS_DATABASE_URL", "MLFLOW_TRACKING_URI"
CLOSED_POSTGRES = "postgresql://reader:secret@127.0.0.1:{closed_port}/feedback"
CLOSED_MLFLOW = "http://127.0.0.1:{closed_port}"


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        place: the home it is given in; see `places`.
        line: what is typed; `{files}` is the folder of files that `bad_files` wrote.
        code: the exit code.
        words: what the message must say: what was expected, what came, what to do.
        environment: variables beside those of the home.
        decides: the run wrote into its ledger that there is enough to retrain, before it failed.
    """

    place: str
    line: tuple[str, ...]
    code: int
    words: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    decides: bool = False


def step(name: str, arguments: object) -> tuple[str, ...]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ("step", name, "--arguments", text)


def checking(config: object) -> tuple[str, ...]:
    return step("check_backlog", {"run_id": "r", **TIMES, "config": config})


def on(place: str, line: str, code: int, *words: str, decides: bool = False, **environment: str) -> Case:
    return Case(place, tuple(line.split()), code, words, environment, decides)


UPGRADE = ("Expected a feedback database", "found none", "run `recsys db upgrade`")
NO_DATABASE = ("refused: file is not a database", "check RECSYS_DATABASE_URL, or move the file away")
REFUSED = ("not available", "Connection refused", "start the database server, or check host and port")
NO_MLFLOW = ("Expected MLflow at", "Connection refused", "Start the server")
CHECK_ARGUMENTS = (
    "Expected the --arguments run_id: str, as_of: datetime | str, now: datetime | str",
    "of check_backlog",
)

CASES = {
    "status, no database": on("nothing", "status", FAILED, *UPGRADE),
    "decisions, no database": on("nothing", "decisions", FAILED, *UPGRADE),
    "recommend, no database": on("nothing", "recommend u", FAILED, *UPGRADE),
    "release, no database": on("nothing", "release r", FAILED, *UPGRADE),
    "run, no database": on("nothing", "run", FAILED, *UPGRADE),
    "replay, no database": on("nothing", "replay --from 2024-03-10 --to 2024-03-11", FAILED, *UPGRADE),
    "import, no database": on("nothing", "import items {files}/empty.csv", FAILED, *UPGRADE),
    "status, not a database": on("text", "status", FAILED, *NO_DATABASE),
    "run, not a database": on("text", "run", FAILED, *NO_DATABASE),
    "db upgrade, not a database": on("text", "db upgrade", FAILED, *NO_DATABASE),
    "status, database down": on("nothing", "status", TRY_AGAIN, *REFUSED, **{DATABASE: CLOSED_POSTGRES}),
    "run, database down": on("nothing", "run", TRY_AGAIN, *REFUSED, **{DATABASE: CLOSED_POSTGRES}),
    "db upgrade, database down": on("nothing", "db upgrade", TRY_AGAIN, *REFUSED, **{DATABASE: CLOSED_POSTGRES}),
    "no database URL": on("nothing", "status", FAILED, "Expected a database URL such as", "correct RECSYS_DATABASE_URL",
                          **{DATABASE: "nonsense:secret"}),
    "home is below a file": on("below a file", "db upgrade", FAILED, "Expected to create the folder", "Not a directory",
                               "set RECSYS_HOME or RECSYS_DATABASE_URL to another location"),
    "run, MLflow down": on("stream", f"run --as-of {FIRST_AS_OF:%Y-%m-%d}", TRY_AGAIN, *NO_MLFLOW,
                           decides=True, **{MLFLOW: CLOSED_MLFLOW}),
    "dry run, MLflow down": Case("stream", step("dry_run", {"run_id": "r", **TIMES}), TRY_AGAIN, NO_MLFLOW,
                                 {MLFLOW: CLOSED_MLFLOW}),
    "no MLflow address": on("stream", f"run --as-of {FIRST_AS_OF:%Y-%m-%d}", WRONG_INPUT, "Expected MLFLOW_TRACKING_URI",
                            "got 'ftp://x'", decides=True, **{MLFLOW: "ftp://x"}),
    "import of a missing folder": on("stream", "import movietweetings {files}/nowhere", WRONG_INPUT, "no such file",
                                     "expected:", "nowhere/movies.dat"),
    "import of another folder": on("stream", "import movielens {files}", WRONG_INPUT, "is not a MovieLens folder"),
    "import of wrong columns": on("stream", "import interactions {files}/columns.csv", WRONG_INPUT, "user_id, item_id",
                                  "who", "expected:"),
    "import of an empty file": on("stream", "import interactions {files}/empty.csv", WRONG_INPUT, "empty", "expected:"),
    "import of bad rows": on("stream", "import interactions {files}/rows.csv", WRONG_INPUT, "line 3", "yesterday",
                             "--skip-bad-rows"),
    "import of no CSV": on("stream", "import items {files}/bytes.csv", WRONG_INPUT, "is not utf-8 text",
                           "convert it"),
    "import of no Parquet": on("stream", "import items {files}/no.parquet", WRONG_INPUT, "expected:", "Parquet"),
    "run on an empty stream": on("empty", "run", WRONG_INPUT, "Expected interactions recorded up to", "found none",
                                 "import a stream first"),
    "forced run on an empty stream": on("empty", "run --force reason", WRONG_INPUT, "found none", "import a stream first"),
    "replay of an empty stream": on("empty", "replay --from 2024-03-10 --to 2024-03-11", WRONG_INPUT, "found none",
                                    "import more"),
    "recommend before anything is published": on("empty", "recommend u", FAILED, "Expected published recommendations",
                                                 "found none", "run `recsys run`"),
    "publish without a champion": Case("stream", step("publish_recommendations", TIMES), WRONG_INPUT,
                                       ("Expected a champion to publish from, found none", "run `recsys run`")),
    "run before the stream": on("champion", f"run --as-of {START.year - 1}-01-01", WRONG_INPUT,
                                "Expected interactions recorded up to", "found none", "choose a later as_of"),
    "run as of no date": on("champion", "run --as-of yesterday", WRONG_INPUT, "Expected a day such as", "got 'yesterday'"),
    "run with an id too long": on("champion", f"run --run-id {'a' * 300}", WRONG_INPUT, "Expected a run id of 1 to 250",
                                  "got 300 characters", "Choose another one"),
    "run with an id of control characters": on("champion", "run --run-id a\x1b[31m", WRONG_INPUT, "Expected a run id of 1 to",
                                               "'a\\x1b[31m'"),
    "step with an id too long": Case("champion", step("rollback", {"run_id": "a" * 300, "reason": "x", "now": TIMES["now"]}),
                                     WRONG_INPUT, ("Expected a run id of 1 to 250",)),
    "run with threshold 0": on("champion", "run --threshold 0", WRONG_INPUT, "--threshold", "greater than or equal to 1"),
    "run with a negative half-life": on("champion", "run --half-life-days -1", WRONG_INPUT, "--half-life-days", "0.01"),
    "run with an endless half-life": on("champion", "run --half-life-days inf --run-id r", WRONG_INPUT,
                                        "--half-life-days", "less than or equal to 36500"),
    "run with a huge seed": on("champion", f"run --seed {2**40}", WRONG_INPUT, "--seed", str(2**32 - 1)),
    "run before the champion's cut-off": on("champion", "run --as-of 2024-03-12 --force reason", WRONG_INPUT,
                                            "Expected as_of after", "no earlier events can evaluate it", decides=True),
    "replay outside the stream": on("champion", "replay --from 2030-01-01 --to 2030-01-02", WRONG_INPUT,
                                    "Expected a stored stream that begins before 2030-01-01", "choose nights within it"),
    "replay that goes back": on("champion", "replay --from 2024-03-12 --to 2024-03-10", WRONG_INPUT,
                                "Expected --to on or after --from, got 2024-03-12 to 2024-03-10"),
    "replay of half a day": on("champion", "replay --from 2024-03-10T05:00 --to 2024-03-12", WRONG_INPUT,
                               "Expected whole days", "name two days"),
    "replay from no date": on("champion", "replay --from a --to b", WRONG_INPUT, "Expected a day such as", "got 'a'"),
    "replay into a file as folder": on("champion", "replay --from 2024-03-20 --to 2024-03-20 --nights {files}/empty.csv/x",
                                       WRONG_INPUT, "Expected to read and write files", "Check the path"),
    "unknown step": Case("champion", step("nope", {}), WRONG_INPUT, ("Expected one of the steps build_training_set", "'nope'")),
    "step with broken JSON": Case("champion", step("check_backlog", "{"), WRONG_INPUT,
                                  ("Expected --arguments to be a JSON object, got '{'",)),
    "step with a list": Case("champion", step("check_backlog", [1]), WRONG_INPUT,
                             ("Expected --arguments to be a JSON object", "got '[1]'")),
    "step with an unknown argument": Case("champion", step("check_backlog", {"run_id": "r", **TIMES, "day": 1}), WRONG_INPUT,
                                          (*CHECK_ARGUMENTS, "unexpected keyword argument 'day'")),
    "step without its arguments": Case("champion", step("check_backlog", {}), WRONG_INPUT,
                                       (*CHECK_ARGUMENTS, "missing a required argument: 'run_id'")),
    "step with text for a number": Case("champion", checking({"threshold": "many"}), WRONG_INPUT,
                                        ("Expected threshold to be a whole number between 1 and 1,000,000, got 'many'",)),
    "step with a number that is too small": Case("champion", checking({"seed": -1}), WRONG_INPUT,
                                                 ("Expected seed between 0 and 4,294,967,295, got -1",)),
    "step with an unknown setting": Case("champion", checking({"day": 1}), WRONG_INPUT,
                                         ("Expected settings out of force_reason, backlog_trigger", "got day")),
    "step with a word for all settings": Case("champion", checking("day"), WRONG_INPUT,
                                              (*CHECK_ARGUMENTS, "got 'day' as config")),
    "step with a word for a list": Case("champion", checking({"families": "closed_form"}), WRONG_INPUT,
                                        ("Expected families to be a list of names, got 'closed_form'",)),
    "step with an unknown family": Case("champion", checking({"families": ["x"]}), WRONG_INPUT,
                                        ("Expected a family out of closed_form, embedding,", "got 'x'")),
    "step with a number for a time": Case("champion", step("check_backlog", {"run_id": "r", "as_of": 5, "now": "x"}),
                                          WRONG_INPUT, (*CHECK_ARGUMENTS, "got 5 as as_of")),
    "step with a time without zone": Case("champion", step("check_backlog", {"run_id": "r", **TIMES, "as_of": "2024-03-10"}),
                                          WRONG_INPUT, ("Expected a time with a zone, such as", "got '2024-03-10'")),
    "step with no time": Case("champion", step("check_backlog", {"run_id": "r", **TIMES, "as_of": "never"}), WRONG_INPUT,
                              ("or a time such as", "got 'never'")),
    "step with an unknown batch": Case("champion", step("build_training_set", {"batch_id": "r"}), FAILED,
                                       ("Expected a batch of the run 'r', found none", "claim_backlog")),
    "step with an unknown version": Case("champion", step("decide_promotion", {"model_version": "99", "run_id": "r",
                                                                             "now": TIMES["now"]}), FAILED,
                                         ("Expected a batch whose challenger is version 99, found none",)),
    "step with its result in no folder": Case("champion", ("step", "nope", "--result", "{files}/empty.csv/x"), WRONG_INPUT,
                                              ("Expected to read and write files", "Check the path")),
    "release of an unknown batch": on("champion", "release r", FAILED, "Expected a batch of the run 'r', found none"),
    "decisions, none of them": on("champion", "decisions --limit 0", WRONG_INPUT, "--limit", "greater than or equal to 1"),
    "decisions with an unknown verdict": on("champion", "decisions --verdict foo", WRONG_INPUT, "Expected --verdict",
                                            "insufficient_evidence", "got 'foo'"),
    "dislike for no reason that is known": on("champion", "dislike u001 f01 --reason bored", WRONG_INPUT, "--reason",
                                              "wrong_genre", "bored"),
    "dislike of no item": on("champion", "dislike u001 nothing", FAILED, "Expected the id of an item, got 'nothing'",
                             "recsys items --title", "Nothing was written"),
    "dislike in too many words": Case("champion", ("dislike", "u001", "f01", "--text", "x" * 2001), WRONG_INPUT,
                                      ("Expected feedback_text", "2000", "Nothing was written")),
    "dislike of a user without a name": Case("champion", ("dislike", "", "f01"), WRONG_INPUT, ("Expected the user_id",)),
    "undo of another user's dislike": on("champion", "undo nobody 1", FAILED, "Expected the number of a dislike of this user"),
    "undo of nobody knows which": on("champion", "undo u000", WRONG_INPUT, "Expected either the number of a dislike or --last",
                                     "Nothing was written"),
    "undo of two at once": on("champion", "undo u000 1 --last", WRONG_INPUT, "Expected either the number"),
    "undo where nothing is": on("champion", "undo nobody --last", FAILED, "found none that was not taken back"),
    "API key for an unknown scope": on("champion", "api-key create --name n --scope all", WRONG_INPUT,
                                       "Expected --scope to be one of act-for-users, metrics:read, users:erase", "'all'"),
    "storage, no database": on("nothing", "storage", FAILED, *UPGRADE),
    "storage of no days": on("champion", "storage --days 0", WRONG_INPUT, "Expected days above 0, got 0"),
    "move to what is there": on("champion", "home move {files}", WRONG_INPUT, "something is there", "nothing was moved"),
    "repair of a home of unknown origin": on("stream", "home repair", WRONG_INPUT, "name it with --from OLD_FOLDER"),
    "unknown command": on("champion", "nonsense", WRONG_INPUT, "No such command 'nonsense'", "--help"),
    "unknown option": on("champion", "run --nonsense", WRONG_INPUT, "No such option: --nonsense", "--help"),
    "recommend for nobody": on("champion", "recommend", WRONG_INPUT, "Missing argument", "--help"),
}  # fmt: skip


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad-files")
    (folder / "empty.csv").write_text("")
    (folder / "columns.csv").write_text("who,what,when\na,b,2024-01-01\n")
    (folder / "rows.csv").write_text("user_id,item_id,occurred_at,label\na,b,2024-01-01,like\na,c,yesterday,like\n")
    (folder / "bytes.csv").write_bytes(b"item_id,title\n1,\xff\xfe\n")
    (folder / "no.parquet").write_text("item_id,title\n")
    return folder


@pytest.fixture(scope="module")
def places(champion: Champion, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Settings]:
    """Homes of all kinds: `champion` has served a night, `stream` waits for its first, `empty` has only tables."""
    folder = tmp_path_factory.mktemp("places")
    names = ("nothing", "text", "empty", "stream")
    found = {name: Settings.under(folder / name) for name in names}
    for name in names:
        found[name].home.mkdir()
    (found["text"].home / "feedback.db").write_text("This is a text and not a database, however long it may be.\n" * 99)
    for name in ("empty", "stream"):
        migrate(found[name].database_url)
    with FeedbackStore.open(found["stream"].database_url) as store:
        write_stream(store)
    file = folder / "file"
    file.write_text("I am no folder.")
    copy = copy_home(champion.settings.home, folder / "champion")
    return {**found, "below a file": Settings.under(file / "home"), "champion": copy}


@dataclass(frozen=True)
class Outcomes:
    """What every case said, and what the homes held before and after all of them."""

    finished: dict[str, Finished]
    before: dict[str, dict[str, str]]
    after: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def outcomes(places: dict[str, Settings], bad_files: Path) -> Outcomes:
    """Runs all cases, two at a time: each only takes a second, but they are many."""
    closed_port = find_free_port()

    def run(case: Case) -> Finished:
        line = [word.replace("{files}", str(bad_files)) for word in case.line]
        environment = {key: value.format(closed_port=closed_port) for key, value in case.environment.items()}
        return quick(places[case.place], *line, **environment)

    homes = {name: settings.home for name, settings in places.items()}
    before = {name: state(home) for name, home in homes.items()}
    with ThreadPoolExecutor(2) as pool:
        finished = dict(zip(CASES, pool.map(run, CASES.values()), strict=True))
    return Outcomes(finished, before, {name: state(home) for name, home in homes.items()})


@pytest.mark.parametrize("name", CASES)
def test_it_ends_with_a_code_and_a_message_that_helps(name: str, outcomes: Outcomes) -> None:
    case, finished = CASES[name], outcomes.finished[name]
    assert finished.code == case.code, finished.err
    for words in case.words:
        assert finished.says(words), finished.err
    assert "Traceback" not in finished.err
    assert "secret" not in finished.err
    assert not finished.out


@pytest.mark.parametrize("place", sorted({case.place for case in CASES.values()}))
def test_nothing_is_half_written(place: str, outcomes: Outcomes) -> None:
    before, after = outcomes.before[place], outcomes.after[place]
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    decides = any(case.decides for case in CASES.values() if case.place == place)
    assert changed == ({LEDGER} if decides else set())


def test_a_place_that_cannot_be_written_gives_the_claim_back(settings: Settings) -> None:
    migrate(settings.database_url)
    with FeedbackStore.open(settings.database_url) as store:
        write_stream(store)
    settings.artifacts.write_text("I am no folder.")  # root may write anywhere, but not into a file
    refused = quick(settings, "run", "--as-of", FIRST_AS_OF.isoformat(), "--run-id", "r")
    assert refused.code == WRONG_INPUT
    assert refused.says("Expected to read and write files")
    assert refused.says("artifacts")
    assert "Traceback" not in refused.err
    assert_given_back(settings)
    assert settings.artifacts.is_file()


def assert_given_back(settings: Settings) -> None:
    """The batch of run r is released, and its dislikes wait for the next run."""
    with FeedbackStore.open(settings.database_url) as store:
        assert store.backlog.get_batch("r").status == BatchStatus.RELEASED
        assert store.backlog.count_backlog(FIRST_AS_OF) == store.stream.stream_summary(FIRST_AS_OF).num_dislikes > 0


class Relay(socketserver.ThreadingTCPServer):
    """Passes bytes on to a server, until one asks for `last_request`: from then on nobody answers."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, server: tuple[str, int], last_request: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.upstream, self.last_request, self.is_cut = server, last_request, False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Passing(socketserver.BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        if self.server.is_cut:
            return
        with create_connection(self.server.upstream) as upstream:
            back = threading.Thread(target=_pass_on, args=(upstream, self.request), daemon=True)
            back.start()
            while asked := self.request.recv(65_536):
                if self.server.last_request in asked:
                    self.server.is_cut = True
                    return
                upstream.sendall(asked)


def _pass_on(source: socket, target: Any) -> None:
    try:
        while answered := source.recv(65_536):
            target.sendall(answered)
        target.shutdown(SHUT_RDWR)
    except OSError:  # the other side has hung up
        return


@contextmanager
def relay_to(url: str, last_request: bytes) -> Iterator[Relay]:
    host, port = url.removeprefix("http://").split(":")
    with Relay((host, int(port)), last_request) as relay:
        thread = threading.Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield relay
        finally:
            relay.shutdown()
            thread.join()


@pytest.mark.thorough
def test_an_mlflow_that_goes_away_in_the_middle_gives_the_claim_back(settings: Settings, mlflow_server: str) -> None:
    migrate(settings.database_url)
    with FeedbackStore.open(settings.database_url) as store:
        write_stream(store)
    with relay_to(mlflow_server, b"/mlflow/runs/create") as relay:
        night = recsys(
            settings,
            "run",
            "--as-of",
            FIRST_AS_OF.isoformat(),
            "--run-id",
            "r",
            "--family",
            FAMILY,
            **{MLFLOW: relay.url},
        )
        assert relay.is_cut
    assert night.code == TRY_AGAIN, night.err
    assert "Expected MLflow at" in night.message
    assert "run the same step again" in night.message
    assert "Traceback" not in night.err
    assert_given_back(settings)
    assert not list(settings.home.rglob("*.building"))
