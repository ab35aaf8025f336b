"""Ray's side of `npm run bench -- tasks`: one line of JSON in, one out.

Ray is used as its own microbenchmarks use it (ray_perf.py: "single client tasks async/sync"); put and get go through Ray Client, because
Volley's are measured from a remote SDK too. The cluster has two processors, as many as Volley's has slots.
"""

import json
import logging
import subprocess
import sys
import time

import numpy as np
import ray

PORT = 10071


def say(value):
    print(json.dumps(value), flush=True)


def rate(count, run):
    start = time.perf_counter()
    run()
    return count / (time.perf_counter() - start)


class Tasks:
    def __init__(self):
        ray.init(num_cpus=2, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False, object_store_memory=1_500_000_000)
        self.noop = ray.remote(lambda *_: None).options(num_cpus=1)
        ray.get([self.noop.remote() for _ in range(200)])

    def in_flight(self, count, width):
        def run():
            for _ in range(count // width):
                ray.get([self.noop.remote() for _ in range(width)])

        return {"value": rate(count // width * width, run)}

    def one_at_a_time(self, count):
        times = []
        for _ in range(count):
            start = time.perf_counter()
            ray.get(self.noop.remote())
            times.append((time.perf_counter() - start) * 1000)
        return {"times": times}

    def map(self, count):
        return {"value": rate(count, lambda: ray.get([self.noop.remote(i) for i in range(count)]))}


CLIENT = """
import json, sys, time
import numpy as np, ray
ray.init(sys.argv[1], logging_level=40)
size = int(sys.argv[2])
data = np.arange(size // 8, dtype=np.float64); data[0] = time.time()
start = time.perf_counter(); ref = ray.put(data); put = size / 1e9 / (time.perf_counter() - start)
start = time.perf_counter(); back = ray.get(ref); get = size / 1e9 / (time.perf_counter() - start)
assert back[0] == data[0]
print(json.dumps({"put": put, "get": get}))
"""


def put_and_get(size):
    """A process of its own: one process cannot be driver and client at once."""
    address = ray.get_runtime_context().gcs_address
    server = subprocess.Popen(
        [sys.executable, "-m", "ray.util.client.server", "--host", "127.0.0.1", "--port", str(PORT), "--address", address, "--mode", "proxy"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(3)
        out = subprocess.run([sys.executable, "-c", CLIENT, f"ray://127.0.0.1:{PORT}", str(size)], capture_output=True, text=True, timeout=300)
        if out.returncode != 0:
            return {"error": out.stderr[-500:]}
        return json.loads(out.stdout.strip().splitlines()[-1])
    finally:
        server.terminate()
        server.wait()


def main():
    tasks = Tasks()
    say({"name": f"Ray {ray.__version__}"})
    for line in sys.stdin:
        command = json.loads(line)
        what = command.pop("measure")
        if what == "putAndGet":
            say(put_and_get(command["bytes"]))
        else:
            say({"inFlight": tasks.in_flight, "oneAtATime": tasks.one_at_a_time, "map": tasks.map}[what](**command))


main()
