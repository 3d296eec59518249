"""Python's prometheus_client, as in its documentation.

Lines on stdin give the workload (src/load.rs), then commands until stdin ends (src/serve.rs).
"""

import socket
import sys
import threading
import time

from prometheus_client import Counter, Histogram, REGISTRY, start_http_server

lines = sys.stdin


class Counting:
    """Counts gathers, and collects nothing."""

    gathers = 0

    def collect(self):
        Counting.gathers += 1
        return []


def register():
    labels, buckets, family, counts = [], [], None, False
    for line in lines:
        line = line.rstrip("\n")
        if not line:
            return
        kind, *fields = line.split("\t")
        if kind == "labels":
            labels = fields
        elif kind == "buckets":
            buckets = [float(field) for field in fields]
        elif kind == "counter":
            family, counts = Counter(fields[0], fields[1], labels), True
        elif kind == "histogram":
            family, counts = Histogram(fields[0], fields[1], labels, buckets=buckets), False
        else:
            metric = family.labels(*fields[: len(labels)])
            for value in fields[len(labels) :]:
                if counts:
                    metric.inc(float(value))
                else:
                    metric.observe(float(value))


class Ticker:
    """The host program's own work: it ticks each millisecond and notes its delay."""

    def __init__(self):
        self.late, self.runs = [], False

    def run(self):
        while self.runs:
            start = time.perf_counter_ns()
            time.sleep(0.001)
            self.late.append(time.perf_counter_ns() - start - 1_000_000)

    def start(self):
        self.runs = True
        threading.Thread(target=self.run, daemon=True).start()

    def report(self):
        late = sorted(self.late)
        if not late:
            return "-"
        return f"{late[(len(late) * 999 + 999) // 1000 - 1]} {late[-1]} {len(late)}"


def free():
    """Returns a free port, because start_http_server does not report the one that it got."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


register()
REGISTRY.register(Counting())
# Registering calls collect().
Counting.gathers = 0
port = free()
begun = time.perf_counter_ns()
# Later versions return the server and its thread.
served = start_http_server(port, addr="127.0.0.1")
socket.create_connection(("127.0.0.1", port)).close()
print("ready", port, time.perf_counter_ns() - begun, flush=True)

ticker = Ticker()
for command in lines:
    command = command.strip()
    if command == "gathers":
        print(Counting.gathers, flush=True)
    elif command == "tick":
        ticker.start()
        print("ok", flush=True)
    elif command == "tock":
        ticker.runs = False
        print("ok", flush=True)
    elif command == "ticks":
        print(ticker.report(), flush=True)
    elif command == "stop" and served:
        begun = time.perf_counter_ns()
        served[0].shutdown()
        served[0].server_close()
        print(time.perf_counter_ns() - begun, flush=True)
    else:
        print("-", flush=True)
