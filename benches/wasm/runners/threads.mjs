// Measures modules with threads in node, interleaved: as `run.mjs`, but with workers in one shared
// memory. A worker notes the time after each few operations. For more than one worker, only such
// pieces count during all of which the others ran, too.
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readlinkSync } from "node:fs";
import { cpus } from "node:os";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

// In bytes, for each worker.
const STACK = 1 << 20;
// What the modules are linked for, in pages, and more than they begin with.
const [MAXIMUM, INITIAL] = [16384, 64];
// In nanoseconds: a longer piece was interrupted.
const LONGEST = 1e6;
// Fewer pieces are no measurement; as many attempts are made to come by them.
const [FEWEST, ATTEMPTS] = [50, 50];

const instantiate = (module, memory) => new WebAssembly.Instance(module, { env: { memory } }).exports;

// The times at which pieces ended, the first one at which the worker began.
function work({ module, memory, stack, local, number, workload, start }) {
    const exports = instantiate(module, memory);
    exports.__stack_pointer.value = stack;
    exports.__wasm_init_tls(local);
    exports.seed(number);
    if (workload.prepare) {
        exports[workload.prepare](workload.prepare_times);
    }
    const run = exports[workload.run];
    run(50_000);
    exports.meet(workload.threads);
    const now = () => Number(process.hrtime.bigint() - start);
    const ends = [now()];
    while (ends.at(-1) < ends[0] + workload.patience * 1e6) {
        run(workload.operations);
        ends.push(now());
    }
    return ends;
}

// How long the pieces took during all of which every worker ran.
function clean(all) {
    const begin = Math.max(...all.map((ends) => ends[0]));
    const end = Math.min(...all.map((ends) => ends.at(-1)));
    const pieces = all.flatMap((ends) => ends.slice(1).map((to, at) => [ends[at], to]));
    const interrupted = pieces.filter(([from, to]) => to - from > LONGEST);
    const counts = ([from, to]) =>
        from >= begin && to <= end && !interrupted.some((other) => from < other[1] && other[0] < to);
    return pieces.filter(counts).map(([from, to]) => to - from);
}

// The pieces that count, and how many pages the memory grew by.
async function attempt(module, workload, workers) {
    const memory = new WebAssembly.Memory({ initial: INITIAL, maximum: MAXIMUM, shared: true });
    const main = instantiate(module, memory);
    const start = process.hrtime.bigint();
    const messages = workers.map((_, number) => {
        const stack = (main.reserve(STACK, 16) >>> 0) + STACK;
        const local = main.reserve(main.__tls_size.value, main.__tls_align.value) >>> 0;
        return { module, memory, stack, local, number, workload, start };
    });
    const all = await Promise.all(
        workers.map(async (worker, index) => {
            worker.postMessage(messages[index]);
            return (await once(worker, "message"))[0];
        }),
    );
    return { more: clean(all), pages: (memory.buffer.byteLength >> 16) - INITIAL };
}

async function measure(module, workload, workers) {
    const pieces = [];
    for (let left = ATTEMPTS; left > 0; left--) {
        const { more, pages } = await attempt(module, workload, workers);
        pieces.push(...more);
        if (pieces.length >= FEWEST) {
            const middle = pieces.sort((a, b) => a - b)[pieces.length >> 1];
            return { time: middle / workload.operations, pages };
        }
    }
    throw new Error("workers hardly run at the same time: the machine is too busy");
}

async function main() {
    const plan = JSON.parse(readFileSync(process.argv[2]));
    const modules = plan.modules.map((path) => new WebAssembly.Module(readFileSync(path)));
    for (const workload of plan.workloads) {
        const workers = Array.from({ length: workload.threads }, (_, index) => new Worker(new URL(import.meta.url), { workerData: index }));
        const outcomes = modules.map(() => ({ operations: workload.operations, slower_than: 0, times: [], pages: 0 }));
        for (let round = 0; round < plan.rounds; round++) {
            for (let turn = 0; turn < modules.length; turn++) {
                const index = (turn + round) % modules.length;
                const { time, pages } = await measure(modules[index], workload, workers);
                outcomes[index].times.push(time);
                outcomes[index].pages = pages;
            }
            globalThis.gc();
        }
        await Promise.all(workers.map((worker) => worker.terminate()));
        console.log(JSON.stringify(outcomes));
    }
}

if (isMainThread) {
    await main();
} else {
    // A core for each worker.
    const thread = readlinkSync("/proc/thread-self").split("/").pop();
    execFileSync("taskset", ["-cp", `${workerData % cpus().length}`, thread]);
    parentPort.on("message", (message) => parentPort.postMessage(work(message)));
}
