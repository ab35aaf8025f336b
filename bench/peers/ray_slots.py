"""Ray's side of `npm run bench -- slots`: one line of JSON in, one out.

The cluster has two processors; a task asks for as many of them as leave room for `slots` tasks at once.
"""

import json
import logging
import sys
import time

import ray

CPUS = 2
SPUN = 0.0005


def say(value):
    print(json.dumps(value), flush=True)


def wait(_item, seconds):
    end = time.perf_counter() + seconds
    result = bytes(30_000)
    time.sleep(seconds - SPUN)
    while time.perf_counter() < end:
        pass
    return result


class Waits:
    def __init__(self):
        ray.init(num_cpus=CPUS, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False, object_store_memory=1_500_000_000)
        self.wait = ray.remote(wait)
        for slots in (1, 2):
            self.measure(40 * slots, 1, slots)

    def measure(self, count, waitMs, slots):
        task = self.wait.options(num_cpus=CPUS / slots)
        start = time.perf_counter()
        refs = [task.remote(i, waitMs / 1000) for i in range(count)]
        ray.wait(refs, num_returns=count, fetch_local=False)
        return {"tookMs": (time.perf_counter() - start) * 1000}


def main():
    waits = Waits()
    say({"name": f"Ray {ray.__version__}"})
    for line in sys.stdin:
        command = json.loads(line)
        command.pop("measure")
        say(waits.measure(**command))


main()
