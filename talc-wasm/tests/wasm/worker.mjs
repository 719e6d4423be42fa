// One thread: an instance of the shared module over the shared memory, with a stack of its own.
import { workerData } from 'node:worker_threads';

const { module, memory, thread, rounds, stack } = workerData;
const { exports } = new WebAssembly.Instance(module, { env: { memory } });
exports.__stack_pointer.value = stack;
exports.work(thread, rounds);
