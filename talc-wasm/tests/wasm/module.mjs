// The module under test, and a view of its memory.
import { readFileSync } from 'node:fs';

export const PAGE = 64 << 10;
/** The least size in pages that the modules are linked for. */
export const INITIAL = 64;
/** The size in pages that fills the address space. */
export const ALL = 65536;

const path = process.env.TALC_WASM;
if (!path) throw new Error('TALC_WASM must name a module: run .ci/wasm');
export const module = new WebAssembly.Module(readFileSync(path));

/** The allocators of a fresh instance, whose memory can grow up to `maximum` pages. */
export function instance(maximum = 1024) {
  const memory = new WebAssembly.Memory({ initial: INITIAL, maximum });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const pages = () => memory.buffer.byteLength / PAGE;
  const names = ['dynamic', 'small', 'fast', 'arena'];
  const allocators = names.map((name, which) => new Allocator(name, which, exports, memory));
  return { memory, pages, allocators, ...Object.fromEntries(names.map((name, i) => [name, allocators[i]])) };
}

/** One of the allocators. Addresses are unsigned, and 0 is null. */
class Allocator {
  constructor(name, which, exports, memory) {
    Object.assign(this, { name, which, exports, memory });
  }

  alloc(size, align = 8) {
    return this.exports.alloc(this.which, size, align) >>> 0;
  }

  allocZeroed(size, align = 8) {
    return this.exports.alloc_zeroed(this.which, size, align) >>> 0;
  }

  dealloc(block, size, align = 8) {
    this.exports.dealloc(this.which, block, size, align);
  }

  realloc(block, size, newSize, align = 8) {
    return this.exports.realloc(this.which, block, size, align, newSize) >>> 0;
  }

  isSound() {
    return this.exports.is_sound(this.which) === 1;
  }

  live() {
    return this.exports.live(this.which);
  }

  heaps() {
    return this.exports.heaps(this.which);
  }

  bytes(block, size) {
    return new Uint8Array(this.memory.buffer, block, size);
  }
}
