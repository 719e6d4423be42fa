// The allocators for one thread, in node, over real memories.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ALL, INITIAL, PAGE, instance } from './module.mjs';

const GIB = 2 ** 30;

/** A small generator of numbers below 2^32: tests must do the same each time. */
function random(seed) {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Allocates until nothing fits any more, from `largest` down to `smallest` bytes. */
function fill(talc, largest, smallest) {
  const blocks = [];
  for (let size = largest; size >= smallest; ) {
    const block = talc.alloc(size);
    if (block) blocks.push([block, size]);
    else size = Math.floor(size / 2);
  }
  return blocks;
}

function freeAll(talc, blocks) {
  for (const [block, size] of blocks) talc.dealloc(block, size);
  assert.equal(talc.live(), 0);
  assert.ok(talc.isSound());
}

for (const name of ['dynamic', 'small', 'fast']) {
  describe(name, () => {
    test('grows the memory, and makes use of what is free', () => {
      const { [name]: talc, pages } = instance();
      const first = talc.alloc(10);
      const before = pages();
      assert.ok(first >= INITIAL * PAGE && before > INITIAL);
      const blocks = [[first, 10]];
      while (pages() === before) blocks.push([talc.alloc(100), 100]);
      // A table and slabs take some of it.
      assert.ok(blocks.length > ((before - INITIAL) * PAGE * 0.6) / 112, `${blocks.length} blocks`);
      freeAll(talc, blocks);
    });

    test('tolerates that JavaScript grows the memory', () => {
      const { [name]: talc, memory } = instance();
      const blocks = [];
      for (let round = 0; round < 10; round++) {
        const size = PAGE + round * 5000;
        const block = talc.alloc(size);
        assert.ok(block);
        talc.bytes(block, size).fill(round);
        blocks.push([block, size]);
        const start = memory.grow(1) * PAGE;
        new Uint8Array(memory.buffer, start, PAGE).fill(0xee);
        assert.ok(talc.isSound());
      }
      for (const [round, [block, size]] of blocks.entries()) {
        assert.ok(talc.bytes(block, size).every((byte) => byte === round));
      }
      // What JavaScript has grown is still as it left it.
      const all = new Uint8Array(memory.buffer);
      const foreign = all.reduce((sum, byte) => sum + (byte === 0xee), 0);
      assert.equal(foreign, 10 * PAGE);
      freeAll(talc, blocks);
    });

    test('grows by no more than is needed around multiples of a page', () => {
      for (let size = 3 * PAGE - 40; size <= 3 * PAGE; size++) {
        const { [name]: talc, pages } = instance();
        // With its header of 4 bytes it takes a multiple of 16; a heap takes 16 more.
        const bytes = Math.ceil((size + 4) / 16) * 16 + 16;
        assert.ok(talc.alloc(size));
        assert.equal(pages() - INITIAL, Math.ceil(bytes / PAGE), `${size} bytes`);
      }
    });

    test('lives on at the maximum', () => {
      const { [name]: talc, pages } = instance(INITIAL + 10);
      const blocks = fill(talc, PAGE, 16);
      assert.equal(pages(), INITIAL + 10);
      assert.equal(talc.alloc(16), 0);
      assert.ok(talc.isSound());
      const [block, size] = blocks.shift();
      talc.dealloc(block, size);
      assert.equal(talc.alloc(size), block);
      freeAll(talc, [[block, size], ...blocks]);
      assert.ok(talc.alloc(PAGE));
    });

    test('reallocation at the maximum leaves the block as it is', () => {
      const { [name]: talc } = instance(INITIAL + 10);
      const sizes = [20, 3000, 2 * PAGE];
      const blocks = sizes.map((size, index) => {
        const block = talc.alloc(size);
        talc.bytes(block, size).fill(index + 1);
        return [block, size];
      });
      for (const [index, [block, size]] of blocks.entries()) {
        for (const newSize of [10 * PAGE, 2 * GIB - 1, 2 * GIB - 64, 4 * GIB - 1]) {
          assert.equal(talc.realloc(block, size, newSize), 0);
        }
        assert.ok(talc.bytes(block, size).every((byte) => byte === index + 1));
      }
      freeAll(talc, blocks);
    });

    test('zeroes what is asked for zeroed, used before or not', () => {
      const { [name]: talc } = instance();
      for (const size of [1, 8, 100, 3000, PAGE, 5 * PAGE]) {
        for (const expected of ['fresh', 'used']) {
          const block = talc.allocZeroed(size);
          assert.ok(talc.bytes(block, size).every((byte) => byte === 0), `${size} ${expected}`);
          talc.bytes(block, size).fill(0xff);
          talc.dealloc(block, size);
        }
      }
    });

    test('size 0 is a block like any other', () => {
      const { [name]: talc } = instance();
      const blocks = [talc.alloc(0), talc.alloc(0), talc.alloc(0, 64)];
      assert.ok(blocks.every((block) => block !== 0));
      assert.equal(new Set(blocks).size, 3);
      assert.equal(blocks[2] % 64, 0);
      const grown = talc.realloc(blocks[0], 0, 1000);
      talc.bytes(grown, 1000).fill(1);
      talc.dealloc(grown, 1000);
      talc.dealloc(blocks[1], 0);
      talc.dealloc(blocks[2], 0, 64);
      assert.equal(talc.live(), 0);
      assert.ok(talc.isSound());
    });

    test('large alignments are kept', () => {
      const { [name]: talc } = instance();
      const blocks = [];
      for (let align = 1; align <= 2 ** 21; align *= 2) {
        for (const size of [1, 24, 5000]) {
          const block = talc.alloc(size, align);
          assert.ok(block !== 0 && block % align === 0, `${size} aligned to ${align}`);
          const moved = talc.realloc(block, size, 2 * size, align);
          assert.ok(moved !== 0 && moved % align === 0);
          blocks.push([moved, 2 * size, align]);
        }
      }
      for (const [block, size, align] of blocks) talc.dealloc(block, size, align);
      assert.equal(talc.live(), 0);
      assert.ok(talc.isSound());
    });

    test('what cannot be is null, and changes nothing', () => {
      const { [name]: talc, pages } = instance();
      const block = talc.alloc(100);
      talc.bytes(block, 100).fill(7);
      const before = pages();
      for (let less = 1; less <= 256; less++) {
        assert.equal(talc.alloc(4 * GIB - less), 0);
        assert.equal(talc.alloc(2 * GIB - less), 0);
        assert.equal(talc.alloc(2 * GIB + less), 0);
        assert.equal(talc.alloc(4 * GIB - less, 2 ** 31), 0);
        assert.equal(talc.allocZeroed(4 * GIB - less), 0);
      }
      for (const align of [2 ** 30, 2 ** 31]) assert.equal(talc.alloc(1, align), 0);
      assert.equal(pages(), before);
      assert.ok(talc.isSound());
      assert.ok(talc.bytes(block, 100).every((byte) => byte === 7));
    });

    test('works up to the last byte of the address space', () => {
      const { [name]: talc, pages } = instance(ALL);
      const blocks = fill(talc, GIB, 16);
      assert.equal(pages(), ALL);
      const top = Math.max(...blocks.map(([block, size]) => block + size));
      assert.ok(top > 4 * GIB - 256 && top < 4 * GIB, `the highest block ends at ${top}`);
      for (const [block, size] of blocks) {
        talc.bytes(block + size - 1, 1)[0] = 1;
      }
      assert.ok(talc.isSound());
      freeAll(talc, blocks);
      assert.ok(talc.alloc(GIB));
      assert.ok(talc.isSound());
    });

    test('takes the last page of the address space alone', () => {
      const { [name]: talc, memory, pages } = instance(ALL);
      const first = talc.alloc(10);
      memory.grow(ALL - 1 - pages());
      const blocks = fill(talc, PAGE, 16);
      assert.equal(pages(), ALL);
      assert.ok(blocks.some(([block]) => block >= (ALL - 1) * PAGE));
      assert.equal(talc.heaps(), 2);
      freeAll(talc, [[first, 10], ...blocks]);
    });
  });
}

test('dynamic joins what it grows', () => {
  const { dynamic, memory } = instance();
  for (let count = 0; count < 50; count++) assert.ok(dynamic.alloc(PAGE));
  assert.equal(dynamic.heaps(), 1);
  memory.grow(1);
  for (let count = 0; count < 50; count++) assert.ok(dynamic.alloc(PAGE));
  assert.equal(dynamic.heaps(), 2);
});

test('fast grows in steps, and by less where there is no room for one', () => {
  const { fast, pages } = instance(INITIAL + 100);
  const growths = [];
  for (let count = 0; count < 80; count++) {
    const before = pages();
    assert.ok(fast.alloc(PAGE));
    if (pages() > before) growths.push([pages() - before, before - INITIAL]);
  }
  for (const [growth, before] of growths) {
    const step = Math.floor(before / 8);
    assert.ok(growth === step || (growth <= 2 && growth > step), `${growth} after ${before}`);
  }
  // Without steps there is one for each.
  assert.ok(growths.length < 40, `${growths.length} growths`);
  assert.ok(fill(fast, PAGE, PAGE).length > 10);
  assert.equal(pages(), INITIAL + 100);
});

test('the arena never grows the memory', () => {
  const { arena, pages } = instance();
  const blocks = fill(arena, PAGE, 16);
  assert.equal(pages(), INITIAL);
  const bytes = blocks.reduce((sum, [, size]) => sum + size, 0);
  assert.ok(bytes > 0.95 * 2 ** 20, `${bytes} bytes of the arena`);
  assert.equal(arena.alloc(16), 0);
  freeAll(arena, blocks);
});

test('strangers in one memory leave each other alone', () => {
  const { allocators, memory } = instance(2048);
  const below = random(1);
  const blocks = [];
  const check = ({ talc, block, size, seed }) => {
    const bytes = talc.bytes(block, size);
    assert.ok(bytes.every((byte) => byte === seed), `block of ${size} bytes of ${talc.name}`);
  };
  for (let round = 0; round < 20000; round++) {
    const talc = allocators[below(allocators.length)];
    const kind = below(10);
    const index = blocks.length && below(blocks.length);
    const size = 1 + below(2 ** (1 + below(14)));
    if (round % 1000 === 999) {
      memory.grow(1);
    } else if (kind < 5 || blocks.length === 0) {
      const align = 2 ** below(8);
      const block = talc.alloc(size, align);
      if (!block) continue;
      assert.equal(block % align, 0);
      const entry = { talc, block, size, align, seed: below(256) };
      talc.bytes(block, size).fill(entry.seed);
      blocks.push(entry);
    } else if (kind < 7) {
      const entry = blocks[index];
      const moved = entry.talc.realloc(entry.block, entry.size, size, entry.align);
      if (!moved) continue;
      check({ ...entry, block: moved, size: Math.min(entry.size, size) });
      Object.assign(entry, { block: moved, size });
      entry.talc.bytes(moved, size).fill(entry.seed);
    } else {
      const [entry] = blocks.splice(index, 1);
      check(entry);
      entry.talc.dealloc(entry.block, entry.size, entry.align);
    }
    if (round % 100 === 0) assert.ok(allocators.every((each) => each.isSound()));
  }
  assert.ok(allocators.every((each) => each.live() > 10));
  for (const entry of blocks) {
    check(entry);
    entry.talc.dealloc(entry.block, entry.size, entry.align);
  }
  for (const talc of allocators) {
    assert.equal(talc.live(), 0);
    assert.ok(talc.isSound());
  }
});
