"""A stand-in of the Hugging Face Hub on loopback, for the real `huggingface_hub` client.

The client is pointed at it by `HF_ENDPOINT` and speaks plain HTTP and Git LFS to it
(`HF_HUB_DISABLE_XET=1`). It answers with the status codes and error headers the client turns into
its exceptions, and can be told to fail: that is what the tests of sharing need a Hub for.
Whatever it does not know it refuses with 501, so that a client asking for more is noticed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote

import yaml
from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

BY_LFS = (".safetensors", ".hdf5", ".h5", ".mp4", ".png")
LARGEST_REGULAR = 10_000  # bytes


@dataclass
class User:
    """Whom a token stands for; it writes to the user's own namespace and the organizations'."""

    name: str
    role: str = "write"  # of the token: or "read"
    orgs: list[str] = field(default_factory=list)

    def reads(self, namespace: str) -> bool:
        return namespace in (self.name, *self.orgs)

    def writes(self, namespace: str) -> bool:
        return self.role == "write" and self.reads(namespace)


@dataclass
class Fault:
    """The fault of the requests that match, once `after` of them have gone well."""

    method: str  # regex of the whole method: "GET|HEAD"
    pattern: str  # regex found in the path, as sent (quoted)
    # Or "cut": see `Hub`; "lost": done, but the answer never arrives; "silent": nothing arrives, and
    # the connection stays; "trickle": a byte now and then, without an end; "": as it is, but for
    # the headers.
    status: int | str
    times: int = 1
    retry_after: int | None = None  # seconds
    after: int = 0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Commit:
    oid: str
    message: str
    files: dict[str, bytes]


@dataclass
class Repo:
    type: str  # "model" or "dataset"
    name: str  # "namespace/name"
    private: bool = False
    commits: list[Commit] = field(default_factory=list)  # of main, the newest last
    tags: dict[str, str] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)  # in LFS, by SHA-256

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[-1].files

    def commit(self, message: str, files: dict[str, bytes]) -> Commit:
        """Add a commit whose oid depends on nothing but what led to it, so that runs agree."""
        parent = self.commits[-1].oid if self.commits else ""
        tree = sorted((path, _sha256(data)) for path, data in files.items())
        oid = hashlib.sha1(repr((self.type, self.name, parent, message, tree)).encode()).hexdigest()
        self.commits.append(Commit(oid, message, files))
        return self.commits[-1]

    def at(self, revision: str) -> Commit:
        if revision == "main":
            return self.commits[-1]
        for commit in self.commits:
            if commit.oid == self.tags.get(revision, revision):
                return commit
        raise RefusedError(404, f"Invalid rev id: {revision}", "RevisionNotFound")


class RefusedError(Exception):
    """An answer that is an error, with the header by which the client tells errors apart."""

    def __init__(self, status: int, message: str, code: str | None = None, **more: Any) -> None:
        super().__init__(message)
        # The real Hub sends `X-Error-Message` too; the client quotes it.
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self.response = _json({"error": message} | more, status, headers)


@dataclass
class Ask:
    """A request, taken apart."""

    request: Request
    user: User | None
    type: str
    name: str
    revision: str
    path: str

    @property
    def json(self) -> Any:
        return json.loads(self.request.get_data())

    def known(self, code: str | None = None) -> User:
        if self.user is None:
            raise RefusedError(401, "Invalid username or password.", code)
        return self.user


class Hub:
    """A Hub on loopback, with all of its state in memory and open to the tests.

    It can be left and entered again: it is then back at the same endpoint, with the same state.
    A request that meets a fault changes nothing, unless only its answer is "lost". One that is
    "cut" finds the connection closed: for GET after half of the body, for others unanswered.
    """

    def __init__(self) -> None:
        self.endpoint = ""
        self.requests: list[tuple[str, str]] = []
        self.repos: dict[tuple[str, str], Repo] = {}
        self.users: dict[str, User] = {}
        self.faults: list[Fault] = []
        self._lock = threading.Lock()  # makes each request one step, as it is for the real Hub
        self._ended = threading.Event()
        self._port = 0
        self._server: BaseWSGIServer | None = None

    def __enter__(self) -> Hub:
        self._ended.clear()
        server = make_server(
            "127.0.0.1", self._port, self._serve, threaded=True, request_handler=_Quiet
        )
        self._server, self._port = server, server.port
        self.endpoint = f"http://127.0.0.1:{server.port}"
        self._thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._ended.set()
        self._server.shutdown()
        self._thread.join()  # the thread closes the socket: from here on, connections are refused

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        path = environ["RAW_URI"].partition("?")[0]  # quoted: a revision may contain a slash
        request.get_data()  # all of it, so that a cut is an end of file to the client, not a reset
        if path == "/api/agent-harnesses":  # once per HF_HOME, for itself: not recorded
            return _json({"standardEnvVars": [], "harnesses": {}})(environ, start_response)
        with self._lock:
            self.requests.append((request.method, path))
            fault = self._fault(request.method, path)
            if fault and isinstance(fault.status, int):
                response = _failure(fault.status, fault.retry_after)
            elif fault and fault.status == "cut" and request.method != "GET":
                return _hang_up(environ)
            else:
                response = self._answer(request, path)
        if fault and fault.status == "lost":
            return _hang_up(environ)
        if fault and fault.status == "silent":
            self._ended.wait()
            return _hang_up(environ)
        if fault and fault.status == "trickle":
            response.headers.remove("Content-Length")
            response.response = self._bytes()
        if fault:
            response.headers.update(fault.headers)
        if fault and fault.status == "cut":
            data = response.get_data()
            response.response = _half(data)
            response.content_length = len(data)
        return response(environ, start_response)

    def _bytes(self) -> Iterator[bytes]:
        while not self._ended.wait(0.02):
            yield b" "

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            matches = re.fullmatch(fault.method, method) and re.search(fault.pattern, path)
            if matches and fault.after:
                fault.after -= 1
            elif matches and fault.times:
                fault.times -= 1
                return fault
        return None

    def _answer(self, request: Request, path: str) -> Response:
        try:
            user = None
            if token := request.headers.get("Authorization", "").removeprefix("Bearer "):
                user = self.users.get(token)
                if user is None:  # whatever is asked for: the real Hub does not fall back either
                    raise RefusedError(401, "Invalid credentials in Authorization header")
            for method, pattern, answer in ROUTES:
                match = re.fullmatch(pattern, path)
                if match and re.fullmatch(method, request.method):
                    got = {key: unquote(value or "") for key, value in match.groupdict().items()}
                    kind = "dataset" if got.get("type") == "datasets" else "model"
                    name, revision = got.get("name", ""), got.get("revision") or "main"
                    ask = Ask(request, user, kind, name, revision, got.get("path", ""))
                    return answer(self, ask)
            raise RefusedError(501, f"{request.method} {path} is not part of the stand-in")
        except RefusedError as refusal:
            return refusal.response
        except HTTPException as error:  # a range that cannot be had
            return Response.force_type(error.get_response(request.environ), request.environ)

    def _repo(self, ask: Ask, write: bool = False) -> Repo:
        """The repository asked for; one that may not be seen is said not to exist."""
        namespace = ask.name.partition("/")[0]
        repo = self.repos.get((ask.type, ask.name))
        visible = repo and (not repo.private or (ask.user and ask.user.reads(namespace)))
        if repo is None or not visible:
            ask.known("RepoNotFound")  # the same for missing ones: which it is, is not told
            raise RefusedError(404, "Repository not found", "RepoNotFound")
        if write and not ask.known().writes(namespace):
            raise RefusedError(403, "Forbidden: you do not have write access to this repository")
        return repo

    def _url(self, kind: str, name: str) -> str:
        return f"{self.endpoint}/{'datasets/' if kind == 'dataset' else ''}{name}"

    def _whoami(self, ask: Ask) -> Response:
        user = ask.known()
        orgs = [{"type": "org", "name": org} for org in user.orgs]
        auth = {"type": "access_token", "accessToken": {"role": user.role}}
        return _json({"type": "user", "name": user.name, "orgs": orgs, "auth": auth})

    def _create(self, ask: Ask) -> Response:
        wanted, user = ask.json, ask.known()
        kind, namespace = wanted.get("type") or "model", wanted["organization"] or user.name
        if not user.writes(namespace):
            denied = f"You don't have the rights to create a {kind} under the namespace"
            raise RefusedError(403, f'{denied} "{namespace}"')
        name = f"{namespace}/{wanted['name']}"
        if (kind, name) in self.repos:
            exists = f"You already created this {kind} repo"
            raise RefusedError(409, exists, url=self._url(kind, name))
        repo = Repo(kind, name, private=wanted.get("visibility") == "private")
        self.repos[kind, name] = repo
        attributes = "".join(f"*{end} filter=lfs diff=lfs merge=lfs -text\n" for end in BY_LFS)
        repo.commit("initial commit", {".gitattributes": attributes.encode()})
        return _json({"url": self._url(kind, name), "name": name})

    def _validate(self, ask: Ask) -> Response:
        card, errors = _card(ask.json["content"])
        warnings = [] if card else ["empty or missing yaml metadata in repo card"]
        answer = {"errors": errors, "warnings": [] if errors else warnings}
        body = {key: [{"message": line} for line in lines] for key, lines in answer.items()}
        return _json(body, 400 if errors else 200)

    def _info(self, ask: Ask) -> Response:
        repo = self._repo(ask)
        commit = repo.at(ask.revision)
        card, _ = _card(commit.files.get("README.md", b"").decode())
        about: dict[str, Any] = {
            "id": repo.name,
            "author": repo.name.partition("/")[0],
            "private": repo.private,
        }
        about |= {"cardData": card, "tags": card.get("tags") or [], "gated": False}
        siblings = [{"rfilename": path} for path in sorted(commit.files)]
        return _json(about | {"sha": commit.oid, "siblings": siblings})

    def _tree(self, ask: Ask) -> Response:
        files = self._repo(ask).at(ask.revision).files
        root = f"{ask.path}/" if ask.path else ""
        deep = ask.request.args.get("recursive") == "true"
        entries: dict[str, dict[str, Any]] = {}
        for path in sorted(path for path in files if path.startswith(root)):
            first, slash, _ = path.removeprefix(root).partition("/")
            folder = {"type": "directory", "path": root + first, "oid": _git_oid(b""), "size": 0}
            if slash:
                entries[root + first] = folder
            if deep or not slash:
                entries[path] = _entry(path, files[path])
        if root and not entries:
            raise RefusedError(404, f"{ask.path} does not exist", "EntryNotFound")
        return _json(list(entries.values()))

    def _refs(self, ask: Ask) -> Response:
        repo = self._repo(ask)
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repo.commits[-1].oid}
        tags = [
            {"name": name, "ref": f"refs/tags/{name}", "targetCommit": oid}
            for name, oid in repo.tags.items()
        ]
        return _json({"branches": [main], "tags": tags, "converts": [], "pullRequests": []})

    def _tag(self, ask: Ask) -> Response:
        repo = self._repo(ask, write=True)
        commit, tag = repo.at(ask.revision), ask.json["tag"]
        if tag in repo.tags:
            raise RefusedError(409, "Tag reference exists already")
        repo.tags[tag] = commit.oid
        return _json({"success": True})

    def _preupload(self, ask: Ask) -> Response:
        files = self._repo(ask, write=True).at(ask.revision).files
        answers = []
        for file in ask.json["files"]:
            path, mode = file["path"], "lfs" if _is_lfs(file["path"], file["size"]) else "regular"
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False})
            if path in files:  # by this, the client leaves out what has not changed
                answers[-1]["oid"] = _etag(path, files[path])
        return _json({"files": answers})

    def _batch(self, ask: Ask) -> Response:
        repo = self._repo(ask, write=True)
        objects = []
        for wanted in ask.json["objects"]:
            objects.append({"oid": wanted["oid"], "size": wanted["size"]})
            if wanted["oid"] not in repo.objects:
                href = f"{self.endpoint}/lfs/{repo.type}s/{repo.name}/{wanted['oid']}"
                actions = {"upload": {"href": href}, "verify": {"href": f"{href}/verify"}}
                objects[-1]["actions"] = actions
        return _json({"transfer": "basic", "objects": objects})

    def _put(self, ask: Ask) -> Response:
        """Take an object; anyone with the link may send it, as with the real Hub's storage."""
        data = ask.request.get_data()
        if _sha256(data) != ask.path:
            raise RefusedError(400, "The content does not match its SHA-256")
        self.repos[ask.type, ask.name].objects[ask.path] = data
        return Response(status=200)

    def _verify(self, ask: Ask) -> Response:
        data = self._repo(ask, write=True).objects.get(ask.path)
        if data is None or len(data) != ask.json["size"]:
            raise RefusedError(404, "Object does not exist or has another size")
        return Response(status=200)

    def _commit(self, ask: Ask) -> Response:
        repo = self._repo(ask, write=True)
        if ask.revision != "main":
            raise RefusedError(404, f"Invalid rev id: {ask.revision}", "RevisionNotFound")
        files, header = dict(repo.files), {}
        for line in ask.request.get_data().splitlines():
            item = json.loads(line)
            key, value = item["key"], item["value"]
            if key == "header":
                header = value
            elif key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                if value["oid"] not in repo.objects:
                    raise RefusedError(400, f"{value['path']}: its LFS object was never uploaded")
                files[value["path"]] = repo.objects[value["oid"]]
            elif key == "deletedFile":
                if files.pop(value["path"], None) is None:
                    missing = f"A file with this name doesn't exist: {value['path']}"
                    raise RefusedError(404, missing, "EntryNotFound")
            else:
                raise RefusedError(501, f"{key} is not part of the stand-in")
        if header.get("parentCommit", repo.commits[-1].oid) != repo.commits[-1].oid:
            raise RefusedError(412, "A commit has happened since. Please refresh and try again.")
        if errors := _card(files.get("README.md", b"").decode())[1]:
            raise RefusedError(400, f"Invalid metadata in README.md: {errors[0]}")
        oid = repo.commit(header["summary"], files).oid
        url = f"{self._url(repo.type, repo.name)}/commit/{oid}"
        return _json({"success": True, "commitOid": oid, "commitUrl": url})

    def _resolve(self, ask: Ask) -> Response:
        commit = self._repo(ask).at(ask.revision)
        if ask.path not in commit.files:
            refusal = RefusedError(404, "Entry not found", "EntryNotFound")
            refusal.response.headers["X-Repo-Commit"] = commit.oid
            raise refusal
        data = commit.files[ask.path]
        response = Response(data, mimetype="application/octet-stream")
        response.headers["X-Repo-Commit"] = commit.oid
        response.set_etag(_etag(ask.path, data))
        return response.make_conditional(ask.request, accept_ranges=True, complete_length=len(data))


NAME, REVISION = r"(?P<name>[^/]+/[^/]+)", r"(?P<revision>[^/]+)"
API = rf"/api/(?P<type>models|datasets)/{NAME}"
PLAIN = rf"/(?:(?P<type>datasets)/)?{NAME}"
OBJECT = rf"/lfs/(?P<type>models|datasets)/{NAME}/(?P<path>[0-9a-f]{{64}})"
ROUTES: list[tuple[str, str, Callable[[Hub, Ask], Response]]] = [
    ("GET", "/api/whoami-v2", Hub._whoami),
    ("POST", "/api/repos/create", Hub._create),
    ("POST", "/api/validate-yaml", Hub._validate),
    ("GET", rf"{API}(/revision/{REVISION})?", Hub._info),
    ("GET", rf"{API}/tree/{REVISION}(/(?P<path>.+))?", Hub._tree),
    ("GET", rf"{API}/refs", Hub._refs),
    ("POST", rf"{API}/tag/{REVISION}", Hub._tag),
    ("POST", rf"{API}/preupload/{REVISION}", Hub._preupload),
    ("POST", rf"{API}/commit/{REVISION}", Hub._commit),
    ("POST", rf"{PLAIN}\.git/info/lfs/objects/batch", Hub._batch),
    ("PUT", OBJECT, Hub._put),
    ("POST", rf"{OBJECT}/verify", Hub._verify),
    ("GET|HEAD", rf"{PLAIN}/resolve/{REVISION}/(?P<path>.+)", Hub._resolve),
]


def environment(hub: Hub, token: str | None, home: Path) -> dict[str, str]:
    """The variables by which a process talks to this Hub, and to nothing else of the user's; no token: ""."""
    return {
        "HF_ENDPOINT": hub.endpoint,
        "HF_TOKEN": token or "",
        "HF_HOME": os.fspath(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: Any) -> None:
        pass  # `Hub.requests` has them


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(value), status, headers, mimetype="application/json")


def _failure(status: int, retry_after: int | None) -> Response:
    """An injected failure: a gateway's are pages of HTML, which not all of the client expects."""
    if status in (502, 503, 504):
        response = Response("<html>Service unavailable</html>", status, mimetype="text/html")
    else:
        response = RefusedError(status, "Injected failure").response
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _hang_up(environ: dict[str, Any]) -> NoReturn:
    # The server would keep a connection it has not answered on, and the client wait for ever.
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError  # what the server takes for a client that has gone


def _half(data: bytes) -> Iterator[bytes]:
    yield data[: len(data) // 2]
    raise ConnectionAbortedError  # the answer said "Connection: close", so the server hangs up


def _card(text: str) -> tuple[dict[str, Any], list[str]]:
    """The metadata at the top of a README, and what is wrong with it."""
    match = re.match(r"---\r?\n(.*?)^---\s*$", text, re.DOTALL | re.MULTILINE)
    try:
        card = yaml.safe_load(match[1]) if match else None
    except yaml.YAMLError as error:
        return {}, [f"Cannot parse the YAML metadata: {error}"]
    if not isinstance(card, dict):
        return {}, ["The YAML metadata is not a mapping"] if card is not None else []
    return card, [] if isinstance(card.get("tags", []), list) else ['"tags" must be an array']


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_lfs(path: str, size: int) -> bool:
    return size > 0 and (path.endswith(BY_LFS) or size > LARGEST_REGULAR)


def _git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _etag(path: str, data: bytes) -> str:
    return _sha256(data) if _is_lfs(path, len(data)) else _git_oid(data)


def _entry(path: str, data: bytes) -> dict[str, Any]:
    """A file in a listing; the blob of one in LFS is the pointer to it."""
    entry = {"type": "file", "path": path, "size": len(data), "oid": _git_oid(data)}
    if not _is_lfs(path, len(data)):
        return entry
    oid = f"oid sha256:{_sha256(data)}"
    pointer = f"version https://git-lfs.github.com/spec/v1\n{oid}\nsize {len(data)}\n".encode()
    lfs = {"oid": _sha256(data), "size": len(data), "pointerSize": len(pointer)}
    return entry | {"oid": _git_oid(pointer), "lfs": lfs}
