"""A process that has imported refeed, and a copy of it for each command: an import takes longer than most.

`python warm.py SOCKET` answers at a Unix socket. `python warm.py SOCKET WORDS…` is what `refeed WORDS…` is,
or `python -c CODE` with the words `-c CODE`: in the caller's folder, with the caller's streams and exit code.
"""

import json
import os
import socket
import sys
import traceback
from pathlib import Path

IMPORTED = ("api", "cli", "evaluation.evaluate", "inference.recommender", "ratings.read", "training.fit")


def serve(path: str) -> None:
    """Fork for everybody who calls, for as long as the process that started this one lives."""
    from importlib import import_module  # noqa: PLC0415 - not for the caller

    for name in IMPORTED:
        import_module(f"refeed.{name}")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        print("ready", flush=True)  # noqa: T201
        while True:
            connection, _ = server.accept()
            with connection:
                if os.fork():
                    continue
                server.close()
                if not os.fork():  # nobody waits for a grandchild
                    answer(connection)
                os._exit(0)


def answer(connection: socket.socket) -> None:
    message, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    folder, words = json.loads(message)
    os.chdir(folder)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    code = 1
    try:
        code = run(words)
    except BaseException:  # noqa: BLE001 - what Python itself would print
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(bytes([code]))
    os._exit(0)


def run(words: list[str]) -> int:
    if words[0] == "-c":
        sys.path.insert(0, "")
        exec(compile(words[1], "<block>", "exec"), {"__name__": "__main__"})  # noqa: S102
        return 0
    from refeed.cli import main  # noqa: PLC0415

    return main(words)


def ask(path: str, words: list[str]) -> int:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [json.dumps([str(Path.cwd()), words]).encode()], [0, 1, 2])
        return connection.recv(1)[0]


if __name__ == "__main__":
    if len(sys.argv) == 2:
        serve(sys.argv[1])
    sys.exit(ask(sys.argv[1], sys.argv[2:]))
