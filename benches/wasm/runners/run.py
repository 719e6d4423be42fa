"""Measures modules in wasmtime, interleaved; the same as `run.mjs` does in node."""

import ctypes
import json
import sys
import time

import wasmtime

PAGE = 1 << 16


class Instance:
    """A fresh instance in the state in which the workload begins."""

    def __init__(self, engine, module, workload, listing):
        self.store = wasmtime.Store(engine)
        self.exports = wasmtime.Instance(self.store, module, []).exports(self.store)
        self.memory = self.exports["memory"]
        self.pages = self.memory.size(self.store)
        if listing:
            address = self.exports["list"](self.store)
            base = ctypes.addressof(self.memory.data_ptr(self.store).contents)
            ctypes.memmove(base + address, listing, len(listing))
        if workload["prepare"]:
            self.exports[workload["prepare"]](self.store, workload["prepare_times"])
        self.function = self.exports[workload["run"]]

    def run(self, times):
        """Runs, and answers milliseconds."""
        start = time.perf_counter()
        self.function(self.store, times)
        return (time.perf_counter() - start) * 1e3

    def grown(self):
        """Pages that the memory has more than it began with."""
        return self.memory.size(self.store) - self.pages


def probe(instance, workload):
    """How many of the operations can be done in time, and nanoseconds for each."""
    done, spent, slice = 0, 0.0, 64
    while done < workload["operations"] and spent < workload["patience"]:
        slice = min(slice, workload["operations"] - done)
        spent += instance.run(slice)
        done += slice
        slice *= 2 if spent < workload["patience"] / 8 else 1
    return done, spent * 1e6 / done


def measure(engine, modules, workload, rounds):
    """One outcome for each module."""
    listing = None
    if workload["list"]:
        with open(workload["list"], "rb") as file:
            listing = file.read()
    outcomes = []
    for module in modules:
        done, nanoseconds = probe(Instance(engine, module, workload, listing), workload)
        whole = workload["steady"] or done == workload["operations"]
        outcome = {"slower_than": nanoseconds, "times": [], "pages": 0}
        outcomes.append({"operations": done if whole else 0, **outcome})
    for round in range(rounds):
        for turn in range(len(modules)):
            index = (turn + round) % len(modules)
            outcome = outcomes[index]
            if outcome["operations"] > 0:
                instance = Instance(engine, modules[index], workload, listing)
                spent = instance.run(outcome["operations"])
                outcome["times"].append(spent * 1e6 / outcome["operations"])
                outcome["pages"] = instance.grown()
    return outcomes


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    engine = wasmtime.Engine()
    modules = [wasmtime.Module.from_file(engine, path) for path in plan["modules"]]
    for workload in plan["workloads"]:
        print(json.dumps(measure(engine, modules, workload, plan["rounds"])), flush=True)


main()
