// Measures modules in node, interleaved. `node run.mjs PLAN` prints a line for each workload of
// the plan; `run.py` does the same in wasmtime, and `host.rs` explains the plan and the lines.
import { readFileSync } from "node:fs";

const plan = JSON.parse(readFileSync(process.argv[2]));
const modules = plan.modules.map((path) => new WebAssembly.Module(readFileSync(path)));

// A fresh instance in the state in which the workload begins.
function prepare(module, workload, list) {
    const { exports } = new WebAssembly.Instance(module);
    const pages = exports.memory.buffer.byteLength >> 16;
    if (list) {
        new Uint8Array(exports.memory.buffer, exports.list(), list.length).set(list);
    }
    if (workload.prepare) {
        exports[workload.prepare](workload.prepare_times);
    }
    const run = (times) => {
        const start = performance.now();
        exports[workload.run](times);
        return performance.now() - start;
    };
    return { run, grown: () => (exports.memory.buffer.byteLength >> 16) - pages };
}

// How many of the operations can be done in time.
function probe(instance, workload) {
    let [done, spent, slice] = [0, 0, 64];
    while (done < workload.operations && spent < workload.patience) {
        slice = Math.min(slice, workload.operations - done);
        spent += instance.run(slice);
        done += slice;
        slice *= spent < workload.patience / 8 ? 2 : 1;
    }
    return { done, nanoseconds: (spent * 1e6) / done };
}

for (const workload of plan.workloads) {
    const list = workload.list && readFileSync(workload.list);
    const outcomes = modules.map((module) => {
        const { done, nanoseconds } = probe(prepare(module, workload, list), workload);
        const whole = workload.steady || done === workload.operations;
        return { operations: whole ? done : 0, slower_than: nanoseconds, times: [], pages: 0 };
    });
    for (let round = 0; round < plan.rounds; round++) {
        for (let turn = 0; turn < modules.length; turn++) {
            const index = (turn + round) % modules.length;
            const outcome = outcomes[index];
            if (outcome.operations > 0) {
                const instance = prepare(modules[index], workload, list);
                const spent = instance.run(outcome.operations);
                outcome.times.push((spent * 1e6) / outcome.operations);
                outcome.pages = instance.grown();
            }
        }
        // Address space for memories is scarce, and instances must be collected to free it.
        globalThis.gc();
    }
    console.log(JSON.stringify(outcomes));
}
