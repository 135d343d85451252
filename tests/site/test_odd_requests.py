"""Requests that no form sends: what was found by attacking the site, each answered plainly."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django_q.models import Schedule

from distill.logic.errors import InputError
from distill.logic.recipe import load_recipe
from distill.tasks import enqueue_stale_runs, schedule_minutely
from nexa_site.services.bootstrap import create_roles
from tests.builders import make_recipe, make_run, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    create_roles()
    client = Client(raise_request_exception=False)
    client.force_login(make_user("admin", is_superuser=True))
    return client


@pytest.mark.parametrize(
    "address",
    [
        "/recipes/%00/1/",
        "/recipes/a%00b/1/download/",
        "/completions/?domain=%00",
        "/admin/distill/run/?state=%00",
        "/admin/distill/dataset/?q=a%00b",
        "/no/such/page/%00",
    ],
)
def test_a_nul_in_an_address_is_refused(client: Client, address: str) -> None:
    assert client.get(address).status_code == 400


@pytest.mark.parametrize(
    "query",
    ["after=abc", f"run={'9' * 30}", "run=-1", "state=x", "text=%FF%FE", f"domain={'x' * 10_000}"],
)
def test_odd_filters_find_nothing_or_everything(client: Client, query: str) -> None:
    make_run()
    for page in ("/completions/", "/completions/download/", "/runs/", "/exports/", "/datasets/"):
        assert client.get(f"{page}?{query}").status_code in (200, 400), page


def test_a_form_in_another_encoding_gets_the_plain_page() -> None:
    content_type = "application/x-www-form-urlencoded; charset=utf-7"
    sent = Client(enforce_csrf_checks=True, raise_request_exception=False)
    sent.cookies["csrftoken"] = "a" * 32
    answer = sent.post("/login/", b"document=a", content_type=content_type)
    assert answer.status_code == 400
    assert "cannot be read" in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("host", ["evil.example", "a b", ""])
def test_another_host_is_refused(client: Client, host: str) -> None:
    answer = client.get("/", headers={"Host": host})
    assert answer.status_code == 400
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "address", ["//evil.example", "https://evil.example", "javascript:alert(1)", "/\\evil.example"]
)
def test_the_login_leads_nowhere_else(address: str) -> None:
    person = make_user("reviewer")
    form = {"username": person.username, "password": "correct horse battery staple"}
    answer = Client().post("/login/", {**form, "next": address})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")


def test_a_method_cannot_be_smuggled_in(client: Client) -> None:
    recipe = make_recipe()
    headers = {"X-HTTP-Method-Override": "DELETE"}
    answer = client.post(f"/recipes/{recipe.name}/1/", {"_method": "DELETE"}, headers=headers)
    assert answer.status_code == 405


def test_sixty_thousand_unknown_keys_are_not_all_told() -> None:
    with pytest.raises(InputError) as told:
        load_recipe("\n".join(f"key_{number}: 1" for number in range(5_000)))
    assert "and 4,990 further unknown keys" in str(told.value)
    assert len(str(told.value)) < 5_000


# --- uploads ---


def upload(client: Client, name: str, content: bytes) -> str:
    """Send a file as a new dataset's; the page that comes back."""
    form = {"name": "odd", "description": "", "dataset": ""}
    file = SimpleUploadedFile(name, content)
    answer = client.post("/datasets/upload/", {**form, "file": file}, follow=True)
    assert answer.status_code < 500, name
    return answer.text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("wide.csv", ",".join(f"c{number}" for number in range(5_000)).encode()),
        ("wide.jsonl", orjson.dumps({f"c{number}": "x" for number in range(5_000)})),
    ],
)
def test_a_file_with_thousands_of_columns_is_refused(
    client: Client, name: str, content: bytes
) -> None:
    page = upload(client, name, content)
    assert "at most 1,000 can be mapped" in page
    assert len(page) < 100_000


def test_the_paths_inside_a_column_are_too_many_to_be_all_offered(client: Client) -> None:
    inside = {f"key_{number}": "x" for number in range(5_000)}
    page = upload(client, "deep.jsonl", orjson.dumps({"text": "A passage. " * 30, "m": inside}))
    assert page.count('value="m.key_') < 20_000
    assert "A passage." in page


@pytest.mark.parametrize("depth", [300, 500, 1000])
def test_what_is_nested_too_deeply_is_a_refused_row(client: Client, depth: int) -> None:
    page = upload(client, "deep.jsonl", b'{"text":' + b"[" * depth + b"]" * depth + b"}\n")
    assert "deep.jsonl" in page or "Send" in page


@pytest.mark.parametrize(
    "name", ["../../etc/passwd.jsonl", "/etc/x.jsonl", "<script>.jsonl", "x" * 900 + ".jsonl"]
)
def test_a_file_name_is_never_a_path(client: Client, name: str, data_dir: Path) -> None:
    text = upload(client, name, orjson.dumps({"text": "A passage of a paper. " * 20}))
    assert "<script>.jsonl" not in text
    kept = [path.name for path in data_dir.rglob("*") if path.is_file()]
    assert all(len(name) == 36 for name in kept), "only under an id of ours"


# --- the admin ---


@pytest.mark.parametrize("chosen", ["abc", "\0", "1 OR 1", "-1"])
@pytest.mark.parametrize("model", ["dataset", "run"])
def test_an_action_over_no_rows_is_refused(client: Client, model: str, chosen: str) -> None:
    make_run()
    form = {"action": "start_pipeline" if model == "dataset" else "stop", "index": "0"}
    answer = client.post(f"/admin/distill/{model}/", {**form, "_selected_action": chosen})
    assert answer.status_code == 400


def test_not_even_a_superuser_schedules_a_function_of_their_choice(client: Client) -> None:
    schedule_minutely(enqueue_stale_runs)
    known = Schedule.objects.get()
    form = {"name": "x", "func": "os.system", "args": "'id'", "schedule_type": "O", "repeats": "1"}
    assert client.get("/admin/django_q/schedule/").status_code == 200
    assert client.post("/admin/django_q/schedule/add/", form).status_code == 403
    changed = client.post(f"/admin/django_q/schedule/{known.pk}/change/", form)
    assert changed.status_code == 403
    assert Schedule.objects.get().func == known.func
