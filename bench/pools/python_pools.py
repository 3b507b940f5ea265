#!/usr/bin/env python3
"""What Python's own queues and pools cost: python_pools.py channels|executors [--rounds N] [--count N]

Prints what the programs beside it print, with the same names for the same measures.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import queue
import sys
import threading
import time

WORKERS = 2
CROWD = 1000
SHARE = 20  # does that part of the count


def same(value):
    return value


def putter(values, count):
    for value in range(count):
        values.put(value)


def get_all(values, count):
    return sum(values.get() for _ in range(count))


def alone(count):
    values, total = queue.Queue(16), 0
    for value in range(count):
        values.put(value)
        total += values.get()
    return total


def between(make_queue, make_worker):
    def run(count):
        values = make_queue(1024)
        worker = make_worker(target=putter, args=(values, count))
        worker.start()
        total = get_all(values, count)
        worker.join()
        return total

    return run


def one_by_one(submit):
    return lambda count: sum(submit(value) for value in range(count))


def in_crowds(map_crowd):
    return lambda count: sum(sum(map_crowd(range(begun, min(count, begun + CROWD)))) for begun in range(0, count, CROWD))


def channels():
    yield "put and get, alone", "Python's queue.Queue", alone
    yield "one to one, room for 1024", "Python's queue.Queue", between(queue.Queue, threading.Thread)
    yield "between processes", "Python's multiprocessing.Queue", between(multiprocessing.Queue, multiprocessing.Process)


def executors():
    processes = multiprocessing.Pool(WORKERS)
    others = concurrent.futures.ProcessPoolExecutor(WORKERS)
    threads = concurrent.futures.ThreadPoolExecutor(WORKERS)
    list(others.map(same, range(WORKERS)))  # its processes start before there are threads to be forked with
    yield "submit to result", "Python's ThreadPoolExecutor", one_by_one(lambda it: threads.submit(same, it).result())
    yield "a task of a thousand", "Python's ThreadPoolExecutor", in_crowds(lambda crowd: threads.map(same, crowd))
    alone_there, together_there = "submit to result, in a process", "a task of a thousand, in processes"
    yield alone_there, "Python's multiprocessing.Pool", one_by_one(lambda it: processes.apply(same, (it,)))
    yield alone_there, "Python's ProcessPoolExecutor", one_by_one(lambda it: others.submit(same, it).result())
    yield together_there, "Python's multiprocessing.Pool", in_crowds(lambda crowd: processes.map(same, crowd, 1))
    processes.terminate()
    processes.join()
    others.shutdown()
    threads.shutdown()


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["channels", "executors"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=100_000)
    options = parser.parse_args(arguments)
    count = max(1, options.count // SHARE)
    measures = {}
    for measure, contender, run in {"channels": channels, "executors": executors}[options.part]():
        figures = measures.setdefault(measure, {}).setdefault(contender, [])
        for number in range(options.rounds + 1):
            start = time.perf_counter()
            total = run(count)
            spent = time.perf_counter() - start
            if total != count * (count - 1) // 2:
                sys.exit(f"{measure}: {contender}: something came out wrong")
            if number > 0:
                figures.append(round(spent * 1e9 / count, 2))
    print(json.dumps({"rounds": options.rounds, "count": options.count, "measures": measures}))


if __name__ == "__main__":
    main(sys.argv[1:])
