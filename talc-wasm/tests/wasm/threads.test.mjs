// An allocator for threads: workers in one shared memory.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';

import { INITIAL, PAGE, module } from './module.mjs';

const THREADS = 4;
const ROUNDS = 50_000;
const STACK = 64 << 10;
/** What the module is linked for. */
const MAXIMUM = 4096;

function start() {
  const memory = new WebAssembly.Memory({ initial: INITIAL, maximum: MAXIMUM, shared: true });
  return { memory, ...new WebAssembly.Instance(module, { env: { memory } }).exports };
}

/** Runs `work` on as many workers, with a stack for each, and waits for them. */
async function runThreads(main, rounds) {
  const workers = Array.from({ length: THREADS }, (_, index) => {
    const stack = (main.new_stack(STACK) >>> 0) + STACK;
    const workerData = { module, memory: main.memory, thread: index + 1, rounds, stack };
    return new Worker(new URL('./worker.mjs', import.meta.url), { workerData });
  });
  const codes = await Promise.all(workers.map(async (worker) => (await once(worker, 'exit'))[0]));
  assert.deepEqual(codes, workers.map(() => 0));
}

test('threads allocate, resize and free what others have allocated', async () => {
  const main = start();
  await runThreads(main, ROUNDS);
  main.finish(0);
  assert.equal(main.damaged(), 0);
  assert.ok(main.is_sound());
  assert.equal(main.live(), THREADS, 'only the stacks are left');
  assert.ok(main.total() > BigInt(THREADS * ROUNDS * 0.9), `${main.total()} allocations`);
  // Else the threads ran one after the other, and the test shows little.
  assert.ok(main.freed_abroad() > ROUNDS / 100, `${main.freed_abroad()} freed by other threads`);
});

test('threads live on at the maximum', async () => {
  const main = start();
  main.memory.grow(MAXIMUM - main.memory.buffer.byteLength / PAGE - 12);
  await runThreads(main, ROUNDS / 10);
  main.finish(0);
  assert.equal(main.damaged(), 0);
  assert.ok(main.is_sound());
  assert.equal(main.live(), THREADS, 'only the stacks are left');
  assert.equal(main.memory.buffer.byteLength / PAGE, MAXIMUM, 'the memory is used up');
});
