"""Who a process on a card is: container, pod, systemd unit, serving engine, and the labels it was started with.

Only the variables in LABEL_VARIABLES are read out of a process's environment; nothing else of it leaves this module.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from stanchion_gpu.records import Owner
from stanchion_wire import gpu

LABEL_VARIABLES = {
    b"STANCHION_FEATURE": gpu.FEATURE,
    b"STANCHION_MODEL": gpu.MODEL,
    b"STANCHION_DEPLOYMENT": gpu.DEPLOYMENT,
    b"STANCHION_JOB_KIND": gpu.JOB_KIND,
    b"STANCHION_RUN_ID": gpu.RUN_ID,
}
MOST_BYTES = 256 * 1024
MOST_LABEL_CHARACTERS = 200
MOST_GENERATIONS, MOST_CHILDREN = 4, 64
PORT_OPTIONS = ("--metrics-port", "--port", "--http-port")
PARALLEL_OPTIONS = ("--tensor-parallel-size", "-tp", "--tp-size", "--tp", "--num-shard")

# The 64 hex digits that docker, containerd, CRI-O and podman put into a cgroup path.
_CONTAINER = re.compile(r"(?:^|[/:-])([0-9a-f]{64})(?:\.scope)?(?:/|$)")
# Kubernetes writes a pod's UID with dashes (cgroupfs) or underscores (systemd).
_POD = re.compile(r"pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})")
_UNIT = re.compile(r"/([^/]+\.service)(?:/|$)")

# By the name of the program, or a word after it; the first that fits.
_ENGINES = (
    ("vllm", ("vllm",)),
    ("sglang", ("sglang",)),
    ("tgi", ("text-generation-launcher", "text-generation-server", "text-generation-router")),
    ("triton", ("tritonserver",)),
    ("trtllm", ("trtllm-serve",)),
    ("djl", ("djl_serving", "djl-serving", "djl_python", "ai.djl.")),
    ("llama.cpp", ("llama-server", "llama_cpp")),
)


def owner(pid: int, proc: Path = Path("/proc")) -> Owner | None:
    """None when the process is gone or belongs to someone whose processes we may not see at all."""
    folder = proc / str(pid)
    if _read(folder / "cmdline") is None:
        return None
    words = command(pid, proc)
    cgroup = (_read(folder / "cgroup") or b"").decode("utf-8", "replace")
    return Owner(
        executable=_executable(folder, words),
        container_id=_found(_CONTAINER, cgroup),
        pod_uid=(_found(_POD, cgroup) or "").replace("_", "-") or None,
        systemd_unit=_found(_UNIT, cgroup),
        engine=engine_of(words),
        labels=labels_of(_read(folder / "environ") or b""),
    )


def engine_of(words: Sequence[str]) -> str | None:
    """The serving engine that a command line starts, or that a process calls itself ("VLLM::EngineCore"). Only the
    names of the program, its module and its first few words count: a client with `--backend vllm` is no engine, and nor
    is what lies in a folder of that name. Java's words are many before the class."""
    names = [word.rpartition("/")[2] for word in words[:4]] + [
        word for word in words[4:64] if word.startswith("ai.djl.")
    ]
    told = " ".join(names).lower()
    for engine, marks in _ENGINES:
        if any(mark in told for mark in marks):
            return engine
    return None


def command(pid: int, proc: Path = Path("/proc")) -> list[str]:
    """The words of its command line; none when it cannot be seen."""
    text = _read(proc / str(pid) / "cmdline") or b""
    return [word.decode("utf-8", "replace") for word in text.split(b"\0") if word]


def family(pid: int, proc: Path = Path("/proc")) -> list[int]:
    """The process, those of the same engine above it, and the children of the uppermost: a worker holds the card while
    another process of its engine serves."""
    line = [pid]
    for _ in range(MOST_GENERATIONS):
        parent = _parent(line[-1], proc)
        if parent is None or parent <= 1 or engine_of(command(parent, proc)) is None:
            break
        line.append(parent)
    told = (_read(proc / str(line[-1]) / "task" / str(line[-1]) / "children") or b"").split()
    children = [int(one) for one in told[:MOST_CHILDREN] if one.isdigit()]
    return line + [one for one in children if one not in line]


def named_ports(commands: Iterable[Sequence[str]]) -> list[int]:
    """Ports that command lines name, those for metrics first."""
    told = [_options(words) for words in commands]
    found = [options.get(name, "") for name in PORT_OPTIONS for options in told]
    return [int(one) for one in found if one.isdecimal() and int(one) < 65536]


def tensor_parallel(commands: Iterable[Sequence[str]]) -> int | None:
    """How many cards hold one copy of the model, where a command line says it."""
    for options in map(_options, commands):
        for name in PARALLEL_OPTIONS:
            if options.get(name, "").isdecimal():
                return int(options[name][:6])
    return None


def _options(words: Sequence[str]) -> dict[str, str]:
    """`--name value` and `--name=value`."""
    found: dict[str, str] = {}
    for word, after in itertools.pairwise([*words, ""]):
        name, has_value, value = word.partition("=")
        if name.startswith("-"):
            found.setdefault(name, value if has_value else after)
    return found


def _parent(pid: int, proc: Path) -> int | None:
    """The fourth field of proc(5)'s stat, after a name that may hold anything in brackets."""
    text = _read(proc / str(pid) / "stat") or b""
    fields = text[text.rfind(b")") + 1 :].split()
    return int(fields[1]) if len(fields) > 1 and fields[1].isdigit() else None


def labels_of(environment: bytes) -> tuple[tuple[str, str], ...]:
    """The labels among NUL-separated variables; cut at MOST_LABEL_CHARACTERS. A job kind that is neither serve nor
    train is left out."""
    found: dict[str, str] = {}
    for entry in environment.split(b"\0"):
        name, _, value = entry.partition(b"=")
        label = LABEL_VARIABLES.get(name)
        if label is not None and value:
            found[label] = value.decode("utf-8", "replace")[:MOST_LABEL_CHARACTERS]
    if found.get(gpu.JOB_KIND) not in (None, "serve", "train"):
        del found[gpu.JOB_KIND]
    return tuple(sorted(found.items()))


def listening_ports(pids: Iterable[int], proc: Path = Path("/proc")) -> dict[int, list[int]]:
    """TCP ports that each process listens on, ascending; without those whose sockets we may not see."""
    sockets = {**_listening(proc / "net" / "tcp"), **_listening(proc / "net" / "tcp6")}
    found: dict[int, list[int]] = {}
    for pid in pids:
        ports = {sockets[inode] for inode in _socket_inodes(proc / str(pid) / "fd") if inode in sockets}
        if ports:
            found[pid] = sorted(ports)
    return found


def _listening(table: Path) -> dict[str, int]:
    """Inode to port. Fields as in proc(5): local address in hex, state 0A for listening, inode the tenth."""
    found: dict[str, int] = {}
    for line in (_read(table) or b"").decode("ascii", "replace").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == "0A":
            found[fields[9]] = int(fields[1].rpartition(":")[2], 16)
    return found


def _socket_inodes(folder: Path) -> Iterable[str]:
    try:
        links = [str(entry.readlink()) for entry in folder.iterdir()]
    except OSError:
        return []
    return [link[8:-1] for link in links if link.startswith("socket:[")]


def _executable(folder: Path, words: Sequence[str]) -> str | None:
    try:
        name = (folder / "exe").readlink().name.removesuffix(" (deleted)")
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")  # files may be named in any bytes
    except OSError:
        return Path(words[0]).name if words else None


def _found(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return match.group(1) if match else None


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES)
    except OSError:
        return None
