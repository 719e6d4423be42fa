// A heap as the module describes it, and the drawing of it.
import { palette } from "./colours.js";

const TABLE = 0;
const CHUNK = 1;
const SLAB = 2;

// Words of an entry in the module's list.
const WORDS = 6;

// Memory is drawn block by block, so that what lies together is seen together; a block has this
// many dots in a row, and rows.
const [BLOCK_COLUMNS, BLOCK_ROWS] = [8, 4];
const BLOCK = BLOCK_COLUMNS * BLOCK_ROWS;

// Dots of the map in a row, and rows.
const [COLUMNS, ROWS] = [32 * BLOCK_COLUMNS, 35 * BLOCK_ROWS];
const DOTS = COLUMNS * ROWS;

// The parts of a heap, by address.
export function parts(exports) {
    const count = exports.map();
    const entries = new Uint32Array(exports.memory.buffer, exports.map_entries(), count * WORDS);
    const found = [];
    for (let at = 0; at < entries.length; at += WORDS) {
        const [kind, address, size, slotSize, slots, freeSlots] = entries.subarray(at, at + WORDS);
        found.push({ kind, address, size, slotSize, slots, freeSlots });
    }
    return found.sort((a, b) => a.address - b.address);
}

// What there is of each kind.
export function summary(found) {
    const sum = { slabs: 0, chunks: 0, gaps: 0, used: 0, size: 0 };
    for (const part of found) {
        sum.size += part.size;
        if (part.kind === SLAB) {
            sum.slabs += 1;
            sum.used += part.slotSize * (part.slots - part.freeSlots);
        } else if (part.kind === CHUNK) {
            sum.chunks += 1;
            sum.used += part.size;
        } else if (part.kind !== TABLE) {
            sum.gaps += 1;
        }
    }
    return sum;
}

// Pieces of one colour: a slab has two, as it has slots in use and free ones.
function* pieces(found, colours) {
    for (const { kind, address, size, slotSize, slots, freeSlots } of found) {
        if (kind === SLAB) {
            const used = Math.round((size * (slots - freeSlots)) / slots);
            yield [address, used, colours.slab(slotSize)];
            yield [address + used, size - used, colours.slot];
        } else if (kind === CHUNK) {
            yield [address, size, colours.chunk(size)];
        } else {
            yield [address, size, kind === TABLE ? colours.table : colours.gap];
        }
    }
}

// Where the dot with this number is: blocks are in rows, and dots are in rows in a block.
function place(dot) {
    const [block, inner] = [Math.floor(dot / BLOCK), dot % BLOCK];
    const blocksInRow = COLUMNS / BLOCK_COLUMNS;
    const row = Math.floor(block / blocksInRow) * BLOCK_ROWS + Math.floor(inner / BLOCK_COLUMNS);
    const column = (block % blocksInRow) * BLOCK_COLUMNS + (inner % BLOCK_COLUMNS);
    return row * COLUMNS + column;
}

// How many bytes a dot has to stand for, so that the heap fits; and where the first block begins.
function fit(found) {
    const last = found[found.length - 1];
    for (let scale = 16; ; scale *= 2) {
        const start = found[0].address - (found[0].address % (BLOCK * scale));
        if (last.address + last.size - start <= scale * DOTS) return { scale, start };
    }
}

// Draws the map; answers how many bytes a dot stands for, and a block. A dot in which several
// pieces lie has a mixture of their colours.
export function draw(canvas, found) {
    const colours = palette();
    const { scale, start } = fit(found);
    const sums = new Float32Array(DOTS * 4);
    for (const [address, size, [red, green, blue]] of pieces(found, colours)) {
        let [from, to] = [address - start, address - start + size];
        while (from < to) {
            const dot = Math.floor(from / scale);
            const bytes = Math.min(to, (dot + 1) * scale) - from;
            sums[4 * dot] += bytes * red;
            sums[4 * dot + 1] += bytes * green;
            sums[4 * dot + 2] += bytes * blue;
            sums[4 * dot + 3] += bytes;
            from += bytes;
        }
    }
    canvas.width = COLUMNS;
    canvas.height = ROWS;
    const context = canvas.getContext("2d");
    const image = context.createImageData(COLUMNS, ROWS);
    for (let dot = 0; dot < DOTS; dot++) {
        const [bytes, at] = [sums[4 * dot + 3], 4 * place(dot)];
        for (let channel = 0; channel < 3; channel++) {
            const mean = bytes > 0 ? sums[4 * dot + channel] / bytes : colours.outside[channel];
            image.data[at + channel] = Math.round(mean);
        }
        image.data[at + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    return { dot: scale, block: scale * BLOCK };
}
