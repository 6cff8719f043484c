"""What bench/edges.sh cannot say in shell: many connections that lie idle, and a start by the clock."""

import resource
import socket
import subprocess
import sys
import time


def connections(host, port, number):
    """Opens so many, each of which has had one answer, and says so; then waits to be told to end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number + 64:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, number + 64), hard))
    request = b"GET /off/ HTTP/1.1\r\nhost: localhost\r\n\r\n"
    opened = []
    for _ in range(number):
        stream = socket.create_connection((host, port))
        stream.sendall(request)
        answer = b""
        while not answer.endswith(b"\r\n\r\n" + b"x" * 1024):
            piece = stream.recv(65536)
            if not piece:
                sys.exit(f"the connection was closed after {answer!r}")
            answer += piece
        opened.append(stream)
    print("open", flush=True)
    sys.stdin.readline()


def start(port, command):
    """Milliseconds from a program's start to the first byte of its first answer."""
    request = b"GET /paid/ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    began = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while time.monotonic() - began < 60:
            try:
                with socket.create_connection(("127.0.0.1", port)) as stream:
                    stream.sendall(request)
                    first = stream.recv(12)
                    if first != b"HTTP/1.1 402":
                        sys.exit(f"the first answer is {first!r}")
                    print(f"{(time.monotonic() - began) * 1000:.1f}")
                    return
            except ConnectionRefusedError:
                time.sleep(0.0005)
        sys.exit("no answer within a minute")
    finally:
        child.terminate()
        child.wait()


if sys.argv[1] == "connections":
    connections(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
else:
    start(int(sys.argv[2]), sys.argv[3:])
