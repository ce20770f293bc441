"""The official packages follow addresses that the provider tells them; these lead through the gateway."""

import io
import json

import anthropic
import httpx
from google import genai

from answering_server import AnsweringServer, Request, answer
from gateway_parts import add, opened
from recorded_answers import CUSTOM, LISTS
from surroundings import Nexod

KEY = "sk-of-the-account"


def test_a_file_is_uploaded_to_the_address_that_google_gives(nexod: Nexod) -> None:
    parts: list[bytes] = []

    def script(request: Request, _: object) -> bytes:
        if request.method == "GET":
            return answer(200, LISTS[CUSTOM])
        if request.key != KEY:
            return answer(401, b"{}")
        if request.headers["x-goog-upload-command"] == "start":
            address = f"{server.origin}{request.path}?upload_id=a%2Fb"
            return answer(200, b"{}", (("X-Goog-Upload-URL", address), ("X-Goog-Upload-Status", "active")))
        assert request.target.endswith("?upload_id=a%2Fb")
        parts.append(request.body)
        state = "final" if "finalize" in request.headers["x-goog-upload-command"] else "active"
        return answer(200, b'{"file":{"name":"files/x"}}', (("X-Goog-Upload-Status", state),))

    content = bytes(range(256)) * 40_000
    with AnsweringServer(script) as server, opened(nexod) as (client, token, port):
        add(client, "a", server.origin, key=KEY)
        options = genai.types.HttpOptions(base_url=f"http://127.0.0.1:{port}/google")
        with genai.Client(api_key=token, http_options=options) as google:
            done = google.files.upload(file=io.BytesIO(content), config={"mime_type": "text/plain"})
            assert done.name == "files/x"
        assert len(parts) > 1
        assert b"".join(parts) == content


def test_the_results_of_a_batch_are_read_at_the_address_that_anthropic_gives(nexod: Nexod) -> None:
    def script(request: Request, _: object) -> bytes:
        if request.path == "/v1/models":
            return answer(200, LISTS[CUSTOM])
        if request.key != KEY:
            return answer(401, b"{}")
        if request.path.endswith("/results"):
            row = b'{"custom_id":"mine","result":{"type":"canceled"}}\n'
            return answer(200, row, (("Content-Type", "application/x-jsonl"),))
        batch = {
            "id": "b",
            "processing_status": "ended",
            "results_url": f"{server.origin}/v1/messages/batches/b/results",
        }
        return answer(200, json.dumps(batch).encode())

    with AnsweringServer(script) as server, opened(nexod) as (client, token, port):
        add(client, "a", server.origin, key=KEY)
        base_url = f"http://127.0.0.1:{port}/anthropic"
        with anthropic.Anthropic(base_url=base_url, api_key=token, max_retries=0) as claude:
            assert [row.custom_id for row in claude.messages.batches.results("b")] == ["mine"]
            told = claude.messages.batches.with_raw_response.retrieve("b")
            assert httpx.URL(told.json()["results_url"]).port == port
        assert all(request.key == KEY for request in server.requests)
